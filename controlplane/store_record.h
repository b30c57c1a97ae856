/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of calls: a SQLite file of their own (DATA-DIRECTORY/records.db), a text file if one is configured (accounting.file), and one thread
 * that writes both in groups. docs/decisions/0084-call-records.md */
#ifndef CONTROLPLANE_STORE_RECORD_H
#define CONTROLPLANE_STORE_RECORD_H

#include "config/move.h"
#include "controlplane/api.h"

struct record;
struct record_store;
struct alarms;

/* Opens what accounting asks for; *out is NULL if it asks for nothing. What a process before us has left in the journal is written, and
 * calls that it had answered and not ended are closed as lost. 0 or -errno (-EBUSY: another process has it). Nothing of the
 * configuration is needed afterwards. */
int record_store_open(const struct config *config, struct record_store **out);
/* Another queue, time of a group, age of records. NULL is fine. */
void record_store_move(struct record_store *store, const struct config_move *move);
/* Writes what is queued and ends. NULL is fine. */
void record_store_close(struct record_store *store);
/* Who is told of a disk that fails; once, before anything is written. They outlive the store. */
void record_store_alarms(struct record_store *store, struct alarms *alarms);
/* The number of a new call. Any thread. */
uint64_t record_store_number(struct record_store *store);
/* Any thread; copied at once, into the journal too: from here on kill -9 does not lose it. One of the same number replaces it, but nothing an
 * ended one. Never waits for a disk. */
void record_store_put(struct record_store *store, const struct record *record);
/* How many wait, and how many were lost because the queue was full or the disk refused them. NULL is fine. */
void record_store_counts(struct record_store *store, uint64_t *waiting, uint64_t *lost);
/* Those on disk that `ask` means, newest first, as many as fit into `size` octets and a bounded search finds: a page may be empty with others
 * behind it. 0 or -errno; -ENOTSUP: there is no database. */
int record_store_list(struct record_store *store, const struct cp_record_list *ask,
	struct cp_record_page *page, void *out, size_t size, size_t *length);

#endif
