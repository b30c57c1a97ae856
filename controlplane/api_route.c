/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the same functions as a call does, and tells what they say. */
#include "controlplane/api_route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/endpoint.h"
#include "controlplane/admission.h"
#include "controlplane/agent.h"
#include "controlplane/location.h"
#include "controlplane/message.h"
#include "controlplane/route.h"

_Static_assert(sizeof(struct cp_route) % 8 == 0 && sizeof(struct cp_routed) % 8 == 0 &&
		       sizeof(struct cp_route_hop) % 8 == 0,
	"the API's layout has no padding of the compiler's");

static void add_hop(
	struct cp_routed *out, const struct shard *shard, const struct config_session_agent *agent)
{
	struct cp_route_hop *hop = &out->hop[out->count];
	char text[ADDRESS_TEXT_MAX];
	union address address;
	uint64_t since;

	if (out->count == CP_ROUTE_HOPS)
		return;
	out->count++;
	snprintf(hop->agent, sizeof(hop->agent), "%s", agent->name);
	hop->state = agent_state(shard, agent, &since, &address);
	hop->sessions = agent_sessions(shard, agent);
	hop->max_sessions = agent->max_sessions;
	if (address_is_set(&address))
		snprintf(hop->address, sizeof(hop->address), "%s:%s",
			endpoint_transport_name(agent->address.transport), address_print(&address, text));
}

static uint32_t contacts_of(const struct shard *shard, struct span user)
{
	enum { LIMIT = 16 };
	struct binding *found[LIMIT];
	char text[ROUTE_USER_MAX + 1];
	struct writer normal;
	size_t count = 0;

	writer_init(&normal, text, sizeof(text));
	if (shard->shared.location && sip_user_normal(user, &normal) == 0)
		count = location_by_user(shard->shared.location, writer_result(&normal), found, LIMIT);
	for (size_t i = 0; i < count; i++)
		binding_put(found[i]);
	return (uint32_t)count;
}

static void describe(const struct config *config, const struct shard *shard,
	const struct config_local_policy *policy, struct span called, struct cp_routed *out)
{
	const struct config_admission *admission =
		policy->emergency ? NULL : admission_rule(config, policy, called);

	snprintf(out->policy, sizeof(out->policy), "%s", policy->name);
	if (admission) {
		snprintf(out->admission, sizeof(out->admission), "%s", admission->name);
		out->forbidden = !admission->permit;
	}
	if (policy->next_hop == CONFIG_NEXT_HOP_AGENT) {
		out->next_hop = CP_NEXT_HOP_AGENT;
		add_hop(out, shard, policy->agent);
	} else if (policy->next_hop == CONFIG_NEXT_HOP_GROUP) {
		out->next_hop = CP_NEXT_HOP_GROUP;
		snprintf(out->group, sizeof(out->group), "%s", policy->group->name);
		for (size_t i = 0; i < policy->group->agent_count; i++)
			add_hop(out, shard, policy->group->agents[i]);
	} else {
		out->next_hop = CP_NEXT_HOP_REGISTRATION;
		out->contacts = contacts_of(shard, called);
	}
}

int api_route_find(const struct config *config, const struct shard *shard, const struct cp_route *route,
	struct cp_routed *out)
{
	const struct config_local_policy *policy;
	const struct config_realm *realm = NULL;
	int error;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < config->realms_count && !realm; i++)
		if (strcmp(config->realms[i].name, route->realm) == 0)
			realm = &config->realms[i];
	if (!realm)
		return -ENOENT;
	error = route_find(config, realm, span_from(route->from), span_from(route->to), &policy);
	if (error == 0)
		describe(config, shard, policy, span_from(route->to), out);
	return error == -ENOENT ? 0 : error;
}

int api_route_frame(const struct config *config, const struct shard *shard, struct ipc_peer *peer,
	const struct ipc_frame *frame, const void *body)
{
	struct cp_route route;
	struct cp_routed out;
	int error;

	if (frame->type != CP_TEST_ROUTE || frame->length < sizeof(route))
		return -EINVAL;
	memcpy(&route, body, sizeof(route));
	route.realm[sizeof(route.realm) - 1] = route.from[sizeof(route.from) - 1] =
		route.to[sizeof(route.to) - 1] = '\0';
	error = api_route_find(config, shard, &route, &out);
	ipc_send(peer, CP_TEST_ROUTE + CP_REPLY, (int16_t)error, frame->sequence, &out,
		error ? 0 : sizeof(out));
	return 0;
}
