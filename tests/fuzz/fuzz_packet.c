/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet path with hostile frames: whatever comes in, what goes out is well-formed, and no packet buffer is lost.
 *
 * Input: records of { flags, patches, frame }: a flag chooses raw bytes, or a valid packet of a session with bytes changed. */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/dataplane/wire.h"

enum { FRAME_MAX = 1600, RAW = 1, OTHER_PORT = 2, RTCP = 4, FAMILY6 = 8, ODD = 16 };

static struct dataplane *dp;
static uint64_t session[2];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_sessions(void)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000);

	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	q.stream[0].side[0].flags = DP_SIDE_RTCP_MUX;
	session[0] = bed_create(dp, &q);
	q = bed_request("2001:db8:1::5", 4000, "10.0.2.5", 5000);
	session[1] = bed_create(dp, &q);
	if (session[0] == 0 || session[1] == 0)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	wire_open();
	dp = wire_bed_new(1);
	open_sessions();
	return 0;
}

/* Our side of what went out must be right, whatever came in. */
static void check_sent(unsigned device)
{
	struct packet p;

	for (unsigned i = 0; i < wires[device].count; i++) {
		const struct rte_mbuf *m = wires[device].kept[i];

		packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &p);
		if (p.class != PACKET_UDP || p.udp + 8U + p.payload != m->data_len)
			abort();
		if (flow_address_find(&dp->shared.flows, &p.source, p.family) == NULL)
			abort();
		if (p.family == 6 && load_u16(rte_pktmbuf_mtod(m, const uint8_t *) + p.udp + 6) == 0)
			abort();
	}
}

static size_t build(uint8_t *f, uint8_t flags, const uint8_t *payload, size_t n)
{
	static const char *const peer[2][2] = { { "10.0.1.5", "2001:db8:1::5" },
		{ "10.0.2.5", "2001:db8:2::5" } };
	static const char *const own[2][2] = { { "10.0.1.1", "2001:db8:1::1" },
		{ "10.0.2.1", "2001:db8:2::1" } };
	unsigned port = (flags & OTHER_PORT) != 0, six = (flags & FAMILY6) != 0;
	const struct session *s = session_find(&dp->sessions, session[port == 0 ? six : 1 - six]);
	uint16_t local = s->stream[0].side[port].flow->port, remote = port == 0 ? 4000 : 5000;
	uint8_t body[256] = { 0x80, (flags & RTCP) != 0 ? 200 : 0 };

	if (n > sizeof(body) - 12)
		n = sizeof(body) - 12;
	if (n != 0)
		memcpy(body + 2, payload, n);
	unsigned odd = (flags & ODD) != 0;
	return wire_udp(f, peer[port][six], (uint16_t)(remote + odd), own[port][six], (uint16_t)(local + odd),
		body, n + 12);
}

static void one(const uint8_t *data, size_t size)
{
	uint8_t f[FRAME_MAX];
	uint8_t flags = data[0];
	unsigned patches = data[1] % 8;
	size_t n;

	data += 2;
	size -= 2;
	if ((flags & RAW) != 0) {
		n = size < FRAME_MAX ? size : FRAME_MAX;
		if (n != 0)
			memcpy(f, data, n);
	} else {
		const uint8_t *payload = data;
		size_t skip = size < 32 ? size : 32;

		n = build(f, flags, payload, skip);
		data += skip;
		size -= skip;
		for (; patches > 0 && size >= 2; patches--, data += 2, size -= 2)
			f[data[0] % n] = data[1];
		if (size != 0)
			n = n * data[0] / 255; /* cut */
	}
	unsigned port = (flags & OTHER_PORT) != 0;
	wire_receive(dp, 0, port, wire_frame((uint16_t)port, f, n));
	check_sent(0);
	check_sent(1);
	wire_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker_event e;

	for (unsigned i = 0; size >= 3 && i < 16; i++) {
		size_t n = (size_t)data[0] + 2;

		if (n > size - 1)
			n = size - 1;
		if (n < 2)
			break;
		one(data + 1, n);
		data += n + 1;
		size -= n + 1;
	}
	while (rte_ring_sc_dequeue_elem(dp->shared.workers[0].events, &e, sizeof(e)) == 0)
		continue;
	if (rte_mempool_in_use_count(wire_pool) != 0)
		abort();
	return 0;
}
