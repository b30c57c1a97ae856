/* SPDX-License-Identifier: BSD-3-Clause */
/* A bounded queue of calls into a loop's thread: many writers, one reader, no lock. */
#ifndef CONTROLPLANE_MAILBOX_H
#define CONTROLPLANE_MAILBOX_H

#include <stddef.h>
#include <uv.h>

struct mailbox;

/* `run` of each entry is called on `loop` as run(owner, arg). 0 or -errno. */
int mailbox_new(uv_loop_t *loop, void *owner, size_t entries, struct mailbox **out);
/* From any thread. Order is kept per writer. 0 or -ENOBUFS. */
int mailbox_post(struct mailbox *mailbox, void (*run)(void *owner, void *arg), void *arg);
/* Runs what is there now; how many that were. On the loop's thread, or when that has ended. */
size_t mailbox_drain(struct mailbox *mailbox);
/* Nobody may post any more. Drains, and closes its handle: the memory goes when the loop has run once more. */
void mailbox_free(struct mailbox *mailbox);

#endif
