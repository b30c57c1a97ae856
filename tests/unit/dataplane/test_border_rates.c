/* SPDX-License-Identifier: BSD-3-Clause */
/* The border's rates: of a source, of a class, of a link. */
#include "tests/unit/dataplane/gate.h"

static void a_trusted_source_has_the_rate_that_its_entry_gives(void **state)
{
	struct prefix_entry e = about("198.51.100.0", 24, 0, REALM_ACCESS);
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	gate_open(&g);
	trust(&g, "192.0.2.1", 4000, 3);
	trust(&g, "192.0.2.1", 4001, 3);
	e.permit = e.trusted = 1;
	e.rate = 5;
	e.burst = 2;
	add(g.c.access, e);
	for (unsigned i = 0; i < 10; i++) {
		int expected = i < 3 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE;

		assert_int_equal(udp(&g, "192.0.2.1", 4000), expected);
		expected = i < 2 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE;
		assert_int_equal(udp(&g, "198.51.100.1", 4000), expected);
		assert_int_equal(udp(&g, "198.51.100.2", 4000), expected); /* each source has it */
	}
	assert_int_equal(udp(&g, "192.0.2.1", 4001), MIRRORED); /* its neighbour behind the NAT */
	g.w->now_us += SECOND / 5;
	assert_int_equal(udp(&g, "198.51.100.1", 4000), MIRRORED);
	assert_int_equal(udp(&g, "198.51.100.1", 4000), DP_COUNTER_DROP_SOURCE_RATE);
	gate_close(&g);
}

static void phones_of_one_ipv6_network_that_are_trusted_do_not_share_a_rate(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(1, 1);
	gate_open(&g);
	trust(&g, "2001:db8:9::1", 5060, 2);
	trust(&g, "2001:db8:9::2", 5060, 2);
	trust(&g, "2001:db8:9::3", 0, 2);
	trust(&g, "2001:db8:9::4", 0, 2);
	for (int i = 0; i < 20; i++) {
		int expected = i < 2 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE;

		assert_int_equal(udp(&g, "2001:db8:9::1", 5060), expected);
		assert_int_equal(udp(&g, "2001:db8:9::3", (uint16_t)(5000 + i)), expected);
	}
	assert_int_equal(udp(&g, "2001:db8:9::2", 5060), MIRRORED);
	assert_int_equal(udp(&g, "2001:db8:9::4", 5060), MIRRORED);
	assert_int_equal(udp(&g, "2001:db8:9::5", 5060), MIRRORED);
	assert_int_equal(udp(&g, "2001:db8:9::6", 5060), DP_COUNTER_DROP_SOURCE_RATE);
	gate_close(&g);
}

static void a_strangers_rate_is_that_of_its_access_entry_if_it_gives_one(void **state)
{
	struct prefix_entry e = about("198.51.100.0", 24, 0, REALM_ACCESS);
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(20, 4);
	g.c.untrusted[SOURCE_SYN] = rate_of(1, 1);
	gate_open(&g);
	e.permit = 1;
	e.rate = 2;
	e.burst = 2;
	add(g.c.access, e);
	permit(&g, "203.0.113.0", 24, true, false); /* gives none */
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(
			udp(&g, "198.51.100.1", 4000), i < 2 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
		assert_int_equal(udp(&g, "192.0.2.1", 4000), i < 4 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
		assert_int_equal(
			udp(&g, "203.0.113.1", 4000), i < 4 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
		assert_int_equal(tcp(&g, "198.51.100.1", 0x02), i < 1 ? MIRRORED : DP_COUNTER_DROP_SYN_RATE);
	}
	gate_close(&g);
}

static void a_source_over_its_rate_takes_nothing_from_its_class(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(1, 3);
	g.c.class[BORDER_UNTRUSTED] = rate_of(1, 10);
	gate_open(&g);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(udp_number(&g, 0), i < 3 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(udp_number(&g, 1 + i), MIRRORED);
	assert_int_equal(udp_number(&g, 100), DP_COUNTER_DROP_CLASS_RATE);
	gate_close(&g);
}

static void the_trusted_have_a_class_of_their_own(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.class[BORDER_TRUSTED] = rate_of(1, 3);
	gate_open(&g);
	trust(&g, "192.0.2.1", 0, 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(udp(&g, "192.0.2.1", 5060), i < 3 ? MIRRORED : DP_COUNTER_DROP_CLASS_RATE);
	assert_int_equal(udp_number(&g, 1), MIRRORED);
	gate_close(&g);
}

static void connection_attempts_have_rates_per_source_and_together(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_SYN] = rate_of(1, 2);
	g.c.untrusted[SOURCE_STREAM] = rate_of(1, 4);
	g.c.class[BORDER_SYN] = rate_of(1, 5);
	g.c.class[BORDER_UNTRUSTED] = rate_of(1, 12);
	gate_open(&g);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(tcp(&g, "192.0.2.1", 0x02), i < 2 ? MIRRORED : DP_COUNTER_DROP_SYN_RATE);
	for (unsigned i = 0; i < 5; i++) /* of a connection that is there, or is an answer */
		assert_int_equal(tcp(&g, "192.0.2.1", i % 2 == 0 ? 0x10 : 0x12),
			i < 4 ? MIRRORED : DP_COUNTER_DROP_STREAM_RATE);
	assert_int_equal(later_fragment(&g, "192.0.2.1"), DP_COUNTER_DROP_STREAM_RATE);
	assert_int_equal(later_fragment(&g, "192.0.2.2"), MIRRORED);
	assert_int_equal(udp(&g, "192.0.2.1", 5060), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.3", 0x02), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.4", 0x02), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.5", 0x02), MIRRORED);
	assert_int_equal(tcp(&g, "192.0.2.6", 0x02), DP_COUNTER_DROP_SYN_RATE); /* all together: five */
	assert_int_equal(
		tcp(&g, "192.0.2.6", 0x10), MIRRORED); /* two, four, one, one, three and this: twelve */
	assert_int_equal(tcp(&g, "192.0.2.6", 0x10), DP_COUNTER_DROP_CLASS_RATE);
	gate_close(&g);
}

static void the_link_has_its_own_rate_on_each_interface_and_is_asked_nothing_else(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = g.c.class[BORDER_UNTRUSTED] = rate_of(1, 1);
	g.c.class[BORDER_LINK] = rate_of(1, 3);
	gate_open(&g);
	ban(&g, "fe80::", 10, 0);
	ban(&g, "0.0.0.0", 0, 0);
	assert_int_equal(neighbour(&g, "fe80::1", 255), MIRRORED);
	assert_int_equal(neighbour(&g, "fe80::1", 64), DP_COUNTER_DROP_BANNED); /* came from elsewhere */
	assert_int_equal(arp(&g, 0), MIRRORED);
	assert_int_equal(arp(&g, 0), MIRRORED);
	assert_int_equal(arp(&g, 0), DP_COUNTER_DROP_LINK_RATE);
	assert_int_equal(neighbour(&g, "fe80::1", 255), DP_COUNTER_DROP_LINK_RATE);
	assert_int_equal(arp(&g, 1), MIRRORED);
	assert_int_equal(udp(&g, "2001:db8:9::1", 5060), MIRRORED); /* took nothing of theirs */
	g.w->now_us += SECOND;
	assert_int_equal(arp(&g, 0), MIRRORED);
	assert_int_equal(arp(&g, 0), DP_COUNTER_DROP_LINK_RATE);
	gate_close(&g);
}

static void a_storm_on_the_link_does_not_keep_out_what_is_for_us(void **state)
{
	static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, llc[] = { 0x88, 0xcc };
	uint8_t to_us[60] = { [12] = 0x08, [13] = 0x06 }, to_all[60], other[60], f[256];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.class[BORDER_LINK] = rate_of(1, 3);
	gate_open(&g);
	memcpy(to_all, to_us, sizeof(to_us));
	memcpy(to_all, all, sizeof(all));
	memcpy(other, to_us, sizeof(to_us));
	memcpy(other + 12, llc, sizeof(llc));
	for (int i = 0; i < 100; i++) {
		int expected = i < 3 ? MIRRORED : DP_COUNTER_DROP_LINK_RATE;

		assert_int_equal(outcome(&g, to_all, sizeof(to_all)), expected);
		assert_int_equal(outcome(&g, other, sizeof(other)), expected);
	}
	size_t n = wire_udp(f, "fe80::1", 0, "2001:db8:1::1", 0, sip, sizeof(sip));
	f[14 + 6] = 58;
	f[14 + 7] = 255;
	f[54] = 135;
	memcpy(f, (uint8_t[]){ 0x33, 0x33, 0xff }, 3);
	assert_int_equal(outcome(&g, f, n), DP_COUNTER_DROP_LINK_RATE);
	assert_int_equal(outcome(&g, to_us, sizeof(to_us)), MIRRORED);
	assert_int_equal(neighbour(&g, "fe80::1", 255), MIRRORED);
	assert_int_equal(outcome_on(&g, 1, to_all, sizeof(to_all)), MIRRORED);
	gate_close(&g);
}

static void a_jumbo_frame_has_its_sources_rate(void **state)
{
	uint8_t f[1400] = { 0 }, payload[1200] = { 0 };
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_STREAM] = rate_of(1, 1);
	gate_open(&g);
	for (unsigned i = 0; i < 3; i++) {
		(void)wire_udp(f, "192.0.2.1", 5060, "10.0.1.10", 5060, payload, sizeof(payload));
		struct rte_mbuf *m = wire_frame(0, f, 1000), *tail = wire_frame(0, f, 1000);

		assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
		wire_receive(g.dp, 0, 0, m);
		assert_int_equal(wires[2].count, i == 0);
		wire_clear();
	}
	assert_int_equal(g.w->counter[DP_COUNTER_DROP_STREAM_RATE], 2);
	ban(&g, "192.0.2.1", 32, 0);
	struct rte_mbuf *m = wire_frame(0, f, 1000), *tail = wire_frame(0, f, 1000);
	assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	wire_receive(g.dp, 0, 0, m);
	assert_int_equal(g.w->counter[DP_COUNTER_DROP_BANNED], 1);
	gate_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusted_source_has_the_rate_that_its_entry_gives),
		cmocka_unit_test(phones_of_one_ipv6_network_that_are_trusted_do_not_share_a_rate),
		cmocka_unit_test(a_strangers_rate_is_that_of_its_access_entry_if_it_gives_one),
		cmocka_unit_test(a_source_over_its_rate_takes_nothing_from_its_class),
		cmocka_unit_test(the_trusted_have_a_class_of_their_own),
		cmocka_unit_test(connection_attempts_have_rates_per_source_and_together),
		cmocka_unit_test(the_link_has_its_own_rate_on_each_interface_and_is_asked_nothing_else),
		cmocka_unit_test(a_storm_on_the_link_does_not_keep_out_what_is_for_us),
		cmocka_unit_test(a_jumbo_frame_has_its_sources_rate),
	};

	return cmocka_run_group_tests(tests, gate_wires, NULL);
}
