/* SPDX-License-Identifier: BSD-3-Clause */
/* UUIDs of RFC 7989: 32 hexadecimal digits in lower case, without hyphens (section 5). */
#include "controlplane/session_id.h"

#include <string.h>

#include "controlplane/leg.h"
#include "platforms/base/random.h"

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(struct span text, struct session_id *id)
{
	if (text.n != 2 * SESSION_ID_OCTETS)
		return false;
	for (size_t i = 0; i < SESSION_ID_OCTETS; i++) {
		int high = digit(text.p[2 * i]), low = digit(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id->uuid[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

struct session_id session_id_new(void)
{
	struct session_id id;

	random_bytes(id.uuid, sizeof(id.uuid));
	id.uuid[6] = (uint8_t)((id.uuid[6] & 0x0f) | 0x40); /* version 4 */
	id.uuid[8] = (uint8_t)((id.uuid[8] & 0x3f) | 0x80);
	return id;
}

bool session_id_is_nil(const struct session_id *id)
{
	static const struct session_id nil;

	return memcmp(id, &nil, sizeof(nil)) == 0;
}

const char *session_id_print(const struct session_id *id, char text[SESSION_ID_TEXT_MAX])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < SESSION_ID_OCTETS; i++) {
		text[2 * i] = hex[id->uuid[i] >> 4];
		text[2 * i + 1] = hex[id->uuid[i] & 15];
	}
	text[2 * SESSION_ID_OCTETS] = '\0';
	return text;
}

static bool read_first(const struct message *message, struct session_id *id, struct span *parameters)
{
	struct span value;

	if (!message_is_parsed(message) || !message_header(message, SPAN("Session-ID"), 0, &value))
		return false;
	if (!parse(span_trim(span_cut(&value, ';')), id))
		return false;
	*parameters = value;
	return !session_id_is_nil(id);
}

bool session_id_is_in(const struct message *message)
{
	struct session_id id;
	struct span parameters;

	return read_first(message, &id, &parameters);
}

void session_id_speak_for(struct leg *leg, const struct session_id *id)
{
	leg->session_ids.local = *id;
}

static bool has_remote(struct span parameters)
{
	while (parameters.n) {
		struct span one = span_cut(&parameters, ';');

		if (span_equal_case(span_trim(span_cut(&one, '=')), SPAN("remote")))
			return true;
	}
	return false;
}

void session_id_learn(struct leg *leg, const struct message *message)
{
	struct session_id id;
	struct span parameters;

	if (session_id_is_nil(&leg->session_ids.local))
		return;
	if (read_first(message, &id, &parameters) && has_remote(parameters))
		leg->session_ids.remote = id;
}

void session_id_write(const struct leg *leg, struct writer *out)
{
	char text[SESSION_ID_TEXT_MAX];

	if (session_id_is_nil(&leg->session_ids.local))
		return;
	writer_text(out, "Session-ID: ");
	writer_text(out, session_id_print(&leg->session_ids.local, text));
	writer_text(out, ";remote=");
	writer_text(out, session_id_print(&leg->session_ids.remote, text));
	writer_text(out, "\r\n");
}
