/* SPDX-License-Identifier: BSD-3-Clause */
/* Of each alarm it is known what was told of it last. What differs is told when its time has come: an alarm that comes and goes is told of seldom,
 * and as it is then. */
#include "mgmt/snmp_notify.h"

#include <stdlib.h>
#include <string.h>

#include "platforms/base/log.h"

enum { MINUTE_MS = 60000 };

struct watched {
	struct snmp_alarm_row alarm; /* kind "" : free */
	bool there, seen; /* now; in this look */
	bool told; /* as raised */
	uint32_t told_severity;
	uint64_t told_ms; /* 0: never */
	uint32_t changes; /* since then */
};

struct snmp_notify {
	unsigned per_minute, interval_ms;
	uint64_t now_ms;
	uint64_t handed_ms[SNMP_PER_MINUTE_MAX]; /* the last ones, in turn; 0: none yet */
	unsigned handed;
	bool in_hand; /* the first of the queue */
	uint32_t sequence;
	uint64_t sent, suppressed;
	unsigned first, waiting;
	struct snmp_notice queue[SNMP_NOTICES_MAX];
	struct watched watched[SNMP_WATCHED_MAX];
};

struct snmp_notify *snmp_notify_new(void)
{
	return calloc(1, sizeof(struct snmp_notify));
}

void snmp_notify_free(struct snmp_notify *notify)
{
	free(notify);
}

void snmp_notify_limit(struct snmp_notify *notify, unsigned per_minute, unsigned interval_ms)
{
	if (per_minute > SNMP_PER_MINUTE_MAX)
		per_minute = SNMP_PER_MINUTE_MAX;
	if (notify->per_minute != per_minute) {
		memset(notify->handed_ms, 0, sizeof(notify->handed_ms));
		notify->handed = 0;
	}
	notify->per_minute = per_minute;
	notify->interval_ms = interval_ms;
}

static bool is_used(const struct watched *w)
{
	return w->alarm.kind[0] != '\0';
}

static bool is_told(const struct watched *w)
{
	return w->there == w->told && (!w->there || w->alarm.a.severity == w->told_severity);
}

static struct watched *find(struct snmp_notify *notify, const struct snmp_alarm_row *alarm)
{
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++) {
		struct watched *w = &notify->watched[i];

		if (is_used(w) && w->alarm.origin == alarm->origin && w->alarm.a.kind == alarm->a.kind &&
			strncmp(w->alarm.a.subject, alarm->a.subject, sizeof(alarm->a.subject)) == 0)
			return w;
	}
	return NULL;
}

/* A free place, or that of an alarm that is over and told. NULL: it is looked for again at the next look. */
static struct watched *take(struct snmp_notify *notify)
{
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++)
		if (!is_used(&notify->watched[i]))
			return &notify->watched[i];
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++) {
		struct watched *w = &notify->watched[i];

		if (w->there || !is_told(w))
			continue;
		notify->suppressed += w->changes;
		memset(w, 0, sizeof(*w));
		return w;
	}
	return NULL;
}

static void see(struct snmp_notify *notify, const struct snmp_alarm_row *alarm)
{
	struct watched *w = find(notify, alarm);
	bool changed;

	if (w == NULL)
		w = take(notify);
	if (w == NULL)
		return;
	changed = !w->there || w->alarm.a.severity != alarm->a.severity;
	w->alarm = *alarm;
	w->there = true;
	w->seen = true;
	w->changes += changed;
}

static void tell(struct snmp_notify *notify, struct watched *w)
{
	struct snmp_notice *notice;

	if (is_told(w) || notify->waiting == SNMP_NOTICES_MAX ||
		(w->told_ms != 0 && notify->now_ms - w->told_ms < notify->interval_ms))
		return;
	notice = &notify->queue[(notify->first + notify->waiting++) % SNMP_NOTICES_MAX];
	*notice = (struct snmp_notice){
		.alarm = w->alarm,
		.raised = w->there,
		.sequence = ++notify->sequence,
		.suppressed = w->changes > 0 ? w->changes - 1 : 0,
	};
	log_info("snmp", "notification is due", LOG_TEXT("alarm", w->alarm.kind),
		LOG_TEXT("subject", w->alarm.a.subject), LOG_TEXT("state", w->there ? "raised" : "cleared"),
		LOG_UINT("sequence", notice->sequence), LOG_UINT("suppressed", notice->suppressed));
	notify->suppressed += notice->suppressed;
	w->told = w->there;
	w->told_severity = w->alarm.a.severity;
	w->told_ms = notify->now_ms;
	w->changes = 0;
}

void snmp_notify_look(struct snmp_notify *notify, const struct snmp_alarm_row *alarms, size_t count,
	bool controlplane, uint64_t now_ms)
{
	notify->now_ms = now_ms;
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++)
		notify->watched[i].seen =
			notify->watched[i].alarm.origin == SNMP_ORIGIN_CONTROLPLANE && !controlplane;
	for (size_t i = 0; i < count; i++)
		see(notify, &alarms[i]);
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++) {
		struct watched *w = &notify->watched[i];

		if (!is_used(w))
			continue;
		if (w->there && !w->seen) {
			w->there = false;
			w->changes++;
		}
		tell(notify, w);
		if (!w->there && !w->told && w->changes == 0 && now_ms - w->told_ms >= notify->interval_ms)
			memset(w, 0, sizeof(*w));
	}
}

const struct snmp_notice *snmp_notify_next(struct snmp_notify *notify, uint64_t now_ms)
{
	uint64_t *turn = &notify->handed_ms[notify->handed];

	if (notify->waiting == 0 || notify->per_minute == 0)
		return NULL;
	if (notify->in_hand)
		return &notify->queue[notify->first];
	if (*turn != 0 && now_ms - *turn < MINUTE_MS)
		return NULL;
	*turn = now_ms;
	notify->handed = (notify->handed + 1) % notify->per_minute;
	notify->in_hand = true;
	return &notify->queue[notify->first];
}

void snmp_notify_done(struct snmp_notify *notify, bool arrived)
{
	if (!notify->in_hand)
		return;
	notify->in_hand = false;
	if (!arrived)
		return;
	notify->first = (notify->first + 1) % SNMP_NOTICES_MAX;
	notify->waiting--;
	notify->sent++;
}

void snmp_notify_forget(struct snmp_notify *notify)
{
	memset(notify->watched, 0, sizeof(notify->watched));
	notify->waiting = 0;
	notify->in_hand = false;
}

struct snmp_notify_counts snmp_notify_counts(const struct snmp_notify *notify)
{
	struct snmp_notify_counts counts = { notify->sent, notify->suppressed, notify->waiting };

	/* The last change of those that are not told yet will be. */
	for (unsigned i = 0; i < SNMP_WATCHED_MAX; i++) {
		const struct watched *w = &notify->watched[i];

		if (is_used(w))
			counts.suppressed += w->changes - (!is_told(w) && w->changes > 0);
	}
	return counts;
}
