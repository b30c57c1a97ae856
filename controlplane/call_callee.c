/* SPDX-License-Identifier: BSD-3-Clause */
/* The leg towards whom a call asks: an agent at one of its addresses, or a phone by its flow; and who is asked first. */
#include <errno.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt_internal.h"
#include "controlplane/call_transfer.h"
#include "controlplane/guard.h"
#include "controlplane/hide.h"
#include "controlplane/location.h"
#include "controlplane/nat.h"
#include "controlplane/registrar.h"
#include "controlplane/registrar_phone.h"
#include "controlplane/route.h"
#include "controlplane/sips.h"

enum { PAYER_MAX = REGISTRAR_AOR_MAX + 128 };

static const struct span nothing = { NULL, 0 };

void attempt_leg_reset(struct call *call)
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

unsigned attempt_make_phone_leg(struct call *call, struct leg *callee, const struct binding *binding,
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

unsigned attempt_make_leg(struct call *call, const struct attempt_target *target, struct span called,
	const struct message *invite, const char **cause)
{
	const struct config_session_agent *agent = target->agent;
	struct leg *callee = &call->leg[LEG_CALLED];
	struct sip_flow flow = { .remote = target->address, .agent = agent };
	struct name_addr from, to;
	int error;

	if (target->binding)
		return attempt_make_phone_leg(call, callee, target->binding, invite, cause);
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
		statistics_refused(call->shard, NULL, agent, CP_STATISTICS_OUT);
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

		status = attempt_make_leg(call, target, span_from(target->called), invite, cause);
		if (status == 0)
			return 0;
		attempt_leg_reset(call);
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
	if (!count || !attempt_insert_phones(call, 0, call->policy, phones, count, called))
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
		return attempt_make_leg(call,
			&(struct attempt_target){ .agent = call->policy->agent, .address = list[0] }, called,
			invite, cause);
	*cause = "no session-agent for the policy";
	if (!attempt_insert(call, 0, call->policy, NULL, called))
		return 404;
	return make_first(call, invite, cause);
}
