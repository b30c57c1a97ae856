/* SPDX-License-Identifier: BSD-3-Clause */
/* What the API tells about a session: our addresses and the counters of its flows, read beside the running workers. */
#include <arpa/inet.h>
#include <string.h>

#include "dataplane/session.h"

_Static_assert(sizeof(struct dp_counters) % 8 == 0 && sizeof(struct dp_session_info) % 8 == 0 &&
		       sizeof(struct dp_session_request) % 8 == 0 && sizeof(struct dp_stats) % 8 == 0 &&
		       sizeof(struct dp_interface) % 8 == 0 && sizeof(struct dp_event) % 8 == 0 &&
		       sizeof(struct dp_address) == 24 && sizeof(struct dp_side_request) == 304 &&
		       sizeof(struct dp_crypto) == 80,
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

/* Received less not relayed; between two additions of the worker that may be one off. */
static uint64_t relayed(const struct flow *f)
{
	uint64_t not_relayed = counter_read(&f->not_relayed), packets = counter_read(&f->stats.packets);

	return packets > not_relayed ? packets - not_relayed : 0;
}

/* `other`: the clock of a jitter that the peer reports is that of the stream which comes from there. */
static void reports_fill(const struct flow *f, const struct flow *other, struct dp_counters *c)
{
	const struct rtcp_reports *r = &f->reports;
	uint32_t last = counter_read32(&r->last);

	c->far_reported = (last & RTCP_REPORTED) != 0;
	c->far_lost_fraction = (uint8_t)last;
	c->far_lost = counter_read32(&r->lost);
	c->far_jitter_us = rtp_reported_us(&other->stats, counter_read32(&r->jitter));
	c->round_trip_us = counter_read32(&r->round_trip_us);
	c->round_trip_max_us = counter_read32(&r->round_trip_max_us);
}

static void counters_fill(const struct session *s, const struct session_side *side,
	const struct session_side *other, struct dp_counters *c)
{
	const struct flow *f = side->flow;
	const struct rtp_stats *st = &f->stats;
	struct latch rtp, rtcp;

	flow_read_latches(f, &rtp, &rtcp);
	*c = (struct dp_counters){
		.packets = counter_read(&st->packets),
		.octets = counter_read(&st->octets),
		.relayed = relayed(f),
		.events = counter_read32(&f->events.count),
		.lost = counter_read(&st->lost),
		.duplicate = counter_read(&st->duplicate),
		.reordered = counter_read(&st->reordered),
		.wrong_source = counter_read(&f->wrong_source),
		.malformed = counter_read(&f->malformed),
		.policed = counter_read(&f->policed),
		.no_next_hop = counter_read(&f->no_next_hop),
		.rtcp_packets = counter_read(&f->rtcp_packets),
		.srtp_auth_failed = side->crypto != NULL ? counter_read(&side->crypto->auth_failed) : 0,
		.srtp_replayed = side->crypto != NULL ? counter_read(&side->crypto->replayed) : 0,
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
	reports_fill(f, other->flow, c);
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

			out->suite_from[k] = side->suite_from;
			out->suite_to[k] = side->suite_to;
			address_fill(&out->local[k], side->family, &side->ip, side->flow->port);
			if (side->rtp.port != 0)
				address_fill(&out->remote[k], side->family, &side->rtp.ip, side->rtp.port);
			counters_fill(s, side, &st->side[1 - k], &out->from[k]);
		}
	}
}

void session_reply(const struct session *s, struct dp_session_reply *reply)
{
	*reply = (struct dp_session_reply){ .session = s->id };
	for (unsigned i = 0; i < s->streams; i++)
		for (unsigned k = 0; k < 2 && s->stream[i].kind != DP_MEDIA_NONE; k++)
			address_fill(&reply->local[i][k], s->stream[i].side[k].family,
				&s->stream[i].side[k].ip, s->stream[i].side[k].flow->port);
}

/* A counter grows by the difference of low bits, as long as somebody looks before it wraps; what has gone down is waited for. */
static void advance(uint64_t *total, uint32_t *accounted, uint64_t now)
{
	int32_t grown = (int32_t)((uint32_t)now - *accounted);

	if (grown <= 0)
		return;
	*total += (uint32_t)grown;
	*accounted += (uint32_t)grown;
}

void session_account(struct sessions *t, struct session_side *side)
{
	struct realm_totals *total = &t->realm[side->realm];
	struct session_accounted *a = &side->accounted;
	const struct flow *f = side->flow;

	advance(&total->packets, &a->packets, counter_read(&f->stats.packets));
	advance(&total->octets, &a->octets, counter_read(&f->stats.octets));
	advance(&total->relayed, &a->relayed, relayed(f));
	advance(&total->lost, &a->lost, counter_read(&f->stats.lost));
	advance(&total->wrong_source, &a->wrong_source, counter_read(&f->wrong_source));
	advance(&total->malformed, &a->malformed, counter_read(&f->malformed));
	advance(&total->policed, &a->policed, counter_read(&f->policed));
	advance(&total->events, &a->events, counter_read32(&f->events.count));
}

const struct realm_totals *session_realm_totals(const struct sessions *t, uint16_t realm)
{
	return realm < t->pools->realm_count ? &t->realm[realm] : NULL;
}
