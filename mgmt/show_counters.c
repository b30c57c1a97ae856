/* SPDX-License-Identifier: BSD-3-Clause */
/* show counters: every counter of both planes with what it counts. */
#include "controlplane/client.h"
#include "dataplane/client.h"
#include "mgmt/clear.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static json_t *counter_row(
	const char *name, uint64_t value, json_t *since_clear, json_t *per_second, const char *help)
{
	json_t *row = json_object();

	value_set(row, "name", json_string(name));
	value_set(row, "value", value_uint(value));
	value_set(row, "since-clear", since_clear);
	value_set(row, "per-second", per_second);
	value_set(row, "help", json_string(help));
	return row;
}

/* The values themselves never go back: others count on that. */
static json_t *since_clear(
	const struct show_data *data, enum neighbour plane, const uint64_t *marks, unsigned i, uint64_t value)
{
	const struct ipc_hello *hello = neighbour_hello(data->neighbours, plane);

	if (marks == NULL || data->marks->wall_ms == 0)
		return json_null();
	if (hello == NULL || hello->generation != data->marks->generation[plane] || value < marks[i])
		return value_uint(value); /* it has begun anew since then */
	return value_uint(value - marks[i]);
}

static json_t *cleared(const struct show_data *data)
{
	char at[CLOCK_TEXT_MAX];

	return data->marks != NULL && data->marks->wall_ms > 0
		       ? json_string(clock_print_wall(data->marks->wall_ms, at))
		       : json_null();
}

static json_t *counters_document(const struct show_data *data)
{
	const struct dp_stats *stats = data->reply[SHOW_DP_STATS].body;
	const struct cp_counters *counters = data->reply[SHOW_CP_COUNTERS].body;
	const struct counter_marks *marks = data->marks;
	json_t *document = json_object(), *media = json_array(), *signalling = json_array();

	for (unsigned i = 0; i < DP_COUNTER_COUNT && i < stats->counters; i++)
		value_append(media,
			counter_row(dp_counter_name((enum dp_counter)i), stats->counter[i],
				since_clear(data, NEIGHBOUR_DATAPLANE,
					marks != NULL ? marks->dataplane : NULL, i, stats->counter[i]),
				value_uint(stats->per_second[i]), dp_counter_help((enum dp_counter)i)));
	for (unsigned i = 0; i < CP_COUNTER_COUNT && i < counters->count; i++)
		value_append(signalling,
			counter_row(cp_counter_name((enum cp_counter)i), counters->counter[i],
				since_clear(data, NEIGHBOUR_CONTROLPLANE,
					marks != NULL ? marks->controlplane : NULL, i, counters->counter[i]),
				json_null(), cp_counter_help((enum cp_counter)i)));
	value_set(document, "cleared", cleared(data));
	value_set(document, "dataplane", media);
	value_set(document, "controlplane", signalling);
	return document;
}

static const struct column counter_columns[] = {
	{ "name", "COUNTER", COLUMN_TEXT, false },
	{ "value", "VALUE", COLUMN_NUMBER, false },
	{ "since-clear", "SINCE CLEAR", COLUMN_NUMBER, false },
	{ "per-second", "PER SECOND", COLUMN_NUMBER, false },
	{ "help", "COUNTS", COLUMN_TEXT, true },
};

static void counters_text(struct output *out, unsigned width, const json_t *document)
{
	static const char *const planes[] = { "dataplane", "controlplane" };
	const char *at = json_string_value(json_object_get(document, "cleared"));

	if (at != NULL)
		output_format(out, "cleared %s\n\n", at);

	for (size_t i = 0; i < 2; i++) {
		output_format(out, "%s%s\n", i > 0 ? "\n" : "", planes[i]);
		render_table(out, json_object_get(document, planes[i]), counter_columns,
			sizeof(counter_columns) / sizeof(counter_columns[0]), width);
	}
}

const struct show show_counters = {
	.needs = 1U << SHOW_DP_STATS | 1U << SHOW_CP_COUNTERS,
	.document = counters_document,
	.text = counters_text,
};
