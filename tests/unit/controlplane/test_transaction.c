/* SPDX-License-Identifier: BSD-3-Clause */
/* Server transactions: every state, timer and repetition of RFC 3261 section 17.2 and RFC 6026. */
#include "tests/unit/controlplane/sip_fixture.h"

/* What the user of the layer has seen. */
static struct {
	unsigned requests, cancelled, acked, ended;
	enum transaction_end how;
	struct transaction *transaction; /* of the last request; NULL after `ended` */
	unsigned answer; /* status to answer with at once; 0 = later */
} user;

static void on_cancelled(void *arg, struct transaction *tr, const struct message *cancel)
{
	assert_ptr_equal(arg, &user);
	assert_int_equal(message_scan(cancel)->method, SIP_METHOD_CANCEL);
	user.cancelled++;
	assert_int_equal(transaction_reply(tr, 487, SPAN("ours"), (struct span){ NULL, 0 }), 0);
}

static void on_acked(void *arg, struct transaction *tr, const struct message *ack)
{
	(void)tr;
	assert_ptr_equal(arg, &user);
	assert_int_equal(message_scan(ack)->method, SIP_METHOD_ACK);
	user.acked++;
}

static void on_ended(void *arg, struct transaction *tr, enum transaction_end how)
{
	assert_ptr_equal(arg, &user);
	user.ended++;
	user.how = how;
	if (user.transaction == tr)
		user.transaction = NULL;
}

static const struct transaction_events events = { NULL, on_cancelled, on_acked, on_ended };

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	assert_ptr_equal(transaction_shard(tr), shard);
	assert_ptr_equal(transaction_message(tr), request);
	user.requests++;
	user.transaction = tr;
	transaction_attach(tr, &events, &user);
	if (user.answer)
		assert_int_equal(
			transaction_reply(tr, user.answer, SPAN("ours"), (struct span){ NULL, 0 }), 0);
}

static const struct transaction_core core = { .request = on_request };

static int setup(void **state)
{
	memset(&user, 0, sizeof(user));
	*state = fixture_new(&core);
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

static void reply(unsigned status)
{
	assert_int_equal(
		transaction_reply(user.transaction, status, SPAN("ours"), (struct span){ NULL, 0 }), 0);
}

/* --- non-INVITE -------------------------------------------------------------------------------------------------- */

static void test_final_response_ends_a_non_invite_and_its_repetition_is_answered_from_store_until_timer_j(
	void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.requests, 1);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(fixture_live(f), 0);
	assert_int_equal(fixture_tombstones(f), 1);
	fixture_pass(f, 31900);
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.requests, 1);
	assert_int_equal(f->sent_count, 2);
	assert_string_equal(f->sent[0].text, f->sent[1].text);
	fixture_pass(f, 200);
	assert_int_equal(fixture_tombstones(f), 0);
}

static void test_repetition_before_any_response_is_swallowed(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.requests, 1);
	assert_int_equal(f->sent_count, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_RX_REPEATED), 1);
}

static void test_repetition_after_a_provisional_gets_that_again(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	reply(183);
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 183 "));
}

static void test_second_final_response_is_refused(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	reply(404);
	assert_int_equal(
		transaction_reply(user.transaction, 200, SPAN("x"), (struct span){ NULL, 0 }), -EALREADY);
	assert_int_equal(f->sent_count, 1);
	/* Answered from outside: `ended` comes with the next tick, not within the call. */
	assert_int_equal(user.ended, 0);
	fixture_pass(f, 20);
	assert_int_equal(user.ended, 1);
}

static void test_unanswered_non_invite_ends_when_its_client_has_given_up(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 31900);
	assert_int_equal(user.ended, 0);
	fixture_pass(f, 200);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
	assert_int_equal(fixture_live(f), 0);
}

static void test_detached_request_is_answered_500(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bKa", 1, NULL);
	transaction_detach(user.transaction);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 500 "));
	fixture_pass(f, 20);
	assert_int_equal(user.ended, 0);
	assert_int_equal(fixture_live(f), 0);
}

/* --- INVITE ------------------------------------------------------------------------------------------------------ */

static void test_a_100_returns_the_timestamp_and_other_responses_do_not(void **state)
{
	struct fixture *f = *state;

	fixture_receive(f, &f->peer,
		"INVITE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKa\r\n"
		"From: <sip:a@192.0.2.9>;tag=from1\r\nTo: <sip:b@192.0.2.1>\r\nCall-ID: call1\r\nCSeq: 1 "
		"INVITE\r\n"
		"Timestamp: 54.21\r\nContent-Length: 0\r\n\r\n");
	fixture_pass(f, 250);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 100 "));
	assert_true(fixture_sent_has(f, 0, "\r\nTimestamp: 54.21\r\n"));
	reply(486);
	assert_false(fixture_sent_has(f, 1, "Timestamp"));
}

static void test_a_2xx_is_repeated_until_its_ack_when_its_user_has_gone(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 600);
	assert_int_equal(f->sent_count, 2);
	transaction_detach(user.transaction);
	fixture_pass(f, 1000);
	assert_int_equal(f->sent_count, 3);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 1, "ours");
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, 3);
	assert_int_equal(user.ended, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_ACKS), 0);
	assert_int_equal(fixture_live(f), 0);
}

static void test_a_2xx_whose_user_has_gone_is_repeated_for_64_t1(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	transaction_detach(user.transaction);
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, 11);
	assert_int_equal(fixture_live(f), 0);
}

static void test_silent_user_gets_a_100_sent_after_200_ms(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 190);
	assert_int_equal(f->sent_count, 0);
	fixture_pass(f, 40);
	assert_int_equal(f->sent_count, 1);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 100 "));
	assert_false(fixture_sent_has(f, 0, "tag=ours"));
	fixture_pass(f, 60000);
	assert_int_equal(f->sent_count, 1);
}

static void test_failure_is_repeated_by_timer_g_up_to_t2_until_timer_h(void **state)
{
	static const uint64_t due[] = { 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	user.answer = 486;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, sizeof(due) / sizeof(due[0]));
	for (unsigned i = 0; i < f->sent_count; i++) {
		assert_true(fixture_sent_starts(f, i, "SIP/2.0 486 "));
		assert_in_range(f->sent[i].at_ms - start, due[i], due[i] + 25 * (i + 1));
	}
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
	assert_int_equal(user.acked, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_TRANSACTION_TIMEOUTS), 1);
}

static void test_ack_of_a_failure_stops_it_and_is_absorbed_until_timer_i(void **state)
{
	struct fixture *f = *state;

	user.answer = 486;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKa", 1, "ours");
	assert_int_equal(user.acked, 1);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
	assert_int_equal(fixture_live(f), 0);
	fixture_pass(f, 4900);
	assert_int_equal(f->sent_count, 1);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKa", 1, "ours");
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(user.requests, 1);
	fixture_pass(f, 200);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKa", 1, "ours");
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_ACKS), 1);
	assert_int_equal(user.acked, 1);
}

static void test_2xx_is_repeated_t1_to_t2_until_64_t1_and_then_times_out(void **state)
{
	static const uint64_t due[] = { 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, sizeof(due) / sizeof(due[0]));
	for (unsigned i = 0; i < f->sent_count; i++) {
		assert_string_equal(f->sent[i].text, f->sent[0].text);
		assert_in_range(f->sent[i].at_ms - start, due[i], due[i] + 25 * (i + 1));
	}
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
	assert_int_equal(user.ended, 1);
}

static void test_ack_of_a_2xx_is_matched_by_dialog_and_cseq_not_by_branch(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 7, NULL);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 8, "ours");
	fixture_request(f, &f->peer, "ACK", "z9hG4bKc", 7, "theirs");
	assert_int_equal(user.acked, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_ACKS), 2);
	/* It may come from elsewhere: another proxy, a NAT's new port. */
	fixture_request(f, &f->other, "ACK", "z9hG4bKd", 7, "ours");
	assert_int_equal(user.acked, 1);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, 1);
}

static void test_accepted_invite_swallows_repetitions_of_itself_and_of_its_ack(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	assert_int_equal(f->sent_count, 1);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 1, "ours");
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 1, "ours");
	assert_int_equal(user.requests, 1);
	assert_int_equal(user.acked, 1);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_ACKS), 0);
	fixture_pass(f, 33000);
	assert_int_equal(fixture_tombstones(f), 0);
}

static void test_lost_ack_comes_with_the_next_2xx(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_pass(f, 600);
	assert_int_equal(f->sent_count, 2);
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 1, "ours");
	assert_int_equal(user.acked, 1);
	fixture_pass(f, 10000);
	assert_int_equal(f->sent_count, 2);
}

static void test_2xx_without_a_tag_is_not_sent(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	assert_int_equal(
		transaction_reply(user.transaction, 200, (struct span){ NULL, 0 }, (struct span){ NULL, 0 }),
		-EINVAL);
	assert_int_equal(f->sent_count, 0);
	reply(200);
}

/* --- CANCEL ------------------------------------------------------------------------------------------------------ */

static void test_cancel_is_answered_and_handed_up_once(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	reply(180);
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.cancelled, 1);
	assert_int_equal(f->sent_count, 3);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 200 "));
	assert_true(fixture_sent_has(f, 1, "CSeq: 1 CANCEL\r\n"));
	assert_true(fixture_sent_starts(f, 2, "SIP/2.0 487 "));
	assert_true(fixture_sent_has(f, 2, "CSeq: 1 INVITE\r\n"));
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.cancelled, 1);
	assert_int_equal(f->sent_count, 4);
	assert_string_equal(f->sent[3].text, f->sent[1].text);
}

static void test_the_200_of_a_cancel_has_the_to_tag_of_the_invites_responses(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	reply(180);
	assert_true(fixture_sent_has(f, 0, ";tag=ours\r\n"));
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 200 "));
	assert_true(fixture_sent_has(f, 1, ";tag=ours\r\n"));
}

static void test_cancel_after_the_final_response_is_answered_and_has_no_effect(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	assert_int_equal(user.cancelled, 0);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 200 "));
	fixture_request(f, &f->peer, "ACK", "z9hG4bKb", 1, "ours");
	assert_int_equal(user.acked, 1);
}

static void test_stray_cancel_is_answered_481_with_the_same_tag_each_time(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bKa", 1, NULL);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 481 "));
	assert_string_equal(f->sent[0].text, f->sent[1].text);
	assert_int_equal(fixture_live(f) + fixture_tombstones(f), 0);
}

static void test_cancel_needs_branch_and_sent_by(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_receive(f, &f->peer,
		"CANCEL sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKa\r\n"
		"From: <sip:a@192.0.2.9>;tag=from1\r\nTo: <sip:b@192.0.2.1>\r\nCall-ID: call1@192.0.2.9\r\n"
		"CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(user.cancelled, 0);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 481 "));
}

/* --- matching and limits ----------------------------------------------------------------------------------------- */

static void test_request_that_came_by_two_ways_is_answered_482(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	fixture_request(f, &f->other, "INVITE", "z9hG4bKb", 1, NULL);
	assert_int_equal(user.requests, 1);
	assert_int_equal(f->sent_count, 1);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 482 "));
	assert_true(address_equal(&f->sent[0].to, &f->other.remote));
	/* The next CSeq is another request. */
	fixture_request(f, &f->other, "INVITE", "z9hG4bKc", 2, NULL);
	assert_int_equal(user.requests, 2);
}

static void test_an_answered_invite_that_comes_by_another_way_is_482_until_timer_l(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	assert_int_equal(transaction_reply(user.transaction, 200, SPAN("ours"), (struct span){ NULL, 0 }), 0);
	fixture_request(f, &f->other, "INVITE", "z9hG4bKb", 1, NULL);
	assert_true(fixture_sent_starts(f, f->sent_count - 1, "SIP/2.0 482 "));
	fixture_request(f, &f->peer, "ACK", "z9hG4bKack", 1, "ours");
	assert_int_equal(user.acked, 1);
	fixture_request(f, &f->other, "INVITE", "z9hG4bKc", 1, NULL);
	assert_true(fixture_sent_starts(f, f->sent_count - 1, "SIP/2.0 482 "));
	assert_int_equal(user.requests, 1);
	fixture_pass(f, 33000);
	fixture_request(f, &f->other, "INVITE", "z9hG4bKd", 1, NULL);
	assert_int_equal(user.requests, 2);
}

static void test_sent_by_is_compared_without_case(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++)
		fixture_receive(f, &f->peer,
			"OPTIONS sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s:5070;branch=z9hG4bKa\r\n"
			"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
			i ? "HOST.example" : "host.EXAMPLE");
	assert_int_equal(user.requests, 1);
}

static void test_branch_without_cookie_falls_back_to_rfc_2543(void **state)
{
	struct fixture *f = *state;
	static const char *const format =
		"%s sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070%s\r\n"
		"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>%s\r\nCall-ID: c\r\nCSeq: %u %s\r\n\r\n";

	user.answer = 486;
	fixture_receive(f, &f->peer, format, "INVITE", "", "", 1, "INVITE");
	fixture_receive(f, &f->peer, format, "INVITE", "", "", 1, "INVITE");
	assert_int_equal(user.requests, 1);
	assert_int_equal(f->sent_count, 2);
	fixture_receive(f, &f->peer, format, "ACK", "", ";tag=ours", 1, "ACK");
	assert_int_equal(user.acked, 1);
	fixture_receive(f, &f->peer, format, "INVITE", ";branch=1", "", 2, "INVITE");
	fixture_receive(f, &f->peer, format, "INVITE", ";branch=1", "", 2, "INVITE");
	assert_int_equal(user.requests, 2);
}

static void test_full_table_answers_503_with_retry_after(void **state)
{
	struct fixture *f = *state;
	char branch[32];

	f->config.sip.max_transactions = 16;
	for (unsigned i = 0; i < 17; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		fixture_request(f, &f->peer, "INVITE", branch, i, NULL);
	}
	assert_int_equal(user.requests, 16);
	assert_int_equal(f->sent_count, 1);
	assert_true(fixture_sent_starts(f, 0, "SIP/2.0 503 "));
	assert_true(fixture_sent_has(f, 0, "\r\nRetry-After: "));
	assert_int_equal(fixture_counter(f, CP_COUNTER_TRANSACTION_LIMIT), 1);
	/* What is under way goes on. */
	fixture_request(f, &f->peer, "CANCEL", "z9hG4bK3", 3, NULL);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 200 "));
}

static void test_tombstones_have_a_bound_and_the_oldest_goes(void **state)
{
	struct fixture *f = *state;
	char branch[32];

	f->config.sip.max_transactions = 16;
	user.answer = 200;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		fixture_request(f, &f->peer, "OPTIONS", branch, i, NULL);
		fixture_pass(f, 10);
		f->sent_count = 0;
	}
	assert_int_equal(user.requests, 300);
	assert_int_equal(fixture_tombstones(f), 16 * LINGERING_PER_TRANSACTION);
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bK299", 299, NULL);
	assert_int_equal(user.requests, 300);
	fixture_request(f, &f->peer, "OPTIONS", "z9hG4bK0", 0, NULL);
	assert_int_equal(user.requests, 301);
}

/* --- where responses go ------------------------------------------------------------------------------------------ */

static void test_response_goes_where_the_request_came_from_whatever_its_via_says(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_receive(f, &f->other,
		"OPTIONS sip:b@192.0.2.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP "
		"victim.example:53;maddr=198.51.100.1;received=198.51.100.2;RPORT=99;branch=z9hG4bKa;x=\"a;b,"
		"c\""
		", SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKold;received=10.0.0.2\r\n"
		"Via: SIP/2.0/TCP 10.0.0.3;branch=z9hG4bKolder\r\n"
		"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n");
	assert_true(address_equal(&f->sent[0].to, &f->other.remote));
	assert_true(fixture_sent_has(f, 0,
		"Via: SIP/2.0/UDP "
		"victim.example:53;branch=z9hG4bKa;x=\"a;b,c\";received=192.0.2.10;rport=5080"
		", SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKold;received=10.0.0.2\r\n"
		"Via: SIP/2.0/TCP 10.0.0.3;branch=z9hG4bKolder\r\n"));
}

static void test_folded_headers_come_back_in_one_line(void **state)
{
	struct fixture *f = *state;

	user.answer = 200;
	fixture_receive(f, &f->peer,
		"OPTIONS sip:b@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9:5070\r\n ;branch=z9hG4bKa\r\n"
		"f: <sip:a@h>\r\n\t;tag=1\r\nt: <sip:b@h>\r\ni: c\r\nCSeq: 1\r\n OPTIONS\r\n\r\n");
	assert_int_equal(f->sent_count, 1);
	assert_null(strstr(f->sent[0].text, "\r\n "));
	assert_null(strstr(f->sent[0].text, "\r\n\t"));
	assert_true(fixture_sent_has(f, 0, "From: <sip:a@h>"));
	assert_true(fixture_sent_has(f, 0, "To: <sip:b@h>;tag=ours\r\n"));
}

static void test_shutdown_ends_what_is_under_way(void **state)
{
	struct fixture *f = *state;

	fixture_request(f, &f->peer, "INVITE", "z9hG4bKa", 1, NULL);
	reply(180);
	transaction_layer_close(&f->shard);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_SHUTDOWN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_final_response_ends_a_non_invite_and_its_repetition_is_answered_from_store_until_timer_j),
		TEST(test_repetition_before_any_response_is_swallowed),
		TEST(test_repetition_after_a_provisional_gets_that_again),
		TEST(test_second_final_response_is_refused),
		TEST(test_unanswered_non_invite_ends_when_its_client_has_given_up),
		TEST(test_detached_request_is_answered_500),
		TEST(test_silent_user_gets_a_100_sent_after_200_ms),
		TEST(test_a_2xx_is_repeated_until_its_ack_when_its_user_has_gone),
		TEST(test_a_2xx_whose_user_has_gone_is_repeated_for_64_t1),
		TEST(test_a_100_returns_the_timestamp_and_other_responses_do_not),
		TEST(test_failure_is_repeated_by_timer_g_up_to_t2_until_timer_h),
		TEST(test_ack_of_a_failure_stops_it_and_is_absorbed_until_timer_i),
		TEST(test_2xx_is_repeated_t1_to_t2_until_64_t1_and_then_times_out),
		TEST(test_ack_of_a_2xx_is_matched_by_dialog_and_cseq_not_by_branch),
		TEST(test_accepted_invite_swallows_repetitions_of_itself_and_of_its_ack),
		TEST(test_lost_ack_comes_with_the_next_2xx),
		TEST(test_2xx_without_a_tag_is_not_sent),
		TEST(test_cancel_is_answered_and_handed_up_once),
		TEST(test_the_200_of_a_cancel_has_the_to_tag_of_the_invites_responses),
		TEST(test_cancel_after_the_final_response_is_answered_and_has_no_effect),
		TEST(test_stray_cancel_is_answered_481_with_the_same_tag_each_time),
		TEST(test_cancel_needs_branch_and_sent_by),
		TEST(test_request_that_came_by_two_ways_is_answered_482),
		TEST(test_an_answered_invite_that_comes_by_another_way_is_482_until_timer_l),
		TEST(test_sent_by_is_compared_without_case),
		TEST(test_branch_without_cookie_falls_back_to_rfc_2543),
		TEST(test_full_table_answers_503_with_retry_after),
		TEST(test_tombstones_have_a_bound_and_the_oldest_goes),
		TEST(test_response_goes_where_the_request_came_from_whatever_its_via_says),
		TEST(test_folded_headers_come_back_in_one_line),
		TEST(test_shutdown_ends_what_is_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
