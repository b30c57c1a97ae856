/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole daemon lives, each in a child process: options, stages, signals, readiness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/daemon.h"

enum { ARGUMENTS_MAX = 8 };

/* In the child: what happened is written here, a letter per event. */
static int trace_fd;

static void trace(const char *event)
{
	if (write(trace_fd, event, strlen(event)) < 0)
		_exit(99);
}

static int init_a(struct daemon *d)
{
	(void)d;
	trace("+a");
	return 0;
}

static void fini_a(struct daemon *d)
{
	(void)d;
	trace("-a");
}

static int init_b(struct daemon *d)
{
	(void)d;
	trace("+b");
	return 0;
}

static int init_c(struct daemon *d)
{
	(void)d;
	trace("+c");
	return 0;
}

static void fini_c(struct daemon *d)
{
	(void)d;
	trace("-c");
}

static int init_refusing(struct daemon *d)
{
	(void)d;
	trace("!");
	return -EADDRINUSE;
}

static void fini_refusing(struct daemon *d)
{
	(void)d;
	trace("-!");
}

static int init_options(struct daemon *d)
{
	trace(d->config_file);
	trace(d->check_only ? " check" : " run");
	trace(d->context ? " context" : "");
	return 0;
}

static int init_identity(struct daemon *d)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%016llx", d->name, (unsigned long long)d->generation);
	trace(text);
	daemon_stop(d, DAEMON_EXIT_OK);
	return 0;
}

static uv_timer_t timer;

static void on_timer(uv_timer_t *t)
{
	trace("t");
	daemon_stop(t->data, 7);
	daemon_stop(t->data, 8); /* the first reason counts */
}

static int init_timer(struct daemon *d)
{
	uv_timer_init(d->loop, &timer);
	timer.data = d;
	return uv_timer_start(&timer, on_timer, 1, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
	(void)handle;
	trace("c");
}

static void fini_timer(struct daemon *d)
{
	(void)d;
	uv_close((uv_handle_t *)&timer, on_timer_closed);
}

/* A handle nobody closes must not keep the process from ending. */
static int init_forgetful(struct daemon *d)
{
	uv_timer_init(d->loop, &timer);
	timer.data = d;
	return uv_timer_start(&timer, on_timer, 3600 * 1000, 0);
}

struct life {
	pid_t pid;
	int trace_end;
	int output_end; /* stdout and stderr */
};

static struct life life_begin(const struct daemon_stage *stages, const char *const *arguments)
{
	char *argv[ARGUMENTS_MAX + 2] = { (char *)(uintptr_t) "sallyport-test" };
	struct life life;
	int traces[2];
	int output[2];
	int argc = 1;

	for (; arguments && *arguments; arguments++)
		argv[argc++] = (char *)(uintptr_t)*arguments;
	assert_int_equal(pipe(traces), 0);
	assert_int_equal(pipe(output), 0);
	fflush(stdout);
	life = (struct life){ fork(), traces[0], output[0] };
	assert_true(life.pid >= 0);
	if (life.pid == 0) {
		trace_fd = traces[1];
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		alarm(30);
		traces[0] = daemon_run(argc, argv, "sallyport-test", stages, &trace_fd);
		/* Not _exit(): what looks for leaks at the end shall look here too. */
		exit(traces[0]);
	}
	close(traces[1]);
	close(output[1]);
	return life;
}

static void read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fd);
}

/* The exit status; what was traced and printed goes to the buffers (4096 bytes each). */
static int life_end(const struct life *life, char *traced, char *printed)
{
	int status;

	read_all(life->output_end, printed, 4096);
	read_all(life->trace_end, traced, 4096);
	assert_int_equal(waitpid(life->pid, &status, 0), life->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char traced[4096];
static char printed[4096];

static int live(const struct daemon_stage *stages, const char *const *arguments)
{
	struct life life = life_begin(stages, arguments);

	return life_end(&life, traced, printed);
}

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct daemon_stage three_and_stop[] = {
	{ "a", init_a, fini_a },
	{ "b", init_b, NULL },
	{ "c", init_c, fini_c },
	{ "timer", init_timer, fini_timer },
	{ 0 },
};

static void stages_go_forward_and_back(void **state)
{
	(void)state;
	assert_int_equal(live(three_and_stop, NULL), 7);
	/* "c" after "-a": close callbacks of the stages still run. */
	assert_string_equal(traced, "+a+b+ct-c-ac");
}

static void a_failing_stage_undoes_those_before_it_in_reverse(void **state)
{
	static const struct daemon_stage stages[] = {
		{ "a", init_a, fini_a },
		{ "b", init_b, NULL },
		{ "c", init_c, fini_c },
		{ "refusing", init_refusing, fini_refusing },
		{ "never", init_a, fini_a },
		{ 0 },
	};

	(void)state;
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_CONFIG);
	assert_string_equal(traced, "+a+b+c!-c-a");
	/* The stage itself says why; nothing is added to its line. */
	assert_string_equal(printed, "");
}

static void the_first_stage_may_fail(void **state)
{
	static const struct daemon_stage stages[] = { { "refusing", init_refusing, fini_refusing }, { 0 } };

	(void)state;
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_CONFIG);
	assert_string_equal(traced, "!");
}

static void check_runs_the_first_stage_only(void **state)
{
	static const struct daemon_stage stages[] = {
		{ "options", init_options, fini_a },
		{ "never", init_refusing, NULL },
		{ 0 },
	};

	(void)state;
	assert_int_equal(live(stages, ARGUMENTS("-t", "-c", "/some/file")), DAEMON_EXIT_OK);
	assert_string_equal(traced, "/some/file check context-a");
	assert_string_equal(printed, "/some/file: valid\n");
}

static void the_configuration_file_has_a_default(void **state)
{
	static const struct daemon_stage stages[] = { { "options", init_options, NULL }, { 0 } };

	(void)state;
	assert_int_equal(live(stages, ARGUMENTS("-t")), DAEMON_EXIT_OK);
	assert_string_equal(traced, "/etc/sallyport/sallyport.conf check context");
}

static void version_and_help_start_nothing(void **state)
{
	(void)state;
	assert_int_equal(live(three_and_stop, ARGUMENTS("-v")), DAEMON_EXIT_OK);
	assert_string_equal(printed, "sallyport-test " SALLYPORT_VERSION "\n");
	assert_string_equal(traced, "");
	assert_int_equal(live(three_and_stop, ARGUMENTS("-h")), DAEMON_EXIT_OK);
	assert_non_null(strstr(printed, "usage: sallyport-test [-c FILE]"));
	assert_string_equal(traced, "");
}

static void wrong_options_are_exit_2_with_usage(void **state)
{
	(void)state;
	assert_int_equal(live(three_and_stop, ARGUMENTS("-x")), DAEMON_EXIT_CONFIG);
	assert_non_null(strstr(printed, "usage:"));
	assert_int_equal(live(three_and_stop, ARGUMENTS("-c")), DAEMON_EXIT_CONFIG);
	assert_non_null(strstr(printed, "usage:"));
	assert_int_equal(live(three_and_stop, ARGUMENTS("stray")), DAEMON_EXIT_CONFIG);
	assert_non_null(strstr(printed, "unexpected argument \"stray\""));
	assert_string_equal(traced, "");
}

static void every_process_has_its_own_generation(void **state)
{
	static const struct daemon_stage stages[] = { { "identity", init_identity, NULL }, { 0 } };
	char first[64];

	(void)state;
	/* It also stops before the loop has begun. */
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_OK);
	assert_memory_equal(traced, "sallyport-test:", 15);
	memcpy(first, traced, sizeof(first));
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_OK);
	assert_string_not_equal(traced, first);
}

static void handles_left_open_do_not_hang_the_end(void **state)
{
	static const struct daemon_stage stages[] = {
		{ "forgetful", init_forgetful, NULL },
		{ "stop", init_identity, NULL },
		{ 0 },
	};

	(void)state;
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_OK);
}

/* --- signals and the supervisor --- */

static void expect_notice(int fd, const char *expected)
{
	char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

/* The supervisor's socket, named in the environment that children inherit. */
static int supervisor_open(char path[static 64])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(path, 64, "/tmp/notify-test-%d", (int)getpid());
	unlink(path);
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static void supervisor_close(int fd, const char *path)
{
	unsetenv("NOTIFY_SOCKET");
	close(fd);
	unlink(path);
}

static void a_signal_stops_it_and_the_supervisor_knows(void **state)
{
	static const struct daemon_stage stages[] = { { "a", init_a, fini_a }, { "c", init_c, fini_c },
		{ 0 } };
	static const int signals[] = { SIGTERM, SIGINT };
	char path[64];
	int supervisor = supervisor_open(path);

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct life life = life_begin(stages, NULL);

		expect_notice(supervisor, "READY=1");
		/* Neither of these ends it. */
		kill(life.pid, SIGHUP);
		kill(life.pid, SIGPIPE);
		kill(life.pid, signals[i]);
		expect_notice(supervisor, "STOPPING=1");
		assert_int_equal(life_end(&life, traced, printed), DAEMON_EXIT_OK);
		assert_string_equal(traced, "+a+c-c-a");
		assert_non_null(strstr(printed, "ready version=" SALLYPORT_VERSION));
		assert_non_null(strstr(printed, signals[i] == SIGINT ? "signal=SIGINT" : "signal=SIGTERM"));
	}
	supervisor_close(supervisor, path);
}

static void a_daemon_that_failed_to_start_never_was_ready(void **state)
{
	static const struct daemon_stage stages[] = { { "refusing", init_refusing, NULL }, { 0 } };
	char path[64];
	int supervisor = supervisor_open(path);
	char byte;

	(void)state;
	assert_int_equal(live(stages, NULL), DAEMON_EXIT_CONFIG);
	assert_int_equal(recv(supervisor, &byte, 1, MSG_DONTWAIT), -1);
	supervisor_close(supervisor, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_go_forward_and_back),
		cmocka_unit_test(a_failing_stage_undoes_those_before_it_in_reverse),
		cmocka_unit_test(the_first_stage_may_fail),
		cmocka_unit_test(check_runs_the_first_stage_only),
		cmocka_unit_test(the_configuration_file_has_a_default),
		cmocka_unit_test(version_and_help_start_nothing),
		cmocka_unit_test(wrong_options_are_exit_2_with_usage),
		cmocka_unit_test(every_process_has_its_own_generation),
		cmocka_unit_test(handles_left_open_do_not_hang_the_end),
		cmocka_unit_test(a_signal_stops_it_and_the_supervisor_knows),
		cmocka_unit_test(a_daemon_that_failed_to_start_never_was_ready),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
