/* SPDX-License-Identifier: BSD-3-Clause */
/* Which notifications are due for the alarms there are: in order, not more than may be, none forgotten. owner: the main loop */
#ifndef MGMT_SNMP_NOTIFY_H
#define MGMT_SNMP_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/api.h"

enum { SNMP_NOTICES_MAX = 256, SNMP_WATCHED_MAX = 512, SNMP_PER_MINUTE_MAX = 1000 };

enum snmp_origin { SNMP_ORIGIN_MGMT = 1, SNMP_ORIGIN_CONTROLPLANE };

struct snmp_alarm_row {
	struct cp_alarm a;
	uint32_t origin, number; /* enum snmp_origin */
	char kind[CP_NAME_MAX]; /* its name */
};

struct snmp_notice {
	struct snmp_alarm_row alarm; /* as it was known at last */
	bool raised; /* or cleared */
	uint32_t sequence;
	uint32_t
		suppressed; /* changes of this alarm since the last notice of it that have none of their own */
};

struct snmp_notify_counts {
	uint64_t sent, suppressed;
	uint32_t waiting;
};

struct snmp_notify;

struct snmp_notify *snmp_notify_new(void); /* NULL: no memory */
void snmp_notify_free(struct snmp_notify *notify);
/* At most `per_minute` notices in any minute; of one alarm one in `interval_ms`. */
void snmp_notify_limit(struct snmp_notify *notify, unsigned per_minute, unsigned interval_ms);
/* Alarms there are now. Without `controlplane` its alarms are not known: they stay as they were. */
void snmp_notify_look(struct snmp_notify *notify, const struct snmp_alarm_row *alarms, size_t count,
	bool controlplane, uint64_t now_ms);
/* The notice to be sent now, until it is said to be done; NULL: none, or too many have been sent. */
const struct snmp_notice *snmp_notify_next(struct snmp_notify *notify, uint64_t now_ms);
/* It has arrived, or has to be sent again. */
void snmp_notify_done(struct snmp_notify *notify, bool arrived);
/* As new, but numbers and counts go on. */
void snmp_notify_forget(struct snmp_notify *notify);
struct snmp_notify_counts snmp_notify_counts(const struct snmp_notify *notify);

#endif
