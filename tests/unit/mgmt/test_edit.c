/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the commands that edit a candidate and make it the configuration, as a session gives them. */
#include "commit_bed.h"

static struct session *ada, *eve;

static int setup(void **state)
{
	int error = bed_setup(state);

	ada = session_new(&bed.world, 0);
	eve = session_new(&bed.world, 0);
	return error || ada == NULL || eve == NULL;
}

static int teardown(void **state)
{
	session_free(ada);
	session_free(eve);
	return bed_teardown(state);
}

static enum mgmt_exit give(const char *line)
{
	return bed_give(ada, line, NULL);
}

/* What a command of ada's prints. */
static const char *said(const char *line)
{
	assert_int_equal(give(line), MGMT_EXIT_OK);
	bed.got.text[bed.got.length] = '\0';
	return bed.got.text;
}

static void what_is_set_is_in_the_candidate_and_nowhere_else(void **state)
{
	(void)state;
	assert_int_equal(give("set system location attic"), MGMT_EXIT_OK);
	assert_non_null(strstr(said("show candidate system"), "attic"));
	assert_null(strstr(said("show configuration"), "attic"));
	assert_null(strstr(bed_text(), "attic"));
	assert_int_equal(bed_give(eve, "show candidate", NULL), MGMT_EXIT_OK);
	assert_null(strstr(bed.got.text, "attic"));
	assert_non_null(strstr(said("compare"), "+ system.location = \"attic\""));
	assert_int_equal(give("discard"), MGMT_EXIT_OK);
	assert_string_equal(said("compare"), "no difference\n");
}

static void a_commit_makes_the_candidate_the_configuration(void **state)
{
	(void)state;
	assert_int_equal(give("set system location attic"), MGMT_EXIT_OK);
	assert_int_equal(give("commit comment moved"), MGMT_EXIT_OK);
	bed_wait_agreement();
	assert_non_null(strstr(bed_text(), "attic"));
	assert_non_null(strstr(said("show revisions"), "moved"));
	assert_null(ada->candidate);
	assert_int_equal(give("delete system location"), MGMT_EXIT_OK);
	assert_int_equal(give("commit"), MGMT_EXIT_OK);
	assert_null(strstr(bed_text(), "attic"));
}

static void mistakes_are_refused_with_what_is_allowed_and_change_nothing(void **state)
{
	static const struct {
		const char *line, *error;
	} mistakes[] = {
		{ "set system log-level loud", "error, warning, notice, info, debug" },
		{ "set realm r trust", "trust" },
		{ "set nowhere x y", "section" },
		{ "delete realm nobody", "no such" },
		{ "edit realm", "realm" },
		{ "rollback x", "" },
		{ "rollback 99", "" },
		{ "commit comment", "comment" },
		{ "commit confirmed 0", "" },
		{ "commit confirmed forever", "" },
		{ "commit at once", "" },
		{ "load saved nothing", "nothing" },
		{ "save ../etc/passwd", "" },
		{ "confirm", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		if (give(mistakes[i].line) == MGMT_EXIT_OK)
			fail_msg("%s is taken", mistakes[i].line);
		if (bed.got.error[0] == '\0' || strstr(bed.got.error, mistakes[i].error) == NULL)
			fail_msg("%s: %s", mistakes[i].line, bed.got.error);
	}
	assert_string_equal(bed_text(), BED_BASE);
	assert_string_equal(said("compare"), "no difference\n");
}

static void paths_begin_where_the_session_is(void **state)
{
	(void)state;
	assert_int_equal(give("edit realm r"), MGMT_EXIT_OK);
	assert_int_equal(give("set dscp-media 46"), MGMT_EXIT_OK);
	assert_int_equal(give("up"), MGMT_EXIT_OK);
	assert_int_equal(give("edit realm r"), MGMT_EXIT_OK);
	assert_int_equal(give("top"), MGMT_EXIT_OK);
	assert_int_equal(ada->edit_words, 0);
	assert_int_equal(give("set system contact noc"), MGMT_EXIT_OK);
	assert_non_null(strstr(said("compare"), "+ realm r.dscp-media = 46"));
	assert_non_null(strstr(said("compare"), "+ system.contact = \"noc\""));
}

static void who_comes_second_is_refused_unless_he_insists(void **state)
{
	(void)state;
	assert_int_equal(give("set system location attic"), MGMT_EXIT_OK);
	assert_int_equal(bed_give(eve, "set system contact eve", NULL), MGMT_EXIT_OK);
	assert_int_equal(bed_give(eve, "commit", NULL), MGMT_EXIT_OK);
	assert_int_not_equal(give("commit"), MGMT_EXIT_OK);
	assert_non_null(ada->candidate); /* his work is not lost */
	assert_null(strstr(bed_text(), "attic"));
	assert_int_equal(give("commit force"), MGMT_EXIT_OK);
	assert_non_null(strstr(bed_text(), "attic"));
}

static void a_whole_text_is_loaded_saved_and_found_again(void **state)
{
	(void)state;
	assert_int_equal(
		bed_give(ada, "load text", BED_BASE "system { contact = \"loaded\" }\n"), MGMT_EXIT_OK);
	assert_int_equal(give("save before"), MGMT_EXIT_OK);
	assert_int_equal(give("discard"), MGMT_EXIT_OK);
	assert_string_equal(said("compare"), "no difference\n");
	assert_int_equal(bed_give(eve, "load saved before", NULL), MGMT_EXIT_OK);
	assert_int_equal(bed_give(eve, "commit", NULL), MGMT_EXIT_OK);
	assert_non_null(strstr(bed_text(), "loaded"));
	assert_int_not_equal(bed_give(ada, "load text", "realm {"), MGMT_EXIT_OK);
	assert_non_null(strstr(said("compare"), "- system.contact")); /* what was edited before */
}

static void what_was_in_force_comes_back_by_its_number(void **state)
{
	(void)state;
	assert_int_equal(give("set system location one"), MGMT_EXIT_OK);
	assert_int_equal(give("commit"), MGMT_EXIT_OK);
	assert_int_equal(give("set system location two"), MGMT_EXIT_OK);
	assert_int_equal(give("commit"), MGMT_EXIT_OK);
	assert_int_equal(give("rollback 1"), MGMT_EXIT_OK);
	assert_non_null(strstr(bed_text(), "two")); /* until it is committed */
	assert_int_equal(give("commit"), MGMT_EXIT_OK);
	assert_non_null(strstr(bed_text(), "one"));
}

static void a_validation_tells_and_keeps_the_candidate(void **state)
{
	(void)state;
	assert_int_equal(give("set realm s network-interface nowhere"), MGMT_EXIT_OK);
	assert_int_not_equal(give("validate"), MGMT_EXIT_OK);
	assert_non_null(ada->candidate);
	assert_int_equal(give("delete realm s"), MGMT_EXIT_OK);
	assert_int_equal(give("set system location attic"), MGMT_EXIT_OK);
	assert_int_equal(give("validate"), MGMT_EXIT_OK);
	assert_string_equal(bed_text(), BED_BASE);
}

static void secrets_are_for_an_admin_who_does_not_ask_for_a_mask(void **state)
{
	(void)state;
	assert_int_equal(give("set user u role monitor"), MGMT_EXIT_OK);
	assert_int_equal(give("set user u password-hash $6$abc$def"), MGMT_EXIT_OK);
	assert_int_equal(give("commit"), MGMT_EXIT_OK);
	assert_non_null(strstr(said("show configuration"), "$6$abc$def"));
	eve->role = CONFIG_ROLE_OPERATOR;
	assert_int_equal(bed_give(eve, "show configuration", NULL), MGMT_EXIT_OK);
	assert_null(strstr(bed.got.text, "$6$abc$def"));
	assert_non_null(strstr(bed.got.text, CONFIG_MASK));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_in_the_candidate_and_nowhere_else),
		TEST(a_commit_makes_the_candidate_the_configuration),
		TEST(mistakes_are_refused_with_what_is_allowed_and_change_nothing),
		TEST(paths_begin_where_the_session_is),
		TEST(who_comes_second_is_refused_unless_he_insists),
		TEST(a_whole_text_is_loaded_saved_and_found_again),
		TEST(what_was_in_force_comes_back_by_its_number),
		TEST(a_validation_tells_and_keeps_the_candidate),
		TEST(secrets_are_for_an_admin_who_does_not_ask_for_a_mask),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
