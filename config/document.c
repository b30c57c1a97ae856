/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents: read, copied, printed, walked. */
#include "config/document_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"

void document_setting_free(struct document_setting *setting)
{
	if (!setting)
		return;
	for (size_t i = 0; i < setting->count; i++) {
		if (setting->row->type == CONFIG_TYPE_SECRET)
			explicit_bzero(setting->values[i], strlen(setting->values[i]));
		free(setting->values[i]);
	}
	free(setting->values);
	free(setting);
}

void document_section_free(struct document_section *section)
{
	if (!section)
		return;
	for (struct document_setting *s = section->settings, *next; s; s = next) {
		next = s->next;
		document_setting_free(s);
	}
	for (struct document_section *c = section->children, *next; c; c = next) {
		next = c->next;
		document_section_free(c);
	}
	free(section->name);
	free(section);
}

struct document_setting *document_setting_new(
	const struct config_row *row, const struct span *values, size_t count, bool adds)
{
	struct document_setting *setting = calloc(1, sizeof(*setting));

	if (!setting)
		return NULL;
	setting->row = row;
	setting->adds = adds;
	setting->values = calloc(count + 1, sizeof(*setting->values));
	for (size_t i = 0; setting->values && i < count; i++) {
		setting->values[i] = span_dup(values[i]);
		if (!setting->values[i])
			break;
		setting->count++;
	}
	if (!setting->values || setting->count < count) {
		document_setting_free(setting);
		return NULL;
	}
	return setting;
}

struct document_section *document_section_new(const struct config_section *section, struct span name)
{
	struct document_section *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->section = section;
	if (section->named)
		made->name = span_dup(name);
	if (section->named && !made->name) {
		free(made);
		return NULL;
	}
	return made;
}

static int copy_settings(struct document_section *to, const struct config_object *object)
{
	struct document_setting **tail = &to->settings;

	for (const struct config_setting *s = object->settings; s; s = s->next) {
		struct document_setting *made = document_setting_new(s->row, NULL, 0, s->adds);

		if (!made)
			return -ENOMEM;
		*tail = made;
		tail = &made->next;
		free(made->values);
		made->values = calloc(s->count + 1, sizeof(*made->values));
		for (size_t i = 0; made->values && i < s->count; i++) {
			made->values[i] = span_dup(span_from(s->values[i]));
			if (!made->values[i])
				return -ENOMEM;
			made->count++;
		}
		if (!made->values)
			return -ENOMEM;
	}
	return 0;
}

/* Children follow their parent in an outline. */
static int take_outline(struct config_document *document, const struct config_object *objects)
{
	struct document_section **tail = &document->sections, **child_tail = NULL;

	for (const struct config_object *o = objects; o; o = o->next) {
		struct document_section *made = document_section_new(o->section, span_from(o->name));

		if (!made)
			return -ENOMEM;
		if (o->parent && child_tail) {
			*child_tail = made;
			child_tail = &made->next;
		} else {
			*tail = made;
			tail = &made->next;
			child_tail = &made->children;
		}
		document->count++;
		if (copy_settings(made, o))
			return -ENOMEM;
	}
	return 0;
}

int config_document_read(const char *name, const char *text, size_t length,
	const struct config_reporter *reporter, struct config_document **out)
{
	struct config_document *document = calloc(1, sizeof(*document));
	struct config *outline = NULL;
	int error = document ? config_outline(name, text, length, reporter, &outline) : -ENOMEM;

	if (!error)
		error = take_outline(document, outline->private->objects);
	config_free(outline);
	if (error)
		config_document_free(document);
	else
		*out = document;
	return error;
}

struct config_document *config_document_of(const struct config *config)
{
	struct config_document *document = calloc(1, sizeof(*document));

	if (document && take_outline(document, config->private->objects)) {
		config_document_free(document);
		return NULL;
	}
	return document;
}

void config_document_free(struct config_document *document)
{
	if (!document)
		return;
	for (struct document_section *s = document->sections, *next; s; s = next) {
		next = s->next;
		document_section_free(s);
	}
	free(document);
}

static struct document_section *section_copy(const struct document_section *from)
{
	struct document_section *made = document_section_new(from->section, span_from(from->name));
	struct document_setting **tail = made ? &made->settings : NULL;
	struct document_section **child = made ? &made->children : NULL;

	for (const struct document_setting *s = from->settings; made && s; s = s->next) {
		*tail = document_setting_new(s->row, NULL, 0, s->adds);
		if (!*tail)
			goto fail;
		for (size_t i = 0; i < s->count; i++) {
			char **values = realloc((*tail)->values, (s->count + 1) * sizeof(*values));

			if (!values)
				goto fail;
			(*tail)->values = values;
			values[i] = span_dup(span_from(s->values[i]));
			if (!values[i])
				goto fail;
			(*tail)->count++;
		}
		tail = &(*tail)->next;
	}
	for (const struct document_section *c = from->children; made && c; c = c->next) {
		*child = section_copy(c);
		if (!*child)
			goto fail;
		child = &(*child)->next;
	}
	return made;
fail:
	document_section_free(made);
	return NULL;
}

struct config_document *config_document_copy(const struct config_document *document)
{
	struct config_document *copy = calloc(1, sizeof(*copy));
	struct document_section **tail = copy ? &copy->sections : NULL;

	if (!copy)
		return NULL;
	copy->count = document->count;
	for (const struct document_section *s = document->sections; s; s = s->next) {
		*tail = section_copy(s);
		if (!*tail) {
			config_document_free(copy);
			return NULL;
		}
		tail = &(*tail)->next;
	}
	return copy;
}

/* --- as text --- */

void document_text_add(struct document_text *text, const char *bytes, size_t length)
{
	if (text->failed)
		return;
	if (text->length + length + 1 > text->room) {
		size_t room = (text->length + length + 1) * 2;
		char *grown = realloc(text->bytes, room);

		if (!grown) {
			text->failed = true;
			return;
		}
		text->bytes = grown;
		text->room = room;
	}
	if (length)
		memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

static void add(struct document_text *text, const char *word)
{
	document_text_add(text, word, strlen(word));
}

/* Words of the schema stand bare, what people chose stands in quotes. */
static bool stands_bare(enum config_type type)
{
	switch (type) {
	case CONFIG_TYPE_UINT:
	case CONFIG_TYPE_UINTS:
	case CONFIG_TYPE_BOOL:
	case CONFIG_TYPE_ENUM:
	case CONFIG_TYPE_FLAG:
	case CONFIG_TYPE_CHOICE:
	case CONFIG_TYPE_SECONDS:
	case CONFIG_TYPE_MILLISECONDS:
	case CONFIG_TYPE_REFERENCE:
	case CONFIG_TYPE_REFERENCES:
	case CONFIG_TYPE_DIRECTIONS:
		return true;
	default:
		return false;
	}
}

static void add_value(struct document_text *text, const struct config_row *row, const char *value)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/@%-";

	if (stands_bare(row->type) && *value && strspn(value, bare) == strlen(value)) {
		add(text, value);
		return;
	}
	add(text, "\"");
	for (const char *p = value; *p; p++) {
		if (*p == '"' || *p == '\\')
			add(text, "\\");
		document_text_add(text, p, 1);
	}
	add(text, "\"");
}

static const char *shown(const struct config_row *row, const char *value, enum config_print print)
{
	return print == CONFIG_PRINT_MASKED && row->type == CONFIG_TYPE_SECRET && *value ? CONFIG_MASK
											 : value;
}

void document_text_values(
	struct document_text *text, const struct document_setting *setting, enum config_print print)
{
	bool list = config_type_is_list(setting->row->type);

	if (list)
		add(text, "{");
	for (size_t i = 0; i < setting->count; i++) {
		if (i)
			add(text, ", ");
		add_value(text, setting->row, shown(setting->row, setting->values[i], print));
	}
	if (list)
		add(text, "}");
}

void document_text_path(struct document_text *text, const struct document_section *parent,
	const struct document_section *section)
{
	if (parent) {
		add(text, parent->section->name);
		add(text, " ");
		add(text, parent->name);
		add(text, ".");
	}
	add(text, section->section->name);
	if (section->name) {
		add(text, " ");
		add(text, section->name);
	}
}

static void add_setting(struct document_text *text, const struct document_setting *setting, unsigned depth,
	enum config_print print)
{
	for (unsigned i = 0; i < depth; i++)
		add(text, "\t");
	add(text, setting->row->name);
	add(text, setting->adds ? " += " : " = ");
	document_text_values(text, setting, print);
	add(text, "\n");
}

static void add_section(struct document_text *text, const struct document_section *section, unsigned depth,
	enum config_print print)
{
	for (unsigned i = 0; i < depth; i++)
		add(text, "\t");
	add(text, section->section->name);
	if (section->name) {
		/* Names of some sections look like numbers, which stand in quotes by custom. */
		bool quoted = section->section->name_characters == NULL && section->name[0] >= '0' &&
			      section->name[0] <= '9';

		add(text, quoted ? " \"" : " ");
		add(text, section->name);
		add(text, quoted ? "\"" : "");
	}
	add(text, " {\n");
	for (const struct document_setting *s = section->settings; s; s = s->next)
		add_setting(text, s, depth + 1, print);
	for (const struct document_section *c = section->children; c; c = c->next)
		add_section(text, c, depth + 1, print);
	for (unsigned i = 0; i < depth; i++)
		add(text, "\t");
	add(text, "}\n");
}

/* What a path names: everything of a kind, one section, one setting. */
static int add_place(struct document_text *text, const struct config_document *document,
	const struct document_place *place, enum config_print print, struct writer *why)
{
	struct document_setting **setting;
	bool any = false;

	if (place->section->named && !place->name.n) {
		for (const struct document_section *s = document->sections; s; s = s->next)
			if (s->section == place->section) {
				add_section(text, s, 0, print);
				any = true;
			}
		if (!any)
			writer_format(why, "there is no %s", place->section->name);
		return any ? 0 : -ENOENT;
	}
	if (!place->at || !*place->at) {
		writer_text(why, "there is no such section");
		return -ENOENT;
	}
	if (!place->row) {
		add_section(text, *place->at, 0, print);
		return 0;
	}
	setting = document_setting_find(*place->at, place->row);
	if (!setting) {
		writer_format(why, "%s is not set; its default holds", place->row->name);
		return -ENOENT;
	}
	add_setting(text, *setting, 0, print);
	return 0;
}

int config_document_print(const struct config_document *document, const struct span *path, size_t words,
	enum config_print print, char **out, struct writer *why)
{
	struct document_text text = { 0 };
	struct document_place place;
	int error = 0;

	document_text_add(&text, "", 0);
	if (words) {
		/* Nothing is changed by looking where something is. */
		error = document_place(
			(struct config_document *)(uintptr_t)document, path, words, &place, why);
		if (!error)
			error = add_place(&text, document, &place, print, why);
	} else {
		for (const struct document_section *s = document->sections; s; s = s->next) {
			if (s != document->sections)
				add(&text, "\n");
			add_section(&text, s, 0, print);
		}
	}
	if (!error && text.failed)
		error = -ENOMEM;
	if (error)
		free(text.bytes);
	else
		*out = text.bytes;
	return error;
}

static void visit(const struct document_section *section, const struct config_visitor *visitor,
	enum config_print print, void *arg)
{
	const char *masked[] = { CONFIG_MASK };

	visitor->enter(arg, section->section->name, section->name);
	for (const struct document_setting *s = section->settings; s; s = s->next) {
		bool mask = s->count == 1 && shown(s->row, s->values[0], print) != s->values[0];

		visitor->setting(arg, s->row, mask ? masked : (const char *const *)s->values, s->count);
	}
	for (const struct document_section *c = section->children; c; c = c->next)
		visit(c, visitor, print, arg);
	visitor->leave(arg);
}

void config_document_visit(const struct config_document *document, const struct config_visitor *visitor,
	enum config_print print, void *arg)
{
	for (const struct document_section *s = document->sections; s; s = s->next)
		visit(s, visitor, print, arg);
}
