/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks every two seconds; what is bad for long enough is an alarm, what is good for long enough is none any more. */
#include "mgmt/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "dataplane/api.h"
#include "mgmt/commit.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { LOOK_MS = 2000 };

/* Between good and bad nothing begins and nothing ends. */
enum level { GOOD, BETWEEN, BAD };

struct entry {
	struct cp_alarm alarm; /* kind 0: free; number 0: not raised (yet) */
	uint64_t bad_ms, good_ms; /* since when; 0: it is not */
	bool reported; /* in this look */
};

struct watch {
	const struct neighbours *neighbours;
	const struct commits *commits;
	const struct config *const *config;
	uv_timer_t *timer;
	struct metrics_gather *gather; /* NULL: none under way */
	bool metrics_down;
	uint64_t now_ms, last_number;
	struct { /* of the last two looks; 0: there was none */
		uint64_t at_ms;
		struct cp_load load;
	} load[2];
	struct entry entry[WATCH_ALARMS_MAX];
};

static const struct {
	const char *name;
	uint32_t raise_ms, clear_ms;
	enum cp_severity severity;
} kinds[] = {
#define X(id, name, raise, clear, severity, help) \
	{ name, (raise)*1000, (clear)*1000, CP_SEVERITY_##severity },
	WATCH_ALARMS(X)
#undef X
};

_Static_assert((int)CP_ALARM_COUNT < WATCH_ALARM_FIRST, "kinds of both processes differ");

const char *watch_alarm_name(uint32_t kind)
{
	static const char *const names[CP_ALARM_COUNT] = {
#define X(id, name, seconds, kind, help) [CP_ALARM_##id] = (name),
		CP_ALARMS(X)
#undef X
	};

	if (kind >= WATCH_ALARM_FIRST && kind < WATCH_END)
		return kinds[kind - WATCH_ALARM_FIRST].name;
	return kind < CP_ALARM_COUNT ? names[kind] : "";
}

const char *watch_severity_name(uint32_t severity)
{
	static const char *const names[CP_SEVERITY_COUNT] = { "warning", "major", "critical" };

	return severity < CP_SEVERITY_COUNT ? names[severity] : "";
}

static void log_alarm(const struct cp_alarm *alarm, bool raised)
{
	enum log_level level = !raised                                  ? LOG_LEVEL_NOTICE
			       : alarm->severity == CP_SEVERITY_WARNING ? LOG_LEVEL_WARNING
									: LOG_LEVEL_ERROR;

	LOG_AT(level, "alarm", raised ? "alarm raised" : "alarm cleared",
		LOG_TEXT("alarm", watch_alarm_name(alarm->kind)), LOG_TEXT("subject", alarm->subject),
		LOG_TEXT("severity", watch_severity_name(alarm->severity)), LOG_TEXT("text", alarm->text));
}

static struct entry *find(struct watch *watch, enum watch_alarm kind, const char *subject)
{
	for (unsigned i = 0; i < WATCH_ALARMS_MAX; i++) {
		struct entry *entry = &watch->entry[i];

		if (entry->alarm.kind == kind && strcmp(entry->alarm.subject, subject) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *take(struct watch *watch, enum watch_alarm kind, const char *subject)
{
	for (unsigned i = 0; i < WATCH_ALARMS_MAX; i++) {
		struct entry *entry = &watch->entry[i];

		if (entry->alarm.kind != 0)
			continue;
		*entry = (struct entry){ .alarm = { .kind = kind,
						 .severity = kinds[kind - WATCH_ALARM_FIRST].severity } };
		snprintf(entry->alarm.subject, sizeof(entry->alarm.subject), "%s", subject);
		return entry;
	}
	return NULL; /* the others that are as bad are told of */
}

static void is_bad(struct watch *watch, struct entry *entry)
{
	struct cp_alarm *alarm = &entry->alarm;

	entry->good_ms = 0;
	if (entry->bad_ms == 0)
		entry->bad_ms = watch->now_ms;
	alarm->last_wall_ms = clock_wall_ms();
	if (alarm->number != 0 ||
		watch->now_ms - entry->bad_ms < kinds[alarm->kind - WATCH_ALARM_FIRST].raise_ms)
		return;
	alarm->number = ++watch->last_number;
	alarm->since_wall_ms = alarm->last_wall_ms;
	alarm->times = 1;
	log_alarm(alarm, true);
}

static void is_good(struct watch *watch, struct entry *entry)
{
	if (entry->alarm.number == 0) {
		entry->alarm.kind = 0;
		return;
	}
	if (entry->good_ms == 0)
		entry->good_ms = watch->now_ms;
	if (watch->now_ms - entry->good_ms < kinds[entry->alarm.kind - WATCH_ALARM_FIRST].clear_ms)
		return;
	log_alarm(&entry->alarm, false);
	entry->alarm.kind = 0;
}

/* `subject` is a name of ours or of the configuration. */
static void report(
	struct watch *watch, enum watch_alarm kind, const char *subject, enum level level, const char *text)
{
	struct entry *entry = find(watch, kind, subject);

	if (entry == NULL && level == BAD)
		entry = take(watch, kind, subject);
	if (entry == NULL)
		return;
	entry->reported = true;
	if (level == BAD || (level == BETWEEN && entry->alarm.number != 0)) {
		snprintf(entry->alarm.text, sizeof(entry->alarm.text), "%s", text);
		is_bad(watch, entry);
	} else {
		is_good(watch, entry);
	}
}

static void report_share(struct watch *watch, enum watch_alarm kind, const char *subject, uint64_t used,
	uint64_t total, const char *what)
{
	const struct config_alarms *thresholds = &(*watch->config)->alarms;
	uint64_t percent = total > 0 ? used * 100 / total : 0;
	char text[CP_LINE_MAX];

	snprintf(text, sizeof(text), "%llu of %llu %s are in use", (unsigned long long)used,
		(unsigned long long)total, what);
	report(watch, kind, subject,
		percent >= thresholds->in_use_raise   ? BAD
		: percent >= thresholds->in_use_clear ? BETWEEN
						      : GOOD,
		text);
}

static void look_at_dataplane(struct watch *watch, const struct metrics_snapshot *snapshot)
{
	const struct dp_stats *stats = metrics_snapshot_one(snapshot, METRICS_DP_STATS);
	const struct metrics_list *list = &snapshot->part[METRICS_DP_REALMS];
	const struct dp_realm *realms = list->entries;

	if (stats == NULL)
		return;
	report_share(
		watch, WATCH_SESSIONS_LOW, "dataplane", stats->sessions, stats->sessions_max, "sessions");
	report(watch, WATCH_TRANSMIT_FULL, "dataplane",
		stats->per_second[DP_COUNTER_DROP_TX_FULL] > 0 ? BAD : GOOD,
		"packets are dropped because a port's transmit queue is full");
	for (size_t i = 0; i < list->count; i++) {
		char name[DP_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%.*s", DP_NAME_MAX, realms[i].name);
		report_share(watch, WATCH_PORTS_LOW, name, realms[i].ports_used, realms[i].ports_total,
			"pairs of media ports");
	}
	/* A realm that is configured no more. */
	for (unsigned i = 0; list->count > 0 && i < WATCH_ALARMS_MAX; i++)
		if (watch->entry[i].alarm.kind == WATCH_PORTS_LOW && !watch->entry[i].reported)
			is_good(watch, &watch->entry[i]);
}

static void look_at_processes(
	struct watch *watch, const struct metrics_snapshot *snapshot, const struct watch_view *view)
{
	static const enum metrics_part answers[NEIGHBOUR_COUNT] = {
		[NEIGHBOUR_DATAPLANE] = METRICS_DP_STATS,
		[NEIGHBOUR_CONTROLPLANE] = METRICS_CP_STATUS,
	};
	const struct cp_status *status = metrics_snapshot_one(snapshot, METRICS_CP_STATUS);
	char text[CP_LINE_MAX];

	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		bool there = metrics_snapshot_one(snapshot, answers[i]) != NULL;

		report(watch, WATCH_PROCESS_AWAY, neighbour_name(i), there ? GOOD : BAD,
			"it does not answer");
		if (there)
			report(watch, WATCH_CONFIGURATION, neighbour_name(i), view->disagrees[i] ? BAD : GOOD,
				"it does not run the configuration in force");
	}
	if (status != NULL) {
		snprintf(text, sizeof(text), "%u addresses to listen on could not be opened",
			status->listeners_down);
		report(watch, WATCH_LISTENERS_DOWN, "controlplane", status->listeners_down > 0 ? BAD : GOOD,
			text);
	}
}

/* A thread is the same if it has the same place and name. */
static uint64_t used_us(const struct cp_load *before, const struct cp_load *now, uint32_t i)
{
	bool same = i < before->threads &&
		    strncmp(before->thread[i].name, now->thread[i].name, sizeof(now->thread[i].name)) == 0;

	return same && now->thread[i].cpu_us > before->thread[i].cpu_us
		       ? now->thread[i].cpu_us - before->thread[i].cpu_us
		       : 0;
}

static void look_at_load(struct watch *watch, const struct metrics_snapshot *snapshot)
{
	const struct cp_load *load = metrics_snapshot_one(snapshot, METRICS_CP_LOAD);

	watch->load[0] = watch->load[1];
	watch->load[1].at_ms = load != NULL ? watch->now_ms : 0;
	if (load == NULL)
		return;
	watch->load[1].load = *load;
	if (load->threads > CP_THREADS_MAX)
		watch->load[1].load.threads = CP_THREADS_MAX;
}

bool watch_load(const struct watch *watch, struct watch_load *out)
{
	uint64_t ms;

	if (watch == NULL || watch->load[1].at_ms == 0)
		return false;
	out->total = watch->load[1].load;
	ms = watch->load[1].at_ms - watch->load[0].at_ms;
	out->known = watch->load[0].at_ms != 0 && ms > 0;
	for (uint32_t i = 0; out->known && i < out->total.threads; i++)
		out->percent[i] =
			(unsigned)((used_us(&watch->load[0].load, &out->total, i) + 5 * ms) / (10 * ms));
	return true;
}

void watch_look(struct watch *watch, const struct metrics_snapshot *snapshot, const struct watch_view *view,
	uint64_t now_ms)
{
	const struct config_alarms *thresholds = &(*watch->config)->alarms;
	char text[CP_LINE_MAX];

	watch->now_ms = now_ms;
	for (unsigned i = 0; i < WATCH_ALARMS_MAX; i++)
		watch->entry[i].reported = false;
	look_at_processes(watch, snapshot, view);
	look_at_dataplane(watch, snapshot);
	report(watch, WATCH_METRICS_DOWN, "metrics.listen", watch->metrics_down ? BAD : GOOD,
		"it could not be opened");
	if (view->disk_percent < 0)
		return;
	snprintf(text, sizeof(text), "%d %% of the disk are left", view->disk_percent);
	report(watch, WATCH_DISK_LOW, "system.data-directory",
		view->disk_percent < (int)thresholds->disk_raise   ? BAD
		: view->disk_percent < (int)thresholds->disk_clear ? BETWEEN
								   : GOOD,
		text);
	look_at_load(watch, snapshot);
}

void watch_metrics_down(struct watch *watch, bool down)
{
	watch->metrics_down = down;
}

static int compare(const void *a, const void *b)
{
	const struct cp_alarm *one = a, *other = b;

	return one->number < other->number ? -1 : one->number > other->number;
}

size_t watch_alarms(const struct watch *watch, struct cp_alarm out[WATCH_ALARMS_MAX])
{
	size_t count = 0;

	for (unsigned i = 0; watch != NULL && i < WATCH_ALARMS_MAX; i++)
		if (watch->entry[i].alarm.kind != 0 && watch->entry[i].alarm.number != 0)
			out[count++] = watch->entry[i].alarm;
	qsort(out, count, sizeof(*out), compare);
	return count;
}

static int disk_percent(const char *directory)
{
	struct statvfs disk;
	uint64_t usable;

	if (statvfs(directory, &disk) != 0)
		return -1;
	usable = disk.f_blocks - disk.f_bfree + disk.f_bavail;
	return usable > 0 ? (int)(disk.f_bavail * 100 / usable) : -1;
}

static void gathered(void *arg, const struct metrics_snapshot *snapshot)
{
	struct watch *watch = arg;
	struct watch_view view = { .disk_percent = disk_percent((*watch->config)->system.data_directory) };

	watch->gather = NULL;
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		view.disagrees[i] = !commits_agrees(watch->commits, i);
	watch_look(watch, snapshot, &view, clock_now_ms());
}

static void on_timer(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	const unsigned parts = 1U << METRICS_DP_STATS | 1U << METRICS_DP_REALMS | 1U << METRICS_CP_STATUS |
			       1U << METRICS_CP_LOAD;

	if (watch->gather == NULL)
		(void)metrics_gather_begin(watch->neighbours, parts, gathered, watch, &watch->gather);
}

int watch_new(uv_loop_t *loop, const struct neighbours *neighbours, const struct commits *commits,
	const struct config *const *config, struct watch **out)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	uv_timer_t *timer = calloc(1, sizeof(*timer));

	if (watch == NULL || timer == NULL) {
		free(watch);
		free(timer);
		return -ENOMEM;
	}
	watch->neighbours = neighbours;
	watch->commits = commits;
	watch->config = config;
	watch->timer = timer;
	timer->data = watch;
	uv_timer_init(loop, timer);
	uv_timer_start(timer, on_timer, LOOK_MS, LOOK_MS);
	*out = watch;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	metrics_gather_abandon(watch->gather);
	uv_close((uv_handle_t *)watch->timer, on_closed);
	free(watch);
}
