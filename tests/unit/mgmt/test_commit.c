/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of commits: everywhere or nowhere, whoever refuses, is away or dies. */
#include "commit_bed.h"

#define NEXT BED_BASE "system { location = \"next\" }\n"

static int commit_as(const char *text, const char *comment, unsigned confirm_seconds, bool only_validate)
{
	struct config_document *candidate = bed_document(text);
	const struct commit_order order = {
		.candidate = candidate, .who = "ada", .comment = comment, .confirm_seconds = confirm_seconds
	};
	int error;

	bed.done = false;
	error = only_validate ? commits_validate(bed.commits, &order, bed_done, NULL)
			      : commits_begin(bed.commits, &order, bed_done, NULL);
	config_document_free(candidate);
	if (error)
		return error;
	bed_wait(&bed.done);
	return bed.error;
}

static int commit(const char *text)
{
	return commit_as(text, "why", 0, false);
}

static bool file_has(const char *what)
{
	return strstr(bed_text(), what) != NULL;
}

static unsigned revisions(void)
{
	unsigned count = 0;
	struct revision revision;

	while (mgmt_store_revision_get(bed.store, count, &revision, NULL, NULL) == 0)
		count++;
	return count;
}

static void everywhere_is_old(void)
{
	assert_false(file_has("next"));
	assert_int_equal(revisions(), 1);
	assert_int_equal(bed.applied, 0);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		assert_int_equal(bed.daemon[i].applied, 0);
}

static void a_commit_is_in_the_file_the_database_and_all_daemons(void **state)
{
	struct revision revision;

	(void)state;
	assert_int_equal(commit(NEXT), 0);
	bed_wait_agreement();
	assert_true(file_has("location = \"next\""));
	assert_int_equal(revisions(), 2);
	assert_int_equal(mgmt_store_revision_get(bed.store, 0, &revision, NULL, NULL), 0);
	assert_string_equal(revision.who, "ada");
	assert_string_equal(revision.comment, "why");
	assert_true(config_digest_equal(&revision.digest, commits_digest(bed.commits)));
	assert_int_equal(bed.applied, 1);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		assert_int_equal(bed.daemon[i].applied, 1);
		assert_string_equal(bed.daemon[i].running->system.location, "next");
	}
	assert_string_equal(bed.in_force->system.location, "next");
}

static void whoever_refuses_leaves_everything_as_it_was_and_says_why(void **state)
{
	(void)state;
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		bed.daemon[i].refusal = -EINVAL;
		assert_int_equal(commit(NEXT), -EINVAL);
		assert_non_null(strstr(bed.said, "this daemon does not like it"));
		bed.daemon[i].refusal = 0;
		everywhere_is_old();
	}
	assert_int_equal(commit(BED_BASE "realm s { network-interface = nowhere }\n"), -EINVAL);
	assert_non_null(strstr(bed.said, "nowhere"));
	everywhere_is_old();
	assert_int_equal(commit(NEXT), 0);
}

static void nothing_is_committed_without_one_of_the_daemons(void **state)
{
	(void)state;
	bed_stop_daemon(NEIGHBOUR_CONTROLPLANE);
	assert_int_equal(commit(NEXT), -ENOTCONN);
	everywhere_is_old();
	bed_start_daemon(NEIGHBOUR_CONTROLPLANE);
	bed_wait_agreement();
	assert_int_equal(commit(NEXT), 0);
}

static void a_validation_asks_all_and_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(commit_as(NEXT, "", 0, true), 0);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		assert_int_equal(bed.daemon[i].prepared, 1);
	everywhere_is_old();
	bed.daemon[0].refusal = -EINVAL;
	assert_int_equal(commit_as(NEXT, "", 0, true), -EINVAL);
}

static void a_stale_base_is_refused(void **state)
{
	struct config_document *candidate = bed_document(NEXT);
	const struct config_digest base = *commits_digest(bed.commits);
	const struct commit_order order = {
		.candidate = candidate, .base = &base, .who = "eve", .comment = ""
	};

	(void)state;
	assert_int_equal(commit(BED_BASE "system { location = \"theirs\" }\n"), 0);
	bed.done = false;
	if (commits_begin(bed.commits, &order, bed_done, NULL) == 0) {
		bed_wait(&bed.done);
		assert_int_equal(bed.error, -ESTALE);
	}
	assert_true(file_has("theirs"));
	config_document_free(candidate);
}

static void a_file_that_cannot_be_written_is_a_commit_that_did_not_happen(void **state)
{
	char hidden[128];

	(void)state;
	/* The directory is gone: neither a file beside it nor a rename. */
	(void)snprintf(hidden, sizeof(hidden), "%s-hidden", bed.directory);
	assert_int_equal(rename(bed.directory, hidden), 0);
	assert_int_not_equal(commit(NEXT), 0);
	assert_int_equal(rename(hidden, bed.directory), 0);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		assert_int_equal(bed.daemon[i].applied, 0);
	assert_false(file_has("next"));
	assert_int_equal(revisions(), 1);
}

static void a_daemon_that_comes_back_with_an_older_text_is_given_the_files(void **state)
{
	(void)state;
	bed_stop_daemon(NEIGHBOUR_DATAPLANE);
	bed_start_daemon(NEIGHBOUR_DATAPLANE);
	bed_wait_agreement();
	assert_int_equal(commit(NEXT), 0);
	bed_wait_agreement();
	bed_stop_daemon(NEIGHBOUR_DATAPLANE);

	/* It started while the file was still the old one. */
	char now[4096];

	(void)snprintf(now, sizeof(now), "%s", bed_text());
	bed_write(BED_BASE);
	bed_start_daemon(NEIGHBOUR_DATAPLANE);
	bed_write(now);
	while (bed.daemon[NEIGHBOUR_DATAPLANE].applied == 0)
		uv_run(&bed.loop, UV_RUN_ONCE);
	assert_string_equal(bed.daemon[NEIGHBOUR_DATAPLANE].running->system.location, "next");
	bed_wait_agreement();
}

static void what_is_not_confirmed_goes_back_also_after_a_death(void **state)
{
	(void)state;
	assert_int_equal(commit_as(NEXT, "", 3600, false), 0);
	assert_true(commits_deadline(bed.commits) > 0);
	assert_int_equal(commits_confirm(bed.commits), 0);
	assert_int_equal(commits_deadline(bed.commits), 0);
	assert_int_equal(commits_confirm(bed.commits), -ENOENT);
	assert_int_equal(commit_as(BED_BASE, "", 1, false), 0);
	assert_false(file_has("next"));
	bed_close_commits(); /* dies, and is back after the time */
	bed.applied = 0;
	bed_open_commits();
	while (bed.applied == 0)
		uv_run(&bed.loop, UV_RUN_ONCE);
	assert_true(file_has("next"));
	assert_int_equal(commits_deadline(bed.commits), 0);
}

/* Dead between database and rename: the revision was never the configuration. Dead behind the rename: it is. */
static void after_a_death_the_revision_is_what_the_file_says(void **state)
{
	struct revision lost = { .digest = config_digest_of(NEXT, strlen(NEXT)), .who = "ada" };

	(void)state;
	assert_int_equal(mgmt_store_revision_add(bed.store, &lost, NEXT, strlen(NEXT)), 0);
	bed_close_commits();
	bed_open_commits();
	assert_int_equal(revisions(), 1);
	lost.number = 0;
	assert_int_equal(mgmt_store_revision_add(bed.store, &lost, NEXT, strlen(NEXT)), 0);
	bed_close_commits();
	bed_write(NEXT);
	bed_open_commits();
	assert_int_equal(revisions(), 2);
	assert_int_equal(commits_revision(bed.commits), lost.number);
	while (bed.daemon[0].applied == 0 || bed.daemon[1].applied == 0) /* they still ran the other one */
		uv_run(&bed.loop, UV_RUN_ONCE);
}

static void a_file_edited_by_hand_is_a_revision_by_the_file(void **state)
{
	struct revision revision;

	(void)state;
	bed_close_commits();
	bed_write(NEXT);
	bed_open_commits();
	assert_int_equal(mgmt_store_revision_get(bed.store, 0, &revision, NULL, NULL), 0);
	assert_string_equal(revision.who, "file");
	assert_int_equal(revisions(), 2);
}

/* The number that is kept is that of the configuration being committed. */
static void older_revisions_go_as_the_new_configuration_says(void **state)
{
	static const char *const texts[] = { "a", "b", "c" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(text, sizeof(text), "%ssystem { location = \"%s\" }\n", BED_BASE, texts[i]);
		assert_int_equal(commit(text), 0);
	}
	assert_int_equal(revisions(), 4);
	assert_int_equal(commit(BED_BASE "system { revisions-kept = 2 }\n"), 0);
	assert_int_equal(revisions(), 2);
	assert_int_equal(commit(NEXT), 0);
	assert_int_equal(commit(BED_BASE), 0);
	assert_int_equal(revisions(), 4);
}

static void one_commit_at_a_time(void **state)
{
	struct config_document *candidate = bed_document(NEXT);
	const struct commit_order order = { .candidate = candidate, .who = "ada", .comment = "" };

	(void)state;
	bed.done = false;
	assert_int_equal(commits_begin(bed.commits, &order, bed_done, NULL), 0);
	assert_int_equal(commits_begin(bed.commits, &order, bed_done, NULL), -EBUSY);
	bed_wait(&bed.done);
	assert_int_equal(bed.error, 0);
	config_document_free(candidate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(a_commit_is_in_the_file_the_database_and_all_daemons),
		BED_TEST(whoever_refuses_leaves_everything_as_it_was_and_says_why),
		BED_TEST(nothing_is_committed_without_one_of_the_daemons),
		BED_TEST(a_validation_asks_all_and_changes_nothing),
		BED_TEST(a_stale_base_is_refused),
		BED_TEST(a_file_that_cannot_be_written_is_a_commit_that_did_not_happen),
		BED_TEST(a_daemon_that_comes_back_with_an_older_text_is_given_the_files),
		BED_TEST(what_is_not_confirmed_goes_back_also_after_a_death),
		BED_TEST(after_a_death_the_revision_is_what_the_file_says),
		BED_TEST(a_file_edited_by_hand_is_a_revision_by_the_file),
		BED_TEST(older_revisions_go_as_the_new_configuration_says),
		BED_TEST(one_commit_at_a_time),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
