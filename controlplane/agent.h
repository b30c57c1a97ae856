/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of the session-agents while calls go on: how many each has, how fast new ones go there, whether it is alive.
 * Each shard keeps its own numbers; a limit is held against the sum of all shards. */
#ifndef CONTROLPLANE_AGENT_H
#define CONTROLPLANE_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/api.h"
#include "controlplane/resolver.h"

struct agent_table;
struct leg;
struct shard;

/* 0 or -ENOMEM. Without a table (tests) there are no limits. */
int agent_table_open(struct shard *shard);
void agent_table_close(struct shard *shard);
/* As reconfigure.h says. What is known of those of the same name stays: counts, rates; and, where the address is the same, whether they live
 * and where their names lead. */
int agent_table_prepare(struct shard *shard, const struct config_move *move, struct writer *why);
void agent_table_abort(struct shard *shard);
void agent_table_move(struct shard *shard, struct config_move *move);
void agent_table_settle(struct shard *shard);

/* The call of `leg` begins with leg->agent. 0; -EHOSTDOWN (it does not answer OPTIONS), -EUSERS (session-agent max-sessions), -EBUSY
 * (max-rate): nothing is held. `outgoing`: towards the agent, which is what max-rate and liveness are about. */
int agent_take(struct leg *leg, bool outgoing);
/* The call of `leg` is over. Nothing happens to a leg that has taken nothing. */
void agent_give(struct leg *leg);
/* Calls with it, in all shards. */
uint32_t agent_sessions(const struct shard *shard, const struct config_session_agent *agent);
bool agent_is_down(const struct shard *shard, const struct config_session_agent *agent);
/* From any thread: how it is, since when (0: since the start), and the address that is asked first (not set: none is known). */
enum cp_agent_state agent_state(const struct shard *shard, const struct config_session_agent *agent,
	uint64_t *since_wall_ms, union address *address);
/* When it last answered again after a silence; 0: never was silent. What it knew before may be gone. */
uint64_t agent_back_wall_ms(const struct shard *shard, const struct config_session_agent *agent);
/* Where it is to be asked, ports set, those that do not answer OPTIONS left out while another does: its configured address, or those of its
 * name, to be tried in turn (RFC 3263 section 4.3). How many; 0: DNS has not told. */
unsigned agent_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX]);
/* The same with those that do not answer. */
unsigned agent_all_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX]);
/* Its name, if it has one, leads to this address, with any port or with this one. */
bool agent_is_at(const struct shard *shard, const struct config_session_agent *agent,
	const union address *address, bool port);
/* Any of them is configured by name. */
bool agent_has_names(const struct shard *shard);
/* The dataplane is there (again). */
void agent_dataplane_up(const struct shard *shard);
/* The member that a round-robin begins with, counting up. */
unsigned agent_group_turn(struct shard *shard, const struct config_session_group *group);

#endif
