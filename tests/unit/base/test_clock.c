/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks and their printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "platforms/base/clock.h"

static void monotonic_never_goes_back_and_units_agree(void **state)
{
	uint64_t last = clock_now_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_now_ns();

		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_now_us() >= last / 1000);
	assert_true(clock_now_ms() >= last / 1000000);
	assert_true(clock_now_ms() - last / 1000000 < 60000);
}

static void wall_clock_is_utc_since_1970(void **state)
{
	uint64_t seconds = (uint64_t)time(NULL);

	(void)state;
	assert_in_range(clock_wall_ms() / 1000, seconds - 1, seconds + 60);
}

static void wall_time_prints_as_rfc_3339(void **state)
{
	char buffer[CLOCK_TEXT_MAX];

	(void)state;
	assert_string_equal(clock_print_wall(0, buffer), "1970-01-01T00:00:00.000Z");
	assert_string_equal(clock_print_wall(951827696007u, buffer), "2000-02-29T12:34:56.007Z");
	assert_string_equal(clock_print_wall(253402300799999u, buffer), "9999-12-31T23:59:59.999Z");
}

static void absurd_times_stay_inside_the_buffer(void **state)
{
	char buffer[CLOCK_TEXT_MAX];

	(void)state;
	assert_true(strlen(clock_print_wall(UINT64_MAX, buffer)) < CLOCK_TEXT_MAX);
	assert_true(strlen(clock_print_wall(UINT64_MAX / 1000, buffer)) < CLOCK_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_never_goes_back_and_units_agree),
		cmocka_unit_test(wall_clock_is_utc_since_1970),
		cmocka_unit_test(wall_time_prints_as_rfc_3339),
		cmocka_unit_test(absurd_times_stay_inside_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
