/* SPDX-License-Identifier: BSD-3-Clause */
/* What libsrtp2 allocates for a context lies in the context: no malloc on the packet path when a source is new, nothing of it in core
 * dumps, all of it cleared. libsrtp2 calls its allocator through the dynamic linker, so that the two functions here, of the same
 * names, stand in for its own. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/srtp_plugin.h"

/* Blocks lie one behind another; the last one ends where the arena does. */
struct block {
	uint32_t octets; /* with this header */
	uint32_t used;
	uint64_t reserved;
};

void *srtp_crypto_alloc(size_t octets);
void srtp_crypto_free(void *memory);

_Thread_local struct plugin_call plugin_call;

/* Written once by srtp_open. */
static const uint8_t *region_first, *region_end;

void arena_region(struct srtp_cold *first, uint32_t count)
{
	region_first = (const uint8_t *)first;
	region_end = (const uint8_t *)(first + count);
}

void arena_init(struct srtp_cold *cold)
{
	struct block *b = (struct block *)cold->arena;

	*b = (struct block){ .octets = ARENA_MEMORY };
}

static struct block *following(const struct srtp_cold *cold, struct block *b)
{
	uint8_t *at = (uint8_t *)b + b->octets;

	return at < cold->arena + ARENA_MEMORY ? (struct block *)at : NULL;
}

size_t arena_used(const struct srtp_cold *cold)
{
	size_t used = 0;

	for (struct block *b = (struct block *)cold->arena; b != NULL; b = following(cold, b))
		used += b->used != 0 ? b->octets : 0;
	return used;
}

static void join_free(const struct srtp_cold *cold, struct block *b)
{
	for (struct block *next = following(cold, b); next != NULL && next->used == 0;
		next = following(cold, b))
		b->octets += next->octets;
}

/* The first that is large enough: there are some dozen blocks. */
static void *arena_take(struct srtp_cold *cold, size_t octets)
{
	size_t needed = sizeof(struct block) + (octets + 15) / 16 * 16;

	for (struct block *b = (struct block *)cold->arena; b != NULL; b = following(cold, b)) {
		if (b->used != 0)
			continue;
		join_free(cold, b);
		if (b->octets < needed)
			continue;
		if (b->octets >= needed + 2 * sizeof(struct block)) {
			struct block *rest = (struct block *)((uint8_t *)b + needed);

			*rest = (struct block){ .octets = b->octets - (uint32_t)needed };
			b->octets = (uint32_t)needed;
		}
		b->used = 1;
		return memset(b + 1, 0, b->octets - sizeof(*b));
	}
	return NULL;
}

/* For what is no context of ours, as libsrtp2 does it: its own self-tests at the start. */
void *srtp_crypto_alloc(size_t octets)
{
	if (octets == 0)
		return NULL;
	return plugin_call.cold != NULL ? arena_take(plugin_call.cold, octets) : calloc(1, octets);
}

void srtp_crypto_free(void *memory)
{
	const uint8_t *at = memory;

	if (at == NULL)
		return;
	if (at < region_first || at >= region_end) {
		free(memory);
		return;
	}
	struct block *b = (struct block *)memory - 1;
	explicit_bzero(memory, b->octets - sizeof(*b));
	b->used = 0;
}
