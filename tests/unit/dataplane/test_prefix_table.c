/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of bans, access lists and trust. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "dataplane/prefix_slots.h"
#include "tests/unit/dataplane/bed.h"

enum { NOW = 1000000, LIST = 10000, CROWD = 480 };

static struct rte_rcu_qsbr *rcu;
static uint32_t seed = 1;

static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static int open_rcu(void **state)
{
	(void)state;
	rcu = aligned_alloc(64, rte_rcu_qsbr_get_memsize(4));
	return rte_rcu_qsbr_init(rcu, 4);
}

static int close_rcu(void **state)
{
	(void)state;
	free(rcu);
	return 0;
}

static struct prefix_key key_of(const char *ip, uint8_t length, uint16_t port, uint16_t scope)
{
	return (struct prefix_key){ .ip = bed_host(ip),
		.port = htons(port),
		.scope = scope,
		.family = strchr(ip, ':') != NULL ? 6 : 4,
		.length = length };
}

/* `rate` is how a test knows an entry again. */
static struct prefix_entry entry_of(struct prefix_key key, uint32_t rate)
{
	return (struct prefix_entry){ .key = key, .rate = rate };
}

static void put(
	struct prefix_table *t, const char *ip, uint8_t length, uint16_t port, uint16_t scope, uint32_t rate)
{
	struct prefix_entry e = entry_of(key_of(ip, length, port, scope), rate);

	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
}

/* The rate of what is found; 0: nothing. */
static uint32_t meet_at(
	struct prefix_table *t, const char *ip, uint16_t port, uint16_t scope, uint64_t now_us)
{
	struct prefix_query q = { .ip = bed_host(ip),
		.port = htons(port),
		.scope = scope,
		.family = strchr(ip, ':') != NULL ? 6 : 4 };
	const struct prefix_entry *found;

	prefix_table_match(t, &q, 1, now_us, &found);
	return found != NULL ? found->rate : 0;
}

static uint32_t meet(struct prefix_table *t, const char *ip, uint16_t port, uint16_t scope)
{
	return meet_at(t, ip, port, scope, NOW);
}

static void the_most_specific_entry_is_found(void **state)
{
	struct prefix_table *t = prefix_table_new(100, rcu);

	(void)state;
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 0);
	put(t, "0.0.0.0", 0, 0, PREFIX_SCOPE_ANY, 1);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 1);
	put(t, "192.0.0.0", 8, 0, PREFIX_SCOPE_ANY, 2);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 2);
	put(t, "192.0.2.0", 25, 0, PREFIX_SCOPE_ANY, 3);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 3);
	assert_int_equal(meet(t, "192.0.2.129", 5060, 1), 2);
	put(t, "192.0.2.7", 32, 0, PREFIX_SCOPE_ANY, 4);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 4);
	put(t, "192.0.2.7", 32, 5060, PREFIX_SCOPE_ANY, 5);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 1), 5);
	assert_int_equal(meet(t, "192.0.2.7", 5061, 1), 4);
	assert_int_equal(meet(t, "192.0.2.7", 0, 1), 4); /* no port is known */
	assert_int_equal(meet(t, "198.51.100.1", 5060, 1), 1);
	assert_int_equal(meet(t, "2001:db8::1", 5060, 1), 0); /* IPv4's default is not IPv6's */
	prefix_table_free(t);
}

static void an_entry_of_a_scope_is_for_it_alone_and_goes_before_one_of_any(void **state)
{
	struct prefix_table *t = prefix_table_new(100, rcu);

	(void)state;
	put(t, "192.0.2.0", 24, 0, PREFIX_SCOPE_ANY, 1);
	put(t, "192.0.2.0", 24, 0, 7, 2);
	assert_int_equal(meet(t, "192.0.2.7", 0, 7), 2);
	assert_int_equal(meet(t, "192.0.2.7", 0, 8), 1);
	assert_int_equal(meet(t, "192.0.2.7", 0, PREFIX_SCOPE_ANY), 1);
	put(t, "192.0.2.0", 28, 0, PREFIX_SCOPE_ANY, 3);
	assert_int_equal(meet(t, "192.0.2.7", 0, 7), 3); /* the length goes before the scope */
	put(t, "192.0.2.7", 32, 5060, 7, 4);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 7), 4);
	assert_int_equal(meet(t, "192.0.2.7", 5060, 8), 3);
	prefix_table_free(t);
}

static void ipv6_prefixes_of_all_lengths_are_found(void **state)
{
	struct prefix_table *t = prefix_table_new(200, rcu);
	union host h = bed_host("2001:db8:aaaa:5555:aaaa:5555:aaaa:5555");

	(void)state;
	for (unsigned length = 0; length <= 128; length++) {
		struct prefix_entry e = {
			.key = { .ip = h, .family = 6, .length = (uint8_t)length, .scope = PREFIX_SCOPE_ANY },
			.rate = length + 1
		};

		prefix_mask(&e.key.ip, 6, (uint8_t)length);
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
		assert_int_equal(meet(t, "2001:db8:aaaa:5555:aaaa:5555:aaaa:5555", 5060, 1), length + 1);
	}
	assert_int_equal(meet(t, "2001:db8:aaaa:5555:aaaa:5555:aaaa:5554", 0, 1), 128);
	assert_int_equal(meet(t, "2001:db8:aaaa:5555:2aaa:5555:aaaa:5555", 0, 1), 65);
	assert_int_equal(meet(t, "2001:db8:aaaa:5554::", 0, 1), 64);
	assert_int_equal(meet(t, "a001::", 0, 1), 1);
	prefix_table_free(t);
}

static void an_expired_entry_is_found_no_more_and_lifted_within_the_budget(void **state)
{
	struct prefix_table *t = prefix_table_new(100, rcu);
	struct prefix_entry e = entry_of(key_of("192.0.2.7", 32, 0, PREFIX_SCOPE_ANY), 2);

	(void)state;
	put(t, "192.0.2.0", 24, 0, PREFIX_SCOPE_ANY, 1);
	e.expires_us = NOW + 10;
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	assert_int_equal(meet_at(t, "192.0.2.7", 0, 1, NOW + 9), 2);
	assert_int_equal(meet_at(t, "192.0.2.7", 0, 1, NOW + 10), 1); /* what is behind it counts */
	e.expires_us = NOW + 20; /* longer: in place */
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	assert_int_equal(meet_at(t, "192.0.2.7", 0, 1, NOW + 10), 2);
	assert_int_equal(prefix_table_expire(t, NOW + 19, 100), 0);
	for (unsigned i = 0; i < 10; i++) {
		e.key.ip.byte[3] = (uint8_t)(100 + i);
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	}
	unsigned gone = 0, rounds = 0;
	for (; prefix_table_count(t) > 1; rounds++) {
		unsigned n = prefix_table_expire(t, NOW + 20, 3);

		assert_in_range(n, 0, 3);
		gone += n;
	}
	assert_int_equal(gone, 11);
	assert_in_range(rounds, 4, 5);
	assert_int_equal(meet(t, "192.0.2.7", 0, 1), 1);
	prefix_table_free(t);
}

static void a_full_table_refuses_or_gives_up_what_was_set_longest_ago(void **state)
{
	struct prefix_table *t = prefix_table_new(3, rcu);
	struct prefix_entry e = entry_of(key_of("192.0.2.4", 32, 0, PREFIX_SCOPE_ANY), 4);
	bool evicted = true;

	(void)state;
	e.configured = 1;
	e.key.ip.byte[3] = 1;
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, true, &evicted), 0);
	assert_false(evicted);
	put(t, "192.0.2.2", 32, 0, PREFIX_SCOPE_ANY, 2);
	put(t, "192.0.2.3", 32, 0, PREFIX_SCOPE_ANY, 3);
	put(t, "192.0.2.2", 32, 0, PREFIX_SCOPE_ANY, 22); /* set again: now .3 is the oldest */
	e.configured = 0;
	e.key.ip.byte[3] = 4;
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, &evicted), -ENOSPC);
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, true, &evicted), 0);
	assert_true(evicted);
	assert_int_equal(meet(t, "192.0.2.3", 0, 1), 0);
	assert_int_equal(meet(t, "192.0.2.2", 0, 1), 22);
	assert_int_equal(meet(t, "192.0.2.4", 0, 1), 4);
	assert_int_equal(meet(t, "192.0.2.1", 0, 1), 4); /* configured */
	e.configured = 1;
	for (uint8_t i = 2; i <= 4; i += 2) {
		e.key.ip.byte[3] = i;
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, true, &evicted), 0);
	}
	assert_int_equal(prefix_table_count(t), 3);
	e.key.ip.byte[3] = 9;
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, true, &evicted), -ENOSPC);
	assert_int_equal(prefix_table_capacity(t), 3);
	prefix_table_free(t);
}

static void keys_that_contradict_themselves_are_refused(void **state)
{
	struct prefix_table *t = prefix_table_new(10, rcu);
	struct prefix_entry bad[] = {
		entry_of(key_of("192.0.2.1", 24, 0, 1), 1),
		entry_of(key_of("192.0.2.0", 24, 5060, 1), 1),
		entry_of(key_of("192.0.2.0", 33, 0, 1), 1),
		entry_of(key_of("2001:db8::1", 64, 0, 1), 1),
		entry_of(key_of("2001:db8::1", 129, 0, 1), 1),
		entry_of(key_of("192.0.2.1", 32, 0, 1), 1),
		entry_of(key_of("192.0.2.1", 32, 0, 1), 1),
	};

	(void)state;
	bad[5].key.family = 0;
	bad[6].key.ip.byte[9] = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(prefix_table_set(t, &bad[i], NULL, NOW, true, NULL), -EINVAL);
	assert_int_equal(prefix_table_clear(t, &bad[0].key), -ENOENT);
	assert_int_equal(prefix_table_count(t), 0);
	prefix_table_free(t);
}

static void replacing_keeps_hits_and_age_and_changes_the_rest(void **state)
{
	struct prefix_table *t = prefix_table_new(10, rcu);
	struct prefix_entry e = entry_of(key_of("192.0.2.7", 32, 0, 1), 5);
	const struct prefix_entry *found;

	(void)state;
	assert_int_equal(prefix_table_set(t, &e, "first", NOW, false, NULL), 0);
	prefix_entry_hit(prefix_table_find(t, &e.key));
	e.rate = 6;
	e.permit = e.trusted = 1;
	assert_int_equal(prefix_table_set(t, &e, "a reason that is much longer than what is kept", NOW + 5,
				 false, NULL),
		0);
	found = prefix_table_find(t, &e.key);
	assert_int_equal(found->hits, 1);
	assert_int_equal(found->rate, 6);
	assert_int_equal(found->permit, 1);
	assert_int_equal(prefix_table_set_us(t, found), NOW);
	assert_string_equal(prefix_table_note(t, found), "a reason that is much longer than what ");
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW + 5, false, NULL), 0);
	assert_string_equal(prefix_table_note(t, found), "");
	assert_int_equal(prefix_table_count(t), 1);
	prefix_table_free(t);
}

static struct prefix_key random_key(unsigned hosts)
{
	struct prefix_key k = { .family = any(2) == 0 ? 4 : 6,
		.scope = any(3) == 0 ? PREFIX_SCOPE_ANY : (uint16_t)any(3) };

	k.length = (uint8_t)any(prefix_whole(k.family) + 1U);
	if (any(3) == 0)
		k.length = prefix_whole(k.family);
	for (unsigned i = 0; i < (k.family == 4 ? 4U : 16U); i++)
		k.ip.byte[i] = (uint8_t)any(hosts);
	prefix_mask(&k.ip, k.family, k.length);
	if (k.length == prefix_whole(k.family) && any(2) == 0)
		k.port = htons((uint16_t)(1 + any(3)));
	return k;
}

static bool within(const struct prefix_key *k, const struct prefix_query *q)
{
	union host h = q->ip;

	prefix_mask(&h, k->family, k->length);
	return k->family == q->family && host_equal(&h, &k->ip) && (k->port == 0 || k->port == q->port) &&
	       (k->scope == PREFIX_SCOPE_ANY || k->scope == q->scope);
}

/* How specific: port before length before scope. */
static unsigned rank(const struct prefix_key *k)
{
	return (k->port != 0 ? 1000U : 0) + k->length * 2U + (k->scope != PREFIX_SCOPE_ANY) + 1;
}

static bool same_key(const struct prefix_key *a, const struct prefix_key *b)
{
	return host_equal(&a->ip, &b->ip) && a->port == b->port && a->scope == b->scope &&
	       a->family == b->family && a->length == b->length;
}

/* What a list walked from end to end says is what the table says. */
static void check_against(struct prefix_table *t, const struct prefix_key *list, const bool *there,
	unsigned n, unsigned questions, unsigned hosts)
{
	struct prefix_query q[PREFIX_BURST];
	const struct prefix_entry *found[PREFIX_BURST];

	while (questions > 0) {
		unsigned burst = 1 + any(PREFIX_BURST);

		burst = burst > questions ? questions : burst;
		questions -= burst;
		for (unsigned i = 0; i < burst; i++) {
			struct prefix_key k = random_key(hosts);

			q[i] = (struct prefix_query){ .ip = k.ip,
				.port = k.port,
				.scope = k.scope,
				.family = any(20) == 0 ? 0 : k.family };
		}
		prefix_table_match(t, q, burst, NOW, found);
		for (unsigned i = 0; i < burst; i++) {
			unsigned best = 0;

			for (unsigned e = 0; e < n; e++)
				if (there[e] && within(&list[e], &q[i]) && rank(&list[e]) > best)
					best = rank(&list[e]);
			assert_int_equal(found[i] != NULL ? rank(&found[i]->key) : 0, best);
			if (found[i] != NULL)
				assert_true(within(&found[i]->key, &q[i]));
		}
	}
}

static void ten_thousand_entries_give_the_longest_prefix_each_time(void **state)
{
	static struct prefix_key list[LIST];
	static bool there[LIST];
	struct prefix_table *t = prefix_table_new(LIST, rcu);

	(void)state;
	seed = 5;
	while (prefix_table_count(t) < LIST) {
		struct prefix_entry e = { .key = random_key(16) };

		list[prefix_table_count(t)] = e.key;
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	}
	memset(there, true, sizeof(there));
	check_against(t, list, there, LIST, 3000, 16);
	prefix_table_free(t);
}

/* With few buckets, so that many entries are not in their own. */
static void a_crowded_table_that_changes_all_the_time_answers_as_a_list_does(void **state)
{
	static struct prefix_key list[CROWD];
	static bool there[CROWD];
	struct prefix_table *t = prefix_table_new(16 * BUCKET_LOAD * 4, rcu);
	uint32_t passed = 0, count = 0;

	(void)state;
	seed = 6;
	t->bucket_mask = 15;
	memset(there, 0, sizeof(there));
	for (unsigned i = 0; i < CROWD;) {
		bool twice = false;

		list[i] = random_key(6);
		for (unsigned k = 0; k < i; k++)
			twice = twice || same_key(&list[i], &list[k]);
		i += !twice;
	}
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = any(CROWD);
		struct prefix_entry e = { .key = list[i] };

		if (there[i] && any(16) == 0) {
			assert_int_equal(prefix_table_clear(t, &list[i]), 0);
			there[i] = false;
			count--;
		} else {
			assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
			count += !there[i];
			there[i] = true;
		}
		assert_int_equal(prefix_table_count(t), count);
		passed += (uint32_t)(t->buckets[any(16)].word[BUCKET_WORDS - 1] >> PASSED_SHIFT);
		if (round % 64 == 0)
			check_against(t, list, there, CROWD, 8, 6);
	}
	assert_int_not_equal(passed, 0);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(prefix_table_clear(t, &list[i]), there[i] ? 0 : -ENOENT);
	for (unsigned i = 0; i < 16; i++)
		for (unsigned w = 0; w < BUCKET_WORDS; w++)
			assert_int_equal(t->buckets[i].word[w], 0);
	for (unsigned i = 0; i < LENGTH_WORDS; i++)
		assert_int_equal(t->kinds[0].length[0][i] | t->kinds[1].length[1][i], 0);
	for (uint64_t i = 0; i <= t->host_filter.mask; i++)
		assert_int_equal(t->host_filter.words[i], 0);
	for (uint64_t i = 0; i <= t->network_filter.mask; i++)
		assert_int_equal(t->network_filter.words[i], 0);
	assert_int_equal(t->kinds[0].count + t->kinds[1].count, 0);
	prefix_table_free(t);
}

static bool overlap(const struct prefix_key *a, const struct prefix_key *b)
{
	union host x = a->ip, y = b->ip;
	uint8_t length = a->length < b->length ? a->length : b->length;

	if (a->family != b->family)
		return false;
	prefix_mask(&x, a->family, length);
	prefix_mask(&y, a->family, length);
	return host_equal(&x, &y) && (a->port == 0 || b->port == 0 || a->port == b->port) &&
	       (a->scope == PREFIX_SCOPE_ANY || b->scope == PREFIX_SCOPE_ANY || a->scope == b->scope);
}

static void overlaps_are_what_lies_within_and_what_covers(void **state)
{
	struct prefix_key list[40];
	unsigned yes = 0;

	(void)state;
	seed = 7;
	for (unsigned round = 0; round < 200; round++) {
		struct prefix_table *t = prefix_table_new(64, rcu);
		unsigned n = 1 + any(40);

		for (unsigned i = 0; i < n; i++) {
			struct prefix_entry e = { .key = random_key(4) };

			while (e.key.length < 3)
				e.key = random_key(4);
			if (round % 2 == 0 && e.key.length != prefix_whole(e.key.family))
				e.key.scope = PREFIX_SCOPE_ANY;
			list[i] = e.key;
			assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
		}
		for (unsigned i = 0; i < 100; i++) {
			struct prefix_key k = random_key(4);
			bool expected = false;

			for (unsigned e = 0; e < n; e++)
				expected = expected || overlap(&list[e], &k);
			assert_int_equal(prefix_table_overlaps(t, &k), expected);
			yes += expected;
		}
		prefix_table_free(t);
	}
	assert_in_range(yes, 2000, 18000);
}

static void a_walk_meets_each_entry_once_though_others_come_and_go(void **state)
{
	enum { STAY = 500 };
	struct prefix_table *t = prefix_table_new(2000, rcu);
	struct prefix_entry e = entry_of(key_of("192.0.2.0", 32, 0, PREFIX_SCOPE_ANY), 0);
	const struct prefix_entry *next;
	uint8_t met[STAY] = { 0 };
	uint64_t cursor = 0;
	uint32_t budget = 3, pauses = 0;

	(void)state;
	for (uint32_t i = 0; i < 2 * STAY; i++) {
		e.key.ip.word[0] = i + 1;
		e.rate = i + 1;
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	}
	for (unsigned n = 0;; n++) {
		next = prefix_table_next(t, &cursor, &budget);
		if (next == NULL && budget == 0) {
			budget = 3; /* places a time */
			pauses++;
			continue;
		}
		if (next == NULL)
			break;
		if (next->rate <= STAY)
			met[next->rate - 1]++;
		e.key.ip.word[0] = e.rate = STAY + 1 + any(STAY); /* one that does not stay */
		if (prefix_table_clear(t, &e.key) != 0)
			assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
		e.key.ip.word[0] = e.rate = 1 + any(STAY); /* replaced: it is where it was */
		e.burst = n;
		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	}
	for (unsigned i = 0; i < STAY; i++)
		assert_int_equal(met[i], 1);
	assert_in_range(pauses, 2 * STAY / 3, STAY);
	prefix_table_free(t);
}

static void two_hundred_thousand_are_all_there_and_no_others(void **state)
{
	enum { MANY = 200000 };
	struct prefix_table *t = prefix_table_new(MANY, rcu);
	struct prefix_query q = { .family = 4, .scope = 3 };
	const struct prefix_entry *found;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		struct prefix_entry e = {
			.key = { .ip.word[0] = i * 2, .family = 4, .length = 32, .scope = PREFIX_SCOPE_ANY }
		};

		assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
	}
	for (uint32_t i = 0; i < 2 * MANY; i++) {
		q.ip.word[0] = i;
		prefix_table_match(t, &q, 1, NOW, &found);
		assert_int_equal(found != NULL, i % 2 == 0);
	}
	prefix_table_free(t);
}

/* --- beside a worker --- */

struct reader {
	struct prefix_table *table;
	atomic_bool stop;
	atomic_uint rounds, missed, wrong;
};

static struct prefix_key resident(uint32_t i)
{
	struct prefix_key k = {
		.ip.word[0] = 0x01000000 + i, .family = 4, .length = 32, .scope = PREFIX_SCOPE_ANY
	};

	if (i % 3 == 0)
		k.port = htons(5060);
	if (i % 3 == 1) {
		k.length = 24;
		prefix_mask(&k.ip, 4, 24);
		k.ip.byte[2] = (uint8_t)i;
	}
	return k;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct prefix_query q[PREFIX_BURST];
	const struct prefix_entry *found[PREFIX_BURST];

	for (uint32_t i = 0; i < PREFIX_BURST; i++)
		q[i] = (struct prefix_query){
			.ip = resident(i).ip, .port = htons(5060), .family = 4, .scope = 3
		};
	rte_rcu_qsbr_thread_online(rcu, 0);
	while (!atomic_load(&r->stop)) {
		prefix_table_match(r->table, q, PREFIX_BURST, NOW, found);
		for (uint32_t i = 0; i < PREFIX_BURST; i++) {
			struct prefix_key k = resident(i);

			if (found[i] == NULL)
				atomic_fetch_add(&r->missed, 1);
			else if (!same_key(&found[i]->key, &k) || found[i]->burst != found[i]->rate)
				atomic_fetch_add(&r->wrong, 1);
			else
				prefix_entry_hit(found[i]);
		}
		atomic_fetch_add(&r->rounds, 1);
		rte_rcu_qsbr_quiescent(rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	return NULL;
}

/* In 16 buckets: what comes and goes shares them with what stays, which is replaced now and then. */
static void a_worker_misses_nothing_that_is_there_while_others_come_and_go(void **state)
{
	struct reader r = { .table = prefix_table_new(16 * BUCKET_LOAD * 4, rcu) };
	pthread_t thread;

	(void)state;
	seed = 8;
	r.table->bucket_mask = 15;
	for (uint32_t i = 0; i < PREFIX_BURST; i++) {
		struct prefix_entry e = { .key = resident(i) };

		assert_int_equal(prefix_table_set(r.table, &e, NULL, NOW, false, NULL), 0);
	}
	assert_int_equal(rte_rcu_qsbr_thread_register(rcu, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
	for (uint32_t i = 0; i < 60000 || atomic_load(&r.rounds) < 200; i++) {
		struct prefix_entry e = { .key = { .ip.word[0] = 0x02000000 + any(420),
						  .family = 4,
						  .length = 32,
						  .scope = PREFIX_SCOPE_ANY } };

		if (prefix_table_clear(r.table, &e.key) != 0)
			(void)prefix_table_set(r.table, &e, NULL, NOW, false, NULL);
		if (i % 8 != 0)
			continue;
		e.key = resident(any(PREFIX_BURST));
		e.rate = e.burst = i; /* a whole entry has both */
		assert_int_equal(prefix_table_set(r.table, &e, NULL, NOW, false, NULL), 0);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	(void)rte_rcu_qsbr_thread_unregister(rcu, 0);
	assert_int_equal(r.missed, 0);
	assert_int_equal(r.wrong, 0);
	prefix_table_free(r.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_specific_entry_is_found),
		cmocka_unit_test(an_entry_of_a_scope_is_for_it_alone_and_goes_before_one_of_any),
		cmocka_unit_test(ipv6_prefixes_of_all_lengths_are_found),
		cmocka_unit_test(an_expired_entry_is_found_no_more_and_lifted_within_the_budget),
		cmocka_unit_test(a_full_table_refuses_or_gives_up_what_was_set_longest_ago),
		cmocka_unit_test(keys_that_contradict_themselves_are_refused),
		cmocka_unit_test(replacing_keeps_hits_and_age_and_changes_the_rest),
		cmocka_unit_test(ten_thousand_entries_give_the_longest_prefix_each_time),
		cmocka_unit_test(a_crowded_table_that_changes_all_the_time_answers_as_a_list_does),
		cmocka_unit_test(overlaps_are_what_lies_within_and_what_covers),
		cmocka_unit_test(a_walk_meets_each_entry_once_though_others_come_and_go),
		cmocka_unit_test(two_hundred_thousand_are_all_there_and_no_others),
		cmocka_unit_test(a_worker_misses_nothing_that_is_there_while_others_come_and_go),
	};

	return cmocka_run_group_tests(tests, open_rcu, close_rcu);
}
