/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the last lines of a log: they outlive the process, whatever it does; many write at once; a strange file does no harm. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platforms/base/log_ring.h"

static char directory[64], path[96];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/log-ring-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/x.log", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

/* Runs `write_lines` in a process that dies at once behind it, as by kill -9; the lines of the file. */
static struct log_ring_line *lines_of(void (*write_lines)(void), size_t *count)
{
	struct log_ring_line *lines = NULL;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (log_ring_open(path, geteuid(), getegid()) == 0)
			write_lines();
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(log_ring_read(path, &lines, count), 0);
	return lines;
}

static void two_lines(void)
{
	log_ring_put(LOG_LEVEL_WARNING, SPAN("one: \033[2J\n\x9b"));
	LOG_AT(LOG_LEVEL_ERROR, "two", "what", LOG_SPAN("from", SPAN("a\nb")));
}

static void lines_outlive_a_killed_process_and_the_next_goes_on_behind_them(void **state)
{
	struct log_ring_line *lines;
	size_t count;

	(void)state;
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 2);
	lines = lines_of(two_lines, &count);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(lines[i].number, i + 1);
	assert_string_equal(lines[2].text, "one: ?[2J??");
	assert_int_equal(lines[2].level, LOG_LEVEL_WARNING);
	assert_string_equal(lines[3].text, "two: what from=\"a\\nb\"");
	assert_int_equal(lines[3].level, LOG_LEVEL_ERROR);
	assert_true(lines[3].wall_ms > 1000000000000);
	free(lines);
}

enum { THREADS = 4, EACH = 2000 };

static void *write_many(void *arg)
{
	char text[LOG_RING_TEXT_MAX];

	memset(text, 'a' + (int)(intptr_t)arg, sizeof(text));
	for (size_t i = 0; i < EACH; i++)
		log_ring_put(LOG_LEVEL_INFO, (struct span){ text, 1 + i % sizeof(text) });
	return NULL;
}

static void many_threads(void)
{
	pthread_t thread[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, write_many, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void many_write_at_once_and_lines_stay_whole(void **state)
{
	struct log_ring_line *lines;
	size_t count;

	(void)state;
	lines = lines_of(many_threads, &count);
	assert_in_range(count, 1, LOG_RING_LINES);
	for (size_t i = 0; i < count; i++) {
		assert_in_range(lines[i].number, i > 0 ? lines[i - 1].number + 1 : 1, THREADS * EACH);
		assert_int_equal(
			strspn(lines[i].text, (char[]){ lines[i].text[0], '\0' }), strlen(lines[i].text));
	}
	free(lines);
}

static void too_long(void)
{
	char text[2 * LOG_RING_TEXT_MAX];

	memset(text, 'x', sizeof(text));
	log_ring_put(LOG_LEVEL_INFO, (struct span){ text, sizeof(text) });
}

static void a_long_line_is_cut(void **state)
{
	size_t count;
	struct log_ring_line *lines = lines_of(too_long, &count);

	(void)state;
	assert_int_equal(count, 1);
	assert_int_equal(strlen(lines[0].text), LOG_RING_TEXT_MAX);
	free(lines);
}

static void write_file(const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
}

static void what_is_no_ring_is_refused_by_readers_and_replaced_by_writers(void **state)
{
	struct log_ring_line *lines;
	size_t count;

	(void)state;
	assert_int_equal(log_ring_read(path, &lines, &count), -ENOENT);
	write_file("hello", 5);
	assert_int_equal(log_ring_read(path, &lines, &count), -EBADMSG);
	assert_null(lines);
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 2);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(log_ring_read(path, &lines, &count), -EBADMSG);
}

/* A link, hard or symbolic, would have root write into somebody else's file. */
static void a_link_is_replaced_and_what_it_leads_to_is_not_touched(void **state)
{
	char other[96];
	struct stat before, after;
	size_t count;

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/other", directory);
	free(lines_of(two_lines, &count));
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(stat(other, &before), 0);
	assert_int_equal(link(other, path), 0);
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 2);
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 2);
	assert_int_equal(stat(other, &after), 0);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	unlink(other);
}

/* Numbers, lengths and levels that no writer writes. */
static void hostile_contents_do_no_harm(void **state)
{
	struct log_ring_line *lines;
	size_t count, size = 0;
	char *bytes;
	struct stat st;
	int fd;

	(void)state;
	free(lines_of(two_lines, &count));
	assert_int_equal(stat(path, &st), 0);
	size = (size_t)st.st_size;
	bytes = malloc(size);
	assert_non_null(bytes);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, bytes, size, 0), (ssize_t)size);
	for (size_t at = 1024; at < size; at += 1024)
		memset(bytes + at + 8, 0xff, 1016); /* all but the numbers */
	assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
	close(fd);
	free(bytes);
	assert_int_equal(log_ring_read(path, &lines, &count), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_true(strlen(lines[i].text) <= LOG_RING_TEXT_MAX);
		assert_int_equal(strspn(lines[i].text, "?"), strlen(lines[i].text));
		assert_true(lines[i].level <= LOG_LEVEL_DEBUG);
	}
	free(lines);
}

static void put_number(off_t at, uint64_t number)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &number, sizeof(number), at), sizeof(number));
	close(fd);
}

/* A slot whose number nobody has given out, or a count at its end, would keep every later line away. */
static void a_damaged_number_does_not_keep_lines_away(void **state)
{
	const off_t taken_at = 16, slot = 1024, next_number = 3;
	size_t count;

	(void)state;
	free(lines_of(two_lines, &count));
	put_number(slot * (1 + next_number), UINT64_C(1) << 61);
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 4);
	put_number(taken_at, UINT64_MAX);
	free(lines_of(two_lines, &count));
	assert_int_equal(count, 2);
}

/* Whoever has written the file may make it shorter while somebody reads it: that ends the reading, not the reader. */
static void a_file_that_shrinks_does_not_end_its_reader(void **state)
{
	enum { TIMES = 200 };
	struct log_ring_line *lines;
	size_t count;
	struct stat st;
	pid_t writer;

	(void)state;
	free(lines_of(two_lines, &count));
	assert_int_equal(stat(path, &st), 0);
	writer = fork();
	for (int go_on = writer == 0; go_on;)
		go_on = truncate(path, 0) == 0 && truncate(path, st.st_size) == 0 && getppid() != 1;
	if (writer == 0)
		_exit(0);
	for (size_t i = 0; i < TIMES; i++) {
		(void)log_ring_read(path, &lines, &count);
		free(lines);
	}
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			lines_outlive_a_killed_process_and_the_next_goes_on_behind_them, setup, teardown),
		cmocka_unit_test_setup_teardown(many_write_at_once_and_lines_stay_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_ring_is_refused_by_readers_and_replaced_by_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_link_is_replaced_and_what_it_leads_to_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_contents_do_no_harm, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_number_does_not_keep_lines_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_does_not_end_its_reader, setup, teardown),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
