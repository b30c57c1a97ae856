/* SPDX-License-Identifier: BSD-3-Clause */
/* A dataplane without NICs for tests: two interfaces with IPv4 and IPv6, realms "access" and "core", real tables. */
#ifndef TESTS_UNIT_DATAPLANE_BED_H
#define TESTS_UNIT_DATAPLANE_BED_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "platforms/base/address.h"

enum { BED_FIRST = 10000, BED_LAST = 10015, BED_PAIRS = 8, BED_SESSIONS = 6 };

static const uint8_t bed_mac[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
static const uint8_t bed_peer_mac[2][6] = { { 2, 9, 0, 0, 0, 1 }, { 2, 9, 0, 0, 0, 2 } };

static inline union host bed_host(const char *text)
{
	union host h = { 0 };

	if (inet_pton(AF_INET, text, h.byte) != 1 && inet_pton(AF_INET6, text, h.byte) != 1)
		abort();
	return h;
}

static inline struct dp_address bed_address(const char *text, uint16_t port)
{
	struct dp_address a = { .port = port };

	if (text == NULL)
		return a;
	a.family = strchr(text, ':') != NULL ? 6 : 4;
	union host h = bed_host(text);
	memcpy(a.ip, h.byte, a.family == 4 ? 4 : 16);
	return a;
}

struct bed_size {
	uint32_t sessions, rules;
	uint16_t addresses, last; /* IPv4 ones of each realm, from .1 on; their highest port */
	struct srtp_store *srtp; /* NULL: without */
};

static const struct bed_size bed_small = {
	.sessions = BED_SESSIONS, .rules = 128, .addresses = 1, .last = BED_LAST
};

/* The `n`th IPv4 address of ours in a realm. */
static inline union host bed_ours(unsigned realm, unsigned n)
{
	return (union host){ .byte = { 10, 0, (uint8_t)(realm + 1), (uint8_t)(n + 1) } };
}

static inline union host bed_ours6(unsigned realm)
{
	return bed_host(realm == 0 ? "2001:db8:1::1" : "2001:db8:2::1");
}

static inline struct dataplane *bed_sized(uint16_t workers, const struct bed_size *size)
{
	static char *names[2] = { (char *)"outside", (char *)"inside" };
	struct dataplane *dp = calloc(1, sizeof(*dp));
	struct worker_shared *s = &dp->shared;
	int bad = 0;

	struct flow_table *flows = flow_table_new();

	dp->config = dp->started = calloc(1, sizeof(*dp->config));
	dp->config->network_interfaces = calloc(2, sizeof(struct config_network_interface));
	dp->config->network_interfaces_count = 2;
	dp->config->media_manager.idle_timeout = 60;
	dp->config->media_manager.initial_timeout = 120;
	dp->config->media_manager.relatch_silence = 5;
	s->rcu = aligned_alloc(64, rte_rcu_qsbr_get_memsize(WORKERS_MAX));
	bad |= rte_rcu_qsbr_init(s->rcu, WORKERS_MAX);
	s->ports = calloc(2, sizeof(*s->ports));
	s->port_count = s->interface_count = 2;
	s->worker_count = workers;
	s->srtp = size->srtp != NULL;
	bad |= next_hops_init(&dp->next_hops, 64);
	s->next_hops = dp->next_hops.links;
	bad |= pools_init(&dp->pools, s->rcu, 2, (uint16_t)(2 * size->addresses + 2));
	for (uint8_t i = 0; i < 2; i++) {
		dp->config->network_interfaces[i].name = names[i];
		dp->config->network_interfaces[i].port = names[i];
		s->ports[i].device = i;
		s->port_of[i] = i;
		memset(s->ports[i].interface, i, VLANS);
		s->interface[i] = (struct worker_interface){
			.device = i, .home = i, .mirror = (uint16_t)(i + 2), .mtu = 1500, .port = i
		};
		memcpy(s->interface[i].mac, bed_mac[i], 6);
		dp->pools.realm[i] = (struct pool_realm){
			.state = REALM_PRESENT, .interface = i, .dscp = 46 << 2, .heir = REALM_NONE
		};
		memcpy(dp->pools.realm[i].name, i == 0 ? "access" : "core", 5U + (i == 0));
		for (unsigned k = 0; k < 2; k++) {
			struct next_hop_route r = { .ip = k == 0 ? bed_ours(i, 0) : bed_ours6(i),
				.family = k == 0 ? 4 : 6,
				.interface = i,
				.length = k == 0 ? 24 : 64 };

			bad |= next_hops_add_route(&dp->next_hops, &r);
		}
		for (unsigned k = 0; k < size->addresses; k++) {
			union host h = bed_ours(i, k);

			bad |= flow_table_add(flows, &h, 4, i, BED_FIRST, size->last);
		}
		union host h6 = bed_ours6(i);
		bad |= flow_table_add(flows, &h6, 6, i, BED_FIRST, BED_LAST);
	}
	bad |= flow_table_allocate(flows, NULL);
	s->flows = flows;
	for (uint8_t i = 0; i < 2; i++) {
		union host h6 = bed_ours6(i);

		for (unsigned k = 0; k < size->addresses; k++) {
			union host h = bed_ours(i, k);

			bad |= pools_add(&dp->pools, flows, i, &h, 4, BED_FIRST, size->last);
		}
		bad |= pools_add(&dp->pools, flows, i, &h6, 6, BED_FIRST, BED_LAST);
	}
	bad |= rule_store_init(&dp->rules, s->rcu, size->rules);
	bad |= sessions_init(
		&dp->sessions, &dp->pools, &dp->next_hops, &dp->rules, size->srtp, size->sessions, workers);
	if (bad != 0)
		abort();
	return dp;
}

static inline struct dataplane *bed_new(uint16_t workers)
{
	return bed_sized(workers, &bed_small);
}

static inline void bed_free(struct dataplane *dp)
{
	sessions_fini(&dp->sessions);
	rule_store_fini(&dp->rules);
	pools_fini(&dp->pools);
	flow_table_free((struct flow_table *)dp->shared.flows, NULL);
	next_hops_fini(&dp->next_hops);
	free(dp->shared.rcu);
	free(dp->shared.ports);
	free(dp->config->network_interfaces);
	free(dp->config);
	free(dp);
}

/* Every next hop the sessions refer to answers ARP and NDP with its interface's peer MAC. */
static inline void bed_learn(struct dataplane *dp)
{
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++)
		next_hop_learn(&dp->next_hops, i, bed_peer_mac[dp->next_hops.entry[i].interface], false);
}

/* One RTP stream between access (side 0) and core (side 1). Peers' text NULL = not known yet. */
static inline struct dp_session_request bed_request(
	const char *a, uint16_t a_port, const char *b, uint16_t b_port)
{
	struct dp_session_request r = { .owner = 1, .streams = 1 };
	struct dp_side_request *side = r.stream[0].side;

	r.stream[0].kind = DP_MEDIA_RTP;
	memcpy(side[0].realm, "access", 7);
	memcpy(side[1].realm, "core", 5);
	side[0].family = a != NULL && strchr(a, ':') != NULL ? 6 : 4;
	side[1].family = b != NULL && strchr(b, ':') != NULL ? 6 : 4;
	side[0].rtp = bed_address(a, a_port);
	side[1].rtp = bed_address(b, b_port);
	return r;
}

static inline uint64_t bed_create(struct dataplane *dp, const struct dp_session_request *r)
{
	uint64_t id = 0;

	if (session_create(&dp->sessions, r, NULL, 1000000, &id) != 0)
		return 0;
	bed_learn(dp);
	return id;
}

#endif
