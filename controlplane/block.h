/* SPDX-License-Identifier: BSD-3-Clause */
/* What was dropped and why, for `show block SOURCE`: a bounded memory of the dataplane's samples of dropped packets.
 *
 * Sources share 64 sets of 64 samples by keyed hash (an IPv6 source is its /64). In a set, one source has at most 16 and of one reason
 * at most 8: its newer samples take the place of its own older ones, so that a source that floods leaves what is known of others, and
 * a banned one leaves what led to its ban. owner: the main thread, of its samples; the guard, under its lock, of its reasons */
#ifndef CONTROLPLANE_BLOCK_H
#define CONTROLPLANE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "platforms/base/address.h"

enum { BLOCK_SETS = 64, BLOCK_SET_SAMPLES = 64, BLOCK_PER_SOURCE = 16, BLOCK_PER_REASON = 8 };

struct block_store;

/* NULL: no memory. */
struct block_store *block_new(void);
void block_free(struct block_store *store); /* NULL is fine */
/* `octets`: sample->captured of them, from the Ethernet header on. Samples without a source are not kept. `interface`: its name. */
void block_add(struct block_store *store, const struct dp_sample *sample, const uint8_t *octets,
	const char *interface, uint64_t wall_ms);
/* What was seen of a message without a sample of its packet. */
struct block_note {
	const union address *source, *dest;
	const char *place; /* for `interface` */
	struct span method, uri; /* of its first line; empty: none */
	uint32_t counter;
	uint8_t protocol;
	uint64_t wall_ms;
};
void block_add_note(struct block_store *store, const struct block_note *note);
/* The newest samples whose number is below `before` (0: any) and whose source is in `source` (with that port, if it has one), newest
 * first, at most `limit` <= CP_BLOCK_PAGE. *more: there are others. Returns how many. */
size_t block_list(const struct block_store *store, const struct prefix *source, uint64_t before, size_t limit,
	struct cp_block *out, bool *more);

#endif
