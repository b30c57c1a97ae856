/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table and the allocation of port pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/dataplane/bed.h"

static void rtp_gets_an_even_port_whatever_the_range(void **state)
{
	struct flow_table *t = flow_table_new();
	union host a = bed_host("192.0.2.1");
	struct flow *f;

	(void)state;
	assert_int_equal(flow_table_add(t, &a, 4, 0, 10001, 10002), -EINVAL); /* no even-odd pair in there */
	assert_int_equal(flow_table_add(t, &a, 4, 0, 10001, 10006), 0);
	assert_int_equal(flow_table_allocate(t, NULL), 0);
	assert_int_equal(flow_table_range(t, &a, 4, 10001, 10006, &f), 2);
	assert_int_equal(f->port, 10002);
	assert_int_equal(f[1].port, 10004);
	flow_table_free(t, NULL);
}

static void both_ports_of_a_pair_find_its_flow_and_others_none(void **state)
{
	struct flow_table *t = flow_table_new();
	union host a = bed_host("2001:db8::1"), other = bed_host("2001:db8::2");
	struct flow *low, *high;

	(void)state;
	assert_int_equal(flow_table_add(t, &a, 6, 3, 20000, 20009), 0);
	assert_int_equal(flow_table_add(t, &a, 6, 3, 65530, 65535), 0);
	assert_int_equal(flow_table_add(t, &a, 6, 2, 30000, 30009), -EEXIST);
	assert_int_equal(flow_table_allocate(t, NULL), 0);
	assert_int_equal(flow_table_range(t, &a, 6, 20000, 20009, &low), 5);
	assert_int_equal(flow_table_range(t, &a, 6, 65530, 65535, &high), 3);
	const struct flow_address *fa = flow_address_find(t, &a, 6);
	assert_non_null(fa);
	assert_null(flow_address_find(t, &other, 6));
	assert_null(flow_address_find(t, &a, 4));
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		struct flow *f = flow_find(fa, (uint16_t)port);
		bool ours = (port >= 20000 && port <= 20009) || port >= 65530;

		assert_int_equal(f != NULL && f->port >= low->port && (f < low + 5 || f >= high), ours);
		if (f != NULL)
			assert_int_equal(f->port, port & ~1U);
	}
	flow_table_free(t, NULL);
}

static void every_address_is_found_among_many(void **state)
{
	struct flow_table *t = flow_table_new();
	union host a = bed_host("10.0.0.0");

	(void)state;
	for (unsigned i = 0; i < FLOW_ADDRESSES_MAX; i++) {
		a.byte[3] = (uint8_t)i;
		assert_int_equal(flow_table_add(t, &a, 4, 0, 4000, 4001), 0);
	}
	a.byte[2] = 1;
	assert_int_equal(flow_table_add(t, &a, 4, 0, 4000, 4001), -ENOSPC);
	assert_null(flow_address_find(t, &a, 4));
	a.byte[2] = 0;
	for (unsigned i = 0; i < FLOW_ADDRESSES_MAX; i++) {
		a.byte[3] = (uint8_t)i;
		const struct flow_address *f = flow_address_find(t, &a, 4);
		assert_non_null(f);
		assert_true(host_equal(&f->ip, &a));
	}
	flow_table_free(t, NULL);
}

static void a_pool_gives_each_pair_once_and_then_no_more(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct flow *flow[BED_PAIRS + 1];
	const struct pool *pool;
	uint64_t used, total;
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < BED_PAIRS; i++) {
		assert_int_equal(pool_take(&dp->pools, 0, 4, &pool, &flow[i]), 0);
		seen |= 1U << (flow[i]->port - BED_FIRST) / 2;
	}
	assert_int_equal(seen, (1U << BED_PAIRS) - 1);
	assert_int_equal(pool_take(&dp->pools, 0, 4, &pool, &flow[BED_PAIRS]), -ENOSPC);
	assert_int_equal(pool_take(&dp->pools, 0, 5, &pool, &flow[BED_PAIRS]), -EADDRNOTAVAIL);
	pools_count(&dp->pools, &used, &total);
	assert_int_equal(used, BED_PAIRS);
	assert_int_equal(total, 4 * BED_PAIRS);
	bed_free(dp);
}

static void the_pair_given_back_first_goes_out_first(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct flow *flow[BED_PAIRS], *again;
	const struct pool *pool;

	(void)state;
	for (unsigned i = 0; i < BED_PAIRS; i++)
		assert_int_equal(pool_take(&dp->pools, 1, 6, &pool, &flow[i]), 0);
	for (unsigned i = 0; i < BED_PAIRS; i++)
		pool_give(&dp->pools, flow[(i * 3) % BED_PAIRS]);
	for (unsigned i = 0; i < BED_PAIRS; i++) {
		assert_int_equal(pool_take(&dp->pools, 1, 6, &pool, &again), 0);
		assert_ptr_equal(again, flow[(i * 3) % BED_PAIRS]);
	}
	bed_free(dp);
}

/* A worker that has not passed a quiescent state may still read the rule. */
static void a_retired_rule_is_not_reused_while_a_worker_may_read_it(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct flow *flow;
	const struct pool *pool;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(dp->shared.rcu, 0), 0);
	rte_rcu_qsbr_thread_online(dp->shared.rcu, 0);
	assert_int_equal(pool_take(&dp->pools, 0, 4, &pool, &flow), 0);
	struct flow_rule *r = rule_new(&dp->rules);
	rule_publish(&dp->rules, flow, r);
	uint32_t free_before = dp->rules.free_count;
	rule_publish(&dp->rules, flow, NULL);
	rule_discard(&dp->rules, rule_new(&dp->rules));
	assert_int_equal(dp->rules.free_count, free_before);
	assert_int_equal(dp->rules.retired_count, 1);
	rte_rcu_qsbr_quiescent(dp->shared.rcu, 0);
	rule_discard(&dp->rules, rule_new(&dp->rules));
	assert_int_equal(dp->rules.free_count, free_before + 1);
	assert_int_equal(dp->rules.retired_count, 0);
	rte_rcu_qsbr_thread_offline(dp->shared.rcu, 0);
	bed_free(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtp_gets_an_even_port_whatever_the_range),
		cmocka_unit_test(both_ports_of_a_pair_find_its_flow_and_others_none),
		cmocka_unit_test(every_address_is_found_among_many),
		cmocka_unit_test(a_pool_gives_each_pair_once_and_then_no_more),
		cmocka_unit_test(the_pair_given_back_first_goes_out_first),
		cmocka_unit_test(a_retired_rule_is_not_reused_while_a_worker_may_read_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
