/* SPDX-License-Identifier: BSD-3-Clause */
/* Records looked for, by the main thread: a bounded search for each page, so that neither it nor who writes waits long. */
#include <errno.h>
#include <string.h>

#include "controlplane/store_record_internal.h"

enum {
	WINDOW = 2048, /* numbers that one answer looks at */
	FOUND = 512, /* the same, where an index tells which */
	CLOCK_STEP_MS = 3600000, /* by so much the clock may have been set back between two calls */
	SQL_MAX = 4096,
};

static const char page_where[] =
	" FROM record WHERE number < ?1 AND number >= ?2 AND (?3 = 0 OR started >= ?3)"
	" AND (?4 = 0 OR started <= ?4) ORDER BY number DESC";
static const char one_where[] = " FROM record WHERE number = ?1";
static const char next[] =
	"SELECT number, started FROM record WHERE number < ?1 ORDER BY number DESC LIMIT 1";
static const char after[] = "SELECT number FROM record WHERE started > ?1 ORDER BY started LIMIT 1";
static const char of_call[] = "SELECT max(number) FROM record WHERE \"call\" = ?2 AND number < ?1";
/* What the other leg says is indexed where it differs, as these conditions say: nearly always it is the same. */
static const char of_user[] =
	"SELECT max(number) FROM ("
	"SELECT max(number) AS number FROM record WHERE \"caller-from\" = ?2 AND number < ?1 UNION ALL "
	"SELECT max(number) FROM record WHERE \"caller-to\" = ?2 AND number < ?1 UNION ALL "
	"SELECT max(number) FROM record WHERE \"callee-from\" = ?2 AND \"callee-from\" <> \"caller-from\" "
	"AND number < ?1"
	" UNION ALL "
	"SELECT max(number) FROM record WHERE \"callee-to\" = ?2 AND \"callee-to\" <> \"caller-to\" AND "
	"number < ?1)";

static int prepare(sqlite3 *db, const char *select, const char *rest, sqlite3_stmt **out)
{
	char sql[SQL_MAX];
	struct writer text;

	writer_init(&text, sql, sizeof(sql));
	if (select) {
		writer_text(&text, "SELECT ");
		writer_text(&text, select);
	}
	writer_text(&text, rest);
	if (text.overflow)
		return -ENOSPC;
	return database_errno(
		sqlite3_prepare_v3(db, sql, (int)text.len, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

static int prepare_all(struct record_store *store)
{
	struct record_statements *s = &store->statements;
	const struct {
		const char *select, *rest;
		sqlite3_stmt **out;
	} rows[] = { { NULL, next, &s->next }, { NULL, after, &s->after }, { NULL, of_call, &s->of_call },
		{ NULL, of_user, &s->of_user }, { record_write_columns, one_where, &s->one },
		{ record_write_columns, page_where, &s->page } };
	int error = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && error == 0; i++)
		if (!*rows[i].out)
			error = prepare(store->db, rows[i].select, rows[i].rest, rows[i].out);
	return error;
}

static sqlite3_int64 bounded(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value;
}

/* Its first column; 0: there is no row. */
static uint64_t number_of(sqlite3_stmt *s)
{
	uint64_t number = sqlite3_step(s) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	return number;
}

/* Numbers go with the time, but for a clock that was set: nothing as old as `ask` wants is behind this one. */
static uint64_t end_of(const struct record_store *store, const struct cp_record_list *ask, uint64_t before)
{
	sqlite3_stmt *s = store->statements.after;
	uint64_t number;

	if (!ask->until_wall_ms)
		return before;
	sqlite3_bind_int64(s, 1, bounded(ask->until_wall_ms + CLOCK_STEP_MS));
	number = number_of(s);
	return number && number < before ? number : before;
}

static bool is_too_old(const struct cp_record_list *ask, sqlite3_int64 started)
{
	return ask->since_wall_ms && (uint64_t)started + CLOCK_STEP_MS < ask->since_wall_ms;
}

/* The newest one below `before` that may be meant, by the index that knows; 0: there is none. */
static uint64_t start_of(const struct record_store *store, const struct cp_record_list *ask, uint64_t before)
{
	const struct record_statements *s = &store->statements;
	sqlite3_stmt *statement = ask->call ? s->of_call : ask->user[0] ? s->of_user : s->next;
	uint64_t number;

	sqlite3_bind_int64(statement, 1, bounded(before));
	if (ask->call)
		sqlite3_bind_int64(statement, 2, bounded(ask->call));
	else if (ask->user[0])
		sqlite3_bind_text(
			statement, 2, ask->user, (int)strnlen(ask->user, sizeof(ask->user)), SQLITE_STATIC);
	if (statement != s->next) {
		number = number_of(statement);
		sqlite3_clear_bindings(statement);
		return number;
	}
	number = sqlite3_step(statement) == SQLITE_ROW && !is_too_old(ask, sqlite3_column_int64(statement, 1))
			 ? (uint64_t)sqlite3_column_int64(statement, 0)
			 : 0;
	sqlite3_reset(statement);
	return number;
}

struct answer {
	struct cp_record_page *page;
	char *out;
	size_t size, length;
	uint32_t wanted;
};

/* The row a statement stands on. False: it has no room, or is one too many. */
static bool add(struct answer *answer, sqlite3_stmt *statement)
{
	struct cp_record *record = (struct cp_record *)(answer->out + answer->length);
	size_t n;

	if (answer->size - answer->length < CP_RECORD_MAX ||
		(answer->wanted && answer->page->count == answer->wanted))
		return false;
	n = record_write_row(statement, record, CP_RECORD_MAX);
	if (n) {
		answer->length += n;
		answer->page->count++;
	}
	return true;
}

/* All of a window, in one go. 0 or -errno. */
static int list_window(const struct record_store *store, const struct cp_record_list *ask, uint64_t start,
	struct answer *answer)
{
	sqlite3_stmt *s = store->statements.page;
	uint64_t low = start >= WINDOW ? start - WINDOW + 1 : 0;
	int result;

	sqlite3_bind_int64(s, 1, bounded(start + 1));
	sqlite3_bind_int64(s, 2, bounded(low));
	sqlite3_bind_int64(s, 3, bounded(ask->since_wall_ms));
	sqlite3_bind_int64(s, 4, bounded(ask->until_wall_ms));
	answer->page->before = start + 1;
	while ((result = sqlite3_step(s)) == SQLITE_ROW && add(answer, s))
		answer->page->before = (uint64_t)sqlite3_column_int64(s, 0);
	/* All of the window has been looked at: on from below it. */
	if (result == SQLITE_DONE)
		answer->page->before = low;
	sqlite3_reset(s);
	return result == SQLITE_ROW ? 0 : database_errno(result);
}

static bool is_meant(const struct cp_record_list *ask, sqlite3_int64 started)
{
	return (!ask->since_wall_ms || (uint64_t)started >= ask->since_wall_ms) &&
	       (!ask->until_wall_ms || (uint64_t)started <= ask->until_wall_ms);
}

/* One after the other, from index to row. 0 or -errno. */
static int list_found(const struct record_store *store, const struct cp_record_list *ask, uint64_t number,
	struct answer *answer)
{
	sqlite3_stmt *s = store->statements.one;
	bool room = true;
	int result = SQLITE_ROW;

	answer->page->before = number + 1;
	for (unsigned i = 0; i < FOUND && number && room && result == SQLITE_ROW; i++) {
		sqlite3_int64 started;

		sqlite3_bind_int64(s, 1, bounded(number));
		result = sqlite3_step(s);
		started = sqlite3_column_int64(s, 1 + CP_RECORD_STARTED);
		if (result == SQLITE_ROW && is_too_old(ask, started))
			number = 1; /* so are all below */
		else if (result == SQLITE_ROW && is_meant(ask, started))
			room = add(answer, s);
		sqlite3_reset(s);
		if (!room)
			break;
		answer->page->before = number;
		number = start_of(store, ask, number);
	}
	return result == SQLITE_ROW ? 0 : database_errno(result);
}

int record_store_list(struct record_store *store, const struct cp_record_list *ask,
	struct cp_record_page *page, void *out, size_t size, size_t *length)
{
	struct answer answer = { page, out, size, 0, ask->wanted };
	uint64_t start;
	int error;

	*page = (struct cp_record_page){ 0 };
	*length = 0;
	if (!store || !store->db)
		return -ENOTSUP;
	error = prepare_all(store);
	start = error ? 0 : start_of(store, ask, end_of(store, ask, ask->before ? ask->before : UINT64_MAX));
	if (start == 0)
		return error;
	error = ask->call || ask->user[0] ? list_found(store, ask, start, &answer)
					  : list_window(store, ask, start, &answer);
	*length = answer.length;
	page->more = page->before > 1 && start_of(store, ask, page->before) > 0;
	return error;
}
