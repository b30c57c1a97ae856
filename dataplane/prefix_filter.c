/* SPDX-License-Identifier: BSD-3-Clause */
/* The main thread's side of a filter: bits that are counted, so that they go with the last one that needs them. */
#include "dataplane/prefix_filter.h"

#include <errno.h>

#include "dataplane/table_memory.h"

enum { WORD_BITS = 64 };

int prefix_filter_init(struct prefix_filter *f, uint64_t bits)
{
	f->mask = bits / WORD_BITS - 1;
	f->words = table_memory_new(bits / 8);
	f->counts = table_memory_new(bits);
	return f->words != NULL && f->counts != NULL ? 0 : -ENOMEM;
}

void prefix_filter_fini(struct prefix_filter *f)
{
	table_memory_free((void *)f->words, (f->mask + 1) * sizeof(*f->words));
	table_memory_free(f->counts, (f->mask + 1) * WORD_BITS);
}

void prefix_filter_change(struct prefix_filter *f, uint64_t place, uint64_t bits, bool add)
{
	_Atomic uint64_t *word = &f->words[place & f->mask];
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	for (uint64_t left = bits; left != 0; left &= left - 1) {
		unsigned number = (unsigned)__builtin_ctzll(left);
		uint8_t *count = &f->counts[(place & f->mask) * WORD_BITS + number];

		if (*count == UINT8_MAX)
			continue;
		*count = (uint8_t)(add ? *count + 1 : *count - 1);
		now = *count != 0 ? now | 1ULL << number : now & ~(1ULL << number);
	}
	atomic_store_explicit(word, now, memory_order_release);
}
