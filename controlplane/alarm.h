/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms: what is wrong now and needs somebody's attention. A bounded table that any thread may write; what begins and ends is logged
 * once, however often it is reported. */
#ifndef CONTROLPLANE_ALARM_H
#define CONTROLPLANE_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/api.h"

struct alarms; /* NULL is fine everywhere: nobody is told (tests) */

enum { ALARMS_MAX = 256 };

/* With a loop, that of the main thread, alarms end by themselves when their time has come (alarms_sweep, every second). 0 or -errno. */
int alarms_new(uv_loop_t *loop, struct alarms **out);
/* The loop must run once more before its memory is gone. */
void alarms_free(struct alarms *alarms);

/* From any thread. `subject` (a name of the configuration, never a peer's) and kind are the alarm; its text and severity are those of the
 * last report. When the table is full, a new one is counted and not kept. */
void alarm_raise(struct alarms *alarms, enum cp_alarm_kind kind, enum cp_severity severity,
	const char *subject, const char *text);
/* From any thread. A state ends when it has not been raised again for the time of its kind (CP_ALARMS), an event at once. Nothing happens
 * if there is no such alarm. */
void alarm_clear(struct alarms *alarms, enum cp_alarm_kind kind, const char *subject);

/* Around a round that raises all alarms of a kind that there are: what it did not raise is cleared. One thread for each kind. */
void alarm_round_begin(struct alarms *alarms, enum cp_alarm_kind kind);
void alarm_round_end(struct alarms *alarms, enum cp_alarm_kind kind);

/* Ends what has been over for long enough by the monotonic clock. */
void alarms_sweep(struct alarms *alarms, uint64_t now_ms);

/* Those with a number above `after`, oldest first, at most `limit`, and the page's head. */
void alarms_list(struct alarms *alarms, uint64_t after, size_t limit, struct cp_alarm_page *page,
	struct cp_alarm *out);

#endif
