/* SPDX-License-Identifier: BSD-3-Clause */
/* re-INVITE (RFC 3261 section 14): hold, resume, moved addresses, relayed from either side to the other with its offer and answer.
 * One at a time in a call; a crossing one gets 491. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/hide.h"
#include "platforms/base/random.h"

static const struct span no_body = { NULL, 0 };

enum exchange_event_type {
	EXCHANGE_LEASED,
	EXCHANGE_LEASE_FAILED,
	EXCHANGE_ANSWER, /* 2xx: message */
	EXCHANGE_REJECT, /* 300..699: message, status */
	EXCHANGE_FAILED, /* no final response: status */
	EXCHANGE_CANCEL,
	EXCHANGE_ACK, /* message */
	EXCHANGE_NO_ACK,
	EXCHANGE_TIMER,
	EXCHANGE_EVENT_COUNT
};

struct exchange_event {
	enum exchange_event_type type;
	unsigned status;
	const struct message *message;
};

struct exchange_transition {
	void (*action)(struct call *call, const struct exchange_event *event);
	enum exchange_state next;
};

static void send_on(struct call *call, const struct exchange_event *event);
static void refuse(struct call *call, const struct exchange_event *event);
static void cancel_waiting(struct call *call, const struct exchange_event *event);
static void take_answer(struct call *call, const struct exchange_event *event);
static void relay_answer(struct call *call, const struct exchange_event *event);
static void relay_reject(struct call *call, const struct exchange_event *event);
static void fail(struct call *call, const struct exchange_event *event);
static void cancel_on(struct call *call, const struct exchange_event *event);
static void give_up_answer(struct call *call, const struct exchange_event *event);
static void finish(struct call *call, const struct exchange_event *event);
static void lose(struct call *call, const struct exchange_event *event);

/* clang-format off */
static const struct exchange_transition transitions[EXCHANGE_STATE_COUNT][EXCHANGE_EVENT_COUNT] = {
	[EXCHANGE_LEASING] = {
		[EXCHANGE_LEASED]       = { send_on, EXCHANGE_SENT },
		[EXCHANGE_LEASE_FAILED] = { refuse, EXCHANGE_NONE },
		[EXCHANGE_CANCEL]       = { cancel_waiting, EXCHANGE_NONE },
	},
	[EXCHANGE_SENT] = {
		[EXCHANGE_ANSWER]       = { take_answer, EXCHANGE_ANSWER_LEASING },
		[EXCHANGE_REJECT]       = { relay_reject, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { fail, EXCHANGE_NONE },
		/* The other side decides whether it came in time: both must end with the same description. */
		[EXCHANGE_CANCEL]       = { cancel_on, EXCHANGE_SENT },
		[EXCHANGE_TIMER]        = { cancel_on, EXCHANGE_SENT },
	},
	[EXCHANGE_ANSWER_LEASING] = {
		[EXCHANGE_LEASED]       = { relay_answer, EXCHANGE_ANSWERED },
		[EXCHANGE_LEASE_FAILED] = { give_up_answer, EXCHANGE_NONE },
	},
	[EXCHANGE_ANSWERED] = {
		[EXCHANGE_ACK]          = { finish, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { lose, EXCHANGE_NONE },
	},
};
/* clang-format on */

static void happens(struct call *call, const struct exchange_event *event)
{
	const struct exchange_transition *transition = &transitions[call->exchange.state][event->type];

	if (!transition->action)
		return;
	call->exchange.state = transition->next;
	transition->action(call, event);
}

static struct leg *asker(struct call *call)
{
	return &call->leg[call->exchange.from];
}

static struct leg *asked(struct call *call)
{
	return &call->leg[1 - call->exchange.from];
}

/* --- what the transactions report ------------------------------------------------------------------------------------- */

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	unsigned status = message_scan(response)->status;
	/* A refusal that cannot be read is passed on by its code alone. */
	bool readable = status < 300 || message_is_parsed(response);
	struct exchange_event event = { .status = status, .message = readable ? response : NULL };

	if (status < 200)
		return;
	event.type = status < 300 ? EXCHANGE_ANSWER : EXCHANGE_REJECT;
	/* The call ended meanwhile; its 2xx is acknowledged all the same. */
	if (status < 300 && leg->call->exchange.state != EXCHANGE_SENT) {
		invite_ack(leg, transaction, message_scan(response)->to_tag, no_body);
		return;
	}
	happens(leg->call, &event);
}

static void on_response_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->client_invite = NULL;
	if (how != TRANSACTION_SHUTDOWN && how != TRANSACTION_DONE)
		happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_FAILED,
					   .status = how == TRANSACTION_TIMEOUT ? 408 : 503 });
}

static const struct transaction_events asked_events = { .response = on_response, .ended = on_response_ended };

static void on_cancelled(void *arg, struct transaction *transaction, const struct message *cancel)
{
	struct leg *leg = arg;

	(void)transaction;
	happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_CANCEL, .message = cancel });
}

static void on_acked(void *arg, struct transaction *transaction, const struct message *ack)
{
	struct leg *leg = arg;

	(void)transaction;
	happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_ACK, .message = ack });
}

static void on_request_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->server_invite = NULL;
	if (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR)
		happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_NO_ACK });
}

static const struct transaction_events asker_events = { NULL, on_cancelled, on_acked, on_request_ended };

/* --- the way in ---------------------------------------------------------------------------------------------------------- */

/* 0, or the status that RFC 3261 section 14.2 has for a re-INVITE that comes too early. */
static unsigned admit(const struct call *call, const struct leg *leg, const struct message *invite)
{
	if (call->state != CALL_ESTABLISHED)
		return call->state < CALL_ESTABLISHED ? 491 : 481;
	if (call->exchange.state != EXCHANGE_NONE)
		return call->exchange.from == leg->side ? 500 : 491;
	if (message_body(invite).n && call_sdp(invite).n == 0)
		return 415;
	return 0;
}

static void refuse_early(struct transaction *transaction, unsigned status)
{
	char text[128];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	if (status == 500) {
		writer_text(&extra, "Retry-After: ");
		writer_uint(&extra, random_u64() % 10);
		writer_text(&extra, "\r\n");
	}
	if (status == 415)
		writer_text(&extra, "Accept: application/sdp\r\n");
	transaction_reply(transaction, status, no_body, writer_result(&extra));
}

static unsigned offer_status(int error)
{
	return error == -EINVAL                                  ? 400
	       : error == -EMSGSIZE || error == -EPROTONOSUPPORT ? 488
	       : error == -EBUSY                                 ? 491
								 : 503;
}

void exchange_received(struct leg *leg, struct transaction *transaction, const struct message *invite)
{
	struct call *call = leg->call;
	unsigned status = admit(call, leg, invite);
	struct exchange_event event = { .type = EXCHANGE_LEASED };
	int result = 0;

	if (status) {
		refuse_early(transaction, status);
		return;
	}
	/* The last one on this leg is over for us, though its transaction may still absorb repetitions. */
	if (leg->server_invite)
		transaction_detach(leg->server_invite);
	leg->server_invite = transaction;
	transaction_attach(transaction, &asker_events, leg);
	transaction_reply(transaction, 100, no_body, no_body);
	call->exchange.from = leg->side;
	call->exchange.state = EXCHANGE_LEASING;
	call->exchange.offerless = call_sdp(invite).n == 0;
	if (leg_refresh_target(leg, invite))
		log_debug("call", "unusable Contact in re-INVITE", LOG_UINT("call", call->id));
	media_set_party(
		call->media, leg->side, &(struct media_party){ leg->realm, leg->profile, leg->flow.remote });
	if (!call->exchange.offerless)
		result = media_offer(call->media, leg->side, call_sdp(invite));
	if (result == 1)
		return;
	if (result < 0) {
		event.type = EXCHANGE_LEASE_FAILED;
		event.status = offer_status(result);
	}
	happens(call, &event);
}

void exchange_ready(struct call *call, int status)
{
	happens(call, &(struct exchange_event){
			      .type = status ? EXCHANGE_LEASE_FAILED : EXCHANGE_LEASED, .status = 503 });
}

/* --- actions ---------------------------------------------------------------------------------------------------------------- */

static void timer_expired(struct timer *timer, void *arg)
{
	(void)timer;
	happens(arg, &(struct exchange_event){ .type = EXCHANGE_TIMER });
}

static void detach_last(struct leg *leg)
{
	if (leg->client_invite)
		transaction_detach(leg->client_invite);
	leg->client_invite = NULL;
}

static void send_on(struct call *call, const struct exchange_event *event)
{
	const struct message *invite = transaction_message(asker(call)->server_invite);
	struct leg *leg = asked(call);
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error = 0, hops = message_scan(invite)->max_forwards;

	(void)event;
	detach_last(leg);
	writer_init(&body, text, sizeof(text));
	if (!call->exchange.offerless)
		error = media_write(call->media, leg->side, call_sdp(invite), &body);
	if (!error)
		error = invite_request(leg, invite,
			hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0), writer_result(&body),
			&asked_events);
	if (error)
		happens(call, &(struct exchange_event){ .type = EXCHANGE_REJECT, .status = 500 });
	else
		timer_arm(call->shard->timers, &call->exchange.timer, call->shard->config->sip.timer_c_ms,
			timer_expired, call);
}

static int answer_asker(struct call *call, unsigned status, const struct message *from, struct span body)
{
	struct leg *leg = asker(call);

	timer_cancel(&call->exchange.timer);
	return invite_respond(leg, status, leg->local_tag, from, body);
}

static void refuse(struct call *call, const struct exchange_event *event)
{
	answer_asker(call, event->status, NULL, no_body);
}

static void cancel_waiting(struct call *call, const struct exchange_event *event)
{
	(void)event;
	media_reject(call->media);
	answer_asker(call, 487, NULL, no_body);
}

static void cancel_on(struct call *call, const struct exchange_event *event)
{
	(void)event;
	if (asked(call)->client_invite)
		transaction_cancel(asked(call)->client_invite, no_body);
}

/* RFC 3261 section 12.2.1.2: 481 and 408 end the dialog, other refusals leave it as it was. */
static void relay_reject(struct call *call, const struct exchange_event *event)
{
	media_reject(call->media);
	answer_asker(call, hide_status(event->status), event->message, no_body);
	if (event->status == 481)
		asked(call)->gone = true;
	if (event->status == 481 || event->status == 408)
		call_breaks(call, "the other side has no such dialog");
}

static void fail(struct call *call, const struct exchange_event *event)
{
	media_reject(call->media);
	answer_asker(call, event->status, NULL, no_body);
	call_breaks(call, "no response to a re-INVITE");
}

static void take_answer(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = asked(call);
	struct span sdp = call_sdp(event->message);
	struct exchange_event next = { .type = EXCHANGE_LEASED, .status = 500, .message = event->message };
	int result;

	timer_cancel(&call->exchange.timer);
	leg_refresh_target(leg, event->message);
	if (!message_is_parsed(event->message)) {
		call->ack_due = true;
		result = -EINVAL;
	} else if (call->exchange.offerless) {
		call->ack_due = true;
		call_put_aside(call, sdp);
		result = call->offer ? media_offer(call->media, leg->side, sdp) : -ENOMEM;
		if (result == 1)
			return;
	} else {
		invite_ack(leg, leg->client_invite, message_scan(event->message)->to_tag, no_body);
		result = media_answer(call->media, leg->side, sdp, true);
	}
	if (result)
		next.type = EXCHANGE_LEASE_FAILED;
	happens(call, &next);
}

static void relay_answer(struct call *call, const struct exchange_event *event)
{
	struct span sdp =
		event->message ? call_sdp(event->message) : (struct span){ call->offer, call->offer_length };
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	writer_init(&body, text, sizeof(text));
	if (media_write(call->media, asker(call)->side, sdp, &body))
		body.len = 0;
	/* The other side speaks by the new description already, the asker never will. */
	if (answer_asker(call, 200, event->message, writer_result(&body)))
		call_breaks(call, "answer to a re-INVITE cannot be sent");
}

/* The asked side has changed its mind already; there is no common description any more. */
static void give_up_answer(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = asked(call);

	if (call->ack_due && leg->client_invite)
		invite_ack(leg, leg->client_invite, span_from(leg->remote_tag), no_body);
	call->ack_due = false;
	media_reject(call->media);
	answer_asker(call, event->status ? event->status : 500, NULL, no_body);
	call_breaks(call, "unusable description in a re-INVITE");
}

static void finish(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = asked(call);
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	bool failed = false;

	free(call->offer);
	call->offer = NULL;
	if (call->ack_due) {
		struct span sdp = call_sdp(event->message);

		writer_init(&body, text, sizeof(text));
		failed = !leg->client_invite || media_answer(call->media, call->exchange.from, sdp, true) ||
			 media_write(call->media, leg->side, sdp, &body);
		call->ack_due = false;
		if (leg->client_invite)
			invite_ack(leg, leg->client_invite, span_from(leg->remote_tag),
				failed ? no_body : writer_result(&body));
	}
	if (failed)
		call_breaks(call, "no usable answer in the ACK");
	else
		call_store(call);
}

static void lose(struct call *call, const struct exchange_event *event)
{
	(void)event;
	call_breaks(call, "no ACK for a re-INVITE");
}

/* RFC 3261 section 15.1.2: what is still pending gets 487. The other side's final response is still acknowledged (on_response). */
void exchange_abort(struct call *call)
{
	enum exchange_state state = call->exchange.state;
	struct leg *leg = asked(call);

	if (state == EXCHANGE_NONE)
		return;
	call->exchange.state = EXCHANGE_NONE;
	timer_cancel(&call->exchange.timer);
	media_reject(call->media);
	if (call->ack_due && leg->client_invite)
		invite_ack(leg, leg->client_invite, span_from(leg->remote_tag), no_body);
	call->ack_due = false;
	if (state != EXCHANGE_ANSWERED)
		invite_respond(asker(call), 487, asker(call)->local_tag, NULL, no_body);
}

bool exchange_is_under_way(const struct call *call)
{
	return call->exchange.state != EXCHANGE_NONE;
}

void exchange_received_prack(struct leg *leg, struct transaction *transaction, const struct message *prack)
{
	(void)leg;
	(void)prack;
	refuse_early(transaction, 488);
}

int exchange_refresh(
	struct leg *leg, void (*done)(struct leg *leg, unsigned status, const struct message *response))
{
	(void)leg;
	(void)done;
	return -EBUSY;
}

int exchange_reoffer(struct call *call, unsigned side)
{
	(void)call;
	(void)side;
	return -EBUSY;
}
