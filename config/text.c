/* SPDX-License-Identifier: BSD-3-Clause */
/* libConfuse's home: its tables from the schema, its reading of the clean text, its values into the outline. */
#include <confuse.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"

/* libConfuse's scanner keeps its state in globals, and its error callback takes no argument of ours. */
static pthread_mutex_t one_reader = PTHREAD_MUTEX_INITIALIZER;
static struct config_load *reader; /* lock: one_reader */

static __attribute__((format(printf, 2, 0))) void on_error(cfg_t *cfg, const char *format, va_list args)
{
	char text[256];

	(void)vsnprintf(text, sizeof(text), format, args);
	config_report(reader, true, cfg->line > 0 ? (unsigned)cfg->line : 0, "%s", text);
}

static void free_options(cfg_opt_t *options)
{
	for (size_t i = 0; options && options[i].name; i++)
		free_options(options[i].subopts);
	free(options);
}

/* Every value is read as text: the schema's types say more than libConfuse's, and name what is allowed. */
static cfg_opt_t *section_options(const struct config_section *section)
{
	size_t n = 0;
	cfg_opt_t *options = calloc(section->row_count + 2, sizeof(*options));

	if (!options)
		return NULL;
	for (; n < section->row_count; n++)
		options[n] = config_type_is_list(section->rows[n].type)
				     ? (cfg_opt_t)CFG_STR_LIST(section->rows[n].name, NULL, CFGF_NODEFAULT)
				     : (cfg_opt_t)CFG_STR(section->rows[n].name, NULL, CFGF_NODEFAULT);
	if (section->child) {
		cfg_opt_t *child = section_options(section->child);

		if (!child) {
			free_options(options);
			return NULL;
		}
		options[n++] = (cfg_opt_t)CFG_SEC(
			section->child->name, child, CFGF_MULTI | CFGF_TITLE | CFGF_NODEFAULT);
	}
	options[n] = (cfg_opt_t)CFG_END();
	return options;
}

static cfg_opt_t *all_options(void)
{
	cfg_opt_t *options = calloc(config_section_count + 1, sizeof(*options));

	for (size_t i = 0; options && i < config_section_count; i++) {
		const struct config_section *section = &config_sections[i];
		cfg_opt_t *rows = section_options(section);

		if (!rows) {
			free_options(options);
			return NULL;
		}
		options[i] = (cfg_opt_t)CFG_SEC(section->name, rows,
			(section->named ? CFGF_MULTI | CFGF_TITLE : CFGF_NONE) | CFGF_NODEFAULT);
	}
	return options;
}

static int take_values(struct config_load *load, const struct config_object *object,
	struct config_setting *setting, cfg_t *cfg)
{
	cfg_opt_t *option = cfg_getopt(cfg, setting->row->name);

	if (!option || cfg_opt_size(option) != setting->count) {
		config_report_at(load, true, setting->line, object, setting->row,
			"cannot be read; put its values in quotes");
		return -EINVAL;
	}
	setting->values = arena_alloc(&load->private->arena, setting->count + 1, sizeof(*setting->values));
	if (!setting->values)
		return config_no_memory(load);
	for (unsigned i = 0; i < setting->count; i++) {
		const char *text = cfg_opt_getnstr(option, i);

		setting->values[i] = arena_text(&load->private->arena, text, strlen(text));
		if (!setting->values[i])
			return config_no_memory(load);
	}
	return 0;
}

static int take_object(struct config_load *load, const struct config_object *object, cfg_t *cfg)
{
	struct config_setting *setting;
	int error = 0;

	if (!cfg || (object->name && (!cfg_title(cfg) || strcmp(cfg_title(cfg), object->name)))) {
		config_report_at(load, true, object->line, object, NULL, "cannot be read");
		return -EINVAL;
	}
	for (setting = object->settings; setting && !error; setting = setting->next)
		if (!setting->refused)
			error = take_values(load, object, setting, cfg);
	return error;
}

static int take_all(struct config_load *load, cfg_t *root)
{
	size_t seen[64] = { 0 }, children = 0;
	struct config_object *object;
	cfg_t *parent = NULL;
	int error = 0;

	for (object = load->private->objects; object && !error; object = object->next) {
		if (object->parent) {
			object->index = children++;
			error = take_object(load, object,
				parent ? cfg_getnsec(parent, object->section->name, (unsigned)object->index)
				       : NULL);
			continue;
		}
		object->index = seen[object->section - config_sections]++;
		parent = cfg_getnsec(root, object->section->name, (unsigned)object->index);
		children = 0;
		error = take_object(load, object, parent);
	}
	return error;
}

int config_read_text(struct config_load *load, const char *clean)
{
	cfg_opt_t *options = all_options();
	cfg_t *root = NULL;
	unsigned errors = load->errors;
	int error = -ENOMEM;

	if (!options)
		return config_no_memory(load);
	pthread_mutex_lock(&one_reader);
	reader = load;
	root = cfg_init(options, CFGF_NONE);
	if (!root) {
		error = config_no_memory(load);
		goto out;
	}
	cfg_set_error_function(root, on_error);
	error = cfg_parse_buf(root, clean) == CFG_SUCCESS ? 0 : -EINVAL;
	if (!error)
		error = take_all(load, root);
	else if (load->errors == errors)
		config_report(load, true, root->line > 0 ? (unsigned)root->line : 0, "cannot be read");
out:
	if (root)
		cfg_free(root);
	reader = NULL;
	pthread_mutex_unlock(&one_reader);
	free_options(options);
	return error;
}
