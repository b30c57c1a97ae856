/* SPDX-License-Identifier: BSD-3-Clause */
/* show audit: who ordered what, newest first. */
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

enum { SHOWN = 50, SHOWN_MOST = 10000000 };

static const struct column columns[] = {
	{ "at", "AT", COLUMN_TEXT, false },
	{ "who", "WHO", COLUMN_TEXT, false },
	{ "what", "WHAT", COLUMN_TEXT, false },
	{ "object", "OBJECT", COLUMN_TEXT, false },
	{ "reason", "REASON", COLUMN_TEXT, true },
};

json_t *show_audit_row(const struct cp_audit *audit)
{
	json_t *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "at", json_string(clock_print_wall(audit->wall_ms, at)));
	value_set(row, "who", VALUE_FIELD(audit->who));
	value_set(row, "what", VALUE_FIELD(audit->what));
	value_set(row, "object", VALUE_FIELD(audit->object));
	value_set(row, "reason", VALUE_FIELD(audit->reason));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_audit_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_audit));

	for (int i = 0; i < count; i++) {
		struct cp_audit audit;

		memcpy(&audit, (const char *)body + sizeof(*page) + (size_t)i * sizeof(audit), sizeof(audit));
		value_append(rows, show_audit_row(&audit));
		ask->audit.before = audit.number;
		ask->audit.wanted -= ask->audit.wanted > 0;
	}
	return count < 0 ? count : page->more != 0 && count > 0 && ask->audit.wanted > 0;
}

void show_audit(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "audit",
		.one = "entry",
		.many = "entries",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_AUDIT_LIST,
		.ask_size = sizeof(struct cp_audit_list),
		.take = take,
	};
	union listing_ask ask = { .audit = { .limit = LISTING_PAGE, .wanted = SHOWN } };
	uint64_t wanted;

	if (request->match.arguments > 0) {
		if (span_to_uint(request->match.argument[0], SHOWN_MOST, &wanted) != 0 || wanted == 0) {
			request_fail(request, MGMT_EXIT_USAGE, "COUNT is 1..%d", SHOWN_MOST);
			return;
		}
		ask.audit.wanted = (uint32_t)wanted;
	}
	listing_run(request, &kind, &ask, false);
}
