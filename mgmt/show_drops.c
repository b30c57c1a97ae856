/* SPDX-License-Identifier: BSD-3-Clause */
/* show drops: why packets were dropped, what happens now first. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/client.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

struct drop {
	enum dp_counter counter;
	uint64_t total, per_second;
};

static int by_rate_then_total(const void *a, const void *b)
{
	const struct drop *x = a, *y = b;

	if (x->per_second != y->per_second)
		return x->per_second < y->per_second ? 1 : -1;
	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return (int)x->counter - (int)y->counter;
}

static json_t *drops_document(const struct show_data *data)
{
	static const char prefix[] = "drop-";
	const struct dp_stats *stats = data->reply[SHOW_DP_STATS].body;
	json_t *document = json_object(), *rows = json_array();
	struct drop drop[DP_COUNTER_COUNT] = { 0 };
	size_t count = 0;

	for (unsigned i = 0; i < DP_COUNTER_COUNT && i < stats->counters; i++)
		if (strncmp(dp_counter_name((enum dp_counter)i), prefix, strlen(prefix)) == 0)
			drop[count++] = (struct drop){ .counter = (enum dp_counter)i,
				.total = stats->counter[i],
				.per_second = stats->per_second[i] };
	qsort(drop, count, sizeof(drop[0]), by_rate_then_total);
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		value_set(row, "reason", json_string(dp_counter_name(drop[i].counter)));
		value_set(row, "total", value_uint(drop[i].total));
		value_set(row, "per-second", value_uint(drop[i].per_second));
		value_set(row, "help", json_string(dp_counter_help(drop[i].counter)));
		value_append(rows, row);
	}
	value_set(document, "drops", rows);
	return document;
}

static const struct column columns[] = {
	{ "reason", "REASON", COLUMN_TEXT, false },
	{ "total", "PACKETS", COLUMN_NUMBER, false },
	{ "per-second", "PER SECOND", COLUMN_NUMBER, false },
	{ "help", "BECAUSE", COLUMN_TEXT, true },
};

static void drops_text(struct output *out, unsigned width, const json_t *document)
{
	json_t *rows = json_array(), *row;
	size_t i, never = 0;

	json_array_foreach(json_object_get(document, "drops"), i, row)
	{
		if (json_integer_value(json_object_get(row, "total")) > 0)
			json_array_append(rows, row);
		else
			never++;
	}
	if (json_array_size(rows) > 0)
		render_table(out, rows, columns, sizeof(columns) / sizeof(columns[0]), width);
	output_format(out, "%zu reason%s without a packet\n", never, never == 1 ? "" : "s");
	json_decref(rows);
}

const struct show show_drops = {
	.needs = 1U << SHOW_DP_STATS,
	.document = drops_document,
	.text = drops_text,
};
