/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics of calls by realm and session-agent (docs/decisions/0089-statistics.md). What a leg does is counted in rows of its shard, without a
 * lock; whoever asks adds the shards up. A realm or agent has a slot that is nobody else's while anything is counted in it. */
#ifndef CONTROLPLANE_STATISTICS_H
#define CONTROLPLANE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "controlplane/api.h"

struct leg;
struct media_quality;
struct shard;
struct statistics;

enum { STATISTICS_SYSTEM = 0 }; /* its slot; as a realm's or an agent's: there is none */

/* Where a leg, a phone or the media of a side is counted. */
struct statistics_place {
	uint32_t realm, agent; /* slots */
};

/* What a leg has done so far. In struct leg; goes with it wherever it is copied to. */
struct statistics_mark {
	struct statistics_place place;
	uint64_t begun_ms, answered_ms;
	uint16_t status; /* last final response that was no 2xx; 0: none */
	uint8_t way; /* CP_STATISTICS_IN, CP_STATISTICS_OUT */
	bool counted; /* it is one of those now */
	bool heard; /* the peer has answered more than 100 */
	bool rang; /* 180..183 or 2xx */
	bool answered;
	bool passed_on; /* of a caller's leg: somebody was asked */
};

/* NULL: no memory. */
struct statistics *statistics_new(const struct config *config, unsigned shards);
void statistics_free(struct statistics *statistics); /* NULL is fine, here and below */

/* --- what happens: on the leg's shard ----------------------------------------------------------------------------------- */

/* An INVITE came on this leg (IN), or leaves by it (OUT; again with credentials: still one attempt). Realm and agent of the leg are set. */
void statistics_begin(struct leg *leg, unsigned way);
/* A response other than 100 from the callee on this leg, or to the caller. */
void statistics_response(struct leg *leg, unsigned status);
/* The caller has his 2xx: so both legs are answered. */
void statistics_answered(struct leg *leg);
/* `to` goes on for `from`, which does not count any more. */
void statistics_hand_over(struct leg *to, struct leg *from);
/* The leg is over. Called by leg_fini. */
void statistics_end(struct leg *leg);
/* An INVITE that got no leg at all, for want of room; or a call that does not go to that agent because of its limits, or ours. */
void statistics_refused(struct shard *shard, const struct config_realm *realm,
	const struct config_session_agent *agent, unsigned way);
/* Final figures of what came from there. Any of them may be missing. */
void statistics_quality(
	struct shard *shard, struct statistics_place place, const struct media_quality *quality);

/* Contacts of phones: any thread. */
struct statistics_place statistics_place(const struct statistics *statistics,
	const struct config_realm *realm, const struct config_session_agent *agent);
void statistics_registered(struct statistics *statistics, struct statistics_place place, int n);

/* --- who asks: the main thread ------------------------------------------------------------------------------------------ */

/* Entries there are: the system, realms and agents in the order of the configuration. */
size_t statistics_count(const struct statistics *statistics);
/* The entry, of an agent without state, address and limit. `agent`: its index in the configuration, if it is one. */
void statistics_read(
	const struct statistics *statistics, size_t entry, struct cp_statistics *out, size_t *agent);

/* --- another configuration: the main thread ------------------------------------------------------------------------------ */

/* Makes room for what is added. 0 or -ENOMEM; statistics_abort in any case that does not move. */
int statistics_prepare(struct statistics *statistics, const struct config *next);
void statistics_abort(struct statistics *statistics);
/* With every shard at a standstill. What has the same name goes on counting; what has gone is not shown any more, but calls under way
 * are counted to their end. Cannot fail. */
void statistics_move(struct statistics *statistics);
/* The shards run again. */
void statistics_settle(struct statistics *statistics);

#endif
