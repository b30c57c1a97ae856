/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows of registered phones come before strangers' in the dataplane: told when one is new, and all of them again and again, so that
 * nothing need be taken back: what is not told any more runs out there. */
#include <stdlib.h>

#include "controlplane/border_internal.h"

enum {
	TRUST_MS = 900000, /* a flow is trusted so long after it was last told of */
	ROUND_TICKS = 300, /* in so many seconds each one is told of at least once */
};

static bool fill(const struct border *border, const struct binding *binding, struct dp_trust *out)
{
	const struct config_guard *guard = &border->config->guard;
	const struct binding_flow *flow = &binding->flow;

	*out = (struct dp_trust){ .expires_us = (uint64_t)TRUST_MS * 1000,
		.rate = guard->registered_rate,
		.burst = 2 * guard->registered_rate };
	dp_address_from(&out->key.address, &flow->remote);
	out->key.length = out->key.address.family == 4 ? 32 : 128;
	return out->key.address.family != 0 && out->key.address.port != 0 &&
	       binding->interface->realm->trust == CONFIG_TRUST_UNTRUSTED;
}

static void trust_replied(void *arg, int status, const void *body, size_t length)
{
	(void)arg;
	(void)status; /* the next round tells it again */
	(void)body;
	(void)length;
}

static void walk(struct border *border, size_t limit);

static void page_replied(void *arg, int status, const void *body, size_t length)
{
	struct border *border = arg;

	(void)body;
	(void)length;
	border->walk_under_way = false;
	if (status == 0 && border->walking)
		walk(border, DP_BATCH_MAX);
}

/* The next page of the table. */
static void walk(struct border *border, size_t limit)
{
	struct binding *page[DP_BATCH_MAX];
	struct dp_trust batch[DP_BATCH_MAX];
	size_t count, n = 0;

	if (!border->location || border->walk_under_way || !border->client ||
		!dp_client_is_up(border->client))
		return;
	count = location_list(border->location, border->walk_after, page, limit);
	for (size_t i = 0; i < count; i++) {
		border->walk_after = page[i]->number;
		n += fill(border, page[i], &batch[n]);
		binding_put(page[i]);
	}
	if (count < limit) {
		border->walk_after = 0;
		border->walking = false;
	}
	if (n && dp_client_request(border->client, DP_TRUST_SET, batch, n * sizeof(batch[0]), page_replied,
			 border) == 0)
		border->walk_under_way = true;
	else if (border->walking && count)
		border->walking = false;
}

void border_trust_up(struct border *border)
{
	border->walk_after = 0;
	border->walking = true;
	border->walk_under_way = false;
	walk(border, DP_BATCH_MAX);
}

void border_trust_tick(struct border *border)
{
	size_t limit = border->location ? location_count(border->location) / ROUND_TICKS + 1 : 0;

	if (limit && !border->walking)
		walk(border, limit < DP_BATCH_MAX ? limit : DP_BATCH_MAX);
}

/* --- as soon as it is registered --------------------------------------------------------------------------------------- */

static void flow_arrived(void *owner, void *arg)
{
	const struct border *border = owner;
	struct dp_trust *trust = arg;

	if (border->client && dp_client_is_up(border->client))
		dp_client_request(border->client, DP_TRUST_SET, trust, sizeof(*trust), trust_replied, NULL);
	free(trust);
}

/* On a shard's thread, in the middle of a change. */
static void binding_changed(void *arg, const struct binding *binding)
{
	struct border *border = arg;
	struct dp_trust trust, *copy;

	if (!fill(border, binding, &trust))
		return;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return;
	*copy = trust;
	/* Full: the round tells it. */
	if (mailbox_post(border->mailbox, flow_arrived, copy) != 0)
		free(copy);
}

void border_trust_watch(struct border *border)
{
	if (border->location)
		location_watch(border->location, binding_changed, border);
}
