/* SPDX-License-Identifier: BSD-3-Clause */
/* Exchanges that come to nothing: refused, cancelled, given up, lost; what was before them stands (RFC 6141). */
#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/credentials.h"
#include "controlplane/hide.h"

static const struct span no_body = { NULL, 0 };

/* RFC 6141 section 3: as if it had never been asked. */
static void roll_back(struct call *call)
{
	struct leg *leg = call->exchange.asker;
	struct media_party party = exchange_party_of(leg, NULL);

	media_reject(call->media);
	media_set_party(call->media, leg->side, &party);
}

/* Whether it was ours: who offered has no answer then, or goes by another description than the other side. */
static bool ends_own(struct call *call)
{
	bool own = call->exchange.asker_method == SIP_METHOD_UNKNOWN;

	if (own && call->ack_due)
		exchange_ack(call->exchange.asker, no_body);
	return own;
}

void exchange_refuse(struct call *call, const struct exchange_event *event)
{
	bool ends = ends_own(call);

	roll_back(call);
	exchange_answer_asker(call, event->status, NULL, no_body);
	exchange_over(call);
	if (ends)
		call_breaks(call, "no ports for a new offer");
}

void exchange_cancel_on(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	(void)event;
	if (exchange->asked_method == SIP_METHOD_INVITE && exchange->asked->client_invite)
		transaction_cancel(exchange->asked->client_invite, no_body);
}

void exchange_give_up(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	exchange_cancel_on(call, event);
	if (!exchange->server)
		return;
	roll_back(call);
	exchange_answer_asker(call, 504, NULL, no_body);
	exchange->state = EXCHANGE_GIVEN_UP;
}

/* Its connection is gone, and whatever the other side says cannot be told there. */
void exchange_lose_asker(struct call *call, const struct exchange_event *event)
{
	exchange_cancel_on(call, event);
	timer_cancel(&call->exchange.timer);
	roll_back(call);
}

/* RFC 3261 section 12.2.1.2: 481 and 408 end the dialog, other refusals leave it as it was. */
static void end_if_gone(struct call *call, struct leg *leg, unsigned status)
{
	leg->gone = leg->gone || status == 481;
	if ((status == 481 || status == 408) && call->state == CALL_ESTABLISHED)
		call_breaks(call, status == 481 ? "the other side has no such dialog"
						: "no response within the dialog");
}

/* An answer that sends the same offer again, by another method or with another session timer. */
static bool tries_again(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asked;
	bool again = false;

	if (exchange->asked_method == SIP_METHOD_UPDATE && call->state == CALL_ESTABLISHED &&
		(event->status == 405 || event->status == 501)) {
		leg->peer_methods &= ~(1U << SIP_METHOD_UPDATE);
		again = true;
	} else if (event->status == 422 && event->message) {
		again = session_timer_retry(leg, event->message);
	} else if ((event->status == 401 || event->status == 407) && event->message) {
		again = credentials_take(leg, event->message);
	}
	if (!again)
		return false;
	exchange->state = EXCHANGE_SENT;
	exchange_send_on(call, event);
	return true;
}

static void offer_again(struct call *call)
{
	call->exchange.state = EXCHANGE_SENT;
	exchange_send_on(call, NULL);
}

void exchange_relay_reject(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = call->exchange.asked;
	bool ends;

	if (tries_again(call, event))
		return;
	if (call->exchange.asker_method == SIP_METHOD_UNKNOWN && event->status == 491 &&
		exchange_pause(call, leg, offer_again))
		return;
	ends = ends_own(call);
	roll_back(call);
	exchange_answer_asker(call, hide_status(event->status), event->message, no_body);
	exchange_over(call);
	if (ends)
		call_breaks(call, "a new offer was refused");
	else
		end_if_gone(call, leg, event->status);
}

/* The asker knows nothing of it any more. */
void exchange_undo(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = call->exchange.asked;

	if (call->exchange.offerless) {
		call->ack_due = true;
		call_put_aside(call, call_sdp(event->message));
	}
	if (call->exchange.asked_method == SIP_METHOD_INVITE)
		exchange_ack(leg, no_body);
	exchange_over(call);
	leg_refresh_target(leg, event->message);
	call->exchange.attempts = 0;
	exchange_restore(call, leg);
}

void exchange_forget(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = call->exchange.asked;

	exchange_over(call);
	end_if_gone(call, leg, event->status);
}

/* The asked side has changed its mind already; there is no common description any more. */
void exchange_give_up_answer(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	if (!ends_own(call) && call->ack_due)
		exchange_ack(exchange->asked, no_body);
	roll_back(call);
	exchange_answer_asker(call, event->status ? event->status : 500, NULL, no_body);
	exchange_over(call);
	if (event->status == 488)
		call_unsafe(call);
	else
		call_breaks(call, "unusable description in a re-INVITE");
}

void exchange_lose(struct call *call, const struct exchange_event *event)
{
	(void)event;
	exchange_over(call);
	call_breaks(call, "no ACK for a re-INVITE");
}
