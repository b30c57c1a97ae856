/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration on its way to one neighbour: staged piece by piece and prepared; then applied or let go. */
#ifndef MGMT_PUSH_H
#define MGMT_PUSH_H

#include "config/transaction.h"
#include "mgmt/neighbours.h"

/* `error`: 0 or -errno; `text` (not ended by NUL) has its reasons or warnings, borrowed for the call. */
typedef void (*push_done)(void *arg, int error, const char *text, size_t length);

/* Has `text` staged and prepared; it is borrowed until `done`, which is called once, never before the return. */
struct push;
/* 0, or -errno and `done` is not called. */
int push_prepare(const struct neighbours *neighbours, enum neighbour which, const char *text, size_t length,
	push_done done, void *arg, struct push **out);
/* `done` will not be called any more; what was prepared is let go. The memory follows. */
void push_cancel(struct push *push);
/* 0, or -errno and `done` is not called. */
int push_apply(const struct neighbours *neighbours, enum neighbour which, const struct config_digest *digest,
	neighbour_reply done, void *arg);
/* What was prepared there is let go; nobody waits for it. */
void push_abort(const struct neighbours *neighbours, enum neighbour which);

#endif
