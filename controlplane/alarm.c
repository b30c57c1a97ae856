/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of alarms: raised, held for a while, cleared, each logged once. */
#include "controlplane/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { SWEEP_MS = 1000 };

static const struct {
	const char *name;
	uint32_t hold_ms;
	enum { STATE, EVENT } kind;
} kinds[CP_ALARM_COUNT] = {
#define X(id, name, seconds, kind, help) [CP_ALARM_##id] = { name, (seconds)*1000, kind },
	CP_ALARMS(X)
#undef X
};

struct entry {
	struct cp_alarm alarm; /* number 0: free */
	uint64_t over_ms; /* since when it is over; 0: it is not */
	uint64_t round; /* in which it was last raised */
};

struct alarms {
	uv_mutex_t lock; /* of all below */
	struct entry entry[ALARMS_MAX];
	uint64_t last_number, lost;
	uint64_t round[CP_ALARM_COUNT];
	uv_timer_t *timer; /* owner: the main thread; NULL: there is no loop */
};

static const char *severity_name(uint32_t severity)
{
	static const char *const names[CP_SEVERITY_COUNT] = { "warning", "major", "critical" };

	return severity < CP_SEVERITY_COUNT ? names[severity] : "";
}

/* Whatever a library or a peer has put into it: it is one line of printable ASCII. */
static void copy_text(char *out, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memset(out, 0, size);
	for (size_t i = 0; i < n; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
}

static void log_alarm(const struct cp_alarm *alarm, bool raised)
{
	enum log_level level = !raised                                  ? LOG_LEVEL_NOTICE
			       : alarm->severity == CP_SEVERITY_WARNING ? LOG_LEVEL_WARNING
									: LOG_LEVEL_ERROR;

	LOG_AT(level, "alarm", raised ? "alarm raised" : "alarm cleared",
		LOG_TEXT("alarm", kinds[alarm->kind].name), LOG_TEXT("subject", alarm->subject),
		LOG_TEXT("severity", severity_name(alarm->severity)), LOG_TEXT("text", alarm->text),
		LOG_UINT("times", alarm->times));
}

static struct entry *find(struct alarms *alarms, enum cp_alarm_kind kind, const char *subject)
{
	char text[CP_SUBJECT_MAX];

	copy_text(text, sizeof(text), subject);
	for (unsigned i = 0; i < ALARMS_MAX; i++) {
		struct entry *entry = &alarms->entry[i];

		if (entry->alarm.number && entry->alarm.kind == kind &&
			strcmp(entry->alarm.subject, text) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *take(struct alarms *alarms, enum cp_alarm_kind kind, const char *subject)
{
	for (unsigned i = 0; i < ALARMS_MAX; i++) {
		struct entry *entry = &alarms->entry[i];

		if (entry->alarm.number)
			continue;
		*entry = (struct entry){ .alarm = { .number = ++alarms->last_number,
						 .kind = kind,
						 .since_wall_ms = clock_wall_ms() } };
		copy_text(entry->alarm.subject, sizeof(entry->alarm.subject), subject);
		return entry;
	}
	alarms->lost++;
	return NULL;
}

/* True if people are to be told: it has begun, or is worse or better than before. */
static bool note(struct alarms *alarms, struct entry *entry, enum cp_severity severity, const char *text)
{
	struct cp_alarm *alarm = &entry->alarm;
	bool begins = alarm->times == 0;
	bool told = begins || alarm->severity != severity;

	alarm->severity = severity;
	alarm->last_wall_ms = clock_wall_ms();
	/* A state that is reported again without having been over is the same. */
	if (begins || entry->over_ms || kinds[alarm->kind].kind == EVENT)
		alarm->times += alarm->times < UINT32_MAX;
	entry->over_ms = kinds[alarm->kind].kind == EVENT ? clock_now_ms() : 0;
	entry->round = alarms->round[alarm->kind];
	copy_text(alarm->text, sizeof(alarm->text), text);
	return told;
}

void alarm_raise(struct alarms *alarms, enum cp_alarm_kind kind, enum cp_severity severity,
	const char *subject, const char *text)
{
	struct cp_alarm told = { 0 };
	struct entry *entry;

	if (!alarms)
		return;
	uv_mutex_lock(&alarms->lock);
	entry = find(alarms, kind, subject);
	if (!entry)
		entry = take(alarms, kind, subject);
	if (entry && note(alarms, entry, severity, text))
		told = entry->alarm;
	uv_mutex_unlock(&alarms->lock);
	if (told.number)
		log_alarm(&told, true);
	else if (!entry)
		log_warning("alarm", "no room for another alarm", LOG_TEXT("alarm", kinds[kind].name),
			LOG_TEXT("subject", subject), LOG_TEXT("text", text));
}

/* Under the lock. Returns what to log; its number is 0 if it is not over yet. */
static struct cp_alarm end_if_due(struct entry *entry, uint64_t now_ms, uint32_t hold_ms)
{
	struct cp_alarm ended = { 0 };

	if (entry->alarm.number && entry->over_ms && now_ms >= entry->over_ms + hold_ms) {
		ended = entry->alarm;
		entry->alarm.number = 0;
	}
	return ended;
}

void alarm_clear(struct alarms *alarms, enum cp_alarm_kind kind, const char *subject)
{
	struct cp_alarm ended = { 0 };
	struct entry *entry;

	if (!alarms)
		return;
	uv_mutex_lock(&alarms->lock);
	entry = find(alarms, kind, subject);
	if (entry) {
		uint64_t now_ms = clock_now_ms();
		bool is_event = kinds[kind].kind == EVENT;

		if (!entry->over_ms)
			entry->over_ms = now_ms;
		ended = end_if_due(entry, now_ms, is_event ? 0 : kinds[kind].hold_ms);
	}
	uv_mutex_unlock(&alarms->lock);
	if (ended.number)
		log_alarm(&ended, false);
}

void alarm_round_begin(struct alarms *alarms, enum cp_alarm_kind kind)
{
	if (!alarms)
		return;
	uv_mutex_lock(&alarms->lock);
	alarms->round[kind]++;
	uv_mutex_unlock(&alarms->lock);
}

void alarm_round_end(struct alarms *alarms, enum cp_alarm_kind kind)
{
	char subject[CP_SUBJECT_MAX];

	for (unsigned i = 0; alarms && i < ALARMS_MAX; i++) {
		struct entry *entry = &alarms->entry[i];
		bool stale;

		uv_mutex_lock(&alarms->lock);
		stale = entry->alarm.number && entry->alarm.kind == kind &&
			entry->round != alarms->round[kind];
		if (stale)
			memcpy(subject, entry->alarm.subject, sizeof(subject));
		uv_mutex_unlock(&alarms->lock);
		if (stale)
			alarm_clear(alarms, kind, subject);
	}
}

void alarms_sweep(struct alarms *alarms, uint64_t now_ms)
{
	for (unsigned i = 0; alarms && i < ALARMS_MAX; i++) {
		struct entry *entry = &alarms->entry[i];
		struct cp_alarm ended;

		uv_mutex_lock(&alarms->lock);
		ended = end_if_due(entry, now_ms, kinds[entry->alarm.kind].hold_ms);
		uv_mutex_unlock(&alarms->lock);
		if (ended.number)
			log_alarm(&ended, false);
	}
}

void alarms_list(
	struct alarms *alarms, uint64_t after, size_t limit, struct cp_alarm_page *page, struct cp_alarm *out)
{
	*page = (struct cp_alarm_page){ 0 };
	if (!alarms)
		return;
	uv_mutex_lock(&alarms->lock);
	page->lost = alarms->lost;
	for (;;) {
		const struct cp_alarm *next = NULL;

		for (unsigned i = 0; i < ALARMS_MAX; i++) {
			const struct cp_alarm *alarm = &alarms->entry[i].alarm;

			if (alarm->number > after && (!next || alarm->number < next->number))
				next = alarm;
		}
		if (!next)
			break;
		if (page->count == limit) {
			page->more = 1;
			break;
		}
		out[page->count++] = *next;
		after = next->number;
	}
	uv_mutex_unlock(&alarms->lock);
}

static void on_sweep(uv_timer_t *timer)
{
	alarms_sweep(timer->data, clock_now_ms());
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

int alarms_new(uv_loop_t *loop, struct alarms **out)
{
	struct alarms *alarms = calloc(1, sizeof(*alarms));

	if (!alarms)
		return -ENOMEM;
	if (uv_mutex_init(&alarms->lock)) {
		free(alarms);
		return -ENOMEM;
	}
	if (loop) {
		alarms->timer = calloc(1, sizeof(*alarms->timer));
		if (!alarms->timer) {
			alarms_free(alarms);
			return -ENOMEM;
		}
		uv_timer_init(loop, alarms->timer);
		alarms->timer->data = alarms;
		uv_timer_start(alarms->timer, on_sweep, SWEEP_MS, SWEEP_MS);
		uv_unref((uv_handle_t *)alarms->timer);
	}
	*out = alarms;
	return 0;
}

void alarms_free(struct alarms *alarms)
{
	if (!alarms)
		return;
	if (alarms->timer) {
		uv_timer_stop(alarms->timer);
		uv_close((uv_handle_t *)alarms->timer, on_timer_closed);
	}
	uv_mutex_destroy(&alarms->lock);
	free(alarms);
}
