/* SPDX-License-Identifier: BSD-3-Clause */
/* The census: limits in all and per source, of which session-agents know nothing. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <errno.h>

#include "controlplane/census.h"

static const struct config_sip limits = {
	.stream_max_connections = 3, .stream_max_per_source = 2, .stream_accept_rate = 2
};

static union address at(const char *text)
{
	union address address;

	assert_int_equal(address_parse(span_from(text), 0, &address), 0);
	return address;
}

static void test_a_source_has_its_share_whatever_its_port(void **state)
{
	struct census *census = census_new(&limits);
	union address one = at("192.0.2.1:1"), same = at("192.0.2.1:2"), other = at("192.0.2.2:1");

	(void)state;
	assert_int_equal(census_enter(census, &one, false), 0);
	assert_int_equal(census_enter(census, &same, false), 0);
	assert_int_equal(census_enter(census, &same, false), -EUSERS);
	assert_int_equal(census_enter(census, &other, false), 0);
	assert_int_equal(census_enter(census, &other, false), -EMFILE);
	assert_int_equal(census_enter(census, &other, true), 0);
	assert_int_equal(census_total(census), 4);
	census_leave(census, &other);
	census_leave(census, &one);
	assert_int_equal(census_enter(census, &one, false), 0);
	census_put(census);
}

static void test_a_network_of_ipv6_is_one_source(void **state)
{
	struct census *census = census_new(&limits);
	union address one = at("[2001:db8::1]:1"), same = at("[2001:db8::ffff:1]:1"),
		      other = at("[2001:db8:0:1::1]:1");

	(void)state;
	assert_int_equal(census_enter(census, &one, false), 0);
	assert_int_equal(census_enter(census, &same, false), 0);
	assert_int_equal(census_enter(census, &one, false), -EUSERS);
	assert_int_equal(census_enter(census, &other, false), 0);
	census_put(census);
}

static void test_other_limits_hold_for_who_comes_and_put_nobody_out(void **state)
{
	const struct config_sip fewer = { .stream_max_connections = 9, .stream_max_per_source = 1 };
	struct census *census = census_new(&limits);
	union address one = at("192.0.2.1:1"), other = at("192.0.2.2:1");

	(void)state;
	assert_int_equal(census_enter(census, &one, false), 0);
	assert_int_equal(census_enter(census, &one, false), 0);
	census_move(census, &fewer);
	assert_int_equal(census_total(census), 2);
	assert_int_equal(census_enter(census, &one, false), -EUSERS);
	assert_int_equal(census_enter(census, &other, false), 0);
	assert_int_equal(census_enter(census, &other, false), -EUSERS);
	/* No limit of the rate any more. */
	for (unsigned i = 0; i < 100; i++)
		assert_true(census_may_accept(census, UINT64_C(1) << 50));
	census_put(census);
}

static void test_rate_and_references(void **state)
{
	struct census *census = census_new(&limits);
	uint64_t now = UINT64_C(1) << 50;

	(void)state;
	assert_ptr_equal(census_get(census), census);
	assert_true(census_may_accept(census, now));
	assert_true(census_may_accept(census, now));
	assert_false(census_may_accept(census, now));
	assert_true(census_may_accept(census, now + 500000));
	census_put(census);
	assert_int_equal(census_total(census), 0);
	census_put(census);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_source_has_its_share_whatever_its_port),
		cmocka_unit_test(test_a_network_of_ipv6_is_one_source),
		cmocka_unit_test(test_other_limits_hold_for_who_comes_and_put_nobody_out),
		cmocka_unit_test(test_rate_and_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
