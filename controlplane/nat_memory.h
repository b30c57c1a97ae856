/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of the NATs before phones: after how long a silence their bindings still work, and after how long they do not. By the
 * public host (IPv6: its /64): what one phone found out holds for all behind it. Shared by the shards, one lock; asked when a
 * keep-alive is due, never for a message. docs/decisions/0062-nat.md */
#ifndef CONTROLPLANE_NAT_MEMORY_H
#define CONTROLPLANE_NAT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/address.h"

struct nat_memory; /* lock: its own */

enum {
	NAT_SILENCE_LEAST_MS = 5000, /* a NAT that forgets sooner cannot be helped */
	NAT_FORGET_MS = 6 * 3600 * 1000, /* what killed a binding then may not kill one now */
};

/* With one reference. NULL without memory. */
struct nat_memory *nat_memory_new(void);
struct nat_memory *nat_memory_get(struct nat_memory *memory);
void nat_memory_put(struct nat_memory *memory); /* the last one frees it; NULL is fine */

/* A phone is behind the host of `address`: it is remembered as long as there is one. 0 or -ENOMEM. */
int nat_memory_enter(struct nat_memory *memory, const union address *address);
void nat_memory_leave(struct nat_memory *memory, const union address *address);

struct nat_plan {
	uint64_t safe_ms; /* a silence that is no risk as far as known: `first_ms` until something is */
	uint64_t
		probe_ms; /* a longer one that is worth trying; 0: none, or somebody behind the same host is trying */
	uint64_t works_ms; /* the longest silence after which a binding was seen to work; 0: not known */
};
struct nat_plan nat_memory_plan(
	struct nat_memory *memory, const union address *address, uint64_t first_ms, uint64_t now_ms);
/* `who` (not 0) will try plan.probe_ms; until `until_ms` nobody else does. False: somebody does already. */
bool nat_memory_claim(struct nat_memory *memory, const union address *address, uint64_t who, uint64_t now_ms,
	uint64_t until_ms);
void nat_memory_release(struct nat_memory *memory, const union address *address, uint64_t who);

/* A request of ours reached a phone after this silence. */
void nat_memory_worked(struct nat_memory *memory, const union address *address, uint64_t silence_ms);
/* It did not, though the phone was there. What has been seen to work is doubted at the second time only: one may have been a NAT
 * that was switched off and on. */
void nat_memory_killed(
	struct nat_memory *memory, const union address *address, uint64_t silence_ms, uint64_t now_ms);

#endif
