/* SPDX-License-Identifier: BSD-3-Clause */
/* show realms: where each is, how many of its ports are in use, what its media and calls did since the start. */
#include <errno.h>
#include <string.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/metrics_snapshot.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/show_statistics.h"
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
	{ "registrations", "PHONES", COLUMN_NUMBER, false },
	{ "in-now", "CALLS IN", COLUMN_NUMBER, false },
	{ "in-asr-percent", "ASR %", COLUMN_NUMBER, false },
	{ "in-ner-percent", "NER %", COLUMN_NUMBER, false },
	{ "out-now", "CALLS OUT", COLUMN_NUMBER, false },
	{ "out-asr-percent", "ASR %", COLUMN_NUMBER, false },
	{ "out-ner-percent", "NER %", COLUMN_NUMBER, false },
	{ "out-acd-seconds", "ACD S", COLUMN_NUMBER, false },
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

/* --- both daemons ----------------------------------------------------------------------------------------------------------- */

static void add_calls(json_t *row, const struct metrics_list *list, const char *name)
{
	const struct cp_statistics *entries = list->entries;

	for (size_t i = 0; i < list->count; i++)
		if (entries[i].kind == CP_STATISTICS_REALM &&
			strncmp(entries[i].name, name, sizeof(entries[i].name)) == 0) {
			value_set(row, "registrations", value_uint(entries[i].registrations));
			show_statistics_add(row, &entries[i]);
			return;
		}
}

static json_t *rows_of(const struct metrics_snapshot *snapshot)
{
	const struct metrics_list *list = &snapshot->part[METRICS_DP_REALMS];
	const struct dp_realm *realms = list->entries;
	json_t *rows = json_array();

	for (size_t i = 0; i < list->count; i++) {
		json_t *row = show_realm_row(&realms[i]);

		add_calls(row, &snapshot->part[METRICS_CP_STATISTICS], realms[i].name);
		value_append(rows, row);
	}
	return rows;
}

static void print(struct request *request, const json_t *rows)
{
	struct output *out = &request->output;
	json_t *document;

	if (request->json) {
		document = json_object();
		value_set(document, "realms", json_incref((json_t *)(uintptr_t)rows));
		render_json(out, document);
		json_decref(document);
		return;
	}
	render_table(out, rows, columns, sizeof(columns) / sizeof(columns[0]), request->width);
	output_format(
		out, "%zu %s\n", json_array_size(rows), json_array_size(rows) == 1 ? "realm" : "realms");
}

static void gathered(void *arg, const struct metrics_snapshot *snapshot)
{
	struct request *request = arg;
	json_t *rows;

	if (!request->over && snapshot->part[METRICS_DP_REALMS].count == 0) {
		request_fail_neighbour(request, NEIGHBOUR_DATAPLANE, -ENOTCONN);
	} else if (!request->over) {
		if (snapshot->part[METRICS_CP_STATISTICS].count == 0)
			request_remark(request, "the controlplane is not there: what it knows is missing");
		rows = rows_of(snapshot);
		print(request, rows);
		json_decref(rows);
		request_finish(request, MGMT_EXIT_OK);
	}
	request_release(request);
}

void show_realms(struct request *request)
{
	struct metrics_gather *gather;

	request_hold(request);
	if (metrics_gather_begin(request->neighbours, 1U << METRICS_DP_REALMS | 1U << METRICS_CP_STATISTICS,
		    gathered, request, &gather) == 0)
		return;
	request_fail(request, MGMT_EXIT_FAILED, "no memory");
	request_release(request);
}
