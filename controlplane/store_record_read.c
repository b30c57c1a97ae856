/* SPDX-License-Identifier: BSD-3-Clause */
/* Records looked for, by the main thread: a bounded search for each page, so that neither it nor who writes waits long. */
#include <errno.h>
#include <string.h>

#include "controlplane/store_record_internal.h"

enum {
	WINDOW = 2048, /* numbers that one answer looks at */
	CLOCK_STEP_MS = 3600000, /* by so much the clock may have been set back between two calls */
	SQL_MAX = 4096,
};

static const char page_where[] =
	" FROM record WHERE number < ?1 AND number >= ?2 AND (?3 = 0 OR started >= ?3)"
	" AND (?4 = 0 OR started <= ?4) AND (?5 = 0 OR \"call\" = ?5)"
	" AND (?6 = '' OR ?6 IN (\"caller-from\", \"caller-to\", \"callee-from\", \"callee-to\"))"
	" ORDER BY number DESC";

static int prepare(struct record_store *store)
{
	struct record_statements *s = &store->statements;
	char sql[SQL_MAX];
	struct writer out;
	int result;

	if (s->page)
		return 0;
	writer_init(&out, sql, sizeof(sql));
	writer_text(&out, "SELECT ");
	writer_text(&out, record_write_columns);
	writer_text(&out, page_where);
	result = sqlite3_prepare_v3(store->db,
		"SELECT number, started FROM record WHERE number < ? ORDER BY number DESC LIMIT 1", -1,
		SQLITE_PREPARE_PERSISTENT, &s->next, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v3(store->db,
			"SELECT max(number) FROM record WHERE \"call\" = ?1 AND number < ?2", -1,
			SQLITE_PREPARE_PERSISTENT, &s->of_call, NULL);
	if (result == SQLITE_OK && !out.overflow)
		result = sqlite3_prepare_v3(
			store->db, sql, (int)out.len, SQLITE_PREPARE_PERSISTENT, &s->page, NULL);
	return out.overflow ? -ENOSPC : database_errno(result);
}

static sqlite3_int64 bounded(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value;
}

/* The newest one below `before` that may be meant; 0: there is none. */
static uint64_t start_of(const struct record_store *store, const struct cp_record_list *ask, uint64_t before)
{
	sqlite3_stmt *s = ask->call ? store->statements.of_call : store->statements.next;
	uint64_t number = 0;
	int at = 1;

	if (ask->call)
		sqlite3_bind_int64(s, at++, bounded(ask->call));
	sqlite3_bind_int64(s, at, bounded(before));
	if (sqlite3_step(s) == SQLITE_ROW) {
		number = (uint64_t)sqlite3_column_int64(s, 0);
		/* Numbers go with the time. */
		if (!ask->call && ask->since_wall_ms &&
			(uint64_t)sqlite3_column_int64(s, 1) + CLOCK_STEP_MS < ask->since_wall_ms)
			number = 0;
	}
	sqlite3_reset(s);
	return number;
}

int record_store_list(struct record_store *store, const struct cp_record_list *ask,
	struct cp_record_page *page, void *out, size_t size, size_t *length)
{
	size_t user = strnlen(ask->user, sizeof(ask->user));
	uint64_t start, low;
	sqlite3_stmt *s;
	int result, error;

	*page = (struct cp_record_page){ 0 };
	*length = 0;
	if (!store || !store->db)
		return -ENOTSUP;
	error = prepare(store);
	start = error ? 0 : start_of(store, ask, ask->before ? ask->before : UINT64_MAX);
	if (start == 0)
		return error;
	low = start >= WINDOW ? start - WINDOW + 1 : 0;
	s = store->statements.page;
	sqlite3_bind_int64(s, 1, bounded(start + 1));
	sqlite3_bind_int64(s, 2, bounded(low));
	sqlite3_bind_int64(s, 3, bounded(ask->since_wall_ms));
	sqlite3_bind_int64(s, 4, bounded(ask->until_wall_ms));
	sqlite3_bind_int64(s, 5, bounded(ask->call));
	sqlite3_bind_text(s, 6, ask->user, (int)user, SQLITE_STATIC);
	page->before = low;
	while ((result = sqlite3_step(s)) == SQLITE_ROW) {
		struct cp_record *record = (struct cp_record *)((char *)out + *length);
		size_t n;

		if (size - *length < CP_RECORD_MAX || (ask->wanted && page->count == ask->wanted))
			break;
		n = record_write_row(s, record, CP_RECORD_MAX);
		if (n == 0)
			continue;
		*length += n;
		page->count++;
		page->before = record->number;
	}
	/* All of the window has been looked at: on from below it. */
	if (result == SQLITE_DONE)
		page->before = low;
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	page->more = page->before > 1 && start_of(store, ask, page->before) > 0;
	return result == SQLITE_ROW ? 0 : database_errno(result);
}
