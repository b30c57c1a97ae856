/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to config/document*.c. */
#ifndef CONFIG_DOCUMENT_INTERNAL_H
#define CONFIG_DOCUMENT_INTERNAL_H

#include "config/document.h"
#include "config/schema.h"

struct document_setting {
	const struct config_row *row;
	char **values;
	size_t count;
	bool adds; /* to the default: written with "+=" */
	struct document_setting *next;
};

struct document_section {
	const struct config_section *section;
	char *name; /* NULL: of which there is one */
	struct document_setting *settings;
	struct document_section *children;
	struct document_section *next;
};

struct config_document {
	struct document_section *sections; /* as in the text */
	size_t count; /* with children */
};

/* A path against the schema and the document. */
struct document_place {
	const struct config_section *section, *child; /* of the schema; child NULL: none named */
	struct span name, child_name; /* empty: none given */
	struct document_section *
		*at; /* where the innermost named section is, or would be appended; NULL: none named */
	struct document_section *parent; /* of a child; NULL: it is not there, or no child was named */
	const struct config_row *row; /* NULL: the path ends before */
	size_t used; /* words */
};

/* 0, or -EINVAL with the reason. Words behind the setting are not looked at. */
int document_place(struct config_document *document, const struct span *words, size_t count,
	struct document_place *place, struct writer *why);
struct document_section **document_find(
	struct document_section **list, const struct config_section *section, struct span name);
struct document_setting **document_setting_find(
	struct document_section *section, const struct config_row *row);
/* NULL without memory. */
struct document_section *document_section_new(const struct config_section *section, struct span name);
struct document_setting *document_setting_new(
	const struct config_row *row, const struct span *values, size_t count, bool adds);
void document_section_free(struct document_section *section);
void document_setting_free(struct document_setting *setting);

/* Heap text that grows. owner: who has it */
struct document_text {
	char *bytes;
	size_t length, room;
	bool failed; /* no memory */
};

void document_text_add(struct document_text *text, const char *bytes, size_t length);
/* The values as they stand behind "=". */
void document_text_values(
	struct document_text *text, const struct document_setting *setting, enum config_print print);
/* "realm access", "sip-manipulation hide-ua.rule 1" */
void document_text_path(struct document_text *text, const struct document_section *parent,
	const struct document_section *section);

#endif
