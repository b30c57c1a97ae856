/* SPDX-License-Identifier: BSD-3-Clause */
/* Attempts of a call: members of a group, redirections, credentials, limits of agents, and which refusal the caller gets. */
#include "controlplane/agent.h"
#include "controlplane/call_state.h"
#include "tests/unit/controlplane/call_fixture.h"

enum { AGENTS = 3, ATTEMPT_TIMEOUT_MS = 2000 };

struct attempt_world {
	struct call_world *w;
	struct config_session_agent agent[AGENTS];
	const struct config_session_agent *member[AGENTS];
	struct config_session_group group;
	unsigned retry_on[4];
	struct sip_flow peer[AGENTS]; /* 192.0.2.10 to .12, port 5080 */
};

static char invite[FIXTURE_TEXT_MAX], second[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	static char names[AGENTS][8] = { "a", "b", "c" }, empty[] = "";
	struct attempt_world *a = calloc(1, sizeof(*a));
	struct fixture *f;

	a->w = world_new();
	f = a->w->f;
	for (unsigned i = 0; i < AGENTS; i++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%u:5080", 10 + i);
		a->peer[i] = f->other;
		assert_int_equal(address_parse(span_from(text), 0, &a->peer[i].remote), 0);
		a->agent[i] = (struct config_session_agent){
			.name = names[i], .realm = &f->realm, .username = empty, .password = empty
		};
		a->agent[i].address.address = a->peer[i].remote;
		a->member[i] = &a->agent[i];
	}
	memcpy(a->retry_on, (unsigned[]){ 408, 503, 504, 480 }, sizeof(a->retry_on));
	a->group = (struct config_session_group){ .name = names[0],
		.agents = a->member,
		.agent_count = 2,
		.retry_on = a->retry_on,
		.retry_on_count = 4,
		.attempt_timeout_ms = ATTEMPT_TIMEOUT_MS };
	f->config.session_agents = a->agent;
	f->config.session_agents_count = AGENTS;
	f->config.session_groups = &a->group;
	f->config.session_groups_count = 1;
	f->config.sip.max_redirects = 5;
	a->w->policy.next_hop = CONFIG_NEXT_HOP_GROUP;
	a->w->policy.group = &a->group;
	a->w->policy.agent = &a->agent[0];
	assert_int_equal(agent_table_open(&f->shard), 0);
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	struct attempt_world *a = *state;

	agent_table_close(&a->w->f->shard);
	world_free(a->w);
	free(a);
	return 0;
}

/* The INVITE that agent `i` gets. */
static void take_invite(struct attempt_world *a, unsigned i, char out[FIXTURE_TEXT_MAX])
{
	snprintf(out, FIXTURE_TEXT_MAX, "%s", take(a->w, &a->peer[i], "INVITE "));
}

static void caller_invites(struct attempt_world *a, unsigned i)
{
	caller_sends(a->w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(a->w, &a->w->f->peer, "SIP/2.0 100 ");
	fake_answer_all();
	take_invite(a, i, invite);
}

static void refuse_with(
	struct attempt_world *a, unsigned i, const char *request, unsigned status, const char *headers)
{
	respond(a->w, &a->peer[i], request, status, "no", headers, NO_SDP);
	take(a->w, &a->peer[i], "ACK ");
}

static void answer_and_acknowledge(struct attempt_world *a, unsigned i, const char *request)
{
	respond(a->w, &a->peer[i], request, 200, "yes", "", PBX_SDP);
	take(a->w, &a->peer[i], "ACK ");
	note_tag(a->w, take(a->w, &a->w->f->peer, "SIP/2.0 200 "));
	caller_sends(a->w, "ACK", 1, a->w->caller_tag, "", NO_SDP);
	fake_answer_all();
}

static void caller_hangs_up(struct attempt_world *a, unsigned i)
{
	const char *bye;

	caller_sends(a->w, "BYE", 2, a->w->caller_tag, "", NO_SDP);
	bye = take(a->w, &a->peer[i], "BYE ");
	respond(a->w, &a->peer[i], bye, 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&a->w->f->shard), 0);
}

static void assert_differs(const char *one, const char *other, const char *header)
{
	char a[512], b[512];

	line_of(one, header, a, sizeof(a));
	line_of(other, header, b, sizeof(b));
	assert_string_not_equal(a, b);
}

static void assert_same(const char *one, const char *other, const char *header)
{
	char a[512], b[512];

	line_of(one, header, a, sizeof(a));
	line_of(other, header, b, sizeof(b));
	assert_string_equal(a, b);
}

static void assert_refused(struct attempt_world *a, const char *start)
{
	take(a->w, &a->w->f->peer, start);
	caller_sends(a->w, "ACK", 1, "x", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&a->w->f->shard), 0);
	for (unsigned i = 0; i < AGENTS; i++)
		assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[i]), 0);
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

static void test_a_member_that_refuses_is_followed_by_the_next_on_a_leg_of_its_own(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	refuse_with(a, 0, invite, 503, "");
	take_invite(a, 1, second);
	assert_contains(second, "INVITE sip:1000@192.0.2.11:5080 SIP/2.0\r\n");
	assert_contains(second, "m=audio 10010 RTP/AVP 0\r\n");
	assert_differs(invite, second, "Call-ID");
	assert_differs(invite, second, "From");
	assert_differs(invite, second, "Via");
	assert_null(strstr(second, "192.0.2.10"));
	assert_false(was_sent(a->w, &a->w->f->peer, "SIP/2.0 503"));
	answer_and_acknowledge(a, 1, second);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[0]), 0);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[1]), 1);
	caller_hangs_up(a, 1);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[1]), 0);
}

static void test_a_refusal_that_is_not_listed_is_the_callers(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	refuse_with(a, 0, invite, 486, "");
	assert_refused(a, "SIP/2.0 486 ");
	assert_false(was_sent(a->w, &a->peer[1], "INVITE "));
}

static void test_the_caller_gets_the_best_refusal(void **state)
{
	struct attempt_world *a = *state;

	a->retry_on[3] = 486;
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 486, "");
	take_invite(a, 1, second);
	refuse_with(a, 1, second, 503, "");
	assert_refused(a, "SIP/2.0 486 ");
}

static void test_a_member_that_cannot_be_reached_is_followed_by_the_next(void **state)
{
	struct attempt_world *a = *state;

	a->agent[0].address.address = (union address){ 0 };
	caller_invites(a, 1);
	answer_and_acknowledge(a, 1, invite);
	caller_hangs_up(a, 1);
}

static void test_a_silent_member_is_given_up_and_hung_up_if_it_answers_late(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	fixture_pass(a->w->f, ATTEMPT_TIMEOUT_MS + 50);
	take_invite(a, 1, second);
	respond(a->w, &a->peer[0], invite, 180, "late", "", NO_SDP);
	assert_contains(take(a->w, &a->peer[0], "CANCEL "), "Reason: SIP;cause=408\r\n");
	respond(a->w, &a->peer[0], invite, 200, "late", "", PBX_SDP);
	take(a->w, &a->peer[0], "ACK ");
	assert_contains(take(a->w, &a->peer[0], "BYE "), ";tag=late\r\n");
	assert_false(was_sent(a->w, &a->w->f->peer, "SIP/2.0 200"));
	answer_and_acknowledge(a, 1, second);
	caller_hangs_up(a, 1);
	fixture_pass(a->w->f, 40000);
}

static void test_a_member_that_has_said_100_has_time(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	respond(a->w, &a->peer[0], invite, 100, NULL, "", NO_SDP);
	fixture_pass(a->w->f, 3 * ATTEMPT_TIMEOUT_MS);
	assert_false(was_sent(a->w, &a->peer[1], "INVITE "));
	answer_and_acknowledge(a, 0, invite);
	caller_hangs_up(a, 0);
}

static void test_the_next_members_ringing_is_another_early_dialog(void **state)
{
	struct attempt_world *a = *state;
	char first[64];

	caller_invites(a, 0);
	respond(a->w, &a->peer[0], invite, 183, "one", "", PBX_SDP);
	snprintf(first, sizeof(first), "%s", note_tag(a->w, take(a->w, &a->w->f->peer, "SIP/2.0 183 ")));
	refuse_with(a, 0, invite, 503, "");
	take_invite(a, 1, second);
	respond(a->w, &a->peer[1], second, 180, "two", "", NO_SDP);
	assert_string_not_equal(first, note_tag(a->w, take(a->w, &a->w->f->peer, "SIP/2.0 180 ")));
	snprintf(first, sizeof(first), "%s", a->w->caller_tag);
	respond(a->w, &a->peer[1], second, 200, "two", "", PBX_SDP);
	take(a->w, &a->peer[1], "ACK ");
	assert_string_equal(first, note_tag(a->w, take(a->w, &a->w->f->peer, "SIP/2.0 200 ")));
	caller_sends(a->w, "ACK", 1, a->w->caller_tag, "", NO_SDP);
	fake_answer_all();
	caller_hangs_up(a, 1);
}

static void test_cancel_reaches_the_member_that_is_asked(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	refuse_with(a, 0, invite, 503, "");
	take_invite(a, 1, second);
	respond(a->w, &a->peer[1], second, 180, "two", "", NO_SDP);
	caller_sends(a->w, "CANCEL", 1, NULL,
		"Reason: Q.850;cause=16;text=\"x\"\r\nReason: SIP;cause=200\r\n", NO_SDP);
	take(a->w, &a->w->f->peer, "SIP/2.0 487 ");
	assert_contains(take(a->w, &a->peer[1], "CANCEL "), "Reason: Q.850;cause=16, SIP;cause=200\r\n");
	assert_false(was_sent(a->w, &a->peer[0], "CANCEL "));
	respond(a->w, &a->peer[1], second, 487, "two", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&a->w->f->shard), 0);
}

static void test_timer_c_of_one_member_leads_to_the_next(void **state)
{
	struct attempt_world *a = *state;

	caller_invites(a, 0);
	respond(a->w, &a->peer[0], invite, 180, "one", "", NO_SDP);
	fixture_pass(a->w->f, a->w->f->config.sip.timer_c_ms + 100);
	take(a->w, &a->peer[0], "CANCEL ");
	take_invite(a, 1, second);
	respond(a->w, &a->peer[0], invite, 487, "one", "", NO_SDP);
	answer_and_acknowledge(a, 1, second);
	caller_hangs_up(a, 1);
}

static void test_round_robin_takes_turns_and_least_busy_counts(void **state)
{
	struct attempt_world *a = *state;

	a->group.strategy = CONFIG_STRATEGY_ROUND_ROBIN;
	assert_int_equal(agent_group_turn(&a->w->f->shard, &a->group), 0);
	caller_invites(a, 1);
	refuse_with(a, 1, invite, 503, "");
	take_invite(a, 0, second);
	answer_and_acknowledge(a, 0, second);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[0]), 1);
	a->group.strategy = CONFIG_STRATEGY_LEAST_BUSY;
	fixture_receive(a->w->f, &a->w->f->peer,
		"INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKother\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:bob@192.0.2.9>;tag=from2\r\nTo: "
		"<sip:1001@192.0.2.1>\r\nCall-ID: "
		"other@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@192.0.2.9:5070>\r\nContent-Length: "
		"0\r\n\r\n");
	take_invite(a, 1, second);
}

/* --- redirections ------------------------------------------------------------------------------------------------------ */

static void only_one_agent(struct attempt_world *a)
{
	a->w->policy.next_hop = CONFIG_NEXT_HOP_AGENT;
}

static void test_a_redirection_goes_where_the_policy_leads_and_never_to_the_host_it_names(void **state)
{
	struct attempt_world *a = *state;

	only_one_agent(a);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 302,
		"Contact: <sip:2001@198.51.100.66>;q=0.3, <sip:2002@198.51.100.67:5061>;q=0.9\r\n"
		"Contact: <sip:nobody@198.51.100.68>\r\n");
	take_invite(a, 0, second);
	assert_contains(second, "INVITE sip:2002@192.0.2.10:5080 SIP/2.0\r\n");
	assert_differs(invite, second, "Call-ID");
	refuse_with(a, 0, second, 404, "");
	take_invite(a, 0, second);
	assert_contains(second, "INVITE sip:2001@192.0.2.10:5080 SIP/2.0\r\n");
	for (unsigned i = 0; i < a->w->f->sent_count; i++) {
		assert_true(address_equal_host(&a->w->f->sent[i].to, &a->w->f->peer.remote) ||
			    address_equal_host(&a->w->f->sent[i].to, &a->peer[0].remote));
		assert_null(strstr(a->w->f->sent[i].text, "198.51.100"));
	}
	answer_and_acknowledge(a, 0, second);
	caller_hangs_up(a, 0);
}

static void test_a_redirection_to_an_agent_needs_a_policy_that_leads_there(void **state)
{
	struct attempt_world *a = *state;

	a->retry_on[3] = 480;
	caller_invites(a, 0);
	/* The second member may be called by this caller, the third agent may not. */
	refuse_with(a, 0, invite, 302,
		"Contact: <sip:2001@192.0.2.11:5080>, <sip:2002@192.0.2.12:5080>;q=0.5\r\n");
	take_invite(a, 1, second);
	assert_contains(second, "INVITE sip:2001@192.0.2.11:5080 SIP/2.0\r\n");
	refuse_with(a, 1, second, 404, "");
	take_invite(a, 0, second);
	assert_contains(second, "INVITE sip:2002@192.0.2.10:5080 SIP/2.0\r\n");
	assert_false(was_sent(a->w, &a->peer[2], "INVITE "));
	refuse_with(a, 0, second, 600, "");
	assert_refused(a, "SIP/2.0 600 ");
}

static void test_who_is_called_by_a_redirection_is_told_of_it(void **state)
{
	struct attempt_world *a = *state;

	only_one_agent(a);
	a->w->profile.diversion = CONFIG_DIVERSION_DIVERSION;
	caller_invites(a, 0);
	assert_null(strstr(invite, "Diversion"));
	refuse_with(a, 0, invite, 302, "Contact: <sip:2001@198.51.100.66>\r\n");
	take_invite(a, 0, second);
	assert_contains(
		second, "Diversion: <sip:1000@192.0.2.1>;reason=unconditional;counter=1;privacy=off\r\n");
	a->w->profile.diversion = CONFIG_DIVERSION_HISTORY_INFO;
	refuse_with(a, 0, second, 302, "Contact: <sip:2002@198.51.100.66>\r\n");
	take_invite(a, 0, second);
	assert_contains(second, "History-Info: <sip:1000@192.0.2.1>;index=1\r\n"
				"History-Info: <sip:2001@192.0.2.1;cause=302>;index=1.1\r\n"
				"History-Info: <sip:2002@192.0.2.1;cause=302>;index=1.1.1\r\n");
	a->w->profile.diversion = CONFIG_DIVERSION_DROP;
	refuse_with(a, 0, second, 302, "Contact: <sip:2003@198.51.100.66>\r\n");
	take_invite(a, 0, second);
	assert_null(strstr(second, "History-Info"));
	refuse_with(a, 0, second, 486, "");
	assert_refused(a, "SIP/2.0 486 ");
}

static void test_redirections_are_counted_and_nobody_is_asked_twice(void **state)
{
	struct attempt_world *a = *state;
	char contact[64];

	only_one_agent(a);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 302, "Contact: <sip:1000@192.0.2.10:5080>\r\n");
	assert_refused(a, "SIP/2.0 480 ");
	caller_sends(a->w, "INVITE", 7, NULL, "", PHONE_SDP);
	fake_answer_all();
	take_invite(a, 0, second);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(contact, sizeof(contact), "Contact: <sip:%u@192.0.2.10:5080>\r\n", 3000 + i);
		refuse_with(a, 0, second, 302, contact);
		take_invite(a, 0, second);
	}
	refuse_with(a, 0, second, 302, "Contact: <sip:4000@192.0.2.10:5080>\r\n");
	assert_false(was_sent(a->w, &a->peer[0], "INVITE "));
	take(a->w, &a->w->f->peer, "SIP/2.0 480 ");
}

static void test_a_redirection_is_relayed_with_contacts_of_ours(void **state)
{
	struct attempt_world *a = *state;
	const char *moved;

	only_one_agent(a);
	a->w->profile.redirect = CONFIG_REDIRECT_RELAY;
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 302, "Contact: \"Bob, at home\" <sip:2001@198.51.100.66;x=y>;q=0.25\r\n");
	moved = take(a->w, &a->w->f->peer, "SIP/2.0 302 ");
	assert_contains(moved, "\r\nContact: <sip:2001@192.0.2.1:5060>;q=0.250\r\n");
	assert_null(strstr(moved, "198.51.100.66"));
	assert_null(strstr(moved, "Bob"));
	assert_false(was_sent(a->w, &a->peer[0], "INVITE "));
}

/* --- credentials ------------------------------------------------------------------------------------------------------- */

#define CHALLENGE(algorithm, nonce, more)                        \
	"WWW-Authenticate: Digest realm=\"pbx\", nonce=\"" nonce \
	"\", qop=\"auth\", algorithm=" algorithm more "\r\n"

static void with_credentials(struct attempt_world *a)
{
	static char name[] = "trunk\"1", password[] = "secret";

	only_one_agent(a);
	a->agent[0].username = name;
	a->agent[0].password = password;
}

static void test_a_challenge_is_answered_on_the_same_leg_by_the_strongest_algorithm(void **state)
{
	struct attempt_world *a = *state;
	char cseq[64], ack[FIXTURE_TEXT_MAX], line[1024], other[1024];

	with_credentials(a);
	caller_invites(a, 0);
	assert_null(strstr(invite, "Authorization"));
	refuse_with(
		a, 0, invite, 401, CHALLENGE("MD5", "n1", "") CHALLENGE("SHA-256", "n2", ", opaque=\"o\""));
	take_invite(a, 0, second);
	assert_same(invite, second, "Call-ID");
	assert_same(invite, second, "From");
	assert_differs(invite, second, "Via");
	assert_contains(line_of(invite, "CSeq", cseq, sizeof(cseq)), "1 INVITE");
	assert_contains(line_of(second, "CSeq", cseq, sizeof(cseq)), "2 INVITE");
	line_of(second, "Authorization", line, sizeof(line));
	assert_contains(line, "Digest username=\"trunk\\\"1\", realm=\"pbx\", nonce=\"n2\", "
			      "uri=\"sip:1000@192.0.2.10:5080\", response=\"");
	assert_contains(line, ", algorithm=SHA-256, cnonce=\"");
	assert_contains(line, ", qop=auth, nc=00000001, opaque=\"o\"");
	assert_false(was_sent(a->w, &a->w->f->peer, "SIP/2.0 401"));
	respond(a->w, &a->peer[0], second, 200, "yes", "", PBX_SDP);
	snprintf(ack, sizeof(ack), "%s", take(a->w, &a->peer[0], "ACK "));
	assert_string_equal(line, line_of(ack, "Authorization", other, sizeof(other)));
	note_tag(a->w, take(a->w, &a->w->f->peer, "SIP/2.0 200 "));
	caller_sends(a->w, "ACK", 1, a->w->caller_tag, "", NO_SDP);
	fake_answer_all();
	caller_sends(a->w, "BYE", 2, a->w->caller_tag, "", NO_SDP);
	snprintf(second, sizeof(second), "%s", take(a->w, &a->peer[0], "BYE "));
	assert_contains(second, "nc=00000002");
	/* The nonce has gone stale meanwhile. */
	respond(a->w, &a->peer[0], second, 401, NULL, CHALLENGE("MD5", "n3", ", stale=true"), NO_SDP);
	snprintf(ack, sizeof(ack), "%s", take(a->w, &a->peer[0], "BYE "));
	assert_contains(ack, "nonce=\"n3\"");
	assert_differs(second, ack, "CSeq");
	assert_int_equal(call_count(&a->w->f->shard), 1);
	respond(a->w, &a->peer[0], ack, 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&a->w->f->shard), 0);
}

static void test_a_refused_password_is_tried_once_and_the_challenge_is_not_the_callers(void **state)
{
	struct attempt_world *a = *state;

	with_credentials(a);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 401, CHALLENGE("MD5", "n1", ""));
	take_invite(a, 0, second);
	refuse_with(a, 0, second, 401, CHALLENGE("MD5", "n2", ""));
	assert_false(was_sent(a->w, &a->peer[0], "INVITE "));
	assert_refused(a, "SIP/2.0 403 ");
	assert_null(strstr(a->w->taken, "Authenticate"));
}

static void test_nonces_that_are_always_stale_come_to_an_end(void **state)
{
	struct attempt_world *a = *state;
	char challenge[256];
	unsigned tries = 0;

	with_credentials(a);
	caller_invites(a, 0);
	snprintf(second, sizeof(second), "%s", invite);
	do {
		snprintf(challenge, sizeof(challenge),
			"Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"s%u\", stale=TRUE\r\n", tries++);
		refuse_with(a, 0, second, 407, challenge);
		if (was_sent(a->w, &a->peer[0], "INVITE "))
			take_invite(a, 0, second);
	} while (tries < 20 && !was_sent(a->w, &a->w->f->peer, "SIP/2.0 403 "));
	assert_in_range(tries, 2, 5);
	assert_contains(second, "\r\nProxy-Authorization: Digest ");
}

static void test_a_challenge_of_an_agent_without_credentials_is_the_callers(void **state)
{
	struct attempt_world *a = *state;

	only_one_agent(a);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 401, CHALLENGE("MD5", "n1", ""));
	assert_contains(take(a->w, &a->w->f->peer, "SIP/2.0 401 "), "nonce=\"n1\"");
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

static void test_an_agent_that_has_its_sessions_is_passed_over(void **state)
{
	struct attempt_world *a = *state;
	struct leg held = { .shard = &a->w->f->shard, .agent = &a->agent[0] };

	a->agent[0].max_sessions = 1;
	assert_int_equal(agent_take(&held, true), 0);
	caller_invites(a, 1);
	refuse_with(a, 1, invite, 503, "");
	assert_false(was_sent(a->w, &a->peer[0], "INVITE "));
	take(a->w, &a->w->f->peer, "SIP/2.0 503 ");
	caller_sends(a->w, "ACK", 1, "x", "", NO_SDP);
	agent_give(&held);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[0]), 0);
	caller_sends(a->w, "INVITE", 5, NULL, "", PHONE_SDP);
	fake_answer_all();
	take_invite(a, 0, invite);
}

static void test_a_lone_agent_at_its_limit_is_503_with_retry_after(void **state)
{
	struct attempt_world *a = *state;
	struct leg held = { .shard = &a->w->f->shard, .agent = &a->agent[0] };

	only_one_agent(a);
	a->agent[0].max_rate = 1;
	assert_int_equal(agent_take(&held, true), 0);
	agent_give(&held);
	caller_sends(a->w, "INVITE", 1, NULL, "", PHONE_SDP);
	assert_contains(take(a->w, &a->w->f->peer, "SIP/2.0 503 "), "\r\nRetry-After: ");
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[0]), 0);
}

static void test_a_second_is_no_limit_for_calls_that_come_in(void **state)
{
	struct attempt_world *a = *state;
	struct leg in = { .shard = &a->w->f->shard, .agent = &a->agent[0] };

	a->agent[0].max_rate = 1;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(agent_take(&in, false), 0);
		agent_give(&in);
	}
}

static void test_an_agent_that_does_not_answer_options_gets_no_calls_until_it_does(void **state)
{
	struct attempt_world *a = *state;
	struct shard *shard = &a->w->f->shard;
	union address address;
	const char *options;
	uint64_t since;

	a->agent[0].options_interval = 10;
	agent_table_close(shard);
	assert_int_equal(agent_table_open(shard), 0);
	fixture_pass(a->w->f, 1100);
	options = take(a->w, &a->peer[0], "OPTIONS sip:192.0.2.10:5080 SIP/2.0\r\n");
	assert_contains(options, "Max-Forwards: 0\r\n");
	assert_int_equal(agent_state(shard, &a->agent[0], &since, &address), CP_AGENT_UP);
	assert_int_equal(since, 0);
	respond(a->w, &a->peer[0], options, 503, "t", "", NO_SDP);
	assert_true(agent_is_down(shard, &a->agent[0]));
	assert_int_equal(agent_state(shard, &a->agent[0], &since, &address), CP_AGENT_DOWN);
	assert_true(since > 0 && address_equal(&address, &a->peer[0].remote));
	caller_invites(a, 1);
	refuse_with(a, 1, invite, 486, "");
	fixture_pass(a->w->f, 10100);
	options = take(a->w, &a->peer[0], "OPTIONS ");
	respond(a->w, &a->peer[0], options, 404, "t", "", NO_SDP);
	assert_false(agent_is_down(shard, &a->agent[0]));
	fixture_pass(a->w->f, 10100);
	take(a->w, &a->peer[0], "OPTIONS ");
	fixture_pass(a->w->f, 33000);
	assert_true(agent_is_down(shard, &a->agent[0]));
}

/* --- agents configured by name ---------------------------------------------------------------------------------------- */

static resolver_done name_done[4];
static void *name_arg[4];
static unsigned names_asked;

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	(void)question;
	assert_in_range(names_asked, 0, 3);
	name_done[names_asked] = done;
	name_arg[names_asked++] = arg;
	return 0;
}

/* Agent 0 is configured by a name, which leads to the addresses of 0 and 1. */
static void name_agent(struct attempt_world *a, bool is_known)
{
	static char name[] = "pbx.example";
	struct fixture *f = a->w->f;
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = 2 };

	names_asked = 0;
	f->private.resolve = resolve;
	f->config.sip.dns_min_ttl = f->config.sip.dns_max_ttl = 3600;
	f->config.sip.dns_retry = 3600;
	f->config.sip.address_timeout_ms = ATTEMPT_TIMEOUT_MS / 2;
	a->agent[0].address = (struct config_endpoint){ .host = name };
	agent_table_close(&f->shard);
	assert_int_equal(agent_table_open(&f->shard), 0);
	while (!names_asked)
		fixture_pass(f, 1);
	for (unsigned i = 0; i < 2; i++) {
		answer.address[i].address = a->peer[i].remote;
		answer.address[i].priority = (uint16_t)i;
		answer.address[i].target = (uint8_t)i;
	}
	if (is_known)
		name_done[0](name_arg[0], &answer);
	a->w->policy.next_hop = CONFIG_NEXT_HOP_AGENT;
}

static void test_an_address_that_says_503_is_left_for_the_next_one_of_the_name(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, true);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 503, "");
	fake_answer_all();
	take_invite(a, 1, second);
	answer_and_acknowledge(a, 1, second);
	caller_hangs_up(a, 1);
	assert_int_equal(agent_sessions(&a->w->f->shard, &a->agent[0]), 0);
}

static void test_an_address_that_says_nothing_is_left_for_the_next_one_of_the_name(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, true);
	caller_invites(a, 0);
	fixture_pass(a->w->f, ATTEMPT_TIMEOUT_MS / 2 + 30);
	fake_answer_all();
	take_invite(a, 1, second);
	answer_and_acknowledge(a, 1, second);
	caller_hangs_up(a, 1);
}

static void test_what_an_address_refuses_is_refused_by_the_agent(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, true);
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 486, "");
	take(a->w, &a->w->f->peer, "SIP/2.0 486 ");
	assert_false(was_sent(a->w, &a->peer[1], "INVITE "));
}

static void test_after_the_addresses_of_a_member_the_next_member_is_asked(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, true);
	a->w->policy.next_hop = CONFIG_NEXT_HOP_GROUP;
	a->member[1] = &a->agent[2];
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 503, "");
	fake_answer_all();
	take_invite(a, 1, second);
	/* The group's list has 480, RFC 3263 has not: nobody else of the name, but the next member. */
	refuse_with(a, 1, second, 480, "");
	fake_answer_all();
	take_invite(a, 2, second);
	answer_and_acknowledge(a, 2, second);
	caller_hangs_up(a, 2);
}

static void test_a_member_that_answers_is_not_asked_again_at_its_other_address(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, true);
	a->w->policy.next_hop = CONFIG_NEXT_HOP_GROUP;
	a->member[1] = &a->agent[2];
	caller_invites(a, 0);
	refuse_with(a, 0, invite, 480, "");
	fake_answer_all();
	take_invite(a, 2, second);
	assert_false(was_sent(a->w, &a->peer[1], "INVITE "));
	answer_and_acknowledge(a, 2, second);
	caller_hangs_up(a, 2);
}

static void test_a_name_that_dns_has_not_told_is_503(void **state)
{
	struct attempt_world *a = *state;

	name_agent(a, false);
	caller_sends(a->w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(a->w, &a->w->f->peer, "SIP/2.0 503 ");
}

static void answer_options(struct attempt_world *a, unsigned i)
{
	respond(a->w, &a->peer[i], take(a->w, &a->peer[i], "OPTIONS "), 200, "up", "", NO_SDP);
}

static void test_an_address_that_does_not_answer_options_is_left_out_until_it_does(void **state)
{
	struct attempt_world *a = *state;
	struct shard *shard = &a->w->f->shard;
	union address list[RESOLVER_ADDRESSES_MAX];

	a->agent[0].options_interval = 30;
	name_agent(a, true);
	assert_int_equal(agent_addresses(shard, &a->agent[0], list), 2);
	/* Within a second, then timer F. */
	fixture_pass(a->w->f, 1010 + 33000);
	take(a->w, &a->peer[0], "OPTIONS ");
	answer_options(a, 1);
	assert_false(agent_is_down(shard, &a->agent[0]));
	assert_int_equal(agent_addresses(shard, &a->agent[0], list), 1);
	assert_true(address_equal(&list[0], &a->peer[1].remote));
	fixture_pass(a->w->f, 30100);
	answer_options(a, 0);
	assert_int_equal(agent_addresses(shard, &a->agent[0], list), 2);
	assert_true(address_equal(&list[0], &a->peer[0].remote));
	/* Nobody answers: the agent is down, and its addresses are not left out. */
	fixture_pass(a->w->f, 30100 + 70000);
	assert_true(agent_is_down(shard, &a->agent[0]));
	assert_int_equal(agent_addresses(shard, &a->agent[0], list), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_an_address_that_says_503_is_left_for_the_next_one_of_the_name),
		TEST(test_an_address_that_says_nothing_is_left_for_the_next_one_of_the_name),
		TEST(test_what_an_address_refuses_is_refused_by_the_agent),
		TEST(test_after_the_addresses_of_a_member_the_next_member_is_asked),
		TEST(test_a_member_that_answers_is_not_asked_again_at_its_other_address),
		TEST(test_a_name_that_dns_has_not_told_is_503),
		TEST(test_an_address_that_does_not_answer_options_is_left_out_until_it_does),
		TEST(test_a_member_that_refuses_is_followed_by_the_next_on_a_leg_of_its_own),
		TEST(test_a_refusal_that_is_not_listed_is_the_callers),
		TEST(test_the_caller_gets_the_best_refusal),
		TEST(test_a_member_that_cannot_be_reached_is_followed_by_the_next),
		TEST(test_a_silent_member_is_given_up_and_hung_up_if_it_answers_late),
		TEST(test_a_member_that_has_said_100_has_time),
		TEST(test_the_next_members_ringing_is_another_early_dialog),
		TEST(test_cancel_reaches_the_member_that_is_asked),
		TEST(test_timer_c_of_one_member_leads_to_the_next),
		TEST(test_round_robin_takes_turns_and_least_busy_counts),
		TEST(test_a_redirection_goes_where_the_policy_leads_and_never_to_the_host_it_names),
		TEST(test_a_redirection_to_an_agent_needs_a_policy_that_leads_there),
		TEST(test_who_is_called_by_a_redirection_is_told_of_it),
		TEST(test_redirections_are_counted_and_nobody_is_asked_twice),
		TEST(test_a_redirection_is_relayed_with_contacts_of_ours),
		TEST(test_a_challenge_is_answered_on_the_same_leg_by_the_strongest_algorithm),
		TEST(test_a_refused_password_is_tried_once_and_the_challenge_is_not_the_callers),
		TEST(test_nonces_that_are_always_stale_come_to_an_end),
		TEST(test_a_challenge_of_an_agent_without_credentials_is_the_callers),
		TEST(test_an_agent_that_has_its_sessions_is_passed_over),
		TEST(test_a_lone_agent_at_its_limit_is_503_with_retry_after),
		TEST(test_a_second_is_no_limit_for_calls_that_come_in),
		TEST(test_an_agent_that_does_not_answer_options_gets_no_calls_until_it_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
