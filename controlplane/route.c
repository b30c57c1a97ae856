/* SPDX-License-Identifier: BSD-3-Clause */
/* Matches calls against local-policy entries and sources against session-agents. */
#include "controlplane/route.h"

#include <errno.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/shard.h"
#include "controlplane/tls_identity.h"
#include "controlplane/transport.h"

/* regexec(3) wants a C string. */
struct user_text {
	char text[ROUTE_USER_MAX + 1];
};

static int user_copy(struct span user, struct user_text *out)
{
	if (user.n > ROUTE_USER_MAX)
		return -ENAMETOOLONG;
	if (user.n && memchr(user.p, '\0', user.n))
		return -EINVAL;
	if (user.n)
		memcpy(out->text, user.p, user.n);
	out->text[user.n] = '\0';
	return 0;
}

static bool policy_matches(const struct config_local_policy *policy, const struct config_realm *from,
	const struct user_text *from_user, const struct user_text *to_user)
{
	if (policy->from_realm && policy->from_realm != from)
		return false;
	if (policy->has_from && regexec(&policy->from_regex, from_user->text, 0, NULL, 0) != 0)
		return false;
	return regexec(&policy->to_regex, to_user->text, 0, NULL, 0) == 0;
}

static bool policy_leads_to(
	const struct config_local_policy *policy, const struct config_session_agent *agent)
{
	if (policy->next_hop == CONFIG_NEXT_HOP_AGENT)
		return policy->agent == agent;
	for (size_t i = 0; policy->next_hop == CONFIG_NEXT_HOP_GROUP && i < policy->group->agent_count; i++)
		if (policy->group->agents[i] == agent)
			return true;
	return false;
}

static int find(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_session_agent *agent, bool any_agent,
	const struct config_local_policy **policy)
{
	struct user_text from_text;
	struct user_text to_text;
	int error;

	error = user_copy(from_user, &from_text);
	if (error == 0)
		error = user_copy(to_user, &to_text);
	if (error < 0)
		return error;
	/* The list is sorted by priority, and stable. */
	for (size_t i = 0; i < config->local_policies_count; i++) {
		const struct config_local_policy *candidate = &config->local_policies[i];

		if ((!agent || policy_leads_to(candidate, agent)) &&
			!(any_agent && candidate->next_hop == CONFIG_NEXT_HOP_REGISTRATION) &&
			policy_matches(candidate, from, &from_text, &to_text)) {
			*policy = candidate;
			return 0;
		}
	}
	return -ENOENT;
}

int route_find(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_local_policy **policy)
{
	return route_find_to(config, from, from_user, to_user, NULL, policy);
}

int route_find_registrar(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_local_policy **policy)
{
	return find(config, from, from_user, to_user, NULL, true, policy);
}

int route_find_to(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_session_agent *agent,
	const struct config_local_policy **policy)
{
	return find(config, from, from_user, to_user, agent, false, policy);
}

/* Of an agent, or of a URI that means it: RFC 3261 section 19.1.2. */
static uint16_t port_or_default(const struct config_session_agent *agent, uint16_t port)
{
	return port ? port : agent->address.transport == CONFIG_TRANSPORT_TLS ? 5061 : 5060;
}

static bool has_name(const struct config_session_agent *agent, struct span host, uint16_t port)
{
	return agent->address.host && span_equal_case(span_from(agent->address.host), host) &&
	       port_or_default(agent, agent->address.port) == port_or_default(agent, port);
}

const struct config_session_agent *route_agent_by_uri(
	const struct shard *shard, struct span host, uint16_t port)
{
	const struct config *config = shard->config;
	const struct config_session_agent *found = NULL;
	union address stated;
	bool is_name = address_parse_host(host, &stated) != 0;

	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];
		const union address *address = &agent->address.address;

		if (!is_name)
			address_set_port(&stated, port_or_default(agent, port));
		if (!address_is_set(address)) {
			if (!found && (is_name ? has_name(agent, host, port)
					       : agent_is_at(shard, agent, &stated, true)))
				found = agent;
		} else if (!is_name && address_equal_host(address, &stated) &&
			   port_or_default(agent, address_port(address)) == address_port(&stated)) {
			return agent;
		}
	}
	return found;
}

/* Which agents an address can stand for. */
typedef bool (*may_be)(const struct config_session_agent *agent);

static bool anybody(const struct config_session_agent *agent)
{
	(void)agent;
	return true;
}

static bool without_subject(const struct config_session_agent *agent)
{
	return agent->tls_subject.count == 0;
}

static bool without_certificate(const struct config_session_agent *agent)
{
	return !tls_identity_concerns(agent);
}

static const struct config_session_agent *by_name(
	const struct shard *shard, const struct config_realm *realm, const union address *source, may_be may)
{
	const struct config *config = shard->config;
	const struct config_session_agent *found = NULL;

	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];

		if (agent->realm != realm || !agent_is_at(shard, agent, source, false) || !may(agent))
			continue;
		if (agent_is_at(shard, agent, source, true))
			return agent;
		if (!found)
			found = agent;
	}
	return found;
}

static const struct config_session_agent *by_address(
	const struct shard *shard, const struct config_realm *realm, const union address *source, may_be may)
{
	const struct config *config = shard->config;
	const struct config_session_agent *found = NULL;

	if (!address_is_set(source))
		return NULL;
	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];

		if (agent->realm != realm || !address_equal_host(&agent->address.address, source) ||
			!may(agent))
			continue;
		if (address_port(&agent->address.address) == address_port(source))
			return agent;
		if (!found)
			found = agent;
	}
	/* What is configured is not DNS's to change. */
	return found ? found : agent_has_names(shard) ? by_name(shard, realm, source, may) : NULL;
}

const struct config_session_agent *route_agent_by_source(
	const struct shard *shard, const struct config_realm *realm, const union address *source)
{
	return by_address(shard, realm, source, anybody);
}

const struct config_session_agent *route_agent_by_flow(const struct shard *shard, const struct sip_flow *flow)
{
	const struct config_sip_interface *interface = listener_interface(flow->listener);
	const struct config_tls_profile *profile = interface->tls_profile;
	bool checked = profile && ((profile->ca && profile->ca[0]) || profile->pins.count);

	if (flow->agent)
		return flow->agent->realm == interface->realm ? flow->agent : NULL;
	if (!listener_is_secure(flow->listener))
		return by_address(shard, interface->realm, &flow->remote, without_certificate);
	if (profile && profile->verify_peer)
		return NULL;
	return by_address(
		shard, interface->realm, &flow->remote, checked ? without_certificate : without_subject);
}
