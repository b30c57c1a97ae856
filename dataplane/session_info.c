/* SPDX-License-Identifier: BSD-3-Clause */
/* What the API tells about a session: our addresses and the counters of its flows, read beside the running workers. */
#include <arpa/inet.h>
#include <string.h>

#include "dataplane/session.h"

_Static_assert(sizeof(struct dp_counters) % 8 == 0 && sizeof(struct dp_session_info) % 8 == 0 &&
		       sizeof(struct dp_session_request) % 8 == 0 && sizeof(struct dp_stats) % 8 == 0 &&
		       sizeof(struct dp_interface) % 8 == 0 && sizeof(struct dp_event) % 8 == 0 &&
		       sizeof(struct dp_address) == 24 && sizeof(struct dp_side_request) == 144,
	"the API's layout has no padding of the compiler's");
_Static_assert(sizeof(struct dp_session_info) + DP_BLOB_MAX < 32768, "a reply fits into a packet");

static void address_fill(struct dp_address *a, uint8_t family, const union host *ip, uint16_t port)
{
	*a = (struct dp_address){ .port = port, .family = family };
	memcpy(a->ip, ip->byte, family == 4 ? 4 : 16);
}

static uint64_t since(uint64_t time_us, uint64_t created_us)
{
	if (time_us == 0)
		return 0;
	return time_us > created_us ? time_us - created_us : 1; /* 0 means never */
}

static void counters_fill(const struct session *s, const struct session_side *side, struct dp_counters *c)
{
	const struct flow *f = side->flow;
	const struct rtp_stats *st = &f->stats;
	struct latch rtp, rtcp;

	flow_read_latches(f, &rtp, &rtcp);
	*c = (struct dp_counters){
		.packets = counter_read(&st->packets),
		.octets = counter_read(&st->octets),
		.lost = counter_read(&st->lost),
		.duplicate = counter_read(&st->duplicate),
		.reordered = counter_read(&st->reordered),
		.wrong_source = counter_read(&f->wrong_source),
		.malformed = counter_read(&f->malformed),
		.policed = counter_read(&f->policed),
		.no_next_hop = counter_read(&f->no_next_hop),
		.rtcp_packets = counter_read(&f->rtcp_packets),
		.first_us = since(counter_read(&st->first_us), s->created_us),
		.last_us = since(counter_read(&st->last_us), s->created_us),
		.jitter_us = rtp_jitter_us(st, counter_read32(&st->jitter)),
		.jitter_max_us = rtp_jitter_us(st, counter_read32(&st->jitter_max)),
		.longest_gap_ms = counter_read32(&st->longest_gap_us) / 1000,
		.ssrc = ntohl(counter_read32(&st->ssrc)),
		.ssrc_changes = counter_read32(&st->ssrc_changes),
		.payload_type = st->payload_type,
		.latched = rtp.learnt,
	};
	uint64_t lost_on_us = counter_read(&f->not_relayed);
	c->relayed = c->packets > lost_on_us ? c->packets - lost_on_us : 0;
	if (rtp.locked != 0)
		address_fill(&c->source, side->family, &rtp.source, ntohs(rtp.source_port));
}

void session_info(const struct session *s, uint64_t now_us, struct dp_session_info *info)
{
	*info = (struct dp_session_info){ .session = s->id,
		.owner = s->owner,
		.blob_length = s->blob_length,
		.streams = s->streams,
		.age_us = now_us - s->created_us };
	for (unsigned i = 0; i < s->streams; i++) {
		struct dp_stream_info *out = &info->stream[i];
		const struct session_stream *st = &s->stream[i];

		out->kind = st->kind;
		for (unsigned k = 0; k < 2 && st->kind != DP_MEDIA_NONE; k++) {
			const struct session_side *side = &st->side[k];

			address_fill(&out->local[k], side->family, &side->pool->ip, side->flow->port);
			if (side->rtp.port != 0)
				address_fill(&out->remote[k], side->family, &side->rtp.ip, side->rtp.port);
			counters_fill(s, side, &out->from[k]);
		}
	}
}

void session_reply(const struct session *s, struct dp_session_reply *reply)
{
	*reply = (struct dp_session_reply){ .session = s->id };
	for (unsigned i = 0; i < s->streams; i++)
		for (unsigned k = 0; k < 2 && s->stream[i].kind != DP_MEDIA_NONE; k++)
			address_fill(&reply->local[i][k], s->stream[i].side[k].family,
				&s->stream[i].side[k].pool->ip, s->stream[i].side[k].flow->port);
}
