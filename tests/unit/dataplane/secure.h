/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls with SRTP on the test bed: keys, and peers who protect and open with them. Include cmocka.h first. */
#ifndef TESTS_UNIT_DATAPLANE_SECURE_H
#define TESTS_UNIT_DATAPLANE_SECURE_H

#include "dataplane/srtp.h"
#include "tests/unit/dataplane/call.h"

enum { SECURE_CONTEXTS = 512, SECURE_VOICE = 160 };

static const char A[] = "10.0.1.5", B[] = "10.0.2.5";

static struct srtp_store *secure_store;
static struct srtp_engine *secure_engine; /* the peers' */

/* Once per process. */
static inline void secure_open(void)
{
	wire_open();
	if (srtp_open(SECURE_CONTEXTS, &secure_store) != 0 || (secure_engine = srtp_engine_new()) == NULL)
		abort();
}

static inline void secure_close(void)
{
	srtp_engine_free(secure_engine);
	srtp_close(secure_store);
}

/* A key that depends on `number` alone. */
static inline struct dp_crypto secure_key(enum dp_srtp_suite suite, unsigned number)
{
	static const size_t lengths[DP_SRTP_SUITE_COUNT] = { 0, 30, 30, 46, 46, 28, 44 };
	struct dp_crypto c = { .suite = (uint8_t)suite };

	for (size_t i = 0; i < lengths[suite]; i++)
		c.key[i] = (uint8_t)(number * 37 + i * 11 + 1);
	return c;
}

/* The other end of a key. */
static inline struct srtp_context *secure_end(const struct dp_crypto *key, enum srtp_direction direction)
{
	struct srtp_context *c = NULL;

	assert_int_equal(srtp_context_new(secure_store, key, direction, &c), 0);
	return c;
}

/* Keys of side `k`: what it sends is number 2k + 1, what it is sent 2k + 2; `more` is added. */
static inline void secure_side(
	struct dp_session_request *q, unsigned k, enum dp_srtp_suite suite, unsigned more)
{
	q->stream[0].side[k].from = secure_key(suite, 2 * k + 1 + more);
	q->stream[0].side[k].to = secure_key(suite, 2 * k + 2 + more);
}

static inline void secure_call(struct call *c, const struct dp_session_request *q, uint16_t workers)
{
	struct bed_size size = bed_small;

	size.srtp = secure_store;
	c->dp = wire_bed_sized(workers, &size);
	c->q = *q;
	c->id = bed_create(c->dp, q);
	assert_int_not_equal(c->id, 0);
	call_set(c);
}

/* An RTP packet; returns its length. */
static inline size_t secure_rtp(uint8_t *p, uint16_t sequence, uint32_t ssrc)
{
	memset(p, 0, RTP_HEADER);
	p[0] = RTP_PLAIN;
	store_u16(p + 2, htons(sequence));
	store_u32(p + 4, htonl(sequence * 160U));
	store_u32(p + 8, htonl(ssrc));
	for (size_t i = 0; i < SECURE_VOICE; i++)
		p[RTP_HEADER + i] = (uint8_t)(sequence + i);
	return RTP_HEADER + SECURE_VOICE;
}

static inline size_t secure_protect(
	struct srtp_context *c, uint8_t *p, size_t length, size_t room, bool is_rtcp)
{
	struct srtp_job j = { .context = c, .packet = p, .length = (uint16_t)length, .room = (uint16_t)room };

	if (is_rtcp)
		(void)srtp_rtcp_protect(secure_engine, &j);
	else
		srtp_protect_burst(secure_engine, &j, 1);
	assert_int_equal(j.result, SRTP_OK);
	return j.length;
}

/* 0: not authentic, or come before. */
static inline size_t secure_unprotect(struct srtp_context *c, uint8_t *p, size_t length, bool is_rtcp)
{
	struct srtp_job j = {
		.context = c, .packet = p, .length = (uint16_t)length, .room = (uint16_t)length
	};

	if (is_rtcp)
		(void)srtp_rtcp_unprotect(secure_engine, &j);
	else
		srtp_unprotect_burst(secure_engine, &j, 1);
	return j.result == SRTP_OK ? j.length : 0;
}

/* The one packet that went out by side `k`, checked as far as headers go; returns its payload's length. */
static inline size_t secure_sent(struct call *c, unsigned k, uint8_t *payload)
{
	struct packet p;

	assert_int_equal(wires[k].count, 1);
	assert_int_equal(wires[1 - k].count + wires[2].count + wires[3].count, 0);
	const struct rte_mbuf *m = wires[k].kept[0];
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	packet_parse(f, m->data_len, &p);
	assert_int_equal(p.class, PACKET_UDP);
	assert_int_equal(p.udp + 8U + p.payload, m->data_len);
	assert_int_equal(m->pkt_len, m->data_len);
	assert_int_equal(ntohs(p.source_port) & ~1, c->port[k]);
	assert_int_equal(ntohs(load_u16(f + p.udp + 4)), p.payload + 8);
	uint64_t sum = checksum_host(&p.source) + checksum_host(&p.dest) + htons((uint16_t)(p.payload + 8)) +
		       htons(17) + checksum_sum(f + p.udp, p.payload + 8U);
	assert_int_equal(checksum_fold(sum), 0xffff);
	memcpy(payload, f + p.udp + 8, p.payload);
	wire_clear();
	return p.payload;
}

static inline uint64_t secure_dropped(const struct call *c, enum dp_counter counter)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->dp->shared.worker_count; i++)
		n += c->dp->shared.workers[i].counter[counter];
	return n;
}

/* Events of worker 0 of one type since the last time; the newest in *last (may be NULL). */
static inline unsigned secure_events(struct call *c, enum dp_message type, struct worker_event *last)
{
	struct worker_event e;
	unsigned n = 0;

	while (rte_ring_sc_dequeue_elem(c->dp->shared.workers[0].events, &e, sizeof(e)) == 0)
		if (e.type == (uint8_t)type) {
			n++;
			if (last != NULL)
				*last = e;
		}
	return n;
}

#endif
