/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are of words as they lie in memory:
 * one's complement addition does not mind the byte order. */
#ifndef DATAPLANE_CHECKSUM_H
#define DATAPLANE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet.h"

/* Two sums side by side: payloads are summed where they are encrypted. */
typedef uint64_t checksum_lanes __attribute__((vector_size(16)));

/* `length` up to 64 KiB; an odd last byte is padded with zero as RFC 768 asks. */
static inline uint64_t checksum_sum(const uint8_t *p, size_t length)
{
	const checksum_lanes low = { UINT32_MAX, UINT32_MAX };
	checksum_lanes lanes = { 0, 0 }, words;

	for (; length >= sizeof(words); p += sizeof(words), length -= sizeof(words)) {
		memcpy(&words, p, sizeof(words));
		lanes += (words & low) + (words >> 32);
	}
	uint64_t sum = lanes[0] + lanes[1];
	for (; length >= 4; p += 4, length -= 4)
		sum += load_u32(p);
	if (length >= 2) {
		sum += load_u16(p);
		p += 2;
		length -= 2;
	}
	if (length != 0) {
		uint8_t last[2] = { *p, 0 };

		sum += load_u16(last);
	}
	return sum;
}

/* Adding a number to itself turned by half its width leaves the end-around sum of its halves in the upper half. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

/* Sum of an address of either family: the unused words of IPv4 are zero. */
static inline uint64_t checksum_host(const union host *a)
{
	return (uint64_t)a->word[0] + a->word[1] + a->word[2] + a->word[3];
}

/* RFC 1624 equation 3, for a UDP checksum: what it becomes when words summing to `old` turn into words summing to `fresh`
 * (both below 2^40). Never 0, which would mean "no checksum". */
static inline uint16_t checksum_update(uint16_t checksum, uint64_t old, uint64_t fresh)
{
	const uint64_t zero =
		0xffffULL << 32; /* any multiple of 0xffff is zero; this one keeps the difference positive */
	uint16_t r = (uint16_t)~checksum_fold((uint16_t)~checksum + fresh + zero - old);

	return r == 0 ? 0xffff : r;
}

#endif
