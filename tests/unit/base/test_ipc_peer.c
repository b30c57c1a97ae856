/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection on a socket pair of our own making. */
#include "tests/unit/base/ipc_fixture.h"

#include <sys/resource.h>

#include "platforms/base/ipc_internal.h"
#include "platforms/base/log.h"

static void lost(struct ipc_peer *peer)
{
	ipc_peer_free(peer);
}

static const struct ipc_role role = { .is_server = true, .lost = lost };

struct pair {
	struct ipc_peer *peer;
	struct ipc_memory memory;
	_Alignas(8) uint8_t packet[IPC_PACKET_MAX];
	int raw; /* the other end */
};

static struct pair *pair_new(struct fixture *f, int send_buffer)
{
	struct ipc_hello self = hello_of("server", API, SERVER_GENERATION);
	struct hello_packet hello = hello_packet_of(API, CLIENT_GENERATION);
	struct pair *pair = calloc(1, sizeof(*pair));
	int ends[2];

	pair->peer = calloc(1, sizeof(*pair->peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	if (send_buffer)
		assert_int_equal(
			setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer)), 0);
	pair->raw = ends[1];
	ipc_peer_init(pair->peer, &role, &f->loop, &self, &recording, &f->server_side);
	pair->peer->path = "pair";
	pair->peer->memory = &pair->memory;
	pair->peer->packet = pair->packet;
	assert_int_equal(ipc_peer_attach(pair->peer, ends[0]), 0);
	raw_send(pair->raw, &hello, sizeof(hello));
	RUN_UNTIL(f, f->server_side.ups == 1);
	return pair;
}

static void a_send_buffer_too_small_for_a_packet_is_raised(void **state)
{
	static uint8_t body[IPC_PACKET_MAX - sizeof(struct ipc_frame)];
	static uint8_t buffer[IPC_PACKET_MAX];
	struct fixture *f = *state;
	struct pair *pair = pair_new(f, 4096);

	assert_int_equal(raw_receive(f, pair->raw, buffer, sizeof(buffer)), sizeof(struct hello_packet));
	assert_int_equal(ipc_send(pair->peer, 1, 0, 0, body, sizeof(body)), 0);
	assert_int_equal(raw_receive(f, pair->raw, buffer, sizeof(buffer)), IPC_PACKET_MAX);
	close(pair->raw);
	RUN_UNTIL(f, f->server_side.downs == 1);
	free(pair);
}

static void what_was_received_is_cleared_when_it_has_been_handled(void **state)
{
	struct {
		struct ipc_frame frame;
		uint8_t body[64];
	} packet = { .frame = { .type = 1, .length = sizeof(packet.body) } };
	struct fixture *f = *state;
	struct pair *pair = pair_new(f, 0);

	memset(packet.body, 0x5a, sizeof(packet.body));
	raw_send(pair->raw, &packet, sizeof(packet));
	RUN_UNTIL(f, f->server_side.frames == 1);
	assert_memory_equal(f->server_side.body, packet.body, sizeof(packet.body));
	for (size_t i = 0; i < sizeof(packet); i++)
		assert_int_equal(pair->packet[i], 0);
	close(pair->raw);
	RUN_UNTIL(f, f->server_side.downs == 1);
	free(pair);
}

/* Only the last 64 generations are remembered: a peer older than that is treated as one who lost its state. */
static void the_memory_of_generations_is_bounded(void **state)
{
	struct fixture *f = *state;

	serve(f, API, SERVER_GENERATION);
	for (uint64_t generation = 1; generation <= IPC_SEEN_MAX + 1; generation++) {
		struct hello_packet hello = hello_packet_of(API, generation);
		int fd = raw_connect(f);
		unsigned ups = f->server_side.ups;

		raw_send(fd, &hello, sizeof(hello));
		RUN_UNTIL(f, f->server_side.ups == ups + 1);
		assert_true(f->server_side.fresh);
		close(fd);
	}
	for (uint64_t generation = 2; generation >= 1; generation--) {
		struct hello_packet hello = hello_packet_of(API, generation);
		int fd = raw_connect(f);
		unsigned ups = f->server_side.ups;

		raw_send(fd, &hello, sizeof(hello));
		RUN_UNTIL(f, f->server_side.ups == ups + 1);
		assert_true(f->server_side.fresh == (generation == 1));
		close(fd);
	}
}

static void on_wait_over(uv_timer_t *timer)
{
	uv_timer_stop(timer);
}

static int64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

static void the_loop_sleeps_while_a_peer_is_stuck(void **state)
{
	static uint8_t body[50000];
	struct fixture *f = *state;
	struct pair *pair = pair_new(f, 0);
	int64_t before;
	uv_timer_t timer;

	for (int i = 0; i < 40; i++)
		assert_int_equal(ipc_send(pair->peer, 1, 0, 0, body, sizeof(body)), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_non_null(pair->peer->queue.first);
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, on_wait_over, 200, 0);
	before = cpu_us();
	while (uv_is_active((uv_handle_t *)&timer))
		uv_run(&f->loop, UV_RUN_ONCE);
	/* 200 ms have passed; a loop that spins would have used all of them. */
	assert_true(cpu_us() - before < 100000);
	uv_close((uv_handle_t *)&timer, NULL);
	close(pair->raw);
	RUN_UNTIL(f, f->server_side.downs == 1);
	free(pair);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(what_was_received_is_cleared_when_it_has_been_handled),
		WITH_FIXTURE(a_send_buffer_too_small_for_a_packet_is_raised),
		WITH_FIXTURE(the_memory_of_generations_is_bounded),
		WITH_FIXTURE(the_loop_sleeps_while_a_peer_is_stuck),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
