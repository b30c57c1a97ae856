/* SPDX-License-Identifier: BSD-3-Clause */
/* A daemon's SQLite file: made, opened, checked, and put aside when it is damaged. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platforms/base/database.h"

#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	BUSY_MS = 2000, /* for one that is just ending */
};

int database_errno(int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

/* A pragma's or query's first value; `fallback` if it has none. */
static int64_t ask(sqlite3 *db, const char *sql, int64_t fallback, int *error)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	int64_t value = fallback;

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	*error = database_errno(result);
	sqlite3_finalize(statement);
	return value;
}

static int run(sqlite3 *db, const char *sql)
{
	return database_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* "ok", or what is wrong. */
static int check(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	int error;

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	error = database_errno(result);
	if (result == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(statement, 0);

		if (!text || strcmp((const char *)text, "ok") != 0)
			error = -EBADMSG;
	}
	sqlite3_finalize(statement);
	return error;
}

/* Exclusive: two processes never write one file, and no memory is shared by a file of its own. */
static int settle(sqlite3 *db)
{
	int error =
		run(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
			"PRAGMA cell_size_check=ON; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			"PRAGMA journal_size_limit=16777216; BEGIN EXCLUSIVE; COMMIT");

	return error;
}

static int upgrade(sqlite3 *db, const struct database_schema *schema)
{
	int error = 0;
	int64_t application = ask(db, "PRAGMA application_id", 0, &error);
	int64_t version = error ? 0 : ask(db, "PRAGMA user_version", 0, &error);
	char text[96];

	if (error)
		return error;
	if (version > (int64_t)schema->count || version < 0 ||
		(version > 0 && application != schema->application) || (version == 0 && application != 0))
		return -EBADMSG;
	if (version == 0 && ask(db, "SELECT count(*) FROM sqlite_schema", 0, &error) != 0)
		return -EBADMSG;
	for (; error == 0 && version < (int64_t)schema->count; version++) {
		snprintf(text, sizeof(text), "PRAGMA application_id=%u; PRAGMA user_version=%d",
			schema->application, (int)version + 1);
		error = run(db, "BEGIN");
		if (error == 0)
			error = run(db, schema->versions[version]);
		if (error == 0)
			error = run(db, text);
		if (error == 0)
			error = run(db, "COMMIT");
	}
	return error;
}

/* SQLite gives what it makes beside it the same rights. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int open_path(const char *path, const struct database_schema *schema, sqlite3 **out)
{
	int error = make_file(path);

	*out = NULL;
	if (error)
		return error;
	error = database_errno(sqlite3_open_v2(path, out,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
		NULL));
	if (error == 0) {
		sqlite3_busy_timeout(*out, BUSY_MS);
		error = settle(*out);
	}
	if (error == 0)
		error = check(*out);
	if (error == 0)
		error = upgrade(*out, schema);
	if (error) {
		sqlite3_close(*out);
		*out = NULL;
	}
	return error;
}

/* With its journal: what is in that belongs to it. */
static int put_aside(const char *path)
{
	static const char *const parts[] = { "", "-wal", "-journal" };
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t now = clock_wall_ms();
	int error = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && error == 0; i++) {
		int a = snprintf(from, sizeof(from), "%s%s", path, parts[i]);
		int b = snprintf(
			to, sizeof(to), "%s.damaged-%llu%s", path, (unsigned long long)now, parts[i]);

		if (a < 0 || b < 0 || a >= (int)sizeof(from) || b >= (int)sizeof(to))
			return -ENAMETOOLONG;
		if (rename(from, to) < 0 && (i == 0 || errno != ENOENT))
			error = -errno;
		if (i == 0 && error == 0)
			log_error("database",
				"the database is damaged or not ours: put aside, a fresh one is begun",
				LOG_TEXT("file", path), LOG_TEXT("now", to));
	}
	return error;
}

int database_open(const char *path, const struct database_schema *schema, sqlite3 **out)
{
	int error = open_path(path, schema, out);

	if (error != -EBADMSG)
		return error;
	error = put_aside(path);
	return error ? error : open_path(path, schema, out);
}

void database_close(sqlite3 *db)
{
	sqlite3_close(db); /* nothing open: the journal is written into the file and removed */
}
