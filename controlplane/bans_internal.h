/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to bans*.c. */
#ifndef CONTROLPLANE_BANS_INTERNAL_H
#define CONTROLPLANE_BANS_INTERNAL_H

#include "controlplane/bans.h"
#include "controlplane/mailbox.h"
#include "platforms/base/hash.h"

/* Who gives way when there are too many: the first rank that has any; then of the others whose end is nearest; an order never. Denials of one
 * rank are equally long: its oldest ends first. */
enum bans_rank {
	BANS_UNPROVEN, /* anybody may have brought it about: dropped at its end, and never stored */
	BANS_DENIED, /* by how often in a row */
	BANS_ORDERED = BANS_DENIED + 32, /* by people */
	BANS_RANKS
};

/* A denial, or the memory of one. */
struct bans_entry {
	struct bans_entry *same_bucket;
	struct bans_entry *older, *newer; /* of its rank, by when they were last ordered */
	struct bans_entry *next_unsent;
	uint8_t rank; /* enum bans_rank, and steps between */
	bool unsent;
	struct store_ban ban;
};

struct bans_order {
	struct bans_entry *oldest, *newest;
};

struct bans {
	const struct config *config;
	struct store *store;
	struct guard *guard;
	struct dp_client *client;
	struct mailbox *mailbox;
	uv_timer_t tick;
	void (*sample)(void *arg, const struct dp_sample *sample, const uint8_t *octets);
	void *sample_arg;
	/* bans */
	struct hash_key key;
	struct bans_entry **bucket;
	size_t buckets, count;
	struct bans_order order[BANS_RANKS];
	struct bans_entry *unsent, **unsent_last;
	unsigned under_way; /* batches */
	/* alarm */
	uint64_t denials; /* since the start */
	uint64_t window_ms, window_denials;
	bool alarmed;
	struct alarms *alarms;
};

#endif
