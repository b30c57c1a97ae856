/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers ask of a prefix table: whole bursts, kind of key by kind of key, the most specific first. Each step asks for the
 * cache lines of the next one for the whole burst, so that a table far bigger than the caches costs little more than a small one. */
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "dataplane/prefix_slots.h"

enum {
	BATCH_KINDS = 8,
	BATCH_PROBES = 4 * PREFIX_BURST,
};

/* The questions of a burst. */
struct matching {
	const struct prefix_query *query;
	const struct prefix_entry **found;
	uint64_t now_us;
	uint32_t open; /* those that have no answer yet, as bits */
	uint32_t hosts; /* those that there may be a host for, with or without a port */
	uint32_t networks; /* those that there may be a network for */
};

/* One kind of key. */
struct kind {
	uint64_t mask[2]; /* of both halves of an address, as it lies in memory */
	uint8_t family, length;
	bool scoped, port;
};

struct probe {
	uint64_t hash;
	uint8_t which, kind;
};

/* Probes of several kinds are on their way at once: where each kind has few, one after the other would wait for memory. */
struct batch {
	unsigned kinds, count;
	struct kind kind[BATCH_KINDS];
	struct probe probe[BATCH_PROBES];
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

/* The open questions that there may be an answer of this kind for, as bits. */
static uint32_t choose(const struct matching *m, const struct kind *k)
{
	if (k->length == prefix_whole(k->family))
		return m->open & m->hosts;
	return prefix_network_filtered(k->family, k->length) ? m->open & m->networks : m->open;
}

static void ask(const struct prefix_table *t, const struct matching *m, struct batch *b, uint32_t chosen)
{
	const struct kind *k = &b->kind[b->kinds];
	unsigned n = b->count;

	for (; chosen != 0; chosen &= chosen - 1) {
		unsigned i = (unsigned)__builtin_ctz(chosen);
		const struct prefix_query *q = &m->query[i];

		if ((k->port && q->port == 0) || (k->scoped && q->scope == PREFIX_SCOPE_ANY))
			continue;
		struct masked key = masked_key(k, q);
		b->probe[n] = (struct probe){ .hash = prefix_hash(t, key.high, key.low, key.rest),
			.which = (uint8_t)i,
			.kind = (uint8_t)b->kinds };
		rte_prefetch0(&t->buckets[b->probe[n].hash & t->bucket_mask]);
		n++;
	}
	b->count = n;
	b->kinds++;
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

/* Kinds are in their order, so that the first answer is the most specific. */
static void answer(const struct prefix_table *t, struct matching *m, struct batch *b)
{
	unsigned n = sift(t, b->probe, b->count);

	b->kinds = b->count = 0;
	if (likely(n == 0))
		return;
	approach(t, b->probe, n);
	for (unsigned i = 0; i < n; i++) {
		const struct probe *p = &b->probe[i];
		struct masked key = masked_key(&b->kind[p->kind], &m->query[p->which]);

		if ((m->open >> p->which & 1) == 0)
			continue;
		m->found[p->which] = verify(t, &key, p->hash, m->now_us);
		if (m->found[p->which] != NULL)
			m->open &= ~(1U << p->which);
	}
}

static void match_kind(
	const struct prefix_table *t, struct matching *m, const struct kind *k, struct batch *b)
{
	if (b->kinds == BATCH_KINDS || b->count > BATCH_PROBES - PREFIX_BURST)
		answer(t, m, b);
	uint32_t chosen = choose(m, k);

	if (chosen == 0)
		return;
	b->kind[b->kinds] = *k;
	ask(t, m, b, chosen);
}

/* Of its scope before of any. */
static void match_both(const struct prefix_table *t, struct matching *m, struct kind *k, struct batch *b,
	bool scoped, bool any)
{
	if (scoped && m->open != 0) {
		k->scoped = true;
		match_kind(t, m, k, b);
	}
	if (any && m->open != 0) {
		k->scoped = false;
		match_kind(t, m, k, b);
	}
}

/* Which open questions the filter of hosts lets through. */
static uint32_t hosts_ask(const struct prefix_table *t, const struct matching *m)
{
	uint64_t place[PREFIX_BURST];
	uint32_t may = 0;

	for (uint32_t open = m->open; open != 0; open &= open - 1) {
		unsigned i = (unsigned)__builtin_ctz(open);

		place[i] = prefix_host(t, m->query[i].ip.half[0], m->query[i].ip.half[1]);
		prefix_filter_prefetch(&t->host_filter, place[i]);
	}
	for (uint32_t open = m->open; open != 0; open &= open - 1) {
		unsigned i = (unsigned)__builtin_ctz(open);

		may |= prefix_filter_has(&t->host_filter, place[i], prefix_host_bits(place[i])) << i;
	}
	return may;
}

/* The same of the filter of networks: it is small, and in the cache where anybody asks it. */
static uint32_t networks_ask(const struct prefix_table *t, const struct matching *m, uint8_t family)
{
	uint32_t may = 0;

	for (uint32_t open = m->open; open != 0; open &= open - 1) {
		unsigned i = (unsigned)__builtin_ctz(open);
		uint64_t place = prefix_network(t, m->query[i].ip.half[0], family);

		may |= prefix_filter_has(&t->network_filter, place / 64, 1ULL << place % 64) << i;
	}
	return may;
}

static void match_hosts(const struct prefix_table *t, struct matching *m, const struct kinds *there,
	uint8_t family, struct batch *b)
{
	unsigned whole = prefix_whole(family);
	bool port[2], host[2];

	for (unsigned scoped = 0; scoped < 2; scoped++) {
		port[scoped] = atomic_load_explicit(&there->port[scoped], memory_order_relaxed);
		host[scoped] =
			(atomic_load_explicit(&there->length[scoped][whole / 64], memory_order_relaxed) >>
					whole % 64 &
				1) != 0;
	}
	m->hosts = port[0] || port[1] || host[0] || host[1] ? hosts_ask(t, m) : 0;
	if (m->hosts == 0)
		return;
	struct kind k = { .family = family, .port = true };

	kind_length(&k, whole);
	match_both(t, m, &k, b, port[1], port[0]);
	k.port = false;
	match_both(t, m, &k, b, host[1], host[0]);
}

/* The longest first; the filter is asked once, if there is a length that it knows. */
static void match_networks(const struct prefix_table *t, struct matching *m, const struct kinds *there,
	uint8_t family, struct batch *b)
{
	struct kind k = { .family = family };
	bool asked = false;

	for (unsigned w = prefix_whole(family) / 64 + 1; w-- > 0;) {
		uint64_t any = atomic_load_explicit(&there->length[0][w], memory_order_relaxed);
		uint64_t scoped = atomic_load_explicit(&there->length[1][w], memory_order_relaxed);

		while ((any | scoped) != 0 && m->open != 0) {
			/* The analyser knows not what clz can be. */
			unsigned bit = (63 - (unsigned)__builtin_clzll(any | scoped)) & 63;
			unsigned length = w * 64 + bit;
			bool of_any = (any >> bit & 1) != 0, of_scope = (scoped >> bit & 1) != 0;

			any &= ~(1ULL << bit);
			scoped &= ~(1ULL << bit);
			if (length == prefix_whole(family))
				continue;
			if (prefix_network_filtered(family, (uint8_t)length)) {
				if (!asked)
					m->networks = networks_ask(t, m, family);
				asked = true;
				if (m->networks == 0)
					continue;
			}
			kind_length(&k, length);
			match_both(t, m, &k, b, of_scope, of_any);
		}
	}
}

static void match_family(const struct prefix_table *t, struct matching *m, uint8_t family)
{
	const struct kinds *there = &t->kinds[family == 6];
	struct batch b;

	b.kinds = b.count = 0;
	match_hosts(t, m, there, family, &b);
	match_networks(t, m, there, family, &b);
	answer(t, m, &b);
}

void prefix_table_prefetch(const struct prefix_table *t, const struct prefix_query *q)
{
	const struct kinds *there = &t->kinds[q->family == 6];

	if (atomic_load_explicit(&there->count, memory_order_relaxed) == 0)
		return;
	prefix_filter_prefetch(&t->host_filter, prefix_host(t, q->ip.half[0], q->ip.half[1]));
	prefix_filter_prefetch(&t->network_filter, prefix_network(t, q->ip.half[0], q->family) / 64);
}

void prefix_table_match(const struct prefix_table *t, const struct prefix_query *query, unsigned n,
	uint64_t now_us, const struct prefix_entry **found)
{
	struct matching m = { .query = query, .found = found, .now_us = now_us };
	uint32_t ipv4 = 0, ipv6 = 0;

	for (unsigned i = 0; i < n; i++) {
		found[i] = NULL;
		ipv4 |= (uint32_t)(query[i].family == 4) << i;
		ipv6 |= (uint32_t)(query[i].family == 6) << i;
	}
	m.open = ipv4;
	if (ipv4 != 0)
		match_family(t, &m, 4);
	m.open = ipv6;
	if (ipv6 != 0)
		match_family(t, &m, 6);
}
