/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows: what arrives on one of our media port pairs and where it goes.
 *
 * There is one flow for each pair (RTP port, RTCP port) of each steering pool, so that finding it is arithmetic on the
 * destination port; it stays where it is for as long as its address is one of ours (decision 0087). What to do with its packets is a
 * rule: written once by the main thread, then immutable, swapped by pointer, freed when each worker has passed a quiescent state. */
#ifndef DATAPLANE_FLOW_H
#define DATAPLANE_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet.h"
#include "dataplane/rtcp.h"
#include "dataplane/rtp.h"

enum { FLOW_ALIGN = 64, INTERFACES_MAX = 16, INTERFACE_NONE = 0xff };

enum flow_component { FLOW_RTP, FLOW_RTCP, FLOW_COMPONENTS };

enum flow_rule_flag {
	RULE_MEASURED = 1, /* RTP and RTCP: validated; else any UDP */
	RULE_MUTED = 2, /* nothing is passed on */
	RULE_OUT_MUX = 4, /* RFC 5761 on the side where it goes */
	RULE_SRTP_IN = 8, /* what arrives is protected: plain packets are refused */
	RULE_SRTP_OUT = 16, /* what leaves is to be protected */
	RULE_SRTP = RULE_SRTP_IN | RULE_SRTP_OUT,
};

struct flow_crypto;

struct flow_endpoint {
	union host ip;
	uint16_t port; /* network order; 0 = no such endpoint */
	uint8_t reserved[2];
	uint32_t next_hop;
};

/* rcu. The first 64 bytes are what each packet needs. */
struct flow_rule {
	struct flow *peer; /* the other side's; the same worker owns both */
	union host out_ip; /* our address there */
	uint16_t out_port; /* ours there, RTP, network order */
	uint16_t epoch_in; /* grows when the arriving side is to be learnt anew */
	uint16_t epoch_out; /* grows when the other side says anew where it is */
	struct flow_crypto *crypto; /* RULE_SRTP: the keys; what is in it lives longer than the rule */
	uint8_t stream, side; /* these two, and `session`: for events */
	uint8_t flags; /* enum flow_rule_flag */
	uint8_t latching; /* enum dp_latching of the arriving side */
	uint8_t out_family;
	uint8_t out_interface;
	uint8_t dscp; /* shifted */
	uint8_t telephone_event; /* payload type on the arriving side, upper bit set; 0 = none */
	uint16_t worker;
	uint16_t epoch_back; /* the peer's rule's epoch_out */
	uint32_t police_cost, police_burst_us; /* police.h; cost 0 = no limit */
	uint8_t reserved[4];

	struct flow_endpoint accept[FLOW_COMPONENTS]; /* signalled addresses of the arriving side */
	struct flow_endpoint signalling; /* its signalling source; port is 0 or 1 = set */
	struct flow_endpoint dest[FLOW_COMPONENTS]; /* signalled addresses of the other side */
	uint64_t session;
} __attribute__((aligned(FLOW_ALIGN)));

/* Where one component comes from and where it goes to, once learnt. owner: worker */
struct latch {
	union host source, dest;
	uint16_t source_port, dest_port; /* network order; 0 = unknown */
	uint32_t next_hop; /* of dest */
	uint16_t epoch_in, epoch_out; /* of the rule it follows */
	uint8_t locked;
	uint8_t learnt; /* by latching, not by signalling */
	uint8_t reserved[2];
};

/* RFC 4733 events that began. owner: worker */
struct flow_events {
	uint32_t count;
	uint32_t timestamp, ssrc; /* of the last one */
};

/* Line 0 and 1 (and the rule's first) are all that an RTP packet of a latched flow touches; with a rate limit, line 4 too. RTCP alone
 * touches line 3 and 5. */
struct flow {
	const struct flow_rule *_Atomic rule; /* rcu: main publishes, worker reads */
	struct latch rtp; /* owner: worker; main reads under `version` */
	_Atomic uint32_t version; /* odd while the worker changes a latch */
	uint8_t pooled; /* atomic: this port pair belongs to a steering pool, or did when it was given out */
	uint8_t reserved2;
	uint16_t port; /* host order, RTP */

	struct rtp_stats stats; /* owner: worker */

	struct latch rtcp;
	uint64_t rtcp_packets;
	uint64_t alarm_us;

	uint64_t police_due; /* owner: worker, as all that follows */
	uint64_t
		not_relayed; /* valid and from the right source, but over its rate, or the other side muted or unreachable */
	uint64_t wrong_source, malformed, policed, no_next_hop;
	struct flow_events events;
	uint32_t reserved;

	struct rtcp_reports reports;
} __attribute__((aligned(FLOW_ALIGN)));

/* One of our media addresses. */
struct flow_address {
	union host ip;
	uint8_t family;
	uint8_t interface;
	uint16_t first; /* lowest RTP port, even, host order */
	uint32_t pairs;
	struct flow *flows; /* of `first`; memory is reserved for all ports that an address can have */
};

enum { FLOW_ADDRESS_SLOTS = 1024, FLOW_ADDRESSES_MAX = FLOW_ADDRESS_SLOTS / 4 };

/* Which ports of which addresses are ours. rcu: immutable once workers see it; another one with the same flows takes its place. */
struct flow_table {
	uint16_t slot[FLOW_ADDRESS_SLOTS]; /* 0 = empty, else address + 1 */
	struct flow_address address[FLOW_ADDRESSES_MAX];
	uint32_t address_count;
};

/* An empty one. NULL: no memory. */
struct flow_table *flow_table_new(void);
/* Gives `address` ports `first`..`last` (host order), or widens what it has. Before flow_table_allocate.
 * 0, -ENOSPC too many addresses, -EEXIST the same address on another interface, -EINVAL no even-odd pair in the range. */
int flow_table_add(struct flow_table *t, const union host *ip, uint8_t family, uint8_t interface,
	uint16_t first, uint16_t last);
/* Memory for all flows, none of them pooled; those that `before` (which may be NULL, and in use) has too are the same. 0, or -ENOMEM and
 * nothing of `before` has changed. */
int flow_table_allocate(struct flow_table *t, const struct flow_table *before);
/* Flows of ports from..last of an address that the (allocated) table has: how many, in *out the first one (they lie in a row). */
uint32_t flow_table_range(const struct flow_table *t, const union host *ip, uint8_t family, uint16_t first,
	uint16_t last, struct flow **out);
size_t flow_table_flows(const struct flow_table *t);
/* NULL is allowed. Flows that `kept` (which may be NULL) has too stay. */
void flow_table_free(struct flow_table *t, const struct flow_table *kept);

static inline bool flow_is_pooled(const struct flow *f)
{
	return __atomic_load_n(&f->pooled, __ATOMIC_RELAXED) != 0;
}

static inline void flow_set_pooled(struct flow *f, bool pooled)
{
	__atomic_store_n(&f->pooled, pooled, __ATOMIC_RELAXED);
}

static inline uint32_t flow_address_hash(const union host *ip)
{
	uint64_t x = (ip->half[0] ^ (ip->half[1] << 1 | ip->half[1] >> 63)) * 0x9e3779b97f4a7c15ULL;

	return (uint32_t)(x >> 32) % FLOW_ADDRESS_SLOTS;
}

/* NULL: not one of our media addresses. */
static inline const struct flow_address *flow_address_find(
	const struct flow_table *t, const union host *ip, uint8_t family)
{
	for (uint32_t h = flow_address_hash(ip);; h = (h + 1) % FLOW_ADDRESS_SLOTS) {
		if (t->slot[h] == 0)
			return NULL;
		const struct flow_address *a = &t->address[t->slot[h] - 1];
		if (host_equal(&a->ip, ip) && a->family == family)
			return a;
	}
}

/* `port` in host order; RTP and RTCP port of a pair give the same flow. NULL: outside of all pools of the address.
 * A flow that is not `pooled` lies between two pools. */
static inline struct flow *flow_find(const struct flow_address *a, uint16_t port)
{
	uint32_t pair = (uint32_t)(uint16_t)(port - a->first) >> 1;

	return pair < a->pairs ? &a->flows[pair] : NULL;
}

/* Zeroes what packets wrote. No rule may be set, and workers must have forgotten the last one. */
void flow_reset(struct flow *f);
/* A consistent copy of both latches, taken beside the running worker. */
void flow_read_latches(const struct flow *f, struct latch *rtp, struct latch *rtcp);

#endif
