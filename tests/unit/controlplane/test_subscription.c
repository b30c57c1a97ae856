/* SPDX-License-Identifier: BSD-3-Clause */
/* Subscriptions: pairs of dialogs, NOTIFY in any order, forks, the ways in which they end. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/subscription.h"

static char subscribed[FIXTURE_TEXT_MAX], notified[FIXTURE_TEXT_MAX], our_tag[64];
static char summary[] = "message-summary", presence[] = "presence", dialog[] = "dialog",
	    *packages[] = { summary, presence, dialog };

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->f->config.sip.event_packages = (struct config_strings){ packages, 3 };
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static size_t subscriptions(const struct call_world *w)
{
	return subscription_count(&w->f->shard);
}

static void subscribes(struct call_world *w, unsigned cseq, const char *tag, const char *headers)
{
	caller_sends(w, "SUBSCRIBE", cseq, tag, headers, NO_SDP);
}

/* SUBSCRIBE up to the one that the notifier gets. */
static const char *asks(struct call_world *w, const char *headers)
{
	subscribes(w, 1, NULL, headers);
	snprintf(subscribed, sizeof(subscribed), "%s", take(w, &w->f->other, "SUBSCRIBE "));
	return subscribed;
}

/* A NOTIFY in the dialog of the SUBSCRIBE that the notifier got, from a branch with that tag. */
static void notifies_with(struct call_world *w, unsigned cseq, const char *tag, const char *headers,
	const char *type, const char *body)
{
	char from[512], to[512], call_id[512];

	line_of(subscribed, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	line_of(subscribed, "From", from, sizeof(from));
	fixture_receive(w->f, &w->f->other,
		"NOTIFY sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bK%s%u\r\n"
		"Max-Forwards: 70\r\nFrom: %s;tag=%s\r\nTo: %s%sCSeq: %u NOTIFY\r\n"
		"Contact: <sip:%s@192.0.2.10:5080>\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s",
		tag, cseq, to + strlen("To: "), tag, from + strlen("From: "),
		line_of(subscribed, "Call-ID", call_id, sizeof(call_id)), cseq, tag, headers,
		type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body), body);
}

static void notifies(struct call_world *w, unsigned cseq, const char *state)
{
	char headers[256];

	snprintf(headers, sizeof(headers), "Event: message-summary\r\nSubscription-State: %s\r\n", state);
	notifies_with(w, cseq, "pbx1", headers, NULL, "");
}

/* The NOTIFY that the subscriber got. */
static const char *takes(struct call_world *w)
{
	snprintf(notified, sizeof(notified), "%s",
		take(w, &w->f->peer, "NOTIFY sip:alice@192.0.2.9:5070 SIP/2.0\r\n"));
	return notified;
}

/* Both ways of its answer. */
static void passes(struct call_world *w, unsigned status)
{
	char start[32];

	respond(w, &w->f->peer, notified, status, NULL, "", NO_SDP);
	snprintf(start, sizeof(start), "SIP/2.0 %u ", status);
	take(w, &w->f->other, start);
}

static void begin(struct call_world *w)
{
	asks(w, "Event: message-summary;id=7\r\nExpires: 600\r\n");
	respond(w, &w->f->other, subscribed, 200, "pbx1", "Expires: 300\r\n", NO_SDP);
	snprintf(our_tag, sizeof(our_tag), "%s", note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 ")));
	notifies(w, 1, "active;expires=300");
	takes(w);
	passes(w, 200);
}

static void assert_no(const char *text, const char *const *traces)
{
	for (; *traces; traces++)
		if (strstr(text, *traces))
			fail_msg("\"%s\" in:\n%s", *traces, text);
}

static void assert_subscriber_unseen(const char *text)
{
	assert_no(text, (const char *const[]){ "192.0.2.9", "from1", "call1", "id=7", NULL });
}

static void assert_notifier_unseen(const char *text)
{
	assert_no(text, (const char *const[]){ "192.0.2.10", "pbx1", "there", NULL });
}

/* --- the ordinary course ------------------------------------------------------------------------------------------------------ */

static void test_a_subscription_is_two_dialogs(void **state)
{
	struct call_world *w = *state;
	const char *answer;

	asks(w, "Event: message-summary;id=7\r\nExpires: 600\r\nAccept: "
		"application/simple-message-summary\r\n");
	assert_contains(subscribed, "SUBSCRIBE sip:1000@192.0.2.10:5080 SIP/2.0\r\n");
	assert_contains(subscribed, "Event: message-summary\r\nExpires: 600\r\n");
	assert_contains(subscribed, "Contact: <sip:alice@192.0.2.1");
	assert_subscriber_unseen(subscribed);
	respond(w, &w->f->other, subscribed, 200, "pbx1", "Expires: 300\r\n", NO_SDP);
	answer = take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_contains(answer, "Expires: 300\r\n");
	assert_contains(answer, "Contact: <sip:1000@192.0.2.1");
	assert_notifier_unseen(answer);
	snprintf(our_tag, sizeof(our_tag), "%s", note_tag(w, answer));

	notifies_with(w, 1, "pbx1",
		"Event: message-summary\r\nSubscription-State: active;expires=299;x=192.0.2.10\r\n",
		"application/simple-message-summary",
		"Messages-Waiting: yes\r\nMessage-Account: sip:1000@192.0.2.10\r\nVoice-Message: 1/0\r\n"
		"X-Host: 192.0.2.10\r\n\r\nTo: <sip:a@192.0.2.10>\r\n");
	takes(w);
	assert_contains(
		notified, "Event: message-summary;id=7\r\nSubscription-State: active;expires=299\r\n");
	assert_contains(notified, "Messages-Waiting: yes\r\nMessage-Account: sip:1000@192.0.2.1\r\n"
				  "Voice-Message: 1/0\r\n");
	assert_contains(notified, our_tag);
	assert_contains(notified, "Call-ID: call1@192.0.2.9\r\n");
	assert_notifier_unseen(notified);
	passes(w, 200);
	assert_int_equal(subscriptions(w), 1);
}

static void test_refresh_and_unsubscribe(void **state)
{
	struct call_world *w = *state;
	char cseq[128], refresh[FIXTURE_TEXT_MAX];

	begin(w);
	subscribes(w, 2, our_tag, "Event: message-summary;id=7\r\nExpires: 600\r\n");
	snprintf(refresh, sizeof(refresh), "%s",
		take(w, &w->f->other, "SUBSCRIBE sip:pbx1@192.0.2.10:5080 SIP/2.0\r\n"));
	assert_contains(line_of(refresh, "CSeq", cseq, sizeof(cseq)), "2 SUBSCRIBE");
	/* One at a time. */
	subscribes(w, 3, our_tag, "Event: message-summary;id=7\r\nExpires: 0\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 500 "), "Retry-After: 1\r\n");
	respond(w, &w->f->other, refresh, 202, NULL, "Expires: 600\r\n", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 202 "), "Expires: 600\r\n");

	subscribes(w, 4, our_tag, "Event: message-summary;id=7\r\nExpires: 0\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "SUBSCRIBE "), 200, NULL, "Expires: 0\r\n", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Expires: 0\r\n");
	notifies(w, 2, "terminated;reason=timeout");
	assert_contains(takes(w), "Subscription-State: terminated;reason=timeout\r\n");
	passes(w, 200);
	assert_int_equal(subscriptions(w), 0);
	subscribes(w, 5, our_tag, "Event: message-summary;id=7\r\nExpires: 600\r\n");
	take(w, &w->f->peer, "SIP/2.0 481 ");
}

static void test_a_notify_may_come_before_the_200(void **state)
{
	struct call_world *w = *state;

	asks(w, "Event: message-summary\r\nExpires: 600\r\n");
	notifies(w, 1, "active;expires=600");
	takes(w);
	note_tag(w, w->taken);
	passes(w, 200);
	respond(w, &w->f->other, subscribed, 200, "pbx1", "Expires: 600\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(subscriptions(w), 1);
	notifies(w, 2, "active");
	takes(w);
	passes(w, 200);
}

static void test_a_fetch_ends_itself_whatever_comes_first(void **state)
{
	struct call_world *w = *state;

	asks(w, "Event: message-summary\r\nExpires: 0\r\n");
	notifies(w, 1, "terminated;reason=timeout;retry-after=5");
	assert_contains(takes(w), "Subscription-State: terminated;reason=timeout;retry-after=5\r\n");
	passes(w, 200);
	assert_int_equal(subscriptions(w), 1);
	respond(w, &w->f->other, subscribed, 200, "pbx1", "Expires: 0\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(subscriptions(w), 0);
}

static void test_a_subscribe_that_forks_makes_a_pair_for_each_notifier(void **state)
{
	static const char active[] = "Event: message-summary\r\nSubscription-State: active;expires=300\r\n";
	struct call_world *w = *state;
	char first[64], tag[64];

	begin(w);
	snprintf(first, sizeof(first), "%s", our_tag);
	notifies_with(w, 90, "pbx2", active, NULL, "");
	takes(w);
	assert_null(strstr(notified, first));
	assert_contains(notified, "Call-ID: call1@192.0.2.9\r\n");
	passes(w, 200);
	assert_int_equal(subscriptions(w), 2);
	/* The new dialog can be refreshed on its own. */
	line_of(notified, "From", tag, sizeof(tag));
	snprintf(our_tag, sizeof(our_tag), "%.*s", (int)strcspn(strstr(tag, ";tag=") + 5, "\r"),
		strstr(tag, ";tag=") + 5);
	subscribes(w, 20, our_tag, "Event: message-summary;id=7\r\nExpires: 60\r\n");
	assert_contains(take(w, &w->f->other, "SUBSCRIBE sip:pbx2@192.0.2.10:5080"), ";tag=pbx2\r\n");
	for (unsigned i = 3; i < 12; i++) {
		snprintf(tag, sizeof(tag), "pbx%u", i);
		notifies_with(w, 1, tag, active, NULL, "");
	}
	assert_int_equal(subscriptions(w), 8);
	take(w, &w->f->other, "SIP/2.0 481 ");
}

/* --- ends --------------------------------------------------------------------------------------------------------------------- */

static void test_a_481_on_either_side_ends_the_pair(void **state)
{
	struct call_world *w = *state;

	begin(w);
	notifies(w, 2, "active");
	takes(w);
	passes(w, 481);
	assert_int_equal(subscriptions(w), 0);
	notifies(w, 3, "active");
	take(w, &w->f->other, "SIP/2.0 481 ");
}

static void test_a_refused_refresh_ends_it_only_if_it_says_so(void **state)
{
	struct call_world *w = *state;

	begin(w);
	subscribes(w, 2, our_tag, "Event: message-summary;id=7\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "SUBSCRIBE "), 503, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 503 ");
	assert_int_equal(subscriptions(w), 1);
	subscribes(w, 3, our_tag, "Event: message-summary;id=7\r\n");
	respond(w, &w->f->other, take(w, &w->f->other, "SUBSCRIBE "), 481, NULL, "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	assert_int_equal(subscriptions(w), 0);
}

static void test_expiry_without_refresh_is_told_to_the_subscriber(void **state)
{
	struct call_world *w = *state;

	begin(w);
	fixture_pass(w->f, 300000);
	assert_int_equal(subscriptions(w), 1);
	assert_false(was_sent(w, &w->f->peer, "NOTIFY "));
	fixture_pass(w->f, 33000);
	assert_contains(takes(w), "Subscription-State: terminated;reason=timeout\r\n");
	assert_int_equal(subscriptions(w), 0);
}

static void test_without_a_first_notify_it_fails_after_timer_n(void **state)
{
	struct call_world *w = *state;

	asks(w, "Event: message-summary\r\nExpires: 600\r\n");
	respond(w, &w->f->other, subscribed, 200, "pbx1", "Expires: 600\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fixture_pass(w->f, 33000);
	assert_contains(takes(w), "Subscription-State: terminated;reason=timeout\r\n");
	assert_int_equal(subscriptions(w), 0);
}

static void test_a_subscriber_that_is_gone_is_481_for_the_notifier(void **state)
{
	struct call_world *w = *state;

	begin(w);
	notifies(w, 2, "active");
	takes(w);
	fixture_pass(w->f, 31000);
	take(w, &w->f->other, "SIP/2.0 481 ");
	assert_int_equal(subscriptions(w), 0);
}

static void test_a_subscribe_that_nobody_answers_gets_408(void **state)
{
	struct call_world *w = *state;

	asks(w, "Event: message-summary\r\n");
	fixture_pass(w->f, 31000);
	take(w, &w->f->peer, "SIP/2.0 408 ");
	assert_int_equal(subscriptions(w), 0);
}

static void test_shutdown_leaves_nothing(void **state)
{
	struct call_world *w = *state;

	begin(w);
	subscribes(w, 2, our_tag, "Event: message-summary;id=7\r\n");
	notifies(w, 2, "active");
	assert_int_equal(subscriptions(w), 1);
}

/* --- refusals ----------------------------------------------------------------------------------------------------------------- */

static void test_what_cannot_be_subscribed_is_refused(void **state)
{
	static const struct {
		const char *headers, *answer, *has;
	} cases[] = {
		{ "", "SIP/2.0 489 ", "Allow-Events: message-summary, presence, dialog\r\n" },
		{ "Event: conference\r\n", "SIP/2.0 489 ", "Allow-Events: " },
		{ "Event: message-summary\r\nRequire: eventlist, 100rel\r\n", "SIP/2.0 420 ",
			"Unsupported: eventlist, 100rel\r\n" },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subscribes(w, 10 + i, NULL, cases[i].headers);
		assert_contains(take(w, &w->f->peer, cases[i].answer), cases[i].has);
	}
	w->f->config.local_policies_count = 0;
	subscribes(w, 20, NULL, "Event: presence\r\n");
	take(w, &w->f->peer, "SIP/2.0 404 ");
	assert_int_equal(subscriptions(w), 0);
}

static void test_refusals_of_the_notifier_come_back_with_what_they_need(void **state)
{
	static const struct {
		unsigned status;
		const char *headers, *answer, *has;
	} cases[] = {
		{ 423, "Min-Expires: 60\r\n", "SIP/2.0 423 ", "Min-Expires: 60\r\n" },
		{ 489, "Allow-Events: foo.example.com\r\n", "SIP/2.0 489 ", "Allow-Events: message-summary" },
		{ 403, "", "SIP/2.0 403 ", "" },
		{ 302, "", "SIP/2.0 480 ", "" },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subscribes(w, 10 + i, NULL, "Event: message-summary\r\n");
		respond(w, &w->f->other, take(w, &w->f->other, "SUBSCRIBE "), cases[i].status, "x",
			cases[i].headers, NO_SDP);
		assert_contains(take(w, &w->f->peer, cases[i].answer), cases[i].has);
		assert_notifier_unseen(w->taken);
	}
	assert_int_equal(subscriptions(w), 0);
}

static void test_limits_of_subscriptions(void **state)
{
	struct call_world *w = *state;

	w->f->config.sip.max_subscriptions_per_source = 1;
	begin(w);
	fixture_receive(w->f, &w->f->peer,
		"SUBSCRIBE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;branch=z9hG4bKmore\r\n"
		"From: <sip:alice@192.0.2.9>;tag=f2\r\nTo: <sip:1000@192.0.2.1>\r\nCall-ID: more\r\nCSeq: 1 "
		"SUBSCRIBE\r\nContact: <sip:alice@192.0.2.9:5070>\r\nEvent: presence\r\nContent-Length: "
		"0\r\n\r\n");
	take(w, &w->f->peer, "SIP/2.0 503 ");
	notifies(w, 2, "terminated");
	takes(w);
	passes(w, 200);
	fixture_pass(w->f, 40000);
	subscribes(w, 70, NULL, "Event: presence\r\n");
	take(w, &w->f->other, "SUBSCRIBE ");
	w->f->config.sip.max_subscriptions = 1;
	fixture_receive(w->f, &w->f->other,
		"SUBSCRIBE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.10:5080;branch=z9hG4bKpbx\r\n"
		"From: <sip:q@192.0.2.10>;tag=f2\r\nTo: <sip:1000@192.0.2.1>\r\nCall-ID: pbx\r\nCSeq: 1 "
		"SUBSCRIBE\r\nContact: <sip:q@192.0.2.10:5080>\r\nEvent: presence\r\nContent-Length: "
		"0\r\n\r\n");
	take(w, &w->f->other, "SIP/2.0 503 ");
}

static void test_notifies_that_are_wrong_are_refused(void **state)
{
	struct call_world *w = *state;

	begin(w);
	notifies_with(w, 2, "pbx1", "Event: presence\r\nSubscription-State: active\r\n", NULL, "");
	take(w, &w->f->other, "SIP/2.0 489 ");
	notifies_with(w, 3, "pbx1", "Event: message-summary\r\n", NULL, "");
	take(w, &w->f->other, "SIP/2.0 400 ");
	notifies(w, 1, "active;expires=2");
	take(w, &w->f->other, "SIP/2.0 200 "); /* the first one, repeated */
	notifies_with(
		w, 1, "pbx1", "Event: message-summary\r\nSubscription-State: active\r\nX: y\r\n", NULL, "");
	assert_false(was_sent(w, &w->f->peer, "NOTIFY "));
	caller_sends(
		w, "NOTIFY", 9, our_tag, "Event: message-summary\r\nSubscription-State: active\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	caller_sends(w, "INVITE", 10, our_tag, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 481 ");
	caller_sends(w, "OPTIONS", 11, our_tag, "", NO_SDP);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Allow-Events: ");
}

static void test_a_body_that_cannot_be_made_safe_does_not_cross_but_the_state_does(void **state)
{
	struct call_world *w = *state;

	begin(w);
	notifies_with(w, 2, "pbx1", "Event: message-summary\r\nSubscription-State: active\r\n",
		"application/simple-message-summary", "Message-Account: sip:1000@192.0.2.10\r\n");
	assert_contains(takes(w), "Content-Length: 0\r\n");
	assert_notifier_unseen(notified);
	passes(w, 200);
	notifies_with(w, 3, "pbx1", "Event: message-summary\r\nSubscription-State: active\r\n", "text/html",
		"<a href=\"http://192.0.2.10/\">");
	assert_contains(takes(w), "Content-Length: 0\r\n");
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_EVENT_BODIES_WITHHELD), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_subscription_is_two_dialogs),
		TEST(test_refresh_and_unsubscribe),
		TEST(test_a_notify_may_come_before_the_200),
		TEST(test_a_fetch_ends_itself_whatever_comes_first),
		TEST(test_a_subscribe_that_forks_makes_a_pair_for_each_notifier),
		TEST(test_a_481_on_either_side_ends_the_pair),
		TEST(test_a_refused_refresh_ends_it_only_if_it_says_so),
		TEST(test_expiry_without_refresh_is_told_to_the_subscriber),
		TEST(test_without_a_first_notify_it_fails_after_timer_n),
		TEST(test_a_subscriber_that_is_gone_is_481_for_the_notifier),
		TEST(test_a_subscribe_that_nobody_answers_gets_408),
		TEST(test_shutdown_leaves_nothing),
		TEST(test_what_cannot_be_subscribed_is_refused),
		TEST(test_refusals_of_the_notifier_come_back_with_what_they_need),
		TEST(test_limits_of_subscriptions),
		TEST(test_notifies_that_are_wrong_are_refused),
		TEST(test_a_body_that_cannot_be_made_safe_does_not_cross_but_the_state_does),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
