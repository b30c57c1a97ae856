/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may know who somebody is: asserted identities and privacy by trust domain (RFC 3323, 3325). */
#include "tests/unit/controlplane/hide_fixture.h"

static const char *const asserted = "P-Asserted-Identity: \"B\" <sip:42@pbx.example;x=y>, "
				    "<tel:+4930123;phone-context=pbx.example>, <sip:43@pbx.example>\r\n";
static const char *const crossed =
	"P-Asserted-Identity: \"B\" <sip:42@192.0.2.1>\r\nP-Asserted-Identity: <tel:+4930123>\r\n";

static const char *with(const char *more)
{
	static char text[2048];

	snprintf(text, sizeof(text), "%s%s", more, asserted);
	return text;
}

static void trust(const struct config_realm *from, const struct config_realm *to)
{
	from_leg.realm = from;
	to_leg.realm = to;
}

static void test_an_asserted_identity_crosses_between_trusted_realms_only(void **state)
{
	trust(&untrusted, &trusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, asserted), "");
	trust(&trusted, &untrusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, asserted), "");
	trust(&trusted, &trusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, asserted), crossed);
	assert_string_equal(cross(*state, false, HIDE_SUCCESS, asserted), crossed);
}

static void test_the_wish_for_privacy_crosses_within_the_trust_domain_with_the_identity(void **state)
{
	char expected[1024];

	trust(&trusted, &trusted);
	snprintf(expected, sizeof(expected), "Privacy: id;critical\r\n%s", crossed);
	assert_string_equal(cross(*state, true, HIDE_INVITE, with("Privacy: id;critical\r\n")), expected);
	/* An identity never goes without the wish, whatever stands beside it. */
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, with("Privacy: pbx.example;critical\r\nPrivacy: id, x\r\n")),
		expected);
	trust(&trusted, &untrusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, with("Privacy: id\r\n")), "");
	assert_string_equal(cross(*state, true, HIDE_INVITE, with("Privacy: none\r\n")), "Privacy: none\r\n");
}

static void test_apply_carries_the_wish_out_even_within_the_trust_domain(void **state)
{
	trust(&trusted, &trusted);
	to_profile.privacy = CONFIG_PRIVACY_APPLY;
	assert_string_equal(cross(*state, true, HIDE_INVITE, asserted), crossed);
	assert_string_equal(cross(*state, true, HIDE_INVITE, with("Privacy: user, id\r\n")), "");
	/* The dialog's own wish, in a later request. */
	from_leg.privacy = HIDE_PRIVACY_ID;
	assert_string_equal(cross(*state, true, HIDE_REINVITE, asserted), "");
	/* It is the caller's, not the callee's. */
	from_leg.side = LEG_CALLED;
	assert_string_equal(cross(*state, false, HIDE_SUCCESS, asserted), crossed);
}

static void test_remove_lets_no_identity_through_at_all(void **state)
{
	trust(&trusted, &trusted);
	to_profile.privacy = CONFIG_PRIVACY_REMOVE;
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    with("Privacy: none\r\nRemote-Party-ID: <sip:42@pbx.example>\r\n")),
		"");
	trust(&untrusted, &trusted);
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, "P-Preferred-Identity: <sip:42@home.example>\r\n"), "");
}

static void test_a_preferred_identity_is_a_hint_for_the_trusted_side_alone(void **state)
{
	const char *const line = "P-Preferred-Identity: \"A\" <sip:a@home.example;x=y>\r\n";

	trust(&untrusted, &trusted);
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, line), "P-Preferred-Identity: \"A\" <sip:a@192.0.2.1>\r\n");
	trust(&untrusted, &untrusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, line), "");
	trust(&trusted, &trusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, line), "");
}

static void test_remote_party_id_keeps_its_tokens(void **state)
{
	const char *const line =
		"Remote-Party-ID: \"A\" <sip:42@pbx.example>;party=calling;screen=yes;privacy=off;"
		"x=pbx.example;id-type=a.pbx.example\r\n";

	trust(&trusted, &trusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, line),
		"Remote-Party-ID: \"A\" <sip:42@192.0.2.1>;party=calling;screen=yes;privacy=off\r\n");
	trust(&trusted, &untrusted);
	assert_string_equal(cross(*state, true, HIDE_INVITE, line), "");
}

static struct message *parsed(const struct fixture *f, const char *privacy)
{
	static struct scan scan;
	static char text[1024];
	struct message *message = NULL;
	unsigned status;

	snprintf(text, sizeof(text),
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKone\r\n"
		"Max-Forwards: 70\r\nFrom: \"Al\" <sip:alice@home.example>;tag=abc\r\nTo: "
		"<sip:1000@192.0.2.1>\r\n"
		"Call-ID: one\r\nCSeq: 7 INVITE\r\nContact: <sip:al@192.0.2.7>\r\n%sContent-Length: "
		"0\r\n\r\n",
		privacy);
	assert_int_equal(scan_message(&scan, span_from(text), true, &f->config.sip), SCAN_OK);
	assert_int_equal(message_parse(&scan, span_from(text), &f->peer, &message, &status), 0);
	return message;
}

static unsigned wish_of(const struct fixture *f, const char *line, unsigned *status)
{
	struct message *message = parsed(f, line);
	unsigned wish = hide_privacy(message);

	*status = hide_privacy_status(message);
	message_free(message);
	return wish;
}

static void test_what_is_critical_and_not_known_is_refused(void **state)
{
	unsigned status;

	assert_int_equal(wish_of(*state, "", &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(wish_of(*state, "Privacy: ID; header\r\nPrivacy: user,critical\r\n", &status),
		HIDE_PRIVACY_ID | HIDE_PRIVACY_HEADER | HIDE_PRIVACY_USER | HIDE_PRIVACY_CRITICAL);
	assert_int_equal(status, 0);
	assert_int_equal(wish_of(*state, "Privacy: teleport\r\n", &status), HIDE_PRIVACY_UNKNOWN);
	assert_int_equal(status, 0);
	wish_of(*state, "Privacy: teleport;critical\r\n", &status);
	assert_int_equal(status, 500);
}

/* What the callee is shown of "Al" <sip:alice@...>. */
static void make_leg(struct fixture *f, struct leg *leg, unsigned privacy)
{
	struct message *message = parsed(f, "");
	struct name_addr from, to;

	*leg = (struct leg){ .privacy = (uint8_t)privacy };
	assert_int_equal(message_from(message, &from), 0);
	assert_int_equal(message_to(message, &to), 0);
	assert_int_equal(leg_init_client(leg, &f->shard, &f->other, SPAN("1000"), &from, &to), 0);
	message_free(message);
}

static void test_an_anonymous_caller_is_so_in_from_and_contact_where_the_wish_is_carried_out(void **state)
{
	struct fixture *f = *state;
	struct leg leg;

	f->interface.ip_profile = &to_profile;
	f->realm.trust = CONFIG_TRUST_TRUSTED;
	make_leg(f, &leg, HIDE_PRIVACY_ID);
	assert_string_equal(leg.local, "\"Al\" <sip:alice@192.0.2.1>");
	assert_string_equal(leg.contact_user, "alice");
	leg_fini(&leg);

	to_profile.privacy = CONFIG_PRIVACY_APPLY;
	make_leg(f, &leg, HIDE_PRIVACY_ID);
	assert_string_equal(leg.local, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
	assert_string_equal(leg.contact_user, "anonymous");
	leg_fini(&leg);

	to_profile.privacy = CONFIG_PRIVACY_RELAY;
	f->realm.trust = CONFIG_TRUST_UNTRUSTED;
	make_leg(f, &leg, HIDE_PRIVACY_USER);
	assert_string_equal(leg.local, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
	leg_fini(&leg);
	make_leg(f, &leg, HIDE_PRIVACY_NONE | HIDE_PRIVACY_ID);
	assert_string_equal(leg.local, "\"Al\" <sip:alice@192.0.2.1>");
	leg_fini(&leg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_asserted_identity_crosses_between_trusted_realms_only),
		TEST(test_the_wish_for_privacy_crosses_within_the_trust_domain_with_the_identity),
		TEST(test_apply_carries_the_wish_out_even_within_the_trust_domain),
		TEST(test_remove_lets_no_identity_through_at_all),
		TEST(test_a_preferred_identity_is_a_hint_for_the_trusted_side_alone),
		TEST(test_remote_party_id_keeps_its_tokens),
		TEST(test_what_is_critical_and_not_known_is_refused),
		TEST(test_an_anonymous_caller_is_so_in_from_and_contact_where_the_wish_is_carried_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
