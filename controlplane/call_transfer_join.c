/* SPDX-License-Identifier: BSD-3-Clause */
/* Legs that go from one call to another: their dialogs are shared with a shadow until the new call is joined, and stay where they were if
 * it is not. */
#include <stdlib.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer_internal.h"
#include "controlplane/request_relay.h"
#include "platforms/base/clock.h"

static const struct span nothing = { NULL, 0 };

bool transfer_is_moving(const struct call *call)
{
	return call->transfer && call->transfer->made;
}

bool transfer_has_shadow(const struct call *call)
{
	return call->carry->from[LEG_CALLER] || call->carry->from[LEG_CALLED];
}

void transfer_number(struct call *call, unsigned side)
{
	struct carry *carry = call->carry;
	struct leg *leg;

	if (!carry->from[side])
		return;
	leg = &carry->from[side]->leg[carry->from_side[side]];
	call->leg[side].local_cseq = leg->local_cseq++;
}

/* --- ending what is left behind ------------------------------------------------------------------------------------------- */

static void end(struct call *call, const char *cause)
{
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_TIMER, .cause = cause });
}

static bool is_being_told(const struct transfer *transfer)
{
	for (size_t i = 0; i < TRANSFER_SUBSCRIPTIONS_MAX; i++)
		if (transfer->subscription[i].used && transfer->subscription[i].telling)
			return true;
	return false;
}

static void referrer_stays(struct timer *timer, void *arg)
{
	struct call *call = arg;

	/* The NOTIFY of the success may wait for a lost one before it; Timer F bounds both. */
	if (is_being_told(call->transfer))
		timer_arm(call->shard->timers, timer, call->shard->config->sip.t2_ms, referrer_stays, call);
	else
		end(call, "transferred");
}

/* RFC 5589 section 6.1: the referrer hangs up when it is told of the success; if it does not, we do. */
static void release_referrer(struct call *call)
{
	if (call->transfer->left)
		end(call, "transferred");
	else
		timer_arm(call->shard->timers, &call->transfer->timer, call->shard->config->sip.t2_ms,
			referrer_stays, call);
}

bool transfer_keeps(struct call *call, const struct call_event *event)
{
	struct transfer *transfer = call->transfer;

	if (!transfer->made || event->side == transfer->moving)
		return false;
	bye_accept(call, event);
	request_relay_abort(&call->leg[event->side]);
	/* The subscription outlives the call's usage of the dialog (RFC 5057), but not the wait for what is on its way. */
	for (unsigned i = 0; i < TRANSFER_SUBSCRIPTIONS_MAX; i++)
		transfer->subscription[i].telling = transfer->subscription[i].again = false;
	session_timer_stop(&call->leg[event->side]);
	transfer->left = true;
	call->state = CALL_ESTABLISHED;
	return true;
}

/* --- joining -------------------------------------------------------------------------------------------------------------- */

static void take_over(struct call *made, unsigned side)
{
	struct carry *carry = made->carry;
	struct call *from = carry->from[side];
	unsigned old = carry->from_side[side];
	struct leg *leg = &made->leg[side], *left = &from->leg[old];

	exchange_abort(from);
	request_relay_abort(left);
	session_timer_stop(left);
	leg->local_cseq = left->local_cseq;
	leg->remote_cseq = left->remote_cseq;
	leg->peer_options |= left->peer_options;
	leg->gone = false;
	left->gone = true;
	statistics_hand_over(leg, left);
	call_tag_remove(&from->tag[old]);
	call_tag_insert(&made->tag[side], leg, leg->local_tag);
	carry->from[side] = NULL;
	from->transfer->made = NULL;
}

void transfer_join(struct call *call)
{
	struct carry *carry = call->carry;
	struct call *from[LEGS] = { carry->from[LEG_CALLER], carry->from[LEG_CALLED] };
	struct transfer_subscription *told = carry->told;

	if (carry->joined)
		return;
	carry->joined = true;
	carry->told = NULL;
	timer_cancel(&carry->timer);
	for (unsigned side = 0; side < LEGS; side++)
		if (from[side])
			take_over(call, side);
	if (carry->invite) {
		call->caller_answered = true;
		call->answered_ms = clock_now_ms();
		call->status = 200;
		shard_count(call->shard, CALLS_ANSWERED);
		statistics_answered(&call->leg[LEG_CALLED]);
	}
	if (told)
		transfer_tell(told, 200);
	if (from[LEG_CALLED])
		end(from[LEG_CALLED], "replaced");
	if (from[LEG_CALLER])
		release_referrer(from[LEG_CALLER]);
}

bool transfer_confirm(struct call *call, const struct message *answer, int *result)
{
	struct carry *carry = call->carry;

	if (!carry->from[LEG_CALLED])
		return false;
	/* A re-INVITE: the route set stays (RFC 3261 section 12.2.1.2). */
	*result = leg_refresh_target(&call->leg[LEG_CALLED], answer);
	/* It has an answer to the caller's offer: from now on its media is that of this call. */
	if (!call->offerless)
		transfer_join(call);
	return true;
}

/* --- not joining ---------------------------------------------------------------------------------------------------------- */

static void restore(struct call *made, unsigned side)
{
	struct call *from = made->carry->from[side];

	/* Where the referrer has left there is nothing to go back to. */
	if (!from || from->transfer->left)
		return;
	made->carry->from[side] = NULL;
	from->transfer->made = NULL;
	exchange_restore(from, &from->leg[made->carry->from_side[side]]);
}

/* The callee has accepted what comes to nothing: it goes back to the description of its call. */
static void restore_callee(struct call *made)
{
	struct carry *carry = made->carry;
	struct leg *shadow = &made->leg[LEG_CALLED];
	struct call *from = carry->from[LEG_CALLED];
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	if (!shadow->gone || !made->ack_due || !shadow->client_invite)
		return;
	writer_init(&body, text, sizeof(text));
	if (from && made->offerless && media_restate(from->media, carry->from_side[LEG_CALLED], &body))
		body.len = 0;
	invite_ack(shadow, shadow->client_invite, span_from(shadow->remote_tag),
		made->offerless ? writer_result(&body) : nothing);
	made->ack_due = false;
	if (!made->offerless)
		restore(made, LEG_CALLED);
}

static void forget(struct call *made)
{
	struct carry *carry = made->carry;

	for (unsigned side = 0; side < LEGS; side++)
		if (carry->from[side])
			carry->from[side]->transfer->made = NULL;
}

/* The new call has come to nothing, or is over. */
static void carry_fini(struct call *made)
{
	struct carry *carry = made->carry;
	struct call *left[LEGS] = { NULL, NULL };
	bool alive = made->shard->transactions != NULL;

	timer_cancel(&carry->timer);
	for (unsigned side = 0; side < LEGS; side++)
		if (alive && carry->from[side] && carry->from[side]->transfer->left)
			left[side] = carry->from[side];
	if (alive && carry->told)
		transfer_tell(carry->told, made->status >= 300 ? made->status : 503);
	if (alive)
		restore_callee(made);
	if (alive && carry->accepted)
		restore(made, LEG_CALLER);
	forget(made);
	message_free(carry->invite);
	free(carry->replaces);
	free(carry);
	made->carry = NULL;
	for (unsigned side = 0; side < LEGS; side++)
		if (left[side])
			end(left[side], "transfer failed");
}

static void give_up(struct call *made)
{
	bool waits = made->state == CALL_ANSWERED && made->carry->invite;

	call_happens(made, &(struct call_event){ .type = waits ? CALL_EVENT_FAILED : CALL_EVENT_BROKEN,
				   .side = LEG_CALLER,
				   .status = 487,
				   .cause = "the party to be transferred hung up" });
}

void transfer_abort(struct call *call)
{
	struct transfer *transfer = call->transfer;
	struct call *made;

	if (!transfer)
		return;
	made = transfer->made;
	timer_cancel(&transfer->timer);
	transfer_hold_abort(transfer);
	transfer->made = NULL;
	if (!made || !made->carry)
		return;
	for (unsigned side = 0; side < LEGS; side++)
		if (made->carry->from[side] == call)
			made->carry->from[side] = NULL;
	if (made->carry->told && made->carry->told->transfer == transfer) {
		if (call->shard->transactions)
			transfer_tell(made->carry->told, 487);
		made->carry->told = NULL;
	}
	if (call->shard->transactions)
		give_up(made);
}

void transfer_fini(struct call *call)
{
	transfer_abort(call);
	free(call->transfer);
	call->transfer = NULL;
	if (call->carry)
		carry_fini(call);
}

void transfer_move(struct call *call, struct config_move *move)
{
	if (!call->carry)
		return;
	config_move_realm(move, &call->carry->realm);
	if (call->carry->invite)
		message_move(call->carry->invite, move);
}
