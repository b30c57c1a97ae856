/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the packet path: a packet on its way through the stages. */
#ifndef DATAPLANE_RELAY_H
#define DATAPLANE_RELAY_H

#include "dataplane/parse.h"
#include "dataplane/rtp.h"
#include "dataplane/worker.h"

enum { CACHE_LINE = 64 };

struct item {
	struct rte_mbuf *m;
	struct flow *flow;
	const struct flow_rule *rule;
	uint8_t interface; /* it came in by */
	struct packet p;
};

/* What an interface received or sent, counted once for a run of packets. */
struct tally {
	uint64_t octets;
	uint32_t packets;
	uint8_t interface;
};

/* What a burst's packets have in common. */
struct burst {
	const struct flow_address *address; /* the last packet was for */
	struct tally rx, tx;
	struct item **secured; /* packets of streams with keys, kept until all others are on their way */
	unsigned secured_count;
};

static inline void tally_rx(struct worker *w, const struct tally *t)
{
	counter_add(&w->interface[t->interface].rx_packets, t->packets);
	counter_add(&w->interface[t->interface].rx_octets, t->octets);
}

/* Only media is counted here. */
static inline void tally_tx(struct worker *w, const struct tally *t)
{
	worker_count(w, DP_COUNTER_MEDIA_RELAYED, t->packets);
	counter_add(&w->interface[t->interface].tx_packets, t->packets);
	counter_add(&w->interface[t->interface].tx_octets, t->octets);
}

static inline void count_rx(struct worker *w, struct burst *b, uint8_t interface, uint32_t octets)
{
	if (unlikely(b->rx.interface != interface)) {
		tally_rx(w, &b->rx);
		b->rx = (struct tally){ .interface = interface };
	}
	b->rx.packets++;
	b->rx.octets += octets;
}

static inline void count_tx(struct worker *w, struct burst *b, uint8_t interface, size_t octets)
{
	if (unlikely(b->tx.interface != interface)) {
		tally_tx(w, &b->tx);
		b->tx = (struct tally){ .interface = interface };
	}
	b->tx.packets++;
	b->tx.octets += octets;
}

/* Dropped packets are sampled for people to look at: what callers say, and the digits they press, are not for them. */
static inline void media_drop(struct worker *w, struct item *it, enum dp_counter reason)
{
	it->m->data_len = (uint16_t)RTE_MIN(it->m->data_len, it->p.udp + UDP_HEADER + RTP_HEADER);
	worker_drop_from(w, it->m, it->interface, reason);
}

/* relay_media.c: a packet for a media port with a rule of this worker: source, validity, measurement, on to the other side.
 * Takes it over; those of streams with keys wait in b->secured. */
void relay_media(struct worker *w, struct burst *b, struct item *it);

/* relay_srtp.c: what waits in b->secured: opened, protected, and sent on. */
void relay_secured(struct worker *w, struct burst *b);

/* Parts of relay_media for packets that are opened or protected between them. Those that return a bool have dropped the packet where
 * it is false.
 *
 * To who looks after the session. `side`: whom it is about. */
void media_event(struct worker *w, const struct item *it, enum dp_message type, unsigned side);
/* Which of the flow's components it came by. */
static inline enum flow_component media_component(const struct item *it)
{
	return (it->p.dest_port & htons(1)) != 0 ? FLOW_RTCP : FLOW_RTP;
}
/* Could its source be the one that may send here, provided the packet is what it seems to be? Nothing is learnt. */
bool media_may_send(struct worker *w, struct item *it, enum flow_component c, bool valid);
/* It is; what is to be learnt from it is learnt. */
bool media_sends(struct worker *w, struct item *it, enum flow_component c, bool valid);
/* Measures a packet in clear that is from the right source; RTCP is rewritten. `arrived`: octets of payload as it came. */
bool media_count(struct worker *w, struct item *it, bool valid, bool rtcp, uint16_t arrived);
/* Would it go out by that component if it were `growth` octets longer? 0, or the counter it is to be dropped by. */
enum dp_counter media_stopped(struct worker *w, struct item *it, enum flow_component c, unsigned growth);
/* It was accepted, and goes nowhere. */
void media_stop(struct worker *w, struct item *it, bool rtcp, enum dp_counter drop);
/* Rewrites and transmits. Takes it over. */
void media_send(struct worker *w, struct burst *b, struct item *it, enum flow_component c, bool rtcp);

#endif
