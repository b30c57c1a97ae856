/* SPDX-License-Identifier: BSD-3-Clause */
/* INVITE with Replaces (RFC 3891): passed on under the dialog's other name to a peer that knows it, or carried out here: the caller takes
 * the place of a leg of ours, which is hung up. docs/decisions/0053-transfer.md */
#include "controlplane/call_exchange.h"
#include "controlplane/call_transfer_internal.h"
#include "controlplane/core.h"
#include "controlplane/hide.h"
#include "controlplane/route.h"

static bool leads_to(const struct config_local_policy *policy, const struct config_realm *realm)
{
	if (policy->next_hop == CONFIG_NEXT_HOP_AGENT)
		return policy->agent && policy->agent->realm == realm;
	if (policy->next_hop == CONFIG_NEXT_HOP_GROUP)
		return policy->group->agent_count && policy->group->agents[0]->realm == realm;
	return false;
}

/* The INVITE goes to the side that has the other end of the dialog, and that side can do it itself. */
static bool is_for_peer(
	const struct leg *peer, const struct message *invite, const struct config_realm *realm)
{
	const struct config_local_policy *policy;
	struct sip_uri uri, from_uri = { 0 };
	struct name_addr from;
	struct span user = { NULL, 0 };

	if (!peer || peer->gone || !leg_peer_supports(peer, SIP_OPTION_REPLACES) ||
		message_request_uri(invite, &uri) || message_from(invite, &from))
		return false;
	if (sip_uri_parse(from.uri, &from_uri) == 0)
		user = hide_user(&from_uri);
	return route_find(peer->shard->config, realm, user, hide_user(&uri), &policy) == 0 &&
	       leads_to(policy, peer->realm);
}

/* 0 or the status of RFC 3891 section 3. */
static unsigned admit(const struct leg *replaced, const struct leg *remaining, bool early_only,
	const struct config_session_agent *source)
{
	const struct call *call = replaced->call;

	/* Who is not one of the agent's own may not take its calls (section 5). */
	if (replaced->agent && replaced->agent != source)
		return 403;
	if (call->state > CALL_ESTABLISHED || call->state == CALL_HANGUP || remaining->gone)
		return 603;
	/* An early dialog can be replaced by who has begun it: that is us on the callee's side. */
	if (call->state <= CALL_PROCEEDING)
		return replaced->side == LEG_CALLED ? 0 : 481;
	if (early_only)
		return 486;
	if (call->state != CALL_ESTABLISHED)
		return 491;
	return exchange_is_under_way(call) || transfer_is_moving(call) ? 491 : 0;
}

static bool refuse(struct transaction *transaction, unsigned status)
{
	core_reply(transaction, status, (struct span){ NULL, 0 });
	return true;
}

bool transfer_replaces(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source)
{
	const struct config_realm *realm = listener_interface(message_flow(invite)->listener)->realm;
	struct leg *named, *other, *replaced, *remaining;
	struct dialog_name name;
	struct span value, second;
	unsigned status;
	bool turned;

	if (!message_header(invite, SPAN("Replaces"), 0, &value))
		return false;
	if (message_header(invite, SPAN("Replaces"), 1, &second) || !dialog_name_parse(value, &name))
		return refuse(transaction, 400);
	named = dialog_find(shard, realm, &name, &turned);
	/* It was one of ours, or is none: then the header is left out, and the call goes on (section 3 asks a user agent for 481, but
	 * who is called here may not be the one that is meant). */
	if (!named)
		return shard_of_token(name.to_tag, shard->count) >= 0 && refuse(transaction, 481);
	/* RFC 3911 section 4: one or the other. */
	if (message_header(invite, SPAN("Join"), 0, &second))
		return refuse(transaction, 400);
	other = call_peer(named);
	if (!turned && is_for_peer(other, invite, realm))
		return false;
	replaced = turned ? other : named;
	remaining = turned ? named : other;
	status = replaced && remaining ? admit(replaced, remaining, name.early_only, source) : 481;
	if (!status && replaced->call->state == CALL_PROCEEDING) {
		status = transfer_pick_up(replaced->call, transaction, invite, source);
		return status ? refuse(transaction, status) : true;
	}
	if (status)
		return refuse(transaction, status);
	call_start_instead(shard, transaction, invite, source, remaining);
	return true;
}
