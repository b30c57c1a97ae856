/* SPDX-License-Identifier: BSD-3-Clause */
/* The one running configuration, and how it becomes another (decision 0080):
 *
 * validate -> prepare in both daemons -> revision in the database -> file written, synced, renamed -> apply in both daemons.
 *
 * The rename is the point of no return. Before it every failure leaves everything as it was; after it whatever died is brought to the new
 * configuration when it is back: a daemon that runs another one than the file's is given the file's. owner: the main loop */
#ifndef MGMT_COMMIT_H
#define MGMT_COMMIT_H

#include <stdint.h>
#include <uv.h>

#include "config/document.h"
#include "config/transaction.h"
#include "mgmt/neighbours.h"
#include "mgmt/store.h"

struct commits;

struct commits_events {
	/* Another configuration is in force: this daemon's own part. `config` is the receiver's, to be freed by config_free. */
	void (*applied)(void *arg, struct config *config);
};

/* `file` is read: it is what is in force. Revisions are put in order with it. All but `running` outlive it. 0 or -errno. */
int commits_new(uv_loop_t *loop, const char *file, struct mgmt_store *store,
	const struct neighbours *neighbours, const struct commits_events *events, void *arg,
	struct commits **out);
/* Nobody is called back any more. Its memory goes when the loop has run its close callbacks. */
void commits_free(struct commits *commits);

/* What is in force. Borrowed until the next commit. */
const struct config_document *commits_running(const struct commits *commits);
const struct config_digest *commits_digest(const struct commits *commits);
uint64_t commits_revision(const struct commits *commits); /* its number */

/* A text that was a configuration once, as a document; nothing is reported. 0, -EINVAL, -ENOMEM. */
int commits_read(const char *text, size_t length, struct config_document **out);

struct commit_order {
	const struct config_document *candidate; /* borrowed for the call */
	const struct config_digest *base; /* what the candidate was made from; NULL: it does not matter */
	const char *who, *comment; /* borrowed for the call */
	unsigned confirm_seconds; /* 0: it stays */
};

/* `error`: 0; -ESTALE (another commit came between), -EINVAL (refused; `text` has lines of reason), -ENOTCONN (a daemon is not there),
 * -EIO and others (`text`). `text` may hold warnings also with 0. Borrowed for the call. */
typedef void (*commit_done)(void *arg, int error, const char *text, uint64_t revision);

/* 0: `done` will be called, perhaps before the return. -EBUSY: another commit is under way. */
int commits_begin(struct commits *commits, const struct commit_order *order, commit_done done, void *arg);
/* Everything up to the file, and nothing after: would it be taken? As commits_begin. */
int commits_validate(struct commits *commits, const struct commit_order *order, commit_done done, void *arg);
/* What was committed to be confirmed stays. 0, -ENOENT (nothing is waiting), -errno of the database. */
int commits_confirm(struct commits *commits);
/* Wall time in milliseconds at which it goes back unless it is confirmed; 0: it does not. */
uint64_t commits_deadline(const struct commits *commits);

/* A neighbour is there (again): is it running what the file says? */
void commits_neighbour_up(struct commits *commits, enum neighbour which);
/* True: that neighbour is known to run what the file says. */
bool commits_agrees(const struct commits *commits, enum neighbour which);

enum { COMMITS_MGMT = NEIGHBOUR_COUNT, COMMITS_DAEMONS }; /* neighbours, and this process */

/* Settings that a daemon goes on with as it was started, although what is in force says otherwise: they wait for it to start again.
 * `daemon`: who that is. 0; -ENOENT: with what it was started is not known (any more); -errno. */
int commits_pending(const struct commits *commits, unsigned which,
	void (*each)(void *arg, const char *daemon, const struct config_change *change), void *arg);
/* "dataplane", "management daemon". */
const char *commits_daemon_name(unsigned which);
/* True: the file is neither what is in force nor what a commit is about to make it: somebody has changed it by hand. */
bool commits_file_differs(const struct commits *commits);

#endif
