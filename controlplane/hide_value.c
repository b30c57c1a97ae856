/* SPDX-License-Identifier: BSD-3-Clause */
/* The shapes in which values cross: numbers, tokens, identifiers of 128 bits, standard texts. Nothing a host could be written with. */
#include "controlplane/hide_internal.h"

#include <string.h>

#include "controlplane/guard.h"
#include "controlplane/message_parts.h"

enum { REASONS_MAX = 4, REASON_TEXT_MAX = 64, HEX_MAX = 512 };

void hide_line(struct span name, struct span value, struct writer *out)
{
	if (value.n == 0)
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	writer_span(out, value);
	writer_text(out, "\r\n");
}

/* A folded value becomes one line. */
void hide_copy_verbatim(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	(void)way;
	if (value.n == 0)
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	for (size_t i = 0; i < value.n; i++)
		writer_char(out, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
	writer_text(out, "\r\n");
}

/* Not beside our own (leg_request_begin). Whoever answers a registrar's challenge here, too, has our seal in it. */
void hide_copy_credentials(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	if (way->to->credentials)
		return;
	if (value.n == 0 || memchr(value.p, '\r', value.n) || memchr(value.p, '\n', value.n)) {
		hide_copy_verbatim(way, name, value, out);
		return;
	}
	writer_span(out, name);
	writer_text(out, ": ");
	guard_unseal(value, out);
	writer_text(out, "\r\n");
}

bool hide_is_token(struct span s)
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

/* Dots are for "0.8", "Q.850" and "wps.0": more than one, or one before a letter, is what host names and addresses have. */
bool hide_names_a_host(struct span value)
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

static bool consists_of(struct span value, const char *allowed)
{
	for (size_t i = 0; i < value.n; i++)
		if (!strchr(allowed, value.p[i]) || value.p[i] == '\0')
			return false;
	return value.n > 0;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* The number at the start: comments and parameters may name hosts. One beyond all delta-seconds stays here: none of it is true. */
void hide_copy_number(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span number = { value.p, 0 };
	uint64_t seconds;

	(void)way;
	while (number.n < value.n && value.p[number.n] >= '0' && value.p[number.n] <= '9')
		number.n++;
	if (span_to_uint(number, UINT32_MAX, &seconds) == 0)
		hide_line(name, number, out);
}

/* A 503 with Retry-After would keep the caller from this SBC as a whole (RFC 3261 section 21.5.4). */
void hide_copy_retry(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	if (message_scan(way->message)->status != 503)
		hide_copy_number(way, name, value, out);
}

/* Bodies of events that can be relayed (a media type may be as long and as dotted as a host name), without parameters. */
void hide_copy_types(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	static const char *const known[] = { "application/simple-message-summary",
		"application/dialog-info+xml", "application/pidf+xml", "application/watcherinfo+xml",
		"message/sipfrag" };
	struct span one;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct span type = media_type(one);
		bool crosses = hide_body_crosses(type, HIDE_NOTIFY, way->from);

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			crosses = crosses || span_equal_case(type, span_from(known[i]));
		if (crosses)
			hide_line(name, type, out);
	}
}

struct span hide_reason(struct span value, struct writer *out)
{
	static const struct span empty = { NULL, 0 };
	/* IANA's list, and what is in wide use. */
	static const char *const protocols[] = { "SIP", "Q.850", "Preemption", "EMM", "RELEASE_CAUSE",
		"FAILURE_CAUSE", "STIR", "FreeSWITCH", NULL };
	struct span rest = value, first, protocol, name, parameter;
	uint64_t cause = 0;
	bool found = false;

	if (!hide_list_next(&rest, &first))
		return empty;
	rest = first;
	protocol = span_trim(span_cut(&rest, ';'));
	if (!hide_is_word(protocols, protocol))
		return empty;
	while (!found && hide_parameter_next(&rest, &name, &parameter))
		found = span_equal_case(name, SPAN("cause")) && span_to_uint(parameter, 999, &cause) == 0;
	writer_span(out, protocol);
	if (found) {
		writer_text(out, ";cause=");
		writer_uint(out, cause);
	}
	return out->overflow ? empty : writer_result(out);
}

void hide_copy_reason(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	(void)way;
	for (unsigned n = 0; n < REASONS_MAX && hide_list_next(&value, &one); n++) {
		char buffer[REASON_TEXT_MAX];
		struct writer reason;

		writer_init(&reason, buffer, sizeof(buffer));
		hide_line(name, hide_reason(one, &reason), out);
	}
}

/* A URI of ours that says nothing, for headers whose parameters are what counts. */
static void write_nowhere(struct hide_way *way, struct span name, struct writer *out)
{
	writer_span(out, name);
	writer_text(out, ": <sip:");
	writer_span(out, hide_way_host(way));
	writer_char(out, '>');
}

static struct span parameter_of(struct span value, struct span wanted)
{
	struct span rest = value, name, found;

	while (hide_parameter_next(&rest, &name, &found))
		if (span_equal_case(name, wanted))
			return found;
	return (struct span){ NULL, 0 };
}

/* Standard ring names (RFC 7462) and names of ring tones that telephones know, never a URL to fetch. */
void hide_copy_alert(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		const char *close = memchr(one.p, '>', one.n);
		struct span info = parameter_of(one, SPAN("info"));
		struct span urn = { one.p, close ? (size_t)(close - one.p) + 1 : 0 };

		if (span_starts_case(urn, SPAN("<urn:alert:")) && urn.n <= HIDE_TOKENS_MAX &&
			consists_of((struct span){ urn.p + 1, urn.n - 2 }, LETTERS DIGITS ":-_")) {
			hide_line(name, urn, out);
		} else if (info.n <= 64 && consists_of(info, LETTERS DIGITS "-_")) {
			write_nowhere(way, name, out);
			writer_text(out, ";info=");
			writer_span(out, info);
			writer_text(out, "\r\n");
		} else if (one.n <= 64 && consists_of(one, LETTERS DIGITS "-_")) {
			hide_line(name, one, out);
		}
	}
}

/* An intercom's wish to be answered at once. What the URIs lead to, icons and cards, stays on its side. */
void hide_copy_call_info(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct span after = parameter_of(one, SPAN("answer-after"));
		uint64_t seconds;

		if (span_to_uint(after, 3600, &seconds) < 0)
			continue;
		write_nowhere(way, name, out);
		writer_text(out, ";answer-after=");
		writer_uint(out, seconds);
		writer_text(out, "\r\n");
		return;
	}
}

/* RFC 3261 section 20.43. */
static const char *warning_text(uint64_t code)
{
	static const struct {
		unsigned code;
		const char *text;
	} texts[] = {
		{ 300, "Incompatible network protocol" },
		{ 301, "Incompatible network address formats" },
		{ 302, "Incompatible transport protocol" },
		{ 303, "Incompatible bandwidth units" },
		{ 304, "Media type not available" },
		{ 305, "Incompatible media format" },
		{ 306, "Attribute not understood" },
		{ 307, "Session description parameter not understood" },
		{ 330, "Multicast not available" },
		{ 331, "Unicast not available" },
		{ 370, "Insufficient bandwidth" },
		{ 380, "SIPS Not Allowed" },
		{ 381, "SIPS Required" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "Miscellaneous warning";
}

/* The code; the agent is us, and the text the standard one. */
void hide_copy_warning(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;
	uint64_t code;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		if (span_to_uint(span_cut(&one, ' '), 399, &code) < 0 || code < 300)
			continue;
		writer_span(out, name);
		writer_text(out, ": ");
		writer_uint(out, code);
		writer_char(out, ' ');
		writer_span(out, hide_way_host(way));
		writer_text(out, " \"");
		writer_text(out, warning_text(code));
		writer_text(out, "\"\r\n");
	}
}

/* RFC 7989 section 5: two UUIDs that are made to go from end to end and name nothing. */
void hide_copy_session_id(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	enum { UUID_LENGTH = 32 };
	struct span rest = value, local = span_trim(span_cut(&rest, ';'));
	struct span remote = parameter_of(rest, SPAN("remote"));

	(void)way;
	if (local.n != UUID_LENGTH || !consists_of(local, DIGITS "abcdef"))
		return;
	writer_span(out, name);
	writer_text(out, ": ");
	writer_span(out, local);
	if (remote.n == UUID_LENGTH && consists_of(remote, DIGITS "abcdef")) {
		writer_text(out, ";remote=");
		writer_span(out, remote);
	}
	writer_text(out, "\r\n");
}

/* RFC 7433: octets in hexadecimal, and tokens that say what they are. */
void hide_copy_user_to_user(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	static const struct span wanted[] = { { "purpose", 7 }, { "content", 7 }, { "encoding", 8 } };
	static const char *const words[] = { "isdn-uui", "isdn-interwork", "isdn-network", "hex", NULL };
	struct span one;

	(void)way;
	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct span rest = one, data = span_trim(span_cut(&rest, ';'));

		if (data.n > HEX_MAX || data.n % 2 || !consists_of(data, DIGITS "abcdefABCDEF"))
			continue;
		writer_span(out, name);
		writer_text(out, ": ");
		writer_span(out, data);
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			struct span found = parameter_of(rest, wanted[i]);

			if (!hide_is_word(words, found))
				continue;
			writer_char(out, ';');
			writer_span(out, wanted[i]);
			writer_char(out, '=');
			writer_span(out, found);
		}
		writer_text(out, "\r\n");
	}
}
