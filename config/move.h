/* SPDX-License-Identifier: BSD-3-Clause */
/* From one configuration to the next while calls go on: what is called the same is the same (decision 0086).
 *
 * Whoever keeps pointers into the configuration is asked, with everything else at a standstill, to move each of them: to the object of
 * the same section and name in the newest configuration. What is not there any more stays where it was, and the older configuration
 * that it belongs to is kept for it. Older ones that nobody has asked about are freed. */
#ifndef CONFIG_MOVE_H
#define CONFIG_MOVE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/model.h"

/* kind, struct, list in struct config, section */
#define CONFIG_KINDS(X)                                               \
	X(network_interface, network_interfaces, "network-interface") \
	X(realm, realms, "realm")                                     \
	X(steering_pool, steering_pools, "steering-pool")             \
	X(tls_profile, tls_profiles, "tls-profile")                   \
	X(ip_profile, ip_profiles, "ip-profile")                      \
	X(sip_interface, sip_interfaces, "sip-interface")             \
	X(session_agent, session_agents, "session-agent")             \
	X(session_group, session_groups, "session-group")             \
	X(local_policy, local_policies, "local-policy")               \
	X(translation, translations, "translation")                   \
	X(sip_manipulation, sip_manipulations, "sip-manipulation")    \
	X(admission, admissions, "admission")                         \
	X(access_control, access_controls, "access-control")

enum config_kind {
#define CONFIG_KIND(kind, list, section) CONFIG_KIND_##kind,
	CONFIG_KINDS(CONFIG_KIND)
#undef CONFIG_KIND
		CONFIG_KIND_COUNT
};

enum {
	CONFIG_SNAPSHOTS_MAX =
		32, /* older configurations that are kept because something goes on that is not in newer ones */
	CONFIG_NOWHERE = -1 /* an index: there is no such object */
};

/* The configuration that runs, and older ones still in use. Of one thread. */
struct config_snapshots;
/* From the older ones to another one. */
struct config_move;

/* Takes `first` over. 0 or -ENOMEM (then it is the caller's). */
int config_snapshots_new(struct config *first, struct config_snapshots **out);
/* Nobody looks at any of them. NULL is allowed. */
void config_snapshots_free(struct config_snapshots *snapshots);
const struct config *config_snapshots_running(const struct config_snapshots *snapshots);
size_t config_snapshots_kept(const struct config_snapshots *snapshots); /* older ones */

/* All that is allocated is allocated here. `next` is borrowed until config_move_finish takes it over; *out goes with config_move_finish or
 * config_move_free. 0, -ENOMEM, or -EBUSY: CONFIG_SNAPSHOTS_MAX older ones are in use. */
int config_move_new(struct config_snapshots *snapshots, const struct config *next, struct config_move **out);
void config_move_free(struct config_move *move); /* nothing has been moved yet; NULL is allowed */
/* Everybody has moved: `next`, the one of config_move_new, runs, and what is not used any more is freed, like the move. NULL: that was the one
 * that runs already, and the move a look at what is in use. */
void config_move_finish(struct config_move *move, struct config *next);

const struct config *config_move_from(const struct config_move *move); /* running until now */
const struct config *config_move_to(const struct config_move *move);

/* config_move_realm(move, &leg->realm) and so on: moves one pointer. True: it points into the newest configuration now, or is NULL.
 * False: there is no such object any more; it points where it did, and that stays readable; what it refers to itself has been moved. Moving
 * twice does no harm. */
#define CONFIG_KIND(kind, list, section) \
	bool config_move_##kind(struct config_move *move, const struct config_##kind **at);
CONFIG_KINDS(CONFIG_KIND)
#undef CONFIG_KIND

/* For arrays that go by the index of config_move_from: the index of the same object in config_move_to, or CONFIG_NOWHERE; and the way
 * back (CONFIG_NOWHERE: it is added). */
ptrdiff_t config_move_index(const struct config_move *move, enum config_kind kind, size_t index);
ptrdiff_t config_move_origin(const struct config_move *move, enum config_kind kind, size_t index);

/* The index of an object in `config`, in constant time; CONFIG_NOWHERE: it is of an older one, or NULL. */
#define CONFIG_KIND(kind, list, section)                                                      \
	static inline ptrdiff_t config_##kind##_index(                                        \
		const struct config *config, const struct config_##kind *object)              \
	{                                                                                     \
		return object >= config->list && object < config->list + config->list##_count \
			       ? object - config->list                                        \
			       : CONFIG_NOWHERE;                                              \
	}
CONFIG_KINDS(CONFIG_KIND)
#undef CONFIG_KIND

#endif
