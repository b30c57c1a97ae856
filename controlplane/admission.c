/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts per rule and user, in a table of bounded size: who has no call at the moment gives way, longest idle first. */
#include "controlplane/admission.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/route.h"
#include "platforms/base/clock.h"
#include "platforms/base/hash.h"
#include "platforms/base/token_bucket.h"

enum {
	BUCKETS = 4096,
	KNOWN = 32, /* destinations that a user is remembered to have called */
	DESTINATION_MAX = 6, /* characters of a number that say where it leads: country and network */
	HOUR_MS = 3600000,
};

/* What one user does under one rule. */
struct account {
	struct account *same_bucket;
	struct account *older, *newer; /* of those without a call */
	uint64_t hash[2]; /* of rule and user */
	uint32_t sessions;
	struct token_bucket rate;
	uint32_t known[KNOWN];
	uint32_t known_count;
	uint64_t hour_ms; /* when the hour began */
	uint32_t unusual; /* destinations in it that were never called before */
};

struct admission {
	const struct config *config;
	uint64_t (*now_ms)(void);
	struct hash_key key[2];
	pthread_mutex_t lock; /* of all below */
	struct account *bucket[BUCKETS];
	struct account *oldest, *newest;
	size_t count;
	size_t tickets;
	bool closed; /* the last ticket frees it */
};

struct admission_ticket {
	struct admission *admission;
	struct account *account;
	unsigned duration; /* seconds, as the rule said when the call began */
};

/* --- rules ------------------------------------------------------------------------------------------------------------- */

const struct config_admission *admission_rule(
	const struct config *config, const struct config_local_policy *policy, struct span called)
{
	char text[ROUTE_USER_MAX + 1];

	if (called.n > ROUTE_USER_MAX)
		return NULL;
	if (called.n)
		memcpy(text, called.p, called.n);
	text[called.n] = '\0';
	for (size_t i = 0; i < config->admissions_count; i++) {
		const struct config_admission *rule = &config->admissions[i];

		if (rule->local_policy == policy &&
			(!rule->match || !*rule->match || regexec(&rule->match_regex, text, 0, NULL, 0) == 0))
			return rule;
	}
	return NULL;
}

/* --- accounts: lock is held ---------------------------------------------------------------------------------------------- */

static void idle_add(struct admission *a, struct account *account)
{
	account->newer = NULL;
	account->older = a->newest;
	*(a->newest ? &a->newest->newer : &a->oldest) = account;
	a->newest = account;
}

static void idle_remove(struct admission *a, struct account *account)
{
	*(account->older ? &account->older->newer : &a->oldest) = account->newer;
	*(account->newer ? &account->newer->older : &a->newest) = account->older;
}

static struct account **find(struct admission *a, const uint64_t hash[2])
{
	struct account **at = &a->bucket[hash[0] % BUCKETS];

	while (*at && ((*at)->hash[0] != hash[0] || (*at)->hash[1] != hash[1]))
		at = &(*at)->same_bucket;
	return at;
}

/* Only those without a call go: the others' number is bounded by that of calls. */
static void make_room(struct admission *a)
{
	struct account *account = a->oldest, **at;

	if (a->count < a->config->guard.max_tracked || !account)
		return;
	at = find(a, account->hash);
	*at = account->same_bucket;
	idle_remove(a, account);
	a->count--;
	free(account);
}

static struct account *account_get(struct admission *a, const struct config_admission *rule, struct span user)
{
	struct span name = span_from(rule->name);
	struct account **at, *account;
	uint64_t hash[2];

	/* By name: what is counted stays when the configuration changes around it. */
	for (unsigned i = 0; i < 2; i++)
		hash[i] = hash_bytes(&a->key[i], user.p, user.n) +
			  hash_bytes(&a->key[i], name.p, name.n) * UINT64_C(0x9e3779b97f4a7c15);
	at = find(a, hash);
	if (*at) {
		if ((*at)->sessions == 0) {
			idle_remove(a, *at);
			idle_add(a, *at);
		}
		return *at;
	}
	make_room(a);
	account = calloc(1, sizeof(*account));
	if (!account)
		return NULL;
	memcpy(account->hash, hash, sizeof(hash));
	account->hour_ms = a->now_ms();
	token_bucket_init(&account->rate, rule->max_rate, rule->max_rate, a->now_ms() * 1000);
	at = find(a, hash);
	*at = account;
	idle_add(a, account);
	a->count++;
	return account;
}

/* --- limits -------------------------------------------------------------------------------------------------------------- */

/* Country and network of the number are among those that the user has called before; else they are now, so many times an hour. */
static bool is_usual(struct admission *a, struct account *account, unsigned limit, struct span called)
{
	struct span where = { called.p, called.n < DESTINATION_MAX ? called.n : DESTINATION_MAX };
	uint32_t hash = (uint32_t)hash_bytes(&a->key[0], where.p, where.n) | 1;
	uint64_t now = a->now_ms();

	for (unsigned i = 0; i < KNOWN; i++)
		if (account->known[i] == hash)
			return true;
	if (now - account->hour_ms >= HOUR_MS) {
		account->hour_ms = now;
		account->unusual = 0;
	}
	if (account->unusual >= limit)
		return false;
	account->unusual++;
	account->known[account->known_count++ % KNOWN] = hash;
	return true;
}

static unsigned judge(
	struct admission *a, struct account *account, const struct config_admission *rule, struct span called)
{
	if (rule->max_sessions && account->sessions >= rule->max_sessions)
		return 503;
	if (rule->max_unusual && !is_usual(a, account, rule->max_unusual, called))
		return 403;
	if (account->rate.rate != rule->max_rate)
		token_bucket_change(&account->rate, rule->max_rate, rule->max_rate, a->now_ms() * 1000);
	return rule->max_rate && !token_bucket_take(&account->rate, 1, a->now_ms() * 1000) ? 503 : 0;
}

static void count_session(struct admission *a, struct account *account)
{
	if (account->sessions++ == 0)
		idle_remove(a, account);
	a->tickets++;
}

unsigned admission_begin(struct admission *a, const struct config_local_policy *policy, struct span user,
	struct span called, struct admission_ticket **ticket)
{
	const struct config_admission *rule =
		a && a->config->admissions_count ? admission_rule(a->config, policy, called) : NULL;
	struct admission_ticket *fresh;
	struct account *account;
	unsigned status = 503;

	*ticket = NULL;
	if (!rule)
		return 0;
	if (!rule->permit)
		return 403;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return 503;
	pthread_mutex_lock(&a->lock);
	account = account_get(a, rule, user);
	if (account)
		status = judge(a, account, rule, called);
	if (status == 0)
		count_session(a, account);
	pthread_mutex_unlock(&a->lock);
	if (status) {
		free(fresh);
		return status;
	}
	*fresh = (struct admission_ticket){ a, account, rule->max_duration };
	*ticket = fresh;
	return 0;
}

static void release(struct admission *a)
{
	struct account *next;

	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct account *account = a->bucket[i]; account; account = next) {
			next = account->same_bucket;
			free(account);
		}
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void admission_end(struct admission_ticket *ticket)
{
	struct admission *a;
	bool last;

	if (!ticket)
		return;
	a = ticket->admission;
	pthread_mutex_lock(&a->lock);
	if (--ticket->account->sessions == 0)
		idle_add(a, ticket->account);
	last = --a->tickets == 0 && a->closed;
	pthread_mutex_unlock(&a->lock);
	free(ticket);
	if (last)
		release(a);
}

unsigned admission_duration(const struct admission_ticket *ticket)
{
	return ticket ? ticket->duration : 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

struct admission *admission_new(const struct config *config)
{
	struct admission *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->config = config;
	a->now_ms = clock_now_ms;
	hash_key_random(&a->key[0]);
	hash_key_random(&a->key[1]);
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void admission_move(struct admission *admission, const struct config_move *move)
{
	if (admission)
		admission->config = config_move_to(move);
}

void admission_set_clock(struct admission *admission, uint64_t (*now_ms)(void))
{
	admission->now_ms = now_ms;
}

void admission_free(struct admission *admission)
{
	bool last;

	if (!admission)
		return;
	pthread_mutex_lock(&admission->lock);
	admission->closed = true;
	last = admission->tickets == 0;
	pthread_mutex_unlock(&admission->lock);
	if (last)
		release(admission);
}
