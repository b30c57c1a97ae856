/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of session-agents: when to ask DNS again, what to do without it, and whom the dataplane trusts because of it. */
#include "controlplane/agent_name.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/shard.h"
#include "controlplane/timer_wheel.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/random.h"

enum {
	RETRY_DOUBLINGS = 5,
	RENEW_PERCENT = 75, /* of a TTL */
	TRUST_SPARE_S = 60, /* beyond twice the time until trust is renewed */
	TRUST_SHARD = 0, /* the one that tells the dataplane */
	HOST_MAX = 256,
};

struct agent_name { /* owner: the shard */
	struct agent_names *names;
	const struct config_session_agent *agent;
	char host[HOST_MAX]; /* queries need it for as long as they run */
	bool v4, v6; /* of the last question */
	struct resolver_query *query;
	bool is_asking;
	unsigned failures; /* in a row */
	struct timer next, dead; /* when to ask again; when the last answer holds no more */
	uint64_t next_s; /* what `next` was armed with */
	/* Changed by the owner under the lock; who is not the owner reads under it. */
	pthread_mutex_t lock;
	unsigned count;
	uint64_t since_wall_ms; /* when `count` became or ceased to be 0 */
	struct resolved_address address[RESOLVER_ADDRESSES_MAX];
};

struct agent_names {
	struct shard *shard;
	size_t count;
	struct agent_name *name[]; /* as in the configuration; NULL: has an address */
};

static void ask(struct timer *timer, void *arg);

/* --- trust ------------------------------------------------------------------------------------------------------------ */

static void on_trust_reply(void *arg, int status, const void *body, size_t length)
{
	const struct dp_done *done = body;

	(void)arg;
	(void)length;
	/* It is said again at the next renewal, or when the dataplane is there. */
	if (status == 0 && done->status && done->status != -EPERM && done->status != -ENOENT)
		log_warning("agent", "the dataplane does not take the trust of an agent's address",
			LOG_ERRNO("error", done->status));
}

static struct dp_source_key key_of(const union address *address)
{
	struct dp_source_key key = { .length = address->sa.sa_family == AF_INET ? 32 : 128 };

	dp_address_from(&key.address, address);
	key.address.port = 0;
	return key;
}

static void trust(const struct agent_name *name)
{
	struct shard *shard = name->names->shard;
	struct dp_trust list[RESOLVER_ADDRESSES_MAX] = { 0 };

	if (shard->index != TRUST_SHARD || !shard->dataplane || name->count == 0)
		return;
	for (unsigned i = 0; i < name->count; i++) {
		list[i].key = key_of(&name->address[i].address);
		list[i].expires_us = (2 * name->next_s + TRUST_SPARE_S) * UINT64_C(1000000);
	}
	(void)dp_client_request(
		shard->dataplane, DP_TRUST_SET, list, name->count * sizeof(list[0]), on_trust_reply, NULL);
}

void agent_names_trust(const struct agent_names *names)
{
	for (size_t i = 0; names && i < names->count; i++)
		if (names->name[i])
			trust(names->name[i]);
}

static bool has_host(const struct agent_name *name, const union address *address)
{
	for (unsigned i = 0; i < name->count; i++)
		if (address_equal_host(&name->address[i].address, address))
			return true;
	return false;
}

static bool is_anybodys(const struct agent_names *names, const union address *address)
{
	for (size_t i = 0; names && i < names->count; i++)
		if (names->name[i] && has_host(names->name[i], address))
			return true;
	return false;
}

/* `names`: of those that there still are. */
static void distrust(struct shard *shard, const struct agent_names *names, const struct resolved_address *old,
	unsigned count)
{
	struct dp_source_key list[RESOLVER_ADDRESSES_MAX];
	unsigned gone = 0;

	if (shard->index != TRUST_SHARD || !shard->dataplane)
		return;
	for (unsigned i = 0; i < count; i++)
		if (!is_anybodys(names, &old[i].address))
			list[gone++] = key_of(&old[i].address);
	if (gone)
		(void)dp_client_request(
			shard->dataplane, DP_TRUST_CLEAR, list, gone * sizeof(list[0]), on_trust_reply, NULL);
}

/* --- what is known ---------------------------------------------------------------------------------------------------- */

static void log_change(const struct agent_name *name)
{
	char text[ADDRESS_TEXT_MAX];

	if (name->count)
		log_notice("agent", "has an address", LOG_TEXT("agent", name->agent->name),
			LOG_TEXT("name", name->agent->address.host),
			LOG_TEXT("address", address_print(&name->address[0].address, text)),
			LOG_UINT("addresses", name->count));
	else
		log_warning("agent", "has no address any more: no calls go there",
			LOG_TEXT("agent", name->agent->name), LOG_TEXT("name", name->agent->address.host));
}

static void replace(struct agent_name *name, const struct resolved_address *list, unsigned count)
{
	struct resolved_address old[RESOLVER_ADDRESSES_MAX];
	unsigned had = name->count, same = 0;

	for (unsigned i = 0; i < had; i++) {
		old[i] = name->address[i];
		for (unsigned k = 0; k < count; k++)
			same += address_equal(&old[i].address, &list[k].address);
	}
	pthread_mutex_lock(&name->lock);
	for (unsigned i = 0; i < count; i++)
		name->address[i] = list[i];
	if ((count == 0) != (had == 0))
		name->since_wall_ms = clock_wall_ms();
	name->count = count;
	pthread_mutex_unlock(&name->lock);
	if (name->names->shard->index == TRUST_SHARD && (same != had || same != count))
		log_change(name);
	distrust(name->names->shard, name->names, old, had);
}

static void on_dead(struct timer *timer, void *arg)
{
	(void)timer;
	replace(arg, NULL, 0);
}

static void ask_in(struct agent_name *name, uint64_t seconds, uint64_t delay_ms)
{
	name->next_s = seconds;
	timer_arm(name->names->shard->timers, &name->next, delay_ms, ask, name);
	trust(name);
}

static void ask_again(struct agent_name *name)
{
	uint64_t delay = (uint64_t)name->names->shard->config->sip.dns_retry << name->failures;

	if (name->failures == 0)
		log_warning("agent", "DNS does not tell its address", LOG_TEXT("agent", name->agent->name),
			LOG_TEXT("name", name->agent->address.host));
	if (name->failures < RETRY_DOUBLINGS)
		name->failures++;
	ask_in(name, delay, delay * 1000);
}

static bool is_of_use(const struct resolver_question *question, const union address *address)
{
	return address->sa.sa_family == AF_INET ? question->v4 : question->v6;
}

/* Families that the realm can send from. */
struct resolver_question agent_names_question(
	const struct config *config, const struct config_session_agent *agent)
{
	const struct config_endpoint *address = &agent->address;
	struct resolver_question question = {
		.host = address->host, .transport = address->transport, .port = address->port
	};

	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *interface = &config->sip_interfaces[i];

		for (size_t k = 0; interface->realm == agent->realm && k < interface->listen_count; k++)
			if (interface->listen[k].transport == address->transport) {
				question.v4 |= interface->listen[k].address.sa.sa_family == AF_INET;
				question.v6 |= interface->listen[k].address.sa.sa_family == AF_INET6;
			}
	}
	return question;
}

static void question_of(const struct agent_name *name, struct resolver_question *question)
{
	*question = agent_names_question(name->names->shard->config, name->agent);
	question->host = name->host; /* outlives the configuration it is from */
}

static void on_answer(void *arg, const struct resolver_answer *answer)
{
	struct agent_name *name = arg;
	const struct config_sip *sip = &name->names->shard->config->sip;
	struct resolved_address usable[RESOLVER_ADDRESSES_MAX];
	struct resolver_question question;
	unsigned count = 0;
	uint64_t ttl;

	name->query = NULL;
	name->is_asking = false;
	question_of(name, &question);
	for (unsigned i = 0; i < answer->count; i++)
		if (is_of_use(&question, &answer->address[i].address))
			usable[count++] = answer->address[i];
	if (answer->outcome == RESOLVER_SILENT || (answer->outcome == RESOLVER_NONE && name->count == 0)) {
		ask_again(name);
		return;
	}
	replace(name, usable, count);
	if (count == 0) {
		timer_cancel(&name->dead);
		ask_again(name);
		return;
	}
	ttl = answer->ttl < sip->dns_min_ttl   ? sip->dns_min_ttl
	      : answer->ttl > sip->dns_max_ttl ? sip->dns_max_ttl
					       : answer->ttl;
	name->failures = 0;
	timer_arm(name->names->shard->timers, &name->dead, (ttl + sip->dns_stale_time) * 1000, on_dead, name);
	ask_in(name, ttl, ttl * 10 * RENEW_PERCENT);
}

static void ask(struct timer *timer, void *arg)
{
	struct agent_name *name = arg;
	struct resolver_question question;

	(void)timer;
	question_of(name, &question);
	if (name->is_asking)
		return;
	name->v4 = question.v4;
	name->v6 = question.v6;
	if (!question.v4 && !question.v6)
		return;
	name->is_asking = true;
	if (resolver_ask(name->names->shard, &question, on_answer, name, &name->query)) {
		name->is_asking = false;
		ask_again(name);
	}
}

/* --- order ------------------------------------------------------------------------------------------------------------ */

/* Of the targets of one priority, which begin at in[0] and have `left` addresses: the first address of the one that is next. A weight
 * of 0 has a small chance, as if all weights were 256 times as much and it had 1. */
static unsigned pick(
	const struct resolved_address *in, const bool *taken, unsigned left, uint32_t (*below)(uint32_t))
{
	uint32_t sum = 0, chosen;
	unsigned last = 0;

#define IS_CANDIDATE(i) (!taken[i] && ((i) == 0 || in[(i)-1].target != in[i].target))
#define WEIGHT(i)       ((uint32_t)in[i].weight * 256 + (in[i].weight == 0))
	for (unsigned i = 0; i < left; i++)
		if (IS_CANDIDATE(i))
			sum += WEIGHT(i);
	chosen = below(sum);
	for (unsigned i = 0; i < left; i++) {
		if (!IS_CANDIDATE(i))
			continue;
		last = i;
		if (chosen < WEIGHT(i))
			return i;
		chosen -= WEIGHT(i);
	}
#undef WEIGHT
#undef IS_CANDIDATE
	return last;
}

void agent_names_order(
	const struct resolved_address *in, unsigned count, uint32_t (*below)(uint32_t), union address *out)
{
	unsigned written = 0;

	for (unsigned first = 0, end; first < count; first = end) {
		bool taken[RESOLVER_ADDRESSES_MAX] = { false };

		for (end = first; end < count && in[end].priority == in[first].priority; end++)
			;
		while (written < end) {
			unsigned i = pick(in + first, taken, end - first, below);
			uint8_t target = in[first + i].target;

			for (; first + i < end && in[first + i].target == target; i++) {
				taken[i] = true;
				out[written++] = in[first + i].address;
			}
		}
	}
}

static uint32_t random_below(uint32_t below)
{
	return (uint32_t)(random_u64() % below);
}

unsigned agent_names_list(
	const struct agent_names *names, size_t agent, union address list[RESOLVER_ADDRESSES_MAX])
{
	const struct agent_name *name = names ? names->name[agent] : NULL;

	if (!name)
		return 0;
	agent_names_order(name->address, name->count, random_below, list);
	return name->count;
}

unsigned agent_names_known(const struct agent_names *names, size_t agent,
	union address list[RESOLVER_ADDRESSES_MAX], uint64_t *since_wall_ms)
{
	struct agent_name *name = names ? names->name[agent] : NULL;
	unsigned count;

	*since_wall_ms = 0;
	if (!name)
		return 0;
	pthread_mutex_lock(&name->lock);
	count = name->count;
	*since_wall_ms = name->since_wall_ms;
	for (unsigned i = 0; i < count; i++)
		list[i] = name->address[i].address;
	pthread_mutex_unlock(&name->lock);
	return count;
}

bool agent_names_has(const struct agent_names *names, size_t agent, const union address *address, bool port)
{
	const struct agent_name *name = names ? names->name[agent] : NULL;

	for (unsigned i = 0; name && i < name->count; i++)
		if (port ? address_equal(&name->address[i].address, address)
			 : address_equal_host(&name->address[i].address, address))
			return true;
	return false;
}

/* --- all of them ------------------------------------------------------------------------------------------------------ */

static struct agent_name *name_new(struct agent_names *names, const struct config_session_agent *agent)
{
	struct agent_name *name = calloc(1, sizeof(*name));
	size_t length = strlen(agent->address.host);

	if (!name || length >= HOST_MAX) {
		free(name);
		return NULL;
	}
	name->names = names;
	name->agent = agent;
	pthread_mutex_init(&name->lock, NULL);
	memcpy(name->host, agent->address.host, length);
	return name;
}

static bool is_named(const struct config_session_agent *agent)
{
	return agent->address.host && !address_is_set(&agent->address.address);
}

int agent_names_new(struct shard *shard, const struct config *config, struct agent_names **out)
{
	size_t count = config->session_agents_count, named = 0;
	struct agent_names *names;

	for (size_t i = 0; i < count; i++)
		named += is_named(&config->session_agents[i]);
	if (named == 0)
		return 0;
	names = calloc(1, sizeof(*names) + count * sizeof(struct agent_name *));
	if (!names)
		return -ENOMEM;
	names->shard = shard;
	names->count = count;
	for (size_t i = 0; i < count; i++)
		if (is_named(&config->session_agents[i])) {
			names->name[i] = name_new(names, &config->session_agents[i]);
			if (!names->name[i]) {
				agent_names_free(names);
				return -ENOMEM;
			}
		}
	*out = names;
	return 0;
}

static void begin(struct agent_name *name)
{
	timer_arm(name->names->shard->timers, &name->next, 0, ask, name);
}

void agent_names_begin(struct agent_names *names, size_t agent)
{
	if (names && names->name[agent])
		begin(names->name[agent]);
}

static bool servers_are_others(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return true;
	return false;
}

static bool is_the_same(const struct config_session_agent *a, const struct config_session_agent *b)
{
	return strcmp(a->address.host, b->address.host) == 0 && a->address.port == b->address.port &&
	       a->address.transport == b->address.transport && strcmp(a->realm->name, b->realm->name) == 0;
}

bool agent_names_move(struct agent_names *from, size_t old, struct agent_names *to, size_t agent,
	const struct config *before)
{
	struct agent_name *was = from ? from->name[old] : NULL, *is = to ? to->name[agent] : NULL;
	struct resolver_question question;

	if (!was || !is || !is_the_same(was->agent, is->agent))
		return false;
	from->name[old] = is;
	is->names = from;
	to->name[agent] = was;
	was->names = to;
	was->agent = is->agent;
	question_of(was, &question);
	if (question.v4 != was->v4 || question.v6 != was->v6 ||
		servers_are_others(&before->sip.dns_servers, &to->shard->config->sip.dns_servers))
		begin(was);
	return true;
}

static void end(struct agent_name *name)
{
	resolver_cancel(name->query);
	name->query = NULL;
	timer_cancel(&name->next);
	timer_cancel(&name->dead);
}

void agent_names_end(struct agent_names *from, const struct agent_names *to)
{
	for (size_t i = 0; from && i < from->count; i++)
		if (from->name[i]) {
			end(from->name[i]);
			distrust(from->shard, to, from->name[i]->address, from->name[i]->count);
		}
}

void agent_names_free(struct agent_names *names)
{
	for (size_t i = 0; names && i < names->count; i++)
		if (names->name[i]) {
			end(names->name[i]);
			pthread_mutex_destroy(&names->name[i]->lock);
			free(names->name[i]);
		}
	free(names);
}
