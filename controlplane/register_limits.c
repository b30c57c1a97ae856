/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of REGISTER: buckets in sets of four, and a schedule of places for each registrar, fair among hosts. */
#include "controlplane/register_limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/random.h"

enum {
	WAYS = 4, /* of a set: the longest unused gives way */
	BUCKET_SETS = 8192,
	WAITING_SETS = 32768,
	HOST_SETS = 4096,
	STRIPES = 64,
	BURST = 4, /* at once, above the rate of a second: a challenge and its answer, twice */
	LEVELS = 2048, /* waiting phones of one host that are told apart */
	MESSAGES = 2, /* of one registration: it is challenged, and answers */
	PURGE = 4, /* old entries looked for with each new one */
	SECOND_US = 1000000,
	GRACE_US = 30 * SECOND_US, /* who comes back no sooner has lost its place */
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

struct waiting {
	uint64_t aor; /* 0: nobody */
	uint64_t host;
	uint64_t place_us;
	uint32_t agent;
};

struct waiting_host {
	uint64_t host;
	uint32_t count; /* 0: nobody */
};

struct schedule {
	uint64_t planned_us; /* when what has been let in will have been sent */
	uint64_t wire_us; /* when the next message may go */
	uint32_t level[LEVELS + 1]; /* [i]: hosts of which at least i wait */
	uint32_t waiting;
};

struct register_limits {
	const struct config *config;
	struct rate rate[REGISTER_RATE_COUNT];
	pthread_mutex_t lock; /* all below */
	struct schedule *schedule; /* by agent */
	struct waiting (*waiting)[WAYS]; /* key: agent and address-of-record */
	struct waiting_host (*host)[WAYS];
	size_t purge_at;
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
	uint64_t full = (rate->per_second + BURST) * SECOND_US;
	struct bucket *bucket;
	bool is_there, taken;

	if (rate->per_second == 0)
		return true;
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

/* --- who waits -------------------------------------------------------------------------------------------------------- */

static struct waiting_host *host_find(struct register_limits *limits, uint64_t host, bool make)
{
	struct waiting_host *set = limits->host[host % HOST_SETS], *empty = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].count && set[i].host == host)
			return &set[i];
		if (!set[i].count)
			empty = &set[i];
	}
	if (make && empty)
		empty->host = host;
	return make ? empty : NULL;
}

static struct waiting *waiting_find(struct register_limits *limits, uint64_t aor)
{
	struct waiting *set = limits->waiting[aor % WAITING_SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].aor == aor)
			return &set[i];
	return NULL;
}

static void waiting_drop(struct register_limits *limits, struct schedule *schedule, struct waiting *waiting)
{
	struct waiting_host *host = host_find(limits, waiting->host, false);

	if (host) {
		schedule->level[host->count < LEVELS ? host->count : LEVELS]--;
		host->count--;
	}
	schedule->waiting--;
	waiting->aor = 0;
}

/* Names one who waits at one registrar. */
static uint64_t waiting_key(uint64_t aor, size_t agent)
{
	uint64_t key = aor ^ ((uint64_t)agent + 1) * 0x9e3779b97f4a7c15;

	return key ? key : 1;
}

/* The hosts are counted by registrar, too. */
static uint64_t host_key(const struct register_wait *who)
{
	return waiting_key(who->host, who->agent);
}

static void purge(struct register_limits *limits, uint64_t now_us)
{
	for (unsigned n = 0; n < PURGE; n++) {
		struct waiting *set = limits->waiting[limits->purge_at];

		limits->purge_at = (limits->purge_at + 1) % WAITING_SETS;
		for (unsigned i = 0; i < WAYS; i++)
			if (set[i].aor && set[i].place_us + GRACE_US < now_us)
				waiting_drop(limits, &limits->schedule[set[i].agent], &set[i]);
	}
}

/* --- places ----------------------------------------------------------------------------------------------------------- */

static uint64_t slot_us(const struct register_limits *limits)
{
	unsigned rate = limits->config->registration.upstream_rate;

	return SECOND_US / (rate ? rate : 1);
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

/* The turn of one more phone of a host of which `waiting` wait: hosts take turns, so its place comes when all the others have had as
 * many turns, or have nobody left. */
static uint64_t turns_before(const struct schedule *schedule, uint32_t waiting)
{
	uint64_t turns = 0;

	if (waiting >= LEVELS)
		return schedule->waiting;
	for (uint32_t i = 1; i <= waiting + 1; i++)
		turns += schedule->level[i];
	return turns;
}

static unsigned give_place(struct register_limits *limits, struct schedule *schedule,
	const struct register_wait *who, uint64_t now_us)
{
	uint64_t key = waiting_key(who->aor, who->agent), host = host_key(who), base, place_us;
	struct waiting *set = limits->waiting[key % WAITING_SETS], *empty = NULL;
	struct waiting_host *of = host_find(limits, host, true);

	purge(limits, now_us);
	for (unsigned i = 0; i < WAYS && !empty; i++)
		if (!set[i].aor)
			empty = &set[i];
	base = schedule->planned_us > now_us ? schedule->planned_us : now_us;
	if (!empty || !of)
		return seconds_until(base + schedule->waiting * MESSAGES * slot_us(limits), now_us);
	place_us = base + turns_before(schedule, of->count) * MESSAGES * slot_us(limits);
	*empty = (struct waiting){
		.aor = key, .host = host, .place_us = place_us, .agent = (uint32_t)who->agent
	};
	of->count++;
	schedule->level[of->count < LEVELS ? of->count : LEVELS]++;
	schedule->waiting++;
	return seconds_until(place_us, now_us);
}

unsigned register_wait_enter(struct register_limits *limits, const struct register_wait *who, uint64_t now_us)
{
	struct schedule *schedule = &limits->schedule[who->agent];
	struct waiting *waiting;
	const struct waiting_host *host;
	uint64_t behind, patience;
	unsigned result = 0;
	bool due;

	pthread_mutex_lock(&limits->lock);
	waiting = waiting_find(limits, waiting_key(who->aor, who->agent));
	host = host_find(limits, host_key(who), false);
	due = who->known || (waiting && waiting->place_us <= now_us);
	behind = schedule->planned_us > now_us ? schedule->planned_us - now_us : 0;
	/* Room that nobody uses is for everybody, but not for more of those hosts that have phones waiting. */
	patience = due ? hold_us(limits) : hold_us(limits) / 8;
	if (behind <= patience && (due || waiting || !host)) {
		schedule->planned_us = now_us + behind + MESSAGES * slot_us(limits);
		if (waiting)
			waiting_drop(limits, schedule, waiting);
	} else if (waiting) {
		if (due)
			waiting->place_us = now_us;
		result = seconds_until(waiting->place_us, now_us);
	} else {
		result = give_place(limits, schedule, who, now_us);
	}
	pthread_mutex_unlock(&limits->lock);
	return result;
}

void register_wait_refund(struct register_limits *limits, size_t agent, unsigned parts)
{
	struct schedule *schedule = &limits->schedule[agent];
	uint64_t back = parts * slot_us(limits);

	pthread_mutex_lock(&limits->lock);
	schedule->planned_us -= schedule->planned_us > back ? back : schedule->planned_us;
	pthread_mutex_unlock(&limits->lock);
}

uint64_t register_slot(struct register_limits *limits, size_t agent, uint64_t now_us)
{
	struct schedule *schedule = &limits->schedule[agent];
	uint64_t at;

	pthread_mutex_lock(&limits->lock);
	at = schedule->wire_us > now_us ? schedule->wire_us : now_us;
	schedule->wire_us = at + slot_us(limits);
	pthread_mutex_unlock(&limits->lock);
	return at - now_us;
}

uint32_t register_waiting(struct register_limits *limits)
{
	uint32_t sum = 0;

	pthread_mutex_lock(&limits->lock);
	for (size_t i = 0; i < limits->config->session_agents_count; i++)
		sum += limits->schedule[i].waiting;
	pthread_mutex_unlock(&limits->lock);
	return sum;
}

/* --- making ----------------------------------------------------------------------------------------------------------- */

struct register_limits *register_limits_new(const struct config *config)
{
	struct register_limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return NULL;
	limits->config = config;
	limits->rate[REGISTER_RATE_SOURCE].per_second = config->registration.per_source_rate;
	limits->rate[REGISTER_RATE_AOR].per_second = config->registration.per_aor_rate;
	limits->rate[REGISTER_RATE_REALM].per_second = config->registration.per_realm_rate;
	for (unsigned i = 0; i < REGISTER_RATE_COUNT; i++)
		for (unsigned s = 0; s < STRIPES; s++)
			pthread_mutex_init(&limits->rate[i].lock[s], NULL);
	pthread_mutex_init(&limits->lock, NULL);
	limits->schedule = calloc(config->session_agents_count + 1, sizeof(*limits->schedule));
	limits->waiting = calloc(WAITING_SETS, sizeof(*limits->waiting));
	limits->host = calloc(HOST_SETS, sizeof(*limits->host));
	if (limits->schedule && limits->waiting && limits->host)
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
	free(limits->schedule);
	free(limits->waiting);
	free(limits->host);
	free(limits);
}
