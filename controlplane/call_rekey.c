/* SPDX-License-Identifier: BSD-3-Clause */
/* One side's key is renewed: re-INVITE or UPDATE to it alone, tried again while something else is under way. */
#include "controlplane/call_rekey.h"

#include <errno.h>

#include "controlplane/call_exchange.h"
#include "platforms/base/clock.h"

enum {
	ATTEMPTS_MAX = 8, /* some 20 s: a tenth of the key is left for it */
	SETTLE_MS = 1000, /* while the call is not established */
	INTERVAL_MS = 10000, /* keys that end sooner would have us speak of nothing else */
};

static const char used_up[] = "a key of SRTP is used up";

static void give_up(struct call *call)
{
	call->rekey.attempts = 0;
	log_warning("call", used_up, LOG_UINT("call", call->id), LOG_UINT("side", call->rekey.side));
	call_breaks(call, used_up);
}

static void attempt(struct call *call);

static void again(struct timer *timer, void *arg)
{
	(void)timer;
	attempt(arg);
}

static void wait(struct call *call, uint64_t delay_ms)
{
	timer_arm(call->shard->timers, &call->rekey.timer, delay_ms, again, call);
}

static void attempt(struct call *call)
{
	struct leg *leg = &call->leg[call->rekey.side];
	int error;

	if (call->state > CALL_ESTABLISHED || call->state == CALL_HANGUP) {
		call->rekey.attempts = 0;
		return;
	}
	if (call->state != CALL_ESTABLISHED) {
		wait(call, SETTLE_MS);
		return;
	}
	if (call->rekey.attempts++ == ATTEMPTS_MAX) {
		give_up(call);
		return;
	}
	error = exchange_rekey(leg, call->rekey.stream);
	if (error == -EBUSY)
		wait(call, exchange_glare_delay_ms(leg) + 1);
	else if (error)
		give_up(call);
}

void rekey_needed(struct call *call, unsigned side, unsigned stream)
{
	uint64_t now = clock_now_ms();

	if (side >= LEGS || call->rekey.attempts || timer_is_armed(&call->rekey.timer))
		return;
	call->rekey.side = side;
	call->rekey.stream = stream;
	if (call->rekey.last_ms && now - call->rekey.last_ms < INTERVAL_MS) {
		give_up(call);
		return;
	}
	call->rekey.last_ms = now;
	shard_count(call->shard, SRTP_REKEYS);
	attempt(call);
}

int rekey_answered(struct call *call, struct leg *leg, struct span body)
{
	return media_rekeyed(call->media, leg->side, body);
}

void rekey_done(struct leg *leg, unsigned status, const struct message *response)
{
	struct call *call = leg->call;

	(void)response;
	if (status == 405 || status == 501)
		leg->peer_methods &= ~(1U << SIP_METHOD_UPDATE);
	if (status < 300)
		call->rekey.attempts = 0;
	else if (status == 491 || status == 405 || status == 501)
		wait(call, exchange_glare_delay_ms(leg) + 1);
	else
		give_up(call);
}
