/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to registered phones: by our contact at the registrar or by user, over the phone's own flow. */
#include "tests/unit/controlplane/register_fixture.h"

struct phones_world {
	struct call_world *w;
	struct config_local_policy policies[2];
};

static char kept[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	struct phones_world *p = calloc(1, sizeof(*p));
	static char name[] = "to-phones";

	assert_non_null(p);
	p->w = register_world_new();
	/* Numbers that begin with 1000 are the PBX's, all else is for phones. */
	p->policies[0] = p->w->policy;
	p->policies[1] =
		(struct config_local_policy){ .name = name, .next_hop = CONFIG_NEXT_HOP_REGISTRATION };
	assert_int_equal(regcomp(&p->policies[1].to_regex, ".*", REG_EXTENDED | REG_NOSUB), 0);
	p->w->f->config.local_policies = p->policies;
	p->w->f->config.local_policies_count = 2;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct phones_world *p = *state;

	regfree(&p->policies[1].to_regex);
	register_world_free(p->w);
	free(p);
	return 0;
}

static const char *keep(const char *sent)
{
	snprintf(kept, sizeof(kept), "%s", sent);
	return kept;
}

static void pbx_sends(struct call_world *w, const char *method, const char *uri, const char *headers,
	unsigned n, const char *body)
{
	char end[2048];

	write_body(end, sizeof(end), body);
	fixture_receive(w->f, &w->f->other,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKcall%u\r\nMax-Forwards: "
		"70\r\n"
		"From: <sip:2000@192.0.2.10>;tag=pbx%u\r\nTo: <%s>\r\nCall-ID: pbxcall%u\r\nCSeq: 1 %s\r\n"
		"Contact: <sip:2000@192.0.2.10:5080>\r\n%s%s",
		method, uri, n, n, uri, n, method, headers, end);
}

static void invites(struct call_world *w, const char *uri, const char *headers, unsigned n)
{
	pbx_sends(w, "INVITE", uri, headers, n, PBX_SDP);
	fake_answer_all();
}

static void test_a_call_to_our_contact_reaches_the_phones_own_by_its_flow(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char uri[128];

	register_phone(w);
	snprintf(uri, sizeof(uri), "sip:%s@192.0.2.1:5060", the_binding(w)->token);
	invites(w, uri, "", 1);
	keep(take(w, &w->f->peer, "INVITE sip:1000@192.168.1.7:5070 SIP/2.0\r\n"));
	assert_contains(kept, "To: <sip:1000@192.0.2.9>\r\n");
	assert_null(strstr(kept, the_binding(w)->token));
	assert_null(strstr(kept, "192.0.2.10"));
	respond(w, &w->f->peer, kept, 486, "busy", "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 486 ");
}

/* One Path for both (RFC 3327): the request URI says which. */
static void test_of_several_contacts_of_one_request_each_is_reached_by_the_path_they_share(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	struct config_ip_profile profile = w->profile;
	struct binding *found[3];
	char route[128], asked[FIXTURE_TEXT_MAX];

	profile.registration_contact = CONFIG_CONTACT_PATH;
	w->agent.ip_profile = &profile;
	registers(w, 1,
		"Contact: <sip:one@192.168.1.7:5070>;expires=3600, "
		"<sip:two@192.168.1.7:5071>;expires=3600\r\n");
	snprintf(asked, sizeof(asked), "%s", take(w, &w->f->other, "REGISTER "));
	assert_contains(asked, "Contact: <sip:one@192.168.1.7:5070>");
	assert_contains(asked, "Contact: <sip:two@192.168.1.7:5071>");
	pbx_answers(w, asked, 200,
		"Contact: <sip:one@192.168.1.7:5070>;expires=3600, "
		"<sip:two@192.168.1.7:5071>;expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(
		location_known(w->f->shard.shared.location, &w->f->realm, SPAN("1000@x"), found, 3), 2);
	snprintf(route, sizeof(route), "Route: <sip:%s@192.0.2.1:5060;lr>\r\n", found[0]->token);
	assert_string_equal(found[0]->token, found[1]->token);
	binding_put(found[0]);
	binding_put(found[1]);
	invites(w, "sip:two@192.168.1.7:5071", route, 1);
	keep(take(w, &w->f->peer, "INVITE sip:two@192.168.1.7:5071 SIP/2.0\r\n"));
	respond(w, &w->f->peer, kept, 486, "busy", "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 486 ");
	invites(w, "sip:one@192.168.1.7:5070", route, 2);
	keep(take(w, &w->f->peer, "INVITE sip:one@192.168.1.7:5070 SIP/2.0\r\n"));
	respond(w, &w->f->peer, kept, 486, "busy", "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 486 ");
}

static void test_a_call_that_comes_by_our_path_reaches_the_same(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char route[128];

	register_phone(w);
	snprintf(route, sizeof(route), "Route: <sip:%s@192.0.2.1:5060;lr>\r\n", the_binding(w)->token);
	invites(w, "sip:alice@192.168.1.7:5070", route, 1);
	take(w, &w->f->peer, "INVITE sip:1000@192.168.1.7:5070 SIP/2.0\r\n");
}

static void test_who_is_unknown_is_404_and_who_is_away_480(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char uri[128];

	invites(w, "sip:nobody@192.0.2.1", "", 1);
	take(w, &w->f->other, "SIP/2.0 404 ");
	register_phone(w);
	snprintf(uri, sizeof(uri), "sip:%s@192.0.2.1", the_binding(w)->token);
	__atomic_store_n(&the_binding(w)->expires_wall_ms, 1, __ATOMIC_RELAXED);
	invites(w, uri, "", 2);
	take(w, &w->f->other, "SIP/2.0 480 ");
	assert_false(was_sent(w, &w->f->peer, "INVITE "));
}

static void test_a_phone_that_answers_nothing_is_480_and_not_asked_again(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char uri[128];

	register_phone(w);
	snprintf(uri, sizeof(uri), "sip:%s@192.0.2.1", the_binding(w)->token);
	invites(w, uri, "", 1);
	take(w, &w->f->peer, "INVITE ");
	fixture_pass(w->f, 33000);
	take(w, &w->f->other, "SIP/2.0 480 ");
	assert_int_equal(the_binding(w)->unreachable, 1);
	invites(w, uri, "", 2);
	take(w, &w->f->other, "SIP/2.0 480 ");
	assert_false(was_sent(w, &w->f->peer, "INVITE "));
	/* It is heard of again. */
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	invites(w, uri, "", 3);
	take(w, &w->f->peer, "INVITE ");
}

static void test_a_phone_whose_connection_has_ended_is_480_at_once_until_it_registers_by_another(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	struct sip_flow flow = w->f->peer;
	char uri[128];

	flow.connection = 7;
	registers_from(w, &flow, "<sip:1000@sbc.example>", "reg1@phone", 1, "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, take(w, &w->f->other, "REGISTER "), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	snprintf(uri, sizeof(uri), "sip:%s@192.0.2.1", the_binding(w)->token);
	flow.connection = 6;
	registrar_connection_lost(&w->f->shard, &flow);
	assert_int_equal(the_binding(w)->unreachable, 0);
	flow.connection = 7;
	registrar_connection_lost(&w->f->shard, &flow);
	invites(w, uri, "", 1);
	take(w, &w->f->other, "SIP/2.0 480 ");
	assert_false(was_sent(w, &w->f->peer, "INVITE "));
	flow.connection = 8;
	registers_from(w, &flow, "<sip:1000@sbc.example>", "reg1@phone", 2, "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, take(w, &w->f->other, "REGISTER "), 3600);
	invites(w, uri, "", 2);
	take(w, &w->f->peer, "INVITE ");
}

static void test_contacts_of_a_user_are_tried_one_after_the_other_best_first(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char first[128], second[128], headers[1024];

	p->policies[0].next_hop = CONFIG_NEXT_HOP_AGENT;
	registers(w, 1, "Contact: <sip:a@192.168.1.7>;q=0.5, <sip:b@192.168.1.7>;q=0.9\r\n");
	keep(take(w, &w->f->other, "REGISTER "));
	our_contact(kept, first, sizeof(first));
	our_contact(strstr(strstr(kept, "\r\nContact: ") + 4, "\r\nContact: "), second, sizeof(second));
	snprintf(headers, sizeof(headers), "Contact: %s;expires=1800, %s;expires=90\r\n", first, second);
	pbx_answers(w, kept, 200, headers);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	p->policies[0] = p->policies[1];
	invites(w, "sip:1000@192.0.2.1", "", 1);
	respond(w, &w->f->peer, take(w, &w->f->peer, "INVITE sip:b@192.168.1.7 "), 480, "t1", "", NO_SDP);
	take(w, &w->f->peer, "ACK ");
	fake_answer_all();
	respond(w, &w->f->peer, take(w, &w->f->peer, "INVITE sip:a@192.168.1.7 "), 486, "t2", "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 48");
	p->policies[0] = w->policy;
}

/* --- several phones of a user -------------------------------------------------------------------------------------------- */

static struct ringing {
	struct sip_flow desk, mobile;
	char at_desk[FIXTURE_TEXT_MAX], at_mobile[FIXTURE_TEXT_MAX]; /* the INVITE there */
} r;

static void registers_at(struct call_world *w, const struct sip_flow *flow, const char *contact)
{
	char call_id[32];

	snprintf(call_id, sizeof(call_id), "at%u", address_port(&flow->remote));
	registers_from(w, flow, "<sip:1000@sbc.example>", call_id, 1, contact);
	pbx_accepts(w, take(w, &w->f->other, "REGISTER "), 3600);
	take(w, flow, "SIP/2.0 200 ");
}

/* Two phones of one user, registered with these parameters; a call to him. */
static void call_both(struct phones_world *p, const char *desk, const char *mobile)
{
	struct call_world *w = p->w;
	char contact[128];

	r.desk = r.mobile = w->f->peer;
	address_set_port(&r.desk.remote, 20000);
	address_set_port(&r.mobile.remote, 20001);
	snprintf(contact, sizeof(contact), "Contact: <sip:desk@192.168.1.7>%s\r\n", desk);
	registers_at(w, &r.desk, contact);
	snprintf(contact, sizeof(contact), "Contact: <sip:mobile@192.168.9.9>%s\r\n", mobile);
	registers_at(w, &r.mobile, contact);
	p->policies[0] = p->policies[1];
	invites(w, "sip:1000@192.0.2.1", "", 1);
}

static void both_ring(struct phones_world *p)
{
	struct call_world *w = p->w;

	call_both(p, "", "");
	snprintf(r.at_mobile, sizeof(r.at_mobile), "%s",
		take(w, &r.mobile, "INVITE sip:mobile@192.168.9.9 SIP/2.0\r\n"));
	snprintf(r.at_desk, sizeof(r.at_desk), "%s",
		take(w, &r.desk, "INVITE sip:desk@192.168.1.7 SIP/2.0\r\n"));
	assert_null(strstr(r.at_desk, "100rel"));
	assert_contains(r.at_desk, "m=audio ");
	assert_string_equal(strstr(r.at_desk, "v=0"), strstr(r.at_mobile, "v=0"));
}

static void nothing_is_left(struct phones_world *p)
{
	fixture_pass(p->w->f, 70000);
	assert_int_equal(call_count(&p->w->f->shard), 0);
	p->policies[0] = p->w->policy;
}

static void desk_says(struct call_world *w, unsigned status, const char *body)
{
	respond(w, &r.desk, r.at_desk, status, "d", "", body);
}

static void mobile_says(struct call_world *w, unsigned status, const char *body)
{
	respond(w, &r.mobile, r.at_mobile, status, "m", "", body);
}

/* Whatever has been taken before it. */
static const char *take_any(struct call_world *w, const struct sip_flow *flow, const char *begin)
{
	w->looked = 0;
	return take(w, flow, begin);
}

/* The phone hears CANCEL, and says so. */
static void is_cancelled(struct call_world *w, const struct sip_flow *phone, const char *invite)
{
	w->looked = 0;
	respond(w, phone, take(w, phone, "CANCEL "), 200, NULL, "", NO_SDP);
	respond(w, phone, invite, 487, "gone", "", NO_SDP);
	take(w, phone, "ACK ");
}

static void test_phones_of_one_user_ring_together_and_the_first_answer_wins(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	const struct sip_flow *winner, *loser;

	both_ring(p);
	mobile_says(w, 180, NO_SDP);
	desk_says(w, 180, NO_SDP);
	take(w, &w->f->other, "SIP/2.0 180 ");
	/* The one that is no callee yet. */
	winner = &r.desk;
	loser = &r.mobile;
	desk_says(w, 200, PHONE_SDP);
	fake_answer_all();
	assert_contains(
		take(w, loser, "CANCEL "), "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n");
	take_any(w, winner, "ACK ");
	assert_contains(take_any(w, &w->f->other, "SIP/2.0 200 "), "m=audio ");
	is_cancelled(w, loser, r.at_mobile);
	assert_false(was_sent(w, winner, "BYE "));
	assert_int_equal(call_count(&w->f->shard), 1);
	p->policies[0] = w->policy;
}

static void test_the_answer_of_a_second_phone_that_crosses_is_acknowledged_and_hung_up(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	mobile_says(w, 180, NO_SDP);
	desk_says(w, 180, NO_SDP);
	mobile_says(w, 200, PHONE_SDP);
	desk_says(w, 200, PHONE_SDP);
	fake_answer_all();
	take_any(w, &r.mobile, "ACK ");
	take_any(w, &r.desk, "CANCEL ");
	take(w, &r.desk, "ACK ");
	take(w, &r.desk, "BYE ");
	assert_false(was_sent(w, &r.mobile, "BYE "));
	take_any(w, &w->f->other, "SIP/2.0 200 ");
	assert_false(was_sent(w, &w->f->other, "SIP/2.0 200 "));
	p->policies[0] = w->policy;
}

static void test_a_busy_phone_leaves_the_other_ringing(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	/* The callee's own phone first, and the other way round. */
	both_ring(p);
	mobile_says(w, 486, NO_SDP);
	take(w, &r.mobile, "ACK ");
	assert_false(was_sent(w, &w->f->other, "SIP/2.0 4"));
	assert_false(was_sent(w, &r.desk, "CANCEL "));
	desk_says(w, 180, NO_SDP);
	take(w, &w->f->other, "SIP/2.0 180 ");
	desk_says(w, 200, PHONE_SDP);
	fake_answer_all();
	take_any(w, &r.desk, "ACK ");
	take_any(w, &w->f->other, "SIP/2.0 200 ");
	assert_false(was_sent(w, &r.desk, "BYE "));
	p->policies[0] = w->policy;
}

static void test_when_all_phones_refuse_the_caller_gets_the_best_refusal(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	desk_says(w, 486, NO_SDP);
	take(w, &r.desk, "ACK ");
	assert_false(was_sent(w, &w->f->other, "SIP/2.0 4"));
	mobile_says(w, 503, NO_SDP);
	take(w, &w->f->other, "SIP/2.0 486 ");
	nothing_is_left(p);
}

static void test_a_decline_ends_it_for_all(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	mobile_says(w, 180, NO_SDP);
	desk_says(w, 603, NO_SDP);
	take_any(w, &w->f->other, "SIP/2.0 603 ");
	is_cancelled(w, &r.mobile, r.at_mobile);
	nothing_is_left(p);
}

static void test_a_caller_who_gives_up_cancels_all(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	mobile_says(w, 180, NO_SDP);
	desk_says(w, 180, NO_SDP);
	fixture_receive(w->f, &w->f->other,
		"CANCEL sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.10:5080;branch=z9hG4bKcall1\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:2000@192.0.2.10>;tag=pbx1\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: pbxcall1\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n");
	take(w, &w->f->other, "SIP/2.0 487 ");
	is_cancelled(w, &r.mobile, r.at_mobile);
	is_cancelled(w, &r.desk, r.at_desk);
	nothing_is_left(p);
}

static void test_early_media_comes_from_the_first_phone_that_has_it(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	mobile_says(w, 180, NO_SDP);
	take(w, &w->f->other, "SIP/2.0 180 ");
	desk_says(w, 183, PHONE_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->other, "SIP/2.0 183 "), "m=audio ");
	mobile_says(w, 183, PHONE_SDP);
	assert_false(was_sent(w, &w->f->other, "SIP/2.0 18"));
	/* And the other one answers. */
	mobile_says(w, 200, PHONE_SDP);
	fake_answer_all();
	take_any(w, &r.mobile, "ACK ");
	is_cancelled(w, &r.desk, r.at_desk);
	assert_contains(take_any(w, &w->f->other, "SIP/2.0 200 "), "m=audio ");
	p->policies[0] = w->policy;
}

static void test_a_phone_that_says_nothing_leaves_the_other_ringing(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	both_ring(p);
	desk_says(w, 180, NO_SDP);
	take(w, &w->f->other, "SIP/2.0 180 ");
	fixture_pass(w->f, 33000);
	assert_false(was_sent(w, &w->f->other, "SIP/2.0 4"));
	desk_says(w, 200, PHONE_SDP);
	fake_answer_all();
	take(w, &w->f->other, "SIP/2.0 200 ");
	p->policies[0] = w->policy;
}

static void test_phones_of_lower_q_ring_when_those_of_higher_have_refused(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;

	call_both(p, ";q=0.9", ";q=0.5");
	keep(take(w, &r.desk, "INVITE "));
	assert_false(was_sent(w, &r.mobile, "INVITE "));
	respond(w, &r.desk, kept, 486, "d", "", NO_SDP);
	fake_answer_all();
	respond(w, &r.mobile, keep(take(w, &r.mobile, "INVITE ")), 486, "m", "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 486 ");
	nothing_is_left(p);
}

/* Phones call each other by a policy that comes first; their REGISTER goes to the registrar all the same. */
static void test_a_policy_for_phones_is_none_for_their_register(void **state)
{
	struct phones_world *p = *state;

	p->policies[0] = p->policies[1];
	p->policies[1] = p->w->policy;
	register_phone(p->w);
	p->policies[1] = p->policies[0];
	p->policies[0] = p->w->policy;
}

static void test_requests_outside_of_calls_go_there_too(void **state)
{
	struct phones_world *p = *state;
	struct call_world *w = p->w;
	char uri[128];

	register_phone(w);
	snprintf(uri, sizeof(uri), "sip:%s@192.0.2.1", the_binding(w)->token);
	fixture_receive(w->f, &w->f->other,
		"MESSAGE %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKm1\r\nMax-Forwards: "
		"70\r\n"
		"From: <sip:2000@192.0.2.10>;tag=m\r\nTo: <%s>\r\nCall-ID: m1\r\nCSeq: 1 MESSAGE\r\n"
		"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
		uri, uri);
	assert_contains(take(w, &w->f->peer, "MESSAGE sip:1000@192.168.1.7:5070 SIP/2.0\r\n"), "\r\n\r\nhi");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_call_to_our_contact_reaches_the_phones_own_by_its_flow),
		TEST(test_a_call_that_comes_by_our_path_reaches_the_same),
		TEST(test_of_several_contacts_of_one_request_each_is_reached_by_the_path_they_share),
		TEST(test_who_is_unknown_is_404_and_who_is_away_480),
		TEST(test_a_phone_that_answers_nothing_is_480_and_not_asked_again),
		TEST(test_a_phone_whose_connection_has_ended_is_480_at_once_until_it_registers_by_another),
		TEST(test_contacts_of_a_user_are_tried_one_after_the_other_best_first),
		TEST(test_phones_of_one_user_ring_together_and_the_first_answer_wins),
		TEST(test_the_answer_of_a_second_phone_that_crosses_is_acknowledged_and_hung_up),
		TEST(test_a_busy_phone_leaves_the_other_ringing),
		TEST(test_when_all_phones_refuse_the_caller_gets_the_best_refusal),
		TEST(test_a_decline_ends_it_for_all),
		TEST(test_a_caller_who_gives_up_cancels_all),
		TEST(test_early_media_comes_from_the_first_phone_that_has_it),
		TEST(test_a_phone_that_says_nothing_leaves_the_other_ringing),
		TEST(test_phones_of_lower_q_ring_when_those_of_higher_have_refused),
		TEST(test_a_policy_for_phones_is_none_for_their_register),
		TEST(test_requests_outside_of_calls_go_there_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
