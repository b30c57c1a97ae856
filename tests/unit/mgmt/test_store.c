/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what the management daemon keeps: revisions, a confirmation that is waited for, what was saved, who gave commands. */
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

#include "mgmt/store.h"

static char directory[64];
static struct mgmt_store *store;

static int open_store(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/sallyport-store-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return mgmt_store_open(directory, &store);
}

static int close_store(void **state)
{
	static const char *const files[] = { "mgmt.db", "mgmt.db-wal", "mgmt.db-shm", "mgmt.db-journal" };
	char path[128];

	(void)state;
	mgmt_store_close(store);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		unlink(path);
	}
	return rmdir(directory);
}

/* As after a death: what was written is there. */
static void reopen(void)
{
	mgmt_store_close(store);
	assert_int_equal(mgmt_store_open(directory, &store), 0);
}

static uint64_t add(const char *text, bool settled)
{
	struct revision revision = { .digest = config_digest_of(text, strlen(text)), .who = "ada" };

	assert_int_equal(mgmt_store_revision_add(store, &revision, text, strlen(text)), 0);
	if (settled)
		assert_int_equal(mgmt_store_revision_settle(store, revision.number), 0);
	return revision.number;
}

static void assert_back(uint64_t back, const char *expected)
{
	struct revision revision;
	char *text = NULL;
	size_t length = 0;
	int error = mgmt_store_revision_get(store, back, &revision, &text, &length);

	assert_int_equal(error, expected != NULL ? 0 : -ENOENT);
	if (expected != NULL) {
		assert_string_equal(text, expected);
		assert_int_equal(length, strlen(expected));
		assert_string_equal(revision.who, "ada");
	}
	free(text);
}

static void a_revision_is_found_by_its_digest_once_it_is_settled(void **state)
{
	const struct config_digest one = config_digest_of("one", 3), two = config_digest_of("two", 3);
	char *text = NULL;
	size_t length = 0;

	(void)state;
	add("one", true);
	add("two", false);
	assert_int_equal(mgmt_store_revision_find(store, &one, &text, &length), 0);
	assert_string_equal(text, "one");
	assert_int_equal(length, 3);
	free(text);
	assert_int_equal(mgmt_store_revision_find(store, &two, &text, &length), -ENOENT);
}

static void what_is_not_settled_is_no_revision(void **state)
{
	(void)state;
	add("one", true);
	add("two", false);
	assert_back(0, "one");
	assert_back(1, NULL);
}

static void after_a_death_the_file_decides_what_the_last_revision_is(void **state)
{
	struct config_digest one = config_digest_of("one", 3), two = config_digest_of("two", 3);
	struct config_digest other = config_digest_of("other", 5);
	bool found = false;

	(void)state;
	add("one", true);
	add("two", false);
	reopen();
	assert_int_equal(mgmt_store_revision_recover(store, &two, &found), 0); /* the file had been renamed */
	assert_true(found);
	assert_back(0, "two");
	add("three", false);
	reopen();
	assert_int_equal(mgmt_store_revision_recover(store, &two, &found), 0); /* it had not */
	assert_true(found);
	assert_back(0, "two");
	assert_back(1, "one");
	assert_back(2, NULL);
	assert_int_equal(mgmt_store_revision_recover(store, &other, &found), 0);
	assert_false(found); /* written by somebody else */
	assert_int_equal(mgmt_store_revision_recover(store, &one, &found), 0);
	assert_false(found); /* an older one, put there by hand */
}

static void numbers_are_never_used_twice(void **state)
{
	struct config_digest none = config_digest_of("", 0);
	bool found;
	uint64_t first = add("one", false);

	(void)state;
	assert_int_equal(mgmt_store_revision_recover(store, &none, &found), 0);
	reopen();
	assert_true(add("two", true) > first);
}

static void old_revisions_go_but_not_the_one_to_go_back_to(void **state)
{
	uint64_t first = add("first", true), number, deadline;
	char *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(mgmt_store_confirm_set(store, first, 12345), 0);
	for (int i = 0; i < 10; i++)
		add("later", true);
	assert_int_equal(mgmt_store_revision_trim(store, 3), 0);
	reopen();
	assert_int_equal(mgmt_store_confirm_get(store, &number, &deadline), 0);
	assert_int_equal(number, first);
	assert_int_equal(deadline, 12345);
	assert_int_equal(mgmt_store_revision_text(store, first, &text, &length), 0);
	assert_string_equal(text, "first");
	free(text);
	assert_back(3, "first");
	assert_back(4, NULL);
	assert_int_equal(mgmt_store_confirm_set(store, 0, 0), 0);
	assert_int_equal(mgmt_store_confirm_get(store, &number, &deadline), 0);
	assert_int_equal(number, 0);
}

static void what_is_saved_again_replaces_what_was(void **state)
{
	char *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(mgmt_store_saved_get(store, "x", &text, &length), -ENOENT);
	assert_int_equal(mgmt_store_saved_set(store, "x", "one", 3), 0);
	assert_int_equal(mgmt_store_saved_set(store, "x", "two", 3), 0);
	assert_int_equal(mgmt_store_saved_get(store, "x", &text, &length), 0);
	assert_string_equal(text, "two");
	free(text);
}

struct seen {
	size_t count;
	char first[32];
};

static bool see(void *arg, const struct command_audit *audit)
{
	struct seen *seen = arg;

	if (seen->count++ == 0)
		snprintf(seen->first, sizeof(seen->first), "%.*s", SPAN_FMT(audit->command));
	return true;
}

static void commands_are_listed_newest_first_and_the_oldest_go(void **state)
{
	struct seen seen = { 0 };
	char command[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(command, sizeof(command), "show %d", i);
		assert_int_equal(mgmt_store_audit(store, SPAN("ada"), SPAN("admin"), SPAN("local"),
					 span_from(command), SPAN("done")),
			0);
	}
	assert_int_equal(mgmt_store_audit_list(store, 0, 100, see, &seen), 0);
	assert_int_equal(seen.count, 10);
	assert_string_equal(seen.first, "show 9");
	assert_int_equal(mgmt_store_audit_trim(store, 4), 0);
	seen = (struct seen){ 0 };
	assert_int_equal(mgmt_store_audit_list(store, 0, 100, see, &seen), 0);
	assert_int_equal(seen.count, 4);
}

static void a_second_process_is_kept_out(void **state)
{
	struct mgmt_store *second = NULL;

	(void)state;
	assert_int_equal(mgmt_store_open(directory, &second), -EBUSY);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(a_revision_is_found_by_its_digest_once_it_is_settled),
		STORE_TEST(what_is_not_settled_is_no_revision),
		STORE_TEST(after_a_death_the_file_decides_what_the_last_revision_is),
		STORE_TEST(numbers_are_never_used_twice),
		STORE_TEST(old_revisions_go_but_not_the_one_to_go_back_to),
		STORE_TEST(what_is_saved_again_replaces_what_was),
		STORE_TEST(commands_are_listed_newest_first_and_the_oldest_go),
		STORE_TEST(a_second_process_is_kept_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
