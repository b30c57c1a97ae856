/* SPDX-License-Identifier: BSD-3-Clause */
/* A call that rings is taken by another user (INVITE with Replaces of an early dialog that we have begun, RFC 3891 section 3): his INVITE
 * is the callee's answer. Both users have made an offer, and each gets that of the other one as its answer. */
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer_internal.h"
#include "controlplane/hide.h"

static const struct span nothing = { NULL, 0 };

/* --- can two offers answer each other? --------------------------------------------------------------------------------- */

/* "NAME/RATE" of a=rtpmap; a static payload type without one is its number. */
static struct span codec_of(const struct sdp *sdp, const struct sdp_media *m, struct span format)
{
	for (unsigned i = m->first_line; i < m->first_line + m->line_count; i++) {
		struct span value = sdp->line[i].value;

		if (sdp->line[i].type == 'a' && span_equal(span_cut(&value, ':'), SPAN("rtpmap")) &&
			span_equal(span_trim(span_cut(&value, ' ')), format))
			return span_trim(value);
	}
	return format;
}

/* What carries no speech or picture is not enough. */
static bool is_auxiliary(struct span codec)
{
	return span_starts_case(codec, SPAN("telephone-event/")) || span_starts_case(codec, SPAN("CN/")) ||
	       span_equal(codec, SPAN("13"));
}

static bool have_a_codec(
	const struct sdp *a, const struct sdp_media *of_a, const struct sdp *b, const struct sdp_media *of_b)
{
	enum { FORMATS_MAX = 64 };
	struct span formats = of_a->formats, format;

	for (unsigned n = 0; n < FORMATS_MAX && formats.n; n++) {
		struct span others = of_b->formats, codec;

		format = span_cut(&formats, ' ');
		codec = codec_of(a, of_a, format);
		for (unsigned k = 0; k < FORMATS_MAX && others.n; k++) {
			struct span other = span_cut(&others, ' ');

			if (format.n && !is_auxiliary(codec) &&
				(span_equal_case(codec, codec_of(b, of_b, other)) ||
					/* Below 96 the number says it all (RFC 3551 section 6). */
					(format.n < 3 && span_equal(format, other) && format.p[0] < '9')))
				return true;
		}
	}
	return false;
}

/* Each side has RTP in its own way, with keys and feedback or without; whether it may is its profile's. */
static bool go_together(struct span one, struct span two)
{
	return span_equal_case(one, two) || (media_is_rtp(one) && media_is_rtp(two));
}

/* RFC 3264 section 6: as many streams of the same kinds, in each of them a codec of both, and what one sends the other receives. */
static bool answer_each_other(struct span one, struct span two, const struct config_sip *limits)
{
	struct sdp a, b;
	bool any = false;

	if (sdp_parse(&a, one, limits) || sdp_parse(&b, two, limits) || a.media_count != b.media_count)
		return false;
	for (unsigned i = 0; i < a.media_count; i++) {
		const struct sdp_media *x = &a.media[i], *y = &b.media[i];

		if (!span_equal_case(x->type, y->type) || !go_together(x->protocol, y->protocol))
			return false;
		if (!x->port || !y->port)
			continue;
		if (x->direction != SDP_SENDRECV || y->direction != SDP_SENDRECV ||
			!have_a_codec(&a, x, &b, y))
			return false;
		any = true;
	}
	return any;
}

/* --- the one who takes it --------------------------------------------------------------------------------------------- */

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->server_invite = NULL;
	if (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR)
		call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_BROKEN,
						.side = LEG_CALLED,
						.status = 408,
						.cause = "no ACK from who took the call" });
}

static const struct transaction_events events = { .ended = on_ended };

/* His leg, as the called one: 0 or the status to refuse with. The transaction is his until it is moved into the call. */
static unsigned make_leg(struct leg *leg, struct call *call, const struct message *invite,
	const struct config_session_agent *source)
{
	unsigned status;

	leg->shard = call->shard;
	leg->call = call;
	leg->agent = source;
	if (leg_init_server(leg, call->shard, invite))
		return 400;
	leg->side = LEG_CALLED;
	statistics_begin(leg, CP_STATISTICS_IN);
	if (agent_take(leg, false))
		return 503;
	status = session_timer_take_request(leg, invite);
	return status ? status : hide_privacy_status(invite);
}

/* 0, or why the call cannot be taken as it is. */
static unsigned admit(const struct call *call, const struct message *invite)
{
	const struct leg *caller = &call->leg[LEG_CALLER];

	if (call->state != CALL_PROCEEDING || !caller->server_invite || call->carry)
		return 481;
	/* The caller has an answer of somebody else already, or is about to. */
	if (call->media_fork || exchange_is_under_way(call))
		return 491;
	for (const struct call_fork *fork = call->forks; fork; fork = fork->next)
		if (fork->answered || fork->settled || prack_is_pending(fork))
			return 491;
	return call->offerless || !answer_each_other(call_sdp(transaction_message(caller->server_invite)),
					  call_sdp(invite), &call->shard->config->sip)
		       ? 488
		       : 0;
}

/* In the callee's place, with keys that are good where some are asked for. */
static bool fits(const struct call *call, const struct leg *taker, struct span offer)
{
	const struct media_party party = call_party(taker);

	return taker->flow.remote.sa.sa_family == call->leg[LEG_CALLED].flow.remote.sa.sa_family &&
	       media_can_cross(call->media, LEG_CALLED, &party, offer);
}

/* 200 with the caller's offer as its answer. */
static bool answer_taker(struct leg *leg, struct span offer)
{
	char description[CALL_MESSAGE_MAX], text[CALL_MESSAGE_MAX];
	struct writer body, out;

	writer_init(&body, description, sizeof(description));
	writer_init(&out, text, sizeof(text));
	return media_write(leg->call->media, LEG_CALLED, offer, &body) == 0 &&
	       invite_write(leg, 200, leg->local_tag, NULL, nothing, writer_result(&body), &out) == 0 &&
	       transaction_respond(leg->server_invite, 200, writer_result(&out)) == 0;
}

static void answer_both(struct call *call, struct span offer)
{
	struct leg *leg = &call->leg[LEG_CALLED];
	const struct media_party party = call_party(leg);
	struct call_event event = { .type = CALL_EVENT_LEASED, .side = LEG_CALLED, .status = 503 };

	call->callee_answered = true;
	call->state = CALL_ANSWER_LEASING;
	call_put_aside(call, offer);
	if (!call->offer || media_cross(call->media, LEG_CALLED, &party, offer) ||
		!answer_taker(leg, call_sdp(transaction_message(call->leg[LEG_CALLER].server_invite)))) {
		transfer_refuse(leg->server_invite, 500);
		leg->gone = true;
		event.type = CALL_EVENT_LEASE_FAILED;
		event.cause = "who took the call cannot be answered";
	}
	call_happens(call, &event);
}

unsigned transfer_pick_up(struct call *call, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source)
{
	struct leg taker = { 0 }, *callee = &call->leg[LEG_CALLED];
	unsigned status = admit(call, invite);

	if (!status)
		status = make_leg(&taker, call, invite, source);
	if (!status && !fits(call, &taker, call_sdp(invite)))
		status = 488;
	if (status) {
		leg_fini(&taker);
		return status;
	}
	memcpy(taker.called, callee->called, sizeof(taker.called));
	attempt_taken(call);
	taker.server_invite = transaction;
	*callee = taker;
	transaction_attach(transaction, &events, callee);
	call_tag_insert(&call->tag[LEG_CALLED], callee, callee->local_tag);
	answer_both(call, call_sdp(invite));
	return 0;
}
