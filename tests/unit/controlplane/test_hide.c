/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: what crosses from one leg to the other, and that nothing else does. */
#include "tests/unit/controlplane/hide_fixture.h"

static const char *address_of(const char *text, const char *host)
{
	static char result[512];
	struct name_addr address;
	struct writer out;

	assert_int_equal(name_addr_parse(span_from(text), &address), 0);
	writer_init(&out, result, sizeof(result) - 1);
	hide_name_addr(&address, span_from(host), &out);
	result[out.len] = '\0';
	return result;
}

static const char *reason_of(const char *value)
{
	static char result[64];
	struct writer out;
	struct span span;

	writer_init(&out, result, sizeof(result) - 1);
	span = hide_reason(span_from(value), &out);
	result[span.n] = '\0';
	return result;
}

static void test_headers_without_a_row_do_not_cross(void **state)
{
	assert_string_equal(
		cross(*state, true, HIDE_INVITE,
			"Subject: evening\r\nUser-Agent: Phone/1 (10.0.0.1)\r\nOrganization: home.example\r\n"
			"Call-Info: <http://home.example/x>\r\nWarning: 399 home.example \"x\"\r\n"
			"In-Reply-To: 1@home.example\r\nDate: now\r\n"
			"Geolocation: <http://home.example/x>\r\nIdentity: x;info=<http://home.example/c>\r\n"
			"P-Charging-Vector: icid-value=home.example\r\nSession-Expires: 90\r\nSupported: "
			"timer\r\n"
			"Record-Route: <sip:home.example;lr>\r\nX-Anything: home.example\r\nDate: now\r\n"),
		"");
}

static void test_values_cross_only_in_their_shape(void **state)
{
	assert_string_equal(cross(*state, true, HIDE_INVITE, "Priority: emergency\r\nExpires: 180\r\n"),
		"Priority: emergency\r\nExpires: 180\r\n");
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, "Priority: at:10.0.0.1\r\nExpires: x180\r\n"), "");
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Priority: 10.0.0.1\r\nPrivacy: home.example\r\nAccept-Language: "
				    "de;q=0.8, en, homeuser, zh-homeuser\r\n"
				    "Resource-Priority: wps.0, q735.1\r\n"),
		"Accept-Language: de;q=0.8\r\nAccept-Language: en\r\nResource-Priority: wps.0\r\n"
		"Resource-Priority: q735.1\r\n");
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Alert-Info: <http://home.example/ring.wav>\r\n"
				    "Alert-Info: <urn:alert:service:call-waiting>\r\n"),
		"Alert-Info: <urn:alert:service:call-waiting>\r\n");
	assert_string_equal(
		cross(*state, false, HIDE_FAILURE, "Retry-After: 30 (rack 12 reboots);duration=9\r\n"),
		"Retry-After: 30\r\n");
	/* RFC 4475 section 3.1.2.5: not the half of a number either. */
	assert_string_equal(
		cross(*state, false, HIDE_FAILURE, "Retry-After: 949302838503028349304023988\r\n"), "");
	assert_string_equal(cross(*state, false, HIDE_FAILURE, "Retry-After: 4294967296\r\n"), "");
}

static void test_a_header_crosses_only_in_the_messages_it_belongs_to(void **state)
{
	const char *const lines = "Priority: urgent\r\nRetry-After: 3\r\nReason: SIP;cause=200\r\n";

	assert_string_equal(cross(*state, true, HIDE_REINVITE, lines), "");
	assert_string_equal(cross(*state, true, HIDE_BYE, lines), "Reason: SIP;cause=200\r\n");
	assert_string_equal(cross(*state, false, HIDE_SUCCESS, lines), "");
}

static void test_challenges_and_credentials_cross_untouched(void **state)
{
	const char *const challenge =
		"WWW-Authenticate: Digest realm=\"pbx\", nonce=\"a,b;c\", opaque=\"\"\r\n";
	const char *const credentials = "Authorization: Digest username=\"a\", realm=\"pbx\", "
					"uri=\"sip:1@192.0.2.1\", response=\"0\"\r\n";

	assert_string_equal(cross(*state, false, HIDE_FAILURE | HIDE_CHALLENGE, challenge), challenge);
	assert_string_equal(cross(*state, false, HIDE_FAILURE, challenge), "");
	assert_string_equal(cross(*state, true, HIDE_INVITE, credentials), credentials);
	assert_string_equal(cross(*state, true, HIDE_ACK, credentials), credentials);
	assert_string_equal(cross(*state, true, HIDE_BYE, credentials), "");
	/* A registrar's challenge that is answered again here has a seal of the guard's in it. */
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Proxy-Authorization: Digest realm=\"pbx\", "
				    "opaque=\"own-o0123456789abcdef01234567\", response=\"0\"\r\n"),
		"Proxy-Authorization: Digest realm=\"pbx\", opaque=\"own\", response=\"0\"\r\n");
}

static void test_headers_pass_adds_names_but_never_ours(void **state)
{
	static char extra[] = "X-Account", via[] = "Via", contact[] = "contact";
	static char *names[] = { extra, via, contact };

	to_profile.headers_pass = (struct config_strings){ names, 3 };
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, "X-Account: 7\r\nX-Other: 8\r\n"), "X-Account: 7\r\n");
}

static void test_headers_drop_takes_rows_and_passed_names_from_the_side_that_sends_them(void **state)
{
	static char x[] = "X-*", priority[] = "priority";
	static char *all[] = { x }, *dropped[] = { priority };
	const char *const lines = "X-Account: 7\r\nPriority: urgent\r\nx-b: 8\r\nExpires: 9\r\n";

	to_profile.headers_pass = (struct config_strings){ all, 1 };
	assert_string_equal(cross(*state, true, HIDE_INVITE, lines),
		"X-Account: 7\r\nPriority: urgent\r\nx-b: 8\r\nExpires: 9\r\n");
	from_profile.headers_drop = (struct config_strings){ dropped, 1 };
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, lines), "X-Account: 7\r\nx-b: 8\r\nExpires: 9\r\n");
	from_profile.headers_drop = (struct config_strings){ all, 1 };
	assert_string_equal(cross(*state, true, HIDE_INVITE, lines), "Priority: urgent\r\nExpires: 9\r\n");
	/* They are about this direction. */
	to_profile.headers_drop = (struct config_strings){ dropped, 1 };
	assert_string_equal(cross(*state, true, HIDE_INVITE, lines), "Priority: urgent\r\nExpires: 9\r\n");
}

static void test_warnings_keep_their_code_and_lose_agent_and_text(void **state)
{
	assert_string_equal(cross(*state, false, HIDE_FAILURE,
				    "Warning: 304 pbx7.example \"rack 12\", 399 10.0.0.5:5060 \"licence, of "
				    "10.0.0.5\"\r\n"
				    "Warning: 200 pbx7.example \"x\"\r\n"),
		"Warning: 304 192.0.2.1 \"Media type not available\"\r\n"
		"Warning: 399 192.0.2.1 \"Miscellaneous warning\"\r\n");
}

static void test_an_intercoms_wish_crosses_without_its_uri(void **state)
{
	assert_string_equal(
		cross(*state, true, HIDE_INVITE,
			"Call-Info: <http://home.example/i.png>;purpose=icon, "
			"<sip:home.example>;answer-after=0\r\n"
			"Alert-Info: <http://home.example/>;info=alert-internal\r\n"
			"Alert-Info: Bellcore-dr2\r\nAlert-Info: <http://x.example>;info=\"a.b\"\r\n"),
		"Call-Info: <sip:192.0.2.1>;answer-after=0\r\n"
		"Alert-Info: <sip:192.0.2.1>;info=alert-internal\r\nAlert-Info: Bellcore-dr2\r\n");
}

static void test_what_is_made_to_go_from_end_to_end_crosses_in_its_form_alone(void **state)
{
	const char *const good =
		"Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n"
		"User-to-User: 56a390f3d2b7310023a2;purpose=isdn-uui;content=isdn-uui;encoding=hex\r\n";

	assert_string_equal(cross(*state, true, HIDE_INVITE, good), good);
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Session-ID: home.example\r\nUser-to-User: \"home.example\"\r\n"
				    "User-to-User: 10.0.0.1\r\nUser-to-User: 00;content=a.home.example\r\n"),
		"User-to-User: 00\r\n");
}

static void test_features_cross_and_instances_do_not(void **state)
{
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Accept-Contact: "
				    "*;video;require;+sip.instance=\"<urn:uuid:1>\";host=\"home.example\"\r\n"
				    "a: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n"
				    "Reject-Contact: *;description=\"<home.example>\"\r\nFeature-Caps: "
				    "*;+g.oma.x=\"home.example\"\r\n"),
		"Accept-Contact: *;video;require\r\n"
		"Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n");
}

static void test_several_reasons_cross_each_without_its_text(void **state)
{
	assert_string_equal(
		cross(*state, true, HIDE_BYE,
			"Reason: SIP;cause=200;text=\"a, b\", Q.850;cause=16;text=\"home.example\"\r\n"),
		"Reason: SIP;cause=200\r\nReason: Q.850;cause=16\r\n");
}

static void test_only_display_name_and_user_of_an_address_cross(void **state)
{
	(void)state;
	assert_string_equal(
		address_of("\"Al \\\"x\\\"\" <sip:alice:secret@home.example:5099;user=phone?a=b>;p=1",
			"192.0.2.1"),
		"\"Al \\\"x\\\"\" <sip:alice@192.0.2.1>");
	assert_string_equal(address_of("<sip:+49;phone-context=home.example@home.example>", "[2001:db8::1]"),
		"<sip:+49@[2001:db8::1]>");
	assert_string_equal(address_of("<sip:10.0.0.1>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("\"home.example\" <sip:al%40home.example@home.example>", "192.0.2.1"),
		"<sip:al@192.0.2.1>");
	/* What admission and local-policy have not seen in clear nobody reads behind us. */
	assert_string_equal(address_of("<sip:%30%30449@home.example>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("<sip:%2b449@home.example>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("<sip:%6Alice@home.example>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("<sip:*67%23@home.example>", "192.0.2.1"), "<sip:*67%23@192.0.2.1>");
	assert_string_equal(
		address_of("\"10.0.0.1\" <sip:10.0.0.1@10.0.0.1:5062>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("<sip:10.0.0.1@home.example>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("\"Anonymous\" <sip:anonymous@anonymous.invalid>", "192.0.2.1"),
		"\"Anonymous\" <sip:anonymous@anonymous.invalid>");
}

static void test_a_display_name_is_shown_only_if_it_is_text_and_no_address(void **state)
{
	(void)state;
	assert_string_equal(address_of("\"J\xc3\xbcrgen \xe2\x82\xac\" <sip:j@home.example>", "a"),
		"\"J\xc3\xbcrgen \xe2\x82\xac\" <sip:j@a>");
	assert_string_equal(address_of("\"J\xfcrgen\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(address_of("\"\xed\xa0\x80\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(address_of("\"\xc0\x80\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(
		address_of("\"a \\\" b \\\\\" <sip:j@home.example>", "a"), "\"a \\\" b \\\\\" <sip:j@a>");
	assert_string_equal(address_of("\"10.0.0.7 is me\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(address_of("\"Al@[2001:db8::7]:5060\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(address_of("\"at 10.0.0.7:5060\" <sip:j@home.example>", "a"), "<sip:j@a>");
	assert_string_equal(address_of("\"Dr. Smith: 12:30\" <sip:j@home.example>", "a"),
		"\"Dr. Smith: 12:30\" <sip:j@a>");
}

static void test_a_telephone_number_stays_one(void **state)
{
	(void)state;
	assert_string_equal(address_of("<sip:+4930123@home.example;user=phone;x=home.example>", "a"),
		"<sip:+4930123@a;user=phone>");
	assert_string_equal(address_of("<tel:+49-30-123;phone-context=home.example>", "a"),
		"<sip:+49-30-123@a;user=phone>");
	assert_string_equal(address_of("<sip:alice@home.example;user=phone>", "a"), "<sip:alice@a>");
	assert_string_equal(address_of("<sips:alice@home.example>", "a"), "<sip:alice@a>");
}

static void test_reasons_lose_their_text(void **state)
{
	(void)state;
	assert_string_equal(reason_of("Q.850;cause=16;text=\"rack 12; host a.example\""), "Q.850;cause=16");
	assert_string_equal(reason_of("SIP ;text=\"x\" ; cause = 200 , Q.850;cause=1"), "SIP;cause=200");
	assert_string_equal(reason_of("SIP;cause=9999"), "SIP");
	assert_string_equal(reason_of("pbx7.corp.example;cause=1"), "");
	assert_string_equal(reason_of("pbx7.lan;cause=1"), "");
	assert_string_equal(reason_of("10.0.0.5;cause=1"), "");
	assert_string_equal(reason_of(""), "");
}

static void test_codes_of_our_own_hop_do_not_reach_the_caller(void **state)
{
	(void)state;
	assert_int_equal(hide_status(486), 486);
	assert_int_equal(hide_status(603), 603);
	assert_int_equal(hide_status(401), 401);
	assert_int_equal(hide_status(302), 480);
	assert_int_equal(hide_status(405), 500);
	assert_int_equal(hide_status(481), 480);
	assert_int_equal(hide_status(420), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_headers_without_a_row_do_not_cross),
		TEST(test_values_cross_only_in_their_shape),
		TEST(test_a_header_crosses_only_in_the_messages_it_belongs_to),
		TEST(test_challenges_and_credentials_cross_untouched),
		TEST(test_headers_pass_adds_names_but_never_ours),
		TEST(test_headers_drop_takes_rows_and_passed_names_from_the_side_that_sends_them),
		TEST(test_warnings_keep_their_code_and_lose_agent_and_text),
		TEST(test_an_intercoms_wish_crosses_without_its_uri),
		TEST(test_what_is_made_to_go_from_end_to_end_crosses_in_its_form_alone),
		TEST(test_features_cross_and_instances_do_not),
		TEST(test_several_reasons_cross_each_without_its_text),
		TEST(test_a_display_name_is_shown_only_if_it_is_text_and_no_address),
		TEST(test_a_telephone_number_stays_one),
		TEST(test_only_display_name_and_user_of_an_address_cross),
		TEST(test_reasons_lose_their_text),
		TEST(test_codes_of_our_own_hop_do_not_reach_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
