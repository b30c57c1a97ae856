/* SPDX-License-Identifier: BSD-3-Clause */
/* Bandwidth and telephone events in SDP: what a description allows the other side, whatever its numbers are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controlplane/sdp.h"
#include "tests/unit/controlplane/exact.h"
#include "tests/unit/controlplane/sip_limits.h"

static const struct config_sip limits = { SIP_SDP_LIMITS };

static struct sdp sdp;

/* A description with these lines at session level and these behind its m= line. */
static const struct sdp_media *described(const char *session, const char *media)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
		"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n%st=0 0\r\n"
		"m=audio 4000 RTP/AVP 0 101\r\n%s",
		session, media);
	struct span body = exact_copy(text, (size_t)n);

	memset(&sdp, 0xa5, sizeof(sdp));
	assert_int_equal(sdp_parse(&sdp, body, &limits), 0);
	return &sdp.media[0];
}

static uint32_t limit_of(const char *session, const char *media)
{
	return sdp_bandwidth_limit(&described(session, media)->bandwidth);
}

static void nothing_named_is_no_limit(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", ""), 0);
	assert_int_equal(
		limit_of("b=CT:1000\r\n", "b=X-YZ:5\r\nb=AS:\r\nb=AS:x\r\nb=AS:-5\r\nb=\r\nb=AS\r\n"), 0);
	/* RTCP alone says nothing about the media. */
	assert_int_equal(limit_of("", "b=RS:800\r\nb=RR:2400\r\n"), 0);
}

/* (64 kbit/s + 5 % of it) + a quarter of both + 48 kbit/s of headers */
static void application_specific_bandwidth_has_rtcp_and_a_margin_on_top(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", "b=AS:64\r\n"), 132);
	assert_int_equal(limit_of("", "b=as:64\n"), 132);
	/* PCMU at 10 ms over IPv6 is 112 kbit/s, of which many name 64. */
	assert_true(limit_of("", "b=AS:64\r\n") > 112);
}

/* RFC 3890 section 6.3: 64000 + 50 * 60 octets * 8 = 88000; 5 %, a quarter, 48 kbit/s. */
static void transport_independent_bandwidth_gets_its_headers(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", "b=TIAS:64000\r\na=maxprate:50\r\n"), 164);
	assert_int_equal(limit_of("a=maxprate:49.3\r\n", "b=TIAS:64000\r\n"), 164);
	/* No packet rate: a hundred a second, or packets of 500 octets. */
	assert_int_equal(limit_of("", "b=TIAS:64000\r\n"), 195);
	assert_int_equal(limit_of("", "b=TIAS:2000000\r\n"), 2988);
}

static void of_both_the_larger_counts(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", "b=AS:64\r\nb=TIAS:64000\r\na=maxprate:50\r\n"), 164);
	assert_int_equal(limit_of("", "b=AS:1000\r\nb=TIAS:64000\r\n"), limit_of("", "b=AS:1000\r\n"));
	assert_int_equal(limit_of("", "b=AS:64\r\nb=AS:1000\r\nb=AS:10\r\n"), limit_of("", "b=AS:1000\r\n"));
}

static void a_stream_that_names_none_has_the_sessions(void **state)
{
	(void)state;
	assert_int_equal(limit_of("b=AS:64\r\n", ""), 132);
	assert_int_equal(limit_of("b=AS:5000\r\nb=TIAS:5000000\r\n", "b=AS:64\r\n"), 132);
	assert_int_equal(limit_of("b=RS:0\r\nb=RR:0\r\n", "b=AS:64\r\n"), 128);
}

static void rtcp_bandwidth_replaces_the_five_per_cent(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", "b=AS:64\r\nb=RS:0\r\nb=RR:0\r\n"), 128);
	assert_int_equal(limit_of("", "b=AS:64\r\nb=RS:20000\r\nb=RR:60000\r\n"), 228);
	assert_int_equal(limit_of("", "b=AS:64\r\nb=RR:80000\r\n"), 228);
}

/* RFC 3264 section 5: no media is to be sent; that is a small limit, never none. */
static void a_bandwidth_of_zero_does_not_lift_the_limit(void **state)
{
	(void)state;
	assert_int_equal(limit_of("", "b=AS:0\r\n"), 48);
	assert_true(limit_of("", "b=TIAS:0\r\na=maxprate:0\r\n") > 0);
}

static void hostile_numbers_are_bounded(void **state)
{
	static const char *const lines[] = {
		"b=AS:18446744073709551615\r\n",
		"b=AS:99999999999999999999999999999999999999\r\n",
		"b=TIAS:18446744073709551615\r\na=maxprate:18446744073709551615.9\r\n",
		"b=AS:1\r\nb=RS:18446744073709551615\r\nb=RR:18446744073709551615\r\n",
		"b=AS:10000000\r\nb=TIAS:10000000000\r\nb=RS:10000000000\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(limit_of("", lines[i]), 10000000);
	assert_int_equal(limit_of("", "b=TIAS:64000\r\na=maxprate:x\r\n"), 195);
}

static void the_events_payload_type_is_found(void **state)
{
	(void)state;
	assert_int_equal(described("", "a=rtpmap:101 telephone-event/8000\r\n")->telephone_event, 101);
	assert_int_equal(described("", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 TELEPHONE-EVENT/48000\r\n"
				       "a=rtpmap:98 telephone-event/8000\r\n")
				 ->telephone_event,
		97);
	assert_int_equal(described("", "")->telephone_event, 0);
	assert_int_equal(described("a=rtpmap:101 telephone-event/8000\r\n", "")->telephone_event, 0);
}

static void what_is_no_payload_type_is_no_event(void **state)
{
	static const char *const lines[] = { "a=rtpmap:128 telephone-event/8000\r\n",
		"a=rtpmap:-1 telephone-event/8000\r\n", "a=rtpmap: telephone-event/8000\r\n",
		"a=rtpmap:0 telephone-event/8000\r\n", "a=rtpmap:101 telephone-events/8000\r\n",
		"a=rtpmap:101\r\n", "a=rtpmap:\r\n",
		"a=rtpmap:99999999999999999999 telephone-event/8000\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(described("", lines[i])->telephone_event, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, exact_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_named_is_no_limit),
		TEST(application_specific_bandwidth_has_rtcp_and_a_margin_on_top),
		TEST(transport_independent_bandwidth_gets_its_headers),
		TEST(of_both_the_larger_counts),
		TEST(a_stream_that_names_none_has_the_sessions),
		TEST(rtcp_bandwidth_replaces_the_five_per_cent),
		TEST(a_bandwidth_of_zero_does_not_lift_the_limit),
		TEST(hostile_numbers_are_bounded),
		TEST(the_events_payload_type_is_found),
		TEST(what_is_no_payload_type_is_no_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
