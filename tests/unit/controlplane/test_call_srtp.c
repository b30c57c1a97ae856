/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls with SRTP: who asks for it without keys is refused, who takes it away loses the call, and what is used up is renewed. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/api.h"
#include "controlplane/call_state.h"
#include "controlplane/secret.h"

#define CM80  "AES_CM_128_HMAC_SHA1_80"
#define KEY_A "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define KEY_B "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define KEY_C "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
#define BODY(host, port, lines)                                                                \
	"v=0\r\no=x 1 1 IN IP4 " host "\r\ns=-\r\nc=IN IP4 " host "\r\nt=0 0\r\nm=audio " port \
	" RTP/SAVP 0\r\n"                                                                      \
	"a=crypto:1 " CM80 " inline:" lines "\r\n"
#define SRTP_PHONE BODY("192.0.2.9", "4000", KEY_A)
#define SRTP_PBX   BODY("192.0.2.10", "6000", KEY_B)

static char *suites[] = { (char *)(uintptr_t)CM80 };

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->profile.media_security = CONFIG_MEDIA_SECURITY_REQUIRE;
	w->profile.srtp_without_tls = true;
	w->profile.crypto_suites = (struct config_strings){ suites, 1 };
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static uint64_t counted(const struct call_world *w, enum cp_counter counter)
{
	return w->f->shard.counter[counter];
}

static void secure_call(struct call_world *w, char invite[FIXTURE_TEXT_MAX])
{
	start_call(w, SRTP_PHONE, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "Allow: INVITE, ACK, BYE, UPDATE\r\n", SRTP_PBX);
	take(w, &w->f->other, "ACK ");
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
}

static struct call *the_call(struct call_world *w)
{
	struct call *call = call_find_session(&w->f->shard, 1);

	assert_non_null(call);
	return call;
}

static void event(struct call_world *w, enum dp_message type, unsigned side)
{
	struct dp_event what = { .session = 1, .side = (uint8_t)side };

	call_dataplane_event(&w->f->shard, type, &what);
}

/* What went to a peer in the whole test. */
static void assert_never_told(const struct call_world *w, const struct sip_flow *peer, const char *key)
{
	for (unsigned i = 0; i < w->f->sent_count; i++)
		if (address_equal(&w->f->sent[i].to, &peer->remote) && strstr(w->f->sent[i].text, key))
			fail_msg("a key of the other side in:\n%s", w->f->sent[i].text);
}

static void test_a_call_without_keys_is_refused_with_488_and_nobody_is_asked(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 488 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	assert_int_equal(counted(w, CP_COUNTER_SRTP_REFUSED), 1);
}

static void test_keys_of_one_side_are_never_told_to_the_other(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	secure_call(w, invite);
	assert_contains(invite, " RTP/SAVP 0\r\n");
	assert_never_told(w, &w->f->other, KEY_A);
	assert_never_told(w, &w->f->peer, KEY_B);
	assert_true(secret_count() > 0);
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
}

static void test_an_answer_without_keys_is_hung_up_with_a_reason(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	start_call(w, SRTP_PHONE, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->peer, "SIP/2.0 488 ");
	assert_contains(take(w, &w->f->other, "BYE "),
		"Reason: SIP;cause=488;text=\"SRTP was not agreed on\", Q.850;cause=65\r\n");
	assert_int_equal(counted(w, CP_COUNTER_SRTP_REFUSED), 1);
	fake_answer_all();
}

static void test_an_early_answer_without_keys_is_not_passed_on(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	start_call(w, SRTP_PHONE, invite);
	respond(w, &w->f->other, invite, 183, "pbx1", "", PBX_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 183 "), "m=audio"));
	respond(w, &w->f->other, invite, 200, "pbx1", "", SRTP_PBX);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "a=crypto:1 " CM80 " inline:");
	fake_answer_all();
}

static void test_an_offer_in_the_answer_has_keys_and_its_ack_must(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	for (unsigned good = 0; good < 2; good++) {
		caller_sends(w, "INVITE", 1, NULL, "", NO_SDP);
		snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
		respond(w, &w->f->other, invite, 200, "pbx1", "", good ? SRTP_PBX : PBX_SDP);
		fake_answer_all();
		if (good)
			break;
		take(w, &w->f->other, "ACK ");
		assert_contains(take(w, &w->f->other, "BYE "), "Reason: SIP;cause=488");
		teardown(state);
		setup(state);
		w = *state;
	}
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", SRTP_PHONE);
	assert_contains(take(w, &w->f->other, "ACK "), "a=crypto:1 " CM80 " inline:");
	assert_never_told(w, &w->f->other, KEY_A);
	assert_never_told(w, &w->f->peer, KEY_B);
	fake_answer_all();
}

static void test_a_reinvite_that_takes_keys_away_is_refused_and_the_call_goes_on(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	secure_call(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 488 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	assert_int_equal(the_call(w)->state, CALL_ESTABLISHED);
}

static void test_an_answer_to_a_reinvite_without_keys_ends_the_call_on_both_sides(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	secure_call(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", BODY("192.0.2.9", "4002", KEY_A));
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), 200, NULL, "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	assert_true(was_sent(w, &w->f->peer, "SIP/2.0 488 "));
	assert_contains(take(w, &w->f->other, "BYE "), "Reason: SIP;cause=488");
	fake_answer_all();
}

static void test_a_key_that_is_used_up_is_renewed_by_a_request_of_our_own(void **state)
{
	char invite[FIXTURE_TEXT_MAX], update[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;
	struct dp_crypto before;

	secure_call(w, invite);
	before = fake.request[fake.count - 2].session.stream[0].side[1].to;
	event(w, DP_EVENT_REKEY_NEEDED, LEG_CALLED);
	event(w, DP_EVENT_REKEY_NEEDED, LEG_CALLED);
	snprintf(update, sizeof(update), "%s", take(w, &w->f->other, "UPDATE "));
	assert_contains(update, "a=crypto:1 " CM80 " inline:");
	assert_false(was_sent(w, &w->f->other, "UPDATE "));
	respond(w, &w->f->other, update, 200, NULL, "", BODY("192.0.2.10", "6000", KEY_C));
	assert_int_equal(counted(w, CP_COUNTER_SRTP_REKEYS), 1);
	assert_never_told(w, &w->f->peer, KEY_C);
	for (unsigned i = fake.count; i-- > 0;)
		if (fake.request[i].type == DP_SESSION_UPDATE) {
			const struct dp_side_request *side = &fake.request[i].session.stream[0].side[1];

			assert_memory_not_equal(side->to.key, before.key, 30);
			assert_memory_equal(side->from.key, "wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#", 30);
			break;
		}
	assert_int_equal(the_call(w)->state, CALL_ESTABLISHED);
}

static void test_a_peer_that_does_not_renew_its_key_loses_the_call_before_its_end(void **state)
{
	static const struct {
		unsigned status;
		const char *body;
	} answers[] = { { 488, NO_SDP }, { 200, PBX_SDP } };

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char invite[FIXTURE_TEXT_MAX];
		struct call_world *w;

		teardown(state);
		setup(state);
		w = *state;
		secure_call(w, invite);
		event(w, DP_EVENT_REKEY_NEEDED, LEG_CALLED);
		respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), answers[i].status, NULL, "",
			answers[i].body);
		assert_true(was_sent(w, &w->f->peer, "BYE "));
		take(w, &w->f->other, "BYE ");
		fake_answer_all();
	}
}

static void test_a_renewal_waits_for_what_is_under_way(void **state)
{
	char invite[FIXTURE_TEXT_MAX], other[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;

	secure_call(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", BODY("192.0.2.9", "4002", KEY_A));
	snprintf(other, sizeof(other), "%s", take(w, &w->f->other, "INVITE "));
	event(w, DP_EVENT_REKEY_NEEDED, LEG_CALLED);
	assert_false(was_sent(w, &w->f->other, "UPDATE "));
	respond(w, &w->f->other, other, 200, NULL, "", SRTP_PBX);
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	fixture_pass(w->f, 4200);
	respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), 491, NULL, "", NO_SDP);
	fixture_pass(w->f, 4200);
	respond(w, &w->f->other, take(w, &w->f->other, "UPDATE "), 200, NULL, "",
		BODY("192.0.2.10", "6000", KEY_C));
	assert_int_equal(the_call(w)->state, CALL_ESTABLISHED);
	fake_answer_all();
}

static void test_packets_that_are_not_authentic_are_counted_and_kept_in_the_call(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;
	struct cp_call shown;

	secure_call(w, invite);
	event(w, DP_EVENT_SRTP_ALARM, LEG_CALLER);
	event(w, DP_EVENT_SRTP_ALARM, LEG_CALLER);
	assert_int_equal(counted(w, CP_COUNTER_SRTP_ALARMS), 2);
	call_fill(the_call(w), &shown);
	assert_int_equal(shown.srtp_alarms, 1U << LEG_CALLER);
}

static void test_no_text_with_keys_outlives_a_call(void **state)
{
	char invite[FIXTURE_TEXT_MAX];
	struct call_world *w = *state;
	size_t before = secret_count();

	secure_call(w, invite);
	assert_true(secret_count() > before);
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	fixture_pass(w->f, 65000);
	assert_int_equal(secret_count(), before);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_call_without_keys_is_refused_with_488_and_nobody_is_asked),
		CASE(test_keys_of_one_side_are_never_told_to_the_other),
		CASE(test_an_answer_without_keys_is_hung_up_with_a_reason),
		CASE(test_an_early_answer_without_keys_is_not_passed_on),
		CASE(test_an_offer_in_the_answer_has_keys_and_its_ack_must),
		CASE(test_a_reinvite_that_takes_keys_away_is_refused_and_the_call_goes_on),
		CASE(test_an_answer_to_a_reinvite_without_keys_ends_the_call_on_both_sides),
		CASE(test_a_key_that_is_used_up_is_renewed_by_a_request_of_our_own),
		CASE(test_a_peer_that_does_not_renew_its_key_loses_the_call_before_its_end),
		CASE(test_a_renewal_waits_for_what_is_under_way),
		CASE(test_packets_that_are_not_authentic_are_counted_and_kept_in_the_call),
		CASE(test_no_text_with_keys_outlives_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
