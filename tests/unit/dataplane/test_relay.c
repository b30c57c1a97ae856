/* SPDX-License-Identifier: BSD-3-Clause */
/* The path of a packet through a worker, packet in, packet out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/call.h"

static void media_and_rtcp_cross_in_all_four_family_pairs(void **state)
{
	static const char *const peers[2][2] = { { "10.0.1.5", "2001:db8:1::5" },
		{ "10.0.2.5", "2001:db8:2::5" } };

	(void)state;
	for (unsigned f = 0; f < 4; f++) {
		const char *a = peers[0][f & 1], *b = peers[1][f >> 1];
		struct dp_session_request q = bed_request(a, 4000, b, 5000);
		struct call c;
		struct dp_counters from[2];

		call_open(&c, &q, 1);
		arrive(&c, 0, a, 4000, 0, rtp, sizeof(rtp));
		assert_sent(&c, 1, 0, b, 5000, rtp, sizeof(rtp));
		arrive(&c, 1, b, 5000, 0, rtp, sizeof(rtp));
		assert_sent(&c, 0, 0, a, 4000, rtp, sizeof(rtp));
		arrive(&c, 0, a, 4001, 1, rtcp, sizeof(rtcp));
		assert_sent(&c, 1, 1, b, 5001, rtcp, sizeof(rtcp));
		arrive(&c, 1, b, 5001, 1, rtcp, sizeof(rtcp));
		assert_sent(&c, 0, 1, a, 4001, rtcp, sizeof(rtcp));
		counters_of(&c, from);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(from[k].packets, 1);
			assert_int_equal(from[k].relayed, 1);
			assert_int_equal(from[k].rtcp_packets, 1);
			assert_int_equal(from[k].octets, sizeof(rtp));
			assert_int_equal(from[k].latched, 0);
		}
		wire_bed_free(c.dp);
	}
}

static void a_fixed_side_accepts_address_and_port_and_nothing_else(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_counters from[2];
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4002, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.6", 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.5", 4000, 1, rtcp, sizeof(rtcp)); /* RTCP has its own port */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	counters_of(&c, from);
	assert_int_equal(from[0].wrong_source, 3);
	assert_int_equal(from[0].packets, 0);
	wire_bed_free(c.dp);
}

static void media_that_overtakes_its_answer_is_no_wrong_source(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_counters from[2];
	struct worker_event e;
	struct call c;

	(void)state;
	q.stream[0].side[1].rtp = (struct dp_address){ 0 };
	q.stream[0].side[1].flags = DP_SIDE_MUTED | DP_SIDE_QUIET;
	call_open(&c, &q, 1);
	arrive(&c, 1, "10.0.2.5", 5000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	counters_of(&c, from);
	assert_int_equal(from[1].wrong_source, 0);
	assert_int_equal(
		rte_ring_sc_dequeue_burst_elem(c.dp->shared.workers[0].events, &e, sizeof(e), 1, NULL), 0);
	wire_bed_free(c.dp);
}

static void a_nated_side_is_learnt_from_its_signalling_address_and_then_locked(void **state)
{
	struct dp_session_request q = bed_request("192.168.1.2", 4000, "10.0.2.5", 5000);
	struct worker_event e[4];
	struct dp_counters from[2];
	struct call c;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	q.stream[0].side[0].signalling = bed_address("10.0.1.99", 5060);
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.66", 7000, 0, rtp, sizeof(rtp)); /* an attacker is faster */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.99", 7000, 0, "not rtp at all", 14); /* invalid packets do not latch */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 1, "10.0.2.5", 5000, 0, rtp,
		sizeof(rtp)); /* what it stated may be a third party's address */
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	arrive(&c, 0, "10.0.1.99", 7123, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "10.0.2.5", 5000, rtp, sizeof(rtp));
	arrive(&c, 1, "10.0.2.5", 5000, 0, rtp, sizeof(rtp)); /* the way back follows */
	assert_sent(&c, 0, 0, "10.0.1.99", 7123, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.99", 7124, 0, rtp, sizeof(rtp)); /* same host, other port: locked out */
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.99", 7200, 1, rtcp, sizeof(rtcp)); /* RTCP latches by itself */
	assert_sent(&c, 1, 1, "10.0.2.5", 5001, rtcp, sizeof(rtcp));
	arrive(&c, 1, "10.0.2.5", 5001, 1, rtcp, sizeof(rtcp));
	assert_sent(&c, 0, 1, "10.0.1.99", 7200, rtcp, sizeof(rtcp));
	counters_of(&c, from);
	assert_int_equal(from[0].latched, 1);
	assert_int_equal(from[0].source.port, 7123);
	assert_int_equal(from[0].wrong_source, 3);
	unsigned n = rte_ring_sc_dequeue_burst_elem(c.dp->shared.workers[0].events, e, sizeof(e[0]), 4, NULL);
	assert_int_equal(n, 2); /* one alarm a second at most, one latch */
	assert_int_equal(e[0].type, DP_EVENT_SOURCE_ALARM & 0xff);
	assert_int_equal(e[1].type, DP_EVENT_LATCHED & 0xff);
	assert_int_equal(ntohs(e[1].port), 7123);
	wire_bed_free(c.dp);
}

static void an_update_without_change_keeps_the_latch_and_a_changed_remote_arms_it(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct call c;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 7000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "10.0.2.5", 5000, rtp, sizeof(rtp));
	call_update(&c);
	arrive(&c, 1, "10.0.2.5", 5000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.5", 7000, rtp, sizeof(rtp));
	c.q.stream[0].side[1].rtp = bed_address("10.0.2.6", 6000); /* the other side moved */
	call_update(&c);
	arrive(&c, 0, "10.0.1.5", 7000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "10.0.2.6", 6000, rtp, sizeof(rtp));
	c.q.stream[0].side[0].rtp = bed_address("10.0.1.7", 4700); /* now the latched one */
	call_update(&c);
	arrive(&c, 1, "10.0.2.6", 6000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 0, 0, "10.0.1.7", 4700, rtp, sizeof(rtp));
	arrive(&c, 0, "10.0.1.5", 7000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_WRONG_SOURCE);
	arrive(&c, 0, "10.0.1.7", 7777, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "10.0.2.6", 6000, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

static void rtcp_is_converted_between_a_multiplexing_side_and_one_that_is_not(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_counters from[2];
	struct call c;

	(void)state;
	q.stream[0].side[0].flags = DP_SIDE_RTCP_MUX;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtcp, sizeof(rtcp));
	assert_sent(&c, 1, 1, "10.0.2.5", 5001, rtcp, sizeof(rtcp));
	arrive(&c, 1, "10.0.2.5", 5001, 1, rtcp, sizeof(rtcp));
	assert_sent(&c, 0, 0, "10.0.1.5", 4000, rtcp, sizeof(rtcp));
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	assert_sent(&c, 1, 0, "10.0.2.5", 5000, rtp, sizeof(rtp));
	counters_of(&c, from);
	assert_int_equal(from[0].rtcp_packets, 1);
	assert_int_equal(from[0].packets, 1);
	wire_bed_free(c.dp);
}

/* Else its CNAME would cross as part of an RTP packet. */
static void rtcp_on_the_rtp_port_is_rtcp_though_nobody_agreed_to_it(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	static const uint8_t broken[] = { 0x80, 200, 0, 60, 0, 0, 0, 1, 0, 0, 0, 0 };
	struct dp_counters from[2];
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtcp, sizeof(rtcp));
	assert_sent(&c, 1, 1, "10.0.2.5", 5001, rtcp, sizeof(rtcp));
	arrive(&c, 0, "10.0.1.5", 4000, 0, broken, sizeof(broken));
	assert_dropped(&c, DP_COUNTER_DROP_NOT_RTP);
	counters_of(&c, from);
	assert_int_equal(from[0].rtcp_packets, 1);
	assert_int_equal(from[0].packets, 0);
	wire_bed_free(c.dp);
}

static void other_media_passes_untouched_on_one_port(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000);
	struct call c;

	(void)state;
	q.stream[0].kind = DP_MEDIA_OTHER;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4000, 0, "\0\1t38", 5);
	assert_sent(&c, 1, 0, "2001:db8:2::5", 5000, "\0\1t38", 5);
	arrive(&c, 0, "10.0.1.5", 4001, 1, "x", 1);
	assert_dropped(&c, DP_COUNTER_DROP_NO_FLOW);
	arrive(&c, 0, "10.0.1.5", 4000, 0, "", 0);
	assert_sent(&c, 1, 0, "2001:db8:2::5", 5000, "", 0);
	wire_bed_free(c.dp);
}

static void what_cannot_be_relayed_is_dropped_by_name(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000);
	static uint8_t big[1472] = { 0x80 };
	uint8_t f[2048];
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4000, 0, "STUN?", 5);
	assert_dropped(&c, DP_COUNTER_DROP_NOT_RTP);
	arrive(&c, 0, "10.0.1.5", 4000, 0, big, sizeof(big)); /* 1500 bytes of IPv4 are 1520 of IPv6 */
	assert_dropped(&c, DP_COUNTER_DROP_TOO_BIG);
	arrive(&c, 0, "10.0.1.5", 4000, 0, big, sizeof(big) - 20);
	assert_sent(&c, 1, 0, "2001:db8:2::5", 5000, big, sizeof(big) - 20);
	uint16_t unused = c.port[0];
	c.port[0] = unused == BED_FIRST ? BED_LAST - 1 : BED_FIRST;
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_NO_FLOW);
	c.port[0] = unused;
	size_t n = wire_udp(f, "10.0.1.5", 4000, c.local[0], c.port[0], rtp, sizeof(rtp));
	f[14 + 8] = 1; /* TTL */
	store_u16(f + 24, 0);
	store_u16(f + 24, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	wire_receive(c.dp, 0, 0, wire_frame(0, f, n));
	assert_dropped(&c, DP_COUNTER_DROP_TTL);
	n = wire_udp(f, "10.0.1.5", 4000, c.local[0], c.port[0], rtp, sizeof(rtp));
	store_u16(f + 20, htons(0x2000)); /* more fragments */
	store_u16(f + 24, 0);
	store_u16(f + 24, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	wire_receive(c.dp, 0, 0, wire_frame(0, f, n));
	assert_dropped(&c, DP_COUNTER_DROP_FRAGMENT);
	wire_receive(c.dp, 0, 0, wire_frame(0, f, 20));
	assert_dropped(&c, DP_COUNTER_DROP_MALFORMED);
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < c.dp->next_hops.used; i++)
		next_hop_learn(&c.dp->next_hops, i, NULL, false);
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_NO_NEXT_HOP);
	c.q.stream[0].side[1].flags = DP_SIDE_MUTED;
	call_update(&c);
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_MUTED);
	wire_bed_free(c.dp);
}

static void what_rtcp_says_in_words_does_not_cross(void **state)
{
	static const uint8_t report[] = { 0x81, 202, 0, 4, 1, 2, 3, 4, 1, 9, 'b', 'o', 'b', '@', '1', '0',
		'.', '1', '.', 0 };
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	arrive(&c, 0, "10.0.1.5", 4001, 1, report, sizeof(report));
	assert_int_equal(wires[1].count, 1);
	const struct rte_mbuf *m = wires[1].kept[0];
	assert_null(memmem(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, "bob@", 4));
	wire_clear();
	arrive(&c, 0, "10.0.1.5", 4001, 1, report, sizeof(report) - 4); /* cut: what it hides is not known */
	assert_dropped(&c, DP_COUNTER_DROP_NOT_RTP);
	wire_bed_free(c.dp);
}

static void all_else_goes_to_the_kernels_mirror_of_its_interface(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint8_t f[256] = { [12] = 8, [13] = 6 };
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	wire_receive(c.dp, 0, 1, wire_frame(1, f, 60)); /* ARP */
	assert_int_equal(wires[3].count, 1);
	assert_int_equal(c.dp->shared.workers[0].counter[DP_COUNTER_MIRROR_IN], 1);
	assert_int_equal(c.dp->shared.workers[0].counter[DP_COUNTER_TX_PACKETS], 0); /* a mirror is no port */
	wire_clear();
	size_t n = wire_udp(f, "10.0.1.5", 5060, "10.0.1.1", 5060, "OPTIONS", 7);
	wire_receive(c.dp, 0, 0, wire_frame(0, f, n));
	assert_int_equal(wires[2].count, 1);
	assert_int_equal(wires[2].kept[0]->data_len, n);
	wire_clear();
	/* A media address of the other interface is none here. */
	n = wire_udp(f, "10.0.2.5", 5000, "10.0.1.1", c.port[0], rtp, sizeof(rtp));
	wire_receive(c.dp, 0, 1, wire_frame(1, f, n));
	assert_int_equal(wires[3].count, 1);
	wire_bed_free(c.dp);
}

static void vlans_are_interfaces_of_their_own(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint8_t f[256], tagged[256];
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	memset(c.dp->shared.ports[0].interface, INTERFACE_NONE, VLANS);
	c.dp->shared.ports[0].interface[7] = 0;
	c.dp->shared.interface[0].vlan = 7;
	size_t n = wire_udp(f, "10.0.1.5", 4000, c.local[0], c.port[0], rtp, sizeof(rtp));
	wire_receive(c.dp, 0, 0, wire_frame(0, f, n));
	assert_dropped(&c, DP_COUNTER_DROP_VLAN);
	memcpy(tagged, f, 12);
	memcpy(tagged + 12, (uint8_t[]){ 0x81, 0, 0, 7 }, 4);
	memcpy(tagged + 16, f + 12, n - 12);
	wire_receive(c.dp, 0, 0, wire_frame(0, tagged, n + 4));
	assert_sent(&c, 1, 0, "10.0.2.5", 5000, rtp, sizeof(rtp));
	arrive(&c, 1, "10.0.2.5", 5000, 0, rtp, sizeof(rtp));
	assert_int_equal(wires[0].count, 1);
	assert_memory_equal(rte_pktmbuf_mtod(wires[0].kept[0], uint8_t *) + 12, tagged + 12, 4);
	wire_clear();
	memcpy(tagged + 16, (uint8_t[]){ 8, 6 }, 2); /* ARP: to the mirror without the tag */
	wire_receive(c.dp, 0, 0, wire_frame(0, tagged, n + 4));
	assert_int_equal(wires[2].count, 1);
	assert_int_equal(wires[2].kept[0]->data_len, n);
	assert_int_equal(rte_pktmbuf_mtod(wires[2].kept[0], uint8_t *)[12], 8);
	wire_bed_free(c.dp);
}

static void a_packet_on_another_worker_is_handed_to_the_flows_owner(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct rte_mbuf *m[BURST];
	uint8_t f[256];
	struct call c;

	(void)state;
	call_open(&c, &q, 2); /* slot 0: worker 0 owns it */
	size_t n = wire_udp(f, "10.0.1.5", 4000, c.local[0], c.port[0], rtp, sizeof(rtp));
	wire_receive(c.dp, 1, 0, wire_frame(0, f, n));
	assert_int_equal(wires[1].count, 0);
	unsigned got = rte_ring_sc_dequeue_burst(c.dp->shared.workers[0].handover, (void **)m, BURST, NULL);
	assert_int_equal(got, 1);
	relay_handover(&c.dp->shared.workers[0], m, got);
	transmit_flush(&c.dp->shared.workers[0]);
	assert_sent(&c, 1, 0, "10.0.2.5", 5000, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

/* Phone to phone through a proxy that leaves SDP alone: each of two sessions has the other's address as its remote. */
static void two_sessions_that_point_at_each_other_are_joined_inside(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	struct dp_session_request back = bed_request("10.0.1.6", 6000, c.local[1], c.port[1]);
	uint64_t id = bed_create(c.dp, &back);
	struct dp_session_reply r;
	session_reply(session_find(&c.dp->sessions, id), &r);
	c.q.stream[0].side[1].rtp = r.local[0][1];
	call_update(&c);
	uint8_t f[256];
	size_t n = wire_udp(f, "10.0.1.5", 4000, c.local[0], c.port[0], rtp, sizeof(rtp));
	struct worker *w = &c.dp->shared.workers[0];
	struct rte_mbuf *m = wire_frame(0, f, n);
	relay_burst(w, &c.dp->shared.ports[0], &m, 1);
	relay_local(w);
	transmit_flush(w);
	assert_int_equal(w->counter[DP_COUNTER_MEDIA_RELAYED], 2);
	c.port[0] = r.local[0][0].port;
	assert_sent(&c, 0, 0, "10.0.1.6", 6000, rtp, sizeof(rtp));
	wire_bed_free(c.dp);
}

/* A session whose two remotes are its own ports: the TTL ends it. */
static void a_session_that_points_at_itself_does_not_run_for_ever(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct call c;
	uint8_t f[256];

	(void)state;
	memcpy(q.stream[0].side[1].realm, "access", 7);
	call_open(&c, &q, 1);
	c.local[1] = c.local[0];
	c.q.stream[0].side[0].rtp = bed_address(c.local[0], c.port[1]);
	c.q.stream[0].side[1].rtp = bed_address(c.local[0], c.port[0]);
	c.q.session = c.id;
	assert_int_equal(session_update(&c.dp->sessions, &c.q, NULL, 2), 0);
	size_t n = wire_udp(f, c.local[0], c.port[1], c.local[0], c.port[0], rtp, sizeof(rtp));
	struct worker *w = &c.dp->shared.workers[0];
	struct rte_mbuf *m = wire_frame(0, f, n);
	relay_burst(w, &c.dp->shared.ports[0], &m, 1);
	relay_local(w);
	transmit_flush(w);
	assert_in_range(w->counter[DP_COUNTER_MEDIA_RELAYED], 1, 64);
	assert_dropped(&c, DP_COUNTER_DROP_TTL);
	wire_bed_free(c.dp);
}

/* 50,000 calls have 200,000 ports, where an address has 65,535: two addresses a realm, each with its share of them. */
static void a_realm_has_more_ports_than_an_address(void **state)
{
	enum { CALLS = 50000, STEP = 97 };
	static const struct bed_size size = {
		.sessions = CALLS, .rules = 2 * CALLS, .addresses = 2, .last = 65535
	};
	static struct dp_session_reply local[CALLS];
	unsigned first = 0;
	struct dataplane *dp = wire_bed_sized(1, &size);

	(void)state;
	for (unsigned i = 0; i < CALLS; i++) {
		struct dp_session_request q =
			bed_request("10.0.1.5", 4000, "10.0.2.5", (uint16_t)(1024 + i % 60000));
		uint64_t id;

		assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &id), 0);
		session_reply(session_find(&dp->sessions, id), &local[i]);
		first += local[i].local[0][0].ip[3] == 1;
	}
	assert_in_range(first, CALLS / 2 - 1, CALLS / 2 + 1);
	bed_learn(dp);
	for (unsigned i = 0; i < CALLS; i += STEP) {
		const struct dp_address *in = &local[i].local[0][0], *out = &local[i].local[0][1];
		uint8_t f[256];
		char to[INET_ADDRSTRLEN];
		struct packet p;

		size_t n = wire_udp(f, "10.0.1.5", 4000, inet_ntop(AF_INET, in->ip, to, sizeof(to)), in->port,
			rtp, sizeof(rtp));
		wire_receive(dp, 0, 0, wire_frame(0, f, n));
		assert_int_equal(wires[1].count, 1);
		const struct rte_mbuf *m = wires[1].kept[0];
		packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &p);
		assert_memory_equal(p.source.byte, out->ip, 4);
		assert_int_equal(ntohs(p.source_port), out->port);
		assert_int_equal(ntohs(p.dest_port), 1024 + i);
		wire_clear();
	}
	wire_bed_free(dp);
}

static void a_deleted_session_relays_nothing_more(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct call c;

	(void)state;
	call_open(&c, &q, 1);
	assert_int_equal(session_delete(&c.dp->sessions, c.id), 0);
	arrive(&c, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	assert_dropped(&c, DP_COUNTER_DROP_NO_FLOW);
	wire_bed_free(c.dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_and_rtcp_cross_in_all_four_family_pairs),
		cmocka_unit_test(a_fixed_side_accepts_address_and_port_and_nothing_else),
		cmocka_unit_test(media_that_overtakes_its_answer_is_no_wrong_source),
		cmocka_unit_test(a_nated_side_is_learnt_from_its_signalling_address_and_then_locked),
		cmocka_unit_test(an_update_without_change_keeps_the_latch_and_a_changed_remote_arms_it),
		cmocka_unit_test(rtcp_is_converted_between_a_multiplexing_side_and_one_that_is_not),
		cmocka_unit_test(rtcp_on_the_rtp_port_is_rtcp_though_nobody_agreed_to_it),
		cmocka_unit_test(other_media_passes_untouched_on_one_port),
		cmocka_unit_test(what_cannot_be_relayed_is_dropped_by_name),
		cmocka_unit_test(what_rtcp_says_in_words_does_not_cross),
		cmocka_unit_test(all_else_goes_to_the_kernels_mirror_of_its_interface),
		cmocka_unit_test(vlans_are_interfaces_of_their_own),
		cmocka_unit_test(a_packet_on_another_worker_is_handed_to_the_flows_owner),
		cmocka_unit_test(two_sessions_that_point_at_each_other_are_joined_inside),
		cmocka_unit_test(a_session_that_points_at_itself_does_not_run_for_ever),
		cmocka_unit_test(a_realm_has_more_ports_than_an_address),
		cmocka_unit_test(a_deleted_session_relays_nothing_more),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
