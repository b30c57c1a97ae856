/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls and subscriptions that hold on to a listener which is not in the configuration any more. */
#include "controlplane/call_state.h"
#include "controlplane/subscription.h"

struct users {
	const struct listener *listener;
	bool found;
};

static bool is_by(const struct leg *leg, const struct listener *listener)
{
	return leg->flow.listener == listener;
}

static bool call_is_by(const struct call *call, const struct listener *listener)
{
	for (unsigned side = 0; side < LEGS; side++)
		if (is_by(&call->leg[side], listener))
			return true;
	for (const struct call_fork *fork = call->forks; fork; fork = fork->next)
		for (unsigned side = 0; side < LEGS; side++)
			if (is_by(&fork->own[side], listener))
				return true;
	return false;
}

static void look(struct call *call, void *arg)
{
	struct users *users = arg;

	users->found = users->found || call_is_by(call, users->listener);
}

bool call_uses_listener(struct shard *shard, const struct listener *listener)
{
	struct users users = { .listener = listener };

	if (shard->subscriptions && subscription_uses_listener(shard, listener))
		return true;
	if (shard->calls)
		call_each(shard, look, &users);
	return users.found;
}

static void hang_up(struct call *call, void *arg)
{
	if (call->state == CALL_CANCELLING || call->state == CALL_ENDING || call->state == CALL_HANGUP ||
		call->state == CALL_OVER || !call_is_by(call, arg))
		return;
	call_happens(call,
		&(struct call_event){ .type = CALL_EVENT_BROKEN,
			.status = 480,
			.cause = "where it is spoken is not configured any more, and drain-time is over" });
}

void call_hang_up_listener(struct shard *shard, struct listener *listener)
{
	if (shard->calls)
		call_each(shard, hang_up, listener);
}
