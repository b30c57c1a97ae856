/* SPDX-License-Identifier: BSD-3-Clause */
/* show top sources: who sends most of what is not media. */
#include <errno.h>
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/source.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "interface", "INTERFACE", COLUMN_TEXT, true },
	{ "trusted", "TRUSTED", COLUMN_FLAG, false },
	{ "packets", "PACKETS", COLUMN_NUMBER, false },
	{ "dropped", "DROPPED", COLUMN_NUMBER, false },
	{ "first-seconds", "FIRST SEEN", COLUMN_SECONDS, false },
	{ "last-seconds", "LAST SEEN", COLUMN_SECONDS, false },
};

json_t *show_source_row(const struct dp_source *source)
{
	static const uint8_t nothing[8];
	/* A stranger's IPv6 network counts as one source. */
	bool is_network = source->address.family == 6 && source->address.port == 0 &&
			  memcmp(source->address.ip + 8, nothing, sizeof(nothing)) == 0;
	struct dp_source_key key = { .address = source->address, .length = is_network ? 64 : UINT8_MAX };
	json_t *row = json_object();

	value_set(row, "source", value_source(&key));
	value_set(row, "interface", VALUE_FIELD(source->interface));
	value_set(row, "trusted", json_boolean(source->trusted != 0));
	value_set(row, "packets", value_uint(source->packets));
	value_set(row, "dropped", value_uint(source->dropped));
	value_set(row, "first-seconds", value_uint(source->first_us / 1000000));
	value_set(row, "last-seconds", value_uint(source->last_us / 1000000));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	(void)ask;
	for (size_t i = 0; i < length / sizeof(struct dp_source); i++) {
		struct dp_source source;

		memcpy(&source, (const char *)body + i * sizeof(source), sizeof(source));
		value_append(rows, show_source_row(&source));
	}
	return 0;
}

void show_top_sources(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "sources",
		.one = "source",
		.many = "sources",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_DATAPLANE,
		.type = DP_TOP_SOURCES,
		.ask_size = sizeof(struct dp_top_request),
		.take = take,
	};
	union listing_ask ask = { .top = { .limit = DP_TOP_MAX } };

	listing_run(request, &kind, &ask, false);
}
