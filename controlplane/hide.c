/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: the table of headers that cross from one leg to the other, and how much of each. */
#include "controlplane/hide.h"

#include <errno.h>
#include <string.h>

#include "controlplane/core.h"

enum {
	HIDE_VALUES_MAX = 8, /* of one header name; more are not copied */
	HIDE_TOKENS_MAX = 256 /* bytes of a value that is made of tokens */
};

typedef void (*hide_copy)(struct span name, struct span value, const struct leg *to, struct writer *out);

struct hide_row {
	struct span name;
	unsigned kinds; /* of enum hide_kind */
	hide_copy copy;
};

static void write_line(struct span name, struct span value, struct writer *out)
{
	if (value.n == 0)
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	writer_span(out, value);
	writer_text(out, "\r\n");
}

/* A folded value becomes one line. */
static void copy_verbatim(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	(void)to;
	if (value.n == 0)
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	for (size_t i = 0; i < value.n; i++)
		writer_char(out, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
	writer_text(out, "\r\n");
}

/* Dots are for "0.8", "Q.850" and "wps.0": more than one, or one before a letter, is what host names and addresses have. */
static bool names_a_host(struct span value)
{
	unsigned dots = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i], next = i + 1 < value.n ? value.p[i + 1] : '\0';

		if (strchr(",;= ", c))
			dots = 0;
		else if (c == '.' && (++dots > 1 || next < '0' || next > '9'))
			return true;
	}
	return false;
}

/* Lists of tokens and numbers: nothing a host or address could be written with. */
static void copy_tokens(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_;,=*. ";

	(void)to;
	if (value.n > HIDE_TOKENS_MAX || names_a_host(value))
		return;
	for (size_t i = 0; i < value.n; i++)
		if (!memchr(allowed, value.p[i], sizeof(allowed) - 1))
			return;
	write_line(name, value, out);
}

/* The number at the start: comments and parameters may name hosts. */
static void copy_number(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	size_t digits = 0;

	(void)to;
	while (digits < value.n && digits < 10 && value.p[digits] >= '0' && value.p[digits] <= '9')
		digits++;
	write_line(name, (struct span){ value.p, digits }, out);
}

static void copy_reason(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	char buffer[64];
	struct writer reason;

	(void)to;
	writer_init(&reason, buffer, sizeof(buffer));
	write_line(name, hide_reason(value, &reason), out);
}

static void copy_identity(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	struct name_addr address;
	char host[ADDRESS_TEXT_MAX];

	address_print_uri(listener_address(to->flow.listener), host);
	if (name_addr_parse(value, &address))
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	hide_name_addr(&address, span_from(host), out);
	writer_text(out, "\r\n");
}

/* Only standard ring names (RFC 7462), never a URL to fetch. */
static void copy_alert(struct span name, struct span value, const struct leg *to, struct writer *out)
{
	if (!span_starts_case(value, SPAN("<urn:alert:")) || value.n > HIDE_TOKENS_MAX)
		return;
	copy_verbatim(name, value, to, out);
}

#define ANSWERS (HIDE_PROVISIONAL | HIDE_SUCCESS)
/* Digest credentials and challenges cross untouched: the phone and the PBX share the secret, and each field is part of what
 * they sign. */
static const struct hide_row hide_table[] = {
	{ { "Accept-Language", 15 }, HIDE_INVITE, copy_tokens },
	{ { "Alert-Info", 10 }, HIDE_INVITE | HIDE_PROVISIONAL, copy_alert },
	{ { "Authentication-Info", 19 }, HIDE_SUCCESS, copy_verbatim },
	{ { "Authorization", 13 }, HIDE_INVITE | HIDE_REINVITE | HIDE_ACK, copy_verbatim },
	{ { "Expires", 7 }, HIDE_INVITE, copy_number },
	{ { "P-Asserted-Identity", 19 }, HIDE_INVITE | HIDE_REINVITE | ANSWERS, copy_identity },
	{ { "Priority", 8 }, HIDE_INVITE, copy_tokens },
	{ { "Privacy", 7 }, HIDE_INVITE | HIDE_REINVITE | ANSWERS, copy_tokens },
	{ { "Proxy-Authenticate", 18 }, HIDE_CHALLENGE, copy_verbatim },
	{ { "Proxy-Authorization", 19 }, HIDE_INVITE | HIDE_REINVITE | HIDE_ACK, copy_verbatim },
	{ { "Reason", 6 }, HIDE_BYE | HIDE_FAILURE | HIDE_PROVISIONAL, copy_reason },
	{ { "Resource-Priority", 17 }, HIDE_INVITE, copy_tokens },
	{ { "Retry-After", 11 }, HIDE_FAILURE, copy_number },
	{ { "WWW-Authenticate", 16 }, HIDE_CHALLENGE, copy_verbatim },
};

/* What is always ours, whatever headers-pass says. */
static const char *const never_passed[] = { "Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq",
	"Contact", "m", "Route", "Record-Route", "Max-Forwards", "Content-Length", "l", "Content-Type", "c",
	"Require", "Supported", "k", "Allow", "Session-Expires", "x", "RAck", "RSeq" };

/* RFC 3325: an asserted identity means something between realms that trust each other. To an untrusted one it would tell the
 * name of an inside user that From and To do not. */
static bool identity_may_cross(const struct leg *from, const struct leg *to)
{
	return from->realm->trust == CONFIG_TRUST_TRUSTED && to->realm->trust == CONFIG_TRUST_TRUSTED;
}

static void copy_extra(const struct message *message, const struct leg *to, struct writer *out)
{
	const struct config_strings *names = &to->profile->headers_pass;
	struct span value;

	for (size_t i = 0; i < names->count; i++) {
		struct span name = span_from(names->item[i]);
		bool ours = false;

		for (size_t n = 0; n < sizeof(never_passed) / sizeof(never_passed[0]); n++)
			ours = ours || span_equal_case(name, span_from(never_passed[n]));
		for (unsigned n = 0; !ours && n < HIDE_VALUES_MAX && message_header(message, name, n, &value);
			n++)
			copy_verbatim(name, value, to, out);
	}
}

void hide_headers(const struct message *message, enum hide_kind kind, const struct leg *from,
	const struct leg *to, struct writer *out)
{
	bool identity = identity_may_cross(from, to);
	struct span value, one;

	for (size_t i = 0; i < sizeof(hide_table) / sizeof(hide_table[0]); i++) {
		const struct hide_row *row = &hide_table[i];

		if (!(row->kinds & (unsigned)kind) || (row->copy == copy_identity && !identity))
			continue;
		/* A 503 with Retry-After would keep the caller from this SBC as a whole (RFC 3261 section 21.5.4). */
		if (kind == HIDE_FAILURE && row->copy == copy_number && message_scan(message)->status == 503)
			continue;
		for (unsigned n = 0; n < HIDE_VALUES_MAX && message_header(message, row->name, n, &value);
			n++) {
			if (row->copy != copy_identity) {
				row->copy(row->name, value, to, out);
				continue;
			}
			for (unsigned v = 0; v < HIDE_VALUES_MAX && leg_list_value(value, v, &one); v++)
				row->copy(row->name, one, to, out);
		}
	}
	if (kind & (HIDE_INVITE | HIDE_REINVITE | HIDE_BYE | ANSWERS))
		copy_extra(message, to, out);
}

static bool user_is_clean(struct span user)
{
	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];

		if (c <= ' ' || c >= 0x7f || strchr("<>\"@\\^`{|}[]:", c))
			return false;
	}
	return true;
}

struct span hide_user(const struct sip_uri *uri)
{
	bool tel = span_equal_case(uri->scheme, SPAN("tel"));
	struct span user = tel && uri->user.n == 0 ? uri->host : uri->user;
	union address address;
	const char *escaped;

	user = span_cut(&user, ';');
	escaped = user.n ? memmem(user.p, user.n, "%40", 3) : NULL;
	if (escaped)
		user.n = (size_t)(escaped - user.p);
	/* Gateways without a number write their own address. */
	if (!user_is_clean(user) || address_parse_host(user, &address) == 0 ||
		(!tel && span_equal_case(user, uri->host)))
		return (struct span){ NULL, 0 };
	return user;
}

/* Telephones without a name show where they are. */
static bool display_mentions(struct span display, struct span host)
{
	return host.n && (memchr(host.p, '.', host.n) || memchr(host.p, ':', host.n)) &&
	       memmem(display.p, display.n, host.p, host.n);
}

static bool display_is_clean(struct span display)
{
	for (size_t i = 0; i < display.n; i++) {
		unsigned char c = (unsigned char)display.p[i];

		if (c == '\\') {
			if (++i >= display.n)
				return false;
			c = (unsigned char)display.p[i];
			if (c < ' ')
				return false;
			continue;
		}
		if ((c < ' ' && c != '\t') || c == '"' || c == 0x7f)
			return false;
	}
	return true;
}

void hide_name_addr(const struct name_addr *address, struct span host, struct writer *out)
{
	struct sip_uri uri = { 0 };
	struct span user = { NULL, 0 };
	bool parsed = sip_uri_parse(address->uri, &uri) == 0;
	bool shown = address->display.n && display_is_clean(address->display) &&
		     !display_mentions(address->display, uri.host);

	if (parsed)
		user = hide_user(&uri);
	if (parsed && span_equal_case(uri.host, SPAN("anonymous.invalid")))
		host = SPAN("anonymous.invalid");
	if (shown) {
		writer_char(out, '"');
		writer_span(out, address->display);
		writer_text(out, "\" ");
	}
	writer_text(out, "<sip:");
	if (user.n) {
		writer_span(out, user);
		writer_char(out, '@');
	}
	writer_span(out, host);
	writer_char(out, '>');
}

static bool is_token(struct span s)
{
	static const char other[] = "-.!%*_+`'~";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alnum && !memchr(other, c, sizeof(other) - 1))
			return false;
	}
	return s.n > 0;
}

struct span hide_reason(struct span value, struct writer *out)
{
	struct span first, rest, protocol;
	uint64_t cause = 0;
	bool found = false;

	if (!leg_list_value(value, 0, &first))
		return (struct span){ NULL, 0 };
	rest = first;
	protocol = span_trim(span_cut(&rest, ';'));
	/* Registered protocols only (SIP, Q.850, FreeSWITCH ...): letters, a dot, digits, never as long as a name of a host. */
	if (!is_token(protocol) || protocol.n > 10 || names_a_host(protocol))
		return (struct span){ NULL, 0 };
	while (rest.n) {
		struct span parameter = span_cut(&rest, ';');
		struct span name = span_trim(span_cut(&parameter, '='));

		if (span_equal_case(name, SPAN("cause")) &&
			span_to_uint(span_trim(parameter), 999, &cause) == 0) {
			found = true;
			break;
		}
	}
	writer_span(out, protocol);
	if (found) {
		writer_text(out, ";cause=");
		writer_uint(out, cause);
	}
	return out->overflow ? (struct span){ NULL, 0 } : writer_result(out);
}

unsigned hide_status(unsigned status)
{
	static const struct {
		unsigned from, to;
	} map[] = {
		{ 305, 480 },
		{ 380, 480 }, /* contacts of the far side */
		{ 405, 500 },
		{ 416, 404 },
		{ 420, 500 },
		{ 421, 500 }, /* between the callee and us alone */
		{ 422, 500 },
		{ 423, 500 },
		{ 439, 500 },
		{ 481, 480 }, /* a new call had no dialog there */
		{ 485, 404 },
		{ 494, 488 },
		{ 501, 500 },
		{ 505, 500 },
		{ 513, 500 },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].from == status)
			return map[i].to;
	if (status < 400)
		return 480; /* redirection is not followed yet; its contacts name the far side's hosts */
	return status > 699 ? 500 : status;
}

void hide_allow(struct writer *out)
{
	core_allow(out);
}

void hide_product(const struct config *config, bool request, struct writer *out)
{
	write_line(request ? SPAN("User-Agent") : SPAN("Server"), span_from(config->sip.user_agent), out);
}
