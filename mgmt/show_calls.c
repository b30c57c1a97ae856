/* SPDX-License-Identifier: BSD-3-Clause */
/* show calls: the list of calls, however long it is. */
#include <errno.h>
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "id", "ID", COLUMN_TEXT, false },
	{ "state", "STATE", COLUMN_TEXT, false },
	{ "from", "FROM", COLUMN_TEXT, true },
	{ "to", "TO", COLUMN_TEXT, true },
	{ "from-realm", "FROM REALM", COLUMN_TEXT, true },
	{ "to-realm", "TO REALM", COLUMN_TEXT, true },
	{ "duration-seconds", "DURATION", COLUMN_SECONDS, false },
};

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_call_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_call));

	for (int i = 0; i < count; i++) {
		struct cp_call call;

		memcpy(&call, (const char *)body + sizeof(*page) + (size_t)i * sizeof(call), sizeof(call));
		value_append(rows, show_call_row(&call));
		ask->calls.after = call.call;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

void show_calls(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "calls",
		.one = "call",
		.many = "calls",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_CALL_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = take,
	};
	union listing_ask ask = { .calls = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
