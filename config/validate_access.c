/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of access-control: what would never take effect, and what would shut out our own peers. */
#include <stdlib.h>

#include "config/source.h"

/* An access-control with the bits behind its source's length cleared. */
struct rule {
	const struct config_access_control *control;
	union address network;
};

static int compare_rules(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	if (x->control->realm != y->control->realm)
		return x->control->realm < y->control->realm ? -1 : 1;
	int networks = config_compare_hosts(&x->network, &y->network);
	if (networks)
		return networks;
	if (x->control->source.length != y->control->source.length)
		return x->control->source.length < y->control->source.length ? -1 : 1;
	return x->control < y->control ? -1 : x->control > y->control;
}

/* Neighbours in the order of compare_rules. */
static void check_twice(struct config_load *load, const struct rule *first, const struct rule *second)
{
	char host[ADDRESS_TEXT_MAX];

	if (first->control->realm != second->control->realm ||
		first->control->source.length != second->control->source.length ||
		config_compare_hosts(&first->network, &second->network))
		return;
	config_blame(load, true, "access-control", second->control->name, "source", 0,
		"%s/%u in realm %s is that of access-control %s too (line %u); allowed: each source once per "
		"realm",
		address_print_host(&second->network, host), second->control->source.length,
		second->control->realm->name, first->control->name,
		config_line(load->config, "access-control", first->control->name, "source"));
}

static void check_rule(struct config_load *load, const struct rule *r)
{
	const struct config_access_control *a = r->control;
	char host[ADDRESS_TEXT_MAX];

	if (config_compare_hosts(&r->network, &a->source.address))
		config_blame(load, false, "access-control", a->name, "source", 0,
			"has bits behind its length: %s/%u is meant", address_print_host(&r->network, host),
			a->source.length);
	if (a->permit || !config_line(load->config, "access-control", a->name, "action"))
		return;
	if (a->rate)
		config_blame(load, false, "access-control", a->name, "rate", 0,
			"means nothing: action = deny lets nothing in");
	if (a->trust == CONFIG_TRUST_TRUSTED)
		config_blame(load, false, "access-control", a->name, "trust", 0,
			"means nothing: action = deny lets nothing in");
}

/* The access list comes before the trust an agent has by being configured. */
static void check_agent(struct config_load *load, const struct config_session_agent *agent,
	const struct rule *rules, size_t count)
{
	const struct config_access_control *best = NULL;
	char host[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct config_access_control *a = rules[i].control;

		if (a->realm == agent->realm && prefix_contains(&a->source, &agent->address.address) &&
			(!best || a->source.length > best->source.length))
			best = a;
	}
	if (best && !best->permit)
		config_blame(load, false, "session-agent", agent->name, "address", 0,
			"%s is denied by access-control %s (line %u): nothing comes from there",
			address_print_host(&agent->address.address, host), best->name,
			config_line(load->config, "access-control", best->name, "source"));
}

void config_validate_access(struct config_load *load)
{
	const struct config *config = load->config;
	struct rule *rules =
		arena_alloc(&load->private->arena, config->access_controls_count + 1, sizeof(*rules));
	size_t count = 0;

	if (!rules) {
		(void)config_no_memory(load);
		return;
	}
	for (size_t i = 0; i < config->access_controls_count; i++) {
		const struct config_access_control *a = &config->access_controls[i];

		if (!a->realm || !address_is_set(&a->source.address))
			continue;
		rules[count] = (struct rule){ .control = a, .network = a->source.address };
		config_clear_host_bits(&rules[count].network, a->source.length);
		check_rule(load, &rules[count++]);
	}
	qsort(rules, count, sizeof(rules[0]), compare_rules);
	for (size_t i = 1; i < count; i++)
		check_twice(load, &rules[i - 1], &rules[i]);
	for (size_t i = 0; i < config->session_agents_count; i++)
		if (config->session_agents[i].realm &&
			address_is_set(&config->session_agents[i].address.address))
			check_agent(load, &config->session_agents[i], rules, count);
}
