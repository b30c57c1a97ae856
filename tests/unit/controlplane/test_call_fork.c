/* SPDX-License-Identifier: BSD-3-Clause */
/* Early dialogs of a callee that forks: which are shown, what each of them agrees on, and which one the call goes on with. */
#include "tests/unit/controlplane/early_fixture.h"

#define PRACK_SDP                                                                                        \
	"v=0\r\no=x 5 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4100 RTP/AVP " \
	"0\r\n"
#define MOVED_SDP                                                                                          \
	"v=0\r\no=x 2 3 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 8000 RTP/AVP " \
	"0\r\na=recvonly\r\n"

static void test_each_branch_counts_and_acknowledges_for_itself(void **state)
{
	struct call_world *w = *state;
	char first[64], second[64];
	unsigned one, two;
	const char *text;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	one = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(first, sizeof(first), "%s", note_tag(w, w->taken));
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	two = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(second, sizeof(second), "%s", note_tag(w, w->taken));
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	/* CSeq numbers of two dialogs have nothing to do with each other. */
	prack(w, 2, second, two, NO_SDP);
	text = take(w, &w->f->other, "PRACK ");
	assert_contains(text, ";tag=pbx2\r\n");
	assert_contains(text, "RAck: 3 1 INVITE\r\n");
	respond(w, &w->f->other, text, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	caller_sends(w, "PRACK", 2, first, "RAck: 0 1 INVITE\r\n", NO_SDP);
	(void)one;
	/* The first branch wins: its answer, given reliably, is the call's. */
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx1\r\n");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 6000);
}

static void test_media_follows_the_newest_early_answer_and_then_the_winner(void **state)
{
	struct call_world *w = *state;
	char first[64];

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	snprintf(first, sizeof(first), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 183 ")));
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 6000);
	respond(w, &w->f->other, invite, 183, "pbx2", "", OTHER_SDP);
	take(w, &w->f->peer, "SIP/2.0 183 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	/* Its 2xx says nothing: what the first branch has said in its own early dialog counts. */
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	assert_string_equal(note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 ")), first);
	assert_contains(w->taken, "m=audio 10000 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 6000);
}

static void test_a_branch_without_any_answer_is_not_connected_with_anothers(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	respond(w, &w->f->other, invite, 200, "pbx2", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 502 ");
	w->looked = 0;
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx2\r\n");
}

static void test_the_callers_bye_ends_one_early_dialog_of_several(void **state)
{
	struct call_world *w = *state;
	char first[64];
	const char *bye;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	snprintf(first, sizeof(first), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 ")));
	respond(w, &w->f->other, invite, 180, "pbx2", "", NO_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 "));
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	bye = take(w, &w->f->other, "BYE ");
	assert_contains(bye, ";tag=pbx2\r\n");
	respond(w, &w->f->other, bye, 200, NULL, "", NO_SDP);
	assert_false(was_sent(w, &w->f->other, "CANCEL "));
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_string_equal(note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 ")), first);
}

static void test_the_first_branch_may_be_hung_up_and_its_late_answer_too(void **state)
{
	struct call_world *w = *state;
	char first[64], bye[FIXTURE_TEXT_MAX];

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	snprintf(first, sizeof(first), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 ")));
	respond(w, &w->f->other, invite, 180, "pbx2", "", NO_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 "));
	caller_sends(w, "BYE", 2, first, "", NO_SDP);
	snprintf(bye, sizeof(bye), "%s", take(w, &w->f->other, "BYE "));
	assert_contains(bye, ";tag=pbx1\r\n");
	/* Its answer crosses the BYE, its ringing is of no interest any more. */
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx1\r\n");
	assert_contains(take(w, &w->f->other, "BYE "), "CSeq: 3 BYE\r\n");
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 180 "));
	respond(w, &w->f->other, invite, 200, "pbx2", "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx2\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	/* The first BYE is still unanswered: this one is another dialog's. */
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_the_callees_bye_of_an_early_dialog_is_481(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	callee_sends(w, invite, "BYE", 1, "pbx1", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 481 ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_more_branches_than_the_caller_is_shown_are_bounded(void **state)
{
	struct call_world *w = *state;
	char tag[16];

	start(w, "", PHONE_SDP);
	for (unsigned i = 0; i < 2 * CALL_FORKS_MAX; i++) {
		snprintf(tag, sizeof(tag), "pbx%u", i);
		respond(w, &w->f->other, invite, 180, tag, "", NO_SDP);
		assert_int_equal(was_sent(w, &w->f->peer, "SIP/2.0 180 "), i < CALL_FORKS_MAX);
		w->looked = w->f->sent_count;
	}
	respond(w, &w->f->other, invite, 200, "pbx15", "", PBX_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx15\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_long_ringing_in_the_same_words_is_relayed_and_holds_off_timer_c(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	for (unsigned i = 0; i < 8; i++) {
		respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
		take(w, &w->f->peer, "SIP/2.0 180 ");
		fixture_pass(w->f, 60000);
	}
	assert_false(was_sent(w, &w->f->other, "CANCEL "));
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

/* --- offers in several ----------------------------------------------------------------------------------------------- */

/* Two branches that have offered; the second one's offer came while the first one's was not answered. */
static void two_offers(struct call_world *w, char first[64], char second[64])
{
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	fake_answer_all();
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(first, 64, "%s", note_tag(w, w->taken));
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 2, first, rseq, PHONE_SDP);
	assert_contains(take(w, &w->f->other, "PRACK "), "RAck: 7 1 INVITE\r\n");
	respond(w, &w->f->other, w->taken, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	/* What is not acknowledged comes again. */
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(second, 64, "%s", note_tag(w, w->taken));
	assert_contains(w->taken, "m=audio 10000 ");
	prack(w, 3, second, rseq, PRACK_SDP);
	assert_contains(take(w, &w->f->other, "PRACK "), "RAck: 3 1 INVITE\r\n");
	assert_contains(w->taken, "m=audio 10010 ");
	respond(w, &w->f->other, w->taken, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	assert_int_equal(media_port(LEG_CALLER), 4100);
}

static void test_two_branches_may_both_offer_and_either_may_win(void **state)
{
	for (unsigned winner = 0; winner < 2; winner++) {
		struct call_world *w = *state;
		char tag[2][64];

		two_offers(w, tag[0], tag[1]);
		respond(w, &w->f->other, invite, 200, winner ? "pbx2" : "pbx1", "", NO_SDP);
		take(w, &w->f->other, "ACK ");
		assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Content-Length: 0\r\n");
		assert_string_equal(note_tag(w, w->taken), tag[winner]);
		caller_sends(w, "ACK", 1, tag[winner], "", NO_SDP);
		fake_answer_all();
		assert_int_equal(media_port(LEG_CALLED), winner ? 7000 : 6000);
		assert_int_equal(media_port(LEG_CALLER), winner ? 4100 : 4000);
		caller_sends(w, "BYE", 4, tag[winner], "", NO_SDP);
		respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
		assert_over(w);
		teardown(state);
		setup(state);
	}
}

static void test_an_offer_that_the_caller_hangs_up_on_makes_room_for_another(void **state)
{
	struct call_world *w = *state;

	start(w, "Supported: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 180, "pbx2", "", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	fake_answer_all();
	caller_sends(w, "BYE", 2, note_tag(w, take(w, &w->f->peer, "SIP/2.0 183 ")), "", NO_SDP);
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
	respond(w, &w->f->other, invite, 200, "pbx2", "", OTHER_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "m=audio 10000 ");
	caller_sends(w, "ACK", 1, note_tag(w, w->taken), "", PHONE_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), "m=audio 10010 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
}

static void test_an_offer_that_nobody_has_answered_is_no_hindrance_to_the_winners(void **state)
{
	struct call_world *w = *state;

	start(w, "Supported: 100rel\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	fake_answer_all();
	take(w, &w->f->peer, "SIP/2.0 183 ");
	respond(w, &w->f->other, invite, 200, "pbx2", "", OTHER_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "m=audio 10000 ");
	caller_sends(w, "ACK", 1, note_tag(w, w->taken), "", PHONE_SDP);
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx2\r\n");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
}

static void test_a_prack_that_one_branch_never_answers_ends_that_branch(void **state)
{
	struct call_world *w = *state;

	start(w, "", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", RELIABLE(7), NO_SDP);
	respond(w, &w->f->other, invite, 180, "pbx2", "", NO_SDP);
	fixture_pass(w->f, 33000);
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
	assert_false(was_sent(w, &w->f->other, "CANCEL "));
	respond(w, &w->f->other, invite, 200, "pbx2", "", PBX_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_an_update_in_a_branch_that_loses_is_refused(void **state)
{
	struct call_world *w = *state;
	char first[FIXTURE_TEXT_MAX], update[FIXTURE_TEXT_MAX];
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(7) "Allow: UPDATE\r\n", PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 2, note_tag(w, w->taken), rseq, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	caller_sends(w, "UPDATE", 3, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(update, sizeof(update), "%s", take(w, &w->f->other, "UPDATE "));
	respond(w, &w->f->other, invite, 200, "pbx1", "", OTHER_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 487 "), "CSeq: 3 UPDATE\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "CSeq: 1 INVITE\r\n");
	snprintf(first, sizeof(first), "%s", note_tag(w, w->taken));
	respond(w, &w->f->other, update, 200, NULL, "", PBX_SDP);
	caller_sends(w, "ACK", 1, first, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	caller_sends(w, "BYE", 2, first, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

/* The first branch has agreed with the caller, and is offered something else in his UPDATE: not answered yet. */
static void offer_in_one_branch(struct call_world *w, char *update, size_t size)
{
	unsigned rseq;

	start(w, "Supported: 100rel\r\nAllow: UPDATE, PRACK\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7) "Allow: UPDATE\r\n", PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 2, note_tag(w, w->taken), rseq, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	caller_sends(w, "UPDATE", 3, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(update, size, "%s", take(w, &w->f->other, "UPDATE "));
}

static void test_a_branchs_answer_during_anothers_exchange_is_taken_after_it(void **state)
{
	struct call_world *w = *state;
	char update[FIXTURE_TEXT_MAX], second[64];
	unsigned rseq;

	offer_in_one_branch(w, update, sizeof(update));
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
	respond(w, &w->f->other, update, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	/* Nobody has acknowledged it, so it comes again. */
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	assert_contains(w->taken, "m=audio 10000 ");
	snprintf(second, sizeof(second), "%s", note_tag(w, w->taken));
	prack(w, 12, second, rseq, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	respond(w, &w->f->other, invite, 200, "pbx2", "", NO_SDP);
	fake_answer_all();
	assert_string_equal(note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 OK\r\n")), second);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
}

static void test_a_branchs_preview_during_anothers_exchange_is_its_answer_if_the_2xx_has_none(void **state)
{
	struct call_world *w = *state;
	char update[FIXTURE_TEXT_MAX];

	offer_in_one_branch(w, update, sizeof(update));
	respond(w, &w->f->other, invite, 183, "pbx2", "", OTHER_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 183 "), "m=audio"));
	respond(w, &w->f->other, update, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	respond(w, &w->f->other, invite, 200, "pbx2", "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "m=audio 10000 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
}

/* What a branch has agreed by an exchange is what it is connected with, whatever another has said meanwhile. */
static void test_what_a_branch_has_changed_stands_when_it_wins(void **state)
{
	struct call_world *w = *state;
	char update[FIXTURE_TEXT_MAX];

	offer_in_one_branch(w, update, sizeof(update));
	respond(w, &w->f->other, update, 200, NULL, "", MOVED_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 8000);
	respond(w, &w->f->other, invite, 183, "pbx2", "", OTHER_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "m=audio"));
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 8000);
}

static void test_what_a_branch_has_agreed_by_prack_stands_when_it_wins(void **state)
{
	struct call_world *w = *state;
	unsigned rseq;

	start(w, "Supported: 100rel\r\n", PHONE_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7), PBX_SDP);
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 2, note_tag(w, w->taken), rseq, PHONE_SDP "a=sendonly\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", MOVED_SDP);
	respond(w, &w->f->other, invite, 183, "pbx2", "", OTHER_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 8000);
}

static void test_what_a_branch_that_has_offered_agrees_on_later_stands_when_it_wins(void **state)
{
	struct call_world *w = *state;
	char first[64];
	unsigned rseq;

	start(w, "Supported: 100rel\r\nAllow: UPDATE, PRACK\r\n", NO_SDP);
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7) "Allow: UPDATE\r\n", PBX_SDP);
	fake_answer_all();
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(first, sizeof(first), "%s", note_tag(w, w->taken));
	prack(w, 2, first, rseq, PHONE_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	caller_sends(w, "UPDATE", 3, first, "", PHONE_SDP "a=sendonly\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), 200, NULL, "", MOVED_SDP);
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP);
	fake_answer_all();
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 12, note_tag(w, w->taken), rseq, PHONE_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 7000);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(media_port(LEG_CALLED), 8000);
}

/* The first branch has done without video since, and its ports are gone. */
static void drop_video_in_one_branch(struct call_world *w)
{
	unsigned rseq;

	start(w, "Supported: 100rel\r\nAllow: UPDATE, PRACK\r\n", PHONE_SDP "m=video 4004 RTP/AVP 31\r\n");
	respond(w, &w->f->other, invite, 183, "pbx1", RELIABLE(7) "Allow: UPDATE\r\n",
		PBX_SDP "m=video 6004 RTP/AVP 31\r\n");
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	prack(w, 2, note_tag(w, w->taken), rseq, NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	caller_sends(w, "UPDATE", 3, w->caller_tag, "", PHONE_SDP "m=video 0 RTP/AVP 31\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), 200, NULL, "",
		PBX_SDP "m=video 0 RTP/AVP 31\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
}

static void test_a_branchs_answer_that_needs_ports_again_is_taken_when_they_are_there(void **state)
{
	struct call_world *w = *state;

	drop_video_in_one_branch(w);
	for (unsigned i = 0; i < 2; i++) {
		respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3),
			OTHER_SDP "m=video 7004 RTP/AVP 31\r\n");
		assert_false(was_sent(w, &w->f->peer, "SIP/2.0 183 "));
	}
	fake_answer_all();
	respond(w, &w->f->other, invite, 183, "pbx2", RELIABLE(3), OTHER_SDP "m=video 7004 RTP/AVP 31\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 183 "), "m=video 1");
}

static void test_an_answer_that_needs_ports_again_waits_for_them(void **state)
{
	/* They come; there are none; they come, but it is no answer. */
	for (unsigned i = 0; i < 3; i++) {
		struct call_world *w = *state;

		drop_video_in_one_branch(w);
		respond(w, &w->f->other, invite, 200, "pbx2", "",
			i == 2 ? "v=0\r\n" : OTHER_SDP "m=video 7004 RTP/AVP 31\r\n");
		assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 OK\r\n"));
		fake_answer(i == 1 ? -ENOSPC : 0);
		fake_answer_all();
		if (i == 0) {
			assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "m=video 1");
			assert_int_equal(media_port(LEG_CALLED), 7000);
		} else {
			take(w, &w->f->peer, i == 1 ? "SIP/2.0 503 " : "SIP/2.0 502 ");
			w->looked = 0;
			assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx2\r\n");
		}
		teardown(state);
		setup(state);
	}
}

#define VIDEO(port) "m=video " port " RTP/AVP 31\r\n"

/* An UPDATE of the caller and its answer in one branch. */
static void update_in(
	struct call_world *w, unsigned cseq, const char *tag, const char *offer, const char *answer)
{
	caller_sends(w, "UPDATE", cseq, tag, "", offer);
	respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), 200, NULL, "", answer);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
}

static void early_branch(struct call_world *w, const char *name, const char *answer, unsigned cseq,
	const char *reply, char tag[64])
{
	unsigned rseq;

	respond(w, &w->f->other, invite, 183, name, RELIABLE(7) "Allow: UPDATE\r\n", answer);
	fake_answer_all();
	rseq = rseq_of(take(w, &w->f->peer, "SIP/2.0 183 "));
	snprintf(tag, 64, "%s", note_tag(w, w->taken));
	prack(w, cseq, tag, rseq, reply);
	respond(w, &w->f->other, take(w, &w->f->other, "PRACK "), 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fake_answer_all();
}

/* What the first branch has agreed has video, what the second one has agreed since has none. */
static void video_in_one_branch(struct call_world *w, bool offerless)
{
	char first[64], second[64];

	start(w, "Supported: 100rel\r\nAllow: UPDATE, PRACK\r\n",
		offerless ? NO_SDP : PHONE_SDP VIDEO("4004"));
	if (offerless) {
		early_branch(w, "pbx1", MOVED_SDP VIDEO("8004"), 2, PHONE_SDP VIDEO("4004"), first);
		early_branch(w, "pbx2", OTHER_SDP, 3, PRACK_SDP, second);
		return;
	}
	early_branch(w, "pbx1", PBX_SDP VIDEO("6004"), 2, NO_SDP, first);
	update_in(w, 3, first, PHONE_SDP "a=sendonly\r\n" VIDEO("4004"), MOVED_SDP VIDEO("8004"));
	early_branch(w, "pbx2", OTHER_SDP VIDEO("7004"), 4, NO_SDP, second);
	update_in(w, 5, second, PHONE_SDP VIDEO("0"), OTHER_SDP VIDEO("0"));
}

static void test_what_a_branch_has_agreed_waits_for_its_ports_when_it_wins(void **state)
{
	/* By an UPDATE, by an offer of its own; the ports come, there are none. */
	for (unsigned i = 0; i < 4; i++) {
		struct call_world *w = *state;

		video_in_one_branch(w, i & 1);
		assert_int_equal(media_port(LEG_CALLED), 7000);
		respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
		take(w, &w->f->other, "ACK ");
		assert_false(was_sent(w, &w->f->peer, "SIP/2.0 "));
		fake_answer(i & 2 ? -ENOSPC : 0);
		fake_answer_all();
		take(w, &w->f->peer, i & 2 ? "SIP/2.0 503 " : "SIP/2.0 200 ");
		if (i & 2) {
			w->looked = 0;
			assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
		} else {
			assert_contains(w->taken, "Content-Length: 0\r\n");
			assert_int_equal(media_port(LEG_CALLED), 8000);
		}
		teardown(state);
		setup(state);
	}
}

static void test_a_branch_that_waits_for_its_ports_may_be_cancelled(void **state)
{
	struct call_world *w = *state;

	video_in_one_branch(w, true);
	respond(w, &w->f->other, invite, 200, "pbx1", "", NO_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	w->looked = 0;
	assert_contains(take(w, &w->f->other, "BYE "), ";tag=pbx1\r\n");
	respond(w, &w->f->other, w->taken, 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_over(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_each_branch_counts_and_acknowledges_for_itself),
		TEST(test_media_follows_the_newest_early_answer_and_then_the_winner),
		TEST(test_a_branch_without_any_answer_is_not_connected_with_anothers),
		TEST(test_the_callers_bye_ends_one_early_dialog_of_several),
		TEST(test_the_first_branch_may_be_hung_up_and_its_late_answer_too),
		TEST(test_the_callees_bye_of_an_early_dialog_is_481),
		TEST(test_more_branches_than_the_caller_is_shown_are_bounded),
		TEST(test_long_ringing_in_the_same_words_is_relayed_and_holds_off_timer_c),
		TEST(test_two_branches_may_both_offer_and_either_may_win),
		TEST(test_an_offer_that_the_caller_hangs_up_on_makes_room_for_another),
		TEST(test_an_offer_that_nobody_has_answered_is_no_hindrance_to_the_winners),
		TEST(test_a_prack_that_one_branch_never_answers_ends_that_branch),
		TEST(test_an_update_in_a_branch_that_loses_is_refused),
		TEST(test_a_branchs_answer_during_anothers_exchange_is_taken_after_it),
		TEST(test_a_branchs_preview_during_anothers_exchange_is_its_answer_if_the_2xx_has_none),
		TEST(test_what_a_branch_has_changed_stands_when_it_wins),
		TEST(test_what_a_branch_has_agreed_by_prack_stands_when_it_wins),
		TEST(test_what_a_branch_that_has_offered_agrees_on_later_stands_when_it_wins),
		TEST(test_a_branchs_answer_that_needs_ports_again_is_taken_when_they_are_there),
		TEST(test_an_answer_that_needs_ports_again_waits_for_them),
		TEST(test_what_a_branch_has_agreed_waits_for_its_ports_when_it_wins),
		TEST(test_a_branch_that_waits_for_its_ports_may_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
