/* SPDX-License-Identifier: BSD-3-Clause */
/* Provisional responses of the callee on their way to the caller, and the descriptions in them: answers that may change until one is
 * said reliably, offers to a caller that made none (RFC 3261 section 13.2.1, RFC 3262 section 5). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_prack.h"
#include "controlplane/call_state.h"
#include "controlplane/call_transfer.h"
#include "controlplane/secret.h"

static const struct span no_body = { NULL, 0 };

static bool caller_takes_reliable(const struct call *call)
{
	const struct leg *caller = &call->leg[LEG_CALLER];

	/* A call that we place ourselves (call_transfer.c) has no INVITE of a caller. */
	return caller->server_invite && (call->reliable_only || leg_peer_supports(caller, SIP_OPTION_100REL));
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static struct span answer_of(const struct call_fork *fork)
{
	return (struct span){ fork->answer, fork->answer_length };
}

/* What both have been told already: from now on our next words to them follow these. */
static int note_said(struct media *media, unsigned to, struct span body)
{
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	return media_write(media, to, body, &out);
}

/* Another early dialog has gone so far that the offer is settled there: it is made once more for the others. 1: when its ports are there. */
static int offer_again(struct call *call)
{
	const struct transaction *invite = call->leg[LEG_CALLER].server_invite;
	struct span offer;
	int result;

	if (call->offerless || !invite)
		return -EPROTO;
	if (media_offer_is_pending(call->media))
		return -EBUSY;
	offer = call_sdp(transaction_message(invite));
	media_other_dialog(call->media, LEG_CALLED);
	result = media_offer(call->media, LEG_CALLER, offer);
	if (result < 0)
		return result;
	call->media_fork = NULL;
	return result ? result : note_said(call->media, LEG_CALLED, offer);
}

/* `final`: no other answer to the offer of the INVITE follows in this early dialog. 1: the offer waits for its ports; -EBUSY: an exchange is
 * under way in another dialog. */
static int apply(struct call *call, struct span sdp, bool final)
{
	int result = 0;

	if (call->media_fork || !media_offer_is_pending(call->media))
		result = offer_again(call);
	if (result)
		return result;
	result = media_answer(call->media, LEG_CALLED, sdp, final);
	return result == -EBUSY ? 1 : result;
}

/* An offer of `side` in an early dialog and its answer once more, after those of another dialog. 1: when its ports are there, if the caller
 * `waits`; it comes here again then. */
static int apply_again(
	struct call_fork *fork, unsigned side, struct span offer, struct span answer, bool waits)
{
	struct media *media = fork->call->media;
	int result = answer.n == 0 ? -EPROTO : 0;

	if (!fork->again)
		media_other_dialog(media, LEG_CALLED);
	if (result == 0 && !fork->again)
		result = media_offer(media, side, offer);
	if (result == -EBUSY || result == -EPROTO)
		return result;
	fork->again = result == 1 && waits;
	if (fork->again)
		return 1;
	if (result == 0)
		result = note_said(media, 1 - side, offer);
	if (result == 0)
		result = media_answer(media, 1 - side, answer, true);
	if (result) {
		media_reject(media);
		return result < 0 ? result : -EBUSY;
	}
	return note_said(media, side, answer);
}

/* The last exchange of an early dialog, in place of the one that the INVITE began. */
static int apply_agreed(struct call_fork *fork, bool waits)
{
	const struct call_agreement *agreed = fork->agreed;
	struct call *call = fork->call;

	/* Other branches may still have been answering the INVITE. */
	if (!call->media_fork && !call->offerless && !fork->again)
		media_reject(call->media);
	return apply_again(fork, agreed->side, (struct span){ agreed->text, agreed->offer_length },
		(struct span){ agreed->text + agreed->offer_length, agreed->answer_length }, waits);
}

void early_agreed(struct call_fork *fork, unsigned side, struct span offer, struct span answer)
{
	size_t size = sizeof(struct call_agreement) + offer.n + answer.n;
	struct call_agreement *agreed = secret_alloc_for(secret_is_in(offer) ? offer : answer, size);

	secret_free(fork->agreed);
	fork->agreed = agreed;
	if (!agreed)
		return;
	*agreed = (struct call_agreement){ side, offer.n, answer.n };
	memcpy(agreed->text, offer.p, offer.n);
	memcpy(agreed->text + offer.n, answer.p, answer.n);
}

static int keep_answer(struct call_fork *fork, struct span sdp)
{
	char *copy = secret_dup(sdp);

	if (!copy)
		return -ENOMEM;
	secret_free(fork->answer);
	fork->answer = copy;
	fork->answer_length = sdp.n;
	return 0;
}

/* 1: as `apply`, and for other offers than the INVITE's only if the caller `waits`. */
static int commit(struct call_fork *fork, bool waits)
{
	struct call *call = fork->call;
	int result;

	if (call->media_fork == fork)
		return 0;
	if (!fork->answered || !fork->answer)
		return -EPROTO;
	if (fork->agreed)
		result = apply_agreed(fork, waits);
	else if (call->offerless)
		result = apply_again(fork, LEG_CALLED, answer_of(fork),
			(struct span){ fork->reply, fork->reply_length }, waits);
	else
		result = apply(call, answer_of(fork), true);
	if (result == 0 && fork->settled && !fork->agreed && !call->offerless)
		result = note_said(call->media, LEG_CALLER, answer_of(fork));
	if (result == 0)
		call->media_fork = fork;
	return result;
}

int early_commit(struct call_fork *fork)
{
	int result = commit(fork, false);

	return result > 0 ? -EBUSY : result;
}

int early_confirm(struct call *call, struct call_fork *fork, struct span sdp)
{
	if (fork && fork->answered)
		return commit(fork, true);
	if (sdp.n == 0 && fork)
		sdp = answer_of(fork);
	/* What another branch has said in its early dialog is no answer of this one. */
	return sdp.n ? apply(call, sdp, true) : -EPROTO;
}

/* The description that goes to the caller with a response that has one. False: a reliable answer cannot be taken while another branch's
 * exchange is under way, or its ports have yet to come; not acknowledged, it comes again (RFC 3262 section 3). */
static bool relay_description(struct call_fork *fork, struct span sdp, bool reliable, struct writer *body)
{
	struct call *call = fork->call;
	int error;

	/* An offer (the INVITE had none) is of no use in an unreliable response (RFC 3262 section 5). */
	if (sdp.n == 0 || call->offerless)
		return true;
	if (!fork->answered) {
		error = apply(call, sdp, false);
		if (error == 1)
			error = -EBUSY;
		if (error == -EBUSY && reliable)
			return false;
		/* The 2xx may say no more than that it is this one. */
		if (error == 0 || error == -EBUSY)
			error = keep_answer(fork, sdp) ? -ENOMEM : error;
		if (error) {
			log_debug("call", "early answer is not relayed", LOG_UINT("call", call->id),
				LOG_ERRNO("error", error));
			return true;
		}
		fork->answered = reliable;
	} else if (!call->media_fork) {
		/* What was said reliably stands, whatever else is said; the media comes back to this branch. */
		apply(call, answer_of(fork), false);
	}
	if (!fork->settled && media_write(call->media, LEG_CALLER, answer_of(fork), body))
		body->len = 0;
	return true;
}

/* --- responses ---------------------------------------------------------------------------------------------------------- */

/* `callee_rseq`: of the callee's reliable response; 0: it was none. */
static void relay(struct call_fork *fork, unsigned status, const struct message *from, struct span body,
	uint32_t callee_rseq, bool offer)
{
	struct call *call = fork->call;
	/* To a caller who has made no offer the first reliable response has ours (RFC 3261 section 13.2.1): until then nothing is reliable. */
	bool early = call->offerless && !offer && !fork->settled;
	bool relayed = callee_rseq && caller_takes_reliable(call) && !early;

	if (callee_rseq && !relayed)
		prack_send(fork);
	if (early && call->reliable_only)
		return;
	if (relayed || call->reliable_only)
		prack_respond(fork,
			&(struct prack_reliable){ status, from, body, offer, relayed ? callee_rseq : 0 });
	else
		invite_respond(&call->leg[LEG_CALLER], status, fork->leg[LEG_CALLER]->local_tag, from, body);
}

void early_offer_leased(struct call *call, const struct call_event *event)
{
	struct call_fork *fork = call->early.fork;
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	(void)event;
	if (!fork)
		return;
	call->early.fork = NULL;
	writer_init(&body, text, sizeof(text));
	if (media_write(call->media, LEG_CALLER, (struct span){ call->offer, call->offer_length }, &body))
		call_breaks(call, "offer in a provisional response cannot be written");
	else
		relay(fork, call->early.status, NULL, writer_result(&body), call->early.rseq, true);
}

static bool is_last(const struct call_fork *fork)
{
	for (const struct call_fork *other = fork->call->forks; other; other = other->next)
		if (other != fork && other->leg[LEG_CALLED] && !other->leg[LEG_CALLER]->gone)
			return false;
	return true;
}

static void end_branch(struct call_fork *fork)
{
	fork->leg[LEG_CALLER]->gone = true;
	prack_give_up(fork);
	if (fork->leg[LEG_CALLED])
		bye_send(fork->leg[LEG_CALLED], no_body);
}

/* A reliable response with an offer. False: not now. One is under way at a time, and what is not acknowledged comes again (RFC 3262
 * section 3). */
static bool take_offer(struct call_fork *fork, unsigned status, struct span sdp)
{
	struct call *call = fork->call;
	int result;

	if (call->early.fork || media_offer_is_pending(call->media))
		return false;
	call_put_aside(call, sdp);
	result = call->offer ? keep_answer(fork, sdp) : -ENOMEM;
	if (result == 0)
		result = media_offer(call->media, LEG_CALLED, sdp);
	if (result >= 0) {
		call->early.fork = fork;
		call->early.status = status;
		call->early.rseq = fork->remote_rseq;
	}
	if (result == 0)
		early_offer_leased(call, NULL);
	else if (result < 0 && !is_last(fork))
		end_branch(fork);
	else if (result < 0)
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_BROKEN,
					   .side = LEG_CALLED,
					   .status = 502,
					   .cause = "unusable offer in a provisional response" });
	return true;
}

void invite_relay_provisional(struct call *call, const struct call_event *event)
{
	struct span sdp = call_sdp(event->message);
	char text[CALL_MESSAGE_MAX];
	enum prack_verdict verdict;
	struct call_fork *fork;
	struct writer body;
	uint32_t before;

	if (call->carry && transfer_progress(call, event))
		return;
	fork = call_fork_take(call, event->message);
	/* Timer C starts again with each of them (RFC 3261 section 16.7). */
	call_timer_arm(call, call->shard->config->sip.timer_c_ms);
	/* The caller has hung up on that branch. */
	if (!fork || fork->leg[LEG_CALLER]->gone)
		return;
	before = fork->remote_rseq;
	verdict = prack_provisional(fork, event->message);
	if (verdict == PRACK_REPEATED || verdict == PRACK_OUT_OF_ORDER)
		return;
	if (event->status == 180)
		call->ringing = true;
	if (call->offerless && sdp.n && verdict == PRACK_FRESH && !fork->answered) {
		/* Without 100rel on the caller's side nobody could answer it: the callee was not told of it. */
		if (caller_takes_reliable(call) && !take_offer(fork, event->status, sdp))
			fork->remote_rseq = before;
		return;
	}
	writer_init(&body, text, sizeof(text));
	if (!relay_description(fork, sdp, verdict == PRACK_FRESH, &body)) {
		fork->remote_rseq = before;
		return;
	}
	relay(fork, event->status, event->message, body.overflow ? no_body : writer_result(&body),
		verdict == PRACK_FRESH ? fork->remote_rseq : 0, false);
}

void early_over(struct call *call)
{
	for (struct call_fork *fork = call->forks; fork; fork = fork->next)
		prack_settled(fork);
}

/* --- BYE ---------------------------------------------------------------------------------------------------------------- */

/* The early dialog of the caller that a request is in; NULL if it is the only one left. */
static struct call_fork *one_of_several(struct call *call, const struct message *bye)
{
	for (struct call_fork *fork = call->forks; fork; fork = fork->next)
		if (span_equal(span_from(fork->leg[LEG_CALLER]->local_tag), message_scan(bye)->to_tag))
			return is_last(fork) ? NULL : fork;
	return NULL;
}

void early_lost(struct call_fork *fork, unsigned status)
{
	if (!is_last(fork))
		end_branch(fork);
	else
		call_happens(fork->call, &(struct call_event){ .type = CALL_EVENT_TIMER,
						 .side = LEG_CALLED,
						 .status = status,
						 .cause = "no response to PRACK" });
}

void early_bye(struct call *call, const struct call_event *event)
{
	struct call_fork *fork = one_of_several(call, event->message);

	if (event->side == LEG_CALLED) {
		call->state = CALL_PROCEEDING;
		transaction_reply(event->transaction, 481, no_body, no_body);
	} else if (fork) {
		call->state = CALL_PROCEEDING;
		transaction_reply(event->transaction, 200, no_body, no_body);
		end_branch(fork);
	} else
		bye_instead_of_cancel(call, event);
}
