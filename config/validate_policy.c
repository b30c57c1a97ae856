/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of routing, translations, header rules and the guard. */
#include <string.h>

#include "config/source.h"

/* The highest group that "\1" to "\9" in a replacement ask for. */
static size_t groups_used(const char *text)
{
	size_t highest = 0;

	for (; *text; text++) {
		if (*text != '\\' || !text[1])
			continue;
		text++;
		if (*text >= '1' && *text <= '9' && (size_t)(*text - '0') > highest)
			highest = (size_t)(*text - '0');
	}
	return highest;
}

static void check_translation(struct config_load *load, const struct config_translation *t)
{
	if (!t->apply_from && !t->apply_to && config_line(load->config, "translation", t->name, "apply"))
		config_blame(load, true, "translation", t->name, "apply", 0,
			"applies to nothing; allowed: from, to, both");
	if (t->match && t->replace && groups_used(t->replace) > t->match_regex.re_nsub)
		config_blame(load, true, "translation", t->name, "replace", 0,
			"asks for group %zu of the pattern, which has %zu; allowed: groups the pattern has",
			groups_used(t->replace), t->match_regex.re_nsub);
}

static const struct config_object *rule_object(
	const struct config_load *load, const struct config_manipulation_rule *rule)
{
	const struct config_object *o = load->private->objects;

	while (o && o->typed != rule)
		o = o->next;
	return o;
}

static void check_rule(struct config_load *load, const struct config_manipulation_rule *rule)
{
	const struct config_object *o = rule_object(load, rule);
	bool has_value = rule->value && rule->value[0];
	const struct config_row *value = config_row_find(o->section, "value"),
				*header = config_row_find(o->section, "header");

	if (!config_setting_find(o, "action"))
		return;
	if (rule->action == CONFIG_MANIPULATION_DELETE && has_value)
		config_report_at(load, true, config_setting_find(o, "value")->line, o, value,
			"means nothing to delete; allowed: none");
	if (rule->action != CONFIG_MANIPULATION_DELETE && !has_value)
		config_report_at(
			load, true, o->line, o, value, "is missing; allowed: text to add or put in place");
	if (rule->header && !config_is_token(rule->header))
		config_report_at(load, true, config_setting_find(o, "header")->line, o, header,
			"\"%.64s\" is no header name; allowed: letters, digits, - . _ +", rule->header);
	if (rule->match && has_value && groups_used(rule->value) > rule->match_regex.re_nsub)
		config_report_at(load, true, config_setting_find(o, "value")->line, o, value,
			"asks for group %zu of the pattern, which has %zu; allowed: groups the pattern has",
			groups_used(rule->value), rule->match_regex.re_nsub);
}

static bool anybody_registers(const struct config *config)
{
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		if (config->sip_interfaces[i].registration != CONFIG_REGISTRATION_OFF)
			return true;
	return false;
}

static void check_policies(struct config_load *load)
{
	const struct config *config = load->config;
	bool registers = anybody_registers(config);

	for (size_t i = 0; i < config->local_policies_count; i++) {
		const struct config_local_policy *p = &config->local_policies[i];

		if (p->next_hop == CONFIG_NEXT_HOP_REGISTRATION && !registers)
			config_blame(load, false, "local-policy", p->name, "next-hop", 0,
				"no sip-interface takes registrations: nobody can be reached this way");
	}
}

void config_validate_policy(struct config_load *load)
{
	const struct config *config = load->config;

	check_policies(load);
	for (size_t i = 0; i < config->translations_count; i++)
		check_translation(load, &config->translations[i]);
	for (size_t i = 0; i < config->sip_manipulations_count; i++)
		for (size_t j = 0; j < config->sip_manipulations[i].rule_count; j++)
			check_rule(load, &config->sip_manipulations[i].rules[j]);
	if (config->guard.deny_time_max < config->guard.deny_time)
		config_blame(load, true, "guard", NULL, "deny-time-max", 0,
			"is shorter than deny-time; allowed: deny-time or longer");
}
