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
	struct config *newest = next ? next : snapshots->config[0],
		      *kept[1 + CONFIG_SNAPSHOTS_MAX] = { newest };
	size_t count = 1;

	for (size_t i = 0; i < move->count; i++) {
		struct config *config = snapshots->config[i];

		if (config == newest)
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

static void refresh(struct config_move *move, enum config_kind kind, const void *object);

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
		if (index != CONFIG_NOWHERE) {
			*to = at_index(move->next, &kinds[kind], index);
			return true;
		}
		older->used = true;
		refresh(move, kind, object);
		return false;
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

/* --- what is gone -------------------------------------------------------------------------------------------------------- */

static void refresh_interface(struct config_move *move, struct config_sip_interface *interface)
{
	config_move_realm(move, &interface->realm);
	config_move_ip_profile(move, &interface->ip_profile);
	config_move_tls_profile(move, &interface->tls_profile);
	for (size_t i = 0; i < interface->sni_profile_count; i++)
		config_move_tls_profile(move, &interface->sni_profiles[i]);
	config_move_sip_manipulation(move, &interface->manipulation_in);
	config_move_sip_manipulation(move, &interface->manipulation_out);
}

static void refresh_agent(struct config_move *move, struct config_session_agent *agent)
{
	config_move_realm(move, &agent->realm);
	config_move_ip_profile(move, &agent->ip_profile);
	config_move_tls_profile(move, &agent->tls_profile);
}

static void refresh_policy(struct config_move *move, struct config_local_policy *policy)
{
	config_move_realm(move, &policy->from_realm);
	config_move_session_agent(move, &policy->agent);
	config_move_session_group(move, &policy->group);
	config_move_translation(move, &policy->translation);
}

/* An object that is gone refers to those that are still there as they are now: an interface that is removed alone is in the realm that its calls
 * are in. The memory is that of a configuration of ours. */
static void refresh(struct config_move *move, enum config_kind kind, const void *object)
{
	void *gone = (void *)(uintptr_t)object;

	switch (kind) {
	case CONFIG_KIND_realm:
		config_move_network_interface(move, &((struct config_realm *)gone)->network_interface);
		break;
	case CONFIG_KIND_sip_interface:
		refresh_interface(move, gone);
		break;
	case CONFIG_KIND_session_agent:
		refresh_agent(move, gone);
		break;
	case CONFIG_KIND_session_group:
		for (size_t i = 0; i < ((struct config_session_group *)gone)->agent_count; i++)
			config_move_session_agent(move, &((struct config_session_group *)gone)->agents[i]);
		break;
	case CONFIG_KIND_local_policy:
		refresh_policy(move, gone);
		break;
	case CONFIG_KIND_admission:
		config_move_local_policy(move, &((struct config_admission *)gone)->local_policy);
		break;
	case CONFIG_KIND_steering_pool:
		config_move_realm(move, &((struct config_steering_pool *)gone)->realm);
		break;
	case CONFIG_KIND_access_control:
		config_move_realm(move, &((struct config_access_control *)gone)->realm);
		break;
	default: /* these refer to nothing */
		break;
	}
}
