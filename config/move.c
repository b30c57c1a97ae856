/* SPDX-License-Identifier: BSD-3-Clause */
/* Which object of an older configuration is which of the newest: tables by index, made before anything stands still. */
#include "config/move.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/source.h"
#include "platforms/base/log.h"

struct config_snapshots {
	struct config *config[1 + CONFIG_SNAPSHOTS_MAX]; /* the one that runs, then older ones */
	size_t count;
};

struct older {
	const struct config *config;
	bool used; /* somebody holds what is not in the newest */
	ptrdiff_t *index[CONFIG_KIND_COUNT]; /* in the newest, or CONFIG_NOWHERE */
};

struct config_move {
	struct config_snapshots *snapshots;
	const struct config *next;
	ptrdiff_t *origin[CONFIG_KIND_COUNT]; /* of the newest in the one that runs, or CONFIG_NOWHERE */
	size_t count;
	struct older older[1 + CONFIG_SNAPSHOTS_MAX];
};

static const struct kind {
	const char *section;
	size_t offset, count_offset, size;
} kinds[CONFIG_KIND_COUNT] = {
#define CONFIG_KIND(kind, list, section)                                 \
	[CONFIG_KIND_##kind] = { section, offsetof(struct config, list), \
		offsetof(struct config, list##_count), sizeof(struct config_##kind) },
	CONFIG_KINDS(CONFIG_KIND)
#undef CONFIG_KIND
};

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static const char *list_of(const struct config *config, const struct kind *kind, size_t *count)
{
	const char *list;

	memcpy(&list, (const char *)config + kind->offset, sizeof(list));
	memcpy(count, (const char *)config + kind->count_offset, sizeof(*count));
	return list;
}

/* Every named struct begins with its name. */
static const char *name_of(const char *object)
{
	const char *name;

	memcpy(&name, object, sizeof(name));
	return name;
}

static ptrdiff_t index_in(const struct config *config, const struct kind *kind, const void *object)
{
	size_t count;
	const char *list = list_of(config, kind, &count);
	uintptr_t at = (uintptr_t)object, first = (uintptr_t)list;

	return list && at >= first && at < first + count * kind->size ? (ptrdiff_t)((at - first) / kind->size)
								      : CONFIG_NOWHERE;
}

static ptrdiff_t index_of_name(const struct config *config, const struct kind *kind, const char *name)
{
	const struct config_object *object =
		config_object_find(config->private, config_section_find(kind->section), name);

	return object ? index_in(config, kind, object->typed) : CONFIG_NOWHERE;
}

/* Where the objects of `from` are in `to`. */
static int fill(const struct config *from, const struct config *to, ptrdiff_t *index[CONFIG_KIND_COUNT])
{
	for (size_t k = 0; k < CONFIG_KIND_COUNT; k++) {
		size_t count;
		const char *list = list_of(from, &kinds[k], &count);

		index[k] = calloc(count + 1, sizeof(*index[k]));
		if (!index[k])
			return -ENOMEM;
		for (size_t i = 0; i < count; i++)
			index[k][i] = index_of_name(to, &kinds[k], name_of(list + i * kinds[k].size));
	}
	return 0;
}

/* --- configurations --------------------------------------------------------------------------------------------------- */

int config_snapshots_new(struct config *first, struct config_snapshots **out)
{
	struct config_snapshots *snapshots = calloc(1, sizeof(*snapshots));

	if (!snapshots)
		return -ENOMEM;
	snapshots->config[0] = first;
	snapshots->count = 1;
	*out = snapshots;
	return 0;
}

void config_snapshots_free(struct config_snapshots *snapshots)
{
	if (!snapshots)
		return;
	for (size_t i = 0; i < snapshots->count; i++)
		config_free(snapshots->config[i]);
	free(snapshots);
}

const struct config *config_snapshots_running(const struct config_snapshots *snapshots)
{
	return snapshots->config[0];
}

size_t config_snapshots_kept(const struct config_snapshots *snapshots)
{
	return snapshots->count - 1;
}

/* --- a move ------------------------------------------------------------------------------------------------------------ */

int config_move_new(struct config_snapshots *snapshots, const struct config *next, struct config_move **out)
{
	struct config_move *move;
	int error;

	if (snapshots->count == 1 + CONFIG_SNAPSHOTS_MAX && next != snapshots->config[0])
		return -EBUSY;
	move = calloc(1, sizeof(*move));
	if (!move)
		return -ENOMEM;
	move->snapshots = snapshots;
	move->next = next;
	error = fill(next, snapshots->config[0], move->origin);
	for (size_t i = 0; i < snapshots->count && !error; i++) {
		struct older *older = &move->older[move->count++];

		older->config = snapshots->config[i];
		error = fill(older->config, next, older->index);
	}
	if (error)
		config_move_free(move);
	else
		*out = move;
	return error;
}

void config_move_free(struct config_move *move)
{
	if (!move)
		return;
	for (size_t k = 0; k < CONFIG_KIND_COUNT; k++) {
		free(move->origin[k]);
		for (size_t i = 0; i < move->count; i++)
			free(move->older[i].index[k]);
	}
	free(move);
}

void config_move_finish(struct config_move *move, struct config *next)
{
	struct config_snapshots *snapshots = move->snapshots;
	struct config *kept[1 + CONFIG_SNAPSHOTS_MAX] = { next };
	size_t count = 1;

	for (size_t i = 0; i < move->count; i++) {
		struct config *config = snapshots->config[i];

		if (config == next)
			continue;
		if (move->older[i].used)
			kept[count++] = config;
		else
			config_free(config);
	}
	memcpy(snapshots->config, kept, count * sizeof(kept[0]));
	snapshots->count = count;
	config_move_free(move);
}

const struct config *config_move_from(const struct config_move *move)
{
	return move->snapshots->config[0];
}

const struct config *config_move_to(const struct config_move *move)
{
	return move->next;
}

ptrdiff_t config_move_index(const struct config_move *move, enum config_kind kind, size_t index)
{
	return move->older[0].index[kind][index];
}

ptrdiff_t config_move_origin(const struct config_move *move, enum config_kind kind, size_t index)
{
	return move->origin[kind][index];
}

/* --- one pointer --------------------------------------------------------------------------------------------------------- */

static const void *at_index(const struct config *config, const struct kind *kind, ptrdiff_t index)
{
	size_t count;

	return list_of(config, kind, &count) + (size_t)index * kind->size;
}

/* The newest: it has been moved already. Of the built-in profile there is one in each. */
static bool is_in_newest(const struct config_move *move, enum config_kind kind, const void *object)
{
	return index_in(move->next, &kinds[kind], object) != CONFIG_NOWHERE ||
	       object == &move->next->private->default_profile;
}

static bool moved(struct config_move *move, enum config_kind kind, const void *object, const void **to)
{
	*to = object;
	if (!object || is_in_newest(move, kind, object))
		return true;
	for (size_t i = 0; i < move->count; i++) {
		struct older *older = &move->older[i];
		ptrdiff_t index = index_in(older->config, &kinds[kind], object);

		if (object == &older->config->private->default_profile) {
			*to = &move->next->private->default_profile;
			return true;
		}
		if (index == CONFIG_NOWHERE)
			continue;
		index = older->index[kind][index];
		if (index != CONFIG_NOWHERE)
			*to = at_index(move->next, &kinds[kind], index);
		else
			older->used = true;
		return index != CONFIG_NOWHERE;
	}
	/* Of no configuration that is kept: whoever holds it was not asked before. */
	log_error("config", "a pointer into a configuration that is gone",
		LOG_TEXT("section", kinds[kind].section));
	return false;
}

#define CONFIG_KIND(kind, list, section)                                                   \
	bool config_move_##kind(struct config_move *move, const struct config_##kind **at) \
	{                                                                                  \
		const void *to;                                                            \
		bool there = moved(move, CONFIG_KIND_##kind, *at, &to);                    \
                                                                                           \
		*at = to;                                                                  \
		return there;                                                              \
	}
CONFIG_KINDS(CONFIG_KIND)
#undef CONFIG_KIND
