/* SPDX-License-Identifier: BSD-3-Clause */
/* Records into their database, and what is too old out of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/client.h"
#include "controlplane/store_record_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { TRIM_BATCH = 500, SQL_MAX = 12288, DAY_MS = 24 * 3600 * 1000 };

#define QUOTED(name)           ", \"" name "\""
#define NUMBER(id, name, kind) QUOTED(name)
#define TEXT(id, name)         QUOTED(name)

const char record_write_columns[] = "number" CP_RECORD_NUMBERS(NUMBER) CP_RECORD_TEXTS(TEXT);

#define NUMBER_COLUMN(id, name, kind) QUOTED(name) " INTEGER"
#define TEXT_COLUMN(id, name)         QUOTED(name) " TEXT NOT NULL"

/* Open ones are few, and are looked for at each start. */
static const char *const versions[] = {
	"CREATE TABLE record (number INTEGER PRIMARY KEY" CP_RECORD_NUMBERS(NUMBER_COLUMN)
		CP_RECORD_TEXTS(TEXT_COLUMN) ") STRICT;"
					     "CREATE INDEX record_call ON record (\"call\");"
					     "CREATE INDEX record_open ON record (number) WHERE state = 0;",
	/* By who and when; what the other leg says where it is something else. */
	"CREATE INDEX record_started ON record (started);"
	"CREATE INDEX record_caller_from ON record (\"caller-from\");"
	"CREATE INDEX record_caller_to ON record (\"caller-to\");"
	"CREATE INDEX record_callee_from ON record (\"callee-from\") WHERE \"callee-from\" <> "
	"\"caller-from\";"
	"CREATE INDEX record_callee_to ON record (\"callee-to\") WHERE \"callee-to\" <> \"caller-to\";",
};

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
	return database_errno(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

static const char *column_name(unsigned i)
{
	return i < CP_RECORD_NUMBER_COUNT ? cp_record_number_name(i)
					  : cp_record_text_name(i - CP_RECORD_NUMBER_COUNT);
}

/* Columns that have an index: what is not written leaves it alone. */
static bool is_party(unsigned i)
{
	return i == CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_CALLER_FROM ||
	       i == CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_CALLER_TO ||
	       i == CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_CALLEE_FROM ||
	       i == CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_CALLEE_TO;
}

static void write_updates(struct writer *out, bool parties)
{
	const char *comma = "";

	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_COUNT; i++) {
		const char *name = column_name(i);

		/* These a call keeps. */
		if (i == CP_RECORD_CALL || i == CP_RECORD_STARTED || (is_party(i) && !parties))
			continue;
		writer_format(out, "%s\"%s\"=excluded.\"%s\"", comma, name, name);
		comma = ", ";
	}
}

static void write_condition(struct writer *out, bool parties)
{
	writer_text(out,
		" WHERE record.state = 0 AND (excluded.state <> 0"
		" OR coalesce(excluded.\"duration-ms\", -1) >= coalesce(record.\"duration-ms\", -1))");
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_COUNT && !parties; i++)
		if (is_party(i))
			writer_format(
				out, " AND record.\"%s\" = excluded.\"%s\"", column_name(i), column_name(i));
}

/* What comes out of the journal, in no order, may be there already, and older than what is. Without `parties`: a row whose numbers are other
 * ones stays as it is. */
static int prepare_put(struct record_store *store, bool parties, sqlite3_stmt **out)
{
	char sql[SQL_MAX];
	struct writer text;

	writer_init(&text, sql, sizeof(sql) - 1);
	writer_text(&text, "INSERT INTO record (");
	writer_text(&text, record_write_columns);
	writer_text(&text, ") VALUES (?");
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT + CP_RECORD_TEXT_COUNT; i++)
		writer_text(&text, ",?");
	writer_text(&text, ") ON CONFLICT (number) DO UPDATE SET ");
	write_updates(&text, parties);
	write_condition(&text, parties);
	if (text.overflow)
		return -ENOSPC;
	sql[text.len] = '\0';
	return prepare(store->db, sql, out);
}

static int prepare_all(struct record_store *store)
{
	struct record_statements *s = &store->statements;
	int error = prepare(store->db, "BEGIN IMMEDIATE", &s->begin);

	if (error == 0)
		error = prepare(store->db, "COMMIT", &s->commit);
	if (error == 0)
		error = prepare(store->db, "ROLLBACK", &s->rollback);
	if (error == 0)
		error = prepare_put(store, false, &s->put);
	if (error == 0)
		error = prepare_put(store, true, &s->put_all);
	/* The oldest have the lowest numbers. */
	if (error == 0)
		error = prepare(store->db,
			"DELETE FROM record WHERE number IN (SELECT number FROM (SELECT number, started FROM "
			"record "
			"ORDER BY number LIMIT ?1) WHERE started < ?2)",
			&s->trim);
	return error;
}

int record_write_open(struct record_store *store, const char *path)
{
	static const struct database_schema schema = { .application = 0x53505243, /* "SPRC" */
		.versions = versions,
		.count = sizeof(versions) / sizeof(versions[0]) };
	int error = database_open(path, &schema, &store->db);

	return error ? error : prepare_all(store);
}

void record_write_close(struct record_store *store)
{
	struct record_statements *s = &store->statements;
	sqlite3_stmt *const all[] = { s->begin, s->commit, s->rollback, s->put, s->put_all, s->trim, s->page,
		s->one, s->next, s->after, s->of_call, s->of_user };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(all[i]);
	database_close(store->db);
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

/* Runs to its end and is ready again. */
static int step(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	return database_errno(result);
}

/* What is bound outlives the step. */
static int put(sqlite3_stmt *statement, const struct cp_record *record)
{
	const char *text = record->text;
	int at = 1, result = sqlite3_bind_int64(statement, at++, (sqlite3_int64)record->number);

	/* What is not bound is NULL. */
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT && result == SQLITE_OK; i++, at++)
		if (record->value[i] != CP_RECORD_NULL)
			result = sqlite3_bind_int64(statement, at, record->value[i]);
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT && result == SQLITE_OK; i++) {
		result = sqlite3_bind_text(statement, at++, text, record->text_length[i], SQLITE_STATIC);
		text += record->text_length[i];
	}
	result = result == SQLITE_OK ? step(statement) : database_errno(result);
	sqlite3_clear_bindings(statement);
	return result;
}

static int write_record(const struct record_store *store, const struct record *unpacked)
{
	_Alignas(struct cp_record) char packed[CP_RECORD_MAX];
	struct cp_record *record = (struct cp_record *)packed;
	int error;

	record_pack(unpacked, record);
	error = put(store->statements.put, record);
	/* A transfer may have changed who speaks with whom. */
	return error || sqlite3_changes(store->db) ? error : put(store->statements.put_all, record);
}

int record_write_group(struct record_store *store, const struct record_change *first)
{
	int error = step(store->statements.begin);

	if (error)
		return error;
	for (; first && error == 0; first = (const struct record_change *)first->item.next)
		error = write_record(store, &first->record);
	if (error == 0)
		error = step(store->statements.commit);
	if (error && !sqlite3_get_autocommit(store->db))
		step(store->statements.rollback);
	return error;
}

int record_write_trim(struct record_store *store)
{
	uint64_t age = __atomic_load_n(&store->keep_days, __ATOMIC_RELAXED) * DAY_MS;
	int error;

	sqlite3_bind_int64(store->statements.trim, 1, TRIM_BATCH);
	sqlite3_bind_int64(store->statements.trim, 2, (sqlite3_int64)(clock_wall_ms() - age));
	error = step(store->statements.trim);
	store->trimming = error == 0 && sqlite3_changes(store->db) > 0;
	return error;
}

size_t record_write_row(sqlite3_stmt *statement, struct cp_record *out, size_t size)
{
	size_t length = offsetof(struct cp_record, text);
	int at = 0;

	if (size < sizeof(*out))
		return 0;
	memset(out, 0, sizeof(*out));
	out->number = (uint64_t)sqlite3_column_int64(statement, at++);
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++, at++)
		out->value[i] = sqlite3_column_type(statement, at) == SQLITE_NULL
					? CP_RECORD_NULL
					: sqlite3_column_int64(statement, at);
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++, at++) {
		const unsigned char *text = sqlite3_column_text(statement, at);
		size_t n = text ? (size_t)sqlite3_column_bytes(statement, at) : 0;

		/* Somebody else may have written into the file. */
		if (n > CP_RECORD_TEXT_MAX)
			n = CP_RECORD_TEXT_MAX;
		if (length + n > size)
			return 0;
		if (n)
			memcpy((char *)out + length, text, n);
		out->text_length[i] = (uint16_t)n;
		length += n;
	}
	while (length % 8 && length < size)
		((char *)out)[length++] = '\0';
	out->length = (uint32_t)length;
	return length % 8 || length < sizeof(*out) ? 0 : length;
}

uint64_t record_write_newest(struct record_store *store)
{
	sqlite3_stmt *statement = NULL;
	uint64_t newest = 0;

	if (sqlite3_prepare_v2(store->db, "SELECT max(number) FROM record", -1, &statement, NULL) ==
			SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		newest = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return newest;
}

int record_write_lost(
	struct record_store *store, void (*each)(void *arg, const struct cp_record *record), void *arg)
{
	static const char mark[] = "UPDATE record SET state = 2 WHERE state = 0";
	_Alignas(struct cp_record) char row[CP_RECORD_MAX];
	struct cp_record *record = (struct cp_record *)row;
	sqlite3_stmt *statement = NULL;
	char sql[SQL_MAX];
	struct writer out;
	uint64_t count = 0;
	int result;

	writer_init(&out, sql, sizeof(sql));
	writer_text(&out, "SELECT ");
	writer_text(&out, record_write_columns);
	writer_text(&out, " FROM record WHERE state = 0 ORDER BY number");
	result = sqlite3_prepare_v2(store->db, sql, (int)out.len, &statement, NULL);
	while (result == SQLITE_OK || result == SQLITE_ROW) {
		result = sqlite3_step(statement);
		if (result == SQLITE_ROW && record_write_row(statement, record, sizeof(row))) {
			record->value[CP_RECORD_STATE] = CP_RECORD_IS_LOST;
			each(arg, record);
			count++;
		}
	}
	sqlite3_finalize(statement);
	if (result == SQLITE_DONE && count > 0) {
		result = sqlite3_exec(store->db, mark, NULL, NULL, NULL);
		log_notice("record", "calls that had not ended when the control plane did are closed as lost",
			LOG_UINT("count", count));
	}
	return database_errno(result);
}
