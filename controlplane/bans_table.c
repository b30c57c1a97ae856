/* SPDX-License-Identifier: BSD-3-Clause */
/* The bans of this process by their source, and who gives way when there are too many. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "controlplane/bans_internal.h"
#include "platforms/base/clock.h"

enum { LOOKED_MAX = 16384 }; /* entries, in one go */

struct bans_entry **bans_entry_find(const struct bans *bans, const struct dp_source_key *key)
{
	struct bans_entry **at = &bans->bucket[hash_bytes(&bans->key, key, sizeof(*key)) % bans->buckets];

	while (*at && memcmp(&(*at)->ban.ban.key, key, sizeof(*key)) != 0)
		at = &(*at)->same_bucket;
	return at;
}

static void order_remove(struct bans *bans, struct bans_entry *entry)
{
	struct bans_order *order = &bans->order[entry->rank];

	*(entry->older ? &entry->older->newer : &order->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &order->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void order_last(struct bans *bans, struct bans_entry *entry, unsigned rank)
{
	struct bans_order *order = &bans->order[rank];

	entry->rank = (uint8_t)rank;
	entry->older = order->newest;
	*(order->newest ? &order->newest->newer : &order->oldest) = entry;
	order->newest = entry;
}

unsigned bans_rank_of(const struct store_ban *ban, bool proven)
{
	unsigned times =
		ban->times < BANS_ORDERED - BANS_DENIED ? ban->times : BANS_ORDERED - BANS_DENIED - 1;

	return ban->ordered ? BANS_ORDERED : proven ? BANS_DENIED + times : BANS_UNPROVEN;
}

void bans_unsent_remove(struct bans *bans, struct bans_entry *entry)
{
	struct bans_entry **at = &bans->unsent;

	if (!entry->unsent)
		return;
	while (*at != entry)
		at = &(*at)->next_unsent;
	*at = entry->next_unsent;
	if (bans->unsent_last == &entry->next_unsent)
		bans->unsent_last = at;
	entry->unsent = false;
}

void bans_entry_forget(struct bans *bans, struct bans_entry *entry)
{
	struct bans_entry **at = bans_entry_find(bans, &entry->ban.ban.key);

	*at = entry->same_bucket;
	order_remove(bans, entry);
	bans_unsent_remove(bans, entry);
	bans->count--;
	free(entry);
}

bool bans_entry_is_live(const struct bans_entry *entry, uint64_t now_wall_ms)
{
	return entry->ban.until_wall_ms == 0 || entry->ban.until_wall_ms > now_wall_ms;
}

static void cleared(void *arg, int status, const void *body, size_t length)
{
	(void)arg, (void)status, (void)body, (void)length;
}

struct bans_entry *bans_least(const struct bans *bans)
{
	struct bans_entry *found = bans->order[BANS_UNPROVEN].oldest, *oldest;

	for (unsigned rank = BANS_DENIED; rank < BANS_ORDERED && bans->order[BANS_UNPROVEN].oldest == NULL;
		rank++) {
		oldest = bans->order[rank].oldest;
		if (oldest && (!found || oldest->ban.until_wall_ms < found->ban.until_wall_ms))
			found = oldest;
	}
	return found;
}

static bool make_room(struct bans *bans)
{
	struct bans_entry *entry = bans_least(bans);

	if (!entry || bans_entry_is_live(entry, clock_wall_ms()))
		alarm_raise(bans->alarms, CP_ALARM_BANS_FULL, CP_SEVERITY_WARNING, "guard",
			"no room for another ban (guard.max-bans): the least gives way");
	if (!entry)
		return false;
	/* The dataplane would lift whichever was set longest ago. */
	if (bans->client && !entry->unsent && bans_entry_is_live(entry, clock_wall_ms()))
		(void)dp_client_request(bans->client, DP_BAN_CLEAR, &entry->ban.ban.key,
			sizeof(entry->ban.ban.key), cleared, NULL);
	if (entry->rank != BANS_UNPROVEN)
		store_ban_lifted(bans->store, &entry->ban.ban.key, "room");
	bans_entry_forget(bans, entry);
	return true;
}

bool bans_is_full(const struct bans *bans)
{
	return bans->count >= bans->config->guard.max_bans;
}

struct bans_entry *bans_entry_get(struct bans *bans, const struct dp_source_key *key)
{
	struct bans_entry **at = bans_entry_find(bans, key), *entry = *at;

	if (entry || (bans_is_full(bans) && !make_room(bans)))
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->ban.ban.key = *key;
	at = bans_entry_find(bans, key);
	*at = entry;
	order_last(bans, entry, BANS_UNPROVEN);
	bans->count++;
	return entry;
}

void bans_entry_ranked(struct bans *bans, struct bans_entry *entry, unsigned rank)
{
	order_remove(bans, entry);
	order_last(bans, entry, rank);
}

uint64_t bans_memory_ms(const struct bans *bans)
{
	return (uint64_t)bans->config->guard.deny_time_max * 1000;
}

static bool is_over(const struct bans *bans, const struct bans_entry *entry, uint64_t now)
{
	bool kept = entry->rank != BANS_UNPROVEN && entry->rank != BANS_ORDERED;
	uint64_t kept_ms = kept ? bans_memory_ms(bans) : 0;

	return entry->ban.until_wall_ms && entry->ban.until_wall_ms + kept_ms < now;
}

void bans_expire(struct bans *bans)
{
	uint64_t now = clock_wall_ms();
	struct bans_entry *next;
	unsigned looked = 0;

	for (unsigned rank = 0; rank < BANS_RANKS; rank++)
		for (struct bans_entry *entry = bans->order[rank].oldest; entry && looked < LOOKED_MAX;
			entry = next, looked++) {
			next = entry->newer;
			if (is_over(bans, entry, now)) {
				if (rank != BANS_UNPROVEN)
					store_ban_lifted(bans->store, &entry->ban.ban.key, "time");
				bans_entry_forget(bans, entry);
			} else if (rank != BANS_ORDERED) {
				break; /* Those behind it end later. */
			}
		}
}
