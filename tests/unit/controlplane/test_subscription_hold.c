/* SPDX-License-Identifier: BSD-3-Clause */
/* NOTIFYs whose bodies name dialogs of another shard: they wait for it, in order, and not for ever. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/shard_internal.h"
#include "controlplane/subscription.h"
#include "controlplane/transport_internal.h"

enum { SHARDS = 2 };

static struct call_world *world[SHARDS];
static struct shard *shards[SHARDS];
static uv_loop_t loop;
static char invite[FIXTURE_TEXT_MAX], subscribed[FIXTURE_TEXT_MAX], body[1024];
static char dialog[] = "dialog";
static char *packages[] = { dialog };

/* The value of a tag in From or To. */
static void tag_of(const char *message, const char *header, char *out, size_t size)
{
	char line[512];
	const char *tag;

	tag = strstr(line_of(message, header, line, sizeof(line)), ";tag=");
	assert_non_null(tag);
	snprintf(out, size, "%.*s", (int)strcspn(tag + 5, "\r;"), tag + 5);
}

/* A subscription on shard 0, a call on shard 1: its callee, who notifies, names his dialog in `body`. */
static int setup(void **state)
{
	char call_id[512], tag[64];
	struct hash_key key;

	(void)state;
	hash_key_random(&key);
	uv_loop_init(&loop);
	for (unsigned i = 0; i < SHARDS; i++) {
		world[i] = world_new();
		shards[i] = &world[i]->f->shard;
		shards[i]->index = i;
		shards[i]->shard_key = key;
		if (mailbox_new(&loop, shards[i], 64, &world[i]->f->private.mailbox) < 0)
			return -1;
	}
	world[1]->f->peer.listener->interface = &world[0]->f->interface;
	shards[1]->config = shards[0]->config;
	world[0]->f->config.sip.event_packages = (struct config_strings){ packages, 1 };
	establish(world[1], invite);
	line_of(invite, "Call-ID", call_id, sizeof(call_id));
	call_id[strcspn(call_id, "\r")] = '\0';
	tag_of(invite, "From", tag, sizeof(tag));
	snprintf(body, sizeof(body),
		"<dialog-info version=\"1\" state=\"full\" entity=\"sip:1000@192.0.2.10\"><dialog id=\"1\" "
		"call-id=\"%s\" local-tag=\"pbx1\" "
		"remote-tag=\"%s\"><state>confirmed</state></dialog></dialog-info>",
		call_id + strlen("Call-ID: "), tag);
	caller_sends(world[0], "SUBSCRIBE", 1, NULL, "Event: dialog\r\nExpires: 600\r\n", NO_SDP);
	snprintf(subscribed, sizeof(subscribed), "%s", take(world[0], &world[0]->f->other, "SUBSCRIBE "));
	respond(world[0], &world[0]->f->other, subscribed, 200, "pbx9", "Expires: 300\r\n", NO_SDP);
	take(world[0], &world[0]->f->peer, "SIP/2.0 200 ");
	for (unsigned i = 0; i < SHARDS; i++) {
		shards[i]->count = SHARDS;
		shards[i]->all = shards;
	}
	return 0;
}

static void drain(void)
{
	for (unsigned i = 0; i < 2 * SHARDS; i++)
		mailbox_drain(world[(i + 1) % SHARDS]->f->private.mailbox);
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARDS; i++)
		transaction_layer_close(shards[i]);
	drain();
	for (unsigned i = 0; i < SHARDS; i++)
		mailbox_free(world[i]->f->private.mailbox);
	for (unsigned i = SHARDS; i-- > 0;)
		world_free(world[i]);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void notifies(unsigned cseq, const char *text)
{
	char from[512], to[512], call_id[512];

	line_of(subscribed, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	line_of(subscribed, "From", from, sizeof(from));
	fixture_receive(world[0]->f, &world[0]->f->other,
		"NOTIFY sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKn%u\r\n"
		"Max-Forwards: 70\r\nFrom: %s;tag=pbx9\r\nTo: %s%sCSeq: %u NOTIFY\r\n"
		"Contact: <sip:there@192.0.2.10:5080>\r\nEvent: dialog\r\nSubscription-State: "
		"active;expires=%u\r\n"
		"Content-Type: application/dialog-info+xml\r\nContent-Length: %zu\r\n\r\n%s",
		cseq, to + strlen("To: "), from + strlen("From: "),
		line_of(subscribed, "Call-ID", call_id, sizeof(call_id)), cseq, 100 + cseq, strlen(text),
		text);
}

static const char *heard(unsigned expires)
{
	char state[64];

	take(world[0], &world[0]->f->peer, "NOTIFY ");
	snprintf(state, sizeof(state), "Subscription-State: active;expires=%u\r\n", expires);
	assert_contains(world[0]->taken, state);
	return world[0]->taken;
}

static void test_a_notify_waits_for_the_names_and_the_next_one_waits_behind_it(void **state)
{
	(void)state;
	notifies(1, body);
	notifies(2, "<dialog-info version=\"2\" state=\"full\" entity=\"sip:1000@192.0.2.10\"/>");
	assert_false(was_sent(world[0], &world[0]->f->peer, "NOTIFY "));
	drain();
	/* The caller's Call-ID is his own: such a dialog has no name on his side (0054), but it has been looked for. */
	assert_contains(heard(101), "<state>confirmed</state>");
	assert_contains(heard(102), "version=\"2\"");
	notifies(3, body);
	drain();
	heard(103);
}

static void test_a_shard_that_does_not_answer_costs_no_more_than_the_names(void **state)
{
	(void)state;
	notifies(1, body);
	fixture_pass(world[0]->f, shards[0]->config->sip.t2_ms - 100);
	assert_false(was_sent(world[0], &world[0]->f->peer, "NOTIFY "));
	fixture_pass(world[0]->f, 200);
	assert_null(strstr(heard(101), "call-id"));
	/* Too late. */
	drain();
	assert_false(was_sent(world[0], &world[0]->f->peer, "NOTIFY "));
}

static void test_more_than_may_wait_are_told_to_come_again(void **state)
{
	unsigned most = shards[0]->config->sip.max_dialog_requests;

	(void)state;
	for (unsigned n = 1; n <= most; n++)
		notifies(n, body);
	assert_false(was_sent(world[0], &world[0]->f->other, "SIP/2.0 500 "));
	notifies(most + 1, body);
	assert_contains(take(world[0], &world[0]->f->other, "SIP/2.0 500 "), "Retry-After: 1\r\n");
	drain();
	for (unsigned n = 1; n <= most; n++)
		heard(100 + n);
}

/* Nobody is left to be told, and nothing to be freed. */
static void test_an_answer_that_finds_the_shard_closed_is_dropped(void **state)
{
	(void)state;
	notifies(1, body);
	notifies(2, body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_notify_waits_for_the_names_and_the_next_one_waits_behind_it),
		TEST(test_a_shard_that_does_not_answer_costs_no_more_than_the_names),
		TEST(test_more_than_may_wait_are_told_to_come_again),
		TEST(test_an_answer_that_finds_the_shard_closed_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
