/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks session-agents by OPTIONS whether they are alive (session-agent options-interval). Each agent is asked by one shard. */
#ifndef CONTROLPLANE_AGENT_WATCH_H
#define CONTROLPLANE_AGENT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "platforms/base/address.h"

struct agent_watch;
struct shard;

/* For the agents of `config`; nobody is asked yet. 0 or -ENOMEM. */
int agent_watch_new(struct shard *shard, const struct config *config, struct agent_watch **out);
void agent_watch_free(struct agent_watch *watch);
/* The agent with that number is asked by this shard from now on, if it is to be asked at all. */
void agent_watch_begin(struct agent_watch *watch, size_t agent);
/* The same agent in another configuration: what is known of it, and what is under way, goes on in `to`. False: it is to be begun anew there, since it
 * is elsewhere now, or was not asked. */
bool agent_watch_move(struct agent_watch *from, size_t old, struct agent_watch *to, size_t agent);
void agent_watch_end(
	struct agent_watch *watch); /* nobody who is left in it is asked any more; memory stays */
/* The agent with that number in the configuration did not answer, or only 408 and 503, when last asked, at none of its addresses; from
 * any thread. */
bool agent_watch_is_down(const struct agent_watch *watch, size_t agent);
/* When it last came back; 0: it was never away. From any thread. */
uint64_t agent_watch_back_wall_ms(const struct agent_watch *watch, size_t agent);
/* When it last went or came back; 0: it has been there all the time. From any thread. */
uint64_t agent_watch_since_wall_ms(const struct agent_watch *watch, size_t agent);
/* The same of one of its addresses. */
bool agent_watch_address_is_down(const struct agent_watch *watch, size_t agent, const union address *address);

#endif
