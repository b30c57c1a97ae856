/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of one call as a document, and that document as text: the call, then its legs side by side. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/client.h"
#include "mgmt/records.h"
#include "mgmt/render.h"
#include "mgmt/value.h"

static json_t *number_value(const struct cp_record *record, unsigned number)
{
	char text[64];
	struct writer out;

	if (record->value[number] == CP_RECORD_NULL)
		return json_null();
	if (cp_record_is_count(number))
		return json_integer(record->value[number]);
	if (number == CP_RECORD_CALLER_MOS || number == CP_RECORD_CALLEE_MOS)
		return json_real((double)record->value[number] / 100);
	writer_init(&out, text, sizeof(text));
	cp_record_print(record, number, &out);
	return json_stringn(text, out.len);
}

json_t *record_row(const struct cp_record *record)
{
	json_t *row = json_object();

	value_set(row, "number", value_uint(record->number));
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++)
		value_set(row, cp_record_number_name(i), number_value(record, i));
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++) {
		struct span text = cp_record_text(record, i);

		value_set(row, cp_record_text_name(i),
			text.n != 0 ? json_stringn(text.p, text.n) : json_null());
	}
	return row;
}

static const struct column call_columns[] = {
	{ "call", "call", COLUMN_TEXT, false },
	{ "number", "record", COLUMN_NUMBER, false },
	{ "state", "state", COLUMN_TEXT, false },
	{ "started", "started", COLUMN_TEXT, false },
	{ "answered", "answered", COLUMN_TEXT, false },
	{ "ended", "ended", COLUMN_TEXT, false },
	{ "post-dial-delay-ms", "post-dial delay", COLUMN_MILLISECONDS, false },
	{ "setup-ms", "set up in", COLUMN_MILLISECONDS, false },
	{ "duration-ms", "duration", COLUMN_MILLISECONDS, false },
	{ "status", "status", COLUMN_NUMBER, false },
	{ "callee-status", "callee's status", COLUMN_NUMBER, false },
	{ "ended-by", "ended by", COLUMN_TEXT, false },
	{ "cause", "cause", COLUMN_TEXT, false },
	{ "our-reason", "our reason", COLUMN_TEXT, false },
	{ "local-policy", "local-policy", COLUMN_TEXT, false },
	{ "media-session", "media session", COLUMN_NUMBER, false },
};

/* By what follows "caller-" and "callee-". */
static const struct column side_columns[] = {
	{ "side", "leg", COLUMN_TEXT, false },
	{ "from", "from", COLUMN_TEXT, false },
	{ "to", "to", COLUMN_TEXT, false },
	{ "realm", "realm", COLUMN_TEXT, false },
	{ "agent", "session-agent", COLUMN_TEXT, false },
	{ "remote-address", "remote address", COLUMN_TEXT, false },
	{ "our-address", "our address", COLUMN_TEXT, false },
	{ "transport", "transport", COLUMN_TEXT, false },
	{ "call-id", "Call-ID", COLUMN_TEXT, false },
	{ "session-id", "Session-ID", COLUMN_TEXT, false },
	{ "reason", "Reason", COLUMN_TEXT, false },
	{ "media-address", "media source", COLUMN_TEXT, false },
	{ "codec", "codec", COLUMN_TEXT, false },
	{ "srtp", "SRTP", COLUMN_TEXT, false },
	{ "mos", "MOS of what it says", COLUMN_NUMBER, false },
	{ "packets", "packets", COLUMN_NUMBER, false },
	{ "octets", "octets", COLUMN_NUMBER, false },
	{ "lost", "lost on the way here", COLUMN_NUMBER, false },
	{ "far-lost", "lost in all", COLUMN_NUMBER, false },
	{ "jitter-us", "jitter", COLUMN_MICROSECONDS, false },
	{ "far-jitter-us", "jitter at the other end", COLUMN_MICROSECONDS, false },
	{ "round-trip-us", "round trip", COLUMN_MICROSECONDS, false },
	{ "longest-gap-ms", "longest gap", COLUMN_MILLISECONDS, false },
	{ "wrong-source", "wrong source", COLUMN_NUMBER, false },
	{ "srtp-auth-failed", "SRTP not authentic", COLUMN_NUMBER, false },
	{ "payload-type", "payload type", COLUMN_NUMBER, false },
};

#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

static json_t *side_row(const json_t *row, const char *side)
{
	json_t *leg = json_object();
	char name[64];

	value_set(leg, "side", json_string(side));
	for (size_t i = 1; i < sizeof(side_columns) / sizeof(side_columns[0]); i++) {
		json_t *value;

		snprintf(name, sizeof(name), "%s-%s", side, side_columns[i].key);
		value = json_object_get(row, name);
		value_set(leg, side_columns[i].key, value != NULL ? json_incref(value) : json_null());
	}
	return leg;
}

void record_text(struct output *out, const json_t *row)
{
	json_t *legs = json_array();

	value_append(legs, side_row(row, "caller"));
	value_append(legs, side_row(row, "callee"));
	render_fields(out, NULL, row, COLUMNS(call_columns));
	output_text(out, "\n");
	render_sideways(out, NULL, legs, COLUMNS(side_columns));
	json_decref(legs);
}

/* --- show call ID of a call that is over ------------------------------------------------------------------------------- */

static void print(void *arg, const struct cp_record *record)
{
	struct request *request = arg;
	json_t *row = record_row(record);

	if (request->json)
		render_json(&request->output, row);
	else
		record_text(&request->output, row);
	json_decref(row);
}

static void replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct cp_record_list ask = { .wanted = 1 };
	struct cp_record_page page = { 0 };

	(void)tag;
	if (status == 0 && length >= sizeof(page))
		memcpy(&page, body, sizeof(page));
	if (status == -ENOTSUP || status == -ENOENT || (status == 0 && page.count == 0)) {
		request_fail(request, MGMT_EXIT_FAILED, "no such call: %.*s",
			SPAN_FMT(request->match.argument[0]));
		return;
	}
	if (status == 0)
		status = records_page(&ask, body, length, print, request);
	if (status < 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
	else
		request_finish(request, MGMT_EXIT_OK);
}

void record_show_call(struct request *request, uint64_t call)
{
	const struct cp_record_list ask = { .call = call, .wanted = 1 };
	int err =
		request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_RECORD_LIST, &ask, sizeof(ask), 0, replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}
