/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that lives exactly as long as one configuration. */
#include "config/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	struct arena_block *block;

	if (size && count > (SIZE_MAX - sizeof(*block)) / size)
		return NULL;
	block = calloc(1, sizeof(*block) + count * size);
	if (!block)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	return block->data;
}

char *arena_text(struct arena *arena, const char *text, size_t n)
{
	char *copy = arena_alloc(arena, n + 1, 1);

	if (copy && n)
		memcpy(copy, text, n);
	return copy;
}

void arena_free(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
}
