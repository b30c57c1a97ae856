/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules come from a fixed array and go back to it after a grace period (quiescent-state-based RCU). */
#include "dataplane/rule.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/table_memory.h"

int rule_store_init(struct rule_store *s, struct rte_rcu_qsbr *rcu, uint32_t capacity)
{
	*s = (struct rule_store){ .rcu = rcu };
	int status = rule_store_reserve(s, capacity);

	if (status != 0)
		rule_store_fini(s);
	return status;
}

void rule_store_fini(struct rule_store *s)
{
	for (uint32_t i = 0; i < s->chunk_count; i++)
		table_memory_free(s->chunk[i].rules, s->chunk[i].count * sizeof(struct flow_rule));
	free((void *)s->free_list);
	free(s->retired);
	*s = (struct rule_store){ 0 };
}

/* At least half as much again: many small steps do not make many chunks. */
static uint32_t chunk_size(const struct rule_store *s, uint32_t capacity)
{
	uint32_t more = capacity - s->capacity;

	return more < s->capacity / 2 ? s->capacity / 2 : more;
}

int rule_store_reserve(struct rule_store *s, uint32_t capacity)
{
	if (capacity <= s->capacity)
		return 0;
	if (s->chunk_count == RULE_CHUNKS_MAX)
		return -ENOMEM;
	uint32_t more = chunk_size(s, capacity), all = s->capacity + more;
	struct flow_rule *rules = table_memory_new(more * sizeof(*rules));
	struct flow_rule **free_list = malloc(all * sizeof(*free_list));
	struct rule_retired *retired = malloc(all * sizeof(*retired));

	if (rules == NULL || free_list == NULL || retired == NULL) {
		table_memory_free(rules, more * sizeof(*rules));
		free((void *)free_list);
		free(retired);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < more; i++)
		free_list[i] = &rules[more - 1 - i];
	for (uint32_t i = 0; i < s->free_count; i++)
		free_list[more + i] = s->free_list[i];
	for (uint32_t i = 0; i < s->retired_count; i++)
		retired[i] = s->retired[(s->retired_first + i) % s->capacity];
	free((void *)s->free_list);
	free(s->retired);
	s->free_list = free_list;
	s->free_count += more;
	s->retired = retired;
	s->retired_first = 0;
	s->chunk[s->chunk_count++] = (struct rule_chunk){ rules, more };
	s->capacity = all;
	return 0;
}

static void reclaim(struct rule_store *s, bool wait)
{
	while (s->retired_count != 0 &&
		rte_rcu_qsbr_check(s->rcu, s->retired[s->retired_first].token, wait) == 1) {
		s->free_list[s->free_count++] = s->retired[s->retired_first].rule;
		s->retired_first = (s->retired_first + 1) % s->capacity;
		s->retired_count--;
		wait = false;
	}
}

struct flow_rule *rule_new(struct rule_store *s)
{
	reclaim(s, false);
	if (s->free_count == 0)
		reclaim(s, true);
	if (s->free_count == 0)
		return NULL;
	struct flow_rule *r = s->free_list[--s->free_count];
	*r = (struct flow_rule){ 0 };
	return r;
}

void rule_discard(struct rule_store *s, struct flow_rule *r)
{
	if (r != NULL)
		s->free_list[s->free_count++] = r;
}

void rule_publish(struct rule_store *s, struct flow *f, struct flow_rule *r)
{
	/* Of the store, where rules are not constant. */
	struct flow_rule *old =
		(struct flow_rule *)atomic_exchange_explicit(&f->rule, r, memory_order_acq_rel);

	/* A worker that wakes up says so and then reads the rule; we write the rule and then look who is awake. One of the two must see
	 * the other: this pairs with the fence of rte_rcu_qsbr_thread_online. */
	atomic_thread_fence(memory_order_seq_cst);
	if (old == NULL)
		return;
	uint32_t last = (s->retired_first + s->retired_count++) % s->capacity;
	s->retired[last].rule = old;
	s->retired[last].token = rte_rcu_qsbr_start(s->rcu);
}
