/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/dataplane/bed.h"

static unsigned asked;

static void count_ask(void *arg, uint32_t index)
{
	(void)arg;
	(void)index;
	asked++;
}

static void setup(struct next_hops *t, uint32_t capacity)
{
	struct next_hop_route connected = { .ip = bed_host("10.0.1.1"), .family = 4, .length = 24 };
	struct next_hop_route gateway = {
		.gateway = bed_host("10.0.1.254"), .family = 4, .has_gateway = true
	};

	assert_int_equal(next_hops_init(t, capacity), 0);
	assert_int_equal(next_hops_add_route(t, &gateway), 0);
	assert_int_equal(next_hops_add_route(t, &connected), 0);
}

static void connected_hosts_are_their_own_next_hop_and_others_the_gateways(void **state)
{
	struct next_hops t;
	union host via, near = bed_host("10.0.1.77"), far = bed_host("192.0.2.1"),
			gateway = bed_host("10.0.1.254");

	(void)state;
	setup(&t, 8);
	assert_true(next_hops_resolve(&t, 0, &near, 4, &via));
	assert_true(host_equal(&via, &near));
	assert_true(next_hops_resolve(&t, 0, &far, 4, &via));
	assert_true(host_equal(&via, &gateway));
	assert_false(next_hops_resolve(&t, 1, &near, 4, &via));
	uint32_t i = next_hop_get(&t, 0, &far, 4), k = next_hop_get(&t, 0, &gateway, 4);
	assert_int_not_equal(i, NEXT_HOP_NONE);
	assert_int_equal(i, k);
	assert_int_equal(next_hop_get(&t, 1, &far, 4), NEXT_HOP_NONE);
	next_hops_fini(&t);
}

static void an_unknown_neighbour_is_asked_for_until_it_is_learnt(void **state)
{
	struct next_hops t;
	union host near = bed_host("10.0.1.77");
	const uint8_t mac[6] = { 2, 1, 1, 1, 1, 1 };
	union next_hop_link link;

	(void)state;
	setup(&t, 8);
	t.ask = count_ask;
	asked = 0;
	uint32_t i = next_hop_get(&t, 0, &near, 4);
	assert_int_equal(asked, 1);
	assert_false(next_hop_load(t.links, i, &link));
	next_hop_learn(&t, i, mac, false);
	assert_true(next_hop_load(t.links, i, &link));
	assert_memory_equal(link.byte, mac, 6);
	assert_int_equal(next_hop_get(&t, 0, &near, 4), i);
	assert_int_equal(asked, 1);
	next_hop_learn(&t, i, NULL, false);
	assert_false(next_hop_load(t.links, i, &link));
	assert_false(next_hop_load(t.links, NEXT_HOP_NONE, &link));
	next_hops_fini(&t);
}

static void a_full_table_evicts_only_what_nobody_refers_to(void **state)
{
	struct next_hops t;
	union host h = bed_host("10.0.1.0");
	uint32_t index[8];

	(void)state;
	setup(&t, 8);
	for (uint8_t i = 0; i < 8; i++) {
		h.byte[3] = (uint8_t)(10 + i);
		index[i] = next_hop_get(&t, 0, &h, 4);
		assert_int_not_equal(index[i], NEXT_HOP_NONE);
	}
	h.byte[3] = 100;
	assert_int_equal(next_hop_get(&t, 0, &h, 4), NEXT_HOP_NONE);
	next_hop_put(&t, index[5]);
	next_hop_put(&t, index[2]);
	h.byte[3] = 12; /* still there, and wanted again */
	assert_int_equal(next_hop_get(&t, 0, &h, 4), index[2]);
	h.byte[3] = 100;
	assert_int_equal(next_hop_get(&t, 0, &h, 4), index[5]);
	h.byte[3] = 15;
	assert_int_equal(next_hop_find(&t, 0, &h, 4), NEXT_HOP_NONE);
	assert_int_equal(next_hop_get(&t, 0, &h, 4), NEXT_HOP_NONE);
	next_hops_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connected_hosts_are_their_own_next_hop_and_others_the_gateways),
		cmocka_unit_test(an_unknown_neighbour_is_asked_for_until_it_is_learnt),
		cmocka_unit_test(a_full_table_evicts_only_what_nobody_refers_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
