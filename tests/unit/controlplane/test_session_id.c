/* SPDX-License-Identifier: BSD-3-Clause */
/* Session-ID (RFC 7989): ours where the caller has none, his own untouched, and what the callee calls itself goes back to it. */
#include "controlplane/session_id.h"
#include "tests/unit/controlplane/call_fixture.h"

#define NIL    "00000000000000000000000000000000"
#define CALLEE "fedcba9876543210fedcba9876543210"
#define CALLER "ab30317f1a784dc48ff824d0d3715d86"

static char invite[FIXTURE_TEXT_MAX], ours[40];

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->profile.session_id = true;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void start(struct call_world *w, const char *headers)
{
	caller_sends(w, "INVITE", 1, NULL, headers, PHONE_SDP);
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
}

/* Of the INVITE that was sent. */
static const char *take_ours(void)
{
	const char *at = strstr(invite, "\r\nSession-ID: ");

	assert_non_null(at);
	snprintf(ours, sizeof(ours), "%.32s", at + strlen("\r\nSession-ID: "));
	assert_int_equal(strspn(ours, "0123456789abcdef"), 32);
	return ours;
}

static void assert_session_id(const char *message, const char *local, const char *remote)
{
	char line[128];

	snprintf(line, sizeof(line), "\r\nSession-ID: %s;remote=%s\r\n", local, remote);
	assert_contains(message, line);
	assert_null(strstr(strstr(message, "\r\nSession-ID: ") + 2, "\r\nSession-ID: "));
}

static void test_a_caller_without_one_is_spoken_for_in_every_message_to_the_callee(void **state)
{
	struct call_world *w = *state;
	char answer[160], ok[FIXTURE_TEXT_MAX];

	start(w, "");
	take_ours();
	assert_session_id(invite, ours, NIL);
	snprintf(answer, sizeof(answer), "Session-ID: " CALLEE ";remote=%s\r\n", ours);
	respond(w, &w->f->other, invite, 200, "pbx1", answer, PBX_SDP);
	assert_session_id(take(w, &w->f->other, "ACK "), ours, CALLEE);
	snprintf(ok, sizeof(ok), "%s", take(w, &w->f->peer, "SIP/2.0 200 "));
	note_tag(w, ok);
	/* The caller gets what the callee has said, as it is. */
	assert_session_id(ok, CALLEE, ours);
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	assert_session_id(take(w, &w->f->other, "BYE "), ours, CALLEE);
}

static void test_what_the_callee_asks_is_answered_with_both(void **state)
{
	struct call_world *w = *state;
	char answer[160];

	start(w, "");
	snprintf(answer, sizeof(answer), "Session-ID: " CALLEE ";remote=%s\r\n", take_ours());
	respond(w, &w->f->other, invite, 200, "pbx1", answer, PBX_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	callee_sends(w, invite, "BYE", 7, "pbx1", NO_SDP);
	assert_session_id(take(w, &w->f->other, "SIP/2.0 200 "), ours, CALLEE);
}

static void test_a_cancel_and_the_ack_of_a_refusal_have_that_of_their_invite(void **state)
{
	struct call_world *w = *state;

	start(w, "");
	take_ours();
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	caller_sends(w, "CANCEL", 1, NULL, "", NO_SDP);
	assert_session_id(take(w, &w->f->other, "CANCEL "), ours, NIL);
	respond(w, &w->f->other, invite, 487, "pbx1", "", NO_SDP);
	assert_session_id(take(w, &w->f->other, "ACK "), ours, NIL);
}

static void test_that_of_a_caller_crosses_and_none_is_made(void **state)
{
	struct call_world *w = *state;

	start(w, "Session-ID: " CALLER ";remote=" NIL "\r\n");
	assert_session_id(invite, CALLER, NIL);
	respond(w, &w->f->other, invite, 200, "pbx1", "Session-ID: " CALLEE ";remote=" CALLER "\r\n",
		PBX_SDP);
	assert_session_id(take(w, &w->f->other, "ACK "), CALLER, NIL);
	assert_session_id(take(w, &w->f->peer, "SIP/2.0 200 "), CALLEE, CALLER);
}

static void test_what_is_none_is_as_good_as_none(void **state)
{
	static const char *const bad[] = { "pbx7.corp.example", NIL, CALLER "0",
		"AB30317F1A784DC48FF824D0D3715D86" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char header[128];

		if (i) {
			teardown(state);
			setup(state);
		}
		snprintf(header, sizeof(header), "Session-ID: %s;remote=" NIL "\r\n", bad[i]);
		start(*state, header);
		assert_session_id(invite, take_ours(), NIL);
		if (i != 1)
			assert_null(strstr(invite, bad[i]));
	}
}

static void test_a_callee_of_the_older_kind_stays_unknown(void **state)
{
	struct call_world *w = *state;
	char answer[160];

	start(w, "");
	/* RFC 7329: the same identifier in both directions. */
	snprintf(answer, sizeof(answer), "Session-ID: %s\r\n", take_ours());
	respond(w, &w->f->other, invite, 200, "pbx1", answer, PBX_SDP);
	assert_session_id(take(w, &w->f->other, "ACK "), ours, NIL);
}

static void test_switched_off_nothing_is_sent(void **state)
{
	struct call_world *w = *state;

	w->profile.session_id = false;
	start(w, "");
	assert_null(strstr(invite, "Session-ID"));
}

static void test_it_is_random_and_of_version_4(void **state)
{
	char text[SESSION_ID_TEXT_MAX], other[SESSION_ID_TEXT_MAX];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct session_id one = session_id_new(), two = session_id_new();

		session_id_print(&one, text);
		session_id_print(&two, other);
		assert_string_not_equal(text, other);
		assert_int_equal(text[12], '4');
		assert_non_null(strchr("89ab", text[16]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_caller_without_one_is_spoken_for_in_every_message_to_the_callee),
		TEST(test_what_the_callee_asks_is_answered_with_both),
		TEST(test_a_cancel_and_the_ack_of_a_refusal_have_that_of_their_invite),
		TEST(test_that_of_a_caller_crosses_and_none_is_made),
		TEST(test_what_is_none_is_as_good_as_none),
		TEST(test_a_callee_of_the_older_kind_stays_unknown),
		TEST(test_switched_off_nothing_is_sent),
#undef TEST
		cmocka_unit_test(test_it_is_random_and_of_version_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
