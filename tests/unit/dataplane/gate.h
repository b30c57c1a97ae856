/* SPDX-License-Identifier: BSD-3-Clause */
/* A border on the test bed's interfaces, and frames for it: what becomes of each. */
#ifndef TESTS_UNIT_DATAPLANE_GATE_H
#define TESTS_UNIT_DATAPLANE_GATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
	struct prefix_table *bans, *trust;
	uint32_t max_sources;
	struct border_realm realms[REALMS];
	struct border_service services[4];
};

static const char sip[] __attribute__((unused)) = "OPTIONS sip:a SIP/2.0\r\n\r\n";

static inline struct rate rate_of(uint32_t per_second, uint32_t burst)
{
	return (struct rate){ .per_second = per_second, .burst = burst };
}

/* Everything passes, but that rates are there to be set. 10.0.1.10:5060 is SIP of "access", 10.0.1.20 (all ports) of the peers. */
static inline void gate_init(struct gate *g, uint16_t workers)
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
	g->max_sources = 1024;
	g->bans = prefix_table_new(1000, g->dp->shared.rcu);
	g->trust = prefix_table_new(1000, g->dp->shared.rcu);
	g->c = (struct border_config){ .access = prefix_table_new(1000, g->dp->shared.rcu),
		.services = g->services,
		.service_count = 3,
		.realms = g->realms,
		.realm_count = REALMS,
		.interface = { { .realm = REALM_ACCESS }, { .realm = REALM_CORE } } };
}

static inline void gate_open(struct gate *g)
{
	g->dp->shared.border = border_new(g->bans, g->trust, g->max_sources, border_policy_new(&g->c));
	assert_non_null(g->dp->shared.border);
}

static inline void gate_close(struct gate *g)
{
	border_free(g->dp->shared.border);
	wire_bed_free(g->dp);
}

static inline struct prefix_entry about(const char *ip, uint8_t length, uint16_t port, uint16_t scope)
{
	return (struct prefix_entry){ .key = { .ip = bed_host(ip),
					      .port = htons(port),
					      .scope = scope,
					      .family = strchr(ip, ':') != NULL ? 6 : 4,
					      .length = length } };
}

static inline void add(struct prefix_table *t, struct prefix_entry e)
{
	assert_int_equal(prefix_table_set(t, &e, NULL, NOW, false, NULL), 0);
}

static inline void ban(struct gate *g, const char *ip, uint8_t length, uint16_t port)
{
	add(g->bans, about(ip, length, port, PREFIX_SCOPE_ANY));
}

static inline void permit(struct gate *g, const char *ip, uint8_t length, bool yes, bool trusted)
{
	struct prefix_entry e = about(ip, length, 0, REALM_ACCESS);

	e.permit = yes;
	e.trusted = trusted;
	add(g->c.access, e);
}

static inline void trust(struct gate *g, const char *ip, uint16_t port, uint32_t rate)
{
	struct prefix_entry e = about(ip, strchr(ip, ':') != NULL ? 128 : 32, port, PREFIX_SCOPE_ANY);

	e.rate = rate;
	e.burst = rate;
	add(g->trust, e);
}

/* Gives the worker a frame. What became of it: MIRRORED, or the counter it was dropped under; exactly one of them. */
static inline int outcome_on(struct gate *g, uint8_t interface, const uint8_t *f, size_t n)
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

static inline int outcome(struct gate *g, const uint8_t *f, size_t n)
{
	return outcome_on(g, 0, f, n);
}

static inline int udp(struct gate *g, const char *from, uint16_t port)
{
	uint8_t f[256];
	const char *to = strchr(from, ':') != NULL ? "2001:db8:1::10" : "10.0.1.10";

	return outcome(g, f, wire_udp(f, from, port, to, 5060, sip, sizeof(sip)));
}

static inline int udp_to(struct gate *g, const char *from, const char *to)
{
	uint8_t f[256];

	return outcome(g, f, wire_udp(f, from, 5060, to, 5060, sip, sizeof(sip)));
}

static inline int udp_number(struct gate *g, uint32_t n)
{
	char from[INET_ADDRSTRLEN];
	struct in_addr a = { .s_addr = htonl(0x0b000000 + n) };

	return udp(g, inet_ntop(AF_INET, &a, from, sizeof(from)), 5060);
}

static inline size_t tcp_frame(uint8_t *f, const char *from, uint8_t flags)
{
	static const uint8_t rest[40];
	size_t n = wire_udp(f, from, 4000, "10.0.1.10", 5060, rest, sizeof(rest));

	f[14 + 9] = 6;
	f[34 + 12] = 0x50;
	f[34 + 13] = flags;
	return n;
}

static inline int tcp(struct gate *g, const char *from, uint8_t flags)
{
	uint8_t f[256];
	size_t n = tcp_frame(f, from, flags);

	return outcome(g, f, n);
}

static inline int later_fragment(struct gate *g, const char *from)
{
	uint8_t f[256];
	size_t n = wire_udp(f, from, 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	store_u16(f + 14 + 6, htons(0x0010));
	store_u16(f + 14 + 10, 0);
	store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	return outcome(g, f, n);
}

static inline int arp(struct gate *g, uint8_t interface)
{
	uint8_t f[60] = { [12] = 0x08, [13] = 0x06 };

	return outcome_on(g, interface, f, sizeof(f));
}

static inline int neighbour(struct gate *g, const char *from, uint8_t hop_limit)
{
	uint8_t f[256];
	size_t n = wire_udp(f, from, 0, "2001:db8:1::1", 0, sip, sizeof(sip));

	f[14 + 6] = 58;
	f[14 + 7] = hop_limit;
	f[54] = 135;
	return outcome(g, f, n);
}

static inline int gate_wires(void **state)
{
	(void)state;
	wire_open();
	return 0;
}

#endif
