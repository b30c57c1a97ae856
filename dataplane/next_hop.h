/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops: which neighbour an address is reached by, and its link-layer address. The table belongs to the main thread;
 * workers see one word per entry. What the kernel knows comes in by neighbour.c. */
#ifndef DATAPLANE_NEXT_HOP_H
#define DATAPLANE_NEXT_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/packet.h"

enum {
	NEXT_HOP_NONE = 0, /* index of an entry that is never valid */
	NEXT_HOP_LOCAL = 1, /* one of our own media addresses: the packet stays in the worker */
	NEXT_HOP_BUCKETS = 4096,
	NEXT_HOP_ROUTES_MAX = 256,
};

enum next_hop_link_state { LINK_UNKNOWN, LINK_KNOWN, LINK_LOCAL };

/* Bytes 0 to 5: MAC address; byte 6: enum next_hop_link_state. Read and written as one word. */
union next_hop_link {
	uint64_t word;
	uint8_t byte[8];
};

struct next_hop {
	union host ip;
	uint8_t family, interface;
	bool stale; /* the kernel has not heard of it for a while */
	uint32_t references; /* of sessions and gateways; 0 = kept as long as there is room */
	uint32_t next; /* in its bucket */
	uint32_t newer, older; /* unreferenced ones in order of last use */
	uint64_t asked_us; /* when the kernel was last made to ask for it */
};

struct next_hop_route { /* a connected prefix, or a gateway when `length` is 0 and `gateway` set */
	union host ip, gateway;
	uint8_t family, interface, length;
	bool has_gateway;
};

/* owner: main thread */
struct next_hops {
	uint64_t *links; /* workers load single words; rcu: a longer one takes its place */
	struct next_hop *entry;
	uint32_t capacity, used;
	uint32_t bucket[NEXT_HOP_BUCKETS];
	uint32_t newest, oldest;
	struct next_hop_route route[NEXT_HOP_ROUTES_MAX];
	unsigned route_count;
	uint64_t seed;
	/* Called for an entry that is not known and should be; may be NULL. */
	void (*ask)(void *arg, uint32_t index);
	void *arg;
};

/* 0 or -ENOMEM. */
int next_hops_init(struct next_hops *t, uint32_t capacity);
void next_hops_fini(struct next_hops *t);
/* Room for more while workers use it. 0 and in *old what they may see still: to be freed when they have passed `links` by (NULL:
 * there is room already). -ENOMEM. */
int next_hops_reserve(struct next_hops *t, uint32_t capacity, uint64_t **old);
/* 0 or -ENOSPC. */
int next_hops_add_route(struct next_hops *t, const struct next_hop_route *route);

/* Longest prefix of the interface. The neighbour to send to for `ip`: itself when it is connected, else the gateway.
 * false: no route. */
bool next_hops_resolve(
	const struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family, union host *via);
/* A reference to the entry that packets for `ip` go to. NEXT_HOP_NONE: no route, or the table is full of referenced ones.
 * Caller: next_hop_put. */
uint32_t next_hop_get(struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family);
void next_hop_put(struct next_hops *t, uint32_t index);
/* NEXT_HOP_NONE: unknown. */
uint32_t next_hop_find(const struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family);
/* What the kernel says: `mac` NULL = it does not know it (any more). */
void next_hop_learn(struct next_hops *t, uint32_t index, const uint8_t *mac, bool stale);

static inline bool next_hop_load(const uint64_t *links, uint32_t index, union next_hop_link *link)
{
	link->word = __atomic_load_n(&links[index], __ATOMIC_RELAXED);
	return link->byte[6] != 0;
}

#endif
