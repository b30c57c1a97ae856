/* SPDX-License-Identifier: BSD-3-Clause */
/* One function for each table; a part that is not in the snapshot makes no rows. */
#include "mgmt/snmp_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/client.h"
#include "mgmt/health.h"
#include "mgmt/watch.h"
#include "platforms/base/clock.h"

enum { CALL_SHARD_BITS = 56, DAY_MS = 86400000 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct metrics_list *part(const struct snmp_sources *sources, enum metrics_part which)
{
	return &sources->snapshot->part[which];
}

static int set_system(struct snmp_view *view, const struct snmp_sources *sources)
{
	const char *why = health_impediment(metrics_snapshot_one(sources->snapshot, METRICS_DP_STATS),
		metrics_snapshot_one(sources->snapshot, METRICS_CP_STATUS));
	struct snmp_system row = {
		.version = SALLYPORT_VERSION,
		.uptime_ms = sources->snapshot->uptime_ms,
		.state = why != NULL,
	};

	snprintf(row.name, sizeof(row.name), "%s", sources->name);
	snprintf(row.reason, sizeof(row.reason), "%s", why != NULL ? why : "");
	return snmp_view_set(view, SNMP_SYSTEM, &row, 1);
}

static int set_processes(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_snapshot *snapshot = sources->snapshot;
	const struct dp_stats *stats = metrics_snapshot_one(snapshot, METRICS_DP_STATS);
	const struct cp_status *status = metrics_snapshot_one(snapshot, METRICS_CP_STATUS);
	struct snmp_process rows[] = {
		{ .number = SNMP_DATAPLANE, .state = stats == NULL, .name = "dataplane" },
		{ .number = SNMP_CONTROLPLANE, .state = status == NULL, .name = "controlplane" },
		{ .number = SNMP_MGMT, .name = "mgmt", .version = SALLYPORT_VERSION },
	};

	rows[0].uptime_ms = stats != NULL ? stats->uptime_us / 1000 : 0;
	rows[1].uptime_ms = status != NULL ? status->uptime_ms : 0;
	rows[2].uptime_ms = snapshot->uptime_ms;
	memcpy(rows[0].version, snapshot->neighbour[NEIGHBOUR_DATAPLANE].version,
		sizeof(snapshot->neighbour[0].version));
	memcpy(rows[1].version, snapshot->neighbour[NEIGHBOUR_CONTROLPLANE].version,
		sizeof(snapshot->neighbour[0].version));
	for (size_t i = 0; i < COUNT(rows); i++) {
		rows[i].started_wall_ms = rows[i].state == 0 ? snapshot->wall_ms - rows[i].uptime_ms : 0;
		rows[i].memory_kib = rows[i].state == 0 ? sources->memory_kib[rows[i].number] : 0;
	}
	return snmp_view_set(view, SNMP_PROCESSES, rows, COUNT(rows));
}

static int set_threads(struct snmp_view *view, const struct snmp_sources *sources)
{
	return snmp_view_set(view, SNMP_THREADS, sources->threads, sources->thread_count);
}

static int set_interfaces(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_list *list = part(sources, METRICS_DP_INTERFACES);
	const struct dp_interface *ports = list->entries;
	struct snmp_interface *rows = calloc(list->count + 1, sizeof(*rows));
	size_t count = 0;

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		char mirror[sizeof(ports[i].mirror) + 1];
		struct snmp_interface *row = &rows[count];

		snprintf(mirror, sizeof(mirror), "%.*s", (int)sizeof(ports[i].mirror), ports[i].mirror);
		row->if_index = sources->if_index(mirror);
		if (row->if_index == 0)
			continue;
		row->port = ports[i];
		/* DPDK says "unknown" by the largest number. */
		row->speed_mbps = ports[i].speed_mbps == UINT32_MAX ? 0 : ports[i].speed_mbps;
		count++;
	}
	snmp_view_take(view, SNMP_INTERFACES, rows, count);
	return 0;
}

static int set_dataplane(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_list *stats = part(sources, METRICS_DP_STATS);
	const struct metrics_list *realms = part(sources, METRICS_DP_REALMS);
	int err = snmp_view_set(view, SNMP_MEDIA, stats->entries, stats->count);

	return err != 0 ? err : snmp_view_set(view, SNMP_REALMS, realms->entries, realms->count);
}

static int set_signalling(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_list *status = part(sources, METRICS_CP_STATUS);

	return snmp_view_set(view, SNMP_SIGNALLING, status->entries, status->count);
}

static uint64_t measured(const struct cp_quality *quality)
{
	uint64_t calls = 0;

	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++)
		calls += quality->loss[i];
	return calls;
}

static int set_statistics(
	struct snmp_view *view, const struct snmp_sources *sources, uint32_t kind, enum snmp_table_id table)
{
	const struct metrics_list *list = part(sources, METRICS_CP_STATISTICS);
	const struct cp_statistics *entries = list->entries;
	struct snmp_statistics *rows = calloc(list->count + 1, sizeof(*rows));
	size_t count = 0;

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (entries[i].kind == kind) {
			rows[count].s = entries[i];
			rows[count++].measured = measured(&entries[i].quality);
		}
	snmp_view_take(view, table, rows, count);
	return 0;
}

static int set_calls(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_list *list = part(sources, METRICS_CP_STATISTICS);
	const struct cp_statistics *entries = list->entries;
	int err = 0;

	if (list->count > 0 && entries[0].kind == CP_STATISTICS_SYSTEM)
		err = snmp_view_set(view, SNMP_CALL_TOTALS, entries, 1);
	if (err == 0)
		err = set_statistics(view, sources, CP_STATISTICS_REALM, SNMP_REALM_CALLS);
	return err != 0 ? err : set_statistics(view, sources, CP_STATISTICS_AGENT, SNMP_AGENTS);
}

static void class_rows(struct snmp_class *rows, const struct cp_statistics *realm, enum snmp_measure measure,
	const uint64_t *counts, const int32_t *bounds)
{
	for (uint32_t i = 0; i < CP_QUALITY_CLASSES; i++) {
		rows[i] = (struct snmp_class){
			.measure = measure,
			.number = i + 1,
			.bound = i + 1 < CP_QUALITY_CLASSES ? bounds[i] : -1,
			.count = counts[i],
		};
		memcpy(rows[i].realm, realm->name, sizeof(rows[i].realm));
	}
}

static int set_quality(struct snmp_view *view, const struct snmp_sources *sources)
{
	static const int32_t mos[CP_QUALITY_CLASSES] = CP_QUALITY_MOS_BOUNDS;
	static const int32_t loss[CP_QUALITY_CLASSES] = CP_QUALITY_LOSS_BOUNDS;
	static const int32_t jitter[CP_QUALITY_CLASSES] = CP_QUALITY_JITTER_BOUNDS;
	const struct metrics_list *list = part(sources, METRICS_CP_STATISTICS);
	const struct cp_statistics *entries = list->entries;
	struct snmp_class *rows = calloc(list->count * 3 * CP_QUALITY_CLASSES + 1, sizeof(*rows));
	size_t count = 0;

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct cp_statistics *realm = &entries[i];

		if (realm->kind != CP_STATISTICS_REALM)
			continue;
		class_rows(rows + count, realm, SNMP_MOS, realm->quality.mos, mos);
		class_rows(rows + count + CP_QUALITY_CLASSES, realm, SNMP_LOSS, realm->quality.loss, loss);
		class_rows(rows + count + 2 * CP_QUALITY_CLASSES, realm, SNMP_JITTER, realm->quality.jitter,
			jitter);
		count += (size_t)3 * CP_QUALITY_CLASSES;
	}
	snmp_view_take(view, SNMP_QUALITY_CLASSES, rows, count);
	return 0;
}

static void counter_row(struct snmp_counter *row, unsigned number, const char *name, const char *help)
{
	*row = (struct snmp_counter){ .number = number + 1, .drop = strncmp(name, "drop-", 5) == 0 };
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->help, sizeof(row->help), "%s", help);
}

static int set_counters(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct dp_stats *stats = metrics_snapshot_one(sources->snapshot, METRICS_DP_STATS);
	const struct cp_counters *counters = metrics_snapshot_one(sources->snapshot, METRICS_CP_COUNTERS);
	struct snmp_counter packets[DP_COUNTER_COUNT], sip[CP_COUNTER_COUNT];
	int err = 0;

	for (unsigned i = 0; stats != NULL && i < DP_COUNTER_COUNT; i++) {
		counter_row(&packets[i], i, dp_counter_name(i), dp_counter_help(i));
		packets[i].count = stats->counter[i];
		packets[i].rate = stats->per_second[i];
	}
	for (unsigned i = 0; counters != NULL && i < CP_COUNTER_COUNT; i++) {
		counter_row(&sip[i], i, cp_counter_name(i), cp_counter_help(i));
		sip[i].count = counters->counter[i];
	}
	if (stats != NULL)
		err = snmp_view_set(view, SNMP_PACKET_COUNTERS, packets, COUNT(packets));
	if (err == 0 && counters != NULL)
		err = snmp_view_set(view, SNMP_SIP_COUNTERS, sip, COUNT(sip));
	return err;
}

/* Whole days, the begun one not counted. */
static int32_t days_until(uint64_t wall_ms, uint64_t now_ms)
{
	return wall_ms >= now_ms ? (int32_t)((wall_ms - now_ms) / DAY_MS)
				 : -(int32_t)((now_ms - wall_ms) / DAY_MS) - 1;
}

static int set_certificates(struct snmp_view *view, const struct snmp_sources *sources)
{
	const struct metrics_list *list = part(sources, METRICS_CP_CERTIFICATES);
	const struct cp_certificate *entries = list->entries;
	struct snmp_certificate *rows = calloc(list->count + 1, sizeof(*rows));

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		rows[i].c = entries[i];
		rows[i].days = days_until(entries[i].not_after_wall_ms, sources->snapshot->wall_ms);
	}
	snmp_view_take(view, SNMP_CERTIFICATES, rows, list->count);
	return 0;
}

size_t snmp_rows_alarms(const struct metrics_snapshot *snapshot, const struct cp_alarm *own, size_t own_count,
	struct snmp_alarm_row *out, size_t room)
{
	const struct metrics_list *list = &snapshot->part[METRICS_CP_ALARMS];
	const struct cp_alarm *theirs = list->entries;
	size_t count = 0;

	for (size_t i = 0; i < own_count + list->count && count < room; i++) {
		const struct cp_alarm *alarm = i < own_count ? &own[i] : &theirs[i - own_count];
		struct snmp_alarm_row *row = &out[count];

		if (*watch_alarm_name(alarm->kind) == '\0' || alarm->severity >= CP_SEVERITY_COUNT)
			continue;
		*row = (struct snmp_alarm_row){
			.a = *alarm,
			.origin = i < own_count ? SNMP_ORIGIN_MGMT : SNMP_ORIGIN_CONTROLPLANE,
			.number = (uint32_t)alarm->number,
		};
		snprintf(row->kind, sizeof(row->kind), "%s", watch_alarm_name(alarm->kind));
		/* They are logged as texts, and another process has written them. */
		row->a.subject[sizeof(row->a.subject) - 1] = row->a.text[sizeof(row->a.text) - 1] = '\0';
		count++;
	}
	return count;
}

static int set_alarms(struct snmp_view *view, const struct snmp_sources *sources)
{
	size_t room = sources->own_count + part(sources, METRICS_CP_ALARMS)->count;
	struct snmp_alarm_row *rows = calloc(room + 1, sizeof(*rows));
	struct snmp_alarm_totals totals = {
		.sent = sources->notify.sent,
		.suppressed = sources->notify.suppressed,
		.waiting = sources->notify.waiting,
	};
	size_t count;

	if (rows == NULL)
		return -ENOMEM;
	count = snmp_rows_alarms(sources->snapshot, sources->own, sources->own_count, rows, room);
	for (size_t i = 0; i < count; i++)
		totals.count[rows[i].a.severity]++;
	snmp_view_take(view, SNMP_ALARMS, rows, count);
	return snmp_view_set(view, SNMP_ALARM_TOTALS, &totals, 1);
}

struct snmp_view *snmp_rows_view(const struct snmp_sources *sources)
{
	static int (*const sets[])(struct snmp_view *, const struct snmp_sources *) = {
		set_system,
		set_processes,
		set_threads,
		set_interfaces,
		set_dataplane,
		set_signalling,
		set_calls,
		set_counters,
		set_quality,
		set_certificates,
		set_alarms,
	};
	struct snmp_view *view = snmp_view_new();
	int err = view != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; err == 0 && i < COUNT(sets); i++)
		err = sets[i](view, sources);
	if (err != 0) {
		snmp_view_free(view);
		return NULL;
	}
	view->made_ms = clock_now_ms();
	return view;
}

void snmp_rows_call(struct snmp_call *out, const struct cp_call *call)
{
	*out = (struct snmp_call){
		.call = call->call,
		.session = call->session,
		.started_wall_ms = call->started_wall_ms,
		.setup_ms = call->setup_ms,
		.answered_ms = call->answered_ms,
		.state = call->state,
	};
	snprintf(out->name, sizeof(out->name), "%" PRIu64 "-%" PRIu64, call->call >> CALL_SHARD_BITS,
		call->call & ((UINT64_C(1) << CALL_SHARD_BITS) - 1));
	memcpy(out->from, call->leg[0].user, sizeof(out->from));
	memcpy(out->to, call->leg[1].user, sizeof(out->to));
	memcpy(out->from_realm, call->leg[0].realm, sizeof(out->from_realm));
	memcpy(out->to_realm, call->leg[1].realm, sizeof(out->to_realm));
	memcpy(out->from_agent, call->leg[0].agent, sizeof(out->from_agent));
	memcpy(out->to_agent, call->leg[1].agent, sizeof(out->to_agent));
}

struct snmp_view *snmp_rows_calls(struct snmp_call *calls, size_t count)
{
	struct snmp_view *view = snmp_view_new();

	if (view == NULL) {
		free(calls);
		return NULL;
	}
	snmp_view_take(view, SNMP_CALLS, calls, count);
	view->made_ms = clock_now_ms();
	return view;
}
