/* SPDX-License-Identifier: BSD-3-Clause */
/* The privilege drop, each time in a child process; most of it needs root to begin with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/daemon.h"
#include "tests/unit/base/child_fixture.h"

/* In the child: a failed expectation is printed and makes it fail. */
#define EXPECT(condition)                                                       \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1;                                               \
		}                                                               \
	} while (0)

/* The value of a "Name:\tvalue" line of a status file. */
static int status_line(const char *file, const char *name, char value[static 128])
{
	FILE *status = fopen(file, "re");
	char line[256];
	size_t n = strlen(name);
	int found = 0;

	if (!status)
		return 0;
	while (!found && fgets(line, sizeof(line), status)) {
		if (strncmp(line, name, n) == 0 && line[n] == ':') {
			snprintf(value, 128, "%.120s", line + n + 2);
			found = 1;
		}
	}
	fclose(status);
	return found;
}

static int drop_and_look(void)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid = nobody->pw_uid;
	gid_t gid = nobody->pw_gid;
	gid_t groups[64];
	char value[128];
	uid_t r, e, s;
	int n;

	EXPECT(daemon_drop_privileges("nobody") == 0);
	EXPECT(getresuid(&r, &e, &s) == 0 && r == uid && e == uid && s == uid);
	EXPECT(getresgid(&r, &e, &s) == 0 && r == gid && e == gid && s == gid);
	n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		EXPECT(groups[i] != 0);
	EXPECT(setuid(0) < 0 && errno == EPERM);
	EXPECT(setgid(0) < 0 && errno == EPERM);
	EXPECT(setgroups(0, NULL) < 0 && errno == EPERM);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		EXPECT(status_line("/proc/self/status", sets[i], value));
		EXPECT(strtoull(value, NULL, 16) == 0);
	}
	/* Once more, as nobody: nothing to drop, no error. */
	EXPECT(daemon_drop_privileges("nobody") == 0);
	return 0;
}

static void root_is_gone_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_and_look), 0);
}

static sem_t started;
static pid_t worker_tid;

static void *work(void *arg)
{
	(void)arg;
	worker_tid = (pid_t)syscall(SYS_gettid);
	sem_post(&started);
	/* The drop itself interrupts: glibc signals every thread to follow. */
	for (;;)
		pause();
	return NULL;
}

static int drop_with_a_thread(void)
{
	pthread_t thread;
	char file[64];
	char value[128];

	sem_init(&started, 0, 0);
	EXPECT(daemon_empty_bounding_set() == 0);
	EXPECT(pthread_create(&thread, NULL, work, NULL) == 0);
	sem_wait(&started);
	EXPECT(daemon_drop_privileges("nobody") == 0);
	snprintf(file, sizeof(file), "/proc/self/task/%d/status", (int)worker_tid);
	EXPECT(status_line(file, "Uid", value));
	EXPECT(strtoul(value, NULL, 10) == getuid());
	EXPECT(status_line(file, "CapEff", value));
	EXPECT(strtoull(value, NULL, 16) == 0);
	EXPECT(status_line(file, "CapPrm", value));
	EXPECT(strtoull(value, NULL, 16) == 0);
	EXPECT(status_line(file, "CapBnd", value));
	EXPECT(strtoull(value, NULL, 16) == 0);
	return 0;
}

static int drop_with_a_thread_that_keeps_its_bounding_set(void)
{
	pthread_t thread;

	sem_init(&started, 0, 0);
	EXPECT(pthread_create(&thread, NULL, work, NULL) == 0);
	sem_wait(&started);
	EXPECT(daemon_drop_privileges("nobody") == -EPERM);
	return 0;
}

static void threads_that_were_there_before_lose_it_too(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_with_a_thread), 0);
	assert_int_equal(in_child(drop_with_a_thread_that_keeps_its_bounding_set), 0);
}

/* A thread that regains nothing but kept its capabilities: what the proof must find. */
static void *keep_capabilities(void *arg)
{
	(void)arg;
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	sem_post(&started);
	/* The drop itself interrupts: glibc signals every thread to follow. */
	for (;;)
		pause();
	return NULL;
}

static int drop_with_a_thread_that_keeps(void)
{
	pthread_t thread;

	sem_init(&started, 0, 0);
	EXPECT(pthread_create(&thread, NULL, keep_capabilities, NULL) == 0);
	sem_wait(&started);
	EXPECT(daemon_drop_privileges("nobody") == -EPERM);
	return 0;
}

static void a_thread_that_keeps_capabilities_is_found(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_with_a_thread_that_keeps), 0);
}

static int drop_to_nobody_known(void)
{
	EXPECT(daemon_drop_privileges("no-such-user-here") == -ENOENT);
	EXPECT(geteuid() == 0);
	return 0;
}

static int drop_to_root(void)
{
	EXPECT(daemon_drop_privileges("root") == -EINVAL);
	return 0;
}

static void an_unknown_user_or_root_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(drop_to_nobody_known), 0);
	assert_int_equal(in_child(drop_to_root), 0);
}

static int drop_without_root(void)
{
	if (geteuid() == 0)
		EXPECT(setresuid(65534, 65534, 65534) == 0);
	EXPECT(daemon_drop_privileges("no-such-user-here") == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

static void without_root_only_no_new_privileges_is_set(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_without_root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_gone_for_good),
		cmocka_unit_test(threads_that_were_there_before_lose_it_too),
		cmocka_unit_test(a_thread_that_keeps_capabilities_is_found),
		cmocka_unit_test(an_unknown_user_or_root_is_refused),
		cmocka_unit_test(without_root_only_no_new_privileges_is_set),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
