/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests under way: who waits for which, for how long, and where they come back to. */
#include "controlplane/api_test.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/mailbox.h"
#include "controlplane/probe.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/token_bucket.h"

enum {
	TESTS_MAX = 8,
	TICK_MS = 200,
	WAIT_MS = 1000,
	FORGET_MS = 10000,
	RATE = 5, /* per second, and at once: nobody is flooded by tests */
	BURST = 30,
};

_Static_assert(sizeof(struct cp_test_report) < IPC_PACKET_MAX - 64, "a report fits into a packet");
_Static_assert(sizeof(struct cp_test) % 8 == 0 && sizeof(struct cp_test_target) % 8 == 0 &&
		       sizeof(struct cp_test_report) % 8 == 0,
	"the API's layout has no padding of the compiler's");

struct api_test {
	struct probe_order
		order; /* first: it comes back by its address. owner: the shard, until it is back */
	struct api_test *next;
	struct api_tests *tests;
	uint64_t number;
	bool is_back;
	struct ipc_peer *peer; /* who waits; NULL: nobody */
	uint64_t sequence;
	uint64_t asked_ms; /* when last asked for */
};

struct api_tests {
	struct shard *shard;
	struct mailbox *mailbox;
	uv_timer_t *timer;
	struct token_bucket rate;
	struct api_test *first;
	uint64_t last_number;
};

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static void answer(const struct api_test *test, int status)
{
	struct cp_test_report report;

	if (!test->peer)
		return;
	memset(&report, 0, sizeof(report));
	if (test->is_back)
		report = test->order.report;
	report.test = test->number;
	ipc_send(test->peer, (uint16_t)(test->order.type + CP_REPLY), (int16_t)status, test->sequence,
		&report, status ? 0 : sizeof(report));
}

static void forget(struct api_test *test)
{
	struct api_test **at = &test->tests->first;

	while (*at != test)
		at = &(*at)->next;
	*at = test->next;
	free(test);
}

static void settle(struct api_test *test, uint64_t now)
{
	if (test->is_back && test->peer) {
		answer(test, test->order.status);
		forget(test);
	} else if (test->peer && now - test->asked_ms >= WAIT_MS) {
		answer(test, 0);
		test->peer = NULL;
	} else if (test->is_back && now - test->asked_ms >= FORGET_MS) {
		forget(test);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct api_tests *tests = timer->data;
	struct api_test *test = tests->first, *next;
	uint64_t now = clock_now_ms();

	for (; test; test = next) {
		next = test->next;
		settle(test, now);
	}
	if (!tests->first)
		uv_timer_stop(timer);
}

/* --- to the shard and back ------------------------------------------------------------------------------------------------ */

static void came_back(void *owner, void *arg)
{
	struct api_test *test = arg;

	(void)owner;
	test->is_back = true;
	settle(test, clock_now_ms());
}

/* On the shard's thread. There is room: the mailbox holds more than all tests. */
static void probe_done(struct probe_order *order)
{
	struct api_test *test = (struct api_test *)(void *)order;

	mailbox_post(test->tests->mailbox, came_back, test);
}

static void begin(struct shard *shard, void *arg)
{
	struct api_test *test = arg;

	probe_begin(shard, &test->order);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

static void wait_for(struct api_test *test, struct ipc_peer *peer, const struct ipc_frame *frame)
{
	test->peer = peer;
	test->sequence = frame->sequence;
	test->asked_ms = clock_now_ms();
	settle(test, test->asked_ms);
}

static int order(struct api_tests *tests, struct ipc_peer *peer, const struct ipc_frame *frame,
	const struct cp_test *wanted)
{
	struct api_test *test;
	unsigned count = 0;
	int error;

	for (test = tests->first; test; test = test->next, count++)
		if (test->order.type == (enum cp_message)frame->type && !test->is_back &&
			strcmp(test->order.subject, wanted->subject) == 0)
			return -EALREADY;
	test = count < TESTS_MAX && token_bucket_take(&tests->rate, 1, clock_now_us())
		       ? calloc(1, sizeof(*test))
		       : NULL;
	if (!test)
		return -EBUSY;
	test->order.type = (enum cp_message)frame->type;
	memcpy(test->order.subject, wanted->subject, sizeof(test->order.subject));
	test->order.done = probe_done;
	test->tests = tests;
	test->number = ++tests->last_number;
	error = shard_post(tests->shard, begin, test);
	if (error) {
		free(test);
		return error;
	}
	log_notice("api", frame->type == CP_TEST_AGENT ? "session-agent is tested" : "registration is tested",
		LOG_TEXT("subject", wanted->subject), LOG_TEXT("who", wanted->who));
	test->next = tests->first;
	tests->first = test;
	uv_timer_start(tests->timer, on_tick, TICK_MS, TICK_MS);
	wait_for(test, peer, frame);
	return 0;
}

static int ask_again(
	struct api_tests *tests, struct ipc_peer *peer, const struct ipc_frame *frame, uint64_t number)
{
	struct api_test *test = tests->first;

	while (test && (test->number != number || test->order.type != (enum cp_message)frame->type))
		test = test->next;
	if (!test)
		return -ENOENT;
	wait_for(test, peer, frame);
	return 0;
}

int api_tests_frame(
	struct api_tests *tests, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct cp_test wanted;
	int error;

	if ((frame->type != CP_TEST_AGENT && frame->type != CP_TEST_REGISTRATION) ||
		frame->length < sizeof(wanted))
		return -EINVAL;
	memcpy(&wanted, body, sizeof(wanted));
	wanted.subject[sizeof(wanted.subject) - 1] = wanted.who[sizeof(wanted.who) - 1] = '\0';
	error = wanted.test ? ask_again(tests, peer, frame, wanted.test) : order(tests, peer, frame, &wanted);
	if (error)
		ipc_send(peer, (uint16_t)(frame->type + CP_REPLY), (int16_t)error, frame->sequence, NULL, 0);
	return 0;
}

void api_tests_down(struct api_tests *tests, const struct ipc_peer *peer)
{
	for (struct api_test *test = tests->first; test; test = test->next)
		if (test->peer == peer)
			test->peer = NULL;
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

struct api_tests *api_tests_new(uv_loop_t *loop, struct shard *shard)
{
	struct api_tests *tests = calloc(1, sizeof(*tests));

	if (!tests)
		return NULL;
	tests->shard = shard;
	token_bucket_init(&tests->rate, RATE, BURST, clock_now_us());
	tests->timer = calloc(1, sizeof(*tests->timer));
	if (!tests->timer || mailbox_new(loop, tests, 2 * TESTS_MAX, &tests->mailbox)) {
		free(tests->timer);
		free(tests);
		return NULL;
	}
	uv_timer_init(loop, tests->timer);
	tests->timer->data = tests;
	return tests;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void api_tests_free(struct api_tests *tests)
{
	if (!tests)
		return;
	for (struct api_test *test = tests->first; test; test = test->next)
		test->peer = NULL;
	mailbox_free(tests->mailbox);
	while (tests->first)
		forget(tests->first);
	uv_close((uv_handle_t *)tests->timer, on_closed);
	free(tests);
}
