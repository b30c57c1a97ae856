/* SPDX-License-Identifier: BSD-3-Clause */
/* The store of flow rules: made by the main thread, read by workers, reused when no worker can hold them any more. Why that is
 * safe: decision 0041. */
#ifndef DATAPLANE_RULE_H
#define DATAPLANE_RULE_H

#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/flow.h"

enum { RULE_CHUNKS_MAX = 64 };

/* owner: main thread */
struct rule_store {
	struct rte_rcu_qsbr *rcu;
	struct rule_chunk {
		struct flow_rule *rules;
		uint32_t count;
	} chunk[RULE_CHUNKS_MAX];
	uint32_t chunk_count;
	uint32_t capacity; /* of all chunks */
	struct flow_rule **free_list;
	uint32_t free_count;
	struct rule_retired {
		uint64_t token;
		struct flow_rule *rule;
	} * retired; /* a ring in order of retirement */
	uint32_t retired_first, retired_count;
};

/* 0 or -ENOMEM. */
int rule_store_init(struct rule_store *s, struct rte_rcu_qsbr *rcu, uint32_t capacity);
void rule_store_fini(struct rule_store *s);
/* Room for `capacity` rules, while others are in use. 0 or -ENOMEM. */
int rule_store_reserve(struct rule_store *s, uint32_t capacity);
/* A zeroed rule. NULL: all are in use. May wait (microseconds) for workers to pass. */
struct flow_rule *rule_new(struct rule_store *s);
/* Gives back a rule that was never published. */
void rule_discard(struct rule_store *s, struct flow_rule *r);
/* The flow's packets follow `r` from now on (NULL: are dropped); what they followed before is retired. */
void rule_publish(struct rule_store *s, struct flow *f, struct flow_rule *r);

#endif
