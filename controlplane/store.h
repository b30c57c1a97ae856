/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives the control plane: bindings, bans, learnt failures, users, and who ordered what. One SQLite file
 * (DATA-DIRECTORY/controlplane.db, WAL), one thread that writes in groups; nobody waits for it. SQLite's one home is store*.c. */
#ifndef CONTROLPLANE_STORE_H
#define CONTROLPLANE_STORE_H

#include <stdint.h>

#include "controlplane/location.h"
#include "dataplane/api.h"

struct store;

/* Opens or makes the file (0640, of the process's user), checks it, starts the thread. A file that is damaged is put aside under another
 * name, with an error in the log, and a fresh one begun: phones matter more than history. 0 or -errno. */
int store_open(const struct config *config, struct store **out);
/* Writes what is queued and ends. NULL is fine. */
void store_close(struct store *store);
/* How many changes wait, and how many were lost because the queue was full (bounded): for status and alarms. Any thread. */
void store_counts(const struct store *store, uint64_t *waiting, uint64_t *lost);

/* --- bindings: any thread; copied at once. NULL store: nothing happens --- */
void store_binding(struct store *store, const struct binding *binding); /* by its number: new or changed */
void store_binding_gone(struct store *store, uint64_t number);
/* At start, before the shards: each live row; those whose sip-interface, listener or agent is not configured any more are dropped. Returns
 * how many were taken, or -errno. */
int64_t store_load_bindings(struct store *store, const struct config *config,
	int (*take)(void *arg, struct binding *model), void *arg);

/* --- bans --- */
void store_ban(struct store *store, const struct dp_ban *ban, uint64_t until_wall_ms /* 0: for ever */,
	const char *who);
void store_ban_lifted(struct store *store, const struct dp_ban *ban, const char *who);
/* Those that have not run out. */
int64_t store_load_bans(struct store *store,
	int (*take)(void *arg, const struct dp_ban *ban, uint64_t until_wall_ms, uint32_t times), void *arg);

/* --- users for whom this SBC itself holds the passwords (sip-interface.authentication = local) --- */
enum store_algorithm { STORE_MD5, STORE_SHA256 };
/* Any thread, from memory (reloaded when the file's data_version changes): the H(A1) in hexadecimal of user and realm. 0, -ENOENT. */
int store_user(struct store *store, struct span user, struct span realm, enum store_algorithm algorithm,
	char ha1[65]);
int store_user_set(
	struct store *store, struct span user, struct span realm, struct span password); /* both algorithms */
int store_user_delete(struct store *store, struct span user, struct span realm);

/* --- audit --- */
/* Who did what: also a line in the log at NOTICE. */
void store_audit(
	struct store *store, const char *who, const char *what, const char *object, const char *reason);

#endif
