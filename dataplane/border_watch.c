/* SPDX-License-Identifier: BSD-3-Clause */
/* What the border needs done now and then: old entries lifted, samples handed on, counters turned into rates, and a word in the log when
 * a table overflows. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "dataplane/parse.h"
#include "dataplane/border.h"
#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	TICK_MS = 200, /* how late a sample may be */
	SAMPLES = 16, /* taken out of a ring at once */
	EXPIRE_PARTS = 50, /* a table is looked through in so many ticks: 10 s */
	EXPIRE_LEAST = 4096,
	TCP_PORTS = 4,
	FRAME_MAX = 65536,
};

#define SECOND_US   UINT64_C(1000000)
#define OVERFLOW_US (10 * SECOND_US) /* between two words about it */

struct border_watch {
	struct dataplane *dp;
	uv_timer_t tick;
	uint64_t counted_us; /* when `counted` was taken */
	uint64_t counted[DP_COUNTER_COUNT];
	uint64_t told_us; /* the last word about an overflow */
	uint64_t told_sources, told_bans; /* evicted by then */
	struct drop_sample sample[SAMPLES];
	uint8_t frame[FRAME_MAX]; /* a sampled packet, zeroes where it was cut */
};

static void expire(struct prefix_table *t, uint64_t now_us)
{
	uint32_t n = prefix_table_count(t);

	if (n != 0)
		(void)prefix_table_expire(t, now_us, n / EXPIRE_PARTS + EXPIRE_LEAST);
}

static struct dp_address address_of(const struct packet *p, const union host *ip, uint16_t port)
{
	struct dp_address a = { .port = ntohs(port), .family = p->family };

	memcpy(a.ip, ip->byte, p->family == 4 ? 4 : 16);
	return a;
}

/* The upper protocol; for TCP also the ports, which packet_parse leaves alone. */
static uint8_t protocol_of(const uint8_t *frame, size_t length, struct packet *p)
{
	const uint8_t *ip = frame + p->ip;
	size_t header = p->family == 4 ? (size_t)(ip[0] & 15) * 4 : IPV6_HEADER;
	uint8_t protocol = p->family == 4 ? ip[9] : ip[6];
	bool later = p->family == 4 && (ntohs(load_u16(ip + 6)) & 0x1fff) != 0;

	if (p->class == PACKET_UDP || p->class == PACKET_FRAGMENT || p->class == PACKET_EXTENDED)
		return IPPROTO_UDP;
	p->source_port = p->dest_port = 0;
	if (protocol == IPPROTO_TCP && !later && p->ip + header + TCP_PORTS <= length) {
		p->source_port = load_u16(ip + header);
		p->dest_port = load_u16(ip + header + 2);
	}
	return protocol;
}

static void sample_send(struct border_watch *w, const struct drop_sample *s, uint64_t now_us)
{
	struct dp_sample out = { .ago_us = now_us > s->time_us ? now_us - s->time_us : 0,
		.counter = s->counter,
		.interface = s->interface,
		.length = s->length,
		.captured = s->captured < DP_SAMPLE_MAX ? s->captured : DP_SAMPLE_MAX };
	size_t length = s->length > out.captured ? s->length : out.captured;
	struct packet p;

	memcpy(w->frame, s->octets, out.captured);
	memset(w->frame + out.captured, 0, length - out.captured);
	packet_parse(w->frame, length, &p);
	if (p.family != 0) {
		out.protocol = protocol_of(w->frame, out.captured, &p);
		out.source = address_of(&p, &p.source, p.source_port);
		out.dest = address_of(&p, &p.dest, p.dest_port);
	}
	server_sample(w->dp->server, &out, s->octets);
}

static void drain(struct border_watch *w, struct rte_ring *ring, uint64_t now_us)
{
	unsigned n;

	/* A ring's worth: a worker that goes on filling it waits for the next tick. */
	for (unsigned i = 0; ring != NULL && i < SAMPLE_RING; i += n) {
		n = rte_ring_sc_dequeue_burst_elem(ring, w->sample, sizeof(w->sample[0]), SAMPLES, NULL);
		if (n == 0)
			return;
		for (unsigned k = 0; k < n; k++)
			sample_send(w, &w->sample[k], now_us);
	}
}

static void rates(struct border_watch *w, uint64_t now_us)
{
	uint64_t total[DP_COUNTER_COUNT], passed_us = now_us - w->counted_us;

	if (passed_us < SECOND_US)
		return;
	counters_sum(w->dp, total);
	for (unsigned i = 0; i < DP_COUNTER_COUNT; i++) {
		w->dp->per_second[i] = (total[i] - w->counted[i]) * SECOND_US / passed_us;
		w->counted[i] = total[i];
	}
	w->counted_us = now_us;
}

static void tell_overflow(struct border_watch *w, uint64_t now_us)
{
	uint64_t sources = w->counted[DP_COUNTER_SOURCE_EVICTED], bans = w->counted[DP_COUNTER_BAN_EVICTED];

	if ((sources == w->told_sources && bans == w->told_bans) ||
		(w->told_us != 0 && now_us - w->told_us < OVERFLOW_US))
		return;
	if (sources != w->told_sources)
		log_warning("border",
			"the table of sources is full: those silent for longest were forgotten; see "
			"guard.max-sources",
			LOG_UINT("forgotten", sources - w->told_sources),
			LOG_UINT("max", source_table_capacity(border_sources(w->dp->shared.border, false))));
	if (bans != w->told_bans)
		log_warning("border", "the table of bans is full: the oldest were lifted; see guard.max-bans",
			LOG_UINT("lifted", bans - w->told_bans),
			LOG_UINT("max", prefix_table_capacity(border_bans(w->dp->shared.border))));
	w->told_us = now_us;
	w->told_sources = sources;
	w->told_bans = bans;
}

void border_watch_tick(struct border_watch *w, uint64_t now_us)
{
	struct dataplane *dp = w->dp;

	for (unsigned i = 0; dp->shared.workers != NULL && i < dp->shared.worker_count; i++)
		drain(w, dp->shared.workers[i].sampler.ring, now_us);
	rates(w, now_us);
	if (dp->shared.border == NULL)
		return;
	expire(border_bans(dp->shared.border), now_us);
	expire(border_trust(dp->shared.border), now_us);
	tell_overflow(w, now_us);
}

static void tick(uv_timer_t *timer)
{
	border_watch_tick(timer->data, clock_now_us());
}

struct border_watch *border_watch_new(struct dataplane *dp, uint64_t now_us)
{
	struct border_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->dp = dp;
	w->counted_us = now_us;
	counters_sum(dp, w->counted);
	return w;
}

void border_watch_free(struct border_watch *w)
{
	free(w);
}

int border_watch_start(struct dataplane *dp)
{
	struct border_watch *w = border_watch_new(dp, clock_now_us());

	if (w == NULL)
		return -ENOMEM;
	w->tick.data = w;
	(void)uv_timer_init(dp->daemon->loop, &w->tick);
	(void)uv_timer_start(&w->tick, tick, TICK_MS, TICK_MS);
	dp->border_watch = w;
	return 0;
}

static void closed(uv_handle_t *handle)
{
	border_watch_free(handle->data);
}

void border_watch_stop(struct dataplane *dp)
{
	if (dp->border_watch != NULL)
		uv_close((uv_handle_t *)&dp->border_watch->tick, closed);
	dp->border_watch = NULL;
}
