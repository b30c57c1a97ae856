/* SPDX-License-Identifier: BSD-3-Clause */
/* Who ordered what, read back from the file. */
#include "controlplane/store_internal.h"

static struct span text_of(sqlite3_stmt *statement, int column)
{
	const char *text = sqlite3_column_blob(statement, column);
	int length = sqlite3_column_bytes(statement, column);

	return (struct span){ text, text && length > 0 ? (size_t)length : 0 };
}

static struct store_audited entry_of(sqlite3_stmt *statement)
{
	return (struct store_audited){ .number = (uint64_t)sqlite3_column_int64(statement, 0),
		.wall_ms = (uint64_t)sqlite3_column_int64(statement, 1),
		.who = text_of(statement, 2),
		.what = text_of(statement, 3),
		.object = text_of(statement, 4),
		.reason = text_of(statement, 5) };
}

int store_audit_list(struct store *store, uint64_t before, size_t limit,
	bool (*take)(void *arg, const struct store_audited *audited), void *arg)
{
	sqlite3_stmt *statement = NULL;
	struct store_audited audited;
	int result;

	if (!store)
		return 0;
	result = sqlite3_prepare_v2(store->db,
		"SELECT number, at, who, what, object, reason FROM audit WHERE number < ? ORDER BY number "
		"DESC "
		"LIMIT ?",
		-1, &statement, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_bind_int64(
			statement, 1, before && before < INT64_MAX ? (sqlite3_int64)before : INT64_MAX);
	if (result == SQLITE_OK)
		result = sqlite3_bind_int64(statement, 2, (sqlite3_int64)limit);
	while (result == SQLITE_OK || result == SQLITE_ROW) {
		result = sqlite3_step(statement);
		if (result != SQLITE_ROW)
			break;
		audited = entry_of(statement);
		if (!take(arg, &audited))
			break;
	}
	sqlite3_finalize(statement);
	return database_errno(result);
}
