/* SPDX-License-Identifier: BSD-3-Clause */
/* The sandbox: what a daemon does goes on, what is not listed fails, what takes over a system ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platforms/base/sandbox.h"

static const enum sandbox_daemon daemons[] = { SANDBOX_DATAPLANE, SANDBOX_CONTROLPLANE, SANDBOX_MGMT };

/* Exit status of `act` in a child within the sandbox, or minus the signal that ended it. */
static int inside(enum sandbox_daemon daemon, int (*act)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandbox_enter(daemon) != 0)
			_exit(99);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return false;
#endif
}

static void *thread_main(void *arg)
{
	atomic_store((atomic_int *)arg, 1);
	return NULL;
}

/* What every daemon does all the time. */
static int ordinary(void)
{
	struct timespec ts = { .tv_nsec = 1000 };
	pthread_t thread;
	atomic_int ran = 0;
	char byte = 0;
	int pair[2], fd;

	if (pthread_create(&thread, NULL, thread_main, &ran) != 0 || pthread_join(thread, NULL) != 0 ||
		ran != 1)
		return 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || send(pair[0], "x", 1, 0) != 1 ||
		recv(pair[1], &byte, 1, 0) != 1)
		return 2;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
		return 3;
	free(malloc(4 << 20));
	if (nanosleep(&ts, NULL) != 0)
		return 4;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd >= 0 ? 0 : 5;
}

static void daemons_go_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++)
		assert_int_equal(inside(daemons[i], ordinary), 0);
}

static int unlisted(void)
{
	char host[64];

	/* Two that do no harm and that nobody needs, and those that could. */
	if (syscall(SYS_getpriority, 0, 0) != -1 || errno != EPERM)
		return 1;
	if (syscall(SYS_setpriority, 0, 0, 10) != -1 || errno != EPERM)
		return 2;
	if (socket(AF_PACKET, SOCK_RAW, 0) != -1 || errno != EPERM)
		return 3;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 4;
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != -1 || errno != EPERM)
		return 5;
	if (kill(getppid(), 0) != -1 || errno != EPERM)
		return 6;
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != -1 || errno != EPERM)
		return 7;
	if (syscall(SYS_bpf, 0, host, sizeof(host)) != -1 || errno != EPERM)
		return 8;
	return ordinary() == 0 ? 0 : 9;
}

static void what_is_not_listed_fails_and_calls_go_on(void **state)
{
	(void)state;
	if (sanitized())
		skip();
	for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++)
		assert_int_equal(inside(daemons[i], unlisted), 0);
}

static int bind_socket(void)
{
	struct sockaddr address = { .sa_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	return bind(fd, &address, sizeof(address.sa_family)) == 0 ? 0 : errno;
}

static void the_dataplane_binds_no_socket_any_more(void **state)
{
	(void)state;
	if (sanitized())
		skip();
	assert_int_equal(inside(SANDBOX_DATAPLANE, bind_socket), EPERM);
	assert_int_equal(inside(SANDBOX_CONTROLPLANE, bind_socket), 0);
	assert_int_equal(inside(SANDBOX_MGMT, bind_socket), 0);
}

static int do_exec(void)
{
	char *argv[] = { (char *)"true", NULL };

	return execv("/bin/true", argv);
}

static int do_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int do_namespace(void)
{
	return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static int do_mount(void)
{
	return (int)syscall(SYS_mount, "x", "/tmp", "tmpfs", 0, 0);
}

static int do_keyctl(void)
{
	return (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static int do_module(void)
{
	return (int)syscall(SYS_finit_module, -1, "", 0);
}

static int do_terminal(void)
{
	return ioctl(-1, TIOCSTI, "x");
}

static int do_peek(void)
{
	return (int)syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0);
}

static int do_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static void what_takes_over_a_system_ends_the_process(void **state)
{
	int (*const acts[])(void) = { do_exec, do_unshare, do_mount, do_keyctl, do_module, do_peek };
	int (*const unsanitized[])(void) = { do_namespace, do_terminal, do_ptrace };

	(void)state;
	for (size_t d = 0; d < sizeof(daemons) / sizeof(daemons[0]); d++) {
		for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
			assert_int_equal(inside(daemons[d], acts[i]), -SIGSYS);
		for (size_t i = 0; !sanitized() && i < sizeof(unsanitized) / sizeof(unsanitized[0]); i++)
			assert_int_equal(inside(daemons[d], unsanitized[i]), -SIGSYS);
	}
}

static atomic_int go;

static void *waiting_thread(void *arg)
{
	(void)arg;
	while (atomic_load(&go) == 0)
		sched_yield();
	(void)unshare(CLONE_NEWUSER);
	return NULL;
}

/* A thread that ran before is in it as well: a library's, a worker. */
static void threads_that_ran_before_are_in_it(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0 };
		pthread_t thread;

		(void)setrlimit(RLIMIT_CORE, &none);
		if (pthread_create(&thread, NULL, waiting_thread, NULL) != 0 ||
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandbox_enter(SANDBOX_DATAPLANE) != 0)
			_exit(99);
		atomic_store(&go, 1);
		(void)pthread_join(thread, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(daemons_go_on),
		cmocka_unit_test(what_is_not_listed_fails_and_calls_go_on),
		cmocka_unit_test(the_dataplane_binds_no_socket_any_more),
		cmocka_unit_test(what_takes_over_a_system_ends_the_process),
		cmocka_unit_test(threads_that_ran_before_are_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
