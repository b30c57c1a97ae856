/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard: signs of scanning, guessing and fraud add up per flow and per source; steps follow: count, silence, denial in the dataplane
 * with growing time. Shared by all shards, striped locks, bounded tables; what it knows fades. Never denied by address: a configured
 * agent, a trusted prefix, or a host from which registered flows come (then only the one flow is). docs/decisions/0063-guard.md
 *
 * All functions: any thread, but where there is a flow that of its shard, which knows the agents' addresses; a NULL guard lets everybody
 * pass. */
#ifndef CONTROLPLANE_GUARD_H
#define CONTROLPLANE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/api.h"
#include "controlplane/location.h"
#include "controlplane/scan.h"
#include "controlplane/transport.h"
#include "dataplane/api.h"

struct guard;

/* Signs and their weights: api.h. */
enum guard_sign {
#define X(id, name, weight, help) GUARD_##id,
	CP_GUARD_SIGNS(X)
#undef X
		GUARD_SIGN_COUNT
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_SILENT, /* no answer at all: nothing may tell this source that SIP lives here */
};

/* `deny` is called, on whatever thread, for each denial: the owner brings it to the dataplane and the store (bans_deny). `location` may
 * be NULL: nobody is registered. NULL: no memory. */
struct guard *guard_new(const struct config *config, struct location *location,
	void (*deny)(void *arg, const struct dp_ban *ban, bool proven), void *arg);
/* As reconfigure.h says. What is known of sources and registrars stays. NULL is fine. */
int guard_prepare(struct guard *guard, const struct config_move *move); /* 0 or -ENOMEM */
void guard_abort(struct guard *guard);
void guard_move(struct guard *guard, const struct config_move *move);
void guard_settle(struct guard *guard);
void guard_free(struct guard *guard); /* NULL is fine */
void guard_set_clock(struct guard *guard, uint64_t (*now_ms)(void)); /* for tests; else clock_now_ms */

/* Before anything is kept of a request outside of dialogs. Looks for marks of scanners, too. */
enum guard_verdict guard_look(struct guard *guard, const struct sip_flow *flow, const struct scan *request);
/* Something was seen. `user`: whom it was about (sweeps, failures per user); may be empty: that of To. `request` for the reasons that
 * `show block` tells; may be NULL. What the source gets from now on. */
enum guard_verdict guard_note(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	struct span user, const struct scan *request);
/* guard_note for a request that is about to be refused statelessly: `status`, or TRANSACTION_SILENCE if its source is not to hear
 * anything: a stranger, with guard.silent = yes, or one whom the guard has silenced. */
unsigned guard_refuse(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	const struct scan *request, unsigned status);
/* A registrar or an agent accepted this flow: what was a typing error is forgotten, by half. */
void guard_good(struct guard *guard, const struct sip_flow *flow);
/* Neither registered, nor an agent, nor in a trusted realm or network. */
bool guard_is_stranger(struct guard *guard, const struct sip_flow *flow);

/* --- challenges: a source that answers one has received it ------------------------------------------------------------- */
/* A challenge (value of WWW- or Proxy-Authenticate) with our seal in its opaque; of other schemes as it is. */
void guard_seal(
	const struct guard *guard, const struct sip_flow *flow, struct span challenge, struct writer *out);
/* Credentials as they are for whom made the challenge: without the seal, whoever's; what else is in them stays. */
void guard_unseal(struct span credentials, struct writer *out);
/* `challenge`, not sealed, goes to this flow, from `agent` (NULL: of our own). */
void guard_challenged(struct guard *guard, const struct sip_flow *flow,
	const struct config_session_agent *agent, struct span challenge);
/* The value of a challenge, not sealed, as that agent makes them, which nobody can answer: who asks for a user that does not exist gets one, and cannot
 * tell him from a user whose password he does not know. */
void guard_challenge_like(struct guard *guard, const struct config_session_agent *agent, struct writer *out);

/* --- for people -------------------------------------------------------------------------------------------------------- */
/* An order lets this source in again. */
void guard_forgive(struct guard *guard, const struct dp_source_key *key);
/* Those with points, from place `after` on (0: the beginning), at most `limit`; *next: where to go on, 0: that was all. */
size_t guard_list(struct guard *guard, uint64_t after, size_t limit, struct cp_guard *out, uint64_t *next);
/* What led to it: as block_list, with a sign as `counter`. */
size_t guard_reasons(struct guard *guard, const struct prefix *source, uint64_t before, size_t limit,
	struct cp_block *out, bool *more);

#endif
