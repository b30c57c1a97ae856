/* SPDX-License-Identifier: BSD-3-Clause */
/* What a record says of a call's sound: codecs by name, what was measured, and how good that is (docs/decisions/0084-call-records.md). */
#include <string.h>

#include "controlplane/mos.h"
#include "controlplane/record.h"
#include "dataplane/client.h"

enum { PACKET_MS = 20, JITTER_BUFFER_MS = 40 };

/* --- formats ------------------------------------------------------------------------------------------------------------- */

static const char *static_name(uint64_t payload_type)
{
	static const char *const names[] = { [0] = "PCMU",
		[3] = "GSM",
		[4] = "G723",
		[8] = "PCMA",
		[9] = "G722",
		[13] = "CN",
		[15] = "G728",
		[18] = "G729" }; /* RFC 3551 table 4 */

	return payload_type < sizeof(names) / sizeof(names[0]) && names[payload_type] ? names[payload_type]
										      : "";
}

static void set_name(struct record_formats *formats, uint64_t payload_type, struct span name)
{
	for (unsigned i = 0; i < formats->count; i++)
		if (formats->format[i].payload_type == payload_type) {
			size_t n = name.n < sizeof(formats->format[i].name)
					   ? name.n
					   : sizeof(formats->format[i].name) - 1;

			memcpy(formats->format[i].name, name.p, n);
			formats->format[i].name[n] = '\0';
		}
}

/* "audio 49170 RTP/AVP 0 101": false if it is none, or is switched off. */
static bool read_line(struct record_formats *formats, struct span value)
{
	size_t room = sizeof(formats->format) / sizeof(formats->format[0]);
	struct span type = span_cut(&value, ' '), port = span_cut(&value, ' ');
	uint64_t number, payload_type;

	port = span_cut(&port, '/');
	if (!span_equal(type, SPAN("audio")) || span_to_uint(port, 65535, &number) || number == 0)
		return false;
	span_cut(&value, ' ');
	while (value.n && formats->count < room) {
		if (span_to_uint(span_trim(span_cut(&value, ' ')), 127, &payload_type))
			continue;
		formats->format[formats->count++].payload_type = (uint8_t)payload_type;
		set_name(formats, payload_type, span_from(static_name(payload_type)));
	}
	return true;
}

/* "97 iLBC/8000". */
static void read_map(struct record_formats *formats, struct span value)
{
	struct span number = span_cut(&value, ' ');
	uint64_t payload_type;

	if (span_to_uint(number, 127, &payload_type) == 0)
		set_name(formats, payload_type, span_trim(span_cut(&value, '/')));
}

void record_formats_read(struct record_formats *formats, struct span sdp)
{
	static const struct span map = { "a=rtpmap:", 9 };
	const char *at = sdp.p, *end = sdp.p + sdp.n, *next;
	unsigned stream = 0;

	formats->there = false;
	formats->count = 0;
	for (; at < end; at = next + 1) {
		struct span line;

		next = memchr(at, '\n', (size_t)(end - at));
		next = next ? next : end;
		line = (struct span){ at, (size_t)(next - at) };
		if (line.n > 2 && line.p[0] == 'm' && line.p[1] == '=') {
			if (formats->there)
				return;
			formats->there = read_line(formats, (struct span){ line.p + 2, line.n - 2 });
			formats->stream = stream++;
		} else if (formats->there && line.n > 2 && (line.p[2] | 0x20) == 'r' &&
			   span_starts_case(line, map)) {
			read_map(formats, (struct span){ line.p + map.n, line.n - map.n });
		}
	}
}

static bool is_speech(const char *name)
{
	struct span s = span_from(name);

	return s.n && !span_equal_case(s, SPAN("telephone-event")) && !span_equal_case(s, SPAN("CN"));
}

/* What has come, else what was to come first. */
static struct span codec_of(const struct record_formats *said, const struct dp_counters *from)
{
	if (from && from->packets)
		for (unsigned i = 0; i < said->count; i++)
			if (said->format[i].payload_type == from->payload_type &&
				is_speech(said->format[i].name))
				return span_from(said->format[i].name);
	for (unsigned i = 0; said->there && i < said->count; i++)
		if (is_speech(said->format[i].name))
			return span_from(said->format[i].name);
	return (struct span){ NULL, 0 };
}

/* --- figures ------------------------------------------------------------------------------------------------------------- */

static double more(double a, double b)
{
	return a > b ? a : b;
}

/* Of what `from` sends, at the ear of who gets it. His reports count what was lost on the way to us, too: sequence numbers are relayed. */
static void add_mos(struct record *record, unsigned column, struct span codec, const struct dp_counters *from,
	const struct dp_counters *to)
{
	double sent = (double)from->packets + (double)from->lost;
	double lost = (double)from->lost, jitter = from->jitter_us;
	struct mos_path path = { 0 };

	if (from->packets == 0 || !mos_codec(codec, &path))
		return;
	if (to->far_reported) {
		lost = more(lost, to->far_lost);
		jitter = more(jitter, to->far_jitter_us);
	}
	path.loss = lost < sent ? 100 * lost / sent : 100;
	path.delay_ms = ((double)from->round_trip_us + (double)to->round_trip_us) / 2000 + PACKET_MS +
			more(JITTER_BUFFER_MS, 2 * jitter / 1000);
	record->value[column] = (int64_t)(100 * mos_of_rating(mos_rating(&path)) + 0.5);
}

static void add_side(
	struct record *record, unsigned side, struct span codec, const struct dp_stream_info *info)
{
	unsigned numbers = side * CP_RECORD_SIDE_NUMBERS_COUNT, texts = side * CP_RECORD_SIDE_TEXTS_COUNT;
	const struct dp_counters *from = &info->from[side], *to = &info->from[1 - side];
	const struct {
		enum cp_record_number column;
		bool known;
		uint64_t value;
	} rows[] = {
		{ CP_RECORD_CALLER_PACKETS, true, from->packets },
		{ CP_RECORD_CALLER_OCTETS, true, from->octets },
		{ CP_RECORD_CALLER_LOST, true, from->lost },
		/* What is lost of what this side sends, as the other one tells it. */
		{ CP_RECORD_CALLER_FAR_LOST, to->far_reported, to->far_lost },
		{ CP_RECORD_CALLER_JITTER, from->packets > 1, from->jitter_us },
		{ CP_RECORD_CALLER_FAR_JITTER, to->far_reported, to->far_jitter_us },
		{ CP_RECORD_CALLER_ROUND_TRIP, from->round_trip_us > 0, from->round_trip_us },
		{ CP_RECORD_CALLER_LONGEST_GAP, from->packets > 1, from->longest_gap_ms },
		{ CP_RECORD_CALLER_WRONG_SOURCE, true, from->wrong_source },
		{ CP_RECORD_CALLER_SRTP_FAILED, true, from->srtp_auth_failed },
		{ CP_RECORD_CALLER_PAYLOAD_TYPE, from->packets > 0, from->payload_type },
	};
	const char *suite = dp_srtp_suite_name(info->suite_from[side]);
	union address source;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].known)
			record_number(
				record, (enum cp_record_number)(rows[i].column + numbers), rows[i].value);
	add_mos(record, CP_RECORD_CALLER_MOS + numbers, codec, from, to);
	if (info->suite_from[side])
		record_text(
			record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_SUITE + texts), span_from(suite));
	if (from->packets) {
		dp_address_to(&from->source, &source);
		record_address(record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_MEDIA + texts), &source);
	}
}

void record_media(
	struct record *record, const struct record_formats said[2], const struct dp_session_info *info)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct record_formats *formats = said[side].there ? &said[side] : &said[1 - side];
		const struct dp_stream_info *stream = NULL;
		struct span codec;

		if (info && formats->there && formats->stream < info->streams &&
			formats->stream < DP_STREAMS_MAX)
			stream = &info->stream[formats->stream];
		codec = codec_of(formats, stream ? &stream->from[side] : NULL);
		record_text(record,
			(enum cp_record_text)(
				CP_RECORD_TEXT_CALLER_CODEC + side * CP_RECORD_SIDE_TEXTS_COUNT),
			codec);
		if (stream)
			add_side(record, side, codec, stream);
	}
}

struct media_quality record_quality(const struct record *record, unsigned side)
{
	const int64_t *value = record->value + side * CP_RECORD_SIDE_NUMBERS_COUNT;
	int64_t packets = value[CP_RECORD_CALLER_PACKETS], lost = value[CP_RECORD_CALLER_LOST];
	struct media_quality quality = { 0 };

	if (packets == CP_RECORD_NULL || packets <= 0)
		return quality;
	quality.has_loss = true;
	quality.loss = (uint32_t)((double)lost * 10000 / ((double)packets + (double)lost) + 0.5);
	if (value[CP_RECORD_CALLER_JITTER] != CP_RECORD_NULL) {
		quality.has_jitter = true;
		quality.jitter_us = (uint32_t)value[CP_RECORD_CALLER_JITTER];
	}
	if (value[CP_RECORD_CALLER_MOS] != CP_RECORD_NULL) {
		quality.has_mos = true;
		quality.mos = (uint32_t)value[CP_RECORD_CALLER_MOS];
	}
	return quality;
}
