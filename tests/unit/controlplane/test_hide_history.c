/* SPDX-License-Identifier: BSD-3-Clause */
/* Diversion and History-Info: relayed with our host, and the one made of the other (RFC 7544). */
#include "tests/unit/controlplane/hide_fixture.h"

static const char *const diversion =
	"Diversion: \"Bob\" "
	"<sip:bob@corp.example;x=y>;reason=user-busy;counter=1;privacy=off;limit=\"corp.example\"\r\n"
	"Diversion: <tel:+4930123>;reason=\"unconditional\";privacy=full\r\n";
static const char *const history =
	"History-Info: <sip:+4930123@corp.example;user=phone?Privacy=history>;index=1,"
	"<sip:bob@corp.example;cause=302?Reason=SIP%3Bcause%3D302%3Btext%3Dcorp.example>;index=1.1;mp=1\r\n"
	"History-Info: <sip:carol@10.0.0.5;cause=486>;index=1.2.7;x=corp.example\r\n";

static void test_each_is_relayed_as_it_is_with_our_host(void **state)
{
	assert_string_equal(cross(*state, true, HIDE_INVITE, diversion),
		"Diversion: \"Bob\" <sip:bob@192.0.2.1>;reason=user-busy;counter=1;privacy=off\r\n"
		"Diversion: "
		"<sip:+4930123@192.0.2.1;user=phone>;reason=unconditional;counter=1;privacy=full\r\n");
	assert_string_equal(cross(*state, true, HIDE_INVITE, history),
		"History-Info: <sip:+4930123@192.0.2.1;user=phone?Privacy=history>;index=1\r\n"
		"History-Info: <sip:bob@192.0.2.1;cause=302>;index=1.1\r\n"
		"History-Info: <sip:carol@192.0.2.1;cause=486>;index=1.1.1\r\n");
	assert_string_equal(cross(*state, true, HIDE_REINVITE, history), "");
}

static void test_diversions_become_history_from_the_oldest_to_whom_the_call_is_for(void **state)
{
	to_profile.diversion = CONFIG_DIVERSION_HISTORY_INFO;
	assert_string_equal(cross(*state, true, HIDE_INVITE, diversion),
		"History-Info: <sip:+4930123@192.0.2.1;user=phone?Privacy=history>;index=1\r\n"
		"History-Info: \"Bob\" <sip:bob@192.0.2.1;cause=302>;index=1.1\r\n"
		"History-Info: <sip:1000@192.0.2.1;cause=486>;index=1.1.1\r\n");
}

static void test_diversions_that_are_only_counted_are_unknown_places_and_bounded(void **state)
{
	const char *text;
	unsigned lines = 0;

	to_profile.diversion = CONFIG_DIVERSION_HISTORY_INFO;
	assert_string_equal(
		cross(*state, true, HIDE_INVITE, "Diversion: <sip:b@corp.example>;reason=away;counter=2\r\n"),
		"History-Info: <sip:unknown@unknown.invalid>;index=1\r\n"
		"History-Info: <sip:b@192.0.2.1;cause=404>;index=1.1\r\n"
		"History-Info: <sip:1000@192.0.2.1;cause=404>;index=1.1.1\r\n");
	text = cross(*state, true, HIDE_INVITE, "Diversion: <sip:b@corp.example>;counter=99\r\n");
	for (; *text; text++)
		lines += *text == '\n';
	assert_int_equal(lines, 16);
}

static void test_history_becomes_diversions_newest_first(void **state)
{
	to_profile.diversion = CONFIG_DIVERSION_DIVERSION;
	assert_string_equal(cross(*state, true, HIDE_INVITE, history),
		"Diversion: <sip:bob@192.0.2.1>;reason=user-busy;counter=1;privacy=off\r\n"
		"Diversion: "
		"<sip:+4930123@192.0.2.1;user=phone>;reason=unconditional;counter=1;privacy=full\r\n");
	/* Routing on the way is no diversion. */
	assert_string_equal(
		cross(*state, true, HIDE_INVITE,
			"History-Info: <sip:a@corp.example>;index=1, <sip:b@corp.example>;index=1.1\r\n"),
		"");
}

static void test_the_form_that_is_wanted_is_taken_where_both_come(void **state)
{
	char both[2048];

	snprintf(both, sizeof(both), "%sDiversion: <sip:z@corp.example>\r\n", history);
	to_profile.diversion = CONFIG_DIVERSION_DIVERSION;
	assert_string_equal(cross(*state, true, HIDE_INVITE, both),
		"Diversion: <sip:z@192.0.2.1>;reason=unknown;counter=1;privacy=off\r\n");
	to_profile.diversion = CONFIG_DIVERSION_DROP;
	assert_string_equal(cross(*state, true, HIDE_INVITE, both), "");
}

static void test_private_entries_are_nobodys_outside_of_the_trust_domain(void **state)
{
	to_leg.realm = &untrusted;
	assert_string_equal(cross(*state, true, HIDE_INVITE, diversion),
		"Diversion: \"Bob\" <sip:bob@192.0.2.1>;reason=user-busy;counter=1;privacy=off\r\n"
		"Diversion: "
		"<sip:anonymous@anonymous.invalid>;reason=unconditional;counter=1;privacy=full\r\n");
	assert_string_equal(
		cross(*state, true, HIDE_INVITE,
			"Privacy: history\r\nHistory-Info: <sip:a@corp.example;cause=302>;index=1\r\n"),
		"History-Info: <sip:anonymous@anonymous.invalid;cause=302>;index=1\r\n");
}

static void test_what_cannot_be_read_is_left_out(void **state)
{
	assert_string_equal(cross(*state, true, HIDE_INVITE,
				    "Diversion: corp.example\r\nDiversion: <sip:a@corp.example;reason=x\r\n"
				    "History-Info: <sip:a@corp.example;cause=99999>;index=10.0.0.5\r\n"),
		"History-Info: <sip:a@192.0.2.1>;index=1\r\n");
}

static void test_headers_drop_holds_for_what_is_made_of_them(void **state)
{
	static char name[] = "Diversion";
	static char *names[] = { name };

	from_profile.headers_drop = (struct config_strings){ names, 1 };
	to_profile.diversion = CONFIG_DIVERSION_HISTORY_INFO;
	assert_string_equal(cross(*state, true, HIDE_INVITE, diversion), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_is_relayed_as_it_is_with_our_host),
		TEST(test_diversions_become_history_from_the_oldest_to_whom_the_call_is_for),
		TEST(test_diversions_that_are_only_counted_are_unknown_places_and_bounded),
		TEST(test_history_becomes_diversions_newest_first),
		TEST(test_the_form_that_is_wanted_is_taken_where_both_come),
		TEST(test_private_entries_are_nobodys_outside_of_the_trust_domain),
		TEST(test_what_cannot_be_read_is_left_out),
		TEST(test_headers_drop_holds_for_what_is_made_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
