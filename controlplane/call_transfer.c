/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer: REFER, Replaces and what the two sides are told of it. */
#include "controlplane/call_transfer.h"

void transfer_received(struct leg *leg, struct transaction *transaction, const struct message *refer)
{
	(void)leg;
	(void)refer;
	transaction_reply(transaction, 501, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}

bool transfer_notify_received(struct leg *leg, struct transaction *transaction, const struct message *notify)
{
	(void)leg;
	(void)transaction;
	(void)notify;
	return false;
}

bool transfer_replaces(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source)
{
	(void)shard;
	(void)transaction;
	(void)invite;
	(void)source;
	return false;
}
