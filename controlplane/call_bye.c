/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a call: BYE from either side, to either side, crossing ones, and to forks that lost. */
#include <errno.h>
#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_transfer.h"
#include "controlplane/credentials.h"
#include "controlplane/hide.h"
#include "controlplane/request_relay.h"

static const struct span nothing = { NULL, 0 };

static void bye_is_done(struct leg *leg)
{
	leg->client_bye = NULL;
	call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE, .side = leg->side });
}

static bool bye_again(struct leg *leg);

/* Whatever it says, 481 included: the dialog is over for us. But a trunk that asks for our credentials has not heard it yet. */
static void on_bye_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;

	if (message_scan(response)->status < 200)
		return;
	transaction_detach(transaction);
	if (!credentials_take(leg, response) || !bye_again(leg))
		bye_is_done(leg);
}

static void on_bye_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	if (how == TRANSACTION_SHUTDOWN)
		leg->client_bye = NULL;
	else
		bye_is_done(leg);
}

static const struct transaction_events bye_events = { .response = on_bye_response, .ended = on_bye_ended };

static void write_bye(struct leg *leg, struct span reason, struct writer *out)
{
	leg_request_begin(leg, SIP_METHOD_BYE, CALL_MAX_FORWARDS, out);
	hide_product(leg->shard->config, true, out);
	if (reason.n) {
		writer_text(out, "Reason: ");
		writer_span(out, reason);
		writer_text(out, "\r\n");
	}
	message_end(out, nothing, nothing);
}

static int bye_request(struct leg *leg, struct span reason)
{
	struct sip_flow flow = leg_flow(leg);
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	writer_init(&out, text, sizeof(text));
	write_bye(leg, reason, &out);
	error = out.overflow ? -EMSGSIZE
			     : transaction_request(leg->shard, &flow, writer_result(&out), &bye_events, leg,
				       &leg->client_bye);
	if (error) {
		leg->client_bye = NULL;
		log_warning(
			"call", "BYE not sent", LOG_UINT("call", leg->call->id), LOG_ERRNO("error", error));
	}
	return error;
}

/* The reason has been said. */
static bool bye_again(struct leg *leg)
{
	return bye_request(leg, nothing) == 0;
}

void bye_send(struct leg *leg, struct span reason)
{
	struct call *call = leg->call;
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	if (leg->gone || leg->client_bye || !leg->remote_tag)
		return;
	if (leg->side == LEG_CALLED && call->ack_due && leg->client_invite) {
		call->ack_due = false;
		writer_init(&body, text, sizeof(text));
		invite_ack(leg, leg->client_invite, span_from(leg->remote_tag),
			invite_refusal(leg,
				(struct span){ call->offer, call->offer ? call->offer_length : 0 }, &body));
	}
	bye_request(leg, reason);
	leg->gone = true;
}

/* Nobody waits for the response to this BYE: the transaction layer repeats it until there is one. */
static void bye_unheard(struct leg *leg)
{
	static const struct transaction_events unheard = { NULL, NULL, NULL, NULL };
	struct sip_flow flow = leg_flow(leg);
	struct transaction *bye;
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	write_bye(leg, nothing, &out);
	if (!out.overflow &&
		transaction_request(leg->shard, &flow, writer_result(&out), &unheard, NULL, &bye) == 0)
		transaction_detach(bye);
}

void bye_fork(struct leg *leg, struct transaction *invite, const struct message *answer)
{
	bool offers = leg->call && leg->call->offerless;
	char text[CALL_MESSAGE_MAX];
	struct leg fork = { 0 };
	struct writer body;

	if (leg_fork(&fork, leg, answer) == 0) {
		writer_init(&body, text, sizeof(text));
		invite_ack(&fork, invite, span_from(fork.remote_tag),
			offers ? invite_refusal(leg, call_sdp(answer), &body) : nothing);
		bye_unheard(&fork);
	}
	leg_fini(&fork);
}

void bye_unclaimed(
	struct shard *shard, struct transaction *invite, const struct message *answer, bool in_dialog)
{
	struct leg leg = { 0 };
	int error = leg_init_answer(&leg, shard, answer);

	if (error == 0) {
		invite_ack(&leg, invite, span_from(leg.remote_tag), nothing);
		/* Of a dialog that was there before somebody else has taken care. */
		if (!in_dialog)
			bye_unheard(&leg);
	} else {
		log_notice("call", "late answer cannot be hung up", LOG_ERRNO("error", error));
	}
	leg_fini(&leg);
}

/* --- actions ------------------------------------------------------------------------------------------------------------- */

static void note_cause(struct call *call, const struct call_event *event)
{
	if (call->cause)
		return;
	if (event->type == CALL_EVENT_BYE)
		call->cause = event->side == LEG_CALLER ? "caller hung up" : "callee hung up";
	else
		call->cause = event->cause;
}

void bye_accept(struct call *call, const struct call_event *event)
{
	char text[256];
	struct writer extra;

	note_cause(call, event);
	call->leg[event->side].gone = true;
	writer_init(&extra, text, sizeof(text));
	hide_product(call->shard->config, false, &extra);
	session_id_write(&call->leg[event->side], &extra);
	transaction_reply(event->transaction, 200, nothing, extra.overflow ? nothing : writer_result(&extra));
}

/* For the caller, who must not get a BYE before his ACK: it is told then. */
static void keep_reason(struct call *call, const struct call_event *event)
{
	char text[CALL_REASON_MAX];
	struct span reason;
	struct writer out;

	writer_init(&out, text, sizeof(text));
	reason = call_reason(event, &out);
	if (reason.n && !call->reason)
		call->reason = span_dup(reason);
}

static void hang_up(struct call *call, const struct call_event *event, unsigned sides)
{
	char text[CALL_REASON_MAX];
	struct writer out;
	struct span reason;

	note_cause(call, event);
	writer_init(&out, text, sizeof(text));
	reason = call->reason ? span_from(call->reason) : call_reason(event, &out);
	if (call->transfer) {
		transfer_outlive(call);
		transfer_abort(call);
	}
	exchange_abort(call);
	for (unsigned side = 0; side < LEGS; side++)
		request_relay_abort(&call->leg[side]);
	timer_cancel(&call->timer);
	for (unsigned side = 0; side < LEGS; side++)
		if (sides & 1u << side)
			bye_send(&call->leg[side], reason);
}

void bye_done(struct call *call, const struct call_event *event)
{
	(void)event;
	if (!call->leg[LEG_CALLER].client_bye && !call->leg[LEG_CALLED].client_bye)
		call->state = CALL_OVER;
}

static void until_done(struct call *call)
{
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE });
}

void bye_relay(struct call *call, const struct call_event *event)
{
	if (call->transfer && transfer_keeps(call, event))
		return;
	bye_accept(call, event);
	hang_up(call, event, 1u << (1 - event->side));
	until_done(call);
}

void bye_both(struct call *call, const struct call_event *event)
{
	hang_up(call, event, 3);
	until_done(call);
}

void bye_callee(struct call *call, const struct call_event *event)
{
	keep_reason(call, event);
	hang_up(call, event, 1u << LEG_CALLED);
}

/* The ACK that was waited for may still owe the callee his. */
void bye_caller(struct call *call, const struct call_event *event)
{
	hang_up(call, event, 3);
	until_done(call);
}

/* Before the caller's ACK. He may hang up as he likes; the callee's BYE is kept from him until the ACK (RFC 3261 section 15). */
void bye_wait(struct call *call, const struct call_event *event)
{
	bye_accept(call, event);
	if (event->side == LEG_CALLER) {
		hang_up(call, event, 1u << LEG_CALLED);
		call->state = CALL_ENDING;
		until_done(call);
	} else {
		keep_reason(call, event);
	}
}

void bye_instead_of_cancel(struct call *call, const struct call_event *event)
{
	transaction_reply(event->transaction, 200, nothing, nothing);
	invite_cancel(call, event);
}
