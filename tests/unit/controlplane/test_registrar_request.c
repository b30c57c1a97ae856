/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER requests that are wrong or odd: what each gets. */
#include "tests/unit/controlplane/registrar_check.h"

/* --- bad input ------------------------------------------------------------------------------------------------------------ */

#define LONG_PART \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CONTACT(n) "<sip:" #n "@192.168.1.7>,"

static void test_what_is_wrong_has_its_answer_and_reaches_nobody(void **state)
{
	static const struct {
		const char *to, *headers, *answer;
	} cases[] = {
		{ "<sip:sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<tel:+4930>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:\xc3\xa4@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:1%00@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:1%0@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:" LONG_PART LONG_PART LONG_PART "@sbc.example>", "Contact: " PHONE_CONTACT "\r\n",
			"SIP/2.0 400 " },
		{ "<sip:abc@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 404 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\nExpires: 1\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\nContact: " PHONE_CONTACT "\r\nExpires: 0\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ", *\r\nExpires: 0\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <mailto:a@b>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:\xff@192.168.1.7>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:" LONG_PART LONG_PART LONG_PART "@h>\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";q=2\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";q=-1\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";reg-id=0;+sip.instance=\"<a>\"\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>",
			"Contact: " PHONE_CONTACT ";+sip.instance=\"" LONG_PART LONG_PART "\"\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:192.168.1.7;bnc>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Require: gin\r\nContact: <sip:a@192.168.1.7;bnc>\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Require: teleport\r\nContact: " PHONE_CONTACT "\r\n",
			"SIP/2.0 420 " },
		{ "<sip:1000@sbc.example>;tag=x", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 481 " },
		{ "<sip:1000@sbc.example>",
			"Contact: " CONTACT(1) CONTACT(2) CONTACT(3) CONTACT(4) CONTACT(5) CONTACT(6)
				CONTACT(7) CONTACT(8) CONTACT(9) CONTACT(10) "<sip:11@192.168.1.7>\r\n",
			"SIP/2.0 403 " },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers_from(w, &w->f->peer, cases[i].to, "bad@phone", i + 1, cases[i].headers);
		if (!was_sent(w, &w->f->peer, cases[i].answer))
			fail_msg("case %u: %s", i, fixture_sent_text(w->f, w->f->sent_count - 1));
		take(w, &w->f->peer, cases[i].answer);
		assert_false(was_sent(w, &w->f->other, "REGISTER "));
	}
	assert_int_equal(bindings(w), 0);
}

/* RFC 3261 section 10.2.1.1: an expiry that cannot be read is an hour, one that is too big is as long as there is. */
static void test_odd_expiries_are_read_as_the_rfc_says(void **state)
{
	static const struct {
		const char *headers, *asked;
	} cases[] = {
		{ "Contact: " PHONE_CONTACT ";expires=99999999999999999999\r\n", ";expires=4294967295\r\n" },
		{ "Contact: " PHONE_CONTACT ";expires=-1\r\n", ";expires=3600\r\n" },
		{ "Contact: " PHONE_CONTACT ";expires=abc\r\n", ";expires=3600\r\n" },
		{ "Expires: 4294967296\r\nContact: " PHONE_CONTACT "\r\n", ";expires=4294967295\r\n" },
		{ "Contact: " PHONE_CONTACT "\r\n", ";expires=3600\r\n" },
		{ "Expires: 60\r\nContact: " PHONE_CONTACT ";expires=120\r\n", ";expires=120\r\n" },
	};
	struct call_world *w = *state;

	w->f->interface.registration = CONFIG_REGISTRATION_RELAY;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers(w, i + 1, cases[i].headers);
		assert_contains(to_pbx(w), cases[i].asked);
		pbx_answers(w, kept, 403, "");
		take(w, &w->f->peer, "SIP/2.0 403 ");
	}
}

static void test_an_answer_goes_where_the_request_came_from_whatever_its_via_says(void **state)
{
	struct call_world *w = *state;

	fixture_receive(w->f, &w->f->peer,
		"REGISTER sip:sbc.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"203.0.113.66:666;received=203.0.113.66;rport=666;"
		"branch=z9hG4bKspoof\r\nMax-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=t\r\nTo: "
		"<sip:@sbc.example>\r\nCall-ID: spoof\r\nCSeq: 1 REGISTER\r\nContact: "
		"<sip:x>\r\nContent-Length: 0\r\n\r\n");
	take(w, &w->f->peer, "SIP/2.0 400 ");
}

static void test_escapes_that_say_the_same_are_the_same_address(void **state)
{
	char one[REGISTRAR_AOR_MAX], two[REGISTRAR_AOR_MAX];

	(void)state;
	assert_true(span_equal(registrar_aor(SPAN("\"A\" <sip:%61lice@Example.NET:5060;x=y>;tag=1"), one),
		registrar_aor(SPAN("sip:alice@example.net"), two)));
	assert_false(span_equal(registrar_aor(SPAN("<sip:Alice@example.net>"), one),
		registrar_aor(SPAN("<sip:alice@example.net>"), two)));
	assert_true(
		span_equal(registrar_aor(SPAN("<sip:a%23b@example.net>"), one), SPAN("a%23b@example.net")));
	assert_true(span_equal(registrar_aor(SPAN("<sip:alice;phone-context=1@example.net>"), one),
		SPAN("alice@example.net")));
	assert_true(span_equal(
		registrar_aor(SPAN("<sip:alice%40other@example.net>"), one), SPAN("alice@example.net")));
	assert_int_equal(registrar_aor(SPAN("<sip:;x@example.net>"), one).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_wrong_has_its_answer_and_reaches_nobody),
		TEST(test_odd_expiries_are_read_as_the_rfc_says),
		TEST(test_an_answer_goes_where_the_request_came_from_whatever_its_via_says),
		TEST(test_escapes_that_say_the_same_are_the_same_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
