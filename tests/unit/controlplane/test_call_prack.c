/* SPDX-License-Identifier: BSD-3-Clause */
/* Reliable provisional responses (RFC 3262) of a call, on each leg alone. */
#include "tests/unit/controlplane/early_fixture.h"

/* --- one side alone --------------------------------------------------------------------------------------------------------- */

static void test_a_reliable_callee_alone_is_acknowledged_here(void **state)
{
	struct call_world *w = *state;
	const char *text;

	start(w, "", PHONE_SDP);
	assert_contains(invite, "Supported: 100rel");
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	text = take(w, &w->f->other, "PRACK ");
	assert_contains(text, "PRACK sip:there@192.0.2.10:5080 SIP/2.0\r\n");
	assert_contains(text, "RAck: 7 1 INVITE\r\n");
	assert_contains(text, "CSeq: 2 PRACK\r\n");
	assert_contains(text, ";tag=pbx1\r\n");
	respond(w, &w->f->other, text, 200, NULL, "", NO_SDP);
	text = take(w, &w->f->peer, "SIP/2.0 183 ");
	assert_null(strstr(text, "RSeq"));
	assert_null(strstr(text, "Require"));
	assert_contains(text, "m=audio 10000 ");
	/* What was answered reliably stands, whatever the 2xx says. */
	respond(w, &w->f->other, invite, 200, "pbx1", "", OTHER_SDP);
	text = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(text, "m=audio 10000 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 6000);
}

static void test_the_callees_offer_while_his_answer_waits_for_the_prack_is_kept(void **state)
{
	struct call_world *w = *state;
	unsigned rseq;

	start(w, "Require: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	note_tag(w, w->taken);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	callee_sends(w, invite, "INVITE", 7, "pbx1", PBX_SDP "a=sendonly\r\n");
	take(w, &w->f->other, "SIP/2.0 100 ");
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_false(was_sent(w, &w->f->peer, "INVITE "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "INVITE "), "a=sendonly\r\n");
}

static void test_repeated_and_disordered_reliable_responses_are_not_acted_on(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	take(w, &w->f->other, "PRACK ");
	take(w, &w->f->peer, "SIP/2.0 183 ");
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(9), NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 18"));
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(8), NO_SDP);
	assert_contains(take(w, &w->f->other, "PRACK "), "RAck: 8 1 INVITE\r\n");
	take(w, &w->f->peer, "SIP/2.0 180 ");
}

static void test_a_caller_that_requires_100rel_gets_it_of_an_unreliable_callee(void **state)
{
	struct call_world *w = *state;
	const char *text;
	unsigned rseq;

	start(w, "Require: 100rel\r\n", PHONE_SDP);
	assert_null(strstr(invite, "Require"));
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	text = take(w, &w->f->peer, "SIP/2.0 183 ");
	assert_contains(text, "Require: 100rel\r\n");
	rseq = rseq_of(text);
	note_tag(w, text);
	/* The 2xx waits for the PRACK: RFC 3262 section 3. */
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 "));
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "CSeq: 2 PRACK\r\n");
	text = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(text, "CSeq: 1 INVITE\r\n");
	assert_contains(text, "Content-Length: 0\r\n");
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_a_response_without_prack_is_repeated_and_then_refused(void **state)
{
	struct call_world *w = *state;
	static const unsigned due[] = { 500, 1500, 3500, 7500, 15500, 31500 };
	unsigned first, seen = 0;

	start(w, "Require: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 180 ");
	first = w->looked - 1;
	fixture_pass(w->f, 33000);
	for (unsigned i = first + 1; i < w->f->sent_count; i++)
		if (strcmp(w->f->sent[i].text, w->f->sent[first].text) == 0) {
			assert_true(seen < 6);
			assert_in_range(
				w->f->sent[i].at_ms - w->f->sent[first].at_ms, due[seen], due[seen] + 150);
			seen++;
		}
	assert_int_equal(seen, 6);
	take(w, &w->f->peer, "SIP/2.0 504 ");
	w->looked = 0;
	take(w, &w->f->other, "CANCEL ");
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_over(w);
}

static void test_prack_that_matches_nothing_is_481(void **state)
{
	struct call_world *w = *state;
	unsigned rseq;

	start(w, "Require: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 180 "));
	note_tag(w, w->taken);
	prack(w, 2, w->caller_tag, rseq + 1, NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	caller_sends(w, "PRACK", 3, w->caller_tag, "RAck: x\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	caller_sends(w, "PRACK", 4, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	prack(w, 5, w->caller_tag, rseq, NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	prack(w, 6, w->caller_tag, rseq, NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	/* It is repeated no more. */
	fixture_pass(w->f, 40000);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 180 "));
}

/* --- both sides -------------------------------------------------------------------------------------------------------------- */

static void test_prack_and_its_200_are_relayed_with_numbers_of_each_leg(void **state)
{
	struct call_world *w = *state;
	char asked[FIXTURE_TEXT_MAX];
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	assert_int_not_equal(rseq, 7);
	note_tag(w, w->taken);
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 "));
	snprintf(asked, sizeof(asked), "%s", take(w, &w->f->other, "PRACK "));
	assert_contains(asked, "RAck: 7 1 INVITE\r\n");
	assert_contains(asked, "Content-Length: 0\r\n");
	respond(w, &w->f->other, asked, 200, NULL, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "CSeq: 2 PRACK\r\n");
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(8), NO_SDP);
	assert_int_equal(rseq_of(take(w, &w->f->peer, "SIP/2.0 180 ")), rseq + 1);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	/* The 180 has no description: the answer need not wait, and its PRACK is still taken. */
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Content-Length: 0\r\n");
	prack(w, 3, w->caller_tag, rseq + 1, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "CSeq: 3 PRACK\r\n");
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 6000);
}

static void test_an_offer_in_a_reliable_response_is_answered_in_the_prack(void **state)
{
	struct call_world *w = *state;
	const char *text;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", NO_SDP);
	assert_contains(invite, "Supported: 100rel");
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(1), PBX_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
	fake_answer_all();
	text = take(w, &w->f->peer, "SIP/2.0 183 ");
	assert_contains(text, "m=audio 10000 ");
	rseq = rseq_of(text);
	note_tag(w, text);
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 400 ");
	prack(w, 3, w->caller_tag, rseq, PHONE_SDP);
	text = take(w, &w->f->other, "PRACK ");
	assert_contains(text, "m=audio 10010 ");
	respond(w, &w->f->other, text, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), "Content-Length: 0\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Content-Length: 0\r\n");
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLER), 4000);
	assert_int_equal(media_port(LEG_CALLED), 6000);
}

static void test_no_reliability_is_offered_for_an_invite_whose_caller_could_not_answer(void **state)
{
	struct call_world *w = *state;

	start(w, "", NO_SDP);
	assert_null(strstr(invite, "100rel"));
	/* Against what it was told: ignored. */
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(1), PBX_SDP);
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 180 ");
}

static void test_an_offer_without_ports_in_a_reliable_response_ends_the_call(void **state)
{
	struct call_world *w = *state;

	start(w, "Supported: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(1), PBX_SDP);
	fake_answer(-ENOSPC);
	take(w, &w->f->peer, "SIP/2.0 503 ");
	w->looked = 0;
	take(w, &w->f->other, "CANCEL ");
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_int_equal(call_count(&w->f->shard), 0);
}

static void test_nothing_is_reliable_before_the_offer_that_the_caller_waits_for(void **state)
{
	struct call_world *w = *state;

	start(w, "Require: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 180 "));
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
	assert_contains(take(w, &w->f->other, "PRACK "), "RAck: 7 1 INVITE\r\n");
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 180 "));
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(8), PBX_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->peer, "SIP/2.0 183 "), "m=audio 10000 ");
	/* One who only knows of it hears it ring. */
	teardown(state);
	setup(state);
	w = *state;
	start(w, "Supported: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 180 "), "RSeq"));
}

static void test_a_fresh_offer_in_the_prack_is_relayed_with_its_answer(void **state)
{
	struct call_world *w = *state;
	const char *text;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	note_tag(w, w->taken);
	prack(w, 2, w->caller_tag, rseq,
		"v=0\r\no=x 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4002 "
		"RTP/AVP 0\r\n");
	text = take(w, &w->f->other, "PRACK ");
	assert_contains(text, "m=audio 10010 ");
	respond(w, &w->f->other, text, 200, NULL, "", OTHER_SDP);
	text = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(text, "CSeq: 2 PRACK\r\n");
	assert_contains(text, "m=audio 10000 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLER), 4002);
	assert_int_equal(media_port(LEG_CALLED), 7000);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
}

static void offer_video_in_prack(struct call_world *w)
{
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	note_tag(w, w->taken);
	fake_answer_all();
	prack(w, 2, w->caller_tag, rseq,
		"v=0\r\no=x 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4002 "
		"RTP/AVP 0\r\nm=video 4004 RTP/AVP 31\r\n");
}

static void test_an_offer_in_the_prack_that_needs_ports_waits_for_them(void **state)
{
	struct call_world *w = *state;

	offer_video_in_prack(w);
	assert_false(was_sent(w, &w->f->other, "PRACK "));
	fake_answer_all();
	assert_contains(take(w, &w->f->other, "PRACK "), "m=video ");
}

static void test_an_offer_in_the_prack_without_ports_is_refused_and_the_call_goes_on(void **state)
{
	struct call_world *w = *state;

	offer_video_in_prack(w);
	fake_answer(0); /* what the 183 has said is committed first */
	fake_answer(-ENOSPC);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 503 "), "CSeq: 2 PRACK\r\n");
	assert_int_equal(call_count(&w->f->shard), 1);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 180 ");
}

static void test_a_refused_offer_in_the_prack_leaves_the_media(void **state)
{
	struct call_world *w = *state;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	note_tag(w, w->taken);
	prack(w, 2, w->caller_tag, rseq, OTHER_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 488, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 488 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLER), 4000);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_a_challenged_prack_may_come_again(void **state)
{
	struct call_world *w = *state;
	char headers[128];
	const char *text;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	note_tag(w, w->taken);
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 407, NULL,
		"Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 407 "), "nonce=\"n\"");
	snprintf(headers, sizeof(headers),
		"RAck: %u 1 INVITE\r\nProxy-Authorization: Digest username=\"u\"\r\n", rseq);
	caller_sends(w, "PRACK", 3, w->caller_tag, headers, NO_SDP);
	text = take(w, &w->f->other, "PRACK ");
	assert_contains(text, "Proxy-Authorization: Digest username=\"u\"\r\n");
	assert_contains(text, "RAck: 7 1 INVITE\r\n");
	respond(w, &w->f->other, text, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_a_prack_that_the_callee_never_answers_ends_the_call(void **state)
{
	/* The caller's, or our own. */
	for (unsigned i = 0; i < 2; i++) {
		struct call_world *w = *state;
		unsigned rseq;

		start(w, i == 0 ? "Supported: 100rel\r\n" : "", PHONE_SDP);
		respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
		take(w, &w->f->peer, "SIP/2.0 180 ");
		if (i == 0) {
			rseq = rseq_of(w->taken);
			prack(w, 2, note_tag(w, w->taken), rseq, NO_SDP);
		}
		w->looked = 0;
		take(w, &w->f->other, "PRACK ");
		fixture_pass(w->f, 33000);
		assert_contains(take(w, &w->f->peer, "SIP/2.0 408 "), "CSeq: 1 INVITE\r\n");
		assert_contains(take(w, &w->f->other, "CANCEL "), "Reason: SIP;cause=408");
		/* It has answered all the same. */
		respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
		take(w, &w->f->other, "ACK ");
		respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
		assert_over(w);
		fixture_pass(w->f, 70000);
		assert_int_equal(fixture_live(w->f), 0);
		teardown(state);
		setup(state);
	}
}

static void test_a_prack_that_is_not_answered_before_the_call_is_changes_nothing(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
	take(w, &w->f->other, "PRACK ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fixture_pass(w->f, 33000);
	assert_false(was_sent(w, &w->f->other, "BYE "));
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_cancel_while_the_answer_waits_for_the_prack_hangs_up(void **state)
{
	struct call_world *w = *state;

	start(w, "Require: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	take(w, &w->f->peer, "SIP/2.0 183 ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	w->looked = 0;
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_a_call_that_ends_with_pracks_on_their_way_leaves_nothing(void **state)
{
	struct call_world *w = *state;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 180 "));
	note_tag(w, w->taken);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(8), PBX_SDP);
	prack(w, 2, w->caller_tag, rseq, NO_SDP);
	take(w, &w->f->other, "PRACK ");
	respond(w, &w->f->other, invite, 486, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 486 ");
	assert_over(w);
	fixture_pass(w->f, 40000);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_reliable_callee_alone_is_acknowledged_here),
		TEST(test_the_callees_offer_while_his_answer_waits_for_the_prack_is_kept),
		TEST(test_repeated_and_disordered_reliable_responses_are_not_acted_on),
		TEST(test_a_caller_that_requires_100rel_gets_it_of_an_unreliable_callee),
		TEST(test_a_response_without_prack_is_repeated_and_then_refused),
		TEST(test_prack_that_matches_nothing_is_481),
		TEST(test_prack_and_its_200_are_relayed_with_numbers_of_each_leg),
		TEST(test_an_offer_in_a_reliable_response_is_answered_in_the_prack),
		TEST(test_no_reliability_is_offered_for_an_invite_whose_caller_could_not_answer),
		TEST(test_an_offer_without_ports_in_a_reliable_response_ends_the_call),
		TEST(test_nothing_is_reliable_before_the_offer_that_the_caller_waits_for),
		TEST(test_a_fresh_offer_in_the_prack_is_relayed_with_its_answer),
		TEST(test_an_offer_in_the_prack_that_needs_ports_waits_for_them),
		TEST(test_an_offer_in_the_prack_without_ports_is_refused_and_the_call_goes_on),
		TEST(test_a_refused_offer_in_the_prack_leaves_the_media),
		TEST(test_a_challenged_prack_may_come_again),
		TEST(test_a_prack_that_the_callee_never_answers_ends_the_call),
		TEST(test_a_prack_that_is_not_answered_before_the_call_is_changes_nothing),
		TEST(test_cancel_while_the_answer_waits_for_the_prack_hangs_up),
		TEST(test_a_call_that_ends_with_pracks_on_their_way_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
