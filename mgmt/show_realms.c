/* SPDX-License-Identifier: BSD-3-Clause */
/* show realms: where each is, how many of its ports are in use, what its media did since the start. */
#include <errno.h>
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "name", "REALM", COLUMN_TEXT, true },
	{ "interface", "INTERFACE", COLUMN_TEXT, true },
	{ "trusted", "TRUSTED", COLUMN_FLAG, false },
	{ "draining", "DRAINING", COLUMN_FLAG, false },
	{ "ports-used", "PORTS USED", COLUMN_NUMBER, false },
	{ "ports-total", "OF", COLUMN_NUMBER, false },
	{ "streams", "STREAMS", COLUMN_NUMBER, false },
	{ "packets", "PACKETS", COLUMN_NUMBER, false },
	{ "relayed", "RELAYED", COLUMN_NUMBER, false },
	{ "lost", "LOST", COLUMN_NUMBER, false },
	{ "wrong-source", "WRONG SOURCE", COLUMN_NUMBER, false },
	{ "policed", "POLICED", COLUMN_NUMBER, false },
};

json_t *show_realm_row(const struct dp_realm *realm)
{
	json_t *row = json_object();

	value_set(row, "name", VALUE_FIELD(realm->name));
	value_set(row, "interface", VALUE_FIELD(realm->interface));
	value_set(row, "trusted", json_boolean(realm->trusted != 0));
	value_set(row, "draining", json_boolean(realm->draining != 0));
	value_set(row, "pools", json_integer(realm->pools));
	value_set(row, "ports-used", value_uint(realm->ports_used));
	value_set(row, "ports-total", value_uint(realm->ports_total));
	value_set(row, "streams", value_uint(realm->streams));
	value_set(row, "packets", value_uint(realm->packets));
	value_set(row, "octets", value_uint(realm->octets));
	value_set(row, "relayed", value_uint(realm->relayed));
	value_set(row, "lost", value_uint(realm->lost));
	value_set(row, "wrong-source", value_uint(realm->wrong_source));
	value_set(row, "malformed", value_uint(realm->malformed));
	value_set(row, "policed", value_uint(realm->policed));
	value_set(row, "events", value_uint(realm->events));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct dp_table_reply *reply = body;
	int count = listing_count(length, sizeof(*reply), reply->count, sizeof(struct dp_realm));

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct dp_realm realm;

		memcpy(&realm, (const char *)body + sizeof(*reply) + (size_t)i * sizeof(realm),
			sizeof(realm));
		value_append(rows, show_realm_row(&realm));
	}
	ask->page.cursor = reply->cursor;
	return reply->cursor != 0;
}

void show_realms(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "realms",
		.one = "realm",
		.many = "realms",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_DATAPLANE,
		.type = DP_REALMS,
		.ask_size = sizeof(struct dp_page_request),
		.take = take,
	};
	union listing_ask ask = { .page = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
