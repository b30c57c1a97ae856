/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers after the first one (RFC 3264, RFC 6337): hold, resume, other codecs, more media, fax, moved addresses, relayed from either side
 * to the other with their answers. docs/decisions/0051-exchanges-within-a-call.md has the methods. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/credentials.h"
#include "controlplane/call_transfer.h"
#include "controlplane/hide.h"
#include "platforms/base/random.h"

static const struct span no_body = { NULL, 0 };

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
static void give_up(struct call *call, const struct exchange_event *event);
static void give_up_answer(struct call *call, const struct exchange_event *event);
static void lose_asker(struct call *call, const struct exchange_event *event);
static void finish(struct call *call, const struct exchange_event *event);
static void lose(struct call *call, const struct exchange_event *event);
static void undo(struct call *call, const struct exchange_event *event);
static void forget(struct call *call, const struct exchange_event *event);

/* clang-format off */
static const struct exchange_transition transitions[EXCHANGE_STATE_COUNT][EXCHANGE_EVENT_COUNT] = {
	[EXCHANGE_LEASING] = {
		[EXCHANGE_LEASED]       = { send_on, EXCHANGE_SENT },
		[EXCHANGE_LEASE_FAILED] = { refuse, EXCHANGE_NONE },
		[EXCHANGE_CANCEL]       = { cancel_waiting, EXCHANGE_NONE },
		[EXCHANGE_TIMER]        = { refuse, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { refuse, EXCHANGE_NONE },
	},
	[EXCHANGE_SENT] = {
		[EXCHANGE_ANSWER]       = { take_answer, EXCHANGE_ANSWER_LEASING },
		[EXCHANGE_REJECT]       = { relay_reject, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { fail, EXCHANGE_NONE },
		/* The other side decides whether it came in time: both must end with the same description. */
		[EXCHANGE_CANCEL]       = { cancel_on, EXCHANGE_SENT },
		[EXCHANGE_TIMER]        = { give_up, EXCHANGE_SENT },
		[EXCHANGE_NO_ACK]       = { lose_asker, EXCHANGE_GIVEN_UP },
	},
	[EXCHANGE_ANSWER_LEASING] = {
		[EXCHANGE_LEASED]       = { relay_answer, EXCHANGE_ANSWERED },
		[EXCHANGE_LEASE_FAILED] = { give_up_answer, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { give_up_answer, EXCHANGE_NONE },
	},
	[EXCHANGE_ANSWERED] = {
		[EXCHANGE_ACK]          = { finish, EXCHANGE_NONE },
		[EXCHANGE_NO_ACK]       = { lose, EXCHANGE_NONE },
	},
	[EXCHANGE_GIVEN_UP] = {
		[EXCHANGE_ANSWER]       = { undo, EXCHANGE_NONE },
		[EXCHANGE_REJECT]       = { forget, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { forget, EXCHANGE_NONE },
	},
	[EXCHANGE_OWN] = {
		[EXCHANGE_ANSWER]       = { exchange_own_answered, EXCHANGE_NONE },
		[EXCHANGE_REJECT]       = { exchange_own_refused, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { exchange_own_refused, EXCHANGE_NONE },
	},
	[EXCHANGE_ASKING] = {
		[EXCHANGE_ANSWER]       = { exchange_offer_taken, EXCHANGE_NONE },
		[EXCHANGE_REJECT]       = { exchange_offer_refused, EXCHANGE_NONE },
		[EXCHANGE_FAILED]       = { exchange_offer_refused, EXCHANGE_NONE },
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
		free(call->offer);
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
			timer_arm(call->shard->timers, &exchange->timer, call->shard->config->sip.timer_c_ms,
				timer_expired, call);
		return;
	}
	event.type = status < 300 ? EXCHANGE_ANSWER : EXCHANGE_REJECT;
	/* The call ended meanwhile; its 2xx is acknowledged all the same. */
	if (is_invite && status < 300 &&
		(exchange->asked != leg || !transitions[exchange->state][event.type].action)) {
		invite_ack(leg, transaction, message_scan(response)->to_tag, no_body);
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

static const struct transaction_events asker_events = { NULL, on_cancelled, on_acked, on_request_ended };

/* --- the way in ---------------------------------------------------------------------------------------------------------- */

static enum hide_kind kind_of(enum sip_method method)
{
	switch (method) {
	case SIP_METHOD_UPDATE:
		return HIDE_UPDATE;
	case SIP_METHOD_PRACK:
		return HIDE_PRACK;
	default:
		return HIDE_REINVITE;
	}
}

static unsigned body_status(const struct leg *leg, const struct message *request)
{
	const struct leg *peer = call_peer(leg);
	struct span encoding;
	unsigned status;

	if (message_body(request).n == 0)
		return 0;
	status = peer ? hide_body_status(request, kind_of(message_scan(request)->method), peer) : 0;
	if (status)
		return status;
	if (call_sdp(request).n == 0)
		return 415;
	if (message_header(request, SPAN("Content-Encoding"), 0, &encoding) &&
		!span_equal_case(encoding, SPAN("identity")))
		return 415;
	return 0;
}

/* RFC 3311 section 5.2 for an early dialog: 491 while our offer is unanswered there, 500 while the peer's is; 504 when the other side
 * cannot be asked before the call is answered. */
static unsigned admit_early(const struct call *call, struct leg *leg)
{
	struct call_fork *fork = call_fork_of(leg);
	const struct leg *peer = call_peer(leg);
	bool is_caller = leg->side == LEG_CALLER, own, other;

	own = fork && (is_caller ? fork->settled : fork->answered);
	other = fork && (is_caller ? fork->answered : fork->settled && !prack_is_pending(fork));
	if (!own)
		return is_caller != call->offerless ? 500 : 491;
	if (!other || !peer || !leg_peer_allows(peer, SIP_METHOD_UPDATE))
		return 504;
	if (early_commit(fork))
		return is_caller ? 500 : 491;
	return media_offer_is_pending(call->media) ? 491 : 0;
}

/* 0, or the status that RFC 3261 section 14.2 and RFC 3311 section 5.2 have for an offer that comes at the wrong time. */
static unsigned admit(const struct call *call, struct leg *leg, enum sip_method method)
{
	const struct exchange *exchange = &call->exchange;

	if (exchange->kept.transaction)
		return exchange->kept.leg == leg ? 500 : 491;
	if (exchange_is_under_way(call))
		return exchange->asker == leg ? 500 : 491;
	if (transfer_is_moving(call))
		return 491;
	if (call->state == CALL_ESTABLISHED)
		return media_offer_is_pending(call->media) ? 491 : 0;
	if (call->state == CALL_PROCEEDING && method != SIP_METHOD_INVITE)
		return admit_early(call, leg);
	return leg->side == LEG_CALLER && method != SIP_METHOD_INVITE ? 500 : 491;
}

static void refuse_request(struct leg *leg, struct transaction *transaction, unsigned status)
{
	char text[512];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	if (status == 500) {
		writer_text(&extra, "Retry-After: ");
		writer_uint(&extra, random_u64() % 10);
		writer_text(&extra, "\r\n");
	}
	session_timer_write_refusal(leg, status, &extra);
	if (status == 415)
		writer_text(&extra, "Accept: application/sdp\r\nAccept-Encoding: identity\r\n");
	hide_product(leg->shard->config, false, &extra);
	transaction_reply(transaction, status, span_from(leg->local_tag),
		extra.overflow ? no_body : writer_result(&extra));
}

static unsigned offer_status(int error)
{
	return error == -EINVAL                                  ? 400
	       : error == -EMSGSIZE || error == -EPROTONOSUPPORT ? 488
	       : error == -EBUSY                                 ? 491
								 : 503;
}

/* Its media may come from where this request comes from. */
static struct media_party party_of(const struct leg *leg, const struct message *request)
{
	bool may_move = request && leg->profile->nat != CONFIG_NAT_NEVER;

	return (struct media_party){ leg->realm, leg->profile,
		may_move ? message_flow(request)->remote : leg->flow.remote };
}

static void note_target(struct leg *leg, const struct message *request)
{
	struct media_party party;

	if (leg_refresh_target(leg, request))
		log_debug("call", "unusable Contact in a request of the dialog",
			LOG_UINT("call", leg->call->id));
	party = party_of(leg, NULL);
	if (&leg->call->leg[leg->side] == leg)
		media_moved(leg->call->media, leg->side, &party);
}

uint64_t exchange_update_limit_ms(const struct shard *shard)
{
	return shard->config->sip.timer_b_ms / 8 * 7;
}

static void take_over(
	struct leg *leg, struct transaction *transaction, enum sip_method method, uint64_t limit_ms)
{
	struct exchange *exchange = &leg->call->exchange;

	exchange->asker = leg;
	exchange->asked = call_peer(leg);
	exchange->asker_method = method;
	exchange->retargeted = exchange->answered_here = exchange->offerless = false;
	timer_cancel(&exchange->timer);
	transaction_attach(transaction, &asker_events, leg);
	if (method != SIP_METHOD_INVITE) {
		exchange->server = transaction;
		timer_arm(leg->shard->timers, &exchange->timer, limit_ms, timer_expired, leg->call);
		return;
	}
	/* The last one on this leg is over for us, though its transaction may still absorb repetitions. */
	if (leg->server_invite)
		transaction_detach(leg->server_invite);
	leg->server_invite = transaction;
}

/* A refresh of the session (RFC 4028 section 7.4), or a new target: nothing for the other side. */
static void answer_here(struct leg *leg, struct transaction *transaction, const struct message *request)
{
	struct call *call = leg->call;
	struct span body = call_sdp(request).n ? media_written(call->media, leg->side) : no_body;

	note_target(leg, request);
	if (message_scan(request)->method == SIP_METHOD_UPDATE) {
		if (call->exchange.asker == leg)
			call->exchange.retargeted = true;
		exchange_respond(leg, transaction, 200, NULL, no_body, body);
		return;
	}
	take_over(leg, transaction, SIP_METHOD_INVITE, 0);
	call->exchange.answered_here = true;
	call->exchange.state = EXCHANGE_ANSWERED;
	invite_respond(leg, 200, leg->local_tag, NULL, body);
}

static void begin(
	struct leg *leg, struct transaction *transaction, const struct message *request, uint64_t limit_ms)
{
	struct call *call = leg->call;
	struct exchange_event event = { .type = EXCHANGE_LEASED };
	struct media_party party = party_of(leg, request);
	int result = 0;

	take_over(leg, transaction, message_scan(request)->method, limit_ms);
	call->exchange.offerless = call_sdp(request).n == 0;
	call->exchange.state = EXCHANGE_LEASING;
	media_set_party(call->media, leg->side, &party);
	if (!call->exchange.offerless)
		result = media_offer(call->media, leg->side, call_sdp(request));
	if (result == 1)
		return;
	if (result < 0) {
		event.type = EXCHANGE_LEASE_FAILED;
		event.status = offer_status(result);
	}
	exchange_happens(call, &event);
}

static bool is_bare(const struct message *request)
{
	return message_scan(request)->method == SIP_METHOD_UPDATE && message_body(request).n == 0;
}

void exchange_go_on(struct leg *leg, struct transaction *transaction, uint64_t limit_ms)
{
	struct call *call = leg->call;
	const struct message *request = transaction_message(transaction);
	bool bare = is_bare(request);
	unsigned status = bare ? 0 : admit(call, leg, message_scan(request)->method);

	if (!status && call->caller_answered)
		status = session_timer_take_request(leg, request);
	if (status)
		refuse_request(leg, transaction, status);
	else if (bare || (call->state == CALL_ESTABLISHED && call_sdp(request).n &&
				 media_is_known(call->media, leg->side, call_sdp(request))))
		answer_here(leg, transaction, request);
	else
		begin(leg, transaction, request, limit_ms);
}

void exchange_received(struct leg *leg, struct transaction *transaction, const struct message *request)
{
	bool is_over = leg->call->state > CALL_ESTABLISHED || leg->gone;
	unsigned status = is_over ? 481 : body_status(leg, request);

	if (status) {
		refuse_request(leg, transaction, status);
		return;
	}
	if (message_scan(request)->method == SIP_METHOD_INVITE)
		transaction_reply(transaction, 100, no_body, no_body);
	if (is_bare(request) || !exchange_keep(leg, transaction))
		exchange_go_on(leg, transaction, exchange_update_limit_ms(leg->shard));
}

void exchange_received_prack(struct leg *leg, struct transaction *transaction, const struct message *prack)
{
	unsigned status = body_status(leg, prack);

	if (!status)
		status = admit(leg->call, leg, SIP_METHOD_PRACK);
	/* Of these PRACK knows only that its offer is not acceptable (RFC 6337 section 3.1.4). */
	if (status)
		refuse_request(leg, transaction, status == 415 ? 415 : 488);
	else
		begin(leg, transaction, prack, exchange_update_limit_ms(leg->shard));
}

void exchange_ready(struct call *call, int status)
{
	exchange_happens(
		call, &(struct exchange_event){
			      .type = status ? EXCHANGE_LEASE_FAILED : EXCHANGE_LEASED, .status = 503 });
}

void exchange_offered(struct call *call, struct leg *leg, struct span body)
{
	struct exchange *exchange = &call->exchange;
	struct exchange_event event = { .type = EXCHANGE_LEASED };
	int result;

	exchange->asker = leg;
	exchange->asked = call_peer(leg);
	exchange->asker_method = SIP_METHOD_UNKNOWN;
	exchange->state = EXCHANGE_LEASING;
	call_put_aside(call, body);
	result = call->offer ? media_offer(call->media, leg->side, body) : -ENOMEM;
	if (result == 1)
		return;
	if (result < 0)
		event = (struct exchange_event){ .type = EXCHANGE_LEASE_FAILED,
			.status = offer_status(result) };
	exchange_happens(call, &event);
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

static void send_on(struct call *call, const struct exchange_event *event)
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
		timer_arm(call->shard->timers, &exchange->timer, call->shard->config->sip.timer_c_ms,
			timer_expired, call);
}

static int answer_asker(struct call *call, unsigned status, const struct message *from, struct span body)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asker;
	const struct message *request = request_of(call);
	struct transaction *server = exchange->server;

	timer_cancel(&exchange->timer);
	if (!request)
		return 0;
	if (status < 300 && !exchange->retargeted)
		note_target(leg, request);
	if (!server)
		return invite_respond(leg, status, leg->local_tag, from, body);
	exchange->server = NULL;
	exchange_respond(leg, server, status, from, no_body, body);
	return 0;
}

/* RFC 6141 section 3: as if it had never been asked. */
static void roll_back(struct call *call)
{
	struct leg *leg = call->exchange.asker;
	struct media_party party = party_of(leg, NULL);

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

static void refuse(struct call *call, const struct exchange_event *event)
{
	bool ends = ends_own(call);

	roll_back(call);
	answer_asker(call, event->status, NULL, no_body);
	exchange_over(call);
	if (ends)
		call_breaks(call, "no ports for a new offer");
}

static void cancel_waiting(struct call *call, const struct exchange_event *event)
{
	refuse(call, event);
}

static void cancel_on(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	(void)event;
	if (exchange->asked_method == SIP_METHOD_INVITE && exchange->asked->client_invite)
		transaction_cancel(exchange->asked->client_invite, no_body);
}

static void give_up(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	cancel_on(call, event);
	if (!exchange->server)
		return;
	roll_back(call);
	answer_asker(call, 504, NULL, no_body);
	exchange->state = EXCHANGE_GIVEN_UP;
}

/* Its connection is gone, and whatever the other side says cannot be told there. */
static void lose_asker(struct call *call, const struct exchange_event *event)
{
	cancel_on(call, event);
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
	send_on(call, event);
	return true;
}

static void offer_again(struct call *call)
{
	call->exchange.state = EXCHANGE_SENT;
	send_on(call, NULL);
}

static void relay_reject(struct call *call, const struct exchange_event *event)
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
	answer_asker(call, hide_status(event->status), event->message, no_body);
	exchange_over(call);
	if (ends)
		call_breaks(call, "a new offer was refused");
	else
		end_if_gone(call, leg, event->status);
}

static void fail(struct call *call, const struct exchange_event *event)
{
	relay_reject(call, event);
}

/* The asker knows nothing of it any more. */
static void undo(struct call *call, const struct exchange_event *event)
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

static void forget(struct call *call, const struct exchange_event *event)
{
	struct leg *leg = call->exchange.asked;

	exchange_over(call);
	end_if_gone(call, leg, event->status);
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
	error = answer_asker(call, 200, event->message, writer_result(&body));
	if (!waits || error)
		exchange_over(call);
	/* The other side speaks by the new description already, the asker never will. */
	if (error)
		call_breaks(call, "answer to a re-INVITE cannot be sent");
	else if (!waits)
		call_store(call);
}

/* The asked side has changed its mind already; there is no common description any more. */
static void give_up_answer(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;

	if (!ends_own(call) && call->ack_due)
		exchange_ack(exchange->asked, no_body);
	roll_back(call);
	answer_asker(call, event->status ? event->status : 500, NULL, no_body);
	exchange_over(call);
	call_breaks(call, "unusable description in a re-INVITE");
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

static void lose(struct call *call, const struct exchange_event *event)
{
	(void)event;
	exchange_over(call);
	call_breaks(call, "no ACK for a re-INVITE");
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
		answer_asker(call, 487, NULL, no_body);
	exchange_fini(call);
}
