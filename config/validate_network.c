/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of packet workers, network-interfaces, realms and steering-pools. */
#include <string.h>

#include "config/source.h"

static void check_workers(struct config_load *load)
{
	const struct config_media_manager *mm = &load->config->media_manager;

	for (size_t i = 1; i < mm->worker_count; i++)
		for (size_t j = 0; j < i; j++)
			if (mm->workers[i] == mm->workers[j]) {
				config_blame(load, true, "media-manager", NULL, "workers", i,
					"core %u is named twice; allowed: each core once", mm->workers[i]);
				break;
			}
	if (!mm->worker_count)
		config_blame(load, true, "media-manager", NULL, "workers", 0,
			"is empty; at least one value is needed");
}

/* Loopback addresses are let through: a bench without a network needs them. */
static bool is_usable_v4(const struct prefix *p)
{
	uint32_t host = ntohl(p->address.in4.sin_addr.s_addr);
	uint32_t mask = p->length ? UINT32_MAX << (32 - p->length) : 0;

	if (host >> 28 >= 0xe || host >> 24 == 0)
		return false;
	return p->length >= 31 || ((host & ~mask) && (host & ~mask) != ~mask);
}

static bool is_usable_v6(const struct prefix *p)
{
	const struct in6_addr *a = &p->address.in6.sin6_addr;

	return !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_V4MAPPED(a);
}

static void check_addresses(struct config_load *load, const struct config_network_interface *ni)
{
	char host[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ni->address_count; i++) {
		const struct prefix *p = &ni->addresses[i];

		if (!address_is_set(&p->address))
			continue;
		if (p->address.sa.sa_family == AF_INET ? is_usable_v4(p) : is_usable_v6(p))
			continue;
		config_blame(load, true, "network-interface", ni->name, "addresses", i,
			"%s/%u cannot be an interface's address; allowed: a host's address, not that of a "
			"network, broadcast or multicast",
			address_print_host(&p->address, host), p->length);
	}
}

static bool is_link_local(const union address *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

static void check_gateway(struct config_load *load, const struct config_network_interface *ni,
	const union address *gateway, const char *setting)
{
	bool connected = is_link_local(gateway), own = false;
	char host[ADDRESS_TEXT_MAX];

	if (!address_is_set(gateway))
		return;
	for (size_t i = 0; i < ni->address_count; i++) {
		if (!address_is_set(&ni->addresses[i].address))
			return; /* that address is the error, and might be the one that matters */
		connected = connected || prefix_contains(&ni->addresses[i], gateway);
		own = own || address_equal_host(&ni->addresses[i].address, gateway);
	}
	if (own)
		config_blame(load, true, "network-interface", ni->name, setting, 0,
			"%s is our own address; allowed: another address within addresses' prefixes",
			address_print_host(gateway, host));
	else if (!connected)
		config_blame(load, true, "network-interface", ni->name, setting, 0,
			"%s is not connected; allowed: an address within addresses' prefixes",
			address_print_host(gateway, host));
}

static void check_same_port(struct config_load *load, const struct config_network_interface *ni)
{
	const struct config_network_interface *other;

	for (other = load->config->network_interfaces; other < ni; other++)
		if (ni->port && other->port && ni->vlan == other->vlan && !strcmp(ni->port, other->port)) {
			config_blame(load, true, "network-interface", ni->name, "port", 0,
				"\"%s\" with vlan %u is that of network-interface %s too (line %u); allowed: "
				"another port or another vlan",
				ni->port, ni->vlan, other->name,
				config_line(load->config, "network-interface", other->name, "port"));
			return;
		}
}

bool config_interface_has(const struct config_network_interface *ni, const union address *address)
{
	for (size_t i = 0; i < ni->address_count; i++)
		if (!address_is_set(&ni->addresses[i].address) ||
			address_equal_host(&ni->addresses[i].address, address))
			return true;
	return false;
}

static void check_pool(struct config_load *load, const struct config_steering_pool *pool)
{
	const struct config_network_interface *ni = pool->realm ? pool->realm->network_interface : NULL;
	char host[ADDRESS_TEXT_MAX];

	if (ni && address_is_set(&pool->address) && !config_interface_has(ni, &pool->address))
		config_blame(load, true, "steering-pool", pool->name, "address", 0,
			"%s is no address of network-interface %s, where realm %s is; allowed: one of its "
			"addresses",
			address_print_host(&pool->address, host), ni->name, pool->realm->name);
}

/* A call takes a pair of ports in each realm it touches. Said only when somebody asked for a number of sessions. */
static void check_capacity(struct config_load *load)
{
	const struct config *config = load->config;
	size_t *pairs = arena_alloc(&load->private->arena, config->realms_count + 1, sizeof(*pairs));

	if (!pairs) {
		(void)config_no_memory(load);
		return;
	}
	if (!config_line(config, "media-manager", NULL, "max-sessions"))
		return;
	for (size_t i = 0; i < config->steering_pools_count; i++)
		if (config->steering_pools[i].realm)
			pairs[config->steering_pools[i].realm - config->realms] +=
				(size_t)(config->steering_pools[i].port_last -
					 config->steering_pools[i].port_first + 1) /
				2;
	for (size_t i = 0; i < config->realms_count; i++)
		if (pairs[i] && pairs[i] < config->media_manager.max_sessions)
			config_blame(load, false, "media-manager", NULL, "max-sessions", 0,
				"%u sessions, but the steering-pools of realm %s have %zu pairs of ports",
				config->media_manager.max_sessions, config->realms[i].name, pairs[i]);
}

void config_validate_network(struct config_load *load)
{
	const struct config *config = load->config;

	check_workers(load);
	for (size_t i = 0; i < config->network_interfaces_count; i++) {
		const struct config_network_interface *ni = &config->network_interfaces[i];

		check_same_port(load, ni);
		check_addresses(load, ni);
		check_gateway(load, ni, &ni->gateway, "gateway");
		check_gateway(load, ni, &ni->gateway6, "gateway6");
	}
	for (size_t i = 0; i < config->steering_pools_count; i++)
		check_pool(load, &config->steering_pools[i]);
	check_capacity(load);
}
