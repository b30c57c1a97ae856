/* SPDX-License-Identifier: BSD-3-Clause */
/* The outline of a configuration text: which sections and settings stand on which lines, and which of their names are
 * unknown, doubled or misplaced (docs/decisions/0010). Values are left to libConfuse. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"
#include "config/tokens.h"

struct scan {
	struct tokens t;
	size_t objects;
	unsigned lines[CONFIG_VALUES_MAX]; /* of the values of the statement being read */
	size_t line_count;
};

enum { NAME_SHOWN = 40 };
#define SHOWN(s) (int)((s).n < NAME_SHOWN ? (s).n : NAME_SHOWN), (s).p

static bool is_value(const struct scan *s)
{
	return s->t.kind == TOKEN_WORD || s->t.kind == TOKEN_STRING;
}

static bool is_assignment(const struct scan *s)
{
	return s->t.kind == TOKEN_ASSIGN || s->t.kind == TOKEN_ADD;
}

static void skip_braces(struct scan *s)
{
	size_t depth = 0;

	do {
		depth += s->t.kind == TOKEN_OPEN;
		depth -= s->t.kind == TOKEN_CLOSE;
		tokens_take(&s->t);
	} while (depth && s->t.kind != TOKEN_END);
}

/* The rest of a statement that is refused, its name being taken; and drops it. */
static void skip_statement(struct scan *s, size_t mark)
{
	while (is_value(s))
		tokens_take(&s->t);
	if (is_assignment(s)) {
		tokens_take(&s->t);
		if (is_value(s))
			tokens_take(&s->t);
	}
	if (s->t.kind == TOKEN_OPEN)
		skip_braces(s);
	tokens_drop(&s->t, mark);
}

static int stop(struct scan *s, const struct config_object *object, const struct config_row *row,
	unsigned line, const char *what)
{
	config_report_at(s->t.load, true, line, object, row, "%s", what);
	return -EINVAL;
}

static char *name_copy(struct scan *s, struct span name)
{
	char *copy = arena_text(&s->t.load->private->arena, name.p, name.n);

	if (!copy)
		(void)config_no_memory(s->t.load);
	return copy;
}

static void report_unknown_section(struct scan *s, const char *name, unsigned line)
{
	struct config_nearest nearest = { .name = name };
	char known[600];
	struct writer w;

	writer_init(&w, known, sizeof(known));
	for (size_t i = 0; i < config_section_count; i++) {
		config_nearest_try(&nearest, config_sections[i].name);
		writer_format(&w, "%s%s", i ? ", " : "", config_sections[i].name);
	}
	if (nearest.best)
		config_report(s->t.load, true, line, "\"%.40s\" is no section; did you mean \"%s\"?", name,
			nearest.best);
	else
		config_report(s->t.load, true, line, "\"%.40s\" is no section; allowed: %.*s", name,
			SPAN_FMT(writer_result(&w)));
}

static struct config_setting *new_setting(
	struct scan *s, struct config_object *object, const struct config_row *row, unsigned line)
{
	struct config_setting *setting = arena_alloc(&s->t.load->private->arena, 1, sizeof(*setting));

	if (!setting) {
		(void)config_no_memory(s->t.load);
		return NULL;
	}
	setting->row = row;
	setting->line = line;
	*object->settings_tail = setting;
	object->settings_tail = &setting->next;
	return setting;
}

/* The setting is reported, and so is not to be called missing as well. */
static int refuse_setting(
	struct scan *s, struct config_object *object, const struct config_row *row, unsigned line)
{
	struct config_setting *setting = config_setting_find(object, row->name);

	if (!setting)
		setting = new_setting(s, object, row, line);
	if (!setting)
		return -ENOMEM;
	setting->refused = true;
	return 0;
}

static int report_unknown_setting(
	struct scan *s, struct config_object *object, const char *name, unsigned line)
{
	struct config_nearest nearest = { .name = name };
	char known[600];
	struct writer w;

	writer_init(&w, known, sizeof(known));
	for (size_t i = 0; i < object->section->row_count; i++) {
		config_nearest_try(&nearest, object->section->rows[i].name);
		writer_format(&w, "%s%s", i ? ", " : "", object->section->rows[i].name);
	}
	if (object->section->child) {
		config_nearest_try(&nearest, object->section->child->name);
		writer_text(&w, object->section->child->name);
	}
	if (!nearest.best) {
		config_report_at(s->t.load, true, line, object, NULL,
			"\"%.40s\" is no setting; allowed: %.*s", name, SPAN_FMT(writer_result(&w)));
		return 0;
	}
	config_report_at(s->t.load, true, line, object, NULL, "\"%.40s\" is no setting; did you mean \"%s\"?",
		name, nearest.best);
	if (!config_row_find(object->section, nearest.best))
		return 0;
	return refuse_setting(s, object, config_row_find(object->section, nearest.best), line);
}

static int note_value(
	struct scan *s, const struct config_object *object, const struct config_row *row, bool *good)
{
	if (s->t.fault[0]) {
		config_report_at(s->t.load, true, s->t.fault_line, object, row, "%s", s->t.fault);
		*good = false;
	}
	if (s->line_count == CONFIG_VALUES_MAX)
		return stop(s, object, row, s->t.token_line, "has too many values; allowed: 1000");
	s->lines[s->line_count++] = s->t.token_line;
	tokens_take(&s->t);
	return 0;
}

static int scan_list(struct scan *s, const struct config_object *object, const struct config_row *row,
	unsigned line, bool *good)
{
	int error;

	tokens_take(&s->t);
	while (s->t.kind != TOKEN_CLOSE) {
		if (s->t.kind == TOKEN_END)
			return stop(s, object, row, line, "is a list that is not closed: \"}\" is missing");
		if (!is_value(s))
			return stop(s, object, row, s->t.token_line,
				"is a list; allowed: values with \",\" between them");
		error = note_value(s, object, row, good);
		if (error)
			return error;
		if (s->t.kind == TOKEN_COMMA) {
			tokens_take(&s->t);
		} else if (is_value(s)) {
			config_report_at(s->t.load, true, s->t.token_line, object, row,
				"\",\" is missing between its values");
			*good = false;
		}
	}
	tokens_take(&s->t);
	return 0;
}

static int add_lines(struct scan *s, struct config_setting *setting)
{
	size_t count = setting->count + s->line_count;
	unsigned *lines;

	if (count > setting->room) {
		setting->room = count * 2;
		lines = arena_alloc(&s->t.load->private->arena, setting->room, sizeof(*lines));
		if (!lines)
			return config_no_memory(s->t.load);
		if (setting->count)
			memcpy(lines, setting->lines, setting->count * sizeof(*lines));
		setting->lines = lines;
	}
	if (s->line_count) /* an empty list has no array to point into */
		memcpy(setting->lines + setting->count, s->lines, s->line_count * sizeof(*lines));
	setting->count = count;
	return 0;
}

/* Notes the statement; *good becomes false when it must not be used. */
static int note_setting(struct scan *s, struct config_object *object, const struct config_row *row,
	unsigned line, bool adds, bool *good)
{
	struct config_setting *setting = config_setting_find(object, row->name);

	if (setting && !adds && *good) {
		config_report_at(
			s->t.load, true, line, object, row, "is set twice, first on line %u", setting->line);
		*good = false;
	}
	if (!*good)
		return refuse_setting(s, object, row, line);
	if (!setting) {
		setting = new_setting(s, object, row, line);
		if (!setting)
			return -ENOMEM;
		setting->adds = adds;
	}
	if (setting->count + s->line_count > CONFIG_VALUES_MAX)
		return stop(s, object, row, line, "has too many values; allowed: 1000");
	return add_lines(s, setting);
}

static int scan_values(struct scan *s, struct config_object *object, const struct config_row *row,
	unsigned line, size_t mark)
{
	bool list = config_type_is_list(row->type), adds = s->t.kind == TOKEN_ADD, good = true;
	int error = 0;

	tokens_take(&s->t);
	s->line_count = 0;
	if (adds && !list) {
		config_report_at(s->t.load, true, line, object, row,
			"\"+=\" adds to a list, and this takes one value; allowed: =");
		good = false;
	}
	if (s->t.kind == TOKEN_OPEN && !list) {
		config_report_at(s->t.load, true, line, object, row, "takes one value, not a list");
		good = false;
		skip_braces(s);
	} else if (s->t.kind == TOKEN_OPEN) {
		error = scan_list(s, object, row, line, &good);
	} else if (is_value(s)) {
		error = note_value(s, object, row, &good);
	} else {
		config_report_at(
			s->t.load, true, line, object, row, "has no value, but %s", token_name(s->t.kind));
		good = false;
	}
	if (!error)
		error = note_setting(s, object, row, line, adds, &good);
	if (!good)
		tokens_drop(&s->t, mark);
	return error;
}

static int scan_section(struct scan *s, struct config_object *parent, bool refused);

static int scan_statement(struct scan *s, struct config_object *object, bool refused)
{
	const struct config_section *child = object->section->child;
	const struct config_row *row;
	unsigned line = s->t.token_line;
	size_t mark = s->t.out_length;
	char *name = name_copy(s, s->t.text);
	int error = 0;

	if (!name)
		return -ENOMEM;
	if (child && !strcmp(child->name, name))
		return scan_section(s, object, refused);
	row = config_row_find(object->section, name);
	tokens_take(&s->t);
	if (row && is_assignment(s))
		return scan_values(s, object, row, line, mark);
	if (!is_assignment(s) && config_section_find(name)) {
		config_report_at(s->t.load, true, line, object, NULL,
			"is not closed (opened on line %u): \"}\" is missing before \"%s\"", object->line,
			name);
		return -EINVAL;
	}
	if (row) {
		config_report_at(s->t.load, true, line, object, row, "has no \"=\" behind its name, but %s",
			token_name(s->t.kind));
		error = refuse_setting(s, object, row, line);
	} else {
		error = report_unknown_setting(s, object, name, line);
	}
	skip_statement(s, mark);
	return error;
}

/* Beyond what is shown nobody reads on, and a hostile file could make much work of it. */
static int enough(const struct scan *s)
{
	return s->t.load->errors > CONFIG_MESSAGES_MAX ? -EINVAL : 0;
}

static int scan_body(struct scan *s, struct config_object *object, bool refused)
{
	int error = 0;

	while (!error && s->t.kind != TOKEN_CLOSE) {
		if (s->t.kind == TOKEN_END) {
			config_report_at(s->t.load, true, object->line, object, NULL,
				"is not closed: \"}\" is missing");
			return -EINVAL;
		}
		if (s->t.kind != TOKEN_WORD) {
			config_report_at(s->t.load, true, s->t.token_line, object, NULL,
				"%s where the name of a setting must stand", token_name(s->t.kind));
			return -EINVAL;
		}
		error = scan_statement(s, object, refused);
		if (!error)
			error = enough(s);
	}
	if (!error)
		tokens_take(&s->t);
	return error;
}

static bool name_is_allowed(
	struct scan *s, const struct config_section *section, struct span name, unsigned line)
{
	static const char any[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t max = section->name_max ? section->name_max : 63;
	bool good = name.n >= 1 && name.n <= max;

	for (size_t i = 0; good && i < name.n; i++)
		good = memchr(section->name_characters ? section->name_characters : any, name.p[i],
			strlen(section->name_characters ? section->name_characters : any));
	if (!good)
		config_report(s->t.load, true, line, "%s \"%.*s\": is no name; allowed: 1 to %zu of %s",
			section->name, SHOWN(name), max,
			section->name_characters ? section->name_characters
						 : "letters, digits, \".\", \"_\", \"-\"");
	return good;
}

static struct config_object *new_object(struct scan *s, const struct config_section *section,
	struct config_object *parent, char *name, unsigned line)
{
	struct config_object *object = arena_alloc(&s->t.load->private->arena, 1, sizeof(*object));

	if (!object) {
		(void)config_no_memory(s->t.load);
		return NULL;
	}
	object->section = section;
	object->parent = parent;
	object->name = name;
	object->line = line;
	object->settings_tail = &object->settings;
	return object;
}

/* What stands between a section's keyword and its brace; false: reported. */
static bool scan_title(struct scan *s, const struct config_section *section, unsigned line, char **name)
{
	*name = NULL;
	if (section->named && !is_value(s)) {
		config_report(s->t.load, true, line, "%s: has no name; allowed: %s NAME { ... }",
			section->name, section->name);
		return false;
	}
	if (!section->named && is_value(s)) {
		config_report(s->t.load, true, line, "%s: takes no name; allowed: %s { ... }", section->name,
			section->name);
		return false;
	}
	if (section->named) {
		if (s->t.fault[0]) {
			config_report(s->t.load, true, s->t.fault_line, "%s: its name %s", section->name,
				s->t.fault);
			return false;
		}
		if (!name_is_allowed(s, section, s->t.text, s->t.token_line))
			return false;
		*name = name_copy(s, s->t.text);
		tokens_take(&s->t);
		if (!*name)
			return false;
	}
	if (s->t.kind == TOKEN_OPEN)
		return true;
	config_report(s->t.load, true, line, "%s: is a section: \"{\" must follow, not %s", section->name,
		token_name(s->t.kind));
	return false;
}

static int open_section(struct scan *s, const struct config_section *section, struct config_object *parent,
	bool refused, size_t mark)
{
	unsigned line = s->t.token_line;
	struct config_object *object;
	const struct config_object *same;
	char *name;
	int error;

	tokens_take(&s->t);
	if (!scan_title(s, section, line, &name)) {
		skip_statement(s, mark);
		return s->t.load->out_of_memory ? -ENOMEM : 0;
	}
	same = config_object_find_in(s->t.load->private, section, parent, name);
	object = new_object(s, section, parent, name, line);
	if (!object)
		return -ENOMEM;
	if (same && !refused) {
		config_report_at(s->t.load, true, line, object, NULL, "is defined twice, first on line %u",
			same->line);
		refused = true;
	}
	if (++s->objects > CONFIG_OBJECTS_MAX)
		return stop(s, object, NULL, line, "is one section too many; allowed: 12000 in a file");
	if (!refused)
		config_object_add(s->t.load->private, object);
	tokens_take(&s->t);
	error = scan_body(s, object, refused);
	if (refused)
		tokens_drop(&s->t, mark);
	return error;
}

static int scan_section(struct scan *s, struct config_object *parent, bool refused)
{
	size_t mark = s->t.out_length;
	unsigned line = s->t.token_line;
	const struct config_section *section;
	char *name = name_copy(s, s->t.text);

	if (!name)
		return -ENOMEM;
	section = parent ? parent->section->child : config_section_find(name);
	if (section)
		return open_section(s, section, parent, refused, mark);
	report_unknown_section(s, name, line);
	tokens_take(&s->t);
	skip_statement(s, mark);
	return 0;
}

int config_scan(struct config_load *load, const char *text, size_t length, char **clean)
{
	struct scan *s = calloc(1, sizeof(*s));
	int error = s ? tokens_init(&s->t, load, text, length) : -ENOMEM;

	if (error) {
		free(s);
		return config_no_memory(load);
	}
	while (!error && s->t.kind != TOKEN_END) {
		if (s->t.kind == TOKEN_WORD) {
			error = scan_section(s, NULL, false);
			if (!error)
				error = enough(s);
		} else {
			config_report(load, true, s->t.token_line, "%s where a section must begin",
				token_name(s->t.kind));
			error = -EINVAL;
		}
	}
	tokens_take(&s->t);
	s->t.out[s->t.out_length] = '\0';
	if (error)
		free(s->t.out);
	else
		*clean = s->t.out;
	free(s);
	return error;
}
