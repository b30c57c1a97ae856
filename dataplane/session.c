/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: create, update by difference, delete.
 *
 * A request is first turned into a plan: fresh streams which take over port pairs that stay and hold new ones. The plan may
 * fail and is undone then. Committing it cannot fail: rules are swapped, and what the old streams alone held is given back. */
#include "dataplane/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/latch.h"
#include "dataplane/police.h"

enum { SLOT_BITS = 24, SLOT_NONE = 0xffffffff };
#define SLOT_MASK ((1U << SLOT_BITS) - 1)

struct plan {
	struct session_stream stream[DP_STREAMS_MAX];
	struct flow_rule *rule[DP_STREAMS_MAX][2];
	struct crypto_plan crypto[DP_STREAMS_MAX][2];
	bool taken[DP_STREAMS_MAX][2]; /* its port pair is new */
	uint8_t streams;
};

int sessions_init(struct sessions *t, struct pools *pools, struct next_hops *next_hops,
	struct rule_store *rules, struct srtp_store *srtp, uint32_t max, uint16_t workers)
{
	*t = (struct sessions){ .pools = pools,
		.next_hops = next_hops,
		.rules = rules,
		.worker_count = workers,
		.next_free = SLOT_NONE };
	crypto_store_init(&t->crypto, rules->rcu, srtp);
	t->realm = calloc(pools->realm_count + 1UL, sizeof(*t->realm));
	if (t->realm == NULL || sessions_reserve(t, max) != 0) {
		crypto_store_fini(&t->crypto);
		free(t->realm);
		*t = (struct sessions){ 0 };
		return -ENOMEM;
	}
	sessions_limit(t, max);
	return 0;
}

int sessions_reserve(struct sessions *t, uint32_t max)
{
	uint32_t room = max > SLOT_MASK ? SLOT_MASK : max;

	if (t->slot != NULL && room <= t->room)
		return 0;
	struct session *slot = calloc(room + 1UL, sizeof(*slot)); /* touched as sessions come */
	if (slot == NULL)
		return -ENOMEM;
	if (t->slot != NULL)
		memcpy(slot, t->slot, t->high * sizeof(*slot));
	free(t->slot);
	t->slot = slot;
	t->room = room;
	return 0;
}

void sessions_limit(struct sessions *t, uint32_t max)
{
	t->max = max > t->room ? t->room : max;
}

void sessions_fini(struct sessions *t)
{
	for (uint32_t i = 0; t->slot != NULL && i < t->high; i++)
		if (t->slot[i].id != 0)
			(void)session_delete(t, t->slot[i].id);
	crypto_store_fini(&t->crypto);
	free(t->slot);
	free(t->realm);
	*t = (struct sessions){ 0 };
}

struct session *session_find(const struct sessions *t, uint64_t id)
{
	uint32_t slot = (uint32_t)(id & SLOT_MASK);

	return id != 0 && slot < t->high && t->slot[slot].id == id ? &t->slot[slot] : NULL;
}

struct session *session_next(const struct sessions *t, uint64_t after)
{
	for (uint32_t i = after == 0 ? 0 : (uint32_t)(after & SLOT_MASK) + 1; i < t->high; i++)
		if (t->slot[i].id != 0)
			return &t->slot[i];
	return NULL;
}

static void endpoint_set(struct session_endpoint *e, const struct dp_address *a)
{
	*e = (struct session_endpoint){ 0 };
	if (a->family == 0)
		return;
	memcpy(e->ip.byte, a->ip, a->family == 4 ? 4 : 16);
	e->port = a->port;
}

static bool endpoint_equal(const struct session_endpoint *a, const struct session_endpoint *b)
{
	return a->port == b->port && host_equal(&a->ip, &b->ip);
}

static void endpoint_link(struct sessions *t, struct session_endpoint *e, uint8_t interface, uint8_t family)
{
	if (e->port == 0)
		return;
	/* Peers behind a proxy that does not touch media name each other's address: ours. */
	e->next_hop = pools_have_address(t->pools, &e->ip, family, interface)
			      ? NEXT_HOP_LOCAL
			      : next_hop_get(t->next_hops, interface, &e->ip, family);
}

static void side_unlink(struct sessions *t, struct session_side *s)
{
	next_hop_put(t->next_hops, s->rtp.next_hop);
	next_hop_put(t->next_hops, s->rtcp.next_hop);
	next_hop_put(t->next_hops, s->signalling.next_hop);
}

static void side_addresses(struct session_side *s, const struct dp_side_request *r)
{
	endpoint_set(&s->rtp, &r->rtp);
	endpoint_set(&s->rtcp, &r->rtcp);
	if (s->rtcp.port == 0 && s->rtp.port != 0 && s->rtp.port != UINT16_MAX) {
		s->rtcp = s->rtp; /* RFC 3605: port + 1 where nothing else is said */
		s->rtcp.port++;
	}
	endpoint_set(&s->signalling, &r->signalling);
	if (r->signalling.family == r->family)
		s->signalling.port = 1; /* any port of it */
	else
		s->signalling = (struct session_endpoint){ 0 };
}

/* Same addresses and manner: what was learnt stays. */
static bool side_same(const struct session_side *a, const struct session_side *b)
{
	return a->latching == b->latching && endpoint_equal(&a->rtp, &b->rtp) &&
	       endpoint_equal(&a->rtcp, &b->rtcp) && endpoint_equal(&a->signalling, &b->signalling);
}

/* What stays of a side although the request says everything anew. */
static void side_continue(struct session_side *s, const struct session_side *old)
{
	bool same = side_same(old, s);

	s->epoch = (uint16_t)(old->epoch + (same ? 0 : 1));
	s->arming = (uint16_t)(old->arming + (same && s->latching != DP_LATCHING_RELATCH ? 0 : 1));
	s->rearmed = old->rearmed;
	if (same && (old->flags & DP_SIDE_QUIET) == (s->flags & DP_SIDE_QUIET)) {
		s->waiting_us = old->waiting_us;
		s->silent = old->silent;
	}
	if (old->realm == s->realm && old->family == s->family) {
		s->flow = old->flow;
		s->ip = old->ip;
		s->accounted = old->accounted;
	} else {
		s->epoch = (uint16_t)(old->epoch + 1);
		s->arming = (uint16_t)(old->arming + 1);
	}
}

static bool is_in(const struct sessions *t, const struct session_side *side, const char *realm)
{
	return strcmp(t->pools->realm[side->realm].name, realm) == 0;
}

/* A session that is there may go on in a realm that the configuration does not have any more. */
static int realm_of(const struct sessions *t, const struct session *s, const struct dp_side_request *r,
	const struct session_side *old)
{
	int found;

	if (old != NULL && is_in(t, old, r->realm))
		return old->realm;
	found = pools_find_realm(t->pools, r->realm);
	for (unsigned i = 0; found < 0 && i < 2U * s->streams; i++)
		if (s->stream[i / 2].kind != DP_MEDIA_NONE &&
			is_in(t, &s->stream[i / 2].side[i % 2], r->realm))
			found = s->stream[i / 2].side[i % 2].realm;
	return found;
}

static int side_plan(struct sessions *t, const struct session *session, const struct dp_side_request *r,
	const struct session_side *old, uint64_t now_us, struct session_side *s, bool *taken)
{
	int realm = realm_of(t, session, r, old);

	if (realm < 0)
		return realm;
	*s = (struct session_side){ .realm = (uint16_t)realm,
		.marking = t->pools->marking,
		.family = r->family,
		.latching = r->latching,
		.flags = r->flags,
		.telephone_event = r->telephone_event,
		.suite_from = r->from.suite,
		.suite_to = r->to.suite,
		.rate = r->rate_limit != 0 ? r->rate_limit : t->pools->realm[realm].media_rate,
		.epoch = 1,
		.arming = 1,
		.waiting_us = now_us };
	side_addresses(s, r);
	if (old != NULL)
		side_continue(s, old);
	if (s->flow == NULL) {
		const struct pool *pool;
		int status = pool_take(t->pools, s->realm, s->family, &pool, &s->flow);

		if (status != 0)
			return status;
		s->ip = pool->ip;
		*taken = true;
	}
	uint8_t interface = t->pools->realm[s->realm].interface;
	endpoint_link(t, &s->rtp, interface, s->family);
	endpoint_link(t, &s->rtcp, interface, s->family);
	endpoint_link(t, &s->signalling, interface, s->family);
	return 0;
}

static void plan_undo(struct sessions *t, struct plan *p)
{
	for (unsigned i = 0; i < p->streams; i++)
		for (unsigned k = 0; k < 2; k++) {
			struct session_side *s = &p->stream[i].side[k];

			rule_discard(t->rules, p->rule[i][k]);
			crypto_plan_undo(&t->crypto, &p->crypto[i][k]);
			side_unlink(t, s);
			if (p->taken[i][k])
				pool_give(t->pools, s->flow);
		}
}

static int plan_make(struct sessions *t, const struct session *s, const struct dp_session_request *request,
	uint64_t now_us, struct plan *p)
{
	int status = 0;

	*p = (struct plan){ .streams = request->streams };
	for (unsigned i = 0; status == 0 && i < p->streams; i++) {
		const struct dp_stream_request *r = &request->stream[i];
		const struct session_stream *old =
			i < s->streams && s->stream[i].kind != DP_MEDIA_NONE ? &s->stream[i] : NULL;

		p->stream[i].kind = r->kind;
		if (r->kind == DP_MEDIA_NONE)
			continue;
		for (unsigned k = 0; status == 0 && k < 2; k++) {
			status = side_plan(t, s, &r->side[k], old != NULL ? &old->side[k] : NULL, now_us,
				&p->stream[i].side[k], &p->taken[i][k]);
			if (status == 0)
				status = crypto_plan(&t->crypto, old != NULL ? old->side[k].crypto : NULL,
					&r->side[k].from, &r->side[1 - k].to, &p->crypto[i][k]);
			p->stream[i].side[k].crypto = p->crypto[i][k].flow;
			p->rule[i][k] = status == 0 ? rule_new(t->rules) : NULL;
			if (status == 0 && p->rule[i][k] == NULL)
				status = -ENOSPC;
		}
	}
	if (status != 0)
		plan_undo(t, p);
	return status;
}

static struct flow_endpoint rule_endpoint(const struct session_endpoint *e)
{
	return (struct flow_endpoint){ .ip = e->ip, .port = htons(e->port), .next_hop = e->next_hop };
}

/* A side that says to be elsewhere than its signalling comes from must send first (RFC 7362 section 5): behind a NAT nothing would
 * arrive there, and else anybody could have a stream sent to a third party. */
static struct flow_endpoint rule_destination(
	const struct session_side *side, const struct session_endpoint *stated)
{
	if (side->latching != DP_LATCHING_FIXED && side->signalling.port != 0 &&
		!host_equal(&side->signalling.ip, &stated->ip))
		return (struct flow_endpoint){ 0 };
	return rule_endpoint(stated);
}

/* What arrives from side `k`. */
static void rule_fill(const struct sessions *t, const struct session *s, const struct session_stream *stream,
	unsigned i, unsigned k, struct flow_rule *r)
{
	const struct session_side *in = &stream->side[k], *out = &stream->side[1 - k];
	const struct pool_realm *realm = &t->pools->realm[out->realm];

	r->peer = out->flow;
	r->out_ip = out->ip;
	r->out_port = htons(out->flow->port);
	r->epoch_in = in->arming;
	r->epoch_out = out->epoch;
	r->epoch_back = in->epoch;
	r->worker = s->worker;
	r->session = s->id;
	r->stream = (uint8_t)i;
	r->side = (uint8_t)k;
	r->latching = in->latching;
	r->out_family = out->family;
	r->out_interface = realm->interface;
	r->dscp = realm->dscp;
	r->telephone_event = in->telephone_event != 0 ? (uint8_t)(in->telephone_event | 0x80) : 0;
	r->police_cost = police_cost(in->rate);
	r->police_burst_us = police_burst_us(r->police_cost);
	if (stream->kind == DP_MEDIA_RTP)
		r->flags |= RULE_MEASURED;
	if ((out->flags & DP_SIDE_MUTED) != 0 || out->rtp.port == 0)
		r->flags |= RULE_MUTED;
	if ((out->flags & DP_SIDE_RTCP_MUX) != 0)
		r->flags |= RULE_OUT_MUX;
	r->crypto = in->crypto;
	if (in->suite_from != DP_SRTP_NONE)
		r->flags |= RULE_SRTP_IN;
	if (out->suite_to != DP_SRTP_NONE)
		r->flags |= RULE_SRTP_OUT;
	r->accept[FLOW_RTP] = rule_endpoint(&in->rtp);
	r->accept[FLOW_RTCP] = rule_endpoint(&in->rtcp);
	r->signalling = rule_endpoint(&in->signalling);
	r->dest[FLOW_RTP] = rule_destination(out, &out->rtp);
	r->dest[FLOW_RTCP] = rule_destination(out, &out->rtcp);
}

/* A fresh flow has seen nothing: whatever epoch its first rule has must look newer to it. */
static void flow_expect(struct flow *f, const struct flow_rule *r)
{
	f->rtp.epoch_in = f->rtcp.epoch_in = (uint16_t)(r->epoch_in - 1);
	f->rtp.epoch_out = f->rtcp.epoch_out = (uint16_t)(r->epoch_out - 1);
}

/* A side that gets another port pair goes on to send to where the other side was learnt to be: that one has no reason to be learnt
 * anew. If it has moved as well, its epoch says so. */
static void flow_follow(struct flow *f, const struct flow *before)
{
	struct latch latch[FLOW_COMPONENTS];

	flow_read_latches(before, &latch[FLOW_RTP], &latch[FLOW_RTCP]);
	for (unsigned c = 0; c < FLOW_COMPONENTS; c++) {
		struct latch *l = flow_latch(f, (enum flow_component)c);

		l->dest = latch[c].dest;
		l->dest_port = latch[c].dest_port;
		l->next_hop = latch[c].next_hop;
		l->epoch_out = latch[c].epoch_out;
	}
}

/* Withdraws what a stream's side held, except a pair that lives on in the plan. */
static void side_release(struct sessions *t, struct session_side *s, const struct session_side *successor)
{
	t->realm[s->realm].streams--;
	if (successor == NULL || successor->flow != s->flow) {
		session_account(t, s);
		rule_publish(t->rules, s->flow, NULL);
		pool_give(t->pools, s->flow);
	}
	if (successor == NULL)
		crypto_retire(&t->crypto, s->crypto);
	side_unlink(t, s);
}

static void plan_commit(struct sessions *t, struct session *s, struct plan *p, uint64_t now_us)
{
	struct session_stream old[DP_STREAMS_MAX];
	uint8_t old_streams = s->streams;

	memcpy(old, s->stream, old_streams * sizeof(*old));
	memcpy(s->stream, p->stream, p->streams * sizeof(*s->stream));
	s->streams = p->streams;
	for (unsigned i = 0; i < p->streams; i++)
		for (unsigned k = 0; k < 2 && p->stream[i].kind != DP_MEDIA_NONE; k++) {
			t->realm[s->stream[i].side[k].realm].streams++;
			crypto_plan_commit(&t->crypto, &p->crypto[i][k], now_us);
			rule_fill(t, s, &s->stream[i], i, k, p->rule[i][k]);
			if (!p->taken[i][k])
				continue;
			flow_expect(s->stream[i].side[k].flow, p->rule[i][k]);
			if (i < old_streams && old[i].kind != DP_MEDIA_NONE)
				flow_follow(s->stream[i].side[k].flow, old[i].side[k].flow);
		}
	for (unsigned i = 0; i < p->streams; i++)
		for (unsigned k = 0; k < 2 && p->stream[i].kind != DP_MEDIA_NONE; k++)
			rule_publish(t->rules, s->stream[i].side[k].flow, p->rule[i][k]);
	for (unsigned i = 0; i < p->streams; i++)
		for (unsigned k = 0; k < 2; k++)
			crypto_plan_finish(&t->crypto, &p->crypto[i][k]);
	for (unsigned i = 0; i < old_streams; i++)
		for (unsigned k = 0; k < 2 && old[i].kind != DP_MEDIA_NONE; k++)
			side_release(t, &old[i].side[k],
				i < s->streams && s->stream[i].kind != DP_MEDIA_NONE ? &s->stream[i].side[k]
										     : NULL);
}

/* Everything that can fail, then the commit. */
static int session_apply(struct sessions *t, struct session *s, const struct dp_session_request *request,
	const void *blob, uint64_t now_us)
{
	struct session_stream *stream = NULL;
	void *copy = NULL;
	struct plan plan;
	int status;

	crypto_store_reclaim(&t->crypto);
	status = plan_make(t, s, request, now_us, &plan);
	if (status != 0)
		return status;
	if (request->blob_length != 0) {
		copy = malloc(request->blob_length);
		if (copy == NULL)
			goto no_memory;
		memcpy(copy, blob, request->blob_length);
	}
	if (request->streams > s->streams || s->stream == NULL) {
		stream = calloc(request->streams == 0 ? 1 : request->streams, sizeof(*stream));
		if (stream == NULL)
			goto no_memory;
		if (s->stream != NULL)
			memcpy(stream, s->stream, s->streams * sizeof(*stream));
		free(s->stream);
		s->stream = stream;
	}
	if (copy != NULL) {
		free(s->blob);
		s->blob = copy;
		s->blob_length = request->blob_length;
	}
	s->owner = request->owner;
	plan_commit(t, s, &plan, now_us);
	return 0;
no_memory:
	free(copy);
	plan_undo(t, &plan);
	return -ENOMEM;
}

int session_create(struct sessions *t, const struct dp_session_request *request, const void *blob,
	uint64_t now_us, uint64_t *id)
{
	uint32_t slot = t->next_free;

	if (request->session != 0)
		return -EINVAL;
	if (t->used >= t->max)
		return -ENOSPC;
	if (slot == SLOT_NONE)
		slot = t->high;
	struct session *s = &t->slot[slot];
	uint32_t next_free = s->next_free;
	s->id = (s->generation + 1) << SLOT_BITS | slot;
	s->created_us = now_us;
	s->worker = (uint16_t)(slot % t->worker_count);
	int status = session_apply(t, s, request, blob, now_us);
	if (status != 0) {
		s->id = 0;
		return status;
	}
	s->generation++;
	if (slot == t->high)
		t->high++;
	else
		t->next_free = next_free;
	t->used++;
	t->total++;
	*id = s->id;
	return 0;
}

int session_update(
	struct sessions *t, const struct dp_session_request *request, const void *blob, uint64_t now_us)
{
	struct session *s = session_find(t, request->session);

	return s == NULL ? -ENOENT : session_apply(t, s, request, blob, now_us);
}

int session_delete(struct sessions *t, uint64_t id)
{
	struct session *s = session_find(t, id);

	if (s == NULL)
		return -ENOENT;
	for (unsigned i = 0; i < s->streams; i++)
		for (unsigned k = 0; k < 2 && s->stream[i].kind != DP_MEDIA_NONE; k++)
			side_release(t, &s->stream[i].side[k], NULL);
	free(s->stream);
	free(s->blob);
	uint32_t slot = (uint32_t)(s - t->slot);
	*s = (struct session){ .generation = s->generation, .next_free = t->next_free };
	t->next_free = slot;
	t->used--;
	return 0;
}

int session_set_blob(struct sessions *t, uint64_t id, const void *blob, size_t length)
{
	struct session *s = session_find(t, id);
	void *copy = NULL;

	if (s == NULL)
		return -ENOENT;
	if (length > DP_BLOB_MAX)
		return -EINVAL;
	if (length != 0) {
		copy = malloc(length);
		if (copy == NULL)
			return -ENOMEM;
		memcpy(copy, blob, length);
	}
	free(s->blob);
	s->blob = copy;
	s->blob_length = (uint16_t)length;
	return 0;
}

/* The side's rule as it is to be now, once more. 0 or -ENOSPC. */
static int rule_renew(struct sessions *t, struct session *s, unsigned stream, unsigned side, uint16_t arming)
{
	struct session_stream *st = &s->stream[stream];
	struct flow_rule *rule = rule_new(t->rules);

	if (rule == NULL)
		return -ENOSPC;
	st->side[side].arming = arming;
	rule_fill(t, s, st, stream, side, rule);
	rule_publish(t->rules, st->side[side].flow, rule);
	return 0;
}

int session_rearm(struct sessions *t, struct session *s, unsigned stream, unsigned side)
{
	return rule_renew(t, s, stream, side, (uint16_t)(s->stream[stream].side[side].arming + 1));
}

void session_remark(struct sessions *t, struct session *s, unsigned stream, unsigned side)
{
	struct session_side *in = &s->stream[stream].side[side];

	if (in->marking != t->pools->marking && rule_renew(t, s, stream, side, in->arming) == 0)
		in->marking = t->pools->marking;
}

void session_expire_keys(struct sessions *t, struct session_side *side, uint64_t now_us)
{
	crypto_expire(&t->crypto, side->crypto, now_us);
}
