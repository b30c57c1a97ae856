/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions on reliable transports: nothing is repeated, nothing lingers, a lost connection ends them; long requests leave UDP
 * for TCP and come back. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <errno.h>

#include "controlplane/agent.h"

static struct config_endpoint listens[2];
static struct config_session_agent agent;
static struct transaction *last_server;
static unsigned ends, requests;
static enum transaction_end how_ended;

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard, (void)request;
	requests++;
	last_server = tr;
}

static const struct transaction_core core = { .request = on_request };

static void on_ended(void *arg, struct transaction *tr, enum transaction_end how)
{
	(void)arg, (void)tr;
	ends++;
	how_ended = how;
}

static const struct transaction_events events = { .ended = on_ended };

/* The fixture's listener is TCP; what it has beside it is UDP. */
static int setup(void **state)
{
	struct fixture *f = fixture_new(&core);

	transaction_layer_close(&f->shard);
	transport_close(&f->shard);
	ends = requests = 0;
	listens[0] = listens[1] = f->endpoint;
	listens[0].transport = CONFIG_TRANSPORT_TCP;
	f->interface.listen = listens;
	f->interface.listen_count = 2;
	f->config.sip.udp_request_limit = 1300;
	f->config.sip.tcp_absent_time = 300;
	agent = (struct config_session_agent){ .realm = &f->realm };
	agent.address.address = f->other.remote;
	f->config.session_agents = &agent;
	f->config.session_agents_count = 1;
	assert_int_equal(transport_open(&f->shard), 0);
	assert_int_equal(transaction_layer_open(&f->shard, &core), 0);
	f->peer.listener = transport_listener(&f->shard, 0);
	f->peer.connection = 7;
	f->other.listener = transport_listener(&f->shard, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

static void receive(struct fixture *f, const char *method, const char *branch, unsigned cseq)
{
	fixture_receive(f, &f->peer,
		"%s sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9:5099;branch=%s\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.9>;tag=from1\r\nTo: <sip:b@192.0.2.1>\r\n"
		"Call-ID: call1\r\nCSeq: %u %s\r\nContact: <sip:a@192.0.2.9>\r\nContent-Length: 0\r\n\r\n",
		method, branch, cseq, method);
}

static struct transaction *request(
	struct fixture *f, const struct sip_flow *to, const char *method, const char *branch, size_t body)
{
	static char text[FIXTURE_TEXT_MAX];
	const char *transport = listener_is_reliable(to->listener) ? "TCP" : "UDP";
	struct transaction *tr = NULL;
	int n = snprintf(text, sizeof(text),
		"%s sip:b@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/%s 192.0.2.1:5060;rport;branch=%s\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=f\r\nTo: <sip:b@192.0.2.10>\r\n"
		"Call-ID: c2\r\nCSeq: 1 %s\r\nContent-Length: %zu\r\n\r\n",
		method, transport, branch, method, body);

	memset(text + n, 'x', body);
	assert_int_equal(transaction_request(
				 &f->shard, to, (struct span){ text, (size_t)n + body }, &events, NULL, &tr),
		0);
	return tr;
}

static void respond(struct fixture *f, const struct sip_flow *from, const char *transport, unsigned status,
	const char *method, const char *branch)
{
	fixture_receive(f, from,
		"SIP/2.0 %u X\r\nVia: SIP/2.0/%s 192.0.2.1:5060;rport;branch=%s\r\n"
		"From: <sip:a@192.0.2.1>;tag=f\r\nTo: <sip:b@192.0.2.10>;tag=t\r\n"
		"Call-ID: c2\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
		status, transport, branch, method);
}

/* --- server -------------------------------------------------------------------------------------------------------- */

static void test_server_repeats_nothing_and_leaves_no_tombstone(void **state)
{
	struct fixture *f = *state;

	receive(f, "OPTIONS", "z9hG4bKo", 1);
	transaction_reply(last_server, 200, SPAN("t"), (struct span){ NULL, 0 });
	fixture_pass(f, 100);
	assert_int_equal(fixture_live(f), 0);
	assert_int_equal(fixture_tombstones(f), 0);
	receive(f, "INVITE", "z9hG4bKi", 2);
	transaction_attach(last_server, &events, NULL);
	transaction_reply(last_server, 486, SPAN("t"), (struct span){ NULL, 0 });
	fixture_pass(f, 20000);
	assert_int_equal(f->sent_count, 2);
	/* Timer H runs all the same. */
	fixture_pass(f, 13000);
	assert_int_equal(how_ended, TRANSACTION_TIMEOUT);
	assert_int_equal(fixture_tombstones(f), 0);
}

static void test_a_2xx_is_repeated_until_its_ack_on_any_transport(void **state)
{
	struct fixture *f = *state;

	receive(f, "INVITE", "z9hG4bKi", 2);
	transaction_reply(last_server, 200, SPAN("t"), (struct span){ NULL, 0 });
	fixture_pass(f, 520);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_starts(f, 1, "SIP/2.0 200 "));
}

static void test_responses_name_where_the_request_came_from_and_fall_back_to_sent_by(void **state)
{
	struct fixture *f = *state;

	receive(f, "OPTIONS", "z9hG4bKo", 1);
	transaction_reply(last_server, 200, SPAN("t"), (struct span){ NULL, 0 });
	assert_true(fixture_sent_has(f, 0, ";received=192.0.2.9;rport=5070\r\n"));
	/* By the connection while it is there; the address beside it is the way without it. */
	assert_int_equal(address_port(&f->sent[0].to), 5099);
	assert_true(address_equal_host(&f->sent[0].to, &f->peer.remote));
}

/* --- client -------------------------------------------------------------------------------------------------------- */

static void test_client_repeats_nothing_and_gives_up_in_time(void **state)
{
	struct fixture *f = *state;

	request(f, &f->peer, "INVITE", "z9hG4bKa", 0);
	request(f, &f->peer, "OPTIONS", "z9hG4bKb", 0);
	fixture_pass(f, 31000);
	assert_int_equal(f->sent_count, 2);
	assert_int_equal(ends, 0);
	fixture_pass(f, 1100);
	assert_int_equal(ends, 2);
	assert_int_equal(how_ended, TRANSACTION_TIMEOUT);
}

static void test_final_responses_leave_no_tombstone(void **state)
{
	struct fixture *f = *state;

	request(f, &f->peer, "INVITE", "z9hG4bKa", 0);
	request(f, &f->peer, "OPTIONS", "z9hG4bKb", 0);
	respond(f, &f->peer, "TCP", 486, "INVITE", "z9hG4bKa");
	respond(f, &f->peer, "TCP", 200, "OPTIONS", "z9hG4bKb");
	assert_true(fixture_sent_starts(f, 2, "ACK "));
	assert_true(fixture_sent_has(f, 2, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	assert_int_equal(ends, 2);
	assert_int_equal(fixture_live(f), 0);
	assert_int_equal(fixture_tombstones(f), 0);
}

static void test_a_lost_connection_ends_what_waits_on_it_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct sip_flow second = f->peer;

	second.connection = 8;
	request(f, &f->peer, "OPTIONS", "z9hG4bKa", 0);
	request(f, &f->peer, "INVITE", "z9hG4bKb", 0);
	request(f, &second, "OPTIONS", "z9hG4bKc", 0);
	request(f, &f->peer, "INVITE", "z9hG4bKd", 0);
	respond(f, &f->peer, "TCP", 180, "INVITE", "z9hG4bKb");
	respond(f, &f->peer, "TCP", 200, "INVITE", "z9hG4bKd");
	transaction_connection_lost(&f->shard, 7);
	/* The accepted INVITE has its answer, the ringing one goes on. */
	assert_int_equal(ends, 1);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
	transaction_connection_moved(&f->shard, 8, 9);
	transaction_connection_lost(&f->shard, 8);
	assert_int_equal(ends, 1);
	transaction_connection_lost(&f->shard, 9);
	assert_int_equal(ends, 2);
}

/* --- long requests ------------------------------------------------------------------------------------------------- */

static void test_a_long_request_goes_by_tcp_with_ack_and_cancel_behind_it(void **state)
{
	struct fixture *f = *state;
	struct transaction *invite = request(f, &f->other, "INVITE", "z9hG4bKa", 1300);
	struct sip_flow by_tcp = { .listener = f->peer.listener, .remote = f->other.remote, .connection = 1 };

	assert_true(fixture_sent_has(f, 0, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	assert_true(fixture_sent_has(f, 0, "CSeq: 1 INVITE\r\n"));
	assert_true(address_equal(&f->sent[0].to, &f->other.remote));
	assert_int_equal(fixture_counter(f, CP_COUNTER_REQUESTS_MOVED), 1);
	respond(f, &by_tcp, "TCP", 180, "INVITE", "z9hG4bKa");
	assert_int_equal(transaction_cancel(invite, (struct span){ NULL, 0 }), 0);
	assert_true(fixture_sent_has(f, 1, "CANCEL "));
	assert_true(fixture_sent_has(f, 1, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	respond(f, &by_tcp, "TCP", 487, "INVITE", "z9hG4bKa");
	assert_true(fixture_sent_has(f, 2, "ACK "));
	assert_true(fixture_sent_has(f, 2, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	fixture_pass(f, 5000);
	assert_int_equal(f->sent_count, 3);
}

static resolver_done told;
static void *teller;

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	(void)question;
	told = done;
	teller = arg;
	return 0;
}

static void test_a_long_request_to_where_an_agents_name_leads_goes_by_tcp(void **state)
{
	static char name[] = "pbx.example";
	struct fixture *f = *state;
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .count = 1 };

	agent.address = (struct config_endpoint){ .host = name };
	agent.name = name;
	f->private.resolve = resolve;
	f->config.sip.dns_min_ttl = f->config.sip.dns_max_ttl = 300;
	assert_int_equal(agent_table_open(&f->shard), 0);
	fixture_pass(f, 20);
	answer.address[0].address = f->other.remote;
	told(teller, &answer);
	request(f, &f->other, "INVITE", "z9hG4bKa", 1300);
	agent_table_close(&f->shard);
	assert_true(fixture_sent_has(f, 0, "Via: SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
}

static void test_a_short_request_or_one_to_a_stranger_stays_on_udp(void **state)
{
	struct fixture *f = *state;
	struct sip_flow stranger = f->other;

	address_set_port(&stranger.remote, 5999);
	request(f, &f->other, "OPTIONS", "z9hG4bKa", 900);
	request(f, &stranger, "OPTIONS", "z9hG4bKb", 1300);
	assert_true(fixture_sent_has(f, 0, "SIP/2.0/UDP"));
	assert_true(fixture_sent_has(f, 1, "SIP/2.0/UDP"));
	assert_int_equal(fixture_counter(f, CP_COUNTER_REQUESTS_MOVED), 0);
}

static void test_without_tcp_there_it_comes_back_to_udp_and_that_is_remembered(void **state)
{
	struct fixture *f = *state;

	request(f, &f->other, "INVITE", "z9hG4bKa", 1300);
	transaction_connection_lost(&f->shard, 1);
	assert_int_equal(ends, 0);
	assert_int_equal(f->sent_count, 2);
	assert_true(fixture_sent_has(f, 1, "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	assert_int_equal(f->sent[1].length, f->sent[0].length);
	/* It is a transaction of UDP now. */
	fixture_pass(f, 520);
	assert_int_equal(f->sent_count, 3);
	assert_string_equal(fixture_sent_text(f, 1), fixture_sent_text(f, 2));
	respond(f, &f->other, "UDP", 486, "INVITE", "z9hG4bKa");
	assert_true(fixture_sent_has(f, 3, "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n"));
	assert_int_equal(ends, 1);
	assert_int_equal(fixture_tombstones(f), 1);
	request(f, &f->other, "INVITE", "z9hG4bKb", 1300);
	assert_true(fixture_sent_has(f, 4, "SIP/2.0/UDP"));
	assert_int_equal(fixture_counter(f, CP_COUNTER_REQUESTS_MOVED), 1);
	assert_int_equal(fixture_counter(f, CP_COUNTER_REQUESTS_MOVED_BACK), 1);
}

static void test_an_answered_long_request_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	struct sip_flow by_tcp = { .listener = f->peer.listener, .remote = f->other.remote, .connection = 1 };

	request(f, &f->other, "INVITE", "z9hG4bKa", 1300);
	respond(f, &by_tcp, "TCP", 180, "INVITE", "z9hG4bKa");
	transaction_connection_lost(&f->shard, 1);
	assert_int_equal(ends, 1);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
	assert_int_equal(f->sent_count, 1);
}

static void test_an_invite_that_has_been_heard_of_goes_on_by_another_connection(void **state)
{
	struct fixture *f = *state;
	struct sip_flow by_tcp = { .listener = f->peer.listener, .remote = f->other.remote, .connection = 7 };

	request(f, &by_tcp, "INVITE", "z9hG4bKi", 0);
	respond(f, &by_tcp, "TCP", 180, "INVITE", "z9hG4bKi");
	f->sent_count = 0;
	transaction_connection_lost(&f->shard, 7);
	assert_int_equal(ends, 0);
	assert_int_equal(f->sent_count, 0);
	/* One that finds nobody there is lost again and again. */
	for (unsigned i = 0; i < 3; i++)
		transaction_connection_lost(&f->shard, 1);
	assert_int_equal(ends, 1);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
}

static void test_bye_is_said_again_by_another_connection(void **state)
{
	struct fixture *f = *state;
	struct sip_flow by_tcp = { .listener = f->peer.listener, .remote = f->other.remote, .connection = 7 };

	request(f, &by_tcp, "BYE", "z9hG4bKb", 0);
	transaction_connection_lost(&f->shard, 7);
	assert_int_equal(f->sent_count, 2);
	assert_string_equal(f->sent[0].text, f->sent[1].text);
	respond(f, &by_tcp, "TCP", 200, "BYE", "z9hG4bKb");
	assert_int_equal(how_ended, TRANSACTION_DONE);
	request(f, &by_tcp, "INFO", "z9hG4bKn", 0);
	transaction_connection_lost(&f->shard, 7);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
}

static void test_an_invite_whose_sender_cannot_be_reached_any_more_ends(void **state)
{
	struct fixture *f = *state;

	receive(f, "INVITE", "z9hG4bKi", 2);
	transaction_attach(last_server, &events, NULL);
	transaction_connection_lost(&f->shard, 7);
	assert_int_equal(ends, 0);
	for (unsigned i = 0; i < 3; i++)
		transaction_connection_lost(&f->shard, 1);
	assert_int_equal(how_ended, TRANSACTION_TRANSPORT_ERROR);
	/* One that has been answered does not wait. */
	receive(f, "INVITE", "z9hG4bKj", 3);
	transaction_attach(last_server, &events, NULL);
	transaction_reply(last_server, 486, SPAN("t"), (struct span){ NULL, 0 });
	ends = 0;
	transaction_connection_lost(&f->shard, 7);
	assert_int_equal(ends, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_server_repeats_nothing_and_leaves_no_tombstone),
		TEST(test_a_2xx_is_repeated_until_its_ack_on_any_transport),
		TEST(test_responses_name_where_the_request_came_from_and_fall_back_to_sent_by),
		TEST(test_client_repeats_nothing_and_gives_up_in_time),
		TEST(test_final_responses_leave_no_tombstone),
		TEST(test_a_lost_connection_ends_what_waits_on_it_and_nothing_else),
		TEST(test_an_invite_that_has_been_heard_of_goes_on_by_another_connection),
		TEST(test_bye_is_said_again_by_another_connection),
		TEST(test_an_invite_whose_sender_cannot_be_reached_any_more_ends),
		TEST(test_a_long_request_goes_by_tcp_with_ack_and_cancel_behind_it),
		TEST(test_a_long_request_to_where_an_agents_name_leads_goes_by_tcp),
		TEST(test_a_short_request_or_one_to_a_stranger_stays_on_udp),
		TEST(test_without_tcp_there_it_comes_back_to_udp_and_that_is_remembered),
		TEST(test_an_answered_long_request_does_not_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
