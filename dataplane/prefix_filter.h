/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the prefix table: a bit for all that may be there. Where it is 0 nothing of the kind is in the table, and that is all
 * that a packet of somebody unknown costs: two of a million bans' filters are 1.1 MiB, their buckets 4. */
#ifndef DATAPLANE_PREFIX_FILTER_H
#define DATAPLANE_PREFIX_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_prefetch.h>

/* Bloom's, with the bits of a place in one word. */
struct prefix_filter {
	_Atomic uint64_t *words; /* written by the main thread, read by workers */
	uint64_t mask; /* constant; of a word's number */
	uint8_t *counts; /* owner: main thread; how many need each bit. UINT8_MAX stays, and its bit */
};

/* `bits`: a power of two, at least 64. 0, -ENOMEM. Memory is touched as bits are set. */
int prefix_filter_init(struct prefix_filter *f, uint64_t bits);
/* Also what was zero, or refused its memory. */
void prefix_filter_fini(struct prefix_filter *f);
/* Main thread: one more, or one less, that needs the bits of `place`. */
void prefix_filter_change(struct prefix_filter *f, uint64_t place, uint64_t bits, bool add);

static inline void prefix_filter_prefetch(const struct prefix_filter *f, uint64_t place)
{
	rte_prefetch0((const void *)&f->words[place & f->mask]);
}

/* All of the bits? As a number: whoever collects answers does it without a branch. */
static inline uint32_t prefix_filter_has(const struct prefix_filter *f, uint64_t place, uint64_t bits)
{
	uint64_t word = atomic_load_explicit(&f->words[place & f->mask], memory_order_acquire);

	return (word & bits) == bits;
}

#endif
