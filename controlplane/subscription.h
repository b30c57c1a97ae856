/* SPDX-License-Identifier: BSD-3-Clause */
/* Subscriptions (RFC 6665): a pair of dialogs, the subscriber's with us and ours with the notifier, each with its own Call-ID, tags and
 * CSeq. SUBSCRIBE goes one way, NOTIFY the other; a SUBSCRIBE that forks makes one pair for each notifier. owner: the shard's thread. */
#ifndef CONTROLPLANE_SUBSCRIPTION_H
#define CONTROLPLANE_SUBSCRIPTION_H

#include "controlplane/leg.h"

struct subscription_table;

enum { SUBSCRIPTION_REFERS_MAX = 4 }; /* of one call */

struct subscription_refer { /* one of the implicit kind; by the CSeq of its REFER */
	uint32_t id, far_id; /* with who is told; with who tells */
};

/* 0 or -ENOMEM. */
int subscription_layer_open(struct shard *shard);
/* After the transactions have ended. */
void subscription_layer_close(struct shard *shard);
bool subscription_uses_listener(const struct shard *shard, const struct listener *listener);
void subscription_layer_move(
	struct shard *shard, struct config_move *move); /* another configuration (reconfigure.h) */
/* From any thread. */
size_t subscription_count(const struct shard *shard);

/* The leg whose dialog a request belongs to, as call_find_leg. For a NOTIFY that makes a dialog (it came before the 200 of its SUBSCRIBE,
 * or from another branch) the leg that sent the SUBSCRIBE. NULL: 481. */
struct leg *subscription_find_leg(struct shard *shard, const struct scan *request);

/* A SUBSCRIBE outside of dialogs: routed by local-policy. Takes the transaction over. */
void subscription_start(struct shard *shard, struct transaction *transaction, const struct message *subscribe,
	const struct config_session_agent *source);
/* Refresh, or the end (Expires: 0), by the subscriber. */
void subscription_received(struct leg *leg, struct transaction *transaction, const struct message *subscribe);
/* From the notifier, in its dialog or making one. */
void subscription_notify_received(
	struct leg *leg, struct transaction *transaction, const struct message *notify);
/* A call is about to end, its REFERs are not: `count` of them go on in copies of its dialogs, for so many seconds, and with them the NOTIFYs that are
 * under way from `far` to `referrer`. 0 (also when nothing is left to be told), -ENOBUFS, -ENOMEM. */
int subscription_outlive(const struct leg *referrer, const struct leg *far,
	const struct subscription_refer *refers, size_t count, uint64_t seconds);

#endif
