/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers ask of a prefix table: whole bursts, kind of key by kind of key, the most specific first. Each step asks for the
 * cache lines of the next one for the whole burst, so that a table far bigger than the caches costs little more than a small one. */
#include <rte_prefetch.h>

#include "dataplane/prefix_slots.h"

/* The questions of a burst that have no answer yet. */
struct matching {
	const struct prefix_query *query;
	const struct prefix_entry **found;
	uint64_t now_us;
	unsigned open; /* how many */
	uint8_t which[PREFIX_BURST];
};

/* One kind of key. */
struct kind {
	uint8_t family, length;
	bool scoped, port;
};

struct probe {
	uint64_t high, low, rest, hash;
	uint8_t which;
};

static uint64_t swap_mask(unsigned bits)
{
	return bits == 0 ? 0 : __builtin_bswap64(~0ULL << (64 - bits));
}

/* Masks of both halves of an address, as it lies in memory. */
static void masks(unsigned length, uint64_t mask[2])
{
	mask[0] = swap_mask(length < 64 ? length : 64);
	mask[1] = swap_mask(length < 64 ? 0 : length - 64);
}

/* What a tag or a chain of passed buckets promises is looked at here. */
static const struct prefix_entry *verify(const struct prefix_table *t, const struct probe *p, uint64_t now_us)
{
	uint64_t at = p->hash & t->bucket_mask;
	uint32_t passed;

	for (unsigned i = 0; i <= BUCKETS_PASSED_MAX; i++, at = (at + 1) & t->bucket_mask) {
		const struct bucket *b = &t->buckets[at];
		unsigned slots = bucket_match(b, prefix_tag(p->hash), &passed);

		for (; slots != 0; slots &= slots - 1) {
			uint32_t line =
				atomic_load_explicit(&b->entry[__builtin_ctz(slots)], memory_order_acquire);
			const struct prefix_entry *e = &t->lines[line].e;

			if (!prefix_is(&e->key, p->high, p->low, p->rest))
				continue;
			uint64_t expires = __atomic_load_n(&e->expires_us, __ATOMIC_RELAXED);
			return expires == 0 || expires > now_us ? e : NULL;
		}
		if (passed == 0)
			return NULL;
	}
	return NULL;
}

static unsigned ask(
	const struct prefix_table *t, const struct matching *m, const struct kind *k, struct probe *p)
{
	uint64_t mask[2];
	unsigned n = 0;

	masks(k->length, mask);
	for (unsigned i = 0; i < m->open; i++) {
		const struct prefix_query *q = &m->query[m->which[i]];

		if (q->family != k->family || (k->port && q->port == 0) ||
			(k->scoped && q->scope == PREFIX_SCOPE_ANY))
			continue;
		p[n].which = m->which[i];
		p[n].high = q->ip.half[0] & mask[0];
		p[n].low = q->ip.half[1] & mask[1];
		p[n].rest = prefix_rest(
			k->port ? q->port : 0, k->scoped ? q->scope : PREFIX_SCOPE_ANY, k->family, k->length);
		p[n].hash = prefix_hash(t, p[n].high, p[n].low, p[n].rest);
		rte_prefetch0(&t->buckets[p[n].hash & t->bucket_mask]);
		n++;
	}
	return n;
}

/* Keeps the probes whose bucket does not say at once that there is nothing, and asks for what it names. */
static unsigned sift(const struct prefix_table *t, struct probe *p, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct bucket *b = &t->buckets[p[i].hash & t->bucket_mask];
		uint32_t passed;
		unsigned slots = bucket_match(b, prefix_tag(p[i].hash), &passed);

		if (likely(slots == 0 && passed == 0))
			continue;
		if (slots != 0)
			rte_prefetch0(&t->lines[atomic_load_explicit(
				&b->entry[__builtin_ctz(slots)], memory_order_acquire)]);
		p[left++] = p[i];
	}
	return left;
}

static void match_kind(const struct prefix_table *t, struct matching *m, const struct kind *k)
{
	struct probe probes[PREFIX_BURST];
	unsigned n = ask(t, m, k, probes), answered = 0;

	n = sift(t, probes, n);
	for (unsigned i = 0; i < n; i++) {
		const struct prefix_entry *e = verify(t, &probes[i], m->now_us);

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

static void match_family(const struct prefix_table *t, struct matching *m, uint8_t family)
{
	const struct kinds *there = &t->kinds[family == 6];
	struct kind k = { .family = family, .length = prefix_whole(family), .port = true };

	match_both(t, m, &k, atomic_load_explicit(&there->port[1], memory_order_relaxed),
		atomic_load_explicit(&there->port[0], memory_order_relaxed));
	k.port = false;
	for (unsigned w = LENGTH_WORDS; w-- > 0;) {
		uint64_t any = atomic_load_explicit(&there->length[0][w], memory_order_relaxed);
		uint64_t scoped = atomic_load_explicit(&there->length[1][w], memory_order_relaxed);

		while ((any | scoped) != 0 && m->open != 0) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(any | scoped);

			k.length = (uint8_t)(w * 64 + bit);
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

	for (uint8_t family = 4; family <= 6; family += 2) {
		m.open = 0;
		for (unsigned i = 0; i < n; i++) {
			if (query[i].family == family)
				m.which[m.open++] = (uint8_t)i;
			if (family == 4)
				found[i] = NULL;
		}
		if (m.open != 0)
			match_family(t, &m, family);
	}
}
