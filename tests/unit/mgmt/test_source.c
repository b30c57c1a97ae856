/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of sources as people write them, and as they are shown. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/source.h"

static void what_is_written_is_shown_the_same(void **state)
{
	static const char *const texts[] = { "192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "10.0.0.0/9",
		"192.0.2.1:5060", "192.0.2.1:1", "192.0.2.1:65535", "2001:db8::1", "2001:db8::/32", "::/0",
		"fe80::/10", "[2001:db8::1]:5060", "2001:db8:8000::/33" };
	struct dp_source_key key;
	char text[SOURCE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(source_parse(span_from(texts[i]), &key), 0);
		assert_string_equal(source_print(&key, text), texts[i]);
	}
}

static void other_forms_mean_one_of_these(void **state)
{
	static const char *const pairs[][2] = { { "192.0.2.1/32", "192.0.2.1" },
		{ "2001:db8::1/128", "2001:db8::1" }, { "[2001:db8::1]", "2001:db8::1" },
		{ "2001:DB8:0::1", "2001:db8::1" } };
	struct dp_source_key key;
	char text[SOURCE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(source_parse(span_from(pairs[i][0]), &key), 0);
		assert_string_equal(source_print(&key, text), pairs[i][1]);
	}
}

static void what_is_no_source_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "/", "x", "192.0.2.1/33", "192.0.2.1/24", "192.0.2.0/", "192.0.2/24", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:", "192.0.2.0/24:5060", "192.0.2.1:5060/32", "2001:db8::1/129",
		"2001:db8::1/64", "2001:db8::/31x", "[2001:db8::1]:x", "[2001:db8::1", "-1", "192.0.2.1 ",
		" 192.0.2.1", "192.0.2.256", "example.com", "::/-0", "0.0.0.1/0",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
	};
	struct dp_source_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct span text = span_from(texts[i]);
		/* Without the NUL, so that a reader beyond the end is found. */
		char *exact = malloc(text.n ? text.n : 1);

		assert_non_null(exact);
		memcpy(exact, text.p, text.n);
		assert_int_equal(source_parse((struct span){ exact, text.n }, &key), -EINVAL);
		free(exact);
	}
}

static void what_is_sent_to_the_dataplane_has_no_stray_bits(void **state)
{
	static const uint8_t expected[16] = { 192, 0, 2, 1 };
	struct dp_source_key key;

	(void)state;
	memset(&key, 0xff, sizeof(key));
	assert_int_equal(source_parse(SPAN("192.0.2.1"), &key), 0);
	assert_int_equal(key.length, 32);
	assert_int_equal(key.address.port, 0);
	assert_memory_equal(key.address.ip, expected, 16);
	for (size_t i = 0; i < sizeof(key.reserved); i++)
		assert_int_equal(key.reserved[i], 0);
}

static void a_source_that_is_none_is_null(void **state)
{
	struct dp_source_key key = { .length = 24 };
	json_t *value = value_source(&key);

	(void)state;
	assert_true(json_is_null(value));
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_shown_the_same),
		cmocka_unit_test(other_forms_mean_one_of_these),
		cmocka_unit_test(what_is_no_source_is_refused),
		cmocka_unit_test(what_is_sent_to_the_dataplane_has_no_stray_bits),
		cmocka_unit_test(a_source_that_is_none_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
