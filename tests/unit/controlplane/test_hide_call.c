/* SPDX-License-Identifier: BSD-3-Clause */
/* Hiding in whole calls: anonymous callers, bodies of several parts, dialogs by their other name, and RFC 4475's messages. */
#include "tests/unit/controlplane/call_fixture.h"
#include "tests/unit/controlplane/rfc4475.h"

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

/* An INVITE of the caller with whatever body. */
static void invite_with(struct call_world *w, const char *headers, const char *type, const char *body)
{
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKtwo\r\n"
		"Max-Forwards: 70\r\nFrom: \"Al\" <sip:alice@192.0.2.9>;tag=from2\r\nTo: "
		"<sip:1000@192.0.2.1>\r\n"
		"Call-ID: call2@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: "
		"<sip:alice@192.0.2.9:5070>;+sip.instance=\"<urn:x>\";audio\r\n"
		"%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
		headers, type, strlen(body), body);
	fake_answer_all();
}

static void test_an_anonymous_call_shows_nobody_to_an_untrusted_realm(void **state)
{
	struct call_world *w = *state;
	const char *invite;

	invite_with(w, "Privacy: id\r\nP-Asserted-Identity: <sip:alice@192.0.2.9>\r\n", "application/sdp",
		PHONE_SDP);
	invite = take(w, &w->f->other, "INVITE ");
	assert_contains(invite, "\r\nFrom: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=");
	assert_contains(invite, "\r\nContact: <sip:anonymous@192.0.2.1:5060>;audio\r\n");
	assert_null(strstr(invite, "alice"));
	assert_null(strstr(invite, "Privacy"));
	assert_null(strstr(invite, "urn:x"));
}

static void test_a_critical_wish_that_is_not_known_is_refused_before_anybody_is_asked(void **state)
{
	struct call_world *w = *state;

	invite_with(w, "Privacy: invisible;critical\r\n", "application/sdp", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 500 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_a_description_among_other_parts_makes_a_call(void **state)
{
	struct call_world *w = *state;
	const char *invite;

	invite_with(w, "", "multipart/mixed;boundary=b",
		"--b\r\nContent-Type: application/isup\r\n\r\nxyz\r\n--b\r\nContent-Type: "
		"application/sdp\r\n\r\n" PHONE_SDP "\r\n--b--\r\n");
	invite = take(w, &w->f->other, "INVITE ");
	assert_contains(invite, "\r\nContent-Type: application/sdp\r\n");
	assert_contains(invite, "\r\n\r\nv=0\r\n");
	assert_null(strstr(invite, "xyz"));
}

static void test_a_broken_multipart_is_400(void **state)
{
	struct call_world *w = *state;

	invite_with(w, "", "multipart/mixed;boundary=b", "--c\r\n\r\n--c--");
	take(w, &w->f->peer, "SIP/2.0 400 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_only_other_parts_are_415(void **state)
{
	struct call_world *w = *state;

	invite_with(w, "", "multipart/mixed;boundary=b", "--b\r\n\r\nx\r\n--b--");
	take(w, &w->f->peer, "SIP/2.0 415 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
}

static void test_a_dialog_is_named_as_the_other_side_knows_it_or_not_at_all(void **state)
{
	struct call_world *w = *state;
	char invite[FIXTURE_TEXT_MAX], headers[512], expected[1024], from[512], call_id[512], tag[64];
	const char *second;

	establish(w, invite);
	snprintf(headers, sizeof(headers),
		"Target-Dialog: call1@192.0.2.9;local-tag=%s;remote-tag=from1\r\n"
		"Join: call9@192.0.2.9;to-tag=a;from-tag=b\r\n",
		w->caller_tag);
	invite_with(w, headers, "application/sdp", PHONE_SDP);
	second = take(w, &w->f->other, "INVITE ");
	line_of(invite, "Call-ID", call_id, sizeof(call_id));
	call_id[strlen(call_id) - 2] = '\0';
	line_of(invite, "From", from, sizeof(from));
	snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(strstr(from, ";tag=") + 5, ";\r"),
		strstr(from, ";tag=") + 5);
	snprintf(expected, sizeof(expected), "\r\nTarget-Dialog: %s;local-tag=pbx1;remote-tag=%s\r\n",
		call_id + strlen("Call-ID: "), tag);
	assert_contains(second, expected);
	assert_null(strstr(second, "Join"));
	assert_null(strstr(second, "call1@"));
	assert_null(strstr(second, w->caller_tag));
}

/* Whatever of them becomes a call: the callee sees none of their hosts. */
static void test_the_torture_messages_show_no_host_to_the_callee(void **state)
{
	static const char *const marks[] = { "example.com", "example.net", "example.org", "192.0.2.2",
		"192.0.2.3", "asdf", "\r\nSubject", "unknownparam", "NewFangledHeader", "UnknownHeader" };
	struct call_world *w = *state;
	unsigned crossed = 0;

	regfree(&w->policy.to_regex);
	assert_int_equal(regcomp(&w->policy.to_regex, "", REG_EXTENDED | REG_NOSUB), 0);
	for (size_t i = 0; i < sizeof(rfc4475_messages) / sizeof(rfc4475_messages[0]); i++) {
		transaction_receive(&w->f->shard, &w->f->peer,
			(struct span){ rfc4475_messages[i].bytes, rfc4475_messages[i].length });
		fake_answer_all();
	}
	for (unsigned i = 0; i < w->f->sent_count; i++) {
		const struct fixture_sent *sent = &w->f->sent[i];

		if (!address_equal(&sent->to, &w->f->other.remote))
			continue;
		crossed++;
		for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++)
			if (memmem(sent->text, sent->length, marks[m], strlen(marks[m])))
				fail_msg("\"%s\" in:\n%s", marks[m], sent->text);
	}
	assert_true(crossed >= 2); /* esc01, baddate */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_an_anonymous_call_shows_nobody_to_an_untrusted_realm),
		TEST(test_a_critical_wish_that_is_not_known_is_refused_before_anybody_is_asked),
		TEST(test_a_description_among_other_parts_makes_a_call),
		TEST(test_a_broken_multipart_is_400),
		TEST(test_only_other_parts_are_415),
		TEST(test_a_dialog_is_named_as_the_other_side_knows_it_or_not_at_all),
		TEST(test_the_torture_messages_show_no_host_to_the_callee),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
