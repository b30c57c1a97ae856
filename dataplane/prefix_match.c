/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers ask of a prefix table: whole bursts, kind of key by kind of key, the most specific first. Each step asks for the
 * cache lines of the next one for the whole burst, so that a table far bigger than the caches costs little more than a small one. */
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "dataplane/prefix_slots.h"

enum { FILTER_WORTH = 3 /* kinds of keys */ };

/* The questions of a burst that have no answer yet. */
struct matching {
	const struct prefix_query *query;
	const struct prefix_entry **found;
	uint64_t now_us;
	unsigned open; /* how many */
	uint8_t which[PREFIX_BURST + 1];
	uint8_t kinds[PREFIX_BURST]; /* what the filter says of a question; all bits: it was not asked */
};

/* One kind of key. */
struct kind {
	uint64_t mask[2]; /* of both halves of an address, as it lies in memory */
	uint8_t family, length;
	uint8_t bit; /* in the filter; 0 = it does not know */
	bool scoped, port;
};

struct probe {
	uint64_t hash;
	uint32_t which;
};

/* The key that a question is looked up by. */
struct masked {
	uint64_t high, low, rest;
};

static uint64_t swap_mask(unsigned bits)
{
	return bits == 0 ? 0 : __builtin_bswap64(~0ULL << (64 - bits));
}

static void kind_length(struct kind *k, unsigned length)
{
	k->length = (uint8_t)length;
	k->bit = prefix_filter_bit(k->family, k->length, k->port);
	k->mask[0] = swap_mask(length < 64 ? length : 64);
	k->mask[1] = swap_mask(length < 64 ? 0 : length - 64);
}

static struct masked masked_key(const struct kind *k, const struct prefix_query *q)
{
	return (struct masked){ .high = q->ip.half[0] & k->mask[0],
		.low = q->ip.half[1] & k->mask[1],
		.rest = prefix_rest(k->port ? q->port : 0, k->scoped ? q->scope : PREFIX_SCOPE_ANY, k->family,
			k->length) };
}

/* What a tag or a chain of passed buckets promises is looked at here. */
static const struct prefix_entry *verify(
	const struct prefix_table *t, const struct masked *key, uint64_t hash, uint64_t now_us)
{
	uint64_t at = hash & t->bucket_mask;
	uint32_t passed;

	for (unsigned i = 0; i <= BUCKETS_PASSED_MAX; i++, at = (at + 1) & t->bucket_mask) {
		uint32_t slots = bucket_match(&t->buckets[at], prefix_tag(hash), &passed);

		for (; slots != 0; slots &= slots - 1) {
			uint32_t line = atomic_load_explicit(
				&t->entries[at].line[__builtin_ctz(slots)], memory_order_acquire);
			const struct prefix_entry *e = &t->lines[line].e;

			if (!prefix_is(&e->key, key->high, key->low, key->rest))
				continue;
			uint64_t expires = __atomic_load_n(&e->expires_us, __ATOMIC_RELAXED);
			return expires == 0 || expires > now_us ? e : NULL;
		}
		if (passed == 0)
			return NULL;
	}
	return NULL;
}

/* The open questions for which the filter has the kind. Without a branch: which have is as good as random. */
static unsigned choose(const struct matching *m, const struct kind *k, uint8_t *chosen)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->open; i++) {
		chosen[n] = m->which[i];
		n += (k->bit & ~m->kinds[m->which[i]]) == 0;
	}
	return n;
}

static unsigned ask(
	const struct prefix_table *t, const struct matching *m, const struct kind *k, struct probe *p)
{
	uint8_t chosen[PREFIX_BURST + 1];
	unsigned candidates = choose(m, k, chosen), n = 0;

	for (unsigned i = 0; i < candidates; i++) {
		const struct prefix_query *q = &m->query[chosen[i]];

		if ((k->port && q->port == 0) || (k->scoped && q->scope == PREFIX_SCOPE_ANY))
			continue;
		struct masked key = masked_key(k, q);
		p[n].which = chosen[i];
		p[n].hash = prefix_hash(t, key.high, key.low, key.rest);
		rte_prefetch0(&t->buckets[p[n].hash & t->bucket_mask]);
		n++;
	}
	return n;
}

/* Keeps the probes that the tags do not refuse. */
static unsigned sift(const struct prefix_table *t, struct probe *p, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = p[i].hash & t->bucket_mask;

		if (likely(!bucket_may_have(&t->buckets[at], prefix_tag(p[i].hash))))
			continue;
		rte_prefetch0(&t->entries[at].line[0]);
		rte_prefetch0(&t->entries[at].line[BUCKET_SLOTS / 2 + 1]);
		p[left++] = p[i];
	}
	return left;
}

/* Asks for the entries that the tags name. */
static void approach(const struct prefix_table *t, const struct probe *p, unsigned n)
{
	uint32_t passed;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = p[i].hash & t->bucket_mask;
		uint32_t slots = bucket_match(&t->buckets[at], prefix_tag(p[i].hash), &passed);

		if (slots != 0)
			rte_prefetch0(&t->lines[atomic_load_explicit(
				&t->entries[at].line[__builtin_ctz(slots)], memory_order_acquire)]);
	}
}

static void match_kind(const struct prefix_table *t, struct matching *m, const struct kind *k)
{
	struct probe probes[PREFIX_BURST];
	unsigned n = ask(t, m, k, probes), answered = 0;

	n = sift(t, probes, n);
	if (likely(n == 0))
		return;
	approach(t, probes, n);
	for (unsigned i = 0; i < n; i++) {
		struct masked key = masked_key(k, &m->query[probes[i].which]);
		const struct prefix_entry *e = verify(t, &key, probes[i].hash, m->now_us);

		m->found[probes[i].which] = e;
		answered += e != NULL;
	}
	if (answered == 0)
		return;
	unsigned open = 0;
	for (unsigned i = 0; i < m->open; i++)
		if (m->found[m->which[i]] == NULL)
			m->which[open++] = m->which[i];
	m->open = open;
}

/* Of its scope before of any. */
static void match_both(
	const struct prefix_table *t, struct matching *m, struct kind *k, bool scoped, bool any)
{
	if (scoped && m->open != 0) {
		k->scoped = true;
		match_kind(t, m, k);
	}
	if (any && m->open != 0) {
		k->scoped = false;
		match_kind(t, m, k);
	}
}

/* Where there are few kinds it would cost more than it saves. */
static void filter_ask(
	const struct prefix_table *t, struct matching *m, const struct kinds *there, uint8_t family)
{
	uint64_t place[PREFIX_BURST];

	if (atomic_load_explicit(&there->count, memory_order_relaxed) < FILTER_WORTH) {
		memset(m->kinds, UINT8_MAX, sizeof(m->kinds));
		return;
	}
	for (unsigned i = 0; i < m->open; i++) {
		place[i] = prefix_filter_place(t, m->query[m->which[i]].ip.half[0], family);
		rte_prefetch0((const void *)&t->filter[place[i]]);
	}
	for (unsigned i = 0; i < m->open; i++)
		m->kinds[m->which[i]] = atomic_load_explicit(&t->filter[place[i]], memory_order_acquire);
}

static void match_family(const struct prefix_table *t, struct matching *m, uint8_t family)
{
	const struct kinds *there = &t->kinds[family == 6];
	struct kind k = { .family = family, .port = true };

	filter_ask(t, m, there, family);
	kind_length(&k, prefix_whole(family));
	match_both(t, m, &k, atomic_load_explicit(&there->port[1], memory_order_relaxed),
		atomic_load_explicit(&there->port[0], memory_order_relaxed));
	k.port = false;
	for (unsigned w = LENGTH_WORDS; w-- > 0;) {
		uint64_t any = atomic_load_explicit(&there->length[0][w], memory_order_relaxed);
		uint64_t scoped = atomic_load_explicit(&there->length[1][w], memory_order_relaxed);

		while ((any | scoped) != 0 && m->open != 0) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(any | scoped);

			kind_length(&k, w * 64 + bit);
			match_both(t, m, &k, (scoped >> bit & 1) != 0, (any >> bit & 1) != 0);
			any &= ~(1ULL << bit);
			scoped &= ~(1ULL << bit);
		}
	}
}

void prefix_table_match(const struct prefix_table *t, const struct prefix_query *query, unsigned n,
	uint64_t now_us, const struct prefix_entry **found)
{
	struct matching m = { .query = query, .found = found, .now_us = now_us };
	unsigned others = 0;

	for (unsigned i = 0; i < n; i++) {
		found[i] = NULL;
		m.which[m.open] = (uint8_t)i;
		m.open += query[i].family == 4;
		others += query[i].family == 6;
	}
	if (m.open != 0)
		match_family(t, &m, 4);
	if (others == 0)
		return;
	m.open = 0;
	for (unsigned i = 0; i < n; i++)
		if (query[i].family == 6)
			m.which[m.open++] = (uint8_t)i;
	match_family(t, &m, 6);
}
