/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may send to a flow: strict latching (RFC 7362), per component, by the worker that owns the flow. */
#ifndef DATAPLANE_LATCH_H
#define DATAPLANE_LATCH_H

#include "dataplane/flow.h"

/* The whole test for a flow that is locked: address and port. */
static inline bool latch_matches(const struct latch *l, const union host *source, uint16_t port)
{
	return l->locked != 0 && l->source_port == port && host_equal(&l->source, source);
}

/* The rule has newer signalling than the latch follows. Epochs wrap; an older rule, seen for a moment while two rules of a
 * session are being swapped, must not take back what the newer one let us learn. */
static inline bool latch_outdated(const struct latch *l, const struct flow_rule *r)
{
	return (int16_t)(uint16_t)(r->epoch_in - l->epoch_in) > 0 ||
	       (int16_t)(uint16_t)(r->epoch_out - l->epoch_out) > 0;
}

/* Takes over the rule's addresses: forgets a learnt source (or locks to the signalled one with DP_LATCHING_FIXED), and
 * aims at the other side's signalled address. Only what the rule says anew. */
void latch_arm(struct flow *f, enum flow_component c, const struct flow_rule *r);

/* Would latch_learn take it? */
bool latch_would_learn(const struct flow *f, enum flow_component c, const struct flow_rule *r,
	const union host *source, uint16_t port);

/* A valid packet from `source` that the latch does not match: may it lock? Yes when nothing is locked yet and the address
 * is the signalled one or that of the signalling. Then the other direction of this component goes there. */
bool latch_learn(struct flow *f, enum flow_component c, const struct flow_rule *r, const union host *source,
	uint16_t port);

static inline struct latch *flow_latch(struct flow *f, enum flow_component c)
{
	return c == FLOW_RTP ? &f->rtp : &f->rtcp;
}

#endif
