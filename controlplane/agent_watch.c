/* SPDX-License-Identifier: BSD-3-Clause */
/* OPTIONS to session-agents, and what their answers or their silence say. */
#include "controlplane/agent_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/alarm.h"
#include "controlplane/hide.h"
#include "controlplane/leg.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

enum { FIRST_MS = 1000 };

struct watched {
	struct agent_watch *watch;
	const struct config_session_agent *agent;
	struct timer timer;
	struct transaction *asking;
	uint64_t due_ms; /* when the timer was armed for */
	union address address[RESOLVER_ADDRESSES_MAX]; /* asked in turn, until one answers */
	unsigned count, at;
	uint64_t silent
		[RESOLVER_ADDRESSES_MAX]; /* hashes of those that did not, 0 = none; owner: the shard; others read relaxed */
	bool is_mine; /* this shard asks */
	bool down; /* owner: the shard; others read relaxed */
	uint64_t back_wall_ms; /* likewise */
	uint64_t since_wall_ms; /* of `down`; likewise */
};

struct agent_watch {
	struct shard *shard;
	size_t count;
	struct watched *agent[]; /* as in the configuration; those of other shards are not used */
};

static void ask(struct timer *timer, void *arg);

static void arm(struct watched *watched, uint64_t delay_ms)
{
	watched->due_ms = clock_now_ms() + delay_ms;
	timer_arm(watched->watch->shard->timers, &watched->timer, delay_ms, ask, watched);
}

static uint64_t hash_of(const struct agent_watch *watch, const union address *address)
{
	/* Shards order and renew their lists by themselves, but have one key in common. */
	return hash_bytes(&watch->shard->shard_key, address, address_length(address)) | 1;
}

static void mark(struct watched *watched, const union address *address, bool silent)
{
	uint64_t hash = hash_of(watched->watch, address), *slot = NULL;

	for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++) {
		if (watched->silent[i] == hash) {
			slot = &watched->silent[i];
			break;
		}
		if (!slot && watched->silent[i] == 0)
			slot = &watched->silent[i];
	}
	if (slot && (silent || *slot))
		__atomic_store_n(slot, silent ? hash : 0, __ATOMIC_RELAXED);
}

/* Marks of addresses that it has no more would fill the list. */
static void forget_gone(struct watched *watched)
{
	for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++) {
		unsigned k = 0;

		while (k < watched->count &&
			hash_of(watched->watch, &watched->address[k]) != watched->silent[i])
			k++;
		if (k == watched->count && watched->silent[i])
			__atomic_store_n(&watched->silent[i], 0, __ATOMIC_RELAXED);
	}
}

static int send_options(struct watched *watched);

static void note(struct watched *watched, bool down)
{
	if (watched->count > 1)
		mark(watched, &watched->address[watched->at], down);
	while (down && ++watched->at < watched->count)
		if (send_options(watched) == 0)
			return;
	if (down)
		alarm_raise(watched->watch->shard->shared.alarms, CP_ALARM_AGENT_DOWN, CP_SEVERITY_MAJOR,
			watched->agent->name, "does not answer OPTIONS: no calls go there");
	else
		alarm_clear(watched->watch->shard->shared.alarms, CP_ALARM_AGENT_DOWN, watched->agent->name);
	if (watched->down != down)
		LOG_AT(down ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "agent",
			down ? "does not answer: no calls go there" : "answers again",
			LOG_TEXT("agent", watched->agent->name));
	if (watched->down && !down)
		__atomic_store_n(&watched->back_wall_ms, clock_wall_ms(), __ATOMIC_RELAXED);
	if (watched->down != down)
		__atomic_store_n(&watched->since_wall_ms, clock_wall_ms(), __ATOMIC_RELAXED);
	__atomic_store_n(&watched->down, down, __ATOMIC_RELAXED);
	arm(watched, (uint64_t)watched->agent->options_interval * 1000);
}

/* Whatever it says, it is there; but 503 and 408 mean that whoever stands behind it is not (RFC 3261 sections 21.4.9, 21.5.4). */
static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct watched *watched = arg;
	unsigned status = message_scan(response)->status;

	if (status < 200)
		return;
	transaction_detach(transaction);
	watched->asking = NULL;
	note(watched, status == 408 || status == 503);
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct watched *watched = arg;

	(void)transaction;
	watched->asking = NULL;
	if (how != TRANSACTION_SHUTDOWN)
		note(watched, true);
}

static const struct transaction_events events = { .response = on_response, .ended = on_ended };

/* Max-Forwards 0: the agent itself is meant, and nobody behind it (RFC 3261 section 11.1). */
static int send_options(struct watched *watched)
{
	struct shard *shard = watched->watch->shard;
	struct sip_flow flow = { .remote = watched->address[watched->at], .agent = watched->agent };
	struct name_addr nobody = { 0 };
	struct leg leg = { .agent = watched->agent };
	char text[2048];
	struct writer out;
	int error;

	flow.listener =
		transport_find(shard, watched->agent->realm, watched->agent->address.transport, &flow.remote);
	if (!flow.listener)
		return -EHOSTUNREACH;
	error = leg_init_client(&leg, shard, &flow, (struct span){ NULL, 0 }, &nobody, &nobody);
	if (error == 0) {
		writer_init(&out, text, sizeof(text));
		leg_request_begin(&leg, SIP_METHOD_OPTIONS, 0, &out);
		leg_contact(&leg, &out);
		hide_product(shard->config, true, &out);
		writer_text(&out, "Accept: application/sdp\r\n");
		message_end(&out, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
		error = out.overflow ? -EMSGSIZE
				     : transaction_request(shard, &flow, writer_result(&out), &events,
					       watched, &watched->asking);
	}
	leg_fini(&leg);
	return error;
}

static void ask(struct timer *timer, void *arg)
{
	struct watched *watched = arg;

	(void)timer;
	if (!watched->watch->shard->transactions || watched->asking)
		return;
	watched->count = agent_all_addresses(watched->watch->shard, watched->agent, watched->address);
	watched->at = 0;
	forget_gone(watched);
	/* A name that DNS has not told, or a listener that is not there yet, says nothing of the agent. */
	if (watched->count == 0 || send_options(watched))
		arm(watched, (uint64_t)watched->agent->options_interval * 1000);
}

int agent_watch_new(struct shard *shard, const struct config *config, struct agent_watch **out)
{
	size_t count = config->session_agents_count;
	struct agent_watch *watch = calloc(1, sizeof(*watch) + count * sizeof(watch->agent[0]));

	if (!watch)
		return -ENOMEM;
	watch->shard = shard;
	for (; watch->count < count; watch->count++) {
		struct watched *watched = calloc(1, sizeof(*watched));

		if (!watched) {
			agent_watch_free(watch);
			return -ENOMEM;
		}
		watched->watch = watch;
		watched->agent = &config->session_agents[watch->count];
		watch->agent[watch->count] = watched;
	}
	*out = watch;
	return 0;
}

void agent_watch_begin(struct agent_watch *watch, size_t agent)
{
	struct watched *watched = watch->agent[agent];

	/* The first time within a second, and not all at once. */
	watched->is_mine = true;
	if (watched->agent->options_interval)
		arm(watched, random_u64() % FIRST_MS);
}

static bool is_where_it_was(const struct config_session_agent *a, const struct config_session_agent *b)
{
	return a->address.transport == b->address.transport && a->address.port == b->address.port &&
	       address_equal(&a->address.address, &b->address.address) &&
	       strcmp(a->address.host ? a->address.host : "", b->address.host ? b->address.host : "") == 0 &&
	       strcmp(a->realm->name, b->realm->name) == 0;
}

/* Asked more often than until now: not only after what was left of the time between. */
static void hurry(struct watched *watched)
{
	uint64_t latest = clock_now_ms() + (uint64_t)watched->agent->options_interval * 1000;

	if (!watched->asking && (watched->due_ms == 0 || watched->due_ms > latest))
		arm(watched, random_u64() % FIRST_MS);
}

bool agent_watch_move(struct agent_watch *from, size_t old, struct agent_watch *to, size_t agent)
{
	struct watched *was = from->agent[old], *is = to->agent[agent];

	if (!was->is_mine || !is->agent->options_interval || !is_where_it_was(was->agent, is->agent))
		return false;
	from->agent[old] = is;
	is->watch = from;
	to->agent[agent] = was;
	was->watch = to;
	was->agent = is->agent;
	hurry(was);
	return true;
}

static void end(struct watched *watched)
{
	timer_cancel(&watched->timer);
	if (watched->asking)
		transaction_detach(watched->asking);
	watched->asking = NULL;
}

void agent_watch_end(struct agent_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct watched *watched = watch->agent[i];

		end(watched);
		if (watched->is_mine && watched->down)
			alarm_clear(watch->shard->shared.alarms, CP_ALARM_AGENT_DOWN, watched->agent->name);
	}
}

void agent_watch_free(struct agent_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++) {
		end(watch->agent[i]);
		free(watch->agent[i]);
	}
	free(watch);
}

bool agent_watch_is_down(const struct agent_watch *watch, size_t agent)
{
	return agent < watch->count && __atomic_load_n(&watch->agent[agent]->down, __ATOMIC_RELAXED);
}

uint64_t agent_watch_back_wall_ms(const struct agent_watch *watch, size_t agent)
{
	return agent < watch->count ? __atomic_load_n(&watch->agent[agent]->back_wall_ms, __ATOMIC_RELAXED)
				    : 0;
}

uint64_t agent_watch_since_wall_ms(const struct agent_watch *watch, size_t agent)
{
	return watch && agent < watch->count
		       ? __atomic_load_n(&watch->agent[agent]->since_wall_ms, __ATOMIC_RELAXED)
		       : 0;
}

bool agent_watch_address_is_down(const struct agent_watch *watch, size_t agent, const union address *address)
{
	uint64_t hash;

	if (agent >= watch->count)
		return false;
	hash = hash_of(watch, address);
	for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++)
		if (__atomic_load_n(&watch->agent[agent]->silent[i], __ATOMIC_RELAXED) == hash)
			return true;
	return false;
}
