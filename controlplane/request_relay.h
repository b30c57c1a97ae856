/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are relayed one by one: INFO, MESSAGE, PUBLISH, NOTIFY and REFER within a call, OPTIONS within a call; and those outside of
 * calls, routed by local-policy. Each is written anew for the other side; its final response comes back. */
#ifndef CONTROLPLANE_REQUEST_RELAY_H
#define CONTROLPLANE_REQUEST_RELAY_H

#include "controlplane/call_state.h"
#include "controlplane/hide.h"

/* Within a call: to the other leg's dialog. Takes the transaction over. `extra`: complete header lines of the caller's own (Refer-To
 * mapped, Event ...). `done`, may be NULL: told the final status before it is passed on. */
void request_relay(struct leg *from, struct transaction *transaction, const struct message *request,
	enum hide_kind kind, struct span extra, void (*done)(struct leg *from, unsigned status, void *arg),
	void *arg);
/* A request of our own within a dialog, e.g. NOTIFY. `done` may be NULL. 0 or -errno. */
int request_send(struct leg *leg, enum sip_method method, struct span extra, struct span content_type,
	struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg);
/* Outside of dialogs: MESSAGE, PUBLISH, and SUBSCRIBE, which begins a pair of dialogs (subscription.c). */
void request_route(struct shard *shard, struct transaction *transaction, const struct message *request,
	const struct config_session_agent *source);
/* What is under way for a leg that goes: its senders get 487/481. */
void request_relay_abort(struct leg *leg);

#endif
