/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to border*.c. */
#ifndef CONTROLPLANE_BORDER_INTERNAL_H
#define CONTROLPLANE_BORDER_INTERNAL_H

#include "controlplane/border.h"
#include "controlplane/mailbox.h"
#include "platforms/base/hash.h"

/* A denial, or the memory of one. */
struct border_entry {
	struct border_entry *same_bucket;
	struct border_entry *older, *newer; /* by when they were last ordered */
	struct border_entry *next_unsent;
	bool unsent;
	struct store_ban ban;
};

struct border {
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
	struct border_entry **bucket;
	size_t buckets, count;
	struct border_entry *oldest, *newest;
	struct border_entry *unsent, **unsent_last;
	unsigned under_way; /* batches */
	/* alarm */
	uint64_t denials; /* since the start */
	uint64_t window_ms, window_denials;
	bool alarmed;
};

#endif
