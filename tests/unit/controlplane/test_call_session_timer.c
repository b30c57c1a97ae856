/* SPDX-License-Identifier: BSD-3-Clause */
/* Session timers of both legs: what is asked, agreed, refreshed, refused and given up. */
#include "controlplane/call_exchange.h"
#include "controlplane/call_session_timer.h"
#include "tests/unit/controlplane/call_fixture.h"

#define KNOWS  "Supported: timer\r\n"
#define UPDATE "Allow: INVITE, UPDATE\r\n"

static char invite[FIXTURE_TEXT_MAX], refresh[FIXTURE_TEXT_MAX], ok[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->profile.session_timer_mode = CONFIG_SESSION_TIMER_SUPPORTED;
	w->profile.session_timer = 1800;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* An established call; `ok` is what the caller got. */
static struct call_world *established(void **state, const char *caller, const char *callee)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, caller, PHONE_SDP);
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, invite, 200, "pbx1", callee, PBX_SDP);
	snprintf(ok, sizeof(ok), "%s", take(w, &w->f->peer, "SIP/2.0 200 "));
	note_tag(w, ok);
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	w->looked = w->f->sent_count;
	return w;
}

static const char *taken(struct call_world *w, const struct sip_flow *peer, const char *start)
{
	snprintf(refresh, sizeof(refresh), "%s", take(w, peer, start));
	return refresh;
}

static void test_each_leg_agrees_on_its_own(void **state)
{
	struct call_world *w =
		established(state, KNOWS "Session-Expires: 600;refresher=uac\r\nMin-SE: 120\r\n",
			"Require: timer\r\nSession-Expires: 900;refresher=uas\r\n");

	assert_contains(invite, "Session-Expires: 1800\r\n");
	assert_contains(strstr(invite, "\r\nSupported: "), "timer");
	assert_null(strstr(invite, "Min-SE"));
	assert_contains(ok, "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n");
	/* Both are refreshed by the peers: nothing is sent; and each runs out by itself. */
	fixture_pass(w->f, 567000);
	assert_false(was_sent(w, &w->f->peer, ""));
	fixture_pass(w->f, 2000);
	assert_contains(taken(w, &w->f->peer, "BYE "), "Q.850;cause=102\r\n");
	w->looked = 0;
	take(w, &w->f->other, "BYE ");
}

static void test_the_peers_refresh_is_answered_here_and_begins_it_anew(void **state)
{
	struct call_world *w = established(state, KNOWS "Session-Expires: 600;refresher=uac\r\n",
		"Session-Expires: 3600;refresher=uas\r\n");

	for (unsigned i = 0; i < 3; i++) {
		fixture_pass(w->f, 400000);
		caller_sends(w, "UPDATE", 2 + i, w->caller_tag,
			KNOWS "Session-Expires: 600;refresher=uac\r\n", NO_SDP);
		assert_contains(
			take(w, &w->f->peer, "SIP/2.0 200 "), "Session-Expires: 600;refresher=uac\r\n");
	}
	caller_sends(
		w, "INVITE", 9, w->caller_tag, KNOWS "Session-Expires: 600;refresher=uac\r\n", PHONE_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Session-Expires: 600;refresher=uac\r\n");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	assert_false(was_sent(w, &w->f->other, "UPDATE "));
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_we_refresh_at_half_of_it_by_update(void **state)
{
	struct call_world *w = established(state, UPDATE KNOWS "Session-Expires: 600;refresher=uas\r\n",
		UPDATE "Session-Expires: 3600;refresher=uas\r\n");
	/* Its Contact moves it there. */
	const struct sip_flow *peer = &w->f->peer, *moved = &w->f->other;

	assert_contains(ok, "Session-Expires: 600;refresher=uas\r\n");
	for (unsigned i = 0; i < 3; i++, peer = moved) {
		fixture_pass(w->f, 299000);
		assert_false(was_sent(w, peer, "UPDATE "));
		fixture_pass(w->f, 1100);
		taken(w, peer, "UPDATE ");
		assert_contains(refresh, "Session-Expires: 600;refresher=uac\r\n");
		assert_contains(refresh, "Content-Length: 0\r\n");
		respond(w, &w->f->peer, refresh, 200, NULL, "Session-Expires: 600;refresher=uac\r\n", NO_SDP);
	}
	assert_int_equal(call_count(&w->f->shard), 1);
	fixture_pass(w->f, 300100);
	taken(w, moved, "UPDATE ");
	/* No answer: a BYE to both, before it ends. */
	fixture_pass(w->f, 33000);
	take(w, moved, "BYE ");
	take(w, moved, "BYE ");
}

static void test_a_peer_without_timers_is_refreshed_by_us_alone(void **state)
{
	struct call_world *w = established(state, "", "");

	assert_null(strstr(ok, "Session-Expires"));
	assert_null(strstr(ok, "Require"));
	fixture_pass(w->f, 900100);
	assert_contains(taken(w, &w->f->other, "INVITE "), "m=audio 10010 ");
	respond(w, &w->f->other, refresh, 200, NULL, "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	/* The other leg was put off by that, and follows. */
	fixture_pass(w->f, 4100);
	assert_contains(taken(w, &w->f->peer, "INVITE "), "m=audio 10000 ");
	/* It refuses; but it is there. */
	respond(w, &w->f->peer, refresh, 488, NULL, "", NO_SDP);
	fixture_pass(w->f, 600000);
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_too_short_an_interval_is_422(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, KNOWS "Session-Expires: 60\r\n", PHONE_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 422 "), "Min-SE: 90\r\n");
	caller_sends(w, "ACK", 1, NULL, "", NO_SDP);
	/* To who knows nothing of it 422 would mean nothing. */
	caller_sends(w, "INVITE", 2, NULL, "x: 60\r\n", PHONE_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 422 "));
}

static void test_who_knows_no_timers_is_refused_where_they_are_required(void **state)
{
	struct call_world *w = *state;

	w->profile.session_timer_mode = CONFIG_SESSION_TIMER_REQUIRE;
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 421 "), "Require: timer\r\n");
	caller_sends(w, "INVITE", 2, NULL, KNOWS, PHONE_SDP);
	fake_answer_all();
	assert_contains(take(w, &w->f->other, "INVITE "), "Require: timer\r\n");
}

static void test_off_means_that_nothing_is_said_and_nothing_runs(void **state)
{
	struct call_world *w = *state;

	w->profile.session_timer_mode = CONFIG_SESSION_TIMER_OFF;
	established(state, KNOWS "Session-Expires: 60\r\n", "Session-Expires: 90;refresher=uac\r\n");
	assert_null(strstr(invite, "Session-Expires"));
	assert_null(strstr(invite, "timer"));
	assert_null(strstr(ok, "Session-Expires"));
	fixture_pass(w->f, 7200000);
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_422_to_a_refresh_is_tried_again_with_its_minimum(void **state)
{
	struct call_world *w = established(state, UPDATE KNOWS "Session-Expires: 600;refresher=uas\r\n",
		"Session-Expires: 3600;refresher=uas\r\n");

	fixture_pass(w->f, 300100);
	respond(w, &w->f->peer, taken(w, &w->f->peer, "UPDATE "), 422, NULL, "Min-SE: 700\r\n", NO_SDP);
	fixture_pass(w->f, 100);
	assert_contains(
		taken(w, &w->f->peer, "UPDATE "), "Session-Expires: 700;refresher=uac\r\nMin-SE: 700\r\n");
}

static void test_491_to_a_refresh_is_tried_again_after_its_timer(void **state)
{
	struct call_world *w = established(state, UPDATE KNOWS "Session-Expires: 600;refresher=uas\r\n",
		"Session-Expires: 3600;refresher=uas\r\n");

	fixture_pass(w->f, 300100);
	respond(w, &w->f->peer, taken(w, &w->f->peer, "UPDATE "), 491, NULL, "", NO_SDP);
	fixture_pass(w->f, 2100);
	taken(w, &w->f->peer, "UPDATE ");
}

static void test_a_relayed_reinvite_carries_the_other_legs_own_session(void **state)
{
	struct call_world *w = established(state, KNOWS "Session-Expires: 600;refresher=uac\r\n",
		"Session-Expires: 900;refresher=uac\r\n");

	caller_sends(w, "INVITE", 2, w->caller_tag, KNOWS "Session-Expires: 600;refresher=uac\r\n",
		PHONE_SDP "a=sendonly\r\n");
	assert_contains(take(w, &w->f->other, "INVITE "), "Session-Expires: 900;refresher=uac\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_each_leg_agrees_on_its_own),
		TEST(test_the_peers_refresh_is_answered_here_and_begins_it_anew),
		TEST(test_we_refresh_at_half_of_it_by_update),
		TEST(test_a_peer_without_timers_is_refreshed_by_us_alone),
		TEST(test_too_short_an_interval_is_422),
		TEST(test_who_knows_no_timers_is_refused_where_they_are_required),
		TEST(test_off_means_that_nothing_is_said_and_nothing_runs),
		TEST(test_422_to_a_refresh_is_tried_again_with_its_minimum),
		TEST(test_491_to_a_refresh_is_tried_again_after_its_timer),
		TEST(test_a_relayed_reinvite_carries_the_other_legs_own_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
