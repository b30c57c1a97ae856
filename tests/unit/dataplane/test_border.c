/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of packets that are no media: the order of the border's questions, and its rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "dataplane/border.h"
#include "dataplane/relay.h"
#include "tests/unit/dataplane/wire.h"

enum {
	REALM_ACCESS,
	REALM_CORE,
	REALM_PEERS, /* the trusted one */
	REALMS,
	MIRRORED = -1,
	NOW = 10000000,
	SECOND = 1000000,
	PLENTY = 1000000,
};

struct gate {
	struct dataplane *dp;
	struct worker *w;
	struct border_config c;
	struct border_realm realms[REALMS];
	struct border_service services[4];
};

static const char sip[] = "OPTIONS sip:a SIP/2.0\r\n\r\n";

static struct rate rate_of(uint32_t per_second, uint32_t burst)
{
	return (struct rate){ .per_second = per_second, .burst = burst };
}

/* Everything passes, but that rates are there to be set. 10.0.1.10:5060 is SIP of "access", 10.0.1.20 (all ports) of the peers. */
static void gate_init(struct gate *g, uint16_t workers)
{
	*g = (struct gate){ .dp = wire_bed_new(workers) };
	g->w = &g->dp->shared.workers[0];
	for (uint16_t i = 0; i < workers; i++)
		g->w[i].now_us = NOW;
	g->realms[REALM_PEERS].trusted = true;
	g->services[0] = (struct border_service){
		.ip = bed_host("10.0.1.10"), .port = htons(5060), .realm = REALM_ACCESS, .family = 4
	};
	g->services[1] =
		(struct border_service){ .ip = bed_host("10.0.1.20"), .realm = REALM_PEERS, .family = 4 };
	g->services[2] = (struct border_service){
		.ip = bed_host("2001:db8:1::10"), .port = htons(5060), .realm = REALM_ACCESS, .family = 6
	};
	g->c = (struct border_config){ .bans = prefix_table_new(1000, g->dp->shared.rcu),
		.access = prefix_table_new(1000, g->dp->shared.rcu),
		.trust = prefix_table_new(1000, g->dp->shared.rcu),
		.max_sources = 1024,
		.services = g->services,
		.service_count = 3,
		.realms = g->realms,
		.realm_count = REALMS,
		.interface = { { .realm = REALM_ACCESS }, { .realm = REALM_CORE } } };
}

static void gate_open(struct gate *g)
{
	g->dp->shared.border = border_new(&g->c);
	assert_non_null(g->dp->shared.border);
}

static void gate_close(struct gate *g)
{
	border_free(g->dp->shared.border);
	wire_bed_free(g->dp);
}

static struct prefix_entry about(const char *ip, uint8_t length, uint16_t port, uint16_t scope)
{
	return (struct prefix_entry){ .key = { .ip = bed_host(ip),
					      .port = htons(port),
					      .scope = scope,
					      .family = strchr(ip, ':') != NULL ? 6 : 4,
					      .length = length } };
}

static void add(struct prefix_table *t, struct prefix_entry e)
{
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
}

static void ban(struct gate *g, const char *ip, uint8_t length, uint16_t port)
{
	add(g->c.bans, about(ip, length, port, PREFIX_SCOPE_ANY));
}

static void permit(struct gate *g, const char *ip, uint8_t length, bool yes, bool trusted)
{
	struct prefix_entry e = about(ip, length, 0, REALM_ACCESS);

	e.permit = yes;
	e.trusted = trusted;
	add(g->c.access, e);
}

static void trust(struct gate *g, const char *ip, uint16_t port, uint32_t rate)
{
	struct prefix_entry e = about(ip, strchr(ip, ':') != NULL ? 128 : 32, port, PREFIX_SCOPE_ANY);

	e.rate = rate;
	e.burst = rate;
	add(g->c.trust, e);
}

/* Gives the worker a frame. What became of it: MIRRORED, or the counter it was dropped under; exactly one of them. */
static int outcome_on(struct gate *g, uint8_t interface, const uint8_t *f, size_t n)
{
	uint64_t before[DP_COUNTER_COUNT];
	int result = -2;
	unsigned events = 0;

	memcpy(before, g->w->counter, sizeof(before));
	wire_receive(g->dp, 0, interface, wire_frame(interface, f, n));
	if (wires[2U + interface].count != 0) {
		events += wires[2U + interface].count;
		result = MIRRORED;
	}
	for (int c = 0; c < DP_COUNTER_COUNT; c++)
		if (g->w->counter[c] != before[c] &&
			strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0) {
			events += (unsigned)(g->w->counter[c] - before[c]);
			result = c;
		}
	wire_clear();
	assert_int_equal(events, 1);
	assert_int_equal(rte_mempool_in_use_count(wire_pool), 0);
	return result;
}

static int outcome(struct gate *g, const uint8_t *f, size_t n)
{
	return outcome_on(g, 0, f, n);
}

static int udp(struct gate *g, const char *from, uint16_t port)
{
	uint8_t f[256];
	const char *to = strchr(from, ':') != NULL ? "2001:db8:1::10" : "10.0.1.10";

	return outcome(g, f, wire_udp(f, from, port, to, 5060, sip, sizeof(sip)));
}

static int udp_to(struct gate *g, const char *from, const char *to)
{
	uint8_t f[256];

	return outcome(g, f, wire_udp(f, from, 5060, to, 5060, sip, sizeof(sip)));
}

static int udp_number(struct gate *g, uint32_t n)
{
	char from[INET_ADDRSTRLEN];
	struct in_addr a = { .s_addr = htonl(0x0b000000 + n) };

	return udp(g, inet_ntop(AF_INET, &a, from, sizeof(from)), 5060);
}

static size_t tcp_frame(uint8_t *f, const char *from, uint8_t flags)
{
	static const uint8_t rest[40];
	size_t n = wire_udp(f, from, 4000, "10.0.1.10", 5060, rest, sizeof(rest));

	f[14 + 9] = 6;
	f[34 + 12] = 0x50;
	f[34 + 13] = flags;
	return n;
}

static int tcp(struct gate *g, const char *from, uint8_t flags)
{
	uint8_t f[256];
	size_t n = tcp_frame(f, from, flags);

	return outcome(g, f, n);
}

static int later_fragment(struct gate *g, const char *from)
{
	uint8_t f[256];
	size_t n = wire_udp(f, from, 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	store_u16(f + 14 + 6, htons(0x0010));
	store_u16(f + 14 + 10, 0);
	store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	return outcome(g, f, n);
}

static int arp(struct gate *g, uint8_t interface)
{
	uint8_t f[60] = { [12] = 0x08, [13] = 0x06 };

	return outcome_on(g, interface, f, sizeof(f));
}

static int neighbour(struct gate *g, const char *from, uint8_t hop_limit)
{
	uint8_t f[256];
	size_t n = wire_udp(f, from, 0, "2001:db8:1::1", 0, sip, sizeof(sip));

	f[14 + 6] = 58;
	f[14 + 7] = hop_limit;
	f[54] = 135;
	return outcome(g, f, n);
}

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
	assert_int_equal(prefix_table_find(g.c.bans, &banned)->hits, 4);
	assert_int_equal(prefix_table_find(g.c.trust, &banned)->hits, 0);
	assert_int_equal(prefix_table_clear(g.c.bans, &banned), 0);
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
	add(g.c.bans, e);
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

		add(g.c.trust, e);
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

/* --- floods --- */

static void flood(struct gate *g, uint32_t first, uint32_t packets)
{
	struct rte_mbuf *burst[BURST];
	uint8_t f[256];
	size_t n = wire_udp(f, "11.0.0.0", 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	for (uint32_t i = 0; i < packets; i += BURST) {
		for (uint32_t k = 0; k < BURST; k++) {
			store_u32(f + 14 + 12, htonl(0x0b000000 + first + i + k));
			store_u16(f + 14 + 10, 0);
			store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
			burst[k] = wire_frame(0, f, n);
		}
		relay_burst(g->w, &g->dp->shared.ports[0], burst, BURST);
		transmit_flush(g->w);
		wire_clear();
	}
}

static void a_million_strangers_do_not_touch_what_is_known_of_the_trusted(void **state)
{
	struct source_report top[5];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(20, 40);
	g.c.class[BORDER_UNTRUSTED] = rate_of(20000, 40000);
	gate_open(&g);
	for (uint16_t port = 1; port <= 300; port++)
		trust(&g, "192.0.2.1", port, 2);
	for (uint16_t port = 1; port <= 300; port++) /* all have used up their rate */
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(
				udp(&g, "192.0.2.1", port), i < 2 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
	uint64_t before = g.w->counter[DP_COUNTER_MIRROR_IN];
	flood(&g, 0, PLENTY);
	assert_int_equal(g.w->counter[DP_COUNTER_MIRROR_IN] - before, 40000); /* their class's burst */
	assert_int_equal(g.w->counter[DP_COUNTER_DROP_CLASS_RATE], PLENTY - 40000);
	assert_true(g.w->counter[DP_COUNTER_SOURCE_EVICTED] > PLENTY / 2); /* it says so */
	uint64_t evicted = g.w->counter[DP_COUNTER_SOURCE_EVICTED];
	for (uint16_t port = 1; port <= 300; port++)
		assert_int_equal(udp(&g, "192.0.2.1", port), DP_COUNTER_DROP_SOURCE_RATE);
	assert_int_equal(g.w->counter[DP_COUNTER_SOURCE_EVICTED], evicted);
	assert_int_equal(source_table_top(border_sources(g.dp->shared.border, true), top, 5), 5);
	assert_int_equal(top[4].packets, 4);
	gate_close(&g);
}

/* Workers take chunks: together they get what the rate gives, whatever a worker holds back. */
static void a_class_has_one_rate_over_all_workers(void **state)
{
	static const uint32_t rates[] = { 1000, 100000, 640000, 2000000 };
	enum { STEP = 100, WORKERS = 4, CHUNK = 16 };

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct gate g;
		uint32_t burst = 100 + rates[r] / 1000, offered = 0, steps = SECOND / STEP;

		gate_init(&g, WORKERS);
		g.c.class[BORDER_UNTRUSTED] = rate_of(rates[r], burst);
		gate_open(&g);
		struct worker *all = g.w;
		for (uint32_t i = 0; i < steps / 10;
			i++) { /* a tenth of a second, at twice the rate and more */
			uint32_t packets = 2 * rates[r] / steps + BURST;

			for (uint16_t k = 0; k < WORKERS; k++)
				all[k].now_us = NOW + i * STEP;
			for (; packets >= BURST; packets -= BURST) {
				g.w = &all[(offered / BURST) % WORKERS];
				flood(&g, 0, BURST);
				offered += BURST;
			}
		}
		uint64_t passed = 0;
		for (uint16_t k = 0; k < WORKERS; k++)
			passed += all[k].counter[DP_COUNTER_MIRROR_IN];
		assert_in_range(passed, rates[r] / 10 - WORKERS * CHUNK, rates[r] / 10 + burst);
		g.w = all;
		gate_close(&g);
	}
}

static void a_stopped_worker_holds_back_no_more_than_a_chunk(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 2);
	g.c.class[BORDER_UNTRUSTED] = rate_of(2000000, 64);
	gate_open(&g);
	struct worker *all = g.w;
	flood(&g, 0, BURST); /* takes two chunks whole */
	assert_int_equal(udp_number(&g, 1), MIRRORED); /* holds the rest of a third, and stops */
	g.w = &all[1];
	flood(&g, 0, BURST);
	assert_int_equal(
		all[0].counter[DP_COUNTER_MIRROR_IN] + all[1].counter[DP_COUNTER_MIRROR_IN], 33 + 16);
	g.w = all;
	gate_close(&g);
}

/* --- two workers and the main thread --- */

/* Each worker has its own buffers: threads that share a processor must not wait for each other in a pool's ring. */
struct beside {
	struct worker *w;
	struct rte_mempool *pool;
	uint64_t sent;
};

enum { ROUNDS = 4000 };

static _Thread_local uint64_t mirrored_here;

static void mirror_count(struct worker *w, struct item *it)
{
	(void)w;
	mirrored_here++;
	rte_pktmbuf_free(it->m);
}

static void *burst_on(void *arg)
{
	struct beside *b = arg;
	struct worker *w = b->w;
	struct item items[8], *pointers[8];
	uint8_t f[256];
	size_t n = wire_udp(f, "192.0.2.0", 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		w->now_us += 50;
		for (unsigned i = 0; i < 8; i++) {
			f[14 + 12 + 3] = (uint8_t)(r * 8 + i);
			items[i] = (struct item){ .m = rte_pktmbuf_alloc(b->pool) };
			memcpy(rte_pktmbuf_append(items[i].m, (uint16_t)n), f, n);
			packet_parse(f, n, &items[i].p);
			items[i].p.class = PACKET_UDP; /* the header's sum is of another source */
			items[i].p.source.byte[3] = f[14 + 12 + 3];
			pointers[i] = &items[i];
		}
		border_burst(w, pointers, 8, mirror_count);
		b->sent += 8;
		rte_rcu_qsbr_quiescent(w->shared->rcu, w->index);
	}
	rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
	worker_count(w, DP_COUNTER_MIRROR_IN, mirrored_here);
	return NULL;
}

static void what_two_workers_judge_while_tables_change_is_all_accounted_for(void **state)
{
	struct beside b[2];
	pthread_t thread[2];
	struct gate g;

	(void)state;
	gate_init(&g, 2);
	g.c.max_sources = 100; /* so that lines change hands */
	g.c.untrusted[SOURCE_PACKETS] = rate_of(2000, 4);
	g.c.class[BORDER_UNTRUSTED] = rate_of(3000000, 100);
	gate_open(&g);
	for (uint16_t i = 0; i < 2; i++) {
		b[i] = (struct beside){ .w = &g.w[i],
			.pool = rte_pktmbuf_pool_create(
				i == 0 ? "first" : "second", 63, 0, 0, 512, SOCKET_ID_ANY) };
		assert_non_null(b[i].pool);
		assert_int_equal(rte_rcu_qsbr_thread_register(g.dp->shared.rcu, i), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, burst_on, &b[i]), 0);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		struct prefix_table *t = i % 3 == 0 ? g.c.bans : i % 3 == 1 ? g.c.access : g.c.trust;
		struct prefix_entry e =
			about("192.0.2.0", 32, 0, i % 3 == 1 ? REALM_ACCESS : PREFIX_SCOPE_ANY);

		e.key.ip.byte[3] = (uint8_t)(i * 7);
		e.permit = (i & 8) != 0;
		if (prefix_table_clear(t, &e.key) != 0)
			add(t, e);
	}
	uint64_t total = 0;
	for (uint16_t i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		(void)rte_rcu_qsbr_thread_unregister(g.dp->shared.rcu, i);
		assert_int_equal(rte_mempool_in_use_count(b[i].pool), 0);
		rte_mempool_free(b[i].pool);
		for (int c = 0; c < DP_COUNTER_COUNT; c++)
			if (c == DP_COUNTER_MIRROR_IN ||
				strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
				total += g.w[i].counter[c];
	}
	assert_int_equal(total, b[0].sent + b[1].sent);
	gate_close(&g);
}

static int open_wires(void **state)
{
	(void)state;
	wire_open();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nothing_is_said_of_reaches_the_mirror),
		cmocka_unit_test(a_ban_goes_before_permission_and_trust),
		cmocka_unit_test(a_ban_ends_when_its_time_is_over),
		cmocka_unit_test(a_ban_of_one_flow_leaves_the_others_behind_the_same_nat),
		cmocka_unit_test(an_access_list_goes_before_trust),
		cmocka_unit_test(the_realm_is_that_of_the_service_and_else_the_interfaces),
		cmocka_unit_test(trust_goes_before_the_rates_of_strangers),
		cmocka_unit_test(an_interface_whose_realms_are_all_trusted_is_trusted),
		cmocka_unit_test(a_trusted_source_has_the_rate_that_its_entry_gives),
		cmocka_unit_test(phones_of_one_ipv6_network_that_are_trusted_do_not_share_a_rate),
		cmocka_unit_test(a_strangers_rate_is_that_of_its_access_entry_if_it_gives_one),
		cmocka_unit_test(a_source_over_its_rate_takes_nothing_from_its_class),
		cmocka_unit_test(the_trusted_have_a_class_of_their_own),
		cmocka_unit_test(connection_attempts_have_rates_per_source_and_together),
		cmocka_unit_test(later_fragments_are_trusted_and_banned_as_the_first_was),
		cmocka_unit_test(the_link_has_its_own_rate_on_each_interface_and_is_asked_nothing_else),
		cmocka_unit_test(a_storm_on_the_link_does_not_keep_out_what_is_for_us),
		cmocka_unit_test(malformed_packets_and_media_ports_never_come_to_the_border),
		cmocka_unit_test(a_jumbo_frame_has_the_trust_and_the_bans_of_its_port),
		cmocka_unit_test(a_jumbo_frame_has_its_sources_rate),
		cmocka_unit_test(a_million_strangers_do_not_touch_what_is_known_of_the_trusted),
		cmocka_unit_test(a_class_has_one_rate_over_all_workers),
		cmocka_unit_test(a_stopped_worker_holds_back_no_more_than_a_chunk),
		cmocka_unit_test(what_two_workers_judge_while_tables_change_is_all_accounted_for),
	};

	return cmocka_run_group_tests(tests, open_wires, NULL);
}
