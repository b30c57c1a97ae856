/* SPDX-License-Identifier: BSD-3-Clause */
/* The attempts of a call: whom to ask, whom next, and which of their refusals the caller gets. */
#include "controlplane/call_attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_parallel.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "controlplane/credentials.h"
#include "controlplane/guard.h"
#include "controlplane/hide.h"
#include "controlplane/nat.h"
#include "controlplane/registrar.h"
#include "controlplane/registrar_phone.h"
#include "controlplane/location.h"
#include "controlplane/request_relay.h"
#include "controlplane/route.h"
#include "controlplane/sips.h"

enum {
	PHONES_MAX = 16, /* contacts that one call tries */
	PAYER_MAX = REGISTRAR_AOR_MAX + 128
};

static const struct span nothing = { NULL, 0 };

/* --- targets ---------------------------------------------------------------------------------------------------------- */

static struct call_attempts *attempts_of(struct call *call)
{
	if (!call->attempts)
		call->attempts = calloc(1, sizeof(*call->attempts));
	return call->attempts;
}

static bool is_listed(
	const struct call_attempts *attempts, const struct config_session_agent *agent, struct span called)
{
	for (unsigned i = 0; i < attempts->count; i++)
		if (attempts->target[i].agent == agent &&
			span_equal(span_from(attempts->target[i].called), called))
			return true;
	return false;
}

/* 1, or 0: its name is too long, or there is no memory. */
static unsigned insert_one(
	struct call_attempts *attempts, unsigned at, const struct attempt_target *target, struct span called)
{
	struct attempt_target *grown;
	struct writer out;

	if (called.n >= sizeof(target->called))
		return 0;
	grown = realloc(attempts->target, (attempts->count + 1) * sizeof(*grown));
	if (!grown)
		return 0;
	attempts->target = grown;
	memmove(&grown[at + 1], &grown[at], (attempts->count - at) * sizeof(*grown));
	grown[at] = *target;
	writer_init(&out, grown[at].called, sizeof(grown[at].called) - 1);
	writer_span(&out, called);
	grown[at].called[out.len] = '\0';
	attempts->count++;
	return 1;
}

/* With all of its addresses, which are asked in turn (RFC 3263 section 4.3). 0: it is there already, or as above. */
static unsigned insert_agent(
	struct call *call, unsigned at, const struct attempt_target *target, struct span called)
{
	union address list[RESOLVER_ADDRESSES_MAX] = { 0 };
	struct attempt_target one = *target;
	unsigned count, added = 0;

	if (is_listed(call->attempts, target->agent, called))
		return 0;
	count = agent_addresses(call->shard, target->agent, list);
	do {
		one.address = list[added];
		one.is_alternate = added > 0;
		if (!insert_one(call->attempts, at + added, &one, called))
			break;
		added++;
	} while (added < count);
	return added;
}

/* The members from the one that the strategy begins with. */
static unsigned insert_group(
	struct call *call, unsigned at, const struct config_local_policy *policy, struct span called)
{
	const struct config_session_group *group = policy->group;
	unsigned members = (unsigned)group->agent_count, added = 0;
	unsigned first = group->strategy == CONFIG_STRATEGY_ROUND_ROBIN
				 ? agent_group_turn(call->shard, group) % members
				 : 0;

	for (unsigned i = 0; i < members; i++) {
		struct attempt_target target = {
			.agent = group->agents[(first + i) % members], .policy = policy, .group = group
		};
		unsigned place = at + added;

		for (; group->strategy == CONFIG_STRATEGY_LEAST_BUSY && place > at; place--)
			if (agent_sessions(call->shard, call->attempts->target[place - 1].agent) <=
				agent_sessions(call->shard, target.agent))
				break;
		added += insert_agent(call, place, &target, called);
	}
	return added;
}

/* The contacts of a phone, best q first; those of equal q ring together (call_parallel.c). Those of a PBX's calls are told apart by the PBX
 * already, by our contacts there. The references are taken over. */
static unsigned insert_phone(struct call *call, unsigned at, const struct config_local_policy *policy,
	struct binding *const *bindings, size_t count, struct span called)
{
	struct call_attempts *attempts = attempts_of(call);
	unsigned added = 0;

	for (size_t i = 0; i < count; i++) {
		if (attempts &&
			insert_one(attempts, at + added,
				&(struct attempt_target){ .binding = bindings[i], .policy = policy }, called))
			added++;
		else
			binding_put(bindings[i]);
	}
	return added;
}

unsigned attempt_insert(struct call *call, unsigned at, const struct config_local_policy *policy,
	const struct config_session_agent *agent, struct span called)
{
	const struct leg *callee = &call->leg[LEG_CALLED];
	struct call_attempts *attempts = attempts_of(call);
	struct attempt_target one = { .agent = agent ? agent : policy->agent, .policy = policy };
	struct binding *phones[PHONES_MAX];
	unsigned added = 0, status;
	size_t count;

	if (!attempts)
		return 0;
	/* What is asked already was the only one until now. */
	if (attempts->count == 0 && callee->agent &&
		!insert_one(attempts, 0,
			&(struct attempt_target){ .agent = callee->agent,
				.policy = call->policy,
				.address = callee->flow.remote },
			span_from(callee->called)))
		return 0;
	if (!agent && policy->next_hop == CONFIG_NEXT_HOP_GROUP)
		added = insert_group(call, at, policy, called);
	else if (agent || policy->next_hop == CONFIG_NEXT_HOP_AGENT)
		added = insert_agent(call, at, &one, called);
	else if ((count = registrar_targets_of(call->shard, called, phones, PHONES_MAX, &status)) > 0)
		added = insert_phone(call, at, policy, phones, count, called);
	if (added && at > 0)
		attempts->target[at].is_contact = true;
	return added;
}

static bool retries_on(const struct config_session_group *group, unsigned status)
{
	for (size_t i = 0; i < group->retry_on_count; i++)
		if (group->retry_on[i] == status)
			return true;
	return false;
}

/* RFC 3263 section 4.3: it could not be reached, or says 503. */
static bool is_unreachable(const struct call_event *event)
{
	return event->status == 503 || (event->type == CALL_EVENT_FAILED && event->status == 408);
}

static bool is_alternate(const struct call_attempts *attempts, unsigned i)
{
	return i < attempts->count && attempts->target[i].is_alternate &&
	       attempts->target[i].agent == attempts->target[attempts->at].agent;
}

/* Who is asked after such an event; 0: nobody. After a 6xx nobody else is asked (RFC 3261 section 16.7); the members of a group have
 * its list. */
static unsigned next_target(const struct call_attempts *attempts, const struct call_event *event)
{
	unsigned i = (attempts->asked > attempts->at ? attempts->asked : attempts->at) + 1;

	if (is_alternate(attempts, i) && is_unreachable(event))
		return i;
	while (i < attempts->count && attempts->target[i].is_alternate)
		i++;
	if (i >= attempts->count)
		return 0;
	if (attempts->target[i].is_contact || attempts->target[i].binding)
		return event->status < 600 ? i : 0;
	return attempts->target[i].group && retries_on(attempts->target[i].group, event->status) ? i : 0;
}

/* --- the callee's leg ------------------------------------------------------------------------------------------------- */

static void leg_reset(struct call *call)
{
	struct leg *callee = &call->leg[LEG_CALLED];

	leg_fini(callee);
	callee->call = call;
	callee->shard = call->shard;
	callee->side = LEG_CALLED;
}

static const char *refusal(int error)
{
	switch (error) {
	case -EHOSTDOWN:
		return "session-agent is down";
	case -EUSERS:
		return "session-agent has its max-sessions";
	default:
		return "session-agent has its max-rate";
	}
}

static unsigned leg_status(int error, const char **cause)
{
	if (error == -EPROTO)
		*cause = sips_not_allowed;
	return error == 0 ? 0 : error == -EPROTO ? 480 : 500;
}

/* The leg towards a registered phone, by its own flow. */
static unsigned make_phone_leg(struct call *call, struct leg *callee, const struct binding *binding,
	const struct message *invite, const char **cause)
{
	struct sip_flow flow = registrar_flow(call->shard, binding);
	char uri[REGISTRAR_AOR_MAX + 4];
	struct name_addr from, to;
	struct span called;
	struct writer out;
	int error;

	*cause = "registered phone cannot be reached";
	if (!flow.listener)
		return 480;
	callee->privacy = call->leg[LEG_CALLER].privacy;
	callee->sips = sips_requested(invite);
	if (message_from(invite, &from) || message_to(invite, &to))
		return 400;
	*cause = "cannot write the callee's leg";
	/* It is called by its name, not by what we are called at its registrar. */
	called = binding->aor;
	called = span_cut(&called, '@');
	writer_init(&out, uri, sizeof(uri));
	writer_text(&out, "sip:");
	writer_span(&out, binding->aor);
	to = (struct name_addr){ .display = to.display, .uri = writer_result(&out) };
	error = leg_init_client(callee, call->shard, &flow, called, &from, &to);
	if (error == 0)
		error = nat_leg_is(callee, binding);
	return leg_status(error, cause);
}

/* The leg towards a phone, or an agent at one of its addresses. 0 or the status that it amounts to. */
static unsigned make_leg(struct call *call, const struct attempt_target *target, struct span called,
	const struct message *invite, const char **cause)
{
	const struct config_session_agent *agent = target->agent;
	struct leg *callee = &call->leg[LEG_CALLED];
	struct sip_flow flow = { .remote = target->address, .agent = agent };
	struct name_addr from, to;
	int error;

	if (target->binding)
		return make_phone_leg(call, callee, target->binding, invite, cause);
	callee->agent = agent;
	callee->privacy = call->leg[LEG_CALLER].privacy;
	callee->sips = sips_requested(invite);
	*cause = "session-agent cannot be reached";
	if (!address_is_set(&flow.remote))
		return 503;
	flow.listener = transport_find(call->shard, agent->realm, agent->address.transport, &flow.remote);
	if (!flow.listener)
		return 503;
	error = agent_take(callee, true);
	if (error) {
		*cause = refusal(error);
		return 503;
	}
	*cause = "cannot write the callee's leg";
	if (message_from(invite, &from) || message_to(invite, &to))
		return 400;
	error = leg_init_client(callee, call->shard, &flow, called, &from, &to);
	if (error == 0)
		error = registrar_phone_route(callee, &call->leg[LEG_CALLER]);
	return leg_status(error, cause);
}

/* The first member of the group that can be asked at all. */
static unsigned make_first(struct call *call, const struct message *invite, const char **cause)
{
	struct call_attempts *attempts = call->attempts;
	unsigned status = 404;

	*cause = "no session-agent for the policy";
	for (attempts->at = 0; attempts->at < attempts->count; attempts->at++) {
		const struct attempt_target *target = &attempts->target[attempts->at];

		status = make_leg(call, target, span_from(target->called), invite, cause);
		if (status == 0)
			return 0;
		leg_reset(call);
	}
	return status;
}

/* Whose call it is: a registered phone's user at its registrar, however he writes himself; else the host that it comes from. What a transfer
 * leads to is the call of who has transferred. */
static struct span payer(const struct call *call, const struct leg *leg, char text[PAYER_MAX])
{
	struct location *location = call->shard->shared.location;
	struct binding *binding =
		location && leg->phone[0] ? location_by_token(location, span_from(leg->phone)) : NULL;
	char host[ADDRESS_TEXT_MAX];
	struct span aor;
	struct writer out;

	writer_init(&out, text, PAYER_MAX);
	if (binding) {
		aor = binding->aor;
		writer_span(&out, span_cut(&aor, '@'));
		writer_char(&out, ' ');
		writer_text(&out, binding->agent->name);
	} else {
		writer_text(&out, address_print_host(&leg->flow.remote, host));
	}
	binding_put(binding);
	return writer_result(&out);
}

static unsigned ask_admission(
	struct call *call, const struct message *invite, struct span called, const char **cause)
{
	const struct shard_shared *shared = &call->shard->shared;
	const struct leg *leg = call->carry ? transfer_referrer(call) : &call->leg[LEG_CALLER];
	char text[PAYER_MAX];
	unsigned status;

	if (!shared->admission || call->shard->config->admissions_count == 0 || call->policy->emergency)
		return 0;
	status = admission_begin(
		shared->admission, call->policy, payer(call, leg, text), called, &call->admission);
	if (status == 0)
		return 0;
	*cause = status == 403 ? "destination forbidden by admission" : "limit of admission";
	shard_count(call->shard, ADMISSION_REFUSED);
	if (status == 403)
		guard_note(shared->guard, &leg->flow, GUARD_FORBIDDEN, called, message_scan(invite));
	return status;
}

static unsigned phone_first(
	struct call *call, const struct message *invite, struct span called, const char **cause)
{
	struct binding *phones[PHONES_MAX];
	unsigned status;
	size_t count = registrar_targets(call->shard, invite, phones, PHONES_MAX, &status);

	*cause = "nobody is registered";
	if (!count || !insert_phone(call, 0, call->policy, phones, count, called))
		return count ? 404 : status;
	return make_first(call, invite, cause);
}

unsigned attempt_first(struct call *call, const struct message *invite, const char **cause)
{
	const struct config *config = call->shard->config;
	union address list[RESOLVER_ADDRESSES_MAX] = { 0 };
	struct name_addr from;
	struct sip_uri uri, from_uri = { 0 };
	struct span user, called;
	unsigned status;

	*cause = "no local-policy";
	if (message_request_uri(invite, &uri) || message_from(invite, &from))
		return 400;
	called = hide_user(&uri);
	user = sip_uri_parse(from.uri, &from_uri) == 0 ? hide_user(&from_uri) : nothing;
	if (route_find(config, call->leg[LEG_CALLER].realm, user, called, &call->policy)) {
		shard_count(call->shard, CALLS_NO_ROUTE);
		return 404;
	}
	status = ask_admission(call, invite, called, cause);
	if (status)
		return status;
	if (call->policy->next_hop == CONFIG_NEXT_HOP_REGISTRATION)
		return phone_first(call, invite, called, cause);
	if (call->policy->next_hop == CONFIG_NEXT_HOP_AGENT &&
		agent_addresses(call->shard, call->policy->agent, list) < 2)
		return make_leg(call,
			&(struct attempt_target){ .agent = call->policy->agent, .address = list[0] }, called,
			invite, cause);
	*cause = "no session-agent for the policy";
	if (!attempt_insert(call, 0, call->policy, NULL, called))
		return 404;
	return make_first(call, invite, cause);
}

/* --- given up --------------------------------------------------------------------------------------------------------- */

static void on_late_response(void *arg, struct transaction *transaction, const struct message *response)
{
	/* RFC 3261 section 9.1: it had answered before the CANCEL came. */
	if (message_scan(response)->status / 100 == 2)
		bye_fork(arg, transaction, response);
}

static void on_late_end(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	(void)how;
	leg->client_invite = NULL;
	leg_fini(leg);
	free(leg);
}

/* An attempt without a final response, given up for another one: it is cancelled, and hung up if it answers all the same. Its leg
 * lives until its INVITE has ended. */
void attempt_abandon(struct leg *leg, struct span reason)
{
	static const struct transaction_events events = { .response = on_late_response,
		.ended = on_late_end };
	struct leg *late = malloc(sizeof(*late));

	request_relay_abort(leg);
	session_timer_stop(leg);
	transaction_cancel(leg->client_invite, reason);
	if (!late)
		return;
	*late = *leg;
	late->call = NULL;
	transaction_attach(late->client_invite, &events, late);
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

	return invite ? make_phone_leg(call, leg, binding, invite, &cause) : 500;
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
	unsigned status = make_leg(call, target, span_from(target->called), invite, &cause);

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
	leg_reset(call);
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
	leg_reset(call);
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
	leg_reset(call);
	attempt_fini(call);
}

/* --- the best refusal ------------------------------------------------------------------------------------------------- */

/* RFC 3261 section 16.7 point 6: 6xx, else the lowest class; in it what helps the caller to ask better; last what only says
 * that somebody could not be reached. */
static unsigned rank(unsigned status)
{
	switch (status) {
	case 401:
	case 407:
	case 415:
	case 420:
	case 484:
		return 2;
	case 408:
	case 481:
	case 487:
		return 4;
	case 503:
		return 6;
	default:
		return status >= 600 ? 0 : status < 400 ? 1 : status < 500 ? 3 : 5;
	}
}

void attempt_remember(struct call *call, const struct call_event *event)
{
	struct call_attempts *attempts = call->attempts;
	struct leg *caller = &call->leg[LEG_CALLER];
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	char *copy;

	if (attempts->best && rank(attempts->best) < rank(event->status))
		return;
	if (call->carry) {
		/* Nobody gets it as a response: the referrer is told its status. */
		attempts->best = event->status;
		attempts->cause = event->cause ? event->cause : "refused";
		return;
	}
	writer_init(&out, text, sizeof(text));
	if (invite_write(caller, hide_status(event->status), caller->local_tag, event->message, nothing,
		    nothing, &out))
		return;
	copy = span_dup(writer_result(&out));
	if (!copy)
		return;
	free(attempts->text);
	attempts->text = copy;
	attempts->length = out.len;
	attempts->best = event->status;
	attempts->cause = event->cause ? event->cause : "refused";
}

static bool answer_best(struct call *call)
{
	struct call_attempts *attempts = call->attempts;
	struct leg *caller = &call->leg[LEG_CALLER];
	unsigned status = hide_status(attempts->best);

	if (!attempts->best)
		return false;
	call->state = CALL_OVER;
	call->status = status;
	call->cause = attempts->cause;
	early_over(call);
	if (status != 401 && status != 407)
		shard_count(call->shard, CALLS_FAILED);
	invite_send_written(
		caller, status, caller->local_tag, (struct span){ attempts->text, attempts->length });
	return true;
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
	if (is_ours_to_answer(call, event) && attempts_of(call))
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
	next = redirected ? attempts->at + 1 : next_target(attempts, event);
	if (!next)
		return answer_best(call);
	let_go(call, event);
	for (attempts->at = next; attempts->at < attempts->count; attempts->at++)
		if (begin(call, &attempts->target[attempts->at]))
			return true;
	return answer_best(call);
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
	if (is_alternate(attempts, attempts->at + 1)) {
		timer_arm(call->shard->timers, &attempts->timer, call->shard->config->sip.address_timeout_ms,
			on_silence, call);
		return;
	}
	group = attempts->target[attempts->at + 1].group;
	if (group && retries_on(group, 408))
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
