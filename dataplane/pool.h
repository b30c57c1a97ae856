/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering pools: which media port pairs of which address are free, per realm. */
#ifndef DATAPLANE_POOL_H
#define DATAPLANE_POOL_H

#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/flow.h"

struct pool_realm {
	const char *name; /* of the configuration's */
	uint8_t interface;
	uint8_t dscp; /* shifted */
	uint32_t media_rate; /* kbit/s that a side there may send; 0 = no limit */
};

/* Pairs go out oldest first, so that late packets of a finished call do not meet a new one; the first order is random. */
struct pool {
	uint16_t realm;
	uint8_t family;
	union host ip;
	struct flow *flows; /* of the first pair */
	uint32_t pairs, used;
	uint32_t first, count; /* the ring of free pairs */
	struct {
		uint64_t token; /* workers have forgotten the pair once this has passed */
		uint32_t pair;
	} * free;
};

/* owner: main thread */
struct pools {
	struct rte_rcu_qsbr *rcu;
	struct pool_realm *realm;
	uint16_t realm_count;
	struct pool *pool;
	uint16_t pool_count;
};

/* For the given numbers; the caller fills `realm` and calls pools_add. 0 or -ENOMEM. */
int pools_init(struct pools *p, struct rte_rcu_qsbr *rcu, uint16_t realms, uint16_t pools);
void pools_fini(struct pools *p);
/* Ports first..last of an address that the (allocated) flow table has. 0, -ENOMEM, -EINVAL. */
int pools_add(struct pools *p, struct flow_table *t, uint16_t realm, const union host *ip, uint8_t family,
	uint16_t first, uint16_t last);
/* Index, or -ENOENT. */
int pools_find_realm(const struct pools *p, const char *name);

/* Takes a pair of the realm for `family`; its flow is reset. -EADDRNOTAVAIL: the realm has no address of that family;
 * -ENOSPC: none is free. */
int pool_take(struct pools *p, uint16_t realm, uint8_t family, struct pool **pool, struct flow **flow);
/* Gives it back; its rule has been withdrawn before. */
void pool_give(struct pools *p, struct pool *pool, struct flow *flow);
void pools_count(const struct pools *p, uint64_t *used, uint64_t *total);

#endif
