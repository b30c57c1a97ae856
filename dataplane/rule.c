/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules come from a fixed array and go back to it after a grace period (quiescent-state-based RCU). */
#include "dataplane/rule.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/table_memory.h"

int rule_store_init(struct rule_store *s, struct rte_rcu_qsbr *rcu, uint32_t capacity)
{
	*s = (struct rule_store){ .rcu = rcu, .capacity = capacity };
	s->rules = table_memory_new(capacity * sizeof(*s->rules));
	s->free_list = malloc(capacity * sizeof(*s->free_list));
	s->retired = malloc(capacity * sizeof(*s->retired));
	if (s->rules == NULL || s->free_list == NULL || s->retired == NULL) {
		rule_store_fini(s);
		return -ENOMEM;
	}
	while (s->free_count < capacity) {
		s->free_list[s->free_count] = capacity - 1 - s->free_count;
		s->free_count++;
	}
	return 0;
}

void rule_store_fini(struct rule_store *s)
{
	table_memory_free(s->rules, s->capacity * sizeof(*s->rules));
	free(s->free_list);
	free(s->retired);
	*s = (struct rule_store){ 0 };
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
	struct flow_rule *r = &s->rules[s->free_list[--s->free_count]];
	*r = (struct flow_rule){ 0 };
	return r;
}

void rule_discard(struct rule_store *s, struct flow_rule *r)
{
	if (r != NULL)
		s->free_list[s->free_count++] = (uint32_t)(r - s->rules);
}

void rule_publish(struct rule_store *s, struct flow *f, struct flow_rule *r)
{
	const struct flow_rule *old = atomic_exchange_explicit(&f->rule, r, memory_order_acq_rel);

	/* A worker that wakes up says so and then reads the rule; we write the rule and then look who is awake. One of the two must see
	 * the other: this pairs with the fence of rte_rcu_qsbr_thread_online. */
	atomic_thread_fence(memory_order_seq_cst);
	if (old == NULL)
		return;
	uint32_t last = (s->retired_first + s->retired_count++) % s->capacity;
	s->retired[last].rule = (uint32_t)(old - s->rules);
	s->retired[last].token = rte_rcu_qsbr_start(s->rcu);
}
