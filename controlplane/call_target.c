/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of whom a call may ask: agents with their addresses, members of groups, phones; and who is next. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt_internal.h"
#include "controlplane/location.h"
#include "controlplane/registrar.h"

struct call_attempts *attempt_list(struct call *call)
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

unsigned attempt_insert_phones(struct call *call, unsigned at, const struct config_local_policy *policy,
	struct binding *const *bindings, size_t count, struct span called)
{
	struct call_attempts *attempts = attempt_list(call);
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
	struct call_attempts *attempts = attempt_list(call);
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
		added = attempt_insert_phones(call, at, policy, phones, count, called);
	if (added && at > 0)
		attempts->target[at].is_contact = true;
	return added;
}

bool attempt_retries_on(const struct config_session_group *group, unsigned status)
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

bool attempt_is_alternate(const struct call_attempts *attempts, unsigned i)
{
	return i < attempts->count && attempts->target[i].is_alternate &&
	       attempts->target[i].agent == attempts->target[attempts->at].agent;
}

unsigned attempt_following(const struct call_attempts *attempts, const struct call_event *event)
{
	unsigned i = (attempts->asked > attempts->at ? attempts->asked : attempts->at) + 1;

	if (attempt_is_alternate(attempts, i) && is_unreachable(event))
		return i;
	while (i < attempts->count && attempts->target[i].is_alternate)
		i++;
	if (i >= attempts->count)
		return 0;
	if (attempts->target[i].is_contact || attempts->target[i].binding)
		return event->status < 600 ? i : 0;
	return attempts->target[i].group && attempt_retries_on(attempts->target[i].group, event->status) ? i
													 : 0;
}
