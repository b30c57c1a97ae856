/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives the control plane: bindings, bans, learnt failures, users, and who ordered what. One SQLite file
 * (DATA-DIRECTORY/controlplane.db, WAL), one thread that writes in groups; nobody waits for it. SQLite's one home is store*.c.
 * docs/decisions/0061-store.md */
#ifndef CONTROLPLANE_STORE_H
#define CONTROLPLANE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/location.h"
#include "dataplane/api.h"

struct store;

/* Opens or makes the file (0640, of the process's user), checks it, starts the thread. A file that is damaged, or of a later version, is
 * put aside under another name, with an error in the log, and a fresh one begun: phones matter more than history. 0 or -errno (-EBUSY:
 * another process has it). Nothing of the configuration is needed afterwards. */
int store_open(const struct config *config, struct store **out);
/* Another queue, time of a group, number of audit entries. NULL is fine. */
void store_move(struct store *store, const struct config_move *move);
/* Writes what is queued and ends. NULL is fine. */
void store_close(struct store *store);
/* Who is told of a disk that fails; once, before anything is written. They outlive the store. */
struct alarms;
void store_alarms(struct store *store, struct alarms *alarms);
/* How many changes wait, and how many were lost because the queue was full (bounded) or the disk refused them: for status and alarms.
 * Any thread. NULL is fine. */
void store_counts(struct store *store, uint64_t *waiting, uint64_t *lost);

/* --- bindings: any thread; copied at once. NULL store: nothing happens --- */
void store_binding(struct store *store, const struct binding *binding); /* by its number: new or changed */
void store_binding_gone(struct store *store, uint64_t number);
/* At start, before the shards: each live row; those whose sip-interface, listener or agent is not configured any more are dropped. Returns
 * how many were taken, or -errno: what `take` returned, too. The model is borrowed for the call. */
int64_t store_load_bindings(struct store *store, const struct config *config,
	int (*take)(void *arg, struct binding *model), void *arg);

/* --- bans: any thread --- */
/* `times`: how often this source has been denied in a row, of which the next denial's length follows. `who`: "guard", or who gave the order. */
void store_ban(struct store *store, const struct dp_ban *ban, uint64_t until_wall_ms /* 0: for ever */,
	uint32_t times, const char *who);
void store_ban_lifted(struct store *store, const struct dp_source_key *key, const char *who);
struct store_ban {
	struct dp_ban ban; /* key, reason, flags; the rest is 0 */
	uint64_t until_wall_ms; /* 0: for ever */
	uint32_t times;
	bool ordered; /* not by the guard; as loaded */
};
/* Those that have not run out, and those that have since less than `memory_ms`. As store_load_bindings. */
int64_t store_load_bans(struct store *store, uint64_t memory_ms,
	int (*take)(void *arg, const struct store_ban *ban), void *arg);

/* --- users for whom this SBC itself holds the passwords (sip-interface.authentication = local) --- */
enum store_algorithm { STORE_MD5, STORE_SHA256 };
/* Any thread, from memory: the H(A1) in hexadecimal of user and realm (RFC 7616 section 3.4.2). 0, -ENOENT. */
int store_user(struct store *store, struct span user, struct span realm, enum store_algorithm algorithm,
	char ha1[65]);
/* Both algorithms; holds at once, and is on disk with the next group. 0; -EINVAL (empty, longer than STORE_USER_MAX, a quote or colon in
 * the user), -ENOSPC (the queue is full), -ENOMEM, -ENOTSUP (no hash). */
enum { STORE_USER_MAX = 128 };
int store_user_set(struct store *store, struct span user, struct span realm, struct span password);
/* 0, -ENOENT, -ENOSPC, -ENOMEM. */
int store_user_delete(struct store *store, struct span user, struct span realm);
/* In the order of their numbers, those above `after`, until `take` returns false. What it is given is borrowed for the call; it may not
 * call back. */
void store_user_list(struct store *store, uint64_t after,
	bool (*take)(void *arg, uint64_t number, struct span user, struct span realm), void *arg);

/* --- audit --- */
/* Who did what: also a line in the log at NOTICE, without a store too. */
void store_audit(
	struct store *store, const char *who, const char *what, const char *object, const char *reason);

struct store_audited {
	uint64_t number, wall_ms;
	struct span who, what, object, reason;
};

/* What is on disk, newest first, those below `before` (0: all), at most `limit`, until `take` returns false. What it is given is borrowed for
 * the call. Waits while a group is being written. 0 or -errno; nothing without a store. */
int store_audit_list(struct store *store, uint64_t before, size_t limit,
	bool (*take)(void *arg, const struct store_audited *audited), void *arg);

#endif
