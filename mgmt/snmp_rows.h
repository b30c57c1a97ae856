/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of SALLYPORT-MIB's tables, made of what the daemons say of themselves. */
#ifndef MGMT_SNMP_ROWS_H
#define MGMT_SNMP_ROWS_H

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/metrics_snapshot.h"
#include "mgmt/snmp_notify.h"
#include "mgmt/snmp_threads.h"
#include "mgmt/snmp_view.h"

enum { SNMP_CALLS_MAX = 50000 };

struct snmp_system {
	char name[65], version[41];
	uint64_t uptime_ms;
	uint32_t state; /* 0: in service */
	char reason[CP_LINE_MAX];
};

enum snmp_process_number { SNMP_DATAPLANE = 1, SNMP_CONTROLPLANE, SNMP_MGMT };

struct snmp_process {
	uint32_t number; /* enum snmp_process_number */
	uint32_t state; /* 0: it answers */
	char name[24], version[41];
	uint64_t uptime_ms, started_wall_ms, memory_kib;
};

struct snmp_interface {
	struct dp_interface port;
	uint32_t if_index; /* of its mirror */
	uint32_t speed_mbps;
};

struct snmp_statistics {
	struct cp_statistics s;
	uint64_t measured; /* calls whose media were */
};

struct snmp_counter {
	uint32_t number, drop;
	char name[64], help[CP_LINE_MAX];
	uint64_t count, rate;
};

enum snmp_measure { SNMP_MOS = 1, SNMP_LOSS, SNMP_JITTER };

struct snmp_class {
	char realm[CP_NAME_MAX];
	uint32_t measure, number;
	int32_t bound; /* -1: none */
	uint64_t count;
};

struct snmp_certificate {
	struct cp_certificate c;
	int32_t days;
};

struct snmp_alarm_totals {
	uint32_t count[CP_SEVERITY_COUNT];
	uint64_t sent, suppressed;
	uint32_t waiting;
};

struct snmp_call {
	uint64_t call, session, started_wall_ms, setup_ms, answered_ms;
	uint32_t state;
	char name[32];
	char from[CP_USER_MAX], to[CP_USER_MAX];
	char from_realm[CP_NAME_MAX], to_realm[CP_NAME_MAX], from_agent[CP_NAME_MAX], to_agent[CP_NAME_MAX];
};

/* What a view is made of besides a snapshot. All borrowed. */
struct snmp_sources {
	const struct metrics_snapshot *snapshot;
	const char *name; /* of the system */
	const struct snmp_thread *threads;
	size_t thread_count;
	const uint64_t *memory_kib; /* by enum snmp_process_number */
	const struct cp_alarm *own; /* alarms of this process */
	size_t own_count;
	struct snmp_notify_counts notify;
	unsigned (*if_index)(const char *name); /* if_nametoindex */
};

/* Parts that the snapshot has not are absent. NULL: no memory. */
struct snmp_view *snmp_rows_view(const struct snmp_sources *sources);

/* Both processes' alarms, this one's first; returns how many. */
size_t snmp_rows_alarms(const struct metrics_snapshot *snapshot, const struct cp_alarm *own, size_t own_count,
	struct snmp_alarm_row *out, size_t room);

void snmp_rows_call(struct snmp_call *out, const struct cp_call *call);
/* Takes `calls` (heap) over, also when it fails: NULL, no memory. */
struct snmp_view *snmp_rows_calls(struct snmp_call *calls, size_t count);

#endif
