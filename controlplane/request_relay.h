/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are relayed one by one: INFO, MESSAGE, PUBLISH, NOTIFY and REFER within a call, and those outside of dialogs, routed by
 * local-policy. Each is written anew for the other side; its final response comes back, 408 if there is none in time. */
#ifndef CONTROLPLANE_REQUEST_RELAY_H
#define CONTROLPLANE_REQUEST_RELAY_H

#include "controlplane/call_state.h"
#include "controlplane/hide.h"

struct request_relay;

/* Within a call: to the other leg's dialog, with a Contact where the method has one. Takes the transaction over. `extra`: complete
 * header lines of the caller's own (Refer-To mapped, Event ...), `content_type` and `body` likewise, both may be empty: nothing of the
 * request's body crosses by itself. `done`, may be NULL: told the final status before it is passed on; once, but not
 * when one of the legs goes, or the call hangs up. */
void request_relay(struct leg *from, struct transaction *transaction, const struct message *request,
	enum hide_kind kind, struct span extra, struct span content_type, struct span body,
	void (*done)(struct leg *from, unsigned status, void *arg), void *arg);
/* A request of our own within a dialog, e.g. NOTIFY. `done` may be NULL; else called once (408, 503 without a response, which is NULL
 * then), but not for a leg that goes. 0 or -errno. */
int request_send(struct leg *leg, enum sip_method method, struct span extra, struct span content_type,
	struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg);
/* The same also to a peer that has hung up: a subscription of its dialog goes on (RFC 5057 section 4.2). */
int request_notify(struct leg *leg, struct span extra, struct span content_type, struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg);
/* INFO within a call: RFC 6086 by sip-config.info-packages, or one of the older kinds, written anew. */
void request_relay_info(struct leg *from, struct transaction *transaction, const struct message *request);
/* MESSAGE within a call (RFC 3428). */
void request_relay_message(struct leg *from, struct transaction *transaction, const struct message *request);
/* Outside of dialogs: MESSAGE, PUBLISH (RFC 3903), unsolicited NOTIFY, and SUBSCRIBE, which begins a pair of dialogs (subscription.c). */
void request_route(struct shard *shard, struct transaction *transaction, const struct message *request,
	const struct config_session_agent *source);
/* What is under way for a leg that goes, as asker or asked: who waits for an answer gets 487, or 481. By leg_fini; also by whoever moves
 * a leg elsewhere. */
void request_relay_abort(struct leg *leg);
void request_relay_layer_move(
	struct shard *shard, struct config_move *move); /* another configuration (reconfigure.h) */

#endif
