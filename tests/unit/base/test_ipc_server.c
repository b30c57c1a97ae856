/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening end: its socket file, and what hostile or broken clients can do to it (nothing). */
#include "tests/unit/base/ipc_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "platforms/base/log.h"

static int listen_at(struct fixture *f, const char *path, struct ipc_server **out)
{
	struct ipc_hello hello = hello_of("server", API, SERVER_GENERATION);

	return ipc_listen(&f->loop, path, &hello, &recording, &f->server_side, out);
}

static void the_socket_is_for_owner_and_group_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 0000, 0022, 0077, 0777 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		mode_t saved = umask(masks[i]);
		struct stat st;

		serve(f, API, SERVER_GENERATION);
		umask(saved);
		assert_int_equal(stat(f->path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0660);
		ipc_server_free(f->server);
		f->server = NULL;
		assert_int_equal(stat(f->path, &st), -1);
		assert_int_equal(errno, ENOENT);
	}
}

static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;

	close(raw_listen(f)); /* the file stays, as after kill -9 */
	ipc_peer_free(connected_pair(f));
}

static void a_live_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	struct ipc_server *second = NULL;

	assert_int_equal(listen_at(f, f->path, &second), -EADDRINUSE);
	assert_null(second);
	assert_int_equal(ipc_send(client, 1, 0, 0, "still", 5), 0);
	RUN_UNTIL(f, f->server_side.frames == 1);
	ipc_peer_free(client);
}

static void other_files_are_never_removed(void **state)
{
	struct fixture *f = *state;
	struct ipc_server *server = NULL;
	struct stat st;
	int fd = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(listen_at(f, f->path, &server), -EEXIST);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void a_successors_socket_is_not_removed(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int successor;

	serve(f, API, SERVER_GENERATION);
	assert_int_equal(unlink(f->path), 0);
	successor = raw_listen(f);
	ipc_server_free(f->server);
	f->server = NULL;
	assert_int_equal(stat(f->path, &st), 0);
	close(successor);
}

static void impossible_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	struct ipc_server *server = NULL;
	char path[200];

	memset(path, 'p', sizeof(path));
	path[108] = '\0';
	assert_int_equal(listen_at(f, path, &server), -ENAMETOOLONG);
	assert_int_equal(listen_at(f, "", &server), -EINVAL);
	assert_int_equal(listen_at(f, "/nonexistent/x.sock", &server), -ENOENT);
	assert_null(server);
}

/* --- hostile clients --- */

struct attack {
	const char *name;
	bool greet_first;
	size_t length;
	uint8_t bytes[256];
};

static void bad_hellos(struct attack *out, size_t *n)
{
	struct hello_packet p;

	*n = 0;
#define ATTACK(title, change)                                              \
	p = hello_packet_of(API, 9);                                       \
	change;                                                            \
	out[*n] = (struct attack){ .name = (title), .length = sizeof(p) }; \
	memcpy(out[(*n)++].bytes, &p, sizeof(p))
	ATTACK("wrong magic", p.hello.magic = 0);
	ATTACK("wrong version", p.hello.api_version++);
	ATTACK("wrong type", p.frame.type = 5);
	ATTACK("overlong frame", p.frame.length++);
	ATTACK("wrapping frame", p.frame.length = UINT32_MAX);
	ATTACK("short frame", p.frame.length -= 8);
	ATTACK("unterminated name", memset(p.hello.process, 'A', sizeof(p.hello.process)));
#undef ATTACK
}

static void attack(struct fixture *f, const struct attack *a)
{
	struct hello_packet hello = hello_packet_of(API, 9);
	int fd = raw_connect(f);

	if (a->greet_first)
		raw_send(fd, &hello, sizeof(hello));
	raw_send(fd, a->bytes, a->length);
	raw_expect_close(f, fd);
}

/* After each attack the well-behaved connection works as before. */
static void assert_unharmed(struct fixture *f, struct ipc_peer *client)
{
	unsigned frames = f->server_side.frames;

	assert_int_equal(ipc_send(client, 1, 0, frames, "x", 1), 0);
	RUN_UNTIL(f, f->server_side.frames == frames + 1);
	assert_int_equal(f->client_side.downs, 0);
}

static void a_bad_hello_closes_that_connection_only(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	struct attack attacks[16];
	size_t n;

	bad_hellos(attacks, &n);
	for (size_t i = 0; i < n; i++) {
		attack(f, &attacks[i]);
		assert_unharmed(f, client);
	}
	/* None of them ever was a peer. */
	assert_int_equal(f->server_side.ups, 1);
	ipc_peer_free(client);
}

static void garbage_closes_that_connection_only(void **state)
{
	static const struct attack attacks[] = {
		{ "one byte", false, 1, { 0 } },
		{ "not a multiple of 8", true, 17, { 1 } },
		{ "text", false, 19, "GET / HTTP/1.1\r\n\r\n" },
		{ "frame without body", true, 16, { 8, 0, 0, 0, 1 } },
		{ "frame too long for its packet", true, 24, { 9, 0, 0, 0, 1 } },
		{ "length that wraps", true, 24, { 0xff, 0xff, 0xff, 0xff, 1 } },
		{ "dirty padding", true, 24, { 1, 0, 0, 0, 1, [17] = 1 } },
		{ "half a second frame", true, 24, { 0, 0, 0, 0, 1 } },
	};
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		attack(f, &attacks[i]);
		assert_unharmed(f, client);
	}
	/* What is malformed reaches no handler, not even its good first frame. */
	assert_int_equal(f->server_side.frames, sizeof(attacks) / sizeof(attacks[0]));
	assert_int_equal(f->server_side.downs, f->server_side.ups - 1);
	ipc_peer_free(client);
}

static void random_packets_close_that_connection_only(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	uint32_t lcg = 1;

	for (int i = 0; i < 300; i++) {
		struct attack a = { .greet_first = i % 2 == 0, .length = 1 + (size_t)i % sizeof(a.bytes) };

		for (size_t k = 0; k < a.length; k++) {
			lcg = lcg * 1664525u + 1013904223u;
			a.bytes[k] = (uint8_t)(lcg >> 24);
		}
		attack(f, &a);
	}
	assert_unharmed(f, client);
	ipc_peer_free(client);
}

static void a_second_hello_closes_the_connection(void **state)
{
	struct fixture *f = *state;
	struct hello_packet hello = hello_packet_of(API, 9);
	int fd;

	serve(f, API, SERVER_GENERATION);
	fd = raw_connect(f);
	raw_send(fd, &hello, sizeof(hello));
	raw_send(fd, &hello, sizeof(hello));
	raw_expect_close(f, fd);
	assert_int_equal(f->server_side.ups, 1);
	assert_int_equal(f->server_side.downs, 1);
	assert_int_equal(f->server_side.frames, 0);
}

static void an_oversized_packet_closes_the_connection(void **state)
{
	static uint8_t packet[IPC_PACKET_MAX + 8];
	struct fixture *f = *state;
	struct ipc_frame frame = { .length = IPC_PACKET_MAX + 8 - sizeof(frame), .type = 1 };
	struct hello_packet hello = hello_packet_of(API, 9);
	int fd;

	serve(f, API, SERVER_GENERATION);
	fd = raw_connect(f);
	memcpy(packet, &frame, sizeof(frame));
	raw_send(fd, &hello, sizeof(hello));
	raw_send(fd, packet, sizeof(packet));
	raw_expect_close(f, fd);
	assert_int_equal(f->server_side.downs, 1);
	assert_int_equal(f->server_side.frames, 0);
}

static void frames_behind_the_hello_in_one_packet_are_served(void **state)
{
	struct fixture *f = *state;
	struct {
		struct hello_packet hello;
		struct ipc_frame frame;
		char body[8];
	} packet = { hello_packet_of(API, 9), { .length = 3, .type = 4 }, "abc" };
	int fd;

	serve(f, API, SERVER_GENERATION);
	fd = raw_connect(f);
	raw_send(fd, &packet, sizeof(packet));
	RUN_UNTIL(f, f->server_side.frames == 1);
	assert_int_equal(f->server_side.frame.type, 4);
	close(fd);
}

static void send_hundred(struct recorder *r, struct ipc_peer *peer)
{
	(void)r;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(ipc_send(peer, 1, 0, i, "0123456789", 10), 0);
}

static void frames_of_one_round_leave_in_one_packet(void **state)
{
	static uint8_t buffer[IPC_PACKET_MAX];
	struct fixture *f = *state;
	struct hello_packet hello = hello_packet_of(API, 9);
	int fd;

	f->server_side.on_up = send_hundred;
	serve(f, API, SERVER_GENERATION);
	fd = raw_connect(f);
	raw_send(fd, &hello, sizeof(hello));
	assert_int_equal(raw_receive(f, fd, buffer, sizeof(buffer)), sizeof(struct hello_packet));
	assert_int_equal(raw_receive(f, fd, buffer, sizeof(buffer)), 100 * (16 + 16));
	close(fd);
}

static void a_mute_client_is_closed_in_time(void **state)
{
	struct fixture *f = *state;

	serve(f, API, SERVER_GENERATION);
	raw_expect_close(f, raw_connect(f));
	assert_int_equal(f->server_side.ups, 0);
}

static void connections_are_limited(void **state)
{
	static int fds[IPC_CONNECTIONS_MAX];
	struct fixture *f = *state;
	struct hello_packet hello = hello_packet_of(API, 9);

	serve(f, API, SERVER_GENERATION);
	for (unsigned i = 0; i < IPC_CONNECTIONS_MAX; i++) {
		fds[i] = raw_connect(f);
		raw_send(fds[i], &hello, sizeof(hello));
		RUN_UNTIL(f, f->server_side.ups == i + 1);
	}
	raw_expect_close(f, raw_connect(f));
	assert_int_equal(f->server_side.downs, 0);
	/* One leaves, another may come. */
	close(fds[0]);
	RUN_UNTIL(f, f->server_side.downs == 1);
	fds[0] = raw_connect(f);
	raw_send(fds[0], &hello, sizeof(hello));
	RUN_UNTIL(f, f->server_side.ups == IPC_CONNECTIONS_MAX + 1);
	for (unsigned i = 0; i < IPC_CONNECTIONS_MAX; i++)
		close(fds[i]);
}

static void without_descriptors_it_pauses_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct hello_packet hello = hello_packet_of(API, 9);
	struct rlimit saved;
	struct rlimit none;
	int fd;

	serve(f, API, SERVER_GENERATION);
	fd = raw_connect(f);
	raw_send(fd, &hello, sizeof(hello));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	none = saved;
	none.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 20; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(f->server_side.ups, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	RUN_UNTIL(f, f->server_side.ups == 1);
	close(fd);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(the_socket_is_for_owner_and_group_whatever_the_umask),
		WITH_FIXTURE(a_stale_socket_is_replaced),
		WITH_FIXTURE(a_live_socket_is_left_alone),
		WITH_FIXTURE(other_files_are_never_removed),
		WITH_FIXTURE(a_successors_socket_is_not_removed),
		WITH_FIXTURE(impossible_paths_are_refused),
		WITH_FIXTURE(a_bad_hello_closes_that_connection_only),
		WITH_FIXTURE(garbage_closes_that_connection_only),
		WITH_FIXTURE(random_packets_close_that_connection_only),
		WITH_FIXTURE(a_second_hello_closes_the_connection),
		WITH_FIXTURE(an_oversized_packet_closes_the_connection),
		WITH_FIXTURE(frames_behind_the_hello_in_one_packet_are_served),
		WITH_FIXTURE(frames_of_one_round_leave_in_one_packet),
		WITH_FIXTURE(a_mute_client_is_closed_in_time),
		WITH_FIXTURE(connections_are_limited),
		WITH_FIXTURE(without_descriptors_it_pauses_and_goes_on),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
