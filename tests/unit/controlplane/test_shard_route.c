/* SPDX-License-Identifier: BSD-3-Clause */
/* Which shard a message goes to, and that it gets there whole. */
#include "tests/unit/controlplane/sip_fixture.h"

enum { SHARDS = 3 };

static struct fixture *fixtures[SHARDS];
static struct shard *shards[SHARDS];
static uv_loop_t loop;
static unsigned requests[SHARDS];

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)request;
	requests[shard->index]++;
	assert_int_equal(transaction_reply(tr, 200, SPAN("t"), (struct span){ NULL, 0 }), 0);
}

static const struct transaction_core core = { .request = on_request };

static int setup(void **state)
{
	struct hash_key key;

	(void)state;
	memset(requests, 0, sizeof(requests));
	hash_key_random(&key);
	uv_loop_init(&loop);
	for (unsigned i = 0; i < SHARDS; i++) {
		fixtures[i] = fixture_new(&core);
		shards[i] = &fixtures[i]->shard;
		shards[i]->index = i;
		shards[i]->count = SHARDS;
		shards[i]->all = shards;
		shards[i]->shard_key = key;
		if (mailbox_new(&loop, shards[i], 64, &fixtures[i]->private.mailbox) < 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARDS; i++)
		mailbox_drain(fixtures[i]->private.mailbox);
	for (unsigned i = 0; i < SHARDS; i++) {
		mailbox_free(fixtures[i]->private.mailbox);
		fixture_free(fixtures[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void drain(void)
{
	for (unsigned i = 0; i < SHARDS; i++)
		mailbox_drain(fixtures[i]->private.mailbox);
}

static void send_options(unsigned to, const char *call_id, const char *to_tag, unsigned cseq)
{
	fixture_receive(fixtures[to], &fixtures[to]->other,
		"OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%s%u\r\nFrom: "
		"<sip:a@h>;tag=1\r\nTo: <sip:host>%s%s\r\n"
		"Call-ID: %s\r\nCSeq: %u OPTIONS\r\n\r\n",
		call_id, cseq, to_tag ? ";tag=" : "", to_tag ? to_tag : "", call_id, cseq);
}

static void test_token_names_its_shard(void **state)
{
	struct shard s = { .count = 40 };
	char token[SHARD_TOKEN_MAX], branch[TRANSACTION_BRANCH_MAX];

	(void)state;
	for (s.index = 0; s.index < 40; s.index++) {
		assert_ptr_equal(shard_token(&s, token), token);
		assert_int_equal(strlen(token), 18);
		assert_int_equal(shard_of_token(span_from(token), 40), s.index);
		assert_int_equal(shard_of_token(span_from(transaction_branch(&s, branch)), 40), s.index);
	}
}

static void test_what_is_no_token_of_ours_names_no_shard(void **state)
{
	static const char *const others[] = { "", "0", "000000000000000000x", "00000000000000000",
		"zz0000000000000000", "0100000000000000-0", "z9hG4bK", "z9hG4bK123",
		"3g0000000000000000" /* shard 112 */, "000000000000000000@192.0.2.1" };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(shard_of_token(span_from(others[i]), 4), -1);
}

static void test_requests_of_a_call_meet_in_one_shard_wherever_they_arrive(void **state)
{
	char call_id[32];

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		snprintf(call_id, sizeof(call_id), "call-%u", i / SHARDS);
		send_options(i % SHARDS, call_id, NULL,
			1); /* the same request in each shard: one is new, two are repetitions */
	}
	drain();
	assert_int_equal(requests[0] + requests[1] + requests[2], 20);
	for (unsigned i = 0; i < SHARDS; i++)
		assert_in_range(requests[i], 1, 19);
}

static void test_answer_goes_to_where_the_request_came_from(void **state)
{
	unsigned owner;

	(void)state;
	for (unsigned i = 0; i < SHARDS; i++)
		send_options(i, "one", NULL, 1);
	drain();
	owner = requests[0] ? 0 : requests[1] ? 1 : 2;
	assert_int_equal(requests[owner], 1);
	assert_int_equal(fixtures[owner]->sent_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(address_equal(&fixtures[owner]->sent[i].to, &fixtures[owner]->other.remote));
	assert_int_equal(fixture_counter(fixtures[0], CP_COUNTER_SHARD_FORWARDED) +
				 fixture_counter(fixtures[1], CP_COUNTER_SHARD_FORWARDED) +
				 fixture_counter(fixtures[2], CP_COUNTER_SHARD_FORWARDED),
		2);
	/* Counted where it is dealt with, once. */
	assert_int_equal(fixture_counter(fixtures[owner], CP_COUNTER_RX_MESSAGES), 3);
}

static void test_our_to_tag_wins_over_the_call_id(void **state)
{
	char tag[SHARD_TOKEN_MAX];

	(void)state;
	for (unsigned i = 0; i < SHARDS; i++) {
		send_options(0, "one", shard_token(shards[i], tag), 10 + i);
		drain();
		assert_int_equal(requests[i], 1);
	}
}

static void test_a_call_id_that_looks_like_a_token_aims_at_no_shard(void **state)
{
	char token[SHARD_TOKEN_MAX], call_id[64];

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		snprintf(call_id, sizeof(call_id), "%s%s", shard_token(shards[1], token),
			i % 2 ? "@192.0.2.1" : "");
		send_options(0, call_id, NULL, 1);
	}
	drain();
	assert_int_equal(requests[0] + requests[1] + requests[2], 60);
	for (unsigned i = 0; i < SHARDS; i++)
		assert_in_range(requests[i], 1, 59);
}

static void test_full_mailbox_loses_the_datagram_and_nothing_else(void **state)
{
	char call_id[32];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(call_id, sizeof(call_id), "call-%u", i);
		fixtures[0]->sent_count = 0;
		send_options(0, call_id, NULL, 1);
	}
	fixtures[0]->sent_count = 0;
	drain();
	assert_int_equal(requests[1], 64);
	assert_int_equal(requests[2], 64);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_names_its_shard),
		cmocka_unit_test(test_what_is_no_token_of_ours_names_no_shard),
		TEST(test_requests_of_a_call_meet_in_one_shard_wherever_they_arrive),
		TEST(test_answer_goes_to_where_the_request_came_from),
		TEST(test_our_to_tag_wins_over_the_call_id),
		TEST(test_a_call_id_that_looks_like_a_token_aims_at_no_shard),
		TEST(test_full_mailbox_loses_the_datagram_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
