/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that lives exactly as long as one configuration. */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *blocks;
};

/* Zeroed memory, or NULL (also for count * size beyond size_t). Freed with the arena alone. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* Copy of n bytes with a NUL behind them, or NULL. */
char *arena_text(struct arena *arena, const char *text, size_t n);
void arena_free(struct arena *arena);

#endif
