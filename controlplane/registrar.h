/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER (RFC 3261 section 10.3) for a registrar behind us: relayed, answered from cache where that is safe, limited. A shard has the
 * addresses-of-record that its key picks (shard_route.c): all that concerns one of them happens on one thread. */
#ifndef CONTROLPLANE_REGISTRAR_H
#define CONTROLPLANE_REGISTRAR_H

#include "controlplane/location.h"
#include "controlplane/message.h"
#include "controlplane/transaction.h"

struct registrar; /* of one shard */

int registrar_open(
	struct shard *shard); /* 0 or -ENOMEM; takes over the shard's bindings from the location table */
void registrar_close(struct shard *shard);
void registrar_move(
	struct shard *shard, struct config_move *move); /* another configuration (reconfigure.h) */
/* There are bindings that location_serves() no more: this shard's are taken out, in its next ticks. */
void registrar_leave(struct shard *shard);

enum { REGISTRAR_AOR_MAX = 256 };
/* The address-of-record of a To's value: user@host, the user as sip_user_normal has it, host in lower case. The result is in `buffer`; empty
 * if there is none (no SIP URI, no user, too long, bytes that no URI has). */
struct span registrar_aor(struct span to, char buffer[REGISTRAR_AOR_MAX]);
/* The shard that it belongs to, whatever its host. */
unsigned registrar_shard(const struct shard *shard, struct span aor);

/* Before anything is kept of a REGISTER: 0 take it; or the status of a stateless refusal with *retry_after seconds (0: none);
 * TRANSACTION_SILENCE: silence. Rates of source flow, address-of-record, realm and registrar; fair among sources when the registrar's is used up. */
unsigned registrar_screen(
	struct shard *shard, const struct sip_flow *flow, const struct scan *request, unsigned *retry_after);
/* core.c's row for REGISTER. */
void registrar_received(struct shard *shard, struct transaction *transaction, const struct message *message,
	const struct config_session_agent *source);

/* Where a request for a registered phone goes (next-hop = registration): bindings of the token in its Route or request URI, or of the user
 * in the request URI, best first; references. 0: nobody, with *status: 480 who is known has no flow now, 404 unknown. */
size_t registrar_targets(struct shard *shard, const struct message *request, struct binding **out,
	size_t limit, unsigned *status);
/* Those of a user, as above. */
size_t registrar_targets_of(
	struct shard *shard, struct span user, struct binding **out, size_t limit, unsigned *status);
/* The flow of a binding in this shard; listener NULL: that listener is not there any more. */
struct sip_flow registrar_flow(struct shard *shard, const struct binding *binding);
/* A phone answered nothing on its flow (408 by Timer B), or its connection broke: it is there no longer until it registers or is heard again. */
void registrar_unreachable(struct shard *shard, struct binding *binding);

/* A connection has ended: whoever registered by it is there no longer until it registers by another one. */
void registrar_connection_lost(struct shard *shard, const struct sip_flow *flow);

/* The dataplane is there (again); `fresh`: it has forgotten whom to trust. */
void registrar_dataplane_up(struct shard *shard, bool fresh);

#endif
