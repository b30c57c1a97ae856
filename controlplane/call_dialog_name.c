/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of dialogs: what a peer calls a dialog of ours, and what the peer on the other side calls it. */
#include "controlplane/call_transfer.h"

struct leg *transfer_find_dialog(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name)
{
	struct scan request = {
		.call_id = name->call_id, .to_tag = name->to_tag, .from_tag = name->from_tag
	};
	struct leg *leg;

	if (name->call_id.n == 0 || name->to_tag.n == 0 || name->from_tag.n == 0)
		return NULL;
	leg = call_find_leg(shard, &request);
	/* What is known of it on one side is worth nothing on the other. */
	return leg && leg->realm == realm && !leg->gone ? leg : NULL;
}

void transfer_write_dialog(const struct leg *leg, struct dialog_name *out)
{
	*out = (struct dialog_name){ .early_only = false };
	if (!leg->call_id || !leg->remote_tag || leg->gone)
		return;
	out->call_id = span_from(leg->call_id);
	out->to_tag = span_from(leg->remote_tag);
	out->from_tag = span_from(leg->local_tag);
}
