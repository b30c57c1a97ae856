/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done with the media of a side: rate, events, reports, learning it anew, hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/call.h"

enum { SECOND = 1000000, EVENT_TYPE = 101, VOICE = 160, G711_KBIT = 80, PACKETS_PER_SECOND = 50 };

static const char A[] = "10.0.1.5", B[] = "10.0.2.5";

/* One RTP packet of side `k`. */
static void speak(
	struct call *c, unsigned k, uint8_t type, uint16_t sequence, uint32_t timestamp, uint32_t ssrc)
{
	uint8_t p[RTP_HEADER + VOICE] = { 0x80, type };

	store_u16(p + 2, htons(sequence));
	store_u32(p + 4, htonl(timestamp));
	store_u32(p + 8, htonl(ssrc));
	arrive(c, k, k == 0 ? A : B, k == 0 ? 4000 : 5000, 0, p, sizeof(p));
}

/* `seconds` of 20 ms packets of side 0 at `speed` times their pace; returns how many were relayed. */
static unsigned talk(struct call *c, uint64_t *us, uint16_t *sequence, unsigned seconds, unsigned speed)
{
	unsigned relayed = 0;

	for (unsigned i = 0; i < seconds * PACKETS_PER_SECOND * speed; i++) {
		*us += SECOND / PACKETS_PER_SECOND / speed;
		call_time(c, 0, *us);
		speak(c, 0, 0, *sequence, *sequence * 160U, 7);
		(*sequence)++;
		relayed += wires[1].count;
		wire_clear();
	}
	return relayed;
}

static uint64_t policed(const struct call *c)
{
	return c->dp->shared.workers[0].counter[DP_COUNTER_DROP_POLICED];
}

static void a_stream_at_its_rate_passes_for_ever_and_twice_of_it_passes_half(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct dp_counters from[2];
	uint64_t us = SECOND;
	uint16_t sequence = 0;
	struct call c;

	(void)state;
	q.stream[0].side[0].rate_limit = G711_KBIT; /* exactly 50 packets of 200 octets */
	call_open(&c, &q, 1);
	assert_int_equal(talk(&c, &us, &sequence, 100, 1), 5000);
	assert_int_equal(policed(&c), 0);
	unsigned relayed = talk(&c, &us, &sequence, 10, 2);
	assert_in_range(relayed, 500, 570); /* the rate, and the burst of a second */
	assert_int_equal(policed(&c), 1000 - relayed);
	counters_of(&c, from);
	assert_int_equal(from[0].packets, 6000); /* all have arrived, none is lost in the network */
	assert_int_equal(from[0].lost, 0);
	assert_int_equal(from[0].policed, 1000 - relayed);
	assert_int_equal(from[0].relayed, 5000 + relayed);
	assert_int_equal(talk(&c, &us, &sequence, 1, 1), 49 + 1);
	wire_bed_free(c.dp);
}

static void rtp_and_rtcp_of_a_side_share_its_rate(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct dp_counters from[2];
	unsigned sent = 0;
	struct call c;

	(void)state;
	q.stream[0].side[0].rate_limit = 8; /* a second holds 1000 octets; four full packets are more */
	call_open(&c, &q, 1);
	call_time(&c, 1, 0);
	for (unsigned i = 0; i < 40; i++)
		speak(&c, 0, 0, (uint16_t)i, i * 160, 7);
	for (unsigned d = 0; d < WIRE_DEVICES; d++)
		sent += wires[d].count;
	wire_clear();
	assert_in_range(sent, 30, 31); /* 6000 octets */
	uint64_t before = policed(&c);
	for (unsigned i = 0; i < 10; i++)
		arrive(&c, 0, A, 4001, 1, rtcp, sizeof(rtcp));
	assert_in_range(wires[1].count, 0, 4);
	assert_int_equal(policed(&c) - before, 10 - wires[1].count);
	wire_clear();
	arrive(&c, 1, B, 5000, 0, rtp, sizeof(rtp)); /* the other side has its own, none */
	assert_sent(&c, 0, 0, A, 4000, rtp, sizeof(rtp));
	counters_of(&c, from);
	assert_int_equal(from[0].rtcp_packets, 10);
	assert_int_equal(from[0].relayed, sent);
	wire_bed_free(c.dp);
}

static void a_description_without_bandwidth_gets_the_realms_rate_and_an_update_another(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	uint64_t us = SECOND;
	uint16_t sequence = 0;
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	assert_int_equal(talk(&c, &us, &sequence, 5, 4), 1000); /* no limit anywhere */
	c.dp->pools.realm[0].media_rate = G711_KBIT;
	call_update(&c);
	assert_in_range(talk(&c, &us, &sequence, 10, 2), 500, 570);
	c.q.stream[0].side[0].rate_limit = 3 * G711_KBIT;
	call_update(&c);
	(void)talk(&c, &us, &sequence, 1, 1); /* what was owed at the old rate */
	assert_int_equal(talk(&c, &us, &sequence, 10, 2), 1000);
	wire_bed_free(c.dp);
}

static void strangers_packets_do_not_use_up_a_sides_rate(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	q.stream[0].side[0].rate_limit = 8;
	call_open(&c, &q, 1);
	call_time(&c, 1, 0);
	for (unsigned i = 0; i < 1000; i++)
		arrive(&c, 0, "10.0.1.66", 4000, 0, rtp, sizeof(rtp));
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	assert_int_equal(policed(&c), 0);
	wire_bed_free(c.dp);
}

static uint64_t events_of(struct call *c)
{
	struct dp_counters from[2];

	counters_of(c, from);
	assert_int_equal(from[1].events, 0);
	return from[0].events;
}

static void an_event_counts_once_however_often_it_is_repeated(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	uint16_t n = 0;
	struct call c;

	(void)state;
	q.stream[0].side[0].telephone_event = EVENT_TYPE;
	call_open(&c, &q, 1);
	speak(&c, 0, 0, n++, 160, 7);
	assert_int_equal(events_of(&c), 0);
	for (unsigned digit = 1; digit <= 3; digit++) {
		for (unsigned i = 0; i < 8; i++) /* updates, then the end three times */
			speak(&c, 0, (uint8_t)(EVENT_TYPE | (i == 0 ? 0x80 : 0)), n++, digit * 1600, 7);
		assert_int_equal(events_of(&c), digit);
		speak(&c, 0, 0, n++, digit * 1600 + 800, 7);
	}
	speak(&c, 0, EVENT_TYPE, 10, 1600, 7); /* the network was late */
	assert_int_equal(events_of(&c), 3);
	speak(&c, 0, EVENT_TYPE | 0x80, n++, 1600, 8); /* another source's clock is another one */
	assert_int_equal(events_of(&c), 4);
	speak(&c, 1, EVENT_TYPE, 1, 1600, 9); /* that side never said it sends any */
	assert_int_equal(events_of(&c), 4);
	wire_bed_free(c.dp);
}

static void a_key_held_for_long_is_one_event(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	q.stream[0].side[0].telephone_event = EVENT_TYPE;
	call_open(&c, &q, 1);
	speak(&c, 0, EVENT_TYPE | 0x80, 1, 5000, 7);
	speak(&c, 0, EVENT_TYPE, 2, 5000 + 0xffff, 7); /* RFC 4733 section 2.5.1.3 */
	speak(&c, 0, EVENT_TYPE, 3, 5000 + 2 * 0xffff, 7);
	assert_int_equal(events_of(&c), 1);
	speak(&c, 0, EVENT_TYPE | 0x80, 4, 5000 + 3 * 0xffff, 7);
	assert_int_equal(events_of(&c), 2);
	wire_bed_free(c.dp);
}

static void an_event_too_short_to_be_one_is_relayed_and_not_counted(void **state)
{
	static const struct {
		size_t length;
		uint8_t bytes[24];
		unsigned events;
	} packets[] = {
		{ 12, { 0x80, EVENT_TYPE }, 0 },
		{ 15, { 0x80, EVENT_TYPE }, 0 },
		{ 16, { 0x81, EVENT_TYPE }, 0 }, /* a CSRC and nothing else */
		{ 20, { 0xa0, EVENT_TYPE, [19] = 5 }, 0 }, /* five of these eight are padding */
		{ 20, { 0x90, EVENT_TYPE, [15] = 1 }, 0 }, /* an extension */
		{ 20, { 0xa0, EVENT_TYPE, [19] = 4 }, 1 },
	};
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	q.stream[0].side[0].telephone_event = EVENT_TYPE;
	call_open(&c, &q, 1);
	for (unsigned i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		arrive(&c, 0, A, 4000, 0, packets[i].bytes, packets[i].length);
		assert_sent(&c, 1, 0, B, 5000, packets[i].bytes, packets[i].length);
		assert_int_equal(events_of(&c), packets[i].events);
	}
	wire_bed_free(c.dp);
}

static void a_sample_of_dropped_media_has_its_headers_and_not_what_was_said(void **state)
{
	static const uint8_t digit[] = { 0x80, EVENT_TYPE, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 7, 10, 0, 160 };
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct drop_sample sample;
	struct call c;

	(void)state;
	q.stream[0].side[1].flags = DP_SIDE_MUTED;
	call_open(&c, &q, 1);
	arrive(&c, 0, A, 4000, 0, digit, sizeof(digit));
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	assert_int_equal(
		rte_ring_sc_dequeue_elem(c.dp->shared.workers[0].sampler.ring, &sample, sizeof(sample)), 0);
	assert_int_equal(sample.captured, 14 + 20 + 8 + RTP_HEADER);
	assert_int_equal(sample.length, 14 + 20 + 8 + sizeof(digit));
	assert_int_equal(sample.interface, 0);
	wire_bed_free(c.dp);
}

static void media_whose_way_out_is_gone_is_not_relayed_and_its_sample_says_nothing_either(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct dp_counters from[2];
	struct drop_sample sample;
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	uint16_t device = c.dp->shared.interface[1].device;
	c.dp->shared.interface[1].device = DEVICE_NONE;
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_PORT_DOWN);
	assert_int_equal(
		rte_ring_sc_dequeue_elem(c.dp->shared.workers[0].sampler.ring, &sample, sizeof(sample)), 0);
	assert_int_equal(sample.captured, 14 + 20 + 8 + RTP_HEADER);
	assert_int_equal(sample.interface, 0);
	assert_int_equal(c.dp->shared.workers[0].counter[DP_COUNTER_MEDIA_RELAYED], 0);
	counters_of(&c, from);
	assert_int_equal(from[0].packets, 1);
	assert_int_equal(from[0].relayed, 0);
	c.dp->shared.interface[1].device = device;
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

static void payload_type_0_is_voice_where_no_events_were_negotiated(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	for (uint16_t i = 0; i < 5; i++)
		speak(&c, 0, 0, i, i * 160000U, 7);
	assert_int_equal(events_of(&c), 0);
	wire_bed_free(c.dp);
}

/* A sender report of `ssrc` whose middle timestamp is `ntp`; with a block about `about` if that is not 0. */
static size_t report(
	uint8_t *p, uint32_t ssrc, uint32_t ntp, uint32_t about, uint32_t lost, uint32_t lsr, uint32_t dlsr)
{
	size_t n = about != 0 ? 52 : 28;

	memset(p, 0, n);
	p[0] = about != 0 ? 0x81 : 0x80;
	p[1] = 200;
	store_u16(p + 2, htons((uint16_t)(n / 4 - 1)));
	store_u32(p + 4, htonl(ssrc));
	store_u32(p + 10, htonl(ntp));
	if (about != 0) {
		store_u32(p + 28, htonl(about));
		store_u32(p + 32, htonl(lost));
		store_u32(p + 40, htonl(80)); /* jitter: 10 ms at 8000 Hz */
		store_u32(p + 44, htonl(lsr));
		store_u32(p + 48, htonl(dlsr));
	}
	return n;
}

enum { SSRC_A = 0xa, SSRC_B = 0xb, NTP = 0x12345678 };

static void reports_open(struct call *c, uint8_t flags)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);

	q.stream[0].side[0].flags = q.stream[0].side[1].flags = flags;
	call_open(c, &q, 1);
	call_time(c, 10, 0);
	speak(c, 0, 0, 1, 160, SSRC_A);
	speak(c, 1, 0, 1, 160, SSRC_B);
	wire_clear();
}

static void arrive_report(struct call *c, unsigned k, unsigned component, uint8_t *p, size_t n)
{
	arrive(c, k, k == 0 ? A : B, (uint16_t)((k == 0 ? 4000 : 5000) + component), component, p, n);
	assert_int_equal(wires[1 - k].count, 1);
	wire_clear();
}

static void reports_tell_the_far_ends_loss_and_the_round_trip_on_both_kinds_of_port(void **state)
{
	uint8_t p[64];
	struct dp_counters from[2];
	struct call c;

	(void)state;
	for (unsigned mux = 0; mux < 2; mux++) {
		unsigned component = 1 - mux;

		reports_open(&c, mux ? DP_SIDE_RTCP_MUX : 0);
		counters_of(&c, from);
		assert_int_equal(from[1].far_reported, 0);
		arrive_report(&c, 0, component, p, report(p, SSRC_A, NTP, 0, 0, 0, 0));
		call_time(&c, 12, 30000); /* B answers after two seconds and 30 ms */
		arrive_report(
			&c, 1, component, p, report(p, SSRC_B, 1, SSRC_A, 0x40000007, NTP, 2 * 0x10000));
		counters_of(&c, from);
		assert_int_equal(from[1].far_reported, 1);
		assert_int_equal(from[1].far_lost_fraction, 0x40);
		assert_int_equal(from[1].far_lost, 7);
		assert_int_equal(from[1].far_jitter_us, 10000);
		assert_int_equal(from[1].round_trip_us, 30000);
		assert_int_equal(from[0].far_reported, 0);
		assert_int_equal(from[0].round_trip_us, 0);
		call_time(&c, 13, 0); /* and A answers the one that B sent at 12.03 */
		arrive_report(&c, 0, component, p, report(p, SSRC_A, 2, SSRC_B, 0x00fffff0, 1, 0x8000));
		counters_of(&c, from);
		assert_int_equal(from[0].round_trip_us, 470000);
		assert_int_equal(from[0].far_lost, 0); /* it received duplicates: less than none lost */
		call_time(&c, 14, 10000); /* B: a shorter one; the longest stays */
		arrive_report(&c, 1, component, p, report(p, SSRC_B, 3, SSRC_A, 0, 2, 0x10000));
		counters_of(&c, from);
		assert_int_equal(from[1].round_trip_us, 10000);
		assert_int_equal(from[1].round_trip_max_us, 30000);
		wire_bed_free(c.dp);
	}
}

static void what_a_report_cannot_know_is_not_believed(void **state)
{
	uint8_t p[64];
	struct dp_counters from[2];
	struct call c;

	(void)state;
	reports_open(&c, 0);
	arrive_report(&c, 0, 1, p, report(p, SSRC_A, NTP, 0, 0, 0, 0));
	arrive_report(&c, 0, 1, p, report(p, 0x66, NTP + 1, 0, 0, 0, 0)); /* a stream that is not there */
	call_time(&c, 11, 0);
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, 0x99, 0x40000007, NTP, 0)); /* about another stream */
	counters_of(&c, from);
	assert_int_equal(from[1].far_reported, 0);
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP + 1, 0));
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP - 1, 0)); /* never sent */
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, 0, 0)); /* it had none yet */
	arrive_report(
		&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP, 2 * 0x10000)); /* held before it came */
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP, 0xffffffff));
	counters_of(&c, from);
	assert_int_equal(from[1].far_reported, 1);
	assert_int_equal(from[1].round_trip_us, 0);
	call_time(&c, 71, 1);
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP, 0)); /* over a minute */
	counters_of(&c, from);
	assert_int_equal(from[1].round_trip_us, 0);
	size_t n = report(p, SSRC_B, 1, SSRC_A, 0x7f000001, NTP, 0);
	p[0] = 0x9f; /* 31 blocks, where there is one */
	arrive_report(&c, 1, 1, p, n);
	counters_of(&c, from);
	assert_int_equal(from[1].far_lost_fraction, 0x7f);
	wire_bed_free(c.dp);
}

static void only_the_last_four_sender_reports_are_remembered(void **state)
{
	uint8_t p[64];
	struct dp_counters from[2];
	struct call c;

	(void)state;
	reports_open(&c, 0);
	for (uint32_t i = 0; i < 5; i++)
		arrive_report(&c, 0, 1, p, report(p, SSRC_A, NTP + i, 0, 0, 0, 0));
	call_time(&c, 10, 7000);
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP, 0));
	counters_of(&c, from);
	assert_int_equal(from[1].round_trip_us, 0);
	arrive_report(&c, 1, 1, p, report(p, SSRC_B, 1, SSRC_A, 0, NTP + 1, 0));
	counters_of(&c, from);
	assert_int_equal(from[1].round_trip_us, 7000);
	wire_bed_free(c.dp);
}

/* A telephone behind a NAT: signalling and media come from 10.0.1.99. */
static void relatch_open(struct call *c, uint8_t latching)
{
	struct dp_session_request q = bed_request("192.168.1.2", 4000, B, 5000);

	q.stream[0].side[0].latching = latching;
	q.stream[0].side[0].signalling = bed_address("10.0.1.99", 5060);
	call_open(c, &q, 1);
	call_time(c, 10, 0);
	arrive(c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp));
	assert_sent(c, 1, 0, B, 5000, rtp, sizeof(rtp));
}

static void watch_at(struct call *c, uint64_t seconds)
{
	call_time(c, seconds, 0);
	(void)watch_session(c->dp, session_find(&c->dp->sessions, c->id), seconds * SECOND);
}

static void after_a_silence_a_relatching_side_may_come_from_another_port(void **state)
{
	struct call c;

	(void)state;
	relatch_open(&c, DP_LATCHING_RELATCH);
	watch_at(&c, 15);
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp)); /* not yet: five seconds, not longer */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	watch_at(&c, 16);
	arrive(&c, 1, B, 5000, 0, rtp, sizeof(rtp)); /* a silent listener goes on to hear */
	assert_sent(&c, 0, 0, "10.0.1.99", 7000, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.66", 7001, 0, rtp, sizeof(rtp)); /* a stranger is one for ever */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.99", 7001, 0, "no RTP", 6);
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	arrive(&c, 1, B, 5000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.99", 7001, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp)); /* locked again */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	wire_bed_free(c.dp);
}

static void the_old_source_wins_if_it_speaks_again_first(void **state)
{
	struct call c;

	(void)state;
	relatch_open(&c, DP_LATCHING_RELATCH);
	watch_at(&c, 16);
	arrive(&c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	wire_bed_free(c.dp);
}

static void a_side_that_only_latches_stays_locked_however_long_it_is_silent(void **state)
{
	struct call c;

	(void)state;
	relatch_open(&c, DP_LATCHING_LATCH);
	watch_at(&c, 1000);
	call_update(&c);
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	wire_bed_free(c.dp);
}

static void a_signalling_event_lets_a_relatching_side_move_at_once(void **state)
{
	struct call c;

	(void)state;
	relatch_open(&c, DP_LATCHING_RELATCH);
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	call_update(&c); /* the same as before: a re-INVITE that changes nothing */
	arrive(&c, 1, B, 5000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.99", 7000, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.99", 7001, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	arrive(&c, 1, B, 5000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.99", 7001, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

static void a_side_that_moves_to_other_ports_goes_on_to_reach_the_learnt_one(void **state)
{
	struct call c;

	(void)state;
	relatch_open(&c, DP_LATCHING_LATCH);
	arrive(&c, 0, "10.0.1.99", 7005, 1, rtcp, sizeof(rtcp));
	assert_sent(&c, 1, 1, B, 5001, rtcp, sizeof(rtcp));
	c.q.stream[0].side[1].family = 6; /* the call goes to a peer with IPv6 */
	c.q.stream[0].side[1].rtp = bed_address("2001:db8:2::5", 5000);
	call_update(&c);
	arrive(&c, 1, "2001:db8:2::5", 5000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.99", 7000, rtp, sizeof(rtp));
	arrive(&c, 1, "2001:db8:2::5", 5001, 1, rtcp, sizeof(rtcp));
	assert_sent(&c, 0, 1, "10.0.1.99", 7005, rtcp, sizeof(rtcp));
	arrive(&c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "2001:db8:2::5", 5000, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

static void both_sides_behind_one_nat_are_told_apart_by_their_ports(void **state)
{
	struct dp_session_request q = bed_request("192.168.1.2", 4000, "192.168.1.3", 4000);
	struct call c;

	(void)state;
	memcpy(q.stream[0].side[1].realm, "access", 7);
	for (unsigned k = 0; k < 2; k++) {
		q.stream[0].side[k].latching = DP_LATCHING_LATCH;
		q.stream[0].side[k].signalling = bed_address("10.0.1.99", 5060);
	}
	call_open(&c, &q, 1);
	c.local[1] = c.local[0];
	assert_int_not_equal(c.port[0], c.port[1]);
	uint16_t ours[2] = { c.port[0], c.port[1] };
	arrive(&c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp)); /* the other has not been heard */
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t f[256];
		size_t n = wire_udp(f, "10.0.1.99", 8000, c.local[0], ours[1], rtp, sizeof(rtp));

		wire_receive(c.dp, 0, 0, wire_frame(0, f, n));
		c.port[0] = ours[0]; /* out and back by the one interface */
		assert_sent(&c, 0, 0, "10.0.1.99", 7000, rtp, sizeof(rtp));
		arrive(&c, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp));
		c.port[0] = ours[1];
		assert_sent(&c, 0, 0, "10.0.1.99", 8000, rtp, sizeof(rtp));
		c.port[0] = ours[0];
	}
	arrive(&c, 0, "10.0.1.99", 8000, 0, rtp, sizeof(rtp)); /* nor do they mix */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	wire_bed_free(c.dp);
}

static void hold_is_silent_without_a_report_and_media_goes_on_afterwards(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	call_time(&c, 10, 0);
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	c.q.stream[0].side[0].flags = c.q.stream[0].side[1].flags = DP_SIDE_QUIET | DP_SIDE_MUTED;
	call_update(&c); /* a=inactive */
	struct session *s = session_find(&c.dp->sessions, c.id);
	assert_int_equal(watch_session(c.dp, s, 100000ULL * SECOND), 0);
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	c.q.stream[0].side[0].flags = c.q.stream[0].side[1].flags = 0;
	c.q.session = c.id;
	assert_int_equal(session_update(&c.dp->sessions, &c.q, NULL, 100000ULL * SECOND), 0);
	assert_int_equal(watch_session(c.dp, s, 100060ULL * SECOND), 0);
	arrive(&c, 0, A, 4000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, B, 5000, rtp, sizeof(rtp));
	assert_int_equal(watch_session(c.dp, s, 100060ULL * SECOND + 1), 1);
	wire_bed_free(c.dp);
}

static void wrap_late_twice_and_another_source_all_pass_and_are_named(void **state)
{
	static const uint16_t numbers[] = { 65533, 65534, 1, 65535, 0, 2, 2, 5 };
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct dp_counters from[2];
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		speak(&c, 0, 0, numbers[i], numbers[i] * 160U, 7);
	speak(&c, 0, 0, 4711, 4711, 8);
	speak(&c, 0, 0, 4712, 4871, 8);
	assert_int_equal(wires[1].count, 10); /* the receiver sorts them out */
	counters_of(&c, from);
	assert_int_equal(from[0].packets, 10);
	assert_int_equal(from[0].relayed, 10);
	assert_int_equal(from[0].reordered, 2); /* 65535 and 0 */
	assert_int_equal(from[0].duplicate, 1);
	assert_int_equal(from[0].lost, 2); /* 3 and 4 */
	assert_int_equal(from[0].ssrc_changes, 1);
	assert_int_equal(from[0].ssrc, 8);
	wire_bed_free(c.dp);
}

static uint32_t seed = 7;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* A frame of side `k`: most of them an RTP stream, now and then something else. */
static size_t some_frame(struct call *c, unsigned k, unsigned i, uint8_t *f)
{
	static const uint8_t types[] = { 0, 0x80, 9, EVENT_TYPE, 200, 192 };
	uint8_t p[RTP_HEADER + VOICE] = { 0x80 };
	uint32_t event = random_below(60);

	p[0] = event == 0 ? (uint8_t)random_below(256) : 0x80;
	p[1] = event < 4 ? types[random_below(6)] : 0;
	store_u16(p + 2, htons((uint16_t)(i + (event == 5 ? random_below(300) : 0))));
	store_u32(p + 4, htonl(i * 160));
	store_u32(p + 8, event == 6 ? 3 : 4);
	uint16_t port = (uint16_t)((k == 0 ? 4000 : 5000) + (event == 7 && i > 100 ? 2 : 0));
	size_t n = wire_udp(f, k == 0 ? A : B, port, c->local[k], c->port[k], p,
		event == 8 ? random_below(RTP_HEADER + 2) : RTP_HEADER + random_below(VOICE));
	uint8_t *ip = f + ETHER_HEADER;
	ip[1] = (uint8_t)random_below(256);
	ip[8] = (uint8_t)(event == 9 ? random_below(3) : random_below(256));
	if (event == 10)
		ip[9] = 6;
	if (event == 11)
		ip[6] = 0x20;
	store_u16(ip + IPV4_HEADER + 6, event == 12 ? 0 : (uint16_t)random_below(65536));
	store_u16(ip + 10, 0);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, IPV4_HEADER)));
	return n;
}

/* All that a packet changes. */
struct outcome {
	struct flow flow[2];
	uint64_t counter[DP_COUNTER_COUNT];
	struct worker_interface_counters interface[INTERFACES_MAX];
	uint8_t sent[2048];
	size_t length;
};

static void outcome_take(struct call *c, struct outcome *o)
{
	const struct session *s = session_find(&c->dp->sessions, c->id);
	const struct worker *w = &c->dp->shared.workers[0];

	*o = (struct outcome){ 0 };
	for (unsigned k = 0; k < 2; k++) {
		memcpy(&o->flow[k], s->stream[0].side[k].flow, sizeof(o->flow[k]));
		o->flow[k].police_due = 0;
	}
	memcpy(o->counter, w->counter, sizeof(o->counter));
	memcpy(o->interface, w->interface, sizeof(o->interface));
	for (unsigned d = 0; d < 2; d++)
		for (unsigned i = 0; i < wires[d].count; i++) {
			const struct rte_mbuf *m = wires[d].kept[i];

			assert_int_equal(o->length, 0);
			assert_int_equal(m->pkt_len, m->data_len);
			memcpy(o->sent, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
			o->length = m->data_len;
		}
	wire_clear();
}

static void outcome_undo(struct call *c, const struct outcome *o)
{
	const struct session *s = session_find(&c->dp->sessions, c->id);
	struct worker *w = &c->dp->shared.workers[0];

	for (unsigned k = 0; k < 2; k++)
		memcpy(s->stream[0].side[k].flow, &o->flow[k], sizeof(o->flow[k]));
	memcpy(w->counter, o->counter, sizeof(o->counter));
	memcpy(w->interface, o->interface, sizeof(o->interface));
}

/* No worker runs beside this. */
static void rules_cost(struct call *c, uint32_t cost)
{
	const struct session *s = session_find(&c->dp->sessions, c->id);

	for (unsigned k = 0; k < 2; k++)
		((struct flow_rule *)atomic_load(&s->stream[0].side[k].flow->rule))->police_cost = cost;
}

/* A rate that nobody reaches leads past the path of plain packets. */
static void plain_packets_come_to_the_same_as_on_the_path_of_all(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 8; flags++) {
		struct dp_session_request q = bed_request(A, 4000, B, 5000);
		struct outcome before, plain, any;
		struct call c;
		unsigned sent = 0;

		for (unsigned k = 0; k < 2; k++) {
			q.stream[0].side[k].telephone_event = EVENT_TYPE;
			q.stream[0].side[k].latching =
				(flags & 1) != 0 ? DP_LATCHING_LATCH : DP_LATCHING_FIXED;
			q.stream[0].side[k].flags |= (flags & 2) != 0 ? DP_SIDE_RTCP_MUX : 0;
		}
		call_open(&c, &q, 1);
		c.dp->shared.interface[1].vlan = (flags & 4) != 0 ? 9 : 0;
		struct rte_ring *samples = c.dp->shared.workers[0].sampler.ring;
		c.dp->shared.workers[0].sampler.ring = NULL;
		for (unsigned i = 0; i < 10000; i++) {
			uint8_t f[2048];
			unsigned k = random_below(2);
			size_t n = some_frame(&c, k, i, f);

			call_time(&c, 1, i * 20000ULL);
			c.dp->shared.interface[1 - k].device =
				random_below(50) == 0 ? DEVICE_NONE : (uint16_t)(1 - k);
			outcome_take(&c, &before);
			wire_receive(c.dp, 0, k, wire_frame((uint16_t)k, f, n));
			outcome_take(&c, &plain);
			outcome_undo(&c, &before);
			rules_cost(&c, 1);
			wire_receive(c.dp, 0, k, wire_frame((uint16_t)k, f, n));
			outcome_take(&c, &any);
			rules_cost(&c, 0);
			assert_memory_equal(&plain, &any, sizeof(any));
			sent += any.length != 0;
		}
		assert_true(sent > 7000 && sent < 9990);
		c.dp->shared.workers[0].sampler.ring = samples;
		wire_bed_free(c.dp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_packets_come_to_the_same_as_on_the_path_of_all),
		cmocka_unit_test(a_stream_at_its_rate_passes_for_ever_and_twice_of_it_passes_half),
		cmocka_unit_test(rtp_and_rtcp_of_a_side_share_its_rate),
		cmocka_unit_test(a_description_without_bandwidth_gets_the_realms_rate_and_an_update_another),
		cmocka_unit_test(strangers_packets_do_not_use_up_a_sides_rate),
		cmocka_unit_test(an_event_counts_once_however_often_it_is_repeated),
		cmocka_unit_test(a_key_held_for_long_is_one_event),
		cmocka_unit_test(an_event_too_short_to_be_one_is_relayed_and_not_counted),
		cmocka_unit_test(a_sample_of_dropped_media_has_its_headers_and_not_what_was_said),
		cmocka_unit_test(
			media_whose_way_out_is_gone_is_not_relayed_and_its_sample_says_nothing_either),
		cmocka_unit_test(payload_type_0_is_voice_where_no_events_were_negotiated),
		cmocka_unit_test(reports_tell_the_far_ends_loss_and_the_round_trip_on_both_kinds_of_port),
		cmocka_unit_test(what_a_report_cannot_know_is_not_believed),
		cmocka_unit_test(only_the_last_four_sender_reports_are_remembered),
		cmocka_unit_test(after_a_silence_a_relatching_side_may_come_from_another_port),
		cmocka_unit_test(the_old_source_wins_if_it_speaks_again_first),
		cmocka_unit_test(a_side_that_only_latches_stays_locked_however_long_it_is_silent),
		cmocka_unit_test(a_signalling_event_lets_a_relatching_side_move_at_once),
		cmocka_unit_test(a_side_that_moves_to_other_ports_goes_on_to_reach_the_learnt_one),
		cmocka_unit_test(both_sides_behind_one_nat_are_told_apart_by_their_ports),
		cmocka_unit_test(hold_is_silent_without_a_report_and_media_goes_on_afterwards),
		cmocka_unit_test(wrap_late_twice_and_another_source_all_pass_and_are_named),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
