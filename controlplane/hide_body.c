/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies: the description is written by the media's code, of the rest only listed types cross; several are put together anew. */
#include <errno.h>
#include <string.h>

#include "controlplane/call_state.h"
#include "controlplane/hide_internal.h"
#include "controlplane/message_parts.h"

/* What belongs to a method and names nobody's host. Events have their own code. */
static const struct {
	unsigned kinds;
	struct span type;
} built_in[] = {
	{ HIDE_INFO, { "application/dtmf-relay", 22 } },
	{ HIDE_INFO, { "application/dtmf", 16 } },
	{ HIDE_INFO, { "application/media_control+xml", 29 } },
	{ HIDE_MESSAGE, { "text/plain", 10 } },
	{ HIDE_MESSAGE, { "application/im-iscomposing+xml", 30 } },
};

static bool is_configured(struct span type, const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct span item = span_from(list->item[i]);

		bool all = item.n > 2 && span_equal((struct span){ item.p + item.n - 2, 2 }, SPAN("/*"));

		/* All of a kind, but none that could be the name of a host: such a type is to be named whole. */
		if (all ? span_starts_case(type, (struct span){ item.p, item.n - 1 }) &&
					!hide_names_a_host(type)
			: span_equal_case(type, item))
			return true;
	}
	return false;
}

bool hide_body_crosses(struct span content_type, enum hide_kind kind, const struct leg *to)
{
	struct span type = media_type(content_type), subtype = type;
	struct span discrete = span_cut(&subtype, '/');

	/* The headers of a part have not been screened by anybody. */
	if (!hide_is_token(discrete) || !hide_is_token(subtype))
		return false;
	/* Whatever the configuration says: a description leads media around the relay, and parts are looked at one by one. */
	if (span_equal_case(type, SPAN("application/sdp")) || span_starts_case(type, SPAN("multipart/")))
		return false;
	for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
		if ((built_in[i].kinds & (unsigned)kind) && span_equal_case(type, built_in[i].type))
			return true;
	return is_configured(type, &to->profile->bodies_pass);
}

static bool is_description(const struct message_part *part)
{
	return part_is_plain(part) && span_equal_case(media_type(part->type), SPAN("application/sdp"));
}

unsigned hide_body_status(const struct message *message, enum hide_kind kind, const struct leg *to)
{
	static const unsigned describing = HIDE_INVITE | HIDE_REINVITE | HIDE_UPDATE | HIDE_PRACK | HIDE_ACK;
	struct message_part parts[MESSAGE_PARTS_MAX];
	bool any = false;
	int count;

	if (message_body(message).n == 0)
		return 0;
	count = message_parts(message, parts);
	if (count < 0)
		return count == -EMSGSIZE ? 413 : 400;
	for (int i = 0; i < count; i++) {
		bool crosses = ((unsigned)kind & describing) && is_description(&parts[i]);

		crosses = crosses || (part_is_plain(&parts[i]) && hide_body_crosses(parts[i].type, kind, to));
		if (!crosses && part_is_required(&parts[i]))
			return 415;
		any = any || crosses;
	}
	return any ? 0 : 415;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

/* A media type with those of its parameters that say how to read it: "text/plain;charset=utf-8". */
static void write_type(struct span content_type, struct writer *out)
{
	static const char *const kept[] = { "charset", "version", "base", "format", NULL };
	struct span rest = content_type, name, value;

	writer_text(out, "Content-Type: ");
	writer_span(out, span_trim(span_cut(&rest, ';')));
	while (hide_parameter_next(&rest, &name, &value)) {
		if (!hide_is_word(kept, name) || !hide_is_token(value) || hide_names_a_host(value) ||
			value.n > 16)
			continue;
		writer_char(out, ';');
		writer_span(out, name);
		writer_char(out, '=');
		writer_span(out, value);
	}
	writer_text(out, "\r\n");
}

/* "signal;handling=optional"; names of files stay behind. */
static void write_disposition(struct span disposition, struct writer *out)
{
	static const char *const kinds[] = { "render", "session", "icon", "alert", "signal", "info-package",
		"by-reference", "early-session", "recipient-list", NULL };
	static const char *const handling[] = { "required", "optional", NULL };
	struct span rest = disposition, kind = span_trim(span_cut(&rest, ';')), name, value;

	if (!hide_is_word(kinds, kind))
		return;
	writer_text(out, "Content-Disposition: ");
	writer_span(out, kind);
	while (hide_parameter_next(&rest, &name, &value))
		if (span_equal_case(name, SPAN("handling")) && hide_is_word(handling, value)) {
			writer_text(out, ";handling=");
			writer_span(out, value);
		}
	writer_text(out, "\r\n");
}

static void write_part(const struct message_part *part, const char *boundary, struct writer *out)
{
	writer_text(out, "--");
	writer_text(out, boundary);
	writer_text(out, "\r\n");
	write_type(part->type, out);
	write_disposition(part->disposition, out);
	writer_text(out, "\r\n");
	writer_span(out, part->content);
	writer_text(out, "\r\n");
}

static void write_parts(
	const struct message_part *parts, unsigned count, struct shard *shard, struct writer *out)
{
	char text[CALL_MESSAGE_MAX], boundary[SHARD_TOKEN_MAX];
	struct writer body;

	shard_token(shard, boundary);
	writer_init(&body, text, sizeof(text));
	for (unsigned i = 0; i < count; i++)
		write_part(&parts[i], boundary, &body);
	writer_text(&body, "--");
	writer_text(&body, boundary);
	writer_text(&body, "--\r\n");
	writer_text(out, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;boundary=");
	writer_text(out, boundary);
	writer_text(out, "\r\nContent-Length: ");
	writer_uint(out, body.len);
	writer_text(out, "\r\n\r\n");
	writer_span(out, writer_result(&body));
	out->overflow = out->overflow || body.overflow;
}

/* Kept out of hide_end, whose common way needs none of this memory. */
static __attribute__((noinline)) void end_with_others(const struct message *source, enum hide_kind kind,
	const struct leg *to, struct span sdp, struct writer *out)
{
	struct message_part parts[MESSAGE_PARTS_MAX], crossing[MESSAGE_PARTS_MAX + 1];
	int count = message_parts(source, parts);
	unsigned crossed = 0;

	if (sdp.n)
		crossing[crossed++] =
			(struct message_part){ .type = SPAN("application/sdp"), .content = sdp };
	for (int i = 0; i < count; i++)
		if (part_is_plain(&parts[i]) && hide_body_crosses(parts[i].type, kind, to))
			crossing[crossed++] = parts[i];
	if (crossed > 1) {
		write_parts(crossing, crossed, to->shard, out);
		return;
	}
	if (crossed) {
		write_type(crossing[0].type, out);
		write_disposition(crossing[0].disposition, out);
	}
	writer_text(out, "Content-Length: ");
	writer_uint(out, crossed ? crossing[0].content.n : 0);
	writer_text(out, "\r\n\r\n");
	if (crossed)
		writer_span(out, crossing[0].content);
}

void hide_end(const struct message *source, enum hide_kind kind, const struct leg *to, struct span sdp,
	struct writer *out)
{
	if (!source || message_body(source).n == 0 || message_body_is(source, SPAN("application/sdp")))
		message_end(out, SPAN("application/sdp"), sdp);
	else
		end_with_others(source, kind, to, sdp, out);
}
