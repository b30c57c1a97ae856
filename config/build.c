/* SPDX-License-Identifier: BSD-3-Clause */
/* The typed model from the outline: place for every object, plain values, order of the policies, then what refers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"

static size_t count_children(const struct config_load *load, const struct config_object *parent)
{
	size_t count = 0;

	for (const struct config_object *o = load->private->objects; o; o = o->next)
		count += o->parent == parent && o != parent;
	return count;
}

static int place_array(struct config_load *load, const struct config_section *section, char *base,
	size_t count, char **array)
{
	*array = arena_alloc(&load->private->arena, count + 1, section->size);
	if (!*array)
		return config_no_memory(load);
	memcpy(base + section->offset, array, sizeof(*array));
	memcpy(base + section->count_offset, &count, sizeof(count));
	return 0;
}

/* Every named struct begins with its name. */
static void place_object(struct config_object *object, char *place)
{
	object->typed = place;
	if (object->section->named)
		memcpy(place, &object->name, sizeof(object->name));
}

static int place_children(struct config_load *load, struct config_object *parent)
{
	size_t count = count_children(load, parent), i = 0;
	char *array;

	if (place_array(load, parent->section->child, parent->typed, count, &array))
		return -ENOMEM;
	for (struct config_object *o = parent->next; o && o->parent == parent; o = o->next)
		place_object(o, array + i++ * o->section->size);
	return 0;
}

static int place_section(struct config_load *load, const struct config_section *section)
{
	char *base = (char *)load->config, *array;
	size_t count = 0, i = 0;

	for (const struct config_object *o = load->private->objects; o; o = o->next)
		count += o->section == section;
	if (section->named && place_array(load, section, base, count, &array))
		return -ENOMEM;
	for (struct config_object *o = load->private->objects; o; o = o->next) {
		if (o->section != section)
			continue;
		place_object(o, section->named ? array + i++ * section->size : base + section->offset);
		if (section->child && place_children(load, o))
			return -ENOMEM;
	}
	return 0;
}

static int set_object(struct config_load *load, struct config_object *object, bool late)
{
	const struct config_section *section = object->section;

	for (size_t i = 0; i < section->row_count; i++) {
		const struct config_row *row = &section->rows[i];
		struct config_setting *setting = config_setting_find(object, row->name);
		char allowed[512];

		if (config_value_is_late(row->type) != late)
			continue;
		if (!setting && row->required) {
			config_report_at(load, true, object->line, object, row, "is missing; allowed: %s",
				config_row_allowed(row, allowed, sizeof(allowed)));
			continue;
		}
		if (setting && setting->refused && row->required)
			continue;
		if (config_value_set(load, object, row, setting))
			return -ENOMEM;
	}
	return 0;
}

static int set_all(struct config_load *load, bool late)
{
	for (struct config_object *o = load->private->objects; o; o = o->next)
		if (set_object(load, o, late))
			return -ENOMEM;
	return 0;
}

/* Unnamed sections that are not written, and the built-in profile, hold the defaults. */
static int set_defaults(struct config_load *load, bool late)
{
	struct config_object profile = { .section = config_section_find("ip-profile"),
		.name = (char[]){ "default" } };

	for (size_t i = 0; i < config_section_count; i++) {
		struct config_object object = { .section = &config_sections[i] };

		if (object.section->named || config_object_find(load->private, object.section, NULL))
			continue;
		object.typed = (char *)load->config + object.section->offset;
		if (set_object(load, &object, late))
			return -ENOMEM;
	}
	profile.typed = &load->private->default_profile;
	return set_object(load, &profile, late);
}

static int by_priority(const void *a, const void *b)
{
	const struct config_object *x = *(struct config_object *const *)a,
				   *y = *(struct config_object *const *)b;
	unsigned p = ((const struct config_local_policy *)x->typed)->priority;
	unsigned q = ((const struct config_local_policy *)y->typed)->priority;

	if (p != q)
		return p < q ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int sort_policies(struct config_load *load)
{
	struct config *config = load->config;
	const struct config_section *section = config_section_find("local-policy");
	size_t count = config->local_policies_count, n = 0;
	struct config_local_policy *sorted = arena_alloc(&load->private->arena, count + 1, sizeof(*sorted));
	struct config_object **objects =
		arena_alloc(&load->private->arena, count + 1, sizeof(struct config_object *));

	if (!sorted || !objects)
		return config_no_memory(load);
	for (struct config_object *o = load->private->objects; o; o = o->next)
		if (o->section == section)
			objects[n++] = o;
	qsort(objects, n, sizeof(objects[0]), by_priority);
	for (size_t i = 0; i < n; i++) {
		memcpy(&sorted[i], objects[i]->typed, sizeof(sorted[i]));
		objects[i]->typed = &sorted[i];
	}
	config->local_policies = sorted;
	return 0;
}

/* Fields that follow from others. */
static void derive(struct config *config)
{
	if (!config_line(config, "sip-config", NULL, "timer-b"))
		config->sip.timer_b_ms = 64 * config->sip.t1_ms;
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		if (!config->sip_interfaces[i].ip_profile)
			config->sip_interfaces[i].ip_profile = &config->private->default_profile;
	for (size_t i = 0; i < config->local_policies_count; i++)
		config->local_policies[i].has_from =
			config->local_policies[i].from && config->local_policies[i].from[0];
	for (size_t i = 0; i < config->sip_manipulations_count; i++)
		for (size_t j = 0; j < config->sip_manipulations[i].rule_count; j++) {
			struct config_manipulation_rule *rule = &config->sip_manipulations[i].rules[j];

			rule->has_match = rule->match && rule->match[0];
		}
}

int config_build(struct config_load *load)
{
	load->private->default_profile.name = arena_text(&load->private->arena, "default", strlen("default"));
	if (!load->private->default_profile.name)
		return config_no_memory(load);
	for (size_t i = 0; i < config_section_count; i++)
		if (place_section(load, &config_sections[i]))
			return -ENOMEM;
	if (set_defaults(load, false) || set_all(load, false) || sort_policies(load))
		return -ENOMEM;
	if (set_defaults(load, true) || set_all(load, true))
		return -ENOMEM;
	derive(load->config);
	return 0;
}
