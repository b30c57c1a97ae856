/* SPDX-License-Identifier: BSD-3-Clause */
/* A token bucket: `rate` per second on average, `burst` at once. Not thread safe: one owner. */
#ifndef PLATFORMS_BASE_TOKEN_BUCKET_H
#define PLATFORMS_BASE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
	uint64_t rate; /* tokens per second; 0 = everything passes */
	uint64_t burst; /* tokens */
	uint64_t level; /* micro-tokens */
	uint64_t last_us; /* when `level` was true */
};

/* Starts full. */
void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us);
/* Another rate and burst from now on; what is in it stays, as far as it still fits. One that let everything pass starts full. */
void token_bucket_change(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us);
/* Takes `tokens` if they are there. Time running backwards is treated as standing still. */
bool token_bucket_take(struct token_bucket *b, uint64_t tokens, uint64_t now_us);

#endif
