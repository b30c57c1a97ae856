/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer: REFER (RFC 3515, 3892), Replaces (RFC 3891), Target-Dialog (RFC 4538), relayed with all identifiers mapped, or carried out here
 * (`transfer = terminate` of the ip-profile of the side that would have to carry it out). */
#ifndef CONTROLPLANE_CALL_TRANSFER_H
#define CONTROLPLANE_CALL_TRANSFER_H

#include "controlplane/call_state.h"

/* REFER within a call. Takes the transaction over. */
void transfer_received(struct leg *leg, struct transaction *transaction, const struct message *refer);
/* NOTIFY of event "refer" within the call's dialog. False: it is about something else. */
bool transfer_notify_received(struct leg *leg, struct transaction *transaction, const struct message *notify);
/* SUBSCRIBE that prolongs or ends the subscription of a REFER. False: it is about something else. */
bool transfer_subscribe_received(
	struct leg *leg, struct transaction *transaction, const struct message *subscribe);
/* What a NOTIFY of event "refer" says, in our words: the status line alone (RFC 3515 section 2.4.5). False: nothing that could be said. */
bool transfer_write_fragment(const struct message *notify, struct writer *out);
/* An INVITE with Replaces (RFC 3891): true if it has been taken over: refused, or it takes the place of a leg of ours here. False: it
 * goes on as any INVITE, without the header or, if the other side knows that dialog, with its name there. */
bool transfer_replaces(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source);
void transfer_fini(struct call *call);
void transfer_move(struct call *call, struct config_move *move); /* another configuration (reconfigure.h) */

/* --- hooks of the call files; call->transfer or call->carry is set --- */
/* The leg of a new call with the dialog of `leg`, whose peer does not know of it: it becomes the leg itself when the new call is joined.
 * 0 or -errno. */
int transfer_shadow(struct call *made, unsigned side, struct leg *leg);
/* A leg of this call is about to go to another one: no offers meanwhile. */
bool transfer_is_moving(const struct call *call);
/* One of its legs still belongs to another call. */
bool transfer_has_shadow(const struct call *call);
/* BYE: true if it was the referrer's, who has hung up before the end; the call goes on until then. */
bool transfer_keeps(struct call *call, const struct call_event *event);
void transfer_abort(struct call *call); /* the call ends */
/* Before that: what the other side has been referred to is told all the same (subscription_outlive). */
void transfer_outlive(struct call *call);
/* What the INVITE of a call without one of a caller's is made of. */
const struct message *transfer_invite(const struct call *call);
/* The same, if other targets may be tried: fail-over, redirections; else NULL. */
const struct message *transfer_source(const struct call *call);
/* The realm in which numbers of the new party mean what they say: that of who has named it. */
const struct leg *transfer_referrer(const struct call *call); /* who pays for it */
const struct config_realm *transfer_realm(const struct call *call);
/* Provisional responses of the new party: true if nobody but the referrer is told. */
bool transfer_progress(struct call *call, const struct call_event *event);
/* The callee's leg is another call's yet: its 2xx. */
bool transfer_confirm(struct call *call, const struct message *answer, int *result);
/* The new party's offer is here: to the remaining one, if that has not called itself. */
bool transfer_offer(struct call *call);
/* In the INVITE to the callee: the dialog that it replaces there. */
void transfer_write_replaces(const struct call *call, struct writer *out);
/* Before the INVITE to the callee: in its dialog, if it has one. */
void transfer_number(struct call *call, unsigned side);
void transfer_join(struct call *call); /* the caller's ACK: shadows become legs */

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
