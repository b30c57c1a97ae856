/* SPDX-License-Identifier: BSD-3-Clause */
/* Subscriptions through pairs of dialogs. */
#include "controlplane/subscription.h"

#include "controlplane/core.h"

static const struct span nothing = { NULL, 0 };

int subscription_layer_open(struct shard *shard)
{
	(void)shard;
	return 0;
}

void subscription_layer_close(struct shard *shard)
{
	(void)shard;
}

struct leg *subscription_find_leg(struct shard *shard, const struct scan *request)
{
	(void)shard;
	(void)request;
	return NULL;
}

void subscription_received(struct leg *leg, struct transaction *transaction, const struct message *subscribe)
{
	(void)leg;
	(void)subscribe;
	core_reply(transaction, 481, nothing);
}

void subscription_notify_received(
	struct leg *leg, struct transaction *transaction, const struct message *notify)
{
	(void)leg;
	(void)notify;
	core_reply(transaction, 481, nothing);
}

void subscription_start(struct shard *shard, struct transaction *transaction, const struct message *subscribe,
	const struct config_session_agent *source)
{
	(void)shard;
	(void)source;
	subscription_received(NULL, transaction, subscribe);
}
