/* SPDX-License-Identifier: BSD-3-Clause */
/* The path of a received packet: parse, find the flow; on to relay_media.c, or to the border and the kernel's mirror.
 * A burst goes through in stages, each of which prefetches what the next one reads. */
#include <arpa/inet.h>

#include <rte_ether.h>
#include <rte_prefetch.h>

#include "dataplane/border.h"
#include "dataplane/relay.h"
#include "dataplane/worker.h"

/* So many packets are parsed until the line of a flow that names its rule has come (measured: decision 0049). */
enum { FLOW_ON_ITS_WAY = 8, FRAME_PREFETCHED = 256 };

static void mirror_send(struct worker *w, struct item *it)
{
	const struct worker_interface *ifc = &w->shared->interface[it->interface];

	if (ifc->vlan != 0 && rte_vlan_strip(it->m) != 0) {
		worker_drop_from(w, it->m, it->interface, DP_COUNTER_DROP_MALFORMED);
		return;
	}
	it->m->ol_flags = 0;
	counter_add(&w->interface[it->interface].mirror_in, 1);
	worker_count(w, DP_COUNTER_MIRROR_IN, 1);
	transmit_packet(w, ifc->mirror, it->m, DP_COUNTER_DROP_MIRROR_FULL);
}

/* Sets it->flow and asks for its cache lines when the packet is for a media port. */
static inline void classify(struct worker *w, struct burst *b, struct item *it)
{
	const struct flow_address *a;
	struct flow *f;

	it->flow = NULL;
	if (unlikely(it->p.class != PACKET_UDP) && it->p.class != PACKET_FRAGMENT &&
		it->p.class != PACKET_EXTENDED)
		return;
	a = b->address;
	if (a == NULL || a->family != it->p.family || !host_equal(&a->ip, &it->p.dest))
		a = b->address = flow_address_find(worker_flows(w), &it->p.dest, it->p.family);
	if (a == NULL || a->interface != it->interface)
		return;
	f = flow_find(a, ntohs(it->p.dest_port));
	if (f == NULL)
		return;
	rte_prefetch0(f);
	rte_prefetch0(&f->stats);
	it->flow = f;
}

static void handover(struct worker *w, struct item *it)
{
	struct worker *owner = &w->shared->workers[it->rule->worker];

	if (rte_ring_mp_enqueue(owner->handover, it->m) != 0)
		media_drop(w, it, DP_COUNTER_DROP_HANDOVER_FULL);
}

/* A packet that is no media, if it is whole, is left to the border: returns how many of those there are now. */
static unsigned dispatch(
	struct worker *w, struct burst *b, struct item *it, struct item **strangers, unsigned n)
{
	if (likely(it->p.class == PACKET_UDP && it->rule != NULL && it->rule->worker == w->index))
		relay_media(w, b, it);
	else if (it->p.class == PACKET_MALFORMED)
		worker_drop_from(w, it->m, it->interface, DP_COUNTER_DROP_MALFORMED);
	else if (it->flow == NULL)
		strangers[n++] = it;
	else if (it->p.class == PACKET_FRAGMENT)
		media_drop(w, it, DP_COUNTER_DROP_FRAGMENT);
	else if (it->p.class == PACKET_EXTENDED)
		media_drop(w, it, DP_COUNTER_DROP_MALFORMED);
	else if (it->rule == NULL)
		media_drop(w, it, DP_COUNTER_DROP_NO_FLOW);
	else
		handover(w, it);
	return n;
}

/* Parses one packet. false: dropped already. */
static bool receive(struct worker *w, struct burst *b, const struct worker_port *port, struct rte_mbuf *m,
	struct item *it)
{
	it->m = m;
	if (unlikely(m->nb_segs != 1)) /* a jumbo frame: no media of ours is that long */
		packet_parse_long(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &it->p);
	else
		packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &it->p);
	it->interface = port->interface[it->p.vlan];
	if (unlikely(it->interface == INTERFACE_NONE)) {
		worker_drop(w, m, DP_COUNTER_DROP_VLAN);
		return false;
	}
	count_rx(w, b, it->interface, m->pkt_len);
	classify(w, b, it);
	return true;
}

/* Sets it->rule and asks for its cache line. */
static inline void rule_find(struct item *it)
{
	it->rule = NULL;
	if (it->flow == NULL)
		return;
	if (unlikely(!flow_is_pooled(it->flow))) { /* between two pools: not a media port */
		it->flow = NULL;
		return;
	}
	it->rule = atomic_load_explicit(&it->flow->rule, memory_order_acquire);
	rte_prefetch0(it->rule);
}

static void run_stages(struct worker *w, struct burst *b, struct item *items, unsigned n)
{
	struct item *strangers[BURST], *secured[BURST];
	unsigned count = 0;

	b->secured = secured;
	for (unsigned i = 0; i < n; i++)
		count = dispatch(w, b, &items[i], strangers, count);
	if (b->secured_count != 0)
		relay_secured(w, b);
	b->secured = NULL;
	tally_rx(w, &b->rx);
	tally_tx(w, &b->tx);
	if (count == 0)
		return;
	if (w->shared->border != NULL)
		border_burst(w, strangers, count, mirror_send);
	else
		for (unsigned i = 0; i < count; i++)
			mirror_send(w, strangers[i]);
}

/* Another core's cache has what the kernel put there: until it is copied on, it can come. Long frames are no media. */
static inline void frame_prefetch(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	for (unsigned at = CACHE_LINE; at < RTE_MIN(m->data_len, (unsigned)FRAME_PREFETCHED);
		at += CACHE_LINE)
		rte_prefetch0(frame + at);
}

void relay_burst(struct worker *w, const struct worker_port *port, struct rte_mbuf **packets, unsigned n)
{
	struct item items[BURST];
	struct burst b = { 0 };
	struct item *it = items, *found = items;

	worker_count(w, DP_COUNTER_RX_PACKETS, n);
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(packets[i]);
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(packets[i], void *));
	for (unsigned i = 0; i < n; i++) {
		if (port->copied)
			frame_prefetch(packets[i]);
		it += receive(w, &b, port, packets[i], it);
		if (it - found > FLOW_ON_ITS_WAY)
			rule_find(found++);
	}
	while (found < it)
		rule_find(found++);
	run_stages(w, &b, items, (unsigned)(it - items));
}

/* Its device may be away by now: the map stays. */
static const struct worker_port *port_of(const struct worker_shared *s, const struct rte_mbuf *m)
{
	return &s->ports[s->port_of[m->port % DEVICES_MAX]];
}

void relay_handover(struct worker *w, struct rte_mbuf **packets, unsigned n)
{
	struct item items[BURST];
	struct burst b = { 0 };

	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[i];

		it->m = packets[i];
		packet_parse(rte_pktmbuf_mtod(it->m, const uint8_t *), it->m->data_len, &it->p);
		it->interface = port_of(w->shared, it->m)->interface[it->p.vlan];
		classify(w, &b, it);
		if (it->flow == NULL)
			it->p.class =
				PACKET_MALFORMED; /* cannot be: it was classified by the worker that sent it */
	}
	for (unsigned i = 0; i < n; i++)
		rule_find(&items[i]);
	run_stages(w, &b, items, n);
}

void relay_local(struct worker *w)
{
	struct rte_mbuf *packets[LOCAL_MAX];

	while (w->local_count != 0) {
		unsigned n = w->local_count;

		memcpy(packets, w->local, n * sizeof(packets[0]));
		w->local_count = 0;
		for (unsigned i = 0; i < n; i++)
			relay_burst(w, port_of(w->shared, packets[i]), &packets[i], 1);
	}
}
