/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds what is written where: objects, settings, and their lines. */
#include "config/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct config_setting *config_setting_find(const struct config_object *object, const char *name)
{
	struct config_setting *setting;

	for (setting = object->settings; setting; setting = setting->next)
		if (!strcmp(setting->row->name, name))
			return setting;
	return NULL;
}

/* FNV-1a; the number of objects is bounded, so that a file made to collide costs time in bounds too. */
static size_t bucket(const struct config_section *section, const char *name)
{
	uint32_t hash = 2166136261U;
	const char *const parts[] = { section->name, name ? name : "" };

	for (size_t i = 0; i < 2; i++)
		for (const char *p = parts[i]; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 16777619U;
	return hash % CONFIG_BUCKETS;
}

void config_object_add(struct config_private *private, struct config_object *object)
{
	struct config_object **alike = &private->alike[bucket(object->section, object->name)];

	object->next_alike = *alike;
	*alike = object;
	*private->objects_tail = object;
	private->objects_tail = &object->next;
}

const struct config_object *config_object_find_in(const struct config_private *private,
	const struct config_section *section, const struct config_object *parent, const char *name)
{
	const struct config_object *o;

	if (section->named != (name != NULL))
		return NULL;
	for (o = private->alike[bucket(section, name)]; o; o = o->next_alike)
		if (o->section == section && o->parent == parent && (!name || !strcmp(o->name, name)))
			return o;
	return NULL;
}

const struct config_object *config_object_find(
	const struct config_private *private, const struct config_section *section, const char *name)
{
	return config_object_find_in(private, section, NULL, section->named ? name : NULL);
}

static unsigned object_line(const struct config_object *object, const char *setting)
{
	const struct config_setting *s;

	if (!setting)
		return object->line;
	s = config_setting_find(object, setting);
	return s ? s->line : 0;
}

/* "rule 1.header" inside a section. */
static unsigned child_line(
	const struct config *config, const struct config_object *parent, const char *setting)
{
	const struct config_object *o;
	char path[160];

	for (o = config->private->objects; o; o = o->next) {
		int n;

		if (o->parent != parent)
			continue;
		n = snprintf(path, sizeof(path), "%s %s", o->section->name, o->name);
		if (n < 0 || strncmp(setting, path, (size_t)n))
			continue;
		if (!setting[n] || setting[n] == '.')
			return object_line(o, setting[n] ? setting + n + 1 : NULL);
	}
	return 0;
}

unsigned config_line(const struct config *config, const char *section, const char *name, const char *setting)
{
	const struct config_section *row = config_section_find(section);
	const struct config_object *object = row ? config_object_find(config->private, row, name) : NULL;
	unsigned line;

	if (!object)
		return 0;
	line = object_line(object, setting);
	return line || !setting || !row->child ? line : child_line(config, object, setting);
}

const char *config_file(const struct config *config)
{
	return config->private->file;
}

int config_refuse(const struct config *config, const char *section, const char *name, const char *setting,
	const char *format, ...)
{
	unsigned line = config_line(config, section, name, setting);
	char text[512], whole[1024];
	va_list args;

	if (!line)
		line = config_line(config, section, name, NULL);
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)snprintf(whole, sizeof(whole), "%.256s:%u: %s%s%.64s%s%s: %s", config_file(config), line,
		section, name ? " " : "", name ? name : "", setting ? "." : "", setting ? setting : "", text);
	log_error("config", whole);
	return -EINVAL;
}

const struct config_realm *config_find_realm(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->realms_count; i++)
		if (!strcmp(config->realms[i].name, name))
			return &config->realms[i];
	return NULL;
}

const struct config_network_interface *config_find_network_interface(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->network_interfaces_count; i++)
		if (!strcmp(config->network_interfaces[i].name, name))
			return &config->network_interfaces[i];
	return NULL;
}
