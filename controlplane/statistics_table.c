/* SPDX-License-Identifier: BSD-3-Clause */
/* The slots of statistics: which realm and agent has which, over changes of the configuration; and their sums. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/statistics_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/hash.h"

enum { ROOM_FIRST = 64 };

/* What statistics_move makes true. */
struct statistics_plan {
	struct statistics_table table; /* arrays of its own; slot and rows NULL: those there are stay */
	uint32_t *fresh; /* slots that get another name */
	size_t fresh_count;
	bool moved; /* `table` has what is to be freed */
};

/* --- memory ------------------------------------------------------------------------------------------------------------- */

static void rows_free(struct statistics_row **rows, unsigned shards)
{
	for (unsigned i = 0; rows && i < shards; i++)
		free(rows[i]);
	free(rows);
}

static void table_free(struct statistics_table *table, unsigned shards)
{
	rows_free(table->rows, shards);
	free(table->slot);
	free(table->realm_slot);
	free(table->agent_slot);
}

static void plan_free(struct statistics *statistics)
{
	if (!statistics->plan)
		return;
	table_free(&statistics->plan->table, statistics->shards);
	free(statistics->plan->fresh);
	free(statistics->plan);
	statistics->plan = NULL;
}

/* Lines of the cache belong to one slot, and to one shard. */
static void *aligned_zero(size_t count, size_t size)
{
	size_t length = (count * size + 63) / 64 * 64;
	void *memory = aligned_alloc(64, length);

	if (memory)
		memset(memory, 0, length);
	return memory;
}

static int make_room(const struct statistics *statistics, struct statistics_table *table, size_t room)
{
	table->room = room;
	table->slot = aligned_zero(room, sizeof(*table->slot));
	table->rows = calloc(statistics->shards, sizeof(struct statistics_row *));
	for (unsigned i = 0; table->rows && i < statistics->shards; i++) {
		table->rows[i] = aligned_zero(room, sizeof(struct statistics_row));
		if (!table->rows[i])
			return -ENOMEM;
	}
	return table->slot && table->rows ? 0 : -ENOMEM;
}

/* --- names -------------------------------------------------------------------------------------------------------------- */

/* Slots by kind and name, while a plan is made. */
struct names {
	struct hash_key key;
	size_t mask;
	uint32_t *bucket; /* slot, 0: free */
};

static size_t place_of(const struct names *names, uint32_t kind, const char *name)
{
	return (hash_bytes(&names->key, name, strlen(name)) ^ kind) & names->mask;
}

static int names_init(struct names *names, const struct statistics_table *table)
{
	size_t size = 64;

	while (size < 2 * table->room)
		size *= 2;
	hash_key_random(&names->key);
	names->mask = size - 1;
	names->bucket = calloc(size, sizeof(*names->bucket));
	if (!names->bucket)
		return -ENOMEM;
	for (uint32_t i = 1; i < table->room; i++) {
		const struct statistics_slot *slot = &table->slot[i];
		size_t at = place_of(names, slot->kind, slot->name);

		if (!slot->used)
			continue;
		while (names->bucket[at])
			at = (at + 1) & names->mask;
		names->bucket[at] = i;
	}
	return 0;
}

static uint32_t find(
	const struct names *names, const struct statistics_table *table, uint32_t kind, const char *name)
{
	size_t at = place_of(names, kind, name);
	uint32_t slot;

	for (; (slot = names->bucket[at]); at = (at + 1) & names->mask)
		if (table->slot[slot].kind == kind && strcmp(table->slot[slot].name, name) == 0)
			return slot;
	return 0;
}

/* Nothing is counted in it any more: no call, no phone, no figures on their way. */
static bool is_free(const struct statistics_slot *slot, uint64_t now)
{
	return !slot->used || (!slot->configured && now - slot->gone_ms > STATISTICS_REST_MS &&
				      !__atomic_load_n(&slot->gauge[0].now, __ATOMIC_RELAXED) &&
				      !__atomic_load_n(&slot->gauge[1].now, __ATOMIC_RELAXED) &&
				      !__atomic_load_n(&slot->registrations, __ATOMIC_RELAXED));
}

/* --- a plan ------------------------------------------------------------------------------------------------------------- */

struct planning {
	const struct statistics_table *now;
	struct statistics_plan *plan;
	struct names names;
	bool *claimed; /* by slot: somebody has it in the next configuration */
	uint64_t now_ms;
	uint32_t next; /* slot to be looked at */
};

/* That of a name which has one already, or 0. */
static uint32_t keep(const struct planning *planning, uint32_t kind, const char *name)
{
	uint32_t slot = find(&planning->names, planning->now, kind, name);

	if (slot)
		planning->claimed[slot] = true;
	return slot;
}

/* Beyond the room there is, if need be. */
static uint32_t take(struct planning *planning)
{
	const struct statistics_table *now = planning->now;
	uint32_t slot;

	while (planning->next < now->room &&
		(planning->claimed[planning->next] || !is_free(&now->slot[planning->next], planning->now_ms)))
		planning->next++;
	slot = planning->next++;
	planning->plan->fresh[planning->plan->fresh_count++] = slot;
	return slot;
}

static void assign(struct planning *planning, const struct config *next)
{
	struct statistics_table *table = &planning->plan->table;

	for (size_t i = 0; i < table->realm_count; i++)
		table->realm_slot[i] = keep(planning, CP_STATISTICS_REALM, next->realms[i].name);
	for (size_t i = 0; i < table->agent_count; i++)
		table->agent_slot[i] = keep(planning, CP_STATISTICS_AGENT, next->session_agents[i].name);
	for (size_t i = 0; i < table->realm_count; i++)
		if (!table->realm_slot[i])
			table->realm_slot[i] = take(planning);
	for (size_t i = 0; i < table->agent_count; i++)
		if (!table->agent_slot[i])
			table->agent_slot[i] = take(planning);
}

static int plan_slots(
	const struct statistics *statistics, struct statistics_plan *plan, const struct config *next)
{
	struct planning planning = {
		.now = &statistics->table, .plan = plan, .now_ms = clock_now_ms(), .next = 1
	};
	struct statistics_table *table = &plan->table;
	size_t room = statistics->table.room;

	planning.claimed = calloc(room + 1, sizeof(bool));
	if (!planning.claimed || names_init(&planning.names, planning.now)) {
		free(planning.claimed);
		return -ENOMEM;
	}
	assign(&planning, next);
	free(planning.names.bucket);
	free(planning.claimed);
	table->room = room;
	if (planning.next <= room)
		return 0;
	while (room < planning.next)
		room = room ? room * 2 : ROOM_FIRST;
	return make_room(statistics, table, room);
}

int statistics_prepare(struct statistics *statistics, const struct config *next)
{
	size_t realms = next->realms_count, agents = next->session_agents_count;
	struct statistics_plan *plan;

	if (!statistics)
		return 0;
	plan_free(statistics);
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	statistics->plan = plan;
	plan->table = (struct statistics_table){ .realms = next->realms,
		.agents = next->session_agents,
		.realm_count = realms,
		.agent_count = agents,
		.realm_slot = calloc(realms + 1, sizeof(uint32_t)),
		.agent_slot = calloc(agents + 1, sizeof(uint32_t)) };
	plan->fresh = calloc(realms + agents + 1, sizeof(uint32_t));
	return plan->table.realm_slot && plan->table.agent_slot && plan->fresh
		       ? plan_slots(statistics, plan, next)
		       : -ENOMEM;
}

void statistics_abort(struct statistics *statistics)
{
	if (statistics)
		plan_free(statistics);
}

/* --- moving ------------------------------------------------------------------------------------------------------------- */

/* Into the larger arrays of the plan. */
static void carry_over(const struct statistics *statistics, struct statistics_table *to)
{
	const struct statistics_table *from = &statistics->table;

	if (!from->room)
		return;
	memcpy(to->slot, from->slot, from->room * sizeof(*to->slot));
	for (unsigned i = 0; i < statistics->shards; i++)
		memcpy(to->rows[i], from->rows[i], from->room * sizeof(struct statistics_row));
}

static void configure(struct statistics_slot *slot, uint32_t kind, const char *name)
{
	size_t n = strlen(name);

	slot->used = slot->configured = true;
	slot->kind = kind;
	if (n >= sizeof(slot->name))
		n = sizeof(slot->name) - 1;
	memcpy(slot->name, name, n);
	slot->name[n] = '\0';
}

static void name_slots(struct statistics_table *table)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 1; i < table->room; i++) {
		if (table->slot[i].configured)
			table->slot[i].gone_ms = now;
		table->slot[i].configured = false;
	}
	table->slot[STATISTICS_SYSTEM].used = table->slot[STATISTICS_SYSTEM].configured = true;
	for (size_t i = 0; i < table->realm_count; i++)
		configure(&table->slot[table->realm_slot[i]], CP_STATISTICS_REALM, table->realms[i].name);
	for (size_t i = 0; i < table->agent_count; i++)
		configure(&table->slot[table->agent_slot[i]], CP_STATISTICS_AGENT, table->agents[i].name);
}

void statistics_move(struct statistics *statistics)
{
	struct statistics_plan *plan = statistics ? statistics->plan : NULL;
	struct statistics_table before;

	if (!plan || plan->moved)
		return;
	before = statistics->table;
	if (plan->table.slot) {
		carry_over(statistics, &plan->table);
		statistics->table = plan->table;
		plan->table = before;
	} else {
		statistics->table = plan->table;
		statistics->table.slot = before.slot;
		statistics->table.rows = before.rows;
		plan->table = (struct statistics_table){ .realm_slot = before.realm_slot,
			.agent_slot = before.agent_slot };
	}
	for (size_t i = 0; i < plan->fresh_count; i++) {
		statistics->table.slot[plan->fresh[i]] = (struct statistics_slot){ 0 };
		for (unsigned s = 0; s < statistics->shards; s++)
			statistics->table.rows[s][plan->fresh[i]] = (struct statistics_row){ 0 };
	}
	name_slots(&statistics->table);
	plan->moved = true;
}

void statistics_settle(struct statistics *statistics)
{
	if (statistics)
		plan_free(statistics);
}

struct statistics *statistics_new(const struct config *config, unsigned shards)
{
	struct statistics *statistics = calloc(1, sizeof(*statistics));

	if (!statistics)
		return NULL;
	statistics->shards = shards;
	if (statistics_prepare(statistics, config)) {
		statistics_free(statistics);
		return NULL;
	}
	statistics_move(statistics);
	statistics_settle(statistics);
	return statistics;
}

void statistics_free(struct statistics *statistics)
{
	if (!statistics)
		return;
	plan_free(statistics);
	table_free(&statistics->table, statistics->shards);
	free(statistics);
}

/* --- sums --------------------------------------------------------------------------------------------------------------- */

static uint64_t load(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void add_way(struct cp_statistics_calls *sum, const struct statistics_way *way, uint64_t second)
{
	uint64_t cell = load(&way->second[second % STATISTICS_SECONDS]);

	sum->attempts += load(&way->attempts);
	sum->effective += load(&way->effective);
	sum->answered += load(&way->answered);
	sum->ended += load(&way->ended);
	sum->talked_ms += load(&way->talked_ms);
	sum->rang += load(&way->rang);
	sum->post_dial_ms += load(&way->post_dial_ms);
	sum->refused += load(&way->refused);
	if (cell >> STATISTICS_SECOND_BITS == second)
		sum->per_second += (uint32_t)(cell & ((1U << STATISTICS_SECOND_BITS) - 1));
}

static void add_quality(struct cp_quality *sum, const struct cp_quality *quality)
{
	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++) {
		sum->mos[i] += load(&quality->mos[i]);
		sum->loss[i] += load(&quality->loss[i]);
		sum->jitter[i] += load(&quality->jitter[i]);
	}
	sum->mos_sum += load(&quality->mos_sum);
	sum->loss_sum += load(&quality->loss_sum);
	sum->jitter_sum += load(&quality->jitter_sum);
}

size_t statistics_count(const struct statistics *statistics)
{
	return statistics ? 1 + statistics->table.realm_count + statistics->table.agent_count : 0;
}

void statistics_read(
	const struct statistics *statistics, size_t entry, struct cp_statistics *out, size_t *agent)
{
	const struct statistics_table *table = &statistics->table;
	uint64_t second = clock_now_ms() / 1000 - 1;
	const struct statistics_slot *slot;
	uint32_t at = STATISTICS_SYSTEM;

	if (entry > table->realm_count) {
		*agent = entry - 1 - table->realm_count;
		at = table->agent_slot[*agent];
	} else if (entry > 0) {
		at = table->realm_slot[entry - 1];
	}
	slot = &table->slot[at];
	*out = (struct cp_statistics){ .number = entry + 1,
		.kind = slot->kind,
		.registrations = __atomic_load_n(&slot->registrations, __ATOMIC_RELAXED) };
	memcpy(out->name, slot->name, sizeof(out->name));
	for (unsigned way = 0; way < CP_STATISTICS_WAYS; way++) {
		struct cp_statistics_calls *calls = &out->calls[way];

		calls->now = __atomic_load_n(&slot->gauge[way].now, __ATOMIC_RELAXED);
		calls->most = __atomic_load_n(&slot->gauge[way].most, __ATOMIC_RELAXED);
		for (unsigned s = 0; s < statistics->shards; s++)
			add_way(calls, &table->rows[s][at].way[way], second);
	}
	for (unsigned s = 0; s < statistics->shards; s++)
		add_quality(&out->quality, &table->rows[s][at].quality);
}
