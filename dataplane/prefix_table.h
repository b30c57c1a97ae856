/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of sources: networks, hosts, and single ports of hosts, found by the most specific one. Workers look up whole bursts
 * without locks while the main thread changes it; entries go back after a grace period (RCU). Bans, access lists and trust are
 * such tables. */
#ifndef DATAPLANE_PREFIX_TABLE_H
#define DATAPLANE_PREFIX_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/packet.h"

enum {
	PREFIX_SCOPE_ANY = 0xffff, /* an entry, or a question, that is about no realm in particular */
	PREFIX_BURST = 32, /* questions at once, at most */
	PREFIX_NOTE = 40,
};

struct prefix_key {
	union host ip; /* bits behind `length` are 0 */
	uint16_t port; /* network order; 0 = all. Only with a whole host */
	uint16_t scope; /* realm, or PREFIX_SCOPE_ANY */
	uint8_t family, length;
	uint8_t reserved[2];
};

/* What it says of its sources; the meaning belongs to the table's user. Written before it is published, then constant but for
 * the atomics. */
struct prefix_entry {
	struct prefix_key key;
	uint8_t permit, trusted, configured;
	uint8_t datagrams; /* says nothing of TCP */
	uint32_t rate, burst; /* packets per second, packets; 0 = no limit of its own */
	uint32_t reserved2; /* the table's own */
	uint64_t expires_us; /* atomic; clock_now_us' epoch; 0 = never */
	uint64_t hits; /* atomic: packets that met it, about */
};

/* Workers: a packet met what prefix_table_match found for it. */
static inline void prefix_entry_hit(const struct prefix_entry *e)
{
	__atomic_fetch_add((uint64_t *)&e->hits, 1, __ATOMIC_RELAXED);
}

struct prefix_table;

/* What a packet asks. */
struct prefix_query {
	union host ip;
	uint16_t port; /* network order; 0 = unknown: port entries do not match */
	uint16_t scope;
	uint8_t family; /* 0: nothing is asked, nothing found */
};

/* Memory is touched as entries come. NULL: no memory. */
struct prefix_table *prefix_table_new(uint32_t capacity, struct rte_rcu_qsbr *rcu);
void prefix_table_free(struct prefix_table *t);

/* Workers: for each of `n` <= PREFIX_BURST questions the most specific entry that has not expired (host's port, host, longest
 * prefix; of its scope or of any), or NULL. Valid until the worker's next quiescent state. */
void prefix_table_match(const struct prefix_table *t, const struct prefix_query *query, unsigned n,
	uint64_t now_us, const struct prefix_entry **found);

/* Workers: asks for what prefix_table_match will read first of this question, while there is other work to do. */
void prefix_table_prefetch(const struct prefix_table *t, const struct prefix_query *q);

/* Main thread, all of the following. */

/* Adds or replaces (hits and age stay; the place in the order of eviction is a fresh one). `note`: text for people, cut to PREFIX_NOTE - 1; may be NULL. `oldest_out`: when full, the
 * entry that was set longest ago and is not `configured` makes room, and *evicted says so; else -ENOSPC. 0, -ENOSPC, -EINVAL (also: bits behind `length`). May wait
 * (microseconds) for workers to pass. */
int prefix_table_set(struct prefix_table *t, const struct prefix_entry *e, const char *note, uint64_t now_us,
	bool oldest_out, bool *evicted);
/* -ENOENT. */
int prefix_table_clear(struct prefix_table *t, const struct prefix_key *key);
/* Exactly this one; NULL. Borrowed until the table is changed. */
const struct prefix_entry *prefix_table_find(const struct prefix_table *t, const struct prefix_key *key);
/* Does anything in the table lie within `key` or cover it? For "would this ban hit a configured agent". */
bool prefix_table_overlaps(const struct prefix_table *t, const struct prefix_key *key);
/* In a fixed order that changes of other entries do not disturb; *cursor begins at 0. Looks at no more than *budget places, free
 * ones too, and counts them down. NULL: the end, or with *budget 0 a pause. */
const struct prefix_entry *prefix_table_next(
	const struct prefix_table *t, uint64_t *cursor, uint32_t *budget);
const char *prefix_table_note(const struct prefix_table *t, const struct prefix_entry *e);
/* When it was set first. */
uint64_t prefix_table_set_us(const struct prefix_table *t, const struct prefix_entry *e);
/* Lifts expired ones, looking at no more than `budget` entries; goes on where it stopped. Returns how many went. */
unsigned prefix_table_expire(struct prefix_table *t, uint64_t now_us, uint32_t budget);
/* What is in both tables has met what it met in either, since it was set in `from`: that one is to be forgotten. */
void prefix_table_inherit(struct prefix_table *t, const struct prefix_table *from);
uint32_t prefix_table_count(const struct prefix_table *t);
uint32_t prefix_table_capacity(const struct prefix_table *t);

/* `ip` with the bits behind `length` cleared. */
void prefix_mask(union host *ip, uint8_t family, uint8_t length);

#endif
