/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls ended by order of the administrator. */
#include <string.h>

#include "controlplane/call_state.h"

/* In one go; the shard has other work. */
enum { HANGUP_PAGE = 200 };

static bool is_in_realm(const struct call *call, const char *realm)
{
	if (realm[0] == '\0')
		return true;
	for (unsigned side = 0; side < LEGS; side++)
		if (call->leg[side].realm && strcmp(call->leg[side].realm->name, realm) == 0)
			return true;
	return false;
}

static bool is_meant(const struct call *call, const struct cp_hangup *order)
{
	if (call->state == CALL_CANCELLING || call->state == CALL_ENDING || call->state == CALL_HANGUP ||
		call->state == CALL_OVER)
		return false;
	if (order->call)
		return call->id == order->call;
	return call->started_wall_ms <= order->until_wall_ms && is_in_realm(call, order->realm);
}

struct sweep {
	const struct cp_hangup *order;
	uint64_t after;
	uint32_t ended;
	bool more;
};

static void hang_up(struct call *call, void *arg)
{
	struct sweep *sweep = arg;

	if (sweep->more || call->id <= sweep->after)
		return;
	if (sweep->ended == HANGUP_PAGE) {
		sweep->more = true;
		return;
	}
	sweep->after = call->id;
	if (!is_meant(call, sweep->order))
		return;
	sweep->ended++;
	call_happens(call,
		&(struct call_event){
			.type = CALL_EVENT_BROKEN, .status = 480, .cause = "hung up by the administrator" });
}

uint32_t call_hang_up(struct shard *shard, const struct cp_hangup *order, uint64_t *after, bool *more)
{
	struct sweep sweep = { .order = order, .after = order->call ? order->call - 1 : *after };

	call_each(shard, hang_up, &sweep);
	*after = sweep.after;
	*more = sweep.more;
	return sweep.ended;
}
