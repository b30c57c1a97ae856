/* SPDX-License-Identifier: BSD-3-Clause */
/* What is under way goes on under another configuration: calls, attempts, subscriptions, requests; old ones are freed at once, so that a pointer
 * that nobody has moved is found by the sanitizer. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/agent.h"
#include "controlplane/reconfigure.h"
#include "controlplane/subscription.h"
#include "controlplane/transport_internal.h"
#include "tests/unit/config/capture.h"

#define NETWORK "network-interface out { port = \"xdp:eth0\" addresses = { \"192.0.2.1/24\" } }\n"
#define REALM   "realm test { network-interface = out }\n"
#define POOL    "steering-pool pool { realm = test address = 192.0.2.1 ports = 20000-20999 }\n"
#define FACE(more)                                                                                          \
	"sip-interface face { realm = test listen = { \"udp:192.0.2.1:5060\" } allow-anonymous = all " more \
	" }\n"
#define PROFILE(more) "ip-profile plain { nat = never " more " }\n"
#define PBX(more) \
	"session-agent pbx { realm = test address = \"udp:192.0.2.10:5080\" ip-profile = plain " more " }\n"
#define OTHER     "session-agent other { realm = test address = \"udp:192.0.2.77:5080\" }\n"
#define POLICY    "local-policy all { to = \"^[0-9]+$\" next-hop = \"agent:pbx\" }\n"
#define SIP(more) "sip-config { event-packages = { \"dialog\" } " more " }\n"
#define WHOLE     NETWORK REALM POOL PROFILE("") FACE("ip-profile = plain") PBX("") POLICY SIP("")

static struct {
	struct call_world *w;
	struct shard *shards[1];
	struct config_snapshots *snapshots;
	struct reconfigure *reconfigure;
	const struct config *config;
	char invite[FIXTURE_TEXT_MAX];
} bed;

static int setup(void **state)
{
	struct config *config = capture_valid(WHOLE);

	bed.w = world_new();
	bed.shards[0] = &bed.w->f->shard;
	bed.shards[0]->config = config;
	bed.w->f->peer.listener->interface = &config->sip_interfaces[0];
	assert_int_equal(agent_table_open(bed.shards[0]), 0);
	assert_int_equal(config_snapshots_new(config, &bed.snapshots), 0);
	bed.config = config;
	assert_int_equal(reconfigure_new(&(struct reconfigure_world){ .snapshots = bed.snapshots,
						 .config = &bed.config,
						 .shards = bed.shards,
						 .count = 1 },
				 &bed.reconfigure),
		0);
	*state = bed.w;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	reconfigure_free(bed.reconfigure);
	transaction_layer_close(bed.shards[0]);
	while (fake.answered < fake.count)
		fake_answer(-ENOTCONN);
	call_layer_close(bed.shards[0]);
	agent_table_close(bed.shards[0]);
	world_free(bed.w);
	config_snapshots_free(bed.snapshots);
	return 0;
}

static void apply(const char *text)
{
	struct config *next = capture_valid(text);
	char reason[1024] = "";
	struct writer why;
	int error;

	writer_init(&why, reason, sizeof(reason));
	error = reconfigure_phases.prepare(bed.reconfigure, next, &why);
	if (error)
		fail_msg("%d: %.*s", error, (int)why.len, reason);
	reconfigure_phases.apply(bed.reconfigure, next);
	assert_ptr_equal(bed.config, next);
}

/* A re-INVITE either way, then BYE by `last`; nothing of the call is left. */
static void goes_on_to_its_end(struct call_world *w, bool caller_ends)
{
	char change[FIXTURE_TEXT_MAX];

	w->looked = w->f->sent_count;
	caller_sends(w, "INVITE", 2, w->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	snprintf(change, sizeof(change), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, change, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
	take(w, &w->f->other, "ACK ");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "a=recvonly\r\n");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	callee_sends(w, bed.invite, "INVITE", 5, "pbx1", PBX_SDP);
	snprintf(change, sizeof(change), "%s", take(w, &w->f->peer, "INVITE "));
	respond(w, &w->f->peer, change, 200, NULL, "", PHONE_SDP);
	/* The fixture's caller says that he has moved there. */
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->other, "SIP/2.0 200 ");
	callee_sends(w, bed.invite, "ACK", 5, "pbx1", NO_SDP);
	fake_answer_all();
	if (caller_ends) {
		caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
		respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	} else {
		callee_sends(w, bed.invite, "BYE", 6, "pbx1", NO_SDP);
		respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	}
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
}

/* Another call of the same caller. */
static void next_invite(struct call_world *w)
{
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKnext\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.9>;tag=from2\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: call2@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5070>\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void test_a_call_goes_on_when_everything_stands_elsewhere(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	apply("realm more { network-interface = out }\n" POLICY OTHER PBX("max-sessions = 5") NETWORK
		"ip-profile more { }\n" PROFILE("early-media = relay") POOL
		"steering-pool second { realm = more address = 192.0.2.1 ports = 30000-30999 }\n" FACE(
			"ip-profile = plain") REALM SIP(""));
	assert_int_equal(config_snapshots_kept(bed.snapshots), 0);
	goes_on_to_its_end(w, true);
}

static void test_a_call_whose_agent_is_gone_goes_on_and_the_next_one_does_not_go_there(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	apply(NETWORK REALM POOL PROFILE("") FACE("ip-profile = plain") SIP(""));
	assert_int_equal(config_snapshots_kept(bed.snapshots), 1);
	apply(NETWORK REALM POOL FACE("") SIP("")); /* and the profile, too */
	goes_on_to_its_end(w, false);
	w->looked = w->f->sent_count;
	next_invite(w);
	take(w, &w->f->peer, "SIP/2.0 404 ");
	/* What nobody needs any more goes with the next change. */
	apply(WHOLE);
	assert_int_equal(config_snapshots_kept(bed.snapshots), 0);
}

static void test_a_call_goes_on_when_its_interface_is_gone_alone(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	apply(NETWORK REALM POOL PROFILE("") PBX("") POLICY SIP(
		"") "sip-interface elsewhere { realm = test listen = { \"udp:192.0.2.1:5070\" } }\n");
	apply(NETWORK REALM POOL PROFILE("") PBX("") POLICY SIP(
		"") "sip-interface elsewhere { realm = test listen = { \"udp:192.0.2.1:5070\" } }\n");
	goes_on_to_its_end(w, true);
}

static void test_a_call_goes_on_when_its_realm_is_gone(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	apply(NETWORK "realm another { network-interface = out }\n"
		      "steering-pool pool { realm = another address = 192.0.2.1 ports = 20000-20999 }\n"
		      "sip-interface elsewhere { realm = another listen = { \"udp:192.0.2.1:5070\" } }\n");
	apply(NETWORK "realm another { network-interface = out }\n");
	w->looked = w->f->sent_count;
	caller_sends(w, "BYE", 3, w->caller_tag, "", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
}

static void test_a_call_goes_on_when_its_realm_is_called_otherwise(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	apply(NETWORK "realm another { network-interface = out }\n"
		      "steering-pool pool { realm = another address = 192.0.2.1 ports = 20000-20999 }\n"
		      "sip-interface face { realm = another listen = { \"udp:192.0.2.1:5060\" } }\n");
	goes_on_to_its_end(w, true);
}

static void test_a_call_that_rings_is_answered_though_where_it_goes_is_gone(void **state)
{
	struct call_world *w = *state;

	start_call(w, PHONE_SDP, bed.invite);
	respond(w, &w->f->other, bed.invite, 180, "pbx1", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 180 ");
	apply(NETWORK REALM POOL FACE("") SIP(""));
	respond(w, &w->f->other, bed.invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	apply(NETWORK REALM POOL FACE("") OTHER SIP(""));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	goes_on_to_its_end(w, true);
}

static void test_a_call_that_waits_for_ports_gets_them_under_the_next_configuration(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 100 ");
	apply(NETWORK REALM OTHER POOL FACE("ip-profile = plain") PROFILE("") PBX("") POLICY SIP(""));
	fake_answer_all();
	snprintf(bed.invite, sizeof(bed.invite), "%s", take(w, &w->f->other, "INVITE "));
	respond(w, &w->f->other, bed.invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
	goes_on_to_its_end(w, false);
}

static void test_the_rest_of_a_group_is_tried_though_the_group_is_gone(void **state)
{
	static const char second[] =
		"session-agent second { realm = test address = \"udp:192.0.2.9:5070\" }\n";
	static const char group[] =
		"session-group both { agents = { pbx, second } strategy = hunt retry-on = { 486 } }\n"
		"local-policy all { to = \"^[0-9]+$\" next-hop = \"group:both\" }\n";
	struct call_world *w = *state;
	char text[4096];

	snprintf(text, sizeof(text), "%s%s%s",
		NETWORK REALM POOL PROFILE("") FACE("ip-profile = plain") PBX("") SIP(""), second, group);
	apply(text);
	start_call(w, PHONE_SDP, bed.invite);
	snprintf(text, sizeof(text), "%s%s", NETWORK REALM POOL FACE("") SIP(""), second);
	apply(text);
	snprintf(text, sizeof(text), "%s%s", NETWORK REALM POOL FACE("") OTHER SIP(""), second);
	apply(text);
	respond(w, &w->f->other, bed.invite, 486, "pbx1", "", NO_SDP);
	take(w, &w->f->other, "ACK ");
	fake_answer_all();
	take(w, &w->f->peer, "INVITE "); /* the second one, at the caller's own address */
}

static void test_an_attempt_that_was_given_up_is_hung_up_when_it_answers_all_the_same(void **state)
{
	static const char group[] =
		"session-agent second { realm = test address = \"udp:192.0.2.9:5070\" }\n"
		"session-group both { agents = { pbx, second } strategy = hunt attempt-timeout = 1s }\n"
		"local-policy all { to = \"^[0-9]+$\" next-hop = \"group:both\" }\n";
	struct call_world *w = *state;
	char text[4096], moved[4096 + sizeof(OTHER)];

	snprintf(text, sizeof(text), "%s%s",
		NETWORK REALM POOL PROFILE("") FACE("ip-profile = plain") PBX("") SIP(""), group);
	apply(text);
	start_call(w, PHONE_SDP, bed.invite);
	fixture_pass(w->f, 1100);
	fake_answer_all();
	respond(w, &w->f->peer, take(w, &w->f->peer, "INVITE "), 486, "second1", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
	/* Everything is there still, in another place. */
	snprintf(moved, sizeof(moved), "%s%s", OTHER, text);
	apply(moved);
	assert_int_equal(config_snapshots_kept(bed.snapshots), 0);
	w->looked = 0;
	respond(w, &w->f->other, bed.invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	take(w, &w->f->other, "BYE ");
	/* Until it has ended. */
	fixture_pass(w->f, 33000);
	apply(NETWORK REALM POOL FACE("") SIP(""));
}

static void test_what_a_profile_says_holds_for_the_next_request_of_a_call(void **state)
{
	struct call_world *w = *state;

	establish(w, bed.invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "X-Colour: blue\r\n", PHONE_SDP "a=sendonly\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), 488, NULL, "", NO_SDP);
	assert_null(strstr(w->taken, "X-Colour"));
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	apply(NETWORK REALM POOL PROFILE("headers-pass = { \"X-Colour\" }") FACE("ip-profile = plain") PBX("")
			POLICY SIP(""));
	w->looked = w->f->sent_count;
	caller_sends(w, "INVITE", 3, w->caller_tag, "X-Colour: blue\r\n", PHONE_SDP "a=sendonly\r\n");
	assert_contains(take(w, &w->f->other, "INVITE "), "X-Colour: blue\r\n");
}

static void test_timers_hold_for_what_begins_and_not_for_what_runs(void **state)
{
	struct call_world *w = *state;
	unsigned count;

	start_call(w, PHONE_SDP, bed.invite);
	apply(NETWORK REALM POOL PROFILE("") FACE("ip-profile = plain") PBX("") POLICY SIP("t1 = 50ms"));
	/* The INVITE that is under way is repeated when it was to be. */
	count = w->f->sent_count;
	fixture_pass(w->f, 400);
	assert_int_equal(w->f->sent_count, count);
	fixture_pass(w->f, 200);
	take(w, &w->f->other, "INVITE ");
	next_invite(w);
	take(w, &w->f->peer, "SIP/2.0 100 ");
	fake_answer_all();
	take(w, &w->f->other, "INVITE ");
	fixture_pass(w->f, 60);
	take(w, &w->f->other, "INVITE ");
}

static void test_a_subscription_goes_on_when_its_notifier_is_no_agent_any_more(void **state)
{
	struct call_world *w = *state;
	char subscribe[FIXTURE_TEXT_MAX];

	caller_sends(w, "SUBSCRIBE", 1, NULL, "Event: dialog\r\nExpires: 600\r\n", NO_SDP);
	snprintf(subscribe, sizeof(subscribe), "%s", take(w, &w->f->other, "SUBSCRIBE "));
	respond(w, &w->f->other, subscribe, 200, "pbx9", "Expires: 300\r\n", NO_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	apply(NETWORK REALM POOL FACE("") SIP(""));
	w->looked = w->f->sent_count;
	caller_sends(w, "SUBSCRIBE", 2, w->caller_tag, "Event: dialog\r\nExpires: 0\r\n", NO_SDP);
	respond(w, &w->f->other, take(w, &w->f->other, "SUBSCRIBE "), 200, NULL, "Expires: 0\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_a_request_outside_of_dialogs_comes_back(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "MESSAGE", 1, NULL, "", NO_SDP);
	take(w, &w->f->other, "MESSAGE ");
	apply(NETWORK REALM POOL FACE("") SIP(""));
	apply(NETWORK REALM POOL FACE("") OTHER SIP(""));
	respond(w, &w->f->other, w->taken, 200, "pbx3", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

static void test_what_cannot_be_kept_any_more_is_refused_and_there_is_room_when_calls_have_ended(void **state)
{
	struct call_world *w = *state;
	char text[2048], reason[512] = "";
	struct config *next;
	struct writer why;

	establish(w, bed.invite);
	apply(NETWORK REALM POOL FACE("") SIP(""));
	assert_int_equal(config_snapshots_kept(bed.snapshots), 1);
	goes_on_to_its_end(w, true);
	/* Later ones do not add up: nobody needs them. */
	for (unsigned i = 0; i < 2 * CONFIG_SNAPSHOTS_MAX; i++) {
		snprintf(
			text, sizeof(text), "%sip-profile p%u { }\n", NETWORK REALM POOL FACE("") SIP(""), i);
		apply(text);
	}
	/* What ended keeps its transactions for a while. */
	assert_true(config_snapshots_kept(bed.snapshots) <= 1);
	next = capture_valid(WHOLE);
	writer_init(&why, reason, sizeof(reason));
	assert_int_equal(reconfigure_phases.prepare(bed.reconfigure, next, &why), 0);
	reconfigure_phases.abort(bed.reconfigure);
	config_free(next);
	apply(WHOLE);
}

int main(void)
{
#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_a_call_goes_on_when_everything_stands_elsewhere),
		LIVE_TEST(test_a_call_whose_agent_is_gone_goes_on_and_the_next_one_does_not_go_there),
		LIVE_TEST(test_a_call_goes_on_when_its_interface_is_gone_alone),
		LIVE_TEST(test_a_call_goes_on_when_its_realm_is_gone),
		LIVE_TEST(test_a_call_goes_on_when_its_realm_is_called_otherwise),
		LIVE_TEST(test_a_call_that_rings_is_answered_though_where_it_goes_is_gone),
		LIVE_TEST(test_a_call_that_waits_for_ports_gets_them_under_the_next_configuration),
		LIVE_TEST(test_the_rest_of_a_group_is_tried_though_the_group_is_gone),
		LIVE_TEST(test_an_attempt_that_was_given_up_is_hung_up_when_it_answers_all_the_same),
		LIVE_TEST(test_what_a_profile_says_holds_for_the_next_request_of_a_call),
		LIVE_TEST(test_timers_hold_for_what_begins_and_not_for_what_runs),
		LIVE_TEST(test_a_subscription_goes_on_when_its_notifier_is_no_agent_any_more),
		LIVE_TEST(test_a_request_outside_of_dialogs_comes_back),
		LIVE_TEST(
			test_what_cannot_be_kept_any_more_is_refused_and_there_is_room_when_calls_have_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
