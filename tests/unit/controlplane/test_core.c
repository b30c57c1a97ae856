/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is let in, what is kept of those who are not, and what still works when it is full. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/transport_internal.h"

static char invite[FIXTURE_TEXT_MAX];

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

static void assert_over(struct call_world *w)
{
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
}

/* A stranger's INVITE that is kept would take a place in the table and have its refusal repeated, ten times, to whatever address
 * it claims to come from. */
static void test_nothing_is_kept_of_strangers_and_their_refusal_is_not_repeated(void **state)
{
	struct call_world *w = *state;

	w->f->interface.allow_anonymous = CONFIG_ANONYMOUS_AGENTS;
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 403 ");
	caller_sends(w, "INVITE", 2, "nobody", "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	caller_sends(w, "BYE", 3, "nobody", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	assert_int_equal(fixture_live(w->f), 0);
	assert_int_equal(fixture_tombstones(w->f), 0);
	fixture_pass(w->f, 40000);
	assert_int_equal(w->f->sent_count, 3);
}

static void test_a_call_can_be_hung_up_when_there_is_no_room_for_transactions(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	w->f->config.sip.max_transactions = 0;
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	assert_over(w);
}

static void test_a_dialog_is_reached_from_its_own_realm_only(void **state)
{
	struct call_world *w = *state;
	static struct config_sip_interface interface;
	static struct config_realm elsewhere;
	static struct listener listener;
	struct listener *own = w->f->peer.listener;

	elsewhere = w->f->realm;
	interface = w->f->interface;
	interface.realm = &elsewhere;
	listener = *own;
	listener.interface = &interface;
	establish(w, invite);
	w->f->peer.listener = &listener;
	caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	assert_false(was_sent(w, &w->f->other, "BYE "));
	w->f->peer.listener = own;
}

static void invite_with_via(struct call_world *w, const char *parameters)
{
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;branch=z9hG4bKfull%s\r\n"
		"From: <sip:alice@192.0.2.9>;tag=from1\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: call1@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5070>\r\n"
		"Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		parameters, strlen(PHONE_SDP), PHONE_SDP);
}

/* What we add to the caller's own lines must not make the answer one that cannot be sent. */
static void test_an_invite_at_the_caps_is_answered(void **state)
{
	struct call_world *w = *state;
	char full[2048];
	size_t n = 0;

	for (unsigned i = 0; i < 250; i++)
		n += (size_t)snprintf(full + n, sizeof(full) - n, ";a");
	for (unsigned round = 0; round < 2; round++) {
		if (round == 1)
			n = (size_t)snprintf(full, sizeof(full), ";a=%01980d", 0);
		invite_with_via(w, full);
		take(w, &w->f->peer, "SIP/2.0 100 ");
		fake_answer_all();
		snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
		respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
		note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
		caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
		caller_sends(w, "BYE", 2, w->caller_tag, "", NO_SDP);
		respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
		assert_over(w);
		fixture_pass(w->f, 40000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_nothing_is_kept_of_strangers_and_their_refusal_is_not_repeated),
		TEST(test_a_call_can_be_hung_up_when_there_is_no_room_for_transactions),
		TEST(test_a_dialog_is_reached_from_its_own_realm_only),
		TEST(test_an_invite_at_the_caps_is_answered),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
