/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of command words: whole, abbreviated, wrong, with arguments. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/command.h"

static char error_text[2048];

/* Parses words separated by single spaces; 0 or the error, whose text is in error_text. */
static int parse(const char *text, struct command_match *match)
{
	struct span rest = span_from(text), words[MGMT_WORDS_MAX];
	struct writer error;
	size_t count = 0;

	while (rest.p != NULL && rest.n > 0)
		words[count++] = span_cut(&rest, ' ');
	writer_init(&error, error_text, sizeof(error_text) - 1);

	int err = command_parse(command_table, words, count, match, &error);

	error_text[error.len] = '\0';
	return err;
}

static void expect_command(const char *text, const char *words)
{
	struct command_match match;

	assert_int_equal(parse(text, &match), 0);
	assert_string_equal(match.command->words, words);
}

static void expect_error(const char *text, const char *error)
{
	struct command_match match;

	assert_int_equal(parse(text, &match), -EINVAL);
	assert_string_equal(error_text, error);
}

static void every_row_is_found_by_its_own_words(void **state)
{
	(void)state;
	for (const struct command *row = command_table; row->words != NULL; row++) {
		char text[128];
		struct writer w;

		writer_init(&w, text, sizeof(text));
		command_usage(row, &w);
		text[w.len] = '\0';
		expect_command(text, row->words);
		assert_true((row->start == NULL) != (row->local == NULL));
	}
}

static void unambiguous_beginnings_are_enough(void **state)
{
	(void)state;
	expect_command("sh v", "show version");
	expect_command("sh s", "show status");
	expect_command("sub l", "subscriber list");
	expect_command("sh registration 100", "show registration");
	expect_command("show i", "show interfaces");
	expect_command("show calls", "show calls");
	expect_command("show cou", "show counters");
	expect_command("config c sallyport.conf", "config check");
	expect_command("config r", "config reference");
}

static void a_whole_word_shadows_longer_ones(void **state)
{
	struct command_match match;

	(void)state;
	assert_int_equal(parse("show call 0-17", &match), 0);
	assert_string_equal(match.command->words, "show call");
	assert_int_equal(match.arguments, 1);
	assert_memory_equal(match.argument[0].p, "0-17", 4);
	assert_int_equal(match.argument[0].n, 4);
}

static void ambiguous_beginnings_name_what_they_may_be(void **state)
{
	(void)state;
	expect_error(
		"show c", "\"c\" may be: calls call commands certificates counters configuration candidate");
	expect_error("show cal 0-1", "\"cal\" may be: calls call");
}

static void a_wrong_word_is_answered_with_the_nearest(void **state)
{
	(void)state;
	expect_error("show claals", "unknown word \"claals\": did you mean \"calls\"?");
	expect_error("shwo status", "unknown word \"shwo\": did you mean \"show\"?");
	expect_error("show intrefaces", "unknown word \"intrefaces\": did you mean \"interfaces\"?");
	expect_error("config chekc x", "unknown word \"chekc\": did you mean \"check\"?");
}

static void a_word_near_nothing_lists_what_is_possible(void **state)
{
	(void)state;
	expect_error("config zzzzzz",
		"unknown word \"zzzzzz\"; possible here:"
		"\n  check        validate a configuration file; nothing is applied"
		"\n  ssh          what OpenSSH's server is to be told for a configuration; "
		"platforms/server/ssh asks for it"
		"\n  reference    the reference of the configuration language, in Markdown");
}

static void words_that_steer_a_terminal_are_not_echoed(void **state)
{
	struct command_match match;

	(void)state;
	assert_int_equal(parse("\x1b[2J", &match), -EINVAL);
	assert_null(strchr(error_text, '\x1b'));
	assert_int_equal(
		parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &match),
		-EINVAL);
	assert_non_null(strstr(error_text, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\""));
}

static void missing_and_superfluous_arguments_are_errors(void **state)
{
	(void)state;
	expect_error("show call", "missing ID: show call ID");
	expect_error("show call 1 2", "\"2\" is too much: show call ID");
	expect_error("show status now", "\"now\" is too much: show status");
	expect_error("config check", "missing FILE: config check FILE");
}

static void too_few_words_list_what_may_follow(void **state)
{
	struct command_match match;

	(void)state;
	assert_int_equal(parse("show", &match), -EINVAL);
	assert_non_null(strstr(error_text, "more words are needed:\n  version "));
	assert_non_null(strstr(error_text, "\n  counters "));
	assert_null(strstr(error_text, "check"));
}

static void an_empty_word_is_unknown(void **state)
{
	struct span words[] = { { "", 0 } };
	struct command_match match;
	struct writer error;

	(void)state;
	writer_init(&error, error_text, sizeof(error_text));
	assert_int_equal(command_parse(command_table, words, 1, &match, &error), -EINVAL);
}

static void an_error_longer_than_its_room_is_cut_not_overrun(void **state)
{
	struct span words[] = { SPAN("show") };
	struct command_match match;
	char room[40];
	struct writer error;

	(void)state;
	memset(room, '#', sizeof(room));
	writer_init(&error, room, 32);
	assert_int_equal(command_parse(command_table, words, 1, &match, &error), -EINVAL);
	assert_true(error.len <= 32);
	assert_int_equal(room[32], '#');
}

static void collect(void *arg, struct span word, bool argument, const char *help)
{
	assert_non_null(help);
	writer_format(arg, "%.*s%s ", SPAN_FMT(word), argument ? "!" : "");
}

static void completion_names_each_next_word_once(void **state)
{
	struct span words[] = { SPAN("show"), SPAN("call") };
	char text[512];
	struct writer w;

	(void)state;
	writer_init(&w, text, sizeof(text));
	command_next(command_table, CONFIG_ROLE_ADMIN, words, 0, collect, &w);
	assert_memory_equal(text,
		"show records clear test ban unban subscriber hangup set delete edit up top compare validate "
		"commit confirm rollback discard load save authorized-keys reload sftp support config ",
		w.len);
	writer_init(&w, text, sizeof(text));
	command_next(command_table, CONFIG_ROLE_ADMIN, words, 1, collect, &w);
	text[w.len] = '\0';
	assert_string_equal(text,
		"version status interfaces calls call records agents quality realms flows bans trusted "
		"drops top guard registrations registration audit commands alarms certificates block "
		"counters log users configuration candidate revisions ");
	writer_init(&w, text, sizeof(text));
	command_next(command_table, CONFIG_ROLE_ADMIN, words, 2, collect, &w);
	assert_int_equal(w.len, 4);
	assert_memory_equal(text, "ID! ", 4);
}

static void what_may_follow_the_arguments_is_told(void **state)
{
	struct span words[] = { SPAN("ban"), SPAN("192.0.2.1") };
	char text[256];
	struct writer w;

	(void)state;
	writer_init(&w, text, sizeof(text));
	command_next(command_table, CONFIG_ROLE_ADMIN, words, 1, collect, &w);
	command_next(command_table, CONFIG_ROLE_ADMIN, words, 2, collect, &w);
	text[w.len] = '\0';
	assert_string_equal(text, "SOURCE! [for SECONDS] [reason TEXT] [force]! ");
}

static void options_may_be_left_out_but_are_no_more_than_they_are(void **state)
{
	struct command_match match;

	(void)state;
	assert_int_equal(parse("show bans", &match), 0);
	assert_int_equal(match.arguments, 0);
	assert_int_equal(parse("show flows realm core", &match), 0);
	assert_int_equal(match.arguments, 2);
	assert_memory_equal(match.argument[1].p, "core", 4);
	assert_int_equal(parse("ban 192.0.2.1 for 5 reason x force", &match), 0);
	assert_int_equal(match.arguments, 6);
	expect_error("ban", "missing SOURCE: ban SOURCE [for SECONDS] [reason TEXT] [force]");
	expect_error("show bans 192.0.2.1 x", "\"x\" is too much: show bans [NETWORK]");
	expect_error(
		"ban 1 2 3 4 5 6 7", "\"7\" is too much: ban SOURCE [for SECONDS] [reason TEXT] [force]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_found_by_its_own_words),
		cmocka_unit_test(unambiguous_beginnings_are_enough),
		cmocka_unit_test(a_whole_word_shadows_longer_ones),
		cmocka_unit_test(ambiguous_beginnings_name_what_they_may_be),
		cmocka_unit_test(a_wrong_word_is_answered_with_the_nearest),
		cmocka_unit_test(a_word_near_nothing_lists_what_is_possible),
		cmocka_unit_test(words_that_steer_a_terminal_are_not_echoed),
		cmocka_unit_test(missing_and_superfluous_arguments_are_errors),
		cmocka_unit_test(too_few_words_list_what_may_follow),
		cmocka_unit_test(an_empty_word_is_unknown),
		cmocka_unit_test(an_error_longer_than_its_room_is_cut_not_overrun),
		cmocka_unit_test(completion_names_each_next_word_once),
		cmocka_unit_test(what_may_follow_the_arguments_is_told),
		cmocka_unit_test(options_may_be_left_out_but_are_no_more_than_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
