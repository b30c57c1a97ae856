/* SPDX-License-Identifier: BSD-3-Clause */
/* Phones on one side, their registrar on the other: the configuration around a captured shard of the fuzzer and the benchmark of REGISTER. */
#ifndef TESTS_UNIT_CONTROLPLANE_REGISTRAR_CONFIG_H
#define TESTS_UNIT_CONTROLPLANE_REGISTRAR_CONFIG_H

#include "config/model.h"
#include "platforms/base/address.h"

static struct config_network_interface network = { .name = (char *)(uintptr_t) "net" };
static struct config_realm access_realm = { .name = (char *)(uintptr_t) "access",
	.network_interface = &network };
static struct config_realm core_realm = { .name = (char *)(uintptr_t) "core", .network_interface = &network };
static struct config_ip_profile phone_profile, trunk_profile;
static struct config_endpoint listens[2];
static struct config_sip_interface interfaces[2] = {
	{ .name = (char *)(uintptr_t) "access",
		.realm = &access_realm,
		.listen = &listens[0],
		.listen_count = 1,
		.ip_profile = &phone_profile,
		.registration = CONFIG_REGISTRATION_CACHE,
		.allow_anonymous = CONFIG_ANONYMOUS_REGISTERED },
	{ .name = (char *)(uintptr_t) "core",
		.realm = &core_realm,
		.listen = &listens[1],
		.listen_count = 1,
		.ip_profile = &trunk_profile,
		.allow_anonymous = CONFIG_ANONYMOUS_AGENTS },
};
static struct config_session_agent agent = {
	.name = (char *)(uintptr_t) "pbx", .realm = &core_realm, .ip_profile = &trunk_profile
};
static struct config_local_policy policy = { .name = (char *)(uintptr_t) "all", .agent = &agent };

/* What is read from text. False: it cannot be. */
static inline bool registrar_config_open(const char *users)
{
	return address_parse(SPAN("192.0.2.1:5060"), 0, &listens[0].address) == 0 &&
	       address_parse(SPAN("198.51.100.1:5060"), 0, &listens[1].address) == 0 &&
	       address_parse(SPAN("198.51.100.5:5060"), 0, &agent.address.address) == 0 &&
	       regcomp(&policy.to_regex, users, REG_EXTENDED | REG_NOSUB) == 0;
}

#endif
