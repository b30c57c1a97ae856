/* SPDX-License-Identifier: BSD-3-Clause */
/* What this process tells the border in the dataplane: whom it has denied, by the guard or by order. It keeps the bans with their wall time,
 * in memory and in the store, and tells a dataplane that has restarted all of them again. owner: the main thread; others post to it. docs/decisions/0063-guard.md */
#ifndef CONTROLPLANE_BANS_H
#define CONTROLPLANE_BANS_H

#include <uv.h>

#include "config/move.h"
#include "controlplane/store.h"
#include "dataplane/client.h"

struct bans;
struct guard;

/* `sample` as in dataplane/client.h, with `arg`; may be NULL. `store` may be NULL; it outlives the bans. Loads the bans of
 * the store. 0 or -errno. */
int bans_new(uv_loop_t *loop, const struct config *config, uint64_t generation, struct store *store,
	void (*sample)(void *arg, const struct dp_sample *sample, const uint8_t *octets), void *arg,
	struct bans **out);
/* Nobody may post any more. NULL is fine. */
void bans_free(struct bans *bans);
void bans_move(struct bans *bans, const struct config_move *move); /* bans stay as they are; NULL is fine */
/* Who is to forget the points of a source that an order lets in again. */
void bans_forgives(struct bans *bans, struct guard *guard);
/* Who is told of many denials, and of a table that is full. */
struct alarms;
void bans_alarms(struct bans *bans, struct alarms *alarms);

/* From any thread: the guard has had enough. `proven`: the source has shown that it receives what is sent to it: each denial in a row is twice
 * as long, up to guard.deny-time-max. Else anybody may have written its address: it is denied for guard.unproven-deny-time, and nothing is
 * remembered of it. Lost when too many wait: the next message brings the next. */
void bans_deny(struct bans *bans, const struct dp_ban *ban, bool proven);

/* Orders of people, by `who`. `done` is called once, perhaps before the return: 0, or -errno of the dataplane (-EPERM: an agent or a trusted
 * source is in it; -ENOENT: no such ban; -ENOTCONN; -ENOSPC: guard.max-bans by order already). */
typedef void (*bans_done)(void *arg, int status);
void bans_set(struct bans *bans, const struct dp_ban *ban, const char *who, bans_done done, void *arg);
void bans_lift(
	struct bans *bans, const struct dp_source_key *key, const char *who, bans_done done, void *arg);

/* How often the source of that key has been denied in a row; 0: never, or it is forgotten. *until_wall_ms: 0: for ever. */
uint32_t bans_times(const struct bans *bans, const struct dp_source_key *key, uint64_t *until_wall_ms);
uint64_t bans_denials(const struct bans *bans); /* of the guard, since the start */

enum { BORDER_TEXT_MAX = 64 };
/* "192.0.2.1", "192.0.2.1:5060", "2001:db8::/64". Returns the buffer. */
const char *bans_print(const struct dp_source_key *key, char buffer[BORDER_TEXT_MAX]);

#endif
