/* SPDX-License-Identifier: BSD-3-Clause */
/* Bandwidth in SDP: what the author of a description is willing to receive, and the limit that follows for who sends to it.
 *
 * b=AS (RFC 8866 section 5.8) is in kbit/s and includes IP, UDP and RTP headers. b=TIAS (RFC 3890) is in bit/s and includes none of
 * them; section 6.3 there adds the headers at the rate of a=maxprate. RTCP comes on top: b=RS and b=RR (RFC 3556, bit/s), else five
 * per cent (RFC 3550 section 6.2). b=CT says nothing about one stream. A media line's values replace the session's.
 *
 * The limit shall stop a stranger, not a telephone whose maker counted differently, so it is generous in three ways: of AS and
 * TIAS the larger counts; a quarter is added, as a bucket is no average; and the headers of a hundred packets a second are added,
 * as many give b=AS:64 for PCMU, which is 80 kbit/s at 20 ms. Headers are those of IPv6: a stream may come in over IPv6 though
 * its receiver thinks of IPv4. */
#include <errno.h>

#include "controlplane/sdp.h"

enum {
	RATE_MAX_KBIT = 10000000, /* the largest realm.media-rate too */
	PACKET_RATE_MAX = 1000000,
	PACKET_RATE_LEAST = 100, /* where nothing is said: 10 ms of audio */
	PACKET_OCTETS =
		500, /* where nothing is said and the rate is higher: that of video in small packets */
	HEADER_BITS = 8 * (40 + 8 + 12),
	RTCP_SHARE = 20, /* one part in so many: RFC 3550 section 6.2 */
	MARGIN_SHARE = 4,
};

static const uint64_t rate_max_bit = (uint64_t)RATE_MAX_KBIT * 1000;

/* Digits alone; what is larger than `max` is `max`. False: not a number. */
static bool number_read(struct span text, uint64_t max, uint64_t *value)
{
	int error = span_to_uint(text, max, value);

	if (error == -ERANGE)
		*value = max;
	return error == 0 || error == -ERANGE;
}

static void keep_larger(uint64_t *kept, bool *has, uint64_t value)
{
	if (!*has || value > *kept)
		*kept = value;
	*has = true;
}

static void modifier_read(struct span value, struct sdp_bandwidth *out)
{
	struct span name = span_cut(&value, ':');
	uint64_t number;

	if (!number_read(value, rate_max_bit, &number))
		return;
	if (span_equal_case(name, SPAN("AS")))
		keep_larger(&out->application, &out->has_application,
			number < RATE_MAX_KBIT ? number * 1000 : rate_max_bit);
	else if (span_equal_case(name, SPAN("TIAS")))
		keep_larger(&out->independent, &out->has_independent, number);
	else if (span_equal_case(name, SPAN("RS")))
		keep_larger(&out->rtcp_senders, &out->has_rtcp_senders, number);
	else if (span_equal_case(name, SPAN("RR")))
		keep_larger(&out->rtcp_receivers, &out->has_rtcp_receivers, number);
}

/* "50", "49.95": a begun packet is one. */
static void packet_rate_read(struct span value, struct sdp_bandwidth *out)
{
	struct span rest = value;
	struct span whole = span_cut(&rest, '.');
	uint64_t number;

	if (number_read(whole, PACKET_RATE_MAX, &number))
		out->packet_rate = (uint32_t)number + (rest.n > 0);
}

void sdp_bandwidth_read(const struct sdp_line *line, unsigned count, struct sdp_bandwidth *out)
{
	*out = (struct sdp_bandwidth){ 0 };
	for (unsigned i = 0; i < count; i++) {
		struct span value = line[i].value;

		if (line[i].type == 'b')
			modifier_read(value, out);
		else if (line[i].type == 'a' && span_starts_case(value, SPAN("maxprate:")))
			packet_rate_read((struct span){ value.p + 9, value.n - 9 }, out);
	}
}

void sdp_bandwidth_inherit(struct sdp_bandwidth *media, const struct sdp_bandwidth *session)
{
	if (!media->has_application && !media->has_independent) {
		media->has_application = session->has_application;
		media->application = session->application;
		media->has_independent = session->has_independent;
		media->independent = session->independent;
	}
	if (!media->has_rtcp_senders && !media->has_rtcp_receivers) {
		media->has_rtcp_senders = session->has_rtcp_senders;
		media->rtcp_senders = session->rtcp_senders;
		media->has_rtcp_receivers = session->has_rtcp_receivers;
		media->rtcp_receivers = session->rtcp_receivers;
	}
	if (media->packet_rate == 0)
		media->packet_rate = session->packet_rate;
}

/* RFC 3890 section 6.3 */
static uint64_t with_headers(const struct sdp_bandwidth *bandwidth)
{
	uint64_t packets = bandwidth->packet_rate;

	if (packets == 0) {
		packets = bandwidth->independent / (8 * PACKET_OCTETS);
		packets = packets < PACKET_RATE_LEAST ? PACKET_RATE_LEAST : packets;
	}
	return bandwidth->independent + packets * HEADER_BITS;
}

uint32_t sdp_bandwidth_limit(const struct sdp_bandwidth *bandwidth)
{
	uint64_t media = 0, rtcp, limit;

	if (!bandwidth->has_application && !bandwidth->has_independent)
		return 0;
	if (bandwidth->has_application)
		media = bandwidth->application;
	if (bandwidth->has_independent && with_headers(bandwidth) > media)
		media = with_headers(bandwidth);
	rtcp = bandwidth->has_rtcp_senders || bandwidth->has_rtcp_receivers
		       ? bandwidth->rtcp_senders + bandwidth->rtcp_receivers
		       : media / RTCP_SHARE;
	limit = media + rtcp;
	limit += limit / MARGIN_SHARE + (uint64_t)PACKET_RATE_LEAST * HEADER_BITS;
	return limit < rate_max_bit ? (uint32_t)((limit + 999) / 1000) : RATE_MAX_KBIT;
}
