/* SPDX-License-Identifier: BSD-3-Clause */
/* Keyed hashing for tables whose keys come from the network (SipHash-2-4, Aumasson and Bernstein 2012). */
#ifndef PLATFORMS_BASE_HASH_H
#define PLATFORMS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k[2];
};

void hash_key_random(struct hash_key *key);
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t n);

#endif
