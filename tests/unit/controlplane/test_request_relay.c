/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests relayed one by one, within calls and outside of dialogs: what crosses, and that each gets its one answer. */
#include "tests/unit/controlplane/call_fixture.h"

static char invite[FIXTURE_TEXT_MAX], relayed[FIXTURE_TEXT_MAX];

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

/* As caller_sends, with a body of that type. */
static void asks(struct call_world *w, const char *method, unsigned cseq, const char *to_tag,
	const char *headers, const char *type, const char *body)
{
	char all[2048];

	snprintf(all, sizeof(all), "%s%s%s%sContent-Length: %zu\r\n\r\n%s", headers,
		type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body), body);
	fixture_receive(w->f, &w->f->peer,
		"%s sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;branch=z9hG4bK%s%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:alice@192.0.2.9>;tag=from1\r\nTo: <sip:1000@192.0.2.1>%s%s\r\nCall-ID: "
		"call1@192.0.2.9\r\nCSeq: %u %s\r\n%s",
		method, method, cseq, to_tag ? ";tag=" : "", to_tag ? to_tag : "", cseq, method, all);
}

static const char *keep(const char *text)
{
	snprintf(relayed, sizeof(relayed), "%s", text);
	return relayed;
}

static void assert_hidden(const char *text)
{
	static const char *const traces[] = { "192.0.2.9", "from1", "call1" };

	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
		if (strstr(text, traces[i]))
			fail_msg("\"%s\" in:\n%s", traces[i], text);
}

/* --- within a call -------------------------------------------------------------------------------------------------------- */

static void test_info_is_written_anew_and_its_answer_comes_back(void **state)
{
	static const struct {
		const char *type, *body, *crosses;
	} cases[] = {
		{ "application/dtmf-relay", "Signal= 5\r\nDuration= 160\r\nX-From: 192.0.2.9\r\n",
			"application/dtmf-relay\r\nContent-Length: 24\r\n\r\nSignal=5\r\nDuration=160\r\n" },
		{ "application/dtmf-relay", "Signal=*\n", "\r\n\r\nSignal=*\r\n" },
		{ "application/dtmf", "7#\r\n", "application/dtmf\r\nContent-Length: 2\r\n\r\n7#" },
		{ "application/media_control+xml",
			"<media_control><vc_primitive><to_encoder><picture_fast_update stream=\"192.0.2.9\"/>"
			"</to_encoder></vc_primitive></media_control>",
			"<picture_fast_update/>" },
		{ NULL, "", "Content-Length: 0\r\n\r\n" },
	};
	struct call_world *w = *state;

	establish(w, invite);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asks(w, "INFO", 10 + i, w->caller_tag, "User-Agent: 192.0.2.9\r\n", cases[i].type,
			cases[i].body);
		keep(take(w, &w->f->other, "INFO sip:there@192.0.2.10:5080 SIP/2.0\r\n"));
		assert_contains(relayed, cases[i].crosses);
		assert_hidden(relayed);
		assert_false(was_sent(w, &w->f->peer, "SIP/2.0"));
		respond(w, &w->f->other, relayed, i == 1 ? 488 : 200, NULL, "", NO_SDP);
		assert_null(
			strstr(take(w, &w->f->peer, i == 1 ? "SIP/2.0 488 " : "SIP/2.0 200 "), "192.0.2.10"));
	}
}

static void test_info_that_is_none_of_the_known_is_refused_here(void **state)
{
	static const struct {
		const char *headers, *type, *body, *answer, *has;
	} cases[] = {
		{ "", "application/dtmf-relay", "Signal=evil\r\n", "SIP/2.0 415 ",
			"Accept: application/dtmf-relay, application/dtmf, "
			"application/media_control+xml\r\n" },
		{ "", "application/x-y", "z", "SIP/2.0 415 ", "Accept: " },
		{ "Content-Encoding: gzip\r\n", "application/dtmf", "5", "SIP/2.0 415 ", "Accept: " },
		{ "Info-Package: foo\r\n", NULL, "", "SIP/2.0 469 ", "Recv-Info:\r\n" },
	};
	struct call_world *w = *state;

	establish(w, invite);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asks(w, "INFO", 10 + i, w->caller_tag, cases[i].headers, cases[i].type, cases[i].body);
		assert_contains(take(w, &w->f->peer, cases[i].answer), cases[i].has);
		assert_false(was_sent(w, &w->f->other, "INFO "));
	}
}

static void test_a_configured_info_package_crosses_unless_its_body_tells(void **state)
{
	static char name[] = "foo", *packages[] = { name };
	struct call_world *w = *state;

	w->f->config.sip.info_packages = (struct config_strings){ packages, 1 };
	establish(w, invite);
	asks(w, "INFO", 10, w->caller_tag, "Info-Package: foo;bar=192.0.2.9\r\n", "application/foo", "x=1");
	keep(take(w, &w->f->other, "INFO "));
	assert_contains(relayed, "Info-Package: foo\r\n");
	assert_contains(relayed, "Content-Type: application/foo\r\nContent-Length: 3\r\n\r\nx=1");
	respond(w, &w->f->other, relayed, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	asks(w, "INFO", 11, w->caller_tag, "Info-Package: foo\r\n", "application/foo", "at=192.0.2.9");
	take(w, &w->f->peer, "SIP/2.0 488 ");
	asks(w, "INFO", 12, w->caller_tag, "Info-Package: bar\r\n", NULL, "");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 469 "), "Recv-Info: foo\r\n");
}

static void test_requests_cross_both_ways_with_cseqs_of_their_own(void **state)
{
	struct call_world *w = *state;
	char line[512];

	establish(w, invite);
	callee_sends(w, invite, "MESSAGE", 700, "pbx1", NO_SDP);
	keep(take(w, &w->f->peer, "MESSAGE sip:alice@192.0.2.9:5070 SIP/2.0\r\n"));
	assert_null(strstr(relayed, "192.0.2.10"));
	assert_null(strstr(relayed, "700 MESSAGE"));
	assert_null(strstr(relayed, "Contact"));
	respond(w, &w->f->peer, relayed, 202, NULL, "", NO_SDP);
	take(w, &w->f->other, "SIP/2.0 202 ");
	asks(w, "MESSAGE", 2, w->caller_tag, "", "text/plain;charset=UTF-8;x=192.0.2.9", "hello");
	keep(take(w, &w->f->other, "MESSAGE "));
	assert_contains(relayed, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 5\r\n\r\nhello");
	assert_contains(relayed, line_of(relayed, "CSeq", line, sizeof(line)));
	assert_contains(line, "2 MESSAGE"); /* the INVITE was 1 on that leg as well */
	respond(w, &w->f->other, relayed, 200, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	asks(w, "MESSAGE", 3, w->caller_tag, "", "message/cpim", "From: <im:a@192.0.2.9>\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 415 "), "Accept: text/plain\r\n");
}

static void test_what_never_is_answered_gets_408_in_time(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	asks(w, "INFO", 10, w->caller_tag, "", NULL, "");
	take(w, &w->f->other, "INFO ");
	fixture_pass(w->f, 29000);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 408 "));
	fixture_pass(w->f, 1500);
	take(w, &w->f->peer, "SIP/2.0 408 ");
	fixture_pass(w->f, 40000);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 "));
}

static void test_a_trunks_challenge_is_answered_with_the_credentials_we_hold(void **state)
{
	static char user[] = "u", password[] = "p";
	struct call_world *w = *state;
	char line[512];
	unsigned first;

	w->agent.username = user;
	w->agent.password = password;
	establish(w, invite);
	asks(w, "INFO", 10, w->caller_tag, "", "application/dtmf", "5");
	keep(take(w, &w->f->other, "INFO "));
	first = (unsigned)strtoul(line_of(relayed, "CSeq", line, sizeof(line)) + 6, NULL, 10);
	respond(w, &w->f->other, relayed, 401, NULL, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
		NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 401 "));
	keep(take(w, &w->f->other, "INFO "));
	assert_contains(relayed, "Authorization: Digest username=\"u\"");
	assert_contains(relayed, "\r\n\r\n5");
	assert_int_equal(strtoul(line_of(relayed, "CSeq", line, sizeof(line)) + 6, NULL, 10), first + 1);
	respond(w, &w->f->other, relayed, 401, NULL, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
		NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_false(was_sent(w, &w->f->other, "INFO "));
}

static void test_a_call_that_ends_answers_what_is_pending_487(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	asks(w, "INFO", 10, w->caller_tag, "", NULL, "");
	keep(take(w, &w->f->other, "INFO "));
	callee_sends(w, invite, "BYE", 700, "pbx1", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 487 ");
	respond(w, &w->f->other, relayed, 200, NULL, "", NO_SDP);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 200 "));
	respond(w, &w->f->peer, take(w, &w->f->peer, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
}

static void test_requests_under_way_are_bounded(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	for (unsigned i = 0; i < w->f->config.sip.max_dialog_requests; i++) {
		asks(w, "INFO", 10 + i, w->caller_tag, "", NULL, "");
		take(w, &w->f->other, "INFO ");
	}
	asks(w, "INFO", 50, w->caller_tag, "", NULL, "");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 500 "), "Retry-After: 1\r\n");
	assert_false(was_sent(w, &w->f->other, "INFO "));
}

static void test_statuses_of_the_other_hop_do_not_come_back_as_they_are(void **state)
{
	static const struct {
		unsigned theirs;
		const char *ours;
	} cases[] = { { 405, "SIP/2.0 501 " }, { 501, "SIP/2.0 501 " }, { 302, "SIP/2.0 480 " },
		{ 420, "SIP/2.0 500 " }, { 481, "SIP/2.0 481 " }, { 415, "SIP/2.0 415 " },
		{ 423, "SIP/2.0 500 " }, { 603, "SIP/2.0 603 " } };
	struct call_world *w = *state;

	establish(w, invite);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asks(w, "INFO", 10 + i, w->caller_tag, "", NULL, "");
		respond(w, &w->f->other, take(w, &w->f->other, "INFO "), cases[i].theirs, NULL,
			"Allow: FOO\r\nAccept: x/y\r\n", NO_SDP);
		take(w, &w->f->peer, cases[i].ours);
		assert_null(strstr(w->taken, "FOO"));
		assert_null(strstr(w->taken, "x/y"));
	}
}

/* --- outside of dialogs ------------------------------------------------------------------------------------------------------ */

static void test_a_message_is_routed_and_its_answer_comes_back_once(void **state)
{
	struct call_world *w = *state;

	asks(w, "MESSAGE", 5, NULL, "", "text/plain", "hello");
	keep(take(w, &w->f->other, "MESSAGE sip:1000@192.0.2.10:5080 SIP/2.0\r\n"));
	assert_contains(relayed, "\r\n\r\nhello");
	assert_hidden(relayed);
	assert_null(strstr(relayed, "Contact"));
	respond(w, &w->f->other, relayed, 202, "pbx1", "", NO_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 202 "), "pbx1"));
	assert_int_equal(w->f->shard.routed_requests, 0);
	asks(w, "MESSAGE", 5, NULL, "", "text/plain", "hello");
	take(w, &w->f->peer, "SIP/2.0 202 ");
	assert_false(was_sent(w, &w->f->other, "MESSAGE "));
}

static void test_a_routed_request_that_cannot_go_on_is_refused(void **state)
{
	struct call_world *w = *state;

	asks(w, "MESSAGE", 5, NULL, "", "text/html", "hello");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 415 "), "Accept: text/plain\r\n");
	w->f->config.sip.max_routed_requests = 0;
	asks(w, "MESSAGE", 6, NULL, "", "text/plain", "hello");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 503 "), "Retry-After: ");
	w->f->config.sip.max_routed_requests = 1;
	w->f->config.local_policies_count = 0;
	asks(w, "MESSAGE", 7, NULL, "", "text/plain", "hello");
	take(w, &w->f->peer, "SIP/2.0 404 ");
	assert_int_equal(w->f->shard.routed_requests, 0);
}

static void test_a_routed_request_without_an_answer_gets_408(void **state)
{
	struct call_world *w = *state;

	asks(w, "MESSAGE", 5, NULL, "", "text/plain", "hello");
	fixture_pass(w->f, 30500);
	take(w, &w->f->peer, "SIP/2.0 408 ");
	assert_int_equal(w->f->shard.routed_requests, 0);
}

static void test_shutdown_while_requests_are_under_way(void **state)
{
	struct call_world *w = *state;

	establish(w, invite);
	asks(w, "INFO", 10, w->caller_tag, "", NULL, "");
	callee_sends(w, invite, "MESSAGE", 700, "pbx1", NO_SDP);
	fixture_receive(w->f, &w->f->other,
		"MESSAGE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.10:5080;branch=z9hG4bKalone\r\n"
		"From: <sip:x@192.0.2.10>;tag=q\r\nTo: <sip:1000@192.0.2.1>\r\nCall-ID: alone\r\nCSeq: 1 "
		"MESSAGE\r\n"
		"Content-Length: 0\r\n\r\n");
	assert_int_equal(w->f->shard.routed_requests, 1);
}

#define PIDF(entity)                                                                              \
	"<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"" entity \
	"\"><tuple id=\"a192\"><status><basic>open</basic></status></tuple></presence>"

static void test_publish_carries_its_entity_tag_and_a_body_written_anew(void **state)
{
	static char presence[] = "presence", *packages[] = { presence };
	struct call_world *w = *state;

	w->f->config.sip.event_packages = (struct config_strings){ packages, 1 };
	asks(w, "PUBLISH", 5, NULL, "Event: presence\r\nExpires: 90000\r\n", "application/pidf+xml",
		PIDF("sip:alice@192.0.2.9"));
	keep(take(w, &w->f->other, "PUBLISH sip:1000@192.0.2.10:5080 SIP/2.0\r\n"));
	assert_contains(relayed, "Event: presence\r\nExpires: 7200\r\n");
	assert_contains(relayed, "entity=\"sip:alice@192.0.2.10\"");
	assert_hidden(relayed);
	respond(w, &w->f->other, relayed, 200, "x", "SIP-ETag: a.123.4.5\r\nExpires: 1800\r\n", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Expires: 1800\r\nSIP-ETag: a.123.4.5\r\n");

	asks(w, "PUBLISH", 6, NULL, "Event: presence\r\nSIP-If-Match: a.123.4.5\r\nExpires: 0\r\n", NULL, "");
	keep(take(w, &w->f->other, "PUBLISH "));
	assert_contains(relayed, "Event: presence\r\nSIP-If-Match: a.123.4.5\r\nExpires: 0\r\n");
	respond(w, &w->f->other, relayed, 412, "x", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 412 ");

	asks(w, "PUBLISH", 7, NULL, "Event: presence\r\nExpires: 1\r\n", NULL, "");
	respond(w, &w->f->other, take(w, &w->f->other, "PUBLISH "), 423, "x", "Min-Expires: 60\r\n", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 423 "), "Min-Expires: 60\r\n");

	asks(w, "PUBLISH", 8, NULL, "Event: foo\r\n", NULL, "");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 489 "), "Allow-Events: presence\r\n");
	asks(w, "PUBLISH", 9, NULL, "Event: presence\r\n", "application/pidf+xml",
		"<!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><presence entity=\"sip:a@b\"/>");
	take(w, &w->f->peer, "SIP/2.0 488 ");
	/* An entity tag that tells where it is from is none for us. */
	asks(w, "PUBLISH", 10, NULL, "Event: presence\r\n", NULL, "");
	respond(w, &w->f->other, take(w, &w->f->other, "PUBLISH "), 200, "x", "SIP-ETag: 192.0.2.10-7\r\n",
		NO_SDP);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "SIP-ETag"));
}

static void test_an_unsolicited_notify_is_taken_where_the_profile_says_so(void **state)
{
	static const char summary[] = "Messages-Waiting: yes\r\nMessage-Account: "
				      "sip:1000@192.0.2.9\r\nVoice-Message: 2/8 (0/2)\r\n";
	struct call_world *w = *state;

	asks(w, "NOTIFY", 5, NULL, "Event: message-summary\r\n", "application/simple-message-summary",
		summary);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	w->profile.unsolicited_notify = true;
	asks(w, "NOTIFY", 6, NULL, "Event: message-summary\r\n", "application/simple-message-summary",
		summary);
	keep(take(w, &w->f->other, "NOTIFY sip:1000@192.0.2.10:5080 SIP/2.0\r\n"));
	assert_contains(relayed, "Messages-Waiting: yes\r\nMessage-Account: sip:1000@192.0.2.1\r\n"
				 "Voice-Message: 2/8 (0/2)\r\n");
	assert_contains(relayed, "Event: message-summary\r\n");
	assert_contains(relayed, "Contact: ");
	assert_hidden(relayed);
	respond(w, &w->f->other, relayed, 200, "x", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	asks(w, "NOTIFY", 7, NULL, "Event: presence\r\n", NULL, "");
	take(w, &w->f->peer, "SIP/2.0 489 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_info_is_written_anew_and_its_answer_comes_back),
		TEST(test_info_that_is_none_of_the_known_is_refused_here),
		TEST(test_a_configured_info_package_crosses_unless_its_body_tells),
		TEST(test_requests_cross_both_ways_with_cseqs_of_their_own),
		TEST(test_what_never_is_answered_gets_408_in_time),
		TEST(test_a_trunks_challenge_is_answered_with_the_credentials_we_hold),
		TEST(test_a_call_that_ends_answers_what_is_pending_487),
		TEST(test_requests_under_way_are_bounded),
		TEST(test_statuses_of_the_other_hop_do_not_come_back_as_they_are),
		TEST(test_a_message_is_routed_and_its_answer_comes_back_once),
		TEST(test_a_routed_request_that_cannot_go_on_is_refused),
		TEST(test_a_routed_request_without_an_answer_gets_408),
		TEST(test_shutdown_while_requests_are_under_way),
		TEST(test_publish_carries_its_entity_tag_and_a_body_written_anew),
		TEST(test_an_unsolicited_notify_is_taken_where_the_profile_says_so),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
