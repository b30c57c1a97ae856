/* SPDX-License-Identifier: BSD-3-Clause */
/* Another configuration while calls go on (decision 0086): modules get ready for it one after another, all shards stand still for some
 * milliseconds, each module moves what it holds, and the shards go on.
 *
 * What a module may have, each in the table of reconfigure.c:
 *   int X_prepare(..., const struct config_move *move, struct writer *why)   by the main thread, shards run: opens, allocates, or refuses
 *                                                                            with a line of reason. Nothing changes yet.
 *   void X_abort(...)                                                        what was prepared is let go. Also after a prepare that failed.
 *   void X_move(..., struct config_move *move)                               cannot fail, allocates nothing, waits for nothing. By the main
 *                                                                            thread; every shard stands still at the top of its loop, so
 *                                                                            that their memory, loops and timers may be touched.
 *   void X_settle(...)                                                       by the main thread, shards run again: frees, tells. */
#ifndef CONTROLPLANE_RECONFIGURE_H
#define CONTROLPLANE_RECONFIGURE_H

#include "config/move.h"
#include "config/transaction.h"
#include "controlplane/shard.h"

struct bans;
struct reconfigure;

/* Whatever of the control plane has something to move. All of it outlives the reconfigure; any but `snapshots` may be NULL or 0 (tests). */
struct reconfigure_world {
	struct config_snapshots *snapshots;
	const struct config **config; /* where the daemon keeps the one that runs; or NULL */
	struct shard **shards;
	unsigned count;
	const struct shard_shared *shared;
	struct bans *bans;
};

/* 0 or -ENOMEM. */
int reconfigure_new(const struct reconfigure_world *world, struct reconfigure **out);
void reconfigure_free(struct reconfigure *reconfigure);
/* As struct config_phases says; `arg` is the struct reconfigure. */
extern const struct config_phases reconfigure_phases;
/* How long the shards stood still the last time, in microseconds. */
uint64_t reconfigure_stop_us(const struct reconfigure *reconfigure);

#endif
