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

/* A dialog's identifiers as one side knows them, and as the other side of the same call does. For Replaces, Target-Dialog, dialog
 * event bodies, In-Reply-To, Join. */
struct dialog_name {
	struct span call_id, to_tag,
		from_tag; /* as in Replaces: the tags from the point of view of who receives it */
	bool early_only;
};
/* On this shard. `name` as a peer of `leg`'s realm wrote it; *other: the leg on the other side. NULL: none of ours. */
struct leg *transfer_find_dialog(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name);
void transfer_write_dialog(const struct leg *leg, struct dialog_name *out);

#endif
