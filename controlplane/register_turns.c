/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns in rounds: tables of fixed size for those who wait and for their hosts, and a ring with the number of those who wait for each round. */
#include "controlplane/register_turns.h"

#include <stdlib.h>

enum {
	WAYS = 4,
	WAITING_SETS = 32768,
	HOST_SETS = 4096,
	ROUNDS = 2048, /* told apart; who would come later has the last one */
	PURGE = 4, /* old entries looked for with each new one */
	SECOND_US = 1000000,
	GRACE_US = 30 * SECOND_US, /* who comes back no sooner has lost its turn */
	LATE_US = 8 * SECOND_US, /* and nobody waits longer than this for who has not come in his */
};

struct waiting {
	uint64_t aor; /* 0: nobody */
	uint64_t host;
	uint64_t round;
	uint64_t until_us; /* when it is expected */
};

struct host {
	uint64_t host; /* 0: empty */
	uint64_t last; /* round that was given away last */
	uint32_t waiting;
};

struct register_turns {
	uint64_t first; /* round of which somebody is still waited for; after `now`: of none that has begun */
	uint64_t now; /* round that has begun */
	uint64_t top; /* that was given away last */
	uint32_t count[ROUNDS]; /* [round % ROUNDS], from `first` on: who waits for it */
	uint64_t begun_us[ROUNDS]; /* from `first` to `now` */
	uint32_t waiting_count;
	struct waiting waiting[WAITING_SETS][WAYS];
	struct host host[HOST_SETS][WAYS];
	size_t purge_at;
};

/* --- rounds ----------------------------------------------------------------------------------------------------------- */

static void begin_rounds(struct register_turns *turns, uint64_t until, uint64_t now_us)
{
	while (turns->now < until)
		turns->begun_us[++turns->now % ROUNDS] = now_us;
}

static void forget_late(struct register_turns *turns, uint64_t now_us)
{
	while (turns->first <= turns->now && turns->begun_us[turns->first % ROUNDS] + LATE_US < now_us)
		turns->count[turns->first++ % ROUNDS] = 0;
}

/* Nobody waits and nothing is to be done: who has had more than others owes them nothing any more. */
static void restart(struct register_turns *turns)
{
	turns->now = turns->top;
	turns->first = turns->now + 1;
}

static uint64_t until_round(const struct register_turns *turns, uint64_t round)
{
	uint64_t sum = 0;

	for (uint64_t i = turns->first; i <= round; i++)
		sum += turns->count[i % ROUNDS];
	return sum;
}

static void round_leave(struct register_turns *turns, uint64_t round)
{
	if (round >= turns->first)
		turns->count[round % ROUNDS]--;
}

/* --- who waits -------------------------------------------------------------------------------------------------------- */

static uint64_t key(uint64_t hash)
{
	return hash ? hash : 1;
}

/* `make`: room for it, if there is any: that of one who waits for nothing and is owed nothing. */
static struct host *host_find(struct register_turns *turns, uint64_t host, bool make)
{
	struct host *set = turns->host[host % HOST_SETS], *empty = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].host == host)
			return &set[i];
		if (set[i].waiting == 0 && set[i].last <= turns->now)
			empty = &set[i];
	}
	if (!make || !empty)
		return NULL;
	*empty = (struct host){ .host = host };
	return empty;
}

static struct waiting *waiting_find(struct register_turns *turns, uint64_t aor)
{
	struct waiting *set = turns->waiting[aor % WAITING_SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].aor == aor)
			return &set[i];
	return NULL;
}

static void waiting_drop(struct register_turns *turns, struct waiting *waiting)
{
	struct host *host = host_find(turns, waiting->host, false);

	if (host)
		host->waiting--;
	round_leave(turns, waiting->round);
	turns->waiting_count--;
	waiting->aor = 0;
}

static void purge(struct register_turns *turns, uint64_t now_us)
{
	for (unsigned n = 0; n < PURGE; n++) {
		struct waiting *set = turns->waiting[turns->purge_at];

		turns->purge_at = (turns->purge_at + 1) % WAITING_SETS;
		for (unsigned i = 0; i < WAYS; i++)
			if (set[i].aor && set[i].until_us + GRACE_US < now_us)
				waiting_drop(turns, &set[i]);
	}
}

/* The host has had this round. False: there is no room to keep that. */
static bool host_has_had(struct register_turns *turns, uint64_t host, uint64_t round, unsigned waiting)
{
	struct host *entry = host_find(turns, host, true);

	if (!entry)
		return false;
	if (entry->last < round)
		entry->last = round;
	entry->waiting += waiting;
	if (turns->top < round)
		turns->top = round;
	return true;
}

/* --- turns ------------------------------------------------------------------------------------------------------------ */

struct register_turn register_turn_find(
	struct register_turns *turns, uint64_t aor, uint64_t host, bool idle, uint64_t now_us)
{
	struct register_turn turn = { .aor = key(aor), .host = key(host) };
	const struct waiting *waiting = waiting_find(turns, turn.aor);
	const struct host *entry;

	forget_late(turns, now_us);
	if (idle && turns->waiting_count == 0)
		restart(turns);
	entry = host_find(turns, turn.host, false);
	if (waiting) {
		turn.is_waiting = true;
		turn.round = waiting->round;
	} else {
		turn.round = (entry && entry->last > turns->now ? entry->last : turns->now) + 1;
		if (turn.round >= turns->first + ROUNDS)
			turn.round = turns->first + ROUNDS - 1;
	}
	turn.before = until_round(turns, turn.round);
	/* Itself. */
	if (waiting && turn.round >= turns->first)
		turn.before--;
	turn.ahead = turn.round > turns->now + 1 ? turn.round - turns->now - 1 : 0;
	return turn;
}

void register_turn_take(
	struct register_turns *turns, const struct register_turn *turn, bool in_turn, uint64_t now_us)
{
	if (turn->is_waiting)
		waiting_drop(turns, waiting_find(turns, turn->aor));
	else
		host_has_had(turns, turn->host, turn->round, 0);
	if (in_turn)
		begin_rounds(turns, turn->round - 1, now_us);
}

void register_turn_wait(
	struct register_turns *turns, const struct register_turn *turn, unsigned seconds, uint64_t now_us)
{
	struct waiting *entry = waiting_find(turns, turn->aor);

	purge(turns, now_us);
	if (!entry || !turn->is_waiting) {
		entry = NULL;
		for (unsigned i = 0; i < WAYS && !entry; i++)
			if (!turns->waiting[turn->aor % WAITING_SETS][i].aor)
				entry = &turns->waiting[turn->aor % WAITING_SETS][i];
		if (!entry || !host_has_had(turns, turn->host, turn->round, 1))
			return;
		*entry = (struct waiting){ .aor = turn->aor, .host = turn->host, .round = turn->round };
		turns->count[turn->round % ROUNDS]++;
		turns->waiting_count++;
	}
	entry->until_us = now_us + (uint64_t)seconds * SECOND_US;
}

uint32_t register_turns_waiting(const struct register_turns *turns)
{
	return turns->waiting_count;
}

/* --- making ----------------------------------------------------------------------------------------------------------- */

struct register_turns *register_turns_new(void)
{
	struct register_turns *turns = calloc(1, sizeof(*turns));

	if (turns)
		turns->first = 1;
	return turns;
}

void register_turns_free(struct register_turns *turns)
{
	free(turns);
}
