/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer: names of dialogs, REFER relayed and carried out, legs that move or stay. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/call_state.h"
#include "controlplane/call_transfer.h"
#include "controlplane/subscription.h"

static char invite[FIXTURE_TEXT_MAX], kept[FIXTURE_TEXT_MAX], target[FIXTURE_TEXT_MAX];

#define PBX_SDP_2                                                                                          \
	"v=0\r\no=y 2 3 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 6002 RTP/AVP " \
	"0\r\n"

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->profile.transfer = CONFIG_TERMINATE;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static const char *keep(const char *text)
{
	snprintf(kept, sizeof(kept), "%s", text);
	return kept;
}

static struct span value_of(const char *text, const char *start, const char *end)
{
	const char *at = strstr(text, start);

	assert_non_null(at);
	at += strlen(start);
	return (struct span){ at, strcspn(at, end) };
}

/* REFER, 202 and the first NOTIFY; the INVITE for the target in `target`. */
static void refer(struct call_world *w, unsigned cseq)
{
	caller_sends(w, "REFER", cseq, w->caller_tag, "Refer-To: <sip:2000@192.0.2.1>\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 202 ");
	keep(take(w, &w->f->peer, "NOTIFY "));
	assert_contains(kept, "\r\n\r\nSIP/2.0 100 Trying\r\n");
	respond(w, &w->f->peer, kept, 200, NULL, "", NO_SDP);
	snprintf(target, sizeof(target), "%s", take(w, &w->f->other, "INVITE sip:2000@"));
	assert_contains(target, "Content-Length: 0\r\n");
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

static void test_a_name_is_found_in_its_realm_and_in_this_order_only(void **state)
{
	struct call_world *w = *state;
	struct config_realm other = { .name = (char *)"other" };
	struct dialog_name name = { SPAN("call1@192.0.2.9"), { NULL, 0 }, SPAN("from1"), false }, far;
	struct leg *leg;

	establish(w, invite);
	name.to_tag = span_from(w->caller_tag);
	leg = transfer_find_dialog(&w->f->shard, &w->f->realm, &name);
	assert_non_null(leg);
	assert_int_equal(leg->side, LEG_CALLER);
	assert_null(transfer_find_dialog(&w->f->shard, &other, &name));
	transfer_write_dialog(call_peer(leg), &far);
	assert_true(span_equal(far.to_tag, SPAN("pbx1")));
	assert_true(span_equal(far.call_id, value_of(invite, "Call-ID: ", "\r")));
	assert_true(span_equal(far.from_tag, value_of(strstr(invite, "From: "), ";tag=", "\r")));
	name.from_tag = span_from(w->caller_tag);
	name.to_tag = SPAN("from1");
	assert_null(transfer_find_dialog(&w->f->shard, &w->f->realm, &name));
	name = (struct dialog_name){ 0 };
	assert_null(transfer_find_dialog(&w->f->shard, &w->f->realm, &name));
}

/* --- carried out here ----------------------------------------------------------------------------------------------------- */

static void test_the_remaining_party_gets_the_targets_offer_and_the_referrer_is_told(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	respond(w, &w->f->other, target, 180, "new", "", NO_SDP);
	keep(take(w, &w->f->peer, "NOTIFY "));
	assert_contains(kept, "\r\n\r\nSIP/2.0 180 Ringing\r\n");
	respond(w, &w->f->peer, kept, 200, NULL, "", NO_SDP);
	respond(w, &w->f->other, target, 200, "new", "", PBX_SDP_2);
	fake_answer_all();
	keep(take(w, &w->f->other, "INVITE sip:there@"));
	assert_contains(kept, ";tag=pbx1\r\n");
	assert_contains(kept, "m=audio ");
	respond(w, &w->f->other, kept, 200, NULL, "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	keep(take(w, &w->f->peer, "NOTIFY "));
	assert_contains(take(w, &w->f->other, "ACK "), "m=audio ");
	assert_contains(kept, "Subscription-State: terminated;");
	assert_contains(kept, "\r\n\r\nSIP/2.0 200 OK\r\n");
	respond(w, &w->f->peer, kept, 200, NULL, "", NO_SDP);
	assert_int_equal(call_count(&w->f->shard), 2);
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 1);
	assert_false(was_sent(w, &w->f->other, "BYE "));
	callee_sends(w, invite, "BYE", 7, "pbx1", NO_SDP);
	keep(take(w, &w->f->other, "BYE "));
	assert_contains(kept, ";tag=new\r\n");
}

static void test_an_offer_of_the_referrer_does_not_reach_the_party_that_has_gone(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	respond(w, &w->f->other, target, 200, "new", "", PBX_SDP_2);
	fake_answer_all();
	respond(w, &w->f->other, keep(take(w, &w->f->other, "INVITE sip:there@")), 200, NULL, "", PBX_SDP);
	caller_sends(w, "INVITE", 3, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	take(w, &w->f->peer, "SIP/2.0 491 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_a_refused_target_leaves_everything(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	caller_sends(w, "REFER", 3, w->caller_tag, "Refer-To: <sip:2000@192.0.2.1>\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 491 ");
	callee_sends(w, invite, "INVITE", 7, "pbx1", PBX_SDP_2);
	take(w, &w->f->other, "SIP/2.0 491 ");
	respond(w, &w->f->other, target, 486, "new", "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 486 Busy Here\r\n");
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 1);
	caller_sends(w, "BYE", 4, w->caller_tag, "", NO_SDP);
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
}

static void test_a_redirected_target_is_followed(void **state)
{
	struct call_world *w = *state;

	w->f->config.sip.max_redirects = 5;
	establish(w, invite);
	refer(w, 2);
	respond(w, &w->f->other, target, 302, "t1", "Contact: <sip:3000@198.51.100.77>\r\n", NO_SDP);
	snprintf(target, sizeof(target), "%s", take(w, &w->f->other, "INVITE sip:3000@"));
	assert_contains(target, "Content-Length: 0\r\n");
	respond(w, &w->f->other, target, 486, "t2", "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 486 ");
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_a_remaining_party_that_refuses_costs_the_target_its_call(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	respond(w, &w->f->other, target, 200, "new", "", PBX_SDP_2);
	fake_answer_all();
	keep(take(w, &w->f->other, "INVITE sip:there@"));
	respond(w, &w->f->other, kept, 488, NULL, "", NO_SDP);
	keep(take(w, &w->f->other, "BYE "));
	assert_contains(kept, ";tag=new\r\n");
	respond(w, &w->f->other, kept, 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 488 ");
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_the_remaining_party_stays_when_the_referrer_leaves(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_false(was_sent(w, &w->f->other, "BYE "));
	respond(w, &w->f->other, target, 603, "new", "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 603 ");
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
}

static void test_the_target_is_cancelled_when_the_remaining_party_leaves(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	refer(w, 2);
	respond(w, &w->f->other, target, 180, "new", "", NO_SDP);
	callee_sends(w, invite, "BYE", 7, "pbx1", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 200 ");
	take(w, &w->f->other, "CANCEL ");
	take(w, &w->f->peer, "BYE ");
	respond(w, &w->f->other, target, 487, "new", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_refer_is_refused_when_it_cannot_be_read(void **state)
{
	static const struct {
		const char *headers, *answer;
	} cases[] = {
		{ "", "SIP/2.0 400 " },
		{ "Refer-To: <sip:1@a>\r\nRefer-To: <sip:2@a>\r\n", "SIP/2.0 400 " },
		{ "Refer-To: <sips:1@a>\r\n", "SIP/2.0 416 " },
		{ "Refer-To: <sip:1@a;method=BYE>\r\n", "SIP/2.0 603 " },
		{ "Refer-To: <sip:1@a?Replaces=%0d%0a>\r\n", "SIP/2.0 400 " },
		{ "Refer-To: <sip:1@a?Replaces=a>\r\n", "SIP/2.0 400 " },
	};
	struct call_world *w = *state;

	establish(w, invite);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		caller_sends(w, "REFER", 10 + i, w->caller_tag, cases[i].headers, NO_SDP);
		take(w, &w->f->peer, cases[i].answer);
	}
	assert_int_equal(call_count(&w->f->shard), 1);
}

/* Of the callee, about the last REFER; without a body. */
static void notify(struct call_world *w, unsigned cseq, const char *headers)
{
	char from[512], to[512], call_id[512];

	line_of(invite, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	fixture_receive(w->f, &w->f->other,
		"NOTIFY sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKn%u\r\n"
		"Max-Forwards: 70\r\nFrom: %s;tag=pbx1\r\nTo: %s%sCSeq: %u NOTIFY\r\n"
		"Contact: <sip:there@192.0.2.10:5080>\r\n%s\r\nContent-Length: 0\r\n\r\n",
		cseq, to + strlen("To: "), line_of(invite, "From", from, sizeof(from)) + strlen("From: "),
		line_of(invite, "Call-ID", call_id, sizeof(call_id)), cseq, headers);
}

/* --- relayed -------------------------------------------------------------------------------------------------------------- */

static void test_refer_and_its_notifications_cross_with_names_of_each_side(void **state)
{
	struct call_world *w = *state;
	char lines[512];

	w->profile.transfer = CONFIG_RELAY;
	establish(w, invite);
	snprintf(lines, sizeof(lines),
		"Refer-To: "
		"<sip:2000@192.0.2.1?X=y&Replaces=call1%%40192.0.2.9%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dfrom1>"
		"\r\nReferred-By: <sip:alice@192.0.2.9>\r\n",
		w->caller_tag);
	caller_sends(w, "REFER", 2, w->caller_tag, lines, NO_SDP);
	keep(take(w, &w->f->other, "REFER sip:there@"));
	assert_contains(kept, "to-tag%3Dpbx1");
	assert_null(strstr(kept, "192.0.2.9"));
	assert_null(strstr(kept, "from1"));
	assert_null(strstr(kept, "X=y"));
	respond(w, &w->f->other, kept, 202, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 202 ");
}

/* A call that ends while the callee carries a REFER out, by the referrer; `expires`: what the callee has promised. */
static void refer_and_hang_up(struct call_world *w, const char *expires)
{
	char lines[256];

	w->profile.transfer = CONFIG_RELAY;
	establish(w, invite);
	caller_sends(w, "REFER", 2, w->caller_tag, "Refer-To: <sip:2000@192.0.2.1>\r\n", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "REFER "), 202, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 202 ");
	snprintf(lines, sizeof(lines), "Event: refer\r\nSubscription-State: active;expires=%s", expires);
	notify(w, 7, lines);
	respond(w, &w->f->peer, take(w, &w->f->peer, "NOTIFY "), 200, NULL, "", NO_SDP);
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
}

static void test_what_a_referrer_waits_for_after_the_call_is_over_in_its_time(void **state)
{
	struct call_world *w = *state;

	refer_and_hang_up(w, "20");
	assert_int_equal(subscription_count(&w->f->shard), 1);
	fixture_pass(w->f, 19000);
	assert_false(was_sent(w, &w->f->peer, "NOTIFY "));
	/* And as long as a last NOTIFY may be repeated. */
	fixture_pass(w->f, 33500);
	assert_contains(take(w, &w->f->peer, "NOTIFY "), "Event: refer;id=2\r\n");
	assert_contains(w->taken, "Subscription-State: terminated;reason=timeout\r\n");
	assert_contains(w->taken, "\r\n\r\nSIP/2.0 100 Trying\r\n");
	assert_int_equal(subscription_count(&w->f->shard), 0);
}

static void test_what_a_referrer_waits_for_is_bounded_in_number_and_time(void **state)
{
	struct call_world *w = *state;

	w->f->config.sip.max_subscriptions = 0;
	refer_and_hang_up(w, "20");
	assert_int_equal(subscription_count(&w->f->shard), 0);
	notify(w, 9, "Event: refer\r\nSubscription-State: terminated");
	take(w, &w->f->other, "SIP/2.0 481 ");
	teardown(state);
	setup(state);
	w = *state;
	refer_and_hang_up(w, "4000000000");
	fixture_pass(w->f, 7300000);
	assert_int_equal(subscription_count(&w->f->shard), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_name_is_found_in_its_realm_and_in_this_order_only),
		TEST(test_the_remaining_party_gets_the_targets_offer_and_the_referrer_is_told),
		TEST(test_an_offer_of_the_referrer_does_not_reach_the_party_that_has_gone),
		TEST(test_a_refused_target_leaves_everything),
		TEST(test_a_redirected_target_is_followed),
		TEST(test_a_remaining_party_that_refuses_costs_the_target_its_call),
		TEST(test_the_remaining_party_stays_when_the_referrer_leaves),
		TEST(test_the_target_is_cancelled_when_the_remaining_party_leaves),
		TEST(test_refer_is_refused_when_it_cannot_be_read),
		TEST(test_refer_and_its_notifications_cross_with_names_of_each_side),
		TEST(test_what_a_referrer_waits_for_after_the_call_is_over_in_its_time),
		TEST(test_what_a_referrer_waits_for_is_bounded_in_number_and_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
