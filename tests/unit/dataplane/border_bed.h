/* SPDX-License-Identifier: BSD-3-Clause */
/* A border as a configuration's text makes it, in a dataplane of the test bed's interfaces. */
#ifndef TESTS_UNIT_DATAPLANE_BORDER_BED_H
#define TESTS_UNIT_DATAPLANE_BORDER_BED_H

#include <stdio.h>

#include "dataplane/border.h"
#include "tests/unit/dataplane/bed.h"

/* Realm "access" (0) on interface 0, "core" (1) and "lab" (2) on interface 1. */
#define BORDER_BED                                                                                          \
	"network-interface outside { port = \"xdp:eth0\" addresses = {\"10.0.1.1/24\", "                    \
	"\"2001:db8:1::1/64\"} }\n"                                                                         \
	"network-interface inside { port = \"xdp:eth1\" addresses = {\"10.0.2.1/24\", \"10.0.2.2/24\"} }\n" \
	"realm access { network-interface = outside }\n"                                                    \
	"realm core { network-interface = inside trust = trusted }\n"                                       \
	"realm lab { network-interface = inside }\n"                                                        \
	"steering-pool access { realm = access address = \"10.0.1.1\" ports = \"10000-10015\" }\n"          \
	"steering-pool core { realm = core address = \"10.0.2.1\" ports = \"10000-10015\" }\n"              \
	"sip-interface access { realm = access listen = {\"udp:10.0.1.1:5060\", "                           \
	"\"udp:[2001:db8:1::1]:5060\"} }\n"                                                                 \
	"sip-interface core { realm = core listen = {\"udp:10.0.2.1:5060\"} }\n"                            \
	"sip-interface lab { realm = lab listen = {\"udp:10.0.2.1:5070\"} }\n"                              \
	"session-agent pbx { realm = access address = \"udp:10.0.1.7:5060\" }\n"                            \
	"access-control office { realm = access source = \"192.0.2.0/24\" action = permit trust = "         \
	"trusted rate = 100 }\n"                                                                            \
	"access-control guests { realm = access source = \"192.0.2.128/25\" action = permit }\n"            \
	"access-control badnet { realm = access source = \"203.0.113.0/24\" action = deny }\n"

static inline void border_bed_report(void *arg, bool is_error, const char *line)
{
	(void)arg;
	if (is_error)
		fprintf(stderr, "%s\n", line);
}

/* Replaces the configuration of `dp`, which bed_new made, and builds the border. `more` is added to the text. */
static inline void border_bed_build(struct dataplane *dp, const char *more)
{
	const struct config_reporter reporter = { .report = border_bed_report };
	char text[8192];
	int n = snprintf(text, sizeof(text), "%s%s", BORDER_BED, more);

	free(dp->config->network_interfaces);
	free(dp->config);
	if (config_load_text("test", text, (size_t)n, false, &reporter, &dp->config) != 0)
		abort();
	dp->started = dp->config;
	dp->realm_number = calloc(dp->config->realms_count, sizeof(*dp->realm_number));
	for (uint16_t i = 0; dp->realm_number != NULL && i < dp->config->realms_count; i++)
		dp->realm_number[i] = i;
	if (dp->realm_number == NULL || border_build(dp) != 0)
		abort();
}

/* Before bed_free. */
static inline void border_bed_destroy(struct dataplane *dp)
{
	border_destroy(dp);
	free(dp->realm_number);
	config_free(dp->config);
	dp->config = dp->started = calloc(1, sizeof(*dp->config));
	if (dp->config == NULL)
		abort();
}

static inline struct dp_source_key border_bed_key(const char *ip, uint8_t length, uint16_t port)
{
	return (struct dp_source_key){ .address = bed_address(ip, port), .length = length };
}

#endif
