/* SPDX-License-Identifier: BSD-3-Clause */
/* Interim records: the calls of a shard in turn, all of them once in accounting.interim, so that what goes on is written evenly, however many
 * calls were answered at one time. The dataplane is asked for the figures of each; what it does not answer is not written. */
#include <stdlib.h>

#include "controlplane/call_state.h"

enum {
	TURN_MS = 100,
	LOOK_MS = 1000 /* nothing is to be written now: the setting may change */,
	SECOND_MS = 1000
};

/* A question at the dataplane; the call may end meanwhile. */
struct question {
	struct shard *shard;
	uint64_t session;
};

static bool goes_on(const struct call *call)
{
	return call->notes && call->answered_ms && call->state >= CALL_ANSWERED &&
	       call->state <= CALL_ESTABLISHED;
}

static void answered(void *arg, int status, const void *body, size_t length)
{
	struct question *question = arg;
	const struct call *call;

	if (status == 0 && length >= sizeof(struct dp_session_info)) {
		call = call_find_session(question->shard, question->session);
		if (call && goes_on(call))
			call_record_interim(call, body);
	}
	free(question);
}

static void write_anew(const struct call *call)
{
	struct dp_session_id id = { .session = media_session(call->media) };
	struct question *question;

	if (!id.session) {
		call_record_interim(call, NULL);
		return;
	}
	question = malloc(sizeof(*question));
	if (!question)
		return;
	*question = (struct question){ call->shard, id.session };
	if (dp_client_request(call->shard->dataplane, DP_SESSION_GET, &id, sizeof(id), answered, question))
		free(question);
}

/* How many calls have their turn now. */
static uint64_t due(
	struct call_interim *interim, const struct config_accounting *settings, const struct shard *shard)
{
	uint64_t round_ms = (uint64_t)settings->interim * SECOND_MS, calls = call_count(shard), n;
	uint64_t rate = (uint64_t)settings->interim_rate * TURN_MS / shard->count;

	interim->owed += calls * TURN_MS;
	/* What could not be written is not made up for. */
	if (interim->owed > calls * round_ms)
		interim->owed = calls * round_ms;
	interim->allowed += rate;
	if (interim->allowed > rate + SECOND_MS)
		interim->allowed = rate + SECOND_MS;
	n = interim->owed / round_ms;
	if (n > interim->allowed / SECOND_MS)
		n = interim->allowed / SECOND_MS;
	interim->owed -= n * round_ms;
	interim->allowed -= n * SECOND_MS;
	return n;
}

static void turn(struct timer *timer, void *arg)
{
	const struct shard *shard = arg;
	const struct config_accounting *settings = &shard->config->accounting;
	struct call_interim *interim = call_interim(shard);

	if (call_count(shard) == 0)
		return;
	if (settings->interim)
		for (uint64_t n = due(interim, settings, shard); n > 0; n--) {
			struct call *call = interim->next ? interim->next : call_first(shard);

			interim->next = call->next;
			if (goes_on(call))
				write_anew(call);
		}
	timer_arm(shard->timers, timer, settings->interim ? TURN_MS : LOOK_MS, turn, arg);
}

void call_interim_wake(struct shard *shard)
{
	struct call_interim *interim = call_interim(shard);

	if (timer_is_armed(&interim->timer))
		return;
	interim->owed = 0;
	interim->next = NULL;
	timer_arm(shard->timers, &interim->timer, TURN_MS, turn, shard);
}
