/* SPDX-License-Identifier: BSD-3-Clause */
/* Another configuration while packets flow: what it needs is made beside what is in use, put in its place, and what was there is freed
 * when no worker can see it any more. What a session still needs of an older configuration stays until it ends. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/border.h"
#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

/* How long who has not heard yet that a realm is gone is served: the control plane applies a commit right behind us, and a call that it
 * routed just before asks for its ports within moments. */
#define LINGER_US (5 * UINT64_C(1000000))

struct live_plan {
	struct flow_table *flows;
	struct pool_realm *realm; /* all, by number */
	struct realm_totals *totals; /* room for theirs */
	uint16_t realm_count;
	uint16_t *number; /* of the realms of the configuration, in their order */
	struct pool_wish *wish;
	uint16_t wish_count;
	struct pool_plan pools;
	struct border_plan border;
};

static void plan_free(struct dataplane *dp, struct live_plan *plan)
{
	if (plan == NULL)
		return;
	pool_plan_drop(&plan->pools);
	border_plan_drop(&plan->border);
	flow_table_free(plan->flows, dp->shared.flows);
	free(plan->realm);
	free(plan->totals);
	free(plan->number);
	free(plan->wish);
	free(plan);
}

/* What workers saw until now they see no more. */
static void wait_for_workers(const struct dataplane *dp)
{
	/* Pairs with the fence of rte_rcu_qsbr_thread_online, as in rule_publish. */
	atomic_thread_fence(memory_order_seq_cst);
	(void)rte_rcu_qsbr_check(dp->shared.rcu, rte_rcu_qsbr_start(dp->shared.rcu), true);
}

/* --- realms --- */

/* A realm that there was, even if it is only draining, keeps its number while it is where it was. */
static uint16_t realm_place(const struct live_plan *plan, const struct pool_realm *wanted)
{
	uint16_t unused = plan->realm_count;

	for (uint16_t i = plan->realm_count; i-- > 0;) {
		const struct pool_realm *r = &plan->realm[i];

		if (r->state == REALM_FREE)
			unused = i;
		else if (r->interface == wanted->interface && strcmp(r->name, wanted->name) == 0)
			return i;
	}
	return unused;
}

static int realms_make(
	const struct dataplane *dp, const struct config *next, struct live_plan *plan, struct writer *why)
{
	const struct pools *p = &dp->pools;
	size_t most = (size_t)p->realm_count + next->realms_count + 1;

	plan->realm = calloc(most, sizeof(*plan->realm));
	plan->totals = calloc(most, sizeof(*plan->totals));
	plan->number = calloc(next->realms_count + 1, sizeof(*plan->number));
	if (plan->realm == NULL || plan->totals == NULL || plan->number == NULL || most >= REALM_NONE)
		return -ENOMEM;
	plan->realm_count = p->realm_count;
	for (uint16_t i = 0; i < p->realm_count; i++) {
		plan->realm[i] = p->realm[i];
		if (p->realm[i].state == REALM_PRESENT)
			plan->realm[i].state = REALM_LEAVING;
	}
	for (size_t i = 0; i < next->realms_count; i++) {
		const struct pool_realm wanted = tables_realm(dp, &next->realms[i]);
		uint16_t place = realm_place(plan, &wanted);

		if (wanted.interface == INTERFACE_NONE) {
			writer_format(why,
				"realm %s.network-interface: the dataplane opens network-interface %s when "
				"it "
				"starts again\n",
				wanted.name, next->realms[i].network_interface->name);
			return -EINVAL;
		}
		plan->realm[place] = wanted;
		plan->number[i] = place;
		if (place == plan->realm_count)
			plan->realm_count++;
	}
	return 0;
}

/* --- ports --- */

static bool wish_overlaps(const struct pool_wish *w, const struct pool *p)
{
	return w->family == p->family && host_equal(&w->ip, &p->ip) &&
	       w->first < p->flows->port + 2 * p->pairs && p->flows->port <= w->last;
}

static struct pool_wish wish_of(const struct pool *p)
{
	return (struct pool_wish){ .realm = p->realm,
		.family = p->family,
		.ip = p->ip,
		.first = p->flows->port,
		.last = (uint16_t)(p->flows->port + 2 * p->pairs - 1) };
}

/* The pools of the configuration, and of realms that are not in it any more those whose ports nobody else has got. */
static int wishes_make(const struct dataplane *dp, const struct config *next, struct live_plan *plan)
{
	const struct pools *p = &dp->pools;
	uint16_t wanted = (uint16_t)next->steering_pools_count;

	if (next->steering_pools_count + p->pool_count >= UINT16_MAX)
		return -ENOMEM;
	plan->wish = calloc((size_t)wanted + p->pool_count + 1, sizeof(*plan->wish));
	if (plan->wish == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < wanted; i++) {
		const struct config_steering_pool *c = &next->steering_pools[i];
		struct pool_wish *w = &plan->wish[i];

		*w = (struct pool_wish){ .realm = plan->number[c->realm - next->realms],
			.first = c->port_first,
			.last = c->port_last };
		w->family = host_from(&w->ip, &c->address);
	}
	plan->wish_count = wanted;
	for (uint16_t i = 0; i < p->pool_count; i++) {
		const struct pool *old = p->pool[i];
		struct pool_realm *realm = &plan->realm[old->realm];
		uint16_t k = 0;

		if (realm->state == REALM_PRESENT)
			continue;
		while (k < wanted && !wish_overlaps(&plan->wish[k], old))
			k++;
		if (k == wanted)
			plan->wish[plan->wish_count++] = wish_of(old);
		else
			realm->heir = plan->wish[k].realm;
	}
	return 0;
}

/* Ports of pools that go are found until nobody uses them. */
static int windows_keep(const struct dataplane *dp, struct flow_table *t)
{
	const struct flow_table *old = dp->shared.flows;
	int status = 0;

	for (uint32_t i = 0; status == 0 && i < old->address_count; i++) {
		const struct flow_address *a = &old->address[i];

		status = flow_table_add(t, &a->ip, a->family, a->interface, a->first,
			(uint16_t)(a->first + 2 * a->pairs - 1));
	}
	return status;
}

static int flows_make(
	const struct dataplane *dp, const struct config *next, struct live_plan *plan, struct writer *why)
{
	int status = 0;

	plan->flows = flow_table_new();
	if (plan->flows == NULL)
		return -ENOMEM;
	for (size_t i = 0; status == 0 && i < next->steering_pools_count; i++) {
		status = tables_add_pool(dp, plan->flows, &next->steering_pools[i]);
		if (status != 0)
			writer_format(why,
				"steering-pool %s.ports: cannot be used (%s): at least one even and odd "
				"port, "
				"one interface per address\n",
				next->steering_pools[i].name, strerror(-status));
	}
	if (status == 0)
		status = windows_keep(dp, plan->flows);
	if (status == -ENOSPC)
		writer_format(why,
			"steering-pool: no more than %d media addresses at a time, those in use still "
			"among them\n",
			FLOW_ADDRESSES_MAX);
	if (status != 0)
		return -EINVAL;
	return flow_table_allocate(plan->flows, dp->shared.flows);
}

static int pools_make(
	const struct dataplane *dp, const struct config *next, struct live_plan *plan, struct writer *why)
{
	int status = flows_make(dp, next, plan, why);

	if (status == 0)
		status = wishes_make(dp, next, plan);
	return status != 0
		       ? status
		       : pool_plan_make(&dp->pools, plan->flows, plan->wish, plan->wish_count, &plan->pools);
}

/* --- the rest --- */

/* Room alone: nobody notices it, and it may stay where the commit is not made. */
static int room_make(struct dataplane *dp, const struct config *next, const struct flow_table *flows)
{
	unsigned max = next->media_manager.max_sessions;
	uint64_t *old = NULL;
	int status = rule_store_reserve(&dp->rules, tables_rules(flows));

	if (status == 0)
		status = sessions_reserve(&dp->sessions, max);
	if (status == 0)
		status = next_hops_reserve(&dp->next_hops, tables_next_hops(max), &old);
	if (old == NULL)
		return status;
	__atomic_store_n(&dp->shared.next_hops, dp->next_hops.links, __ATOMIC_RELEASE);
	wait_for_workers(dp);
	free(old);
	return status;
}

static void warn_of_srtp(const struct dataplane *dp, const struct flow_table *flows, struct writer *why)
{
	size_t n = flow_table_flows(flows);

	if (dp->srtp != NULL && n > dp->srtp_flows)
		writer_format(why,
			"steering-pool: there are keys of SRTP for %u of these %zu pairs of ports at a time, "
			"until "
			"the dataplane starts again\n",
			dp->srtp_flows, n);
}

int live_prepare(struct dataplane *dp, const struct config *next, struct writer *why)
{
	struct live_plan *plan = calloc(1, sizeof(*plan));
	int status = plan != NULL ? realms_make(dp, next, plan, why) : -ENOMEM;

	if (status == 0)
		status = pools_make(dp, next, plan, why);
	if (status == 0)
		status = room_make(dp, next, plan->flows);
	if (status == 0)
		status = border_plan_make(dp, next, plan->number, plan->realm_count, &plan->border);
	if (status == 0) {
		warn_of_srtp(dp, plan->flows, why);
		dp->plan = plan;
		return 0;
	}
	plan_free(dp, plan);
	if (status == -ENOSPC)
		writer_format(why,
			"session-agent: no more than %zu of them until the dataplane starts again\n",
			dp->agents_most);
	else if (status != -EINVAL)
		writer_format(why, "the dataplane has not the memory for it (%s)\n", strerror(-status));
	return -EINVAL;
}

void live_abort(struct dataplane *dp)
{
	plan_free(dp, dp->plan);
	dp->plan = NULL;
}

/* --- it cannot fail from here on --- */

static void realms_apply(struct dataplane *dp, struct live_plan *plan, uint64_t now_us)
{
	struct pools *p = &dp->pools;

	for (uint16_t i = 0; i < plan->realm_count; i++) {
		struct pool_realm *r = &plan->realm[i];
		const struct pool_realm *was = i < p->realm_count ? &p->realm[i] : NULL;

		if (was == NULL || was->state == REALM_FREE)
			continue;
		plan->totals[i] = dp->sessions.realm[i];
		if (r->state == REALM_LEAVING && was->state == REALM_PRESENT)
			r->left_us = now_us;
		if (r->dscp != was->dscp)
			p->marking++;
	}
	free(p->realm);
	free(dp->sessions.realm);
	free(dp->realm_number);
	p->realm = plan->realm;
	p->realm_count = plan->realm_count;
	dp->sessions.realm = plan->totals;
	dp->realm_number = plan->number;
	plan->realm = NULL;
	plan->totals = NULL;
	plan->number = NULL;
}

void live_apply(struct dataplane *dp, struct config *next)
{
	struct live_plan *plan = dp->plan;
	struct flow_table *flows = (struct flow_table *)dp->shared.flows;
	struct border_policy *policy;

	realms_apply(dp, plan, clock_now_us());
	__atomic_store_n(&dp->shared.flows, plan->flows, __ATOMIC_RELEASE);
	pool_plan_apply(&dp->pools, &plan->pools, plan->flows);
	policy = border_plan_apply(dp, &plan->border);
	sessions_limit(&dp->sessions, next->media_manager.max_sessions);
	wait_for_workers(dp);
	flow_table_free(flows, plan->flows);
	border_plan_finish(dp, policy);
	plan->flows = NULL;
	plan_free(dp, plan);
	dp->plan = NULL;
	dp->is_loose = true;
	if (dp->config != dp->started)
		config_free(dp->config);
	dp->config = next;
	if (dp->pools.draining != 0)
		log_notice("live", "ports that are no pool's any more are in use still",
			LOG_UINT("pairs", dp->pools.draining));
}

/* --- what is left over --- */

static bool is_over(const struct dataplane *dp, uint16_t realm)
{
	return dp->pools.realm[realm].state == REALM_DRAINING && dp->sessions.realm[realm].streams == 0;
}

/* Pools and flows that are needed still. 0, or -errno and everything is as it was. */
static int tighten(struct dataplane *dp)
{
	struct pools *p = &dp->pools;
	struct flow_table *t = flow_table_new(), *old = (struct flow_table *)dp->shared.flows;
	struct pool_wish *wish = calloc(p->pool_count + 1U, sizeof(*wish));
	struct pool_plan plan = { 0 };
	uint16_t n = 0;
	int status = t != NULL && wish != NULL ? 0 : -ENOMEM;

	for (uint16_t i = 0; status == 0 && i < p->pool_count; i++) {
		if (is_over(dp, p->pool[i]->realm))
			continue;
		wish[n] = wish_of(p->pool[i]);
		status = flow_table_add(t, &wish[n].ip, wish[n].family, p->realm[wish[n].realm].interface,
			wish[n].first, wish[n].last);
		n++;
	}
	if (status == 0 && p->draining != 0)
		status = windows_keep(dp, t);
	if (status == 0)
		status = flow_table_allocate(t, old);
	if (status == 0)
		status = pool_plan_make(p, t, wish, n, &plan);
	free(wish);
	if (status != 0) {
		flow_table_free(t, old);
		return status;
	}
	pool_plan_apply(p, &plan, t);
	__atomic_store_n(&dp->shared.flows, t, __ATOMIC_RELEASE);
	wait_for_workers(dp);
	flow_table_free(old, t);
	dp->is_loose = p->draining != 0;
	return 0;
}

void live_sweep(struct dataplane *dp, uint64_t now_us)
{
	struct pools *p = &dp->pools;
	bool over = false;

	if (dp->plan != NULL)
		return;
	for (uint16_t i = 0; i < p->realm_count; i++) {
		if (p->realm[i].state == REALM_LEAVING && now_us - p->realm[i].left_us > LINGER_US)
			p->realm[i].state = REALM_DRAINING;
		over = over || is_over(dp, i);
	}
	if (!over && (!dp->is_loose || p->draining != 0))
		return;
	if (tighten(dp) != 0)
		return; /* no memory: in a second again */
	for (uint16_t i = 0; i < p->realm_count; i++)
		if (is_over(dp, i)) {
			log_notice("live", "a realm that is gone has no calls any more",
				LOG_TEXT("realm", p->realm[i].name));
			p->realm[i].state = REALM_FREE;
			for (uint16_t k = 0; k < p->realm_count; k++)
				if (p->realm[k].heir == i)
					p->realm[k].heir = REALM_NONE;
		}
}
