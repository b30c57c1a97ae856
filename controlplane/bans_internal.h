/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to bans*.c. */
#ifndef CONTROLPLANE_BANS_INTERNAL_H
#define CONTROLPLANE_BANS_INTERNAL_H

#include "controlplane/bans.h"
#include "controlplane/mailbox.h"
#include "platforms/base/hash.h"

/* A denial, or the memory of one. */
struct bans_entry {
	struct bans_entry *same_bucket;
	struct bans_entry *older, *newer; /* by when they were last ordered */
	struct bans_entry *next_unsent;
	bool unsent;
	struct store_ban ban;
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
	struct bans_entry *oldest, *newest;
	struct bans_entry *unsent, **unsent_last;
	unsigned under_way; /* batches */
	/* alarm */
	uint64_t denials; /* since the start */
	uint64_t window_ms, window_denials;
	bool alarmed;
	struct alarms *alarms;
};

#endif
