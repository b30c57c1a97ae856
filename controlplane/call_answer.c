/* SPDX-License-Identifier: BSD-3-Clause */
/* How the first INVITE of a call goes on: early dialogs, the answer and its ACK, refusal, CANCEL and no answer at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_state.h"
#include "controlplane/hide.h"
#include "platforms/base/clock.h"

static const struct span no_body = { NULL, 0 };
static const char retry_after[] = "Retry-After: 5\r\n";

/* Our tag towards the caller for the callee's early dialog `remote`; NULL when there are too many. */
static const char *fork_tag(struct call *call, struct span remote)
{
	struct call_fork *fork;

	if (remote.n == 0)
		return call->leg[LEG_CALLER].local_tag;
	for (fork = call->forks; fork; fork = fork->next)
		if (span_equal(span_from(fork->remote_tag), remote))
			return fork->local_tag;
	if (call->fork_count == CALL_FORKS_MAX)
		return NULL;
	fork = calloc(1, sizeof(*fork));
	if (!fork)
		return NULL;
	fork->remote_tag = span_dup(remote);
	if (!fork->remote_tag) {
		free(fork);
		return NULL;
	}
	if (call->fork_count++ == 0) {
		memcpy(fork->local_tag, call->leg[LEG_CALLER].local_tag, sizeof(fork->local_tag));
	} else {
		shard_token(call->shard, fork->local_tag);
		call_tag_insert(&fork->tag, &call->leg[LEG_CALLER], fork->local_tag);
	}
	fork->next = call->forks;
	call->forks = fork;
	return fork->local_tag;
}

void invite_relay_provisional(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	struct span sdp = call_sdp(event->message);
	const char *tag = fork_tag(call, message_scan(event->message)->to_tag);
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	call_timer_arm(call, call->shard->config->sip.timer_c_ms);
	if (!tag)
		return;
	if (event->status == 180)
		call->ringing = true;
	writer_init(&body, text, sizeof(text));
	/* Without an offer of the caller's this would be an offer, which only a reliable response may carry (RFC 3262). */
	if (sdp.n && !call->offerless) {
		if (media_answer(call->media, LEG_CALLED, sdp, false) ||
			media_write(call->media, LEG_CALLER, sdp, &body)) {
			log_debug("call", "unusable early answer is not relayed", LOG_UINT("call", call->id));
			body.len = 0;
		}
	}
	invite_respond(
		caller, event->status, tag, event->message, body.overflow ? no_body : writer_result(&body));
}

/* --- 2xx -------------------------------------------------------------------------------------------------------------- */

/* The early dialog that was answered becomes the caller's dialog; the others are forgotten. */
static void confirm_fork(struct call *call, struct span remote_tag)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	const char *tag = call->fork_count ? fork_tag(call, remote_tag) : NULL;

	if (tag && strcmp(tag, caller->local_tag) != 0) {
		call_tag_remove(&call->tag[LEG_CALLER]);
		memcpy(caller->local_tag, tag, sizeof(caller->local_tag));
		call_tag_insert(&call->tag[LEG_CALLER], caller, caller->local_tag);
	}
	while (call->forks) {
		struct call_fork *fork = call->forks;

		call->forks = fork->next;
		call_tag_remove(&fork->tag);
		free(fork->remote_tag);
		free(fork);
	}
}

void invite_answer(struct call *call, const struct call_event *event)
{
	struct leg *callee = &call->leg[LEG_CALLED];
	struct span tag = message_scan(event->message)->to_tag, sdp = call_sdp(event->message);
	struct call_event next = { .type = CALL_EVENT_LEASED,
		.side = LEG_CALLED,
		.status = 502,
		.message = event->message,
		.cause = "unusable answer from the callee" };
	int result;

	timer_cancel(&call->timer);
	call->ack_due = true;
	result = leg_take_response(callee, event->message);
	if (!message_is_parsed(event->message))
		result = -EINVAL;
	confirm_fork(call, tag);
	if (result == 0 && call->offerless) {
		call_put_aside(call, sdp);
		result = call->offer ? media_offer(call->media, LEG_CALLED, sdp) : -ENOMEM;
		if (result == 1)
			return;
	} else if (result == 0) {
		invite_ack(callee, callee->client_invite, tag, no_body);
		call->ack_due = false;
		result =
			sdp.n ? media_answer(call->media, LEG_CALLED, sdp, true) : media_confirm(call->media);
	}
	if (result)
		next.type = CALL_EVENT_LEASE_FAILED;
	call_happens(call, &next);
}

void invite_answer_leased(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	struct span sdp =
		event->message ? call_sdp(event->message) : (struct span){ call->offer, call->offer_length };
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	struct span written;

	writer_init(&body, text, sizeof(text));
	if (sdp.n && media_write(call->media, LEG_CALLER, sdp, &body)) {
		log_warning("call", "description cannot be written", LOG_UINT("call", call->id));
		body.len = 0;
	}
	/* A 2xx without one: what its 18x said stands, but this response must say it again (RFC 3261 section 13.2.1). */
	written = sdp.n ? writer_result(&body) : media_written(call->media, LEG_CALLER);
	if (invite_respond(caller, 200, caller->local_tag, event->message, written)) {
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
					   .side = LEG_CALLER,
					   .status = 500,
					   .cause = "answer cannot be sent" });
		return;
	}
	call->caller_answered = true;
	call->answered_ms = clock_now_ms();
	call->status = 200;
	shard_count(call->shard, CALLS_ANSWERED);
}

static void respond_failure(struct call *call, unsigned status, const char *cause, bool retry)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	char text[256];
	struct writer extra;

	call->status = status;
	if (cause)
		call->cause = cause;
	if (!caller->server_invite)
		return;
	writer_init(&extra, text, sizeof(text));
	if (retry)
		writer_text(&extra, retry_after);
	if (status == 415)
		writer_text(&extra, "Accept: application/sdp\r\nAccept-Encoding: identity\r\n");
	hide_product(call->shard->config, false, &extra);
	transaction_reply(caller->server_invite, status, span_from(caller->local_tag),
		extra.overflow ? no_body : writer_result(&extra));
}

static void count_failure(struct call *call, enum call_event_type type)
{
	if (type == CALL_EVENT_CANCEL || type == CALL_EVENT_BYE)
		shard_count(call->shard, CALLS_CANCELLED);
	else
		shard_count(call->shard, CALLS_FAILED);
}

/* The callee's 2xx has made a dialog that must not be: acknowledge and hang up, tell the caller. */
void invite_answer_given_up(struct call *call, const struct call_event *event)
{
	bool hung_up = event->type == CALL_EVENT_BYE;
	unsigned status = event->status;

	count_failure(call, event->type);
	if (hung_up)
		bye_accept(call, event);
	if (event->type == CALL_EVENT_CANCEL || hung_up)
		status = event->side == LEG_CALLED ? 480 : 487;
	respond_failure(call, status, event->cause, status == 503);
	media_reject(call->media);
	bye_send(&call->leg[LEG_CALLED], no_body);
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE });
}

void invite_reject(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	unsigned status = hide_status(event->status);

	timer_cancel(&call->timer);
	call->status = status;
	call->cause = "refused";
	/* A challenge is a step on the way, not a failure. */
	if (status != 401 && status != 407)
		shard_count(call->shard, CALLS_FAILED);
	invite_respond(caller, status, caller->local_tag, event->message, no_body);
}

void invite_fail(struct call *call, const struct call_event *event)
{
	timer_cancel(&call->timer);
	count_failure(call, event->type);
	/* Our own shortage passes soon; for how long an agent stays silent is not ours to promise. */
	respond_failure(
		call, event->status, event->cause, event->status == 503 && !call->leg[LEG_CALLED].local_cseq);
}

static void cancel_callee(struct call *call, const struct message *cancel)
{
	struct transaction *invite = call->leg[LEG_CALLED].client_invite;
	struct span value, reason = no_body;
	char text[64];
	struct writer out;

	timer_cancel(&call->timer);
	if (!invite)
		return;
	writer_init(&out, text, sizeof(text));
	if (cancel && message_header(cancel, SPAN("Reason"), 0, &value))
		reason = hide_reason(value, &out);
	transaction_cancel(invite, reason);
}

void invite_cancel(struct call *call, const struct call_event *event)
{
	count_failure(call, CALL_EVENT_CANCEL);
	respond_failure(call, 487, "cancelled", false);
	cancel_callee(call, event->message);
}

void invite_no_answer(struct call *call, const struct call_event *event)
{
	count_failure(call, event->type);
	respond_failure(call, event->status, event->cause, false);
	cancel_callee(call, NULL);
}

void invite_answer_late(struct call *call, const struct call_event *event)
{
	call->ack_due = true;
	/* A Contact that is of no use leaves the agent's address: good enough to hang up. */
	if (leg_take_response(&call->leg[LEG_CALLED], event->message))
		log_debug("call", "unusable Contact in a late answer", LOG_UINT("call", call->id));
	bye_send(&call->leg[LEG_CALLED], no_body);
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE });
}

void invite_acked(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER], *callee = &call->leg[LEG_CALLED];
	unsigned limit = caller->profile->max_call_duration, other = callee->profile->max_call_duration;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	bool failed = false;

	if (other && (!limit || other < limit))
		limit = other;
	if (limit)
		call_timer_arm(call, (uint64_t)limit * 1000);
	free(call->offer);
	call->offer = NULL;
	if (call->ack_due) {
		struct span sdp = call_sdp(event->message);

		writer_init(&body, text, sizeof(text));
		/* So late that the callee's 2xx is forgotten: it has given up, too. */
		failed = !callee->client_invite || media_answer(call->media, LEG_CALLER, sdp, true) ||
			 media_write(call->media, LEG_CALLED, sdp, &body);
		call->ack_due = false;
		if (callee->client_invite)
			invite_ack(callee, callee->client_invite, span_from(callee->remote_tag),
				failed ? no_body : writer_result(&body));
	}
	if (failed)
		call_breaks(call, "no usable answer in the ACK");
	else
		call_store(call);
}
