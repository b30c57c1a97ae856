/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what people and programs read: exact text, exact JSON, and the frames it is cut into. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/render.h"
#include "mgmt/value.h"

static char printed[4 * MGMT_TEXT_MAX];
static size_t printed_length, pieces;

static int take(void *arg, const char *text, size_t length)
{
	(void)arg;
	assert_true(length <= MGMT_TEXT_MAX);
	assert_true(printed_length + length < sizeof(printed));
	memcpy(printed + printed_length, text, length);
	printed_length += length;
	printed[printed_length] = '\0';
	pieces++;
	return 0;
}

static struct output out;

static int reset(void **state)
{
	(void)state;
	printed_length = pieces = 0;
	printed[0] = '\0';
	output_init(&out, take, NULL);
	return 0;
}

static const char *result(void)
{
	output_flush(&out);
	return printed;
}

static const struct column columns[] = {
	{ "name", "NAME", COLUMN_TEXT, true },
	{ "count", "COUNT", COLUMN_NUMBER, false },
	{ "up", "LINK", COLUMN_LINK, false },
};

static json_t *rows(void)
{
	return json_pack("[{s:s, s:i, s:b}, {s:s, s:i, s:b}, {s:n}]", "name", "a", "count", 7, "up", 1,
		"name", "a long name here", "count", 12345, "up", 0, "name");
}

static void a_table_is_aligned_and_absent_members_are_dashes(void **state)
{
	json_t *list = rows();

	(void)state;
	render_table(&out, list, columns, 3, 0);
	assert_string_equal(result(), "NAME              COUNT  LINK\n"
				      "a                     7  up\n"
				      "a long name here  12345  down\n"
				      "-                     -  -\n");
	json_decref(list);
}

static void a_narrow_terminal_cuts_only_columns_that_may_shrink(void **state)
{
	json_t *list = rows();

	(void)state;
	render_table(&out, list, columns, 3, 23);
	assert_string_equal(result(), "NAME        COUNT  LINK\n"
				      "a               7  up\n"
				      "a long na~  12345  down\n"
				      "-               -  -\n");
	json_decref(list);
}

static void no_column_shrinks_to_nothing(void **state)
{
	json_t *list = rows();

	(void)state;
	render_table(&out, list, columns, 3, 1);
	assert_non_null(strstr(result(), "a long ~  12345  down\n"));
	json_decref(list);
}

static void later_pages_keep_the_first_pages_columns(void **state)
{
	json_t *list = rows(), *wide = json_pack("[{s:s}]", "name", "wider than all of the first page");
	struct table table;

	(void)state;
	table_begin(&table, columns, 3, 0);
	table_page(&table, &out, list);
	table_page(&table, &out, list);
	table_page(&table, &out, wide);
	assert_string_equal(result(), "NAME              COUNT  LINK\n"
				      "a                     7  up\n"
				      "a long name here  12345  down\n"
				      "-                     -  -\n"
				      "a                     7  up\n"
				      "a long name here  12345  down\n"
				      "-                     -  -\n"
				      "wider than all of the first page      -  -\n");
	json_decref(list);
	json_decref(wide);
}

static void times_and_flags_read_as_people_write_them(void **state)
{
	static const struct column kinds[] = {
		{ "a", "short", COLUMN_SECONDS, false },
		{ "b", "long", COLUMN_SECONDS, false },
		{ "c", "jitter", COLUMN_MICROSECONDS, false },
		{ "d", "gap", COLUMN_MILLISECONDS, false },
		{ "e", "hugepages", COLUMN_FLAG, false },
	};
	json_t *object = json_pack(
		"{s:i, s:i, s:i, s:i, s:b}", "a", 3725, "b", 2 * 86400 + 61, "c", 1250, "d", 20, "e", 1);

	(void)state;
	render_fields(&out, NULL, object, kinds, 5);
	assert_string_equal(result(), "short      01:02:05\n"
				      "long       2d 00:01:01\n"
				      "jitter     1.250 ms\n"
				      "gap        20 ms\n"
				      "hugepages  yes\n");
	json_decref(object);
}

static void a_sideways_table_has_one_column_per_object(void **state)
{
	json_t *list = rows();

	(void)state;
	render_sideways(&out, "title", list, columns, 3);
	assert_string_equal(result(), "title\n"
				      "  NAME   a                 a long name here  -\n"
				      "  COUNT  7                 12345             -\n"
				      "  LINK   up                down              -\n");
	json_decref(list);
}

static void json_comes_as_one_indented_document(void **state)
{
	json_t *object = json_pack("{s:s, s:[i,n]}", "name", "x", "list", 1);

	(void)state;
	render_json(&out, object);
	assert_string_equal(result(), "{\n  \"name\": \"x\",\n  \"list\": [\n    1,\n    null\n  ]\n}\n");
	json_decref(object);
}

static void text_from_strangers_is_escaped(void **state)
{
	char field[8] = { 'a', '\x1b', '\\', '\xff', '\0', 'z', 'z', 'z' };
	char full[4] = { 'f', 'u', 'l', 'l' };
	json_t *value = VALUE_FIELD(field);

	(void)state;
	assert_string_equal(json_string_value(value), "a\\x1b\\x5c\\xff");
	json_decref(value);
	value = VALUE_FIELD(full);
	assert_string_equal(json_string_value(value), "full");
	json_decref(value);
	value = value_text("", 0);
	assert_true(json_is_null(value));
	json_decref(value);
}

static void counters_stop_at_what_json_can_say(void **state)
{
	json_t *value = value_uint(UINT64_MAX);

	(void)state;
	assert_true(json_integer_value(value) == INT64_MAX);
	json_decref(value);
}

static void call_numbers_survive_printing_and_parsing(void **state)
{
	static const uint64_t calls[] = { 1, 17, (uint64_t)3 << 56 | 99,
		(uint64_t)255 << 56 | 0xffffffffffffff };
	static const char *const bad[] = { "", "0", "-", "1-", "-1", "0-0", "256-1", "1-2-3", "x",
		"1-72057594037927936", "+1", "1 ", "99999999999999999999999999" };
	uint64_t call;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		json_t *value = value_call_number(calls[i]);

		assert_int_equal(
			call_number_parse(json_string_value(value), json_string_length(value), &call), 0);
		assert_true(call == calls[i]);
		json_decref(value);
	}
	assert_int_equal(call_number_parse("17", 2, &call), 0);
	assert_true(call == 17);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(call_number_parse(bad[i], strlen(bad[i]), &call), -EINVAL);
}

static void text_is_cut_into_frames_and_nothing_is_lost(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		output_format(&out, "%06u\n", i);
	assert_string_equal(strrchr(result(), '4'), "4999\n");
	assert_int_equal(printed_length, 35000);
	assert_int_equal(pieces, 3);
}

static void a_list_waits_when_the_window_is_full_and_goes_on_after_the_ack(void **state)
{
	(void)state;
	assert_true(output_has_room(&out));
	output_pad(&out, 3);
	output_flush(&out);
	out.sent = MGMT_WINDOW;
	assert_false(output_has_room(&out));
	out.acked = 1;
	assert_true(output_has_room(&out));
}

static int refuse(void *arg, const char *text, size_t length)
{
	(void)text;
	(void)length;
	++*(unsigned *)arg;
	return -ENOBUFS;
}

static void nothing_is_sent_after_the_first_refusal(void **state)
{
	unsigned tries = 0;

	(void)state;
	output_init(&out, refuse, &tries);
	output_pad(&out, 3 * MGMT_TEXT_MAX);
	output_flush(&out);
	assert_int_equal(tries, 1);
	assert_int_equal(out.error, -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_table_is_aligned_and_absent_members_are_dashes, reset),
		cmocka_unit_test_setup(a_narrow_terminal_cuts_only_columns_that_may_shrink, reset),
		cmocka_unit_test_setup(no_column_shrinks_to_nothing, reset),
		cmocka_unit_test_setup(later_pages_keep_the_first_pages_columns, reset),
		cmocka_unit_test_setup(times_and_flags_read_as_people_write_them, reset),
		cmocka_unit_test_setup(a_sideways_table_has_one_column_per_object, reset),
		cmocka_unit_test_setup(json_comes_as_one_indented_document, reset),
		cmocka_unit_test_setup(text_from_strangers_is_escaped, reset),
		cmocka_unit_test_setup(counters_stop_at_what_json_can_say, reset),
		cmocka_unit_test_setup(call_numbers_survive_printing_and_parsing, reset),
		cmocka_unit_test_setup(text_is_cut_into_frames_and_nothing_is_lost, reset),
		cmocka_unit_test_setup(a_list_waits_when_the_window_is_full_and_goes_on_after_the_ack, reset),
		cmocka_unit_test_setup(nothing_is_sent_after_the_first_refusal, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
