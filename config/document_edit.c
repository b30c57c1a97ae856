/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents, changed: paths, set, delete. */
#include "config/document_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"
#include "config/tokens.h"

enum { SHOWN_MAX = 64 };
#define SHOWN(s) (int)((s).n < SHOWN_MAX ? (s).n : SHOWN_MAX), (s).p

struct document_section **document_find(
	struct document_section **list, const struct config_section *section, struct span name)
{
	while (*list && ((*list)->section != section ||
				((*list)->name && !span_equal(span_from((*list)->name), name))))
		list = &(*list)->next;
	return list;
}

struct document_setting **document_setting_find(
	struct document_section *section, const struct config_row *row)
{
	for (struct document_setting **s = &section->settings; *s; s = &(*s)->next)
		if ((*s)->row == row)
			return s;
	return NULL;
}

static const char *text_of(struct span word, char buffer[SHOWN_MAX + 1])
{
	(void)snprintf(buffer, SHOWN_MAX + 1, "%.*s", SHOWN(word));
	return buffer;
}

static void no_section(struct span word, struct writer *why)
{
	char text[SHOWN_MAX + 1];
	struct config_nearest nearest = { .name = text_of(word, text) };

	for (size_t i = 0; i < config_section_count; i++)
		config_nearest_try(&nearest, config_sections[i].name);
	writer_format(why, "\"%.*s\" is no section", SHOWN(word));
	if (nearest.best)
		writer_format(why, "; did you mean \"%s\"?", nearest.best);
}

static int no_setting(const struct config_section *section, struct span word, struct writer *why)
{
	char text[SHOWN_MAX + 1];
	struct config_nearest nearest = { .name = text_of(word, text) };

	for (size_t i = 0; i < section->row_count; i++)
		config_nearest_try(&nearest, section->rows[i].name);
	if (section->child)
		config_nearest_try(&nearest, section->child->name);
	writer_format(why, "\"%.*s\" is no setting of a %s", SHOWN(word), section->name);
	if (nearest.best)
		writer_format(why, "; did you mean \"%s\"?", nearest.best);
	return -EINVAL;
}

static bool name_is_good(const struct config_section *section, struct span name, struct writer *why)
{
	static const char any[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *allowed = section->name_characters ? section->name_characters : any;
	size_t max = section->name_max ? section->name_max : 63;
	bool good = name.n >= 1 && name.n <= max;

	for (size_t i = 0; good && i < name.n; i++)
		good = name.p[i] && strchr(allowed, name.p[i]);
	if (!good)
		writer_format(why, "\"%.*s\" is no name of a %s; allowed: 1 to %zu of %s", SHOWN(name),
			section->name, max,
			section->name_characters ? section->name_characters
						 : "letters, digits, \".\", \"_\", \"-\"");
	return good;
}

static int place_child(const struct span *words, size_t count, struct document_place *place,
	const struct config_section **section, struct writer *why)
{
	place->child = place->section->child;
	*section = place->child;
	place->used++;
	place->parent = place->at ? *place->at : NULL;
	place->at = NULL;
	if (place->used == count)
		return 0;
	if (!name_is_good(place->child, words[place->used], why))
		return -EINVAL;
	place->child_name = words[place->used++];
	if (place->parent)
		place->at = document_find(&place->parent->children, place->child, place->child_name);
	return 0;
}

int document_place(struct config_document *document, const struct span *words, size_t count,
	struct document_place *place, struct writer *why)
{
	const struct config_section *section = NULL;
	char text[SHOWN_MAX + 1];

	*place = (struct document_place){ 0 };
	if (count && words[0].n <= SHOWN_MAX)
		section = config_section_find(text_of(words[0], text));
	if (!section) {
		no_section(count ? words[0] : SPAN(""), why);
		return -EINVAL;
	}
	place->section = section;
	place->used = 1;
	if (section->named) {
		if (count == 1)
			return 0;
		if (!name_is_good(section, words[1], why))
			return -EINVAL;
		place->name = words[1];
		place->used = 2;
	}
	place->at = document_find(&document->sections, section, place->name);
	if (place->used < count && section->child &&
		span_equal(words[place->used], span_from(section->child->name)) &&
		place_child(words, count, place, &section, why))
		return -EINVAL;
	if (place->used == count || (place->child && !place->child_name.n))
		return 0;
	if (words[place->used].n <= SHOWN_MAX)
		place->row = config_row_find(section, text_of(words[place->used], text));
	if (!place->row)
		return no_setting(section, words[place->used], why);
	place->used++;
	return 0;
}

int config_document_path(
	const struct config_document *document, const struct span *path, size_t words, struct writer *why)
{
	struct document_place place;
	/* Nothing is changed by looking where something is. */
	int error = document_place((struct config_document *)(uintptr_t)document, path, words, &place, why);

	if (error)
		return error;
	if (place.row) {
		writer_format(why, "\"%s\" is a setting, not a section", place.row->name);
		return -EINVAL;
	}
	if ((place.child ? place.child->named && !place.child_name.n
			 : place.section->named && !place.name.n)) {
		writer_format(why, "%s: its name is missing",
			place.child ? place.child->name : place.section->name);
		return -EINVAL;
	}
	return 0;
}

/* The section of a place, made if it is not there; *made tells where, to take it away again. NULL without memory. */
static struct document_section *place_make(
	struct config_document *document, struct document_place *place, struct document_section ***made)
{
	struct document_section **at, *there = place->at ? *place->at : NULL;

	*made = NULL;
	if (there)
		return there;
	at = document_find(&document->sections, place->section, place->name);
	if (!*at) {
		*at = document_section_new(place->section, place->name);
		*made = at;
	}
	if (*at && place->child) {
		struct document_section **child =
			document_find(&(*at)->children, place->child, place->child_name);

		*child = document_section_new(place->child, place->child_name);
		if (!*made)
			*made = child;
		return *child;
	}
	return *at;
}

static void unmake(struct document_section **made)
{
	struct document_section *gone = made ? *made : NULL;

	if (gone) {
		*made = gone->next;
		document_section_free(gone);
	}
}

struct complaint {
	struct writer *why;
	bool said;
};

static void complain(void *arg, bool is_error, const char *line)
{
	struct complaint *c = arg;

	if (is_error && !c->said) {
		c->said = true;
		writer_text(c->why, line);
	}
}

/* Through the very eye of the file: a text with this setting alone, so that what is accepted here is accepted there. */
static int check_values(
	const struct document_place *place, const struct document_setting *setting, struct writer *why)
{
	struct complaint complaint = { .why = why };
	const struct config_reporter reporter = { complain, &complaint };
	const struct config_section *section = place->child ? place->child : place->section;
	struct config_load load = { .reporter = &reporter };
	struct config_object object = { .section = section };
	struct config_setting raw = {
		.row = setting->row, .values = setting->values, .count = setting->count
	};
	const struct span name = place->child ? place->child_name : place->name;
	unsigned lines[CONFIG_VALUES_MAX] = { 0 };
	int error;

	if (setting->row->target || setting->row->type == CONFIG_TYPE_NEXT_HOP)
		return 0;
	raw.lines = lines;
	error = config_load_begin(&load, "candidate");
	if (error)
		return error;
	object.name = arena_text(&load.private->arena, name.p, name.n);
	object.typed = arena_alloc(&load.private->arena, 1, section->size);
	error = object.name && object.typed ? config_value_set(&load, &object, setting->row, &raw) : -ENOMEM;
	config_report_all(&load);
	if (!error && load.errors)
		error = -EINVAL;
	config_free(load.config);
	return error;
}

/* What a document can hold must be writable as text. */
static int check_text(
	const struct config_row *row, const struct span *values, size_t count, struct writer *why)
{
	for (size_t i = 0; i < count; i++) {
		if (values[i].n > CONFIG_VALUE_LENGTH_MAX) {
			writer_format(why, "%s: is too long; allowed: %d bytes", row->name,
				CONFIG_VALUE_LENGTH_MAX);
			return -EINVAL;
		}
		for (const char *p = values[i].p, *end = p + values[i].n; p < end;) {
			size_t n = (unsigned char)*p < 0x20 || *p == 0x7f ? 0 : config_utf8_length(p, end);

			if (!n) {
				writer_format(why, "%s: holds a control character; allowed: text in UTF-8",
					row->name);
				return -EINVAL;
			}
			p += n;
		}
		if (row->type == CONFIG_TYPE_SECRET && span_equal(values[i], span_from(CONFIG_MASK))) {
			writer_format(why, "%s: is masked; the secret itself must stand there", row->name);
			return -EINVAL;
		}
	}
	return 0;
}

static bool has(const struct document_setting *setting, struct span value)
{
	for (size_t i = 0; i < setting->count; i++)
		if (span_equal(span_from(setting->values[i]), value))
			return true;
	return false;
}

/* What the setting will be: NULL without memory. */
static struct document_setting *combine(const struct document_setting *old, const struct config_row *row,
	const struct span *values, size_t count, bool adds)
{
	struct span all[CONFIG_VALUES_MAX];
	size_t n = 0;

	for (size_t i = 0; adds && old && i < old->count; i++)
		all[n++] = span_from(old->values[i]);
	for (size_t i = 0; i < count && n < CONFIG_VALUES_MAX; i++)
		if (!adds || !old || !has(old, values[i]))
			all[n++] = values[i];
	return document_setting_new(row, all, n, adds && (!old || old->adds));
}

/* "=" may be written as in the file. */
static int take_operator(const struct document_place *place, const struct span *words, size_t count,
	size_t *first, bool *adds, struct writer *why)
{
	bool list = config_type_is_list(place->row->type);
	char allowed[512];

	*first = place->used;
	*adds = false;
	if (*first < count && span_equal(words[*first], SPAN("=")))
		++*first;
	else if (*first < count && span_equal(words[*first], SPAN("+="))) {
		++*first;
		*adds = true;
	}
	if (*adds && !list) {
		writer_format(why, "%s: \"+=\" adds to a list, and this takes one value", place->row->name);
		return -EINVAL;
	}
	if (list ? (*adds && *first == count) : count - *first != 1) {
		writer_format(why, "%s: takes %s; allowed: %s", place->row->name,
			list ? "values" : "one value",
			config_row_allowed(place->row, allowed, sizeof(allowed)));
		return -EINVAL;
	}
	if (count - *first > CONFIG_VALUES_MAX) {
		writer_format(
			why, "%s: has too many values; allowed: %d", place->row->name, CONFIG_VALUES_MAX);
		return -EINVAL;
	}
	return 0;
}

static int set_values(struct config_document *document, struct document_place *place,
	const struct span *words, size_t count, struct writer *why)
{
	struct document_section **made, *section;
	struct document_setting **old, *setting = NULL;
	size_t first;
	bool adds;
	int error = take_operator(place, words, count, &first, &adds, why);

	if (!error)
		error = check_text(place->row, words + first, count - first, why);
	if (error)
		return error;
	section = place_make(document, place, &made);
	old = section ? document_setting_find(section, place->row) : NULL;
	if (section)
		setting = combine(old ? *old : NULL, place->row, words + first, count - first, adds);
	error = setting ? check_values(place, setting, why) : -ENOMEM;
	if (error) {
		document_setting_free(setting);
		unmake(made);
		return error;
	}
	if (old) {
		setting->next = (*old)->next;
		document_setting_free(*old);
		*old = setting;
		return 0;
	}
	for (old = &section->settings; *old;)
		old = &(*old)->next;
	*old = setting;
	return 0;
}

int config_document_set(
	struct config_document *document, const struct span *words, size_t count, struct writer *why)
{
	struct document_place place;
	struct document_section **made;
	int error = document_place(document, words, count, &place, why);

	if (error)
		return error;
	if (document->count >= CONFIG_OBJECTS_MAX) {
		writer_format(why, "is one section too many; allowed: %d in a file", CONFIG_OBJECTS_MAX);
		return -EINVAL;
	}
	if (!place.row) {
		error = config_document_path(document, words, count, why);
		if (!error && !place_make(document, &place, &made))
			error = -ENOMEM;
	} else {
		error = set_values(document, &place, words, count, why);
	}
	document->count = 0;
	for (const struct document_section *s = document->sections; s; s = s->next) {
		document->count++;
		for (const struct document_section *c = s->children; c; c = c->next)
			document->count++;
	}
	return error;
}

static int delete_section(struct document_section **at, struct writer *why)
{
	if (!at || !*at) {
		writer_text(why, "there is no such section");
		return -ENOENT;
	}
	unmake(at);
	return 0;
}

static int delete_values(
	struct document_setting **at, const struct span *values, size_t count, struct writer *why)
{
	struct document_setting *setting = *at;

	for (size_t i = 0; i < count; i++)
		if (!has(setting, values[i])) {
			writer_format(why, "%s: \"%.*s\" is not in it", setting->row->name, SHOWN(values[i]));
			return -ENOENT;
		}
	for (size_t i = 0, kept = 0, all = setting->count; i < all; i++) {
		bool goes = false;

		for (size_t j = 0; j < count; j++)
			goes = goes || span_equal(span_from(setting->values[i]), values[j]);
		if (goes) {
			free(setting->values[i]);
			setting->count--;
		} else {
			setting->values[kept++] = setting->values[i];
		}
	}
	return 0;
}

int config_document_delete(
	struct config_document *document, const struct span *words, size_t count, struct writer *why)
{
	struct document_setting **at, *gone;
	struct document_place place;
	int error = document_place(document, words, count, &place, why);

	if (error)
		return error;
	if (!place.row) {
		error = config_document_path(document, words, count, why);
		return error ? error : delete_section(place.at, why);
	}
	at = place.at && *place.at ? document_setting_find(*place.at, place.row) : NULL;
	if (!at) {
		writer_format(why, "%s is not set", place.row->name);
		return -ENOENT;
	}
	if (place.used < count && config_type_is_list(place.row->type))
		return delete_values(at, words + place.used, count - place.used, why);
	if (place.used < count) {
		writer_format(why, "%s has one value; delete it without naming it", place.row->name);
		return -EINVAL;
	}
	gone = *at;
	*at = gone->next;
	document_setting_free(gone);
	return 0;
}

/* --- what may follow --- */

struct next {
	const struct config_document *document;
	void (*each)(void *arg, const char *word, bool argument, const char *help);
	void *arg;
};

static void next_names(
	const struct next *n, const struct document_section *list, const struct config_section *section)
{
	for (; list; list = list->next)
		if (list->section == section)
			n->each(n->arg, list->name, false, section->help);
}

static void next_settings(const struct next *n, const struct config_section *section)
{
	for (size_t i = 0; i < section->row_count; i++)
		n->each(n->arg, section->rows[i].name, false, section->rows[i].help);
	if (section->child)
		n->each(n->arg, section->child->name, false, section->child->help);
}

static void next_values(const struct next *n, const struct config_row *row)
{
	char allowed[512];

	for (const struct config_choice *c = row->choices; c && c->word; c++)
		n->each(n->arg, c->word, false, row->help);
	if (row->type == CONFIG_TYPE_BOOL) {
		n->each(n->arg, "yes", false, row->help);
		n->each(n->arg, "no", false, row->help);
	}
	if (row->target)
		next_names(n, n->document->sections, config_section_find(row->target));
	if (!row->choices && row->type != CONFIG_TYPE_BOOL)
		n->each(n->arg, config_row_allowed(row, allowed, sizeof(allowed)), true, row->help);
}

void config_document_next(const struct config_document *document, const struct span *words, size_t count,
	void (*each)(void *arg, const char *word, bool argument, const char *help), void *arg)
{
	const struct next n = { document, each, arg };
	struct document_place place;
	char unused[256];
	struct writer why;

	writer_init(&why, unused, sizeof(unused));
	if (!count) {
		for (size_t i = 0; i < config_section_count; i++)
			each(arg, config_sections[i].name, false, config_sections[i].help);
		return;
	}
	/* Nothing is changed by looking where something is. */
	if (document_place((struct config_document *)(uintptr_t)document, words, count, &place, &why))
		return;
	if (place.row) {
		if (place.used == count || config_type_is_list(place.row->type) ||
			(place.used + 1 == count && span_equal(words[place.used], SPAN("="))))
			next_values(&n, place.row);
	} else if (place.child ? !place.child_name.n : place.section->named && !place.name.n) {
		next_names(&n,
			place.child ? place.parent ? place.parent->children : NULL : document->sections,
			place.child ? place.child : place.section);
		each(arg, "NAME", true, (place.child ? place.child : place.section)->help);
	} else {
		next_settings(&n, place.child ? place.child : place.section);
	}
}
