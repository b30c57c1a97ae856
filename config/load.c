/* SPDX-License-Identifier: BSD-3-Clause */
/* From a file to a whole, valid model or to its errors: read, outline, libConfuse, types, validation. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/document.h"
#include "config/source.h"

int config_load_begin(struct config_load *load, const char *name)
{
	struct config *config = calloc(1, sizeof(*config));
	struct config_private *private = calloc(1, sizeof(*private));

	if (config && private) {
		private->objects_tail = &private->objects;
		private->file = arena_text(&private->arena, name, strlen(name));
	}
	if (!config || !private || !private->file) {
		free(private);
		free(config);
		return -ENOMEM;
	}
	config->private = private;
	load->config = config;
	load->private = private;
	return 0;
}

static int outline_text(struct config_load *load, const char *text, size_t length)
{
	char *clean;
	int error;

	if (length > CONFIG_TEXT_MAX) {
		config_report(load, true, 0, "file is too large; allowed: 4 MiB");
		return -EINVAL;
	}
	error = config_scan(load, text, length, &clean);
	if (error)
		return error;
	error = config_read_text(load, clean);
	free(clean);
	if (load->out_of_memory)
		error = -ENOMEM;
	return error;
}

static int load_text(struct config_load *load, const char *text, size_t length)
{
	int error = outline_text(load, text, length);

	if (!error)
		error = config_build(load);
	if (error)
		return error;
	error = config_read_files(load);
	config_validate(load);
	if (load->out_of_memory)
		error = -ENOMEM;
	return error ? error : load->errors ? -EINVAL : 0;
}

static int load_with(struct config_load *load, const char *name, const char *text, size_t length,
	int (*read)(struct config_load *load, const char *text, size_t length), struct config **out)
{
	int error = config_load_begin(load, name);

	if (error) {
		load->reporter->report(load->reporter->arg, true, "out of memory");
		return error;
	}
	load->private->digest = config_digest_of(text, length);
	error = read(load, text, length);
	if (!error && load->errors)
		error = -EINVAL;
	config_report_all(load);
	if (error)
		config_free(load->config);
	else
		*out = load->config;
	return error;
}

int config_load_text(const char *name, const char *text, size_t length, bool commit,
	const struct config_reporter *reporter, struct config **out)
{
	struct config_load load = { .reporter = reporter, .commit = commit };

	return load_with(&load, name, text, length, load_text, out);
}

/* What was printed for eyes that may not see secrets is not to become a configuration. */
static int unmasked_outline(struct config_load *load, const char *text, size_t length)
{
	int error = outline_text(load, text, length);

	if (error)
		return error;
	for (const struct config_object *o = load->private->objects; o; o = o->next)
		for (const struct config_setting *s = o->settings; s; s = s->next)
			if (s->row->type == CONFIG_TYPE_SECRET && !s->refused && s->count &&
				!strcmp(s->values[0], CONFIG_MASK))
				config_report_at(load, true, s->line, o, s->row,
					"is masked; the secret itself must stand there");
	return 0;
}

int config_outline(const char *name, const char *text, size_t length, const struct config_reporter *reporter,
	struct config **out)
{
	struct config_load load = { .reporter = reporter };

	return load_with(&load, name, text, length, unmasked_outline, out);
}

/* At most one byte more than is allowed, so that a file that is too large is seen to be. */
static int read_all(int fd, char *buffer, size_t *length)
{
	size_t have = 0;
	ssize_t n = 1;

	while (n != 0 && have <= CONFIG_TEXT_MAX) {
		n = read(fd, buffer + have, CONFIG_TEXT_MAX + 1 - have);
		if (n > 0)
			have += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return -errno;
	}
	*length = have;
	return 0;
}

/* The whole file into a heap buffer that becomes the caller's. */
static int read_file(const char *file, char **text, size_t *length)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), error;
	char *buffer;

	if (fd < 0)
		return -errno;
	buffer = malloc(CONFIG_TEXT_MAX + 1);
	error = buffer ? read_all(fd, buffer, length) : -ENOMEM;
	(void)close(fd);
	if (error)
		free(buffer);
	else
		*text = buffer;
	return error;
}

static void report_unreadable(const char *file, int error, const struct config_reporter *reporter)
{
	char text[640];

	(void)snprintf(text, sizeof(text), "%.512s: cannot be read: %s", file, strerror(-error));
	reporter->report(reporter->arg, true, text);
}

int config_load(const char *file, bool commit, const struct config_reporter *reporter, struct config **out)
{
	char *text = NULL;
	size_t length = 0;
	int error = read_file(file, &text, &length);

	if (error) {
		report_unreadable(file, error, reporter);
		return error;
	}
	error = config_load_text(file, text, length, commit, reporter, out);
	free(text);
	return error;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (struct config_pattern *p = config->private->patterns; p; p = p->next)
		regfree(p->regex);
	arena_free(&config->private->arena);
	free(config->private);
	free(config);
}
