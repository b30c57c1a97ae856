/* SPDX-License-Identifier: BSD-3-Clause */
/* The run directory and the pid file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/daemon.h"
#include "tests/unit/base/child_fixture.h"

static char base[64];
static char path[128];

static int make_base(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/daemon-test-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state)
{
	(void)state;
	return rmdir(base);
}

static const char *under(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

/* The pid written in the file, -1 without one. */
static int pid_in(const char *name)
{
	FILE *file = fopen(under(name), "re");
	int pid = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d\n", &pid) != 1)
		pid = -2;
	fclose(file);
	return pid;
}

static void the_pid_file_names_us_and_goes_with_us(void **state)
{
	(void)state;
	assert_int_equal(daemon_pid_open(base, "x"), 0);
	assert_int_equal(pid_in("x.pid"), getpid());
	daemon_pid_close();
	assert_int_equal(pid_in("x.pid"), -1);
	daemon_pid_close(); /* twice is once */
}

static int open_again(void)
{
	return -daemon_pid_open(base, "x");
}

static void a_second_instance_is_refused(void **state)
{
	(void)state;
	assert_int_equal(daemon_pid_open(base, "x"), 0);
	assert_int_equal(in_child(open_again), EEXIST);
	assert_int_equal(daemon_pid_open(base, "x"), -EEXIST);
	/* The refused one changed nothing. */
	assert_int_equal(pid_in("x.pid"), getpid());
	daemon_pid_close();
	assert_int_equal(in_child(open_again), 0);
	unlink(under("x.pid"));
}

static void the_file_of_a_killed_process_does_not_block(void **state)
{
	int ends[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		if (daemon_pid_open(base, "x") < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(pid_in("x.pid"), child);
	assert_int_equal(daemon_pid_open(base, "x"), -EEXIST);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(daemon_pid_open(base, "x"), 0);
	assert_int_equal(pid_in("x.pid"), getpid());
	daemon_pid_close();
	close(ends[0]);
	close(ends[1]);
}

static void a_shorter_pid_leaves_no_rest_of_a_longer_one(void **state)
{
	int fd = open(under("x.pid"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	struct stat st;
	char expected[32];

	(void)state;
	assert_int_equal(write(fd, "123456789012345678\n", 19), 19);
	close(fd);
	assert_int_equal(daemon_pid_open(base, "x"), 0);
	assert_int_equal(stat(under("x.pid"), &st), 0);
	assert_int_equal(st.st_size, snprintf(expected, sizeof(expected), "%d\n", (int)getpid()));
	daemon_pid_close();
}

static void a_planted_link_is_not_followed(void **state)
{
	char victim[128];

	(void)state;
	snprintf(victim, sizeof(victim), "%s", under("victim"));
	assert_int_equal(symlink(victim, under("x.pid")), 0);
	assert_int_equal(daemon_pid_open(base, "x"), -ELOOP);
	assert_int_equal(access(victim, F_OK), -1);
	unlink(under("x.pid"));
}

static void impossible_pid_paths_are_errors(void **state)
{
	static char longest[5000];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(daemon_pid_open("/nonexistent", "x"), -ENOENT);
	assert_int_equal(daemon_pid_open(longest, "x"), -ENAMETOOLONG);
}

static void a_directory_is_made_with_its_parents(void **state)
{
	mode_t saved = umask(0077);
	char directory[128];
	struct stat st;

	(void)state;
	snprintf(directory, sizeof(directory), "%s", under("a/b"));
	assert_int_equal(daemon_directory(directory, NULL), 0);
	umask(saved);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(stat(under("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	rmdir(directory);
	rmdir(under("a"));
}

static void the_directory_belongs_to_the_user(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	char directory[128];
	struct stat st;

	(void)state;
	if (geteuid() != 0 || !nobody)
		skip();
	snprintf(directory, sizeof(directory), "%s", under("mine"));
	assert_int_equal(daemon_directory(directory, "nobody"), 0);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_uid, nobody->pw_uid);
	assert_int_equal(st.st_gid, nobody->pw_gid);
	rmdir(directory);
	assert_int_equal(daemon_directory(directory, "no-such-user-here"), -ENOENT);
	assert_int_equal(access(directory, F_OK), -1);
}

static void an_existing_directory_is_left_as_it_is(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(chmod(base, 0711), 0);
	assert_int_equal(daemon_directory(base, geteuid() == 0 ? "nobody" : NULL), 0);
	assert_int_equal(stat(base, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(st.st_uid, geteuid());
}

static void a_file_in_the_way_is_an_error(void **state)
{
	char file[128];
	char below[160];

	(void)state;
	snprintf(file, sizeof(file), "%s", under("file"));
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(daemon_directory(file, NULL), -ENOTDIR);
	snprintf(below, sizeof(below), "%s/x", file);
	assert_int_equal(daemon_directory(below, NULL), -ENOTDIR);
	unlink(file);
}

#define IN_BASE(test) cmocka_unit_test_setup_teardown(test, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BASE(the_pid_file_names_us_and_goes_with_us),
		IN_BASE(a_second_instance_is_refused),
		IN_BASE(the_file_of_a_killed_process_does_not_block),
		IN_BASE(a_shorter_pid_leaves_no_rest_of_a_longer_one),
		IN_BASE(a_planted_link_is_not_followed),
		IN_BASE(impossible_pid_paths_are_errors),
		IN_BASE(a_directory_is_made_with_its_parents),
		IN_BASE(the_directory_belongs_to_the_user),
		IN_BASE(an_existing_directory_is_left_as_it_is),
		IN_BASE(a_file_in_the_way_is_an_error),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
