/* SPDX-License-Identifier: BSD-3-Clause */
/* Two bounds for each public host, and who is trying to narrow them. */
#include "controlplane/nat_memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/hash.h"

enum {
	BUCKETS = 16384,
	KEY_OCTETS = 8,
	DOUBTS = 2, /* failures that outweigh a success */
	STEP = 4, /* upwards by a quarter while nothing has failed */
	NARROW = 8, /* bounds closer than an eighth are close enough */
};

struct host {
	struct host *next;
	uint8_t key[KEY_OCTETS];
	sa_family_t family;
	uint8_t doubts;
	uint32_t phones;
	uint64_t works_ms, fails_ms; /* 0: not known */
	uint64_t failed_at_ms;
	uint64_t trying, trying_until_ms; /* who; 0: nobody */
};

struct nat_memory {
	pthread_mutex_t lock; /* of all below */
	unsigned references;
	struct hash_key secret;
	struct host *bucket[BUCKETS];
};

struct nat_memory *nat_memory_new(void)
{
	struct nat_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	pthread_mutex_init(&memory->lock, NULL);
	memory->references = 1;
	hash_key_random(&memory->secret);
	return memory;
}

struct nat_memory *nat_memory_get(struct nat_memory *memory)
{
	pthread_mutex_lock(&memory->lock);
	memory->references++;
	pthread_mutex_unlock(&memory->lock);
	return memory;
}

void nat_memory_put(struct nat_memory *memory)
{
	unsigned left;

	if (!memory)
		return;
	pthread_mutex_lock(&memory->lock);
	left = --memory->references;
	pthread_mutex_unlock(&memory->lock);
	if (left)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (memory->bucket[i]) {
			struct host *host = memory->bucket[i];

			memory->bucket[i] = host->next;
			free(host);
		}
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

/* --- hosts ------------------------------------------------------------------------------------------------------------ */

static void key_of(const union address *address, struct host *out)
{
	memset(out, 0, sizeof(*out));
	out->family = address->sa.sa_family;
	if (out->family == AF_INET6)
		memcpy(out->key, &address->in6.sin6_addr, KEY_OCTETS);
	else
		memcpy(out->key, &address->in4.sin_addr, sizeof(address->in4.sin_addr));
}

/* Where it is linked, or would be. The lock is held. */
static struct host **find(struct nat_memory *memory, const union address *address)
{
	struct host wanted;
	struct host **at;

	key_of(address, &wanted);
	at = &memory->bucket[hash_bytes(&memory->secret, wanted.key, KEY_OCTETS) % BUCKETS];
	while (*at && ((*at)->family != wanted.family || memcmp((*at)->key, wanted.key, KEY_OCTETS) != 0))
		at = &(*at)->next;
	return at;
}

int nat_memory_enter(struct nat_memory *memory, const union address *address)
{
	struct host **at;
	int result = 0;

	pthread_mutex_lock(&memory->lock);
	at = find(memory, address);
	if (!*at) {
		*at = malloc(sizeof(**at));
		if (*at)
			key_of(address, *at);
	}
	if (*at)
		(*at)->phones++;
	else
		result = -ENOMEM;
	pthread_mutex_unlock(&memory->lock);
	return result;
}

void nat_memory_leave(struct nat_memory *memory, const union address *address)
{
	struct host **at, *host;

	pthread_mutex_lock(&memory->lock);
	at = find(memory, address);
	host = *at;
	if (host && --host->phones == 0) {
		*at = host->next;
		free(host);
	}
	pthread_mutex_unlock(&memory->lock);
}

/* --- bounds ----------------------------------------------------------------------------------------------------------- */

static uint64_t at_least(uint64_t ms)
{
	return ms < NAT_SILENCE_LEAST_MS ? NAT_SILENCE_LEAST_MS : ms;
}

/* Half of what killed a binding leaves room for a keep-alive that is lost. */
static uint64_t safe_of(const struct host *host, uint64_t first_ms)
{
	if (host->works_ms)
		return at_least(host->works_ms);
	if (host->fails_ms && host->fails_ms / 2 < first_ms)
		return at_least(host->fails_ms / 2);
	return at_least(first_ms);
}

static uint64_t probe_of(const struct host *host)
{
	if (!host->works_ms)
		return 0;
	if (!host->fails_ms)
		return host->works_ms + host->works_ms / STEP;
	if (host->fails_ms - host->works_ms <= host->fails_ms / NARROW)
		return 0;
	return host->works_ms + (host->fails_ms - host->works_ms) / 2;
}

static void forget(struct host *host, uint64_t now_ms)
{
	if (host->fails_ms && now_ms > host->failed_at_ms + NAT_FORGET_MS)
		host->fails_ms = 0;
	if (host->trying && now_ms > host->trying_until_ms)
		host->trying = 0;
}

struct nat_plan nat_memory_plan(
	struct nat_memory *memory, const union address *address, uint64_t first_ms, uint64_t now_ms)
{
	struct nat_plan plan = { .safe_ms = at_least(first_ms) };
	struct host *host;

	pthread_mutex_lock(&memory->lock);
	host = *find(memory, address);
	if (host) {
		forget(host, now_ms);
		plan = (struct nat_plan){ safe_of(host, first_ms), host->trying ? 0 : probe_of(host),
			host->works_ms };
	}
	pthread_mutex_unlock(&memory->lock);
	return plan;
}

bool nat_memory_claim(struct nat_memory *memory, const union address *address, uint64_t who, uint64_t now_ms,
	uint64_t until_ms)
{
	struct host *host;
	bool mine = false;

	pthread_mutex_lock(&memory->lock);
	host = *find(memory, address);
	if (host) {
		forget(host, now_ms);
		mine = !host->trying || host->trying == who;
		if (mine) {
			host->trying = who;
			host->trying_until_ms = until_ms;
		}
	}
	pthread_mutex_unlock(&memory->lock);
	return mine;
}

void nat_memory_release(struct nat_memory *memory, const union address *address, uint64_t who)
{
	struct host *host;

	pthread_mutex_lock(&memory->lock);
	host = *find(memory, address);
	if (host && host->trying == who)
		host->trying = 0;
	pthread_mutex_unlock(&memory->lock);
}

void nat_memory_worked(struct nat_memory *memory, const union address *address, uint64_t silence_ms)
{
	struct host *host;

	pthread_mutex_lock(&memory->lock);
	host = *find(memory, address);
	/* Behind a host with several NATs (RFC 6598) the one that forgets first counts. */
	if (host && (!host->fails_ms || silence_ms < host->fails_ms)) {
		/* Keep-alives are sent a little early: a success well below the bound says nothing of it. */
		if (silence_ms >= host->works_ms - host->works_ms / NARROW)
			host->doubts = 0;
		if (silence_ms > host->works_ms)
			host->works_ms = silence_ms;
	}
	pthread_mutex_unlock(&memory->lock);
}

void nat_memory_killed(
	struct nat_memory *memory, const union address *address, uint64_t silence_ms, uint64_t now_ms)
{
	struct host *host;

	pthread_mutex_lock(&memory->lock);
	host = *find(memory, address);
	if (host && silence_ms <= host->works_ms && ++host->doubts < DOUBTS)
		host = NULL;
	if (host && silence_ms >= NAT_SILENCE_LEAST_MS) {
		host->doubts = 0;
		host->failed_at_ms = now_ms;
		if (!host->fails_ms || silence_ms < host->fails_ms)
			host->fails_ms = silence_ms;
		if (host->works_ms >= host->fails_ms)
			host->works_ms = 0;
	}
	pthread_mutex_unlock(&memory->lock);
}
