/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to store_record*.c: the files, and what waits to be written. */
#ifndef CONTROLPLANE_STORE_RECORD_INTERNAL_H
#define CONTROLPLANE_STORE_RECORD_INTERNAL_H

#include "controlplane/record_journal.h"
#include "controlplane/store_queue.h"
#include "controlplane/store_record.h"
#include "platforms/base/database.h"

/* One record on its way to the disk. */
struct record_change {
	struct store_item item; /* first */
	int place; /* in the journal; negative: in none */
	struct record record; /* not all of it: record_size */
};

struct record_statements {
	sqlite3_stmt *begin, *commit, *rollback, *put, *put_all, *trim;
	sqlite3_stmt *page, *one, *next, *after, *of_call, *of_user; /* owner: the main thread */
};

struct record_file;

struct record_store {
	uint64_t keep_days; /* atomic: as configured now */
	sqlite3 *db; /* NULL: accounting.database = no; serialised by SQLite */
	struct record_statements statements; /* owner: the thread, but for the last ones */
	struct record_file *file; /* owner: the thread; NULL: none is configured */
	struct record_journal *journal;
	uint64_t next_number; /* atomic */
	struct store_queue queue;
	bool trimming; /* owner: the thread: there may be more to be deleted */
	uint64_t trimmed_ms; /* owner: the thread: when it was done last */
};

/* store_record_write.c */
int record_write_open(struct record_store *store, const char *path);
void record_write_close(struct record_store *store);
/* In one transaction. 0 or -errno. */
int record_write_group(struct record_store *store, const struct record_change *first);
/* A batch of what is too old. 0 or -errno. */
int record_write_trim(struct record_store *store);
/* Those that a process before us left open; each is told. 0 or -errno. */
int record_write_lost(
	struct record_store *store, void (*each)(void *arg, const struct cp_record *record), void *arg);
uint64_t record_write_newest(struct record_store *store); /* number; 0: none */
/* The row a statement stands on; columns number, numbers, texts. Its length, at most `size`; 0: it does not fit. */
size_t record_write_row(sqlite3_stmt *statement, struct cp_record *out, size_t size);
extern const char record_write_columns[]; /* for SELECT, as record_write_row wants them */

/* store_record_file.c */
int record_file_new(const char *path, struct record_file **out);
void record_file_free(struct record_file *file);
/* Opened again if it is not where it was; header. 0 or -errno. */
int record_file_begin(struct record_file *file);
void record_file_add(struct record_file *file, const struct cp_record *record);
int record_file_end(struct record_file *file); /* 0 or the first -errno */

#endif
