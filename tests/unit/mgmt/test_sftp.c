/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the reading half of SFTP: what is answered to requests no ordinary client sends, and how streams are read. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mgmt/sftp.h"

enum {
	STATUS = 101,
	HANDLE = 102,
	DATA = 103,
	EOF_REACHED = 1,
	NO_SUCH_FILE = 2,
	DENIED = 3,
	FAILURE = 4,
	UNSUPPORTED = 8
};

static struct export_tree tree;
static struct sftp *sftp;
static uint8_t answer[SFTP_READ_MAX + 64];
static size_t answer_length;
static int stream_end, stream_exit;
static char asked[64];

static int keep(void *arg, const void *packet, size_t length)
{
	(void)arg;
	memcpy(answer, packet, length);
	answer_length = length;
	return 0;
}

/* Three hundred octets, by a child. */
static int records(void *arg, const char *format, const char *since, const char *until, pid_t *child)
{
	int ends[2];

	(void)arg;
	(void)snprintf(asked, sizeof(asked), "%s %s %s", format, since, until);
	assert_int_equal(pipe(ends), 0);
	*child = fork();
	if (*child == 0) {
		char text[300];

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)i;
		_exit(write(ends[1], text, sizeof(text)) == sizeof(text) ? stream_exit : 1);
	}
	close(ends[1]);
	return stream_end = ends[0];
}

static int setup(void **state)
{
	(void)state;
	tree = (struct export_tree){
		.captures = -1, .now_s = 1795219200, .records = records
	}; /* 2026-11-21 */
	sftp = sftp_new(&tree, keep, NULL);
	stream_exit = 0;
	return sftp == NULL;
}

static int teardown(void **state)
{
	(void)state;
	sftp_free(sftp);
	return 0;
}

struct packet {
	uint8_t octets[2048];
	size_t length;
};

static void add_u32(struct packet *p, uint32_t value)
{
	value = htobe32(value);
	memcpy(p->octets + p->length, &value, 4);
	p->length += 4;
}

static void add_text(struct packet *p, const void *text, size_t n)
{
	add_u32(p, (uint32_t)n);
	memcpy(p->octets + p->length, text, n);
	p->length += n;
}

static struct packet request(uint8_t type)
{
	struct packet p = { { type }, 1 };

	add_u32(&p, 7);
	return p;
}

static uint32_t word(size_t at)
{
	uint32_t value;

	memcpy(&value, answer + at, sizeof(value));
	return be32toh(value);
}

/* Type of the answer; *detail: its status, or the length of what it carries. */
static uint8_t give(const struct packet *p, uint32_t *detail)
{
	assert_int_equal(sftp_take(sftp, p->octets, p->length), 0);
	assert_int_equal(word(0), answer_length - 4);
	assert_int_equal(word(5), 7);
	*detail = word(9);
	return answer[4];
}

static uint32_t status_of(const struct packet *p)
{
	uint32_t status;

	assert_int_equal(give(p, &status), STATUS);
	return status;
}

static struct packet open_packet(const char *path, uint32_t flags)
{
	struct packet p = request(3);

	add_text(&p, path, strlen(path));
	add_u32(&p, flags);
	add_u32(&p, 0);
	return p;
}

static void open_file(const char *path, uint8_t handle[8])
{
	struct packet p = open_packet(path, 1);
	uint32_t length;

	assert_int_equal(give(&p, &length), HANDLE);
	assert_int_equal(length, 8);
	memcpy(handle, answer + 13, 8);
}

static struct packet read_packet(const uint8_t handle[8], uint64_t offset, uint32_t length)
{
	struct packet p = request(5);

	add_text(&p, handle, 8);
	add_u32(&p, (uint32_t)(offset >> 32));
	add_u32(&p, (uint32_t)offset);
	add_u32(&p, length);
	return p;
}

static void a_stream_is_read_forwards_to_its_end(void **state)
{
	uint8_t handle[8];
	struct packet p;
	uint32_t length;

	(void)state;
	open_file("/records/2026-11-20.csv", handle);
	assert_string_equal(asked, "csv 2026-11-20 2026-11-21");
	p = read_packet(handle, 0, 100);
	assert_int_equal(give(&p, &length), DATA);
	assert_int_equal(length, 100);
	p = read_packet(handle, 150, 100); /* some are passed over */
	assert_int_equal(give(&p, &length), DATA);
	assert_int_equal(length, 100);
	assert_int_equal(answer[13], 150);
	p = read_packet(handle, 0, 100);
	assert_int_equal(status_of(&p), FAILURE);
	p = read_packet(handle, 250, 100);
	assert_int_equal(give(&p, &length), DATA);
	assert_int_equal(length, 50);
	p = read_packet(handle, 300, 100);
	assert_int_equal(status_of(&p), EOF_REACHED);
	p = read_packet(handle, UINT64_MAX, UINT32_MAX);
	assert_int_equal(status_of(&p), EOF_REACHED);
}

/* Half of the records must not look like all of them. */
static void a_stream_whose_writer_failed_does_not_end_as_if_it_were_whole(void **state)
{
	uint8_t handle[8];
	struct packet p;

	(void)state;
	stream_exit = 1;
	open_file("records/2026-11-21.json", handle);
	p = read_packet(handle, 0, 1000);
	assert_int_equal(status_of(&p), FAILURE);
}

static void handles_are_those_given_out_and_not_closed(void **state)
{
	uint8_t handle[SFTP_STREAMS_MAX][8], other[8] = { 0xff, 0xff, 0xff, 0xff };
	struct packet p;

	(void)state;
	for (size_t i = 0; i < SFTP_STREAMS_MAX; i++)
		open_file("/records/2026-11-20.csv", handle[i]);
	p = open_packet("/records/2026-11-20.csv", 1);
	assert_int_equal(status_of(&p), FAILURE); /* more processes than one session gets */
	p = request(11);
	add_text(&p, "/", 1);
	for (size_t i = SFTP_STREAMS_MAX; i < SFTP_HANDLES_MAX; i++) {
		uint32_t length;

		assert_int_equal(give(&p, &length), HANDLE);
	}
	assert_int_equal(status_of(&p), FAILURE); /* there are no more */
	p = request(4);
	add_text(&p, handle[3], 8);
	assert_int_equal(status_of(&p), 0);
	assert_int_equal(status_of(&p), FAILURE);
	p = read_packet(handle[3], 0, 10);
	assert_int_equal(status_of(&p), FAILURE);
	open_file("/records/2026-11-20.csv", other); /* in its place */
	p = read_packet(handle[3], 0, 10);
	assert_int_equal(status_of(&p), FAILURE);
	memset(other, 0xff, sizeof(other));
	p = read_packet(other, 0, 10);
	assert_int_equal(status_of(&p), FAILURE);
}

static void what_writes_is_not_permitted(void **state)
{
	static const uint8_t types[] = { 6, 9, 10, 13, 14, 15, 18, 20 };
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		p = request(types[i]);
		assert_int_equal(status_of(&p), DENIED);
	}
	for (uint32_t flags = 0; flags < 64; flags++) {
		p = open_packet("/records/2026-11-20.csv", flags);
		if (flags != 1)
			assert_int_equal(status_of(&p), DENIED);
	}
	p = request(200); /* an extension */
	assert_int_equal(status_of(&p), UNSUPPORTED);
	p = request(19); /* readlink */
	assert_int_equal(status_of(&p), UNSUPPORTED);
}

static void a_request_that_ends_too_early_is_none(void **state)
{
	struct packet p = open_packet("/records", 1);

	(void)state;
	for (size_t n = 0; n < p.length - 4; n++)
		assert_int_equal(sftp_take(sftp, p.octets, n), -EBADMSG);
	p = request(16);
	add_u32(&p, 0xffffffff); /* longer than there is */
	assert_int_equal(sftp_take(sftp, p.octets, p.length), -EBADMSG);
}

static void paths_lead_nowhere_else(void **state)
{
	static const char *const paths[] = { "/etc/passwd", "..", "/records/2026-11-22.csv",
		"/records/2026-02-30.csv", "/records/2026-11-20.csv.", "/records/2026-11-20", "/recordsx",
		"/captures", "/records/2026-11-20.csv/x" };
	char path[EXPORT_PATH_MAX];
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		p = open_packet(paths[i], 1);
		assert_int_not_equal(status_of(&p), 0);
	}
	assert_int_equal(export_path(SPAN("a/./b//../../../c/"), path), 0);
	assert_string_equal(path, "/c");
	assert_int_equal(export_path(SPAN("../.."), path), 0);
	assert_string_equal(path, "/");
	assert_int_equal(export_path(SPAN("a\0b"), path), -EINVAL);
	assert_int_equal(
		export_path((struct span){ (char[EXPORT_PATH_MAX]){ [0 ... EXPORT_PATH_MAX - 1] = 'a' },
				    EXPORT_PATH_MAX },
			path),
		-ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stream_is_read_forwards_to_its_end),
		TEST(a_stream_whose_writer_failed_does_not_end_as_if_it_were_whole),
		TEST(handles_are_those_given_out_and_not_closed),
		TEST(what_writes_is_not_permitted),
		TEST(a_request_that_ends_too_early_is_none),
		TEST(paths_lead_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
