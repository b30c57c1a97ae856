/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of REGISTER: buckets in sets of four; and a schedule for each registrar: what has been let in, and when each message leaves. */
#include "controlplane/register_limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/register_turns.h"
#include "platforms/base/random.h"

enum {
	WAYS = 4, /* of a set: the longest unused gives way */
	BUCKET_SETS = 8192,
	STRIPES = 64,
	BURST = 4, /* at once, above the rate of a second: a challenge and its answer, twice */
	MESSAGES = 2, /* of one registration: it is challenged, and answers */
	SECOND_US = 1000000,
	/* What leaves here evenly may arrive a little closer together: a second of the registrar's is to have no more than the rate. */
	WINDOW_US = SECOND_US + SECOND_US / 50,
	SHARE = 4, /* of the time that a message may be held: what a newcomer gets of it */
};

struct bucket {
	uint64_t key, last_us;
	uint64_t level; /* micro-tokens */
};

struct rate {
	pthread_mutex_t lock[STRIPES];
	struct bucket bucket[BUCKET_SETS][WAYS]; /* lock[set % STRIPES] */
	uint64_t per_second; /* 0: no limit */
};

struct schedule {
	uint64_t planned_us; /* when what has been let in will have been sent */
	uint64_t wire_us; /* when the next message may go */
	uint64_t *sent_us; /* of the last messages, as many as a second may have; made with the first */
	size_t places, sent; /* of sent_us */
	struct register_turns *turns; /* likewise */
};

struct register_limits {
	const struct config *config;
	struct rate rate[REGISTER_RATE_COUNT];
	pthread_mutex_t lock; /* all below */
	struct schedule *schedule; /* by agent */
	size_t agents; /* the configuration may be gone before this */
	struct schedule *
		next_schedule; /* prepared for another configuration, then what it replaced; owner: main thread */
	size_t next_agents;
};

/* --- rates ---------------------------------------------------------------------------------------------------------- */

static struct bucket *bucket_find(struct bucket set[WAYS], uint64_t key, bool *is_there)
{
	struct bucket *oldest = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key && set[i].last_us) {
			*is_there = true;
			return &set[i];
		}
		if (set[i].last_us < oldest->last_us)
			oldest = &set[i];
	}
	*is_there = false;
	return oldest;
}

bool register_rate_take(
	struct register_limits *limits, enum register_rate which, uint64_t key, uint64_t now_us)
{
	struct rate *rate = &limits->rate[which];
	size_t set = key % BUCKET_SETS;
	uint64_t full;
	struct bucket *bucket;
	bool is_there, taken;

	if (rate->per_second == 0)
		return true;
	full = (rate->per_second + BURST) * SECOND_US;
	pthread_mutex_lock(&rate->lock[set % STRIPES]);
	bucket = bucket_find(rate->bucket[set], key, &is_there);
	if (!is_there)
		*bucket = (struct bucket){ .key = key, .last_us = now_us, .level = full };
	if (now_us > bucket->last_us) {
		uint64_t passed = now_us - bucket->last_us;

		/* Longer ago than it takes to fill: full, and no product that could overflow. */
		bucket->level =
			passed > full / rate->per_second ? full : bucket->level + passed * rate->per_second;
		if (bucket->level > full)
			bucket->level = full;
		bucket->last_us = now_us;
	}
	taken = bucket->level >= SECOND_US;
	if (taken)
		bucket->level -= SECOND_US;
	pthread_mutex_unlock(&rate->lock[set % STRIPES]);
	return taken;
}

/* --- places ----------------------------------------------------------------------------------------------------------- */

static unsigned rate_of(const struct register_limits *limits)
{
	unsigned rate = limits->config->registration.upstream_rate;

	return rate ? rate : 1;
}

static uint64_t slot_us(const struct register_limits *limits)
{
	return (WINDOW_US + rate_of(limits) - 1) / rate_of(limits);
}

static uint64_t hold_us(const struct register_limits *limits)
{
	return (uint64_t)limits->config->registration.hold_ms * 1000;
}

/* In seconds, never 0, and not the same for those who ask at once. */
static unsigned seconds_until(uint64_t place_us, uint64_t now_us)
{
	uint64_t left = place_us > now_us ? place_us - now_us : 0;
	uint64_t seconds = (left + SECOND_US - 1) / SECOND_US + 1;

	return (unsigned)(seconds + random_u64() % (2 + seconds / 32));
}

/* How far what has been let in reaches into the future. */
static uint64_t behind_us(const struct schedule *schedule, uint64_t now_us)
{
	uint64_t until = schedule->planned_us > schedule->wire_us ? schedule->planned_us : schedule->wire_us;

	return until > now_us ? until - now_us : 0;
}

/* How long a message may be held. Those who have waited come first; and a host has the less room that is free by chance, the further ahead of
 * the others it is. */
static uint64_t patience_us(
	const struct register_limits *limits, const struct register_turn *turn, bool in_turn)
{
	uint64_t share = turn->is_waiting ? 2 : SHARE;

	return in_turn ? hold_us(limits) : hold_us(limits) / share / (turn->ahead + 1);
}

/* Nobody comes just when he was told to. */
static bool is_in_turn(
	const struct register_limits *limits, const struct register_turn *turn, uint64_t cost_us)
{
	return turn->is_waiting && turn->before * cost_us <= hold_us(limits) + SECOND_US;
}

static unsigned take_turn(struct register_limits *limits, struct schedule *schedule,
	const struct register_wait *who, uint64_t now_us)
{
	uint64_t behind = behind_us(schedule, now_us), cost = MESSAGES * slot_us(limits);
	struct register_turn turn;
	bool in_turn;
	unsigned wait;

	if (!schedule->turns)
		schedule->turns = register_turns_new();
	if (!schedule->turns)
		return seconds_until(now_us + behind, now_us);
	turn = register_turn_find(schedule->turns, who->aor, who->host, behind == 0, now_us);
	in_turn = is_in_turn(limits, &turn, cost);
	if (behind <= patience_us(limits, &turn, in_turn)) {
		register_turn_take(schedule->turns, &turn, in_turn, now_us);
		schedule->planned_us = now_us + behind + cost;
		return 0;
	}
	/* Half of the way: then more is known of who else comes, and of who does not. */
	wait = seconds_until(now_us + (behind + turn.before * cost) / 2, now_us);
	register_turn_wait(schedule->turns, &turn, wait, now_us);
	return wait;
}

unsigned register_wait_enter(struct register_limits *limits, const struct register_wait *who, uint64_t now_us)
{
	struct schedule *schedule;
	unsigned wait = 0;
	uint64_t behind;

	if (who->agent >= limits->agents)
		return 0;
	schedule = &limits->schedule[who->agent];
	pthread_mutex_lock(&limits->lock);
	behind = behind_us(schedule, now_us);
	if (!who->known)
		wait = take_turn(limits, schedule, who, now_us);
	else if (behind > hold_us(limits))
		wait = seconds_until(now_us + behind - hold_us(limits), now_us);
	else
		schedule->planned_us = now_us + behind + MESSAGES * slot_us(limits);
	pthread_mutex_unlock(&limits->lock);
	return wait;
}

void register_wait_refund(struct register_limits *limits, size_t agent, unsigned parts)
{
	struct schedule *schedule;
	uint64_t back = parts * slot_us(limits);

	if (agent >= limits->agents)
		return;
	schedule = &limits->schedule[agent];
	pthread_mutex_lock(&limits->lock);
	schedule->planned_us -= schedule->planned_us > back ? back : schedule->planned_us;
	pthread_mutex_unlock(&limits->lock);
}

/* --- on the wire -------------------------------------------------------------------------------------------------------- */

bool register_slot(struct register_limits *limits, size_t agent, uint64_t now_us, uint64_t patience_us,
	uint64_t *wait_us)
{
	struct schedule *schedule;
	uint64_t at;
	bool taken;

	*wait_us = 0;
	if (agent >= limits->agents)
		return true;
	schedule = &limits->schedule[agent];
	pthread_mutex_lock(&limits->lock);
	at = schedule->wire_us > now_us ? schedule->wire_us : now_us;
	*wait_us = at - now_us;
	taken = *wait_us <= patience_us;
	if (taken)
		schedule->wire_us = at + slot_us(limits);
	pthread_mutex_unlock(&limits->lock);
	return taken;
}

uint64_t register_send(struct register_limits *limits, size_t agent, uint64_t now_us, size_t *place)
{
	struct schedule *schedule;
	uint64_t wait_us = 0, *oldest;

	if (agent >= limits->agents)
		return 0;
	schedule = &limits->schedule[agent];
	pthread_mutex_lock(&limits->lock);
	if (!schedule->sent_us) {
		schedule->places = rate_of(limits);
		schedule->sent_us = calloc(schedule->places, sizeof(*schedule->sent_us));
	}
	if (!schedule->sent_us) {
		wait_us = WINDOW_US;
	} else {
		*place = schedule->sent % schedule->places;
		oldest = &schedule->sent_us[*place];
		if (*oldest && *oldest + WINDOW_US > now_us) {
			wait_us = *oldest + WINDOW_US - now_us;
		} else {
			*oldest = now_us;
			schedule->sent++;
		}
	}
	pthread_mutex_unlock(&limits->lock);
	return wait_us;
}

/* Of more messages than the rate two have the same place, and these are a second apart. */
void register_sent(struct register_limits *limits, size_t agent, size_t place, uint64_t now_us)
{
	struct schedule *schedule;

	if (agent >= limits->agents)
		return;
	schedule = &limits->schedule[agent];
	pthread_mutex_lock(&limits->lock);
	if (schedule->sent_us && place < schedule->places && schedule->sent_us[place] < now_us)
		schedule->sent_us[place] = now_us;
	pthread_mutex_unlock(&limits->lock);
}

uint32_t register_waiting(struct register_limits *limits)
{
	uint32_t sum = 0;

	pthread_mutex_lock(&limits->lock);
	for (size_t i = 0; i < limits->agents; i++)
		if (limits->schedule[i].turns)
			sum += register_turns_waiting(limits->schedule[i].turns);
	pthread_mutex_unlock(&limits->lock);
	return sum;
}

/* --- making ----------------------------------------------------------------------------------------------------------- */

static void settings_take(struct register_limits *limits, const struct config *config)
{
	limits->config = config;
	limits->rate[REGISTER_RATE_SOURCE].per_second = config->registration.per_source_rate;
	limits->rate[REGISTER_RATE_AOR].per_second = config->registration.per_aor_rate;
	limits->rate[REGISTER_RATE_REALM].per_second = config->registration.per_realm_rate;
}

static void schedules_free(struct schedule *schedule, size_t agents)
{
	for (size_t i = 0; schedule && i < agents; i++) {
		free(schedule[i].sent_us);
		register_turns_free(schedule[i].turns);
	}
	free(schedule);
}

struct register_limits *register_limits_new(const struct config *config)
{
	struct register_limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return NULL;
	limits->agents = config->session_agents_count;
	settings_take(limits, config);
	for (unsigned i = 0; i < REGISTER_RATE_COUNT; i++)
		for (unsigned s = 0; s < STRIPES; s++)
			pthread_mutex_init(&limits->rate[i].lock[s], NULL);
	pthread_mutex_init(&limits->lock, NULL);
	limits->schedule = calloc(config->session_agents_count + 1, sizeof(*limits->schedule));
	if (limits->schedule)
		return limits;
	register_limits_free(limits);
	return NULL;
}

void register_limits_free(struct register_limits *limits)
{
	if (!limits)
		return;
	for (unsigned i = 0; i < REGISTER_RATE_COUNT; i++)
		for (unsigned s = 0; s < STRIPES; s++)
			pthread_mutex_destroy(&limits->rate[i].lock[s]);
	pthread_mutex_destroy(&limits->lock);
	schedules_free(limits->schedule, limits->agents);
	schedules_free(limits->next_schedule, limits->next_agents);
	free(limits);
}

/* --- another configuration -------------------------------------------------------------------------------------------- */

int register_limits_prepare(struct register_limits *limits, const struct config_move *move)
{
	const struct config *next = config_move_to(move);
	unsigned rate = next->registration.upstream_rate ? next->registration.upstream_rate : 1;

	if (!limits)
		return 0;
	limits->next_agents = next->session_agents_count;
	limits->next_schedule = calloc(limits->next_agents + 1, sizeof(*limits->next_schedule));
	if (!limits->next_schedule)
		return -ENOMEM;
	/* Only where a second may have another number of messages than until now. */
	for (size_t i = 0; i < limits->next_agents && rate != rate_of(limits); i++) {
		struct schedule *schedule = &limits->next_schedule[i];

		if (config_move_origin(move, CONFIG_KIND_session_agent, i) == CONFIG_NOWHERE)
			continue;
		schedule->places = rate;
		schedule->sent_us = calloc(rate, sizeof(*schedule->sent_us));
		if (!schedule->sent_us)
			return -ENOMEM;
	}
	return 0;
}

void register_limits_abort(struct register_limits *limits)
{
	if (!limits)
		return;
	schedules_free(limits->next_schedule, limits->next_agents);
	limits->next_schedule = NULL;
	limits->next_agents = 0;
}

/* The latest of what was sent, in order, the oldest place next. */
static void sent_take(struct schedule *to, const struct schedule *from)
{
	size_t count = from->sent < from->places ? from->sent : from->places;

	count = count < to->places ? count : to->places;
	for (size_t i = 0; i < count; i++)
		to->sent_us[i] = from->sent_us[(from->sent - count + i) % from->places];
	to->sent = count;
}

void register_limits_move(struct register_limits *limits, const struct config_move *move)
{
	struct schedule *old;
	size_t agents;

	if (!limits)
		return;
	settings_take(limits, config_move_to(move));
	if (!limits->next_schedule)
		return;
	old = limits->schedule;
	agents = limits->agents;
	for (size_t i = 0; i < limits->next_agents; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_agent, i);
		struct schedule *to = &limits->next_schedule[i], swapped;

		if (origin == CONFIG_NOWHERE)
			continue;
		swapped = old[origin];
		if (to->sent_us && swapped.sent_us) {
			sent_take(to, &swapped);
			old[origin] = (struct schedule){ .sent_us = swapped.sent_us };
			swapped.sent_us = to->sent_us;
			swapped.places = to->places;
			swapped.sent = to->sent;
		} else {
			old[origin] = (struct schedule){ .sent_us = to->sent_us };
		}
		*to = swapped;
	}
	limits->schedule = limits->next_schedule;
	limits->agents = limits->next_agents;
	limits->next_schedule = old;
	limits->next_agents = agents;
}

void register_limits_settle(struct register_limits *limits)
{
	register_limits_abort(limits);
}
