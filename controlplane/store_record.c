/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of records and the thread that writes them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/alarm.h"
#include "controlplane/store_record_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	GROUP_MAX =
		4096, /* records of one transaction: so many are written without waiting for the group's time */
	IDLE_MS = 60000, /* without calls, so often what is too old is looked for */
	TRIM_MS = 1000, /* with calls */
	TRIM_MORE_MS = 50, /* while there is more of it */
};

/* --- the queue ------------------------------------------------------------------------------------------------------- */

uint64_t record_store_number(struct record_store *store)
{
	return __atomic_fetch_add(&store->next_number, 1, __ATOMIC_RELAXED);
}

static struct record_change *change_new(const struct cp_record *record)
{
	struct record_change *change = malloc(offsetof(struct record_change, record) + record->length);

	if (!change)
		return NULL;
	change->next = NULL;
	change->place = -1;
	memcpy(&change->record, record, record->length);
	return change;
}

void record_store_put(struct record_store *store, const struct cp_record *record)
{
	struct record_change *change = change_new(record);
	bool full;

	pthread_mutex_lock(&store->lock);
	full = !change || store->queued >= __atomic_load_n(&store->queue, __ATOMIC_RELAXED);
	if (full) {
		store->lost++;
	} else {
		change->place = record_journal_put(store->journal, record);
		*store->last = change;
		store->last = &change->next;
		if (++store->queued == 1 || store->queued == GROUP_MAX)
			pthread_cond_signal(&store->changed);
	}
	pthread_mutex_unlock(&store->lock);
	if (!full)
		return;
	log_warning("record", "the disk is too slow: the record of a call is lost");
	free(change);
}

void record_store_counts(struct record_store *store, uint64_t *waiting, uint64_t *lost)
{
	*waiting = *lost = 0;
	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	*waiting = store->queued + store->writing;
	*lost = store->lost;
	pthread_mutex_unlock(&store->lock);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static struct timespec in_ms(uint64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

/* What has gathered, as soon as it is time for a group; NULL: nothing came. lock is held */
static struct record_change *take_group(struct record_store *store)
{
	struct timespec until = in_ms(store->trimming ? TRIM_MORE_MS : IDLE_MS);
	struct record_change *first;

	while (!store->first && !store->stopping)
		if (pthread_cond_timedwait(&store->changed, &store->lock, &until) == ETIMEDOUT)
			break;
	until = in_ms(__atomic_load_n(&store->group_time_ms, __ATOMIC_RELAXED));
	while (store->first && store->queued < GROUP_MAX && !store->stopping)
		if (pthread_cond_timedwait(&store->changed, &store->lock, &until) == ETIMEDOUT)
			break;
	first = store->first;
	store->first = NULL;
	store->last = &store->first;
	store->writing = store->queued;
	store->queued = 0;
	return first;
}

static int write_file(struct record_store *store, const struct record_change *first)
{
	int error;

	if (!store->file)
		return 0;
	error = record_file_begin(store->file);
	if (error)
		return error;
	for (; first; first = first->next)
		if (first->record.value[CP_RECORD_STATE] != CP_RECORD_IS_OPEN)
			record_file_add(store->file, &first->record);
	return record_file_end(store->file);
}

/* A disk that fails is told of once, and once when it works again. */
static void tell_failure(struct record_store *store, int error)
{
	if (error && !store->failing)
		log_error("record", "records of calls cannot be written", LOG_ERRNO("error", error));
	else if (!error && store->failing)
		log_notice("record", "records of calls are written again");
	store->failing = error != 0;
	if (error)
		alarm_raise(store->alarms, CP_ALARM_STORE, CP_SEVERITY_CRITICAL, "records",
			"records of calls cannot be written and are lost");
	else
		alarm_clear(store->alarms, CP_ALARM_STORE, "records");
}

/* The database first: what is in the text file is in it, too. */
static int write_group(struct record_store *store, const struct record_change *first)
{
	int error = store->db ? record_write_group(store, first) : 0;
	int file_error = write_file(store, first);

	tell_failure(store, error ? error : file_error);
	return error;
}

/* lock is held */
static void forget(struct record_store *store, struct record_change *first, bool lost)
{
	struct record_change *next;

	for (; first; first = next) {
		next = first->next;
		if (first->place >= 0)
			record_journal_free(store->journal, first->place);
		free(first);
	}
	if (lost)
		store->lost += store->writing;
	store->writing = 0;
}

static void trim(struct record_store *store)
{
	uint64_t now = clock_now_ms(), pause = store->trimming ? TRIM_MORE_MS : TRIM_MS;

	if (!store->db || now - store->trimmed_ms < pause)
		return;
	store->trimmed_ms = now;
	if (record_write_trim(store))
		store->trimming = false;
}

static void *run(void *arg)
{
	struct record_store *store = arg;
	bool over = false;

	pthread_mutex_lock(&store->lock);
	while (!over) {
		struct record_change *group = take_group(store);
		int error;

		over = store->stopping && !group;
		pthread_mutex_unlock(&store->lock);
		error = group ? write_group(store, group) : 0;
		if (!over)
			trim(store);
		pthread_mutex_lock(&store->lock);
		forget(store, group, error != 0);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

/* --- what a process before us has left -------------------------------------------------------------------------------- */

struct left {
	struct record_change *first, **last;
	size_t count;
	bool failed;
};

static void take_left(void *arg, const struct cp_record *record)
{
	struct left *left = arg;
	struct record_change *change = change_new(record);

	if (!change) {
		left->failed = true;
		return;
	}
	*left->last = change;
	left->last = &change->next;
	left->count++;
}

static void add_lost(void *arg, const struct cp_record *record)
{
	struct record_store *store = arg;

	if (store->file)
		record_file_add(store->file, record);
}

static void note_number(struct record_store *store, const struct record_change *first)
{
	store->next_number = 1;
	if (store->db)
		store->next_number = record_write_newest(store) + 1;
	for (; first; first = first->next)
		if (first->record.number >= store->next_number)
			store->next_number = first->record.number + 1;
}

/* A text file that cannot be written keeps nobody from telephoning. */
static int close_lost(struct record_store *store)
{
	int file_error = store->file ? record_file_begin(store->file) : 0;
	int error = record_write_lost(store, add_lost, store);

	if (store->file && file_error == 0)
		file_error = record_file_end(store->file);
	tell_failure(store, file_error);
	return error;
}

static int take_over(struct record_store *store)
{
	struct left left = { .last = &left.first };
	int error = 0;

	record_journal_each(store->journal, take_left, &left);
	error = left.failed ? -ENOMEM : 0;
	if (error == 0 && left.first)
		error = write_group(store, left.first);
	note_number(store, left.first);
	if (error == 0)
		record_journal_clear(store->journal);
	forget(store, left.first, false);
	if (error == 0 && left.count)
		log_notice("record", "records that a process before had not written yet are written",
			LOG_UINT("count", left.count));
	return error || !store->db ? error : close_lost(store);
}

/* --- open and close --------------------------------------------------------------------------------------------------- */

static void release(struct record_store *store)
{
	record_write_close(store);
	record_file_free(store->file);
	record_journal_close(store->journal);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static int path_of(const char *directory, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", directory, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static void settings_take(struct record_store *store, const struct config *config)
{
	__atomic_store_n(&store->queue, config->store.queue, __ATOMIC_RELAXED);
	__atomic_store_n(&store->group_time_ms, config->store.group_time_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&store->keep_days, config->accounting.keep_days, __ATOMIC_RELAXED);
}

void record_store_move(struct record_store *store, const struct config_move *move)
{
	if (store)
		settings_take(store, config_move_to(move));
}

static int open_files(struct record_store *store, const struct config *config)
{
	char path[PATH_MAX];
	int error = path_of(config->system.run_directory, "records.journal", path);

	if (error == 0)
		error = record_journal_open(path, &store->journal);
	if (error == 0 && config->accounting.file && config->accounting.file[0])
		error = record_file_new(config->accounting.file, &store->file);
	if (error || !config->accounting.database)
		return error;
	error = path_of(config->system.data_directory, "records.db", path);
	return error ? error : record_write_open(store, path);
}

int record_store_open(const struct config *config, struct record_store **out)
{
	struct record_store *store;
	pthread_condattr_t attributes;
	int error;

	*out = NULL;
	if (!config->accounting.database && !(config->accounting.file && config->accounting.file[0]))
		return 0;
	store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	settings_take(store, config);
	store->last = &store->first;
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&store->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	error = open_files(store, config);
	if (error == 0)
		error = take_over(store);
	if (error == 0)
		error = -pthread_create(&store->thread, NULL, run, store);
	if (error) {
		release(store);
		return error;
	}
	*out = store;
	return 0;
}

void record_store_alarms(struct record_store *store, struct alarms *alarms)
{
	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	store->alarms = alarms;
	pthread_mutex_unlock(&store->lock);
}

void record_store_close(struct record_store *store)
{
	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->thread, NULL);
	record_journal_remove(store->journal);
	release(store);
}
