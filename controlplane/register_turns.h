/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to register_limits.c: the turns of those who wait for one registrar, equal shares for all hosts. Not locked.
 *
 * Rounds are numbered; in each every host has one turn. A phone gets the first round in which its host has none yet, and keeps it over all its
 * visits; how many come before it is counted anew at each, so that a host which comes later still gets its share. */
#ifndef CONTROLPLANE_REGISTER_TURNS_H
#define CONTROLPLANE_REGISTER_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct register_turns;

struct register_turns *register_turns_new(void); /* NULL: no memory */
void register_turns_free(struct register_turns *turns); /* NULL is fine */

struct register_turn {
	uint64_t aor, host; /* as given */
	uint64_t round;
	uint64_t before; /* phones whose turn comes before, or at the same time */
	uint64_t ahead; /* rounds that others have not had yet */
	bool is_waiting; /* it has been here before */
};

/* Who asks: the keyed hashes of the address-of-record and of the host. `idle`: the registrar has nothing to do. */
struct register_turn register_turn_find(
	struct register_turns *turns, uint64_t aor, uint64_t host, bool idle, uint64_t now_us);
/* It is let in; `in_turn`: not by chance. */
void register_turn_take(
	struct register_turns *turns, const struct register_turn *turn, bool in_turn, uint64_t now_us);
/* It has been told to come again. Without room for it nothing is kept, and it comes as a stranger. */
void register_turn_wait(
	struct register_turns *turns, const struct register_turn *turn, unsigned seconds, uint64_t now_us);
uint32_t register_turns_waiting(const struct register_turns *turns);

#endif
