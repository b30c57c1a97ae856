/* SPDX-License-Identifier: BSD-3-Clause */
/* From the configuration to the tables the packet path and the sessions work on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "dataplane/dataplane.h"
#include "dataplane/srtp.h"
#include "platforms/base/log.h"

/* A direction has two keys if both sides have SRTP; and for a while, of few, the two before them. */
enum { CONTEXTS_PER_FLOW = 2, CONTEXTS_SPARE = 1024 };
enum { DSCP_SHIFT = 2, NEXT_HOPS_PER_SESSION = 2, NEXT_HOPS_SPARE = 1024, RULES_SPARE = 1024 };

static uint8_t interface_index(const struct dataplane *dp, const struct config_network_interface *n)
{
	return (uint8_t)(n - dp->config->network_interfaces);
}

/* The port a network-interface uses is the one of the same name and kind. */
static unsigned port_index(const struct dataplane *dp, const struct config_network_interface *n)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->port[i].config->port_kind == n->port_kind &&
			strcmp(dp->port[i].config->port, n->port) == 0)
			return i;
	return 0;
}

static int interfaces_build(struct dataplane *dp)
{
	struct worker_shared *s = &dp->shared;

	s->ports = calloc(dp->port_count, sizeof(*s->ports));
	if (s->ports == NULL)
		return -ENOMEM;
	s->port_count = dp->port_count;
	for (unsigned i = 0; i < dp->port_count; i++) {
		s->ports[i].device = dp->port[i].device;
		s->port_of[dp->port[i].device] = (uint8_t)i;
		s->ports[i].copied = dp->port[i].config->port_kind == CONFIG_PORT_XDP;
		if (dp->port[i].spare != DEVICE_NONE)
			s->port_of[dp->port[i].spare] = (uint8_t)i;
		memset(s->ports[i].interface, INTERFACE_NONE, sizeof(s->ports[i].interface));
	}
	s->interface_count = (unsigned)dp->config->network_interfaces_count;
	for (unsigned i = 0; i < s->interface_count; i++) {
		const struct config_network_interface *n = &dp->config->network_interfaces[i];
		unsigned port = port_index(dp, n);
		uint8_t *slot = &s->ports[port].interface[n->vlan % VLANS];

		if (*slot != INTERFACE_NONE)
			return config_refuse(dp->config, "network-interface", n->name, "vlan",
				"%u is taken on this port by network-interface \"%s\"", n->vlan,
				dp->config->network_interfaces[*slot].name);
		*slot = (uint8_t)i;
		s->interface[i] = (struct worker_interface){ .device = dp->port[port].device,
			.home = dp->port[port].device,
			.mirror = dp->mirror[i].device,
			.vlan = (uint16_t)n->vlan,
			.mtu = (uint16_t)dp->port[port].mtu,
			.port = (uint8_t)port };
		memcpy(s->interface[i].mac, dp->port[port].mac, 6);
	}
	return 0;
}

static int routes_build(struct dataplane *dp)
{
	int status = 0;

	for (size_t i = 0; i < dp->config->network_interfaces_count; i++) {
		const struct config_network_interface *n = &dp->config->network_interfaces[i];
		const union address *gateways[] = { &n->gateway, &n->gateway6 };

		for (size_t k = 0; status == 0 && k < n->address_count; k++) {
			struct next_hop_route r = { .interface = (uint8_t)i,
				.length = n->addresses[k].length };

			r.family = host_from(&r.ip, &n->addresses[k].address);
			status = next_hops_add_route(&dp->next_hops, &r);
		}
		for (size_t k = 0; status == 0 && k < 2; k++) {
			struct next_hop_route r = { .interface = (uint8_t)i, .has_gateway = true };

			if (!address_is_set(gateways[k]))
				continue;
			r.family = host_from(&r.gateway, gateways[k]);
			status = next_hops_add_route(&dp->next_hops, &r);
		}
	}
	return status;
}

static int pools_build(struct dataplane *dp)
{
	const struct config *c = dp->config;
	union host ip;
	int status = pools_init(
		&dp->pools, dp->shared.rcu, (uint16_t)c->realms_count, (uint16_t)c->steering_pools_count);

	for (size_t i = 0; status == 0 && i < c->realms_count; i++)
		dp->pools.realm[i] = (struct pool_realm){ .name = c->realms[i].name,
			.interface = interface_index(dp, c->realms[i].network_interface),
			.dscp = (uint8_t)(c->realms[i].dscp_media << DSCP_SHIFT),
			.media_rate = c->realms[i].media_rate };
	for (size_t i = 0; status == 0 && i < c->steering_pools_count; i++) {
		const struct config_steering_pool *p = &c->steering_pools[i];
		uint8_t family = host_from(&ip, &p->address);

		status = flow_table_add(&dp->shared.flows, &ip, family,
			interface_index(dp, p->realm->network_interface), p->port_first, p->port_last);
		if (status != 0)
			return config_refuse(c, "steering-pool", p->name, "ports",
				"cannot be used (%s): at least one even and odd port, one interface per "
				"address, %d addresses",
				strerror(-status), FLOW_ADDRESSES_MAX);
	}
	if (status == 0)
		status = flow_table_allocate(&dp->shared.flows);
	for (size_t i = 0; status == 0 && i < c->steering_pools_count; i++) {
		const struct config_steering_pool *p = &c->steering_pools[i];
		uint8_t family = host_from(&ip, &p->address);

		status = pools_add(&dp->pools, &dp->shared.flows, (uint16_t)(p->realm - c->realms), &ip,
			family, p->port_first, p->port_last);
	}
	return status;
}

static int rcu_build(struct dataplane *dp)
{
	size_t size = rte_rcu_qsbr_get_memsize(WORKERS_MAX);
	struct rte_rcu_qsbr *rcu = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);

	if (rcu == NULL)
		return -ENOMEM;
	dp->shared.rcu = rcu;
	return rte_rcu_qsbr_init(rcu, WORKERS_MAX);
}

/* Calls without SRTP go on where there can be none. */
static int srtp_build(struct dataplane *dp)
{
	uint32_t contexts = (uint32_t)dp->shared.flows.flow_count * CONTEXTS_PER_FLOW + CONTEXTS_SPARE;
	int status = srtp_open(contexts, &dp->srtp);

	dp->shared.srtp = status == 0;
	if (status != -ENOTSUP)
		return status;
	log_warning("srtp", "this CPU has no instructions for AES: there is no SRTP");
	return 0;
}

int tables_build(struct dataplane *dp)
{
	const struct config_media_manager *m = &dp->config->media_manager;
	int status = interfaces_build(dp);

	if (status == 0)
		status = rcu_build(dp);
	if (status == 0)
		status = next_hops_init(
			&dp->next_hops, m->max_sessions * NEXT_HOPS_PER_SESSION + NEXT_HOPS_SPARE);
	dp->shared.next_hops = dp->next_hops.links;
	if (status == 0)
		status = routes_build(dp);
	if (status == 0)
		status = pools_build(dp);
	if (status == 0)
		status = rule_store_init(
			&dp->rules, dp->shared.rcu, (uint32_t)dp->shared.flows.flow_count * 2 + RULES_SPARE);
	if (status == 0)
		status = srtp_build(dp);
	if (status == 0)
		status = sessions_init(&dp->sessions, &dp->pools, &dp->next_hops, &dp->rules, dp->srtp,
			m->max_sessions, (uint16_t)dp->shared.worker_count);
	if (status != 0 && status != -EINVAL)
		log_error("tables", "cannot make the tables; is there enough free memory for max-sessions?",
			LOG_ERRNO("error", status));
	return status;
}

void tables_free(struct dataplane *dp)
{
	sessions_fini(&dp->sessions);
	if (dp->srtp != NULL)
		srtp_close(dp->srtp);
	dp->srtp = NULL;
	rule_store_fini(&dp->rules);
	pools_fini(&dp->pools);
	flow_table_free(&dp->shared.flows);
	next_hops_fini(&dp->next_hops);
	rte_free(dp->shared.rcu);
	free(dp->shared.ports);
	dp->shared.rcu = NULL;
	dp->shared.ports = NULL;
}
