/* SPDX-License-Identifier: BSD-3-Clause */
/* A call on the test bed: packets of its peers in, what leaves checked octet by octet. Include cmocka.h first. */
#ifndef TESTS_UNIT_DATAPLANE_CALL_H
#define TESTS_UNIT_DATAPLANE_CALL_H

#include "tests/unit/dataplane/wire.h"

struct call {
	struct dataplane *dp;
	uint64_t id;
	struct dp_session_request q;
	struct dp_session_reply r;
	const char *local[2];
	uint16_t port[2];
};

static const uint8_t rtp[] = { 0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 'v', 'o', 'i', 'c', 'e' };
static const uint8_t rtcp[] = { 0x80, 201, 0, 1, 1, 2, 3, 4 };

static inline void call_set(struct call *c)
{
	static const char *const ips[2][2] = { { "10.0.1.1", "2001:db8:1::1" },
		{ "10.0.2.1", "2001:db8:2::1" } };

	session_reply(session_find(&c->dp->sessions, c->id), &c->r);
	for (unsigned k = 0; k < 2; k++) {
		c->local[k] = ips[k][c->r.local[0][k].family == 6];
		c->port[k] = c->r.local[0][k].port;
	}
	bed_learn(c->dp);
}

static inline void call_open(struct call *c, const struct dp_session_request *q, uint16_t workers)
{
	c->dp = wire_bed_new(workers);
	c->q = *q;
	c->id = bed_create(c->dp, q);
	assert_int_not_equal(c->id, 0);
	call_set(c);
}

static inline void call_update(struct call *c)
{
	c->q.session = c->id;
	assert_int_equal(session_update(&c->dp->sessions, &c->q, NULL, 2000000), 0);
	call_set(c);
}

/* From a peer of side `k` to our port + `component` there. */
static inline void arrive(struct call *c, unsigned k, const char *source, uint16_t port, unsigned component,
	const void *payload, size_t n)
{
	uint8_t f[2048];
	size_t length =
		wire_udp(f, source, port, c->local[k], (uint16_t)(c->port[k] + component), payload, n);

	wire_receive(c->dp, 0, k, wire_frame((uint16_t)k, f, length));
}

/* Exactly one packet went out, to `dest`, with our address of side `k`. */
static inline void assert_sent(struct call *c, unsigned k, unsigned component, const char *dest,
	uint16_t port, const void *payload, size_t n)
{
	struct packet p;
	union host from = bed_host(c->local[k]), to = bed_host(dest);

	assert_int_equal(wires[k].count, 1);
	assert_int_equal(wires[1 - k].count + wires[2].count + wires[3].count, 0);
	const struct rte_mbuf *m = wires[k].kept[0];
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	packet_parse(f, m->data_len, &p);
	assert_int_equal(p.class, PACKET_UDP);
	assert_memory_equal(f, bed_peer_mac[k], 6);
	assert_memory_equal(f + 6, bed_mac[k], 6);
	assert_true(host_equal(&p.source, &from));
	assert_true(host_equal(&p.dest, &to));
	assert_int_equal(ntohs(p.source_port), c->port[k] + component);
	assert_int_equal(ntohs(p.dest_port), port);
	assert_int_equal(p.traffic_class, 46 << 2);
	assert_int_equal(p.payload, n);
	assert_memory_equal(f + p.udp + 8, payload, n);
	wire_clear();
}

/* The worker's clock, seconds and microseconds. */
static inline void call_time(struct call *c, uint64_t s, uint64_t us)
{
	for (unsigned i = 0; i < c->dp->shared.worker_count; i++)
		c->dp->shared.workers[i].now_us = s * 1000000 + us;
}

static inline void assert_dropped(struct call *c, enum dp_counter counter)
{
	for (unsigned d = 0; d < WIRE_DEVICES; d++)
		assert_int_equal(wires[d].count, 0);
	assert_int_equal(c->dp->shared.workers[0].counter[counter], 1);
	c->dp->shared.workers[0].counter[counter] = 0;
}

static inline void counters_of(struct call *c, struct dp_counters from[2])
{
	struct dp_session_info info;

	session_info(session_find(&c->dp->sessions, c->id), 3000000, &info);
	memcpy(from, info.stream[0].from, sizeof(info.stream[0].from));
}

#endif
