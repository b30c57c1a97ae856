/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of SIP limits, sip-interfaces, profiles, agents and groups. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config/endpoint.h"
#include "config/source.h"

enum { DNS_SERVERS_MAX = 8 };

static void check_limits(struct config_load *load)
{
	const struct config_sip *sip = &load->config->sip;

	if (sip->t2_ms < sip->t1_ms)
		config_blame(
			load, true, "sip-config", NULL, "t2", 0, "is shorter than t1; allowed: t1 or longer");
	if (sip->timer_b_ms < sip->t1_ms)
		config_blame(load, true, "sip-config", NULL, "timer-b", 0,
			"is shorter than t1; allowed: t1 or longer");
	if (sip->max_header > sip->max_header_block)
		config_blame(load, true, "sip-config", NULL, "max-header", 0,
			"is more than max-header-block; allowed: that or less");
	if (sip->max_identity_header > sip->max_header_block)
		config_blame(load, true, "sip-config", NULL, "max-identity-header", 0,
			"is more than max-header-block; allowed: that or less");
}

static bool needs_tls(enum config_transport transport)
{
	return transport == CONFIG_TRANSPORT_TLS || transport == CONFIG_TRANSPORT_WSS;
}

/* Keys are not said where others can read them, so each call would be refused. */
static bool has_no_way_to_require(const struct config_ip_profile *profile)
{
	return profile && profile->media_security == CONFIG_MEDIA_SECURITY_REQUIRE &&
	       !profile->srtp_without_tls;
}

static void check_required(struct config_load *load, const struct config_sip_interface *si)
{
	size_t open = 0;

	if (!has_no_way_to_require(si->ip_profile))
		return;
	for (size_t i = 0; i < si->listen_count; i++)
		open += !needs_tls(si->listen[i].transport);
	if (open)
		config_blame(load, open == si->listen_count, "sip-interface", si->name, "ip-profile", 0,
			"ip-profile %s requires SRTP, whose keys are not said by UDP or TCP: calls by these "
			"are "
			"refused; allowed: tls, wss, or srtp-without-tls = yes there",
			si->ip_profile->name);
}

static void check_sip_interface(struct config_load *load, const struct config_sip_interface *si)
{
	const struct config_network_interface *ni = si->realm ? si->realm->network_interface : NULL;
	char host[ADDRESS_TEXT_MAX];

	check_required(load, si);
	for (size_t i = 0; i < si->listen_count; i++) {
		const union address *address = &si->listen[i].address;

		if (!address_is_set(address))
			continue;
		if (ni && !config_interface_has(ni, address))
			config_blame(load, true, "sip-interface", si->name, "listen", i,
				"%s is no address of network-interface %s, where realm %s is; allowed: one "
				"of its addresses",
				address_print_host(address, host), ni->name, si->realm->name);
		if (needs_tls(si->listen[i].transport) &&
			!config_line(load->config, "sip-interface", si->name, "tls-profile"))
			config_blame(load, true, "sip-interface", si->name, "listen", i,
				"%s needs a tls-profile; allowed: with tls-profile = NAME beside it",
				endpoint_transport_name(si->listen[i].transport));
	}
}

/* token of RFC 3261, 25.1 */
bool config_is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-.!%*_+`'~", *text))
			return false;
	return true;
}

static void check_tokens(
	struct config_load *load, const char *profile, const char *setting, const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->item[i] && !config_is_token(list->item[i]))
			config_blame(load, true, "ip-profile", profile, setting, i,
				"\"%.64s\" is no token; allowed: letters, digits, - . _ +", list->item[i]);
}

/* type "/" subtype of RFC 3261, 25.1, without parameters; a '*' may stand for the subtype. */
static bool is_media_type(const char *text)
{
	const char *slash = strchr(text, '/');
	char type[128];

	if (!slash || (size_t)(slash - text) >= sizeof(type))
		return false;
	memcpy(type, text, (size_t)(slash - text));
	type[slash - text] = '\0';
	return config_is_token(type) && !strchr(type, '*') && config_is_token(slash + 1) &&
	       (!strchr(slash, '*') || strcmp(slash, "/*") == 0);
}

static void check_media_types(
	struct config_load *load, const char *profile, const char *setting, const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->item[i] && !is_media_type(list->item[i]))
			config_blame(load, true, "ip-profile", profile, setting, i,
				"\"%.64s\" is no media type; allowed: TYPE/SUBTYPE or TYPE/*", list->item[i]);
}

/* A header of a private kind: no request can be broken by it. */
static void check_header(struct config_load *load, const char *profile, const char *setting, const char *text)
{
	bool is_private = text && (strncasecmp(text, "X-", 2) == 0 || strncasecmp(text, "P-", 2) == 0);

	if (!text || !text[0])
		return;
	if (!is_private || !config_is_token(text) || strcasecmp(text, "P-Asserted-Identity") == 0)
		config_blame(load, true, "ip-profile", profile, setting, 0,
			"\"%.64s\" is no header of your own; allowed: a token that begins with X- or P-",
			text);
}

static void check_profiles(struct config_load *load)
{
	for (size_t i = 0; i < load->config->ip_profiles_count; i++) {
		const struct config_ip_profile *p = &load->config->ip_profiles[i];

		check_tokens(load, p->name, "codecs-allow", &p->codecs_allow);
		check_tokens(load, p->name, "codecs-order", &p->codecs_order);
		check_tokens(load, p->name, "headers-pass", &p->headers_pass);
		check_tokens(load, p->name, "headers-drop", &p->headers_drop);
		check_media_types(load, p->name, "bodies-pass", &p->bodies_pass);
		check_header(load, p->name, "source-header", p->source_header);
		check_header(load, p->name, "agent-header", p->agent_header);
		if (p->media_security != CONFIG_MEDIA_SECURITY_NONE && !p->crypto_suites.count)
			config_blame(load, true, "ip-profile", p->name, "crypto-suites", 0,
				"is empty, but media-security asks for SRTP; at least one value is needed");
	}
}

/* Which transports are spoken in each realm: a bit per enum config_transport. */
static unsigned *realm_transports(struct config_load *load)
{
	const struct config *config = load->config;
	unsigned *bits = arena_alloc(&load->private->arena, config->realms_count + 1, sizeof(*bits));

	if (!bits)
		(void)config_no_memory(load);
	for (size_t i = 0; bits && i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *si = &config->sip_interfaces[i];

		for (size_t j = 0; si->realm && j < si->listen_count; j++)
			if (address_is_set(&si->listen[j].address))
				bits[si->realm - config->realms] |= 1U << si->listen[j].transport;
	}
	return bits;
}

static void check_subjects(struct config_load *load, const struct config_session_agent *agent)
{
	for (size_t i = 0; i < agent->tls_subject.count; i++) {
		struct span name = span_from(agent->tls_subject.item[i]);
		union address address;

		if (name.n && !endpoint_is_host_name(name) && address_parse_host(name, &address))
			config_blame(load, true, "session-agent", agent->name, "tls-subject", i,
				"\"%.64s\" is no name of a certificate; allowed: a host name or a SIP domain "
				"without wildcards, or an IP address",
				agent->tls_subject.item[i]);
	}
}

static void check_agent(
	struct config_load *load, const struct config_session_agent *agent, const unsigned *transports)
{
	bool has_name = agent->username && agent->username[0];

	if (agent->do_register && !has_name)
		config_blame(load, true, "session-agent", agent->name, "register", 0,
			"needs a username; allowed: with username = TEXT beside it");
	if (agent->password && agent->password[0] && !has_name)
		config_blame(load, true, "session-agent", agent->name, "password", 0,
			"needs a username; allowed: with username = TEXT beside it");
	check_subjects(load, agent);
	if (has_no_way_to_require(agent->ip_profile) && !needs_tls(agent->address.transport))
		config_blame(load, true, "session-agent", agent->name, "ip-profile", 0,
			"ip-profile %s requires SRTP, whose keys are not said by UDP or TCP; allowed: a tls "
			"address, or "
			"srtp-without-tls = yes there",
			agent->ip_profile->name);
	if (!agent->realm || !agent->address.host)
		return;
	if (!(transports[agent->realm - load->config->realms] & 1U << agent->address.transport))
		config_blame(load, false, "session-agent", agent->name, "address", 0,
			"no sip-interface of realm %s speaks %s", agent->realm->name,
			endpoint_transport_name(agent->address.transport));
}

static void check_dns(struct config_load *load)
{
	const struct config_sip *sip = &load->config->sip;
	union address server;

	for (size_t i = 0; i < sip->dns_servers.count; i++)
		if (sip->dns_servers.item[i] &&
			(i >= DNS_SERVERS_MAX ||
				address_parse(span_from(sip->dns_servers.item[i]), 53, &server)))
			config_blame(load, true, "sip-config", NULL, "dns-servers", i,
				"\"%.64s\" is no DNS server; allowed: up to %d times ADDRESS or ADDRESS:PORT",
				sip->dns_servers.item[i], DNS_SERVERS_MAX);
	if (sip->dns_min_ttl > sip->dns_max_ttl)
		config_blame(load, true, "sip-config", NULL, "dns-min-ttl", 0,
			"%u is more than dns-max-ttl; allowed: at most %u", sip->dns_min_ttl,
			sip->dns_max_ttl);
}

static void check_group(struct config_load *load, const struct config_session_group *group)
{
	for (size_t i = 1; i < group->agent_count; i++)
		for (size_t j = 0; j < i; j++)
			if (group->agents[i] && group->agents[i] == group->agents[j]) {
				config_blame(load, true, "session-group", group->name, "agents", i,
					"%s is named twice; allowed: each agent once",
					group->agents[i]->name);
				break;
			}
}

void config_validate_sip(struct config_load *load)
{
	const struct config *config = load->config;
	const unsigned *transports = realm_transports(load);

	check_limits(load);
	check_dns(load);
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		check_sip_interface(load, &config->sip_interfaces[i]);
	check_profiles(load);
	for (size_t i = 0; transports && i < config->session_agents_count; i++)
		check_agent(load, &config->session_agents[i], transports);
	for (size_t i = 0; i < config->session_groups_count; i++)
		check_group(load, &config->session_groups[i]);
}
