/* SPDX-License-Identifier: BSD-3-Clause */
/* The border from the configuration: access lists, trust of agents, what belongs to which realm, rates. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "dataplane/border.h"
#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	SOURCE_BURST = 2, /* seconds' worth that a source may send at once where nothing else says it */
	CLASS_BURST_PART =
		10, /* of a second's worth; what all may send at once must fit into a socket's buffer */
	CLASS_BURST_LEAST = BURST,
};

static uint16_t realm_index(const struct dataplane *dp, const struct config_realm *realm)
{
	return (uint16_t)(realm - dp->config->realms);
}

static struct prefix_entry configured(const union address *a, uint8_t length, uint16_t scope)
{
	struct prefix_entry e = { .key = { .scope = scope, .length = length }, .configured = 1 };

	e.key.family = host_from(&e.key.ip, a);
	prefix_mask(&e.key.ip, e.key.family, length);
	return e;
}

static int access_fill(struct dataplane *dp, struct prefix_table *access)
{
	const struct config *c = dp->config;
	int status = 0;

	for (size_t i = 0; status == 0 && i < c->access_controls_count; i++) {
		const struct config_access_control *a = &c->access_controls[i];
		struct prefix_entry e =
			configured(&a->source.address, a->source.length, realm_index(dp, a->realm));
		bool evicted;

		e.permit = a->permit;
		e.trusted = a->permit && a->trust == CONFIG_TRUST_TRUSTED;
		e.rate = a->rate;
		e.burst = a->rate * SOURCE_BURST;
		status = prefix_table_set(access, &e, a->name, clock_now_us(), false, &evicted);
		e.key.scope = PREFIX_SCOPE_ANY; /* a ban is of all realms */
		if (status == 0 && e.trusted)
			status = prefix_table_set(
				dp->trusted_sources, &e, a->name, clock_now_us(), false, &evicted);
	}
	return status;
}

/* An agent that is named by host has no address here; DP_TRUST_SET is for whoever resolves the name. */
static int trust_fill(const struct dataplane *dp, struct prefix_table *trust)
{
	const struct config *c = dp->config;
	int status = 0;

	for (size_t i = 0; status == 0 && i < c->session_agents_count; i++) {
		const struct config_session_agent *a = &c->session_agents[i];
		const union address *address = &a->address.address;
		bool evicted;

		if (!address_is_set(address))
			continue;
		struct prefix_entry e = configured(
			address, address->sa.sa_family == AF_INET ? 32 : 128, realm_index(dp, a->realm));
		e.permit = e.trusted = 1;
		status = prefix_table_set(trust, &e, a->name, clock_now_us(), false, &evicted);
	}
	return status;
}

/* Where two realms share an address and port, the one that is not trusted counts. */
static void service_add(const struct dataplane *dp, struct border_config *b, struct border_service *list,
	const struct config_realm *realm, const union address *a, uint16_t port)
{
	struct border_service s = { .port = htons(port),
		.realm = realm_index(dp, realm),
		.interface = (uint8_t)(realm->network_interface - dp->config->network_interfaces) };

	s.family = host_from(&s.ip, a);
	for (unsigned i = 0; i < b->service_count; i++) {
		if (list[i].family != s.family || list[i].port != s.port || !host_equal(&list[i].ip, &s.ip))
			continue;
		if (realm->trust == CONFIG_TRUST_UNTRUSTED)
			list[i].realm = s.realm;
		return;
	}
	list[b->service_count++] = s;
}

static int services_fill(const struct dataplane *dp, struct border_config *b)
{
	const struct config *c = dp->config;
	size_t most = c->steering_pools_count;

	for (size_t i = 0; i < c->sip_interfaces_count; i++)
		most += c->sip_interfaces[i].listen_count;
	struct border_service *list = calloc(most + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->sip_interfaces_count; i++)
		for (size_t k = 0; k < c->sip_interfaces[i].listen_count; k++)
			service_add(dp, b, list, c->sip_interfaces[i].realm,
				&c->sip_interfaces[i].listen[k].address, c->sip_interfaces[i].listen[k].port);
	for (size_t i = 0; i < c->steering_pools_count; i++)
		service_add(dp, b, list, c->steering_pools[i].realm, &c->steering_pools[i].address, 0);
	b->services = list;
	return 0;
}

static int realms_fill(const struct dataplane *dp, struct border_config *b)
{
	const struct config *c = dp->config;
	struct border_realm *list = calloc(c->realms_count + 1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < INTERFACES_MAX; i++)
		b->interface[i].realm = PREFIX_SCOPE_ANY;
	for (size_t i = 0; i < c->realms_count; i++) {
		struct border_interface *n =
			&b->interface[c->realms[i].network_interface - c->network_interfaces];

		list[i].trusted = c->realms[i].trust == CONFIG_TRUST_TRUSTED;
		if (n->realm != PREFIX_SCOPE_ANY && (list[i].trusted || !n->trusted))
			continue;
		n->realm = (uint16_t)i;
		n->trusted = list[i].trusted;
	}
	b->realms = list;
	b->realm_count = (unsigned)c->realms_count;
	return 0;
}

static struct rate class_rate(unsigned per_second)
{
	struct rate r = { per_second, per_second / CLASS_BURST_PART };

	if (r.burst < CLASS_BURST_LEAST)
		r.burst = CLASS_BURST_LEAST;
	return r;
}

static void rates_fill(const struct config_guard *g, struct border_config *b)
{
	b->max_sources = g->max_sources;
	b->untrusted[SOURCE_PACKETS] = (struct rate){ g->untrusted_rate, g->untrusted_burst };
	b->untrusted[SOURCE_STREAM] = (struct rate){ g->stream_rate, g->stream_rate * SOURCE_BURST };
	b->untrusted[SOURCE_SYN] = (struct rate){ g->syn_rate, g->syn_rate * SOURCE_BURST };
	b->class[BORDER_UNTRUSTED] = class_rate(g->untrusted_class_rate);
	b->class[BORDER_TRUSTED] = class_rate(g->trusted_class_rate);
	b->class[BORDER_SYN] = class_rate(g->syn_class_rate);
	b->class[BORDER_LINK] = class_rate(g->link_rate);
}

static int lists_build(struct dataplane *dp, struct border_config *b)
{
	const struct config *c = dp->config;
	uint32_t controls = (uint32_t)c->access_controls_count, agents = (uint32_t)c->session_agents_count;
	int status;

	b->bans = prefix_table_new(c->guard.max_bans, dp->shared.rcu);
	b->access = prefix_table_new(controls + 1, dp->shared.rcu);
	b->trust = prefix_table_new(c->guard.max_trusted + agents, dp->shared.rcu);
	dp->trusted_sources = prefix_table_new(controls + 1, dp->shared.rcu);
	if (b->bans == NULL || b->access == NULL || b->trust == NULL || dp->trusted_sources == NULL)
		return -ENOMEM;
	status = access_fill(dp, b->access);
	return status != 0 ? status : trust_fill(dp, b->trust);
}

int border_build(struct dataplane *dp)
{
	struct border_config b = { 0 };
	int status = lists_build(dp, &b);

	rates_fill(&dp->config->guard, &b);
	if (status == 0)
		status = realms_fill(dp, &b);
	if (status == 0)
		status = services_fill(dp, &b);
	if (status == 0)
		dp->shared.border = border_new(&b);
	free((void *)b.services);
	free((void *)b.realms);
	if (dp->shared.border != NULL)
		return 0;
	prefix_table_free(b.bans);
	prefix_table_free(b.access);
	prefix_table_free(b.trust);
	border_destroy(dp);
	log_error("border", "cannot be made; is there enough free memory for guard's max-... settings?",
		LOG_ERRNO("error", status != 0 ? status : -ENOMEM));
	return status != 0 ? status : -ENOMEM;
}

void border_destroy(struct dataplane *dp)
{
	border_free(dp->shared.border);
	prefix_table_free(dp->trusted_sources);
	dp->shared.border = NULL;
	dp->trusted_sources = NULL;
}
