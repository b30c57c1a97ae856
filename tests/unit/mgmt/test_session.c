/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what belongs to a connection: its user and his last login, its candidate and what that was made from, its place in the list of all. */
#include "commit_bed.h"

static const struct config_user users[] = { { .name = (char[]){ "ada" }, .role = CONFIG_ROLE_ADMIN },
	{ .name = (char[]){ "moritz" }, .role = CONFIG_ROLE_MONITOR } };

static struct session *login(const char *name, const char *from)
{
	struct session *session = session_new(&bed.world, 0);
	struct mgmt_login who = { .user = "" };

	(void)snprintf(who.user, sizeof(who.user), "%s", name);
	(void)snprintf(who.from, sizeof(who.from), "%s", from);
	assert_int_equal(session_login(session, 0, &who), 0);
	return session;
}

static unsigned listed(void)
{
	unsigned count = 0;

	for (const struct session *s = bed.sessions; s != NULL; s = s->next)
		count++;
	return count;
}

static int setup(void **state)
{
	int error = bed_setup(state);

	bed.config->users = (struct config_user *)(uintptr_t)users;
	bed.config->users_count = 2;
	return error;
}

static int teardown(void **state)
{
	bed.config->users = NULL;
	bed.config->users_count = 0;
	return bed_teardown(state);
}

static void sessions_are_listed_while_they_last(void **state)
{
	struct session *one = login("ada", "192.0.2.1"), *two = login("moritz", "192.0.2.2");
	struct session *three = session_new(&bed.world, 1000);

	(void)state;
	assert_int_equal(listed(), 3);
	assert_true(one->logged_in && !three->logged_in);
	assert_true(one->since_wall_ms > 0 && one->active_ms > 0);
	session_free(two);
	assert_int_equal(listed(), 2);
	session_free(three);
	session_free(one);
	assert_int_equal(listed(), 0);
	session_free(session_new(NULL, 0)); /* in no list at all */
}

static void the_last_login_of_each_user_outlives_the_process(void **state)
{
	struct last_login last;

	(void)state;
	session_free(login("ada", "192.0.2.1"));
	session_free(login("ada", "192.0.2.7"));
	assert_int_equal(mgmt_store_login_get(bed.store, "ada", &last), 0);
	assert_string_equal(last.from, "192.0.2.7");
	assert_true(last.wall_ms > 0);
	assert_int_equal(mgmt_store_login_get(bed.store, "moritz", &last), 0);
	assert_int_equal(last.wall_ms, 0);
	mgmt_store_close(bed.store);
	assert_int_equal(mgmt_store_open(bed.directory, &bed.store), 0);
	assert_int_equal(mgmt_store_login_get(bed.store, "ada", &last), 0);
	assert_string_equal(last.from, "192.0.2.7");
}

static void a_candidate_is_made_from_what_is_in_force_and_knows_it(void **state)
{
	struct session *session = login("ada", "192.0.2.1");
	const struct config_document *first = session_candidate(session);

	(void)state;
	assert_non_null(first);
	assert_ptr_equal(session_candidate(session), first); /* the same until it is given up */
	assert_true(config_digest_equal(&session->base, commits_digest(bed.commits)));
	session_discard(session);
	assert_null(session->candidate);
	assert_non_null(session_candidate(session));
	session_free(session);
}

static void another_document_takes_the_candidates_place_on_the_same_base(void **state)
{
	struct session *session = login("ada", "192.0.2.1");
	struct config_document *mine = bed_document(BED_BASE "system { location = \"x\" }\n");

	(void)state;
	session_replace(session, mine);
	assert_ptr_equal(session_candidate(session), mine);
	assert_true(config_digest_equal(&session->base, commits_digest(bed.commits)));
	memset(&session->base, 7, sizeof(session->base));
	session_replace(session, bed_document(BED_BASE));
	assert_int_equal(
		session->base.half[0], 0x0707070707070707); /* what it was edited from is what it was */
	session_free(session);
}

static void where_it_edits_is_copied(void **state)
{
	struct session *session = login("ada", "192.0.2.1");
	char word[] = "realm", name[] = "r";
	const struct span path[] = { { word, 5 }, { name, 1 } };

	(void)state;
	assert_int_equal(session_edit(session, path, 2), 0);
	memset(word, 'x', 5);
	assert_int_equal(session->edit_words, 2);
	assert_true(span_equal(session->edit[0], SPAN("realm")) && span_equal(session->edit[1], SPAN("r")));
	assert_int_equal(session_edit(session, path + 1, 1), 0);
	assert_int_equal(session->edit_words, 1);
	assert_int_equal(session_edit(session, NULL, 0), 0);
	assert_int_equal(session->edit_words, 0);
	session_free(session);
}

static void a_command_makes_its_session_active(void **state)
{
	struct session *session = login("ada", "192.0.2.1");

	(void)state;
	session->active_ms = 1;
	assert_int_equal(bed_give(session, "top", NULL), MGMT_EXIT_OK);
	assert_true(session->active_ms > 1);
	session_free(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_are_listed_while_they_last),
		TEST(the_last_login_of_each_user_outlives_the_process),
		TEST(a_candidate_is_made_from_what_is_in_force_and_knows_it),
		TEST(another_document_takes_the_candidates_place_on_the_same_base),
		TEST(where_it_edits_is_copied),
		TEST(a_command_makes_its_session_active),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
