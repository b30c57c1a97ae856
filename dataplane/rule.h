/* SPDX-License-Identifier: BSD-3-Clause */
/* The store of flow rules: made by the main thread, read by workers, reused when no worker can hold them any more. Why that is
 * safe: decision 0041. */
#ifndef DATAPLANE_RULE_H
#define DATAPLANE_RULE_H

#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/flow.h"

/* owner: main thread */
struct rule_store {
	struct rte_rcu_qsbr *rcu;
	struct flow_rule *rules;
	uint32_t capacity;
	uint32_t *free_list; /* indices */
	uint32_t free_count;
	struct {
		uint64_t token;
		uint32_t rule;
	} * retired; /* a ring in order of retirement */
	uint32_t retired_first, retired_count;
};

/* 0 or -ENOMEM. */
int rule_store_init(struct rule_store *s, struct rte_rcu_qsbr *rcu, uint32_t capacity);
void rule_store_fini(struct rule_store *s);
/* A zeroed rule. NULL: all are in use. May wait (microseconds) for workers to pass. */
struct flow_rule *rule_new(struct rule_store *s);
/* Gives back a rule that was never published. */
void rule_discard(struct rule_store *s, struct flow_rule *r);
/* The flow's packets follow `r` from now on (NULL: are dropped); what they followed before is retired. */
void rule_publish(struct rule_store *s, struct flow *f, struct flow_rule *r);

#endif
