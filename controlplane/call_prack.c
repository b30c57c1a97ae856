/* SPDX-License-Identifier: BSD-3-Clause */
/* Reliable provisional responses (RFC 3262). */
#include "controlplane/call_prack.h"

void prack_received(struct leg *leg, struct transaction *transaction, const struct message *prack)
{
	(void)leg;
	(void)prack;
	transaction_reply(transaction, 481, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}
