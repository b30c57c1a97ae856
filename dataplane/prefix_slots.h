/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the prefix table: its memory, which the main thread writes (prefix_table.c) and workers read (prefix_match.c).
 *
 * An entry is found by the hash of its masked key in a bucket of one cache line: seven tags (32 bits of the hash, 0 = free) and
 * seven indices of entries. What does not fit goes to the next bucket, and each bucket that was passed counts it, so that a
 * reader knows how far to go. An entry never changes its slot; writes are ordered such that a reader who sees a tag sees the
 * index, and who sees the index sees the entry. Entries and slots are given to others, but the memory of an entry only after
 * a grace period: a reader always verifies the key, and what it verifies is whole. */
#ifndef DATAPLANE_PREFIX_SLOTS_H
#define DATAPLANE_PREFIX_SLOTS_H

#include <stdatomic.h>

#include "dataplane/prefix_table.h"

enum {
	BUCKET_SLOTS = 7,
	BUCKETS_PASSED_MAX = 16, /* how far from its own bucket an entry may be */
	LENGTHS = 129, /* of prefixes: 0..128 */
	LENGTH_WORDS = (LENGTHS + 63) / 64,
	RETIRED_MAX = 1024, /* entries that wait for workers to pass */
};

/* Two tags in each word: 0 and 1, 2 and 3, 4 and 5; and in the last, tag 6 below and the count of those who passed above. */
struct bucket {
	_Atomic uint64_t tags[4];
	_Atomic uint32_t entry[8]; /* the last is not used */
} __attribute__((aligned(64)));

struct prefix_line {
	struct prefix_entry e; /* e.reserved2: its record */
} __attribute__((aligned(64)));

/* Which kinds of keys there are: workers ask for no others. */
struct kinds {
	_Atomic uint64_t length[2][LENGTH_WORDS]; /* [of a scope][..]: bit `length` */
	atomic_bool port[2]; /* [of a scope] */
};

struct prefix_record;

struct prefix_table {
	/* constant */
	struct bucket *buckets;
	uint64_t bucket_mask;
	struct prefix_line *lines;
	uint64_t secret[4];

	struct kinds kinds[2]; /* IPv4, IPv6; written by main, read by workers */

	/* owner: main thread */
	uint32_t kind_count[2][2][LENGTHS + 1]; /* [family][of a scope][length; LENGTHS = ports] */
	struct rte_rcu_qsbr *rcu;
	struct prefix_record *records;
	uint32_t *hosts; /* heads of the chains of whole hosts and their ports */
	uint64_t host_mask;
	uint32_t capacity, count;
	uint32_t record_free, record_used; /* list of those given back; how many were ever used */
	uint32_t line_free, line_used;
	uint32_t oldest, newest;
	uint32_t expire_at;
	uint32_t retired_first, retired_count;
	struct {
		uint64_t token;
		uint32_t line;
	} retired[RETIRED_MAX]; /* a ring in order of retirement */
};

/* Folded 64 by 64 bit multiplication; without the secrets nobody can say what collides. */
static inline uint64_t prefix_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Port, scope, family and length of a key as one word. */
static inline uint64_t prefix_rest(uint16_t port, uint16_t scope, uint8_t family, uint8_t length)
{
	return (uint64_t)port | (uint64_t)scope << 16 | (uint64_t)family << 32 | (uint64_t)length << 40;
}

static inline uint64_t prefix_hash(const struct prefix_table *t, uint64_t high, uint64_t low, uint64_t rest)
{
	return prefix_fold(
		prefix_fold(high ^ t->secret[0], low ^ t->secret[1]) ^ t->secret[2], rest ^ t->secret[3]);
}

static inline uint32_t prefix_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	return tag != 0 ? tag : 1;
}

static inline bool prefix_is(const struct prefix_key *k, uint64_t high, uint64_t low, uint64_t rest)
{
	return k->ip.half[0] == high && k->ip.half[1] == low &&
	       prefix_rest(k->port, k->scope, k->family, k->length) == rest;
}

/* Which of a bucket's slots have the tag, as bits. */
static inline unsigned bucket_match(const struct bucket *b, uint32_t tag, uint32_t *passed)
{
	uint64_t word[4];
	unsigned found = 0;

	for (unsigned i = 0; i < 4; i++)
		word[i] = atomic_load_explicit(&b->tags[i], memory_order_acquire);
	*passed = (uint32_t)(word[3] >> 32);
	for (unsigned i = 0; i < 3; i++)
		found |= (unsigned)((uint32_t)word[i] == tag) << (2 * i) |
			 (unsigned)((uint32_t)(word[i] >> 32) == tag) << (2 * i + 1);
	return found | (unsigned)((uint32_t)word[3] == tag) << 6;
}

/* Where prefixes of a family begin to be whole hosts. */
static inline uint8_t prefix_whole(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

#endif
