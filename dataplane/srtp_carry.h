/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: who moves to another session with its key goes on counting there (RFC 3711 section 3.2.3: rollover counter and replay
 * list belong to the key). Which contexts of SRTP_IN have one key is found by their keys' fingerprints. Main thread. */
#ifndef DATAPLANE_SRTP_CARRY_H
#define DATAPLANE_SRTP_CARRY_H

#include "dataplane/srtp_context.h"

enum {
	CARRY_ENDED = 1024, /* contexts remembered after their end, the last ones */
	CARRY_ENDED_SOURCES = 4, /* of each */
	CARRY_ENDED_SECONDS = 8,
	CARRY_SAME_KEY = 8, /* contexts of one key that are asked, the newest */
};

struct carry_ended;

struct srtp_carry {
	const struct srtp_cold *first; /* memory of all contexts, in a row */
	uint32_t *bucket; /* by fingerprint: number of a context + 1, as the next two; 0: none */
	uint32_t *next, *previous; /* by number */
	uint32_t mask;
	uint32_t ended_next;
	uint64_t *mark; /* of the ended ones: beginning of the fingerprint; 0: none */
	struct carry_ended *ended;
};

/* `first`: memory of `count` contexts. 0 or -ENOMEM; carry_fini is due in both cases. */
int carry_init(struct srtp_carry *t, const struct srtp_cold *first, uint32_t count);
void carry_fini(struct srtp_carry *t);
/* `c` has its fingerprint. */
void carry_enter(struct srtp_carry *t, const struct srtp_context *c);
/* No worker knows it any more. What it knows is remembered a while. */
void carry_leave(struct srtp_carry *t, const struct srtp_context *c);
/* No worker knows `c` yet. It knows then what the others of its key know. */
void carry_sources(const struct srtp_carry *t, struct srtp_context *c);

#endif
