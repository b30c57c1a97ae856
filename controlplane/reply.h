/* SPDX-License-Identifier: BSD-3-Clause */
/* Response heads from scan spans, and answers without a transaction. */
#ifndef CONTROLPLANE_REPLY_H
#define CONTROLPLANE_REPLY_H

#include "config/move.h"
#include "controlplane/scan.h"
#include "controlplane/transport.h"

struct transaction_layer;

/* Status line, all Via (in the top one received and rport as RFC 3581 section 4 has them, set from `flow`; a peer's own received,
 * rport and maddr taken out: a response goes where the request came from and nowhere else), From, To (with `to_tag` unless
 * it has one or the tag is empty), Call-ID, CSeq. */
void reply_head(const struct scan *request, const struct sip_flow *flow, unsigned status, struct span reason,
	struct span to_tag, struct writer *out);
/* A whole response without headers of its own into the layer's scratch text. `to_tag` empty: a keyed hash of the request, so that
 * repetitions get the same. Empty if it does not fit. */
struct span reply_write(struct transaction_layer *layer, const struct sip_flow *flow,
	const struct scan *request, unsigned status, struct span to_tag, struct span extra);
/* Sends an answer that leaves no state (RFC 3261 section 8.2.7). `extra` = complete header lines or empty. Bounded per second: above it, silence. */
void reply_stateless(struct transaction_layer *layer, const struct sip_flow *flow, const struct scan *request,
	unsigned status, struct span extra);
/* Sends an answer back to where a request has just come from: on a stream by its connection or not at all. Nobody is called back for an
 * answer that leaves no state. */
int reply_send(const struct sip_flow *flow, struct span text);
void reply_budget_init(struct transaction_layer *layer);
void reply_budget_move(struct shard *shard, struct config_move *move);

#endif
