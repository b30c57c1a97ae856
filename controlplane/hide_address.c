/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses on the other side: display name and user are what a call is about, host and parameters say where somebody is. */
#include <string.h>

#include "controlplane/hide_internal.h"

static int hex_value(char c)
{
	return c >= '0' && c <= '9'                     ? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

/* RFC 3261 section 19.1.4: an escape of what needs none is the character itself to whoever reads it next, but not to the expressions that
 * allow and forbid numbers here. '+' needs none in a user part. */
static bool escape_is_idle(struct span user, size_t at)
{
	int high = at + 2 < user.n ? hex_value(user.p[at + 1]) : -1;
	int low = high >= 0 ? hex_value(user.p[at + 2]) : -1, c = high * 16 + low;

	if (high < 0 || low < 0)
		return true; /* none at all */
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("-_.!~*'()+", c));
}

static bool user_is_clean(struct span user)
{
	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("<>\"@\\^`{|}[]:", c))
			return false;
		if (c == '%' && escape_is_idle(user, i))
			return false;
	}
	return true;
}

static bool is_tel(const struct sip_uri *uri)
{
	return span_equal_case(uri->scheme, SPAN("tel"));
}

struct span hide_user(const struct sip_uri *uri)
{
	struct span user = uri->user;
	union address address;
	const char *escaped;

	user = span_cut(&user, ';');
	escaped = user.n ? memmem(user.p, user.n, "%40", 3) : NULL;
	if (escaped)
		user.n = (size_t)(escaped - user.p);
	/* Gateways without a number write their own address. */
	if (!user_is_clean(user) || address_parse_host(user, &address) == 0 ||
		(!is_tel(uri) && span_equal_case(user, uri->host)))
		return (struct span){ NULL, 0 };
	return user;
}

/* RFC 3966: digits and visual separators. */
static bool is_number(struct span user)
{
	for (size_t i = 0; i < user.n; i++)
		if (!strchr("+0123456789*#-.()", user.p[i]) || user.p[i] == '\0')
			return false;
	return user.n > 0;
}

static bool says_phone(const struct sip_uri *uri)
{
	struct span rest = uri->parameters, name, value;

	while (hide_parameter_next(&rest, &name, &value))
		if (span_equal_case(name, SPAN("user")))
			return span_equal_case(value, SPAN("phone"));
	return is_tel(uri);
}

void hide_write_uri(const struct sip_uri *uri, struct span host, bool tel, struct writer *out)
{
	struct span user = hide_user(uri);

	if (span_equal_case(uri->host, SPAN("anonymous.invalid")))
		host = SPAN("anonymous.invalid");
	if (tel && is_tel(uri) && is_number(user)) {
		writer_text(out, "<tel:");
		writer_span(out, user);
		writer_char(out, '>');
		return;
	}
	writer_text(out, "<sip:");
	if (user.n) {
		writer_span(out, user);
		writer_char(out, '@');
	}
	writer_span(out, host);
	if (is_number(user) && says_phone(uri))
		writer_text(out, ";user=phone");
	writer_char(out, '>');
}

/* Telephones without a name show where they are. */
static bool display_mentions(struct span display, struct span host)
{
	return host.n && (memchr(host.p, '.', host.n) || memchr(host.p, ':', host.n)) &&
	       memmem(display.p, display.n, host.p, host.n);
}

static bool is_separator(char c)
{
	return strchr(" \t@()<>[]{}/,;\\'=", c) != NULL;
}

/* A word of it is an address, whosesoever. */
static bool display_has_address(struct span display)
{
	size_t start = 0;

	if (!memchr(display.p, '.', display.n) && !memchr(display.p, ':', display.n))
		return false;
	for (size_t i = 0; i <= display.n; i++) {
		struct span word = { display.p + start, i - start };
		struct span host = word;
		union address address;

		if (i < display.n && !is_separator(display.p[i]))
			continue;
		start = i + 1;
		/* As it is, or with a port. */
		if (word.n >= 3 && (address_parse_host(word, &address) == 0 ||
					   address_parse_host(span_cut(&host, ':'), &address) == 0))
			return true;
	}
	return false;
}

/* Bytes of the sequence of UTF-8 (RFC 3629) that `text` begins with; 0 if it is none. */
static size_t sequence_length(struct span text)
{
	unsigned char lead = (unsigned char)text.p[0];
	size_t length = lead < 0x80   ? 1
			: lead < 0xc2 ? 0
			: lead < 0xe0 ? 2
			: lead < 0xf0 ? 3
			: lead < 0xf5 ? 4
				      : 0;

	if (length > text.n)
		return 0;
	for (size_t i = 1; i < length; i++)
		if (((unsigned char)text.p[i] & 0xc0) != 0x80)
			return 0;
	if (length > 2) {
		unsigned char second = (unsigned char)text.p[1];

		if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
			(lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
			return 0;
	}
	return length;
}

/* The inside of a quoted string of RFC 3261 section 25.1. */
static bool display_is_clean(struct span display)
{
	for (size_t i = 0; i < display.n;) {
		unsigned char c = (unsigned char)display.p[i];
		size_t length = sequence_length((struct span){ display.p + i, display.n - i });

		if (length == 0 || c == 0x7f || c == '"' || (c < ' ' && c != '\t'))
			return false;
		if (c == '\\') {
			unsigned char next = i + 1 < display.n ? (unsigned char)display.p[i + 1] : 0;

			if (next < ' ' || next >= 0x7f)
				return false;
			length = 2;
		}
		i += length;
	}
	return true;
}

void hide_name_addr(const struct name_addr *address, struct span host, struct writer *out)
{
	struct sip_uri uri = { 0 };
	bool parsed = sip_uri_parse(address->uri, &uri) == 0;

	if (!parsed)
		uri = (struct sip_uri){ 0 };
	if (address->display.n && display_is_clean(address->display) &&
		!display_mentions(address->display, uri.host) && !display_has_address(address->display)) {
		writer_char(out, '"');
		writer_span(out, address->display);
		writer_text(out, "\" ");
	}
	hide_write_uri(&uri, host, false, out);
}
