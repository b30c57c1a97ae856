/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers without a transaction: bounded in size and number, never to ACKs and responses. */
#include "tests/unit/controlplane/sip_fixture.h"

enum { GROWTH_MAX = 200 };

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard, (void)tr, (void)request;
	fail();
}

static const struct transaction_core core = { .request = on_request };

static int setup(void **state)
{
	*state = fixture_new(&core);
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* Broken by a lone control octet in a header that nobody reads. */
#define BROKEN(method)                                                                                   \
	method " sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKa;rport\r\n"   \
	       "From: <sip:a@192.0.2.9>;tag=1\r\nTo: <sip:b@192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 " method \
	       "\r\n"                                                                                    \
	       "Subject: a\001b\r\nContent-Length: 0\r\n\r\n"

static void test_broken_request_is_answered_400_and_nothing_of_what_is_broken_comes_back(void **state)
{
	struct fixture *f = *state;

	fixture_receive(f, &f->peer, "%s", BROKEN("OPTIONS"));
	assert_int_equal(f->sent_count, 1);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 400 "));
	assert_true(fixture_sent_has(f, 0, "\r\nTo: <sip:b@192.0.2.1>;tag="));
	assert_true(fixture_sent_has(f, 0, "\r\nCSeq: 1 OPTIONS\r\n"));
	assert_null(strchr(f->sent[0].text, '\001'));
	assert_int_equal(fixture_live(f) + fixture_tombstones(f), 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_SCAN_REJECTED), 1);
}

static void test_answer_is_not_much_larger_than_the_request(void **state)
{
	struct fixture *f = *state;

	fixture_receive(f, &f->peer, "%s", BROKEN("OPTIONS"));
	assert_true(f->sent[0].length <= sizeof(BROKEN("OPTIONS")) + GROWTH_MAX);
}

static void test_broken_ack_and_response_and_garbage_meet_silence(void **state)
{
	struct fixture *f = *state;

	fixture_receive(f, &f->peer, "%s", BROKEN("ACK"));
	fixture_receive(f, &f->peer, "SIP/2.0 200 OK\r\nVia: \001\r\n\r\n");
	fixture_receive(f, &f->peer, "GET / HTTP/1.1\r\n\r\n");
	fixture_receive(f, &f->peer, "\r\n\r\n");
	assert_int_equal(f->sent_count, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_SCAN_SILENT), 3);
	assert_int_equal(fixture_counter(f, CP_COUNTER_RX_KEEP_ALIVE), 1);
}

static void test_different_requests_get_different_tags(void **state)
{
	struct fixture *f = *state;
	char *first, *second;

	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKb", 1, NULL);
	first = strstr(f->sent[0].text, "\r\nTo: ");
	second = strstr(f->sent[1].text, "\r\nTo: ");
	assert_non_null(first);
	assert_non_null(second);
	*strstr(first + 2, "\r\n") = '\0';
	*strstr(second + 2, "\r\n") = '\0';
	assert_string_not_equal(first, second);
}

static unsigned counted;

static int count_only(void *arg, const struct sip_flow *flow, struct span message)
{
	(void)arg, (void)flow, (void)message;
	counted++;
	return 0;
}

static void test_flood_is_answered_up_to_a_budget(void **state)
{
	struct fixture *f = *state;

	f->private.capture = count_only;
	counted = 0;
	for (unsigned i = 0; i < 20000; i++)
		fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", i, NULL);
	assert_in_range(counted, 1000, 19999);
	assert_int_equal(fixture_counter(f, CP_COUNTER_REQUESTS_REFUSED), 20000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_broken_request_is_answered_400_and_nothing_of_what_is_broken_comes_back),
		TEST(test_answer_is_not_much_larger_than_the_request),
		TEST(test_broken_ack_and_response_and_garbage_meet_silence),
		TEST(test_different_requests_get_different_tags),
		TEST(test_flood_is_answered_up_to_a_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
