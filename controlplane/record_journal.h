/* SPDX-License-Identifier: BSD-3-Clause */
/* Records on their way to the disk, in memory that outlives the process: a file of RUN-DIRECTORY, mapped. What the kernel holds there it
 * keeps when the process is killed at any moment; nobody waits for a disk. Any thread puts and frees. */
#ifndef CONTROLPLANE_RECORD_JOURNAL_H
#define CONTROLPLANE_RECORD_JOURNAL_H

#include "controlplane/record.h"

struct record_journal;

/* Opens or makes it. One that another version has left is begun anew, with a warning in the log. 0 or -errno. */
int record_journal_open(const char *path, struct record_journal **out);
void record_journal_close(struct record_journal *journal); /* what is in it stays */
void record_journal_remove(struct record_journal *journal); /* the file; nothing in it is wanted any more */
/* What a process before us has left, in no order. */
void record_journal_each(const struct record_journal *journal,
	void (*each)(void *arg, const struct record *record), void *arg);
void record_journal_clear(struct record_journal *journal);
/* A copy of it. Its place, or -ENOSPC. */
int record_journal_put(struct record_journal *journal, const struct record *record);
void record_journal_free(struct record_journal *journal, int place);

#endif
