/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to statistics.c and statistics_table.c: slots and rows. */
#ifndef CONTROLPLANE_STATISTICS_INTERNAL_H
#define CONTROLPLANE_STATISTICS_INTERNAL_H

#include "controlplane/statistics.h"

enum {
	STATISTICS_SECONDS = 4, /* the last whole one, the present one, and some room for who is late */
	STATISTICS_SECOND_BITS = 24, /* a cell: the second << this | calls in it */
	STATISTICS_REST_MS = 60 * 1000, /* after this long nothing is said of what has gone */
};

struct statistics_way {
	uint64_t attempts, effective, answered, ended, talked_ms, rang, post_dial_ms, refused;
	uint64_t second[STATISTICS_SECONDS];
};

/* Of one slot in one shard. owner: the shard; others read relaxed */
struct statistics_row {
	struct statistics_way way[CP_STATISTICS_WAYS];
	struct cp_quality quality;
};

struct statistics_gauge { /* atomic */
	uint32_t now, most;
};

/* What all shards share of a realm or agent. */
struct statistics_slot {
	_Alignas(64) struct statistics_gauge gauge[CP_STATISTICS_WAYS];
	uint32_t registrations; /* atomic */
	/* From here on changed by statistics_move alone. */
	uint32_t kind; /* enum cp_statistics_kind */
	bool used, configured;
	uint64_t gone_ms; /* when it ceased to be configured */
	char name[CP_NAME_MAX];
};

/* Changed by statistics_move alone. */
struct statistics_table {
	size_t room; /* slots there are */
	struct statistics_slot *slot;
	struct statistics_row **rows; /* by shard, then by slot */
	const struct config_realm *realms; /* of the configuration that these indices belong to */
	const struct config_session_agent *agents;
	size_t realm_count, agent_count;
	uint32_t *realm_slot, *agent_slot; /* by index */
};

struct statistics_plan;

struct statistics {
	unsigned shards;
	struct statistics_table table;
	struct statistics_plan *plan; /* NULL: none; owner: the main thread */
};

#endif
