/* SPDX-License-Identifier: BSD-3-Clause */
/* The subscriptions of one shard: found by our tags, counted by their source. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/subscription_internal.h"

struct subscription_source {
	struct subscription_source *next;
	union address address; /* the port does not matter */
	unsigned count;
};

struct subscription_table {
	size_t count; /* others read relaxed */
	size_t mask;
	struct subscription *first;
	struct subscription_tag **tags;
	struct subscription_source **sources;
};

int subscription_layer_open(struct shard *shard)
{
	struct subscription_table *table = calloc(1, sizeof(*table));
	size_t size = 64;

	if (!table)
		return -ENOMEM;
	while (size < 2 * (size_t)shard->config->sip.max_subscriptions)
		size *= 2;
	table->mask = size - 1;
	table->tags = calloc(size, sizeof(*table->tags));
	table->sources = calloc(size, sizeof(*table->sources));
	shard->subscriptions = table;
	if (table->tags && table->sources)
		return 0;
	subscription_layer_close(shard);
	return -ENOMEM;
}

void subscription_layer_close(struct shard *shard)
{
	struct subscription_table *table = shard->subscriptions;

	if (!table)
		return;
	while (table->first)
		subscription_free(table->first);
	free(table->tags);
	free(table->sources);
	free(table);
	shard->subscriptions = NULL;
}

void subscription_layer_move(struct shard *shard, struct config_move *move)
{
	struct subscription *subscription = shard->subscriptions ? shard->subscriptions->first : NULL;

	for (; subscription; subscription = subscription->next)
		for (unsigned side = 0; side < LEGS; side++)
			leg_move(&subscription->leg[side], move);
}

bool subscription_uses_listener(const struct shard *shard, const struct listener *listener)
{
	for (const struct subscription *s = shard->subscriptions->first; s; s = s->next)
		for (unsigned side = 0; side < LEGS; side++)
			if (s->leg[side].flow.listener == listener)
				return true;
	return false;
}

size_t subscription_count(const struct shard *shard)
{
	return __atomic_load_n(&shard->subscriptions->count, __ATOMIC_RELAXED);
}

static void count_add(struct subscription_table *table, size_t by)
{
	__atomic_store_n(&table->count, table->count + by, __ATOMIC_RELAXED);
}

/* --- sources ---------------------------------------------------------------------------------------------------------------- */

static struct subscription_source **source_slot(const struct shard *shard, const union address *address)
{
	char host[ADDRESS_TEXT_MAX];

	address_print_host(address, host);
	return &shard->subscriptions->sources[hash_bytes(&shard->table_key, host, strlen(host)) &
					      shard->subscriptions->mask];
}

/* 0 and *out counted up, -ENOBUFS, -ENOMEM. */
static int source_get(
	const struct shard *shard, const union address *address, struct subscription_source **out)
{
	struct subscription_source **slot = source_slot(shard, address), *source = *slot;

	while (source && !address_equal_host(&source->address, address))
		source = source->next;
	if (!source) {
		source = calloc(1, sizeof(*source));
		if (!source)
			return -ENOMEM;
		source->address = *address;
		source->next = *slot;
		*slot = source;
	}
	if (source->count >= shard->config->sip.max_subscriptions_per_source)
		return -ENOBUFS;
	source->count++;
	*out = source;
	return 0;
}

static void source_put(const struct shard *shard, struct subscription_source *source)
{
	struct subscription_source **at;

	if (--source->count)
		return;
	at = source_slot(shard, &source->address);
	while (*at != source)
		at = &(*at)->next;
	*at = source->next;
	free(source);
}

/* --- tags ------------------------------------------------------------------------------------------------------------------- */

static struct subscription_tag **tag_slot(const struct shard *shard, struct span text)
{
	return &shard->subscriptions
			->tags[hash_bytes(&shard->table_key, text.p, text.n) & shard->subscriptions->mask];
}

static void tag_insert(struct subscription_tag *tag, struct leg *leg)
{
	struct subscription_tag **slot = tag_slot(leg->shard, span_from(leg->local_tag));

	*tag = (struct subscription_tag){ *slot, leg };
	*slot = tag;
}

static void tag_remove(struct subscription_tag *tag)
{
	struct subscription_tag **at;

	if (!tag->leg)
		return;
	at = tag_slot(tag->leg->shard, span_from(tag->leg->local_tag));
	while (*at != tag)
		at = &(*at)->next;
	*at = tag->next;
	tag->leg = NULL;
}

void subscription_insert(struct subscription *subscription)
{
	for (unsigned side = 0; side < LEGS; side++)
		tag_insert(&subscription->tag[side], &subscription->leg[side]);
}

struct leg *subscription_find_leg(struct shard *shard, const struct scan *request)
{
	struct leg *beginner = NULL;

	if (!shard->subscriptions)
		return NULL;
	for (struct subscription_tag *tag = *tag_slot(shard, request->to_tag); tag; tag = tag->next) {
		struct leg *leg = tag->leg;

		if (!span_equal(span_from(leg->local_tag), request->to_tag) ||
			!span_equal(span_from(leg->call_id), request->call_id))
			continue;
		if (leg->remote_tag && span_equal(span_from(leg->remote_tag), request->from_tag))
			return leg;
		/* All branches know us by the tag of the SUBSCRIBE that we sent. */
		if (leg->side == LEG_CALLED && request->method == SIP_METHOD_NOTIFY &&
			!leg->subscription->is_fork)
			beginner = leg;
	}
	return beginner;
}

/* --- making and ending ---------------------------------------------------------------------------------------------------------- */

int subscription_new(
	struct shard *shard, const union address *source, bool is_agent, struct subscription **out)
{
	struct subscription_table *table = shard->subscriptions;
	struct subscription *subscription;
	int error;

	if (table->count >= shard->config->sip.max_subscriptions)
		return -ENOBUFS;
	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return -ENOMEM;
	subscription->shard = shard;
	error = is_agent ? 0 : source_get(shard, source, &subscription->source);
	if (error) {
		free(subscription);
		return error;
	}
	for (unsigned side = 0; side < LEGS; side++) {
		subscription->leg[side].shard = shard;
		subscription->leg[side].side = side;
		subscription->leg[side].subscription = subscription;
	}
	subscription->next = table->first;
	if (table->first)
		table->first->previous = subscription;
	table->first = subscription;
	count_add(table, 1);
	*out = subscription;
	return 0;
}

void subscription_free(struct subscription *subscription)
{
	struct shard *shard = subscription->shard;
	struct subscription_table *table = shard->subscriptions;

	timer_cancel(&subscription->timer);
	subscription_hold_end(subscription);
	for (unsigned side = 0; side < LEGS; side++)
		tag_remove(&subscription->tag[side]);
	if (subscription->previous)
		subscription->previous->next = subscription->next;
	else
		table->first = subscription->next;
	if (subscription->next)
		subscription->next->previous = subscription->previous;
	count_add(table, (size_t)-1);
	for (unsigned side = 0; side < LEGS; side++)
		leg_fini(&subscription->leg[side]);
	if (subscription->source)
		source_put(shard, subscription->source);
	free(subscription);
}
