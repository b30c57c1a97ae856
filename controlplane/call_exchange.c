/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers after the first one (RFC 3264, RFC 6337): hold, resume, other codecs, more media, fax, moved addresses, relayed from either side
 * to the other with their answers. docs/decisions/0051-exchanges-within-a-call.md has the methods. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/secret.h"

static const struct span no_body = { NULL, 0 };

struct exchange_transition {
	void (*action)(struct call *call, const struct exchange_event *event);
	enum exchange_state next;
};

static void take_answer(struct call *call, const struct exchange_event *event);
static void relay_answer(struct call *call, const struct exchange_event *event);
static void finish(struct call *call, const struct exchange_event *event);

/* clang-format off */
static const struct exchange_transition transitions[EXCHANGE_STATE_COUNT][EXCHANGE_EVENT_COUNT] = {
	[EXCHANGE_LEASING] = {
		[EXCHANGE_LEASED]       = { exchange_send_on, EXCHANGE_SENT },
		[EXCHANGE_LEASE_FAILED] = { exchange_refuse, EXCHANGE_NONE },
		[EXCHANGE_CANCEL]       = { exchange_refuse, EXCHANGE_NONE },
		[EXCHANGE_TIMER]        = { exchange_refuse, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { exchange_refuse, EXCHANGE_NONE },
	},
	[EXCHANGE_SENT] = {
		[EXCHANGE_ANSWER]       = { take_answer, EXCHANGE_ANSWER_LEASING },
		[EXCHANGE_REJECT]       = { exchange_relay_reject, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { exchange_relay_reject, EXCHANGE_NONE },
		/* The other side decides whether it came in time: both must end with the same description. */
		[EXCHANGE_CANCEL]       = { exchange_cancel_on, EXCHANGE_SENT },
		[EXCHANGE_TIMER]        = { exchange_give_up, EXCHANGE_SENT },
		[EXCHANGE_NO_ACK]       = { exchange_lose_asker, EXCHANGE_GIVEN_UP },
	},
	[EXCHANGE_ANSWER_LEASING] = {
		[EXCHANGE_LEASED]       = { relay_answer, EXCHANGE_ANSWERED },
		[EXCHANGE_LEASE_FAILED] = { exchange_give_up_answer, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { exchange_give_up_answer, EXCHANGE_NONE },
	},
	[EXCHANGE_ANSWERED] = {
		[EXCHANGE_ACK]          = { finish, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { exchange_lose, EXCHANGE_NONE },
	},
	[EXCHANGE_GIVEN_UP] = {
		[EXCHANGE_ANSWER]       = { exchange_undo, EXCHANGE_NONE },
		[EXCHANGE_REJECT]       = { exchange_forget, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { exchange_forget, EXCHANGE_NONE },
	},
	[EXCHANGE_OWN] = {
		[EXCHANGE_ANSWER]       = { exchange_own_answered, EXCHANGE_NONE },
		[EXCHANGE_REJECT]       = { exchange_own_refused, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { exchange_own_refused, EXCHANGE_NONE },
	},
	[EXCHANGE_PAUSED] = {
		[EXCHANGE_TIMER]        = { exchange_own_again, EXCHANGE_NONE },
	},
};
/* clang-format on */

void exchange_happens(struct call *call, const struct exchange_event *event)
{
	const struct exchange_transition *transition = &transitions[call->exchange.state][event->type];

	if (!transition->action)
		return;
	call->exchange.state = transition->next;
	transition->action(call, event);
}

bool exchange_is_under_way(const struct call *call)
{
	return call->exchange.state != EXCHANGE_NONE && call->exchange.state != EXCHANGE_PAUSED;
}

static void timer_expired(struct timer *timer, void *arg)
{
	(void)timer;
	exchange_happens(arg, &(struct exchange_event){ .type = EXCHANGE_TIMER, .status = 504 });
}

void exchange_timer_arm(struct call *call, uint64_t delay_ms)
{
	timer_arm(call->shard->timers, &call->exchange.timer, delay_ms, timer_expired, call);
}

void exchange_over(struct call *call)
{
	struct exchange *exchange = &call->exchange;

	timer_cancel(&exchange->timer);
	if (exchange->server)
		transaction_detach(exchange->server);
	if (exchange->client)
		transaction_detach(exchange->client);
	/* Else it is the call's first INVITE that has put one aside. */
	if (exchange->offerless || (exchange->asker && exchange->asker_method == SIP_METHOD_UNKNOWN)) {
		secret_free(call->offer);
		call->offer = NULL;
	}
	exchange->state = EXCHANGE_NONE;
	exchange->asker = exchange->asked = NULL;
	exchange->server = exchange->client = NULL;
	exchange->offerless = exchange->retargeted = exchange->answered_here = false;
	exchange->done = NULL;
	if (exchange->retry)
		exchange_wait(call);
}

void exchange_fini(struct call *call)
{
	struct exchange *exchange = &call->exchange;

	exchange->retry = NULL;
	exchange_refuse_kept(call, 487);
	exchange_over(call);
	for (unsigned side = 0; side < LEGS; side++) {
		if (exchange->refresh[side].client)
			transaction_detach(exchange->refresh[side].client);
		exchange->refresh[side].client = NULL;
	}
}

/* --- what the transactions report ------------------------------------------------------------------------------------- */

/* A 2xx that comes when the call has ended meanwhile: acknowledged all the same, with an answer that accepts nothing if it offers. */
static void acknowledge_late(struct leg *leg, struct transaction *transaction, const struct message *response)
{
	bool offers = (leg->call->exchange.offer_asked >> leg->side & 1) != 0;
	char text[CALL_MESSAGE_MAX];
	struct writer refusal;

	writer_init(&refusal, text, sizeof(text));
	invite_ack(leg, transaction, message_scan(response)->to_tag,
		offers ? invite_refusal(leg, call_sdp(response), &refusal) : no_body);
}

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	struct call *call = leg->call;
	struct exchange *exchange = &call->exchange;
	unsigned status = message_scan(response)->status;
	/* A refusal that cannot be read is passed on by its code alone. */
	bool readable = status < 300 || message_is_parsed(response);
	struct exchange_event event = { .status = status, .message = readable ? response : NULL };
	bool is_invite = message_scan(response)->cseq_method == SIP_METHOD_INVITE;

	if (status < 200) {
		if (exchange->state == EXCHANGE_SENT && exchange->asker_method == SIP_METHOD_INVITE)
			exchange_timer_arm(call, call->shard->config->sip.timer_c_ms);
		return;
	}
	event.type = status < 300 ? EXCHANGE_ANSWER : EXCHANGE_REJECT;
	if (is_invite && status < 300 &&
		(exchange->asked != leg || !transitions[exchange->state][event.type].action)) {
		acknowledge_late(leg, transaction, response);
		return;
	}
	if (!is_invite) {
		exchange->client = NULL;
		transaction_detach(transaction);
	}
	if (exchange->asked == leg)
		exchange_happens(call, &event);
}

static void on_response_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;
	struct exchange *exchange = &leg->call->exchange;

	if (leg->client_invite == transaction)
		leg->client_invite = NULL;
	if (exchange->client == transaction)
		exchange->client = NULL;
	if (exchange->asked == leg && (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR))
		exchange_happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_FAILED,
						    .status = how == TRANSACTION_TIMEOUT ? 408 : 503 });
}

const struct transaction_events exchange_asked_events = { .response = on_response,
	.ended = on_response_ended };

static void on_cancelled(void *arg, struct transaction *transaction, const struct message *cancel)
{
	struct leg *leg = arg;

	(void)transaction;
	if (leg->call->exchange.asker == leg)
		exchange_happens(
			leg->call, &(struct exchange_event){
					   .type = EXCHANGE_CANCEL, .status = 487, .message = cancel });
}

static void on_acked(void *arg, struct transaction *transaction, const struct message *ack)
{
	struct leg *leg = arg;

	(void)transaction;
	if (leg->call->exchange.asker == leg)
		exchange_happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_ACK, .message = ack });
}

static void on_request_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;
	struct exchange *exchange = &leg->call->exchange;

	if (leg->server_invite == transaction)
		leg->server_invite = NULL;
	if (exchange->server == transaction)
		exchange->server = NULL;
	if (exchange->asker == leg && (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR))
		exchange_happens(leg->call, &(struct exchange_event){ .type = EXCHANGE_NO_ACK });
}

const struct transaction_events exchange_asker_events = { NULL, on_cancelled, on_acked, on_request_ended };

void exchange_ready(struct call *call, int status)
{
	exchange_happens(
		call, &(struct exchange_event){
			      .type = status ? EXCHANGE_LEASE_FAILED : EXCHANGE_LEASED, .status = 503 });
}

/* --- actions ---------------------------------------------------------------------------------------------------------------- */

/* NULL when we are the asker. */
static const struct message *request_of(const struct call *call)
{
	const struct exchange *exchange = &call->exchange;
	const struct transaction *server = exchange->server;

	if (exchange->asker_method == SIP_METHOD_UNKNOWN)
		return NULL;
	if (exchange->asker_method == SIP_METHOD_INVITE)
		server = exchange->asker->server_invite;
	return server ? transaction_message(server) : NULL;
}

/* RFC 3311 section 5.1: UPDATE has to be answered at once, so who asked by INVITE is not answered by what must not ask anybody. */
static enum sip_method method_for(const struct call *call)
{
	const struct exchange *exchange = &call->exchange;
	bool by_update =
		exchange->asker_method == SIP_METHOD_UPDATE || exchange->asker_method == SIP_METHOD_PRACK;

	return by_update && leg_peer_allows(exchange->asked, SIP_METHOD_UPDATE) ? SIP_METHOD_UPDATE
										: SIP_METHOD_INVITE;
}

void exchange_send_on(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	const struct message *request = request_of(call);
	struct span offer = request ? call_sdp(request) : (struct span){ call->offer, call->offer_length };
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error = 0;

	(void)event;
	exchange->asked_method = method_for(call);
	writer_init(&body, text, sizeof(text));
	if (!exchange->offerless)
		error = media_write(call->media, exchange->asked->side, offer, &body);
	if (!error)
		error = exchange_send(exchange->asked, exchange->asked_method, request, writer_result(&body));
	if (error)
		exchange_happens(call, &(struct exchange_event){ .type = EXCHANGE_REJECT, .status = 500 });
	else if (!timer_is_armed(&exchange->timer))
		exchange_timer_arm(call, call->shard->config->sip.timer_c_ms);
}

int exchange_answer_asker(struct call *call, unsigned status, const struct message *from, struct span body)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asker;
	const struct message *request = request_of(call);
	struct transaction *server = exchange->server;

	timer_cancel(&exchange->timer);
	if (!request)
		return 0;
	if (status < 300 && !exchange->retargeted)
		exchange_note_target(leg, request);
	if (!server)
		return invite_respond(leg, status, leg->local_tag, from, body);
	exchange->server = NULL;
	exchange_respond(leg, server, status, from, no_body, body);
	return 0;
}

static void take_answer(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asked;
	struct span sdp = call_sdp(event->message);
	struct exchange_event next = { .type = EXCHANGE_LEASED, .status = 500, .message = event->message };
	bool is_invite = exchange->asked_method == SIP_METHOD_INVITE;
	int result;

	if (exchange->asker_method == SIP_METHOD_INVITE)
		timer_cancel(&exchange->timer);
	leg_refresh_target(leg, event->message);
	if (call->state == CALL_ESTABLISHED)
		session_timer_take_response(leg, event->message);
	if (exchange->offerless)
		call->ack_due = true;
	else if (is_invite)
		invite_ack(leg, leg->client_invite, message_scan(event->message)->to_tag, no_body);
	if (!message_is_parsed(event->message)) {
		result = -EINVAL;
	} else if (exchange->offerless) {
		call_put_aside(call, sdp);
		result = call->offer ? media_offer(call->media, leg->side, sdp) : -ENOMEM;
		if (result == 1)
			return;
	} else {
		result = media_answer(call->media, leg->side, sdp, true);
	}
	if (result)
		next.type = EXCHANGE_LEASE_FAILED;
	if (result == -EKEYREJECTED)
		next.status = 488;
	exchange_happens(call, &next);
}

static void note_early(struct call *call, struct span answer)
{
	const struct leg *leg = call->exchange.asker;
	struct call_fork *fork = call->state == CALL_PROCEEDING ? call_fork_of(leg) : NULL;
	const struct message *request = request_of(call);

	if (fork && request)
		early_agreed(fork, leg->side, call_sdp(request), answer);
}

static void relay_answer(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asker;
	struct span sdp =
		event->message ? call_sdp(event->message) : (struct span){ call->offer, call->offer_length };
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	bool waits = exchange->asker_method == SIP_METHOD_INVITE;
	/* It has offered in an answer to us: there is no message to answer that in. */
	bool unasked = exchange->asker_method == SIP_METHOD_UNKNOWN && !call->ack_due;
	int error;

	writer_init(&body, text, sizeof(text));
	if (!unasked && media_write(call->media, leg->side, sdp, &body))
		body.len = 0;
	if (exchange->asker_method == SIP_METHOD_UNKNOWN && call->ack_due)
		exchange_ack(leg, writer_result(&body));
	note_early(call, sdp);
	error = exchange_answer_asker(call, 200, event->message, writer_result(&body));
	if (!waits || error)
		exchange_over(call);
	/* The other side speaks by the new description already, the asker never will. */
	if (error)
		call_breaks(call, "answer to a re-INVITE cannot be sent");
	else if (!waits)
		call_store(call);
}

static void finish(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asked, *asker = exchange->asker;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	bool failed = false;

	if (call->ack_due) {
		struct span sdp = call_sdp(event->message);

		writer_init(&body, text, sizeof(text));
		failed = !leg->client_invite || media_answer(call->media, asker->side, sdp, true) ||
			 media_write(call->media, leg->side, sdp, &body);
		exchange_ack(leg, failed ? no_body : writer_result(&body));
	}
	exchange_over(call);
	if (failed)
		call_breaks(call, "no usable answer in the ACK");
	else {
		call_store(call);
		exchange_resume(call);
	}
}

/* RFC 3261 section 15.1.2: what is still pending gets 487. The other side's final response is still acknowledged (on_response). */
void exchange_abort(struct call *call)
{
	struct exchange *exchange = &call->exchange;
	enum exchange_state state = exchange->state;

	if (state == EXCHANGE_NONE) {
		exchange_fini(call);
		return;
	}
	exchange->retry = NULL;
	media_reject(call->media);
	if (call->ack_due && exchange->asker_method == SIP_METHOD_UNKNOWN && exchange->asker)
		exchange_ack(exchange->asker, no_body);
	else if (call->ack_due && exchange->asked)
		exchange_ack(exchange->asked, no_body);
	if (exchange->asker && state != EXCHANGE_ANSWERED)
		exchange_answer_asker(call, 487, NULL, no_body);
	exchange_fini(call);
}
