/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests: each that was accepted is answered exactly once, whatever the other end does or leaves undone. */
#include "tests/unit/base/ipc_fixture.h"

#include "platforms/base/ipc_request.h"

enum { MAX = 4, REQUEST = 7, TIMEOUT_MS = 20, LONG_MS = 3600000 };

/* What was answered, in order. */
static struct {
	unsigned count;
	int status[16];
	uintptr_t which[16];
	size_t length;
	uint64_t value;
} answers;

static struct ipc_requests *requests;
static struct ipc_peer *client;

static void answered(void *arg, int status, const void *body, size_t length)
{
	assert_true(answers.count < 16);
	answers.status[answers.count] = status;
	answers.which[answers.count++] = (uintptr_t)arg;
	answers.length = length;
	if (status == 0 && length >= sizeof(answers.value))
		memcpy(&answers.value, body, sizeof(answers.value));
}

static void hand_over(struct recorder *r, struct ipc_peer *peer)
{
	(void)peer;
	ipc_requests_answer(requests, &r->frame, r->body);
}

static struct fixture *begin(void **state, uint64_t timeout_ms)
{
	struct fixture *f = *state;

	memset(&answers, 0, sizeof(answers));
	client = connected_pair(f);
	f->client_side.on_frame = hand_over;
	assert_int_equal(ipc_requests_new(&f->loop, MAX, timeout_ms, &requests), 0);
	return f;
}

static void end(void)
{
	ipc_peer_free(client);
	ipc_requests_free(requests, NULL, NULL);
}

static int ask(uintptr_t which)
{
	return ipc_request(
		requests, client, REQUEST, &which, sizeof(which), sizeof(uint64_t), answered, (void *)which);
}

/* The server's answer to the request that it got last. */
static void reply(struct fixture *f, uint16_t type, int16_t status, const void *body, size_t length)
{
	assert_int_equal(
		ipc_send(f->server_side.peer, type, status, f->server_side.frame.sequence, body, length), 0);
}

static void a_reply_finds_its_request_in_any_order(void **state)
{
	struct fixture *f = begin(state, LONG_MS);
	uint64_t sequence[3], value = 42;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ask(i + 1), 0);
		RUN_UNTIL(f, f->server_side.frames == i + 1);
		sequence[i] = f->server_side.frame.sequence;
	}
	assert_int_equal(answers.count, 0);
	static const unsigned order[] = { 1, 2, 0 };
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ipc_send(f->server_side.peer, REQUEST | IPC_REPLY, 0, sequence[order[i]],
					 &value, sizeof(value)),
			0);
	RUN_UNTIL(f, answers.count == 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(answers.status[i], 0);
		assert_int_equal(answers.which[i], order[i] + 1);
	}
	assert_int_equal(answers.value, 42);
	end();
}

static void a_second_reply_is_for_nobody_even_when_its_slot_is_in_use_again(void **state)
{
	struct fixture *f = begin(state, LONG_MS);
	uint64_t value = 1, first;

	assert_int_equal(ask(1), 0);
	RUN_UNTIL(f, f->server_side.frames == 1);
	first = f->server_side.frame.sequence;
	reply(f, REQUEST | IPC_REPLY, 0, &value, sizeof(value));
	RUN_UNTIL(f, answers.count == 1);
	for (uintptr_t i = 2; i < 2 + MAX; i++)
		assert_int_equal(ask(i), 0);
	assert_int_equal(
		ipc_send(f->server_side.peer, REQUEST | IPC_REPLY, 0, first, &value, sizeof(value)), 0);
	RUN_UNTIL(f, f->client_side.frames == 2);
	assert_int_equal(answers.count, 1);
	end();
	assert_int_equal(answers.count, 1 + MAX);
}

static void what_is_no_reply_to_the_request_is_an_error(void **state)
{
	struct fixture *f = begin(state, LONG_MS);
	uint64_t value = 1;
	const struct {
		uint16_t type;
		int16_t status;
		size_t length;
		int expected;
	} cases[] = {
		{ REQUEST | IPC_REPLY, 0, 4, -EBADMSG }, /* short */
		{ REQUEST | IPC_REPLY, 1, 8, -EBADMSG }, /* a status that is none */
		{ (REQUEST + 1) | IPC_REPLY, 0, 8, -EBADMSG }, /* to another question */
		{ REQUEST | IPC_REPLY, -ENOENT, 0, -ENOENT }, /* a refusal has no body */
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ask(i), 0);
		RUN_UNTIL(f, f->server_side.frames == i + 1);
		reply(f, cases[i].type, cases[i].status, &value, cases[i].length);
		RUN_UNTIL(f, answers.count == i + 1);
		assert_int_equal(answers.status[i], cases[i].expected);
		assert_int_equal(answers.which[i], i);
	}
	end();
}

static void silence_is_a_timeout_in_the_order_of_asking(void **state)
{
	struct fixture *f = begin(state, TIMEOUT_MS);

	/* The second lot is armed by the first one's timer. */
	for (unsigned lot = 0; lot < 2; lot++) {
		for (uintptr_t i = 0; i < 3; i++)
			assert_int_equal(ask(3 * lot + i), 0);
		RUN_UNTIL(f, answers.count == 3 * (lot + 1));
	}
	for (uintptr_t i = 0; i < 6; i++) {
		assert_int_equal(answers.status[i], -ETIMEDOUT);
		assert_int_equal(answers.which[i], i);
	}
	end();
}

static void no_more_than_the_limit_are_under_way(void **state)
{
	struct fixture *f = begin(state, LONG_MS);
	uint64_t value = 1;

	for (uintptr_t i = 0; i < MAX; i++)
		assert_int_equal(ask(i), 0);
	assert_int_equal(ask(99), -ENOBUFS);
	RUN_UNTIL(f, f->server_side.frames == MAX);
	reply(f, REQUEST | IPC_REPLY, 0, &value, sizeof(value));
	RUN_UNTIL(f, answers.count == 1);
	assert_int_equal(ask(100), 0);
	assert_int_equal(ask(101), -ENOBUFS);
	end();
}

static void what_could_not_be_sent_is_not_answered(void **state)
{
	static const uint8_t large[IPC_PACKET_MAX];

	begin(state, LONG_MS);
	for (unsigned i = 0; i < 2 * MAX; i++) {
		assert_int_equal(
			ipc_request(requests, client, REQUEST, large, sizeof(large), 0, answered, NULL),
			-EMSGSIZE);
		assert_int_equal(ipc_request(requests, client, 0, NULL, 0, 0, answered, NULL), -EINVAL);
	}
	assert_int_equal(ask(1), 0); /* they took no slot */
	end();
	assert_int_equal(answers.count, 1);
}

static void ask_again(void *arg, int status, const void *body, size_t length)
{
	answered(arg, status, body, length);
	assert_int_equal(ask(50), 0);
}

static void an_end_answers_those_under_way_and_not_what_is_asked_then(void **state)
{
	begin(state, LONG_MS);
	assert_int_equal(ipc_request(requests, client, REQUEST, NULL, 0, 0, ask_again, NULL), 0);
	assert_int_equal(ask(2), 0);
	ipc_requests_fail(requests, -ENOTCONN);
	assert_int_equal(answers.count, 2);
	assert_int_equal(answers.status[0], -ENOTCONN);
	assert_int_equal(answers.which[1], 2);
	ipc_requests_fail(requests, -ECANCELED);
	assert_int_equal(answers.count, 3);
	assert_int_equal(answers.which[2], 50);
	assert_int_equal(answers.status[2], -ECANCELED);
	ipc_requests_fail(requests, -ENOTCONN);
	assert_int_equal(answers.count, 3);
	end();
}

static void note_gone(void *arg)
{
	*(bool *)arg = true;
}

static void its_end_answers_at_once_and_is_told_later(void **state)
{
	struct fixture *f = begin(state, LONG_MS);
	bool gone = false;

	assert_int_equal(ask(1), 0);
	ipc_peer_free(client);
	ipc_requests_free(requests, note_gone, &gone);
	assert_int_equal(answers.count, 1);
	assert_int_equal(answers.status[0], -ENOTCONN);
	assert_false(gone);
	RUN_UNTIL(f, gone);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reply_finds_its_request_in_any_order),
		TEST(a_second_reply_is_for_nobody_even_when_its_slot_is_in_use_again),
		TEST(what_is_no_reply_to_the_request_is_an_error),
		TEST(silence_is_a_timeout_in_the_order_of_asking),
		TEST(no_more_than_the_limit_are_under_way),
		TEST(what_could_not_be_sent_is_not_answered),
		TEST(an_end_answers_those_under_way_and_not_what_is_asked_then),
		TEST(its_end_answers_at_once_and_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
