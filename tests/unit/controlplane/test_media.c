/* SPDX-License-Identifier: BSD-3-Clause */
/* Offer and answer against a dataplane that answers when told: what is leased, what each side is told, what is undone. */
#include "tests/unit/controlplane/media_fixture.h"

static void test_an_offer_leases_ports_and_its_answer_opens_both_sides(void **state)
{
	const struct dp_session_request *create;

	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	create = &fake_last(DP_SESSION_CREATE)->session;
	assert_int_equal(create->streams, 1);
	assert_int_equal(create->stream[0].kind, DP_MEDIA_RTP);
	assert_string_equal(create->stream[0].side[0].realm, "outside");
	assert_string_equal(create->stream[0].side[1].realm, "inside");
	assert_int_equal(create->stream[0].side[0].rtp.port, 4000);
	assert_int_equal(create->stream[0].side[0].latching, DP_LATCHING_LATCH);
	assert_int_equal(create->stream[0].side[0].signalling.family, 4); /* private address: behind a NAT */
	assert_int_equal(create->stream[0].side[1].rtp.family, 0);
	assert_int_equal(create->stream[0].side[1].flags, DP_SIDE_MUTED | DP_SIDE_QUIET);
	assert_int_equal(seen.ready, 0);
	fake_answer(0);
	assert_int_equal(seen.ready, 1);
	assert_non_null(strstr(write_for(1, PHONE), "c=IN IP4 10.0.0.1\r\n"));
	assert_non_null(strstr(write_for(1, PHONE), "m=audio 10010 RTP/AVP 0\r\n"));

	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	assert_int_equal(last_side(0, 0)->flags, 0);
	assert_int_equal(last_side(0, 1)->flags, 0);
	assert_int_equal(last_side(0, 1)->rtp.port, 6000);
	assert_int_equal(last_side(0, 1)->signalling.family, 0);
	assert_non_null(strstr(write_for(0, PBX), "c=IN IP4 198.51.100.1\r\n"));
}

static void test_early_media_flows_but_its_silence_is_no_alarm(void **state)
{
	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	fake_answer(0);
	assert_int_equal(media_answer(media, 1, span_from(PBX), false), 0);
	assert_int_equal(last_side(0, 0)->flags, DP_SIDE_QUIET);
	assert_int_equal(last_side(0, 1)->flags, DP_SIDE_QUIET);
	assert_true(media_offer_is_pending(media));
	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	assert_int_equal(last_side(0, 0)->flags, 0);
	assert_false(media_offer_is_pending(media));
}

static void test_an_answer_without_a_stream_is_none(void **state)
{
	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	fake_answer(0);
	assert_int_equal(
		media_answer(media, 1,
			SPAN("v=0\r\no=y 2 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"),
			true),
		-EPROTO);
	assert_true(media_offer_is_pending(media));
}

static void test_hold_mutes_who_holds_and_expects_nothing_of_who_is_held(void **state)
{
	static const struct {
		const char *offer;
		uint8_t holder, held;
		unsigned bits;
	} cases[] = {
		{ SDP("IP4 192.168.1.2", AUDIO("4000") "a=sendonly\r\n"), DP_SIDE_MUTED, DP_SIDE_QUIET, 1 },
		{ SDP("IP4 192.168.1.2", AUDIO("4000") "a=inactive\r\n"), DP_SIDE_MUTED | DP_SIDE_QUIET,
			DP_SIDE_QUIET, 1 },
		{ SDP("IP4 0.0.0.0", AUDIO("4000")), DP_SIDE_MUTED, DP_SIDE_QUIET, 1 },
		{ PHONE, 0, 0, 0 },
	};

	(void)state;
	establish();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(media_offer(media, 0, span_from(cases[i].offer)), 0);
		assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
		assert_int_equal(last_side(0, 0)->flags, cases[i].holder);
		assert_int_equal(last_side(0, 1)->flags, cases[i].held);
		assert_int_equal(media_held(media), cases[i].bits);
		/* 0.0.0.0 is no place: it stays where it was, and may play music from there. */
		assert_int_equal(last_side(0, 0)->rtp.port, 4000);
		fake_answer_all();
	}
}

static void test_what_is_committed_goes_on_until_the_answer_and_after_a_refusal(void **state)
{
	unsigned before;

	(void)state;
	establish();
	before = fake.count;
	assert_int_equal(media_offer(media, 0, span_from(SDP("IP4 192.168.1.3", AUDIO("4100")))), 0);
	assert_int_equal(media_offer(media, 1, span_from(PBX)), -EBUSY);
	media_reject(media);
	assert_int_equal(fake.count, before);
	/* With a stream more, ports were asked for: they are given back. */
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.3", AUDIO("4100") AUDIO("4102")))), 1);
	assert_int_equal(fake_last(DP_SESSION_UPDATE)->session.streams, 2);
	assert_int_equal(last_side(0, 0)->rtp.port, 4000); /* not moved yet */
	assert_int_equal(last_side(1, 0)->rtp.port, 4102);
	fake_answer_all();
	assert_int_equal(seen.ready, 2);
	media_reject(media);
	assert_int_equal(fake_last(DP_SESSION_UPDATE)->session.streams, 1);
	assert_int_equal(last_side(0, 0)->rtp.port, 4000);
}

static void test_a_refused_offer_leaves_what_was_written_and_no_version_is_used_twice(void **state)
{
	struct span in_force;
	char before[2048], text[2048];
	struct writer out;

	(void)state;
	establish();
	snprintf(before, sizeof(before), "%.*s", SPAN_FMT(media_written(media, 1)));
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.3", AUDIO("4100") "a=inactive\r\n"))), 0);
	assert_non_null(
		strstr(write_for(1, SDP("IP4 192.168.1.3", AUDIO("4100") "a=inactive\r\n")), " 2 IN IP4 "));
	media_reject(media);
	in_force = media_written(media, 1);
	assert_true(span_equal(in_force, span_from(before)));
	assert_true(media_is_known(media, 0, span_from(PHONE)));
	assert_false(
		media_is_known(media, 0, span_from(SDP("IP4 192.168.1.3", AUDIO("4100") "a=inactive\r\n"))));
	assert_false(media_is_known(media, 1, span_from(PHONE)));
	writer_init(&out, text, sizeof(text) - 1);
	assert_int_equal(media_restate(media, 1, &out), 0);
	text[out.len] = '\0';
	assert_non_null(strstr(text, " 3 IN IP4 "));
	assert_string_equal(strstr(text, "\r\ns="), strstr(before, "\r\ns="));
}

static void test_what_was_last_said_is_an_answer_only_if_its_directions_are(void **state)
{
	(void)state;
	establish();
	/* Side 1 offers to send and receive, side 0 answers that it holds: told again, that needs another answer than the offer was. */
	assert_int_equal(media_offer(media, 1, span_from(SDP("IP4 10.0.0.5", AUDIO("6002")))), 0);
	write_for(0, SDP("IP4 10.0.0.5", AUDIO("6002")));
	assert_int_equal(media_answer(media, 0,
				 span_from(SDP("IP4 192.168.1.2", AUDIO("4000") "a=sendonly\r\n")), true),
		0);
	assert_false(
		media_is_known(media, 0, span_from(SDP("IP4 192.168.1.2", AUDIO("4000") "a=sendonly\r\n"))));
}

static void test_a_moved_address_reaches_the_dataplane_with_the_answer(void **state)
{
	(void)state;
	establish();
	assert_int_equal(media_offer(media, 1, span_from(SDP("IP4 10.0.0.6", AUDIO("6100")))), 0);
	assert_int_equal(media_answer(media, 0, span_from(PHONE), true), 0);
	assert_int_equal(last_side(0, 1)->rtp.port, 6100);
	assert_int_equal(last_side(0, 0)->rtp.port, 4000);
}

static void test_streams_of_other_kinds_are_refused_one_by_one(void **state)
{
	const char *const offer = SDP(
		"IP4 192.168.1.2", "m=audio 4000 RTP/SAVP 0\r\n" AUDIO(
					   "4002") "m=image 4004 udptl t38\r\nm=message 9 TCP/MSRP *\r\n");
	const char *text;

	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(offer)), 1);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[0].kind, DP_MEDIA_NONE);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[1].kind, DP_MEDIA_RTP);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[2].kind, DP_MEDIA_OTHER);
	fake_answer(0);
	text = write_for(1, offer);
	assert_non_null(strstr(text, "m=audio 0 RTP/SAVP 0\r\n"));
	assert_non_null(strstr(text, "m=audio 10110 RTP/AVP 0\r\n"));
	assert_non_null(strstr(text, "m=message 0 TCP/MSRP *\r\n"));
}

static void test_other_media_over_udp_are_relayed_untouched_and_video_is_rtp(void **state)
{
	const char *const offer = SDP("IP4 192.168.1.2",
		"m=video 4000 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\nm=application 4002 UDP/BFCP *\r\n"
		"a=floorctrl:c-s\r\nm=application 4004 udp wb\r\nm=image 4006 UDPTL t38\r\n"
		"m=application 9 TCP/BFCP *\r\nm=application 4008 UDP/DTLS/SCTP webrtc-datachannel\r\n");
	static const uint8_t kinds[] = { DP_MEDIA_RTP, DP_MEDIA_OTHER, DP_MEDIA_OTHER, DP_MEDIA_OTHER,
		DP_MEDIA_NONE, DP_MEDIA_NONE };
	const char *text;

	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(offer)), 1);
	for (size_t i = 0; i < sizeof(kinds); i++)
		assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[i].kind, kinds[i]);
	fake_answer(0);
	text = write_for(1, offer);
	assert_non_null(strstr(text, "m=video 10010 RTP/AVPF 96\r\n"));
	assert_non_null(strstr(text, "m=application 10110 UDP/BFCP *\r\na=floorctrl:c-s\r\n"));
	assert_non_null(strstr(text, "m=application 0 TCP/BFCP *\r\n"));
	assert_non_null(strstr(text, "m=application 0 UDP/DTLS/SCTP"));
}

static void test_what_a_side_may_send_is_what_the_other_side_wants_to_get(void **state)
{
	const char *const phone = SDP("IP4 192.168.1.2", "m=audio 4000 RTP/AVP 0 101\r\nb=AS:64\r\n"
							 "a=rtpmap:101 telephone-event/8000\r\n");
	const char *const pbx =
		SDP("IP4 10.0.0.5", "m=audio 6000 RTP/AVP 0 97\r\nb=AS:1000\r\nb=RS:0\r\nb=RR:0\r\n"
				    "a=rtpmap:97 telephone-event/8000\r\n");
	const struct dp_session_request *create;

	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(phone)), 1);
	create = &fake_last(DP_SESSION_CREATE)->session;
	assert_int_equal(create->stream[0].side[1].rate_limit, 132);
	assert_int_equal(create->stream[0].side[1].telephone_event, 101);
	assert_int_equal(create->stream[0].side[0].rate_limit, 0);
	assert_int_equal(create->stream[0].side[0].telephone_event, 0);
	fake_answer(0);
	assert_int_equal(media_answer(media, 1, span_from(pbx), true), 0);
	assert_int_equal(last_side(0, 0)->rate_limit, 1298);
	assert_int_equal(last_side(0, 0)->telephone_event, 97);
	assert_int_equal(last_side(0, 1)->rate_limit, 132);
	fake_answer_all();
	/* A later description of the phone names none: the limit on what is sent to it goes. */
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 0);
	assert_int_equal(media_answer(media, 1, span_from(pbx), true), 0);
	assert_int_equal(last_side(0, 1)->rate_limit, 0);
	assert_int_equal(last_side(0, 1)->telephone_event, 0);
	assert_int_equal(last_side(0, 0)->rate_limit, 1298);
}

static void test_an_offer_of_nothing_that_can_be_relayed_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.2", "m=audio 4000 RTP/SAVP 0\r\n"))),
		-EKEYREJECTED);
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.2", AUDIO("0")))), -EPROTONOSUPPORT);
	assert_int_equal(media_offer(media, 0, span_from("nonsense")), -EINVAL);
	assert_int_equal(fake.count, 0);
}

static void test_a_stream_refused_by_the_answer_is_given_back(void **state)
{
	(void)state;
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.2", AUDIO("4000") AUDIO("4002")))), 1);
	fake_answer(0);
	assert_int_equal(
		media_answer(media, 1, span_from(SDP("IP4 10.0.0.5", AUDIO("6000") AUDIO("0"))), true), 0);
	assert_int_equal(fake_last(DP_SESSION_UPDATE)->session.streams, 1);
}

static void test_addresses_nobody_can_be_at_are_not_signalled(void **state)
{
	static const char *const addresses[] = { "IP4 127.0.0.1", "IP4 224.0.0.1", "IP4 255.255.255.255",
		"IP6 ff02::1", "IP6 ::1", "IP4 host.example" };

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char offer[256];

		snprintf(offer, sizeof(offer),
			"v=0\r\no=x 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN %s\r\nt=0 0\r\n" AUDIO("4000"),
			addresses[i]);
		if (media_offer(media, 0, span_from(offer)) != 1)
			continue;
		assert_int_equal(fake.request[fake.count - 1].session.stream[0].side[0].rtp.family, 0);
		assert_true(fake.request[fake.count - 1].session.stream[0].side[0].flags & DP_SIDE_MUTED);
		fake_answer(0);
		media_reject(media);
		fake_answer_all();
	}
	assert_true(fake.count > 0);
}

static void test_each_side_has_the_family_of_its_realm(void **state)
{
	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(SDP("IP6 2001:db8:2::9", AUDIO("4000")))), 1);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[0].side[0].family, 6);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[0].side[1].family, 4);
	fake_answer(0);
	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	assert_non_null(strstr(write_for(0, PBX), "c=IN IP6 2001:db8::1\r\n"));
}

static void test_the_origins_version_counts_only_when_the_description_changes(void **state)
{
	char first[2048];

	(void)state;
	establish();
	snprintf(first, sizeof(first), "%s", write_for(1, PHONE));
	assert_string_equal(write_for(1, PHONE), first);
	assert_non_null(strstr(first, " 1 IN IP4 10.0.0.1\r\n"));
	assert_non_null(strstr(write_for(1, SDP("IP4 192.168.1.2", AUDIO("4000") "a=sendonly\r\n")),
		" 2 IN IP4 10.0.0.1\r\n"));
	assert_int_equal(strncmp(first, media_written(media, 1).p, 20), 0); /* the same session id */
}

static void test_no_ports_is_reported_and_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	fake_answer(-ENOSPC);
	assert_int_equal(seen.ready, 1);
	assert_int_equal(seen.status, -ENOSPC);
	assert_false(media_offer_is_pending(media));
	fake.down = true;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), -ENOTCONN);
}

static void test_a_lease_that_comes_after_the_end_is_given_back(void **state)
{
	(void)state;
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	media_close(media, on_closed, &seen);
	media = NULL;
	assert_int_equal(seen.closed, 0);
	fake_answer(0);
	assert_int_equal(fake_last(DP_SESSION_DELETE)->id, 1);
	fake_answer(0);
	assert_int_equal(seen.closed, 1);
	assert_int_equal(seen.ready, 0);
}

static void test_what_was_missed_while_the_dataplane_was_away_is_said_again(void **state)
{
	unsigned before;

	(void)state;
	establish();
	fake.down = true;
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.2", AUDIO("4000") "a=inactive\r\n"))), 0);
	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	before = fake.count;
	fake.down = false;
	media_resync(media);
	assert_int_equal(fake.count, before + 1);
	assert_true(last_side(0, 0)->flags & DP_SIDE_MUTED);
	fake_answer_all();
	media_resync(media);
	assert_int_equal(fake.count, before + 1);
}

static void test_a_session_the_dataplane_does_not_know_is_lost(void **state)
{
	(void)state;
	establish();
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 0);
	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	fake_answer(-ENOENT);
	assert_int_equal(seen.lost, 1);
}

static void test_a_side_is_silent_when_all_its_streams_are(void **state)
{
	(void)state;
	assert_int_equal(
		media_offer(media, 0, span_from(SDP("IP4 192.168.1.2", AUDIO("4000") AUDIO("4002")))), 1);
	fake_answer(0);
	assert_int_equal(
		media_answer(media, 1, span_from(SDP("IP4 10.0.0.5", AUDIO("6000") AUDIO("6002"))), true), 0);
	assert_false(media_silent(media, 0, 0));
	assert_false(media_silent(media, 1, 1));
	assert_false(media_silent(media, 9, 0));
	assert_true(media_silent(media, 1, 0));
}

#define FRIEND SDP("IP4 192.168.1.3", AUDIO("6000"))

/* Both sides are phones, the second seen at `source`. */
static void be_neighbours(const char *source, bool first_allows, bool second_allows)
{
	struct media_party party = { .realm = &realms[1], .profile = &profiles[1] };

	profiles[0].local_media = first_allows;
	profiles[1] = profiles[0];
	profiles[1].local_media = second_allows;
	assert_int_equal(address_parse(span_from(source), 0, &party.signalling), 0);
	media_set_party(media, 1, &party);
}

static void test_two_phones_behind_one_nat_are_told_of_each_other(void **state)
{
	const char *text;

	(void)state;
	be_neighbours("203.0.113.9:5062", true, true);
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	fake_answer(0);
	text = write_for(1, PHONE);
	assert_non_null(strstr(text, "\r\nc=IN IP4 192.168.1.2\r\n"));
	assert_non_null(strstr(text, "m=audio 4000 RTP/AVP 0\r\n"));
	/* In o= it is still us. */
	assert_null(strstr(strstr(text, "192.168.1.2") + 1, "192.168.1.2"));
	assert_int_equal(media_answer(media, 1, span_from(FRIEND), true), 0);
	text = write_for(0, FRIEND);
	assert_non_null(strstr(text, "\r\nc=IN IP4 192.168.1.3\r\n"));
	assert_non_null(strstr(text, "m=audio 6000 RTP/AVP 0\r\n"));
	/* The relay expects nothing, and says nothing of it. */
	assert_true(last_side(0, 0)->flags & DP_SIDE_QUIET);
	assert_true(last_side(0, 1)->flags & DP_SIDE_QUIET);
	assert_false(media_silent(media, 0, 0));
}

static void test_media_stays_here_unless_all_of_it_is_so(void **state)
{
	static const struct {
		const char *source, *offer, *answer;
		bool first, second, local;
	} rows[] = {
		{ "203.0.113.9:5062", PHONE, FRIEND, true, true, true },
		{ "203.0.113.10:5062", PHONE, FRIEND, true, true, false }, /* another host */
		{ "203.0.113.9:5062", PHONE, FRIEND, true, false, false },
		{ "203.0.113.9:5062", PHONE, FRIEND, false, true, false },
		/* The NAT's address instead of its own: who was told of the other may answer so, who offers it does not want that. */
		{ "203.0.113.9:5062", PHONE, SDP("IP4 203.0.113.9", AUDIO("6000")), true, true, true },
		{ "203.0.113.9:5062", SDP("IP4 203.0.113.9", AUDIO("4000")), FRIEND, true, true, false },
		{ "203.0.113.9:5062", PHONE, SDP("IP4 198.51.100.7", AUDIO("6000")), true, true, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be_neighbours(rows[i].source, rows[i].first, rows[i].second);
		assert_int_equal(media_offer(media, 0, span_from(rows[i].offer)), 1);
		fake_answer(0);
		write_for(1, rows[i].offer);
		assert_int_equal(media_answer(media, 1, span_from(rows[i].answer), true), 0);
		if ((strstr(write_for(0, rows[i].answer), "m=audio 6000 ") != NULL) != rows[i].local)
			fail_msg("row %zu", i);
		teardown(state);
		setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_two_phones_behind_one_nat_are_told_of_each_other),
		TEST(test_media_stays_here_unless_all_of_it_is_so),
		TEST(test_an_offer_leases_ports_and_its_answer_opens_both_sides),
		TEST(test_early_media_flows_but_its_silence_is_no_alarm),
		TEST(test_an_answer_without_a_stream_is_none),
		TEST(test_hold_mutes_who_holds_and_expects_nothing_of_who_is_held),
		TEST(test_what_is_committed_goes_on_until_the_answer_and_after_a_refusal),
		TEST(test_a_refused_offer_leaves_what_was_written_and_no_version_is_used_twice),
		TEST(test_what_was_last_said_is_an_answer_only_if_its_directions_are),
		TEST(test_a_moved_address_reaches_the_dataplane_with_the_answer),
		TEST(test_streams_of_other_kinds_are_refused_one_by_one),
		TEST(test_other_media_over_udp_are_relayed_untouched_and_video_is_rtp),
		TEST(test_what_a_side_may_send_is_what_the_other_side_wants_to_get),
		TEST(test_an_offer_of_nothing_that_can_be_relayed_is_refused),
		TEST(test_a_stream_refused_by_the_answer_is_given_back),
		TEST(test_addresses_nobody_can_be_at_are_not_signalled),
		TEST(test_each_side_has_the_family_of_its_realm),
		TEST(test_the_origins_version_counts_only_when_the_description_changes),
		TEST(test_no_ports_is_reported_and_leaves_nothing),
		TEST(test_a_lease_that_comes_after_the_end_is_given_back),
		TEST(test_what_was_missed_while_the_dataplane_was_away_is_said_again),
		TEST(test_a_session_the_dataplane_does_not_know_is_lost),
		TEST(test_a_side_is_silent_when_all_its_streams_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
