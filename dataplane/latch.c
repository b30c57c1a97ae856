/* SPDX-License-Identifier: BSD-3-Clause */
/* Latching: learning where media really comes from. */
#include "dataplane/latch.h"

#include "dataplane/api.h"

/* Readers (session_get) retry while the version is odd. */
static void change_begin(struct flow *f)
{
	atomic_store_explicit(&f->version, f->version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void change_end(struct flow *f)
{
	atomic_store_explicit(&f->version, f->version + 1, memory_order_release);
}

void latch_arm(struct flow *f, enum flow_component c, const struct flow_rule *r)
{
	struct latch *l = flow_latch(f, c);

	change_begin(f);
	if ((int16_t)(uint16_t)(r->epoch_in - l->epoch_in) > 0) {
		bool fixed = r->latching == DP_LATCHING_FIXED && r->accept[c].port != 0;

		l->source = fixed ? r->accept[c].ip : (union host){ 0 };
		l->source_port = fixed ? r->accept[c].port : 0;
		l->locked = fixed;
		l->learnt = 0;
		l->epoch_in = r->epoch_in;
	}
	if ((int16_t)(uint16_t)(r->epoch_out - l->epoch_out) > 0) {
		l->dest = r->dest[c].ip;
		l->dest_port = r->dest[c].port;
		l->next_hop = r->dest[c].next_hop;
		l->epoch_out = r->epoch_out;
	}
	change_end(f);
}

/* The endpoint of the rule that the source is at; NULL: it cannot lock the latch. */
static const struct flow_endpoint *learnable(const struct latch *l, enum flow_component c,
	const struct flow_rule *r, const union host *source, uint16_t port)
{
	if (l->locked != 0 || r->latching == DP_LATCHING_FIXED || port == 0)
		return NULL;
	if (r->accept[c].port != 0 && host_equal(&r->accept[c].ip, source))
		return &r->accept[c];
	if (r->signalling.port != 0 && host_equal(&r->signalling.ip, source))
		return &r->signalling;
	return NULL;
}

bool latch_would_learn(const struct flow *f, enum flow_component c, const struct flow_rule *r,
	const union host *source, uint16_t port)
{
	return learnable(c == FLOW_RTP ? &f->rtp : &f->rtcp, c, r, source, port) != NULL;
}

bool latch_learn(struct flow *f, enum flow_component c, const struct flow_rule *r, const union host *source,
	uint16_t port)
{
	struct latch *l = flow_latch(f, c);
	const struct flow_endpoint *at = learnable(l, c, r, source, port);

	if (at == NULL)
		return false;
	change_begin(f);
	l->source = *source;
	l->source_port = port;
	l->locked = 1;
	l->learnt = 1;
	change_end(f);

	struct latch *back = flow_latch(r->peer, c);
	change_begin(r->peer);
	back->dest = *source;
	back->dest_port = port;
	back->next_hop = at->next_hop;
	back->epoch_out = r->epoch_back;
	change_end(r->peer);
	return true;
}
