/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer: REFER (RFC 3515, 3892), Replaces (RFC 3891), Target-Dialog (RFC 4538), relayed with all identifiers mapped, or carried out here
 * (`transfer = terminate` of the ip-profile of the side that would have to carry it out). */
#ifndef CONTROLPLANE_CALL_TRANSFER_H
#define CONTROLPLANE_CALL_TRANSFER_H

#include "controlplane/call_state.h"

void transfer_received(struct leg *leg, struct transaction *transaction, const struct message *refer);
/* NOTIFY of event "refer" within the call's dialog. False: it is about something else. */
bool transfer_notify_received(struct leg *leg, struct transaction *transaction, const struct message *notify);
/* An INVITE with Replaces: true if it has been taken over (answered, or joined to a call of ours); false: it names no dialog of
 * ours and goes on as any INVITE, without the header. */
bool transfer_replaces(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source);
void transfer_fini(struct call *call);

/* --- names of dialogs (call_dialog_name.c) --- */
/* A dialog as its user agent is to be told of it: Replaces, Target-Dialog, Join, bodies of dialog events. */
struct dialog_name {
	struct span call_id, to_tag,
		from_tag; /* to_tag: that of who receives the name (RFC 3891 section 3) */
	bool early_only;
};
/* The leg whose dialog is meant, in a name that a peer of `realm` has written; whether it is early is not looked at. Only on this shard.
 * Strictly in this order of tags: who does not know the sender's point of view asks again with the tags exchanged. NULL: none of ours,
 * or none of this realm. The other side's leg is call_peer() of it. */
struct leg *transfer_find_dialog(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name);
/* The name for the peer of `leg`; empty when that has no dialog (any more). Borrowed from the leg. */
void transfer_write_dialog(const struct leg *leg, struct dialog_name *out);

#endif
