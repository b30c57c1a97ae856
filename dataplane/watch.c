/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens in sessions without anybody asking: events of the workers, and media that stays away. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"

enum {
	EVENT_TICK_MS = 20, /* how late a latched event may be */
	IDLE_TICK_MS = 1000, /* without sessions */
	SCAN_PARTS = 50, /* the scan of all sessions is spread over so many ticks: a second */
	SECOND_US = 1000000,
	EVENT_BURST = 64,
};

struct watch {
	struct dataplane *dp;
	uv_timer_t tick;
	uint32_t slot; /* where the scan goes on */
	uint64_t swept_us;
};

static void send_event(struct dataplane *dp, const struct session *s, enum dp_message type, unsigned stream,
	unsigned side, const struct worker_event *from)
{
	struct dp_event e = { .session = s->id, .stream = (uint8_t)stream, .side = (uint8_t)side };

	if (from != NULL) {
		e.source = (struct dp_address){ .family = from->family, .port = ntohs(from->port) };
		memcpy(e.source.ip, from->ip.byte, sizeof(e.source.ip));
	}
	server_event(dp->server, s->owner, type, &e);
}

static void drain(struct watch *w, struct worker *worker)
{
	struct worker_event events[EVENT_BURST];
	unsigned n;

	do {
		n = rte_ring_sc_dequeue_burst_elem(
			worker->events, events, sizeof(events[0]), EVENT_BURST, NULL);
		for (unsigned i = 0; i < n; i++) {
			const struct session *s = session_find(&w->dp->sessions, events[i].session);

			if (s != NULL)
				send_event(w->dp, s,
					(enum dp_message)(DP_EVENT_LATCHED & 0xff00) | events[i].type,
					events[i].stream, events[i].side, &events[i]);
		}
	} while (n == EVENT_BURST);
}

/* Silent for `limit` seconds (0 = never)? Media counts from its last packet, but not from before it was (again) expected. */
static bool silent_for(const struct session_side *side, uint64_t last, uint64_t limit, uint64_t now_us)
{
	uint64_t since = last > side->waiting_us ? last : side->waiting_us;

	return limit != 0 && now_us > since && now_us - since > limit * SECOND_US;
}

/* A NAT may have given its media another port (RFC 7362 section 3): learnt anew, once in a silence. */
static void relatch(struct dataplane *dp, struct session *s, unsigned stream, unsigned k, uint64_t now_us)
{
	struct session_side *side = &s->stream[stream].side[k];
	uint64_t last = counter_read(&side->flow->stats.last_us);
	uint64_t limit = dp->config->media_manager.relatch_silence;

	if (side->latching != DP_LATCHING_RELATCH || (side->flags & DP_SIDE_QUIET) != 0 || last == 0)
		return;
	if (!silent_for(side, last, limit, now_us))
		side->rearmed = false;
	else if (!side->rearmed)
		side->rearmed = session_rearm(&dp->sessions, s, stream, k) == 0;
}

static bool side_check(struct dataplane *dp, struct session *s, unsigned stream, unsigned k, uint64_t now_us)
{
	struct session_side *side = &s->stream[stream].side[k];
	const struct config_media_manager *m = &dp->config->media_manager;
	uint64_t last = counter_read(&side->flow->stats.last_us);
	bool silent = silent_for(side, last, last == 0 ? m->initial_timeout : m->idle_timeout, now_us);
	bool expected =
		(side->flags & DP_SIDE_QUIET) == 0 && (side->rtp.port != 0 || side->signalling.port != 0);

	if (!silent || side->silent || !expected) {
		side->silent = side->silent && silent;
		return false;
	}
	side->silent = true;
	send_event(dp, s, DP_EVENT_MEDIA_SILENT, stream, k, NULL);
	return true;
}

unsigned watch_session(struct dataplane *dp, struct session *s, uint64_t now_us)
{
	unsigned fallen = 0;

	for (unsigned i = 0; i < s->streams; i++)
		for (unsigned k = 0; k < 2 && s->stream[i].kind != DP_MEDIA_NONE; k++) {
			session_account(&dp->sessions, &s->stream[i].side[k]);
			session_expire_keys(&dp->sessions, &s->stream[i].side[k], now_us);
			relatch(dp, s, i, k, now_us);
			session_remark(&dp->sessions, s, i, k);
			fallen += side_check(dp, s, i, k, now_us);
		}
	return fallen;
}

static void scan(struct watch *w)
{
	struct sessions *t = &w->dp->sessions;
	uint64_t now_us = clock_now_us();

	crypto_store_reclaim(&t->crypto);
	uint32_t part = t->high / SCAN_PARTS + 1;

	for (uint32_t i = 0; i < part && t->high != 0; i++) {
		w->slot = w->slot + 1 < t->high ? w->slot + 1 : 0;
		struct session *s = &t->slot[w->slot];
		if (s->id != 0)
			(void)watch_session(w->dp, s, now_us);
	}
}

static void tick(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	for (unsigned i = 0; i < w->dp->shared.worker_count; i++)
		drain(w, &w->dp->shared.workers[i]);
	scan(w);
	if (clock_now_us() - w->swept_us >= SECOND_US) {
		w->swept_us = clock_now_us();
		live_sweep(w->dp, w->swept_us);
	}
	uv_timer_set_repeat(timer, w->dp->sessions.used != 0 ? EVENT_TICK_MS : IDLE_TICK_MS);
}

int watch_start(struct dataplane *dp)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->dp = dp;
	w->tick.data = w;
	(void)uv_timer_init(dp->daemon->loop, &w->tick);
	(void)uv_timer_start(&w->tick, tick, EVENT_TICK_MS, IDLE_TICK_MS);
	dp->watch = w;
	return 0;
}

void watch_wake(struct watch *w)
{
	if (w != NULL && uv_timer_get_repeat(&w->tick) != EVENT_TICK_MS)
		(void)uv_timer_start(&w->tick, tick, EVENT_TICK_MS, EVENT_TICK_MS);
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

void watch_stop(struct dataplane *dp)
{
	if (dp->watch != NULL)
		uv_close((uv_handle_t *)&dp->watch->tick, closed);
	dp->watch = NULL;
}
