/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers within a call, from either side to the other: which method, which answer, what is left when they fail. */
#include "controlplane/call_exchange.h"
#include "controlplane/media_state.h"
#include "tests/unit/controlplane/call_fixture.h"

#define HELD          "a=sendonly\r\n"
#define HOLDS         "a=recvonly\r\n"
#define ALLOWS_UPDATE "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n"

static char invite[FIXTURE_TEXT_MAX], change[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	*state = world_new();
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* An established call whose callee has that header in its 2xx, whose caller in its INVITE. */
static struct call_world *established(void **state, const char *caller, const char *callee)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, caller, PHONE_SDP);
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, invite, 200, "pbx1", callee, PBX_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	w->looked = w->f->sent_count;
	return w;
}

static struct call *the_call(struct call_world *w)
{
	return call_find_session(&w->f->shard, fake.last_session);
}

static const char *sent_to_callee(struct call_world *w, const char *start)
{
	snprintf(change, sizeof(change), "%s", take(w, &w->f->other, start));
	return change;
}

static unsigned version_in(const char *text)
{
	unsigned version = 0;

	assert_int_equal(sscanf(strstr(text, "\r\no=- ") + 2, "o=- %*u %u IN", &version), 1);
	return version;
}

/* --- methods ------------------------------------------------------------------------------------------------------------ */

static void test_update_is_relayed_as_update_to_who_allows_it(void **state)
{
	struct call_world *w = established(state, ALLOWS_UPDATE, ALLOWS_UPDATE);
	const char *ok;

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "UPDATE ");
	assert_contains(change, HELD);
	assert_contains(change, "m=audio 10010 ");
	assert_null(strstr(change, "192.0.2.9"));
	assert_int_equal(version_in(change), 2);
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP HOLDS);
	ok = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(ok, HOLDS);
	assert_contains(ok, "CSeq: 2 UPDATE\r\n");
	assert_int_equal(version_in(ok), 2);
	assert_int_equal(media_held(the_call(w)->media), 1);
	assert_false(exchange_is_under_way(the_call(w)));
	fake_answer_all();
	callee_sends(w, invite, "UPDATE", 7, "pbx1", PBX_SDP "a=inactive\r\n");
	assert_contains(take(w, &w->f->peer, "UPDATE "), "a=inactive\r\n");
}

static void test_update_is_relayed_as_reinvite_to_who_does_not(void **state)
{
	struct call_world *w = established(state, "", "Allow: INVITE, ACK, BYE\r\n");

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
	assert_contains(take(w, &w->f->other, "ACK "), "CSeq: 2 ACK\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), HOLDS);
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_an_update_that_is_not_known_after_all_becomes_a_reinvite(void **state)
{
	struct call_world *w = established(state, "", ALLOWS_UPDATE);

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "UPDATE "), 501, NULL, "", NO_SDP);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), HOLDS);
}

static void test_a_reinvite_stays_one_whatever_is_allowed(void **state)
{
	struct call_world *w = established(state, ALLOWS_UPDATE, ALLOWS_UPDATE);

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "INVITE ");
}

static void test_an_offer_before_the_answer_is_refused_as_rfc_3311_says(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, invite, 183, "pbx1", ALLOWS_UPDATE, PBX_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 183 "));
	/* Unreliable: neither offer is answered yet. */
	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 500 "), "Retry-After: ");
	callee_sends(w, invite, "UPDATE", 7, "pbx1", PBX_SDP HELD);
	take(w, &w->f->other, "SIP/2.0 491 ");
	/* Without an offer it says where its sender is. */
	caller_sends(w, "UPDATE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

/* --- answered here -------------------------------------------------------------------------------------------------------- */

static void test_update_without_a_description_is_answered_here(void **state)
{
	struct call_world *w = established(state, "", ALLOWS_UPDATE);
	const char *ok;

	caller_sends(w, "UPDATE", 2, w->caller_tag, "Contact: <sip:moved@192.0.2.9:5070>\r\n", NO_SDP);
	ok = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(ok, "Contact: <sip:");
	assert_contains(ok, "Content-Length: 0\r\n");
	assert_false(was_sent(w, &w->f->other, ""));
}

static void test_a_description_that_has_not_changed_is_answered_here_by_what_was_last_said(void **state)
{
	struct call_world *w = established(state, "", "");
	const char *ok;

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP);
	ok = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(version_in(ok), 1);
	assert_contains(ok, "m=audio 10000 RTP/AVP 0\r\n");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	callee_sends(w, invite, "UPDATE", 7, "pbx1", PBX_SDP);
	assert_contains(take(w, &w->f->other, "SIP/2.0 200 "), "m=audio 10010 RTP/AVP 0\r\n");
	assert_false(was_sent(w, &w->f->peer, "UPDATE "));
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_a_refresh_that_is_never_acknowledged_ends_the_call(void **state)
{
	struct call_world *w = established(state, "", "");

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP);
	fixture_pass(w->f, 33000);
	take(w, &w->f->peer, "BYE ");
	assert_true(was_sent(w, &w->f->other, "BYE ") || w->f->sent_count > 0);
}

/* --- failure --------------------------------------------------------------------------------------------------------------- */

static void test_a_refused_offer_leaves_media_descriptions_and_targets_as_they_were(void **state)
{
	struct call_world *w = established(state, "", "");
	const char *ok;

	caller_sends(
		w, "INVITE", 2, w->caller_tag, "Contact: <sip:elsewhere@192.0.2.9:5099>\r\n", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 488, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 488 ");
	assert_int_equal(media_held(the_call(w)->media), 0);
	assert_string_equal(the_call(w)->leg[LEG_CALLER].target, "sip:alice@192.0.2.9:5070");
	/* What is in force is version 1 again ... */
	callee_sends(w, invite, "INVITE", 7, "pbx1", PBX_SDP);
	ok = take(w, &w->f->other, "SIP/2.0 200 ");
	assert_int_equal(version_in(ok), 1);
	callee_sends(w, invite, "ACK", 7, "pbx1", NO_SDP);
	/* ... and 2, which has been seen, is not used for anything else. */
	caller_sends(w, "INVITE", 3, w->caller_tag, "", PHONE_SDP "a=inactive\r\n");
	assert_int_equal(version_in(sent_to_callee(w, "INVITE ")), 3);
}

static void test_an_update_that_was_answered_within_a_failing_reinvite_stands(void **state)
{
	struct call_world *w = established(state, "", "");

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "INVITE ");
	caller_sends(w, "UPDATE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	respond(w, &w->f->other, change, 488, NULL, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 488 "), "CSeq: 2 INVITE\r\n");
	assert_int_equal(the_call(w)->leg[LEG_CALLER].remote_cseq, 3);
}

static void test_an_update_is_answered_504_before_its_sender_gives_up(void **state)
{
	struct call_world *w = established(state, "", "");

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "INVITE ");
	respond(w, &w->f->other, change, 180, NULL, "", NO_SDP);
	fixture_pass(w->f, 31000);
	take(w, &w->f->peer, "SIP/2.0 504 ");
	w->looked = 0;
	take(w, &w->f->other, "CANCEL ");
	/* It has answered all the same: then it is told what holds. */
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP HOLDS);
	take(w, &w->f->other, "ACK ");
	sent_to_callee(w, "INVITE ");
	assert_null(strstr(change, HELD));
	assert_int_equal(version_in(change), 3);
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	assert_int_equal(call_count(&w->f->shard), 1);
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_a_side_without_the_dialog_ends_the_call(void **state)
{
	struct call_world *w = established(state, "", ALLOWS_UPDATE);

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "UPDATE "), 481, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 480 ");
	take(w, &w->f->peer, "BYE ");
	assert_false(was_sent(w, &w->f->other, "BYE "));
}

static void test_bye_answers_a_pending_update_487(void **state)
{
	struct call_world *w = established(state, "", ALLOWS_UPDATE);

	caller_sends(w, "UPDATE", 2, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "UPDATE ");
	callee_sends(w, invite, "BYE", 7, "pbx1", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 487 "), "CSeq: 2 UPDATE\r\n");
	take(w, &w->f->peer, "BYE ");
	respond(w, &w->f->other, change, 487, NULL, "", NO_SDP);
}

/* --- glare ------------------------------------------------------------------------------------------------------------------ */

static void test_crossing_offers_get_491_and_a_second_one_500(void **state)
{
	static const char *const methods[] = { "INVITE", "UPDATE" };

	for (unsigned i = 0; i < 4; i++) {
		struct call_world *w;

		if (i) {
			world_free(*state);
			*state = world_new();
		}
		w = established(state, ALLOWS_UPDATE, ALLOWS_UPDATE);
		caller_sends(w, methods[i & 1], 2, w->caller_tag, "", PHONE_SDP HELD);
		callee_sends(w, invite, methods[i >> 1], 7, "pbx1", PBX_SDP HELD);
		assert_null(strstr(take(w, &w->f->other, "SIP/2.0 491 "), "Retry-After"));
		caller_sends(w, methods[1 - (i & 1)], 3, w->caller_tag, "", PHONE_SDP);
		assert_contains(take(w, &w->f->peer, "SIP/2.0 500 "), "Retry-After: ");
	}
}

/* A call whose caller has got his 200 and not acknowledged it yet. */
static struct call_world *answered(void **state, const char *caller, const char *body)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, caller, body);
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	fake_answer_all();
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	w->looked = w->f->sent_count;
	return w;
}

static void test_an_offer_that_overtakes_the_ack_of_the_call_waits_for_it(void **state)
{
	static const char *const methods[] = { "INVITE", "UPDATE" };

	for (unsigned i = 0; i < 2; i++) {
		struct call_world *w = answered(state, ALLOWS_UPDATE, PHONE_SDP);

		callee_sends(w, invite, methods[i], 7, "pbx1", PBX_SDP HELD);
		assert_int_equal(was_sent(w, &w->f->other, "SIP/2.0 100 "), i == 0);
		assert_false(was_sent(w, &w->f->peer, methods[i]));
		caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
		assert_contains(take(w, &w->f->peer, methods[i]), HELD);
		respond(w, &w->f->peer, w->taken, 200, NULL, "", PHONE_SDP HOLDS);
		assert_contains(take(w, &w->f->other, "SIP/2.0 200 "), HOLDS);
		teardown(state);
		setup(state);
	}
}

static void test_the_askers_next_offer_that_overtakes_his_ack_waits_for_it(void **state)
{
	struct call_world *w = answered(state, "", PHONE_SDP);

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "CSeq: 2 INVITE\r\n");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_an_offer_that_overtakes_the_ack_of_another_waits_for_it(void **state)
{
	static const char *const methods[] = { "INVITE", "UPDATE" };

	for (unsigned i = 0; i < 2; i++) {
		struct call_world *w = established(state, ALLOWS_UPDATE, "");

		caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
		respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
		take(w, &w->f->other, "ACK ");
		take(w, &w->f->peer, "SIP/2.0 200 ");
		callee_sends(w, invite, methods[i], 7, "pbx1", PBX_SDP HOLDS "b=AS:64\r\n");
		assert_false(was_sent(w, &w->f->peer, methods[i]));
		/* One is kept. */
		callee_sends(w, invite, "UPDATE", 8, "pbx1", PBX_SDP);
		take(w, &w->f->other, "SIP/2.0 500 ");
		caller_sends(w, "INVITE", 3, w->caller_tag, "", PHONE_SDP);
		take(w, &w->f->peer, "SIP/2.0 491 ");
		caller_sends(w, "ACK", 3, w->caller_tag, "", NO_SDP);
		caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
		take(w, &w->f->peer, methods[i]);
		respond(w, &w->f->peer, w->taken, 200, NULL, "", PHONE_SDP HELD);
		assert_contains(take(w, &w->f->other, "SIP/2.0 200 "), "CSeq: 7 ");
		teardown(state);
		setup(state);
	}
}

static void test_an_offer_that_overtakes_the_ack_with_the_answer_is_glare(void **state)
{
	struct call_world *w = answered(state, "", NO_SDP);

	callee_sends(w, invite, "INVITE", 7, "pbx1", PBX_SDP HELD);
	take(w, &w->f->other, "SIP/2.0 491 ");
	caller_sends(w, "ACK", 1, w->caller_tag, "", PHONE_SDP);
	assert_false(was_sent(w, &w->f->peer, "INVITE "));
}

static void test_an_offer_asked_for_that_comes_to_nothing_is_refused_in_the_ack(void **state)
{
	struct call_world *w = established(state, "", "");

	caller_sends(w, "INVITE", 2, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HELD);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), "m=audio 0 RTP/AVP 0\r\n");
	assert_int_equal(version_in(w->taken), 2);
	take(w, &w->f->other, "BYE ");
}

static void test_an_offer_that_comes_after_the_end_is_refused_in_the_ack(void **state)
{
	struct call_world *w = *state;
	char again[FIXTURE_TEXT_MAX];

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", NO_SDP);
	snprintf(again, sizeof(again), "%s", take(w, &w->f->other, "INVITE "));
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	respond(w, &w->f->other, again, 200, NULL, "", PBX_SDP);
	w->looked = 0;
	take(w, &w->f->other, "ACK "); /* the call's */
	assert_contains(take(w, &w->f->other, "ACK "), "m=audio 0 ");
}

static void test_a_reinvite_asks_for_no_reliable_responses_and_relays_none(void **state)
{
	struct call_world *w = established(state, "Supported: 100rel\r\n", "Supported: 100rel\r\n");

	caller_sends(w, "INVITE", 2, w->caller_tag, "Require: 100rel\r\n", PHONE_SDP HELD);
	sent_to_callee(w, "INVITE ");
	assert_null(strstr(change, "100rel"));
	/* It was not asked to, so it says it again in vain, and then in its final response. */
	respond(w, &w->f->other, change, 183, NULL, "Require: 100rel\r\nRSeq: 9\r\n", PBX_SDP HOLDS);
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 18"));
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP HOLDS);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), HOLDS);
}

static void test_an_offer_that_waits_for_an_ack_may_be_cancelled(void **state)
{
	struct call_world *w = answered(state, "", PHONE_SDP);

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	caller_sends(w, "CANCEL", 2, w->caller_tag, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 487 "), "CSeq: 2 INVITE\r\n");
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	caller_sends(w, "INVITE", 3, w->caller_tag, "", PHONE_SDP HELD);
	sent_to_callee(w, "INVITE ");
}

static void test_an_update_waits_for_an_ack_no_longer_than_its_sender_does(void **state)
{
	struct call_world *w = answered(state, ALLOWS_UPDATE, PHONE_SDP);

	callee_sends(w, invite, "UPDATE", 7, "pbx1", PBX_SDP HELD);
	fixture_pass(w->f, 29000);
	assert_contains(take(w, &w->f->other, "SIP/2.0 491 "), "CSeq: 7 UPDATE\r\n");
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "UPDATE "));
	/* What it has waited is taken off the time that the other side has. */
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
	callee_sends(w, invite, "UPDATE", 8, "pbx1", PBX_SDP HELD);
	fixture_pass(w->f, 20000);
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "UPDATE ");
	fixture_pass(w->f, 9000);
	assert_contains(take(w, &w->f->other, "SIP/2.0 504 "), "CSeq: 8 UPDATE\r\n");
}

static void test_an_offer_that_waits_for_an_ack_is_refused_with_the_end_of_the_call(void **state)
{
	/* No ACK, a BYE of either side. */
	for (unsigned i = 0; i < 3; i++) {
		struct call_world *w = answered(state, "", PHONE_SDP);

		callee_sends(w, invite, "INVITE", 7, "pbx1", PBX_SDP HELD);
		if (i == 0)
			fixture_pass(w->f, 33000);
		else if (i == 1)
			callee_sends(w, invite, "BYE", 8, "pbx1", NO_SDP);
		else
			caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
		w->looked = 0;
		assert_contains(take(w, &w->f->other, "SIP/2.0 487 "), "CSeq: 7 INVITE\r\n");
		teardown(state);
		setup(state);
	}
}

static void test_491_of_the_other_side_is_relayed(void **state)
{
	struct call_world *w = established(state, "", "");

	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 491, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 491 ");
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_the_owner_of_the_call_id_waits_longer(void **state)
{
	struct call_world *w = established(state, "", "");

	for (unsigned i = 0; i < 100; i++) {
		assert_in_range(exchange_glare_delay_ms(&the_call(w)->leg[LEG_CALLED]), 2100, 4000);
		assert_in_range(exchange_glare_delay_ms(&the_call(w)->leg[LEG_CALLER]), 0, 2000);
	}
}

/* --- requests of our own ------------------------------------------------------------------------------------------------------ */

static unsigned told, told_status;

static void on_done(struct leg *leg, unsigned status, const struct message *response)
{
	(void)leg;
	(void)response;
	told++;
	told_status = status;
}

static void test_a_refresh_goes_by_update_or_by_a_reinvite_that_changes_nothing(void **state)
{
	struct call_world *w = established(state, "", ALLOWS_UPDATE);
	struct leg *leg = the_call(w)->leg;

	told = 0;
	assert_int_equal(exchange_refresh(&leg[LEG_CALLED], on_done), 0);
	assert_int_equal(exchange_refresh(&leg[LEG_CALLED], on_done), -EBUSY);
	assert_contains(sent_to_callee(w, "UPDATE "), "Content-Length: 0\r\n");
	respond(w, &w->f->other, change, 200, NULL, "", NO_SDP);
	assert_int_equal(told, 1);
	assert_int_equal(exchange_refresh(&leg[LEG_CALLER], on_done), 0);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	assert_int_equal(version_in(change), 1);
	assert_int_equal(exchange_refresh(&leg[LEG_CALLER], on_done), -EBUSY);
	respond(w, &w->f->peer, change, 200, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "ACK ");
	assert_int_equal(told, 2);
	assert_int_equal(told_status, 200);
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	assert_false(exchange_is_under_way(the_call(w)));
}

static void test_an_answer_to_a_refresh_that_brings_something_new_is_offered_to_the_other_side(void **state)
{
	struct call_world *w = established(state, "", "");

	assert_int_equal(exchange_refresh(&the_call(w)->leg[LEG_CALLER], on_done), 0);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	respond(w, &w->f->peer, change, 200, NULL, "", PHONE_SDP HELD);
	respond(w, &w->f->other, sent_to_callee(w, "INVITE "), 200, NULL, "", PBX_SDP HOLDS);
	take(w, &w->f->other, "ACK ");
	assert_contains(change, HELD);
	assert_int_equal(media_held(the_call(w)->media), 1);
	assert_false(exchange_is_under_way(the_call(w)));
}

/* --- fax ---------------------------------------------------------------------------------------------------------------------- */

#define FAX                                                                                              \
	"v=0\r\no=y 2 3 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=image 6000 udptl " \
	"t38\r\na=T38FaxVersion:0\r\n"

static void test_fax_that_is_refused_leaves_the_audio_alone(void **state)
{
	struct call_world *w = established(state, "", "");
	unsigned requests = fake.count;

	callee_sends(w, invite, "INVITE", 7, "pbx1", FAX);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	assert_contains(change, "m=image 10000 udptl t38\r\n");
	respond(w, &w->f->peer, change, 488, NULL, "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 488 ");
	/* Not one word to the dataplane. */
	assert_int_equal(fake.count, requests);
}

static void test_fax_takes_the_place_of_audio_with_its_ports(void **state)
{
	struct call_world *w = established(state, "", "");
	const struct fake_request *update;

	callee_sends(w, invite, "INVITE", 7, "pbx1", FAX);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	respond(w, &w->f->peer, change, 200, NULL, "",
		"v=0\r\no=x 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
		"m=image 4000 udptl t38\r\n");
	assert_contains(take(w, &w->f->other, "SIP/2.0 200 "), "m=image 10010 udptl t38\r\n");
	update = fake_last(DP_SESSION_UPDATE);
	assert_int_equal(update->session.stream[0].kind, DP_MEDIA_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_update_is_relayed_as_update_to_who_allows_it),
		TEST(test_update_is_relayed_as_reinvite_to_who_does_not),
		TEST(test_an_update_that_is_not_known_after_all_becomes_a_reinvite),
		TEST(test_a_reinvite_stays_one_whatever_is_allowed),
		TEST(test_an_offer_before_the_answer_is_refused_as_rfc_3311_says),
		TEST(test_update_without_a_description_is_answered_here),
		TEST(test_a_description_that_has_not_changed_is_answered_here_by_what_was_last_said),
		TEST(test_a_refresh_that_is_never_acknowledged_ends_the_call),
		TEST(test_a_refused_offer_leaves_media_descriptions_and_targets_as_they_were),
		TEST(test_an_update_that_was_answered_within_a_failing_reinvite_stands),
		TEST(test_an_update_is_answered_504_before_its_sender_gives_up),
		TEST(test_a_side_without_the_dialog_ends_the_call),
		TEST(test_bye_answers_a_pending_update_487),
		TEST(test_crossing_offers_get_491_and_a_second_one_500),
		TEST(test_an_offer_that_overtakes_the_ack_of_the_call_waits_for_it),
		TEST(test_the_askers_next_offer_that_overtakes_his_ack_waits_for_it),
		TEST(test_an_offer_that_overtakes_the_ack_of_another_waits_for_it),
		TEST(test_an_offer_that_overtakes_the_ack_with_the_answer_is_glare),
		TEST(test_an_offer_asked_for_that_comes_to_nothing_is_refused_in_the_ack),
		TEST(test_an_offer_that_comes_after_the_end_is_refused_in_the_ack),
		TEST(test_a_reinvite_asks_for_no_reliable_responses_and_relays_none),
		TEST(test_an_offer_that_waits_for_an_ack_may_be_cancelled),
		TEST(test_an_update_waits_for_an_ack_no_longer_than_its_sender_does),
		TEST(test_an_offer_that_waits_for_an_ack_is_refused_with_the_end_of_the_call),
		TEST(test_491_of_the_other_side_is_relayed),
		TEST(test_the_owner_of_the_call_id_waits_longer),
		TEST(test_a_refresh_goes_by_update_or_by_a_reinvite_that_changes_nothing),
		TEST(test_an_answer_to_a_refresh_that_brings_something_new_is_offered_to_the_other_side),
		TEST(test_fax_that_is_refused_leaves_the_audio_alone),
		TEST(test_fax_takes_the_place_of_audio_with_its_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
