/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of what the workers count; they are never stopped for it. */
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>

#include "dataplane/border.h"
#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"

void counters_sum(const struct dataplane *dp, uint64_t total[DP_COUNTER_COUNT])
{
	for (unsigned c = 0; c < DP_COUNTER_COUNT; c++)
		total[c] = counter_read(&dp->counter[c]);
	for (unsigned w = 0; dp->shared.workers != NULL && w < dp->shared.worker_count; w++)
		for (unsigned c = 0; c < DP_COUNTER_COUNT; c++)
			total[c] += counter_read(&dp->shared.workers[w].counter[c]);
}

void counters_stats(const struct dataplane *dp, struct dp_stats *stats)
{
	const struct border *b = dp->shared.border;

	*stats = (struct dp_stats){
		.uptime_us = clock_now_us() - dp->started_us,
		.sessions = dp->sessions.used,
		.sessions_max = dp->sessions.max,
		.workers = dp->shared.worker_count,
		.sessions_total = dp->sessions.total,
		.hugepages = dp->hugepages,
		.counters = DP_COUNTER_COUNT,
	};
	pools_count(&dp->pools, &stats->ports_used, &stats->ports_total);
	stats->flows = (uint32_t)stats->ports_used; /* one per pair in use */
	counters_sum(dp, stats->counter);
	memcpy(stats->per_second, dp->per_second, sizeof(stats->per_second));
	if (b == NULL)
		return;
	stats->bans = prefix_table_count(border_bans(b));
	stats->bans_max = prefix_table_capacity(border_bans(b));
	stats->trusts = prefix_table_count(border_trust(b));
	stats->trusts_max =
		prefix_table_capacity(border_trust(b)) - (uint32_t)(dp->agents_most - dp->agent_count);
	stats->sources = source_table_count(border_sources(b, false));
	stats->sources_max = source_table_capacity(border_sources(b, false));
}

/* Packets and octets are the workers': several network-interfaces may share a port. What the port lost is the driver's. */
void counters_interface(const struct dataplane *dp, unsigned index, struct dp_interface *out)
{
	const struct config_network_interface *n = &dp->started->network_interfaces[index];
	const struct worker_interface *ifc = &dp->shared.interface[index];
	static const char *const kinds[] = {
		[CONFIG_PORT_PCI] = "pci", [CONFIG_PORT_XDP] = "xdp", [CONFIG_PORT_PACKET] = "packet"
	};
	const struct port *p = &dp->port[ifc->port];
	struct rte_eth_stats port = { 0 };
	struct rte_eth_link link = { 0 };

	*out = (struct dp_interface){ .mtu = ifc->mtu };
	snprintf(out->name, sizeof(out->name), "%s", n->name);
	snprintf(out->port, sizeof(out->port), "%s:%s", kinds[n->port_kind], n->port);
	snprintf(out->mirror, sizeof(out->mirror), "%s", dp->mirror[index].name);
	memcpy(out->mac, ifc->mac, sizeof(out->mac));
	/* The drivers of kernel interfaces say that the link is up whatever it is. */
	out->link_up = p->link_up;
	if (rte_eth_link_get_nowait(p->active, &link) == 0)
		out->speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	if (rte_eth_stats_get(p->active, &port) == 0) {
		out->rx_missed = port.imissed;
		out->rx_errors = port.ierrors + port.rx_nombuf;
		out->tx_errors = port.oerrors;
	}
	for (unsigned w = 0; dp->shared.workers != NULL && w < dp->shared.worker_count; w++) {
		const struct worker_interface_counters *c = &dp->shared.workers[w].interface[index];

		out->rx_packets += counter_read(&c->rx_packets);
		out->rx_octets += counter_read(&c->rx_octets);
		out->tx_packets += counter_read(&c->tx_packets);
		out->tx_octets += counter_read(&c->tx_octets);
		out->mirror_in += counter_read(&c->mirror_in);
		out->mirror_out += counter_read(&c->mirror_out);
	}
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++) {
		union next_hop_link l;

		if (dp->next_hops.entry[i].interface != index || dp->next_hops.entry[i].references == 0)
			continue;
		out->next_hops++;
		out->next_hops_incomplete += !next_hop_load(dp->next_hops.links, i, &l);
	}
}

void counters_realm(const struct dataplane *dp, uint16_t realm, struct dp_realm *out)
{
	const struct realm_totals *t = session_realm_totals(&dp->sessions, realm);
	const struct pool_realm *r = &dp->pools.realm[realm];

	*out = (struct dp_realm){ .packets = t->packets,
		.octets = t->octets,
		.relayed = t->relayed,
		.lost = t->lost,
		.wrong_source = t->wrong_source,
		.malformed = t->malformed,
		.policed = t->policed,
		.events = t->events };
	snprintf(out->name, sizeof(out->name), "%s", r->name);
	snprintf(out->interface, sizeof(out->interface), "%s",
		dp->started->network_interfaces[r->interface].name);
	out->trusted = r->trusted;
	out->draining = r->state != REALM_PRESENT;
	for (uint16_t i = 0; i < dp->pools.pool_count; i++) {
		const struct pool *p = dp->pools.pool[i];

		if (p->realm != realm)
			continue;
		out->pools++;
		out->ports_used += p->used;
		out->ports_total += p->pairs;
	}
	out->streams = t->streams;
}
