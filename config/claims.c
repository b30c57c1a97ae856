/* SPDX-License-Identifier: BSD-3-Clause */
/* Who claims which address and port: media pools, SIP listeners, interface addresses; and where two claims meet.
 * Claims are sorted and swept, so that a hostile file costs n log n. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"

enum claim_layer { CLAIM_HOST, CLAIM_UDP, CLAIM_TCP };

struct claim {
	union address address;
	enum claim_layer layer;
	uint16_t first, last;
	const char *section, *name, *setting;
	size_t index;
	unsigned line;
};

struct claims {
	struct claim *claim;
	size_t count;
};

static void address_bytes(const union address *a, const void **bytes, size_t *n)
{
	bool v4 = a->sa.sa_family == AF_INET;

	*bytes = v4 ? (const void *)&a->in4.sin_addr : (const void *)&a->in6.sin6_addr;
	*n = v4 ? sizeof(a->in4.sin_addr) : sizeof(a->in6.sin6_addr);
}

int config_compare_hosts(const union address *a, const union address *b)
{
	const void *x, *y;
	size_t n, m;

	address_bytes(a, &x, &n);
	address_bytes(b, &y, &m);
	return n != m ? (n < m ? -1 : 1) : memcmp(x, y, n);
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int hosts = config_compare_hosts(&x->address, &y->address);

	if (hosts)
		return hosts;
	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void add(struct claims *claims, const union address *address, struct claim claim)
{
	if (!address_is_set(address))
		return;
	claim.address = *address;
	claims->claim[claims->count++] = claim;
}

static size_t claims_upper_bound(const struct config *config)
{
	size_t n = config->steering_pools_count;

	for (size_t i = 0; i < config->network_interfaces_count; i++)
		n += config->network_interfaces[i].address_count;
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		n += config->sip_interfaces[i].listen_count;
	return n;
}

static void collect(struct claims *claims, const struct config *config)
{
	for (size_t i = 0; i < config->network_interfaces_count; i++) {
		const struct config_network_interface *ni = &config->network_interfaces[i];

		for (size_t j = 0; j < ni->address_count; j++)
			add(claims, &ni->addresses[j].address,
				(struct claim){ .layer = CLAIM_HOST,
					.section = "network-interface",
					.name = ni->name,
					.setting = "addresses",
					.index = j,
					.line = config_line(config, "network-interface", ni->name, NULL) });
	}
	for (size_t i = 0; i < config->steering_pools_count; i++) {
		const struct config_steering_pool *pool = &config->steering_pools[i];

		if (pool->port_last)
			add(claims, &pool->address,
				(struct claim){ .layer = CLAIM_UDP,
					.first = pool->port_first,
					.last = pool->port_last,
					.section = "steering-pool",
					.name = pool->name,
					.setting = "ports",
					.line = config_line(config, "steering-pool", pool->name, NULL) });
	}
	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *si = &config->sip_interfaces[i];
		unsigned line = config_line(config, "sip-interface", si->name, NULL);

		for (size_t j = 0; j < si->listen_count; j++)
			add(claims, &si->listen[j].address,
				(struct claim){ .layer = si->listen[j].transport == CONFIG_TRANSPORT_UDP
								 ? CLAIM_UDP
								 : CLAIM_TCP,
					.first = si->listen[j].port,
					.last = si->listen[j].port,
					.section = "sip-interface",
					.name = si->name,
					.setting = "listen",
					.index = j,
					.line = line });
	}
}

static void conflict(struct config_load *load, const struct claim *a, const struct claim *b)
{
	const struct claim *early = a, *late = b;
	char host[ADDRESS_TEXT_MAX];

	if (a->line > b->line || (a->line == b->line && a->index > b->index)) {
		early = b;
		late = a;
	}
	address_print_host(&a->address, host);
	if (a->layer == CLAIM_HOST)
		config_blame(load, true, late->section, late->name, late->setting, late->index,
			"%s is an address of network-interface %s too (line %u); allowed: each address once",
			host, early->name,
			config_line(load->config, early->section, early->name, early->setting));
	else
		config_blame(load, true, late->section, late->name, late->setting, late->index,
			"%s port %u%s is taken by %s %s (line %u); allowed: ports nobody else has", host,
			late->first, late->first == late->last ? "" : " and following", early->section,
			early->name, config_line(load->config, early->section, early->name, early->setting));
}

/* A connected prefix and whose it is. */
struct connected {
	union address network; /* host bits cleared */
	uint8_t length;
	size_t interface, index;
};

void config_clear_host_bits(union address *a, unsigned length)
{
	uint8_t *byte = a->sa.sa_family == AF_INET ? (uint8_t *)&a->in4.sin_addr : a->in6.sin6_addr.s6_addr;
	unsigned bits = a->sa.sa_family == AF_INET ? 32 : 128;

	for (unsigned i = length; i < bits; i++)
		byte[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static int compare_connected(const void *a, const void *b)
{
	const struct connected *x = a, *y = b;
	int networks = config_compare_hosts(&x->network, &y->network);

	if (networks)
		return networks;
	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return x->interface < y->interface ? -1 : x->interface > y->interface;
}

/* Prefixes nest or are apart, so that sorted by network each one follows those that hold it. */
static void check_connected(struct config_load *load, struct connected *list, size_t count)
{
	const struct config_network_interface *interfaces = load->config->network_interfaces;
	const struct connected *outer = NULL;

	qsort(list, count, sizeof(list[0]), compare_connected);
	for (size_t i = 0; i < count; i++) {
		const struct connected *c = &list[i], *late = c, *early = outer;
		struct prefix holder = { 0 };

		if (outer) {
			holder.address = outer->network;
			holder.length = outer->length;
		}
		if (!outer || outer->network.sa.sa_family != c->network.sa.sa_family ||
			!prefix_contains(&holder, &c->network)) {
			outer = c;
			continue;
		}
		if (outer->interface == c->interface)
			continue;
		if (outer->interface > c->interface) {
			late = outer;
			early = c;
		}
		config_blame(load, false, "network-interface", interfaces[late->interface].name, "addresses",
			late->index,
			"its network is also that of network-interface %s (line %u): what is sent there may "
			"leave by either",
			interfaces[early->interface].name,
			config_line(load->config, "network-interface", interfaces[early->interface].name,
				"addresses"));
	}
}

static void check_networks(struct config_load *load)
{
	const struct config *config = load->config;
	struct connected *list;
	size_t count = 0;

	list = arena_alloc(&load->private->arena, claims_upper_bound(config) + 1, sizeof(*list));
	if (!list) {
		(void)config_no_memory(load);
		return;
	}
	for (size_t i = 0; i < config->network_interfaces_count; i++)
		for (size_t j = 0; j < config->network_interfaces[i].address_count; j++) {
			const struct prefix *p = &config->network_interfaces[i].addresses[j];

			if (!address_is_set(&p->address))
				continue;
			list[count] = (struct connected){ p->address, p->length, i, j };
			config_clear_host_bits(&list[count++].network, p->length);
		}
	check_connected(load, list, count);
}

void config_validate_claims(struct config_load *load)
{
	struct claims claims = { .claim = arena_alloc(&load->private->arena,
					 claims_upper_bound(load->config) + 1, sizeof(struct claim)) };
	const struct claim *widest = NULL;

	if (!claims.claim) {
		(void)config_no_memory(load);
		return;
	}
	check_networks(load);
	collect(&claims, load->config);
	qsort(claims.claim, claims.count, sizeof(claims.claim[0]), compare_claims);
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *c = &claims.claim[i];

		if (widest && widest->layer == c->layer &&
			!config_compare_hosts(&widest->address, &c->address)) {
			if (c->first <= widest->last)
				conflict(load, widest, c);
			if (c->last <= widest->last)
				continue;
		}
		widest = c;
	}
}
