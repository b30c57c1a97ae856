/* SPDX-License-Identifier: BSD-3-Clause */
/* The implicit subscriptions of a call's REFERs (RFC 3515 section 2.4.4) when the call has ended and who was referred has not: they go on in
 * the same dialogs (RFC 5057 section 4.2), now a pair of subscriptions like any other. docs/decisions/0053-transfer.md */
#include <errno.h>
#include <string.h>

#include "controlplane/request_relay_internal.h"
#include "controlplane/subscription_internal.h"

/* BYE of the call is on its way, and may come again with credentials: its numbers are below ours. */
enum { NUMBERS_LEFT_TO_THE_CALL = 8 };

/* --- beginning ---------------------------------------------------------------------------------------------------------------- */

static int take_dialog(struct subscription *subscription, unsigned side, const struct leg *leg)
{
	struct leg *own = &subscription->leg[side];
	int error = leg_early(own, leg);

	own->side = side;
	own->subscription = subscription;
	own->local_cseq = leg->local_cseq + NUMBERS_LEFT_TO_THE_CALL;
	own->remote_cseq = leg->remote_cseq;
	return error;
}

static bool is_telling(const struct request_relay *relay, const struct leg *referrer)
{
	return relay->method == SIP_METHOD_NOTIFY && relay->to == referrer;
}

static bool is_being_told(const struct leg *referrer, const struct leg *far)
{
	for (const struct request_relay *relay = far->asking; relay; relay = relay->next_asking)
		if (is_telling(relay, referrer))
			return true;
	return false;
}

static void take_notifies(
	struct subscription *subscription, const struct leg *referrer, const struct leg *far)
{
	struct request_relay *next;

	for (struct request_relay *relay = far->asking; relay; relay = next) {
		next = relay->next_asking;
		if (!is_telling(relay, referrer))
			continue;
		relay_move(relay, &subscription->leg[LEG_CALLED], &subscription->leg[LEG_CALLER]);
		subscription_tells(subscription, relay);
	}
}

int subscription_outlive(const struct leg *referrer, const struct leg *far,
	const struct subscription_refer *refers, size_t count, uint64_t seconds)
{
	struct subscription *subscription;
	int error;

	if (count == 0 && !is_being_told(referrer, far))
		return 0;
	error = subscription_new(
		referrer->shard, &referrer->flow.remote, referrer->agent != NULL, &subscription);
	if (error == -ENOBUFS)
		shard_count(referrer->shard, SUBSCRIPTIONS_LIMIT);
	if (error)
		return error;
	memcpy(subscription->package, "refer", sizeof("refer"));
	subscription->is_refer = subscription->is_fork = true;
	subscription->answered = subscription->notified = true;
	memcpy(subscription->refers, refers, count * sizeof(*refers));
	subscription->refer_count = count;
	subscription->over = count == 0;
	subscription->granted = seconds;
	if (take_dialog(subscription, LEG_CALLER, referrer) || take_dialog(subscription, LEG_CALLED, far)) {
		subscription_free(subscription);
		return -ENOMEM;
	}
	subscription_insert(subscription);
	subscription_lasts(subscription, seconds);
	shard_count(referrer->shard, SUBSCRIPTIONS);
	take_notifies(subscription, referrer, far);
	return 0;
}

/* --- which one ---------------------------------------------------------------------------------------------------------------- */

struct subscription_refer *subscription_refer_find(
	struct subscription *subscription, unsigned by, struct span id)
{
	uint64_t number = 0;

	if (id.n && span_to_uint(id, UINT32_MAX, &number))
		return NULL;
	for (size_t i = 0; i < subscription->refer_count; i++) {
		struct subscription_refer *one = &subscription->refers[i];

		if (!id.n || number == (by == LEG_CALLER ? one->id : one->far_id))
			return one;
	}
	return NULL;
}

bool subscription_refer_ends(struct subscription *subscription, struct subscription_refer *refer)
{
	*refer = subscription->refers[--subscription->refer_count];
	return subscription->refer_count == 0;
}
