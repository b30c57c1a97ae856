/* SPDX-License-Identifier: BSD-3-Clause */
/* Media from one side to the other: check the source, measure, rewrite, transmit. */
#include "dataplane/relay.h"

#include <arpa/inet.h>

#include <rte_prefetch.h>

#include "dataplane/latch.h"
#include "dataplane/next_hop.h"
#include "dataplane/police.h"
#include "dataplane/rewrite.h"
#include "dataplane/rtcp.h"
#include "dataplane/rtp.h"

enum {
	ALARM_INTERVAL_US = 1000000, /* the API promises at most one alarm a second */
	EVENT_LENGTH = 4, /* RFC 4733 section 2.3 */
	EVENT_LATE =
		2 * 48000, /* an event so much older than the last one, in clock units, is a late packet */
	EVENT_SEGMENT =
		0xffff, /* RFC 4733 section 2.5.1.3: longer ones go on with a timestamp of their own */
	HOP_LIMIT_SENT = 64,
	SEALED_FETCHED =
		256, /* octets of a frame with 20 ms of G.711 and a tag: all of it is going to be read */
};

void media_event(struct worker *w, const struct item *it, enum dp_message type, unsigned side)
{
	const struct flow_rule *r = it->rule;
	struct worker_event e = { .session = r->session,
		.type = (uint8_t)type,
		.stream = r->stream,
		.side = (uint8_t)side,
		.family = it->p.family,
		.port = it->p.source_port,
		.ip = it->p.source };

	(void)rte_ring_sp_enqueue_elem(
		w->events, &e, sizeof(e)); /* full: the main thread will see it in the counters */
}

/* Media of a stranger. */
static void source_refuse(struct worker *w, struct item *it)
{
	struct flow *f = it->flow;

	counter_add(&f->wrong_source, 1);
	if (f->alarm_us == 0 || w->now_us - f->alarm_us >= ALARM_INTERVAL_US) {
		f->alarm_us = w->now_us;
		media_event(w, it, DP_EVENT_SOURCE_ALARM, it->rule->side);
	}
	media_drop(w, it, DP_COUNTER_DROP_WRONG_SOURCE);
}

/* Its latch says so already. */
static inline bool source_matches(struct item *it, enum flow_component c)
{
	struct latch *l = flow_latch(it->flow, c);

	if (unlikely(latch_outdated(l, it->rule)))
		latch_arm(it->flow, c, it->rule);
	return likely(latch_matches(l, &it->p.source, it->p.source_port));
}

/* A callee's first packets overtake its answer: before it has said where they come from, none is wrong. */
static bool source_unknown(struct worker *w, struct item *it)
{
	if (it->rule->accept[FLOW_RTP].port != 0 || it->rule->signalling.port != 0)
		return false;
	media_drop(w, it, DP_COUNTER_DROP_MUTED);
	return true;
}

bool media_may_send(struct worker *w, struct item *it, enum flow_component c, bool valid)
{
	if (source_matches(it, c))
		return true;
	if (source_unknown(w, it))
		return false;
	if (valid && latch_would_learn(it->flow, c, it->rule, &it->p.source, it->p.source_port))
		return true;
	source_refuse(w, it);
	return false;
}

bool media_sends(struct worker *w, struct item *it, enum flow_component c, bool valid)
{
	if (source_matches(it, c))
		return true;
	if (source_unknown(w, it))
		return false;
	if (!valid || !latch_learn(it->flow, c, it->rule, &it->p.source, it->p.source_port)) {
		source_refuse(w, it);
		return false;
	}
	if (c == FLOW_RTP)
		media_event(w, it, DP_EVENT_LATCHED, it->rule->side);
	return true;
}

static void local_send(struct worker *w, struct item *it, const struct worker_interface *out)
{
	struct rte_mbuf *m = it->m;

	if (w->local_count == LOCAL_MAX) {
		it->p.udp =
			(uint16_t)(m->data_len - it->p.payload - UDP_HEADER); /* behind its headers of now */
		media_drop(w, it, DP_COUNTER_DROP_TX_FULL);
		return;
	}
	m->port = out->home;
	w->local[w->local_count++] = m;
}

/* Where a packet leaves. */
struct way {
	const struct worker_interface *out;
	const struct latch *latch;
	union next_hop_link link;
	uint16_t device;
};

/* `c`: by which of the other side's components it leaves. 0, or why it does not. */
static inline enum dp_counter way_find(
	struct worker *w, struct item *it, enum flow_component c, unsigned growth, struct way *way)
{
	struct flow *f = it->flow;
	const struct flow_rule *r = it->rule;
	struct latch *l = flow_latch(f, c);

	way->out = &w->shared->interface[r->out_interface];
	way->latch = l;
	way->device = worker_device(&way->out->device);
	if (unlikely(latch_outdated(l, r))) /* it leaves by another component than it came by */
		latch_arm(f, c, r);
	if ((r->flags & RULE_MUTED) != 0 || l->dest_port == 0)
		return DP_COUNTER_DROP_MUTED;
	if (!next_hop_load(worker_next_hops(w), l->next_hop, &way->link)) {
		counter_add(&f->no_next_hop, 1);
		return DP_COUNTER_DROP_NO_NEXT_HOP;
	}
	if (unlikely(way->device == DEVICE_NONE) && way->link.byte[6] != LINK_LOCAL)
		return DP_COUNTER_DROP_PORT_DOWN;
	if (it->p.ttl <= 1) /* two relays that point at each other must come to an end */
		return DP_COUNTER_DROP_TTL;
	if (rewrite_ip_length(&it->p, r->out_family) + growth > way->out->mtu ||
		rte_pktmbuf_headroom(it->m) < PACKET_GROWTH_MAX)
		return DP_COUNTER_DROP_TOO_BIG;
	return 0;
}

enum dp_counter media_stopped(struct worker *w, struct item *it, enum flow_component c, unsigned growth)
{
	struct way way;

	return way_find(w, it, c, growth, &way);
}

void media_stop(struct worker *w, struct item *it, bool rtcp, enum dp_counter drop)
{
	if (!rtcp)
		counter_add(&it->flow->not_relayed, 1);
	media_drop(w, it, drop);
}

void media_send(struct worker *w, struct burst *b, struct item *it, enum flow_component c, bool rtcp)
{
	const struct flow_rule *r = it->rule;
	struct way way;
	enum dp_counter drop = way_find(w, it, c, 0, &way);

	if (drop != 0) {
		media_stop(w, it, rtcp, drop);
		return;
	}
	struct rewrite re = { .source = &r->out_ip,
		.dest = &way.latch->dest,
		.source_mac = way.out->mac,
		.dest_mac = way.link.byte,
		.source_port = c == FLOW_RTCP ? (uint16_t)(r->out_port | htons(1)) : r->out_port,
		.dest_port = way.latch->dest_port,
		.vlan = way.out->vlan,
		.family = r->out_family,
		.dscp = r->dscp,
		.ttl = (uint8_t)(RTE_MIN(it->p.ttl, HOP_LIMIT_SENT) - 1) };
	uint8_t *frame = rte_pktmbuf_mtod(it->m, uint8_t *);
	size_t length;
	uint8_t *start = rewrite_headers(frame, &it->p, &re, &length);
	if (start == NULL) {
		media_stop(w, it, rtcp, DP_COUNTER_DROP_MALFORMED);
		return;
	}
	it->m->data_off = (uint16_t)(it->m->data_off + (start - frame));
	it->m->data_len = (uint16_t)length;
	it->m->pkt_len = (uint32_t)length;
	it->m->ol_flags = 0;
	count_tx(w, b, r->out_interface, length);
	if (unlikely(way.link.byte[6] == LINK_LOCAL))
		local_send(w, it, way.out);
	else
		transmit_packet(w, way.device, it->m, DP_COUNTER_DROP_TX_FULL);
}

/* One for each event: its packets share a timestamp (RFC 4733 section 2.5.1.2). Which digit it was is not looked at. */
static void event_count(struct flow_events *e, const uint8_t *rtp, size_t length)
{
	uint32_t timestamp = ntohl(load_u32(rtp + 4)), ssrc = load_u32(rtp + 8);
	bool marker = (rtp[1] & 0x80) != 0;

	if (rtp_payload(rtp, length) < EVENT_LENGTH)
		return;
	if (e->count != 0 && ssrc == e->ssrc) {
		if (e->timestamp - timestamp < EVENT_LATE)
			return;
		if (timestamp - e->timestamp == EVENT_SEGMENT && !marker) {
			e->timestamp = timestamp;
			return;
		}
	}
	e->timestamp = timestamp;
	e->ssrc = ssrc;
	counter_set32(&e->count, e->count + 1);
}

/* What both ends say about the two streams of this pair of flows. */
static void reports_read(struct worker *w, struct item *it, const uint8_t *payload)
{
	struct flow *f = it->flow, *peer = it->rule->peer;

	if (peer->stats.state == RTP_MEASURED)
		rtcp_received(&f->reports, payload, it->p.payload, peer->stats.ssrc, w->now_us);
	if (f->stats.state == RTP_MEASURED)
		rtcp_sent(&peer->reports, payload, it->p.payload, f->stats.ssrc, w->now_us);
}

/* Over the side's rate? What is dropped for it has arrived all the same: it is measured, and not relayed. */
static bool over_rate(struct worker *w, struct item *it, uint16_t arrived)
{
	const struct flow_rule *r = it->rule;
	struct flow *f = it->flow;

	if (police_pass(&f->police_due, r->police_cost, r->police_burst_us,
		    (uint32_t)(rewrite_ip_length(&it->p, it->p.family) - it->p.payload + arrived), w->now_us))
		return false;
	counter_add(&f->policed, 1);
	return true;
}

bool media_count(struct worker *w, struct item *it, bool valid, bool rtcp, uint16_t arrived)
{
	const struct flow_rule *r = it->rule;
	struct flow *f = it->flow;
	uint8_t *udp = rte_pktmbuf_mtod(it->m, uint8_t *) + it->p.udp;
	const uint8_t *payload = udp + UDP_HEADER;

	if (unlikely(!valid || (rtcp && !rtcp_hide(udp, it->p.payload, &w->shared->rtcp_key)))) {
		counter_add(&f->malformed, 1);
		media_drop(w, it, DP_COUNTER_DROP_NOT_RTP);
		return false;
	}
	bool policed = unlikely(r->police_cost != 0) && over_rate(w, it, arrived);
	if (rtcp) {
		counter_add(&f->rtcp_packets, 1);
		if (!policed)
			reports_read(w, it, payload);
	} else if ((r->flags & RULE_MEASURED) != 0) {
		rtp_measure(&f->stats, payload, arrived, w->now_us);
		if (unlikely((payload[1] | 0x80) == r->telephone_event))
			event_count(&f->events, payload, it->p.payload);
	} else {
		rtp_count(&f->stats, arrived, w->now_us);
	}
	if (unlikely(policed))
		media_stop(w, it, rtcp, DP_COUNTER_DROP_POLICED);
	return !policed;
}

static __attribute__((noinline)) void relay_any(struct worker *w, struct burst *b, struct item *it)
{
	const struct flow_rule *r = it->rule;
	const uint8_t *payload = rte_pktmbuf_mtod(it->m, const uint8_t *) + it->p.udp + UDP_HEADER;
	enum flow_component c = media_component(it);
	bool measured = (r->flags & RULE_MEASURED) != 0;
	/* Whether RFC 5761 was agreed or not: what looks like RTCP must not cross with its words. */
	bool rtcp = measured && (c == FLOW_RTCP || rtp_is_rtcp(payload, it->p.payload));

	if (!measured && c == FLOW_RTCP) { /* such a stream has one port */
		media_drop(w, it, DP_COUNTER_DROP_NO_FLOW);
		return;
	}
	bool valid =
		!measured || (rtcp ? rtcp_valid(payload, it->p.payload) : rtp_valid(payload, it->p.payload));
	if (media_sends(w, it, c, valid) && media_count(w, it, valid, rtcp, it->p.payload))
		media_send(w, b, it, rtcp && (r->flags & RULE_OUT_MUX) == 0 ? FLOW_RTCP : FLOW_RTP, rtcp);
}

/* RTP without options, without rate limit, neither digits nor RTCP. */
static inline bool is_plain(
	const struct item *it, const struct flow_rule *r, const struct latch *l, const uint8_t *rtp)
{
	uint8_t type = rtp[1];

	return it->p.family == 4 && r->out_family == 4 && (it->p.dest_port & htons(1)) == 0 &&
	       (r->flags & (RULE_MEASURED | RULE_MUTED | RULE_SRTP)) == RULE_MEASURED &&
	       r->police_cost == 0 && it->p.payload >= RTP_HEADER && rtp[0] == RTP_PLAIN &&
	       (type < 192 || type > 223) && (type | 0x80) != r->telephone_event &&
	       l->epoch_in == r->epoch_in && l->epoch_out == r->epoch_out && l->dest_port != 0 &&
	       latch_matches(l, &it->p.source, it->p.source_port);
}

/* What relay_any does, for nearly all packets and in fewer steps. false: it is none of those, and nothing has happened. */
static inline bool relay_plain(struct worker *w, struct burst *b, struct item *it)
{
	const struct flow_rule *r = it->rule;
	const struct worker_interface *out = &w->shared->interface[r->out_interface];
	struct rte_mbuf *m = it->m;
	struct flow *f = it->flow;
	uint16_t device = worker_device(&out->device);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	const uint8_t *rtp = frame + it->p.udp + UDP_HEADER;
	union next_hop_link link;

	if (!is_plain(it, r, &f->rtp, rtp) || !next_hop_load(worker_next_hops(w), f->rtp.next_hop, &link) ||
		link.byte[6] != LINK_KNOWN || device == DEVICE_NONE || it->p.ttl <= 1 ||
		rewrite_ip_length(&it->p, 4) > out->mtu || rte_pktmbuf_headroom(m) < PACKET_GROWTH_MAX)
		return false;
	rtp_measure(&f->stats, rtp, it->p.payload, w->now_us);
	struct rewrite re = { .source = &r->out_ip,
		.dest = &f->rtp.dest,
		.source_mac = out->mac,
		.dest_mac = link.byte,
		.source_port = r->out_port,
		.dest_port = f->rtp.dest_port,
		.vlan = out->vlan,
		.family = 4,
		.dscp = r->dscp,
		.ttl = (uint8_t)(RTE_MIN(it->p.ttl, HOP_LIMIT_SENT) - 1) };
	size_t length;
	uint8_t *start = rewrite_plain(frame, &it->p, &re, &length);
	m->data_off = (uint16_t)(m->data_off + (start - frame));
	m->data_len = (uint16_t)length;
	m->pkt_len = (uint32_t)length;
	m->ol_flags = 0;
	count_tx(w, b, r->out_interface, length);
	transmit_packet(w, device, m, DP_COUNTER_DROP_TX_FULL);
	return true;
}

void relay_media(struct worker *w, struct burst *b, struct item *it)
{
	if (relay_plain(w, b, it))
		return;
	if ((it->rule->flags & RULE_SRTP) == 0) {
		relay_any(w, b, it);
		return;
	}
	rte_prefetch0(it->rule->crypto);
	const uint8_t *frame = rte_pktmbuf_mtod(it->m, const uint8_t *);
	for (unsigned at = CACHE_LINE; at < SEALED_FETCHED; at += CACHE_LINE)
		rte_prefetch0(frame + at);
	b->secured[b->secured_count++] = it;
}
