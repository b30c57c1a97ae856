/* SPDX-License-Identifier: BSD-3-Clause */
/* show version: what runs, since when, and which boot generation each process has. */
#include <string.h>
#include <unistd.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static json_t *self_row(const struct neighbours *neighbours)
{
	json_t *row = json_object();

	value_set(row, "process", json_string("mgmt"));
	value_set(row, "up", json_true());
	value_set(row, "version", json_string(SALLYPORT_VERSION));
	value_set(row, "api-version", json_integer(MGMT_API_VERSION));
	value_set(row, "generation", value_hex(neighbours->generation, 16));
	value_set(row, "pid", json_integer(getpid()));
	value_set(row, "uptime-seconds", value_uint((clock_now_ms() - neighbours->started_ms) / 1000));
	return row;
}

static json_t *uptime(const struct show_data *data, enum neighbour which)
{
	const struct dp_stats *stats = data->reply[SHOW_DP_STATS].body;
	const struct cp_status *status = data->reply[SHOW_CP_STATUS].body;

	if (which == NEIGHBOUR_DATAPLANE)
		return stats != NULL ? value_uint(stats->uptime_us / 1000000) : json_null();
	return status != NULL ? value_uint(status->uptime_ms / 1000) : json_null();
}

static json_t *neighbour_row(const struct show_data *data, enum neighbour which)
{
	const struct ipc_hello *hello = neighbour_hello(data->neighbours, which);
	json_t *row = json_object();

	value_set(row, "process", json_string(neighbour_name(which)));
	value_set(row, "up", json_boolean(hello != NULL));
	value_set(row, "version", hello != NULL ? VALUE_FIELD(hello->version) : json_null());
	value_set(row, "api-version", hello != NULL ? json_integer(hello->api_version) : json_null());
	value_set(row, "generation", hello != NULL ? value_hex(hello->generation, 16) : json_null());
	value_set(row, "pid", hello != NULL ? json_integer(hello->pid) : json_null());
	value_set(row, "uptime-seconds", uptime(data, which));
	return row;
}

static json_t *version_document(const struct show_data *data)
{
	json_t *document = json_object(), *processes = json_array();

	value_set(document, "product", json_string("Sallyport"));
	value_set(document, "version", json_string(SALLYPORT_VERSION));
	value_append(processes, neighbour_row(data, NEIGHBOUR_DATAPLANE));
	value_append(processes, neighbour_row(data, NEIGHBOUR_CONTROLPLANE));
	value_append(processes, self_row(data->neighbours));
	value_set(document, "processes", processes);
	return document;
}

static const struct column process_columns[] = {
	{ "process", "PROCESS", COLUMN_TEXT, false },
	{ "up", "STATE", COLUMN_LINK, false },
	{ "version", "VERSION", COLUMN_TEXT, true },
	{ "generation", "GENERATION", COLUMN_TEXT, false },
	{ "pid", "PID", COLUMN_NUMBER, false },
	{ "uptime-seconds", "UPTIME", COLUMN_SECONDS, false },
};

static void version_text(struct output *out, unsigned width, const json_t *document)
{
	output_format(out, "%s %s\n\n", json_string_value(json_object_get(document, "product")),
		json_string_value(json_object_get(document, "version")));
	render_table(out, json_object_get(document, "processes"), process_columns,
		sizeof(process_columns) / sizeof(process_columns[0]), width);
}

const struct show show_version = {
	.needs = 1U << SHOW_DP_STATS | 1U << SHOW_CP_STATUS,
	.can_do_without = true,
	.document = version_document,
	.text = version_text,
};
