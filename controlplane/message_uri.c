/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP URIs and name-addrs as spans (RFC 3261 sections 19.1 and 20.10). Escapes are kept, but in sip_user_normal. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "controlplane/message.h"
#include "controlplane/sip.h"

static const struct span none = { NULL, 0 };

static struct span skip(struct span s, size_t n)
{
	return (struct span){ s.p + n, s.n - n };
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What ends or breaks a URI where it stands. */
enum { WHITE = 1, ANGLE = 2, QUOTE = 4, AT = 8, QUESTION = 16, OPENING = 32 };

static const unsigned char breaks[256] = { ['\0'] = WHITE,
	[' '] = WHITE,
	['\t'] = WHITE,
	['\r'] = WHITE,
	['\n'] = WHITE,
	['<'] = ANGLE | OPENING,
	['>'] = ANGLE,
	['"'] = QUOTE,
	['@'] = AT,
	['?'] = QUESTION };

/* White space, or one of the kinds. */
static bool contains_any(struct span s, unsigned kinds)
{
	for (size_t i = 0; i < s.n; i++)
		if (breaks[(unsigned char)s.p[i]] & (WHITE | kinds))
			return true;
	return false;
}

/* Host names, IPv4 and the inside of brackets; '_' occurs in the wild. */
static bool is_host(struct span host, bool bracketed)
{
	for (size_t i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.p[i];

		if (!isalnum(c) && c != '.' && c != '-' && c != '_' && !(bracketed && c == ':'))
			return false;
	}
	return host.n > 0;
}

/* host [":" port]. 0 or -EINVAL. */
static int host_port(struct span text, struct sip_uri *out)
{
	const char *close = NULL;
	struct span rest = text;
	uint64_t port;
	bool bracketed = text.n && text.p[0] == '[';

	if (bracketed) {
		close = memchr(text.p, ']', text.n);
		if (!close)
			return -EINVAL;
		out->host = (struct span){ text.p + 1, (size_t)(close - text.p - 1) };
		rest = skip(text, (size_t)(close - text.p) + 1);
		if (rest.n && rest.p[0] != ':')
			return -EINVAL;
		rest = rest.n ? skip(rest, 1) : none;
	} else {
		out->host = span_cut(&rest, ':');
	}
	if (!is_host(out->host, bracketed))
		return -EINVAL;
	if (!rest.p)
		return 0;
	if (span_to_uint(rest, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	out->port = (uint16_t)port;
	return 0;
}

/* A tel URI (RFC 3966): the number stands for the user, there is no host. */
static int tel_uri(struct span rest, struct sip_uri *out)
{
	out->user = span_cut(&rest, ';');
	out->parameters = rest;
	return out->user.n && !contains_any(out->user, ANGLE | QUOTE | AT | QUESTION) &&
			       !contains_any(rest, ANGLE | QUOTE)
		       ? 0
		       : -EINVAL;
}

int sip_uri_parse(struct span text, struct sip_uri *out)
{
	struct span rest = text;
	struct span before;
	const char *at;

	memset(out, 0, sizeof(*out));
	out->scheme = span_cut(&rest, ':');
	if (!rest.p || rest.n == 0)
		return -EINVAL;
	if (span_equal_case(out->scheme, SPAN("tel")))
		return tel_uri(rest, out);
	if (!span_equal_case(out->scheme, SPAN("sip")) && !span_equal_case(out->scheme, SPAN("sips")))
		return -EINVAL;
	/* A user may hold ';' and '?' (RFC 4475 section 3.1.1.8), neither may hold a bare '@'. */
	at = memchr(rest.p, '@', rest.n);
	if (at) {
		before = (struct span){ rest.p, (size_t)(at - rest.p) };
		rest = skip(rest, before.n + 1);
		out->user = span_cut(&before, ':');
		out->password = before;
		if (out->user.n == 0 || contains_any(out->user, ANGLE | QUOTE) ||
			contains_any(out->password, ANGLE | QUOTE))
			return -EINVAL;
	}
	before = span_cut(&rest, '?');
	out->headers = rest;
	out->parameters = before;
	before = span_cut(&out->parameters, ';');
	if (contains_any(out->parameters, ANGLE | QUOTE | AT) ||
		contains_any(out->headers, ANGLE | QUOTE | AT))
		return -EINVAL;
	return host_port(before, out);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Unreserved, or user-unreserved but for the ';' where parameters would begin. */
static bool stands_in_user(unsigned char c)
{
	return isalnum(c) || (c && strchr("-_.!~*'()&=+$,?/", c));
}

int sip_user_normal(struct span user, struct writer *out)
{
	size_t begin = out->len;

	user = span_cut(&user, ';');
	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];
		int high, low;

		if (c <= ' ' || c >= 0x7f)
			return -EINVAL;
		if (c != '%') {
			writer_char(out, (char)c);
			continue;
		}
		high = i + 2 < user.n ? hex_value(user.p[i + 1]) : -1;
		low = high >= 0 ? hex_value(user.p[i + 2]) : -1;
		c = (unsigned char)(high * 16 + low);
		if (low < 0 || c < ' ' || c == 0x7f)
			return -EINVAL;
		if (c == '@')
			break;
		if (stands_in_user(c))
			writer_char(out, (char)c);
		else
			writer_format(out, "%%%02x", c);
		i += 2;
	}
	return out->len > begin && !out->overflow ? 0 : -EINVAL;
}

/* Cuts *rest at its first `;` outside of quotes; *rest is what follows. */
static struct span parameter_cut(struct span *rest)
{
	struct span text = *rest;
	size_t n = 0;

	while (n < text.n && text.p[n] != ';' && text.p[n] != ',') {
		size_t quoted = text.p[n] == '"' ? sip_quoted_length(skip(text, n)) : 1;

		n += quoted ? quoted : 1;
	}
	*rest = n < text.n && text.p[n] == ';' ? skip(text, n + 1) : none;
	return (struct span){ text.p, n };
}

static void tag_find(struct name_addr *out)
{
	struct span rest = out->parameters;

	while (rest.p) {
		struct span value = parameter_cut(&rest);
		struct span name = span_trim(span_cut(&value, '='));

		if (span_equal_case(name, SPAN("tag")))
			out->tag = span_trim(value);
	}
}

/* Behind the address: nothing, another value of the list, or parameters up to that. */
static int parameters_take(struct span rest, struct name_addr *out)
{
	struct span all;

	rest = span_trim(rest);
	if (rest.n == 0 || rest.p[0] == ',')
		return 0;
	if (rest.p[0] != ';')
		return -EINVAL;
	all = skip(rest, 1);
	out->parameters = all;
	while (all.p) {
		struct span one = parameter_cut(&all);

		out->parameters.n = (size_t)(one.p + one.n - out->parameters.p);
	}
	tag_find(out);
	return 0;
}

/* [display] "<" uri ">" *(";" parameter) */
static int bracketed(struct span text, size_t open, struct name_addr *out)
{
	struct span inside = skip(text, open + 1);
	const char *close = memchr(inside.p, '>', inside.n);

	if (!close)
		return -EINVAL;
	out->uri = (struct span){ inside.p, (size_t)(close - inside.p) };
	if (out->uri.n == 0 || contains_any(out->uri, OPENING | QUOTE))
		return -EINVAL;
	return parameters_take(skip(inside, out->uri.n + 1), out);
}

int name_addr_parse(struct span text, struct name_addr *out)
{
	struct span rest;
	const char *open;
	size_t n;

	memset(out, 0, sizeof(*out));
	text = span_trim(text);
	if (text.n && text.p[0] == '"') {
		n = sip_quoted_length(text);
		if (n == 0)
			return -EINVAL;
		out->display = (struct span){ text.p + 1, n - 2 };
		rest = span_trim(skip(text, n));
		return rest.n && rest.p[0] == '<' ? bracketed(rest, 0, out) : -EINVAL;
	}
	open = memchr(text.p, '<', text.n);
	if (open) {
		n = (size_t)(open - text.p);
		out->display = span_trim((struct span){ text.p, n });
		/* A comma or quote would make it two values, or half of one; a backslash would, where we write quotes around it. */
		for (size_t i = 0; i < out->display.n; i++)
			if (strchr(",\";>\\", out->display.p[i]))
				return -EINVAL;
		return bracketed(text, n, out);
	}
	/* Without brackets what follows ';' are the header's parameters (RFC 3261 section 20.10). */
	for (n = 0; n < text.n && text.p[n] != ';' && text.p[n] != ',' && !is_white(text.p[n]); n++)
		;
	out->uri = (struct span){ text.p, n };
	if (n == 0 || contains_any(out->uri, ANGLE | QUOTE))
		return -EINVAL;
	return parameters_take(skip(text, n), out);
}
