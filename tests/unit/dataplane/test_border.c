/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of packets that are no media: the order of the border's questions. */
#include "tests/unit/dataplane/gate.h"

static void what_nothing_is_said_of_reaches_the_mirror(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), MIRRORED);
	assert_int_equal(udp(&g, "2001:db8:9::1", 5060), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x02), MIRRORED);
	assert_int_equal(later_fragment(&g, "192.0.2.1"), MIRRORED);
	assert_int_equal(arp(&g, 0), MIRRORED);
	assert_int_equal(neighbour(&g, "fe80::1", 255), MIRRORED);
	gate_close(&g);
}

static void a_ban_goes_before_permission_and_trust(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	ban(&g, "192.0.2.1", 32, 0);
	ban(&g, "198.51.100.0", 24, 0);
	ban(&g, "2001:db8:9::", 48, 0);
	permit(&g, "192.0.2.1", 32, true, true);
	trust(&g, "192.0.2.1", 0, 0);
	trust(&g, "192.0.2.1", 5060, 0);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), DP_COUNTER_DROP_BANNED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x10), DP_COUNTER_DROP_BANNED);
	assert_int_equal(later_fragment(&g, "192.0.2.1"), DP_COUNTER_DROP_BANNED);
	assert_int_equal(
		udp_to(&g, "192.0.2.1", "10.0.1.20"), DP_COUNTER_DROP_BANNED); /* a trusted realm's */
	assert_int_equal(udp(&g, "198.51.100.77", 5060), DP_COUNTER_DROP_BANNED);
	assert_int_equal(udp(&g, "2001:db8:9:7::1", 5060), DP_COUNTER_DROP_BANNED);
	assert_int_equal(udp(&g, "192.0.2.2", 5060), MIRRORED);
	struct prefix_key banned = about("192.0.2.1", 32, 0, PREFIX_SCOPE_ANY).key;
	assert_int_equal(prefix_table_find(g.bans, &banned)->hits, 4);
	assert_int_equal(prefix_table_find(g.trust, &banned)->hits, 0);
	assert_int_equal(prefix_table_clear(g.bans, &banned), 0);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), MIRRORED);
	gate_close(&g);
}

static void a_ban_ends_when_its_time_is_over(void **state)
{
	struct prefix_entry e = about("192.0.2.1", 32, 0, PREFIX_SCOPE_ANY);
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	e.expires_us = NOW + SECOND;
	add(g.bans, e);
	g.w->now_us = NOW + SECOND - 1;
	assert_int_equal(udp(&g, "192.0.2.1", 5060), DP_COUNTER_DROP_BANNED);
	g.w->now_us = NOW + SECOND;
	assert_int_equal(udp(&g, "192.0.2.1", 5060), MIRRORED);
	gate_close(&g);
}

static void a_ban_of_one_flow_leaves_the_others_behind_the_same_nat(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	ban(&g, "192.0.2.1", 32, 4000);
	assert_int_equal(udp(&g, "192.0.2.1", 4000), DP_COUNTER_DROP_BANNED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x10), DP_COUNTER_DROP_BANNED);
	assert_int_equal(udp(&g, "192.0.2.1", 4001), MIRRORED);
	gate_close(&g);
}

static void a_ban_for_datagrams_says_nothing_of_tcp_and_hides_no_other_ban(void **state)
{
	struct prefix_entry e = about("192.0.2.1", 32, 4000, PREFIX_SCOPE_ANY);
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	e.datagrams = 1;
	add(g.bans, e);
	assert_int_equal(udp(&g, "192.0.2.1", 4000), DP_COUNTER_DROP_BANNED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x02), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x10), MIRRORED);
	ban(&g, "192.0.2.0", 24, 0);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x02), DP_COUNTER_DROP_BANNED);
	assert_int_equal(udp(&g, "192.0.2.1", 4000), DP_COUNTER_DROP_BANNED);
	gate_close(&g);
}

static void an_access_list_goes_before_trust(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	permit(&g, "192.0.2.0", 24, false, false);
	permit(&g, "192.0.2.128", 25, true, false);
	trust(&g, "192.0.2.1", 0, 0);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(tcp(&g, "192.0.2.1", 0x02), DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(udp(&g, "192.0.2.200", 5060), MIRRORED); /* the longer prefix */
	assert_int_equal(udp_to(&g, "192.0.2.1", "10.0.1.20"), MIRRORED); /* another realm's service */
	assert_int_equal(
		udp_to(&g, "192.0.2.1", "10.0.1.77"), DP_COUNTER_DROP_ACCESS_DENIED); /* the interface's */
	gate_close(&g);
}

/* 10.0.1.10:5060 is a service, 10.0.1.10:80 is not: then the interface decides. */
static void the_realm_is_that_of_the_service_and_else_the_interfaces(void **state)
{
	struct prefix_entry e = about("192.0.2.0", 24, 0, REALM_CORE);
	uint8_t f[256];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.services[0].realm = REALM_CORE;
	gate_open(&g);
	add(g.c.access, e);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(outcome(&g, f, wire_udp(f, "192.0.2.1", 5060, "10.0.1.10", 80, sip, 4)), MIRRORED);
	assert_int_equal(outcome_on(&g, 1, f, wire_udp(f, "192.0.2.1", 5060, "10.0.2.9", 80, sip, 4)),
		DP_COUNTER_DROP_ACCESS_DENIED);
	/* The service is on interface 0. */
	assert_int_equal(outcome_on(&g, 1, f, wire_udp(f, "192.0.2.1", 5060, "10.0.1.20", 80, sip, 4)),
		DP_COUNTER_DROP_ACCESS_DENIED);
	gate_close(&g);
}

static void trust_goes_before_the_rates_of_strangers(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = g.c.untrusted[SOURCE_STREAM] = g.c.untrusted[SOURCE_SYN] =
		rate_of(1, 1);
	g.c.class[BORDER_UNTRUSTED] = g.c.class[BORDER_SYN] = rate_of(1, 2);
	gate_open(&g);
	permit(&g, "192.0.2.1", 32, true, true);
	trust(&g, "192.0.2.2", 0, 0);
	trust(&g, "192.0.2.3", 4000, 0);
	for (uint32_t i = 0; i < 5; i++) /* the strangers' class is used up */
		(void)udp_number(&g, i);
	assert_int_equal(udp_number(&g, 9), DP_COUNTER_DROP_CLASS_RATE);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(udp(&g, "192.0.2.1", 5060), MIRRORED);
		assert_int_equal(udp(&g, "192.0.2.2", 5060), MIRRORED);
		assert_int_equal(tcp(&g, "192.0.2.2", 0x02), MIRRORED);
		assert_int_equal(later_fragment(&g, "192.0.2.2"), MIRRORED);
		assert_int_equal(udp(&g, "192.0.2.3", 4000), MIRRORED);
		assert_int_equal(udp_to(&g, "203.0.113.5", "10.0.1.20"), MIRRORED); /* a trusted realm */
	}
	assert_int_equal(
		udp(&g, "192.0.2.3", 4001), DP_COUNTER_DROP_CLASS_RATE); /* another flow of that NAT */
	gate_close(&g);
}

static void an_interface_whose_realms_are_all_trusted_is_trusted(void **state)
{
	uint8_t f[256];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(1, 1);
	g.c.interface[1].trusted = true;
	gate_open(&g);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(
			outcome_on(&g, 1, f, wire_udp(f, "10.0.2.5", 5060, "10.0.2.9", 5060, sip, 4)),
			MIRRORED);
	gate_close(&g);
}

/* Of a datagram of one source and identification, to the SIP of "access". */
static int fragment(struct gate *g, const char *from, uint16_t port, uint16_t identification, bool first)
{
	bool v6 = strchr(from, ':') != NULL;
	uint8_t f[256];
	size_t n = wire_udp(
		f, from, port, v6 ? "2001:db8:1::10" : "10.0.1.10", first ? 5060 : 0, sip, sizeof(sip));

	if (v6) {
		memmove(f + 62, f + 54, n - 54);
		memset(f + 54, 0, 8);
		f[20] = 44;
		f[54] = 17;
		store_u16(f + 56, htons(first ? 0x0001 : 0x0010));
		store_u16(f + 60, htons(identification));
		store_u16(f + 18, htons((uint16_t)(n - 54 + 8)));
		return outcome(g, f, n + 8);
	}
	store_u16(f + 14 + 4, htons(identification));
	store_u16(f + 14 + 6, htons(first ? 0x2000 : 0x0010));
	store_u16(f + 14 + 10, 0);
	store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	return outcome(g, f, n);
}

static void later_fragments_are_trusted_and_banned_as_the_first_was(void **state)
{
	static const char *const hosts[] = { "192.0.2.1", "2001:db8:9::1" };
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.class[BORDER_UNTRUSTED] = rate_of(1, 1);
	g.c.interface[0].realm = REALM_CORE; /* of what has no port */
	gate_open(&g);
	assert_int_equal(udp(&g, "198.51.100.1", 5060), MIRRORED); /* nothing is left for strangers */
	for (unsigned i = 0; i < 2; i++) {
		struct prefix_entry e = about(hosts[i], i == 0 ? 32 : 128, 5060, REALM_ACCESS);

		add(g.trust, e);
		ban(&g, hosts[i], i == 0 ? 32 : 128, 6666);
		assert_int_equal(fragment(&g, hosts[i], 0xdead, 7, false), DP_COUNTER_DROP_CLASS_RATE);
		assert_int_equal(fragment(&g, hosts[i], 5060, 7, true), MIRRORED);
		assert_int_equal(fragment(&g, hosts[i], 0xdead, 7, false), MIRRORED);
		assert_int_equal(fragment(&g, hosts[i], 0xdead, 7, false), MIRRORED);
		assert_int_equal(fragment(&g, hosts[i], 0xdead, 8, false), DP_COUNTER_DROP_CLASS_RATE);
		assert_int_equal(fragment(&g, hosts[1 - i], 0xdead, 7, false),
			i == 0 ? DP_COUNTER_DROP_CLASS_RATE : MIRRORED);
		assert_int_equal(fragment(&g, hosts[i], 6666, 9, true), DP_COUNTER_DROP_BANNED);
		assert_int_equal(fragment(&g, hosts[i], 0xdead, 9, false), DP_COUNTER_DROP_BANNED);
	}
	g.w->now_us += 32 * SECOND;
	assert_int_equal(udp(&g, "198.51.100.1", 5060), MIRRORED);
	assert_int_equal(fragment(&g, hosts[0], 0xdead, 7, false), DP_COUNTER_DROP_CLASS_RATE);
	gate_close(&g);
}

static void malformed_packets_and_media_ports_never_come_to_the_border(void **state)
{
	uint8_t f[256];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	ban(&g, "0.0.0.0", 0, 0);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_session_reply r;
	uint64_t id = bed_create(g.dp, &q);
	assert_int_not_equal(id, 0);
	session_reply(session_find(&g.dp->sessions, id), &r);
	static const uint8_t rtp[20] = { 0x80 };
	wire_receive(g.dp, 0, 0,
		wire_frame(0, f,
			wire_udp(f, "10.0.1.5", 4000, "10.0.1.1", r.local[0][0].port, rtp, sizeof(rtp))));
	assert_int_equal(wires[1].count, 1); /* its latch knows better than a ban */
	wire_clear();
	uint16_t other = r.local[0][0].port == BED_FIRST ? BED_FIRST + 2 : BED_FIRST;
	assert_int_equal(outcome(&g, f, wire_udp(f, "10.0.1.5", 4000, "10.0.1.1", other, rtp, sizeof(rtp))),
		DP_COUNTER_DROP_NO_FLOW);
	size_t n = wire_udp(f, "10.0.1.5", 4000, "10.0.1.10", 5060, sip, sizeof(sip));
	f[14 + 10] ^= 1;
	assert_int_equal(outcome(&g, f, n), DP_COUNTER_DROP_MALFORMED);
	gate_close(&g);
}

/* What becomes of `f` as the first buffer of a longer frame. */
static int jumbo(struct gate *g, const uint8_t *f, size_t n)
{
	struct rte_mbuf *m = wire_frame(0, f, n), *tail = wire_frame(0, f, n);
	int result = MIRRORED;

	memset(g->w->counter, 0, sizeof(g->w->counter));
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	wire_receive(g->dp, 0, 0, m);
	for (int c = 0; c < DP_COUNTER_COUNT; c++)
		if (g->w->counter[c] != 0 && strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
			result = c;
	assert_int_equal(wires[2].count, result == MIRRORED);
	wire_clear();
	return result;
}

static void a_jumbo_frame_has_the_trust_and_the_bans_of_its_port(void **state)
{
	static const char *const hosts[] = { "192.0.2.1", "2001:db8:9::1" };
	uint8_t f[1400] = { 0 }, payload[1200] = { 0 };
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.class[BORDER_UNTRUSTED] = rate_of(1, 1);
	g.c.class[BORDER_SYN] = rate_of(1, 1);
	gate_open(&g);
	assert_int_equal(udp(&g, "198.51.100.1", 5060), MIRRORED);
	for (unsigned i = 0; i < 2; i++) {
		const char *to = i == 0 ? "10.0.1.10" : "2001:db8:1::10";
		unsigned next = i == 0 ? 14 + 9 : 14 + 6, flags = (i == 0 ? 34 : 54) + 13;

		trust(&g, hosts[i], 5060, 0);
		ban(&g, hosts[i], i == 0 ? 32 : 128, 6666);
		(void)wire_udp(f, hosts[i], 5060, to, 5060, payload, sizeof(payload));
		assert_int_equal(jumbo(&g, f, 1000), MIRRORED);
		f[next] = 6;
		assert_int_equal(jumbo(&g, f, 1000), MIRRORED);
		(void)wire_udp(f, hosts[i], 6666, to, 5060, payload, sizeof(payload));
		assert_int_equal(jumbo(&g, f, 1000), DP_COUNTER_DROP_BANNED);
		f[next] = 6;
		assert_int_equal(jumbo(&g, f, 1000), DP_COUNTER_DROP_BANNED);
		(void)wire_udp(f, hosts[i], 7777, to, 5060, payload, sizeof(payload));
		assert_int_equal(jumbo(&g, f, 1000), DP_COUNTER_DROP_CLASS_RATE);
		f[next] = 6;
		f[flags] = 2;
		assert_int_equal(
			jumbo(&g, f, 1000), i == 0 ? DP_COUNTER_DROP_CLASS_RATE : DP_COUNTER_DROP_SYN_RATE);
	}
	gate_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nothing_is_said_of_reaches_the_mirror),
		cmocka_unit_test(a_ban_goes_before_permission_and_trust),
		cmocka_unit_test(a_ban_ends_when_its_time_is_over),
		cmocka_unit_test(a_ban_of_one_flow_leaves_the_others_behind_the_same_nat),
		cmocka_unit_test(a_ban_for_datagrams_says_nothing_of_tcp_and_hides_no_other_ban),
		cmocka_unit_test(an_access_list_goes_before_trust),
		cmocka_unit_test(the_realm_is_that_of_the_service_and_else_the_interfaces),
		cmocka_unit_test(trust_goes_before_the_rates_of_strangers),
		cmocka_unit_test(an_interface_whose_realms_are_all_trusted_is_trusted),
		cmocka_unit_test(later_fragments_are_trusted_and_banned_as_the_first_was),
		cmocka_unit_test(malformed_packets_and_media_ports_never_come_to_the_border),
		cmocka_unit_test(a_jumbo_frame_has_the_trust_and_the_bans_of_its_port),
	};

	return cmocka_run_group_tests(tests, gate_wires, NULL);
}
