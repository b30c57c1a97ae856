/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP and RTCP: is it one, and how well does it arrive (RFC 3550 section 5.1, 6.1 and appendix A). No I/O, no allocation. */
#ifndef DATAPLANE_RTP_H
#define DATAPLANE_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet.h"

enum { RTP_HEADER = 12, RTCP_HEADER = 8 };

/* Version 2, and header, CSRC list, extension and padding fit. */
bool rtp_valid(const uint8_t *payload, size_t length);
/* Octets between the header and the padding of an RTP packet that is valid. */
size_t rtp_payload(const uint8_t *packet, size_t length);
/* Version 2, a packet type of the RTCP range, first packet's length fits (the rest of a compound is the receiver's). */
bool rtcp_valid(const uint8_t *payload, size_t length);

/* RFC 5761 section 4: on a multiplexed port the second byte tells (payload types 64 to 95). */
static inline bool rtp_is_rtcp(const uint8_t *payload, size_t length)
{
	return length >= 2 && payload[1] >= 192 && payload[1] <= 223;
}

/* Reception of one direction. 128 bytes: the first 64 are touched by each packet, the others by events.
 * owner: the flow's worker; readers take single fields with counter_read. */
struct rtp_stats {
	uint64_t packets, octets;
	uint64_t last_us;
	uint64_t window; /* bit n: `highest` - n has been seen */
	uint32_t highest; /* extended sequence number */
	uint32_t ssrc;
	uint32_t timestamp; /* of the last packet that counted for jitter */
	uint32_t transit; /* its arrival minus its timestamp, in units of the clock */
	uint32_t jitter; /* 16 times the estimate of RFC 3550 appendix A.8, in units of the clock */
	uint32_t jitter_max;
	uint32_t longest_gap_us;
	uint8_t payload_type;
	uint8_t clock; /* index into the table of clock rates */
	uint8_t state; /* enum rtp_state */
	uint8_t reserved;

	uint64_t first_us;
	uint64_t lost, duplicate, reordered;
	uint64_t clock_us; /* where the measurement of an unknown clock began */
	uint32_t clock_timestamp;
	uint32_t ssrc_changes;
	uint32_t bad_sequence; /* next number after a jump; > 0xffff: none */
	uint32_t reserved2;
	uint64_t reserved3;
};

enum rtp_state { RTP_NONE, RTP_MEASURED };

/* Counts one valid RTP packet that arrived at `now_us` (any epoch, not 0). `loss` is of sequence numbers not seen by now;
 * a late packet takes its number back.
 *
 * Jitter needs the clock rate. It is known for static payload types (RFC 3551 table 4 and 5); for dynamic ones it is
 * measured: timestamps against time over the first half second, taken to the nearest usual rate. Packets that repeat a
 * timestamp (telephone events, slices of a video frame) or change the payload type do not count for jitter. */
void rtp_measure(struct rtp_stats *s, const uint8_t *payload, size_t length, uint64_t now_us);
/* Packets, octets, times and gaps alone: for media that is not RTP. */
void rtp_count(struct rtp_stats *s, size_t length, uint64_t now_us);
/* 16.4 fixed point clock units to microseconds. */
uint32_t rtp_jitter_us(const struct rtp_stats *s, uint32_t jitter);
/* Whole units of the stream's clock to microseconds, as report blocks have them. 0: the clock is not known, or nonsense (over a
 * minute). */
uint32_t rtp_reported_us(const struct rtp_stats *s, uint32_t units);

/* Counters have one writer; relaxed loads and stores keep readers in other threads from seeing halves. */
static inline uint64_t counter_read(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static inline uint32_t counter_read32(const uint32_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static inline void counter_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, __atomic_load_n(c, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

static inline void counter_set32(uint32_t *c, uint32_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

#endif
