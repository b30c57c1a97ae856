/* SPDX-License-Identifier: BSD-3-Clause */
/* clear guard, clear registration, clear counters. */
#ifndef MGMT_CLEAR_H
#define MGMT_CLEAR_H

#include <stdint.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/request.h"

/* What the counters were when somebody cleared them: `show counters` counts from there as well. The counters themselves go on, for SNMP and
 * metrics. owner: the main loop */
struct counter_marks {
	uint64_t wall_ms; /* 0: never */
	uint64_t generation[NEIGHBOUR_COUNT]; /* of the process they are of */
	uint64_t dataplane[DP_COUNTER_COUNT], controlplane[CP_COUNTER_COUNT];
};

void clear_guard(struct request *request);
void clear_registration(struct request *request);
void clear_counters(struct request *request);

#endif
