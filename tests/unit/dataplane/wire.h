/* SPDX-License-Identifier: BSD-3-Clause */
/* Wires for the test bed: real packet buffers and workers, transmitted packets kept for inspection. Needs the EAL, no rights. */
#ifndef TESTS_UNIT_DATAPLANE_WIRE_H
#define TESTS_UNIT_DATAPLANE_WIRE_H

#include <stdio.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "dataplane/parse.h"
#include "tests/unit/dataplane/bed.h"

enum { WIRE_KEPT = 256, WIRE_DEVICES = 4, WIRE_BUFFERS = 1023 };

struct wire {
	unsigned count;
	struct rte_mbuf *kept[WIRE_KEPT];
};

static struct wire wires[WIRE_DEVICES]; /* ports 0 and 1, their mirrors 2 and 3 */
static struct rte_mempool *wire_pool;

static uint16_t wire_transmit(void *queue, struct rte_mbuf **packets, uint16_t n)
{
	struct wire *w = queue;
	uint16_t i = 0;

	for (; i < n && w->count < WIRE_KEPT; i++)
		w->kept[w->count++] = packets[i];
	return i;
}

/* Once per process. */
static inline void wire_open(void)
{
	static void *queues[WIRE_DEVICES][WORKERS_MAX];
	static char arguments[][24] = { "test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
		"-m", "64", "--lcores", "0@0", "--iova-mode=va", "--log-level=*:error" };
	static char *pointers[sizeof(arguments) / sizeof(arguments[0])];

	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++)
		pointers[i] = arguments[i];
	if (rte_eal_init((int)(sizeof(arguments) / sizeof(arguments[0])), pointers) < 0)
		abort();
	wire_pool = rte_pktmbuf_pool_create(
		"packets", WIRE_BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (wire_pool == NULL)
		abort();
	for (unsigned d = 0; d < WIRE_DEVICES; d++) {
		for (unsigned q = 0; q < WORKERS_MAX; q++)
			queues[d][q] = &wires[d];
		rte_eth_fp_ops[d].tx_pkt_burst = wire_transmit;
		rte_eth_fp_ops[d].txq.data = queues[d];
	}
}

static inline void wire_clear(void)
{
	for (unsigned d = 0; d < WIRE_DEVICES; d++) {
		if (wires[d].count != 0)
			rte_pktmbuf_free_bulk(wires[d].kept, wires[d].count);
		wires[d].count = 0;
	}
}

static inline struct dataplane *wire_bed_sized(uint16_t workers, const struct bed_size *size)
{
	struct dataplane *dp = bed_sized(workers, size);

	dp->shared.workers = aligned_alloc(64, workers * sizeof(struct worker));
	memset(dp->shared.workers, 0, workers * sizeof(struct worker));
	for (uint16_t i = 0; i < workers; i++)
		if (worker_init(&dp->shared.workers[i], &dp->shared, i, 0) != 0)
			abort();
	return dp;
}

static inline struct dataplane *wire_bed_new(uint16_t workers)
{
	return wire_bed_sized(workers, &bed_small);
}

static inline void wire_bed_free(struct dataplane *dp)
{
	wire_clear();
	for (unsigned i = 0; i < dp->shared.worker_count; i++)
		worker_fini(&dp->shared.workers[i]);
	free(dp->shared.workers);
	bed_free(dp);
	if (rte_mempool_in_use_count(wire_pool) != 0) {
		fprintf(stderr, "packet buffers leaked: %u\n", rte_mempool_in_use_count(wire_pool));
		abort();
	}
}

/* A received frame of these bytes. */
static inline struct rte_mbuf *wire_frame(uint16_t device, const void *bytes, size_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(wire_pool);
	char *at = m != NULL ? rte_pktmbuf_append(m, (uint16_t)n) : NULL;

	if (at == NULL)
		abort();
	memcpy(at, bytes, n);
	m->port = device;
	return m;
}

/* A UDP datagram as an Ethernet frame into `f`; returns its length. */
static inline size_t wire_udp(uint8_t *f, const char *source, uint16_t source_port, const char *dest,
	uint16_t dest_port, const void *payload, size_t n)
{
	bool v6 = strchr(source, ':') != NULL;
	union host s = bed_host(source), d = bed_host(dest);
	uint8_t *ip = f + 14, *udp = ip + (v6 ? 40 : 20);
	uint16_t length = (uint16_t)(8 + n);

	memset(f, 0, (size_t)(udp + 8 - f));
	store_u16(f + 12, htons(v6 ? 0x86dd : 0x0800));
	if (v6) {
		ip[0] = 0x60;
		store_u16(ip + 4, htons(length));
		ip[6] = 17;
		ip[7] = 64;
		memcpy(ip + 8, &s, 16);
		memcpy(ip + 24, &d, 16);
	} else {
		ip[0] = 0x45;
		store_u16(ip + 2, htons((uint16_t)(20 + length)));
		ip[8] = 64;
		ip[9] = 17;
		memcpy(ip + 12, &s, 4);
		memcpy(ip + 16, &d, 4);
		store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, 20)));
	}
	store_u16(udp, htons(source_port));
	store_u16(udp + 2, htons(dest_port));
	store_u16(udp + 4, htons(length));
	memcpy(udp + 8, payload, n);
	uint64_t sum =
		checksum_host(&s) + checksum_host(&d) + htons(length) + htons(17) + checksum_sum(udp, length);
	store_u16(udp + 6, (uint16_t)~checksum_fold(sum));
	return (size_t)(udp - f) + length;
}

static inline void wire_receive(struct dataplane *dp, unsigned worker, unsigned port, struct rte_mbuf *m)
{
	struct worker *w = &dp->shared.workers[worker];

	relay_burst(w, &dp->shared.ports[port], &m, 1);
	transmit_flush(w);
}

#endif
