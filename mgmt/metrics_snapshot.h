/* SPDX-License-Identifier: BSD-3-Clause */
/* What both daemons say of themselves at one moment: asked for at once, put together when the last answer is there. */
#ifndef MGMT_METRICS_SNAPSHOT_H
#define MGMT_METRICS_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "mgmt/neighbours.h"

enum metrics_part {
	METRICS_DP_STATS, /* struct dp_stats */
	METRICS_DP_INTERFACES, /* struct dp_interface[] */
	METRICS_DP_REALMS, /* struct dp_realm[] */
	METRICS_CP_STATUS, /* struct cp_status */
	METRICS_CP_COUNTERS, /* struct cp_counters */
	METRICS_CP_ALARMS, /* struct cp_alarm[] */
	METRICS_CP_CERTIFICATES, /* struct cp_certificate[] */
	METRICS_CP_STATISTICS, /* struct cp_statistics[] */
	METRICS_CP_LOAD, /* struct cp_load */
	METRICS_PART_COUNT
};

enum { METRICS_ALL = (1 << METRICS_PART_COUNT) - 1 };

/* One part: `count` entries, none if it could not be had. */
struct metrics_list {
	void *entries; /* heap */
	size_t count, room;
};

struct metrics_snapshot {
	uint64_t wall_ms; /* when it was begun */
	uint64_t uptime_ms; /* of this process */
	struct {
		char version[40]; /* "" while it is away */
	} neighbour[NEIGHBOUR_COUNT];
	struct metrics_list part[METRICS_PART_COUNT];
};

/* The single struct of a part, or NULL. */
const void *metrics_snapshot_one(const struct metrics_snapshot *snapshot, enum metrics_part part);

/* A snapshot on its way. owner: the main loop */
struct metrics_gather;

/* `snapshot` is borrowed for the call. */
typedef void (*metrics_gathered)(void *arg, const struct metrics_snapshot *snapshot);

/* Asks both neighbours for the `wanted`, bits of enum metrics_part. `done` is called once: before the return if neither is there. 0; -ENOMEM and it is not called. `out` is valid until `done`. */
int metrics_gather_begin(const struct neighbours *neighbours, unsigned wanted, metrics_gathered done,
	void *arg, struct metrics_gather **out);
/* `done` is not called any more; its memory goes with the last answer. */
void metrics_gather_abandon(struct metrics_gather *gather);

#endif
