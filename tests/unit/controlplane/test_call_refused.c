/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that come to nothing: given up, refused, unanswered, without ports, answered by what cannot be read or passed on. */
#include "tests/unit/controlplane/one_call_fixture.h"

/* --- calls that are not answered -------------------------------------------------------------------------------------------- */

static void test_cancel_while_ringing_is_passed_on(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "Reason: SIP;cause=200;text=\"elsewhere\"\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	assert_contains(take(w, &w->f->other, "CANCEL "), "Reason: SIP;cause=200\r\n");
	assert_int_equal(call_count(&w->f->shard), 1);
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_over(w);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_CANCELLED), 1);
}

static void test_cancel_before_the_lease_gives_it_back(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	assert_over(w);
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 OK"));
}

static void test_the_callers_bye_of_an_early_dialog_ends_it_like_a_cancel(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 "));
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	take(w, &w->f->peer, "SIP/2.0 487 ");
	take(w, &w->f->other, "CANCEL ");
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_over(w);
}

static void test_refusals_reach_the_caller_mapped_and_clean(void **state)
{
	static const struct {
		unsigned from;
		const char *headers, *to, *has;
	} cases[] = {
		{ 486, "Retry-After: 9 (here)\r\nWarning: 399 pbx.example \"x\"\r\n", "SIP/2.0 486 Busy Here",
			"Retry-After: 9\r\n" },
		{ 302, "", "SIP/2.0 480 ", "" },
		{ 404, "", "SIP/2.0 404 ", "" },
		{ 603, "", "SIP/2.0 603 ", "" },
		{ 401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "SIP/2.0 401 ",
			"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call_world *w = i ? world_new() : *state;
		const char *final;

		start_call(w, PHONE_SDP, invite);
		respond(w, &w->f->other, invite, cases[i].from, "pbx1", cases[i].headers, NO_SDP);
		final = take(w, &w->f->peer, cases[i].to);
		assert_contains(final, cases[i].has);
		assert_null(strstr(final, "192.0.2.10"));
		assert_null(strstr(final, "pbx"));
		assert_over(w);
		if (i)
			world_free(w);
		else
			fake_reset();
	}
}

static void test_a_callee_that_rings_for_ever_is_cancelled_by_timer_c(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	fixture_pass(w->f, 181000);
	take(w, &w->f->other, "CANCEL ");
	w->looked = 0;
	take(w, &w->f->peer, "SIP/2.0 408 ");
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_over(w);
}

static void test_a_callee_that_says_nothing_is_given_up_with_408(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	fixture_pass(w->f, 33000);
	take(w, &w->f->peer, "SIP/2.0 408 ");
	assert_over(w);
}

static void test_no_ports_and_no_dataplane_give_503_with_retry_after(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	fake_answer(-ENOSPC);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 503 "), "Retry-After: ");
	fake.down = true;
	caller_sends(w, "INVITE", 2, NULL, "", PHONE_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 503 "), "Retry-After: ");
	assert_int_equal(call_count(&w->f->shard), 0);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_NO_MEDIA), 2);
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_more_calls_than_allowed_are_refused(void **state)
{
	struct call_world *w = *state;

	w->f->config.sip.max_calls = 0;
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 503 ");
}

/* --- what cannot be read or written --------------------------------------------------------------------------------------- */

static void test_an_answer_the_parser_refuses_ends_the_call_at_once_on_both_sides(void **state)
{
	struct call_world *w = *state;
	char bye[FIXTURE_TEXT_MAX];

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", UNREADABLE, PBX_SDP);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_PARSE_FAILED), 1);
	take(w, &w->f->peer, "SIP/2.0 502 ");
	w->looked = 0;
	assert_contains(take(w, &w->f->other, "ACK "), ";tag=pbx1\r\n");
	snprintf(bye, sizeof(bye), "%s", take(w, &w->f->other, "BYE "));
	/* Its repetition gets the ACK again, and nobody else hears of it. */
	respond(w, &w->f->other, invite, 200, "pbx1", UNREADABLE, PBX_SDP);
	take(w, &w->f->other, "ACK ");
	assert_int_equal(w->looked, w->f->sent_count);
	respond(w, &w->f->other, bye, 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_a_refusal_the_parser_refuses_is_acknowledged_and_becomes_502(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 302, "pbx1", UNREADABLE, NO_SDP);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_PARSE_FAILED), 1);
	take(w, &w->f->peer, "SIP/2.0 502 ");
	w->looked = 0;
	take(w, &w->f->other, "ACK ");
	assert_over(w);
}

static unsigned refusals;

/* The fixture keeps no message so long as those. */
static int capture_short(void *arg, const struct sip_flow *flow, struct span message)
{
	refusals += span_starts_case(message, SPAN("SIP/2.0 500 "));
	return message.n < FIXTURE_TEXT_MAX ? fixture_capture(arg, flow, message) : 0;
}

/* An INVITE whose Via lines, which each response repeats, leave no room in CALL_MESSAGE_MAX. */
static void start_call_with_long_vias(struct call_world *w)
{
	static char text[2 * 32768];
	char end[2048];
	struct config_sip *sip = &w->f->config.sip;
	size_t length;

	sip->max_message_udp = sip->max_header_block = sizeof(text);
	write_body(end, sizeof(end), PHONE_SDP);
	length = (size_t)snprintf(text, sizeof(text),
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;branch=z9hG4bKlong\r\n");
	for (unsigned i = 0; i < 25; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			"Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK%01400u\r\n", i);
	length += (size_t)snprintf(text + length, sizeof(text) - length,
		"Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.9>;tag=from1\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: call1@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5070>\r\n%s",
		end);
	assert_in_range(length, CALL_MESSAGE_MAX, sizeof(text) - 1);
	transaction_receive(&w->f->shard, &w->f->peer, (struct span){ text, length });
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
}

static void test_an_answer_that_cannot_be_sent_becomes_500_and_the_callee_is_hung_up(void **state)
{
	struct call_world *w = *state;

	refusals = 0;
	w->f->private.capture = capture_short;
	start_call_with_long_vias(w);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	assert_int_equal(refusals, 1);
	take(w, &w->f->other, "ACK ");
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_ANSWERED), 0);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_CALLS_FAILED), 1);
	/* The 500 waits for its ACK no longer than Timer H: nothing is left behind. */
	fixture_pass(w->f, 70000);
	assert_int_equal(fixture_live(w->f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_cancel_while_ringing_is_passed_on),
		TEST(test_cancel_before_the_lease_gives_it_back),
		TEST(test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up),
		TEST(test_the_callers_bye_of_an_early_dialog_ends_it_like_a_cancel),
		TEST(test_refusals_reach_the_caller_mapped_and_clean),
		TEST(test_a_callee_that_rings_for_ever_is_cancelled_by_timer_c),
		TEST(test_a_callee_that_says_nothing_is_given_up_with_408),
		TEST(test_no_ports_and_no_dataplane_give_503_with_retry_after),
		TEST(test_more_calls_than_allowed_are_refused),
		TEST(test_an_answer_the_parser_refuses_ends_the_call_at_once_on_both_sides),
		TEST(test_a_refusal_the_parser_refuses_is_acknowledged_and_becomes_502),
		TEST(test_an_answer_that_cannot_be_sent_becomes_500_and_the_callee_is_hung_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
