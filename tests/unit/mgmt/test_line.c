/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of how a typed line is taken apart, and of what its pipes let through. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mgmt/filter.h"
#include "mgmt/line.h"

static struct line line;
static char reason[512];
static struct writer why;

static int parse(const char *text)
{
	int error;

	writer_init(&why, reason, sizeof(reason) - 1);
	error = line_parse(&line, span_from(text), &why);
	reason[why.len] = '\0';
	return error;
}

static void assert_words(size_t count, const char *const *words)
{
	assert_int_equal(line.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(line.words[i].n, strlen(words[i]));
		assert_memory_equal(line.words[i].p, words[i], line.words[i].n);
	}
}

#define WORDS(...)                                                                  \
	assert_words(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), \
		(const char *const[]){ __VA_ARGS__ })

static void words_are_separated_by_blanks(void **state)
{
	(void)state;
	assert_int_equal(parse("  show\t calls  \r\n"), 0);
	WORDS("show", "calls");
	assert_int_equal(parse(""), 0);
	assert_int_equal(line.count, 0);
}

static void quotes_keep_blanks_and_bars_together(void **state)
{
	(void)state;
	assert_int_equal(parse("a 'b c|d' \"e \\\"f\\\" \\\\ \\d\" g''h \"\""), 0);
	WORDS("a", "b c|d", "e \"f\" \\ \\d", "gh", "");
	assert_int_equal(line.pipes, 0);
	assert_int_equal(parse("a \"b"), -EINVAL);
	assert_non_null(strstr(reason, "not closed"));
	assert_true(line.quoted);
	WORDS("a", "b");
}

static void what_follows_a_hash_is_a_comment(void **state)
{
	(void)state;
	assert_int_equal(parse("# show calls"), 0);
	assert_int_equal(line.count, 0);
	assert_int_equal(parse("set a#b c # d"), 0);
	WORDS("set", "a#b", "c");
}

static void bars_begin_pipes_with_or_without_blanks(void **state)
{
	(void)state;
	assert_int_equal(parse("show calls|match x | count"), 0);
	WORDS("show", "calls", "match", "x", "count");
	assert_int_equal(line.pipes, 2);
	assert_int_equal(line.pipe[0], 2);
	assert_int_equal(line.pipe[1], 4);
	assert_int_equal(line_command_words(&line), 2);
	assert_int_equal(parse("a|b|c|d|e|f|g|h|i|j"), -EINVAL);
	assert_non_null(strstr(reason, "too many"));
}

static void the_last_word_is_known_to_be_complete_or_not(void **state)
{
	(void)state;
	assert_int_equal(parse("show ca"), 0);
	assert_int_equal(line.last, 5);
	assert_int_equal(parse("show ca "), 0);
	assert_int_equal(line.last, 8);
	assert_int_equal(parse("show ca|"), 0);
	assert_int_equal(line.last, 8);
	assert_int_equal(parse("show ca #"), 0);
	assert_int_equal(line.last, 9);
}

static void what_is_too_much_or_steers_a_terminal_is_refused(void **state)
{
	static char text[LINE_TEXT_MAX + 2];

	(void)state;
	assert_int_equal(parse("show \033[2J"), -EINVAL);
	memset(text, 'a', sizeof(text) - 1);
	assert_int_equal(parse(text), -EINVAL);
	for (size_t i = 0; i < 2 * (MGMT_WORDS_MAX + 1); i += 2)
		memcpy(text + i, "a ", 2);
	text[(size_t)2 * (MGMT_WORDS_MAX + 1)] = '\0';
	assert_int_equal(parse(text), -EINVAL);
}

/* What comes through the pipes of a line, from a text that comes in two pieces. */
static const char *through(const char *pipes, const char *text)
{
	static char out[4096];
	struct filter *filter;
	size_t half = strlen(text) / 2, n;
	int saved = dup(STDOUT_FILENO);
	FILE *file = tmpfile();

	assert_int_equal(parse(pipes), 0);
	assert_int_equal(filter_new(&line, false, &filter, &why), 0);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);

	int error = filter_text(filter, text, half);

	error = error ? error : filter_text(filter, text + half, strlen(text) - half);
	error = error ? error : filter_end(filter);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	filter_free(filter);
	assert_int_equal(error, 0);
	rewind(file);
	n = fread(out, 1, sizeof(out) - 1, file);
	out[n] = '\0';
	fclose(file);
	return out;
}

static void pipes_let_through_what_they_say(void **state)
{
	static const char text[] = "one\ntwo\nthree\nfour";

	(void)state;
	assert_string_equal(through("x", text), "one\ntwo\nthree\nfour\n");
	assert_string_equal(through("x | match ^t", text), "two\nthree\n");
	assert_string_equal(through("x | except 'o|x'", text), "three\n");
	assert_string_equal(through("x | match o | count", text), "3\n");
	assert_string_equal(through("x | cou", text), "4\n");
	assert_string_equal(through("x | match o | count | match 4", text), "");
	assert_string_equal(through("x | no-more", ""), "");
}

static void wrong_pipes_are_refused_with_what_is_right(void **state)
{
	static const char *const wrong[] = { "x |", "x | matc", "x | match a b", "x | match [", "x | sort",
		"x | count 3" };
	struct filter *filter = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse(wrong[i]), 0);
		assert_int_equal(filter_new(&line, false, &filter, &why), -EINVAL);
		reason[why.len] = '\0';
		assert_true(strstr(reason, "no-more") != NULL || strstr(reason, "pattern") != NULL);
	}
	assert_int_equal(parse("x | json"), 0);
	assert_int_equal(filter_new(&line, false, &filter, &why), 0);
	assert_true(filter_wants_json(filter));
	filter_free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_separated_by_blanks),
		cmocka_unit_test(quotes_keep_blanks_and_bars_together),
		cmocka_unit_test(what_follows_a_hash_is_a_comment),
		cmocka_unit_test(bars_begin_pipes_with_or_without_blanks),
		cmocka_unit_test(the_last_word_is_known_to_be_complete_or_not),
		cmocka_unit_test(what_is_too_much_or_steers_a_terminal_is_refused),
		cmocka_unit_test(pipes_let_through_what_they_say),
		cmocka_unit_test(wrong_pipes_are_refused_with_what_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
