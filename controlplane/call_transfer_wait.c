/* SPDX-License-Identifier: BSD-3-Clause */
/* A REFER that cannot be answered yet: another shard is asked for the dialog it names, or that dialog's ACK is on its way. One of a call;
 * what it waits for is bounded, so that its sender hears in time (RFC 3261 section 17.1.2.2, Timer F). */
#include "controlplane/call_exchange.h"
#include "controlplane/call_transfer_internal.h"
#include "platforms/base/clock.h"

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct transfer *transfer = arg;

	(void)transaction;
	(void)how;
	transfer->asking = NULL;
	transfer->wait_until_ms = 0;
	timer_cancel(&transfer->patience);
}

static const struct transaction_events asking_events = { .ended = on_ended };

void transfer_hold(struct leg *leg, struct transaction *transaction, uint64_t delay_ms,
	void (*expired)(struct timer *timer, void *arg))
{
	struct transfer *transfer = leg->call->transfer;

	transfer->asking = transaction;
	transfer->asking_side = leg->side;
	transfer->asking_cseq = message_scan(transaction_message(transaction))->cseq_number;
	transaction_attach(transaction, &asking_events, transfer);
	timer_arm(leg->shard->timers, &transfer->patience, delay_ms, expired, transfer);
}

struct transaction *transfer_release(struct transfer *transfer)
{
	struct transaction *transaction = transfer->asking;

	timer_cancel(&transfer->patience);
	transfer->asking = NULL;
	if (transaction)
		transaction_attach(transaction, NULL, NULL);
	return transaction;
}

void transfer_hold_abort(struct transfer *transfer)
{
	struct transaction *transaction = transfer_release(transfer);

	if (transaction)
		transfer_refuse(transaction, 487);
}

/* --- the ACK of the dialog that it names --------------------------------------------------------------------------------- */

/* Its referrer has answered it, or has been answered, and cannot know that the ACK has not come. */
bool transfer_is_settling(const struct call *call)
{
	return (call->state >= CALL_ANSWER_LEASING && call->state <= CALL_ANSWERED) ||
	       (call->state == CALL_ESTABLISHED && exchange_is_under_way(call));
}

static void look_again(struct timer *timer, void *arg)
{
	struct transfer *transfer = arg;

	(void)timer;
	transfer_again(&transfer->call->leg[transfer->asking_side]);
}

bool transfer_wait(struct leg *leg, struct transaction *transaction)
{
	struct transfer *transfer = transfer_of(leg->call);
	uint64_t now = clock_now_ms(), t1 = leg->shard->config->sip.t1_ms;

	if (!transfer)
		return false;
	/* As long as an UPDATE is kept: the answer must be there before Timer F, lost once or not. */
	if (!transfer->wait_until_ms)
		transfer->wait_until_ms = now + 56 * t1;
	if (now >= transfer->wait_until_ms) {
		transfer->wait_until_ms = 0;
		return false;
	}
	transfer_hold(leg, transaction, t1, look_again);
	return true;
}
