/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 with 64 bits of output, after the paper "SipHash: a fast short-input PRF" (Aumasson, Bernstein 2012). */
#include "platforms/base/hash.h"

#include <endian.h>
#include <string.h>

#include "platforms/base/random.h"

struct sip_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip_state *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

void hash_key_random(struct hash_key *key)
{
	random_bytes(key, sizeof(*key));
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t n)
{
	const uint8_t *at = data;
	size_t tail = n % 8;
	uint64_t last = (uint64_t)n << 56;
	struct sip_state s = {
		.v0 = key->k[0] ^ 0x736f6d6570736575u,
		.v1 = key->k[1] ^ 0x646f72616e646f6du,
		.v2 = key->k[0] ^ 0x6c7967656e657261u,
		.v3 = key->k[1] ^ 0x7465646279746573u,
	};

	for (size_t i = 0; i < n / 8; i++, at += 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		sip_word(&s, le64toh(word));
	}
	for (size_t i = 0; i < tail; i++)
		last |= (uint64_t)at[i] << (8 * i);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
