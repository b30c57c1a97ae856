/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration text: any bytes give a valid model or at least one error, in one line each, within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned errors;
};

static void on_report(void *arg, bool is_error, const char *line)
{
	struct seen *seen = arg;

	if (strncmp(line, "fuzz:", 5) || strchr(line, '\n'))
		abort();
	seen->errors += is_error;
}

/* Every reference that must be there is there. */
static void check_model(const struct config *config)
{
	for (size_t i = 0; i < config->realms_count; i++)
		if (!config->realms[i].network_interface)
			abort();
	for (size_t i = 0; i < config->steering_pools_count; i++)
		if (!config->steering_pools[i].realm ||
			config->steering_pools[i].port_first >= config->steering_pools[i].port_last)
			abort();
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		if (!config->sip_interfaces[i].realm || !config->sip_interfaces[i].ip_profile ||
			!config->sip_interfaces[i].listen_count)
			abort();
	for (size_t i = 0; i < config->local_policies_count; i++) {
		const struct config_local_policy *p = &config->local_policies[i];

		if ((p->next_hop == CONFIG_NEXT_HOP_AGENT && !p->agent) ||
			(p->next_hop == CONFIG_NEXT_HOP_GROUP && !p->group))
			abort();
		(void)regexec(&p->to_regex, "4930123456", 0, NULL, 0);
		if (!config_line(config, "local-policy", p->name, "next-hop"))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { 0 };
	struct config_reporter reporter = { on_report, &seen };
	struct config *config = NULL;
	int error = config_load_text("fuzz", (const char *)data, size, false, &reporter, &config);

	if (error ? !seen.errors || config : seen.errors || !config)
		abort();
	if (config)
		check_model(config);
	config_free(config);
	return 0;
}
