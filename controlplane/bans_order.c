/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans by order of people: they hold when the dataplane has said so, and are audited. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/bans_internal.h"
#include "controlplane/guard.h"
#include "platforms/base/clock.h"

struct order {
	struct bans *bans;
	struct dp_ban ban;
	bans_done done;
	void *arg;
	char who[64];
};

static void order_end(struct order *order, int status)
{
	order->done(order->arg, status);
	free(order);
}

static int outcome(int status, const void *body)
{
	struct dp_done done;

	if (status)
		return status;
	memcpy(&done, body, sizeof(done));
	return done.done == 1 ? 0 : done.status < 0 ? done.status : -EBADMSG;
}

static void ban_replied(void *arg, int status, const void *body, size_t length)
{
	struct order *order = arg;
	struct bans *bans = order->bans;
	char text[BORDER_TEXT_MAX];
	struct bans_entry *entry;

	(void)length;
	status = outcome(status, body);
	entry = status ? NULL : bans_entry_get(bans, &order->ban.key);
	if (entry) {
		uint64_t from_now = order->ban.expires_us;

		entry->ban.ban = order->ban;
		entry->ban.ban.expires_us = 0;
		entry->ban.ordered = true;
		bans_entry_ranked(bans, entry, BANS_ORDERED);
		entry->ban.until_wall_ms = from_now ? clock_wall_ms() + (from_now + 999) / 1000 : 0;
		store_ban(
			bans->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times, order->who);
		store_audit(
			bans->store, order->who, "ban", bans_print(&order->ban.key, text), order->ban.reason);
	}
	order_end(order, status);
}

static void unban_replied(void *arg, int status, const void *body, size_t length)
{
	struct order *order = arg;
	struct bans *bans = order->bans;
	struct bans_entry *entry;
	char text[BORDER_TEXT_MAX];

	(void)length;
	status = outcome(status, body);
	entry = status == 0 || status == -ENOENT ? *bans_entry_find(bans, &order->ban.key) : NULL;
	if (entry) {
		if (bans_entry_is_live(entry, clock_wall_ms()))
			status = 0;
		store_ban_lifted(bans->store, &entry->ban.ban.key, order->who);
		bans_entry_forget(bans, entry);
	}
	if (status == 0) {
		guard_forgive(bans->guard, &order->ban.key);
		store_audit(bans->store, order->who, "unban", bans_print(&order->ban.key, text), "");
	}
	order_end(order, status);
}

static void order_begin(struct bans *bans, enum dp_message type, const struct dp_ban *ban, const char *who,
	bans_done done, void *arg)
{
	struct order *order = calloc(1, sizeof(*order));
	struct writer w;
	int error;

	if (!order) {
		done(arg, -ENOMEM);
		return;
	}
	order->bans = bans;
	order->ban = *ban;
	order->done = done;
	order->arg = arg;
	writer_init(&w, order->who, sizeof(order->who) - 1);
	writer_text(&w, who);
	if (type == DP_BAN_SET && bans_is_full(bans) && !*bans_entry_find(bans, &ban->key) &&
		!bans_least(bans)) {
		order_end(order, -ENOSPC);
		return;
	}
	error = type == DP_BAN_SET ? dp_client_request(bans->client, type, &order->ban, sizeof(order->ban),
					     ban_replied, order)
				   : dp_client_request(bans->client, type, &order->ban.key,
					     sizeof(order->ban.key), unban_replied, order);
	if (error)
		order_end(order, error);
}

void bans_set(struct bans *bans, const struct dp_ban *ban, const char *who, bans_done done, void *arg)
{
	order_begin(bans, DP_BAN_SET, ban, who, done, arg);
}

void bans_lift(struct bans *bans, const struct dp_source_key *key, const char *who, bans_done done, void *arg)
{
	struct dp_ban ban = { .key = *key };

	order_begin(bans, DP_BAN_CLEAR, &ban, who, done, arg);
}
