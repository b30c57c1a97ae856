/* SPDX-License-Identifier: BSD-3-Clause */
/* What a daemon runs that was started with one document and has been given another: settings that need a restart wait for it. */
#include "config/document_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct keeping {
	bool changed;
	int error;
};

static struct document_setting *setting_copy(const struct document_setting *from)
{
	struct document_setting *copy = document_setting_new(from->row, NULL, 0, from->adds);

	if (!copy)
		return NULL;
	free(copy->values);
	copy->values = calloc(from->count + 1, sizeof(*copy->values));
	for (; copy->values && copy->count < from->count; copy->count++) {
		copy->values[copy->count] = span_dup(span_from(from->values[copy->count]));
		if (!copy->values[copy->count])
			break;
	}
	if (copy->values && copy->count == from->count)
		return copy;
	document_setting_free(copy);
	return NULL;
}

static bool is_same(const struct document_setting *a, const struct document_setting *b)
{
	bool same = a && b ? a->count == b->count && a->adds == b->adds : a == b;

	for (size_t i = 0; a && same && i < a->count; i++)
		same = !strcmp(a->values[i], b->values[i]);
	return same;
}

static const struct document_setting *setting_in(
	struct document_section *section, const struct config_row *row)
{
	struct document_setting **at = section ? document_setting_find(section, row) : NULL;

	return at ? *at : NULL;
}

/* `from` NULL: the section was not there at the start, all its settings had their defaults. */
static void keep_row(struct keeping *keeping, struct document_section *to, struct document_section *from,
	const struct config_row *row)
{
	const struct document_setting *before = setting_in(from, row);
	struct document_setting *copy = NULL, **at, *gone;

	if (is_same(setting_in(to, row), before))
		return;
	keeping->changed = true;
	if (before) {
		copy = setting_copy(before);
		if (!copy) {
			keeping->error = -ENOMEM;
			return;
		}
	}
	at = document_setting_find(to, row);
	gone = at ? *at : NULL;
	if (gone) {
		*at = gone->next;
		document_setting_free(gone);
	}
	if (copy) {
		copy->next = to->settings;
		to->settings = copy;
	}
}

static void keep_section(struct keeping *keeping, struct document_section *to, struct document_section *from)
{
	for (size_t i = 0; i < to->section->row_count && !keeping->error; i++)
		if (to->section->rows[i].applies == CONFIG_APPLIES_RESTART)
			keep_row(keeping, to, from, &to->section->rows[i]);
}

static bool has_restart(const struct config_section *section)
{
	for (size_t i = 0; i < section->row_count; i++)
		if (section->rows[i].applies == CONFIG_APPLIES_RESTART)
			return true;
	return false;
}

int config_document_keep_started(
	struct config_document *document, const struct config_document *started, bool *changed)
{
	struct keeping keeping = { false, 0 };

	for (size_t i = 0; i < config_section_count && !keeping.error; i++) {
		const struct config_section *section = &config_sections[i];
		struct document_section *list = started->sections, *from, **to;

		if (section->named || !has_restart(section))
			continue;
		from = *document_find(&list, section, (struct span){ NULL, 0 });
		to = document_find(&document->sections, section, (struct span){ NULL, 0 });
		if (!*to && from) {
			*to = document_section_new(section, (struct span){ NULL, 0 });
			keeping.error = *to ? 0 : -ENOMEM;
			document->count += *to ? 1 : 0;
		}
		if (*to)
			keep_section(&keeping, *to, from);
	}
	/* What was not there at the start is as it is written, and what is not there any more is gone. */
	for (struct document_section *to = document->sections; to && !keeping.error; to = to->next) {
		struct document_section *list = started->sections, *from;

		if (!to->section->named || !has_restart(to->section))
			continue;
		from = *document_find(&list, to->section, span_from(to->name));
		if (from)
			keep_section(&keeping, to, from);
	}
	*changed = keeping.changed;
	return keeping.error;
}
