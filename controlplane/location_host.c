/* SPDX-License-Identifier: BSD-3-Clause */
/* How many bindings have flows from a host: of IPv4 an address, of IPv6 a /64. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/location_index.h"
#include "platforms/base/hash.h"

enum { STRIPE_BITS = 6, STRIPES = 1 << STRIPE_BITS, BUCKETS_FIRST = 16 };

struct host {
	struct host *next;
	uint64_t key[3];
	size_t count;
};

struct host_stripe {
	pthread_mutex_t lock;
	struct host **bucket; /* lock */
	size_t size, count; /* lock; size: a power of two */
};

struct location_hosts {
	struct hash_key key;
	struct host_stripe stripe[STRIPES];
};

size_t location_host_bytes(const union address *address, uint8_t out[16])
{
	memset(out, 0, 16);
	if (address->sa.sa_family == AF_INET6) {
		memcpy(out, &address->in6.sin6_addr, 16);
		return 16;
	}
	memcpy(out, &address->in4.sin_addr, 4);
	return 4;
}

static void host_key(const union address *address, uint64_t key[3])
{
	uint8_t ip[16];

	/* A subscriber of IPv6 has a /64 of his own. */
	location_host_bytes(address, ip);
	if (address->sa.sa_family == AF_INET6)
		memset(ip + 8, 0, 8);
	key[0] = address->sa.sa_family;
	memcpy(&key[1], ip, 16);
}

static struct host_stripe *host_lock(struct location_hosts *hosts, const uint64_t key[3], uint64_t *hash)
{
	struct host_stripe *stripe;

	*hash = hash_bytes(&hosts->key, key, 3 * sizeof(*key));
	stripe = &hosts->stripe[*hash >> (64 - STRIPE_BITS)];
	pthread_mutex_lock(&stripe->lock);
	return stripe;
}

static struct host **host_find(const struct host_stripe *stripe, const uint64_t key[3], uint64_t hash)
{
	struct host **link;

	if (!stripe->size)
		return NULL;
	for (link = &stripe->bucket[hash & (stripe->size - 1)]; *link; link = &(*link)->next)
		if (memcmp((*link)->key, key, sizeof((*link)->key)) == 0)
			return link;
	return NULL;
}

static bool hosts_grow(const struct location_hosts *hosts, struct host_stripe *stripe)
{
	size_t size = stripe->size ? stripe->size * 2 : BUCKETS_FIRST;
	struct host **bucket;

	if (stripe->count < stripe->size)
		return true;
	bucket = calloc(size, sizeof(struct host *));
	if (!bucket)
		return stripe->size > 0;
	for (size_t i = 0; i < stripe->size; i++) {
		struct host *host = stripe->bucket[i], *next;

		for (; host; host = next) {
			uint64_t hash = hash_bytes(&hosts->key, host->key, sizeof(host->key));

			next = host->next;
			host->next = bucket[hash & (size - 1)];
			bucket[hash & (size - 1)] = host;
		}
	}
	free(stripe->bucket);
	stripe->bucket = bucket;
	stripe->size = size;
	return true;
}

int location_hosts_add(struct location_hosts *hosts, const union address *address)
{
	uint64_t key[3], hash;
	struct host_stripe *stripe;
	struct host **link, *host;
	int result = 0;

	host_key(address, key);
	stripe = host_lock(hosts, key, &hash);
	link = host_find(stripe, key, hash);
	if (link) {
		(*link)->count++;
	} else {
		host = hosts_grow(hosts, stripe) ? malloc(sizeof(*host)) : NULL;
		if (host) {
			struct host **bucket = &stripe->bucket[hash & (stripe->size - 1)];

			*host = (struct host){ .next = *bucket, .count = 1 };
			memcpy(host->key, key, sizeof(host->key));
			*bucket = host;
			stripe->count++;
		} else {
			result = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&stripe->lock);
	return result;
}

void location_hosts_drop(struct location_hosts *hosts, const union address *address)
{
	uint64_t key[3], hash;
	struct host_stripe *stripe;
	struct host **link, *host;

	host_key(address, key);
	stripe = host_lock(hosts, key, &hash);
	link = host_find(stripe, key, hash);
	if (link && --(*link)->count == 0) {
		host = *link;
		*link = host->next;
		stripe->count--;
		free(host);
	}
	pthread_mutex_unlock(&stripe->lock);
}

size_t location_hosts_count(struct location_hosts *hosts, const union address *host)
{
	uint64_t key[3], hash;
	struct host_stripe *stripe;
	struct host **link;
	size_t count;

	host_key(host, key);
	stripe = host_lock(hosts, key, &hash);
	link = host_find(stripe, key, hash);
	count = link ? (*link)->count : 0;
	pthread_mutex_unlock(&stripe->lock);
	return count;
}

struct location_hosts *location_hosts_new(void)
{
	struct location_hosts *hosts = calloc(1, sizeof(*hosts));

	if (!hosts)
		return NULL;
	hash_key_random(&hosts->key);
	for (unsigned s = 0; s < STRIPES; s++)
		pthread_mutex_init(&hosts->stripe[s].lock, NULL);
	return hosts;
}

void location_hosts_free(struct location_hosts *hosts)
{
	if (!hosts)
		return;
	for (unsigned s = 0; s < STRIPES; s++) {
		for (size_t b = 0; b < hosts->stripe[s].size; b++)
			for (struct host *host = hosts->stripe[s].bucket[b], *next; host; host = next) {
				next = host->next;
				free(host);
			}
		free(hosts->stripe[s].bucket);
		pthread_mutex_destroy(&hosts->stripe[s].lock);
	}
	free(hosts);
}
