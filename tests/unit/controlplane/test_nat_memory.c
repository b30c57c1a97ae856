/* SPDX-License-Identifier: BSD-3-Clause */
/* What is learnt of a NAT: upwards by what worked, downwards by what did not, never past it. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/nat_memory.h"

enum { FIRST = 25000, NOW = 1000000 };

static union address at(const char *text)
{
	union address address;

	assert_int_equal(address_parse(span_from(text), 0, &address), 0);
	return address;
}

static struct nat_plan plan(struct nat_memory *memory, const char *host)
{
	union address address = at(host);

	return nat_memory_plan(memory, &address, FIRST, NOW);
}

static struct nat_memory *memory_with(const char *host)
{
	struct nat_memory *memory = nat_memory_new();
	union address address = at(host);

	assert_non_null(memory);
	assert_int_equal(nat_memory_enter(memory, &address), 0);
	return memory;
}

static void worked(struct nat_memory *memory, const char *host, uint64_t ms)
{
	union address address = at(host);

	nat_memory_worked(memory, &address, ms);
}

static void killed(struct nat_memory *memory, const char *host, uint64_t ms)
{
	union address address = at(host);

	nat_memory_killed(memory, &address, ms, NOW);
}

static void test_nothing_is_risked_before_anything_is_known(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");
	struct nat_plan p = plan(memory, "192.0.2.1:1000");

	(void)state;
	assert_int_equal(p.safe_ms, FIRST);
	assert_int_equal(p.probe_ms, 0);
	assert_int_equal(p.works_ms, 0);
	nat_memory_put(memory);
}

static void test_what_worked_holds_for_all_behind_the_same_host(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");

	(void)state;
	worked(memory, "192.0.2.1:1000", 40000);
	assert_int_equal(plan(memory, "192.0.2.1:2000").safe_ms, 40000);
	assert_int_equal(plan(memory, "192.0.2.1:2000").probe_ms, 50000);
	assert_int_equal(plan(memory, "192.0.2.2:1000").safe_ms, FIRST);
	nat_memory_put(memory);
}

static void test_an_ipv6_host_is_its_network(void **state)
{
	struct nat_memory *memory = memory_with("[2001:db8::1]:1000");

	(void)state;
	worked(memory, "[2001:db8::1]:1000", 40000);
	assert_int_equal(plan(memory, "[2001:db8::99]:1000").safe_ms, 40000);
	assert_int_equal(plan(memory, "[2001:db8:0:1::1]:1000").safe_ms, FIRST);
	nat_memory_put(memory);
}

static void test_what_killed_a_binding_is_not_tried_again(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");
	struct nat_plan p;

	(void)state;
	killed(memory, "192.0.2.1:1000", FIRST);
	assert_int_equal(plan(memory, "192.0.2.1:1000").safe_ms, FIRST / 2);
	worked(memory, "192.0.2.1:1000", 12000);
	/* The bounds are narrowed to an eighth, and then left alone. */
	for (unsigned i = 0; i < 20 && (p = plan(memory, "192.0.2.1:1000")).probe_ms; i++) {
		assert_true(p.probe_ms < FIRST && p.probe_ms > p.safe_ms);
		if (p.probe_ms < 20000)
			worked(memory, "192.0.2.1:1000", p.probe_ms);
		else
			killed(memory, "192.0.2.1:1000", p.probe_ms);
	}
	p = plan(memory, "192.0.2.1:1000");
	assert_int_equal(p.probe_ms, 0);
	assert_in_range(p.safe_ms, 17000, 20000);
	nat_memory_put(memory);
}

static void test_one_failure_does_not_outweigh_what_was_seen_to_work(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");

	(void)state;
	worked(memory, "192.0.2.1:1000", 60000);
	killed(memory, "192.0.2.1:1000", 55000);
	assert_int_equal(plan(memory, "192.0.2.1:1000").safe_ms, 60000);
	/* A success at about the bound clears it of the doubt, one far below does not. */
	worked(memory, "192.0.2.1:1000", 10000);
	killed(memory, "192.0.2.1:1000", 55000);
	assert_int_equal(plan(memory, "192.0.2.1:1000").safe_ms, FIRST);
	nat_memory_put(memory);
}

static void test_behind_one_host_the_nat_that_forgets_first_counts(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");

	(void)state;
	killed(memory, "192.0.2.1:1000", 30000);
	worked(memory, "192.0.2.1:2000", 100000);
	assert_true(plan(memory, "192.0.2.1:1000").safe_ms < 30000);
	nat_memory_put(memory);
}

static void test_one_tries_for_all(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");
	union address host = at("192.0.2.1:1000");

	(void)state;
	worked(memory, "192.0.2.1:1000", 40000);
	assert_true(nat_memory_claim(memory, &host, 1, NOW, NOW + 100));
	assert_false(nat_memory_claim(memory, &host, 2, NOW, NOW + 100));
	assert_int_equal(plan(memory, "192.0.2.1:1000").probe_ms, 0);
	nat_memory_release(memory, &host, 2);
	assert_false(nat_memory_claim(memory, &host, 2, NOW, NOW + 100));
	nat_memory_release(memory, &host, 1);
	assert_true(nat_memory_claim(memory, &host, 2, NOW, NOW + 100));
	/* Who forgot to say that he is done. */
	assert_true(nat_memory_claim(memory, &host, 3, NOW + 101, NOW + 200));
	nat_memory_put(memory);
}

static void test_a_failure_is_forgotten_in_time_and_a_host_with_its_last_phone(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");
	union address host = at("192.0.2.1:1000");

	(void)state;
	killed(memory, "192.0.2.1:1000", 20000);
	worked(memory, "192.0.2.1:1000", 18000);
	assert_int_equal(nat_memory_plan(memory, &host, FIRST, NOW + NAT_FORGET_MS + 1).probe_ms, 22500);
	assert_int_equal(nat_memory_enter(memory, &host), 0);
	nat_memory_leave(memory, &host);
	assert_int_equal(plan(memory, "192.0.2.1:1000").works_ms, 18000);
	nat_memory_leave(memory, &host);
	assert_int_equal(plan(memory, "192.0.2.1:1000").works_ms, 0);
	nat_memory_put(memory);
}

static void test_nothing_makes_the_interval_shorter_than_the_least(void **state)
{
	struct nat_memory *memory = memory_with("192.0.2.1:1000");

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		killed(memory, "192.0.2.1:1000", NAT_SILENCE_LEAST_MS);
	killed(memory, "192.0.2.1:1000", 1);
	assert_int_equal(plan(memory, "192.0.2.1:1000").safe_ms, NAT_SILENCE_LEAST_MS);
	nat_memory_put(memory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_risked_before_anything_is_known),
		cmocka_unit_test(test_what_worked_holds_for_all_behind_the_same_host),
		cmocka_unit_test(test_an_ipv6_host_is_its_network),
		cmocka_unit_test(test_what_killed_a_binding_is_not_tried_again),
		cmocka_unit_test(test_one_failure_does_not_outweigh_what_was_seen_to_work),
		cmocka_unit_test(test_behind_one_host_the_nat_that_forgets_first_counts),
		cmocka_unit_test(test_one_tries_for_all),
		cmocka_unit_test(test_a_failure_is_forgotten_in_time_and_a_host_with_its_last_phone),
		cmocka_unit_test(test_nothing_makes_the_interval_shorter_than_the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
