/* SPDX-License-Identifier: BSD-3-Clause */
/* Spans and the bounded writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "platforms/base/span.h"

static void assert_span(struct span s, const char *expected)
{
	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

static void null_text_is_the_empty_span(void **state)
{
	(void)state;
	assert_null(span_from(NULL).p);
	assert_int_equal(span_from(NULL).n, 0);
	assert_span(span_from("abc"), "abc");
}

static void equality_is_of_length_and_bytes(void **state)
{
	(void)state;
	assert_true(span_equal(SPAN("Via"), SPAN("Via")));
	assert_false(span_equal(SPAN("Via"), SPAN("via")));
	assert_false(span_equal(SPAN("Via"), SPAN("Vi")));
	assert_true(span_equal(span_from(NULL), SPAN("")));
	assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
}

static void case_folds_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(span_equal_case(SPAN("CALL-ID"), SPAN("call-id")));
	assert_false(span_equal_case(SPAN("CALL-ID"), SPAN("call-i")));
	/* '[' and '{', '@' and '`' differ by the same bit as letters do. */
	assert_false(span_equal_case(SPAN("["), SPAN("{")));
	assert_false(span_equal_case(SPAN("@"), SPAN("`")));
	assert_false(span_equal_case(SPAN("\xc4"), SPAN("\xe4")));
}

static void prefix_may_not_be_longer_than_the_text(void **state)
{
	(void)state;
	assert_true(span_starts_case(SPAN("SIP/2.0 200"), SPAN("sip/2.0")));
	assert_true(span_starts_case(SPAN("x"), SPAN("")));
	assert_false(span_starts_case(SPAN("SIP"), SPAN("SIP/2.0")));
}

static void trim_removes_blanks_at_both_ends_only(void **state)
{
	(void)state;
	assert_span(span_trim(SPAN(" \t a b\r\n")), "a b");
	assert_span(span_trim(SPAN("\r\n \t")), "");
	assert_span(span_trim(SPAN("")), "");
	assert_span(span_trim(SPAN("x")), "x");
}

static void numbers_are_whole_decimal_and_bounded(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int result;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "007", 7, 0, 7 },
		{ "65535", 65535, 0, 65535 },
		{ "65536", 65535, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999x", UINT64_MAX, -EINVAL, 0 },
		{ "", 9, -EINVAL, 0 },
		{ "+1", 9, -EINVAL, 0 },
		{ "-1", 9, -EINVAL, 0 },
		{ " 1", 9, -EINVAL, 0 },
		{ "1 ", 9, -EINVAL, 0 },
		{ "0x1", 9, -EINVAL, 0 },
		{ "1\xb2", 99, -EINVAL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 4711;

		assert_int_equal(
			span_to_uint(span_from(cases[i].text), cases[i].max, &value), cases[i].result);
		assert_true(value == (cases[i].result ? 4711 : cases[i].value));
	}
}

static void cut_walks_a_list_to_its_end(void **state)
{
	struct span rest = SPAN("a,,b");

	(void)state;
	assert_span(span_cut(&rest, ','), "a");
	assert_span(span_cut(&rest, ','), "");
	assert_non_null(rest.p);
	assert_span(span_cut(&rest, ','), "b");
	assert_null(rest.p);
	assert_int_equal(rest.n, 0);
	assert_int_equal(span_cut(&rest, ',').n, 0);
	/* A separator at the end leaves something, if empty: p tells the difference. */
	rest = SPAN("a,");
	assert_span(span_cut(&rest, ','), "a");
	assert_non_null(rest.p);
	assert_int_equal(rest.n, 0);
}

static void dup_terminates(void **state)
{
	char *copy = span_dup((struct span){ "abcdef", 3 });
	char *empty = span_dup(span_from(NULL));

	(void)state;
	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	free(copy);
	free(empty);
}

static void writer_appends_every_kind(void **state)
{
	char buffer[64];
	struct writer w;

	(void)state;
	writer_init(&w, buffer, sizeof(buffer));
	writer_text(&w, "a");
	writer_char(&w, '=');
	writer_uint(&w, 0);
	writer_char(&w, ' ');
	writer_uint(&w, UINT64_MAX);
	writer_span(&w, SPAN(" x"));
	writer_format(&w, "%03d", 7);
	writer_text(&w, NULL);
	assert_false(w.overflow);
	assert_span(writer_result(&w), "a=0 18446744073709551615 x007");
}

static void writer_takes_exactly_its_size(void **state)
{
	char buffer[5] = "....#";
	struct writer w;

	(void)state;
	writer_init(&w, buffer, 4);
	writer_text(&w, "abcd");
	assert_false(w.overflow);
	assert_span(writer_result(&w), "abcd");
	writer_char(&w, 'e');
	assert_true(w.overflow);
	assert_int_equal(buffer[4], '#');
}

static void writer_overflow_sticks_and_leaves_whole_pieces(void **state)
{
	char buffer[8];
	struct writer w;

	(void)state;
	writer_init(&w, buffer, sizeof(buffer));
	writer_text(&w, "abc");
	writer_text(&w, "too long");
	writer_char(&w, 'd');
	writer_uint(&w, 1);
	writer_format(&w, "e");
	assert_true(w.overflow);
	assert_span(writer_result(&w), "abc");
	writer_init(&w, buffer, 3);
	writer_format(&w, "%s", "abc");
	assert_true(w.overflow);
	assert_int_equal(w.len, 0);
	writer_init(&w, NULL, 0);
	writer_format(&w, "x");
	assert_true(w.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_text_is_the_empty_span),
		cmocka_unit_test(equality_is_of_length_and_bytes),
		cmocka_unit_test(case_folds_ascii_letters_only),
		cmocka_unit_test(prefix_may_not_be_longer_than_the_text),
		cmocka_unit_test(trim_removes_blanks_at_both_ends_only),
		cmocka_unit_test(numbers_are_whole_decimal_and_bounded),
		cmocka_unit_test(cut_walks_a_list_to_its_end),
		cmocka_unit_test(dup_terminates),
		cmocka_unit_test(writer_appends_every_kind),
		cmocka_unit_test(writer_takes_exactly_its_size),
		cmocka_unit_test(writer_overflow_sticks_and_leaves_whole_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
