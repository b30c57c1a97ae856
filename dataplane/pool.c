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
	p->pool = calloc(pools + 1U, sizeof(*p->pool));
	if (p->realm == NULL || p->pool == NULL) {
		pools_fini(p);
		return -ENOMEM;
	}
	return 0;
}

void pools_fini(struct pools *p)
{
	for (uint16_t i = 0; i < p->pool_count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): without an array the count is 0 */
		free(p->pool[i].free);
	free(p->pool);
	free(p->realm);
	*p = (struct pools){ 0 };
}

int pools_add(struct pools *p, struct flow_table *t, uint16_t realm, const union host *ip, uint8_t family,
	uint16_t first, uint16_t last)
{
	struct pool *pool = &p->pool[p->pool_count];

	*pool = (struct pool){ .realm = realm, .family = family, .ip = *ip };
	pool->pairs = flow_table_pool(t, ip, family, first, last, &pool->flows);
	if (pool->pairs == 0)
		return -EINVAL;
	pool->free = calloc(pool->pairs, sizeof(*pool->free));
	if (pool->free == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->pairs; i++) {
		uint32_t k = (uint32_t)(random_u64() % (i + 1));

		pool->free[i].pair = pool->free[k].pair;
		pool->free[k].pair = i;
	}
	pool->count = pool->pairs;
	p->pool_count++;
	return 0;
}

int pools_find_realm(const struct pools *p, const char *name)
{
	for (uint16_t i = 0; i < p->realm_count; i++)
		if (strcmp(p->realm[i].name, name) == 0)
			return i;
	return -ENOENT;
}

int pool_take(struct pools *p, uint16_t realm, uint8_t family, struct pool **pool, struct flow **flow)
{
	struct pool *best = NULL;
	int status = -EADDRNOTAVAIL;

	for (uint16_t i = 0; i < p->pool_count; i++) {
		struct pool *c = &p->pool[i];

		if (c->realm != realm || c->family != family)
			continue;
		status = 0;
		if (best == NULL || c->count > best->count)
			best = c;
	}
	if (status != 0)
		return status;
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

void pool_give(struct pools *p, struct pool *pool, struct flow *flow)
{
	uint32_t last = (pool->first + pool->count++) % pool->pairs;

	pool->free[last].pair = (uint32_t)(flow - pool->flows);
	pool->free[last].token = rte_rcu_qsbr_start(p->rcu);
	pool->used--;
}

void pools_count(const struct pools *p, uint64_t *used, uint64_t *total)
{
	*used = *total = 0;
	for (uint16_t i = 0; i < p->pool_count; i++) {
		*used += p->pool[i].used;
		*total += p->pool[i].pairs;
	}
}
