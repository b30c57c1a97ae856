/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams with keys: what is opened, protected, refused, learnt from and counted. The peers use dataplane/srtp.h as well; that it is SRTP
 * as others speak it is for test_srtp*.c and the integration tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/secret_call.h"

/* The calls that there are: every suite, on either side or both, over either family. */
static void every_suite_crosses_both_ways_and_comes_out_as_it_went_in(void **state)
{
	static const char *const hosts[2][2] = { { A, B }, { "2001:db8:1::5", "2001:db8:2::5" } };

	(void)state;
	for (unsigned near = 0; near < DP_SRTP_SUITE_COUNT; near++)
		for (unsigned far = 0; far < DP_SRTP_SUITE_COUNT; far++)
			for (unsigned families = 0; families < 4; families++) {
				struct dp_session_request q =
					request_of((enum dp_srtp_suite)near, (enum dp_srtp_suite)far);
				struct dp_session_request at = bed_request(
					hosts[families & 1][0], 4000, hosts[families >> 1][1], 5000);
				struct secret s;

				for (unsigned k = 0; k < 2; k++) {
					q.stream[0].side[k].rtp = at.stream[0].side[k].rtp;
					q.stream[0].side[k].family = at.stream[0].side[k].family;
				}
				secret_open(&s, &q);
				for (unsigned i = 0; i < 3; i++) {
					speaks(&s, 0);
					speaks(&s, 1);
				}
				secret_close(&s);
			}
}

static void an_mki_is_expected_and_sent(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct dp_crypto *keys[] = { &q.stream[0].side[k].from, &q.stream[0].side[k].to };

		for (unsigned i = 0; i < 2; i++) {
			keys[i]->mki_length = 4;
			memcpy(keys[i]->mki, "\0\0\0\1", 4);
		}
	}
	secret_open(&s, &q);
	speaks(&s, 0);
	speaks(&s, 1);
	size_t n = say(&s, 0, p);
	p[n - 10 - 1] ^= 2; /* the MKI's last octet, in front of the tag */
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_KEY);
	secret_close(&s);
}

static size_t report(uint8_t *p)
{
	/* A receiver report, and a source description with a CNAME of eight octets. */
	static const uint8_t compound[] = { 0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 202, 0, 4, 0, 0, 0, 7, 1, 8,
		'm', 'e', '@', 'h', 'o', 'm', 'e', '1', 0, 0 };

	memcpy(p, compound, sizeof(compound));
	return sizeof(compound);
}

static void rtcp_crosses_both_ways_by_either_port_without_its_words(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 16; flags++) {
		struct dp_session_request q = request_of((flags & 1) != 0 ? SUITE : DP_SRTP_NONE,
			(flags & 2) != 0 ? DP_SRTP_AEAD_AES_256_GCM : SUITE);
		struct dp_counters from[2];
		struct secret s;

		q.stream[0].side[0].flags = (flags & 4) != 0 ? DP_SIDE_RTCP_MUX : 0;
		q.stream[0].side[1].flags = (flags & 8) != 0 ? DP_SIDE_RTCP_MUX : 0;
		secret_open(&s, &q);
		for (unsigned k = 0; k < 2; k++)
			for (unsigned i = 0; i < 2; i++) {
				uint8_t p[LONGEST], got[LONGEST], clear[LONGEST];
				bool mux = (q.stream[0].side[k].flags & DP_SIDE_RTCP_MUX) != 0;
				size_t n = report(clear), length;

				memcpy(p, clear, n);
				length = s.sends[k] != NULL ? secure_protect(s.sends[k], p, n, LONGEST, true)
							    : n;
				send_octets(&s, k, mux ? 0 : 1, p, length);
				length = secure_sent(&s.call, 1 - k, got);
				if (s.gets[1 - k] != NULL)
					length = secure_unprotect(s.gets[1 - k], got, length, true);
				assert_int_equal(length, n);
				assert_memory_equal(got, clear, 18);
				assert_memory_not_equal(got + 18, clear + 18, 8);
			}
		counters_of(&s.call, from);
		assert_int_equal(from[0].rtcp_packets, 2);
		assert_int_equal(from[1].rtcp_packets, 2);
		assert_int_equal(from[0].packets, 0);
		secret_close(&s);
	}
}

static void what_was_changed_on_the_way_is_refused_counted_and_told_once_a_second(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	struct worker_event e = { 0 };
	struct dp_counters from[2];
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	for (unsigned suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		q = request_of((enum dp_srtp_suite)suite, DP_SRTP_NONE);
		secret_open(&s, &q);
		call_time(&s.call, 10, 0);
		speaks(&s, 0);
		size_t n = say(&s, 0, p);
		for (size_t at = 1; at < n; at += 13) {
			if (at == 1)
				continue;
			p[at] ^= 0x10;
			refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_AUTH);
			p[at] ^= 0x10;
		}
		for (size_t cut = RTP_HEADER; cut < n; cut += 9)
			refused(&s, 0, p, cut, DP_COUNTER_DROP_SRTP_AUTH);
		uint64_t count = secure_dropped(&s.call, DP_COUNTER_DROP_SRTP_AUTH);
		assert_int_equal(secure_events(&s.call, DP_EVENT_SRTP_ALARM, &e), 1);
		assert_int_equal(e.side, 0);
		assert_int_equal(e.session, s.call.id);
		counters_of(&s.call, from);
		assert_int_equal(from[0].srtp_auth_failed, count);
		assert_int_equal(from[0].packets, 1);
		call_time(&s.call, 11, 1);
		refused(&s, 0, p, n - 1, DP_COUNTER_DROP_SRTP_AUTH);
		assert_int_equal(secure_events(&s.call, DP_EVENT_SRTP_ALARM, NULL), 1);
		send_octets(&s, 0, 0, p, n); /* and the real one is still good */
		assert_int_equal(wires[1].count, 1);
		wire_clear();
		secret_close(&s);
	}
}

static void plain_rtp_where_srtp_was_agreed_is_never_relayed(void **state)
{
	struct dp_session_request q = request_of(SUITE, SUITE);
	uint8_t p[LONGEST], plain_rtcp[64];
	struct dp_counters from[2];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	for (unsigned k = 0; k < 2; k++) {
		size_t n = secure_rtp(p, 1, 7 + k);

		refused(&s, k, p, n, DP_COUNTER_DROP_SRTP_AUTH);
		n = report(plain_rtcp);
		uint64_t before = secure_dropped(&s.call, DP_COUNTER_DROP_SRTP_AUTH);
		send_octets(&s, k, 1, plain_rtcp, n);
		assert_silence();
		assert_int_equal(secure_dropped(&s.call, DP_COUNTER_DROP_SRTP_AUTH), before + 1);
	}
	counters_of(&s.call, from);
	assert_int_equal(from[0].packets + from[1].packets + from[0].rtcp_packets + from[1].rtcp_packets, 0);
	assert_int_equal(from[0].srtp_auth_failed, 2);
	assert_int_equal(from[1].srtp_auth_failed, 2);
	secret_close(&s);
}

/* Telephones that open their path with a packet or two in clear, before they have read our answer, are no alarm. */
static void the_first_few_in_clear_are_dropped_without_an_alarm_more_are_one(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	size_t n = secure_rtp(p, 1, 7);
	for (unsigned i = 0; i < 8; i++)
		refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_AUTH);
	assert_int_equal(secure_events(&s.call, DP_EVENT_SRTP_ALARM, NULL), 0);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_AUTH);
	assert_int_equal(secure_events(&s.call, DP_EVENT_SRTP_ALARM, NULL), 1);
	secret_close(&s);
	secret_open(&s, &q);
	speaks(&s, 0);
	n = secure_rtp(p, s.sequence[0], 7);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_AUTH); /* it has shown that it knows better */
	assert_int_equal(secure_events(&s.call, DP_EVENT_SRTP_ALARM, NULL), 1);
	secret_close(&s);
}

static void what_is_sent_back_at_us_is_refused(void **state)
{
	uint8_t p[LONGEST], got[LONGEST];

	(void)state;
	for (unsigned suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_session_request q =
			request_of((enum dp_srtp_suite)suite, (enum dp_srtp_suite)suite);
		struct secret s;

		secret_open(&s, &q);
		speaks(&s, 0);
		speaks(&s, 1);
		for (unsigned k = 0; k < 2; k++) {
			size_t n = say(&s, k, p);

			/* From the other side, as if it were its own. */
			refused(&s, 1 - k, p, n, DP_COUNTER_DROP_SRTP_AUTH);
			send_octets(&s, k, 0, p, n);
			n = secure_sent(&s.call, 1 - k, got);
			/* What we sent, from whom it went to and from whom it came. */
			refused(&s, 1 - k, got, n, DP_COUNTER_DROP_SRTP_AUTH);
			refused(&s, k, got, n, DP_COUNTER_DROP_SRTP_REPLAY);
		}
		secret_close(&s);
	}
}

static void what_is_too_short_for_a_packet_with_its_tag_is_dropped(void **state)
{
	enum { LENGTHS = 40 };
	uint8_t p[LENGTHS + 1];

	(void)state;
	for (unsigned suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_session_request q = request_of((enum dp_srtp_suite)suite, DP_SRTP_NONE);
		struct secret s;

		secret_open(&s, &q);
		for (size_t n = 0; n <= LENGTHS; n++)
			for (unsigned port = 0; port < 2; port++) {
				/* Version 2; of RTCP a report, of RTP all CSRCs there can be, and an extension. */
				memset(p, 0xff, sizeof(p));
				p[0] = port ? 0x80 : 0x9f;
				p[1] = port ? 200 : 0;
				send_octets(&s, 0, port, p, n);
				assert_silence();
			}
		speaks(&s, 0);
		secret_close(&s);
	}
}

static void dtls_and_stun_are_dropped_on_such_ports(void **state)
{
	static const uint8_t stun[20] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	static const uint8_t dtls[25] = { 22, 254, 253 };
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	for (unsigned k = 0; k < 2; k++) {
		refused(&s, k, stun, sizeof(stun), DP_COUNTER_DROP_NOT_RTP);
		refused(&s, k, dtls, sizeof(dtls), DP_COUNTER_DROP_NOT_RTP);
		refused(&s, k, stun, 0, DP_COUNTER_DROP_NOT_RTP);
	}
	secret_close(&s);
}

static void a_packet_that_comes_again_is_refused_and_counted(void **state)
{
	uint8_t p[LONGEST], r[LONGEST];
	struct dp_counters from[2];
	struct secret s;

	(void)state;
	for (unsigned suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_session_request q = request_of((enum dp_srtp_suite)suite, DP_SRTP_NONE);

		secret_open(&s, &q);
		size_t n = say(&s, 0, p);
		send_octets(&s, 0, 0, p, n);
		assert_int_equal(wires[1].count, 1);
		wire_clear();
		refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
		n = secure_protect(s.sends[0], r, report(r), LONGEST, true);
		send_octets(&s, 0, 1, r, n);
		assert_int_equal(wires[1].count, 1);
		wire_clear();
		send_octets(&s, 0, 1, r, n);
		assert_silence();
		counters_of(&s.call, from);
		assert_int_equal(from[0].srtp_replayed, 2);
		assert_int_equal(from[0].srtp_auth_failed, 0);
		assert_int_equal(from[0].packets, 1);
		secret_close(&s);
	}
}

static void only_what_is_authentic_locks_a_latch(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	uint8_t p[LONGEST], forged[LONGEST];
	struct dp_counters from[2];
	struct secret s;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	secret_open(&s, &q);
	size_t n = say(&s, 0, p);
	memcpy(forged, p, n);
	forged[20] ^= 1;
	arrive(&s.call, 0, A, 4444, 0, forged, n); /* an honest address, another port: could be a NAT's */
	assert_dropped(&s.call, DP_COUNTER_DROP_SRTP_AUTH);
	assert_int_equal(secure_events(&s.call, DP_EVENT_LATCHED, NULL), 0);
	counters_of(&s.call, from);
	assert_int_equal(from[0].latched, 0);
	arrive(&s.call, 0, A, 4002, 0, p, n);
	assert_int_equal(wires[1].count, 1);
	wire_clear();
	assert_int_equal(secure_events(&s.call, DP_EVENT_LATCHED, NULL), 1);
	n = say(&s, 0, p);
	arrive(&s.call, 0, A, 4444, 0, p,
		n); /* authentic, but it is locked: nobody may be made to listen elsewhere */
	assert_dropped(&s.call, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&s.call, 0, "10.0.1.6", 4002, 0, p, n);
	assert_dropped(&s.call, DP_COUNTER_DROP_WRONG_SOURCE);
	counters_of(&s.call, from);
	assert_int_equal(from[0].wrong_source, 2);
	assert_int_equal(from[0].latched, 1);
	secret_close(&s);
}

/* Of two authentic packets in one burst from two ports the first decides. */
static void within_a_burst_the_first_authentic_packet_locks(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	uint8_t p[2][LONGEST], f[LONGEST];
	struct rte_mbuf *m[2];
	struct secret s;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	secret_open(&s, &q);
	for (unsigned i = 0; i < 2; i++) {
		size_t n = say(&s, 0, p[i]);

		n = wire_udp(f, A, (uint16_t)(4000 + 2 * i), s.call.local[0], s.call.port[0], p[i], n);
		m[i] = wire_frame(0, f, n);
	}
	relay_burst(&s.call.dp->shared.workers[0], &s.call.dp->shared.ports[0], m, 2);
	transmit_flush(&s.call.dp->shared.workers[0]);
	assert_int_equal(wires[1].count, 1);
	assert_int_equal(secure_dropped(&s.call, DP_COUNTER_DROP_WRONG_SOURCE), 1);
	wire_clear();
	secret_close(&s);
}

static void a_burst_keeps_the_order_of_each_stream_and_plain_ones_pass_beside_it(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM),
				  plain = bed_request(A, 6000, B, 7000);
	struct rte_mbuf *m[BURST];
	uint8_t p[LONGEST], f[LONGEST], got[LONGEST];
	uint16_t expect[2] = { 1000, 500 }, sequence = 500;
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	uint64_t other = bed_create(s.call.dp, &plain);
	struct dp_session_reply r;
	session_reply(session_find(&s.call.dp->sessions, other), &r);
	for (unsigned i = 0; i < BURST; i++) {
		bool secured = i % 3 != 0;
		size_t n = secured ? say(&s, 0, p) : secure_rtp(p, sequence++, 9);

		n = wire_udp(f, A, secured ? 4000 : 6000, s.call.local[0],
			secured ? s.call.port[0] : r.local[0][0].port, p, n);
		m[i] = wire_frame(0, f, n);
	}
	relay_burst(&s.call.dp->shared.workers[0], &s.call.dp->shared.ports[0], m, BURST);
	transmit_flush(&s.call.dp->shared.workers[0]);
	assert_int_equal(wires[1].count, BURST);
	for (unsigned i = 0; i < BURST; i++) {
		const uint8_t *at = rte_pktmbuf_mtod(wires[1].kept[i], const uint8_t *) + 42;
		size_t n = wires[1].kept[i]->data_len - 42U;
		bool secured = n != RTP_HEADER + SECURE_VOICE;

		memcpy(got, at, n);
		if (secured)
			assert_int_equal(
				secure_unprotect(s.gets[1], got, n, false), RTP_HEADER + SECURE_VOICE);
		assert_int_equal(ntohs(load_u16(got + 2)), expect[!secured]++);
	}
	assert_int_equal(expect[1], sequence);
	wire_clear();
	secret_close(&s);
}

static void what_would_grow_beyond_the_mtu_is_dropped_whole(void **state)
{
	struct dp_session_request q = request_of(DP_SRTP_NONE, SUITE);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	memset(p, 1, sizeof(p));
	(void)secure_rtp(p, 1, 7);
	refused(&s, 0, p, MTU - 28 - 9, DP_COUNTER_DROP_TOO_BIG);
	(void)secure_rtp(p, 2, 7);
	send_octets(&s, 0, 0, p, MTU - 28 - 10);
	assert_heard(&s, 1, p, MTU - 28 - 10, false);
	struct dp_counters from[2];
	counters_of(&s.call, from);
	assert_int_equal(from[0].packets, 2);
	assert_int_equal(from[0].relayed, 1);
	secret_close(&s);
}

static void what_has_no_room_for_its_tag_is_dropped_whole(void **state)
{
	struct dp_session_request q = request_of(DP_SRTP_NONE, SUITE);
	uint8_t p[3000], f[3100];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	s.call.dp->shared.interface[1].mtu = 9000;
	memset(p, 1, sizeof(p));
	(void)secure_rtp(p, 1, 7);
	size_t room = RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM;
	for (size_t spare = 0; spare < 14; spare++) {
		size_t n = wire_udp(f, A, 4000, s.call.local[0], s.call.port[0], p, room - 42 - spare);
		uint64_t before = secure_dropped(&s.call, DP_COUNTER_DROP_TOO_BIG);

		store_u16(p + 2, htons((uint16_t)(2 + spare)));
		wire_receive(s.call.dp, 0, 0, wire_frame(0, f, n));
		assert_int_equal(wires[1].count, spare >= 10 ? 1 : 0);
		assert_int_equal(
			secure_dropped(&s.call, DP_COUNTER_DROP_TOO_BIG) - before, spare >= 10 ? 0 : 1);
		wire_clear();
	}
	secret_close(&s);
}

static void a_plain_datagram_with_a_wrong_checksum_stays_wrong(void **state)
{
	struct dp_session_request q = request_of(DP_SRTP_NONE, SUITE);
	uint8_t p[LONGEST], f[LONGEST];
	struct packet out;
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	size_t n = wire_udp(f, A, 4000, s.call.local[0], s.call.port[0], p, secure_rtp(p, 1, 7));
	f[60] ^= 4;
	wire_receive(s.call.dp, 0, 0, wire_frame(0, f, n));
	assert_int_equal(wires[1].count, 1);
	const uint8_t *sent = rte_pktmbuf_mtod(wires[1].kept[0], const uint8_t *);
	packet_parse(sent, wires[1].kept[0]->data_len, &out);
	uint64_t sum = checksum_host(&out.source) + checksum_host(&out.dest) +
		       htons((uint16_t)(out.payload + 8)) + htons(17) +
		       checksum_sum(sent + out.udp, out.payload + 8U);
	assert_int_not_equal(checksum_fold(sum), 0xffff);
	wire_clear();
	secret_close(&s);
}

static void octets_and_rate_are_of_what_arrived_events_of_what_was_in_it(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	struct dp_counters from[2];
	uint8_t p[LONGEST] = { 0 };
	struct secret s;

	(void)state;
	q.stream[0].side[0].telephone_event = 101;
	secret_open(&s, &q);
	speaks(&s, 0);
	(void)secure_rtp(p, s.sequence[0]++, 7);
	p[1] = 0x80 | 101;
	send_octets(&s, 0, 0, p, secure_protect(s.sends[0], p, RTP_HEADER + 4, LONGEST, false));
	assert_int_equal(wires[1].count, 1);
	wire_clear();
	counters_of(&s.call, from);
	assert_int_equal(from[0].packets, 2);
	assert_int_equal(from[0].events, 1);
	assert_int_equal(from[0].octets, RTP_HEADER + SECURE_VOICE + 10 + RTP_HEADER + 4 + 10);
	secret_close(&s);
}

/* What arrives at another worker is opened by the one that has the keys. */
static void packets_that_arrive_at_another_worker_are_handed_over(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM);
	struct secret s = { .sequence = { 65530, 65530 } };
	struct rte_mbuf *m[BURST];

	(void)state;
	secure_call(&s.call, &q, 2);
	peer_set(&s, 0);
	peer_set(&s, 1);
	struct worker *workers = s.call.dp->shared.workers;
	uint16_t owner = session_find(&s.call.dp->sessions, s.call.id)->worker;
	for (unsigned i = 0; i < 20; i++) {
		uint8_t clear[LONGEST], p[LONGEST], f[LONGEST];
		unsigned k = i % 2;
		size_t n = secure_rtp(clear, s.sequence[k], 7 + k);
		size_t length = say(&s, k, p);

		length = wire_udp(
			f, k == 0 ? A : B, k == 0 ? 4000 : 5000, s.call.local[k], s.call.port[k], p, length);
		wire_receive(
			s.call.dp, i % 3 == 0 ? owner : 1U - owner, k, wire_frame((uint16_t)k, f, length));
		unsigned over = rte_ring_sc_dequeue_burst(workers[owner].handover, (void **)m, BURST, NULL);
		assert_int_equal(over, i % 3 == 0 ? 0 : 1);
		if (over != 0)
			relay_handover(&workers[owner], m, over);
		transmit_flush(&workers[owner]);
		assert_heard(&s, 1 - k, clear, n, false);
	}
	secret_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_crosses_both_ways_and_comes_out_as_it_went_in),
		cmocka_unit_test(an_mki_is_expected_and_sent),
		cmocka_unit_test(rtcp_crosses_both_ways_by_either_port_without_its_words),
		cmocka_unit_test(what_was_changed_on_the_way_is_refused_counted_and_told_once_a_second),
		cmocka_unit_test(plain_rtp_where_srtp_was_agreed_is_never_relayed),
		cmocka_unit_test(the_first_few_in_clear_are_dropped_without_an_alarm_more_are_one),
		cmocka_unit_test(what_is_sent_back_at_us_is_refused),
		cmocka_unit_test(what_is_too_short_for_a_packet_with_its_tag_is_dropped),
		cmocka_unit_test(dtls_and_stun_are_dropped_on_such_ports),
		cmocka_unit_test(a_packet_that_comes_again_is_refused_and_counted),
		cmocka_unit_test(only_what_is_authentic_locks_a_latch),
		cmocka_unit_test(within_a_burst_the_first_authentic_packet_locks),
		cmocka_unit_test(a_burst_keeps_the_order_of_each_stream_and_plain_ones_pass_beside_it),
		cmocka_unit_test(what_would_grow_beyond_the_mtu_is_dropped_whole),
		cmocka_unit_test(what_has_no_room_for_its_tag_is_dropped_whole),
		cmocka_unit_test(a_plain_datagram_with_a_wrong_checksum_stays_wrong),
		cmocka_unit_test(octets_and_rate_are_of_what_arrived_events_of_what_was_in_it),
		cmocka_unit_test(packets_that_arrive_at_another_worker_are_handed_over),
	};
	int status;

	secure_open();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	secure_close();
	return status;
}
