/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet path with hostile frames and a border in the way: whatever comes in, what goes out is well-formed, no packet buffer
 * is lost, and each packet is sent, mirrored or counted by a named drop, and sampled if it is dropped.
 *
 * Input: records of { flags, patches, frame }: flags choose raw bytes, a valid packet of a session with bytes changed, or one that
 * the border knows something of; and that time goes on. */
#include <stddef.h>
#include <stdint.h>

#include "dataplane/border.h"
#include "dataplane/srtp.h"
#include "tests/unit/dataplane/wire.h"

enum {
	FRAME_MAX = 1600,
	RAW = 1,
	OTHER_PORT = 2,
	RTCP = 4,
	FAMILY6 = 8,
	ODD = 16,
	STRANGER = 32,
	LATER = 64,
	SECURED = 128
};

/* The first octets of a stranger's frame say who it is and what it sends. */
enum { STRANGERS = 8 };

static struct dataplane *dp;
static uint64_t session[4]; /* the last two have keys: one on its first side, one on its second */
static struct srtp_store *store;
static struct srtp_engine *engine;
static struct srtp_context *sends[2], *gets[2]; /* of the peers of these sides */
static const char *const stranger4[STRANGERS] = { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
	"192.0.2.5", "198.51.100.1", "203.0.113.1", "10.0.1.5" };
static const char *const stranger6[STRANGERS] = { "2001:db8:9::1", "2001:db8:9::2", "2001:db8:9::3",
	"2001:db8:9::4", "2001:db8:9::5", "2001:db8:a::1", "fe80::1", "2001:db8:1::5" };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void secure(struct dp_side_request *side, enum dp_srtp_suite suite, unsigned i)
{
	static const size_t lengths[] = { 0, 30, 30, 46, 46, 28, 44 };

	side->from.suite = side->to.suite = (uint8_t)suite;
	memset(side->from.key, 0x11, lengths[suite]);
	memset(side->to.key, 0x22, lengths[suite]);
	if (srtp_context_new(store, &side->from, SRTP_OUT, &sends[i]) != 0 ||
		srtp_context_new(store, &side->to, SRTP_IN, &gets[i]) != 0)
		abort();
}

static void open_sessions(void)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000);

	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	q.stream[0].side[0].flags = DP_SIDE_RTCP_MUX;
	q.stream[0].side[0].telephone_event = 101;
	session[0] = bed_create(dp, &q);
	q = bed_request("2001:db8:1::5", 4000, "10.0.2.5", 5000);
	q.stream[0].side[0].latching = DP_LATCHING_RELATCH;
	q.stream[0].side[1].rate_limit = 64;
	session[1] = bed_create(dp, &q);
	q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	secure(&q.stream[0].side[0], DP_SRTP_AES_CM_128_HMAC_SHA1_80, 0);
	session[2] = bed_create(dp, &q);
	q = bed_request("2001:db8:1::5", 4000, "2001:db8:2::5", 5000);
	q.stream[0].side[0].flags = q.stream[0].side[1].flags = DP_SIDE_RTCP_MUX;
	secure(&q.stream[0].side[1], DP_SRTP_AEAD_AES_256_GCM, 1);
	session[3] = bed_create(dp, &q);
	for (unsigned i = 0; i < sizeof(session) / sizeof(session[0]); i++)
		if (session[i] == 0)
			abort();
}

static void entry(struct prefix_table *t, const char *ip, uint16_t port, struct prefix_entry e)
{
	e.key = (struct prefix_key){ .ip = bed_host(ip),
		.port = htons(port),
		.scope = PREFIX_SCOPE_ANY,
		.family = strchr(ip, ':') != NULL ? 6 : 4,
		.length = strchr(ip, ':') != NULL ? 128 : 32 };
	if (prefix_table_set(t, &e, NULL, 1, false, NULL) != 0)
		abort();
}

/* Strangers: banned, banned on one port, denied, trusted, trusted on one port with a rate, and some of whom nothing is known. */
static void open_border(void)
{
	struct rte_rcu_qsbr *rcu = dp->shared.rcu;
	struct prefix_table *bans = prefix_table_new(64, rcu), *trust = prefix_table_new(64, rcu);
	struct border_config c = { .access = prefix_table_new(64, rcu),
		.untrusted = { { 10, 5 }, { 20, 5 }, { 5, 2 } },
		.class = { { 50, 20 }, { 100, 20 }, { 5, 5 }, { 20, 5 } },
		.interface = { { .realm = 0 }, { .realm = PREFIX_SCOPE_ANY, .trusted = true } } };

	for (unsigned i = 0; i < 2; i++) {
		const char *const *who = i == 0 ? stranger4 : stranger6;

		entry(bans, who[0], 0, (struct prefix_entry){ 0 });
		entry(bans, who[1], 5060,
			(struct prefix_entry){ .expires_us = dp->shared.workers[0].now_us + 5000000 });
		entry(c.access, who[2], 0, (struct prefix_entry){ 0 });
		entry(c.access, who[5], 0, (struct prefix_entry){ .permit = 1, .rate = 3, .burst = 3 });
		entry(trust, who[3], 0, (struct prefix_entry){ 0 });
		entry(trust, who[4], 5060, (struct prefix_entry){ .rate = 4, .burst = 2 });
	}
	dp->shared.border = border_new(bans, trust, 32, border_policy_new(&c));
	if (dp->shared.border == NULL)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	wire_open();
	if (srtp_open(64, &store) != 0 || (engine = srtp_engine_new()) == NULL)
		abort();
	struct bed_size bed = bed_small;
	bed.srtp = store;
	dp = wire_bed_sized(1, &bed);
	open_sessions();
	open_border();
	return 0;
}

/* What leaves for a side with keys is protected, whatever came in. */
static void check_sealed(const struct packet *p, const uint8_t *payload)
{
	uint8_t copy[2048];

	for (unsigned i = 0; i < 2; i++) {
		const struct session_side *side =
			&session_find(&dp->sessions, session[2 + i])->stream[0].side[i];
		struct srtp_job j = {
			.context = gets[i], .packet = copy, .length = p->payload, .room = sizeof(copy)
		};

		if (!host_equal(&side->ip, &p->source) || side->flow->port != (ntohs(p->source_port) & ~1))
			continue;
		memcpy(copy, payload, p->payload);
		if (rtp_is_rtcp(payload, p->payload))
			(void)srtp_rtcp_unprotect(engine, &j);
		else
			srtp_unprotect_burst(engine, &j, 1);
		if (j.result != SRTP_OK)
			abort();
	}
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
		if (flow_address_find(dp->shared.flows, &p.source, p.family) == NULL)
			abort();
		if (p.family == 6 && load_u16(rte_pktmbuf_mtod(m, const uint8_t *) + p.udp + 6) == 0)
			abort();
		check_sealed(&p, rte_pktmbuf_mtod(m, const uint8_t *) + p.udp + UDP_HEADER);
	}
}

static size_t build(uint8_t *f, uint8_t flags, const uint8_t *payload, size_t n)
{
	static const char *const peer[2][2] = { { "10.0.1.5", "2001:db8:1::5" },
		{ "10.0.2.5", "2001:db8:2::5" } };
	static const char *const own[2][2] = { { "10.0.1.1", "2001:db8:1::1" },
		{ "10.0.2.1", "2001:db8:2::1" } };
	unsigned port = (flags & OTHER_PORT) != 0, six = (flags & FAMILY6) != 0;
	bool secured = (flags & SECURED) != 0;
	const struct session *s = session_find(&dp->sessions, session[secured     ? 2 + six
								      : port == 0 ? six
										  : 1 - six]);
	uint16_t local = s->stream[0].side[port].flow->port, remote = port == 0 ? 4000 : 5000;
	uint8_t body[256] = { 0x80, (flags & RTCP) != 0 ? 200 : 0 };

	if (n > 200)
		n = 200;
	if (n != 0)
		memcpy(body + 2, payload, n);
	unsigned odd = (flags & ODD) != 0;
	n += 12;
	if (secured && port == six) { /* that side has the keys; what cannot be protected is sent in clear */
		struct srtp_job j = {
			.context = sends[six], .packet = body, .length = (uint16_t)n, .room = sizeof(body)
		};

		if ((flags & RTCP) != 0)
			(void)srtp_rtcp_protect(engine, &j);
		else
			srtp_protect_burst(engine, &j, 1);
		n = j.length;
	}
	return wire_udp(f, peer[port][six], (uint16_t)(remote + odd), own[port][six], (uint16_t)(local + odd),
		body, n);
}

/* To no media port; IP protocol and the octets behind the IP header are the input's. */
static size_t build_stranger(uint8_t *f, uint8_t flags, const uint8_t *payload, size_t n)
{
	unsigned six = (flags & FAMILY6) != 0;
	const char *const *who = six != 0 ? stranger6 : stranger4;
	static const uint8_t protocols[] = { 17, 17, 6, 6, 1, 58, 44, 50 };
	uint8_t chosen = n != 0 ? payload[0] : 0, body[64] = { 0 };
	uint8_t *ip = f + 14;

	if (n > 1)
		memcpy(body, payload + 1, n - 1);
	size_t length = wire_udp(f, who[chosen % STRANGERS], (flags & ODD) != 0 ? 5060 : 5061,
		six != 0 ? "2001:db8:1::77" : "10.0.1.77", 5060, body, sizeof(body));
	uint8_t protocol = protocols[chosen / STRANGERS % sizeof(protocols)];
	if (protocol != 17)
		memcpy(ip + (six != 0 ? IPV6_HEADER : IPV4_HEADER), body, sizeof(body));
	ip[six != 0 ? 6 : 9] = protocol;
	if (six != 0) {
		ip[7] = (chosen & 64) != 0 ? 255 : 64;
		return length;
	}
	store_u16(ip + 6, htons((chosen & 64) != 0 ? 0x2000 : (chosen & 128) != 0 ? 0x0004 : 0));
	store_u16(ip + 10, 0);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, IPV4_HEADER)));
	return length;
}

/* What a packet may come to. Handed over to itself it is not. */
static uint64_t fates(const struct worker *w)
{
	uint64_t n = w->counter[DP_COUNTER_MEDIA_RELAYED] + w->counter[DP_COUNTER_MIRROR_IN];

	for (int c = 0; c < DP_COUNTER_COUNT; c++)
		if (strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
			n += w->counter[c];
	return n;
}

/* Parsing in line must find what the rules for all frames find. */
static void check_parsed(const uint8_t *f, size_t n)
{
	struct packet p, any;

	memset(&p, 0xa5, sizeof(p));
	memset(&any, 0xa5, sizeof(any));
	packet_parse_any(f, n, &any);
	if (packet_parse_plain(f, n, &p) && memcmp(&p, &any, sizeof(p)) != 0)
		abort();
}

static void receive(unsigned port, const uint8_t *f, size_t n)
{
	struct worker *w = &dp->shared.workers[0];
	uint64_t before = fates(w), mirrored = w->counter[DP_COUNTER_MIRROR_IN];

	check_parsed(f, n);
	wire_receive(dp, 0, port, wire_frame((uint16_t)port, f, n));
	if (fates(w) != before + 1)
		abort();
	if (wires[2].count + wires[3].count != w->counter[DP_COUNTER_MIRROR_IN] - mirrored)
		abort();
	check_sent(0);
	check_sent(1);
	wire_clear();
}

static void check_samples(void)
{
	struct drop_sample s;

	while (rte_ring_sc_dequeue_elem(dp->shared.workers[0].sampler.ring, &s, sizeof(s)) == 0)
		if (s.captured > DP_SAMPLE_MAX || s.captured > s.length || s.counter >= DP_COUNTER_COUNT)
			abort();
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

		n = (flags & STRANGER) != 0 ? build_stranger(f, flags, payload, skip)
					    : build(f, flags, payload, skip);
		data += skip;
		size -= skip;
		for (; patches > 0 && size >= 2; patches--, data += 2, size -= 2)
			f[data[0] % n] = data[1];
		if (size != 0)
			n = n * data[0] / 255; /* cut */
	}
	unsigned port = (flags & OTHER_PORT) != 0;
	if ((flags & LATER) != 0)
		dp->shared.workers[0].now_us += 50000;
	receive(port, f, n);
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
	check_samples();
	if (rte_mempool_in_use_count(wire_pool) != 0)
		abort();
	return 0;
}
