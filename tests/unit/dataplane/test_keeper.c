/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper undoes what it was told of, whatever way its dataplane ends, and takes no orders once sealed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/fanout.h"
#include "dataplane/keeper.h"
#include "dataplane/raw_interface.h"

struct scene {
	char directory[64];
	char first[96], second[96];
};

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int scene_make(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	snprintf(s->directory, sizeof(s->directory), "/tmp/sallyport-keeper-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->first, sizeof(s->first), "%s/first", s->directory);
	snprintf(s->second, sizeof(s->second), "%s/second", s->directory);
	touch(s->first);
	touch(s->second);
	*state = s;
	return 0;
}

static int scene_clear(void **state)
{
	struct scene *s = *state;

	(void)unlink(s->first);
	(void)unlink(s->second);
	(void)rmdir(s->directory);
	free(s);
	return 0;
}

static void finish_undoes_what_was_told_and_nothing_else(void **state)
{
	struct scene *s = *state;

	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_tell(KEEPER_FILE, s->first, NULL), 0);
	assert_int_equal(access(s->first, F_OK), 0);
	keeper_finish();
	assert_int_equal(access(s->first, F_OK), -1);
	assert_int_equal(access(s->second, F_OK), 0);
}

static void a_sealed_keeper_takes_no_orders_and_still_cleans_up(void **state)
{
	struct scene *s = *state;

	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_tell(KEEPER_FILE, s->first, NULL), 0);
	assert_int_equal(keeper_seal(), 0);
	assert_int_equal(access(s->first, F_OK), 0);
	assert_true(keeper_tell(KEEPER_FILE, s->second, NULL) < 0);
	keeper_finish();
	assert_int_equal(access(s->first, F_OK), -1);
	assert_int_equal(access(s->second, F_OK), 0);
}

static void a_killed_dataplane_is_cleaned_up_after(void **state)
{
	struct scene *s = *state;
	int done[2];
	char byte;

	/* The keeper closes what it inherits: its own end tells when it has ended, by way of a pipe held by nobody else. */
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(done[0]);
		if (keeper_start() != 0 || keeper_tell(KEEPER_DIRECTORY, s->directory, NULL) != 0 ||
			keeper_seal() != 0 || write(done[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	/* The keeper is nobody's child now: what it does is all there is to wait for, and the alarm bounds it. */
	alarm(30);
	while (access(s->directory, F_OK) == 0)
		sched_yield();
	alarm(0);
	assert_int_equal(access(s->directory, F_OK), -1);
}

static void who_comes_next_waits_for_the_cleaning_up_after_a_killed_dataplane(void **state)
{
	struct scene *s = *state;
	int done[2];
	char byte;

	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(done[0]);
		if (keeper_start() != 0 || keeper_hold(s->directory, 0) != 0 ||
			keeper_tell(KEEPER_FILE, s->first, NULL) != 0 || keeper_seal() != 0 ||
			write(done[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_hold(s->directory, 10), -EBUSY); /* that one is alive */
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(keeper_hold(s->directory, 9000), 0);
	assert_int_equal(access(s->first, F_OK), -1);
	assert_int_equal(access(s->second, F_OK), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	keeper_finish();
}

static void what_is_too_long_is_refused(void **state)
{
	struct scene *s = *state;
	char path[400];

	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = 'x';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_tell(KEEPER_FILE, path, NULL), -ENAMETOOLONG);
	assert_int_equal(keeper_hold(path, 0), -ENAMETOOLONG);
	assert_int_equal(keeper_tell(KEEPER_SYSCTL, s->first, path), -ENAMETOOLONG);
	keeper_finish();
	assert_int_equal(access(s->first, F_OK), 0);
}

static void a_sealed_keeper_prepares_only_what_it_learnt_and_not_too_often(void **state)
{
	struct scene *s = *state;
	const struct raw_interface gone = { .name = "sp-no-such", .table = "sallyport_none" };
	unsigned ifindex = 0, refused = 0;

	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_tell(KEEPER_FILE, s->first, NULL), 0);
	assert_int_equal(keeper_port(&gone, NULL, 0), 0);
	assert_int_equal(keeper_port(&gone, NULL, 0), 1);
	assert_int_equal(keeper_seal(), 0);
	assert_int_equal(keeper_revive(1, &ifindex), -ENODEV);
	for (unsigned i = 0; i < 50; i++) {
		int status = keeper_revive(i % 2, &ifindex);

		assert_true(status == -ENODEV || status == -EAGAIN);
		refused += status == -EAGAIN;
	}
	assert_true(refused > 20);
	assert_int_equal(access(s->first, F_OK), 0);
	assert_true(keeper_revive(2, &ifindex) < 0 && keeper_revive(0, &ifindex) < 0); /* it has ended */
	keeper_finish();
	assert_int_equal(access(s->first, F_OK), -1);
}

static void a_sealed_keeper_learns_no_port(void **state)
{
	struct scene *s = *state;
	const struct raw_interface port = { .name = "lo", .table = "sallyport_none" };
	unsigned ifindex = 0;

	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_tell(KEEPER_FILE, s->first, NULL), 0);
	assert_int_equal(keeper_seal(), 0);
	assert_true(keeper_port(&port, NULL, 0) < 0);
	assert_true(keeper_revive(0, &ifindex) < 0);
	keeper_finish();
	assert_int_equal(access(s->first, F_OK), -1);
}

static void too_many_sockets_are_refused_and_ours_stay_ours(void **state)
{
	const struct raw_interface port = { .name = "sp-no-such", .table = "sallyport_none" };
	int fd[FANOUT_QUEUES_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(keeper_start(), 0);
	assert_int_equal(keeper_port(&port, fd, FANOUT_QUEUES_MAX + 1), -EINVAL);
	assert_int_equal(keeper_port(&port, fd, 2), 0); /* copies: ours stay ours */
	assert_int_equal(fcntl(0, F_GETFD) >= 0, 1);
	keeper_finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			finish_undoes_what_was_told_and_nothing_else, scene_make, scene_clear),
		cmocka_unit_test_setup_teardown(
			a_sealed_keeper_takes_no_orders_and_still_cleans_up, scene_make, scene_clear),
		cmocka_unit_test_setup_teardown(
			a_killed_dataplane_is_cleaned_up_after, scene_make, scene_clear),
		cmocka_unit_test_setup_teardown(
			who_comes_next_waits_for_the_cleaning_up_after_a_killed_dataplane, scene_make,
			scene_clear),
		cmocka_unit_test_setup_teardown(
			a_sealed_keeper_prepares_only_what_it_learnt_and_not_too_often, scene_make,
			scene_clear),
		cmocka_unit_test_setup_teardown(a_sealed_keeper_learns_no_port, scene_make, scene_clear),
		cmocka_unit_test(too_many_sockets_are_refused_and_ours_stay_ours),
		cmocka_unit_test_setup_teardown(what_is_too_long_is_refused, scene_make, scene_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
