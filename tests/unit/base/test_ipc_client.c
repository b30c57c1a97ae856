/* SPDX-License-Identifier: BSD-3-Clause */
/* The connecting end: greeting, frames, reconnection, and being freed at any moment. */
#include "tests/unit/base/ipc_fixture.h"

#include <fcntl.h>
#include <pthread.h>

static void end_server(struct fixture *f)
{
	ipc_server_free(f->server);
	f->server = NULL;
}

static void both_ends_come_up_after_the_hellos(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	const struct ipc_hello *hello = ipc_peer_hello(client);

	assert_true(f->client_side.fresh);
	assert_true(f->server_side.fresh);
	assert_string_equal(hello->process, "server");
	assert_string_equal(hello->version, SALLYPORT_VERSION);
	assert_int_equal(hello->generation, SERVER_GENERATION);
	assert_int_equal(hello->pid, getpid());
	hello = ipc_peer_hello(f->server_side.peer);
	assert_string_equal(hello->process, "client");
	assert_int_equal(hello->generation, CLIENT_GENERATION);
	ipc_peer_set_data(client, f);
	assert_ptr_equal(ipc_peer_data(client), f);
	ipc_peer_free(client);
	RUN_UNTIL(f, f->server_side.downs == 1);
	/* Who ends it himself is not told. */
	assert_int_equal(f->client_side.downs, 0);
}

static void answer(struct recorder *r, struct ipc_peer *peer)
{
	assert_int_equal(
		ipc_send(peer, (uint16_t)(r->frame.type + 1), -ENOENT, r->frame.sequence, "reply", 5), 0);
}

static void frames_travel_both_ways_unchanged(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	f->server_side.on_frame = answer;
	f->server_side.next_sequence = f->client_side.next_sequence = 77;
	assert_int_equal(ipc_send(client, 9, 0, 77, "question", 8), 0);
	RUN_UNTIL(f, f->client_side.frames == 1);
	assert_int_equal(f->server_side.frame.type, 9);
	assert_int_equal(f->server_side.frame.status, 0);
	assert_memory_equal(f->server_side.body, "question", 8);
	assert_int_equal(f->client_side.frame.type, 10);
	assert_int_equal(f->client_side.frame.status, -ENOENT);
	assert_int_equal(f->client_side.frame.sequence, 77);
	assert_int_equal(f->client_side.frame.length, 5);
	assert_memory_equal(f->client_side.body, "reply", 5);
	ipc_peer_free(client);
}

static void sizes_up_to_the_limit_go_through(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	static uint8_t body[IPC_PACKET_MAX];
	size_t largest = IPC_PACKET_MAX - sizeof(struct ipc_frame);

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 7);
	assert_int_equal(ipc_send(client, 1, 0, 0, NULL, 0), 0);
	assert_int_equal(ipc_send(client, 1, 0, 1, body, largest), 0);
	assert_int_equal(ipc_send(client, 1, 0, 2, body, largest + 1), -EMSGSIZE);
	assert_int_equal(ipc_send(client, 1, 0, 2, body, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(ipc_send(client, 0, 0, 2, body, 1), -EINVAL);
	RUN_UNTIL(f, f->server_side.frames == 2);
	assert_int_equal(f->server_side.frame.length, largest);
	assert_memory_equal(f->server_side.body, body, largest);
	assert_int_equal(f->server_side.disorder, 0);
	ipc_peer_free(client);
}

static void ten_thousand_frames_arrive_in_order(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);
	static uint8_t body[300];

	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(ipc_send(client, 1, 0, i, body, (size_t)(i % sizeof(body))), 0);
	RUN_UNTIL(f, f->server_side.frames == 10000);
	assert_int_equal(f->server_side.disorder, 0);
	assert_int_equal(f->server_side.downs, 0);
	ipc_peer_free(client);
}

static void a_client_waits_for_its_server(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = dial(f, &f->client_side, API, CLIENT_GENERATION);

	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_ONCE); /* refused attempts */
	assert_int_equal(ipc_send(client, 1, 0, 0, NULL, 0), -ENOTCONN);
	serve(f, API, SERVER_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 1);
	ipc_peer_free(client);
}

static void a_restarted_server_is_noticed_by_its_generation(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	end_server(f);
	RUN_UNTIL(f, f->client_side.downs == 1);
	assert_int_equal(f->server_side.downs, 1);
	assert_ptr_equal(f->client_side.peer, client);

	/* The same process listens again: its state is still there. */
	serve(f, API, SERVER_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 2);
	assert_false(f->client_side.fresh);
	end_server(f);
	RUN_UNTIL(f, f->client_side.downs == 2);

	serve(f, API, SERVER_GENERATION + 1);
	RUN_UNTIL(f, f->client_side.ups == 3);
	assert_true(f->client_side.fresh);
	assert_int_equal(ipc_peer_hello(client)->generation, SERVER_GENERATION + 1);
	assert_int_equal(ipc_send(client, 1, 0, 0, "x", 1), 0);
	RUN_UNTIL(f, f->server_side.frames == 1);
	ipc_peer_free(client);
}

static void a_restarted_client_is_noticed_by_its_generation(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	ipc_peer_free(client);
	client = dial(f, &f->client_side, API, CLIENT_GENERATION);
	RUN_UNTIL(f, f->server_side.ups == 2);
	assert_false(f->server_side.fresh);
	ipc_peer_free(client);
	client = dial(f, &f->client_side, API, CLIENT_GENERATION + 1);
	RUN_UNTIL(f, f->server_side.ups == 3);
	assert_true(f->server_side.fresh);
	ipc_peer_free(client);
}

static void what_was_queued_for_a_lost_connection_is_not_sent_on_the_next(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	end_server(f);
	/* Not noticed yet: it is still taken, and lost with the connection. */
	assert_int_equal(ipc_send(client, 1, 0, 0, "old", 3), 0);
	RUN_UNTIL(f, f->client_side.downs == 1);
	serve(f, API, SERVER_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 2 && f->server_side.ups == 2);
	assert_int_equal(ipc_send(client, 1, 0, 0, "new", 3), 0);
	RUN_UNTIL(f, f->server_side.frames == 1);
	assert_memory_equal(f->server_side.body, "new", 3);
	ipc_peer_free(client);
}

static unsigned count_lines(int fd, const char *needle)
{
	static char text[65536];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	unsigned count = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; (at = strstr(at, needle)); at++)
		count++;
	return count;
}

static void another_version_is_refused_with_one_line_while_retrying(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client;
	int saved = dup(STDERR_FILENO);
	int attempts = 0;
	int ends[2];
	int listener;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	listener = raw_listen(f);
	client = dial(f, &f->client_side, API, CLIENT_GENERATION);
	for (; attempts < 4; attempts++) {
		struct hello_packet other = hello_packet_of(API + 1, 5);
		int fd;

		assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
		RUN_UNTIL(f, (fd = accept(listener, NULL, NULL)) >= 0);
		raw_send(fd, &other, sizeof(other));
		raw_expect_close(f, fd);
	}
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(count_lines(ends[0], "another API version"), 1);
	assert_int_equal(f->client_side.ups, 0);
	close(listener);
	close(saved);
	close(ends[0]);
	close(ends[1]);

	/* The upgraded server comes: all is well without our doing. */
	serve(f, API, SERVER_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 1);
	assert_int_equal(f->client_side.downs, 0);
	ipc_peer_free(client);
}

static void a_stuck_peer_is_bounded_and_loses_nothing_taken(void **state)
{
	struct fixture *f = *state;
	int listener = raw_listen(f);
	struct ipc_peer *client = dial(f, &f->client_side, API, CLIENT_GENERATION);
	struct hello_packet hello = hello_packet_of(API, SERVER_GENERATION);
	static _Alignas(8) uint8_t buffer[IPC_PACKET_MAX];
	static uint8_t body[50000];
	struct recorder *drain = calloc(1, sizeof(*drain));
	uint64_t accepted = 0;
	int error;
	int fd;

	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	RUN_UNTIL(f, (fd = accept(listener, NULL, NULL)) >= 0);
	raw_send(fd, &hello, sizeof(hello));
	RUN_UNTIL(f, f->client_side.ups == 1);
	while ((error = ipc_send(client, 1, 0, accepted, body, sizeof(body))) == 0) {
		accepted++;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_true(accepted * sizeof(body) < 2u * IPC_QUEUE_MAX);
	}
	assert_int_equal(error, -ENOBUFS);
	assert_true(accepted * sizeof(body) > IPC_QUEUE_MAX - 2 * sizeof(body));
	/* It reads at last: everything that was accepted comes, whole and in order. */
	while (drain->frames < accepted + 1) {
		size_t n = raw_receive(f, fd, buffer, sizeof(buffer));
		const struct ipc_frame *frame = (const struct ipc_frame *)(const void *)buffer;

		assert_true(n > 0);
		if (drain->frames++ > 0)
			assert_int_equal(frame->sequence, drain->frames - 2);
	}
	assert_int_equal(ipc_send(client, 1, 0, 0, body, sizeof(body)), 0);
	ipc_peer_free(client);
	close(fd);
	close(listener);
	free(drain);
}

static int accept_and_greet(struct fixture *f, int listener)
{
	struct hello_packet hello = hello_packet_of(API, SERVER_GENERATION);
	int fd;

	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	RUN_UNTIL(f, (fd = accept(listener, NULL, NULL)) >= 0);
	raw_send(fd, &hello, sizeof(hello));
	return fd;
}

static void what_was_stuck_is_not_sent_on_the_next_connection(void **state)
{
	struct fixture *f = *state;
	int listener = raw_listen(f);
	struct ipc_peer *client = dial(f, &f->client_side, API, CLIENT_GENERATION);
	static _Alignas(8) uint8_t buffer[IPC_PACKET_MAX];
	int fd = accept_and_greet(f, listener);

	RUN_UNTIL(f, f->client_side.ups == 1);
	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(ipc_send(client, 1, 0, i, buffer, 50000), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	close(fd);
	RUN_UNTIL(f, f->client_side.downs == 1);
	fd = accept_and_greet(f, listener);
	RUN_UNTIL(f, f->client_side.ups == 2);
	assert_int_equal(ipc_send(client, 2, 0, 0, NULL, 0), 0);
	assert_int_equal(raw_receive(f, fd, buffer, sizeof(buffer)), sizeof(struct hello_packet));
	assert_int_equal(raw_receive(f, fd, buffer, sizeof(buffer)), sizeof(struct ipc_frame));
	ipc_peer_free(client);
	close(fd);
	close(listener);
}

/* --- freed from inside the handlers --- */

static void free_own_peer(struct recorder *r, struct ipc_peer *peer)
{
	(void)r;
	ipc_peer_free(peer);
	ipc_peer_free(peer); /* twice is once */
}

static void free_subject_server(struct recorder *r, struct ipc_peer *peer)
{
	struct fixture *f = r->subject;

	(void)peer;
	end_server(f);
}

static void a_client_may_free_itself_when_up(void **state)
{
	struct fixture *f = *state;

	f->client_side.on_up = free_own_peer;
	serve(f, API, SERVER_GENERATION);
	dial(f, &f->client_side, API, CLIENT_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 1);
	end_server(f);
	RUN_UNTIL(f, !uv_loop_alive(&f->loop));
	assert_int_equal(f->client_side.downs, 0);
}

static void a_client_may_free_itself_when_down(void **state)
{
	struct fixture *f = *state;

	f->client_side.on_down = free_own_peer;
	connected_pair(f);
	end_server(f);
	RUN_UNTIL(f, !uv_loop_alive(&f->loop));
	assert_int_equal(f->client_side.downs, 1);
}

static void after_a_peer_frees_itself_no_frame_of_the_packet_is_delivered(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	f->server_side.on_frame = free_own_peer;
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(ipc_send(client, 1, 0, i, "x", 1), 0);
	RUN_UNTIL(f, f->client_side.downs == 1);
	assert_int_equal(f->server_side.frames, 1);
	assert_int_equal(f->server_side.downs, 1);
	ipc_peer_free(client);
}

static void a_server_may_be_freed_from_its_handlers(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	f->server_side.subject = f;
	f->server_side.on_frame = free_subject_server;
	assert_int_equal(ipc_send(client, 1, 0, 0, "x", 1), 0);
	assert_int_equal(ipc_send(client, 1, 0, 1, "x", 1), 0);
	RUN_UNTIL(f, f->client_side.downs == 1);
	assert_int_equal(f->server_side.frames, 1);
	assert_int_equal(f->server_side.downs, 1);

	f->server_side.on_frame = NULL;
	f->server_side.on_down = free_subject_server;
	serve(f, API, SERVER_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 2 && f->server_side.ups == 2);
	/* The owner closes the connection, whose end closes the server. */
	ipc_peer_free(f->server_side.peer);
	RUN_UNTIL(f, f->client_side.downs == 2);
	assert_null(f->server);
	ipc_peer_free(client);
}

static void last_words_are_sent(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	assert_int_equal(ipc_send(client, 1, 0, 0, "bye", 3), 0);
	ipc_peer_free(client);
	RUN_UNTIL(f, f->server_side.downs == 1);
	assert_int_equal(f->server_side.frames, 1);
	assert_memory_equal(f->server_side.body, "bye", 3);
}

static void say_goodbye(struct recorder *r, struct ipc_peer *peer)
{
	(void)r;
	assert_int_equal(ipc_send(peer, 2, 0, 0, "done", 4), 0);
	ipc_peer_free(peer);
}

/* The client has just written too: its failing write must not hide what still waits to be read. */
static void a_reply_before_the_close_is_read_although_writing_fails(void **state)
{
	struct fixture *f = *state;
	struct ipc_peer *client = connected_pair(f);

	f->server_side.on_frame = say_goodbye;
	assert_int_equal(ipc_send(client, 1, 0, 0, "x", 1), 0);
	RUN_UNTIL(f, f->server_side.downs == 1);
	assert_int_equal(f->client_side.frames, 0);
	assert_int_equal(ipc_send(client, 1, 0, 1, "x", 1), 0);
	RUN_UNTIL(f, f->client_side.downs == 1);
	assert_int_equal(f->client_side.frames, 1);
	assert_memory_equal(f->client_side.body, "done", 4);
	ipc_peer_free(client);
}

static void a_reply_before_a_reset_is_read(void **state)
{
	struct fixture *f = *state;
	int listener = raw_listen(f);
	struct ipc_peer *client = dial(f, &f->client_side, API, CLIENT_GENERATION);
	struct hello_packet hello = hello_packet_of(API, SERVER_GENERATION);
	struct ipc_frame frame = { .type = 5 };
	int fd;

	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	RUN_UNTIL(f, (fd = accept(listener, NULL, NULL)) >= 0);
	raw_send(fd, &hello, sizeof(hello));
	raw_send(fd, &frame, sizeof(frame));
	close(fd); /* with the client's hello unread: a reset */
	close(listener);
	RUN_UNTIL(f, f->client_side.downs == 1);
	assert_int_equal(f->client_side.frames, 1);
	ipc_peer_free(client);
}

static void freeing_before_the_first_attempt_is_fine(void **state)
{
	struct fixture *f = *state;

	ipc_peer_free(dial(f, &f->client_side, API, CLIENT_GENERATION));
	ipc_peer_free(NULL);
	ipc_server_free(NULL);
}

static void impossible_paths_are_refused_at_once(void **state)
{
	struct fixture *f = *state;
	struct ipc_hello hello = hello_of("client", API, 1);
	struct ipc_peer *peer = NULL;
	char path[200];

	memset(path, 'p', sizeof(path));
	path[108] = '\0';
	assert_int_equal(ipc_connect(&f->loop, path, &hello, &recording, NULL, &peer), -ENAMETOOLONG);
	assert_int_equal(ipc_connect(&f->loop, "", &hello, &recording, NULL, &peer), -EINVAL);
	assert_null(peer);
}

/* --- a shard thread per loop, as the control plane has --- */

enum { SHARDS = 3, ROUND_TRIPS = 200 };

struct shard {
	struct fixture *f;
	struct recorder seen;
	unsigned replies;
};

static void next_question(struct recorder *r, struct ipc_peer *peer)
{
	struct shard *shard = r->subject;

	if (r->frames == ROUND_TRIPS)
		ipc_peer_free(peer);
	else
		assert_int_equal(ipc_send(peer, 1, 0, ++shard->replies, "q", 1), 0);
}

static void *run_shard(void *arg)
{
	struct shard *shard = arg;
	struct ipc_hello hello = hello_of("client", API, CLIENT_GENERATION);
	struct ipc_peer *peer;
	uv_loop_t loop;

	shard->seen.subject = shard;
	shard->seen.on_up = shard->seen.on_frame = next_question;
	if (uv_loop_init(&loop) < 0 ||
		ipc_connect(&loop, shard->f->path, &hello, &recording, &shard->seen, &peer) < 0)
		return NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return NULL;
}

static void echo(struct recorder *r, struct ipc_peer *peer)
{
	assert_int_equal(ipc_send(peer, r->frame.type, 0, r->frame.sequence, r->body, r->frame.length), 0);
}

static void every_thread_may_have_its_own_loop_and_connection(void **state)
{
	struct fixture *f = *state;
	struct shard *shards = calloc(SHARDS, sizeof(*shards));
	pthread_t threads[SHARDS];

	f->server_side.on_frame = echo;
	serve(f, API, SERVER_GENERATION);
	for (int i = 0; i < SHARDS; i++) {
		shards[i].f = f;
		assert_int_equal(pthread_create(&threads[i], NULL, run_shard, &shards[i]), 0);
	}
	RUN_UNTIL(f, f->server_side.downs == SHARDS);
	for (int i = 0; i < SHARDS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(shards[i].seen.frames, ROUND_TRIPS);
		/* One generation, as often as its process connects: each end counts for itself. */
		assert_true(shards[i].seen.fresh);
	}
	free(shards);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(both_ends_come_up_after_the_hellos),
		WITH_FIXTURE(frames_travel_both_ways_unchanged),
		WITH_FIXTURE(sizes_up_to_the_limit_go_through),
		WITH_FIXTURE(ten_thousand_frames_arrive_in_order),
		WITH_FIXTURE(a_client_waits_for_its_server),
		WITH_FIXTURE(a_restarted_server_is_noticed_by_its_generation),
		WITH_FIXTURE(a_restarted_client_is_noticed_by_its_generation),
		WITH_FIXTURE(what_was_queued_for_a_lost_connection_is_not_sent_on_the_next),
		WITH_FIXTURE(another_version_is_refused_with_one_line_while_retrying),
		WITH_FIXTURE(a_stuck_peer_is_bounded_and_loses_nothing_taken),
		WITH_FIXTURE(what_was_stuck_is_not_sent_on_the_next_connection),
		WITH_FIXTURE(a_client_may_free_itself_when_up),
		WITH_FIXTURE(a_client_may_free_itself_when_down),
		WITH_FIXTURE(after_a_peer_frees_itself_no_frame_of_the_packet_is_delivered),
		WITH_FIXTURE(a_server_may_be_freed_from_its_handlers),
		WITH_FIXTURE(last_words_are_sent),
		WITH_FIXTURE(a_reply_before_the_close_is_read_although_writing_fails),
		WITH_FIXTURE(a_reply_before_a_reset_is_read),
		WITH_FIXTURE(freeing_before_the_first_attempt_is_fine),
		WITH_FIXTURE(impossible_paths_are_refused_at_once),
		WITH_FIXTURE(every_thread_may_have_its_own_loop_and_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
