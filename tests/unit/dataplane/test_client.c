/* SPDX-License-Identifier: BSD-3-Clause */
/* The client: each request accepted is answered exactly once, whatever the other end does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/client.h"
#include "platforms/base/ipc.h"

/* The other end does what a test tells it. */
enum behaviour { ANSWER, SHORT_ANSWER, REFUSE, SAY_NOTHING, HANG_UP };

struct bench {
	uv_loop_t loop;
	struct ipc_server *server;
	struct ipc_peer *peer;
	struct dp_client *client;
	enum behaviour behaviour;
	unsigned up, down, subscribed, answers, events, samples;
	uint32_t flags; /* of the subscription */
	int status;
	size_t length;
	char path[64];
};

static void server_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	(void)hello;
	(void)fresh;
	((struct bench *)arg)->peer = peer;
}

static void server_down(void *arg, struct ipc_peer *peer)
{
	(void)peer;
	((struct bench *)arg)->peer = NULL;
}

static void server_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *f, const void *body)
{
	struct bench *b = arg;
	struct dp_stats stats = { .sessions = 5 };
	uint16_t type = (uint16_t)(f->type | DP_REPLY);

	if (f->type == DP_SUBSCRIBE) {
		b->subscribed++;
		b->flags = ((const struct dp_subscribe *)body)->flags;
		(void)ipc_send(peer, type, 0, f->sequence, NULL, 0);
		return;
	}
	switch (b->behaviour) {
	case ANSWER:
		(void)ipc_send(peer, type, 0, f->sequence, &stats, sizeof(stats));
		(void)ipc_send(peer, type, 0, f->sequence, &stats, sizeof(stats)); /* twice: once counts */
		break;
	case SHORT_ANSWER:
		(void)ipc_send(peer, type, 0, f->sequence, &stats, 8);
		break;
	case REFUSE:
		(void)ipc_send(peer, type, -ENOENT, f->sequence, NULL, 0);
		break;
	case SAY_NOTHING:
		break;
	case HANG_UP:
		ipc_peer_free(peer);
		break;
	}
}

static void client_up(void *arg, bool fresh)
{
	(void)fresh;
	((struct bench *)arg)->up++;
}

static void client_down(void *arg)
{
	((struct bench *)arg)->down++;
}

static void client_event(void *arg, enum dp_message type, const struct dp_event *event)
{
	struct bench *b = arg;

	assert_int_equal(type, DP_EVENT_LATCHED);
	assert_int_equal(event->session, 99);
	b->events++;
}

static void client_sample(void *arg, const struct dp_sample *sample, const uint8_t *octets)
{
	struct bench *b = arg;

	assert_int_equal(sample->captured, 4);
	assert_memory_equal(octets, "\1\2\3\4", 4);
	b->samples++;
}

static void answered(void *arg, int status, const void *body, size_t length)
{
	struct bench *b = arg;

	b->answers++;
	b->status = status;
	b->length = length;
	if (status == 0)
		assert_int_equal(((const struct dp_stats *)body)->sessions, 5);
}

static void open_bench(struct bench *b, enum behaviour behaviour)
{
	static const struct ipc_handlers server = {
		.up = server_up, .down = server_down, .frame = server_frame
	};
	static const struct dp_client_handlers client = {
		.up = client_up, .down = client_down, .event = client_event, .sample = client_sample
	};
	struct ipc_hello hello;

	*b = (struct bench){ .behaviour = behaviour };
	snprintf(b->path, sizeof(b->path), "/tmp/sp-client-%d.sock", (int)getpid());
	assert_int_equal(uv_loop_init(&b->loop), 0);
	ipc_hello_fill(&hello, "dataplane", DP_API_VERSION, 7);
	assert_int_equal(ipc_listen(&b->loop, b->path, &hello, &server, b, &b->server), 0);
	assert_int_equal(dp_client_new(&b->loop, b->path, "test", 1, 3, &client, b, &b->client), 0);
	assert_int_equal(dp_client_request(b->client, DP_STATS, NULL, 0, answered, b), -ENOTCONN);
	while (b->up == 0 || b->subscribed == 0)
		uv_run(&b->loop, UV_RUN_ONCE);
}

static void close_bench(struct bench *b)
{
	dp_client_free(b->client);
	ipc_server_free(b->server);
	while (uv_run(&b->loop, UV_RUN_DEFAULT) != 0)
		continue;
	assert_int_equal(uv_loop_close(&b->loop), 0);
}

static void run_until_answered(struct bench *b, unsigned answers)
{
	while (b->answers < answers)
		uv_run(&b->loop, UV_RUN_ONCE);
}

static void an_answer_comes_once_even_if_sent_twice(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, ANSWER);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	assert_int_equal(b.answers, 0); /* never before the return */
	run_until_answered(&b, 100);
	for (unsigned i = 0; i < 10; i++)
		uv_run(&b.loop, UV_RUN_NOWAIT);
	assert_int_equal(b.answers, 100);
	assert_int_equal(b.status, 0);
	assert_string_equal(dp_client_hello(b.client)->process, "dataplane");
	close_bench(&b);
}

static void a_short_answer_and_a_refusal_are_errors(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, SHORT_ANSWER);
	assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	run_until_answered(&b, 1);
	assert_int_equal(b.status, -EBADMSG);
	b.behaviour = REFUSE;
	assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	run_until_answered(&b, 2);
	assert_int_equal(b.status, -ENOENT);
	close_bench(&b);
}

static void silence_is_a_timeout(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, SAY_NOTHING);
	assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	run_until_answered(&b, 1);
	assert_int_equal(b.status, -ETIMEDOUT);
	assert_true(dp_client_is_up(b.client));
	close_bench(&b);
}

static void a_lost_connection_answers_and_comes_back(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, HANG_UP);
	assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	run_until_answered(&b, 1);
	assert_int_equal(b.status, -ENOTCONN);
	while (b.down == 0)
		uv_run(&b.loop, UV_RUN_ONCE);
	while (b.up < 2 || b.subscribed < 2)
		uv_run(&b.loop, UV_RUN_ONCE);
	close_bench(&b);
}

static void freeing_answers_what_is_under_way(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, SAY_NOTHING);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(dp_client_request(b.client, DP_STATS, NULL, 0, answered, &b), 0);
	close_bench(&b);
	assert_int_equal(b.answers, 3);
	assert_int_equal(b.status, -ENOTCONN);
}

static void events_arrive(void **state)
{
	struct bench b;
	struct dp_event e = { .session = 99 };

	(void)state;
	open_bench(&b, ANSWER);
	assert_int_equal(ipc_send(b.peer, DP_EVENT_LATCHED, 0, 0, &e, sizeof(e)), 0);
	assert_int_equal(ipc_send(b.peer, DP_EVENT_LATCHED, 0, 0, &e, 8), 0); /* too short: ignored */
	while (b.events == 0)
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_int_equal(b.events, 1);
	close_bench(&b);
}

static void a_sample_arrives_with_its_octets_and_a_torn_one_does_not(void **state)
{
	struct {
		struct dp_sample sample;
		uint8_t octets[DP_SAMPLE_MAX + 8];
	} message = { .sample = { .captured = 4 }, .octets = { 1, 2, 3, 4 } };
	struct bench b;

	(void)state;
	open_bench(&b, ANSWER);
	assert_int_equal(b.flags, DP_SUBSCRIBE_SAMPLES);
	message.sample.captured = 9; /* more than there are */
	assert_int_equal(
		ipc_send(b.peer, DP_EVENT_DROP_SAMPLE, 0, 0, &message, sizeof(message.sample) + 8), 0);
	message.sample.captured = DP_SAMPLE_MAX + 1; /* more than there may be */
	assert_int_equal(ipc_send(b.peer, DP_EVENT_DROP_SAMPLE, 0, 0, &message, sizeof(message)), 0);
	assert_int_equal(ipc_send(b.peer, DP_EVENT_DROP_SAMPLE, 0, 0, &message, 8), 0);
	message.sample.captured = 4;
	assert_int_equal(
		ipc_send(b.peer, DP_EVENT_DROP_SAMPLE, 0, 0, &message, sizeof(message.sample) + 8), 0);
	while (b.samples == 0)
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_int_equal(b.samples, 1);
	assert_int_equal(b.events, 0);
	close_bench(&b);
}

static void addresses_survive_the_way_through_the_api(void **state)
{
	static const char *const texts[] = { "192.0.2.1:5060", "[2001:db8::1]:40000" };
	union address a, back;
	struct dp_address wire;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(address_parse(span_from(texts[i]), 0, &a), 0);
		dp_address_from(&wire, &a);
		dp_address_to(&wire, &back);
		assert_true(address_equal(&a, &back));
	}
	a = (union address){ 0 };
	dp_address_from(&wire, &a);
	assert_int_equal(wire.family, 0);
	dp_address_to(&wire, &back);
	assert_false(address_is_set(&back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_once_even_if_sent_twice),
		cmocka_unit_test(a_short_answer_and_a_refusal_are_errors),
		cmocka_unit_test(silence_is_a_timeout),
		cmocka_unit_test(a_lost_connection_answers_and_comes_back),
		cmocka_unit_test(freeing_answers_what_is_under_way),
		cmocka_unit_test(events_arrive),
		cmocka_unit_test(a_sample_arrives_with_its_octets_and_a_torn_one_does_not),
		cmocka_unit_test(addresses_survive_the_way_through_the_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
