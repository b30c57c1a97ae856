/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard: signs of scanning, guessing and fraud add up per flow and per source; steps follow: count, silence, denial in the dataplane
 * with growing time. Shared by all shards, striped locks, bounded tables; what it knows fades. Never denied by address: a configured
 * agent, a trusted prefix, or a host from which registered flows come (then only the one flow is). docs/decisions/0063-guard.md */
#ifndef CONTROLPLANE_GUARD_H
#define CONTROLPLANE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/location.h"
#include "controlplane/scan.h"
#include "controlplane/transport.h"

struct guard;

/* Signs: enum, name (log, `show guard`), weight in points, help. A limit is 100 points. */
/* clang-format off */
#define GUARD_SIGNS(X) \
	X(SCANNER_AGENT, "scanner-agent", 100, "User-Agent of guard.scanner-agents") \
	X(SCANNER_MARK, "scanner-mark", 50, "another mark of a known scanner: its tags, branches, Call-IDs, missing headers") \
	X(MALFORMED, "malformed", 20, "a message that the scan or the parser refused") \
	X(STRANGER, "stranger", 10, "a request outside of dialogs from who is neither registered nor an agent") \
	X(NO_DIALOG, "no-dialog", 10, "a request within a dialog that there is not") \
	X(UNKNOWN_USER, "unknown-user", 15, "REGISTER or call for a user that does not exist") \
	X(BAD_PASSWORD, "bad-password", 0, "credentials that were refused: 100 / guard.failures-per-minute points") \
	X(SWEEP, "sweep", 30, "one more of many different users from one source") \
	X(FORBIDDEN, "forbidden", 20, "a call to a destination that admission forbids") \
	X(OVER_RATE, "over-rate", 5, "REGISTER above the rates of registration")
/* clang-format on */

enum guard_sign {
#define X(id, name, weight, help) GUARD_##id,
	GUARD_SIGNS(X)
#undef X
		GUARD_SIGN_COUNT
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_SILENT, /* no answer at all: nothing may tell this source that SIP lives here */
};

/* `ban` is called, on whatever thread, for each denial: the owner (main thread) brings it to the dataplane and the store. */
struct guard *guard_new(const struct config *config, struct location *location,
	void (*ban)(void *arg, const struct dp_ban *ban, const char *why), void *arg);
void guard_free(struct guard *guard); /* NULL is fine */

/* Before anything is kept of a request outside of dialogs: one look-up. `guard` NULL passes. */
enum guard_verdict guard_look(struct guard *guard, const struct sip_flow *flow, const struct scan *request);
/* Something was seen. `user`: whom it was about (sweeps, failures per address-of-record); may be empty. `request` for the reasons that
 * `show block` tells; may be NULL. What the source gets from now on. */
enum guard_verdict guard_note(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	struct span user, const struct scan *request);
/* A registrar or an agent accepted this flow: what was a typing error is forgotten, by half. */
void guard_good(struct guard *guard, const struct sip_flow *flow, struct span user);

#endif
