/* SPDX-License-Identifier: BSD-3-Clause */
/* Client transactions: every state, timer and repetition of RFC 3261 sections 17.1 and 9.1, and RFC 6026. */
#include "tests/unit/controlplane/sip_fixture.h"

static struct {
	unsigned responses, ended;
	unsigned status; /* of the last response */
	char to_tag[64]; /* likewise */
	enum transaction_end how;
	bool ack_at_once;
	struct fixture *fixture;
} user;

static char branch[TRANSACTION_BRANCH_MAX];
static struct transaction *client;

static int ack(const char *to_tag);

static void on_response(void *arg, struct transaction *tr, const struct message *response)
{
	assert_ptr_equal(arg, &user);
	assert_ptr_equal(tr, client);
	user.responses++;
	user.status = message_scan(response)->status;
	snprintf(user.to_tag, sizeof(user.to_tag), "%.*s", SPAN_FMT(message_scan(response)->to_tag));
	if (user.ack_at_once && user.status / 100 == 2)
		assert_int_equal(ack(user.to_tag), 0);
}

static void on_ended(void *arg, struct transaction *tr, enum transaction_end how)
{
	assert_ptr_equal(arg, &user);
	assert_ptr_equal(tr, client);
	user.ended++;
	user.how = how;
	client = NULL;
}

static const struct transaction_events events = { on_response, NULL, NULL, on_ended };

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard, (void)tr, (void)request;
	fail();
}

static const struct transaction_core core = { .request = on_request };

static int setup(void **state)
{
	memset(&user, 0, sizeof(user));
	client = NULL;
	*state = user.fixture = fixture_new(&core);
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

static struct span write_request(
	char text[FIXTURE_TEXT_MAX], const char *method, const char *via_branch, const char *to_tag)
{
	int n = snprintf(text, FIXTURE_TEXT_MAX,
		"%s sip:b@192.0.2.9:5070;x=y SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.1;branch=%s;rport\r\n"
		"Route: <sip:p1.example;lr>\r\n"
		"Route: <sip:p2.example;lr>\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:a@192.0.2.1>;tag=ours\r\n"
		"To: <sip:b@192.0.2.9>%s%s\r\n"
		"Call-ID: call2@192.0.2.1\r\n"
		"CSeq: 5 %s\r\n"
		"Contact: <sip:192.0.2.1>\r\n"
		"Content-Length: 0\r\n\r\n",
		method, via_branch, to_tag ? ";tag=" : "", to_tag ? to_tag : "", method);

	return (struct span){ text, (size_t)n };
}

static int send_request(struct fixture *f, const char *method)
{
	char text[FIXTURE_TEXT_MAX];

	transaction_branch(&f->shard, branch);
	return transaction_request(
		&f->shard, &f->peer, write_request(text, method, branch, NULL), &events, &user, &client);
}

static int ack(const char *to_tag)
{
	char text[FIXTURE_TEXT_MAX], own[TRANSACTION_BRANCH_MAX];

	transaction_branch(&user.fixture->shard, own);
	return transaction_ack(
		client, &user.fixture->other, span_from(to_tag), write_request(text, "ACK", own, to_tag));
}

static void respond(struct fixture *f, unsigned status, const char *to_tag, const char *method)
{
	fixture_receive(f, &f->peer,
		"SIP/2.0 %u x\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s;rport=5060;received=192.0.2.1\r\n"
		"From: <sip:a@192.0.2.1>;tag=ours\r\nTo: <sip:b@192.0.2.9>%s%s\r\nCall-ID: "
		"call2@192.0.2.1\r\n"
		"CSeq: 5 %s\r\nContent-Length: 0\r\n\r\n",
		status, branch, to_tag ? ";tag=" : "", to_tag ? to_tag : "", method);
}

static void check_due(const struct fixture *f, uint64_t start, const uint64_t *due, unsigned count)
{
	assert_int_equal(f->sent_count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_string_equal(f->sent[i].text, f->sent[0].text);
		assert_in_range(f->sent[i].at_ms - start, due[i], due[i] + 25 * (i + 1));
	}
}

/* --- INVITE ------------------------------------------------------------------------------------------------------ */

static void test_invite_is_repeated_by_timer_a_and_given_up_by_timer_b(void **state)
{
	static const uint64_t due[] = { 0, 500, 1500, 3500, 7500, 15500, 31500 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	assert_int_equal(send_request(f, "INVITE"), 0);
	fixture_pass(f, 31900);
	assert_int_equal(user.ended, 0);
	fixture_pass(f, 200);
	check_due(f, start, due, sizeof(due) / sizeof(due[0]));
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
	assert_int_equal(fixture_live(f), 0);
}

static void test_provisional_stops_timers_a_and_b(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 100, NULL, "INVITE");
	assert_int_equal(user.status, 100);
	fixture_pass(f, 100000);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(user.ended, 0);
}

static void test_repeated_provisional_of_an_invite_is_handed_up_for_timer_c(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 100, "t1", "INVITE");
	respond(f, 100, "t1", "INVITE");
	assert_int_equal(user.responses, 1);
	respond(f, 180, "t1", "INVITE");
	respond(f, 180, "t1", "INVITE");
	assert_int_equal(user.responses, 3);
}

static void test_repeated_provisional_of_another_request_is_handed_up_once(void **state)
{
	struct fixture *f = *state;

	send_request(f, "BYE");
	respond(f, 180, "t1", "BYE");
	respond(f, 180, "t1", "BYE");
	assert_int_equal(user.responses, 1);
}

static void test_failure_is_acknowledged_with_the_invites_own_branch_and_route_until_timer_d(void **state)
{
	struct fixture *f = *state;
	char via[128];

	send_request(f, "INVITE");
	respond(f, 486, "t1", "INVITE");
	assert_int_equal(user.status, 486);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "ACK sip:b@192.0.2.9:5070;x=y SIP/2.0\r\n"));
	snprintf(via, sizeof(via), "Via: SIP/2.0/UDP 192.0.2.1;branch=%s;rport\r\n", branch);
	assert_true(fixture_sent_has(f, 1, via));
	assert_true(fixture_sent_has(f, 1, "Route: <sip:p1.example;lr>\r\nRoute: <sip:p2.example;lr>\r\n"));
	assert_true(fixture_sent_has(f, 1, "To: <sip:b@192.0.2.9>;tag=t1\r\n"));
	assert_true(fixture_sent_has(f, 1, "From: <sip:a@192.0.2.1>;tag=ours\r\n"));
	assert_true(fixture_sent_has(f, 1, "CSeq: 5 ACK\r\n"));
	assert_true(address_equal(&f->sent[1].to, &f->peer.remote));
	fixture_pass(f, 31900);
	respond(f, 486, "t1", "INVITE");
	assert_int_equal(f->sent_count, 3);
	assert_string_equal(f->sent[2].text, f->sent[1].text);
	assert_int_equal(user.responses, 1);
	fixture_pass(f, 200);
	respond(f, 486, "t1", "INVITE");
	assert_int_equal(f->sent_count, 3);
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_RESPONSES), 1);
}

static void test_repeated_2xx_gets_the_stored_ack_where_that_went_first(void **state)
{
	struct fixture *f = *state;

	user.ack_at_once = true;
	send_request(f, "INVITE");
	respond(f, 200, "t1", "INVITE");
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "ACK "));
	assert_true(address_equal(&f->sent[1].to, &f->other.remote));
	fixture_pass(f, 31000);
	respond(f, 200, "t1", "INVITE");
	assert_int_equal(f->sent_count, 3);
	assert_string_equal(f->sent[2].text, f->sent[1].text);
	assert_true(address_equal(&f->sent[2].to, &f->other.remote));
	assert_int_equal(user.responses, 1);
	assert_int_equal(user.ended, 0);
	fixture_pass(f, 2000);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
}

static void test_repeated_2xx_before_the_users_ack_is_swallowed(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 200, "t1", "INVITE");
	respond(f, 200, "t1", "INVITE");
	assert_int_equal(user.responses, 1);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(ack("t1"), 0);
	assert_int_equal(ack("t9"), -ENOENT);
}

static void test_each_fork_is_handed_up_and_has_its_own_ack(void **state)
{
	struct fixture *f = *state;

	user.ack_at_once = true;
	send_request(f, "INVITE");
	respond(f, 200, "t1", "INVITE");
	respond(f, 200, "t2", "INVITE");
	assert_int_equal(user.responses, 2);
	assert_int_equal(f->sent_count, 3);
	respond(f, 200, "t1", "INVITE");
	respond(f, 200, "t2", "INVITE");
	assert_int_equal(user.responses, 2);
	assert_int_equal(f->sent_count, 5);
	assert_string_equal(f->sent[3].text, f->sent[1].text);
	assert_string_equal(f->sent[4].text, f->sent[2].text);
}

static void test_forks_without_end_are_not_kept(void **state)
{
	struct fixture *f = *state;
	char tag[16];

	send_request(f, "INVITE");
	for (unsigned i = 0; i < 50; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		respond(f, 200, tag, "INVITE");
	}
	assert_int_equal(user.responses, TRANSACTION_TAGS_MAX);
}

static void test_accepted_invite_swallows_all_but_2xx(void **state)
{
	struct fixture *f = *state;

	user.ack_at_once = true;
	send_request(f, "INVITE");
	respond(f, 200, "t1", "INVITE");
	respond(f, 180, "t1", "INVITE");
	respond(f, 486, "t3", "INVITE");
	assert_int_equal(user.responses, 1);
	assert_int_equal(f->sent_count, 2);
}

static void test_timer_c_cancels_what_rings_too_long(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 180, "t1", "INVITE");
	fixture_pass(f, 170000);
	respond(f, 180, "t1", "INVITE");
	fixture_pass(f, 179000);
	assert_int_equal(f->sent_count, 1);
	fixture_pass(f, 1100);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "CANCEL "));
	respond(f, 487, "t1", "INVITE");
	assert_int_equal(user.status, 487);
	assert_int_equal(user.ended, 1);
}

/* --- CANCEL ------------------------------------------------------------------------------------------------------ */

static void test_cancel_waits_for_a_provisional(void **state)
{
	struct fixture *f = *state;
	char via[128];

	send_request(f, "INVITE");
	assert_int_equal(transaction_cancel(client, SPAN("SIP;cause=200")), 0);
	assert_int_equal(transaction_cancel(client, SPAN("SIP;cause=200")), -EALREADY);
	assert_int_equal(f->sent_count, 1);
	respond(f, 100, NULL, "INVITE");
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "CANCEL sip:b@192.0.2.9:5070;x=y SIP/2.0\r\n"));
	snprintf(via, sizeof(via), "Via: SIP/2.0/UDP 192.0.2.1;branch=%s;rport\r\n", branch);
	assert_true(fixture_sent_has(f, 1, via));
	assert_true(fixture_sent_has(f, 1, "To: <sip:b@192.0.2.9>\r\n"));
	assert_true(fixture_sent_has(f, 1, "CSeq: 5 CANCEL\r\nReason: SIP;cause=200\r\n"));
	respond(f, 200, "t1", "CANCEL");
	respond(f, 487, "t1", "INVITE");
	assert_int_equal(user.status, 487);
	assert_int_equal(user.how, TRANSACTION_DONE);
	assert_int_equal(user.responses, 2);
	fixture_pass(f, 40000);
	assert_int_equal(f->sent_count, 3);
}

static void test_cancel_that_meets_a_2xx_is_not_sent_and_the_2xx_is_handed_up(void **state)
{
	struct fixture *f = *state;

	user.ack_at_once = true;
	send_request(f, "INVITE");
	transaction_cancel(client, (struct span){ NULL, 0 });
	respond(f, 200, "t1", "INVITE");
	assert_int_equal(user.status, 200);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "ACK "));
}

static void test_2xx_that_crosses_the_cancel_is_handed_up(void **state)
{
	struct fixture *f = *state;

	user.ack_at_once = true;
	send_request(f, "INVITE");
	respond(f, 180, "t1", "INVITE");
	assert_int_equal(transaction_cancel(client, (struct span){ NULL, 0 }), 0);
	respond(f, 200, "t1", "INVITE");
	respond(f, 481, "t1", "CANCEL");
	assert_int_equal(user.status, 200);
	assert_int_equal(user.responses, 2);
	assert_int_equal(transaction_cancel(client, (struct span){ NULL, 0 }), -EALREADY);
}

static void test_cancelled_invite_without_final_response_ends_after_64_t1(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 180, "t1", "INVITE");
	transaction_cancel(client, (struct span){ NULL, 0 });
	respond(f, 200, "t1", "CANCEL");
	fixture_pass(f, 31900);
	assert_int_equal(user.ended, 0);
	fixture_pass(f, 200);
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
	assert_int_equal(user.ended, 1);
}

static void test_lost_cancel_is_repeated(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	respond(f, 180, "t1", "INVITE");
	transaction_cancel(client, (struct span){ NULL, 0 });
	fixture_pass(f, 600);
	assert_int_equal(f->sent_count, 3);
	assert_string_equal(f->sent[2].text, f->sent[1].text);
}

/* --- non-INVITE -------------------------------------------------------------------------------------------------- */

static void test_request_is_repeated_by_timer_e_up_to_t2_and_given_up_by_timer_f(void **state)
{
	static const uint64_t due[] = { 0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	send_request(f, "BYE");
	fixture_pass(f, 40000);
	check_due(f, start, due, sizeof(due) / sizeof(due[0]));
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
}

static void test_provisional_slows_timer_e_to_t2(void **state)
{
	static const uint64_t due[] = { 0, 4000, 8000, 12000 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	send_request(f, "BYE");
	respond(f, 100, NULL, "BYE");
	fixture_pass(f, 13000);
	check_due(f, start, due, sizeof(due) / sizeof(due[0]));
}

static void test_configured_timers_hold_not_those_of_the_library(void **state)
{
	static const uint64_t due[] = { 0, 100, 300, 600, 900 };
	struct fixture *f = *state;
	uint64_t start = fixture_now_ms;

	f->config.sip.t1_ms = 100;
	f->config.sip.t2_ms = 300;
	f->config.sip.timer_b_ms = 1000;
	send_request(f, "BYE");
	fixture_pass(f, 1200);
	check_due(f, start, due, sizeof(due) / sizeof(due[0]));
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_TIMEOUT);
}

static void test_final_response_ends_it_and_its_repetitions_are_swallowed_until_timer_k(void **state)
{
	struct fixture *f = *state;

	send_request(f, "BYE");
	respond(f, 200, "t1", "BYE");
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_DONE);
	fixture_pass(f, 4900);
	respond(f, 200, "t1", "BYE");
	assert_int_equal(user.responses, 1);
	assert_int_equal(fixture_counter(f, CP_COUNTER_RX_REPEATED), 1);
	fixture_pass(f, 200);
	respond(f, 200, "t1", "BYE");
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_RESPONSES), 1);
	assert_int_equal(f->sent_count, 1);
}

static void test_response_to_another_method_or_branch_is_a_stray(void **state)
{
	struct fixture *f = *state;

	send_request(f, "BYE");
	respond(f, 200, "t1", "OPTIONS");
	branch[10] ^= 1;
	respond(f, 200, "t1", "BYE");
	assert_int_equal(user.responses, 0);
	assert_int_equal(fixture_counter(f, CP_COUNTER_STRAY_RESPONSES), 2);
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

static void test_what_cannot_be_sent_is_told_at_once_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	f->send_result = -ENOTCONN;
	assert_int_equal(send_request(f, "INVITE"), -ENOTCONN);
	assert_int_equal(fixture_live(f), 0);
	fixture_pass(f, 1000);
	assert_int_equal(user.ended, 0);
}

static void test_full_socket_buffer_is_what_repetition_is_for(void **state)
{
	struct fixture *f = *state;

	f->send_result = -EAGAIN;
	assert_int_equal(send_request(f, "INVITE"), 0);
	f->send_result = 0;
	fixture_pass(f, 600);
	assert_int_equal(f->sent_count, 1);
}

static void test_what_ends_a_call_waits_for_its_mirror_to_come_back(void **state)
{
	struct fixture *f = *state;

	f->send_result = -ENOTCONN;
	assert_int_equal(send_request(f, "BYE"), 0);
	fixture_pass(f, 5000);
	f->send_result = 0;
	fixture_pass(f, 4100);
	assert_int_equal(f->sent_count, 1);
	assert_true(fixture_sent_starts(f, 0, "BYE "));
}

static void test_garbage_is_not_sent(void **state)
{
	struct fixture *f = *state;
	struct span none = { NULL, 0 };

	assert_int_equal(
		transaction_request(&f->shard, &f->peer, SPAN("INVITE\r\n\r\n"), &events, &user, &client),
		-EINVAL);
	assert_int_equal(transaction_request(&f->shard, &f->peer, none, &events, &user, &client), -EINVAL);
	assert_int_equal(send_request(f, "ACK"), -EINVAL);
	assert_int_equal(send_request(f, "CANCEL"), -EINVAL);
	assert_int_equal(f->sent_count, 0);
	assert_int_equal(fixture_live(f), 0);
}

static void test_full_table_refuses_an_invite_but_not_what_ends_a_call(void **state)
{
	struct fixture *f = *state;

	f->config.sip.max_transactions = 1;
	assert_int_equal(send_request(f, "INVITE"), 0);
	struct transaction *first = client;
	assert_int_equal(send_request(f, "INVITE"), -ENOBUFS);
	assert_int_equal(send_request(f, "BYE"), 0);
	transaction_detach(client);
	client = first;
}

/* At a steady rate of calls they are most of what there is, for 32 s each, and a full table would be a low ceiling. */
static void test_an_answered_invite_that_waits_for_forks_leaves_its_room_to_others(void **state)
{
	struct fixture *f = *state;

	f->config.sip.max_transactions = 1;
	for (unsigned i = 0; i < LINGERING_PER_TRANSACTION; i++) {
		assert_int_equal(send_request(f, "INVITE"), 0);
		respond(f, 180, "t1", "INVITE");
		assert_true(transaction_layer_is_full(f->shard.transactions));
		respond(f, 200, "t1", "INVITE");
		transaction_detach(client);
	}
	assert_int_equal(fixture_live(f), LINGERING_PER_TRANSACTION);
	assert_int_equal(send_request(f, "INVITE"), -ENOBUFS);
	fixture_pass(f, 33000);
	assert_int_equal(fixture_live(f), 0);
	assert_int_equal(send_request(f, "INVITE"), 0);
}

static void on_ended_ask_again(void *arg, struct transaction *tr, enum transaction_end how)
{
	char text[FIXTURE_TEXT_MAX];

	on_ended(arg, tr, how);
	transaction_branch(&user.fixture->shard, branch);
	assert_int_equal(transaction_request(&user.fixture->shard, &user.fixture->peer,
				 write_request(text, "BYE", branch, NULL), &events, &user, &client),
		-ESHUTDOWN);
}

static void test_shutdown_ends_all_and_takes_no_more(void **state)
{
	static const struct transaction_events asks = { on_response, NULL, NULL, on_ended_ask_again };
	struct fixture *f = *state;

	send_request(f, "INVITE");
	transaction_attach(client, &asks, &user);
	transaction_layer_close(&f->shard);
	assert_int_equal(user.ended, 1);
	assert_int_equal(user.how, TRANSACTION_SHUTDOWN);
}

static void test_detached_user_hears_nothing_and_the_protocol_goes_on(void **state)
{
	struct fixture *f = *state;

	send_request(f, "INVITE");
	transaction_detach(client);
	respond(f, 486, "t1", "INVITE");
	assert_int_equal(user.responses + user.ended, 0);
	assert_true(fixture_sent_starts(f, 1, "ACK "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_invite_is_repeated_by_timer_a_and_given_up_by_timer_b),
		TEST(test_provisional_stops_timers_a_and_b),
		TEST(test_repeated_provisional_of_an_invite_is_handed_up_for_timer_c),
		TEST(test_repeated_provisional_of_another_request_is_handed_up_once),
		TEST(test_failure_is_acknowledged_with_the_invites_own_branch_and_route_until_timer_d),
		TEST(test_repeated_2xx_gets_the_stored_ack_where_that_went_first),
		TEST(test_repeated_2xx_before_the_users_ack_is_swallowed),
		TEST(test_each_fork_is_handed_up_and_has_its_own_ack),
		TEST(test_forks_without_end_are_not_kept),
		TEST(test_accepted_invite_swallows_all_but_2xx),
		TEST(test_timer_c_cancels_what_rings_too_long),
		TEST(test_cancel_waits_for_a_provisional),
		TEST(test_cancel_that_meets_a_2xx_is_not_sent_and_the_2xx_is_handed_up),
		TEST(test_2xx_that_crosses_the_cancel_is_handed_up),
		TEST(test_cancelled_invite_without_final_response_ends_after_64_t1),
		TEST(test_lost_cancel_is_repeated),
		TEST(test_request_is_repeated_by_timer_e_up_to_t2_and_given_up_by_timer_f),
		TEST(test_provisional_slows_timer_e_to_t2),
		TEST(test_configured_timers_hold_not_those_of_the_library),
		TEST(test_final_response_ends_it_and_its_repetitions_are_swallowed_until_timer_k),
		TEST(test_response_to_another_method_or_branch_is_a_stray),
		TEST(test_what_cannot_be_sent_is_told_at_once_and_leaves_nothing),
		TEST(test_full_socket_buffer_is_what_repetition_is_for),
		TEST(test_what_ends_a_call_waits_for_its_mirror_to_come_back),
		TEST(test_garbage_is_not_sent),
		TEST(test_full_table_refuses_an_invite_but_not_what_ends_a_call),
		TEST(test_an_answered_invite_that_waits_for_forks_leaves_its_room_to_others),
		TEST(test_shutdown_ends_all_and_takes_no_more),
		TEST(test_detached_user_hears_nothing_and_the_protocol_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
