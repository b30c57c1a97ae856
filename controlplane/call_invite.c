/* SPDX-License-Identifier: BSD-3-Clause */
/* The first INVITE of a call: admitted, routed, leased, written anew for the callee, and its responses back to the caller. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_state.h"
#include "controlplane/hide.h"
#include "controlplane/route.h"
#include "platforms/base/clock.h"

static const struct span no_body = { NULL, 0 };
static const char retry_after[] = "Retry-After: 5\r\n";

/* --- messages ---------------------------------------------------------------------------------------------------------- */

static void copy_record_route(const struct message *request, struct writer *out)
{
	struct span value;

	for (unsigned n = 0; message_header(request, SPAN("Record-Route"), n, &value); n++) {
		writer_text(out, "Record-Route: ");
		writer_span(out, value);
		writer_text(out, "\r\n");
	}
}

static enum hide_kind kind_of_status(unsigned status)
{
	if (status < 200)
		return HIDE_PROVISIONAL;
	if (status < 300)
		return HIDE_SUCCESS;
	return status == 401 || status == 407 ? (enum hide_kind)(HIDE_FAILURE | HIDE_CHALLENGE)
					      : HIDE_FAILURE;
}

void invite_respond(
	struct leg *leg, unsigned status, const char *tag, const struct message *from, struct span body)
{
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	if (!leg->server_invite)
		return;
	writer_init(&out, text, sizeof(text));
	transaction_response_begin(
		leg->server_invite, status, span_from(sip_reason(status)), span_from(tag), &out);
	if (status < 300) {
		copy_record_route(transaction_message(leg->server_invite), &out);
		leg_contact(leg, &out);
		hide_allow(&out);
	}
	hide_product(leg->shard->config, false, &out);
	if (from)
		hide_headers(from, kind_of_status(status), &leg->call->leg[1 - leg->side], leg, &out);
	message_end(&out, SPAN("application/sdp"), body);
	error = out.overflow ? -EMSGSIZE
			     : transaction_respond(leg->server_invite, status, writer_result(&out));
	if (error && error != -EALREADY)
		log_warning("call", "response not sent", LOG_UINT("call", leg->call->id),
			LOG_UINT("status", status), LOG_ERRNO("error", error));
}

void invite_ack(struct leg *leg, struct transaction *invite, struct span to_tag, struct span body)
{
	const struct leg *other = leg->call ? &leg->call->leg[1 - leg->side] : NULL;
	struct sip_flow flow = leg_flow(leg);
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	writer_init(&out, text, sizeof(text));
	leg_request_begin(leg, SIP_METHOD_ACK, CALL_MAX_FORWARDS, &out);
	/* RFC 3261 section 22.1: the ACK has the credentials of its INVITE. */
	if (other && other->server_invite)
		hide_headers(transaction_message(other->server_invite), HIDE_ACK, other, leg, &out);
	hide_product(leg->shard->config, true, &out);
	message_end(&out, SPAN("application/sdp"), body);
	error = out.overflow ? -EMSGSIZE : transaction_ack(invite, &flow, to_tag, writer_result(&out));
	if (error)
		log_warning(
			"call", "ACK not sent", LOG_TEXT("call-id", leg->call_id), LOG_ERRNO("error", error));
}

int invite_request(struct leg *leg, const struct message *source, unsigned max_forwards, struct span body,
	const struct transaction_events *events)
{
	enum hide_kind kind = leg->remote_tag ? HIDE_REINVITE : HIDE_INVITE;
	struct sip_flow flow = leg_flow(leg);
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	leg_request_begin(leg, SIP_METHOD_INVITE, max_forwards, &out);
	leg_contact(leg, &out);
	hide_allow(&out);
	hide_product(leg->shard->config, true, &out);
	hide_headers(source, kind, &leg->call->leg[1 - leg->side], leg, &out);
	message_end(&out, SPAN("application/sdp"), body);
	if (out.overflow)
		return -EMSGSIZE;
	return transaction_request(leg->shard, &flow, writer_result(&out), events, leg, &leg->client_invite);
}

/* --- what the transactions report ------------------------------------------------------------------------------------- */

static void on_callee_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	const struct scan *scan = message_scan(response);
	struct call_event event = {
		.side = LEG_CALLED, .status = scan->status, .message = response, .transaction = transaction
	};

	if (scan->status <= 100)
		return;
	if (scan->status < 200)
		event.type = CALL_EVENT_PROVISIONAL;
	else if (scan->status >= 300)
		event.type = CALL_EVENT_REJECT;
	else if (leg->remote_tag) {
		if (!span_equal(span_from(leg->remote_tag), scan->to_tag))
			bye_fork(leg, transaction, response);
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
	if (leg->remote_tag || how == TRANSACTION_SHUTDOWN)
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
	if (leg->call->caller_answered && (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR))
		call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_NO_ACK,
						.side = LEG_CALLER,
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

static const struct config_session_agent *next_hop_agent(const struct config_local_policy *policy)
{
	switch (policy->next_hop) {
	case CONFIG_NEXT_HOP_AGENT:
		return policy->agent;
	case CONFIG_NEXT_HOP_GROUP:
		for (size_t i = 0; i < policy->group->agent_count; i++)
			if (address_is_set(&policy->group->agents[i]->address.address))
				return policy->group->agents[i];
		return NULL;
	case CONFIG_NEXT_HOP_REGISTRATION:
		break;
	}
	return NULL;
}

/* Chooses policy, agent and the listener to reach it with. 0 or the status the caller deserves. */
static unsigned route_call(struct call *call, const struct message *invite, struct span *called,
	struct sip_flow *flow, const char **cause)
{
	const struct config *config = call->shard->config;
	const struct config_session_agent *agent;
	struct name_addr from;
	struct sip_uri uri, from_uri = { 0 };
	struct span user;

	*cause = "no local-policy";
	if (message_request_uri(invite, &uri) || message_from(invite, &from))
		return 400;
	if (!span_equal_case(uri.scheme, SPAN("sip")) && !span_equal_case(uri.scheme, SPAN("tel")))
		return 416;
	*called = hide_user(&uri);
	user = sip_uri_parse(from.uri, &from_uri) == 0 ? hide_user(&from_uri) : no_body;
	if (route_find(config, call->leg[LEG_CALLER].realm, user, *called, &call->policy)) {
		shard_count(call->shard, CALLS_NO_ROUTE);
		return 404;
	}
	*cause = "no session-agent for the policy";
	agent = next_hop_agent(call->policy);
	if (!agent)
		return 404;
	*cause = "session-agent cannot be reached";
	flow->remote = agent->address.address;
	if (!address_is_set(&flow->remote))
		return 503;
	if (address_port(&flow->remote) == 0)
		address_set_port(&flow->remote, 5060);
	flow->listener = transport_find(call->shard, agent->realm, agent->address.transport, &flow->remote);
	call->leg[LEG_CALLED].agent = agent;
	return flow->listener ? 0 : 503;
}

static unsigned body_status(const struct message *invite)
{
	struct span encoding;

	if (message_body(invite).n == 0)
		return 0;
	if (!message_body_is(invite, SPAN("application/sdp")))
		return 415;
	if (message_header(invite, SPAN("Content-Encoding"), 0, &encoding) &&
		!span_equal_case(encoding, SPAN("identity")))
		return 415;
	return 0;
}

static unsigned offer_status(int error)
{
	switch (error) {
	case -EINVAL:
		return 400;
	case -EMSGSIZE:
	case -EPROTONOSUPPORT:
		return 488;
	default:
		return 503;
	}
}

static void set_party(struct call *call, unsigned side)
{
	const struct leg *leg = &call->leg[side];

	media_set_party(
		call->media, side, &(struct media_party){ leg->realm, leg->profile, leg->flow.remote });
}

/* Makes both legs. 0 or the status to refuse with. */
static unsigned make_legs(struct call *call, const struct message *invite, const char **cause)
{
	struct leg *caller = &call->leg[LEG_CALLER], *callee = &call->leg[LEG_CALLED];
	struct span called = { NULL, 0 };
	struct sip_flow flow = { 0 };
	struct name_addr from, to;
	unsigned status;

	*cause = "unusable From, To or Contact";
	if (leg_init_server(caller, call->shard, invite) || message_from(invite, &from) ||
		message_to(invite, &to))
		return 400;
	*cause = "unsupported body";
	status = body_status(invite);
	if (status)
		return status;
	status = route_call(call, invite, &called, &flow, cause);
	if (status)
		return status;
	*cause = "cannot write the callee's leg";
	if (leg_init_client(callee, call->shard, &flow, called, &from, &to))
		return 500;
	call_tag_insert(&call->tag[LEG_CALLER], caller, caller->local_tag);
	call_tag_insert(&call->tag[LEG_CALLED], callee, callee->local_tag);
	set_party(call, LEG_CALLER);
	set_party(call, LEG_CALLED);
	return 0;
}

void call_start(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source)
{
	struct call *call = NULL;
	const char *cause = NULL;
	unsigned status;
	int result;

	shard_count(shard, CALLS);
	if (call_new(shard, &call)) {
		shard_count(shard, CALLS_FAILED);
		transaction_reply(transaction, 503, no_body, span_from(retry_after));
		return;
	}
	call->leg[LEG_CALLER].server_invite = transaction;
	call->leg[LEG_CALLER].agent = source;
	transaction_attach(transaction, &caller_events, &call->leg[LEG_CALLER]);
	transaction_reply(transaction, 100, no_body, no_body);
	status = make_legs(call, invite, &cause);
	if (status) {
		refuse(call, status, cause);
		return;
	}
	if (!dp_client_is_up(shard->dataplane)) {
		shard_count(shard, CALLS_NO_MEDIA);
		refuse(call, 503, "no dataplane");
		return;
	}
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

/* --- towards the callee -------------------------------------------------------------------------------------------------- */

static void timer_expired(struct timer *timer, void *arg)
{
	(void)timer;
	call_happens(arg,
		&(struct call_event){ .type = CALL_EVENT_TIMER,
			.status = 408,
			.cause = ((struct call *)arg)->caller_answered ? "max-call-duration" : "no answer" });
}

/* RFC 3261 section 16.6, step 11. */
static void arm_timer_c(struct call *call)
{
	timer_arm(
		call->shard->timers, &call->timer, call->shard->config->sip.timer_c_ms, timer_expired, call);
}

void invite_send(struct call *call, const struct call_event *event)
{
	const struct message *invite = transaction_message(call->leg[LEG_CALLER].server_invite);
	int hops = message_scan(invite)->max_forwards;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error = 0;

	(void)event;
	writer_init(&body, text, sizeof(text));
	if (!call->offerless)
		error = media_write(call->media, LEG_CALLED, call_sdp(invite), &body);
	if (!error)
		error = invite_request(&call->leg[LEG_CALLED], invite,
			hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0), writer_result(&body),
			&callee_events);
	if (error) {
		log_warning("call", "INVITE not sent", LOG_UINT("call", call->id), LOG_ERRNO("error", error));
		call_happens(call, &(struct call_event){ .type = CALL_EVENT_FAILED,
					   .status = error == -EMSGSIZE ? 513 : 503,
					   .cause = "INVITE cannot be sent" });
		return;
	}
	arm_timer_c(call);
}

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

	arm_timer_c(call);
	if (!tag)
		return;
	if (event->status == 180)
		call->ringing = true;
	writer_init(&body, text, sizeof(text));
	/* Without an offer of the caller's this would be an offer, which only a reliable response may carry (RFC 3262). */
	if (sdp.n && !call->offerless) {
		if (media_answer(call->media, LEG_CALLED, sdp, false) ||
			media_write(call->media, LEG_CALLER, sdp, &body)) {
			log_info("call", "unusable early answer is not relayed", LOG_UINT("call", call->id));
			body.len = 0;
		}
	}
	invite_respond(
		caller, event->status, tag, event->message, body.overflow ? no_body : writer_result(&body));
}

/* --- the answer ------------------------------------------------------------------------------------------------------------ */

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
	call->caller_answered = true;
	call->answered_ms = clock_now_ms();
	call->status = 200;
	shard_count(call->shard, CALLS_ANSWERED);
	invite_respond(caller, 200, caller->local_tag, event->message, written);
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
	bool gave_up = event->type == CALL_EVENT_CANCEL || event->type == CALL_EVENT_BYE;

	count_failure(call, event->type);
	if (event->type == CALL_EVENT_BYE)
		bye_accept(call, event);
	respond_failure(call, gave_up ? 487 : event->status, event->cause, event->status == 503);
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
	if (leg_take_response(&call->leg[LEG_CALLED], event->message) == 0)
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
		timer_arm(call->shard->timers, &call->timer, (uint64_t)limit * 1000, timer_expired, call);
	free(call->offer);
	call->offer = NULL;
	if (call->ack_due) {
		struct span sdp = call_sdp(event->message);

		writer_init(&body, text, sizeof(text));
		failed = media_answer(call->media, LEG_CALLER, sdp, true) ||
			 media_write(call->media, LEG_CALLED, sdp, &body);
		call->ack_due = false;
		invite_ack(callee, callee->client_invite, span_from(callee->remote_tag),
			failed ? no_body : writer_result(&body));
	}
	if (failed)
		call_breaks(call, "no usable answer in the ACK");
	else
		call_store(call);
}
