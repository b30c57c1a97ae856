/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls go on under another configuration: all that points into the one before. */
#include "controlplane/call_attempt.h"
#include "controlplane/call_parallel.h"
#include "controlplane/call_transfer.h"
#include "controlplane/secret.h"

static void target_move(struct attempt_target *target, struct config_move *move)
{
	config_move_session_agent(move, &target->agent);
	config_move_local_policy(move, &target->policy);
	config_move_session_group(move, &target->group);
	if (target->binding)
		binding_move(target->binding, move);
}

static void attempts_move(struct call_attempts *attempts, struct config_move *move)
{
	for (unsigned i = 0; i < attempts->count; i++)
		target_move(&attempts->target[i], move);
	parallel_move(attempts, move);
}

static void call_move(struct call *call, void *arg)
{
	struct config_move *move = arg;

	for (unsigned side = 0; side < LEGS; side++)
		leg_move(&call->leg[side], move);
	for (struct call_fork *fork = call->forks; fork; fork = fork->next)
		for (unsigned side = 0; side < LEGS; side++)
			leg_move(&fork->own[side], move);
	if (call->media)
		media_move(call->media, move);
	config_move_local_policy(move, &call->policy);
	if (call->attempts)
		attempts_move(call->attempts, move);
	transfer_move(call, move);
}

void call_layer_move(struct shard *shard, struct config_move *move)
{
	const struct config *next = config_move_to(move);

	for (size_t i = 0; i < next->ip_profiles_count; i++)
		if (next->ip_profiles[i].media_security != CONFIG_MEDIA_SECURITY_NONE)
			secret_open();
	attempt_late_move(shard, move);
	if (shard->calls)
		call_each(shard, call_move, move);
}
