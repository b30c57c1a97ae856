/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of dropped packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/wire.h"

enum { NOW = 7000000, SECOND = 1000000 };

static struct worker *bed_worker(struct dataplane **dp)
{
	*dp = wire_bed_new(1);
	(*dp)->shared.workers[0].now_us = NOW;
	return &(*dp)->shared.workers[0];
}

static bool fetch(struct worker *w, struct drop_sample *s)
{
	return rte_ring_sc_dequeue_elem(w->sampler.ring, s, sizeof(*s)) == 0;
}

static unsigned fetch_all(struct worker *w)
{
	struct drop_sample s;
	unsigned n = 0;

	while (fetch(w, &s))
		n++;
	return n;
}

static void drop(struct worker *w, size_t length, enum dp_counter reason)
{
	uint8_t f[1500];

	for (size_t i = 0; i < sizeof(f); i++)
		f[i] = (uint8_t)i;
	worker_drop_from(w, wire_frame(0, f, length), 1, reason);
}

static void a_sample_is_the_head_of_the_packet_and_says_why_where_and_when(void **state)
{
	struct dataplane *dp;
	struct worker *w = bed_worker(&dp);
	struct drop_sample s;

	(void)state;
	drop(w, 100, DP_COUNTER_DROP_BANNED);
	assert_true(fetch(w, &s));
	assert_int_equal(s.time_us, NOW);
	assert_int_equal(s.counter, DP_COUNTER_DROP_BANNED);
	assert_int_equal(s.interface, 1);
	assert_int_equal(s.length, 100);
	assert_int_equal(s.captured, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(s.octets[i], i);
	drop(w, 1400, DP_COUNTER_DROP_BANNED);
	assert_true(fetch(w, &s));
	assert_int_equal(s.length, 1400);
	assert_int_equal(s.captured, DP_SAMPLE_MAX);
	worker_drop(w, wire_frame(0, &s, 60), DP_COUNTER_DROP_TX_FULL);
	assert_true(fetch(w, &s));
	assert_int_equal(s.interface, UINT16_MAX);
	assert_false(fetch(w, &s));
	assert_int_equal(w->counter[DP_COUNTER_DROP_BANNED], 2);
	wire_bed_free(dp);
}

static void each_reason_has_so_many_samples_a_second_and_no_more(void **state)
{
	struct dataplane *dp;
	struct worker *w = bed_worker(&dp);

	(void)state;
	for (unsigned second = 0; second < 3; second++) {
		for (unsigned i = 0; i < 1000; i++) {
			w->now_us = NOW + second * SECOND + i * 900;
			drop(w, 60, DP_COUNTER_DROP_MUTED);
		}
		assert_int_equal(fetch_all(w), SAMPLES_PER_SECOND);
		drop(w, 60, DP_COUNTER_DROP_BANNED); /* is not lost in the crowd */
		assert_int_equal(fetch_all(w), 1);
	}
	assert_int_equal(w->counter[DP_COUNTER_DROP_MUTED], 3000);
	assert_int_equal(w->counter[DP_COUNTER_SAMPLE_LOST], 0);
	wire_bed_free(dp);
}

static void samples_that_nobody_fetches_are_counted_as_lost(void **state)
{
	struct dataplane *dp;
	struct worker *w = bed_worker(&dp);
	unsigned taken = 0;

	(void)state;
	for (; taken < SAMPLE_RING + 10; taken++) {
		w->now_us = NOW + taken * SECOND;
		drop(w, 60, DP_COUNTER_DROP_VLAN);
	}
	assert_int_equal(w->counter[DP_COUNTER_SAMPLE_LOST], taken - (SAMPLE_RING - 1));
	assert_int_equal(fetch_all(w), SAMPLE_RING - 1);
	wire_bed_free(dp);
}

static void every_drop_on_the_way_in_is_sampled_with_its_interface(void **state)
{
	struct dataplane *dp;
	struct worker *w = bed_worker(&dp);
	struct drop_sample s;
	uint8_t f[256], payload[20] = { 0 };

	(void)state;
	wire_receive(dp, 0, 1,
		wire_frame(
			1, f, wire_udp(f, "10.0.2.5", 9, "10.0.2.1", BED_FIRST, payload, sizeof(payload))));
	assert_true(fetch(w, &s));
	assert_int_equal(s.counter, DP_COUNTER_DROP_NO_FLOW);
	assert_int_equal(s.interface, 1);
	assert_int_equal(s.length, 62);
	assert_int_equal(s.captured, 54); /* the headers: what was said is nobody's business */
	assert_memory_equal(s.octets, f, s.captured);
	wire_receive(dp, 0, 1, wire_frame(1, f, 20));
	assert_true(fetch(w, &s));
	assert_int_equal(s.counter, DP_COUNTER_DROP_MALFORMED);
	assert_int_equal(s.interface, 1);
	assert_int_equal(s.length, 20);
	memset(dp->shared.ports[0].interface, INTERFACE_NONE, VLANS);
	wire_receive(dp, 0, 0, wire_frame(0, f, 60));
	assert_true(fetch(w, &s));
	assert_int_equal(s.counter, DP_COUNTER_DROP_VLAN);
	assert_int_equal(s.interface, UINT16_MAX);
	wire_bed_free(dp);
}

static int open_wires(void **state)
{
	(void)state;
	wire_open();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_is_the_head_of_the_packet_and_says_why_where_and_when),
		cmocka_unit_test(each_reason_has_so_many_samples_a_second_and_no_more),
		cmocka_unit_test(samples_that_nobody_fetches_are_counted_as_lost),
		cmocka_unit_test(every_drop_on_the_way_in_is_sampled_with_its_interface),
	};

	return cmocka_run_group_tests(tests, open_wires, NULL);
}
