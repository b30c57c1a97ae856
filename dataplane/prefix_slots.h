/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the prefix table: its memory, which the main thread writes (prefix_table.c) and workers read (prefix_match.c).
 *
 * An entry is found by the hash of its masked key in a bucket: 31 tags (16 bits of the hash, 0 = free) in one cache line, which
 * is all that a question without an answer touches, and 31 indices of entries apart from them. Where a million bans fill 4 MiB
 * of tags, most of what is asked comes from the second level cache. What does not fit goes to the next bucket, and each bucket
 * that was passed counts it, so that a reader knows how far to go. An entry never changes its slot; writes are ordered such that
 * a reader who sees a tag sees the index, and who sees the index sees the entry. Slots are given to others at once, the memory
 * of an entry only after a grace period: a reader always verifies the key, and what it verifies is whole.
 *
 * Each kind of key (ports, a length) costs a bucket. Two filters say first for whom it can be worth it: one has a bit for each host
 * that is there, whole or with a port, the other one for the first bits of each network. */
#ifndef DATAPLANE_PREFIX_SLOTS_H
#define DATAPLANE_PREFIX_SLOTS_H

#include <stdatomic.h>

#include "dataplane/prefix_filter.h"
#include "dataplane/prefix_table.h"

enum {
	BUCKET_SLOTS = 31,
	BUCKET_WORDS = 8,
	TAGS_PER_WORD = 4,
	PASSED_SHIFT = 48, /* in the last word of a bucket */
	BUCKET_LOAD = 16, /* entries that a bucket has on the average, at most */
	BUCKETS_PASSED_MAX = 16, /* how far from its own bucket an entry may be */
	LENGTHS = 129, /* of prefixes: 0..128 */
	LENGTH_WORDS = (LENGTHS + 63) / 64,
	FILTER_BITS = 8, /* for each entry that there may be */
	FILTER_FROM_4 =
		20, /* lengths of networks that the filter knows begin here: a bit for each of so many bits, .. */
	FILTER_FROM_6 = 48,
	FILTER_NETWORKS_MAX = 1 << FILTER_FROM_4, /* .. at most */
	RETIRED_MAX = 1024, /* entries that wait for workers to pass */
};

/* Four tags in each word; in the last, three and the count of those that passed. */
struct bucket {
	_Atomic uint64_t word[BUCKET_WORDS];
} __attribute__((aligned(64)));

struct bucket_entries {
	_Atomic uint32_t line[BUCKET_SLOTS + 1]; /* the last is not used */
} __attribute__((aligned(64)));

struct prefix_line {
	struct prefix_entry e; /* e.reserved2: its record */
} __attribute__((aligned(64)));

/* Which kinds of keys there are: workers ask for no others. */
struct kinds {
	_Atomic uint64_t length[2][LENGTH_WORDS]; /* [of a scope][..]: bit `length` */
	atomic_bool port[2]; /* [of a scope] */
	atomic_uint count; /* of all these */
};

struct prefix_record;

struct prefix_table {
	/* constant */
	struct bucket *buckets;
	struct bucket_entries *entries; /* of each bucket */
	uint64_t bucket_mask;
	struct prefix_line *lines;
	struct prefix_filter host_filter, network_filter;
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

/* A host whatever its ports and scopes are: its place in the filter, and with more to it a key's hash. */
static inline uint64_t prefix_host(const struct prefix_table *t, uint64_t high, uint64_t low)
{
	return prefix_fold(high ^ t->secret[0], low ^ t->secret[1]);
}

/* Its bits in the filter's word: three, of the part of the hash that does not choose the word. */
static inline uint64_t prefix_host_bits(uint64_t host)
{
	return 1ULL << (host >> 58) | 1ULL << (host >> 52 & 63) | 1ULL << (host >> 46 & 63);
}

/* The first bits of an address, from its upper half in memory order, as a number: its lowest 6 bits choose one of a word of the filter of
 * networks, the others the word. For IPv4 there are no more than the filter has bits. */
static inline uint64_t prefix_network(const struct prefix_table *t, uint64_t high, uint8_t family)
{
	uint64_t first = __builtin_bswap64(high) >> (64 - (family == 4 ? FILTER_FROM_4 : FILTER_FROM_6));

	return family == 4 ? first : prefix_fold(first ^ t->secret[0], t->secret[3]);
}

/* Networks that are too wide for the filter are always asked for. */
static inline bool prefix_network_filtered(uint8_t family, uint8_t length)
{
	return length >= (family == 4 ? FILTER_FROM_4 : FILTER_FROM_6);
}

/* Port, scope, family and length of a key as one word. */
static inline uint64_t prefix_rest(uint16_t port, uint16_t scope, uint8_t family, uint8_t length)
{
	return (uint64_t)port | (uint64_t)scope << 16 | (uint64_t)family << 32 | (uint64_t)length << 40;
}

static inline uint64_t prefix_hash(const struct prefix_table *t, uint64_t high, uint64_t low, uint64_t rest)
{
	return prefix_fold(prefix_host(t, high, low) ^ t->secret[2], rest ^ t->secret[3]);
}

static inline uint16_t prefix_tag(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 48);

	return tag != 0 ? tag : 1;
}

static inline bool prefix_is(const struct prefix_key *k, uint64_t high, uint64_t low, uint64_t rest)
{
	return k->ip.half[0] == high && k->ip.half[1] == low &&
	       prefix_rest(k->port, k->scope, k->family, k->length) == rest;
}

/* Which of a bucket's slots have the tag, as bits. */
static inline uint32_t bucket_match(const struct bucket *b, uint16_t tag, uint32_t *passed)
{
	const uint64_t low_bits = 0x7fff7fff7fff7fff, each = tag * 0x0001000100010001ULL;
	uint32_t found = 0;
	uint64_t word = 0;

	for (unsigned i = 0; i < BUCKET_WORDS; i++) {
		word = atomic_load_explicit(&b->word[i], memory_order_acquire);
		uint64_t other = word ^ each; /* 0 where the tag is */
		uint64_t top = ~(((other & low_bits) + low_bits) | other | low_bits);

		found |= (uint32_t)((top >> 15) * 0x0001000200040008ULL >> 48 & 15) << TAGS_PER_WORD * i;
	}
	*passed = (uint32_t)(word >> PASSED_SHIFT);
	return found & ((1U << BUCKET_SLOTS) - 1);
}

typedef uint16_t tag_vector __attribute__((vector_size(16)));
typedef uint64_t word_vector __attribute__((vector_size(16)));

/* false: neither in this bucket nor behind it. True may be wrong. */
static inline bool bucket_may_have(const struct bucket *b, uint16_t tag)
{
	tag_vector wanted = { tag, tag, tag, tag, tag, tag, tag, tag }, equal = { 0 };
	uint64_t last = 0;

	for (unsigned i = 0; i < BUCKET_WORDS; i += 2) {
		uint64_t low = atomic_load_explicit(&b->word[i], memory_order_acquire);

		last = atomic_load_explicit(&b->word[i + 1], memory_order_acquire);
		equal |= (tag_vector)((tag_vector)(word_vector){ low, last } == wanted);
	}
	word_vector any = (word_vector)equal;
	return (any[0] | any[1] | last >> PASSED_SHIFT) != 0;
}

/* Where prefixes of a family begin to be whole hosts. */
static inline uint8_t prefix_whole(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

#endif
