/* SPDX-License-Identifier: BSD-3-Clause */
/* The state machine of a call, and the hooks by which the shard drives it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_rekey.h"
#include "controlplane/message_parts.h"
#include "controlplane/secret.h"
#include "platforms/base/clock.h"

struct call_transition {
	void (*action)(struct call *call, const struct call_event *event); /* NULL: nothing to do */
	enum call_state next;
};

/* An event that a state has no row for is ignored there: next == state 0 with no action marks it (LEASING has no row to itself). */
#define ROW(event) [CALL_EVENT_##event]
/* clang-format off */
static const struct call_transition transitions[CALL_STATE_COUNT][CALL_EVENT_COUNT] = {
	[CALL_LEASING] = {
		ROW(LEASED)       = { invite_send, CALL_PROCEEDING },
		ROW(LEASE_FAILED) = { invite_fail, CALL_OVER },
		ROW(CANCEL)       = { invite_cancel, CALL_OVER },
		ROW(BYE)          = { bye_instead_of_cancel, CALL_OVER },
		ROW(BROKEN)       = { invite_fail, CALL_OVER },
	},
	[CALL_PROCEEDING] = {
		ROW(PROVISIONAL)  = { invite_relay_provisional, CALL_PROCEEDING },
		ROW(ANSWER)       = { invite_answer, CALL_ANSWER_LEASING },
		ROW(REJECT)       = { invite_reject, CALL_OVER },
		ROW(FAILED)       = { invite_fail, CALL_OVER },
		ROW(LEASED)       = { early_offer_leased, CALL_PROCEEDING },
		ROW(LEASE_FAILED) = { invite_no_answer, CALL_CANCELLING },
		ROW(CANCEL)       = { invite_cancel, CALL_CANCELLING },
		ROW(BYE)          = { early_bye, CALL_CANCELLING },
		ROW(TIMER)        = { invite_no_answer, CALL_CANCELLING },
		ROW(BROKEN)       = { invite_no_answer, CALL_CANCELLING },
	},
	[CALL_ANSWER_LEASING] = {
		ROW(LEASED)       = { invite_answer_leased, CALL_ANSWERED },
		ROW(LEASE_FAILED) = { invite_answer_given_up, CALL_ENDING },
		ROW(CANCEL)       = { invite_answer_given_up, CALL_ENDING },
		ROW(BYE)          = { invite_answer_given_up, CALL_ENDING },
		ROW(BROKEN)       = { invite_answer_given_up, CALL_ENDING },
	},
	[CALL_ANSWER_HELD] = {
		ROW(PRACKED)      = { invite_answer_release, CALL_ANSWERED },
		ROW(CANCEL)       = { invite_answer_given_up, CALL_ENDING },
		ROW(BYE)          = { invite_answer_given_up, CALL_ENDING },
		ROW(BROKEN)       = { invite_answer_given_up, CALL_ENDING },
	},
	[CALL_ANSWERED] = {
		ROW(ACK)          = { invite_acked, CALL_ESTABLISHED },
		ROW(NO_ACK)       = { bye_both, CALL_ENDING },
		ROW(FAILED)       = { invite_answer_given_up, CALL_ENDING },
		ROW(BYE)          = { bye_wait, CALL_HANGUP },
		ROW(BROKEN)       = { bye_callee, CALL_HANGUP },
	},
	[CALL_HANGUP] = {
		ROW(ACK)          = { bye_caller, CALL_ENDING },
		ROW(NO_ACK)       = { bye_caller, CALL_ENDING },
		ROW(BYE)          = { bye_wait, CALL_HANGUP },
	},
	[CALL_ESTABLISHED] = {
		ROW(BYE)          = { bye_relay, CALL_ENDING },
		ROW(TIMER)        = { bye_both, CALL_ENDING },
		ROW(BROKEN)       = { bye_both, CALL_ENDING },
	},
	[CALL_CANCELLING] = {
		ROW(ANSWER)       = { invite_answer_late, CALL_ENDING },
		ROW(REJECT)       = { NULL, CALL_OVER },
		ROW(FAILED)       = { NULL, CALL_OVER },
		ROW(BYE)          = { bye_accept, CALL_CANCELLING },
	},
	[CALL_ENDING] = {
		ROW(BYE)          = { bye_accept, CALL_ENDING },
		ROW(BYE_DONE)     = { bye_done, CALL_ENDING },
	},
};
/* clang-format on */
#undef ROW

static const char *const state_names[CALL_STATE_COUNT] = {
#define X(name) [CALL_##name] = #name,
	CALL_STATES(X)
#undef X
};

static const char *const event_names[CALL_EVENT_COUNT] = {
#define X(name) [CALL_EVENT_##name] = #name,
	CALL_EVENTS(X)
#undef X
};

static bool is_ending(const struct call *call)
{
	return call->state == CALL_HANGUP || call->state > CALL_ESTABLISHED;
}

void call_happens(struct call *call, const struct call_event *event)
{
	const struct call_transition *transition = &transitions[call->state][event->type];

	log_debug("call", "event", LOG_UINT("call", call->id), LOG_TEXT("state", state_names[call->state]),
		LOG_TEXT("event", event_names[event->type]), LOG_UINT("side", event->side));
	if (!transition->action && transition->next == CALL_LEASING) {
		/* Not expected here. A request still wants its answer. */
		if (event->type == CALL_EVENT_BYE)
			bye_accept(call, event);
		return;
	}
	if (call->notes)
		call_record_note(call, event);
	if (event->type == CALL_EVENT_PROVISIONAL)
		statistics_response(&call->leg[LEG_CALLER], event->status);
	call->state = transition->next;
	call->depth++;
	/* An action may let further events happen, as its last deed: the state is the new one already. */
	if (transition->action)
		transition->action(call, event);
	if (call->exchange.kept.transaction && is_ending(call))
		exchange_refuse_kept(call, 487);
	if (--call->depth || call->state != CALL_OVER)
		return;
	statistics_response(&call->leg[LEG_CALLER], call->status);
	call_record_end(call);
	call_free(call);
}

void call_breaks(struct call *call, const char *cause)
{
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_BROKEN, .status = 503, .cause = cause });
}

const char call_no_srtp[] = "SRTP was not agreed on";

void call_unsafe(struct call *call)
{
	call_happens(call,
		&(struct call_event){ .type = CALL_EVENT_BROKEN, .status = 488, .cause = call_no_srtp });
}

struct media_party call_party(const struct leg *leg)
{
	return (struct media_party){ leg->realm, leg->profile, leg->flow.remote,
		leg->flow.listener && listener_is_secure(leg->flow.listener) };
}

struct span call_sdp(const struct message *message)
{
	return message_sdp(message);
}

void call_put_aside(struct call *call, struct span offer)
{
	secret_free(call->offer);
	call->offer = secret_dup(offer);
	call->offer_length = call->offer ? offer.n : 0;
}

static void timer_expired(struct timer *timer, void *arg)
{
	struct call *call = arg;

	(void)timer;
	call_happens(call, &(struct call_event){ .type = CALL_EVENT_TIMER,
				   .status = call->caller_answered ? 480 : 408,
				   .cause = call->caller_answered ? "max-call-duration" : "no answer" });
}

void call_timer_arm(struct call *call, uint64_t delay_ms)
{
	timer_arm(call->shard->timers, &call->timer, delay_ms, timer_expired, call);
}

/* --- media ----------------------------------------------------------------------------------------------------------- */

static void on_media_ready(void *arg, int status)
{
	struct call *call = arg;
	struct call_event event = { .type = status ? CALL_EVENT_LEASE_FAILED : CALL_EVENT_LEASED,
		.status = 503,
		.cause = status ? "no media ports" : NULL };

	/* The shard is closing: nobody is left to be told. */
	if (!call->shard->transactions)
		return;
	if (status)
		shard_count(call->shard, CALLS_NO_MEDIA);
	if (status)
		log_warning("call", "no media ports", LOG_UINT("call", call->id), LOG_ERRNO("error", status));
	if (status == 0)
		call_session_insert(call);
	if (exchange_is_under_way(call))
		exchange_ready(call, status);
	else if (!prack_ready(call, status))
		call_happens(call, &event);
}

static void on_media_lost(void *arg)
{
	call_breaks(arg, "media session lost");
}

static const char *alarm_subject(const struct leg *leg)
{
	return leg->agent ? leg->agent->name : leg->realm ? leg->realm->name : "";
}

/* Somebody may be on the way who takes keys away, or it is a telephone that was set up otherwise: who runs this has to know. */
static void on_media_insecure(void *arg, unsigned side, const char *why)
{
	const struct call *call = arg;

	shard_count(call->shard, SRTP_REFUSED);
	alarm_raise(call->shard->shared.alarms, CP_ALARM_SRTP_DOWNGRADE, CP_SEVERITY_MAJOR,
		alarm_subject(&call->leg[side]), why);
	log_warning("call", "SRTP refused", LOG_UINT("call", call->id), LOG_UINT("side", side),
		LOG_TEXT("realm", call->leg[side].realm ? call->leg[side].realm->name : ""),
		LOG_TEXT("why", why));
}

const struct media_events call_media_events = { on_media_ready, on_media_lost, on_media_insecure };

static void break_call(struct call *call, void *arg)
{
	if (media_session(call->media))
		call_breaks(call, arg);
}

static void resync_call(struct call *call, void *arg)
{
	(void)arg;
	media_resync(call->media);
}

/* Re-creating the media of established calls would need a re-INVITE to both peers (their ports are new): until that exists the
 * calls are ended in order, rather than left mute (docs/decisions/0021-media-of-a-call.md). */
void call_dataplane_up(struct shard *shard, bool fresh)
{
	call_dataplane_note(shard, true);
	log_notice("call", fresh ? "dataplane is there" : "dataplane is there again",
		LOG_UINT("shard", shard->index), LOG_UINT("calls", call_count(shard)));
	if (fresh)
		call_each(shard, break_call, (void *)"dataplane restarted");
	else
		call_each(shard, resync_call, NULL);
}

void call_dataplane_down(struct shard *shard)
{
	call_dataplane_note(shard, false);
	log_warning("call", "dataplane is away: calls go on, new ones are refused",
		LOG_UINT("shard", shard->index), LOG_UINT("calls", call_count(shard)));
}

static void forget_reply(void *arg, int status, const void *body, size_t length)
{
	(void)arg;
	(void)status;
	(void)body;
	(void)length;
}

static void session_fell_silent(struct shard *shard, struct call *call, const struct dp_event *event)
{
	if (!call) {
		/* Left over from a control plane before us, and nobody speaks on it any more. */
		struct dp_session_id id = { .session = event->session };

		log_info("call", "silent session without a call is deleted",
			LOG_UINT("session", event->session));
		dp_client_request(shard->dataplane, DP_SESSION_DELETE, &id, sizeof(id), forget_reply, NULL);
		return;
	}
	log_info("call", "no media", LOG_UINT("call", call->id), LOG_UINT("stream", event->stream),
		LOG_UINT("side", event->side));
	if (call->state != CALL_ESTABLISHED || !media_silent(call->media, event->stream, event->side))
		return;
	shard_count(shard, CALLS_MEDIA_SILENT);
	call_breaks(
		call, event->side == LEG_CALLER ? "no media from the caller" : "no media from the callee");
}

/* Somebody sends what has not our peer's key, or it and we do not have the same one. A packet or two in clear before the first of SRTP are what
 * some telephones open their NAT with: who runs this is told of what goes on, once per call in the log. Counted each time. */
static void srtp_alarm(struct call *call, const struct dp_event *event, const union address *source)
{
	unsigned bit = 1U << event->side;

	shard_count(call->shard, SRTP_ALARMS);
	if (event->side >= LEGS)
		return;
	if (call->srtp_alarms & bit) {
		alarm_raise(call->shard->shared.alarms, CP_ALARM_SRTP_AUTHENTICATION, CP_SEVERITY_WARNING,
			alarm_subject(&call->leg[event->side]), "SRTP that is not authentic");
		if (!(call->srtp_logged & bit))
			log_warning("call", "SRTP that is not authentic", LOG_UINT("call", call->id),
				LOG_UINT("stream", event->stream), LOG_UINT("side", event->side),
				LOG_ADDRESS("source", source));
		call->srtp_logged |= bit;
	}
	call->srtp_alarms |= bit;
}

void call_dataplane_event(struct shard *shard, enum dp_message type, const struct dp_event *event)
{
	struct call *call = call_find_session(shard, event->session);
	union address source;

	dp_address_to(&event->source, &source);
	if (type == DP_EVENT_MEDIA_SILENT)
		session_fell_silent(shard, call, event);
	else if (call && type == DP_EVENT_LATCHED)
		log_debug("call", "media latched", LOG_UINT("call", call->id),
			LOG_UINT("stream", event->stream), LOG_UINT("side", event->side),
			LOG_ADDRESS("source", &source));
	else if (call && type == DP_EVENT_SOURCE_ALARM)
		log_warning("call", "media from a wrong source", LOG_UINT("call", call->id),
			LOG_UINT("stream", event->stream), LOG_UINT("side", event->side),
			LOG_ADDRESS("source", &source));
	else if (call && type == DP_EVENT_SRTP_ALARM)
		srtp_alarm(call, event, &source);
	else if (call && type == DP_EVENT_REKEY_NEEDED)
		rekey_needed(call, event->side, event->stream);
}

/* --- what the API shows ------------------------------------------------------------------------------------------------ */

static void copy_span(char *out, size_t size, struct span text)
{
	size_t n = text.n < size ? text.n : size - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = '\0';
}

static void copy_text(char *out, size_t size, const char *text)
{
	copy_span(out, size, span_from(text));
}

static void describe_leg(const struct leg *leg, struct cp_leg *out)
{
	struct name_addr address;
	struct sip_uri uri = { 0 };
	struct span user = { NULL, 0 };

	if (!leg->realm)
		return;
	copy_text(out->realm, sizeof(out->realm), leg->realm->name);
	copy_text(out->agent, sizeof(out->agent), leg->agent ? leg->agent->name : NULL);
	address_print(&leg->flow.remote, out->remote);
	address_print(listener_address(leg->flow.listener), out->local);
	copy_text(out->call_id, sizeof(out->call_id), leg->call_id);
	if (leg->side == LEG_CALLED)
		user = span_from(leg->called);
	else if (leg->remote && name_addr_parse(span_from(leg->remote), &address) == 0 &&
		 sip_uri_parse(address.uri, &uri) == 0)
		user = uri.user;
	copy_span(out->user, sizeof(out->user), user);
}

static uint32_t shown_state(const struct call *call)
{
	switch (call->state) {
	case CALL_ESTABLISHED:
	case CALL_ANSWERED:
	case CALL_ANSWER_LEASING:
	case CALL_ANSWER_HELD:
		return CP_CALL_ANSWERED;
	case CALL_PROCEEDING:
	case CALL_LEASING:
		return call->ringing ? CP_CALL_RINGING : CP_CALL_TRYING;
	default:
		return CP_CALL_ENDING;
	}
}

void call_fill(const struct call *call, struct cp_call *out)
{
	uint64_t now = clock_now_ms();

	memset(out, 0, sizeof(*out));
	out->call = call->id;
	out->session = media_session(call->media);
	out->started_wall_ms = call->started_wall_ms;
	out->setup_ms = (call->answered_ms ? call->answered_ms : now) - call->started_ms;
	out->answered_ms = call->answered_ms ? now - call->answered_ms : 0;
	out->state = shown_state(call);
	out->held = media_held(call->media);
	out->srtp_alarms = call->srtp_alarms;
	copy_text(out->policy, sizeof(out->policy), call->policy ? call->policy->name : NULL);
	for (unsigned side = 0; side < LEGS; side++)
		describe_leg(&call->leg[side], &out->leg[side]);
}
