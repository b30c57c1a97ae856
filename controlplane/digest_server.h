/* SPDX-License-Identifier: BSD-3-Clause */
/* Digest authentication by this box itself (RFC 3261 section 22, RFC 7616, RFC 8760): users and passwords are the store's. A nonce says by
 * itself when and for whom it was made; only how often it was used is remembered, in a table of fixed size. Any thread.
 * docs/decisions/0061-store.md */
#ifndef CONTROLPLANE_DIGEST_SERVER_H
#define CONTROLPLANE_DIGEST_SERVER_H

#include "config/move.h"
#include "controlplane/scan.h"
#include "controlplane/store.h"
#include "controlplane/transport.h"

struct digest_server;

/* `store` may be NULL: nobody has a password. NULL: no memory. */
struct digest_server *digest_server_new(const struct config *config, struct store *store);
void digest_server_move(
	struct digest_server *server, const struct config_move *move); /* nonces stay; NULL is fine */
void digest_server_free(struct digest_server *server); /* NULL is fine */
void digest_server_set_clock(struct digest_server *server, uint64_t (*wall_ms)(void)); /* for tests */

enum digest_verdict {
	DIGEST_RIGHT,
	DIGEST_MISSING, /* no credentials for this realm: challenge */
	DIGEST_EXPIRED, /* right, but the nonce is old or was used before: challenge with stale=true */
	DIGEST_WRONG, /* another user, a wrong password, a nonce that is not ours, or malformed: challenge, and a sign for the guard */
};

/* `aor`: user@host whose password it must be; the host is the realm. `proxy`: Proxy-Authorization instead of Authorization. As long for a
 * user that there is not. */
enum digest_verdict digest_server_check(struct digest_server *server, const struct sip_flow *flow,
	const struct scan *request, struct span aor, bool proxy);

enum { DIGEST_SERVER_CHALLENGES = 2 };
/* The value of the n-th WWW- or Proxy-Authenticate line, n < DIGEST_SERVER_CHALLENGES, the stronger algorithm first (RFC 8760 section 2.3). */
void digest_server_challenge(struct digest_server *server, const struct sip_flow *flow, struct span aor,
	unsigned n, bool stale, struct writer *out);

#endif
