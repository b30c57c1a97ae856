/* SPDX-License-Identifier: BSD-3-Clause */
/* A counter per source in a hash table under one lock. */
#include "controlplane/census.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/clock.h"
#include "platforms/base/hash.h"
#include "platforms/base/token_bucket.h"

enum { BUCKETS = 4096, KEY_OCTETS = 8, IPV4_OCTETS = 4 };

struct source {
	struct source *next;
	uint8_t key[KEY_OCTETS];
	sa_family_t family;
	uint32_t count;
};

struct census {
	pthread_mutex_t lock; /* of all below */
	unsigned references;
	uint32_t total, max_total, max_per_source;
	struct token_bucket accepts;
	struct hash_key secret;
	struct source *bucket[BUCKETS];
};

struct census *census_new(const struct config_sip *limits)
{
	struct census *census = calloc(1, sizeof(*census));

	if (!census)
		return NULL;
	pthread_mutex_init(&census->lock, NULL);
	census->references = 1;
	census->max_total = limits->stream_max_connections;
	census->max_per_source = limits->stream_max_per_source;
	token_bucket_init(
		&census->accepts, limits->stream_accept_rate, limits->stream_accept_rate, clock_now_us());
	hash_key_random(&census->secret);
	return census;
}

void census_move(struct census *census, const struct config_sip *limits)
{
	pthread_mutex_lock(&census->lock);
	census->max_total = limits->stream_max_connections;
	census->max_per_source = limits->stream_max_per_source;
	token_bucket_change(
		&census->accepts, limits->stream_accept_rate, limits->stream_accept_rate, clock_now_us());
	pthread_mutex_unlock(&census->lock);
}

struct census *census_get(struct census *census)
{
	pthread_mutex_lock(&census->lock);
	census->references++;
	pthread_mutex_unlock(&census->lock);
	return census;
}

void census_put(struct census *census)
{
	unsigned left;

	pthread_mutex_lock(&census->lock);
	left = --census->references;
	pthread_mutex_unlock(&census->lock);
	if (left)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (census->bucket[i]) {
			struct source *source = census->bucket[i];

			census->bucket[i] = source->next;
			free(source);
		}
	pthread_mutex_destroy(&census->lock);
	free(census);
}

bool census_may_accept(struct census *census, uint64_t now_us)
{
	bool may;

	pthread_mutex_lock(&census->lock);
	may = token_bucket_take(&census->accepts, 1, now_us);
	pthread_mutex_unlock(&census->lock);
	return may;
}

static void key_make(const union address *remote, uint8_t key[KEY_OCTETS])
{
	memset(key, 0, KEY_OCTETS);
	if (remote->sa.sa_family == AF_INET6)
		memcpy(key, &remote->in6.sin6_addr, KEY_OCTETS);
	else
		memcpy(key, &remote->in4.sin_addr, IPV4_OCTETS);
}

/* The place of the source's entry in its chain; *NULL if it has none. */
static struct source **find(struct census *census, const uint8_t key[KEY_OCTETS], sa_family_t family)
{
	struct source **link = &census->bucket[hash_bytes(&census->secret, key, KEY_OCTETS) % BUCKETS];

	while (*link && ((*link)->family != family || memcmp((*link)->key, key, KEY_OCTETS) != 0))
		link = &(*link)->next;
	return link;
}

static int enter(struct census *census, const union address *remote, bool known)
{
	uint8_t key[KEY_OCTETS];
	struct source **link;

	key_make(remote, key);
	link = find(census, key, remote->sa.sa_family);
	if (!known && *link && (*link)->count >= census->max_per_source)
		return -EUSERS;
	if (!known && census->total >= census->max_total)
		return -EMFILE;
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return -ENOMEM;
		memcpy((*link)->key, key, KEY_OCTETS);
		(*link)->family = remote->sa.sa_family;
	}
	(*link)->count++;
	census->total++;
	return 0;
}

int census_enter(struct census *census, const union address *remote, bool known)
{
	int result;

	pthread_mutex_lock(&census->lock);
	result = enter(census, remote, known);
	pthread_mutex_unlock(&census->lock);
	return result;
}

void census_leave(struct census *census, const union address *remote)
{
	uint8_t key[KEY_OCTETS];
	struct source **link, *source;

	key_make(remote, key);
	pthread_mutex_lock(&census->lock);
	link = find(census, key, remote->sa.sa_family);
	source = *link;
	census->total--;
	if (source && --source->count == 0) {
		*link = source->next;
		free(source);
	}
	pthread_mutex_unlock(&census->lock);
}

uint32_t census_total(struct census *census)
{
	uint32_t total;

	pthread_mutex_lock(&census->lock);
	total = census->total;
	pthread_mutex_unlock(&census->lock);
	return total;
}
