/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to store*.c: the file, what waits to be written, and the users in memory. */
#ifndef CONTROLPLANE_STORE_INTERNAL_H
#define CONTROLPLANE_STORE_INTERNAL_H

#include "controlplane/store.h"
#include "controlplane/store_queue.h"
#include "platforms/base/database.h"
#include "platforms/base/hash.h"

enum store_change_kind {
	STORE_BINDING,
	STORE_BINDING_GONE,
	STORE_BAN,
	STORE_BAN_LIFTED,
	STORE_USER,
	STORE_USER_GONE,
	STORE_AUDIT,
	STORE_KINDS
};

enum {
	STORE_TEXTS = 10, /* of a binding: from aor to upstream_call_id, as the columns are */
	STORE_NAMES =
		3, /* behind them: of its interface, listener, agent, as the configuration calls them then */
};

/* One change on its way to the disk, all that it says in one block of memory. */
struct store_change {
	struct store_item item; /* first */
	enum store_change_kind kind;
	uint64_t number; /* of the binding or user */
	uint64_t wall_ms;
	struct binding binding; /* its texts are in `text` */
	struct store_ban ban;
	struct span text[STORE_TEXTS + STORE_NAMES]; /* into `bytes` */
	char bytes[];
};

struct store_statements {
	sqlite3_stmt *begin, *commit, *rollback, *trim;
	sqlite3_stmt *change[STORE_KINDS];
};

struct store_users;

struct store {
	uint64_t audit_entries; /* atomic: as configured now */
	sqlite3 *db; /* owner: the thread, once it runs; serialised by SQLite for the loads at start */
	struct store_statements statements; /* owner: the thread */
	struct store_users *users;
	struct store_queue queue;
};

/* store_write.c */
int store_write_prepare(struct store *store);
void store_write_finish(struct store *store);
/* In one transaction; all or none. 0 or -errno. */
int store_write_group(struct store *store, const struct store_change *first);

/* store.c. A change with copies of the texts; NULL: no memory. */
struct store_change *store_change_new(enum store_change_kind kind, const struct span *texts, unsigned count);
/* Takes it over; NULL: there was no memory for it. 0, or -errno: it is lost, and counted. */
int store_put(struct store *store, struct store_change *change);

/* store_user.c. Those in the file. 0 or -errno. */
int store_users_load(struct store *store);
void store_users_free(struct store_users *users);

/* store_listener.c: how a listener is called in the file, whatever its index will be. */
enum { STORE_LISTENER_MAX = 80 };
struct span store_listener_print(
	enum config_transport transport, const union address *address, char buffer[STORE_LISTENER_MAX]);
/* Index, transport and address of what is so called within that interface, at the start of the process. 0 or -ENOENT. */
int store_listener_find(const struct config *config, const struct config_sip_interface *interface,
	struct span name, struct binding_flow *flow);

#endif
