/* SPDX-License-Identifier: BSD-3-Clause */
/* show bans, show trusted: the tables by which the border knows sources. */
#include <errno.h>
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/source.h"
#include "mgmt/value.h"

static const struct column ban_columns[] = {
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "reason", "REASON", COLUMN_TEXT, true },
	{ "packets", "DROPPED", COLUMN_NUMBER, false },
	{ "age-seconds", "SINCE", COLUMN_SECONDS, false },
	{ "expires-seconds", "EXPIRES IN", COLUMN_SECONDS, false },
};

static const struct column trust_columns[] = {
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "configured", "CONFIGURED", COLUMN_FLAG, false },
	{ "rate", "RATE", COLUMN_NUMBER, false },
	{ "burst", "BURST", COLUMN_NUMBER, false },
	{ "packets", "PACKETS", COLUMN_NUMBER, false },
	{ "expires-seconds", "EXPIRES IN", COLUMN_SECONDS, false },
};

static json_t *expiry_value(uint64_t us)
{
	return us != 0 ? value_uint((us + 999999) / 1000000) : json_null();
}

json_t *show_ban_row(const struct dp_ban *ban)
{
	json_t *row = json_object();

	value_set(row, "source", value_source(&ban->key));
	value_set(row, "reason", VALUE_FIELD(ban->reason));
	value_set(row, "packets", value_uint(ban->packets));
	value_set(row, "age-seconds", value_uint(ban->age_us / 1000000));
	value_set(row, "expires-seconds", expiry_value(ban->expires_us));
	return row;
}

json_t *show_trust_row(const struct dp_trust *trust)
{
	json_t *row = json_object();

	value_set(row, "source", value_source(&trust->key));
	value_set(row, "configured", json_boolean(trust->configured != 0));
	value_set(row, "rate", trust->rate != 0 ? json_integer(trust->rate) : json_null());
	value_set(row, "burst", trust->rate != 0 ? json_integer(trust->burst) : json_null());
	value_set(row, "packets", value_uint(trust->packets));
	value_set(row, "expires-seconds", expiry_value(trust->expires_us));
	return row;
}

int show_bans_take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct dp_table_reply *reply = body;
	int count = listing_count(length, sizeof(*reply), reply->count, sizeof(struct dp_ban));

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct dp_ban ban;

		memcpy(&ban, (const char *)body + sizeof(*reply) + (size_t)i * sizeof(ban), sizeof(ban));
		value_append(rows, show_ban_row(&ban));
	}
	ask->table.cursor = reply->cursor;
	return reply->cursor != 0;
}

static int take_trusts(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct dp_table_reply *reply = body;
	int count = listing_count(length, sizeof(*reply), reply->count, sizeof(struct dp_trust));

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct dp_trust trust;

		memcpy(&trust, (const char *)body + sizeof(*reply) + (size_t)i * sizeof(trust),
			sizeof(trust));
		value_append(rows, show_trust_row(&trust));
	}
	ask->table.cursor = reply->cursor;
	return reply->cursor != 0;
}

static void run(struct request *request, const struct listing_kind *kind)
{
	union listing_ask ask = { .table = { .limit = LISTING_PAGE } };

	if (request->match.arguments > 0 &&
		source_argument(request, request->match.argument[0], &ask.table.within) != 0)
		return;
	listing_run(request, kind, &ask, false);
}

void show_bans(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "bans",
		.one = "ban",
		.many = "bans",
		.columns = ban_columns,
		.column_count = sizeof(ban_columns) / sizeof(ban_columns[0]),
		.neighbour = NEIGHBOUR_DATAPLANE,
		.type = DP_BAN_LIST,
		.ask_size = sizeof(struct dp_table_request),
		.take = show_bans_take,
	};

	run(request, &kind);
}

void show_trusted(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "trusted",
		.one = "trusted source",
		.many = "trusted sources",
		.columns = trust_columns,
		.column_count = sizeof(trust_columns) / sizeof(trust_columns[0]),
		.neighbour = NEIGHBOUR_DATAPLANE,
		.type = DP_TRUST_LIST,
		.ask_size = sizeof(struct dp_table_request),
		.take = take_trusts,
	};

	run(request, &kind);
}

void show_bans_text(struct output *out, unsigned width, const json_t *rows)
{
	render_table(out, rows, ban_columns, sizeof(ban_columns) / sizeof(ban_columns[0]), width);
}
