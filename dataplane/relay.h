/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the packet path: a packet on its way through the stages. */
#ifndef DATAPLANE_RELAY_H
#define DATAPLANE_RELAY_H

#include "dataplane/packet.h"
#include "dataplane/rtp.h"
#include "dataplane/worker.h"

struct item {
	struct rte_mbuf *m;
	struct flow *flow;
	const struct flow_rule *rule;
	uint8_t interface; /* it came in by */
	struct packet p;
};

/* Dropped packets are sampled for people to look at: what callers say, and the digits they press, are not for them. */
static inline void media_drop(struct worker *w, struct item *it, enum dp_counter reason)
{
	it->m->data_len = (uint16_t)RTE_MIN(it->m->data_len, it->p.udp + UDP_HEADER + RTP_HEADER);
	worker_drop_from(w, it->m, it->interface, reason);
}

/* relay_media.c: a packet for a media port with a rule of this worker: source, validity, measurement, on to the other side.
 * Takes it over. */
void relay_media(struct worker *w, struct item *it);

#endif
