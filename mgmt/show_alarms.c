/* SPDX-License-Identifier: BSD-3-Clause */
/* show alarms: what is wrong now: what this process knows itself, then what the control plane does, oldest first. */
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/session.h"
#include "mgmt/value.h"
#include "mgmt/watch.h"
#include "platforms/base/clock.h"

static const struct column columns[] = {
	{ "since", "SINCE", COLUMN_TEXT, false },
	{ "severity", "SEVERITY", COLUMN_TEXT, false },
	{ "alarm", "ALARM", COLUMN_TEXT, false },
	{ "subject", "SUBJECT", COLUMN_TEXT, true },
	{ "times", "TIMES", COLUMN_NUMBER, false },
	{ "text", "TEXT", COLUMN_TEXT, true },
};

json_t *show_alarm_row(const struct cp_alarm *alarm)
{
	json_t *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "since", json_string(clock_print_wall(alarm->since_wall_ms, at)));
	value_set(row, "last", json_string(clock_print_wall(alarm->last_wall_ms, at)));
	value_set(row, "severity", json_string(watch_severity_name(alarm->severity)));
	value_set(row, "alarm", json_string(watch_alarm_name(alarm->kind)));
	value_set(row, "subject", VALUE_FIELD(alarm->subject));
	value_set(row, "times", value_uint(alarm->times));
	value_set(row, "text", VALUE_FIELD(alarm->text));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_alarm_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_alarm));

	for (int i = 0; i < count; i++) {
		struct cp_alarm alarm;

		memcpy(&alarm, (const char *)body + sizeof(*page) + (size_t)i * sizeof(alarm), sizeof(alarm));
		value_append(rows, show_alarm_row(&alarm));
		ask->calls.after = alarm.number;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

/* They are there also when the control plane is not: its absence is one of them. */
static void own_alarms(const struct request *request, json_t *rows)
{
	struct cp_alarm alarms[WATCH_ALARMS_MAX];
	size_t count = request->session != NULL && request->session->world != NULL
			       ? watch_alarms(request->session->world->watch, alarms)
			       : 0;

	for (size_t i = 0; i < count; i++)
		value_append(rows, show_alarm_row(&alarms[i]));
}

void show_alarms(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "alarms",
		.one = "alarm",
		.many = "alarms",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_ALARM_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = take,
		.ahead = own_alarms,
	};
	union listing_ask ask = { .calls = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
