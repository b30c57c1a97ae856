/* SPDX-License-Identifier: BSD-3-Clause */
/* show status: is everything up, how much is going on, how much is left. */
#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/health.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "mgmt/watch.h"
#include "platforms/base/clock.h"
#include "platforms/base/span.h"

static json_t *process_row(const char *name, bool up, json_t *uptime)
{
	json_t *row = json_object();

	value_set(row, "process", json_string(name));
	value_set(row, "up", json_boolean(up));
	value_set(row, "uptime-seconds", uptime);
	return row;
}

static json_t *processes(const struct show_data *data)
{
	const struct dp_stats *stats = data->reply[SHOW_DP_STATS].body;
	const struct cp_status *status = data->reply[SHOW_CP_STATUS].body;
	json_t *rows = json_array();

	value_append(
		rows, process_row("dataplane", neighbour_hello(data->neighbours, NEIGHBOUR_DATAPLANE) != NULL,
			      stats != NULL ? value_uint(stats->uptime_us / 1000000) : json_null()));
	value_append(rows,
		process_row("controlplane", neighbour_hello(data->neighbours, NEIGHBOUR_CONTROLPLANE) != NULL,
			status != NULL ? value_uint(status->uptime_ms / 1000) : json_null()));
	value_append(rows, process_row("mgmt", true,
				   value_uint((clock_now_ms() - data->neighbours->started_ms) / 1000)));
	return rows;
}

static json_t *text_or_null(const char *text)
{
	return text != NULL ? value_text(text, span_from(text).n) : json_null();
}

static void add_signalling(json_t *document, const struct cp_status *status)
{
	value_set(document, "calls", status != NULL ? json_integer(status->calls) : json_null());
	value_set(document, "shards", status != NULL ? json_integer(status->shards) : json_null());
	value_set(
		document, "transactions", status != NULL ? json_integer(status->transactions) : json_null());
	value_set(document, "subscriptions",
		status != NULL ? json_integer(status->subscriptions) : json_null());
	value_set(document, "connections", status != NULL ? json_integer(status->connections) : json_null());
	value_set(document, "listeners-down",
		status != NULL ? json_integer(status->listeners_down) : json_null());
	value_set(document, "controlplane-has-dataplane",
		status != NULL ? json_boolean(status->dataplane_up != 0) : json_null());
}

static void add_media(json_t *document, const struct dp_stats *stats)
{
	value_set(document, "sessions", stats != NULL ? json_integer(stats->sessions) : json_null());
	value_set(document, "sessions-max", stats != NULL ? json_integer(stats->sessions_max) : json_null());
	value_set(
		document, "sessions-total", stats != NULL ? value_uint(stats->sessions_total) : json_null());
	value_set(document, "flows", stats != NULL ? json_integer(stats->flows) : json_null());
	value_set(document, "ports-used", stats != NULL ? value_uint(stats->ports_used) : json_null());
	value_set(document, "ports-total", stats != NULL ? value_uint(stats->ports_total) : json_null());
	value_set(document, "workers", stats != NULL ? json_integer(stats->workers) : json_null());
	value_set(document, "hugepages", stats != NULL ? json_boolean(stats->hugepages != 0) : json_null());
}

static json_t *level(const struct dp_stats *stats, uint32_t value)
{
	return stats != NULL ? json_integer(value) : json_null();
}

static void add_border(json_t *document, const struct dp_stats *stats)
{
	static const struct dp_stats unknown;
	const struct dp_stats *s = stats != NULL ? stats : &unknown;

	value_set(document, "bans", level(stats, s->bans));
	value_set(document, "bans-max", level(stats, s->bans_max));
	value_set(document, "trusted", level(stats, s->trusts));
	value_set(document, "trusted-max", level(stats, s->trusts_max));
	value_set(document, "sources", level(stats, s->sources));
	value_set(document, "sources-max", level(stats, s->sources_max));
}

/* Of the last seconds; whoever asks twice need not wait. */
static void add_load(json_t *document, const struct watch *watch)
{
	struct watch_load load;
	json_t *rows = json_array();
	bool known = watch_load(watch, &load);

	value_set(document, "controlplane-memory-mib",
		known ? value_uint(load.total.rss_octets >> 20) : json_null());
	for (uint32_t i = 0; known && i < load.total.threads; i++) {
		json_t *row = json_object();

		value_set(row, "thread", VALUE_FIELD(load.total.thread[i].name));
		value_set(row, "process", json_string("controlplane"));
		value_set(row, "percent", load.known ? json_integer(load.percent[i]) : json_null());
		value_set(row, "cpu-seconds", value_uint(load.total.thread[i].cpu_us / 1000000));
		value_append(rows, row);
	}
	value_set(document, "threads", rows);
}

static json_t *status_document(const struct show_data *data)
{
	const struct dp_stats *stats = data->reply[SHOW_DP_STATS].body;
	const struct cp_status *status = data->reply[SHOW_CP_STATUS].body;
	const char *why = health_impediment(stats, status);
	json_t *document = json_object();

	value_set(document, "name", text_or_null(data->neighbours->name));
	value_set(document, "location", text_or_null(data->neighbours->location));
	value_set(document, "contact", text_or_null(data->neighbours->contact));
	value_set(document, "state", json_string(why == NULL ? "in-service" : "degraded"));
	value_set(document, "reason", text_or_null(why));
	value_set(document, "processes", processes(data));
	add_signalling(document, status);
	add_media(document, stats);
	add_border(document, stats);
	add_load(document, data->watch);
	return document;
}

static const struct column process_columns[] = {
	{ "process", "PROCESS", COLUMN_TEXT, false },
	{ "up", "STATE", COLUMN_LINK, false },
	{ "uptime-seconds", "UPTIME", COLUMN_SECONDS, false },
};

static const struct column status_columns[] = {
	{ "name", "name", COLUMN_TEXT, false },
	{ "location", "location", COLUMN_TEXT, false },
	{ "contact", "contact", COLUMN_TEXT, false },
	{ "state", "state", COLUMN_TEXT, false },
	{ "reason", "reason", COLUMN_TEXT, false },
	{ "calls", "calls", COLUMN_NUMBER, false },
	{ "sessions", "sessions", COLUMN_NUMBER, false },
	{ "sessions-max", "sessions at most", COLUMN_NUMBER, false },
	{ "sessions-total", "sessions since start", COLUMN_NUMBER, false },
	{ "flows", "flows", COLUMN_NUMBER, false },
	{ "ports-used", "media ports used", COLUMN_NUMBER, false },
	{ "ports-total", "media ports in all", COLUMN_NUMBER, false },
	{ "transactions", "transactions", COLUMN_NUMBER, false },
	{ "subscriptions", "subscriptions", COLUMN_NUMBER, false },
	{ "connections", "connections", COLUMN_NUMBER, false },
	{ "shards", "shards", COLUMN_NUMBER, false },
	{ "workers", "packet workers", COLUMN_NUMBER, false },
	{ "hugepages", "hugepages", COLUMN_FLAG, false },
	{ "bans", "bans", COLUMN_NUMBER, false },
	{ "bans-max", "bans at most", COLUMN_NUMBER, false },
	{ "trusted", "trusted", COLUMN_NUMBER, false },
	{ "trusted-max", "trusted at most", COLUMN_NUMBER, false },
	{ "sources", "strangers known", COLUMN_NUMBER, false },
	{ "sources-max", "strangers at most", COLUMN_NUMBER, false },
	{ "listeners-down", "listeners down", COLUMN_NUMBER, false },
	{ "controlplane-memory-mib", "memory for SIP (MiB)", COLUMN_NUMBER, false },
};

static const struct column thread_columns[] = {
	{ "thread", "THREAD", COLUMN_TEXT, false },
	{ "process", "PROCESS", COLUMN_TEXT, false },
	{ "percent", "CPU %", COLUMN_NUMBER, false },
	{ "cpu-seconds", "CPU TIME", COLUMN_SECONDS, false },
};

static void status_text(struct output *out, unsigned width, const json_t *document)
{
	render_fields(
		out, NULL, document, status_columns, sizeof(status_columns) / sizeof(status_columns[0]));
	output_text(out, "\n");
	render_table(out, json_object_get(document, "processes"), process_columns,
		sizeof(process_columns) / sizeof(process_columns[0]), width);
	if (json_array_size(json_object_get(document, "threads")) == 0)
		return;
	output_text(out, "\n");
	render_table(out, json_object_get(document, "threads"), thread_columns,
		sizeof(thread_columns) / sizeof(thread_columns[0]), width);
}

const struct show show_status = {
	.needs = 1U << SHOW_DP_STATS | 1U << SHOW_CP_STATUS,
	.can_do_without = true,
	.document = status_document,
	.text = status_text,
};
