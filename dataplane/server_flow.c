/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's requests about media as it is now: flows, and realms as a whole. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "dataplane/handler.h"
#include "dataplane/prefix_table.h"
#include "platforms/base/clock.h"

enum {
	POSITIONS = DP_STREAMS_MAX * 2,
	FLOWS_LOOK = 4096, /* directions that one request may look at; each is some cache lines far away */
};

_Static_assert(sizeof(struct dp_flow) % 8 == 0 && sizeof(struct dp_flow_request) % 8 == 0 &&
		       sizeof(struct dp_flow_reply) % 8 == 0 && sizeof(struct dp_realm) % 8 == 0,
	"the API's layout has no padding of the compiler's");

/* What is asked for. */
struct wish {
	int realm; /* index; -1 = all */
	bool filtered;
	struct prefix_key within;
	uint32_t limit;
	uint64_t now_us;
};

static int wish_read(const struct request *q, struct wish *w)
{
	const struct dp_flow_request *r = q->body;
	uint32_t most = (uint32_t)((BODY_MAX - sizeof(struct dp_flow_reply)) / sizeof(struct dp_flow));

	*w = (struct wish){ .realm = -1,
		.filtered = r->within.address.family != 0,
		.limit = r->limit < most ? r->limit : most,
		.now_us = clock_now_us() };
	if (r->limit == 0 || memchr(r->realm, 0, sizeof(r->realm)) == NULL ||
		(w->filtered && !source_key_read(&r->within, &w->within)))
		return -EINVAL;
	if (r->realm[0] != '\0')
		w->realm = pools_named_realm(&q->dp->pools, r->realm);
	return r->realm[0] != '\0' && w->realm < 0 ? -ENOENT : 0;
}

static struct dp_address address_of(uint8_t family, const union host *ip, uint16_t port)
{
	struct dp_address a = { .port = port, .family = family };

	memcpy(a.ip, ip->byte, family == 4 ? 4 : 16);
	return a;
}

/* Where a side's media comes from: as learnt, else as signalled. */
static struct dp_address address_of_side(const struct session_side *side, const struct latch *rtp)
{
	if (rtp->locked != 0)
		return address_of(side->family, &rtp->source, ntohs(rtp->source_port));
	if (side->rtp.port != 0)
		return address_of(side->family, &side->rtp.ip, side->rtp.port);
	return (struct dp_address){ 0 };
}

static bool is_wished(const struct wish *w, const struct dp_address *source)
{
	struct dp_source_key key = { .address = *source, .length = source->family == 4 ? 32 : 128 };
	struct prefix_key k;

	return !w->filtered || (source_key_read(&key, &k) && source_key_overlaps(&w->within, &k));
}

static uint64_t srtp_refused(const struct session_side *side)
{
	const struct flow_crypto *c = side->crypto;

	return c != NULL ? counter_read(&c->auth_failed) + counter_read(&c->replayed) : 0;
}

static void flow_write(const struct dataplane *dp, const struct session *s, unsigned i, unsigned k,
	uint64_t now_us, struct dp_flow *out)
{
	const struct session_side *side = &s->stream[i].side[k], *other = &s->stream[i].side[1 - k];
	const struct flow *f = side->flow;
	uint64_t last_us = counter_read(&f->stats.last_us);
	struct latch rtp, theirs, rtcp;

	flow_read_latches(f, &rtp, &rtcp);
	flow_read_latches(other->flow, &theirs, &rtcp);
	*out = (struct dp_flow){
		.session = s->id,
		.stream = (uint8_t)i,
		.side = (uint8_t)k,
		.kind = s->stream[i].kind,
		.latching = side->latching,
		.flags = side->flags,
		.payload_type = f->stats.payload_type,
		.worker = s->worker,
		.local = address_of(side->family, &side->ip, f->port),
		.source = address_of_side(side, &rtp),
		.dest = rtp.dest_port != 0 ? address_of(other->family, &rtp.dest, ntohs(rtp.dest_port))
					   : address_of_side(other, &theirs),
		.packets = counter_read(&f->stats.packets),
		.octets = counter_read(&f->stats.octets),
		.lost = counter_read(&f->stats.lost),
		.dropped = counter_read(&f->not_relayed) + counter_read(&f->wrong_source) +
			   counter_read(&f->malformed) + counter_read(&f->policed) + srtp_refused(side),
		.idle_us = last_us == 0       ? UINT64_MAX
			   : now_us > last_us ? now_us - last_us
					      : 0,
		.jitter_us = rtp_jitter_us(&f->stats, counter_read32(&f->stats.jitter)),
		.ssrc = ntohl(counter_read32(&f->stats.ssrc)),
		.latched = rtp.learnt,
		.suite = side->suite_from,
	};
	snprintf(out->realm, sizeof(out->realm), "%s", dp->pools.realm[side->realm].name);
}

/* The session that has `after`, where there are positions left in it, else the one behind. */
static const struct session *session_at(const struct sessions *t, uint64_t after, uint32_t *position)
{
	const struct session *s = session_find(t, after);

	if (s != NULL && *position < POSITIONS - 1) {
		++*position;
		return s;
	}
	*position = 0;
	return session_next(t, after);
}

int handle_flow_list(const struct request *q)
{
	const struct dp_flow_request *r = q->body;
	struct dp_flow_reply *reply = (void *)q->out;
	struct dp_flow *out = (void *)(reply + 1);
	uint32_t position = r->position, looked = 0;
	struct wish w;
	int status = wish_read(q, &w);

	if (status != 0)
		return status;
	*reply = (struct dp_flow_reply){ .session = r->session, .position = r->position };
	for (const struct session *s;
		(s = session_at(&q->dp->sessions, reply->session, &position)) != NULL;) {
		const struct session_stream *st = position / 2 < s->streams ? &s->stream[position / 2] : NULL;

		if (reply->count == w.limit || looked++ == FLOWS_LOOK) {
			reply->more = 1;
			break;
		}
		reply->session = s->id;
		reply->position = position;
		if (st == NULL) {
			position = POSITIONS;
			continue;
		}
		if (st->kind == DP_MEDIA_NONE || (w.realm >= 0 && st->side[position % 2].realm != w.realm))
			continue;
		flow_write(q->dp, s, position / 2, position % 2, w.now_us, out);
		if (is_wished(&w, &out->source)) {
			out++;
			reply->count++;
		}
	}
	return (int)((uint8_t *)out - q->out);
}

int handle_realms(const struct request *q)
{
	const struct dp_page_request *r = q->body;
	struct dp_table_reply *reply = (void *)q->out;
	struct dp_realm *out = (void *)(reply + 1);
	uint32_t most = (uint32_t)((BODY_MAX - sizeof(*reply)) / sizeof(*out));
	uint64_t i = r->cursor;

	if (r->limit == 0)
		return -EINVAL;
	*reply = (struct dp_table_reply){ 0 };
	for (; i < q->dp->pools.realm_count; i++) {
		if (q->dp->pools.realm[i].state == REALM_FREE)
			continue;
		if (reply->count == r->limit || reply->count == most) {
			reply->cursor = i;
			break;
		}
		counters_realm(q->dp, (uint16_t)i, out++);
		reply->count++;
	}
	return (int)((uint8_t *)out - q->out);
}
