/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP and RTCP: is it one, and how well does it arrive (RFC 3550 section 5.1, 6.1 and appendix A). No I/O, no allocation. */
#ifndef DATAPLANE_RTP_H
#define DATAPLANE_RTP_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet.h"

enum {
	RTP_HEADER = 12,
	RTCP_HEADER = 8,
	RTP_PLAIN = 0x80, /* first octet: version 2 and nothing behind the header but payload */
};

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

/* Version 2, and header, CSRC list, extension and padding fit. */
bool rtp_valid_any(const uint8_t *payload, size_t length);
static inline bool rtp_valid(const uint8_t *payload, size_t length)
{
	return length >= RTP_HEADER && (payload[0] == RTP_PLAIN || rtp_valid_any(payload, length));
}

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
void rtp_measure_any(struct rtp_stats *s, const uint8_t *payload, size_t length, uint64_t now_us);
/* Packets, octets, times and gaps alone: for media that is not RTP. */
void rtp_count(struct rtp_stats *s, size_t length, uint64_t now_us);
/* 16.4 fixed point clock units to microseconds. */
uint32_t rtp_jitter_us(const struct rtp_stats *s, uint32_t jitter);
/* Whole units of the stream's clock to microseconds, as report blocks have them. 0: the clock is not known, or nonsense (over a
 * minute). */
uint32_t rtp_reported_us(const struct rtp_stats *s, uint32_t units);

/* RFC 3550 appendix A.8, integer form. `transit`: arrival minus timestamp of this packet. */
static inline void rtp_jitter(struct rtp_stats *s, uint32_t timestamp, uint32_t transit)
{
	int32_t d = (int32_t)(transit - s->transit);
	uint32_t magnitude = d < 0 ? 0U - (uint32_t)d : (uint32_t)d;
	uint32_t jitter = s->jitter + magnitude - ((s->jitter + 8) >> 4);

	s->transit = transit;
	s->timestamp = timestamp;
	counter_set32(&s->jitter, jitter);
	if (jitter > s->jitter_max)
		counter_set32(&s->jitter_max, jitter);
}

/* By index of the clock rate: microseconds to clock units with 32 fraction bits. */
extern const uint64_t rtp_clock_scale[];

/* The product overflows after hours, but only its bits 32 to 63 matter: clock units modulo 2^32. */
static inline uint32_t rtp_arrival(const struct rtp_stats *s, uint64_t now_us)
{
	return (uint32_t)((now_us * rtp_clock_scale[s->clock]) >> 32);
}

/* The same as rtp_measure_any; the next packet of a stream in line. A clock is known of measured streams alone. */
static inline __attribute__((always_inline)) void rtp_measure(
	struct rtp_stats *s, const uint8_t *payload, size_t length, uint64_t now_us)
{
	uint32_t highest = s->highest + 1;

	if (load_u16(payload + 2) != htons((uint16_t)highest) || load_u32(payload + 8) != s->ssrc ||
		(payload[1] & 0x7f) != s->payload_type || s->clock == 0 ||
		now_us - s->last_us > s->longest_gap_us) {
		rtp_measure_any(s, payload, length, now_us);
		return;
	}
	uint32_t timestamp = ntohl(load_u32(payload + 4));
	s->window = s->window << 1 | 1;
	s->highest = highest;
	counter_add(&s->packets, 1);
	counter_add(&s->octets, length);
	counter_set(&s->last_us, now_us);
	if (timestamp != s->timestamp)
		rtp_jitter(s, timestamp, rtp_arrival(s, now_us) - timestamp);
}

#endif
