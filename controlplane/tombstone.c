/* SPDX-License-Identifier: BSD-3-Clause */
/* Absorbing states (RFC 3261 Timers D, I, J, K; RFC 6026 Timer L) in some hundred bytes instead of a transaction's 20 KB. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/transaction_internal.h"
#include "controlplane/secret.h"

static void count_set(struct transaction_layer *layer, uint32_t count)
{
	__atomic_store_n(&layer->tombstone_count, count, __ATOMIC_RELAXED);
}

void tombstone_free(struct tombstone *stone)
{
	struct transaction_layer *layer = stone->layer;

	timer_cancel(&stone->deadline);
	table_remove(&stone->node);
	table_remove(&stone->dialog);
	table_remove(&stone->merged);
	*stone->link = stone->next;
	if (stone->next)
		stone->next->link = stone->link;
	else
		layer->newest = stone->link;
	count_set(layer, layer->tombstone_count - 1);
	secret_free(stone);
}

static void deadline_passed(struct timer *timer, void *arg)
{
	(void)timer;
	tombstone_free(arg);
}

static struct tombstone *tombstone_new(
	struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes, unsigned linger_ms)
{
	uint64_t limit = (uint64_t)layer->shard->config->sip.max_transactions * LINGERING_PER_TRANSACTION;
	struct tombstone *stone = secret_alloc_for(bytes, sizeof(*stone) + bytes.n);

	/* Without memory a late repetition meets no one: it is a stray then, which is safe. */
	if (!stone)
		return NULL;
	if (layer->tombstone_count >= limit)
		tombstone_free(layer->oldest);
	memset(stone, 0, sizeof(*stone));
	stone->layer = layer;
	stone->flow = *flow;
	stone->length = bytes.n;
	if (bytes.n)
		memcpy(stone->bytes, bytes.p, bytes.n);
	stone->link = layer->newest;
	*stone->link = stone;
	layer->newest = &stone->next;
	count_set(layer, layer->tombstone_count + 1);
	timer_arm(layer->shard->timers, &stone->deadline, linger_ms, deadline_passed, stone);
	return stone;
}

void tombstone_make(struct transaction *tr, unsigned linger_ms)
{
	struct transaction_layer *layer = tr->shard->transactions;
	/* A NIST answers again, an ICT acknowledges again; a NICT and a confirmed IST just swallow. */
	bool keeps = tr->kind == MACHINE_NIST || tr->kind == MACHINE_ICT;
	struct span bytes = { NULL, 0 };
	struct tombstone *stone;

	if (linger_ms == 0)
		return;
	if (keeps)
		bytes = sent_span(tr->sent);
	stone = tombstone_new(layer, &tr->flow, bytes, linger_ms);
	if (!stone)
		return;
	table_move(&layer->table, &tr->node, &stone->node, TABLE_TOMBSTONE, stone);
	if (tr->kind != MACHINE_IST || tr->last_status >= 300)
		return;
	/* An INVITE with a 2xx is under way until Timer L (RFC 6026): its ACK may come again, and the INVITE by another way, which
	 * would make a second call. */
	table_move(&layer->table, &tr->dialog, &stone->dialog, TABLE_TOMBSTONE, stone);
	table_move(&layer->table, &tr->merged, &stone->merged, TABLE_TOMBSTONE, stone);
}

void tombstone_add(struct transaction_layer *layer, const struct table_key *key, const struct sip_flow *flow,
	struct span bytes, unsigned linger_ms)
{
	struct tombstone *stone = tombstone_new(layer, flow, bytes, linger_ms);

	if (stone)
		table_insert(&layer->table, &stone->node, key, TABLE_TOMBSTONE, stone);
}
