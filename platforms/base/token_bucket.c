/* SPDX-License-Identifier: BSD-3-Clause */
/* A token bucket counted in millionths of a token: rate * elapsed microseconds is exact, without division. */
#include "platforms/base/token_bucket.h"

enum { MICRO = 1000000 };

/* In micro-tokens, saturated: a bucket of 1.8e13 tokens is never empty in practice. */
static uint64_t micro(uint64_t tokens)
{
	uint64_t product;

	return __builtin_mul_overflow(tokens, (uint64_t)MICRO, &product) ? UINT64_MAX : product;
}

void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us)
{
	*b = (struct token_bucket){ .rate = rate, .burst = burst, .level = micro(burst), .last_us = now_us };
}

static void refill(struct token_bucket *b, uint64_t now_us)
{
	uint64_t full = micro(b->burst);
	uint64_t gained;

	if (now_us <= b->last_us)
		return;
	if (__builtin_mul_overflow(b->rate, now_us - b->last_us, &gained) ||
		__builtin_add_overflow(b->level, gained, &b->level) || b->level > full)
		b->level = full;
	b->last_us = now_us;
}

void token_bucket_change(struct token_bucket *b, uint64_t rate, uint64_t burst, uint64_t now_us)
{
	uint64_t full = micro(burst);

	if (b->rate == 0) {
		token_bucket_init(b, rate, burst, now_us);
		return;
	}
	refill(b, now_us);
	b->rate = rate;
	b->burst = burst;
	b->level = b->level < full ? b->level : full;
}

bool token_bucket_take(struct token_bucket *b, uint64_t tokens, uint64_t now_us)
{
	uint64_t need = micro(tokens);

	if (b->rate == 0)
		return true;
	refill(b, now_us);
	if (tokens > b->burst || need > b->level)
		return false;
	b->level -= need;
	return true;
}
