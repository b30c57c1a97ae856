/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation of media port pairs. */
#include "dataplane/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/random.h"

int pools_init(struct pools *p, struct rte_rcu_qsbr *rcu, uint16_t realms, uint16_t pools)
{
	*p = (struct pools){ .rcu = rcu, .realm_count = realms };
	p->realm = calloc(realms + 1U, sizeof(*p->realm));
	p->pool = calloc(pools + 1U, sizeof(struct pool *));
	if (p->realm == NULL || p->pool == NULL) {
		pools_fini(p);
		return -ENOMEM;
	}
	return 0;
}

static void pool_free(struct pool *pool)
{
	if (pool != NULL)
		free(pool->free);
	free(pool);
}

void pools_fini(struct pools *p)
{
	for (uint16_t i = 0; i < p->pool_count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): without an array the count is 0 */
		pool_free(p->pool[i]);
	free((void *)p->pool);
	free(p->realm);
	*p = (struct pools){ 0 };
}

int pools_add(struct pools *p, const struct flow_table *t, uint16_t realm, const union host *ip,
	uint8_t family, uint16_t first, uint16_t last)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return -ENOMEM;
	*pool = (struct pool){ .realm = realm, .family = family, .ip = *ip };
	pool->pairs = flow_table_range(t, ip, family, first, last, &pool->flows);
	if (pool->pairs == 0) {
		pool_free(pool);
		return -EINVAL;
	}
	pool->free = calloc(pool->pairs, sizeof(*pool->free));
	if (pool->free == NULL) {
		pool_free(pool);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < pool->pairs; i++) {
		uint32_t k = (uint32_t)(random_u64() % (i + 1));

		pool->free[i].pair = pool->free[k].pair;
		pool->free[k].pair = i;
		flow_set_pooled(&pool->flows[i], true);
	}
	pool->count = pool->pairs;
	p->flows = t;
	p->pool[p->pool_count++] = pool;
	return 0;
}

int pools_find_realm(const struct pools *p, const char *name)
{
	int leaving = -ENOENT;

	for (uint16_t i = 0; i < p->realm_count; i++) {
		const struct pool_realm *r = &p->realm[i];

		if ((r->state != REALM_PRESENT && r->state != REALM_LEAVING) || strcmp(r->name, name) != 0)
			continue;
		if (r->state == REALM_PRESENT)
			return i;
		leaving = i;
	}
	return leaving;
}

int pools_named_realm(const struct pools *p, const char *name)
{
	int found = pools_find_realm(p, name);

	for (uint16_t i = 0; found < 0 && i < p->realm_count; i++)
		if (p->realm[i].state == REALM_DRAINING && strcmp(p->realm[i].name, name) == 0)
			found = i;
	return found;
}

/* The fullest one. NULL: the realm has none of that family. */
static struct pool *choose(const struct pools *p, uint16_t realm, uint8_t family)
{
	struct pool *best = NULL;

	for (uint16_t i = 0; i < p->pool_count; i++) {
		struct pool *c = p->pool[i];

		if (c->realm == realm && c->family == family && (best == NULL || c->count > best->count))
			best = c;
	}
	return best;
}

int pool_take(struct pools *p, uint16_t realm, uint8_t family, const struct pool **pool, struct flow **flow)
{
	struct pool *best = choose(p, realm, family);

	if (best == NULL && p->realm[realm].state != REALM_PRESENT && p->realm[realm].heir != REALM_NONE)
		best = choose(p, p->realm[realm].heir, family);
	if (best == NULL)
		return -EADDRNOTAVAIL;
	if (best->count == 0)
		return -ENOSPC;
	/* Nearly always long past; waits for microseconds when the pool is all but empty. */
	uint64_t token = best->free[best->first].token;
	if (token != 0)
		(void)rte_rcu_qsbr_check(p->rcu, token, true);
	*pool = best;
	*flow = &best->flows[best->free[best->first].pair];
	best->first = (best->first + 1) % best->pairs;
	best->count--;
	best->used++;
	flow_reset(*flow);
	return 0;
}

static struct pool *owner_of(const struct pools *p, const struct flow *flow)
{
	for (uint16_t i = 0; i < p->pool_count; i++)
		if (flow >= p->pool[i]->flows && flow < p->pool[i]->flows + p->pool[i]->pairs)
			return p->pool[i];
	return NULL;
}

void pool_give(struct pools *p, struct flow *flow)
{
	struct pool *pool = owner_of(p, flow);

	if (pool == NULL) { /* it was the last of a pool that is gone */
		flow_set_pooled(flow, false);
		p->draining--;
		return;
	}
	uint32_t last = (pool->first + pool->count++) % pool->pairs;
	pool->free[last].pair = (uint32_t)(flow - pool->flows);
	pool->free[last].token = rte_rcu_qsbr_start(p->rcu);
	pool->used--;
}

void pools_count(const struct pools *p, uint64_t *used, uint64_t *total)
{
	*used = p->draining;
	*total = 0;
	for (uint16_t i = 0; i < p->pool_count; i++) {
		*used += p->pool[i]->used;
		*total += p->pool[i]->pairs;
	}
}

bool pools_have_address(const struct pools *p, const union host *ip, uint8_t family, uint8_t interface)
{
	const struct flow_address *a = p->flows != NULL ? flow_address_find(p->flows, ip, family) : NULL;

	return a != NULL && a->interface == interface;
}
