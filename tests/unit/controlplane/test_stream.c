/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP over TCP on real sockets of the loopback: what comes in pieces, what goes where, who is closed and why. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/reply.h"
#include "controlplane/stream_internal.h"
#include "tests/unit/controlplane/shard_fixture.h"

enum { ANSWER_MAX = 65536 };

struct world {
	struct config config;
	struct config_network_interface network;
	struct config_realm realm;
	struct config_sip_interface interface;
	struct config_endpoint endpoint[2];
	struct config_session_agent agent;
	struct shard shard;
	struct shard_private private;
	char answer[ANSWER_MAX];
};

static unsigned requests;
static struct sip_flow last_flow;

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	requests++;
	last_flow = *message_flow(request);
	assert_int_equal(transaction_reply(tr, 200, SPAN("t"), (struct span){ NULL, 0 }), 0);
}

static const struct transaction_core core = { .request = on_request };

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	static char name[] = "test", mirror[] = "no-such";

	assert_non_null(w);
	requests = 0;
	w->config.sip = (struct config_sip){
		SIP_TIMERS,
		SIP_MESSAGE_LIMITS,
		.shards = 1,
		.max_transactions = 1000,
		STREAM_LIMITS,
	};
	w->network.name = mirror;
	w->realm.network_interface = &w->network;
	w->interface.name = name;
	w->interface.realm = &w->realm;
	w->interface.listen = w->endpoint;
	w->interface.listen_count = 2;
	shard_fixture_port(&w->endpoint[0], "127.0.0.1", CONFIG_TRANSPORT_TCP);
	shard_fixture_port(&w->endpoint[1], "::1", CONFIG_TRANSPORT_TCP);
	w->config.sip_interfaces = &w->interface;
	w->config.sip_interfaces_count = 1;
	w->agent.realm = &w->realm;
	w->config.session_agents = &w->agent;
	shard_fixture_open(&w->shard, &w->private, &w->config);
	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(transaction_layer_open(&w->shard, &core), 0);
	assert_int_equal(transport_listeners_down(&w->shard), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	shard_fixture_close(&w->shard);
	free(w);
	return 0;
}

static uint64_t counter(const struct world *w, enum cp_counter id)
{
	return w->shard.counter[id];
}

static void turn(struct world *w)
{
	shard_fixture_turn(&w->shard);
}

static struct streams *streams_of(const struct world *w)
{
	return w->shard.transport->streams;
}

static uint64_t open_now(const struct world *w)
{
	return counter(w, CP_COUNTER_STREAM_OPENED) - counter(w, CP_COUNTER_STREAM_CLOSED);
}

static int dial(struct world *w, unsigned endpoint)
{
	const union address *to = &w->endpoint[endpoint].address;
	int fd = socket(to->sa.sa_family, SOCK_STREAM, 0);
	uint64_t before = counter(w, CP_COUNTER_STREAM_OPENED) + counter(w, CP_COUNTER_STREAM_REFUSED);

	assert_int_equal(connect(fd, &to->sa, address_length(to)), 0);
	while (counter(w, CP_COUNTER_STREAM_OPENED) + counter(w, CP_COUNTER_STREAM_REFUSED) == before)
		turn(w);
	return fd;
}

static void say(int fd, struct span text)
{
	assert_int_equal(send(fd, text.p, text.n, MSG_NOSIGNAL), (ssize_t)text.n);
}

/* What the peer reads until it has `length` octets, or the stream has ended. */
static size_t hear(struct world *w, int fd, size_t length)
{
	size_t got = 0;

	while (got < length) {
		ssize_t n = recv(fd, w->answer + got, length - got, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		got += n > 0 ? (size_t)n : 0;
		turn(w);
	}
	w->answer[got] = '\0';
	return got;
}

/* Until the other end has closed. */
static void hear_the_end(struct world *w, int fd)
{
	size_t n = hear(w, fd, ANSWER_MAX - 1);

	assert_true(n < ANSWER_MAX - 1);
}

static struct span options(char *text, size_t size, unsigned number, const char *extra)
{
	int n = snprintf(text, size,
		"OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5099;branch=z9hG4bK%u%s\r\nFrom: "
		"<sip:a@h>;tag=1\r\nTo: <sip:host>\r\n"
		"Call-ID: c%u\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
		number, extra, number);

	assert_true(n > 0 && (size_t)n < size);
	return (struct span){ text, (size_t)n };
}

static void hear_answers(struct world *w, int fd, unsigned count)
{
	unsigned heard = 0;
	size_t got = 0;

	while (heard < count) {
		ssize_t n = recv(fd, w->answer + got, ANSWER_MAX - 1 - got, MSG_DONTWAIT);
		const char *at = w->answer;

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		got += n > 0 ? (size_t)n : 0;
		w->answer[got] = '\0';
		for (heard = 0; (at = strstr(at, "SIP/2.0 200 OK\r\n")); at++)
			heard++;
		turn(w);
	}
}

/* --- tests --------------------------------------------------------------------------------------------------------- */

static void test_a_request_octet_by_octet_is_answered_on_its_connection(void **state)
{
	struct world *w = *state;
	char text[512];
	struct span request = options(text, sizeof(text), 1, "");

	for (unsigned endpoint = 0; endpoint < 2; endpoint++) {
		int fd = dial(w, endpoint);

		for (size_t i = 0; i < request.n; i++) {
			say(fd, (struct span){ request.p + i, 1 });
			for (unsigned n = 0; n < 3; n++)
				turn(w);
		}
		hear_answers(w, fd, 1);
		assert_non_null(
			strstr(w->answer, "Via: SIP/2.0/TCP 127.0.0.1:5099;branch=z9hG4bK1;received="));
		close(fd);
	}
	assert_int_equal(requests, 2);
	assert_int_equal(streams_of(w)->memory, 0);
}

static void test_many_messages_in_one_segment_are_answered_each(void **state)
{
	struct world *w = *state;
	char text[40 * 512];
	size_t n = 0;
	int fd = dial(w, 0);

	for (unsigned i = 0; i < 40; i++)
		n += options(text + n, sizeof(text) - n, i, "").n;
	say(fd, (struct span){ text, n });
	hear_answers(w, fd, 40);
	assert_int_equal(requests, 40);
	close(fd);
}

static void test_a_ping_gets_its_pong_and_a_pong_gets_nothing(void **state)
{
	struct world *w = *state;
	char text[512];
	int fd = dial(w, 0);

	say(fd, SPAN("\r\n"));
	while (counter(w, CP_COUNTER_RX_KEEP_ALIVE) == 0) {
		turn(w);
		say(fd, SPAN("\r\n"));
	}
	assert_int_equal(hear(w, fd, 2), 2);
	assert_string_equal(w->answer, "\r\n");
	close(fd);
	/* A single one in front of a message is nothing (RFC 3261 section 7.5). */
	fd = dial(w, 0);
	say(fd, SPAN("\r\n"));
	say(fd, options(text, sizeof(text), 1, ""));
	hear_answers(w, fd, 1);
	assert_memory_equal(w->answer, "SIP", 3);
	close(fd);
}

static void test_a_broken_stream_is_answered_once_and_closed(void **state)
{
	struct world *w = *state;
	int fd = dial(w, 0);

	say(fd, SPAN("OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKq\r\nFrom: "
		     "<sip:a@h>;tag=1\r\n"
		     "To: <sip:host>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
		     "OPTIONS sip:host SIP/2.0\r\n"));
	hear_the_end(w, fd);
	assert_memory_equal(w->answer, "SIP/2.0 400 ", 12);
	assert_null(strstr(w->answer + 1, "SIP/2.0 400 "));
	assert_int_equal(counter(w, CP_COUNTER_STREAM_BROKEN), 1);
	close(fd);
	while (open_now(w))
		turn(w);
	fd = dial(w, 0);
	say(fd, SPAN("\x16\x03\x01\r\n\r\n"));
	hear_the_end(w, fd);
	assert_int_equal(strlen(w->answer), 0);
	close(fd);
}

static void test_via_must_name_the_transport(void **state)
{
	struct world *w = *state;
	int fd = dial(w, 0);

	say(fd, SPAN("OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\nFrom: "
		     "<sip:a@h>;tag=1\r\n"
		     "To: <sip:host>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
	assert_int_equal(hear(w, fd, 12), 12);
	assert_memory_equal(w->answer, "SIP/2.0 400 ", 12);
	close(fd);
}

static void test_who_says_nothing_or_half_a_message_is_turned_out(void **state)
{
	struct world *w = *state;
	int fd;

	w->config.sip.stream_first_byte_timeout = 0;
	fd = dial(w, 0);
	hear_the_end(w, fd);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_TIMED_OUT), 1);
	close(fd);
	w->config.sip.stream_first_byte_timeout = 100;
	w->config.sip.stream_message_timeout = 0;
	fd = dial(w, 0);
	say(fd, SPAN("OPTIONS sip:host"));
	hear_the_end(w, fd);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_TIMED_OUT), 2);
	assert_int_equal(streams_of(w)->memory, 0);
	close(fd);
}

static void test_an_idle_connection_is_closed(void **state)
{
	struct world *w = *state;
	char text[512];
	int fd = dial(w, 0);

	w->config.sip.stream_idle_timeout = 0;
	say(fd, options(text, sizeof(text), 1, ""));
	hear_the_end(w, fd);
	assert_memory_equal(w->answer, "SIP/2.0 200 ", 12);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_TIMED_OUT), 1);
	close(fd);
}

/* Tells the peer of `fd` so much that nobody can keep it. */
static void flood(struct world *w, const struct sip_flow *flow)
{
	static char text[60000];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 1000 && counter(w, CP_COUNTER_STREAM_TOO_SLOW) == 0; i++) {
		if (transport_send(flow, (struct span){ text, sizeof(text) }) < 0)
			break;
		turn(w);
	}
}

static void test_who_does_not_read_is_closed_when_his_queue_is_full(void **state)
{
	struct world *w = *state;
	char text[512];
	int fd = dial(w, 0);

	say(fd, options(text, sizeof(text), 1, ""));
	hear_answers(w, fd, 1);
	flood(w, &last_flow);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_TOO_SLOW), 1);
	while (streams_of(w)->memory)
		turn(w);
	assert_int_equal(open_now(w), 0);
	close(fd);
}

static void test_limits_of_a_source_and_in_all(void **state)
{
	struct world *w = *state;
	char text[512];
	int first, second, third, admitted;

	/* The census took its limits when it was made. */
	transport_close(&w->shard);
	w->config.sip.stream_max_connections = 3;
	w->config.sip.stream_max_per_source = 3;
	assert_int_equal(transport_open(&w->shard), 0);
	admitted = dial(w, 0);
	say(admitted, options(text, sizeof(text), 1, ""));
	hear_answers(w, admitted, 1);
	first = dial(w, 0);
	second = dial(w, 0);
	third = dial(w, 0);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_REFUSED), 1);
	hear_the_end(w, third);
	/* Another source: the stranger that has been there longest gives way, not who was let in. */
	close(third);
	third = dial(w, 1);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_GAVE_WAY), 1);
	hear_the_end(w, first);
	say(admitted, options(text, sizeof(text), 2, ""));
	hear_answers(w, admitted, 1);
	close(admitted), close(first), close(second), close(third);
}

static void test_a_session_agent_never_gives_way_and_is_let_in_when_full(void **state)
{
	struct world *w = *state;
	int agent, stranger, another;

	transport_close(&w->shard);
	w->config.sip.stream_max_connections = 1;
	w->config.session_agents_count = 1;
	assert_int_equal(address_parse(SPAN("127.0.0.1:5060"), 0, &w->agent.address.address), 0);
	assert_int_equal(transport_open(&w->shard), 0);
	agent = dial(w, 0);
	another = dial(w, 0);
	stranger = dial(w, 1);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_REFUSED), 1);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_GAVE_WAY), 0);
	assert_int_equal(open_now(w), 2);
	close(agent), close(stranger), close(another);
}

static int listening_peer(union address *at)
{
	socklen_t length = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(address_parse_host(SPAN("127.0.0.1"), at), 0);
	assert_int_equal(bind(fd, &at->sa, address_length(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &at->sa, &length), 0);
	return fd;
}

static void test_a_connection_is_made_once_and_used_again(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .listener = transport_listener(&w->shard, 0) };
	int peer = listening_peer(&flow.remote), fd;

	assert_int_equal(transport_connect(&flow), 0);
	assert_true(flow.connection);
	assert_int_equal(transport_send(&flow, SPAN("one")), 0);
	flow.connection = 0;
	assert_int_equal(transport_send(&flow, SPAN("two")), 0);
	fd = accept(peer, NULL, NULL);
	assert_int_equal(hear(w, fd, 6), 6);
	assert_string_equal(w->answer, "onetwo");
	assert_int_equal(counter(w, CP_COUNTER_STREAM_OPENED), 1);
	/* It ends: the next message makes another. */
	close(fd);
	while (open_now(w))
		turn(w);
	assert_int_equal(transport_send(&flow, SPAN("three")), 0);
	fd = accept(peer, NULL, NULL);
	assert_int_equal(hear(w, fd, 5), 5);
	close(fd), close(peer);
}

static void test_a_response_without_its_connection_goes_to_sent_by_at_the_same_host(void **state)
{
	struct world *w = *state;
	char text[512], extra[1] = "";
	struct sip_flow flow = { 0 };
	union address at;
	int peer = listening_peer(&at), fd = dial(w, 0);

	say(fd, options(text, sizeof(text), 1, extra));
	hear_answers(w, fd, 1);
	close(fd);
	while (open_now(w))
		turn(w);
	flow = last_flow;
	address_set_port(&flow.remote, address_port(&at));
	assert_int_equal(transport_send(&flow, SPAN("late")), 0);
	fd = accept(peer, NULL, NULL);
	assert_int_equal(hear(w, fd, 4), 4);
	close(fd), close(peer);
}

static void test_an_answer_without_state_calls_nobody_back(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .listener = transport_listener(&w->shard, 0) };
	int peer = listening_peer(&flow.remote);

	assert_int_equal(reply_send(&flow, SPAN("no")), -ENOTCONN);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_OPENED), 0);
	close(peer);
}

static void test_alias_of_a_session_agent_is_used_and_a_strangers_is_not(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .listener = transport_listener(&w->shard, 0) };
	char text[512];
	int fd;

	assert_int_equal(address_parse(SPAN("127.0.0.1:5099"), 0, &flow.remote), 0);
	fd = dial(w, 0);
	say(fd, options(text, sizeof(text), 1, ";alias"));
	hear_answers(w, fd, 1);
	assert_null(connection_find_reached(streams_of(w), flow.listener, &flow.remote, NULL));
	close(fd);
	w->config.session_agents_count = 1;
	w->agent.address.address = flow.remote;
	fd = dial(w, 0);
	say(fd, options(text, sizeof(text), 2, ";alias"));
	hear_answers(w, fd, 1);
	assert_int_equal(transport_send(&flow, SPAN("to the alias")), 0);
	assert_int_equal(hear(w, fd, 12), 12);
	assert_string_equal(w->answer, "to the alias");
	close(fd);
}

static enum transaction_end how_ended;
static unsigned ends;

static void on_ended(void *arg, struct transaction *tr, enum transaction_end how)
{
	(void)arg, (void)tr;
	how_ended = how;
	ends++;
}

static const struct transaction_events client_events = { .ended = on_ended };

static void test_a_refused_or_broken_connection_ends_its_requests_at_once(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .listener = transport_listener(&w->shard, 0) };
	int peer = listening_peer(&flow.remote), fd;
	char text[512];

	ends = 0;
	assert_int_equal(transaction_request(&w->shard, &flow, options(text, sizeof(text), 1, ""),
				 &client_events, NULL, NULL),
		0);
	fd = accept(peer, NULL, NULL);
	assert_true(hear(w, fd, 10) == 10);
	close(fd);
	while (ends == 0)
		turn(w);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
	close(peer);
	assert_int_equal(transaction_request(&w->shard, &flow, options(text, sizeof(text), 2, ""),
				 &client_events, NULL, NULL),
		0);
	while (ends == 1)
		turn(w);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
	assert_true(counter(w, CP_COUNTER_STREAM_UNREACHED) > 0);
}

static void test_pings_go_to_session_agents(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .listener = transport_listener(&w->shard, 0) };
	int peer = listening_peer(&flow.remote), fd;

	w->config.sip.stream_keep_alive = 1;
	w->config.session_agents_count = 1;
	w->agent.address.address = flow.remote;
	assert_int_equal(transport_connect(&flow), 0);
	fd = accept(peer, NULL, NULL);
	assert_int_equal(hear(w, fd, 4), 4);
	assert_string_equal(w->answer, "\r\n\r\n");
	/* Its pong is no half of a ping. */
	say(fd, SPAN("\r\n"));
	assert_int_equal(hear(w, fd, 4), 4);
	say(fd, SPAN("\r\n"));
	assert_int_equal(hear(w, fd, 4), 4);
	assert_int_equal(counter(w, CP_COUNTER_RX_KEEP_ALIVE), 0);
	close(fd), close(peer);
}

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long size = 0, pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &size, &pages), 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* An idle connection has no buffer: what it takes of us is printed, and stays under 16 KB by far. */
static void test_memory_of_an_idle_connection(void **state)
{
	enum { COUNT = 1500 };
	struct world *w = *state;
	char text[512];
	static int fd[COUNT];
	size_t before, each;

	/* The first makes what all share. */
	close(dial(w, 0));
	before = resident();
	for (unsigned i = 0; i < COUNT; i++) {
		fd[i] = dial(w, 0);
		say(fd[i], options(text, sizeof(text), i, ""));
		hear_answers(w, fd[i], 1);
	}
	each = (resident() - before) / COUNT;
	print_message("memory of an idle connection: %zu octets\n", each);
	assert_int_equal(streams_of(w)->memory, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(each < 16384);
#endif
	assert_true(sizeof(struct connection) < 1024);
	for (unsigned i = 0; i < COUNT; i++)
		close(fd[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_request_octet_by_octet_is_answered_on_its_connection),
		TEST(test_many_messages_in_one_segment_are_answered_each),
		TEST(test_a_ping_gets_its_pong_and_a_pong_gets_nothing),
		TEST(test_a_broken_stream_is_answered_once_and_closed),
		TEST(test_via_must_name_the_transport),
		TEST(test_who_says_nothing_or_half_a_message_is_turned_out),
		TEST(test_an_idle_connection_is_closed),
		TEST(test_who_does_not_read_is_closed_when_his_queue_is_full),
		TEST(test_limits_of_a_source_and_in_all),
		TEST(test_a_session_agent_never_gives_way_and_is_let_in_when_full),
		TEST(test_a_connection_is_made_once_and_used_again),
		TEST(test_a_response_without_its_connection_goes_to_sent_by_at_the_same_host),
		TEST(test_an_answer_without_state_calls_nobody_back),
		TEST(test_alias_of_a_session_agent_is_used_and_a_strangers_is_not),
		TEST(test_a_refused_or_broken_connection_ends_its_requests_at_once),
		TEST(test_pings_go_to_session_agents),
		TEST(test_memory_of_an_idle_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
