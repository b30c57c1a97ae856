/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP validation and reception statistics. */
#include "dataplane/rtp.h"

enum {
	REPORTED_MAX_US = 60000000,
	MAX_DROPOUT = 3000, /* RFC 3550 appendix A.1 */
	MAX_MISORDER = 100,
	NO_BAD_SEQUENCE = 0x10000,
	CLOCK_MEASURE_US = 500000,
	WINDOW_BITS = 64,
};

enum {
	CLOCK_UNKNOWN,
	CLOCK_8000,
	CLOCK_16000,
	CLOCK_44100 = 5,
	CLOCK_90000 = 7,
	CLOCK_11025,
	CLOCK_22050,
	CLOCK_COUNT
};

/* Rates an unknown clock is taken to. */
static const uint32_t clock_hz[CLOCK_COUNT] = { 0, 8000, 16000, 24000, 32000, 44100, 48000, 90000, 11025,
	22050 };

#define SCALE(hz) (((uint64_t)(hz) << 32) / 1000000)
const uint64_t rtp_clock_scale[CLOCK_COUNT] = { 0, SCALE(8000), SCALE(16000), SCALE(24000), SCALE(32000),
	SCALE(44100), SCALE(48000), SCALE(90000), SCALE(11025), SCALE(22050) };
#undef SCALE

/* RFC 3551 tables 4 and 5; what is not there is dynamic. */
static const uint8_t static_clock[128] = {
	[0] = CLOCK_8000,
	[3] = CLOCK_8000,
	[4] = CLOCK_8000,
	[5] = CLOCK_8000,
	[6] = CLOCK_16000,
	[7] = CLOCK_8000,
	[8] = CLOCK_8000,
	[9] = CLOCK_8000,
	[10] = CLOCK_44100,
	[11] = CLOCK_44100,
	[12] = CLOCK_8000,
	[13] = CLOCK_8000,
	[14] = CLOCK_90000,
	[15] = CLOCK_8000,
	[16] = CLOCK_11025,
	[17] = CLOCK_22050,
	[18] = CLOCK_8000,
	[25] = CLOCK_90000,
	[26] = CLOCK_90000,
	[28] = CLOCK_90000,
	[31] = CLOCK_90000,
	[32] = CLOCK_90000,
	[33] = CLOCK_90000,
	[34] = CLOCK_90000,
};

/* With CSRC list and extension; more than `length` when they do not fit. */
static inline size_t header_length(const uint8_t *packet, size_t length)
{
	size_t header = RTP_HEADER + (size_t)(packet[0] & 15) * 4;

	if ((packet[0] & 0x10) == 0)
		return header;
	header += 4;
	return length < header ? header : header + (size_t)ntohs(load_u16(packet + header - 2)) * 4;
}

bool rtp_valid_any(const uint8_t *payload, size_t length)
{
	if (length < RTP_HEADER || payload[0] >> 6 != 2)
		return false;
	size_t header = header_length(payload, length);
	if (length < header)
		return false;
	if ((payload[0] & 0x20) != 0) {
		size_t padding = payload[length - 1];

		return padding != 0 && padding <= length - header;
	}
	return true;
}

size_t rtp_payload(const uint8_t *packet, size_t length)
{
	size_t padding = (packet[0] & 0x20) != 0 ? packet[length - 1] : 0;

	return length - padding - header_length(packet, length);
}

bool rtcp_valid(const uint8_t *payload, size_t length)
{
	if (length < RTCP_HEADER || payload[0] >> 6 != 2 || !rtp_is_rtcp(payload, length))
		return false;
	return ((size_t)ntohs(load_u16(payload + 2)) + 1) * 4 <= length;
}

static void stream_begin(struct rtp_stats *s, uint16_t sequence, uint32_t ssrc, uint8_t type,
	uint32_t timestamp, uint64_t now_us)
{
	s->highest = sequence;
	s->window = 1;
	counter_set32(&s->ssrc, ssrc);
	s->bad_sequence = NO_BAD_SEQUENCE;
	s->payload_type = type;
	s->clock = static_clock[type];
	s->clock_us = now_us;
	s->clock_timestamp = timestamp;
	s->timestamp = timestamp;
	s->transit = rtp_arrival(s, now_us) - timestamp;
	s->state = RTP_MEASURED;
}

static void sequence_forward(struct rtp_stats *s, uint32_t by)
{
	if (by > 1)
		counter_add(&s->lost, by - 1);
	s->window = by < WINDOW_BITS ? s->window << by | 1 : 1;
	s->highest += by;
}

/* `behind` numbers before the highest one. */
static void sequence_late(struct rtp_stats *s, uint32_t behind)
{
	if (behind < WINDOW_BITS && (s->window >> behind & 1) != 0) {
		counter_add(&s->duplicate, 1);
		return;
	}
	counter_add(&s->reordered, 1);
	if (behind < WINDOW_BITS)
		s->window |= 1ULL << behind;
	if (s->lost > 0)
		counter_set(&s->lost, s->lost - 1);
}

static void sequence_measure(struct rtp_stats *s, uint16_t sequence)
{
	uint16_t ahead = (uint16_t)(sequence - s->highest);

	if (ahead != 0 && ahead < MAX_DROPOUT) {
		sequence_forward(s, ahead);
	} else if (ahead == 0 || ahead > 0x10000 - MAX_MISORDER) {
		sequence_late(s, (uint16_t)-ahead);
	} else if (sequence == s->bad_sequence) {
		/* Two in a row after a jump: the sender restarted. Nothing is known about what was lost. */
		s->highest = sequence;
		s->window = 3;
		s->bad_sequence = NO_BAD_SEQUENCE;
	} else {
		s->bad_sequence = (uint16_t)(sequence + 1);
	}
}

/* Within an eighth, or unknown. */
static uint8_t clock_nearest(uint64_t hz)
{
	uint64_t best = hz / 8;
	uint8_t found = CLOCK_UNKNOWN;

	for (unsigned i = 1; i < CLOCK_COUNT; i++) {
		uint64_t off = hz > clock_hz[i] ? hz - clock_hz[i] : clock_hz[i] - hz;

		if (off < best) {
			best = off;
			found = (uint8_t)i;
		}
	}
	return found;
}

static void clock_measure(struct rtp_stats *s, uint32_t timestamp, uint64_t now_us)
{
	uint64_t elapsed = now_us - s->clock_us;

	if (elapsed < CLOCK_MEASURE_US)
		return;
	s->clock = clock_nearest((uint64_t)(timestamp - s->clock_timestamp) * 1000000 / elapsed);
	s->clock_us = now_us;
	s->clock_timestamp = timestamp;
	s->timestamp = timestamp;
	s->transit = rtp_arrival(s, now_us) - timestamp;
}

void rtp_count(struct rtp_stats *s, size_t length, uint64_t now_us)
{
	if (s->packets == 0) {
		counter_set(&s->first_us, now_us);
	} else if (now_us - s->last_us > s->longest_gap_us) {
		uint64_t gap = now_us - s->last_us;

		counter_set32(&s->longest_gap_us, gap > UINT32_MAX ? UINT32_MAX : (uint32_t)gap);
	}
	counter_add(&s->packets, 1);
	counter_add(&s->octets, length);
	counter_set(&s->last_us, now_us);
}

void rtp_measure_any(struct rtp_stats *s, const uint8_t *payload, size_t length, uint64_t now_us)
{
	uint16_t sequence = ntohs(load_u16(payload + 2));
	uint32_t timestamp = ntohl(load_u32(payload + 4));
	uint32_t ssrc = load_u32(payload + 8);
	uint8_t type = payload[1] & 0x7f;

	rtp_count(s, length, now_us);
	if (s->state == RTP_NONE || ssrc != s->ssrc) {
		if (s->state != RTP_NONE)
			counter_set32(&s->ssrc_changes, s->ssrc_changes + 1);
		stream_begin(s, sequence, ssrc, type, timestamp, now_us);
		return;
	}
	if ((uint16_t)(sequence - s->highest) == 1) {
		s->window = s->window << 1 | 1;
		s->highest++;
	} else {
		sequence_measure(s, sequence);
	}
	if (type != s->payload_type) {
		/* Back to where this type's timestamps and clock are comparable again. */
		s->payload_type = type;
		s->clock = static_clock[type];
		s->clock_us = now_us;
		s->clock_timestamp = timestamp;
		s->timestamp = timestamp;
		s->transit = rtp_arrival(s, now_us) - timestamp;
	} else if (timestamp != s->timestamp) {
		if (s->clock != CLOCK_UNKNOWN)
			rtp_jitter(s, timestamp, rtp_arrival(s, now_us) - timestamp);
		else
			clock_measure(s, timestamp, now_us);
	}
}

uint32_t rtp_jitter_us(const struct rtp_stats *s, uint32_t jitter)
{
	uint32_t hz = clock_hz[s->clock < CLOCK_COUNT ? s->clock : CLOCK_UNKNOWN];

	if (hz == 0)
		return 0;
	uint64_t us = ((uint64_t)jitter * 1000000 / hz) >> 4;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

uint32_t rtp_reported_us(const struct rtp_stats *s, uint32_t units)
{
	uint32_t us = units > UINT32_MAX >> 4 ? UINT32_MAX : rtp_jitter_us(s, units << 4);

	return us > REPORTED_MAX_US ? 0 : us;
}
