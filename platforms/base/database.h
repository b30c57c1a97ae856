/* SPDX-License-Identifier: BSD-3-Clause */
/* What every daemon with a SQLite file of its own does before its first statement. */
#ifndef PLATFORMS_BASE_DATABASE_H
#define PLATFORMS_BASE_DATABASE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct database_schema {
	uint32_t application; /* in the file's header, so that no other's is taken for ours */
	const char *const *versions; /* what makes each version out of the one before */
	size_t count;
};

/* Opens or makes the file (0640, of the process's user; WAL, every commit on disk), checks it, brings it up to the newest version. One that
 * is damaged, not ours or of a later version is put aside under another name, with an error in the log, and a fresh one begun. 0 or -errno
 * (-EBUSY: another process has it). *out: database_close. */
int database_open(const char *path, const struct database_schema *schema, sqlite3 **out);
/* All statements are finalised by then. NULL is fine. */
void database_close(sqlite3 *db);
/* SQLite's result as -errno; 0 for SQLITE_OK, ROW and DONE. */
int database_errno(int result);

#endif
