/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions and rates of session-agents, counted by shard and summed without a lock. */
#include "controlplane/agent.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/agent_name.h"
#include "controlplane/agent_watch.h"
#include "controlplane/leg.h"
#include "platforms/base/clock.h"

/* A second in ten parts: a rate is what the last ten of them had. */
enum { RATE_SLOTS = 10, RATE_SLOT_MS = 1000 / RATE_SLOTS, RATE_COUNT_BITS = 24 };

struct agent_state { /* owner: shard; others read relaxed */
	uint32_t sessions;
	uint64_t begun[RATE_SLOTS]; /* number of the part << RATE_COUNT_BITS | calls in it */
};

struct agent_table {
	struct agent_state *agents; /* as in the configuration */
	uint32_t *turns; /* of session-groups */
	struct agent_watch *watch; /* or NULL */
	struct agent_names *names; /* or NULL: all are configured by address */
};

int agent_table_open(struct shard *shard)
{
	const struct config *config = shard->config;
	struct agent_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	shard->agents = table;
	table->agents = calloc(config->session_agents_count + 1, sizeof(*table->agents));
	table->turns = calloc(config->session_groups_count + 1, sizeof(*table->turns));
	if (table->agents && table->turns && agent_watch_new(shard, &table->watch) == 0 &&
		agent_names_new(shard, &table->names) == 0)
		return 0;
	agent_table_close(shard);
	return -ENOMEM;
}

void agent_table_close(struct shard *shard)
{
	struct agent_table *table = shard->agents;

	if (!table)
		return;
	agent_watch_free(table->watch);
	agent_names_free(table->names);
	free(table->agents);
	free(table->turns);
	free(table);
	shard->agents = NULL;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

static size_t index_of(const struct shard *shard, const struct config_session_agent *agent)
{
	return (size_t)(agent - shard->config->session_agents);
}

/* Of shard i: the fixture of a test may have no list of all. */
static const struct agent_table *table_of(const struct shard *shard, unsigned i)
{
	return shard->all ? shard->all[i]->agents : shard->agents;
}

uint32_t agent_sessions(const struct shard *shard, const struct config_session_agent *agent)
{
	uint32_t sum = 0;

	for (unsigned i = 0; shard->agents && i < shard->count; i++)
		sum += __atomic_load_n(
			&table_of(shard, i)->agents[index_of(shard, agent)].sessions, __ATOMIC_RELAXED);
	return sum;
}

static uint64_t calls_of_last_second(
	const struct shard *shard, const struct config_session_agent *agent, uint64_t part)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < shard->count; i++) {
		const struct agent_state *state = &table_of(shard, i)->agents[index_of(shard, agent)];

		for (unsigned s = 0; s < RATE_SLOTS; s++) {
			uint64_t slot = __atomic_load_n(&state->begun[s], __ATOMIC_RELAXED);

			if ((slot >> RATE_COUNT_BITS) + RATE_SLOTS > part)
				sum += slot & ((1U << RATE_COUNT_BITS) - 1);
		}
	}
	return sum;
}

static void add_call(struct agent_state *state, uint64_t part)
{
	uint64_t *slot = &state->begun[part % RATE_SLOTS];
	uint64_t count = *slot >> RATE_COUNT_BITS == part ? *slot : part << RATE_COUNT_BITS;

	__atomic_store_n(slot, count + 1, __ATOMIC_RELAXED);
}

static void add_sessions(struct agent_state *state, int n)
{
	__atomic_store_n(&state->sessions, state->sessions + (uint32_t)n, __ATOMIC_RELAXED);
}

int agent_take(struct leg *leg, bool outgoing)
{
	const struct config_session_agent *agent = leg->agent;
	struct shard *shard = leg->shard;
	struct agent_state *state;
	uint64_t part;

	if (!agent || !shard->agents || leg->holds_agent)
		return 0;
	if (outgoing && agent_is_down(shard, agent))
		return -EHOSTDOWN;
	state = &shard->agents->agents[index_of(shard, agent)];
	/* Counted before the sum is taken: two shards at once may both refuse, but never both exceed. */
	add_sessions(state, 1);
	if (agent->max_sessions && agent_sessions(shard, agent) > agent->max_sessions) {
		add_sessions(state, -1);
		return -EUSERS;
	}
	if (outgoing && agent->max_rate) {
		part = clock_now_ms() / RATE_SLOT_MS;
		if (calls_of_last_second(shard, agent, part) >= agent->max_rate) {
			add_sessions(state, -1);
			return -EBUSY;
		}
		add_call(state, part);
	}
	leg->holds_agent = true;
	return 0;
}

void agent_give(struct leg *leg)
{
	if (!leg->holds_agent)
		return;
	leg->holds_agent = false;
	if (leg->shard->agents)
		add_sessions(&leg->shard->agents->agents[index_of(leg->shard, leg->agent)], -1);
}

unsigned agent_group_turn(struct shard *shard, const struct config_session_group *group)
{
	return shard->agents ? shard->agents->turns[group - shard->config->session_groups]++ : 0;
}

/* --- liveness --------------------------------------------------------------------------------------------------------- */

bool agent_is_down(const struct shard *shard, const struct config_session_agent *agent)
{
	size_t index = index_of(shard, agent);
	unsigned owner = (unsigned)(index % (shard->count ? shard->count : 1));

	if (!shard->agents || !agent->options_interval)
		return false;
	return agent_watch_is_down(table_of(shard, owner)->watch, index);
}

uint64_t agent_back_wall_ms(const struct shard *shard, const struct config_session_agent *agent)
{
	size_t index = index_of(shard, agent);
	unsigned owner = (unsigned)(index % (shard->count ? shard->count : 1));

	return shard->agents ? agent_watch_back_wall_ms(table_of(shard, owner)->watch, index) : 0;
}

/* --- where they are --------------------------------------------------------------------------------------------------- */

static bool address_is_down(
	const struct shard *shard, const struct config_session_agent *agent, const union address *address)
{
	size_t index = index_of(shard, agent);
	unsigned owner = (unsigned)(index % (shard->count ? shard->count : 1));

	return agent->options_interval &&
	       agent_watch_address_is_down(table_of(shard, owner)->watch, index, address);
}

unsigned agent_all_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX])
{
	if (address_is_set(&agent->address.address)) {
		list[0] = agent->address.address;
		if (address_port(&list[0]) == 0)
			address_set_port(&list[0], 5060);
		return 1;
	}
	return shard->agents ? agent_names_list(shard->agents->names, index_of(shard, agent), list) : 0;
}

unsigned agent_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX])
{
	unsigned count = agent_all_addresses(shard, agent, list), up = 0;

	if (count < 2)
		return count;
	for (unsigned i = 0; i < count; i++)
		if (!address_is_down(shard, agent, &list[i]))
			list[up++] = list[i];
	return up ? up : count;
}

static unsigned known_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX], uint64_t *since_wall_ms)
{
	*since_wall_ms = 0;
	return address_is_set(&agent->address.address) ? agent_all_addresses(shard, agent, list)
						       : agent_names_known(table_of(shard, 0)->names,
								 index_of(shard, agent), list, since_wall_ms);
}

enum cp_agent_state agent_state(const struct shard *shard, const struct config_session_agent *agent,
	uint64_t *since_wall_ms, union address *address)
{
	union address list[RESOLVER_ADDRESSES_MAX] = { 0 };
	size_t index = index_of(shard, agent);
	unsigned owner = (unsigned)(index % (shard->count ? shard->count : 1));
	unsigned count = known_addresses(shard, agent, list, since_wall_ms), first = 0;

	if (count == 0) {
		*address = (union address){ 0 };
		return CP_AGENT_UNRESOLVED;
	}
	while (first < count && address_is_down(shard, agent, &list[first]))
		first++;
	*address = list[first < count ? first : 0];
	if (!agent->options_interval)
		return CP_AGENT_UNWATCHED;
	if (agent_watch_since_wall_ms(table_of(shard, owner)->watch, index) > *since_wall_ms)
		*since_wall_ms = agent_watch_since_wall_ms(table_of(shard, owner)->watch, index);
	return agent_is_down(shard, agent) ? CP_AGENT_DOWN : CP_AGENT_UP;
}

bool agent_is_at(const struct shard *shard, const struct config_session_agent *agent,
	const union address *address, bool port)
{
	return shard->agents && agent_names_has(shard->agents->names, index_of(shard, agent), address, port);
}

void agent_dataplane_up(const struct shard *shard)
{
	if (shard->agents)
		agent_names_trust(shard->agents->names);
}

bool agent_has_names(const struct shard *shard)
{
	return shard->agents && shard->agents->names;
}
