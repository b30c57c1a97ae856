/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of tls-profiles and of who refers to them. What is in their files is looked at by who opens them. */
#include <ctype.h>
#include <string.h>

#include "config/endpoint.h"
#include "config/source.h"

static bool is_written(const char *text)
{
	return text && text[0];
}

static bool is_digest(const char *text)
{
	for (; *text; text++)
		if (!isxdigit((unsigned char)*text))
			return false;
	return true;
}

/* A host name, or one whose first label may be any. */
static bool is_server_name(const char *text)
{
	return endpoint_is_host_name(span_from(strncmp(text, "*.", 2) == 0 ? text + 2 : text));
}

static void check_profile(struct config_load *load, const struct config_tls_profile *profile)
{
	bool certificate = is_written(profile->second_certificate), key = is_written(profile->second_key);

	if (certificate != key)
		config_blame(load, true, "tls-profile", profile->name,
			certificate ? "second-certificate" : "second-key", 0,
			"stands alone; allowed: with second-%s beside it",
			certificate ? "key" : "certificate");
	for (size_t i = 0; i < profile->pins.count; i++)
		if (profile->pins.item[i] && !is_digest(profile->pins.item[i]))
			config_blame(load, true, "tls-profile", profile->name, "pins", i,
				"\"%.64s\" is no digest; allowed: 64 hexadecimal digits",
				profile->pins.item[i]);
	for (size_t i = 0; i < profile->server_names.count; i++)
		if (profile->server_names.item[i] && !is_server_name(profile->server_names.item[i]))
			config_blame(load, true, "tls-profile", profile->name, "server-names", i,
				"\"%.64s\" is no name of a server; allowed: a host name, *.NAME",
				profile->server_names.item[i]);
}

void config_validate_tls(struct config_load *load)
{
	const struct config *config = load->config;

	for (size_t i = 0; i < config->tls_profiles_count; i++)
		check_profile(load, &config->tls_profiles[i]);
	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *interface = &config->sip_interfaces[i];

		if (interface->sni_profile_count &&
			!config_line(config, "sip-interface", interface->name, "tls-profile"))
			config_blame(load, true, "sip-interface", interface->name, "sni-profiles", 0,
				"needs a tls-profile for all others; allowed: with tls-profile = NAME beside "
				"it");
	}
	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];

		if (agent->tls_profile && agent->address.host &&
			agent->address.transport != CONFIG_TRANSPORT_TLS)
			config_blame(load, false, "session-agent", agent->name, "tls-profile", 0,
				"does nothing: the agent is reached by %s",
				endpoint_transport_name(agent->address.transport));
	}
}
