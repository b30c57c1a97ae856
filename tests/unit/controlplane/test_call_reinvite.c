/* SPDX-License-Identifier: BSD-3-Clause */
/* re-INVITEs within a call: relayed, crossing, cancelled, answered late or by what cannot be read. */
#include "tests/unit/controlplane/one_call_fixture.h"

/* --- changes within the call ------------------------------------------------------------------------------------------------ */

static void test_a_reinvite_is_relayed_and_acknowledged_on_each_leg_alone(void **state)
{
	struct call_world *w = *state;
	char change[FIXTURE_TEXT_MAX];

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	take(w, &w->f->peer, "SIP/2.0 100 ");
	snprintf(change, sizeof(change), "%s", take(w, &w->f->other, "INVITE "));
	assert_contains(change, "a=sendonly\r\n");
	assert_contains(change, ";tag=pbx1\r\n");
	assert_contains(change, " 2 IN IP4 10.0.0.1\r\n");
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
	take(w, &w->f->other, "ACK ");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "a=recvonly\r\n");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	/* And the other way, which needs that it is over. */
	callee_sends(w, invite, "INVITE", 5, "pbx1", PBX_SDP);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	respond(w, &w->f->peer, change, 488, NULL, "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 488 ");
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	take(w, &w->f->other, "BYE ");
}

static void test_crossing_reinvites_get_491(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	callee_sends(w, invite, "INVITE", 5, "pbx1", PBX_SDP);
	take(w, &w->f->other, "SIP/2.0 491 ");
	/* A second one from the same side: RFC 3261 section 14.2. */
	caller_sends(w, "INVITE", 3, w->caller_tag, "", PHONE_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 500 "), "Retry-After: ");
}

static void test_a_reinvite_that_meets_no_dialog_ends_the_call(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), 481, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 480 ");
	respond(w, &w->f->peer, take(w, &w->f->peer, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
	assert_false(was_sent(w, &w->f->other, "BYE "));
}

static void test_bye_while_a_reinvite_is_pending_answers_it_487(void **state)
{
	struct call_world *w = *state;
	char change[FIXTURE_TEXT_MAX];

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(change, sizeof(change), "%s", take(w, &w->f->other, "INVITE "));
	callee_sends(w, invite, "BYE", 5, "pbx1", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	take(w, &w->f->peer, "BYE ");
	/* Its late 2xx is acknowledged all the same. */
	w->looked = w->f->sent_count;
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
}

static void test_a_cancelled_reinvite_ends_as_the_other_side_decides(void **state)
{
	struct call_world *w = *state;
	char change[FIXTURE_TEXT_MAX];

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(change, sizeof(change), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, change, 180, NULL, "", NO_SDP);
	caller_sends(w, "CANCEL", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->other, "CANCEL ");
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 487 "));
	respond(w, &w->f->other, change, 487, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_a_late_answer_to_a_reinvite_of_a_call_that_is_over_is_acknowledged(void **state)
{
	struct call_world *w = *state;
	char update[FIXTURE_TEXT_MAX];

	establish(w, invite);
	w->looked = w->f->sent_count;
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(update, sizeof(update), "%s", take(w, &w->f->other, "INVITE "));
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
	respond(w, &w->f->other, update, 200, NULL, "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx1\r\n");
	assert_false(was_sent(w, &w->f->other, "BYE "));
}

static void test_an_answer_to_a_reinvite_the_parser_refuses_ends_the_call(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), 200, NULL, UNREADABLE, PBX_SDP);
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->peer, "SIP/2.0 500 ");
	respond(w, &w->f->peer, take(w, &w->f->peer, "BYE "), 200, NULL, "", NO_SDP);
	w->looked = 0;
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_reinvite_is_relayed_and_acknowledged_on_each_leg_alone),
		TEST(test_crossing_reinvites_get_491),
		TEST(test_a_reinvite_that_meets_no_dialog_ends_the_call),
		TEST(test_bye_while_a_reinvite_is_pending_answers_it_487),
		TEST(test_a_cancelled_reinvite_ends_as_the_other_side_decides),
		TEST(test_a_late_answer_to_a_reinvite_of_a_call_that_is_over_is_acknowledged),
		TEST(test_an_answer_to_a_reinvite_the_parser_refuses_ends_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
