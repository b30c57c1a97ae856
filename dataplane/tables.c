/* SPDX-License-Identifier: BSD-3-Clause */
/* From the configuration to the tables the packet path and the sessions work on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "dataplane/dataplane.h"
#include "dataplane/srtp.h"
#include "platforms/base/log.h"

/* A direction has two keys if both sides have SRTP; and for a while, of few, the two before them. Their number is set for good: there is
 * room for twice as many flows, or for FLOWS_LEAST of them. */
enum { CONTEXTS_PER_FLOW = 2, CONTEXTS_SPARE = 1024, FLOWS_LEAST = 16384 };
enum { DSCP_SHIFT = 2, NEXT_HOPS_PER_SESSION = 2, NEXT_HOPS_SPARE = 1024, RULES_SPARE = 1024 };

uint8_t interface_number(const struct dataplane *dp, const struct config_network_interface *n)
{
	for (size_t i = 0; i < dp->started->network_interfaces_count; i++)
		if (strcmp(dp->started->network_interfaces[i].name, n->name) == 0)
			return (uint8_t)i;
	return INTERFACE_NONE;
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

struct pool_realm tables_realm(const struct dataplane *dp, const struct config_realm *r)
{
	struct pool_realm out = { .state = REALM_PRESENT,
		.interface = interface_number(dp, r->network_interface),
		.dscp = (uint8_t)(r->dscp_media << DSCP_SHIFT),
		.trusted = r->trust == CONFIG_TRUST_TRUSTED,
		.heir = REALM_NONE,
		.media_rate = r->media_rate };

	snprintf(out.name, sizeof(out.name), "%s", r->name);
	return out;
}

int tables_add_pool(const struct dataplane *dp, struct flow_table *t, const struct config_steering_pool *p)
{
	union host ip;
	uint8_t family = host_from(&ip, &p->address);

	return flow_table_add(t, &ip, family, interface_number(dp, p->realm->network_interface),
		p->port_first, p->port_last);
}

static int flows_build(struct dataplane *dp)
{
	const struct config *c = dp->config;
	struct flow_table *t = flow_table_new();
	int status = t != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; status == 0 && i < c->steering_pools_count; i++) {
		const struct config_steering_pool *p = &c->steering_pools[i];

		status = tables_add_pool(dp, t, p);
		if (status != 0)
			status = config_refuse(c, "steering-pool", p->name, "ports",
				"cannot be used (%s): at least one even and odd port, one interface per "
				"address, %d addresses",
				strerror(-status), FLOW_ADDRESSES_MAX);
	}
	if (status == 0)
		status = flow_table_allocate(t, NULL);
	if (status != 0)
		flow_table_free(t, NULL);
	else
		dp->shared.flows = t;
	return status;
}

static int pools_build(struct dataplane *dp)
{
	const struct config *c = dp->config;
	union host ip;
	int status = flows_build(dp);

	if (status == 0)
		status = pools_init(&dp->pools, dp->shared.rcu, (uint16_t)c->realms_count,
			(uint16_t)c->steering_pools_count);
	dp->realm_number = calloc(c->realms_count + 1, sizeof(*dp->realm_number));
	if (status == 0 && dp->realm_number == NULL)
		status = -ENOMEM;
	for (size_t i = 0; status == 0 && i < c->realms_count; i++) {
		dp->realm_number[i] = (uint16_t)i;
		dp->pools.realm[i] = tables_realm(dp, &c->realms[i]);
	}
	for (size_t i = 0; status == 0 && i < c->steering_pools_count; i++) {
		const struct config_steering_pool *p = &c->steering_pools[i];
		uint8_t family = host_from(&ip, &p->address);

		status = pools_add(&dp->pools, dp->shared.flows, (uint16_t)(p->realm - c->realms), &ip,
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
	uint32_t flows = (uint32_t)flow_table_flows(dp->shared.flows) * 2;
	int status;

	dp->srtp_flows = flows > FLOWS_LEAST ? flows : FLOWS_LEAST;
	status = srtp_open(dp->srtp_flows * CONTEXTS_PER_FLOW + CONTEXTS_SPARE, &dp->srtp);

	dp->shared.srtp = status == 0;
	if (status != -ENOTSUP)
		return status;
	log_warning("srtp", "this CPU has no instructions for AES: there is no SRTP");
	return 0;
}

uint32_t tables_rules(const struct flow_table *flows)
{
	return (uint32_t)flow_table_flows(flows) * 2 + RULES_SPARE;
}

uint32_t tables_next_hops(unsigned max_sessions)
{
	return max_sessions * NEXT_HOPS_PER_SESSION + NEXT_HOPS_SPARE;
}

int tables_build(struct dataplane *dp)
{
	const struct config_media_manager *m = &dp->config->media_manager;
	int status = interfaces_build(dp);

	if (status == 0)
		status = rcu_build(dp);
	if (status == 0)
		status = next_hops_init(&dp->next_hops, tables_next_hops(m->max_sessions));
	dp->shared.next_hops = dp->next_hops.links;
	if (status == 0)
		status = routes_build(dp);
	if (status == 0)
		status = pools_build(dp);
	if (status == 0)
		status = rule_store_init(&dp->rules, dp->shared.rcu, tables_rules(dp->shared.flows));
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
	flow_table_free((struct flow_table *)dp->shared.flows, NULL);
	dp->shared.flows = NULL;
	next_hops_fini(&dp->next_hops);
	rte_free(dp->shared.rcu);
	free(dp->shared.ports);
	free(dp->realm_number);
	dp->realm_number = NULL;
	dp->shared.rcu = NULL;
	dp->shared.ports = NULL;
}
