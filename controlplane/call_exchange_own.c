/* SPDX-License-Identifier: BSD-3-Clause */
/* Exchanges that nobody asked for but us: refreshes (RFC 4028), a new offer for a new peer, and what undoes an offer that was accepted too
 * late. */
#include <errno.h>
#include <string.h>

#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_rekey.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "platforms/base/random.h"

/* 491 several times over is no glare. */
enum { OWN_ATTEMPTS_MAX = 5 };

static const struct span no_body = { NULL, 0 };

/* --- glare -------------------------------------------------------------------------------------------------------------- */

uint32_t exchange_glare_delay_ms(const struct leg *leg)
{
	/* RFC 3261 section 14.1: 2.1 to 4 s for who made the Call-ID, else up to 2 s, in units of 10 ms. */
	return leg->owns_call_id ? 2100 + 10 * (uint32_t)(random_u64() % 191)
				 : 10 * (uint32_t)(random_u64() % 201);
}

static void pause_ended(struct timer *timer, void *arg)
{
	(void)timer;
	exchange_happens(arg, &(struct exchange_event){ .type = EXCHANGE_TIMER });
}

void exchange_wait(struct call *call)
{
	struct exchange *exchange = &call->exchange;

	exchange->state = EXCHANGE_PAUSED;
	timer_arm(call->shard->timers, &exchange->timer, exchange_glare_delay_ms(exchange->retry_leg),
		pause_ended, call);
}

bool exchange_pause(struct call *call, struct leg *leg, void (*retry)(struct call *call))
{
	struct exchange *exchange = &call->exchange;

	if (++exchange->attempts >= OWN_ATTEMPTS_MAX)
		return false;
	exchange->retry = retry;
	exchange->retry_leg = leg;
	exchange_wait(call);
	return true;
}

void exchange_own_again(struct call *call, const struct exchange_event *event)
{
	void (*retry)(struct call *) = call->exchange.retry;

	(void)event;
	call->exchange.retry = NULL;
	if (retry)
		retry(call);
}

/* --- refresh ------------------------------------------------------------------------------------------------------------ */

static void tell(struct leg *leg,
	void (*done)(struct leg *leg, unsigned status, const struct message *response), unsigned status,
	const struct message *response)
{
	if (status < 300)
		leg_refresh_target(leg, response);
	done(leg, status, response);
}

static void on_refresh_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	unsigned status = message_scan(response)->status, side = leg->side;

	if (status < 200)
		return;
	transaction_detach(transaction);
	leg->call->exchange.refresh[side].client = NULL;
	/* Said in Allow, and yet not known: the other way from now on. */
	if (status == 405 || status == 501)
		leg->peer_methods &= ~(1U << SIP_METHOD_UPDATE);
	tell(leg, leg->call->exchange.refresh[side].done, status, response);
}

static void on_refresh_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->call->exchange.refresh[leg->side].client = NULL;
	if (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR)
		tell(leg, leg->call->exchange.refresh[leg->side].done, how == TRANSACTION_TIMEOUT ? 408 : 503,
			NULL);
}

static const struct transaction_events refresh_events = { .response = on_refresh_response,
	.ended = on_refresh_ended };

/* Our own request; the exchange is closed again if it cannot be sent. */
static int ask(struct call *call, struct leg *leg, enum sip_method method, struct span body,
	enum exchange_state state)
{
	struct exchange *exchange = &call->exchange;
	int error = exchange_send(leg, method, NULL, body);

	if (error) {
		exchange_over(call);
		return error;
	}
	exchange->state = state;
	exchange->asker = NULL;
	exchange->asked = leg;
	exchange->asker_method = SIP_METHOD_UNKNOWN;
	exchange->asked_method = method;
	return 0;
}

int exchange_refresh(
	struct leg *leg, void (*done)(struct leg *leg, unsigned status, const struct message *response))
{
	struct call *call = leg->call;
	struct exchange *exchange = &call->exchange;
	struct span body = media_written(call->media, leg->side);

	if (call->state != CALL_ESTABLISHED || exchange->refresh[leg->side].client ||
		transfer_is_moving(call))
		return -EBUSY;
	if (leg_peer_allows(leg, SIP_METHOD_UPDATE)) {
		exchange->refresh[leg->side].done = done;
		return exchange_send_refresh(leg, &refresh_events, &exchange->refresh[leg->side].client);
	}
	if (exchange_is_under_way(call) || exchange->retry || media_offer_is_pending(call->media))
		return -EBUSY;
	exchange->done = done;
	return ask(call, leg, SIP_METHOD_INVITE, body, EXCHANGE_OWN);
}

int exchange_rekey(struct leg *leg, unsigned stream)
{
	struct call *call = leg->call;
	enum sip_method method =
		leg_peer_allows(leg, SIP_METHOD_UPDATE) ? SIP_METHOD_UPDATE : SIP_METHOD_INVITE;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error;

	if (exchange_is_under_way(call) || call->exchange.retry || media_offer_is_pending(call->media) ||
		transfer_is_moving(call))
		return -EBUSY;
	writer_init(&body, text, sizeof(text));
	error = media_rekey(call->media, leg->side, stream, &body);
	if (error)
		return error;
	call->exchange.done = rekey_done;
	error = ask(call, leg, method, writer_result(&body), EXCHANGE_OWN);
	explicit_bzero(text, body.len);
	return error;
}

void exchange_own_answered(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asked;
	void (*done)(struct leg *, unsigned, const struct message *) = exchange->done;
	struct span body = call_sdp(event->message);
	int error = done == rekey_done ? rekey_answered(call, leg, body) : 0;
	bool changed = error == 0 && body.n && !media_is_known(call->media, leg->side, body);

	if (exchange->asked_method == SIP_METHOD_INVITE)
		exchange_ack(leg, no_body);
	exchange_over(call);
	leg_refresh_target(leg, event->message);
	if (!done)
		session_timer_take_response(leg, event->message);
	/* It may change its mind in any answer (RFC 3264 section 8): then the other side has to know. */
	if (changed)
		exchange_offered(call, leg, body);
	if (error)
		call_unsafe(call);
	else if (done)
		done(leg, message_scan(event->message)->status, event->message);
}

static void restore_again(struct call *call)
{
	exchange_restore(call, call->exchange.retry_leg);
}

void exchange_own_refused(struct call *call, const struct exchange_event *event)
{
	struct exchange *exchange = &call->exchange;
	struct leg *leg = exchange->asked;
	void (*done)(struct leg *, unsigned, const struct message *) = exchange->done;

	if (!done && event->status == 491 && exchange_pause(call, leg, restore_again))
		return;
	exchange_over(call);
	if (done)
		done(leg, event->status, event->message);
	else
		call_breaks(call, "the sides hold different descriptions");
}

/* --- undoing -------------------------------------------------------------------------------------------------------------- */

void exchange_restore(struct call *call, struct leg *leg)
{
	enum sip_method method =
		leg_peer_allows(leg, SIP_METHOD_UPDATE) ? SIP_METHOD_UPDATE : SIP_METHOD_INVITE;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error;

	writer_init(&body, text, sizeof(text));
	error = media_restate(call->media, leg->side, &body);
	if (!error)
		error = ask(call, leg, method, writer_result(&body), EXCHANGE_OWN);
	call->exchange.done = NULL;
	if (error)
		call_breaks(call, "the sides hold different descriptions");
}
