/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: what crosses from one leg to the other, and that nothing else does. */
#include "controlplane/hide.h"
#include "tests/unit/controlplane/sip_fixture.h"

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	(void)request;
	transaction_reply(tr, 500, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}

static const struct transaction_core core = { .request = on_request };

static struct config_ip_profile plain, passing;
static struct config_realm trusted = { .trust = CONFIG_TRUST_TRUSTED },
			   untrusted = { .trust = CONFIG_TRUST_UNTRUSTED };
static struct leg from_leg, to_leg;

static int setup(void **state)
{
	struct fixture *f = fixture_new(&core);

	from_leg = (struct leg){ .realm = &untrusted, .profile = &plain, .flow = f->peer };
	to_leg = (struct leg){ .realm = &trusted, .profile = &plain, .flow = f->other };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* What crosses of these header lines, as one text. */
static const char *cross(const struct fixture *f, bool request, enum hide_kind kind, const char *headers)
{
	static struct scan scan;
	static char text[FIXTURE_TEXT_MAX], result[FIXTURE_TEXT_MAX];
	struct message *message = NULL;
	struct writer out;
	unsigned status = 0;

	snprintf(text, sizeof(text),
		"%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKone\r\n%sFrom: <sip:alice@home.example>;tag=abc\r\n"
		"To: <sip:1000@192.0.2.1>\r\nCall-ID: one@home.example\r\nCSeq: 7 INVITE\r\n"
		"Contact: <sip:al@192.0.2.7>\r\n%sContent-Length: 0\r\n\r\n",
		request ? "INVITE sip:1000@192.0.2.1 SIP/2.0"
			: (kind & HIDE_FAILURE ? "SIP/2.0 486 x" : "SIP/2.0 200 x"),
		request ? "192.0.2.9:5070" : "192.0.2.1:5060", request ? "Max-Forwards: 70\r\n" : "",
		headers);
	assert_int_equal(scan_message(&scan, span_from(text), true, &f->config.sip), SCAN_OK);
	assert_int_equal(message_parse(&scan, span_from(text), &f->peer, &message, &status), 0);
	writer_init(&out, result, sizeof(result) - 1);
	hide_headers(message, kind, &from_leg, &to_leg, &out);
	assert_false(out.overflow);
	result[out.len] = '\0';
	message_free(message);
	return result;
}

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
	assert_string_equal(
		cross(*state, true, HIDE_INVITE,
			"Priority: 10.0.0.1\r\nPrivacy: home.example\r\nAccept-Language: de;q=0.8, en\r\n"
			"Resource-Priority: wps.0, q735.1\r\n"),
		"Accept-Language: de;q=0.8, en\r\nResource-Priority: wps.0, q735.1\r\n");
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Alert-Info: <http://home.example/ring.wav>\r\n"
				    "Alert-Info: <urn:alert:service:call-waiting>\r\n"),
		"Alert-Info: <urn:alert:service:call-waiting>\r\n");
	assert_string_equal(
		cross(*state, false, HIDE_FAILURE, "Retry-After: 30 (rack 12 reboots);duration=9\r\n"),
		"Retry-After: 30\r\n");
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
}

static void test_an_asserted_identity_crosses_between_trusted_realms_only_and_with_our_host(void **state)
{
	const char *const line = "P-Asserted-Identity: \"B\" <sip:42@pbx.example;x=y>, <tel:+4930123>\r\n";

	assert_string_equal(cross(*state, true, HIDE_INVITE, line), "");
	from_leg.realm = &trusted;
	assert_string_equal(cross(*state, true, HIDE_INVITE, line),
		"P-Asserted-Identity: \"B\" <sip:42@192.0.2.1>\r\n"
		"P-Asserted-Identity: <tel:+4930123>\r\n");
	to_leg.realm = &untrusted;
	assert_string_equal(cross(*state, true, HIDE_INVITE, line), "");
}

static void test_headers_pass_adds_names_but_never_ours(void **state)
{
	static char extra[] = "X-Account", via[] = "Via", contact[] = "contact";
	static char *names[] = { extra, via, contact };

	passing.headers_pass = (struct config_strings){ names, 3 };
	to_leg.profile = &passing;
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, "X-Account: 7\r\nX-Other: 8\r\n"), "X-Account: 7\r\n");
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
	assert_string_equal(
		address_of("\"10.0.0.1\" <sip:10.0.0.1@10.0.0.1:5062>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("<sip:10.0.0.1@home.example>", "192.0.2.1"), "<sip:192.0.2.1>");
	assert_string_equal(address_of("\"Anonymous\" <sip:anonymous@anonymous.invalid>", "192.0.2.1"),
		"\"Anonymous\" <sip:anonymous@anonymous.invalid>");
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_headers_without_a_row_do_not_cross),
		TEST(test_values_cross_only_in_their_shape),
		TEST(test_a_header_crosses_only_in_the_messages_it_belongs_to),
		TEST(test_challenges_and_credentials_cross_untouched),
		TEST(test_an_asserted_identity_crosses_between_trusted_realms_only_and_with_our_host),
		TEST(test_headers_pass_adds_names_but_never_ours),
		TEST(test_only_display_name_and_user_of_an_address_cross),
		TEST(test_reasons_lose_their_text),
		TEST(test_codes_of_our_own_hop_do_not_reach_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
