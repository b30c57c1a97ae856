/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives the management daemon: revisions of the configuration, who gave which command. DATA-DIRECTORY/mgmt.db. Every change is on
 * disk when its function returns. owner: the main thread */
#ifndef MGMT_STORE_H
#define MGMT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/transaction.h"

struct mgmt_store;

/* 0 or -errno (-EBUSY: another process has it). */
int mgmt_store_open(const char *directory, struct mgmt_store **out);
void mgmt_store_close(struct mgmt_store *store);

/* --- revisions --- */

enum { REVISION_WHO_MAX = 64, REVISION_COMMENT_MAX = 256 };

struct revision {
	uint64_t number; /* from 1 on, never used twice */
	uint64_t wall_ms;
	struct config_digest digest;
	char who[REVISION_WHO_MAX], comment[REVISION_COMMENT_MAX];
};

/* Stores a text that is about to become the configuration; it counts as a revision once it is settled. Sets number and time. */
int mgmt_store_revision_add(
	struct mgmt_store *store, struct revision *revision, const char *text, size_t length);
/* It has become the configuration. */
int mgmt_store_revision_settle(struct mgmt_store *store, uint64_t revision);
/* What was added and never settled is gone, but for one of this digest: that is what the file says, and is settled. *found: it was there,
 * now or earlier, as the newest; else the file has been written by somebody else. */
int mgmt_store_revision_recover(struct mgmt_store *store, const struct config_digest *file, bool *found);
/* The newest but `back` (0: what is in force). -ENOENT. *text (heap, NUL behind it) is the caller's, and may be NULL. */
int mgmt_store_revision_get(
	struct mgmt_store *store, uint64_t back, struct revision *revision, char **text, size_t *length);
/* By number. */
int mgmt_store_revision_text(struct mgmt_store *store, uint64_t revision, char **text, size_t *length);
/* The same of the newest one with that digest. */
int mgmt_store_revision_find(
	struct mgmt_store *store, const struct config_digest *digest, char **text, size_t *length);
/* Newest first, at most `limit`, until `take` returns false. */
int mgmt_store_revision_list(struct mgmt_store *store, size_t limit,
	bool (*take)(void *arg, const struct revision *revision), void *arg);
/* Deletes all but the newest `keep`. */
int mgmt_store_revision_trim(struct mgmt_store *store, uint64_t keep);

/* --- a commit that is to be confirmed --- */
/* Unless it is confirmed by then, `revision` (its number) comes back. 0: nothing is waited for. */
int mgmt_store_confirm_set(struct mgmt_store *store, uint64_t revision, uint64_t deadline_wall_ms);
int mgmt_store_confirm_get(struct mgmt_store *store, uint64_t *revision, uint64_t *deadline_wall_ms);

/* --- saved configurations --- */
int mgmt_store_saved_set(struct mgmt_store *store, const char *name, const char *text, size_t length);
int mgmt_store_saved_get(
	struct mgmt_store *store, const char *name, char **text, size_t *length); /* -ENOENT */

/* --- logins --- */
struct last_login {
	uint64_t wall_ms; /* 0: never */
	char from[REVISION_WHO_MAX];
};
/* Now. One is kept for each user. */
int mgmt_store_login_set(struct mgmt_store *store, const char *who, const char *from);
int mgmt_store_login_get(struct mgmt_store *store, const char *who, struct last_login *login);

/* --- audit --- */
struct command_audit {
	uint64_t number, wall_ms;
	struct span who, role, from, command, outcome;
};
int mgmt_store_audit(struct mgmt_store *store, struct span who, struct span role, struct span from,
	struct span command, struct span outcome);
/* Newest first, those below `before` (0: all). Borrowed for the call. */
int mgmt_store_audit_list(struct mgmt_store *store, uint64_t before, size_t limit,
	bool (*take)(void *arg, const struct command_audit *audit), void *arg);
int mgmt_store_audit_trim(struct mgmt_store *store, uint64_t keep);

#endif
