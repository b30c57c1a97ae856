/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the keep-alive files: one phone that is kept in reach. owner of everything here: one shard's thread. */
#ifndef CONTROLPLANE_KEEP_ALIVE_INTERNAL_H
#define CONTROLPLANE_KEEP_ALIVE_INTERNAL_H

#include "controlplane/keep_alive.h"
#include "controlplane/nat_memory.h"
#include "controlplane/shard.h"

enum { KEEPER_BUCKETS = 16384, KEEP_ALIVE_TEXT_MAX = 4096 };

enum keeper_state {
	KEEPER_RESTING, /* the timer is that of the next keep-alive */
	KEEPER_ASKING, /* OPTIONS are under way: the timer is Timer E, in the end F */
};

struct keeper {
	struct keeper *next, *next_branch; /* of the tables */
	struct keep_alive *all;
	struct binding *binding; /* counted */
	struct timer timer;
	enum keeper_state state;
	bool probing; /* this silence is longer than what is known to be safe */
	bool is_lost; /* it did not answer the last one */
	uint64_t began_ms; /* what was heard before was not seen by this process */
	uint64_t heard_ms, wait_ms; /* the next one is due at their sum, if nothing is heard */
	uint64_t asked_ms, silence_ms; /* when asked last; after how long a silence, 0: not known */
	uint64_t elapsed_ms, step_ms; /* Timers F and E */
	uint64_t registered_ms,
		period_ms; /* its last REGISTER, and how long after the one before; 0: not known */
	uint64_t expires_ms, promised_ms; /* of the binding when looked at last; how long it was promised */
	char branch[SHARD_TOKEN_MAX]; /* of the OPTIONS under way, without its cookie */
};

struct keep_alive {
	struct shard *shard;
	struct nat_memory *memory; /* shared by all shards, counted */
	uint64_t give_up_ms; /* Timer F */
	struct keeper *by_number[KEEPER_BUCKETS], *by_branch[KEEPER_BUCKETS];
};

/* The OPTIONS to the keeper's phone with keeper->branch: within the flow, to the contact as the phone wrote it, by its Path. Empty if it does
 * not fit. */
struct span keep_alive_write(
	const struct keeper *keeper, const struct sip_flow *flow, char text[KEEP_ALIVE_TEXT_MAX]);

#endif
