/* SPDX-License-Identifier: BSD-3-Clause */
/* Who showed signs, in sets of a fixed size: a flood of made-up sources takes the places of those that have the fewest points. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/guard_internal.h"

enum { WAYS = 8, STRIPES = 64 };

struct guard_table {
	struct hash_key key;
	size_t mask; /* sets - 1 */
	pthread_mutex_t stripe[STRIPES];
	struct guard_entry entry[];
};

struct guard_table *guard_table_new(size_t entries)
{
	size_t sets = STRIPES;
	struct guard_table *table;

	while (sets * WAYS < entries)
		sets *= 2;
	table = calloc(1, sizeof(*table) + sets * WAYS * sizeof(table->entry[0]));
	if (!table)
		return NULL;
	hash_key_random(&table->key);
	table->mask = sets - 1;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&table->stripe[i], NULL);
	return table;
}

void guard_table_free(struct guard_table *table)
{
	if (!table)
		return;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&table->stripe[i]);
	free(table);
}

static void fade(struct guard_entry *entry, uint64_t now_ms)
{
	uint64_t passed = now_ms > entry->points_ms ? now_ms - entry->points_ms : 0;
	uint64_t faded =
		passed >= 10 * (uint64_t)GUARD_FADE_MS ? UINT32_MAX : passed * GUARD_LIMIT / GUARD_FADE_MS;

	for (unsigned i = 0; i < 2; i++)
		entry->points[i] = faded < entry->points[i] ? entry->points[i] - (uint32_t)faded : 0;
	/* What has not faded by a whole point yet is not forgotten to be due. */
	if (faded > 0)
		entry->points_ms = now_ms;
}

/* Made-up sources push out each other, not one that has proved to be there. */
static bool gives_way_to(const struct guard_entry *a, const struct guard_entry *b)
{
	if ((a->key.kind == GUARD_FREE) != (b->key.kind == GUARD_FREE))
		return a->key.kind == GUARD_FREE;
	for (unsigned i = 2; i-- > 0;)
		if (a->points[i] != b->points[i])
			return a->points[i] < b->points[i];
	return a->touched_ms < b->touched_ms;
}

static pthread_mutex_t *stripe_of(struct guard_table *table, size_t set)
{
	return &table->stripe[set % STRIPES];
}

struct guard_entry *guard_table_get(
	struct guard_table *table, const struct guard_key *key, uint64_t now_ms, bool make)
{
	size_t set = hash_bytes(&table->key, key, sizeof(*key)) & table->mask;
	struct guard_entry *first = &table->entry[set * WAYS], *least = NULL;

	pthread_mutex_lock(stripe_of(table, set));
	for (unsigned i = 0; i < WAYS; i++) {
		struct guard_entry *entry = &first[i];

		if (entry->key.kind == GUARD_FREE && !make)
			continue;
		fade(entry, now_ms);
		if (memcmp(&entry->key, key, sizeof(*key)) == 0) {
			entry->touched_ms = now_ms;
			return entry;
		}
		if (!least || gives_way_to(entry, least))
			least = entry;
	}
	if (!make) {
		pthread_mutex_unlock(stripe_of(table, set));
		return NULL;
	}
	*least = (struct guard_entry){ .key = *key, .points_ms = now_ms, .touched_ms = now_ms };
	return least;
}

void guard_table_put(struct guard_table *table, struct guard_entry *entry)
{
	pthread_mutex_unlock(stripe_of(table, (size_t)(entry - table->entry) / WAYS));
}

void guard_table_walk(struct guard_table *table, uint64_t now_ms, uint64_t *at,
	bool (*each)(void *arg, struct guard_entry *entry), void *arg)
{
	size_t count = (table->mask + 1) * WAYS;
	bool more = true;

	for (size_t i = *at; i < count && more; i++) {
		pthread_mutex_lock(stripe_of(table, i / WAYS));
		if (table->entry[i].key.kind != GUARD_FREE) {
			fade(&table->entry[i], now_ms);
			more = each(arg, &table->entry[i]);
		}
		pthread_mutex_unlock(stripe_of(table, i / WAYS));
		*at = i + 1;
	}
	if (more)
		*at = 0;
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static void put_address(struct guard_key *key, const union address *remote)
{
	if (remote->sa.sa_family == AF_INET6) {
		key->family = 6;
		memcpy(key->octets, &remote->in6.sin6_addr, 16);
	} else {
		key->family = 4;
		memcpy(key->octets, &remote->in4.sin_addr, 4);
	}
}

void guard_key_flow(struct guard_key *key, const struct sip_flow *flow)
{
	*key = (struct guard_key){ .kind = flow->connection ? GUARD_STREAM : GUARD_FLOW,
		.port = address_port(&flow->remote) };
	put_address(key, &flow->remote);
}

void guard_key_source(struct guard_key *key, const union address *remote)
{
	*key = (struct guard_key){ .kind = GUARD_SOURCE };
	put_address(key, remote);
	if (key->family == 6)
		memset(key->octets + 8, 0, 8);
}
