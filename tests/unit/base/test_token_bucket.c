/* SPDX-License-Identifier: BSD-3-Clause */
/* The token bucket, with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "platforms/base/token_bucket.h"

static unsigned take_all(struct token_bucket *b, uint64_t now_us)
{
	unsigned n = 0;

	while (n < 1000000 && token_bucket_take(b, 1, now_us))
		n++;
	return n;
}

static void starts_full_and_runs_dry(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 20, 40, 1000);
	assert_int_equal(take_all(&b, 1000), 40);
}

static void refills_at_its_rate(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 20, 40, 0);
	take_all(&b, 0);
	assert_false(token_bucket_take(&b, 1, 49999));
	assert_true(token_bucket_take(&b, 1, 50000));
	assert_int_equal(take_all(&b, 1050000), 20);
}

static void never_holds_more_than_its_burst(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 20, 40, 0);
	assert_int_equal(take_all(&b, 3600u * 1000000u), 40);
}

static void a_change_keeps_what_is_in_it(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 10, 10, 0);
	take_all(&b, 0);
	token_bucket_change(&b, 100, 200, 500000);
	assert_int_equal(take_all(&b, 500000), 5);
	assert_int_equal(take_all(&b, 600000), 10);
	token_bucket_change(&b, 100, 3, 60 * 1000000u);
	assert_int_equal(take_all(&b, 60 * 1000000u), 3);
	token_bucket_change(&b, 0, 0, 60 * 1000000u);
	assert_true(token_bucket_take(&b, 1000, 60 * 1000000u));
	token_bucket_change(&b, 5, 7, 61 * 1000000u);
	assert_int_equal(take_all(&b, 61 * 1000000u), 7);
}

static void small_steps_lose_nothing(void **state)
{
	struct token_bucket b;
	unsigned passed = 0;

	(void)state;
	token_bucket_init(&b, 3, 2, 0); /* never full again: what a full bucket spills is no loss */
	take_all(&b, 0);
	/* A third of a second is no whole number of microseconds; one token per third must come all the same. */
	for (uint64_t now = 1; now <= 10 * 1000000u; now++)
		passed += token_bucket_take(&b, 1, now);
	assert_int_equal(passed, 30);
}

static void large_bites_are_all_or_nothing(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 1000, 1500, 0);
	assert_false(token_bucket_take(&b, 1501, 0));
	assert_true(token_bucket_take(&b, 1500, 0));
	assert_false(token_bucket_take(&b, 1, 0));
	assert_false(token_bucket_take(&b, UINT64_MAX, UINT64_MAX));
}

static void time_running_backwards_stands_still(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 10, 10, 5000000);
	take_all(&b, 5000000);
	assert_false(token_bucket_take(&b, 1, 0));
	assert_false(token_bucket_take(&b, 1, 5000000));
	assert_true(token_bucket_take(&b, 1, 5100000));
}

static void rate_zero_lets_everything_pass(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, 0, 0, 0);
	assert_true(token_bucket_take(&b, UINT64_MAX, 0));
	assert_true(token_bucket_take(&b, 1, 0));
}

static void extreme_numbers_saturate(void **state)
{
	struct token_bucket b;

	(void)state;
	token_bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
	assert_true(token_bucket_take(&b, UINT64_MAX / 1000000u, 0));
	assert_true(token_bucket_take(&b, 1, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_full_and_runs_dry),
		cmocka_unit_test(refills_at_its_rate),
		cmocka_unit_test(never_holds_more_than_its_burst),
		cmocka_unit_test(a_change_keeps_what_is_in_it),
		cmocka_unit_test(small_steps_lose_nothing),
		cmocka_unit_test(large_bites_are_all_or_nothing),
		cmocka_unit_test(time_running_backwards_stands_still),
		cmocka_unit_test(rate_zero_lets_everything_pass),
		cmocka_unit_test(extreme_numbers_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
