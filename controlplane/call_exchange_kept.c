/* SPDX-License-Identifier: BSD-3-Clause */
/* An offer that comes while nothing but an ACK is missing: who sends it has been acknowledged by us, and cannot know that the ACK of the
 * other side is still on its way. No offers cross (RFC 3261 section 14.2), so it is kept until that ACK. */
#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_transfer.h"

static const struct span no_body = { NULL, 0 };

/* Of an offer that is answered in the ACK only who is to answer may go on: RFC 3264 section 4 has the other side wait. */
static bool only_the_ack_is_missing(const struct leg *leg)
{
	const struct call *call = leg->call;
	const struct exchange *exchange = &call->exchange;

	if (transfer_is_moving(call))
		return false;
	switch (call->state) {
	case CALL_ANSWER_HELD: /* the caller's PRACK and his ACK; he has no final response yet */
		return leg->side == LEG_CALLED && !call->ack_due;
	case CALL_ANSWERED:
		return leg->side == LEG_CALLER || !call->ack_due;
	case CALL_ESTABLISHED:
		return exchange->state == EXCHANGE_ANSWERED && (leg == exchange->asker || !call->ack_due);
	default:
		return false;
	}
}

static struct transaction *let_go(struct call *call)
{
	struct transaction *transaction = call->exchange.kept.transaction;

	timer_cancel(&call->exchange.kept.timer);
	call->exchange.kept.transaction = NULL;
	return transaction;
}

void exchange_refuse_kept(struct call *call, unsigned status)
{
	const struct leg *leg = call->exchange.kept.leg;
	struct transaction *transaction = let_go(call);

	if (!transaction)
		return;
	transaction_reply(transaction, status, span_from(leg->local_tag), no_body);
	transaction_detach(transaction);
}

static void on_cancelled(void *arg, struct transaction *transaction, const struct message *cancel)
{
	(void)transaction;
	(void)cancel;
	exchange_refuse_kept(arg, 487);
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	(void)transaction;
	(void)how;
	let_go(arg);
}

/* An UPDATE wants its answer before its Timer F. */
static void timer_expired(struct timer *timer, void *arg)
{
	(void)timer;
	exchange_refuse_kept(arg, 491);
}

bool exchange_keep(struct leg *leg, struct transaction *transaction)
{
	static const struct transaction_events events = { NULL, on_cancelled, NULL, on_ended };
	struct call *call = leg->call;

	if (call->exchange.kept.transaction || !only_the_ack_is_missing(leg))
		return false;
	call->exchange.kept.transaction = transaction;
	call->exchange.kept.leg = leg;
	transaction_attach(transaction, &events, call);
	if (message_scan(transaction_message(transaction))->method == SIP_METHOD_UPDATE)
		timer_arm(call->shard->timers, &call->exchange.kept.timer,
			exchange_update_limit_ms(call->shard), timer_expired, call);
	return true;
}

void exchange_resume(struct call *call)
{
	uint64_t left_ms = timer_left_ms(call->shard->timers, &call->exchange.kept.timer);
	struct leg *leg = call->exchange.kept.leg;
	struct transaction *transaction = let_go(call);

	if (transaction)
		exchange_go_on(leg, transaction, left_ms);
}
