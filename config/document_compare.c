/* SPDX-License-Identifier: BSD-3-Clause */
/* What is different between two documents. */
#include "config/document_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
	void (*each)(void *arg, const struct config_change *change);
	void *arg;
	bool failed; /* no memory */
};

static void values_text(const struct document_setting *setting, struct document_text *out)
{
	if (setting->adds)
		document_text_add(out, "+= ", 3);
	document_text_values(out, setting, CONFIG_PRINT_MASKED);
}

/* A section concerns whom any of its settings concerns. */
static unsigned daemons_of(const struct config_section *section, const struct config_row *row)
{
	unsigned daemons = row ? row->daemons : 0;

	for (size_t i = 0; !row && i < section->row_count; i++)
		daemons |= section->rows[i].daemons;
	if (!row && section->child)
		daemons |= daemons_of(section->child, NULL);
	return daemons;
}

static void tell(struct comparison *c, enum config_change_kind kind, const struct document_section *parent,
	const struct document_section *section, const struct document_setting *before,
	const struct document_setting *after)
{
	const struct config_row *row = after ? after->row : before ? before->row : NULL;
	struct document_text path = { 0 }, old = { 0 }, now = { 0 };

	document_text_path(&path, parent, section);
	if (row) {
		document_text_add(&path, ".", 1);
		document_text_add(&path, row->name, strlen(row->name));
	}
	if (before)
		values_text(before, &old);
	if (after)
		values_text(after, &now);
	if (path.failed || old.failed || now.failed)
		c->failed = true;
	else
		c->each(c->arg, &(struct config_change){ .kind = kind,
					.path = path.bytes,
					.before = old.bytes,
					.after = now.bytes,
					.daemons = daemons_of(section->section, row),
					.restart = row && row->applies == CONFIG_APPLIES_RESTART });
	free(path.bytes);
	free(old.bytes);
	free(now.bytes);
}

static bool same_values(const struct document_setting *a, const struct document_setting *b)
{
	bool same = a->count == b->count && a->adds == b->adds;

	for (size_t i = 0; same && i < a->count; i++)
		same = !strcmp(a->values[i], b->values[i]);
	return same;
}

static const struct document_setting *setting_of(
	const struct document_section *section, const struct config_row *row)
{
	for (const struct document_setting *s = section ? section->settings : NULL; s; s = s->next)
		if (s->row == row)
			return s;
	return NULL;
}

static bool alike(const struct document_section *a, const struct document_section *b)
{
	return a->section == b->section && (!b->name || !strcmp(a->name, b->name));
}

/* Where the other list is expected to go on: two documents are mostly in the same order. */
struct finder {
	const struct document_section *list, *next;
};

static const struct document_section *section_of(struct finder *finder, const struct document_section *like)
{
	const struct document_section *found = finder->next;

	if (!found || !alike(found, like))
		for (found = finder->list; found && !alike(found, like);)
			found = found->next;
	if (found)
		finder->next = found->next;
	return found;
}

static void compare_sections(struct comparison *c, const struct document_section *parent,
	const struct document_section *from, const struct document_section *to);

/* One of both may be NULL. */
static void compare_section(struct comparison *c, const struct document_section *parent,
	const struct document_section *from, const struct document_section *to)
{
	const struct document_section *some = to ? to : from;

	if (!from || !to)
		tell(c, from ? CONFIG_REMOVED : CONFIG_ADDED, parent, some, NULL, NULL);
	for (const struct document_setting *s = from ? from->settings : NULL; s; s = s->next)
		if (!setting_of(to, s->row))
			tell(c, CONFIG_REMOVED, parent, some, s, NULL);
	for (const struct document_setting *s = to ? to->settings : NULL; s; s = s->next) {
		const struct document_setting *old = setting_of(from, s->row);

		if (!old)
			tell(c, CONFIG_ADDED, parent, some, NULL, s);
		else if (!same_values(old, s))
			tell(c, CONFIG_CHANGED, parent, some, old, s);
	}
	compare_sections(c, some, from ? from->children : NULL, to ? to->children : NULL);
}

/* Those of one kind that are in both stand in another order: what comes first may matter. */
static bool is_reordered(const struct document_section *from, const struct document_section *to,
	const struct config_section *kind)
{
	struct finder finder = { to, to };

	for (;;) {
		while (from && (from->section != kind || !section_of(&finder, from)))
			from = from->next;
		while (to && to->section != kind)
			to = to->next;
		if (!from || !to)
			return false;
		if (from->name && strcmp(from->name, to->name) != 0)
			return true;
		from = from->next;
		to = to->next;
	}
}

static void tell_order(struct comparison *c, const struct document_section *parent,
	const struct document_section *to, const struct config_section *kind)
{
	struct document_text path = { 0 }, order = { 0 };

	if (parent) {
		document_text_path(&path, NULL, parent);
		document_text_add(&path, ".", 1);
	}
	document_text_add(&path, kind->name, strlen(kind->name));
	for (; to; to = to->next)
		if (to->section == kind) {
			if (order.length)
				document_text_add(&order, ", ", 2);
			document_text_add(&order, to->name, strlen(to->name));
		}
	if (path.failed || order.failed)
		c->failed = true;
	else
		c->each(c->arg, &(struct config_change){ .kind = CONFIG_REORDERED,
					.path = path.bytes,
					.after = order.bytes,
					.daemons = daemons_of(kind, NULL) });
	free(path.bytes);
	free(order.bytes);
}

struct kinds { /* of which the order has been looked at */
	const struct config_section *seen[64];
	size_t count;
};

static bool first_of_kind(struct kinds *kinds, const struct config_section *kind)
{
	for (size_t i = 0; i < kinds->count; i++)
		if (kinds->seen[i] == kind)
			return false;
	if (kinds->count < sizeof(kinds->seen) / sizeof(kinds->seen[0]))
		kinds->seen[kinds->count++] = kind;
	return true;
}

/* Only what is in both keeps its place in the second list for this. */
static struct document_section *common(const struct document_section *list,
	const struct document_section *other, struct document_section *room)
{
	struct document_section *first = NULL, **tail = &first;
	struct finder finder = { other, other };

	for (; list; list = list->next)
		if (section_of(&finder, list)) {
			*room = *list;
			room->next = NULL;
			*tail = room;
			tail = &room->next;
			room++;
		}
	return first;
}

static void compare_order(struct comparison *c, const struct document_section *parent,
	const struct document_section *from, const struct document_section *to)
{
	struct kinds kinds = { .count = 0 };
	struct document_section *room, *both;
	size_t n = 1;

	for (const struct document_section *s = to; s; s = s->next)
		n++;
	room = calloc(n, sizeof(*room));
	if (!room) {
		c->failed = true;
		return;
	}
	both = common(to, from, room);
	for (const struct document_section *s = both; s; s = s->next)
		if (s->name && first_of_kind(&kinds, s->section) && is_reordered(from, both, s->section))
			tell_order(c, parent, to, s->section);
	free(room);
}

static void compare_sections(struct comparison *c, const struct document_section *parent,
	const struct document_section *from, const struct document_section *to)
{
	struct finder before = { from, from }, after = { to, to };

	for (const struct document_section *s = from; s; s = s->next)
		if (!section_of(&after, s))
			compare_section(c, parent, s, NULL);
	for (const struct document_section *s = to; s; s = s->next)
		compare_section(c, parent, section_of(&before, s), s);
	compare_order(c, parent, from, to);
}

int config_document_compare(const struct config_document *from, const struct config_document *to,
	void (*each)(void *arg, const struct config_change *change), void *arg)
{
	struct comparison c = { each, arg, false };

	compare_sections(&c, NULL, from->sections, to->sections);
	return c.failed ? -ENOMEM : 0;
}
