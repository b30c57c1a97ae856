/* SPDX-License-Identifier: BSD-3-Clause */
/* The border from the configuration: access lists, trust of agents, what belongs to which realm, rates. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/border.h"
#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	SOURCE_BURST = 2, /* seconds' worth that a source may send at once where nothing else says it */
	CLASS_BURST_PART =
		10, /* of a second's worth; what all may send at once must fit into a socket's buffer */
	CLASS_BURST_LEAST = BURST,
	AGENTS_SPARE = 1024, /* session-agents that may be added while it runs */
};

/* A configuration being read. */
struct reading {
	const struct dataplane *dp;
	const struct config *c;
	const uint16_t *number; /* of its realms, in their order */
};

static uint16_t realm_number(const struct reading *r, const struct config_realm *realm)
{
	return r->number[realm - r->c->realms];
}

static struct prefix_entry configured(const union address *a, uint8_t length, uint16_t scope)
{
	struct prefix_entry e = { .key = { .scope = scope, .length = length }, .configured = 1 };

	e.key.family = host_from(&e.key.ip, a);
	prefix_mask(&e.key.ip, e.key.family, length);
	return e;
}

static int access_fill(
	const struct reading *r, struct prefix_table *access, struct prefix_table *trusted_sources)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < r->c->access_controls_count; i++) {
		const struct config_access_control *a = &r->c->access_controls[i];
		struct prefix_entry e =
			configured(&a->source.address, a->source.length, realm_number(r, a->realm));
		bool evicted;

		e.permit = a->permit;
		e.trusted = a->permit && a->trust == CONFIG_TRUST_TRUSTED;
		e.rate = a->rate;
		e.burst = a->rate * SOURCE_BURST;
		status = prefix_table_set(access, &e, a->name, clock_now_us(), false, &evicted);
		e.key.scope = PREFIX_SCOPE_ANY; /* a ban is of all realms */
		if (status == 0 && e.trusted)
			status = prefix_table_set(
				trusted_sources, &e, a->name, clock_now_us(), false, &evicted);
	}
	return status;
}

static int agent_compare(const void *a, const void *b)
{
	return memcmp(&((const struct border_agent *)a)->key, &((const struct border_agent *)b)->key,
		sizeof(struct prefix_key));
}

/* An agent that is named by host has no address here; DP_TRUST_SET is for whoever resolves the name. Sorted, each source once. */
static int agents_read(const struct reading *r, struct border_agent **out, size_t *count)
{
	const struct config *c = r->c;
	struct border_agent *list = calloc(c->session_agents_count + 1, sizeof(*list));
	size_t n = 0, kept = 0;

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->session_agents_count; i++) {
		const struct config_session_agent *a = &c->session_agents[i];
		const union address *address = &a->address.address;

		if (!address_is_set(address))
			continue;
		list[n].key = configured(
			address, address->sa.sa_family == AF_INET ? 32 : 128, realm_number(r, a->realm))
				      .key;
		snprintf(list[n++].note, sizeof(list->note), "%s", a->name);
	}
	qsort(list, n, sizeof(*list), agent_compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || agent_compare(&list[kept - 1], &list[i]) != 0)
			list[kept++] = list[i];
	*out = list;
	*count = kept;
	return 0;
}

/* Where two realms share an address and port, the one that is not trusted counts. */
static void service_add(const struct reading *r, struct border_config *b, struct border_service *list,
	const struct config_realm *realm, const union address *a, uint16_t port)
{
	struct border_service s = { .port = htons(port),
		.realm = realm_number(r, realm),
		.interface = interface_number(r->dp, realm->network_interface) };

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

static int services_fill(const struct reading *r, struct border_config *b)
{
	const struct config *c = r->c;
	size_t most = c->steering_pools_count;

	for (size_t i = 0; i < c->sip_interfaces_count; i++)
		most += c->sip_interfaces[i].listen_count;
	struct border_service *list = calloc(most + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->sip_interfaces_count; i++)
		for (size_t k = 0; k < c->sip_interfaces[i].listen_count; k++)
			service_add(r, b, list, c->sip_interfaces[i].realm,
				&c->sip_interfaces[i].listen[k].address, c->sip_interfaces[i].listen[k].port);
	for (size_t i = 0; i < c->steering_pools_count; i++)
		service_add(r, b, list, c->steering_pools[i].realm, &c->steering_pools[i].address, 0);
	b->services = list;
	return 0;
}

static int realms_fill(const struct reading *r, uint16_t realms, struct border_config *b)
{
	const struct config *c = r->c;
	struct border_realm *list = calloc(realms + 1U, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < INTERFACES_MAX; i++)
		b->interface[i].realm = PREFIX_SCOPE_ANY;
	for (size_t i = 0; i < c->realms_count; i++) {
		struct border_interface *n =
			&b->interface[interface_number(r->dp, c->realms[i].network_interface)];
		bool trusted = c->realms[i].trust == CONFIG_TRUST_TRUSTED;

		list[r->number[i]].trusted = trusted;
		if (n->realm != PREFIX_SCOPE_ANY && (trusted || !n->trusted))
			continue;
		n->realm = r->number[i];
		n->trusted = trusted;
	}
	b->realms = list;
	b->realm_count = realms;
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
	b->untrusted[SOURCE_PACKETS] = (struct rate){ g->untrusted_rate, g->untrusted_burst };
	b->untrusted[SOURCE_STREAM] = (struct rate){ g->stream_rate, g->stream_rate * SOURCE_BURST };
	b->untrusted[SOURCE_SYN] = (struct rate){ g->syn_rate, g->syn_rate * SOURCE_BURST };
	b->class[BORDER_UNTRUSTED] = class_rate(g->untrusted_class_rate);
	b->class[BORDER_TRUSTED] = class_rate(g->trusted_class_rate);
	b->class[BORDER_SYN] = class_rate(g->syn_class_rate);
	b->class[BORDER_LINK] = class_rate(g->link_rate);
}

static int policy_make(const struct reading *r, uint16_t realms, struct border_plan *plan)
{
	struct border_config b = { 0 };
	uint32_t controls = (uint32_t)r->c->access_controls_count;
	int status = -ENOMEM;

	b.access = prefix_table_new(controls + 1, r->dp->shared.rcu);
	plan->trusted_sources = prefix_table_new(controls + 1, r->dp->shared.rcu);
	if (b.access != NULL && plan->trusted_sources != NULL)
		status = access_fill(r, b.access, plan->trusted_sources);
	rates_fill(&r->c->guard, &b);
	if (status == 0)
		status = realms_fill(r, realms, &b);
	if (status == 0)
		status = services_fill(r, &b);
	if (status == 0) {
		plan->policy = border_policy_new(&b);
		status = plan->policy != NULL ? 0 : -ENOMEM;
	}
	free((void *)b.services);
	free((void *)b.realms);
	if (status != 0)
		prefix_table_free(b.access);
	return status;
}

int border_plan_make(const struct dataplane *dp, const struct config *c, const uint16_t *number,
	uint16_t realms, struct border_plan *plan)
{
	const struct reading r = { dp, c, number };
	int status;

	*plan = (struct border_plan){ 0 };
	status = policy_make(&r, realms, plan);
	if (status == 0)
		status = agents_read(&r, &plan->agents, &plan->agent_count);
	if (status == 0 && plan->agent_count > dp->agents_most)
		status = -ENOSPC;
	if (status != 0)
		border_plan_drop(plan);
	return status;
}

void border_plan_drop(struct border_plan *plan)
{
	border_policy_free(plan->policy);
	prefix_table_free(plan->trusted_sources);
	free(plan->agents);
	*plan = (struct border_plan){ 0 };
}

/* The table has room for agents that nobody else may take (server_border.c). */
static void agents_trust(struct dataplane *dp, const struct border_plan *plan)
{
	struct prefix_table *trust = border_trust(dp->shared.border);
	bool evicted;

	for (size_t i = 0; i < dp->agent_count; i++)
		if (bsearch(&dp->agents[i], plan->agents, plan->agent_count, sizeof(*plan->agents),
			    agent_compare) == NULL)
			(void)prefix_table_clear(trust, &dp->agents[i].key);
	for (size_t i = 0; i < plan->agent_count; i++) {
		const struct prefix_entry e = {
			.key = plan->agents[i].key, .permit = 1, .trusted = 1, .configured = 1
		};
		int status =
			prefix_table_set(trust, &e, plan->agents[i].note, clock_now_us(), false, &evicted);

		if (status != 0)
			log_error("border", "a session-agent cannot be trusted",
				LOG_TEXT("agent", plan->agents[i].note), LOG_ERRNO("error", status));
	}
}

struct border_policy *border_plan_apply(struct dataplane *dp, struct border_plan *plan)
{
	struct border_policy *old = border_policy_swap(dp->shared.border, plan->policy);

	agents_trust(dp, plan);
	prefix_table_free(dp->trusted_sources);
	free(dp->agents);
	dp->trusted_sources = plan->trusted_sources;
	dp->agents = plan->agents;
	dp->agent_count = plan->agent_count;
	*plan = (struct border_plan){ 0 };
	return old;
}

void border_plan_finish(struct dataplane *dp, struct border_policy *old)
{
	prefix_table_inherit(border_access(dp->shared.border), border_policy_access(old));
	border_policy_free(old);
}

/* Takes over what it is given, or nothing: NULL. */
static struct border *border_make(const struct dataplane *dp, struct border_policy *policy)
{
	const struct config_guard *g = &dp->config->guard;
	struct prefix_table *bans = prefix_table_new(g->max_bans, dp->shared.rcu);
	struct prefix_table *trust =
		prefix_table_new(g->max_trusted + (uint32_t)dp->agents_most, dp->shared.rcu);
	struct border *b = NULL;

	if (bans != NULL && trust != NULL)
		b = border_new(bans, trust, g->max_sources, policy);
	if (b == NULL) {
		prefix_table_free(bans);
		prefix_table_free(trust);
	}
	return b;
}

int border_build(struct dataplane *dp)
{
	struct border_plan plan = { 0 };
	int status;

	dp->agents_most = dp->config->session_agents_count + AGENTS_SPARE;
	status =
		border_plan_make(dp, dp->config, dp->realm_number, (uint16_t)dp->config->realms_count, &plan);
	if (status == 0) {
		dp->shared.border = border_make(dp, plan.policy);
		if (dp->shared.border != NULL) {
			(void)border_plan_apply(dp, &plan);
			return 0;
		}
		status = -ENOMEM;
		border_plan_drop(&plan);
	}
	log_error("border", "cannot be made; is there enough free memory for guard's max-... settings?",
		LOG_ERRNO("error", status));
	return status;
}

void border_destroy(struct dataplane *dp)
{
	border_free(dp->shared.border);
	prefix_table_free(dp->trusted_sources);
	free(dp->agents);
	dp->shared.border = NULL;
	dp->trusted_sources = NULL;
	dp->agents = NULL;
	dp->agent_count = 0;
}
