/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER answered from cache or sent on; what is removed; who may ask because he is registered. */
#include "tests/unit/controlplane/registrar_check.h"

#include "controlplane/agent.h"

static char text[512], other[1024];

/* --- cache ---------------------------------------------------------------------------------------------------------------- */

static void test_a_refresh_is_answered_here_while_the_registrars_expiry_lasts(void **state)
{
	struct call_world *w = *state;
	char token[SHARD_TOKEN_MAX];

	register_phone(w);
	memcpy(token, the_binding(w)->token, sizeof(token));
	__atomic_store_n(&the_binding(w)->expires_wall_ms, clock_wall_ms() + 5000, __ATOMIC_RELAXED);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact: " PHONE_CONTACT ";expires=60\r\n");
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	assert_true(the_binding(w)->expires_wall_ms > clock_wall_ms() + 50000);
	/* Not enough left for another round. */
	__atomic_store_n(
		&the_binding(w)->upstream_expires_wall_ms, clock_wall_ms() + 80000, __ATOMIC_RELAXED);
	registers(w, 4, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
	assert_contains(kept, token);
	assert_contains(kept, "CSeq: 3 REGISTER\r\n");
	pbx_accepts(w, kept, 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_string_equal(the_binding(w)->token, token);
	assert_int_equal(bindings(w), 1);
}

/* Nobody lives on the password of another: each of these has to prove itself, and has the same token if it can. */
static void test_another_flow_contact_instance_or_call_id_is_asked_for_its_password(void **state)
{
	static const struct {
		const char *call_id, *headers;
		bool elsewhere, same_token;
	} cases[] = {
		{ "reg1@phone", "Contact: " PHONE_CONTACT "\r\n", true, true },
		{ "reg1@phone", "Contact: <sip:1000@192.168.1.8:5070>\r\n", false, false },
		{ "reg1@phone", "Contact: " PHONE_CONTACT ";+sip.instance=\"<urn:uuid:2>\"\r\n", false,
			true },
		{ "reg1@phone", "Contact: " PHONE_CONTACT ";q=0.2\r\n", false, true },
		{ "reg9@phone", "Contact: " PHONE_CONTACT "\r\n", false, true },
	};
	struct call_world *w = *state;
	struct sip_flow elsewhere = w->f->peer;

	register_phone(w);
	address_set_port(&elsewhere.remote, 5071);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers_from(w, cases[i].elsewhere ? &elsewhere : &w->f->peer, "<sip:1000@sbc.example>",
			cases[i].call_id, 10 + i, cases[i].headers);
		to_pbx(w);
		assert_int_equal(strstr(kept, the_binding(w)->token) != NULL, cases[i].same_token);
		pbx_answers(w, kept, 403, "");
		take(w, cases[i].elsewhere ? &elsewhere : &w->f->peer, "SIP/2.0 403 ");
		assert_int_equal(address_port(&the_binding(w)->flow.remote), 5070);
	}
}

static void test_a_phone_that_has_moved_keeps_its_token_on_its_new_flow(void **state)
{
	struct call_world *w = *state;
	struct sip_flow elsewhere = w->f->peer;
	char token[SHARD_TOKEN_MAX];

	register_phone(w);
	memcpy(token, the_binding(w)->token, sizeof(token));
	address_set_port(&elsewhere.remote, 6071);
	registers_from(
		w, &elsewhere, "<sip:1000@sbc.example>", "reg1@phone", 3, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &elsewhere, "SIP/2.0 401 ");
	registers_from(w, &elsewhere, "<sip:1000@sbc.example>", "reg1@phone", 4,
		ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &elsewhere, "SIP/2.0 200 ");
	assert_string_equal(the_binding(w)->token, token);
	assert_int_equal(address_port(&the_binding(w)->flow.remote), 6071);
}

static void test_an_instance_that_changes_its_contact_replaces_it(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: <sip:1000@192.168.1.7>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 2, "Contact: <sip:1000@192.168.1.99>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "192.168.1.7>"));
	assert_true(span_equal(the_binding(w)->contact, SPAN("sip:1000@192.168.1.99")));
	registers(w, 3, "Contact: <sip:1000@192.168.1.99>;reg-id=2;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 2);
}

static void test_what_the_registrar_forgot_goes_there_again(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	/* Another device: the list that comes back has the first one's contact no more. */
	registers_from(w, &w->f->peer, "<sip:1000@sbc.example>", "reg5@phone", 1,
		"Contact: <sip:1000@192.168.1.9>\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
}

/* An INVITE of the phone's to the PBX, which answers that. */
static void pbx_refuses_a_call(struct call_world *w, unsigned status)
{
	char number[16];

	snprintf(number, sizeof(number), "call%u", status);
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bK%s\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=phone2\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:1000@192.168.1.7:5070>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		number, number, strlen(PHONE_SDP), PHONE_SDP);
	fake_answer_all();
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), status, "refused", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 4");
}

static void test_after_a_refusal_that_may_mean_that_it_is_unknown_the_registrar_is_asked(void **state)
{
	static const unsigned doubtful[] = { 401, 403, 407 };
	struct call_world *w = *state;
	unsigned n = 3;

	register_phone(w);
	pbx_refuses_a_call(w, 486);
	registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
		pbx_refuses_a_call(w, doubtful[i]);
		registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
		pbx_accepts(w, to_pbx(w), 3600);
		take(w, &w->f->peer, "SIP/2.0 200 ");
		/* Once is enough. */
		registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
		take(w, &w->f->peer, "SIP/2.0 200 ");
		assert_false(was_sent(w, &w->f->other, "REGISTER "));
	}
}

static void phone_sends_message(struct call_world *w, unsigned n)
{
	fixture_receive(w->f, &w->f->peer,
		"MESSAGE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bKm%u\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=m\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: m%u\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
		n, n);
}

static void test_a_refusal_of_any_request_counts_but_only_the_registrars(void **state)
{
	struct config_session_agent elsewhere;
	struct call_world *w = *state;

	register_phone(w);
	elsewhere = *the_binding(w)->agent;
	the_binding(w)->agent = &elsewhere;
	phone_sends_message(w, 1);
	respond(w, &w->f->other, take(w, &w->f->other, "MESSAGE "), 403, "m", "", NO_SDP);
	assert_int_equal(the_binding(w)->doubtful, 0);
	the_binding(w)->agent = w->f->config.session_agents;
	phone_sends_message(w, 2);
	respond(w, &w->f->other, take(w, &w->f->other, "MESSAGE "), 403, "m", "", NO_SDP);
	assert_int_equal(the_binding(w)->doubtful, 1);
}

/* RFC 3608 section 5. */
static void test_what_a_phone_asks_of_its_registrar_goes_by_the_service_route(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
	snprintf(other, sizeof(other),
		"Contact: %s;expires=3600\r\nService-Route: <sip:edge@192.0.2.10;lr>, nonsense\r\n"
		"Service-Route: <sip:home@10.9.9.9;lr>\r\n",
		our_contact(kept, text, sizeof(text)));
	pbx_answers(w, kept, 200, other);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "10.9.9.9"));
	phone_sends_message(w, 1);
	assert_contains(take(w, &w->f->other, "MESSAGE sip:1000@192.0.2.10:5080 "),
		"\r\nRoute: <sip:edge@192.0.2.10;lr>\r\nRoute: <sip:home@10.9.9.9;lr>\r\n");
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bKi1\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=i\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: i1\r\nCSeq: 1 INVITE\r\nContact: <sip:1000@192.168.1.7:5070>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(PHONE_SDP), PHONE_SDP);
	fake_answer_all();
	keep(take(w, &w->f->other, "INVITE sip:1000@192.0.2.10:5080 "));
	assert_contains(kept, "\r\nRoute: <sip:edge@192.0.2.10;lr>\r\nRoute: <sip:home@10.9.9.9;lr>\r\n");
	/* The dialog has a route set of its own. */
	respond(w, &w->f->other, kept, 200, "t", "", PBX_SDP);
	fake_answer_all();
	assert_null(strstr(take(w, &w->f->other, "ACK "), "Route"));
}

static void test_an_older_request_comes_too_late(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 1000, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 999, "Contact: " PHONE_CONTACT ";expires=0\r\n");
	take(w, &w->f->peer, "SIP/2.0 500 ");
	assert_int_equal(bindings(w), 1);
}

static void test_relay_sends_each_refresh_on_with_the_expiry_that_the_phone_asks_for(void **state)
{
	struct call_world *w = *state;

	w->f->interface.registration = CONFIG_REGISTRATION_RELAY;
	register_phone(w);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=1800\r\n");
	assert_contains(to_pbx(w), ";expires=1800\r\n");
	pbx_accepts(w, kept, 900);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), PHONE_CONTACT ";expires=900\r\n");
}

/* --- removed -------------------------------------------------------------------------------------------------------------- */

static void test_what_is_unregistered_goes_when_the_registrar_says_so(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=0\r\n");
	assert_contains(to_pbx(w), ";expires=0\r\n");
	pbx_answers(w, kept, 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(bindings(w), 1);
	registers(w, 4, ANSWER "Contact: " PHONE_CONTACT ";expires=0\r\n");
	pbx_answers(w, to_pbx(w), 200, "");
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact:"));
	assert_int_equal(bindings(w), 0);
}

static void test_a_star_removes_all_contacts(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers_from(
		w, &w->f->peer, "<sip:1000@sbc.example>", "reg2@phone", 1, "Contact: *\r\nExpires: 0\r\n");
	assert_contains(to_pbx(w), "Contact: *\r\nExpires: 0\r\n");
	pbx_answers(w, kept, 200, "");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 0);
}

static void test_a_query_is_answered_by_who_may_know(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 3, "");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact: " PHONE_CONTACT);
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	registers_from(w, &(struct sip_flow){ .listener = w->f->peer.listener, .remote = w->f->other.remote },
		"<sip:1000@sbc.example>", "reg3@phone", 1, "");
	/* From the PBX itself: whence it came it does not go. */
	take(w, &w->f->other, "SIP/2.0 403 ");
}

/* --- running out ---------------------------------------------------------------------------------------------------------- */

static void test_a_phone_that_stays_away_leaves_its_token_until_the_registrars_expiry(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	__atomic_store_n(&the_binding(w)->expires_wall_ms, 1, __ATOMIC_RELAXED);
	fixture_pass(w->f, 2000);
	assert_int_equal(bindings(w), 1);
	assert_int_equal(the_binding(w)->unreachable, 2);
	__atomic_store_n(&the_binding(w)->upstream_expires_wall_ms, 1, __ATOMIC_RELAXED);
	fixture_pass(w->f, 2000);
	assert_int_equal(bindings(w), 0);
}

/* --- who may ask ---------------------------------------------------------------------------------------------------------- */

static void test_only_the_registered_flow_may_send_requests(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "MESSAGE", 1, NULL, "Content-Type: text/plain\r\n", "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
	register_phone(w);
	caller_sends(w, "MESSAGE", 2, NULL, "", "");
	assert_true(was_sent(w, &w->f->other, "MESSAGE "));
	w->f->interface.allow_anonymous = CONFIG_ANONYMOUS_AGENTS;
	caller_sends(w, "MESSAGE", 3, NULL, "", "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_unregistered_goes_when_the_registrar_says_so),
		TEST(test_a_star_removes_all_contacts),
		TEST(test_a_query_is_answered_by_who_may_know),
		TEST(test_a_refresh_is_answered_here_while_the_registrars_expiry_lasts),
		TEST(test_another_flow_contact_instance_or_call_id_is_asked_for_its_password),
		TEST(test_a_phone_that_has_moved_keeps_its_token_on_its_new_flow),
		TEST(test_an_instance_that_changes_its_contact_replaces_it),
		TEST(test_what_the_registrar_forgot_goes_there_again),
		TEST(test_after_a_refusal_that_may_mean_that_it_is_unknown_the_registrar_is_asked),
		TEST(test_a_refusal_of_any_request_counts_but_only_the_registrars),
		TEST(test_what_a_phone_asks_of_its_registrar_goes_by_the_service_route),
		TEST(test_an_older_request_comes_too_late),
		TEST(test_relay_sends_each_refresh_on_with_the_expiry_that_the_phone_asks_for),
		TEST(test_a_phone_that_stays_away_leaves_its_token_until_the_registrars_expiry),
		TEST(test_only_the_registered_flow_may_send_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
