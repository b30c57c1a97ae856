/* SPDX-License-Identifier: BSD-3-Clause */
/* Branches of a call beside its callee: legs with an INVITE each, but without a dialog until they become the callee. */
#include "controlplane/call_parallel.h"

#include <stddef.h>
#include <stdlib.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/registrar.h"
#include "controlplane/request_relay.h"

struct call_branch {
	struct call_branch *next;
	struct leg leg;
	unsigned target; /* whose it is: the place in the list of attempts */
};

static struct call_branch *branch_of(struct leg *leg)
{
	return (struct call_branch *)(void *)((char *)leg - offsetof(struct call_branch, leg));
}

/* The caller is told one offer, and the ports for its answer are those of one realm: who is elsewhere is asked afterwards. */
static bool is_beside(const struct call_attempts *attempts, unsigned a, unsigned b)
{
	const struct attempt_target *one = &attempts->target[a], *other = &attempts->target[b];

	return one->binding && other->binding && one->policy == other->policy &&
	       one->binding->q == other->binding->q &&
	       one->binding->interface->realm == other->binding->interface->realm &&
	       one->binding->interface->ip_profile == other->binding->interface->ip_profile &&
	       one->binding->flow.remote.sa.sa_family == other->binding->flow.remote.sa.sa_family;
}

bool parallel_is(const struct call *call)
{
	const struct call_attempts *attempts = call->attempts;
	unsigned at = attempts ? attempts->at : 0;

	if (!attempts || at >= attempts->count || call->carry)
		return false;
	return attempts->branches || (at > 0 && is_beside(attempts, at, at - 1)) ||
	       (at + 1 < attempts->count && is_beside(attempts, at, at + 1));
}

/* --- ends ------------------------------------------------------------------------------------------------------------- */

static void take_out(struct call *call, struct call_branch *branch)
{
	struct call_branch **at = &call->attempts->branches;

	while (*at != branch)
		at = &(*at)->next;
	*at = branch->next;
}

static void branch_free(struct call_branch *branch, struct span reason)
{
	if (branch->leg.client_invite)
		attempt_abandon(&branch->leg, reason);
	leg_fini(&branch->leg);
	free(branch);
}

void parallel_end(struct call *call, struct span reason)
{
	while (call->attempts && call->attempts->branches) {
		struct call_branch *branch = call->attempts->branches;

		call->attempts->branches = branch->next;
		branch_free(branch, reason);
	}
}

/* Out of the game, and why. */
static void refused(struct call_branch *branch, const struct call_event *event)
{
	struct call *call = branch->leg.call;

	take_out(call, branch);
	attempt_remember(call, event);
	if (branch->leg.client_invite)
		transaction_detach(branch->leg.client_invite);
	branch->leg.client_invite = NULL;
	branch_free(branch, (struct span){ NULL, 0 });
}

/* --- the callee's place ------------------------------------------------------------------------------------------------- */

static const struct transaction_events branch_events;

/* The branch becomes the callee, and the callee a branch; one without an INVITE under way is gone. Early dialogs of the callee end, the
 * caller's stay. */
static void change_places(struct call_branch *branch)
{
	struct media_party party;
	struct call *call = branch->leg.call;
	struct leg *callee = &call->leg[LEG_CALLED], before;
	unsigned target = call->attempts->at;

	exchange_abort(call);
	call_forks_stale(call);
	call_tag_remove(&call->tag[LEG_CALLED]);
	request_relay_abort(callee);
	session_timer_stop(callee);
	before = *callee;
	*callee = branch->leg;
	branch->leg = before;
	call->attempts->at = branch->target;
	branch->target = target;
	call_tag_insert(&call->tag[LEG_CALLED], callee, callee->local_tag);
	invite_adopt(callee);
	party = call_party(callee);
	media_set_party(call->media, LEG_CALLED, &party);
	if (branch->leg.client_invite) {
		transaction_attach(branch->leg.client_invite, &branch_events, &branch->leg);
		return;
	}
	take_out(call, branch);
	branch_free(branch, (struct span){ NULL, 0 });
}

bool parallel_go_on(struct call *call)
{
	if (!call->attempts || !call->attempts->branches)
		return false;
	change_places(call->attempts->branches);
	call->state = CALL_PROCEEDING;
	call_timer_arm(call, call->shard->config->sip.timer_c_ms);
	return true;
}

/* --- what the transactions report ----------------------------------------------------------------------------------------- */

static bool has_early_media(const struct call *call)
{
	for (const struct call_fork *fork = call->forks; fork; fork = fork->next)
		if (fork->leg[LEG_CALLED] && fork->answer)
			return true;
	return false;
}

/* The caller is shown one branch until it has refused: the first, or the first with early media. */
static void progress(struct call_branch *branch, const struct call_event *event)
{
	struct call *call = branch->leg.call;

	if (call->forks && (call_sdp(event->message).n == 0 || has_early_media(call)))
		return;
	change_places(branch);
	call_happens(call, event);
}

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	struct call *call = leg->call;
	struct call_event event = { .type = CALL_EVENT_REJECT,
		.side = LEG_CALLED,
		.status = message_scan(response)->status,
		.message = response,
		.transaction = transaction };

	if (event.status <= 100)
		return;
	statistics_response(leg, event.status);
	if (event.status < 200) {
		event.type = CALL_EVENT_PROVISIONAL;
		if (call->state == CALL_PROCEEDING)
			progress(branch_of(leg), &event);
	} else if (event.status < 300 && call->state != CALL_PROCEEDING) {
		bye_fork(leg, transaction, response);
	} else if (event.status < 300 || event.status >= 600) {
		/* All the others are cancelled for it (RFC 3261 section 16.7 points 5 and 10). */
		event.type = event.status < 300 ? CALL_EVENT_ANSWER : CALL_EVENT_REJECT;
		change_places(branch_of(leg));
		call_happens(call, &event);
	} else {
		event.cause = "refused";
		if (!message_is_parsed(response)) {
			event.type = CALL_EVENT_FAILED;
			event.status = 502;
			event.message = NULL;
		}
		refused(branch_of(leg), &event);
	}
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;
	struct call_branch *branch = branch_of(leg);
	struct call_attempts *attempts = leg->call->attempts;

	(void)transaction;
	leg->client_invite = NULL;
	if (how == TRANSACTION_SHUTDOWN)
		return;
	registrar_unreachable(leg->shard, attempts->target[branch->target].binding);
	refused(branch, &(struct call_event){ .type = CALL_EVENT_FAILED,
				.side = LEG_CALLED,
				.status = 480,
				.cause = "no response" });
}

static const struct transaction_events branch_events = { .response = on_response, .ended = on_ended };

/* --- beginning ---------------------------------------------------------------------------------------------------------- */

static void branch_begin(struct call *call, unsigned target)
{
	struct call_branch *branch = calloc(1, sizeof(*branch));
	struct leg *leg;

	if (!branch)
		return;
	leg = &branch->leg;
	leg->call = call;
	leg->shard = call->shard;
	leg->side = LEG_CALLED;
	branch->target = target;
	if (attempt_phone_leg(call, leg, call->attempts->target[target].binding) ||
		invite_send_to(call, leg, &branch_events)) {
		branch_free(branch, (struct span){ NULL, 0 });
		return;
	}
	branch->next = call->attempts->branches;
	call->attempts->branches = branch;
}

void parallel_begin(struct call *call)
{
	struct call_attempts *attempts = call->attempts;

	if (!parallel_is(call))
		return;
	/* A second INVITE to the callee, with what it has asked for, is no second round for the others. */
	for (unsigned i = attempts->asked + 1; i < attempts->count && is_beside(attempts, attempts->at, i);
		i++) {
		attempts->asked = i;
		branch_begin(call, i);
	}
}

void parallel_move(struct call_attempts *attempts, struct config_move *move)
{
	for (struct call_branch *branch = attempts->branches; branch; branch = branch->next)
		leg_move(&branch->leg, move);
}
