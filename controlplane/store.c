/* SPDX-License-Identifier: BSD-3-Clause */
/* What changes, on its way to the disk: callers never wait for it. */
#include "controlplane/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/store_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	GROUP_MAX = 20000
}; /* changes of one transaction: so many are written without waiting for the group's time */

/* --- changes --------------------------------------------------------------------------------------------------------- */

struct store_change *store_change_new(enum store_change_kind kind, const struct span *texts, unsigned count)
{
	struct store_change *change;
	size_t length = 0;
	char *at;

	for (unsigned i = 0; i < count; i++)
		length += texts[i].n;
	change = malloc(sizeof(*change) + length);
	if (!change)
		return NULL;
	memset(change, 0, sizeof(*change));
	change->kind = kind;
	change->wall_ms = clock_wall_ms();
	at = change->bytes;
	for (unsigned i = 0; i < count; i++) {
		if (texts[i].n)
			memcpy(at, texts[i].p, texts[i].n);
		change->text[i] = (struct span){ at, texts[i].n };
		at += texts[i].n;
	}
	return change;
}

int store_put(struct store *store, struct store_change *change)
{
	int error = store_queue_put(&store->queue, change ? &change->item : NULL);

	if (error)
		free(change);
	return error;
}

void store_counts(struct store *store, uint64_t *waiting, uint64_t *lost)
{
	*waiting = *lost = 0;
	if (store)
		store_queue_counts(&store->queue, waiting, lost);
}

void store_alarms(struct store *store, struct alarms *alarms)
{
	store_queue_alarms(&store->queue, alarms);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static int write_group(void *arg, const struct store_item *first)
{
	struct store *store = arg;
	int error = store_write_group(store, (const struct store_change *)first);

	store_queue_tell(&store->queue, error);
	return error;
}

static const char *why(void *arg)
{
	const struct store *store = arg;

	return sqlite3_errmsg(store->db);
}

static void release_change(void *arg, struct store_item *item)
{
	(void)arg;
	free(item);
}

static const struct store_queue_kind kind = {
	.log = "store",
	.object = "store",
	.refused = "changes cannot be written and are lost",
	.again = "changes are written again",
	.slow = "the disk is too slow: a change is lost",
	.group_max = GROUP_MAX,
	.write = write_group,
	.why = why,
	.release = release_change,
};

/* --- open and close -------------------------------------------------------------------------------------------------- */

static void release(struct store *store)
{
	store_write_finish(store);
	database_close(store->db);
	store_users_free(store->users);
	store_queue_fini(&store->queue);
	free(store);
}

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

static int open_file(const char *directory, sqlite3 **out)
{
	static const struct database_schema schema = { .application = 0x53505254, /* "SPRT" */
		.versions = versions,
		.count = sizeof(versions) / sizeof(versions[0]) };
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/controlplane.db", directory);

	return n < 0 || n >= (int)sizeof(path) ? -ENAMETOOLONG : database_open(path, &schema, out);
}

static void settings_take(struct store *store, const struct config *config)
{
	store_queue_settings(&store->queue, &config->store);
	__atomic_store_n(&store->audit_entries, config->store.audit_entries, __ATOMIC_RELAXED);
}

void store_move(struct store *store, const struct config_move *move)
{
	if (store)
		settings_take(store, config_move_to(move));
}

int store_open(const struct config *config, struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	int error;

	if (!store)
		return -ENOMEM;
	store_queue_init(&store->queue, &kind, &config->store, store);
	__atomic_store_n(&store->audit_entries, config->store.audit_entries, __ATOMIC_RELAXED);
	error = open_file(config->system.data_directory, &store->db);
	if (error == 0)
		error = store_write_prepare(store);
	if (error == 0)
		error = store_users_load(store);
	if (error == 0)
		error = store_queue_start(&store->queue);
	if (error) {
		release(store);
		return error;
	}
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_queue_stop(&store->queue);
	release(store);
}

/* --- what changes ---------------------------------------------------------------------------------------------------- */

/* What stands in atomic fields is read as such: others change it meanwhile. */
static struct binding copy_binding(const struct binding *b)
{
	struct binding copy = { .number = b->number,
		.method_bits = b->method_bits,
		.flow = b->flow,
		.reg_id = b->reg_id,
		.cseq = __atomic_load_n(&b->cseq, __ATOMIC_RELAXED),
		.q = b->q,
		.behind_nat = b->behind_nat,
		.expires_wall_ms = __atomic_load_n(&b->expires_wall_ms, __ATOMIC_RELAXED),
		.upstream_expires_wall_ms = __atomic_load_n(&b->upstream_expires_wall_ms, __ATOMIC_RELAXED),
		.confirmed_wall_ms = b->confirmed_wall_ms,
		.upstream_cseq = __atomic_load_n(&b->upstream_cseq, __ATOMIC_RELAXED),
		.keep_alive_s = __atomic_load_n(&b->keep_alive_s, __ATOMIC_RELAXED),
		.lifetime_s = __atomic_load_n(&b->lifetime_s, __ATOMIC_RELAXED),
		.heard_wall_ms = __atomic_load_n(&b->heard_wall_ms, __ATOMIC_RELAXED) };

	memcpy(copy.token, b->token, sizeof(copy.token));
	return copy;
}

void store_binding(struct store *store, const struct binding *binding)
{
	char listener[STORE_LISTENER_MAX];
	struct store_change *change;

	if (!store)
		return;
	/* Names now: by the time that it is written, the configuration may be another one. */
	change = store_change_new(STORE_BINDING,
		(struct span[STORE_TEXTS + STORE_NAMES]){ binding->aor, binding->contact, binding->instance,
			binding->call_id, binding->user_agent, binding->path, binding->service_route,
			binding->gruu, binding->associated, binding->upstream_call_id,
			span_from(binding->interface->name),
			store_listener_print(binding->flow.transport, &binding->flow.local, listener),
			span_from(binding->agent->name) },
		STORE_TEXTS + STORE_NAMES);
	if (change)
		change->binding = copy_binding(binding);
	store_put(store, change);
}

void store_binding_gone(struct store *store, uint64_t number)
{
	struct store_change *change;

	if (!store)
		return;
	change = store_change_new(STORE_BINDING_GONE, NULL, 0);
	if (change)
		change->number = number;
	store_put(store, change);
}

void store_ban(struct store *store, const struct dp_ban *ban, uint64_t until_wall_ms, uint32_t times,
	const char *who)
{
	struct store_change *change;

	if (!store)
		return;
	change = store_change_new(STORE_BAN, (struct span[]){ span_from(who) }, 1);
	if (change) {
		change->ban =
			(struct store_ban){ .ban = *ban, .until_wall_ms = until_wall_ms, .times = times };
		change->ban.ban.reason[sizeof(ban->reason) - 1] = '\0';
	}
	store_put(store, change);
}

void store_ban_lifted(struct store *store, const struct dp_source_key *key, const char *who)
{
	struct store_change *change;

	if (!store)
		return;
	change = store_change_new(STORE_BAN_LIFTED, (struct span[]){ span_from(who) }, 1);
	if (change)
		change->ban.ban.key = *key;
	store_put(store, change);
}

void store_audit(
	struct store *store, const char *who, const char *what, const char *object, const char *reason)
{
	log_notice(
		"audit", what, LOG_TEXT("who", who), LOG_TEXT("object", object), LOG_TEXT("reason", reason));
	if (store)
		store_put(store, store_change_new(STORE_AUDIT,
					 (struct span[]){ span_from(who), span_from(what), span_from(object),
						 span_from(reason) },
					 4));
}
