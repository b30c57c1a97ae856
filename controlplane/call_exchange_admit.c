/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers within a call on their way in: which come at a time when they may (RFC 3261 section 14.2, RFC 3311 section 5.2), which are
 * answered here, and what each begins. */
#include <errno.h>

#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "controlplane/hide.h"
#include "platforms/base/random.h"

static const struct span no_body = { NULL, 0 };

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
	const struct leg *peer = call_peer(leg);

	if (exchange->kept.transaction)
		return exchange->kept.leg == leg ? 500 : 491;
	if (exchange_is_under_way(call))
		return exchange->asker == leg ? 500 : 491;
	/* The other party has gone to another call, or is about to: this one ends, its dialog goes on elsewhere. */
	if (transfer_is_moving(call) || (call->state == CALL_ESTABLISHED && peer && peer->gone))
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
	return error == -EINVAL                                                            ? 400
	       : error == -EMSGSIZE || error == -EPROTONOSUPPORT || error == -EKEYREJECTED ? 488
	       : error == -EBUSY                                                           ? 491
											   : 503;
}

struct media_party exchange_party_of(const struct leg *leg, const struct message *request)
{
	bool may_move = request && leg->profile->nat != CONFIG_NAT_NEVER;

	struct media_party party = call_party(leg);

	if (may_move)
		party.signalling = message_flow(request)->remote;
	return party;
}

void exchange_note_target(struct leg *leg, const struct message *request)
{
	struct media_party party;

	if (leg_refresh_target(leg, request))
		log_debug("call", "unusable Contact in a request of the dialog",
			LOG_UINT("call", leg->call->id));
	party = exchange_party_of(leg, NULL);
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
	transaction_attach(transaction, &exchange_asker_events, leg);
	if (method != SIP_METHOD_INVITE) {
		exchange->server = transaction;
		exchange_timer_arm(leg->call, limit_ms);
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

	exchange_note_target(leg, request);
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
	struct media_party party = exchange_party_of(leg, request);
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
