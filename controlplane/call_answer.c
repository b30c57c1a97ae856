/* SPDX-License-Identifier: BSD-3-Clause */
/* How the first INVITE of a call goes on: early dialogs, the answer and its ACK, refusal, CANCEL and no answer at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_attempt.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_state.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "controlplane/hide.h"
#include "controlplane/secret.h"
#include "controlplane/sips.h"
#include "platforms/base/clock.h"

static const struct span no_body = { NULL, 0 };
static const char unusable[] = "unusable answer from the callee";
static const char retry_after[] = "Retry-After: 5\r\n";

/* --- 2xx -------------------------------------------------------------------------------------------------------------- */

/* The early dialog that is answered becomes the call's; a callee that has shown none needs none. */
static int confirm_dialog(struct call *call, const struct message *answer, struct call_fork **fork)
{
	int result;

	*fork = NULL;
	if (call->carry && transfer_confirm(call, answer, &result))
		return result;
	*fork = call->forks ? call_fork_take(call, answer) : NULL;
	if (!*fork) {
		result = leg_take_response(&call->leg[LEG_CALLED], answer);
		call_forks_free(call, true);
		return result;
	}
	/* Target and route set are those of the 2xx (RFC 3261 section 13.2.2.4). */
	result = leg_take_response((*fork)->leg[LEG_CALLED], answer);
	call_fork_wins(*fork);
	return result;
}

void invite_answer(struct call *call, const struct call_event *event)
{
	struct leg *callee = &call->leg[LEG_CALLED];
	struct span tag = message_scan(event->message)->to_tag, sdp = call_sdp(event->message);
	struct call_fork *fork;
	struct call_event next = { .type = CALL_EVENT_LEASED,
		.side = LEG_CALLED,
		.status = 502,
		.message = event->message,
		.cause = unusable };
	int result;

	timer_cancel(&call->timer);
	call->ack_due = true;
	call->callee_answered = true;
	attempt_fini(call);
	result = confirm_dialog(call, event->message, &fork);
	session_timer_take_response(callee, event->message);
	if (!message_is_parsed(event->message))
		result = -EINVAL;
	if (result == 0 && call->offerless && !(fork && fork->answered)) {
		call_put_aside(call, sdp);
		result = call->offer ? media_offer(call->media, LEG_CALLED, sdp) : -ENOMEM;
		if (result == 1)
			return;
	} else if (result == 0) {
		invite_ack(callee, callee->client_invite, tag, no_body);
		call->ack_due = false;
		result = early_confirm(call, fork, sdp);
		if (result == 1) {
			call_put_aside(call, sdp);
			if (call->offer)
				return;
		}
	}
	if (result)
		next.type = CALL_EVENT_LEASE_FAILED;
	if (result == -EKEYREJECTED) {
		next.status = 488;
		next.cause = call_no_srtp;
	}
	call_happens(call, &next);
}

/* What the 2xx to the caller says. */
static struct span answer_sdp(
	const struct call *call, const struct call_fork *fork, const struct message *answer)
{
	struct span sdp = answer ? call_sdp(answer) : (struct span){ call->offer, call->offer_length };

	/* Offer and answer were complete before: nothing more is said (RFC 3261 section 13.2.1). */
	if (fork && fork->settled)
		return no_body;
	/* Its 18x has said it, reliably or not; to the caller it must be said again. */
	return fork && fork->answer && (fork->answered || sdp.n == 0)
		       ? (struct span){ fork->answer, fork->answer_length }
		       : sdp;
}

static void send_answer(struct call *call, struct span text)
{
	struct leg *caller = &call->leg[LEG_CALLER];

	call_record_answered(call);
	if (invite_send_written(caller, 200, caller->local_tag, text)) {
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
					   .side = LEG_CALLER,
					   .status = 500,
					   .cause = "answer cannot be sent" });
		return;
	}
	early_over(call);
	call->caller_answered = true;
	call->answered_ms = clock_now_ms();
	call->status = 200;
	shard_count(call->shard, CALLS_ANSWERED);
	for (unsigned side = 0; side < LEGS; side++)
		statistics_answered(&call->leg[side]);
}

/* RFC 3262 section 3: not while a reliable response with a description is unacknowledged. */
static void hold_answer(struct call *call, struct span text)
{
	secret_free(call->held);
	call->held = secret_dup(text);
	call->held_length = text.n;
	call->state = CALL_ANSWER_HELD;
	if (!call->held)
		call_breaks(call, "no memory");
}

void invite_answer_release(struct call *call, const struct call_event *event)
{
	char *text = call->held;

	(void)event;
	if (prack_is_pending(call->forks)) {
		call->state = CALL_ANSWER_HELD;
		return;
	}
	call->held = NULL;
	send_answer(call, (struct span){ text, call->held_length });
	secret_free(text);
}

/* Of a branch that has answered after another had changed the media: the INVITE's offer, or its own exchange, has its ports again. */
static int confirm_put_aside(struct call *call)
{
	bool again = call->forks && call->forks->again;

	if (!again && (call->offerless || !media_offer_is_pending(call->media)))
		return 0;
	return early_confirm(call, call->forks, (struct span){ call->offer, call->offer_length });
}

void invite_answer_leased(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	const struct call_fork *fork = call->forks;
	struct span sdp = answer_sdp(call, fork, event->message);
	char description[CALL_MESSAGE_MAX], text[CALL_MESSAGE_MAX];
	struct writer body, out;

	if (call->carry && transfer_offer(call))
		return;
	if (!event->message && confirm_put_aside(call)) {
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
					   .side = LEG_CALLED,
					   .status = 502,
					   .cause = unusable });
		return;
	}
	writer_init(&body, description, sizeof(description));
	if (sdp.n && media_write(call->media, LEG_CALLER, sdp, &body)) {
		log_warning("call", "description cannot be written", LOG_UINT("call", call->id));
		body.len = 0;
	}
	writer_init(&out, text, sizeof(text));
	if (caller->server_invite)
		invite_write(
			caller, 200, caller->local_tag, event->message, no_body, writer_result(&body), &out);
	if (fork && prack_is_pending(fork))
		hold_answer(call, out.overflow ? no_body : writer_result(&out));
	else
		send_answer(call, out.overflow ? no_body : writer_result(&out));
}

/* RFC 6432: why we refuse what nobody has refused. */
static void write_reason(const struct call_event *event, struct writer *out)
{
	const char *reason = call_reason_q850(event);

	if (!reason)
		return;
	writer_text(out, "Reason: ");
	writer_text(out, reason);
	writer_text(out, "\r\n");
}

static void respond_failure(struct call *call, unsigned status, const struct call_event *event, bool retry)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	char text[256];
	struct writer extra;

	call->status = status;
	early_over(call);
	if (event->cause)
		call->cause = event->cause;
	if (!caller->server_invite)
		return;
	writer_init(&extra, text, sizeof(text));
	if (retry)
		writer_text(&extra, retry_after);
	session_timer_write_refusal(caller, status, &extra);
	if (status == 415)
		writer_text(&extra, "Accept: application/sdp\r\nAccept-Encoding: identity\r\n");
	if (event->cause == sips_not_allowed)
		sips_warning_not_allowed(&caller->flow, &extra);
	write_reason(event, &extra);
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
	char text[CALL_REASON_MAX];
	struct writer out;

	count_failure(call, event->type);
	if (hung_up)
		bye_accept(call, event);
	if (event->type == CALL_EVENT_CANCEL || hung_up)
		status = event->side == LEG_CALLED ? 480 : 487;
	respond_failure(call, status, event, status == 503);
	media_reject(call->media);
	writer_init(&out, text, sizeof(text));
	bye_send(&call->leg[LEG_CALLED], call_reason(event, &out));
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE });
}

void invite_reject(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	unsigned status = hide_status(event->status);

	if (attempt_next(call, event))
		return;
	timer_cancel(&call->timer);
	call->status = status;
	call->cause = "refused";
	early_over(call);
	/* A challenge is a step on the way, not a failure. */
	if (status != 401 && status != 407)
		shard_count(call->shard, CALLS_FAILED);
	invite_respond(caller, status, caller->local_tag, event->message, no_body);
}

void invite_fail(struct call *call, const struct call_event *event)
{
	if (attempt_next(call, event))
		return;
	timer_cancel(&call->timer);
	count_failure(call, event->type);
	/* Our own shortage passes soon; for how long an agent stays silent is not ours to promise. */
	respond_failure(
		call, event->status, event, event->status == 503 && !call->leg[LEG_CALLED].local_cseq);
}

static void cancel_callee(struct call *call, const struct call_event *event)
{
	struct transaction *invite = call->leg[LEG_CALLED].client_invite;
	char text[CALL_REASON_MAX];
	struct writer out;

	timer_cancel(&call->timer);
	attempt_cancel(call);
	if (!invite)
		return;
	writer_init(&out, text, sizeof(text));
	transaction_cancel(invite, call_reason(event, &out));
}

void invite_cancel(struct call *call, const struct call_event *event)
{
	count_failure(call, CALL_EVENT_CANCEL);
	respond_failure(call, 487, event, false);
	cancel_callee(call, event);
}

void invite_no_answer(struct call *call, const struct call_event *event)
{
	if (event->type == CALL_EVENT_TIMER && attempt_next(call, event))
		return;
	count_failure(call, event->type);
	respond_failure(call, event->status, event, false);
	cancel_callee(call, event);
}

void invite_answer_late(struct call *call, const struct call_event *event)
{
	struct call_fork *fork;

	call->ack_due = true;
	call->callee_answered = true;
	if (call->offerless)
		call_put_aside(call, call_sdp(event->message));
	/* A Contact that is of no use leaves the agent's address: good enough to hang up. */
	if (confirm_dialog(call, event->message, &fork))
		log_debug("call", "unusable Contact in a late answer", LOG_UINT("call", call->id));
	bye_send(&call->leg[LEG_CALLED], no_body);
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BYE_DONE });
}

void invite_acked(struct call *call, const struct call_event *event)
{
	struct leg *caller = &call->leg[LEG_CALLER], *callee = &call->leg[LEG_CALLED];
	unsigned limit = caller->profile->max_call_duration, other = callee->profile->max_call_duration;
	char text[CALL_MESSAGE_MAX], other_text[CALL_MESSAGE_MAX];
	struct writer body, refusal;
	bool failed = false;

	if (call->carry)
		transfer_join(call);
	if (other && (!limit || other < limit))
		limit = other;
	other = admission_duration(call->admission);
	if (other && (!limit || other < limit))
		limit = other;
	if (limit)
		call_timer_arm(call, (uint64_t)limit * 1000);
	call_forks_free(call, false);
	if (call->ack_due) {
		struct span sdp = call_sdp(event->message);

		writer_init(&body, text, sizeof(text));
		/* So late that the callee's 2xx is forgotten: it has given up, too. */
		failed = !callee->client_invite || media_answer(call->media, LEG_CALLER, sdp, true) ||
			 media_write(call->media, LEG_CALLED, sdp, &body);
		call->ack_due = false;
		writer_init(&refusal, other_text, sizeof(other_text));
		if (callee->client_invite)
			invite_ack(callee, callee->client_invite, span_from(callee->remote_tag),
				failed ? invite_refusal(callee,
						 (struct span){ call->offer, call->offer_length }, &refusal)
				       : writer_result(&body));
	}
	secret_free(call->offer);
	call->offer = NULL;
	if (failed)
		call_breaks(call, "no usable answer in the ACK");
	else {
		call_store(call);
		exchange_resume(call);
	}
}
