/* SPDX-License-Identifier: BSD-3-Clause */
/* The management daemon's database. */
#include "mgmt/store.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/clock.h"
#include "platforms/base/database.h"

struct mgmt_store {
	sqlite3 *db;
};

static const char *const versions[] = {
	"CREATE TABLE revision (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, digest BLOB "
	"NOT NULL,"
	" settled INTEGER NOT NULL, who TEXT NOT NULL, comment TEXT NOT NULL, text BLOB NOT NULL) STRICT;"
	"CREATE TABLE confirm (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, deadline "
	"INTEGER NOT NULL) STRICT;"
	"CREATE TABLE saved (name TEXT PRIMARY KEY, at INTEGER NOT NULL, text BLOB NOT NULL) STRICT;"
	"CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT "
	"NULL, role TEXT NOT NULL,"
	" origin TEXT NOT NULL, command TEXT NOT NULL, outcome TEXT NOT NULL) STRICT;",
	"CREATE TABLE login (who TEXT PRIMARY KEY, at INTEGER NOT NULL, origin TEXT NOT NULL) STRICT;",
};

int mgmt_store_open(const char *directory, struct mgmt_store **out)
{
	static const struct database_schema schema = { .application = 0x53504d47, /* "SPMG" */
		.versions = versions,
		.count = sizeof(versions) / sizeof(versions[0]) };
	struct mgmt_store *store = calloc(1, sizeof(*store));
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/mgmt.db", directory);
	int error = n < 0 || n >= (int)sizeof(path) ? -ENAMETOOLONG : 0;

	if (!store)
		return -ENOMEM;
	if (!error)
		error = database_open(path, &schema, &store->db);
	if (error)
		free(store);
	else
		*out = store;
	return error;
}

void mgmt_store_close(struct mgmt_store *store)
{
	if (!store)
		return;
	database_close(store->db);
	free(store);
}

/* --- statements --- */

/* One "?" of `sql` for each letter: i (uint64_t), t (struct span, text), b (struct span, blob). What is bound is borrowed until it is finalised. */
static int start(struct mgmt_store *store, sqlite3_stmt **statement, const char *sql, const char *kinds, ...)
{
	int result = sqlite3_prepare_v2(store->db, sql, -1, statement, NULL);
	va_list args;

	va_start(args, kinds);
	for (int i = 1; result == SQLITE_OK && kinds[i - 1]; i++) {
		struct span s = { 0 };

		if (kinds[i - 1] == 'i') {
			result = sqlite3_bind_int64(*statement, i, (sqlite3_int64)va_arg(args, uint64_t));
			continue;
		}
		s = va_arg(args, struct span);
		result = kinds[i - 1] == 't'
				 ? sqlite3_bind_text64(
					   *statement, i, s.p ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8)
				 : sqlite3_bind_blob64(*statement, i, s.p ? s.p : "", s.n, SQLITE_STATIC);
	}
	va_end(args);
	return database_errno(result);
}

/* The next row: 1, 0 when there is none, or -errno. */
static int next(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	return result == SQLITE_ROW ? 1 : database_errno(result);
}

static int finish(sqlite3_stmt *statement, int error)
{
	while (error > 0)
		error = next(statement);
	sqlite3_finalize(statement);
	return error;
}

#define RUN(store, sql, ...)                                                  \
	({                                                                    \
		sqlite3_stmt *statement_ = NULL;                              \
		int error_ = start((store), &statement_, (sql), __VA_ARGS__); \
		finish(statement_, error_ ? error_ : next(statement_));       \
	})

static struct span column(sqlite3_stmt *statement, int index)
{
	const void *bytes = sqlite3_column_blob(statement, index);

	return (struct span){ bytes ? bytes : "", (size_t)sqlite3_column_bytes(statement, index) };
}

static uint64_t number(sqlite3_stmt *statement, int index)
{
	return (uint64_t)sqlite3_column_int64(statement, index);
}

static struct span digest_span(const struct config_digest *digest)
{
	return (struct span){ (const char *)digest, sizeof(*digest) };
}

static int take_text(struct span from, char **text, size_t *length)
{
	*text = malloc(from.n + 1);
	if (!*text)
		return -ENOMEM;
	memcpy(*text, from.p, from.n);
	(*text)[from.n] = '\0';
	*length = from.n;
	return 0;
}

/* --- revisions --- */

int mgmt_store_revision_add(
	struct mgmt_store *store, struct revision *revision, const char *text, size_t length)
{
	int error;

	revision->wall_ms = clock_wall_ms();
	error = RUN(store,
		"INSERT INTO revision (at, digest, settled, who, comment, text) VALUES (?, ?, 0, ?, ?, ?)",
		"ibttb", revision->wall_ms, digest_span(&revision->digest), span_from(revision->who),
		span_from(revision->comment), ((struct span){ text, length }));
	if (!error)
		revision->number = (uint64_t)sqlite3_last_insert_rowid(store->db);
	return error;
}

int mgmt_store_revision_settle(struct mgmt_store *store, uint64_t revision)
{
	return RUN(store, "UPDATE revision SET settled = 1 WHERE number = ?", "i", revision);
}

int mgmt_store_revision_recover(struct mgmt_store *store, const struct config_digest *file, bool *found)
{
	sqlite3_stmt *statement = NULL;
	int error = RUN(store, "UPDATE revision SET settled = 1 WHERE settled = 0 AND digest = ?", "b",
		digest_span(file));

	if (!error)
		error = RUN(store, "DELETE FROM revision WHERE settled = 0", "");
	if (error)
		return error;
	error = start(store, &statement, "SELECT digest FROM revision ORDER BY number DESC LIMIT 1", "");
	if (!error)
		error = next(statement);
	*found = error > 0 && span_equal(column(statement, 0), digest_span(file));
	return finish(statement, error);
}

static void read_revision(sqlite3_stmt *statement, struct revision *out)
{
	struct span digest = column(statement, 2);

	*out = (struct revision){ .number = number(statement, 0), .wall_ms = number(statement, 1) };
	if (digest.n == sizeof(out->digest))
		memcpy(&out->digest, digest.p, digest.n);
	(void)snprintf(out->who, sizeof(out->who), "%.*s", SPAN_FMT(column(statement, 3)));
	(void)snprintf(out->comment, sizeof(out->comment), "%.*s", SPAN_FMT(column(statement, 4)));
}

int mgmt_store_revision_get(
	struct mgmt_store *store, uint64_t back, struct revision *revision, char **text, size_t *length)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement,
		"SELECT number, at, digest, who, comment, text FROM revision WHERE settled = 1 ORDER BY "
		"number DESC"
		" LIMIT 1 OFFSET ?",
		"i", back);
	int rows = error ? error : next(statement);

	if (rows > 0) {
		read_revision(statement, revision);
		error = text ? take_text(column(statement, 5), text, length) : 0;
	} else {
		error = rows ? rows : -ENOENT;
	}
	sqlite3_finalize(statement);
	return error;
}

static int text_of(struct mgmt_store *store, sqlite3_stmt *statement, int error, char **text, size_t *length)
{
	int rows = error ? error : next(statement);

	(void)store;
	error = rows > 0 ? take_text(column(statement, 0), text, length) : rows ? rows : -ENOENT;
	sqlite3_finalize(statement);
	return error;
}

int mgmt_store_revision_text(struct mgmt_store *store, uint64_t revision, char **text, size_t *length)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement, "SELECT text FROM revision WHERE number = ? AND settled = 1",
		"i", revision);

	return text_of(store, statement, error, text, length);
}

int mgmt_store_revision_find(
	struct mgmt_store *store, const struct config_digest *digest, char **text, size_t *length)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement,
		"SELECT text FROM revision WHERE digest = ? AND settled = 1 ORDER BY number DESC LIMIT 1",
		"b", digest_span(digest));

	return text_of(store, statement, error, text, length);
}

int mgmt_store_revision_list(struct mgmt_store *store, size_t limit,
	bool (*take)(void *arg, const struct revision *revision), void *arg)
{
	sqlite3_stmt *statement = NULL;
	struct revision revision;
	int error = start(store, &statement,
		"SELECT number, at, digest, who, comment FROM revision WHERE settled = 1 ORDER BY number "
		"DESC LIMIT ?",
		"i", (uint64_t)limit);
	bool more = true;

	while (!error && more && (error = next(statement)) > 0) {
		read_revision(statement, &revision);
		more = take(arg, &revision);
		error = 0;
	}
	sqlite3_finalize(statement);
	return error;
}

int mgmt_store_revision_trim(struct mgmt_store *store, uint64_t keep)
{
	return RUN(store,
		"DELETE FROM revision WHERE number <= (SELECT max(number) FROM revision) - ? AND number NOT "
		"IN (SELECT number FROM confirm)",
		"i", keep);
}

/* --- the others --- */

int mgmt_store_confirm_set(struct mgmt_store *store, uint64_t revision, uint64_t deadline_wall_ms)
{
	if (!revision)
		return RUN(store, "DELETE FROM confirm", "");
	return RUN(store, "INSERT OR REPLACE INTO confirm (one, number, deadline) VALUES (1, ?, ?)", "ii",
		revision, deadline_wall_ms);
}

int mgmt_store_confirm_get(struct mgmt_store *store, uint64_t *revision, uint64_t *deadline_wall_ms)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement, "SELECT number, deadline FROM confirm", "");

	*revision = *deadline_wall_ms = 0;
	if (!error)
		error = next(statement);
	if (error > 0) {
		*revision = number(statement, 0);
		*deadline_wall_ms = number(statement, 1);
	}
	return finish(statement, error);
}

int mgmt_store_saved_set(struct mgmt_store *store, const char *name, const char *text, size_t length)
{
	return RUN(store, "INSERT OR REPLACE INTO saved (name, at, text) VALUES (?, ?, ?)", "tib",
		span_from(name), clock_wall_ms(), ((struct span){ text, length }));
}

int mgmt_store_saved_get(struct mgmt_store *store, const char *name, char **text, size_t *length)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement, "SELECT text FROM saved WHERE name = ?", "t", span_from(name));

	return text_of(store, statement, error, text, length);
}

int mgmt_store_login_set(struct mgmt_store *store, const char *who, const char *from)
{
	return RUN(store, "INSERT OR REPLACE INTO login (who, at, origin) VALUES (?, ?, ?)", "tit",
		span_from(who), clock_wall_ms(), span_from(from));
}

int mgmt_store_login_get(struct mgmt_store *store, const char *who, struct last_login *login)
{
	sqlite3_stmt *statement = NULL;
	int error =
		start(store, &statement, "SELECT at, origin FROM login WHERE who = ?", "t", span_from(who));

	*login = (struct last_login){ .wall_ms = 0 };
	if (!error)
		error = next(statement);
	if (error > 0) {
		login->wall_ms = number(statement, 0);
		(void)snprintf(login->from, sizeof(login->from), "%.*s", SPAN_FMT(column(statement, 1)));
	}
	return finish(statement, error);
}

int mgmt_store_audit(struct mgmt_store *store, struct span who, struct span role, struct span from,
	struct span command, struct span outcome)
{
	return RUN(store,
		"INSERT INTO audit (at, who, role, origin, command, outcome) VALUES (?, ?, ?, ?, ?, ?)",
		"ittttt", clock_wall_ms(), who, role, from, command, outcome);
}

int mgmt_store_audit_list(struct mgmt_store *store, uint64_t before, size_t limit,
	bool (*take)(void *arg, const struct command_audit *audit), void *arg)
{
	sqlite3_stmt *statement = NULL;
	int error = start(store, &statement,
		"SELECT number, at, who, role, origin, command, outcome FROM audit WHERE number < ? ORDER BY "
		"number DESC LIMIT ?",
		"ii", before ? before : (uint64_t)INT64_MAX, (uint64_t)limit);
	bool more = true;

	while (!error && more && (error = next(statement)) > 0) {
		more = take(arg, &(struct command_audit){ .number = number(statement, 0),
					 .wall_ms = number(statement, 1),
					 .who = column(statement, 2),
					 .role = column(statement, 3),
					 .from = column(statement, 4),
					 .command = column(statement, 5),
					 .outcome = column(statement, 6) });
		error = 0;
	}
	sqlite3_finalize(statement);
	return error;
}

int mgmt_store_audit_trim(struct mgmt_store *store, uint64_t keep)
{
	return RUN(store, "DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", "i", keep);
}
