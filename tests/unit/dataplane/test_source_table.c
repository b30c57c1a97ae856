/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of single sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/resource.h>
#include <stdatomic.h>

#include "dataplane/source_table.h"
#include "tests/unit/dataplane/bed.h"

enum { NOW = 5000000, SECOND = 1000000 };

static const struct rate unlimited = { 0 };

static struct source ipv4(uint32_t n)
{
	union host h = { .word[0] = n };

	return source_of(&h, 4, 0);
}

static bool take(struct source_table *t, const struct source *s, enum source_rate which, struct rate rate,
	uint64_t now_us, unsigned *evicted)
{
	bool gone;
	uint64_t place = source_table_prefetch(t, s);

	source_table_prefetch_line(t, place, now_us);
	bool within = source_table_take(t, place, s, 1, which, rate, now_us, &gone);
	if (evicted != NULL)
		*evicted += gone;
	return within;
}

static void a_source_has_its_burst_and_then_its_rate_exactly(void **state)
{
	static const struct rate rates[] = { { 1, 1 }, { 7, 3 }, { 20, 40 }, { 999, 2 }, { 30000, 60000 } };

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct source_table *t = source_table_new(100);
		struct source s = ipv4(1);
		uint64_t allowed = 0, at = NOW;

		while (take(t, &s, SOURCE_PACKETS, rates[r], at, NULL))
			allowed++;
		assert_int_equal(allowed, rates[r].burst);
		for (allowed = 0; at < NOW + 10 * SECOND; at += 10) /* asks all the time */
			allowed += take(t, &s, SOURCE_PACKETS, rates[r], at + 10, NULL);
		assert_in_range(allowed, 10 * rates[r].per_second - 1, 10 * rates[r].per_second);
		at += (rates[r].burst / rates[r].per_second + 2) *
		      (uint64_t)SECOND; /* silent: the burst is there again */
		for (allowed = 0; take(t, &s, SOURCE_PACKETS, rates[r], at, NULL);)
			allowed++;
		assert_int_equal(allowed, rates[r].burst);
		source_table_free(t);
	}
}

static void the_rates_of_a_source_do_not_touch_each_other(void **state)
{
	struct source_table *t = source_table_new(100);
	struct source a = ipv4(1), b = ipv4(2);
	struct rate one = { 1, 1 };

	(void)state;
	assert_true(take(t, &a, SOURCE_PACKETS, one, NOW, NULL));
	assert_false(take(t, &a, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &a, SOURCE_STREAM, one, NOW, NULL));
	assert_true(take(t, &a, SOURCE_SYN, one, NOW, NULL));
	assert_false(take(t, &a, SOURCE_SYN, one, NOW, NULL));
	assert_true(take(t, &b, SOURCE_PACKETS, one, NOW, NULL));
	for (unsigned i = 0; i < 1000; i++)
		assert_true(take(t, &a, SOURCE_PACKETS, unlimited, NOW, NULL));
	source_table_free(t);
}

static void a_source_is_an_ipv4_address_or_an_ipv6_slash_64_or_a_flow_of_it(void **state)
{
	struct source_table *t = source_table_new(100);
	struct rate one = { 1, 1 };
	union host a = bed_host("2001:db8:0:1::1"), same = bed_host("2001:db8:0:1:ffff::2"),
		   other = bed_host("2001:db8:0:2::1");
	struct source s = source_of(&a, 6, 0), neighbour = source_of(&same, 6, 0),
		      next = source_of(&other, 6, 0), flow = source_of(&a, 6, 5060),
		      flow2 = source_of(&a, 6, 5061);
	union host low = { .half[0] = a.half[0] & 0xffffffff };
	struct source v4 = source_of(&low, 4, 0), v6 = source_of(&low, 6, 0);

	(void)state;
	assert_true(take(t, &s, SOURCE_PACKETS, one, NOW, NULL));
	assert_false(take(t, &neighbour, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &next, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &flow, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &flow2, SOURCE_PACKETS, one, NOW, NULL));
	assert_false(take(t, &flow2, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &v4, SOURCE_PACKETS, one, NOW, NULL));
	assert_true(take(t, &v6, SOURCE_PACKETS, one, NOW, NULL));
	assert_int_equal(source_table_count(t), 6);
	source_table_free(t);
}

static void in_a_full_table_the_longest_silent_is_forgotten_and_that_is_told_if_it_matters(void **state)
{
	struct source_table *t = source_table_new(1); /* one set */
	struct rate rate = { 1, 5 };
	unsigned evicted = 0;

	(void)state;
	uint32_t n = source_table_capacity(t);
	for (uint32_t i = 0; i < n; i++) {
		struct source s = ipv4(i);

		assert_true(take(t, &s, SOURCE_PACKETS, rate, NOW + i * SECOND, &evicted));
	}
	struct source first = ipv4(0), second = ipv4(1), stranger = ipv4(1000), another = ipv4(1001);
	assert_true(take(t, &first, SOURCE_PACKETS, rate, NOW + n * SECOND, &evicted));
	assert_int_equal(evicted, 0);
	assert_true(take(t, &stranger, SOURCE_PACKETS, rate, NOW + n * SECOND, &evicted));
	assert_int_equal(evicted, 0); /* the second was full again */
	assert_int_equal(source_table_count(t), n);
	struct source_report top[64];
	unsigned reports = source_table_top(t, top, 64);
	assert_int_equal(reports, n);
	for (unsigned i = 0; i < reports; i++)
		assert_int_not_equal(top[i].ip.word[0], second.address);
	for (uint32_t i = 2; i < n; i++) { /* all talk at this moment, and none is full again */
		struct source s = ipv4(i);

		assert_true(take(t, &s, SOURCE_PACKETS, rate, NOW + n * SECOND, &evicted));
	}
	assert_true(take(t, &another, SOURCE_PACKETS, rate, NOW + n * SECOND + 1, &evicted));
	assert_int_equal(evicted, 1);
	source_table_free(t);
}

static void the_top_sources_are_those_with_most_packets(void **state)
{
	struct source_table *t = source_table_new(5000);
	struct source_report top[10];
	struct rate one = { 1, 1 };

	(void)state;
	for (uint32_t i = 1; i <= 300; i++) {
		struct source s = ipv4(i);

		for (uint32_t k = 0; k < i; k++)
			(void)take(t, &s, SOURCE_PACKETS, one, NOW + k, NULL);
	}
	assert_int_equal(source_table_top(t, top, 10), 10);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(top[i].ip.word[0], 300 - i);
		assert_int_equal(top[i].packets, 300 - i);
		assert_int_equal(top[i].dropped, 299 - i);
		assert_int_equal(top[i].family, 4);
		assert_int_equal(top[i].interface, 1);
		assert_int_equal(top[i].first_us, NOW);
		assert_int_equal(top[i].last_us, NOW + 299 - i);
	}
	struct source known = ipv4(300), unknown = ipv4(301);
	source_table_dropped(t, source_table_prefetch(t, &known), &known);
	source_table_dropped(t, source_table_prefetch(t, &unknown), &unknown);
	assert_int_equal(source_table_top(t, top, 1), 1);
	assert_int_equal(top[0].dropped, 300);
	assert_int_equal(source_table_top(t, top, 0), 0);
	assert_int_equal(source_table_count(t), 300);
	source_table_free(t);
}

static void sources_spread_over_all_of_a_table(void **state)
{
	struct source_table *t = source_table_new(70000);
	unsigned evicted = 0;

	(void)state;
	for (uint32_t i = 0; i < 35000; i++) { /* addresses in a row */
		struct source s = ipv4(__builtin_bswap32(0x0a000000 + i));

		(void)take(t, &s, SOURCE_PACKETS, unlimited, NOW, &evicted);
	}
	assert_in_range(
		source_table_count(t), 33000, 35000); /* in sets of seven, half full, few find no place */
	assert_int_equal(evicted, 0); /* who has no rate loses nothing */
	source_table_free(t);
}

/* --- several workers --- */

struct worker_beside {
	struct source_table *table;
	unsigned index;
	uint64_t allowed;
};

enum { BESIDE = 3, STEPS = 20000 };

static atomic_uint ready;

static void *send_on(void *arg)
{
	struct worker_beside *w = arg;
	struct source shared = ipv4(1);
	struct rate rate = { 1000, 10 };

	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < BESIDE)
		continue;
	for (uint32_t i = 0; i < STEPS; i++) {
		struct source own = ipv4(0x100 + (i * 7 + w->index * 13) % 64);

		w->allowed += take(w->table, &shared, SOURCE_PACKETS, rate, NOW + i * 100, NULL);
		(void)take(w->table, &own, SOURCE_STREAM, rate, NOW + i * 100, NULL);
	}
	return NULL;
}

/* All of them send at the same times for two seconds. */
static void a_source_spread_over_workers_has_one_rate(void **state)
{
	struct source_table *t = source_table_new(10000);
	struct worker_beside w[BESIDE];
	struct source_report top[1];
	struct source shared = ipv4(1);
	pthread_t thread[BESIDE];
	uint64_t allowed = 0;

	(void)state;
	atomic_store(&ready, 0);
	(void)take(t, &shared, SOURCE_PACKETS, unlimited, NOW, NULL);
	for (unsigned i = 0; i < BESIDE; i++) {
		w[i] = (struct worker_beside){ .table = t, .index = i };
		assert_int_equal(pthread_create(&thread[i], NULL, send_on, &w[i]), 0);
	}
	for (unsigned i = 0; i < BESIDE; i++) {
		pthread_join(thread[i], NULL);
		allowed += w[i].allowed;
	}
	assert_in_range(allowed, 1, 2010); /* one that is behind the others' time gets nothing for it */
	assert_int_equal(source_table_top(t, top, 1), 1);
	assert_int_equal(top[0].ip.word[0], 1);
	assert_int_equal(top[0].packets, 1 + BESIDE * STEPS);
	assert_int_equal(top[0].dropped, BESIDE * STEPS - allowed);
	source_table_free(t);
}

/* One set, many sources, several workers: lines change hands all the time. */
static void *crowd_on(void *arg)
{
	struct worker_beside *w = arg;
	struct rate rate = { 10, 10 };
	unsigned evicted = 0;

	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < BESIDE)
		continue;
	for (uint32_t i = 0; i < STEPS; i++) {
		struct source s = ipv4((i * 5 + w->index) % 40);

		w->allowed += take(w->table, &s, SOURCE_PACKETS, rate, NOW + i, &evicted);
	}
	return NULL;
}

static void a_set_that_workers_crowd_into_holds_only_whole_sources(void **state)
{
	struct source_table *t = source_table_new(1);
	struct worker_beside w[BESIDE];
	struct source_report top[64];
	pthread_t thread[BESIDE];

	(void)state;
	atomic_store(&ready, 0);
	for (unsigned i = 0; i < BESIDE; i++) {
		w[i] = (struct worker_beside){ .table = t, .index = i };
		assert_int_equal(pthread_create(&thread[i], NULL, crowd_on, &w[i]), 0);
	}
	for (unsigned i = 0; i < BESIDE; i++)
		pthread_join(thread[i], NULL);
	unsigned n = source_table_top(t, top, 64);
	assert_int_equal(n, source_table_capacity(t)); /* no line is left claimed */
	for (unsigned i = 0; i < n; i++) {
		assert_in_range(top[i].ip.word[0], 0, 39);
		assert_int_equal(top[i].family, 4);
	}
	source_table_free(t);
}

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

static void a_flood_of_sources_makes_the_kernel_clear_no_page(void **state)
{
	struct source_table *t = source_table_new(200000);
	struct rate rate = { 1, 1 };
	struct source s = ipv4(0);
	long before;

	(void)state;
	take(t, &s, SOURCE_PACKETS, rate, NOW, NULL); /* the code's own pages */
	before = faults();
	for (uint32_t i = 1; i < 100000; i++) {
		s = ipv4(i);
		take(t, &s, SOURCE_PACKETS, rate, NOW, NULL);
	}
#if !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__) /* these have pages of their own for each of ours */
	assert_int_equal(faults(), before);
#else
	assert_true(faults() >= before);
#endif
	source_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_has_its_burst_and_then_its_rate_exactly),
		cmocka_unit_test(the_rates_of_a_source_do_not_touch_each_other),
		cmocka_unit_test(a_source_is_an_ipv4_address_or_an_ipv6_slash_64_or_a_flow_of_it),
		cmocka_unit_test(
			in_a_full_table_the_longest_silent_is_forgotten_and_that_is_told_if_it_matters),
		cmocka_unit_test(the_top_sources_are_those_with_most_packets),
		cmocka_unit_test(sources_spread_over_all_of_a_table),
		cmocka_unit_test(a_flood_of_sources_makes_the_kernel_clear_no_page),
		cmocka_unit_test(a_source_spread_over_workers_has_one_rate),
		cmocka_unit_test(a_set_that_workers_crowd_into_holds_only_whole_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
