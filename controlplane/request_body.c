/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of relayed requests: which may cross, and those that are written anew rather than copied. */
#include <string.h>

#include "controlplane/core.h"
#include "controlplane/request_relay_internal.h"

static const struct span nothing = { NULL, 0 };

#define DTMF_RELAY    "application/dtmf-relay"
#define DTMF          "application/dtmf"
#define MEDIA_CONTROL "application/media_control+xml"

/* RFC 5168 section 5: the one command that telephones send. */
static const char picture_fast_update[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n"
					  "<media_control><vc_primitive><to_encoder><picture_fast_update/></"
					  "to_encoder></vc_primitive></media_control>\r\n";

/* Keys, the numbers that stand for star and pound, and the hook flash. */
static bool are_keys(struct span text, size_t most)
{
	static const char keys[] = "0123456789*#ABCDabcd!,";

	for (size_t i = 0; i < text.n; i++)
		if (!memchr(keys, text.p[i], sizeof(keys) - 1))
			return false;
	return text.n > 0 && text.n <= most;
}

/* Signal=5, Duration=160: lines in any order, white space around '='. */
static bool write_relay(struct span body, struct writer *out)
{
	enum { LINES_MAX = 8 };
	struct span signal = nothing, rest = body;
	uint64_t duration = 0;

	for (unsigned n = 0; rest.p && n < LINES_MAX; n++) {
		struct span value = span_trim(span_cut(&rest, '\n'));
		struct span name = span_trim(span_cut(&value, '='));

		if (span_equal_case(name, SPAN("Signal")))
			signal = span_trim(value);
		else if (span_equal_case(name, SPAN("Duration")) &&
			 span_to_uint(span_trim(value), 60000, &duration))
			return false;
	}
	if (!are_keys(signal, 2))
		return false;
	writer_text(out, "Signal=");
	writer_span(out, signal);
	writer_text(out, "\r\n");
	if (duration) {
		writer_text(out, "Duration=");
		writer_uint(out, duration);
		writer_text(out, "\r\n");
	}
	return true;
}

static bool take_dtmf_relay(struct span body, struct request_body *out, struct writer *text)
{
	out->type = SPAN(DTMF_RELAY);
	return write_relay(body, text);
}

static bool take_dtmf(struct span body, struct request_body *out, struct writer *text)
{
	struct span keys = span_trim(body);

	out->type = SPAN(DTMF);
	if (!are_keys(keys, 32))
		return write_relay(body, text);
	writer_span(text, keys);
	return true;
}

static bool take_media_control(struct span body, struct request_body *out, struct writer *text)
{
	(void)text;
	out->type = SPAN(MEDIA_CONTROL);
	out->body = SPAN(picture_fast_update);
	return memmem(body.p, body.n, "picture_fast_update", strlen("picture_fast_update")) != NULL;
}

static const struct {
	struct span type;
	bool (*take)(struct span body, struct request_body *out, struct writer *text);
} info_bodies[] = {
	{ { DTMF_RELAY, sizeof(DTMF_RELAY) - 1 }, take_dtmf_relay },
	{ { DTMF, sizeof(DTMF) - 1 }, take_dtmf },
	{ { MEDIA_CONTROL, sizeof(MEDIA_CONTROL) - 1 }, take_media_control },
};

static bool is_encoded(const struct message *request)
{
	struct span encoding;

	return message_header(request, SPAN("Content-Encoding"), 0, &encoding) &&
	       !span_equal_case(encoding, SPAN("identity"));
}

bool request_body_info(const struct message *info, struct request_body *out)
{
	struct writer text;

	out->type = out->body = nothing;
	if (message_body(info).n == 0)
		return true;
	writer_init(&text, out->text, sizeof(out->text));
	for (size_t i = 0; i < sizeof(info_bodies) / sizeof(info_bodies[0]); i++)
		if (message_body_is(info, info_bodies[i].type)) {
			if (is_encoded(info) || !info_bodies[i].take(message_body(info), out, &text))
				return false;
			if (out->body.n == 0)
				out->body = writer_result(&text);
			return !text.overflow;
		}
	return false;
}

/* --- bodies that cross as they are -------------------------------------------------------------------------------------- */

static bool is_passed(struct span type, const struct leg *to)
{
	const struct config_strings *passed = &to->profile->bodies_pass;
	struct span kind = type;

	span_cut(&kind, '/');
	kind = (struct span){ type.p, type.n - kind.n };
	for (size_t i = 0; i < passed->count; i++) {
		struct span item = span_from(passed->item[i]);

		if (span_equal_case(item, type))
			return true;
		if (item.n > 1 && item.p[item.n - 1] == '*' &&
			span_equal_case((struct span){ item.p, item.n - 1 }, kind))
			return true;
	}
	return false;
}

static struct span charset_of(struct span parameters)
{
	while (parameters.n) {
		struct span value = span_cut(&parameters, ';');

		if (span_equal_case(span_trim(span_cut(&value, '=')), SPAN("charset"))) {
			value = span_trim(value);
			return value.n <= 32 && core_is_token(value) && !memchr(value.p, '.', value.n)
				       ? value
				       : nothing;
		}
	}
	return nothing;
}

bool request_body_pass(
	const struct message *request, struct span own, const struct leg *to, struct request_body *out)
{
	struct span parameters = message_scan(request)->content_type, type, charset;
	struct writer text;

	out->type = out->body = nothing;
	if (message_body(request).n == 0)
		return true;
	type = span_trim(span_cut(&parameters, ';'));
	if (is_encoded(request) || !(span_equal_case(type, own) || is_passed(type, to)))
		return false;
	writer_init(&text, out->type_text, sizeof(out->type_text));
	writer_span(&text, type);
	charset = charset_of(parameters);
	if (charset.n) {
		writer_text(&text, ";charset=");
		writer_span(&text, charset);
	}
	out->type = writer_result(&text);
	out->body = message_body(request);
	return !text.overflow;
}

void request_body_accept(enum sip_method method, const struct leg *to, struct writer *out)
{
	const struct config_strings *passed = &to->profile->bodies_pass;

	switch (method) {
	case SIP_METHOD_INFO:
		writer_text(out, "Accept: " DTMF_RELAY ", " DTMF ", " MEDIA_CONTROL);
		break;
	case SIP_METHOD_MESSAGE:
		writer_text(out, "Accept: text/plain");
		break;
	default:
		writer_text(out, "Accept: application/simple-message-summary, application/dialog-info+xml, "
				 "application/pidf+xml");
	}
	for (size_t i = 0; i < passed->count; i++) {
		writer_text(out, ", ");
		writer_text(out, passed->item[i]);
	}
	writer_text(out, "\r\n");
}
