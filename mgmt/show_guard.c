/* SPDX-License-Identifier: BSD-3-Clause */
/* show guard: who showed signs of scanning, guessing or fraud, and what the guard does about it. */
#include <errno.h>
#include <string.h>

#include "controlplane/client.h"
#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const struct column columns[] = {
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "points", "POINTS", COLUMN_NUMBER, false },
	{ "step", "STEP", COLUMN_TEXT, false },
	{ "proven", "PROVEN", COLUMN_FLAG, false },
	{ "times", "TIMES", COLUMN_NUMBER, false },
	{ "expires-seconds", "FOR", COLUMN_SECONDS, false },
	{ "signs", "SIGNS", COLUMN_TEXT, true },
};

static const char *step_name(uint8_t step)
{
	static const char *const names[] = {
		[CP_GUARD_COUNTED] = "count", [CP_GUARD_SILENT] = "silence", [CP_GUARD_DENIED] = "denial"
	};

	return step < sizeof(names) / sizeof(names[0]) ? names[step] : "";
}

/* "scanner-agent 3, stranger 1" */
static json_t *signs_value(const struct cp_guard *guard)
{
	char text[512];
	struct writer w;

	writer_init(&w, text, sizeof(text));
	for (unsigned sign = 0; sign < CP_GUARD_SIGN_COUNT; sign++) {
		if (guard->sign[sign] == 0)
			continue;
		writer_text(&w, w.len ? ", " : "");
		writer_text(&w, cp_guard_sign_name(sign));
		writer_char(&w, ' ');
		writer_uint(&w, guard->sign[sign]);
	}
	return w.len ? json_stringn(text, w.len) : json_null();
}

json_t *show_guard_row(const struct cp_guard *guard)
{
	json_t *row = json_object();
	uint64_t now = clock_wall_ms();
	bool denied = guard->step == CP_GUARD_DENIED;

	value_set(row, "source", VALUE_FIELD(guard->source));
	value_set(row, "points", value_uint(guard->points));
	value_set(row, "step", json_string(step_name(guard->step)));
	value_set(row, "proven", json_boolean(guard->proven != 0));
	value_set(row, "times", value_uint(guard->times));
	value_set(row, "expires-seconds",
		denied && guard->until_wall_ms > now ? value_uint((guard->until_wall_ms - now + 999) / 1000)
						     : json_null());
	value_set(row, "signs", signs_value(guard));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_guard_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_guard));

	for (int i = 0; i < count; i++) {
		struct cp_guard guard;

		memcpy(&guard, (const char *)body + sizeof(*page) + (size_t)i * sizeof(guard), sizeof(guard));
		value_append(rows, show_guard_row(&guard));
	}
	if (count < 0)
		return count;
	ask->guard.after = page->after;
	return page->after != 0;
}

void show_guard(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "sources",
		.one = "source",
		.many = "sources",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_GUARD_LIST,
		.ask_size = sizeof(struct cp_guard_list),
		.take = take,
	};
	union listing_ask ask = { .guard = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
