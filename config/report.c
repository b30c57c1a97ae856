/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of a load: "FILE:LINE: path: what is wrong, what is allowed". */
#include "config/source.h"
#include "config/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/span.h"

enum { LINE_MAX_LENGTH = 1024 };

/* What was written may hold anything: control characters and broken UTF-8 stay out of messages. */
static void make_printable(char *text)
{
	const char *end = text + strlen(text);

	while (*text) {
		size_t n = config_utf8_length(text, end);

		if (!n || (unsigned char)*text < 0x20 || *text == 0x7f) {
			*text = '?';
			n = 1;
		}
		text += n;
	}
}

static void note(struct config_load *load, bool is_error, unsigned line, char *text)
{
	unsigned *counter = is_error ? &load->errors : &load->warnings;
	struct config_message *message;
	char *copy;

	if ((*counter)++ >= CONFIG_MESSAGES_MAX)
		return;
	make_printable(text);
	copy = arena_text(&load->private->arena, text, strlen(text));
	if (!copy) {
		load->reporter->report(load->reporter->arg, is_error, text);
		return;
	}
	message = &load->messages[load->message_count];
	*message = (struct config_message){ line, load->message_count++, is_error, copy };
}

static int by_line(const void *a, const void *b)
{
	const struct config_message *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void config_report_all(struct config_load *load)
{
	const struct {
		bool is_error, is_beyond;
		const char *what;
	} beyond[] = { { true, load->errors > CONFIG_MESSAGES_MAX, "errors" },
		{ false, load->warnings > CONFIG_MESSAGES_MAX, "warnings" } };
	char text[640];

	qsort(load->messages, load->message_count, sizeof(load->messages[0]), by_line);
	for (unsigned i = 0; i < load->message_count; i++)
		load->reporter->report(
			load->reporter->arg, load->messages[i].is_error, load->messages[i].text);
	for (size_t i = 0; i < 2; i++) {
		if (!beyond[i].is_beyond)
			continue;
		(void)snprintf(text, sizeof(text), "%.512s: more %s are not shown", load->private->file,
			beyond[i].what);
		load->reporter->report(load->reporter->arg, beyond[i].is_error, text);
	}
	load->message_count = 0;
}

static __attribute__((format(printf, 5, 0))) void report(struct config_load *load, bool is_error,
	unsigned line, const char *path, const char *format, va_list args)
{
	char text[LINE_MAX_LENGTH], whole[LINE_MAX_LENGTH * 2];

	(void)vsnprintf(text, sizeof(text), format, args);
	if (line)
		(void)snprintf(
			whole, sizeof(whole), "%.512s:%u: %s%s", load->private->file, line, path, text);
	else
		(void)snprintf(whole, sizeof(whole), "%.512s: %s%s", load->private->file, path, text);
	note(load, is_error, line, whole);
}

void config_report(struct config_load *load, bool is_error, unsigned line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(load, is_error, line, "", format, args);
	va_end(args);
}

const char *config_path(
	const struct config_object *object, const struct config_row *row, char *buffer, size_t size)
{
	struct writer w;
	const struct config_object *top = object->parent ? object->parent : object;

	writer_init(&w, buffer, size - 1);
	writer_text(&w, top->section->name);
	if (top->name)
		writer_format(&w, " %s", top->name);
	if (object->parent)
		writer_format(&w, ".%s %s", object->section->name, object->name);
	if (row)
		writer_format(&w, ".%s", row->name);
	buffer[w.len] = '\0';
	return buffer;
}

void config_report_at(struct config_load *load, bool is_error, unsigned line,
	const struct config_object *object, const struct config_row *row, const char *format, ...)
{
	char path[256];
	size_t n;
	va_list args;

	config_path(object, row, path, sizeof(path) - 2);
	n = strnlen(path, sizeof(path) - 3);
	path[n] = ':';
	path[n + 1] = ' ';
	path[n + 2] = '\0';
	va_start(args, format);
	report(load, is_error, line, path, format, args);
	va_end(args);
}

void config_blame(struct config_load *load, bool is_error, const char *section, const char *name,
	const char *setting, size_t index, const char *format, ...)
{
	const struct config_section *s = config_section_find(section);
	const struct config_row *row = setting ? config_row_find(s, setting) : NULL;
	const struct config_object *object = config_object_find(load->private, s, name);
	const struct config_object unwritten = { .section = s };
	const struct config_setting *written = object && row ? config_setting_find(object, setting) : NULL;
	unsigned line = object ? object->line : 0;
	char text[LINE_MAX_LENGTH];
	size_t defaults;
	va_list args;

	if (written) {
		/* Values of a "+=" come after the default's, which have no line. */
		defaults = written->adds ? config_default_count(row) : 0;
		line = index >= defaults && index - defaults < written->count
			       ? written->lines[index - defaults]
			       : written->line;
	}
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config_report_at(load, is_error, line, object ? object : &unwritten, row, "%s", text);
}

int config_no_memory(struct config_load *load)
{
	if (!load->out_of_memory)
		config_report(load, true, 0, "out of memory");
	load->out_of_memory = true;
	return -ENOMEM;
}
