/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs that measure a worker have in common: memory-backed ports, flows of calls, packets of their peers. */
#ifndef TESTS_BENCH_RELAY_BED_H
#define TESTS_BENCH_RELAY_BED_H

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "dataplane/checksum.h"
#include "dataplane/latch.h"
#include "dataplane/next_hop.h"
#include "dataplane/table_memory.h"
#include "dataplane/worker.h"

enum { BATCH = 1024, RTP_BYTES = 172, POOL = 8191, COSTS = 4096, PORT_FIRST = 1024, PORT_LAST = 65535 };

/* All that is written into a packet: whoever writes it must not touch, and warm, what the worker is to find. */
struct source {
	union host from, dest;
	uint32_t timestamp;
	uint16_t sequence;
	uint16_t from_port, dest_port; /* network order */
};

static struct worker_shared shared;
static struct rte_ring *rx_ring[2], *tx_ring[2];
static struct rte_mempool *pool;
static struct flow_rule *rules;
static struct source *sources;
static uint32_t *order;
static uint8_t family[2] = { 4, 4 };
static bool dense;
static uint64_t links[2];

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

static inline union host address(unsigned side, unsigned host)
{
	union host h = { 0 };

	if (family[side] == 4)
		h.word[0] = htonl(0x0a000000U + (side << 16) + host);
	else
		h = (union host){
			.byte = { 0x20, 1, 0x0d, 0xb8,
				(uint8_t)side, [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host }
		};
	return h;
}

static inline void open_devices(void)
{
	char name[32];
	struct rte_eth_conf conf = { 0 };

	pool = rte_mempool_create("packets", POOL, sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE, 256,
		sizeof(struct rte_pktmbuf_pool_private), rte_pktmbuf_pool_init, NULL, rte_pktmbuf_init, NULL,
		SOCKET_ID_ANY, dense ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
	shared.ports = calloc(2, sizeof(*shared.ports));
	if (pool == NULL || shared.ports == NULL)
		die("no memory");
	for (unsigned i = 0; i < 4; i++) { /* two ports and their (silent) mirrors */
		snprintf(name, sizeof(name), "rx%u", i);
		struct rte_ring *rx = rte_ring_create(name, 2 * BATCH, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "tx%u", i);
		struct rte_ring *tx = rte_ring_create(name, 2 * BATCH, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "port%u", i);
		int device = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);
		if (device < 0 || rte_eth_dev_configure((uint16_t)device, 1, 1, &conf) != 0 ||
			rte_eth_rx_queue_setup((uint16_t)device, 0, 1024, 0, NULL, pool) != 0 ||
			rte_eth_tx_queue_setup((uint16_t)device, 0, 1024, 0, NULL) != 0 ||
			rte_eth_dev_start((uint16_t)device) != 0)
			die("cannot open a ring port");
		if (i < 2) {
			rx_ring[i] = rx;
			tx_ring[i] = tx;
			shared.ports[i].device = (uint16_t)device;
			memset(shared.ports[i].interface, (int)i, VLANS);
			shared.interface[i] = (struct worker_interface){ .device = (uint16_t)device,
				.mtu = 1500,
				.mac = { 2, 0, 0, 0, 0, (uint8_t)i },
				.port = (uint8_t)i };
		} else {
			shared.interface[i - 2].mirror = (uint16_t)device;
		}
	}
	shared.port_count = shared.interface_count = 2;
}

static void make_rule(struct flow_rule *r, struct flow *f, struct flow *peer, unsigned side, unsigned in_host,
	unsigned out_host)
{
	*r = (struct flow_rule){ .peer = peer,
		.out_ip = address(1 - side, 1 + out_host),
		.out_port = htons(peer->port),
		.epoch_in = 1,
		.epoch_out = 1,
		.session = 1,
		.flags = RULE_MEASURED,
		.latching = DP_LATCHING_FIXED,
		.out_family = family[1 - side],
		.out_interface = (uint8_t)(1 - side),
		.dscp = 46 << 2 };
	r->accept[0] = (struct flow_endpoint){
		.ip = address(side, 1000 + in_host), .port = htons(f->port), .next_hop = 1
	};
	r->dest[0] = (struct flow_endpoint){
		.ip = address(1 - side, 1000 + out_host), .port = htons(peer->port), .next_hop = 1
	};
	atomic_store(&f->rule, r);
}

static void make_source(struct source *s, const struct flow *f)
{
	const struct flow_rule *r = f->rule;

	*s = (struct source){ .from = r->accept[0].ip,
		.dest = r->peer->rule->out_ip,
		.from_port = r->accept[0].port,
		.dest_port = htons(f->port) };
}

static inline void make_flows(uint32_t flows)
{
	uint32_t calls = (flows + 1) / 2, per_host = (PORT_LAST + 1 - PORT_FIRST) / 2;
	uint32_t hosts = (calls + per_host - 1) / per_host;
	union next_hop_link link = { .byte = { 2, 1, 1, 1, 1, 1, 1 } };
	struct flow_table *table = flow_table_new();

	links[1] = link.word;
	shared.next_hops = links;
	for (unsigned side = 0; side < 2; side++)
		for (unsigned h = 0; h < hosts; h++) {
			union host a = address(side, 1 + h);
			if (table == NULL || flow_table_add(table, &a, family[side], (uint8_t)side,
						     PORT_FIRST, PORT_LAST) != 0)
				die("address");
		}
	rules = table_memory_new((size_t)calls * 2 * sizeof(*rules));
	sources = calloc(calls * 2, sizeof(*sources));
	order = calloc(calls * 2, sizeof(*order));
	if (flow_table_allocate(table, NULL) != 0 || rules == NULL || sources == NULL || order == NULL)
		die("no memory");
	for (unsigned side = 0; side < 2; side++)
		for (unsigned h = 0; h < hosts; h++) {
			union host a = address(side, 1 + h);
			struct flow *f = NULL;
			uint32_t pairs = flow_table_range(table, &a, family[side], PORT_FIRST, PORT_LAST, &f);
			while (pairs-- > 0)
				flow_set_pooled(&f[pairs], true);
		}
	shared.flows = table;
	for (uint32_t i = 0; i < calls; i++) {
		union host a = address(0, 1 + i / per_host), b = address(1, 1 + i / per_host);
		struct flow *fa = flow_find(
			flow_address_find(table, &a, family[0]), (uint16_t)(PORT_FIRST + 2 * (i % per_host)));
		struct flow *fb = flow_find(
			flow_address_find(table, &b, family[1]), (uint16_t)(PORT_FIRST + 2 * (i % per_host)));
		make_rule(&rules[2 * i], fa, fb, 0, i / per_host, i / per_host);
		make_rule(&rules[2 * i + 1], fb, fa, 1, i / per_host, i / per_host);
		make_source(&sources[2 * i], fa);
		make_source(&sources[2 * i + 1], fb);
	}
	uint32_t shuffle = 1;
	for (uint32_t i = 0; i < calls * 2; i++) {
		uint32_t k = (shuffle = shuffle * 1664525 + 1013904223) / 256 % (i + 1);
		order[i] = order[k];
		order[k] = i;
	}
}

static inline void write_packet(struct rte_mbuf *m, struct source *s, unsigned side)
{
	union host dest = s->dest, from = s->from;
	size_t ip_header = family[side] == 4 ? IPV4_HEADER : IPV6_HEADER;

	rte_pktmbuf_reset(m);
	uint8_t *frame = (uint8_t *)rte_pktmbuf_append(
		m, (uint16_t)(ETHER_HEADER + ip_header + UDP_HEADER + RTP_BYTES));
	uint8_t *ip = frame + ETHER_HEADER, *udp = ip + ip_header;
	memset(frame, 2, 12);
	store_u16(frame + 12, htons(family[side] == 4 ? 0x0800 : 0x86dd));
	if (family[side] == 4) {
		memcpy(ip, (uint8_t[]){ 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0 }, 12);
		store_u16(ip + 2, htons((uint16_t)(IPV4_HEADER + UDP_HEADER + RTP_BYTES)));
		store_u32(ip + 12, from.word[0]);
		store_u32(ip + 16, dest.word[0]);
		store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, IPV4_HEADER)));
	} else {
		memcpy(ip, (uint8_t[]){ 0x60, 0, 0, 0, 0, UDP_HEADER + RTP_BYTES, 17, 64 }, 8);
		memcpy(ip + 8, &from, 16);
		memcpy(ip + 24, &dest, 16);
	}
	store_u16(udp, s->from_port);
	store_u16(udp + 2, s->dest_port);
	store_u16(udp + 4, htons(UDP_HEADER + RTP_BYTES));
	store_u16(udp + 6, 0x1234); /* only carried on incrementally */
	udp[8] = 0x80;
	udp[9] = 0;
	store_u16(udp + 10, htons(s->sequence++));
	store_u32(udp + 12, htonl(s->timestamp += 160));
	store_u32(udp + 16, 0x11223344);
}

#endif
