/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of next hops. */
#include "dataplane/next_hop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/random.h"

int next_hops_init(struct next_hops *t, uint32_t capacity)
{
	*t = (struct next_hops){ .capacity = capacity + NEXT_HOP_LOCAL + 1,
		.used = NEXT_HOP_LOCAL + 1,
		.seed = random_u64() | 1 };
	t->links = calloc(t->capacity, sizeof(*t->links));
	t->entry = calloc(t->capacity, sizeof(*t->entry));
	if (t->links == NULL || t->entry == NULL) {
		next_hops_fini(t);
		return -ENOMEM;
	}
	union next_hop_link local = { .byte = { [6] = LINK_LOCAL } };
	t->links[NEXT_HOP_LOCAL] = local.word;
	return 0;
}

void next_hops_fini(struct next_hops *t)
{
	free(t->links);
	free(t->entry);
	*t = (struct next_hops){ 0 };
}

int next_hops_reserve(struct next_hops *t, uint32_t capacity, uint64_t **old)
{
	uint32_t all = capacity + NEXT_HOP_LOCAL + 1;

	*old = NULL;
	if (all <= t->capacity)
		return 0;
	uint64_t *links = calloc(all, sizeof(*links));
	struct next_hop *entry = calloc(all, sizeof(*entry));
	if (links == NULL || entry == NULL) {
		free(links);
		free(entry);
		return -ENOMEM;
	}
	memcpy(links, t->links, t->used * sizeof(*links));
	memcpy(entry, t->entry, t->used * sizeof(*entry));
	free(t->entry);
	*old = t->links;
	t->links = links;
	t->entry = entry;
	t->capacity = all;
	return 0;
}

int next_hops_add_route(struct next_hops *t, const struct next_hop_route *route)
{
	if (t->route_count == NEXT_HOP_ROUTES_MAX)
		return -ENOSPC;
	t->route[t->route_count++] = *route;
	return 0;
}

static bool prefix_matches(const union host *a, const union host *b, uint8_t length)
{
	unsigned bytes = length / 8, bits = length % 8;

	if (memcmp(a->byte, b->byte, bytes) != 0)
		return false;
	return bits == 0 || (uint8_t)(a->byte[bytes] ^ b->byte[bytes]) >> (8 - bits) == 0;
}

bool next_hops_resolve(
	const struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family, union host *via)
{
	const struct next_hop_route *best = NULL;

	for (unsigned i = 0; i < t->route_count; i++) {
		const struct next_hop_route *r = &t->route[i];

		if (r->interface == interface && r->family == family &&
			prefix_matches(&r->ip, ip, r->length) && (best == NULL || r->length > best->length))
			best = r;
	}
	if (best == NULL)
		return false;
	*via = best->has_gateway ? best->gateway : *ip;
	return true;
}

static uint32_t *bucket_of(const struct next_hops *t, uint8_t interface, const union host *ip)
{
	uint64_t x = (ip->half[0] ^ (ip->half[1] * 31 + interface)) * t->seed;

	return (uint32_t *)&t->bucket[(x ^ x >> 32) >> 20 & (NEXT_HOP_BUCKETS - 1)];
}

uint32_t next_hop_find(const struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family)
{
	for (uint32_t i = *bucket_of(t, interface, ip); i != NEXT_HOP_NONE; i = t->entry[i].next) {
		const struct next_hop *n = &t->entry[i];

		if (n->interface == interface && n->family == family && host_equal(&n->ip, ip))
			return i;
	}
	return NEXT_HOP_NONE;
}

static void list_remove(struct next_hops *t, uint32_t i)
{
	struct next_hop *n = &t->entry[i];

	*(n->newer != 0 ? &t->entry[n->newer].older : &t->newest) = n->older;
	*(n->older != 0 ? &t->entry[n->older].newer : &t->oldest) = n->newer;
	n->newer = n->older = 0;
}

static void list_push(struct next_hops *t, uint32_t i)
{
	struct next_hop *n = &t->entry[i];

	n->newer = 0;
	n->older = t->newest;
	*(t->newest != 0 ? &t->entry[t->newest].newer : &t->oldest) = i;
	t->newest = i;
}

/* An entry nobody refers to, longest unused first. */
static uint32_t evict(struct next_hops *t)
{
	uint32_t i = t->oldest;

	if (i == NEXT_HOP_NONE)
		return NEXT_HOP_NONE;
	list_remove(t, i);
	uint32_t *at = bucket_of(t, t->entry[i].interface, &t->entry[i].ip);
	while (*at != i)
		at = &t->entry[*at].next;
	*at = t->entry[i].next;
	return i;
}

uint32_t next_hop_get(struct next_hops *t, uint8_t interface, const union host *ip, uint8_t family)
{
	union host via;
	union next_hop_link link;

	if (!next_hops_resolve(t, interface, ip, family, &via))
		return NEXT_HOP_NONE;
	uint32_t i = next_hop_find(t, interface, &via, family);
	if (i != NEXT_HOP_NONE) {
		if (t->entry[i].references++ == 0)
			list_remove(t, i);
	} else {
		i = t->used < t->capacity ? t->used++ : evict(t);
		if (i == NEXT_HOP_NONE)
			return NEXT_HOP_NONE;
		uint32_t *b = bucket_of(t, interface, &via);
		t->entry[i] = (struct next_hop){
			.ip = via, .family = family, .interface = interface, .references = 1, .next = *b
		};
		*b = i;
		next_hop_learn(t, i, NULL, false);
	}
	if (t->ask != NULL && !next_hop_load(t->links, i, &link))
		t->ask(t->arg, i);
	return i;
}

void next_hop_put(struct next_hops *t, uint32_t index)
{
	if (index > NEXT_HOP_LOCAL && --t->entry[index].references == 0)
		list_push(t, index);
}

void next_hop_learn(struct next_hops *t, uint32_t index, const uint8_t *mac, bool stale)
{
	union next_hop_link link = { 0 };

	if (mac != NULL) {
		memcpy(link.byte, mac, 6);
		link.byte[6] = LINK_KNOWN;
	}
	t->entry[index].stale = stale;
	__atomic_store_n(&t->links[index], link.word, __ATOMIC_RELAXED);
}
