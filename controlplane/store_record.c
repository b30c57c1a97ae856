/* SPDX-License-Identifier: BSD-3-Clause */
/* Records on their way to the disk, and what a process before us has left of them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- records --------------------------------------------------------------------------------------------------------- */

uint64_t record_store_number(struct record_store *store)
{
	return __atomic_fetch_add(&store->next_number, 1, __ATOMIC_RELAXED);
}

static struct record_change *change_new(const struct record *record)
{
	struct record_change *change = malloc(offsetof(struct record_change, record) + record_size(record));

	if (!change)
		return NULL;
	change->item.next = NULL;
	change->place = -1;
	memcpy(&change->record, record, record_size(record));
	return change;
}

static void release_change(void *arg, struct store_item *item)
{
	const struct record_store *store = arg;
	struct record_change *change = (struct record_change *)item;

	if (change->place >= 0)
		record_journal_free(store->journal, change->place);
	free(change);
}

void record_store_put(struct record_store *store, const struct record *record)
{
	struct record_change *change = change_new(record);

	if (change)
		change->place = record_journal_put(store->journal, record);
	if (store_queue_put(&store->queue, change ? &change->item : NULL) && change)
		release_change(store, &change->item);
}

void record_store_counts(struct record_store *store, uint64_t *waiting, uint64_t *lost)
{
	*waiting = *lost = 0;
	if (store)
		store_queue_counts(&store->queue, waiting, lost);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void add_to_file(struct record_store *store, const struct record *record)
{
	_Alignas(struct cp_record) char packed[CP_RECORD_MAX];

	record_pack(record, (struct cp_record *)packed);
	record_file_add(store->file, (struct cp_record *)packed);
}

static int write_file(struct record_store *store, const struct record_change *first)
{
	int error;

	if (!store->file)
		return 0;
	error = record_file_begin(store->file);
	if (error)
		return error;
	for (; first; first = (const struct record_change *)first->item.next)
		if (first->record.value[CP_RECORD_STATE] != CP_RECORD_IS_OPEN)
			add_to_file(store, &first->record);
	return record_file_end(store->file);
}

/* The database first: what is in the text file is in it, too. */
static int write_group(void *arg, const struct store_item *item)
{
	struct record_store *store = arg;
	const struct record_change *first = (const struct record_change *)item;
	int error = store->db ? record_write_group(store, first) : 0;
	int file_error = write_file(store, first);

	store_queue_tell(&store->queue, error ? error : file_error);
	return error;
}

/* What is too old goes. How long there is nothing to do, in milliseconds. */
static uint64_t trim(void *arg)
{
	struct record_store *store = arg;
	uint64_t now = clock_now_ms(), pause = store->trimming ? TRIM_MORE_MS : TRIM_MS;

	if (store->db && now - store->trimmed_ms >= pause) {
		store->trimmed_ms = now;
		if (record_write_trim(store))
			store->trimming = false;
	}
	return store->trimming ? TRIM_MORE_MS : IDLE_MS;
}

static const struct store_queue_kind kind = {
	.log = "record",
	.object = "records",
	.refused = "records of calls cannot be written and are lost",
	.again = "records of calls are written again",
	.slow = "the disk is too slow: the record of a call is lost",
	.group_max = GROUP_MAX,
	.write = write_group,
	.release = release_change,
	.rest = trim,
};

/* --- what a process before us has left -------------------------------------------------------------------------------- */

struct left {
	struct store_item *first, **last;
	size_t count;
	bool failed;
};

static void take_left(void *arg, const struct record *record)
{
	struct left *left = arg;
	struct record_change *change = change_new(record);

	if (!change) {
		left->failed = true;
		return;
	}
	*left->last = &change->item;
	left->last = &change->item.next;
	left->count++;
}

static void add_lost(void *arg, const struct cp_record *record)
{
	struct record_store *store = arg;

	if (store->file)
		record_file_add(store->file, record);
}

static void note_number(struct record_store *store, const struct store_item *first)
{
	store->next_number = 1;
	if (store->db)
		store->next_number = record_write_newest(store) + 1;
	for (; first; first = first->next) {
		const struct record_change *change = (const struct record_change *)first;

		if (change->record.number >= store->next_number)
			store->next_number = change->record.number + 1;
	}
}

/* A text file that cannot be written keeps nobody from telephoning. */
static int close_lost(struct record_store *store)
{
	int file_error = store->file ? record_file_begin(store->file) : 0;
	int error = record_write_lost(store, add_lost, store);

	if (store->file && file_error == 0)
		file_error = record_file_end(store->file);
	store_queue_tell(&store->queue, file_error);
	return error;
}

static int take_over(struct record_store *store)
{
	struct left left = { .last = &left.first };
	struct store_item *next;
	int error = 0;

	record_journal_each(store->journal, take_left, &left);
	error = left.failed ? -ENOMEM : 0;
	if (error == 0 && left.first)
		error = write_group(store, left.first);
	note_number(store, left.first);
	if (error == 0)
		record_journal_clear(store->journal);
	for (struct store_item *item = left.first; item; item = next) {
		next = item->next;
		release_change(store, item);
	}
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
	store_queue_fini(&store->queue);
	free(store);
}

static int path_of(const char *directory, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", directory, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static void settings_take(struct record_store *store, const struct config *config)
{
	store_queue_settings(&store->queue, &config->store);
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
	int error;

	*out = NULL;
	if (!config->accounting.database && !(config->accounting.file && config->accounting.file[0]))
		return 0;
	store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	store_queue_init(&store->queue, &kind, &config->store, store);
	__atomic_store_n(&store->keep_days, config->accounting.keep_days, __ATOMIC_RELAXED);
	error = open_files(store, config);
	if (error == 0)
		error = take_over(store);
	if (error == 0)
		error = store_queue_start(&store->queue);
	if (error) {
		release(store);
		return error;
	}
	*out = store;
	return 0;
}

void record_store_alarms(struct record_store *store, struct alarms *alarms)
{
	if (store)
		store_queue_alarms(&store->queue, alarms);
}

void record_store_close(struct record_store *store)
{
	if (!store)
		return;
	store_queue_stop(&store->queue);
	record_journal_remove(store->journal);
	release(store);
}
