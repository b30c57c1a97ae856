/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls from INVITE to BYE, between two peers and a dataplane that do what the test says. */
#include "tests/unit/controlplane/one_call_fixture.h"

/* --- answered calls ---------------------------------------------------------------------------------------------------- */

static void test_a_call_is_answered_and_hung_up_by_the_caller(void **state)
{
	struct call_world *w = *state;
	const char *ok, *bye;

	start_call(w, PHONE_SDP, invite);
	assert_contains(invite, "INVITE sip:1000@192.0.2.10:5080 SIP/2.0\r\n");
	assert_contains(invite, "Max-Forwards: 69\r\n");
	assert_contains(invite, "m=audio 10010 RTP/AVP 0\r\n");
	assert_null(strstr(invite, "192.0.2.9"));
	assert_null(strstr(invite, "call1"));
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 180 ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), "ACK sip:there@192.0.2.10:5080 SIP/2.0\r\n");
	ok = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(ok, "m=audio 10000 RTP/AVP 0\r\n");
	assert_null(strstr(ok, "192.0.2.10"));
	assert_null(strstr(ok, "pbx1"));
	note_tag(w, ok);
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	assert_int_equal(fake_last(DP_BLOB_SET)->id, 1);
	assert_true(fake_last(DP_BLOB_SET)->length > 100);

	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	bye = take(w, &w->f->other, "BYE ");
	assert_int_equal(call_count(&w->f->shard), 1);
	respond(w, &w->f->other, bye, 200, NULL, "", NO_SDP);
	assert_over(w);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_ANSWERED), 1);
}

static void test_the_callee_hangs_up(void **state)
{
	struct call_world *w = *state;
	const char *bye;

	establish(w, invite);
	callee_sends(w, invite, "BYE", 1, "pbx1", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 200 ");
	bye = take(w, &w->f->peer, "BYE ");
	assert_contains(bye, "Call-ID: call1@192.0.2.9\r\n");
	respond(w, &w->f->peer, bye, 481, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_both_hang_up_at_once(void **state)
{
	struct call_world *w = *state;
	char bye[FIXTURE_TEXT_MAX];

	establish(w, invite);
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	snprintf(bye, sizeof(bye), "%s", take(w, &w->f->other, "BYE "));
	callee_sends(w, invite, "BYE", 1, "pbx1", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 200 ");
	respond(w, &w->f->other, bye, 200, NULL, "", NO_SDP);
	assert_over(w);
	assert_false(was_sent(w, &w->f->peer, "BYE "));
}

static void test_the_callees_bye_before_the_ack_waits_for_it(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	callee_sends(w, invite, "BYE", 1, "pbx1", NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "BYE "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->peer, take(w, &w->f->peer, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_a_caller_that_never_acknowledges_is_hung_up_with_the_callee(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	fixture_pass(w->f, 32100);
	take(w, &w->f->peer, "BYE ");
	take(w, &w->f->other, "BYE ");
	fixture_pass(w->f, 40000);
	assert_over(w);
}

static void test_an_offer_in_the_answer_is_answered_in_the_ack(void **state)
{
	struct call_world *w = *state;

	start_call(w, NO_SDP, invite);
	assert_int_equal(fake.count, 0);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_false(was_sent(w, &w->f->other, "ACK "));
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 "));
	fake_answer_all();
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	assert_contains(w->taken, "m=audio 10000 ");
	caller_sends(w, "ACK", 1, w->caller_tag, "", PHONE_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), "m=audio 10010 ");
}

static void test_an_ack_that_comes_when_the_callees_answer_is_forgotten_ends_the_call(void **state)
{
	struct call_world *w = *state;

	start_call(w, NO_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	fixture_pass(w->f, 1000);
	fake_answer_all();
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	fixture_pass(w->f, 31500);
	caller_sends(w, "ACK", 1, w->caller_tag, "", PHONE_SDP);
	take(w, &w->f->peer, "BYE ");
	take(w, &w->f->other, "BYE ");
	fixture_pass(w->f, 40000);
	assert_over(w);
}

static void test_an_answer_that_is_no_sdp_ends_the_call_on_both_sides(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->peer, "SIP/2.0 502 ");
	w->looked = 0;
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

/* --- early media and forks ------------------------------------------------------------------------------------------------ */

static void test_early_media_is_described_with_our_ports_and_kept_by_the_answer(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 183 "), "m=audio 10000 ");
	/* The 2xx says nothing of it: ours has to. */
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "m=audio 10000 ");
}

static void test_each_early_dialog_has_its_own_tag_and_the_first_answer_wins(void **state)
{
	struct call_world *w = *state;
	char first[64], second[64];

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	snprintf(first, sizeof(first), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 ")));
	respond(w, &w->f->other, invite, 180, "pbx2", "", NO_SDP);
	snprintf(second, sizeof(second), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 ")));
	assert_string_not_equal(first, second);
	respond(w, &w->f->other, invite, 200, "pbx2", "", PBX_SDP);
	assert_string_equal(note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 ")), second);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx1\r\n");
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
	caller_sends(w, "ACK", 1, second, "", NO_SDP);
	caller_sends(w, "BYE", 2, second, "", NO_SDP);
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx2\r\n");
}

static void test_a_late_branchs_answer_is_hung_up_whatever_has_become_of_the_call(void **state)
{
	char update[FIXTURE_TEXT_MAX];
	const char *bye;

	/* A later INVITE of ours on that leg; the end of the call. */
	for (unsigned i = 0; i < 2; i++) {
		struct call_world *w = *state;

		establish(w, invite);
		w->looked = w->f->sent_count;
		if (i == 0) {
			caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
			snprintf(update, sizeof(update), "%s", take(w, &w->f->other, "INVITE "));
			respond(w, &w->f->other, update, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
			take(w, &w->f->other, "ACK ");
			caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
		} else {
			caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
			respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
			assert_over(w);
		}
		respond(w, &w->f->other, invite, 200, "pbx2", "Record-Route: <sip:192.0.2.10:5080;lr>\r\n",
			PBX_SDP);
		assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx2\r\n");
		assert_contains(w->taken, "CSeq: 1 ACK\r\n");
		bye = take(w, &w->f->other, "BYE ");
		assert_contains(bye, ";tag=pbx2\r\n");
		assert_contains(bye, "Route: <sip:192.0.2.10:5080;lr>\r\n");
		assert_contains(bye, "BYE sip:there@192.0.2.10:5080 SIP/2.0\r\n");
		/* The ACK was lost. */
		respond(w, &w->f->other, invite, 200, "pbx2", "Record-Route: <sip:192.0.2.10:5080;lr>\r\n",
			PBX_SDP);
		assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx2\r\n");
		assert_int_equal(call_count(&w->f->shard), i == 0);
		teardown(state);
		setup(state);
	}
}

static void test_an_offer_that_comes_to_nothing_is_refused_in_the_ack(void **state)
{
	/* The caller's BYE instead of his ACK; his ACK without an answer; his CANCEL, which the callee's answer crosses; an answer of
	 * a branch that lost. */
	for (unsigned i = 0; i < 4; i++) {
		struct call_world *w = *state;

		start_call(w, NO_SDP, invite);
		if (i == 2) {
			respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
			caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
		}
		respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
		fake_answer_all();
		if (i != 2)
			note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
		if (i == 0)
			caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
		else if (i == 1)
			caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
		else if (i == 3)
			respond(w, &w->f->other, invite, 200, "pbx2", "", PBX_SDP);
		assert_contains(take(w, &w->f->other, "ACK "), "m=audio 0 RTP/AVP 0\r\n");
		assert_contains(w->taken, "Content-Type: application/sdp\r\n");
		take(w, &w->f->other, "BYE ");
		teardown(state);
		setup(state);
	}
}

/* --- what ends a call by itself ---------------------------------------------------------------------------------------------- */

static void test_silence_of_one_side_ends_the_call_on_both(void **state)
{
	const struct dp_event event = { .session = 1, .stream = 0, .side = 0 }, unknown = { .session = 99 };
	struct call_world *w = *state;

	establish(w, invite);
	call_dataplane_event(&w->f->shard, DP_EVENT_MEDIA_SILENT, &unknown);
	assert_int_equal(fake_last(DP_SESSION_DELETE)->id, 99);
	call_dataplane_event(&w->f->shard, DP_EVENT_MEDIA_SILENT, &event);
	assert_contains(take(w, &w->f->peer, "BYE "), "Reason: SIP;cause=503, Q.850;cause=41\r\n");
	assert_true(was_sent(w, &w->f->other, "BYE "));
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_MEDIA_SILENT), 1);
}

static void test_a_dataplane_that_restarted_ends_its_calls_and_one_that_was_away_does_not(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	call_dataplane_down(&w->f->shard);
	call_dataplane_up(&w->f->shard, false);
	assert_false(was_sent(w, &w->f->peer, "BYE "));
	call_dataplane_up(&w->f->shard, true);
	take(w, &w->f->peer, "BYE ");
	take(w, &w->f->other, "BYE ");
}

static void test_max_call_duration_hangs_up_both(void **state)
{
	struct call_world *w = *state;

	w->profile.max_call_duration = 60;
	establish(w, invite);
	fixture_pass(w->f, 59900);
	assert_false(was_sent(w, &w->f->peer, "BYE "));
	fixture_pass(w->f, 200);
	take(w, &w->f->peer, "BYE ");
	take(w, &w->f->other, "BYE ");
}

/* --- requests that are no calls ------------------------------------------------------------------------------------------------ */

static void test_requests_are_refused_as_rfc_3261_section_8_2_says(void **state)
{
	static const struct {
		const char *method, *tag, *headers, *answer, *has;
	} cases[] = {
		{ "OPTIONS", NULL, "", "SIP/2.0 200 ", "Allow: ACK, CANCEL, INVITE, BYE, OPTIONS, PRACK, " },
		{ "REGISTER", NULL, "", "SIP/2.0 405 ", "Allow: ACK, CANCEL, INVITE" },
		{ "FROBNICATE", NULL, "", "SIP/2.0 405 ", "Allow: ACK, CANCEL, INVITE" },
		{ "BYE", "nobody", "", "SIP/2.0 481 ", "" },
		{ "BYE", NULL, "", "SIP/2.0 481 ", "" },
		{ "INVITE", "nobody", "", "SIP/2.0 481 ", "" },
		{ "OPTIONS", NULL, "Require: 100rel\r\n", "SIP/2.0 420 ", "Unsupported: 100rel\r\n" },
		{ "INVITE", NULL, "Content-Encoding: gzip\r\n", "SIP/2.0 415 ",
			"Accept: application/sdp\r\n" },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		caller_sends(w, cases[i].method, 10 + i, cases[i].tag, cases[i].headers,
			strcmp(cases[i].method, "INVITE") == 0 ? PHONE_SDP : NO_SDP);
		assert_contains(take(w, &w->f->peer, cases[i].answer), cases[i].has);
	}
	assert_int_equal(call_count(&w->f->shard), 0);
}

static void test_a_number_without_policy_is_404_and_a_source_that_is_no_agent_403(void **state)
{
	struct call_world *w = *state;

	w->f->config.local_policies_count = 0;
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 404 ");
	w->f->interface.allow_anonymous = CONFIG_ANONYMOUS_AGENTS;
	caller_sends(w, "INVITE", 2, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 403 ");
}

static void test_a_request_that_does_not_count_up_is_refused(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	caller_sends(w, "OPTIONS", 1, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 500 ");
	caller_sends(w, "OPTIONS", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_an_offer_of_srtp_alone_is_488(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "",
		"v=0\r\no=x 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 "
		"RTP/SAVP 0\r\n");
	take(w, &w->f->peer, "SIP/2.0 488 ");
}

static void test_the_api_shows_calls_in_order_and_by_pages(void **state)
{
	struct call_world *w = *state;
	struct cp_call page[2];
	bool more = true;

	establish(w, invite);
	assert_int_equal(call_list(&w->f->shard, 0, page, 2, &more), 1);
	assert_false(more);
	assert_int_equal(page[0].state, CP_CALL_ANSWERED);
	assert_string_equal(page[0].policy, "all");
	assert_string_equal(page[0].leg[0].user, "alice");
	assert_string_equal(page[0].leg[1].user, "1000");
	assert_string_equal(page[0].leg[1].agent, "pbx");
	assert_int_equal(page[0].session, 1);
	assert_int_equal(call_list(&w->f->shard, page[0].call, page, 2, &more), 0);
	assert_int_equal(call_list(&w->f->shard, 0, page, 0, &more), 0);
	assert_true(more);
	assert_int_equal(call_describe(&w->f->shard, 1, page), 0);
	assert_int_equal(call_describe(&w->f->shard, 2, page), -ENOENT);
}

static void test_a_late_answer_with_an_unusable_contact_is_hung_up_all_the_same(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	respond(w, &w->f->other, invite, 200, "pbx1", "Contact: <tel:+4930123>\r\n", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_call_is_answered_and_hung_up_by_the_caller),
		TEST(test_the_callee_hangs_up),
		TEST(test_both_hang_up_at_once),
		TEST(test_the_callees_bye_before_the_ack_waits_for_it),
		TEST(test_a_caller_that_never_acknowledges_is_hung_up_with_the_callee),
		TEST(test_an_offer_in_the_answer_is_answered_in_the_ack),
		TEST(test_an_ack_that_comes_when_the_callees_answer_is_forgotten_ends_the_call),
		TEST(test_an_answer_that_is_no_sdp_ends_the_call_on_both_sides),
		TEST(test_early_media_is_described_with_our_ports_and_kept_by_the_answer),
		TEST(test_each_early_dialog_has_its_own_tag_and_the_first_answer_wins),
		TEST(test_a_late_branchs_answer_is_hung_up_whatever_has_become_of_the_call),
		TEST(test_an_offer_that_comes_to_nothing_is_refused_in_the_ack),
		TEST(test_silence_of_one_side_ends_the_call_on_both),
		TEST(test_a_dataplane_that_restarted_ends_its_calls_and_one_that_was_away_does_not),
		TEST(test_max_call_duration_hangs_up_both),
		TEST(test_requests_are_refused_as_rfc_3261_section_8_2_says),
		TEST(test_a_number_without_policy_is_404_and_a_source_that_is_no_agent_403),
		TEST(test_a_request_that_does_not_count_up_is_refused),
		TEST(test_an_offer_of_srtp_alone_is_488),
		TEST(test_the_api_shows_calls_in_order_and_by_pages),
		TEST(test_a_late_answer_with_an_unusable_contact_is_hung_up_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
