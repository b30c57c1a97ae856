/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions and rates of session-agents, counted by shard and summed without a lock. */
#include "controlplane/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent_name.h"
#include "controlplane/agent_watch.h"
#include "controlplane/leg.h"
#include "platforms/base/clock.h"

/* A second in ten parts: a rate is what the last ten of them had. */
enum { RATE_SLOTS = 10, RATE_SLOT_MS = 1000 / RATE_SLOTS, RATE_COUNT_BITS = 24, NAME_MAX_LENGTH = 63 };

struct agent_state { /* owner: shard; others read relaxed */
	uint32_t sessions;
	unsigned asker; /* the shard that asks whether it lives: the same whatever else is configured */
	uint64_t begun[RATE_SLOTS]; /* number of the part << RATE_COUNT_BITS | calls in it */
	char name[NAME_MAX_LENGTH + 1];
};

struct agent_table {
	struct agent_state **
		agents; /* as in the configuration; behind them those that are not in it any more, while calls count there */
	size_t count, total;
	uint32_t *turns; /* of session-groups */
	struct agent_watch *watch;
	struct agent_names *names; /* or NULL: all are configured by address */
	struct agent_table
		*next; /* prepared for another configuration, then what it replaced; owner: main thread */
};

static struct agent_state *state_new(const struct shard *shard, const struct config_session_agent *agent)
{
	struct agent_state *state = calloc(1, sizeof(*state));
	struct span name = span_from(agent->name ? agent->name : "");

	if (!state)
		return NULL;
	name.n = name.n < NAME_MAX_LENGTH ? name.n : NAME_MAX_LENGTH;
	if (name.n)
		memcpy(state->name, name.p, name.n);
	/* All shards have this key in common. */
	state->asker =
		(unsigned)(hash_bytes(&shard->shard_key, name.p, name.n) % (shard->count ? shard->count : 1));
	return state;
}

static void table_free(struct agent_table *table)
{
	if (!table)
		return;
	agent_watch_free(table->watch);
	agent_names_free(table->names);
	for (size_t i = 0; table->agents && i < table->total; i++)
		free(table->agents[i]);
	free(table->agents);
	free(table->turns);
	table_free(table->next);
	free(table);
}

/* For `config`; `spare` places behind its agents. Nothing is begun yet. */
static struct agent_table *table_new(struct shard *shard, const struct config *config, size_t spare)
{
	struct agent_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->count = table->total = config->session_agents_count;
	table->agents = calloc(table->count + spare + 1, sizeof(struct agent_state *));
	table->turns = calloc(config->session_groups_count + 1, sizeof(*table->turns));
	if (table->agents && table->turns && agent_watch_new(shard, config, &table->watch) == 0 &&
		agent_names_new(shard, config, &table->names) == 0)
		return table;
	table_free(table);
	return NULL;
}

static int states_make(struct agent_table *table, const struct shard *shard, const struct config *config,
	const struct config_move *move)
{
	for (size_t i = 0; i < table->count; i++) {
		if (move && config_move_origin(move, CONFIG_KIND_session_agent, i) != CONFIG_NOWHERE)
			continue;
		table->agents[i] = state_new(shard, &config->session_agents[i]);
		if (!table->agents[i])
			return -ENOMEM;
	}
	return 0;
}

static bool is_asker(const struct shard *shard, const struct agent_state *state)
{
	return state->asker == shard->index;
}

int agent_table_open(struct shard *shard)
{
	struct agent_table *table = table_new(shard, shard->config, 0);

	if (!table)
		return -ENOMEM;
	shard->agents = table;
	if (states_make(table, shard, shard->config, NULL) < 0) {
		agent_table_close(shard);
		return -ENOMEM;
	}
	for (size_t i = 0; i < table->count; i++) {
		if (is_asker(shard, table->agents[i]))
			agent_watch_begin(table->watch, i);
		agent_names_begin(table->names, i);
	}
	return 0;
}

void agent_table_close(struct shard *shard)
{
	table_free(shard->agents);
	shard->agents = NULL;
}

/* --- another configuration -------------------------------------------------------------------------------------------- */

int agent_table_prepare(struct shard *shard, const struct config_move *move, struct writer *why)
{
	const struct config *next = config_move_to(move);
	struct agent_table *table = shard->agents;

	(void)why;
	if (!table)
		return 0;
	table->next = table_new(shard, next, table->total);
	return table->next ? states_make(table->next, shard, next, move) : -ENOMEM;
}

void agent_table_abort(struct shard *shard)
{
	if (!shard->agents)
		return;
	table_free(shard->agents->next);
	shard->agents->next = NULL;
}

void agent_table_settle(struct shard *shard)
{
	agent_table_abort(shard);
}

/* One of that name that was removed while calls counted there. */
static struct agent_state **departed_find(const struct agent_table *table, const char *name)
{
	for (size_t i = table->count; i < table->total; i++)
		if (table->agents[i] && strncmp(table->agents[i]->name, name, NAME_MAX_LENGTH) == 0)
			return &table->agents[i];
	return NULL;
}

static void swap_states(struct agent_state **a, struct agent_state **b)
{
	struct agent_state *kept = *a;

	*a = *b;
	*b = kept;
}

static void states_move(struct agent_table *from, struct agent_table *to, const struct config_move *move)
{
	const struct config *next = config_move_to(move);

	for (size_t i = 0; i < to->count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_agent, i);
		struct agent_state **departed = NULL;

		if (origin != CONFIG_NOWHERE)
			swap_states(&to->agents[i], &from->agents[origin]);
		else
			departed = departed_find(from, next->session_agents[i].name);
		if (departed)
			swap_states(&to->agents[i], departed);
	}
	for (size_t i = 0; i < from->total; i++)
		if (from->agents[i] && from->agents[i]->sessions)
			swap_states(&to->agents[to->total++], &from->agents[i]);
}

static void begin_or_move(
	struct shard *shard, struct agent_table *from, struct agent_table *to, struct config_move *move)
{
	for (size_t i = 0; i < to->count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_agent, i);

		if (origin == CONFIG_NOWHERE || !agent_watch_move(from->watch, (size_t)origin, to->watch, i))
			if (is_asker(shard, to->agents[i]))
				agent_watch_begin(to->watch, i);
		if (origin == CONFIG_NOWHERE ||
			!agent_names_move(from->names, (size_t)origin, to->names, i, config_move_from(move)))
			agent_names_begin(to->names, i);
	}
	agent_watch_end(from->watch);
	agent_names_end(from->names, to->names);
}

void agent_table_move(struct shard *shard, struct config_move *move)
{
	struct agent_table *from = shard->agents, *to = from ? from->next : NULL;

	if (!to)
		return;
	states_move(from, to, move);
	for (size_t i = 0; i < config_move_to(move)->session_groups_count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_group, i);

		to->turns[i] = origin == CONFIG_NOWHERE ? 0 : from->turns[origin];
	}
	begin_or_move(shard, from, to, move);
	shard->agents = to;
	from->next = NULL;
	to->next = from;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

/* CONFIG_NOWHERE: it is not in the configuration any more. */
static ptrdiff_t index_of(const struct shard *shard, const struct config_session_agent *agent)
{
	return config_session_agent_index(shard->config, agent);
}

/* Of shard i: the fixture of a test may have no list of all. */
static const struct agent_table *table_of(const struct shard *shard, unsigned i)
{
	return shard->all ? shard->all[i]->agents : shard->agents;
}

/* NULL: it has none. */
static struct agent_state *state_of(const struct shard *shard, const struct config_session_agent *agent)
{
	ptrdiff_t index = index_of(shard, agent);
	struct agent_state **departed;

	if (index != CONFIG_NOWHERE)
		return shard->agents->agents[index];
	departed = departed_find(shard->agents, agent->name);
	return departed ? *departed : NULL;
}

uint32_t agent_sessions(const struct shard *shard, const struct config_session_agent *agent)
{
	ptrdiff_t index = index_of(shard, agent);
	uint32_t sum = 0;

	for (unsigned i = 0; shard->agents && index != CONFIG_NOWHERE && i < shard->count; i++)
		sum += __atomic_load_n(&table_of(shard, i)->agents[index]->sessions, __ATOMIC_RELAXED);
	return sum;
}

static uint64_t calls_of_last_second(
	const struct shard *shard, const struct config_session_agent *agent, uint64_t part)
{
	ptrdiff_t index = index_of(shard, agent);
	uint64_t sum = 0;

	for (unsigned i = 0; i < shard->count; i++) {
		const struct agent_state *state = table_of(shard, i)->agents[index];

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
	/* It has been removed: nothing new begins with it. */
	if (index_of(shard, agent) == CONFIG_NOWHERE)
		return outgoing ? -EHOSTDOWN : 0;
	state = state_of(shard, agent);
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
	struct agent_state *state;

	if (!leg->holds_agent)
		return;
	leg->holds_agent = false;
	if (leg->shard->agents && (state = state_of(leg->shard, leg->agent)))
		add_sessions(state, -1);
}

unsigned agent_group_turn(struct shard *shard, const struct config_session_group *group)
{
	ptrdiff_t index = config_session_group_index(shard->config, group);

	return shard->agents && index != CONFIG_NOWHERE ? shard->agents->turns[index]++ : 0;
}

/* --- liveness --------------------------------------------------------------------------------------------------------- */

/* Of the shard that asks it, with its index; NULL: nobody does. */
static const struct agent_watch *watch_of(
	const struct shard *shard, const struct config_session_agent *agent, size_t *index)
{
	ptrdiff_t at = index_of(shard, agent);

	if (!shard->agents || at == CONFIG_NOWHERE)
		return NULL;
	*index = (size_t)at;
	return table_of(shard, shard->agents->agents[at]->asker)->watch;
}

bool agent_is_down(const struct shard *shard, const struct config_session_agent *agent)
{
	size_t index = 0;
	const struct agent_watch *watch = watch_of(shard, agent, &index);

	return watch && agent->options_interval && agent_watch_is_down(watch, index);
}

uint64_t agent_back_wall_ms(const struct shard *shard, const struct config_session_agent *agent)
{
	size_t index = 0;
	const struct agent_watch *watch = watch_of(shard, agent, &index);

	return watch ? agent_watch_back_wall_ms(watch, index) : 0;
}

/* --- where they are --------------------------------------------------------------------------------------------------- */

static bool address_is_down(
	const struct shard *shard, const struct config_session_agent *agent, const union address *address)
{
	size_t index = 0;
	const struct agent_watch *watch = watch_of(shard, agent, &index);

	return watch && agent->options_interval && agent_watch_address_is_down(watch, index, address);
}

unsigned agent_all_addresses(const struct shard *shard, const struct config_session_agent *agent,
	union address list[RESOLVER_ADDRESSES_MAX])
{
	ptrdiff_t index;

	if (address_is_set(&agent->address.address)) {
		list[0] = agent->address.address;
		if (address_port(&list[0]) == 0)
			address_set_port(&list[0], 5060);
		return 1;
	}
	index = index_of(shard, agent);
	return shard->agents && index != CONFIG_NOWHERE
		       ? agent_names_list(shard->agents->names, (size_t)index, list)
		       : 0;
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
	ptrdiff_t index = index_of(shard, agent);

	*since_wall_ms = 0;
	if (address_is_set(&agent->address.address))
		return agent_all_addresses(shard, agent, list);
	return index == CONFIG_NOWHERE
		       ? 0
		       : agent_names_known(table_of(shard, 0)->names, (size_t)index, list, since_wall_ms);
}

enum cp_agent_state agent_state(const struct shard *shard, const struct config_session_agent *agent,
	uint64_t *since_wall_ms, union address *address)
{
	union address list[RESOLVER_ADDRESSES_MAX] = { 0 };
	const struct agent_watch *watch;
	size_t index;
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
	watch = watch_of(shard, agent, &index);
	if (watch && agent_watch_since_wall_ms(watch, index) > *since_wall_ms)
		*since_wall_ms = agent_watch_since_wall_ms(watch, index);
	return agent_is_down(shard, agent) ? CP_AGENT_DOWN : CP_AGENT_UP;
}

bool agent_is_at(const struct shard *shard, const struct config_session_agent *agent,
	const union address *address, bool port)
{
	ptrdiff_t index = index_of(shard, agent);

	return shard->agents && index != CONFIG_NOWHERE &&
	       agent_names_has(shard->agents->names, (size_t)index, address, port);
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
