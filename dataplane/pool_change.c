/* SPDX-License-Identifier: BSD-3-Clause */
/* Other pools while pairs are in use. Flows stay where they are (flow.h), so that a pool is a range of them and a pair is given back to
 * the pool in whose range it is then. A pool whose range and realm stay is not touched at all. */
#include "dataplane/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/random.h"

static bool overlaps(const struct pool *a, const struct pool *b)
{
	return a->flows < b->flows + b->pairs && b->flows < a->flows + a->pairs;
}

static bool has(const struct pool *pool, const struct flow *f)
{
	return f >= pool->flows && f < pool->flows + pool->pairs;
}

static struct pool *same_as(const struct pools *p, const struct pool *wanted)
{
	for (uint16_t i = 0; i < p->pool_count; i++)
		if (p->pool[i]->realm == wanted->realm && p->pool[i]->flows == wanted->flows &&
			p->pool[i]->pairs == wanted->pairs)
			return p->pool[i];
	return NULL;
}

static void pool_free(struct pool *pool)
{
	if (pool != NULL)
		free(pool->free);
	free(pool);
}

static int plan_add(
	const struct pools *p, const struct flow_table *t, const struct pool_wish *w, struct pool_plan *plan)
{
	struct pool wanted = { .realm = w->realm, .family = w->family, .ip = w->ip };

	wanted.pairs = flow_table_range(t, &w->ip, w->family, w->first, w->last, &wanted.flows);
	if (wanted.pairs == 0)
		return -EINVAL;
	struct pool *pool = same_as(p, &wanted);
	plan->fresh[plan->count] = pool == NULL;
	if (pool == NULL) {
		pool = malloc(sizeof(*pool));
		wanted.free = calloc(wanted.pairs, sizeof(*wanted.free));
		if (pool == NULL || wanted.free == NULL) {
			free(pool);
			free(wanted.free);
			return -ENOMEM;
		}
		*pool = wanted;
	}
	plan->pool[plan->count++] = pool;
	return 0;
}

int pool_plan_make(const struct pools *p, const struct flow_table *t, const struct pool_wish *wishes,
	uint16_t count, struct pool_plan *out)
{
	int status = 0;

	*out = (struct pool_plan){ .pool = calloc(count + 1U, sizeof(struct pool *)),
		.fresh = calloc(count + 1U, sizeof(bool)) };
	if (out->pool == NULL || out->fresh == NULL)
		status = -ENOMEM;
	for (uint16_t i = 0; status == 0 && i < count; i++)
		status = plan_add(p, t, &wishes[i], out);
	if (status != 0)
		pool_plan_drop(out);
	return status;
}

void pool_plan_drop(struct pool_plan *plan)
{
	for (uint16_t i = 0; plan->fresh != NULL && i < plan->count; i++)
		if (plan->fresh[i])
			pool_free(plan->pool[i]);
	free((void *)plan->pool);
	free(plan->fresh);
	*plan = (struct pool_plan){ 0 };
}

static void push(struct pool *to, const struct flow *f)
{
	to->free[to->count++].pair = (uint32_t)(f - to->flows);
}

/* Pairs that no pool had until now, unless one that drains is among them, in random order. */
static void take_fresh(struct pool *to, struct pool *const *old, uint16_t old_count)
{
	for (uint32_t k = 0; k < to->pairs; k++) {
		const struct flow *f = &to->flows[k];
		bool had = atomic_load_explicit(&f->rule, memory_order_relaxed) != NULL;

		for (uint16_t i = 0; !had && i < old_count; i++)
			had = has(old[i], f);
		if (!had)
			push(to, f);
	}
	for (uint32_t i = 1; i < to->count; i++) {
		uint32_t k = (uint32_t)(random_u64() % (i + 1)), pair = to->free[i].pair;

		to->free[i].pair = to->free[k].pair;
		to->free[k].pair = pair;
	}
}

/* Those that are free in another, the one given back first first. */
static void take_over(struct pool *to, const struct pool *from)
{
	for (uint32_t i = 0; i < from->count; i++) {
		const struct flow *f = &from->flows[from->free[(from->first + i) % from->pairs].pair];

		if (has(to, f))
			push(to, f);
	}
}

static void fill(struct pool *to, struct pool *const *old, uint16_t old_count)
{
	struct pool *near[UINT8_MAX];
	uint16_t n = 0;

	for (uint16_t i = 0; i < old_count && n < UINT8_MAX; i++)
		if (overlaps(old[i], to))
			near[n++] = old[i];
	take_fresh(to, near, n);
	for (uint16_t i = 0; i < n; i++)
		take_over(to, near[i]);
	for (uint32_t k = 0; k < to->pairs; k++)
		flow_set_pooled(&to->flows[k], true);
	to->used = to->pairs - to->count;
}

static bool is_kept(const struct pool_plan *plan, const struct pool *pool)
{
	for (uint16_t i = 0; i < plan->count; i++)
		if (plan->pool[i] == pool)
			return true;
	return false;
}

/* Puts the pools that go in front of the array; how many. Their free pairs are no media ports for the moment. */
static uint16_t leave(struct pools *p, const struct pool_plan *plan)
{
	uint16_t gone = 0;

	for (uint16_t i = 0; i < p->pool_count; i++) {
		struct pool *pool = p->pool[i];

		if (is_kept(plan, pool))
			continue;
		for (uint32_t k = 0; k < pool->count; k++)
			flow_set_pooled(
				&pool->flows[pool->free[(pool->first + k) % pool->pairs].pair], false);
		p->pool[gone++] = pool;
	}
	return gone;
}

/* Pools are told apart by their ranges alone: whoever compares the numbers before and after sees no pair lost. */
void pool_plan_apply(struct pools *p, struct pool_plan *plan, const struct flow_table *t)
{
	uint64_t before, used = 0, total;
	uint16_t gone;

	pools_count(p, &before, &total);
	gone = leave(p, plan);
	for (uint16_t i = 0; i < plan->count; i++) {
		if (plan->fresh[i])
			fill(plan->pool[i], p->pool, gone);
		used += plan->pool[i]->used;
	}
	for (uint16_t i = 0; i < gone; i++)
		pool_free(p->pool[i]);
	free((void *)p->pool);
	free(plan->fresh);
	p->pool = plan->pool;
	p->pool_count = plan->count;
	p->draining = (uint32_t)(before - used);
	p->flows = t;
	*plan = (struct pool_plan){ 0 };
}
