/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering pools: which media port pairs of which address are free, per realm. */
#ifndef DATAPLANE_POOL_H
#define DATAPLANE_POOL_H

#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/api.h"
#include "dataplane/flow.h"

enum pool_realm_state {
	REALM_FREE, /* the slot may be another realm's */
	REALM_PRESENT, /* in the configuration */
	REALM_LEAVING, /* not any more, since a moment ago: who has not heard of it yet is served still */
	REALM_DRAINING, /* sessions that have it go on; there are no further ones */
};

/* A realm keeps its number for as long as a session has it, whatever becomes of the configuration. */
struct pool_realm {
	char name[DP_NAME_MAX];
	uint8_t state; /* enum pool_realm_state */
	uint8_t interface;
	uint8_t dscp; /* shifted */
	bool trusted;
	uint16_t heir; /* of one that is not PRESENT: who has its ports now; REALM_NONE = nobody */
	uint32_t media_rate; /* kbit/s that a side there may send; 0 = no limit */
	uint64_t left_us; /* when it left the configuration */
};

enum { REALM_NONE = 0xffff };

/* Pairs go out oldest first, so that late packets of a finished call do not meet a new one; the first order is random. */
struct pool {
	uint16_t realm;
	uint8_t family;
	union host ip;
	struct flow *flows; /* of the first pair */
	uint32_t pairs, used;
	uint32_t first, count; /* the ring of free pairs */
	struct pool_place {
		uint64_t token; /* workers have forgotten the pair once this has passed */
		uint32_t pair;
	} * free;
};

/* owner: main thread */
struct pools {
	struct rte_rcu_qsbr *rcu;
	const struct flow_table *flows; /* of which the pools are parts */
	struct pool_realm *realm;
	uint16_t realm_count;
	struct pool **pool;
	uint16_t pool_count;
	uint32_t draining; /* pairs in use that are no pool's any more */
	uint8_t marking; /* changes with the DSCP of a realm */
};

/* For the given numbers; the caller fills `realm` and calls pools_add. 0 or -ENOMEM. */
int pools_init(struct pools *p, struct rte_rcu_qsbr *rcu, uint16_t realms, uint16_t pools);
void pools_fini(struct pools *p);
/* Ports first..last of an address that the (allocated) flow table has. 0, -ENOMEM, -EINVAL. */
int pools_add(struct pools *p, const struct flow_table *t, uint16_t realm, const union host *ip,
	uint8_t family, uint16_t first, uint16_t last);
/* Index of one that takes further sessions, or -ENOENT. */
int pools_find_realm(const struct pools *p, const char *name);
/* Of one that has sessions: also those that drain. */
int pools_named_realm(const struct pools *p, const char *name);

/* Takes a pair of the realm for `family`; its flow is reset. -EADDRNOTAVAIL: the realm has no address of that family;
 * -ENOSPC: none is free. `*pool` is borrowed until the next change. */
int pool_take(struct pools *p, uint16_t realm, uint8_t family, const struct pool **pool, struct flow **flow);
/* Gives it back to whose it is now; its rule has been withdrawn before. */
void pool_give(struct pools *p, struct flow *flow);
void pools_count(const struct pools *p, uint64_t *used, uint64_t *total);
bool pools_have_address(const struct pools *p, const union host *ip, uint8_t family, uint8_t interface);

/* pool_change.c: other pools while pairs are in use.
 *
 * A plan is made beforehand, from what is wanted; it may fail, and has changed nothing. To carry it out cannot fail. */
struct pool_wish {
	uint16_t realm; /* number */
	uint8_t family;
	union host ip;
	uint16_t first, last;
};

struct pool_plan {
	struct pool **pool; /* as they will be */
	bool *fresh; /* of each: made for the plan, and not one that there is */
	uint16_t count;
};

/* `t`: the (allocated) flow table as it will be. 0, -ENOMEM, -EINVAL (a range that the table has not). */
int pool_plan_make(const struct pools *p, const struct flow_table *t, const struct pool_wish *wishes,
	uint16_t count, struct pool_plan *out);
void pool_plan_drop(struct pool_plan *plan);
/* Pairs go to the pools that have them from now on, in use or not; those of no pool drain. */
void pool_plan_apply(struct pools *p, struct pool_plan *plan, const struct flow_table *t);

#endif
