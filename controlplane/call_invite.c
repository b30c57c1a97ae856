/* SPDX-License-Identifier: BSD-3-Clause */
/* The first INVITE of a call: admitted, routed, leased, written anew for the callee, and its responses back to the caller. */
#include <errno.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt.h"
#include "controlplane/call_state.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
#include "controlplane/hide.h"
#include "controlplane/registrar_phone.h"

static const struct span no_body = { NULL, 0 };
static const char retry_after[] = "Retry-After: 5\r\n";

/* --- what the transactions report ------------------------------------------------------------------------------------- */

static void on_callee_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	const struct scan *scan = message_scan(response);
	struct call_fork *fork;
	struct call_event event = {
		.side = LEG_CALLED, .status = scan->status, .message = response, .transaction = transaction
	};

	attempt_heard(leg->call);
	if (scan->status <= 100)
		return;
	statistics_response(leg, scan->status);
	registrar_phone_answered(&leg->call->leg[LEG_CALLER], leg->agent, scan->status);
	if (scan->status < 200)
		event.type = CALL_EVENT_PROVISIONAL;
	else if (scan->status >= 300 && !message_is_parsed(response)) {
		event.type = CALL_EVENT_FAILED;
		event.status = 502;
		event.cause = "unreadable response from the callee";
	} else if (scan->status >= 300)
		event.type = CALL_EVENT_REJECT;
	else if (leg->call->callee_answered) {
		if (!span_equal(span_from(leg->remote_tag), scan->to_tag))
			bye_fork(leg, transaction, response);
		return;
	} else if ((fork = call_fork_find(leg->call, scan->to_tag)) && fork->leg[LEG_CALLER]->gone) {
		/* The caller has hung up on this branch, its answer has crossed the BYE. */
		bye_fork(fork->leg[LEG_CALLED], transaction, response);
		return;
	} else
		event.type = CALL_EVENT_ANSWER;
	call_happens(leg->call, &event);
}

static void on_callee_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;
	struct call_event event = {
		.type = CALL_EVENT_FAILED, .side = LEG_CALLED, .status = 408, .cause = "no response"
	};

	(void)transaction;
	leg->client_invite = NULL;
	if (leg->call->callee_answered || how == TRANSACTION_SHUTDOWN)
		return;
	if (how == TRANSACTION_TRANSPORT_ERROR) {
		event.status = 503;
		event.cause = "not reachable";
	}
	call_happens(leg->call, &event);
}

static const struct transaction_events callee_events = { .response = on_callee_response,
	.ended = on_callee_ended };

static void on_caller_cancelled(void *arg, struct transaction *transaction, const struct message *cancel)
{
	struct leg *leg = arg;

	call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_CANCEL,
					.side = LEG_CALLER,
					.message = cancel,
					.transaction = transaction,
					.cause = "cancelled" });
}

static void on_caller_acked(void *arg, struct transaction *transaction, const struct message *ack)
{
	struct leg *leg = arg;

	if (leg->call->caller_answered)
		call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_ACK,
						.side = LEG_CALLER,
						.message = ack,
						.transaction = transaction });
}

static void on_caller_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->server_invite = NULL;
	/* He is behind a broken connection, and will never hear what becomes of it. */
	if (!leg->call->caller_answered && how == TRANSACTION_TRANSPORT_ERROR)
		call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_BROKEN,
						.side = LEG_CALLER,
						.status = 503,
						.cause = "caller not reachable" });
	else if (leg->call->caller_answered &&
		 (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR))
		call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_NO_ACK,
						.side = LEG_CALLER,
						.status = 408,
						.cause = "no ACK from the caller" });
}

static const struct transaction_events caller_events = { NULL, on_caller_cancelled, on_caller_acked,
	on_caller_ended };

/* --- the way in ---------------------------------------------------------------------------------------------------------- */

static void refuse(struct call *call, unsigned status, const char *cause)
{
	call_happens(call,
		&(struct call_event){ .type = CALL_EVENT_LEASE_FAILED, .status = status, .cause = cause });
}

static unsigned offer_status(int error)
{
	switch (error) {
	case -EINVAL:
		return 400;
	case -EMSGSIZE:
	case -EPROTONOSUPPORT:
	case -EKEYREJECTED:
		return 488;
	default:
		return 503;
	}
}

static void set_party(struct call *call, unsigned side)
{
	struct media_party party = call_party(&call->leg[side]);

	media_set_party(call->media, side, &party);
}

/* Makes both legs. 0 or the status to refuse with. */
static unsigned make_legs(
	struct call *call, const struct message *invite, struct leg *instead, const char **cause)
{
	struct leg *caller = &call->leg[LEG_CALLER], *callee = &call->leg[LEG_CALLED];
	struct name_addr to;
	unsigned status;

	*cause = "unusable From, To or Contact";
	if (leg_init_server(caller, call->shard, invite) || message_to(invite, &to))
		return 400;
	*cause = "session-agent has its max-sessions";
	if (agent_take(caller, false))
		return 503;
	*cause = "session timer";
	status = session_timer_take_request(caller, invite);
	if (status)
		return status;
	*cause = "unknown kind of privacy";
	status = hide_privacy_status(invite);
	if (status)
		return status;
	if (instead) {
		*cause = "no memory";
		status = transfer_shadow(call, LEG_CALLED, instead) ? 500 : 0;
	} else {
		status = attempt_first(call, invite, cause);
	}
	if (status)
		return status;
	*cause = "unsupported body";
	status = hide_body_status(invite, HIDE_INVITE, callee);
	if (status)
		return status;
	call_tag_insert(&call->tag[LEG_CALLER], caller, caller->local_tag);
	if (!instead)
		call_tag_insert(&call->tag[LEG_CALLED], callee, callee->local_tag);
	set_party(call, LEG_CALLER);
	set_party(call, LEG_CALLED);
	return 0;
}

static void start(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source, struct leg *instead)
{
	struct call *call = NULL;
	const char *cause = NULL;
	unsigned status;
	int result;

	shard_count(shard, CALLS);
	if (call_new(shard, &call)) {
		shard_count(shard, CALLS_FAILED);
		statistics_refused(shard, listener_interface(message_flow(invite)->listener)->realm, source,
			CP_STATISTICS_IN);
		transaction_reply(transaction, 503, no_body, span_from(retry_after));
		return;
	}
	call->leg[LEG_CALLER].server_invite = transaction;
	call->leg[LEG_CALLER].agent = source;
	call->leg[LEG_CALLER].realm = listener_interface(message_flow(invite)->listener)->realm;
	statistics_begin(&call->leg[LEG_CALLER], CP_STATISTICS_IN);
	transaction_attach(transaction, &caller_events, &call->leg[LEG_CALLER]);
	transaction_reply(transaction, 100, no_body, no_body);
	if (!session_id_is_in(invite))
		call->session_id = session_id_new();
	call_record_invited(call, invite);
	status = make_legs(call, invite, instead, &cause);
	if (status) {
		refuse(call, status, cause);
		return;
	}
	if (!dp_client_is_up(shard->dataplane)) {
		shard_count(shard, CALLS_NO_MEDIA);
		refuse(call, 503, "no dataplane");
		return;
	}
	/* Whoever requires it supports it. */
	call->reliable_only = message_has_token(invite, SPAN("Require"), SPAN("100rel"));
	if (call_sdp(invite).n == 0) {
		call->offerless = true;
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_LEASED });
		return;
	}
	result = media_offer(call->media, LEG_CALLER, call_sdp(invite));
	if (result < 0)
		refuse(call, offer_status(result), "offer not acceptable");
	else if (result == 0)
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_LEASED });
}

void call_start(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source)
{
	start(shard, transaction, invite, source, NULL);
}

void call_start_instead(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source, struct leg *callee)
{
	start(shard, transaction, invite, source, callee);
}

/* --- towards the callee -------------------------------------------------------------------------------------------------- */

int invite_send_to(struct call *call, struct leg *leg, const struct transaction_events *events)
{
	const struct transaction *server = call->leg[LEG_CALLER].server_invite;
	const struct message *invite = server ? transaction_message(server) : transfer_invite(call);
	int hops = message_scan(invite)->max_forwards, error = 0;
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	writer_init(&body, text, sizeof(text));
	if (!call->offerless)
		error = media_write(call->media, LEG_CALLED, call_sdp(invite), &body);
	if (error)
		return error;
	if (!leg->remote_tag && leg->profile->session_id)
		session_id_speak_for(leg, &call->session_id);
	error = invite_request(leg, invite, hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0),
		writer_result(&body), events);
	/* Within a dialog nobody is called. */
	if (!error && !leg->remote_tag) {
		statistics_begin(leg, CP_STATISTICS_OUT);
		call->leg[LEG_CALLER].statistics.passed_on = true;
	}
	return error;
}

void invite_adopt(struct leg *leg)
{
	transaction_attach(leg->client_invite, &callee_events, leg);
}

void invite_send(struct call *call, const struct call_event *event)
{
	int error;

	(void)event;
	if (call->carry)
		transfer_number(call, LEG_CALLED);
	error = invite_send_to(call, &call->leg[LEG_CALLED], &callee_events);
	if (error) {
		log_warning("call", "INVITE not sent", LOG_UINT("call", call->id), LOG_ERRNO("error", error));
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
					   .side = LEG_CALLED,
					   .status = error == -EMSGSIZE ? 513 : 503,
					   .cause = "INVITE cannot be sent" });
		return;
	}
	/* Timer C, RFC 3261 section 16.6, step 11. */
	call_timer_arm(call, call->shard->config->sip.timer_c_ms);
	attempt_sent(call);
}
