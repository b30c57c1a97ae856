/* SPDX-License-Identifier: BSD-3-Clause */
/* The attempts of a call: what each event of one leads to, and what becomes of one that is given up. */
#include "controlplane/call_attempt.h"

#include <stdlib.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt_internal.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_parallel.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "controlplane/credentials.h"
#include "controlplane/registrar.h"
#include "controlplane/location.h"
#include "controlplane/request_relay.h"

static const struct span nothing = { NULL, 0 };

/* --- given up --------------------------------------------------------------------------------------------------------- */

struct late_leg {
	struct leg leg;
	struct late_leg *next, **link; /* of the shard */
};

static void on_late_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct late_leg *late = arg;

	if (message_scan(response)->status > 100)
		statistics_response(&late->leg, message_scan(response)->status);
	/* RFC 3261 section 9.1: it had answered before the CANCEL came. */
	if (message_scan(response)->status / 100 == 2)
		bye_fork(&late->leg, transaction, response);
}

static void on_late_end(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct late_leg *late = arg;

	(void)transaction;
	(void)how;
	*late->link = late->next;
	if (late->next)
		late->next->link = late->link;
	late->leg.client_invite = NULL;
	leg_fini(&late->leg);
	free(late);
}

void attempt_late_move(struct shard *shard, struct config_move *move)
{
	for (struct late_leg *late = shard->late; late; late = late->next)
		leg_move(&late->leg, move);
}

/* An attempt without a final response, given up for another one: it is cancelled, and hung up if it answers all the same. Its leg
 * lives until its INVITE has ended. */
void attempt_abandon(struct leg *leg, struct span reason)
{
	static const struct transaction_events events = { .response = on_late_response,
		.ended = on_late_end };
	struct shard *shard = leg->shard;
	struct late_leg *late = malloc(sizeof(*late));

	request_relay_abort(leg);
	session_timer_stop(leg);
	transaction_cancel(leg->client_invite, reason);
	if (!late)
		return;
	*late = (struct late_leg){ *leg, shard->late, &shard->late };
	if (late->next)
		late->next->link = &late->next;
	shard->late = late;
	late->leg.call = NULL;
	transaction_attach(late->leg.client_invite, &events, late);
	*leg = (struct leg){ 0 };
}

/* --- the next one ----------------------------------------------------------------------------------------------------- */

/* What every attempt is made of: NULL where the callee is a leg of another call, which nobody stands in for. */
static const struct message *source_of(const struct call *call)
{
	const struct transaction *server = call->leg[LEG_CALLER].server_invite;

	if (call->carry)
		return transfer_source(call);
	return server ? transaction_message(server) : NULL;
}

unsigned attempt_phone_leg(struct call *call, struct leg *leg, const struct binding *binding)
{
	const struct message *invite = source_of(call);
	const char *cause;

	return invite ? attempt_make_phone_leg(call, leg, binding, invite, &cause) : 500;
}

static bool to_next_media(struct call *call)
{
	const struct leg *callee = &call->leg[LEG_CALLED];
	struct media_party party = call_party(callee);
	int result = 0;

	if (call->offerless) {
		media_reject(call->media);
		media_set_party(call->media, LEG_CALLED, &party);
	} else {
		result = media_retarget(call->media, LEG_CALLED, &party);
	}
	if (result < 0)
		return false;
	call->state = CALL_LEASING;
	if (result == 0)
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_LEASED });
	return true;
}

static const char *name_of(const struct attempt_target *target)
{
	return target->agent ? target->agent->name : target->binding->token;
}

static bool begin(struct call *call, const struct attempt_target *target)
{
	struct leg *callee = &call->leg[LEG_CALLED];
	const struct message *invite = source_of(call);
	const char *cause;
	unsigned status = attempt_make_leg(call, target, span_from(target->called), invite, &cause);

	if (status == 0) {
		log_debug(
			"call", "next attempt", LOG_UINT("call", call->id), LOG_TEXT("to", name_of(target)));
		call->policy = target->policy;
		call_tag_insert(&call->tag[LEG_CALLED], callee, callee->local_tag);
		cause = "no media ports";
		if (to_next_media(call))
			return true;
		call_tag_remove(&call->tag[LEG_CALLED]);
	}
	log_debug("call", "attempt left out", LOG_UINT("call", call->id), LOG_TEXT("to", name_of(target)),
		LOG_TEXT("cause", cause));
	attempt_leg_reset(call);
	return false;
}

/* `call->leg[LEG_CALLED]` is empty afterwards. */
static void let_go(struct call *call, const struct call_event *event)
{
	struct leg *callee = &call->leg[LEG_CALLED];

	timer_cancel(&call->timer);
	timer_cancel(&call->attempts->timer);
	exchange_abort(call);
	call_forks_stale(call);
	call_tag_remove(&call->tag[LEG_CALLED]);
	if (callee->client_invite && event->type != CALL_EVENT_REJECT)
		attempt_abandon(callee, SPAN("SIP;cause=408"));
	attempt_leg_reset(call);
}

void attempt_taken(struct call *call)
{
	struct leg *callee = &call->leg[LEG_CALLED];

	timer_cancel(&call->timer);
	parallel_end(call, SPAN("SIP;cause=200"));
	call_forks_free(call, true);
	call_tag_remove(&call->tag[LEG_CALLED]);
	if (callee->client_invite)
		attempt_abandon(callee, SPAN("SIP;cause=200"));
	attempt_leg_reset(call);
	attempt_fini(call);
}

/* --- what an event leads to ------------------------------------------------------------------------------------------- */

/* The same INVITE to the same callee once more: with credentials, or another session interval. */
static bool again(struct call *call, const struct call_event *event)
{
	struct leg *callee = &call->leg[LEG_CALLED];

	/* An early dialog has taken over parts of the leg. */
	if (callee->remote_tag || event->type != CALL_EVENT_REJECT || !message_is_parsed(event->message))
		return false;
	if (!credentials_take(callee, event->message) &&
		!(event->status == 422 && session_timer_retry(callee, event->message)))
		return false;
	timer_cancel(&call->timer);
	transaction_detach(callee->client_invite);
	callee->client_invite = NULL;
	call->state = CALL_LEASING;
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_LEASED });
	return true;
}

/* A challenge to credentials of ours is nothing that the caller could answer. */
static bool is_ours_to_answer(const struct call *call, const struct call_event *event)
{
	const struct config_session_agent *agent = call->leg[LEG_CALLED].agent;

	return (event->status == 401 || event->status == 407) && agent && agent->username &&
	       agent->username[0];
}

/* Nothing comes back on a phone's flow, or nothing can be sent there. */
static bool is_phone_lost(struct call *call, const struct call_event *event)
{
	const struct call_attempts *attempts = call->attempts;

	if (!attempts || attempts->at >= attempts->count || !attempts->target[attempts->at].binding ||
		event->type != CALL_EVENT_FAILED || event->side != LEG_CALLED || event->message)
		return false;
	registrar_unreachable(call->shard, attempts->target[attempts->at].binding);
	return true;
}

static bool has_branches(const struct call *call)
{
	return call->attempts && call->attempts->branches;
}

void attempt_cancel(struct call *call)
{
	parallel_end(call, nothing);
}

bool attempt_next(struct call *call, const struct call_event *event)
{
	static const struct call_event refused = { .type = CALL_EVENT_REJECT,
		.side = LEG_CALLED,
		.status = 403,
		.cause = "session-agent refuses our credentials" };
	struct call_event lost;
	bool redirected = false;
	struct call_attempts *attempts;
	unsigned next;

	if (event->side == LEG_CALLED && again(call, event))
		return true;
	if ((event->side != LEG_CALLED && event->type != CALL_EVENT_TIMER) || !source_of(call) ||
		(call->media_fork && !has_branches(call)))
		return false;
	/* Nobody is to ring any longer. */
	if (event->type == CALL_EVENT_TIMER || event->status >= 600)
		parallel_end(call, nothing);
	if (event->type == CALL_EVENT_REJECT && event->status < 400 && !has_branches(call)) {
		if (call->attempts && call->attempts->asked > call->attempts->at)
			call->attempts->at = call->attempts->asked;
		/* A transfer has no caller who could follow it himself. */
		if (call->leg[LEG_CALLED].profile->redirect == CONFIG_REDIRECT_RELAY)
			return !call->carry && redirect_relay(call, event->message);
		redirected = redirect_take(call, event->message) > 0;
	}
	if (is_ours_to_answer(call, event) && attempt_list(call))
		event = &refused;
	if (is_phone_lost(call, event)) {
		lost = *event;
		lost.status = 480;
		event = &lost;
	}
	attempts = call->attempts;
	if (!attempts)
		return false;
	if (!redirected)
		attempt_remember(call, event);
	if (has_branches(call)) {
		let_go(call, event);
		return parallel_go_on(call);
	}
	next = redirected ? attempts->at + 1 : attempt_following(attempts, event);
	if (!next)
		return attempt_answer_best(call);
	let_go(call, event);
	for (attempts->at = next; attempts->at < attempts->count; attempts->at++)
		if (begin(call, &attempts->target[attempts->at]))
			return true;
	return attempt_answer_best(call);
}

bool attempt_diversion(const struct call *call, unsigned back, struct span *from, struct span *to)
{
	const struct call_attempts *attempts = call->attempts;
	const struct attempt_target *target;

	if (!attempts || attempts->at >= attempts->count)
		return false;
	target = &attempts->target[attempts->at];
	while (target->diverted && back-- > 0)
		target = &attempts->target[target->parent];
	if (!target->diverted)
		return false;
	*from = span_from(attempts->target[target->parent].called);
	*to = span_from(target->called);
	return true;
}

static void on_silence(struct timer *timer, void *arg)
{
	struct call *call = arg;
	struct call_attempts *attempts = call->attempts;

	(void)timer;
	if (call->state != CALL_PROCEEDING)
		return;
	for (unsigned i = attempts->at + 1; i < attempts->count; i++)
		if (!attempts->target[i].agent || !agent_is_down(call->shard, attempts->target[i].agent)) {
			call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
						   .side = LEG_CALLED,
						   .status = 408,
						   .cause = "no response" });
			return;
		}
}

void attempt_sent(struct call *call)
{
	struct call_attempts *attempts = call->attempts;
	const struct config_session_group *group;

	if (!attempts)
		return;
	if (attempts->asked < attempts->at)
		attempts->asked = attempts->at;
	parallel_begin(call);
	if (attempts->at + 1 >= attempts->count)
		return;
	if (attempt_is_alternate(attempts, attempts->at + 1)) {
		timer_arm(call->shard->timers, &attempts->timer, call->shard->config->sip.address_timeout_ms,
			on_silence, call);
		return;
	}
	group = attempts->target[attempts->at + 1].group;
	if (group && attempt_retries_on(group, 408))
		timer_arm(call->shard->timers, &attempts->timer, group->attempt_timeout_ms, on_silence, call);
}

void attempt_heard(struct call *call)
{
	if (call->attempts)
		timer_cancel(&call->attempts->timer);
}

void attempt_fini(struct call *call)
{
	if (!call->attempts)
		return;
	timer_cancel(&call->attempts->timer);
	parallel_end(call,
		call->callee_answered ? SPAN("SIP;cause=200;text=\"Call completed elsewhere\"") : nothing);
	for (unsigned i = 0; i < call->attempts->count; i++)
		binding_put(call->attempts->target[i].binding);
	free(call->attempts->target);
	free(call->attempts->text);
	free(call->attempts);
	call->attempts = NULL;
}
