/* SPDX-License-Identifier: BSD-3-Clause */
/* Dialog state: what a leg takes from its peer's messages, and the requests it writes from that. */
#include "controlplane/leg.h"
#include "tests/unit/controlplane/sip_fixture.h"

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	(void)request;
	transaction_reply(tr, 500, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}

static const struct transaction_core core = { .request = on_request };

static struct config_ip_profile never = { .nat = CONFIG_NAT_NEVER }, automatic = { .nat = CONFIG_NAT_AUTO },
				always = { .nat = CONFIG_NAT_ALWAYS };

static int setup(void **state)
{
	struct fixture *f = fixture_new(&core);

	f->interface.ip_profile = &never;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* The text must outlive the message. */
static struct message *parse(const struct fixture *f, const char *text)
{
	static struct scan scan;
	struct message *message = NULL;
	unsigned status = 0;

	assert_int_equal(scan_message(&scan, span_from(text), true, &f->config.sip), SCAN_OK);
	assert_int_equal(message_parse(&scan, span_from(text), &f->peer, &message, &status), 0);
	return message;
}

#define INVITE(contact, routes)                                  \
	"INVITE sip:1000@192.0.2.1 SIP/2.0\r\n"                  \
	"Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKone\r\n"  \
	"Max-Forwards: 70\r\n"                                   \
	"From: \"Al, Ice\" <sip:alice@home.example>;tag=abc\r\n" \
	"To: <sip:1000@192.0.2.1>\r\n"                           \
	"Call-ID: one@home.example\r\n"                          \
	"CSeq: 7 INVITE\r\n" routes "Contact: " contact "\r\n"   \
	"Content-Length: 0\r\n\r\n"

#define ANSWER(contact, routes)                                 \
	"SIP/2.0 200 OK\r\n"                                    \
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtwo\r\n" \
	"From: <sip:alice@192.0.2.1>;tag=ours\r\n"              \
	"To: <sip:1000@192.0.2.9>;tag=theirs\r\n"               \
	"Call-ID: two\r\n"                                      \
	"CSeq: 1 INVITE\r\n" routes "Contact: " contact "\r\n"  \
	"Content-Length: 0\r\n\r\n"

static void server_leg(struct fixture *f, struct leg *leg, const char *invite)
{
	struct message *message = parse(f, invite);

	*leg = (struct leg){ 0 };
	assert_int_equal(leg_init_server(leg, &f->shard, message), 0);
	message_free(message);
}

static void client_leg(struct fixture *f, struct leg *leg)
{
	struct name_addr from, to;

	assert_int_equal(name_addr_parse(SPAN("\"Al\" <sip:alice@home.example:5099;x=y>"), &from), 0);
	assert_int_equal(name_addr_parse(SPAN("<sip:1000@203.0.113.10>"), &to), 0);
	*leg = (struct leg){ 0 };
	assert_int_equal(leg_init_client(leg, &f->shard, &f->peer, SPAN("1000"), &from, &to), 0);
}

static const char *write_request(struct leg *leg, enum sip_method method)
{
	static char text[4096];
	struct writer out;

	writer_init(&out, text, sizeof(text) - 1);
	leg_request_begin(leg, method, 70, &out);
	leg_contact(leg, &out);
	assert_false(out.overflow);
	text[out.len] = '\0';
	return text;
}

static void assert_has(const char *text, const char *piece)
{
	if (!strstr(text, piece))
		fail_msg("no \"%s\" in:\n%s", piece, text);
}

static void assert_lacks(const char *text, const char *piece)
{
	if (strstr(text, piece))
		fail_msg("\"%s\" in:\n%s", piece, text);
}

static void test_commas_in_quotes_and_angles_do_not_separate_values(void **state)
{
	const struct span list = SPAN("\"a, \\\" b\" <sip:x@h?y=1,2>;p=1 , <sip:z@h>,q");
	struct span value;

	(void)state;
	assert_true(leg_list_value(list, 0, &value));
	assert_true(span_equal(value, SPAN("\"a, \\\" b\" <sip:x@h?y=1,2>;p=1")));
	assert_true(leg_list_value(list, 1, &value));
	assert_true(span_equal(value, SPAN("<sip:z@h>")));
	assert_true(leg_list_value(list, 2, &value));
	assert_true(span_equal(value, SPAN("q")));
	assert_false(leg_list_value(list, 3, &value));
	assert_false(leg_list_value(SPAN(""), 0, &value));
}

static void test_requests_to_the_caller_swap_from_and_to_and_go_to_its_contact(void **state)
{
	struct fixture *f = *state;
	struct leg leg;
	const char *bye;

	server_leg(f, &leg, INVITE("<sip:al@192.0.2.7:5099;x=y>", ""));
	bye = write_request(&leg, SIP_METHOD_BYE);
	assert_has(bye, "BYE sip:al@192.0.2.7:5099;x=y SIP/2.0\r\n");
	assert_has(bye, "\r\nFrom: <sip:1000@192.0.2.1>;tag=");
	assert_has(bye, leg.local_tag);
	assert_has(bye, "\r\nTo: \"Al, Ice\" <sip:alice@home.example>;tag=abc\r\n");
	assert_has(bye, "\r\nCall-ID: one@home.example\r\n");
	assert_has(bye, "\r\nCSeq: 1 BYE\r\n");
	assert_has(bye, "\r\nContact: <sip:1000@192.0.2.1:5060>\r\n");
	assert_has(bye, "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK");
	assert_int_equal(address_port(&leg.next_hop), 5099);
	leg_fini(&leg);
}

static void test_the_callees_leg_tells_nothing_of_the_caller_but_display_name_and_user(void **state)
{
	struct fixture *f = *state;
	struct leg leg;
	const char *invite;

	client_leg(f, &leg);
	invite = write_request(&leg, SIP_METHOD_INVITE);
	assert_has(invite, "INVITE sip:1000@192.0.2.9:5070 SIP/2.0\r\n");
	assert_has(invite, "\r\nFrom: \"Al\" <sip:alice@192.0.2.1>;tag=");
	assert_has(invite, "\r\nTo: <sip:1000@192.0.2.9>\r\n");
	assert_has(invite, "\r\nContact: <sip:alice@192.0.2.1:5060>\r\n");
	assert_has(invite, "\r\nCSeq: 1 INVITE\r\n");
	assert_lacks(invite, "home.example");
	assert_lacks(invite, "203.0.113");
	leg_fini(&leg);
}

static void test_cseq_counts_up_but_for_the_ack_which_repeats_its_invites(void **state)
{
	struct fixture *f = *state;
	struct leg leg;

	client_leg(f, &leg);
	write_request(&leg, SIP_METHOD_INVITE);
	assert_has(write_request(&leg, SIP_METHOD_ACK), "CSeq: 1 ACK\r\n");
	assert_has(write_request(&leg, SIP_METHOD_INVITE), "CSeq: 2 INVITE\r\n");
	assert_has(write_request(&leg, SIP_METHOD_BYE), "CSeq: 3 BYE\r\n");
	assert_has(write_request(&leg, SIP_METHOD_ACK), "CSeq: 2 ACK\r\n");
	leg_fini(&leg);
}

static void test_route_set_is_kept_in_order_by_the_callee_and_reversed_by_the_caller(void **state)
{
	struct fixture *f = *state;
	struct leg leg;
	struct message *answer;
	const char *text;

	server_leg(f, &leg,
		INVITE("<sip:al@192.0.2.7>", "Record-Route: <sip:192.0.2.21;lr>, <sip:192.0.2.22;lr>\r\n"
					     "Record-Route: <sip:192.0.2.23;lr>\r\n"));
	assert_has(write_request(&leg, SIP_METHOD_BYE),
		"Route: <sip:192.0.2.21;lr>\r\nRoute: <sip:192.0.2.22;lr>\r\n"
		"Route: <sip:192.0.2.23;lr>\r\n");
	leg_fini(&leg);

	client_leg(f, &leg);
	answer = parse(f, ANSWER("<sip:pbx@192.0.2.30>", "Record-Route: <sip:192.0.2.21;lr>\r\n"
							 "Record-Route: <sip:192.0.2.22:5091;lr>\r\n"));
	assert_int_equal(leg_take_response(&leg, answer), 0);
	message_free(answer);
	text = write_request(&leg, SIP_METHOD_BYE);
	assert_has(text, "BYE sip:pbx@192.0.2.30 SIP/2.0\r\n");
	assert_has(text, "Route: <sip:192.0.2.22:5091;lr>\r\nRoute: <sip:192.0.2.21;lr>\r\n");
	assert_has(text, ";tag=theirs\r\n");
	assert_int_equal(address_port(&leg.next_hop), 5091);
	leg_fini(&leg);
}

static void test_a_strict_router_gets_the_request_uri_and_the_target_becomes_the_last_route(void **state)
{
	struct fixture *f = *state;
	struct leg leg;
	const char *text;

	server_leg(f, &leg,
		INVITE("<sip:al@192.0.2.7>", "Record-Route: <sip:192.0.2.21>, <sip:192.0.2.22;lr>\r\n"));
	text = write_request(&leg, SIP_METHOD_BYE);
	assert_has(text, "BYE sip:192.0.2.21 SIP/2.0\r\n");
	assert_has(text, "Route: <sip:192.0.2.22;lr>\r\nRoute: <sip:al@192.0.2.7>\r\n");
	assert_lacks(text, "Route: <sip:192.0.2.21>");
	leg_fini(&leg);
}

static void test_a_peer_behind_a_nat_is_reached_the_way_it_came(void **state)
{
	static struct {
		struct config_ip_profile *profile;
		const char *invite;
		uint16_t port;
	} cases[] = {
		{ &automatic, INVITE("<sip:al@10.0.0.7:5099>", ""), 5070 },
		{ &automatic, INVITE("<sip:al@192.0.2.9:5099>", ""),
			5099 }, /* no NAT: another port of the same host */
		{ &always, INVITE("<sip:al@192.0.2.9:5099>", ""), 5070 },
		{ &never, INVITE("<sip:al@10.0.0.7:5099>", ""), 5099 },
		{ &never, INVITE("<sip:al@phone.home.example:5099>", ""), 5070 }, /* no names yet */
		{ &never, INVITE("<sip:al@[2001:db8::1]:5099>", ""), 5070 }, /* not by this listener */
		{ &automatic, INVITE("<sip:al@10.0.0.7>", "Record-Route: <sip:198.51.100.1:5098;lr>\r\n"),
			5070 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct leg leg;

		f->interface.ip_profile = cases[i].profile;
		server_leg(f, &leg, cases[i].invite);
		assert_int_equal(address_port(&leg.next_hop), cases[i].port);
		leg_fini(&leg);
	}
}

static void test_a_request_must_count_up(void **state)
{
	struct fixture *f = *state;
	struct message *message = parse(f, INVITE("<sip:al@192.0.2.7>", ""));
	struct leg leg;

	server_leg(f, &leg, INVITE("<sip:al@192.0.2.7>", ""));
	assert_false(leg_accept_cseq(&leg, message));
	leg.remote_cseq = 6;
	assert_true(leg_accept_cseq(&leg, message));
	assert_int_equal(leg.remote_cseq, 7);
	message_free(message);
	leg_fini(&leg);
}

static void test_header_fields_of_a_contact_are_not_for_a_request_uri(void **state)
{
	struct leg leg;

	server_leg(*state, &leg, INVITE("<sip:al@192.0.2.7:5090;x=y?Subject=z>", ""));
	assert_string_equal(leg.target, "sip:al@192.0.2.7:5090;x=y");
	leg_fini(&leg);
}

static void test_text_over_the_limit_is_refused(void **state)
{
	static char invite[FIXTURE_TEXT_MAX], user[1200];
	struct fixture *f = *state;
	struct leg leg = { 0 };
	struct message *message;

	memset(user, 'x', sizeof(user) - 1);
	snprintf(invite, sizeof(invite), INVITE("<sip:%s@192.0.2.7>", ""), user);
	message = parse(f, invite);
	assert_int_equal(leg_init_server(&leg, &f->shard, message), -EMSGSIZE);
	message_free(message);
	leg_fini(&leg);
}

static void test_an_invite_without_contact_makes_no_leg(void **state)
{
	struct fixture *f = *state;
	struct leg leg = { 0 };
	struct message *message = parse(f,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKone\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=abc\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 "
		"INVITE\r\n"
		"Content-Length: 0\r\n\r\n");

	assert_int_equal(leg_init_server(&leg, &f->shard, message), -EINVAL);
	message_free(message);
	leg_fini(&leg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_commas_in_quotes_and_angles_do_not_separate_values),
		TEST(test_requests_to_the_caller_swap_from_and_to_and_go_to_its_contact),
		TEST(test_the_callees_leg_tells_nothing_of_the_caller_but_display_name_and_user),
		TEST(test_cseq_counts_up_but_for_the_ack_which_repeats_its_invites),
		TEST(test_route_set_is_kept_in_order_by_the_callee_and_reversed_by_the_caller),
		TEST(test_a_strict_router_gets_the_request_uri_and_the_target_becomes_the_last_route),
		TEST(test_a_peer_behind_a_nat_is_reached_the_way_it_came),
		TEST(test_a_request_must_count_up),
		TEST(test_header_fields_of_a_contact_are_not_for_a_request_uri),
		TEST(test_text_over_the_limit_is_refused),
		TEST(test_an_invite_without_contact_makes_no_leg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
