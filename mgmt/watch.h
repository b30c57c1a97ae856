/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms that this process raises itself: about the daemons as they are seen from outside, the dataplane's room, the disk. The control
 * plane's own come from it (show_alarms.c puts them together). owner: the main loop */
#ifndef MGMT_WATCH_H
#define MGMT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "config/model.h"
#include "controlplane/api.h"
#include "mgmt/metrics_snapshot.h"

struct commits;
struct watch;

/* Enum, name, seconds that it must be bad before it is raised, seconds that it must be good before it is cleared, severity, help. */
/* clang-format off */
#define WATCH_ALARMS(X) \
	X(PROCESS_AWAY, "process-away", 5, 5, CRITICAL, "a daemon does not answer") \
	X(LISTENERS_DOWN, "listeners-down", 5, 5, MAJOR, "addresses to listen on could not be opened") \
	X(METRICS_DOWN, "metrics-down", 5, 5, WARNING, "metrics.listen could not be opened") \
	X(PORTS_LOW, "ports-low", 5, 30, MAJOR, "a realm's media ports are scarce: alarms.in-use-raise") \
	X(SESSIONS_LOW, "sessions-low", 5, 30, MAJOR, "the sessions there is room for are scarce: alarms.in-use-raise") \
	X(TRANSMIT_FULL, "transmit-full", 5, 60, WARNING, "packets are dropped because a port's transmit queue is full") \
	X(DISK_LOW, "disk-low", 5, 30, MAJOR, "the disk of system.data-directory is scarce: alarms.disk-raise") \
	X(CONFIGURATION, "configuration-not-applied", 10, 5, MAJOR, "a daemon does not run the configuration in force")
/* clang-format on */

/* Kinds as in struct cp_alarm, behind all of the control plane's. */
#define WATCH_ALARM_FIRST 1000

enum { WATCH_ALARMS_MAX = 128 };

enum watch_alarm {
	WATCH_BEFORE_FIRST = WATCH_ALARM_FIRST - 1,
#define X(id, name, raise, clear, severity, help) WATCH_##id,
	WATCH_ALARMS(X)
#undef X
		WATCH_END
};

/* Of any alarm there is, the control plane's too; "" for none. */
const char *watch_alarm_name(uint32_t kind);
const char *watch_severity_name(uint32_t severity);

/* All outlive it. `config` points to the configuration in force. 0 or -ENOMEM. */
int watch_new(uv_loop_t *loop, const struct neighbours *neighbours, const struct commits *commits,
	const struct config *const *config, struct watch **out);
/* Its memory goes when the loop has run its close callbacks. NULL is fine. */
void watch_free(struct watch *watch);

/* What is not in a snapshot. */
struct watch_view {
	bool disagrees[NEIGHBOUR_COUNT]; /* it runs another configuration */
	int disk_percent; /* left; below 0: not known */
};

/* Looks at the state at the monotonic time `now_ms`; called every two seconds. */
void watch_look(struct watch *watch, const struct metrics_snapshot *snapshot, const struct watch_view *view,
	uint64_t now_ms);
/* metrics.listen could be opened, or not. */
void watch_metrics_down(struct watch *watch, bool down);
/* What the threads of the control plane have used of their core between the last two looks. */
struct watch_load {
	struct cp_load total; /* since the start */
	bool known; /* of `percent` */
	unsigned percent[CP_THREADS_MAX];
};
/* False: nothing is known. `watch` NULL: nothing is. */
bool watch_load(const struct watch *watch, struct watch_load *out);
/* Copies those raised now, oldest first, at most WATCH_ALARMS_MAX; returns how many. `watch` NULL: none. */
size_t watch_alarms(const struct watch *watch, struct cp_alarm out[WATCH_ALARMS_MAX]);

#endif
