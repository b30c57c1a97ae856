/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the session-agents are that are configured by name: what DNS said last, renewed before it runs out, kept for a while when
 * DNS is away (RFC 8767), and made known to the dataplane as trusted. Each shard asks for itself. */
#ifndef CONTROLPLANE_AGENT_NAME_H
#define CONTROLPLANE_AGENT_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "config/model.h"
#include "controlplane/resolver.h"

struct agent_names;
struct shard;

/* For the agents of `config`; nothing is asked yet. *out stays NULL where none has a name. 0 or -ENOMEM. */
int agent_names_new(struct shard *shard, const struct config *config, struct agent_names **out);
void agent_names_free(struct agent_names *names);
/* The agent with that number is looked up from now on, if it has a name. `names` may be NULL here and below. */
void agent_names_begin(struct agent_names *names, size_t agent);
/* The same agent in another configuration, after `before`: what DNS has said of it holds on in `to`, and is asked anew if other servers are asked now or
 * other addresses are of use. False: it is to be begun there: its name is another, or in another realm. */
bool agent_names_move(struct agent_names *from, size_t old, struct agent_names *to, size_t agent,
	const struct config *before);
/* Those that are left in `from` have gone: nothing is asked, and their addresses are trusted only if they are those of one in `to`. Memory stays. */
void agent_names_end(struct agent_names *from, const struct agent_names *to);

/* Addresses of the agent with that number in the configuration, with their ports, in an order made anew at each call: by priority,
 * at random by weight within one (RFC 2782). How many; 0: none is known, or the agent has no name. */
unsigned agent_names_list(
	const struct agent_names *names, size_t agent, union address list[RESOLVER_ADDRESSES_MAX]);
/* The same sorted by priority alone, from any thread. *since_wall_ms: when it got its first address, or lost its last one; 0: never. */
unsigned agent_names_known(const struct agent_names *names, size_t agent,
	union address list[RESOLVER_ADDRESSES_MAX], uint64_t *since_wall_ms);
/* What DNS is asked about an agent with a name. */
struct resolver_question agent_names_question(
	const struct config *config, const struct config_session_agent *agent);
/* It has this address, with any port or with this one. */
bool agent_names_has(const struct agent_names *names, size_t agent, const union address *address, bool port);
/* The dataplane is there (again): it is told whom to trust. */
void agent_names_trust(const struct agent_names *names);

/* The order of RFC 2782 among `count` addresses that are sorted by priority and target; `below` gives a random number below its argument,
 * which is at most 2^24. */
void agent_names_order(
	const struct resolved_address *in, unsigned count, uint32_t (*below)(uint32_t), union address *out);

#endif
