/* SPDX-License-Identifier: BSD-3-Clause */
/* Times as people write them, and pages of records that are not what they should be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mgmt/records.h"

static const uint64_t now = 1800000000000;

static uint64_t time_of(const char *text)
{
	uint64_t wall_ms = 0;

	return records_time(span_from(text), now, &wall_ms) == 0 ? wall_ms : 0;
}

static void times_are_dates_or_so_long_ago(void **state)
{
	(void)state;
	assert_int_equal(time_of("2026-11-20"), 1795132800000);
	assert_int_equal(time_of("2026-11-20T01:02"), 1795132800000 + 3720000);
	assert_int_equal(time_of("2026-11-20T00:00:01"), 1795132801000);
	assert_int_equal(time_of("2026-11-20T00:00:01Z"), 1795132801000);
	assert_int_equal(time_of("30m"), now - 1800000);
	assert_int_equal(time_of("12h"), now - 12 * 3600000ull);
	assert_int_equal(time_of("7d"), now - 7 * 86400000ull);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const texts[] = { "", "m", "5", "-5m", "5x", "2026", "2026-13-01", "2026-11-20T",
		"2026-11-20 x", "2026-11-20T00:00:01+01:00", "1960-01-01",
		"2026-11-20T00:00:0100000000000000000000000000" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(time_of(texts[i]), 0);
}

struct body {
	struct cp_record_page page;
	struct cp_record record;
};

static void count(void *arg, const struct cp_record *record)
{
	(void)record;
	++*(unsigned *)arg;
}

static struct body good(void)
{
	struct body body = { .page = { .before = 7, .count = 1, .more = 1 } };

	body.record.number = 7;
	body.record.length = sizeof(body.record);
	return body;
}

static void a_page_is_read_and_the_next_one_lies_behind_it(void **state)
{
	struct cp_record_list ask = { .before = 9, .wanted = 2 };
	const struct body body = good();
	unsigned seen = 0;

	(void)state;
	assert_int_equal(records_page(&ask, &body, sizeof(body), count, &seen), 1);
	assert_int_equal(seen, 1);
	assert_int_equal(ask.before, 7);
	assert_int_equal(ask.wanted, 1);
	/* Another one, and it is enough. */
	ask.before = 8;
	assert_int_equal(records_page(&ask, &body, sizeof(body), count, &seen), 0);
}

static void a_page_that_leads_nowhere_ends_the_list(void **state)
{
	struct cp_record_list ask = { .before = 7 };
	const struct body body = good();
	unsigned seen = 0;

	(void)state;
	assert_int_equal(records_page(&ask, &body, sizeof(body), count, &seen), 0);
}

static void a_page_that_is_cut_or_says_too_much_is_refused(void **state)
{
	struct cp_record_list ask = { 0 };
	struct body body = good();
	unsigned seen = 0;

	(void)state;
	for (size_t length = 0; length < sizeof(body); length++)
		assert_true(records_page(&ask, &body, length, count, &seen) < 0);
	body.page.count = 2;
	assert_true(records_page(&ask, &body, sizeof(body), count, &seen) < 0);
	body = good();
	body.record.text_length[0] = 4000;
	assert_true(records_page(&ask, &body, sizeof(body), count, &seen) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_dates_or_so_long_ago),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(a_page_is_read_and_the_next_one_lies_behind_it),
		cmocka_unit_test(a_page_that_leads_nowhere_ends_the_list),
		cmocka_unit_test(a_page_that_is_cut_or_says_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
