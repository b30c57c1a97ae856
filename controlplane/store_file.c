/* SPDX-License-Identifier: BSD-3-Clause */
/* The store's file: made, opened, checked, and put aside when it is damaged. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/store_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	APPLICATION = 0x53505254, /* "SPRT": in the file's header, so that no other's is taken for ours */
	BUSY_MS = 2000, /* for one that is just ending */
};

/* One row per version of the schema: what makes it out of the one before. Wire texts are blobs: they may have any octet. */
static const char *const versions[] = {
	"CREATE TABLE binding (number INTEGER PRIMARY KEY, token BLOB NOT NULL, interface TEXT NOT NULL, "
	"listener TEXT NOT NULL,"
	" agent TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL, method_bits INTEGER NOT NULL, "
	"reg_id INTEGER NOT NULL,"
	" cseq INTEGER NOT NULL, q INTEGER NOT NULL, behind_nat INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" upstream_expires INTEGER NOT NULL, confirmed INTEGER NOT NULL, upstream_cseq INTEGER NOT NULL, "
	"keep_alive INTEGER NOT NULL, "
	"lifetime INTEGER NOT NULL,"
	" heard INTEGER NOT NULL, aor BLOB NOT NULL, contact BLOB NOT NULL, instance BLOB NOT NULL, call_id "
	"BLOB NOT NULL,"
	" user_agent BLOB NOT NULL, path BLOB NOT NULL, service_route BLOB NOT NULL, gruu BLOB NOT NULL, "
	"associated BLOB NOT NULL,"
	" upstream_call_id BLOB NOT NULL) STRICT;"
	"CREATE TABLE ban (source TEXT NOT NULL, length INTEGER NOT NULL, port INTEGER NOT NULL, until "
	"INTEGER NOT NULL,"
	" times INTEGER NOT NULL, flags INTEGER NOT NULL, reason TEXT NOT NULL, who TEXT NOT NULL, since "
	"INTEGER NOT NULL,"
	" PRIMARY KEY (source, length, port)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE subscriber (number INTEGER PRIMARY KEY AUTOINCREMENT, user BLOB NOT NULL, realm BLOB "
	"NOT NULL,"
	" md5 TEXT NOT NULL, sha256 TEXT NOT NULL, changed INTEGER NOT NULL, UNIQUE (user, realm)) STRICT;"
	"CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT "
	"NULL, what TEXT NOT NULL,"
	" object TEXT NOT NULL, reason TEXT NOT NULL) STRICT;",
};
enum { VERSION = sizeof(versions) / sizeof(versions[0]) };

int store_errno(int result)
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
	*error = store_errno(result);
	sqlite3_finalize(statement);
	return value;
}

static int run(sqlite3 *db, const char *sql)
{
	return store_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* "ok", or what is wrong. */
static int check(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	int error;

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	error = store_errno(result);
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

static int upgrade(sqlite3 *db)
{
	int error = 0;
	int64_t application = ask(db, "PRAGMA application_id", 0, &error);
	int64_t version = error ? 0 : ask(db, "PRAGMA user_version", 0, &error);
	char text[96];

	if (error)
		return error;
	if (version > VERSION || version < 0 || (version > 0 && application != APPLICATION) ||
		(version == 0 && application != 0))
		return -EBADMSG;
	if (version == 0 && ask(db, "SELECT count(*) FROM sqlite_schema", 0, &error) != 0)
		return -EBADMSG;
	for (; error == 0 && version < VERSION; version++) {
		snprintf(text, sizeof(text), "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION,
			(int)version + 1);
		error = run(db, "BEGIN");
		if (error == 0)
			error = run(db, versions[version]);
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

static int open_path(const char *path, sqlite3 **out)
{
	int error = make_file(path);

	*out = NULL;
	if (error)
		return error;
	error = store_errno(sqlite3_open_v2(path, out,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
		NULL));
	if (error == 0) {
		sqlite3_busy_timeout(*out, BUSY_MS);
		error = settle(*out);
	}
	if (error == 0)
		error = check(*out);
	if (error == 0)
		error = upgrade(*out);
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
			log_error("store",
				"the database is damaged or not ours: put aside, a fresh one is begun",
				LOG_TEXT("file", path), LOG_TEXT("now", to));
	}
	return error;
}

int store_file_open(const char *directory, sqlite3 **out)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/controlplane.db", directory);
	int error;

	if (n < 0 || n >= (int)sizeof(path))
		return -ENAMETOOLONG;
	error = open_path(path, out);
	if (error != -EBADMSG)
		return error;
	error = put_aside(path);
	return error ? error : open_path(path, out);
}

void store_file_close(sqlite3 *db)
{
	sqlite3_close(db); /* nothing open: the journal is written into the file and removed */
}
