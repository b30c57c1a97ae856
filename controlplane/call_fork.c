/* SPDX-License-Identifier: BSD-3-Clause */
/* Early dialogs of a call (RFC 3261 section 12.1): one for each branch that the callee's side forks to, each shown to the caller
 * under a tag of its own; and what becomes of them when one is answered. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_state.h"
#include "controlplane/secret.h"

/* --- making ----------------------------------------------------------------------------------------------------------- */

/* The first branch has the legs of the call itself: who does not fork pays for no second set. */
static int take_callee(struct call_fork *fork, const struct message *response)
{
	struct leg *leg = &fork->call->leg[LEG_CALLED];

	if (!leg->remote_tag) {
		fork->leg[LEG_CALLED] = leg;
		return message_scan(response)->to_tag.n ? leg_take_response(leg, response) : 0;
	}
	fork->leg[LEG_CALLED] = &fork->own[LEG_CALLED];
	return leg_fork(fork->leg[LEG_CALLED], leg, response);
}

static int take_caller(struct call_fork *fork)
{
	struct leg *leg = &fork->call->leg[LEG_CALLER], *own = &fork->own[LEG_CALLER];
	int error;

	if (fork->call->fork_count == 0) {
		fork->leg[LEG_CALLER] = leg;
		return 0;
	}
	fork->leg[LEG_CALLER] = own;
	error = leg_early(own, leg);
	shard_token(leg->shard, own->local_tag);
	if (error == 0)
		call_tag_insert(&fork->tag, own, own->local_tag);
	return error;
}

static void fork_free(struct call_fork *fork)
{
	prack_fini(fork);
	if (fork->call->early.fork == fork)
		fork->call->early.fork = NULL;
	call_tag_remove(&fork->tag);
	for (unsigned side = 0; side < LEGS; side++)
		leg_fini(&fork->own[side]);
	secret_free(fork->answer);
	secret_free(fork->reply);
	secret_free(fork->agreed);
	free(fork);
}

static struct call_fork *fork_new(struct call *call, const struct message *response)
{
	struct call_fork *fork;

	if (call->fork_count == CALL_FORKS_MAX)
		return NULL;
	fork = calloc(1, sizeof(*fork));
	if (!fork)
		return NULL;
	fork->call = call;
	/* An unusable Contact leaves the address that the INVITE went to: good enough for an early dialog. */
	if (take_callee(fork, response))
		log_debug("call", "early dialog without a usable Contact", LOG_UINT("call", call->id));
	if (take_caller(fork)) {
		fork_free(fork);
		return NULL;
	}
	for (unsigned side = 0; side < LEGS; side++)
		fork->leg[side]->call = call;
	call->fork_count++;
	fork->next = call->forks;
	call->forks = fork;
	return fork;
}

struct call_fork *call_fork_find(const struct call *call, struct span remote_tag)
{
	for (struct call_fork *fork = call->forks; fork; fork = fork->next)
		if (fork->leg[LEG_CALLED] &&
			span_equal(span_from(fork->leg[LEG_CALLED]->remote_tag), remote_tag))
			return fork;
	return NULL;
}

struct call_fork *call_fork_take(struct call *call, const struct message *response)
{
	struct span tag = message_scan(response)->to_tag;
	struct call_fork *fork = call_fork_find(call, tag);

	if (fork)
		return fork;
	/* A response without a tag (RFC 2543) has made it, this one tells whose it is. */
	for (fork = call->forks; fork && tag.n; fork = fork->next)
		if (fork->leg[LEG_CALLED] && !fork->leg[LEG_CALLED]->remote_tag) {
			leg_take_response(fork->leg[LEG_CALLED], response);
			return fork;
		}
	return fork_new(call, response);
}

struct call_fork *call_fork_of(const struct leg *leg)
{
	for (struct call_fork *fork = leg->call ? leg->call->forks : NULL; fork; fork = fork->next)
		if (fork->leg[leg->side] == leg)
			return fork;
	return NULL;
}

struct leg *call_peer(const struct leg *leg)
{
	struct call_fork *fork = call_fork_of(leg);

	if (!leg->call)
		return NULL;
	return fork ? fork->leg[1 - leg->side] : &leg->call->leg[1 - leg->side];
}

/* --- ending ----------------------------------------------------------------------------------------------------------- */

/* The dialog of `from` moves into the leg of the call, which keeps its INVITE. */
static void leg_adopt(struct leg *leg, struct leg *from)
{
	char *const texts[] = { leg->remote_tag, leg->target, leg->routes };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	leg->remote_tag = from->remote_tag;
	leg->target = from->target;
	leg->routes = from->routes;
	from->remote_tag = from->target = from->routes = NULL;
	leg->next_hop = from->next_hop;
	leg->local_cseq = from->local_cseq;
	leg->remote_cseq = from->remote_cseq;
	leg->peer_options = from->peer_options;
	leg->peer_methods = from->peer_methods;
	leg->gone = from->gone;
	leg->session_ids = from->session_ids;
	/* The BYE of the early dialog that was in this leg goes on without us. */
	if (leg->client_bye)
		transaction_detach(leg->client_bye);
	leg->client_bye = NULL;
	memcpy(leg->local_tag, from->local_tag, sizeof(leg->local_tag));
}

/* A branch that lost may answer yet and gets its BYE from a copy of the winner's leg: above all numbers that any of them has seen. */
static void raise_cseq(struct call *call)
{
	uint32_t *number = &call->leg[LEG_CALLED].local_cseq;

	for (const struct call_fork *fork = call->forks; fork; fork = fork->next)
		if (fork->leg[LEG_CALLED] && fork->leg[LEG_CALLED]->local_cseq > *number)
			*number = fork->leg[LEG_CALLED]->local_cseq;
}

static void adopt(struct call_fork *fork)
{
	struct call *call = fork->call;

	if (fork->leg[LEG_CALLER] != &call->leg[LEG_CALLER] ||
		fork->leg[LEG_CALLED] != &call->leg[LEG_CALLED])
		exchange_abort(call); /* of a branch that lost, or on legs that are about to go */
	for (unsigned side = 0; side < LEGS; side++) {
		struct leg *leg = &call->leg[side];

		if (fork->leg[side] == leg)
			continue;
		call_tag_remove(&fork->tag);
		call_tag_remove(&call->tag[side]);
		leg_adopt(leg, fork->leg[side]);
		call_tag_insert(&call->tag[side], leg, leg->local_tag);
		fork->leg[side] = leg;
	}
}

/* An UPDATE in its early dialog, from either side. */
static bool has_exchange(const struct call_fork *fork)
{
	const struct exchange *exchange = &fork->call->exchange;

	for (unsigned side = 0; side < LEGS; side++)
		if (exchange->asker == &fork->own[side] || exchange->asked == &fork->own[side])
			return true;
	return false;
}

void call_fork_wins(struct call_fork *fork)
{
	struct call *call = fork->call;
	struct call_fork **at = &call->forks;

	adopt(fork);
	raise_cseq(call);
	while (*at) {
		struct call_fork *one = *at;

		if (one == fork) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		if (has_exchange(one))
			exchange_abort(call);
		if (call->media_fork == one)
			call->media_fork = NULL;
		fork_free(one);
	}
}

void call_forks_stale(struct call *call)
{
	for (struct call_fork *fork = call->forks; fork; fork = fork->next) {
		leg_fini(&fork->own[LEG_CALLED]);
		fork->leg[LEG_CALLED] = NULL;
		prack_stale(fork);
		if (call->early.fork == fork)
			call->early.fork = NULL;
	}
}

bool call_forks_free(struct call *call, bool at_once)
{
	for (struct call_fork *fork = call->forks; fork && !at_once; fork = fork->next)
		if (prack_is_under_way(fork))
			return false;
	while (call->forks) {
		struct call_fork *fork = call->forks;

		call->forks = fork->next;
		fork_free(fork);
	}
	call->media_fork = NULL;
	return true;
}
