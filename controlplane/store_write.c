/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes into the file: one prepared statement for each kind, a group in one transaction. */
#include <errno.h>

#include "controlplane/store_internal.h"

/* Parameters of a statement, in their order; the first error stays. */
struct parameters {
	sqlite3_stmt *statement;
	int count, result;
};

static void keep(struct parameters *p, int result)
{
	if (p->result == SQLITE_OK)
		p->result = result;
}

static void put_number(struct parameters *p, uint64_t value)
{
	keep(p, sqlite3_bind_int64(p->statement, ++p->count, (sqlite3_int64)value));
}

static void put_text(struct parameters *p, struct span text)
{
	keep(p, sqlite3_bind_text(
			p->statement, ++p->count, text.n ? text.p : "", (int)text.n, SQLITE_TRANSIENT));
}

/* The change outlives the statement's step. */
static void put_blob(struct parameters *p, struct span text)
{
	keep(p, text.n ? sqlite3_bind_blob(p->statement, ++p->count, text.p, (int)text.n, SQLITE_STATIC)
		       : sqlite3_bind_zeroblob(p->statement, ++p->count, 0));
}

static void put_binding(struct parameters *p, const struct store_change *change)
{
	const struct binding *b = &change->binding;
	char host[ADDRESS_TEXT_MAX];

	put_number(p, b->number);
	put_blob(p, span_from(b->token));
	for (unsigned i = 0; i < STORE_NAMES; i++)
		put_text(p, change->text[STORE_TEXTS + i]);
	put_text(p, span_from(address_print_host(&b->flow.remote, host)));
	put_number(p, address_port(&b->flow.remote));
	put_number(p, b->method_bits);
	put_number(p, b->reg_id);
	put_number(p, b->cseq);
	put_number(p, b->q);
	put_number(p, b->behind_nat);
	put_number(p, b->expires_wall_ms);
	put_number(p, b->upstream_expires_wall_ms);
	put_number(p, b->confirmed_wall_ms);
	put_number(p, b->upstream_cseq);
	put_number(p, b->keep_alive_s);
	put_number(p, b->lifetime_s);
	put_number(p, b->heard_wall_ms);
	for (unsigned i = 0; i < STORE_TEXTS; i++)
		put_blob(p, change->text[i]);
}

static void put_gone(struct parameters *p, const struct store_change *change)
{
	put_number(p, change->number);
}

static void put_source(struct parameters *p, const struct dp_source_key *key)
{
	char host[ADDRESS_TEXT_MAX];
	union address address;

	dp_address_to(&key->address, &address);
	put_text(p, span_from(address_print_host(&address, host)));
	put_number(p, key->length);
	put_number(p, key->address.port);
}

static void put_ban(struct parameters *p, const struct store_change *change)
{
	put_source(p, &change->ban.ban.key);
	put_number(p, change->ban.until_wall_ms);
	put_number(p, change->ban.times);
	put_number(p, change->ban.ban.flags);
	put_text(p, span_from(change->ban.ban.reason));
	put_text(p, change->text[0]);
	put_number(p, change->wall_ms);
}

static void put_ban_lifted(struct parameters *p, const struct store_change *change)
{
	put_source(p, &change->ban.ban.key);
}

/* User, realm, both H(A1). */
static void put_user(struct parameters *p, const struct store_change *change)
{
	put_number(p, change->number);
	put_blob(p, change->text[0]);
	put_blob(p, change->text[1]);
	put_text(p, change->text[2]);
	put_text(p, change->text[3]);
	put_number(p, change->wall_ms);
}

/* Who, what, object, reason. */
static void put_audit(struct parameters *p, const struct store_change *change)
{
	put_number(p, change->wall_ms);
	for (unsigned i = 0; i < 4; i++)
		put_text(p, change->text[i]);
}

/* clang-format off */
static const struct {
	const char *sql;
	void (*put)(struct parameters *p, const struct store_change *change);
} kinds[STORE_KINDS] = {
	[STORE_BINDING] = {
		"INSERT OR REPLACE INTO binding (number, token, interface, listener, agent, host, port, method_bits, reg_id, cseq, q,"
		" behind_nat, expires, upstream_expires, confirmed, upstream_cseq, keep_alive, lifetime, heard,"
		" aor, contact, instance, call_id, user_agent, path, service_route, gruu, associated,"
		" upstream_call_id)"
		" VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", put_binding },
	[STORE_BINDING_GONE] = { "DELETE FROM binding WHERE number = ?", put_gone },
	[STORE_BAN] = {
		"INSERT OR REPLACE INTO ban (source, length, port, until, times, flags, reason, who, since)"
		" VALUES (?,?,?,?,?,?,?,?,?)", put_ban },
	[STORE_BAN_LIFTED] = { "DELETE FROM ban WHERE source = ? AND length = ? AND port = ?", put_ban_lifted },
	[STORE_USER] = {
		"INSERT OR REPLACE INTO subscriber (number, user, realm, md5, sha256, changed) VALUES (?,?,?,?,?,?)", put_user },
	[STORE_USER_GONE] = { "DELETE FROM subscriber WHERE number = ?", put_gone },
	[STORE_AUDIT] = { "INSERT INTO audit (at, who, what, object, reason) VALUES (?,?,?,?,?)", put_audit },
};
/* clang-format on */

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
	return database_errno(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

int store_write_prepare(struct store *store)
{
	struct store_statements *s = &store->statements;
	int error = prepare(store->db, "BEGIN IMMEDIATE", &s->begin);

	if (error == 0)
		error = prepare(store->db, "COMMIT", &s->commit);
	if (error == 0)
		error = prepare(store->db, "ROLLBACK", &s->rollback);
	if (error == 0)
		error = prepare(store->db,
			"DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", &s->trim);
	for (unsigned kind = 0; kind < STORE_KINDS && error == 0; kind++)
		error = prepare(store->db, kinds[kind].sql, &s->change[kind]);
	return error;
}

void store_write_finish(struct store *store)
{
	struct store_statements *s = &store->statements;

	sqlite3_finalize(s->begin);
	sqlite3_finalize(s->commit);
	sqlite3_finalize(s->rollback);
	sqlite3_finalize(s->trim);
	for (unsigned kind = 0; kind < STORE_KINDS; kind++)
		sqlite3_finalize(s->change[kind]);
}

/* Runs to its end and is ready again. */
static int step(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	return database_errno(result);
}

static int write_change(struct store *store, const struct store_change *change)
{
	struct parameters p = { .statement = store->statements.change[change->kind] };
	int error;

	kinds[change->kind].put(&p, change);
	error = p.result == SQLITE_OK ? step(p.statement) : database_errno(p.result);
	sqlite3_clear_bindings(p.statement);
	return error;
}

static int trim_audit(struct store *store)
{
	sqlite3_bind_int64(store->statements.trim, 1,
		(sqlite3_int64)__atomic_load_n(&store->audit_entries, __ATOMIC_RELAXED));
	return step(store->statements.trim);
}

int store_write_group(struct store *store, const struct store_change *first)
{
	bool audited = false;
	int error = step(store->statements.begin);

	if (error)
		return error;
	for (const struct store_change *change = first; change && error == 0;
		change = (const struct store_change *)change->item.next) {
		error = write_change(store, change);
		audited = audited || change->kind == STORE_AUDIT;
	}
	if (error == 0 && audited)
		error = trim_audit(store);
	if (error == 0)
		error = step(store->statements.commit);
	if (error && !sqlite3_get_autocommit(store->db))
		step(store->statements.rollback);
	return error;
}
