/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS handshakes per second of each source: a table of fixed size, in which the source that was away longest gives way. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tls_internal.h"
#include "platforms/base/address.h"
#include "platforms/base/hash.h"
#include "platforms/base/token_bucket.h"

enum { SETS = 2048, WAYS = 4, KEY_OCTETS = 8, IPV4_OCTETS = 4 };

struct source {
	uint8_t key[KEY_OCTETS];
	sa_family_t family; /* 0: free */
	struct token_bucket bucket;
};

struct tls_rate {
	pthread_mutex_t lock; /* of all below */
	unsigned per_second; /* changed with the lock; read without to see that there is no limit */
	struct hash_key secret;
	struct source source[SETS][WAYS];
};

struct tls_rate *tls_rate_new(unsigned per_second)
{
	struct tls_rate *rate = calloc(1, sizeof(*rate));

	if (!rate)
		return NULL;
	pthread_mutex_init(&rate->lock, NULL);
	rate->per_second = per_second;
	hash_key_random(&rate->secret);
	return rate;
}

void tls_rate_free(struct tls_rate *rate)
{
	if (!rate)
		return;
	pthread_mutex_destroy(&rate->lock);
	free(rate);
}

void tls_rate_move(struct tls_rate *rate, unsigned per_second)
{
	pthread_mutex_lock(&rate->lock);
	__atomic_store_n(&rate->per_second, per_second, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&rate->lock);
}

static struct source *find(
	struct tls_rate *rate, const uint8_t key[KEY_OCTETS], sa_family_t family, uint64_t now_us)
{
	struct source *set = rate->source[hash_bytes(&rate->secret, key, KEY_OCTETS) % SETS];
	struct source *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].family == family && memcmp(set[i].key, key, KEY_OCTETS) == 0)
			return &set[i];
		if (set[i].bucket.last_us < oldest->bucket.last_us)
			oldest = &set[i];
	}
	memcpy(oldest->key, key, KEY_OCTETS);
	oldest->family = family;
	token_bucket_init(&oldest->bucket, rate->per_second, 2 * (uint64_t)rate->per_second, now_us);
	return oldest;
}

bool tls_rate_take(struct tls_rate *rate, const union address *remote, uint64_t now_us)
{
	uint8_t key[KEY_OCTETS] = { 0 };
	struct source *source;
	bool may;

	if (__atomic_load_n(&rate->per_second, __ATOMIC_RELAXED) == 0)
		return true;
	if (remote->sa.sa_family == AF_INET6)
		memcpy(key, &remote->in6.sin6_addr, KEY_OCTETS);
	else
		memcpy(key, &remote->in4.sin_addr, IPV4_OCTETS);
	pthread_mutex_lock(&rate->lock);
	source = find(rate, key, remote->sa.sa_family, now_us);
	if (source->bucket.rate != rate->per_second)
		token_bucket_change(
			&source->bucket, rate->per_second, 2 * (uint64_t)rate->per_second, now_us);
	may = token_bucket_take(&source->bucket, 1, now_us);
	pthread_mutex_unlock(&rate->lock);
	return may;
}
