/* SPDX-License-Identifier: BSD-3-Clause */
/* Log records as they arrive at the other end of stderr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/log.h"

/* "2026-11-20T11:24:57.123Z " */
enum { STAMP = 25 };

static struct {
	int saved_stderr;
	int read_end;
} capture;

static void capture_begin(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	capture.saved_stderr = dup(STDERR_FILENO);
	capture.read_end = ends[0];
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
}

/* All that was written since; NUL-terminated. */
static size_t capture_end(char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	assert_true(dup2(capture.saved_stderr, STDERR_FILENO) >= 0);
	close(capture.saved_stderr);
	while (n < size - 1 && (got = read(capture.read_end, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(capture.read_end);
	return n;
}

static void assert_record(const char *text, const char *expected)
{
	assert_true(strlen(text) > STAMP);
	assert_int_equal(text[10], 'T');
	assert_int_equal(text[STAMP - 2], 'Z');
	assert_string_equal(text + STAMP, expected);
}

static void a_record_is_one_line_with_its_fields(void **state)
{
	union address address;
	char text[4200];

	(void)state;
	address_parse(SPAN("[2001:db8::1]:5060"), 0, &address);
	log_open("sallyport-test", LOG_LEVEL_INFO);
	capture_begin();
	log_warning("guard", "source denied", LOG_ADDRESS("source", &address), LOG_UINT("score", 7),
		LOG_INT("delta", -3), LOG_TEXT("agent", "sipcli"), LOG_ERRNO("error", -ENOENT));
	capture_end(text, sizeof(text));
	assert_record(text,
		"WARNING sallyport-test guard: source denied source=[2001:db8::1]:5060 score=7 delta=-3 "
		"agent=sipcli error=\"No such file or directory\"\n");
}

static void a_record_needs_no_fields(void **state)
{
	char text[4200];

	(void)state;
	capture_begin();
	log_error("ipc", "x");
	capture_end(text, sizeof(text));
	assert_record(text, "ERROR sallyport-test ipc: x\n");
}

static void hostile_values_are_quoted_and_escaped(void **state)
{
	static const struct {
		struct span value;
		const char *printed;
	} cases[] = {
		{ { "plain-1.0/x;y", 13 }, "plain-1.0/x;y" },
		{ { "", 0 }, "\"\"" },
		{ { NULL, 0 }, "\"\"" },
		{ { "a b", 3 }, "\"a b\"" },
		{ { "a=b", 3 }, "\"a=b\"" },
		{ { "say \"hi\"", 8 }, "\"say \\\"hi\\\"\"" },
		{ { "back\\slash", 10 }, "\"back\\\\slash\"" },
		{ { "1\n2026 ERROR forged", 19 }, "\"1\\n2026 ERROR forged\"" },
		{ { "\r\t\0\x1b[31m", 8 }, "\"\\r\\t\\x00\\x1b[31m\"" },
		{ { "\x7f\x80\x9b\xff", 4 }, "\"\\x7f\\x80\\x9b\\xff\"" },
		{ { "M\xc3\xbcller", 7 }, "\"M\\xc3\\xbcller\"" },
	};
	char expected[256];
	char text[4200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		capture_begin();
		log_error("sip", "odd", LOG_SPAN("value", cases[i].value));
		capture_end(text, sizeof(text));
		snprintf(expected, sizeof(expected), "ERROR sallyport-test sip: odd value=%s\n",
			cases[i].printed);
		assert_record(text, expected);
	}
}

static void a_message_cannot_break_the_line(void **state)
{
	char text[4200];

	(void)state;
	capture_begin();
	log_error("config", "file.conf:3: \x1b[2J\nforged", LOG_TEXT("k", "v"));
	capture_end(text, sizeof(text));
	assert_record(text, "ERROR sallyport-test config: file.conf:3: \\x1b[2J\\nforged k=v\n");
}

static void long_values_are_cut_with_a_mark(void **state)
{
	static char value[3000];
	char text[8192];
	size_t n;

	(void)state;
	memset(value, 'v', sizeof(value));
	capture_begin();
	log_error("sip", "long", LOG_SPAN("value", ((struct span){ value, sizeof(value) })),
		LOG_UINT("after", 1));
	n = capture_end(text, sizeof(text));
	assert_string_equal(text + n - 14, "v\"... after=1\n");
	assert_true(n < 1200);
}

static void a_record_never_exceeds_what_a_pipe_keeps_whole(void **state)
{
	static char value[1024];
	char text[16384];
	size_t n;

	(void)state;
	memset(value, '\x01', sizeof(value));
	capture_begin();
	log_error("sip", "huge", LOG_SPAN("a", ((struct span){ value, sizeof(value) })),
		LOG_SPAN("b", ((struct span){ value, sizeof(value) })));
	n = capture_end(text, sizeof(text));
	assert_true(n <= PIPE_BUF);
	assert_true(n > PIPE_BUF - 16);
	assert_string_equal(text + n - 7, " [cut]\n");
	assert_null(memchr(text, '\n', n - 1));
}

static void levels_filter_and_are_not_even_evaluated(void **state)
{
	char text[4200];
	int evaluated = 0;

	(void)state;
	log_set_level(LOG_LEVEL_WARNING);
	capture_begin();
	log_notice("x", "hidden", LOG_INT("n", ++evaluated));
	log_debug("x", "hidden");
	log_warning("x", "shown");
	capture_end(text, sizeof(text));
	log_set_level(LOG_LEVEL_INFO);
	assert_record(text, "WARNING sallyport-test x: shown\n");
	assert_int_equal(evaluated, 0);
}

static void logging_keeps_errno(void **state)
{
	char text[4200];

	(void)state;
	capture_begin();
	errno = ENOTTY;
	log_error("x", "y", LOG_ERRNO("e", EPERM));
	assert_int_equal(errno, ENOTTY);
	capture_end(text, sizeof(text));
}

static void a_full_pipe_does_not_stop_us(void **state)
{
	static char junk[4096];
	char text[256];

	(void)state;
	capture_begin();
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
	while (write(STDERR_FILENO, junk, sizeof(junk)) > 0)
		;
	log_error("x", "lost");
	capture_end(text, sizeof(text));
}

enum { THREADS = 4, RECORDS = 50 };

static void *log_many(void *arg)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		log_error("thread", "record", LOG_UINT("thread", (uint64_t)(uintptr_t)arg), LOG_UINT("n", i));
		log_set_level(LOG_LEVEL_INFO);
	}
	return NULL;
}

static void records_of_threads_do_not_mix(void **state)
{
	static char text[65536];
	pthread_t threads[THREADS];
	unsigned lines = 0;
	struct span rest;

	(void)state;
	capture_begin();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	capture_end(text, sizeof(text));
	for (rest = span_from(text); rest.n > 0; lines++) {
		struct span line = span_cut(&rest, '\n');
		char *record = span_dup(line);
		unsigned thread;
		unsigned n;
		int end = 0;

		assert_int_equal(
			sscanf(record + STAMP, "ERROR sallyport-test thread: record thread=%u n=%u%n",
				&thread, &n, &end),
			2);
		assert_int_equal(record[STAMP + end], '\0');
		free(record);
	}
	assert_int_equal(lines, THREADS * RECORDS);
}

/* A stream that is said to be the journal's but is another one must not silence us. */
static unsigned lines_of(const char *text, const char *piece)
{
	unsigned count = 0;

	for (; (text = strstr(text, piece)); text++)
		count++;
	return count;
}

static void warn_once(unsigned n)
{
	log_warning("call", "odd", LOG_UINT("n", n));
}

static void a_flood_of_warnings_is_cut_off_and_counted(void **state)
{
	static char text[1 << 17];
	struct log_budget budget = { 0 };

	(void)state;
	capture_begin();
	for (unsigned n = 0; n < 1000; n++)
		warn_once(n);
	log_warning("call", "another place is not concerned");
	capture_end(text, sizeof(text));
	/* Twice, should the second have turned in between. */
	assert_in_range(lines_of(text, "call: odd"), LOG_BUDGET, 2 * LOG_BUDGET);
	assert_int_equal(lines_of(text, "another place"), 1);

	budget = (struct log_budget){ .second = 1, .used = LOG_BUDGET + 7 }; /* of long ago */
	capture_begin();
	assert_true(log_allowed(&budget, "call", "odd"));
	capture_end(text, sizeof(text));
	assert_record(text, "NOTICE sallyport-test log: lines left out component=call message=odd count=7\n");
}

static void a_foreign_journal_stream_is_not_believed(void **state)
{
	static const char *const foreign[] = { "1:2", "", "x", "1:", ":1", "1:2:3" };
	char text[4200];

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		capture_begin();
		setenv("JOURNAL_STREAM", foreign[i], 1);
		log_open("sallyport-test", LOG_LEVEL_INFO);
		log_error("x", "y");
		unsetenv("JOURNAL_STREAM");
		capture_end(text, sizeof(text));
		assert_record(text, "ERROR sallyport-test x: y\n");
	}
}

static void our_own_journal_stream_gets_no_text_lines(void **state)
{
	char variable[64];
	char text[4200];
	struct stat st;

	(void)state;
	capture_begin();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(variable, sizeof(variable), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", variable, 1);
	log_open("sallyport-test", LOG_LEVEL_INFO);
	log_error("unit-test", "a record for the journal, if there is one", LOG_TEXT("value", "a\nb"));
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(capture_end(text, sizeof(text)), 0);
	log_open("sallyport-test", LOG_LEVEL_INFO);
}

/* The journal's native protocol: "NAME=value\n", or "NAME\n" + 64-bit little-endian length + value + "\n". */
static bool datagram_has(const char *datagram, size_t n, const void *bytes, size_t length)
{
	return memmem(datagram, n, bytes, length) != NULL;
}

#define HAS(literal) datagram_has(datagram, (size_t)n, literal, sizeof(literal) - 1)

/* In a child with a /run of its own, where we are the journal. The exit status says what went wrong. */
static int log_to_own_journal(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	static char datagram[16384];
	char variable[64];
	struct stat st;
	ssize_t n;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return 77;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		fstat(STDERR_FILENO, &st) < 0)
		return 77;
	snprintf(variable, sizeof(variable), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", variable, 1);
	log_open("sallyport-test", LOG_LEVEL_INFO);
	log_warning("guard", "denied", LOG_TEXT("user-agent", "a\nPRIORITY=0"), LOG_UINT("score", 7));
	n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
	if (n <= 0)
		return 1;
	if (!HAS("MESSAGE=guard: denied user-agent=\"a\\nPRIORITY=0\" score=7\n"))
		return 2;
	if (!HAS("PRIORITY=4\n") || !HAS("SYSLOG_IDENTIFIER=sallyport-test\n") ||
		!HAS("SALLYPORT_COMPONENT=guard\n"))
		return 3;
	if (!HAS("SALLYPORT_SCORE=7\n"))
		return 4;
	/* With its length before it, the line feed inside forges no field. */
	if (!HAS("SALLYPORT_USER_AGENT\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n"))
		return 5;
	return 0;
}

static void the_journal_gets_native_fields(void **state)
{
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0)
		_exit(log_to_own_journal());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	/* 77: this machine gives no mount namespace. */
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_one_line_with_its_fields),
		cmocka_unit_test(a_record_needs_no_fields),
		cmocka_unit_test(hostile_values_are_quoted_and_escaped),
		cmocka_unit_test(a_message_cannot_break_the_line),
		cmocka_unit_test(long_values_are_cut_with_a_mark),
		cmocka_unit_test(a_record_never_exceeds_what_a_pipe_keeps_whole),
		cmocka_unit_test(levels_filter_and_are_not_even_evaluated),
		cmocka_unit_test(logging_keeps_errno),
		cmocka_unit_test(a_full_pipe_does_not_stop_us),
		cmocka_unit_test(records_of_threads_do_not_mix),
		cmocka_unit_test(a_flood_of_warnings_is_cut_off_and_counted),
		cmocka_unit_test(a_foreign_journal_stream_is_not_believed),
		cmocka_unit_test(our_own_journal_stream_gets_no_text_lines),
		cmocka_unit_test(the_journal_gets_native_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
