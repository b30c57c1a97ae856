/* SPDX-License-Identifier: BSD-3-Clause */
/* show records: what is meant, and a page at a time, newest first. */
#include "mgmt/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/client.h"
#include "mgmt/listing.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

enum { SHOWN = 100, SHOWN_MOST = 100000000, AGO_MOST = 100000 };

static const struct column columns[] = {
	{ "call", "CALL", COLUMN_TEXT, false },
	{ "started", "STARTED", COLUMN_TEXT, false },
	{ "state", "STATE", COLUMN_TEXT, false },
	{ "caller-from", "FROM", COLUMN_TEXT, true },
	{ "callee-to", "TO", COLUMN_TEXT, true },
	{ "caller-realm", "FROM-REALM", COLUMN_TEXT, true },
	{ "callee-realm", "TO-REALM", COLUMN_TEXT, true },
	{ "status", "STATUS", COLUMN_NUMBER, false },
	{ "duration-ms", "DURATION", COLUMN_MILLISECONDS, false },
	{ "ended-by", "ENDED-BY", COLUMN_TEXT, false },
	{ "caller-mos", "MOS", COLUMN_NUMBER, false },
	{ "callee-mos", "MOS-BACK", COLUMN_NUMBER, false },
	{ "cause", "CAUSE", COLUMN_TEXT, true },
};

/* --- what is meant ------------------------------------------------------------------------------------------------------- */

static int ago(struct span text, uint64_t now_wall_ms, uint64_t *wall_ms)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = { { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
	uint64_t count;

	if (text.n < 2 || span_to_uint((struct span){ text.p, text.n - 1 }, AGO_MOST, &count) != 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text.p[text.n - 1] == units[i].unit) {
			*wall_ms = now_wall_ms > count * units[i].ms ? now_wall_ms - count * units[i].ms : 1;
			return 0;
		}
	return -EINVAL;
}

int records_time(struct span text, uint64_t now_wall_ms, uint64_t *wall_ms)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%dT%H:%M:%SZ" };
	char copy[CLOCK_TEXT_MAX];
	struct tm tm;

	if (ago(text, now_wall_ms, wall_ms) == 0)
		return 0;
	if (text.n == 0 || text.n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *end;

		memset(&tm, 0, sizeof(tm));
		end = strptime(copy, forms[i], &tm);
		if (end != NULL && *end == '\0' && timegm(&tm) > 0) {
			*wall_ms = (uint64_t)timegm(&tm) * 1000;
			return 0;
		}
	}
	return -EINVAL;
}

static int option(struct span word, struct span value, struct cp_record_list *ask)
{
	uint64_t now = clock_wall_ms(), wanted;

	if (span_equal(word, SPAN("since")))
		return records_time(value, now, &ask->since_wall_ms);
	if (span_equal(word, SPAN("until")))
		return records_time(value, now, &ask->until_wall_ms);
	if (span_equal(word, SPAN("number"))) {
		if (value.n == 0 || value.n >= sizeof(ask->user))
			return -EINVAL;
		memcpy(ask->user, value.p, value.n);
		return 0;
	}
	if (!span_equal(word, SPAN("limit")) || span_to_uint(value, SHOWN_MOST, &wanted) != 0 || wanted == 0)
		return -EINVAL;
	ask->wanted = (uint32_t)wanted;
	return 0;
}

int records_options(struct request *request, size_t first, struct cp_record_list *ask)
{
	const struct command_match *match = &request->match;

	for (size_t i = first; i < match->arguments; i += 2) {
		struct span value =
			i + 1 < match->arguments ? match->argument[i + 1] : (struct span){ NULL, 0 };

		if (option(match->argument[i], value, ask) != 0) {
			request_fail(request, MGMT_EXIT_USAGE,
				"since TIME, until TIME, number X, limit N (1..%d); TIME is 2026-11-20, "
				"2026-11-20T22:00:00Z, or so long ago: 30m, 12h, 7d",
				SHOWN_MOST);
			return -EINVAL;
		}
	}
	return 0;
}

/* --- the list ------------------------------------------------------------------------------------------------------------ */

int records_page(struct cp_record_list *ask, const void *body, size_t length,
	void (*each)(void *arg, const struct cp_record *record), void *arg)
{
	_Alignas(struct cp_record) char copy[CP_RECORD_MAX];
	struct cp_record_page page;
	uint64_t before = ask->before;
	const char *at;

	if (length < sizeof(page))
		return -EBADMSG;
	memcpy(&page, body, sizeof(page));
	at = (const char *)body + sizeof(page);
	length -= sizeof(page);
	for (uint32_t i = 0; i < page.count; i++) {
		size_t n = length < sizeof(copy) ? length : sizeof(copy);
		const struct cp_record *record = (const struct cp_record *)copy;

		memcpy(copy, at, n);
		if (!cp_record_is_good(record, n))
			return -EBADMSG;
		each(arg, record);
		at += record->length;
		length -= record->length;
	}
	ask->before = page.before;
	if (ask->wanted != 0) {
		if (page.count >= ask->wanted)
			return 0;
		ask->wanted -= page.count;
	}
	/* Always further back: whatever is answered, it ends. */
	return page.more != 0 && (before == 0 || page.before < before);
}

static void append(void *arg, const struct cp_record *record)
{
	value_append(arg, record_row(record));
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	return records_page(&ask->records, body, length, append, rows);
}

static const struct listing_kind kind = {
	.member = "records",
	.one = "record",
	.many = "records",
	.columns = columns,
	.column_count = sizeof(columns) / sizeof(columns[0]),
	.neighbour = NEIGHBOUR_CONTROLPLANE,
	.type = CP_RECORD_LIST,
	.ask_size = sizeof(struct cp_record_list),
	.take = take,
};

void show_records(struct request *request)
{
	union listing_ask ask = { .records = { .wanted = SHOWN } };

	if (records_options(request, 0, &ask.records) == 0)
		listing_run(request, &kind, &ask, false);
}

/* --- export -------------------------------------------------------------------------------------------------------------- */

static void next_page(struct request *request);

static void print_csv(void *arg, const struct cp_record *record)
{
	struct request *request = arg;
	char line[CP_RECORD_CSV_MAX];
	struct writer out;

	writer_init(&out, line, sizeof(line));
	cp_record_csv(record, &out);
	if (!out.overflow)
		output_write(&request->output, line, out.len);
}

static void page_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	int more = status != 0 ? status : records_page(request->state, body, length, print_csv, request);

	(void)tag;
	if (more < 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, more);
		return;
	}
	if (more == 0) {
		request_finish(request, MGMT_EXIT_OK);
		return;
	}
	output_flush(&request->output);
	if (output_has_room(&request->output))
		next_page(request);
	else
		request->resume = next_page;
}

static void next_page(struct request *request)
{
	int err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_RECORD_LIST, request->state,
		sizeof(struct cp_record_list), 0, page_replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

static void export_csv(struct request *request, const struct cp_record_list *ask)
{
	char line[CP_RECORD_CSV_MAX];
	struct writer out;

	request->state = malloc(sizeof(*ask));
	request->state_free = free;
	if (request->state == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	memcpy(request->state, ask, sizeof(*ask));
	writer_init(&out, line, sizeof(line));
	cp_record_csv_header(&out);
	output_write(&request->output, line, out.len);
	next_page(request);
}

void records_export(struct request *request)
{
	struct span format = request->match.argument[0];
	union listing_ask ask = { .records = { 0 } };

	if (!span_equal(format, SPAN("csv")) && !span_equal(format, SPAN("json"))) {
		request_fail(request, MGMT_EXIT_USAGE, "FORMAT is csv or json");
		return;
	}
	if (records_options(request, 1, &ask.records) != 0)
		return;
	if (span_equal(format, SPAN("csv"))) {
		export_csv(request, &ask.records);
		return;
	}
	request->json = true;
	listing_run(request, &kind, &ask, false);
}
