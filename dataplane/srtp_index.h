/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: the index of a packet (RFC 3711 section 3.3.1, appendix A) and the replay window (section 3.3.2), one source's
 * each. Decides as libsrtp2 does; a test holds the two against each other. */
#ifndef DATAPLANE_SRTP_INDEX_H
#define DATAPLANE_SRTP_INDEX_H

#include <stdbool.h>
#include <stdint.h>

enum { SRTP_WINDOW = 128, SRTP_SEQUENCE_HALF = 0x8000 };

/* 32 octets. */
struct srtp_source {
	uint32_t ssrc; /* as in the packet */
	uint8_t known; /* 0: there is none */
	uint8_t reserved[3];
	uint64_t index; /* highest there was: rollover counter and sequence number */
	uint64_t window[2]; /* bit n of the 128: index - n has been */
};

/* Index of a packet with this sequence number (host order): the nearest to the highest one there was. Below half a cycle there is
 * no cycle before. */
static inline uint64_t srtp_index_estimate(uint64_t highest, uint16_t sequence)
{
	uint64_t cycle = highest & ~0xffffULL;
	uint32_t last = (uint16_t)highest;

	if (highest <= SRTP_SEQUENCE_HALF)
		return sequence;
	if (last < SRTP_SEQUENCE_HALF) {
		if (sequence > last + SRTP_SEQUENCE_HALF)
			cycle -= 0x10000;
	} else if (sequence < last - SRTP_SEQUENCE_HALF) {
		cycle += 0x10000;
	}
	return (cycle & 0xffffffff0000ULL) | sequence;
}

/* It may be a packet that has not been. */
static inline bool srtp_index_fresh(const struct srtp_source *s, uint64_t index)
{
	if (index > s->index)
		return true;
	uint64_t behind = s->index - index;
	return behind < SRTP_WINDOW && (s->window[behind / 64] >> behind % 64 & 1) == 0;
}

/* It has been. */
static inline void srtp_index_add(struct srtp_source *s, uint64_t index)
{
	if (index <= s->index) {
		uint64_t behind = s->index - index;

		s->window[behind / 64] |= 1ULL << behind % 64;
		return;
	}
	uint64_t ahead = index - s->index;
	if (ahead < 64) {
		s->window[1] = s->window[1] << ahead | s->window[0] >> (64 - ahead);
		s->window[0] = s->window[0] << ahead | 1;
	} else {
		s->window[1] = ahead < SRTP_WINDOW ? s->window[0] << (ahead - 64) : 0;
		s->window[0] = 1;
	}
	s->index = index;
}

#endif
