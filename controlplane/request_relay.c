/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests relayed one by one: from the asker's transaction to ours on the other side, and its final response back. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/call_transfer.h"
#include "controlplane/core.h"
#include "controlplane/credentials.h"
#include "controlplane/registrar_phone.h"
#include "controlplane/request_relay_internal.h"
#include "controlplane/sips.h"
#include "controlplane/trace.h"

static const struct span nothing = { NULL, 0 };

/* --- the lists of legs -------------------------------------------------------------------------------------------------- */

static void lists_insert(struct request_relay *relay)
{
	struct leg *from = relay->from, *to = relay->to;

	if (from) {
		relay->next_asking = from->asking;
		relay->asking = &from->asking;
		if (from->asking)
			from->asking->asking = &relay->next_asking;
		from->asking = relay;
	}
	relay->next_asked = to->asked;
	relay->asked = &to->asked;
	if (to->asked)
		to->asked->asked = &relay->next_asked;
	to->asked = relay;
}

static void lists_remove(struct request_relay *relay)
{
	if (relay->asking) {
		*relay->asking = relay->next_asking;
		if (relay->next_asking)
			relay->next_asking->asking = relay->asking;
	}
	if (relay->asked) {
		*relay->asked = relay->next_asked;
		if (relay->next_asked)
			relay->next_asked->asked = relay->asked;
	}
	relay->asking = relay->asked = NULL;
}

static unsigned asking_count(const struct leg *leg)
{
	unsigned count = 0;

	for (const struct request_relay *relay = leg->asking; relay; relay = relay->next_asking)
		count++;
	return count;
}

static unsigned asked_count(const struct leg *leg)
{
	unsigned count = 0;

	for (const struct request_relay *relay = leg->asked; relay; relay = relay->next_asked)
		count++;
	return count;
}

/* --- making and ending ---------------------------------------------------------------------------------------------------- */

struct request_relay *relay_new(struct shard *shard, struct leg *from, struct leg *to, enum sip_method method)
{
	struct request_relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->shard = shard;
	relay->from = from;
	relay->to = to;
	relay->method = method;
	lists_insert(relay);
	return relay;
}

void relay_free(struct request_relay *relay)
{
	timer_cancel(&relay->timer);
	lists_remove(relay);
	if (relay->client)
		transaction_detach(relay->client);
	if (relay->server)
		transaction_detach(relay->server);
	if (relay->outside) {
		relay->shard->routed_requests--;
		*relay->routed = relay->next_routed;
		if (relay->next_routed)
			relay->next_routed->routed = relay->routed;
		for (unsigned side = 0; side < LEGS; side++)
			leg_fini(&relay->outside[side]);
		free(relay->outside);
	}
	free(relay->rest);
	free(relay);
}

void relay_take_legs(struct request_relay *relay, struct leg *legs)
{
	struct shard *shard = relay->shard;

	relay->outside = legs;
	relay->next_routed = shard->routed;
	relay->routed = &shard->routed;
	if (shard->routed)
		shard->routed->routed = &relay->next_routed;
	shard->routed = relay;
	shard->routed_requests++;
}

/* Requests within dialogs have the legs of those. */
void request_relay_layer_move(struct shard *shard, struct config_move *move)
{
	for (struct request_relay *relay = shard->routed; relay; relay = relay->next_routed)
		for (unsigned side = 0; side < LEGS; side++)
			leg_move(&relay->outside[side], move);
}

void relay_move(struct request_relay *relay, struct leg *from, struct leg *to)
{
	lists_remove(relay);
	relay->from = from;
	relay->to = to;
	lists_insert(relay);
}

/* What speaks of our own hop, or of the far side's, is not for the asker. */
static unsigned status_for_asker(const struct request_relay *relay, unsigned status)
{
	switch (status) {
	case 405:
	case 501: /* the far side's Allow is not ours: a 405 would have to name the method */
		return 501;
	case 408:
	case 413:
	case 415:
	case 513:
		return status;
	case 423:
		return relay->method == SIP_METHOD_PUBLISH || relay->method == SIP_METHOD_SUBSCRIBE ? 423
												    : 500;
	case 481: /* who asks outside of a dialog has none that could be gone */
		return relay->server && !message_scan(transaction_message(relay->server))->to_tag.n &&
				       relay->method != SIP_METHOD_NOTIFY
			       ? 480
			       : 481;
	default:
		return status < 300 ? status : hide_status(status);
	}
}

static void copy_number(
	const struct message *response, struct span name, const char *line, struct writer *out)
{
	struct span value;
	uint64_t number;

	if (!message_header(response, name, 0, &value) ||
		span_to_uint(span_trim(span_cut(&value, ';')), UINT32_MAX, &number))
		return;
	writer_text(out, line);
	writer_uint(out, number);
	writer_text(out, "\r\n");
}

static void write_special(const struct request_relay *relay, unsigned status, const struct message *response,
	struct writer *out)
{
	const struct config_strings *packages = &relay->shard->config->sip.info_packages;
	struct span etag;

	if (status == 415)
		request_body_accept(relay->method, relay->to, out);
	if (status == 489)
		core_allow_events(relay->shard->config, out);
	if (status == 469)
		core_list("Recv-Info", packages, out);
	if (status == 423 && response)
		copy_number(response, SPAN("Min-Expires"), "Min-Expires: ", out);
	if (relay->method != SIP_METHOD_PUBLISH || !response || status / 100 != 2)
		return;
	copy_number(response, SPAN("Expires"), "Expires: ", out);
	/* Opaque (RFC 3903 section 11.3.1), but not free to say where it is from; without it the next PUBLISH begins anew. */
	if (message_header(response, SPAN("SIP-ETag"), 0, &etag) && core_is_token(etag) &&
		!trace_found(relay->to, etag)) {
		writer_text(out, "SIP-ETag: ");
		writer_span(out, etag);
		writer_text(out, "\r\n");
	}
}

static enum hide_kind kind_of_status(unsigned status)
{
	if (status < 300)
		return HIDE_SUCCESS;
	return status == 401 || status == 407 ? (enum hide_kind)(HIDE_FAILURE | HIDE_CHALLENGE)
					      : HIDE_FAILURE;
}

static bool has_contact(enum sip_method method)
{
	return method == SIP_METHOD_REFER || method == SIP_METHOD_NOTIFY || method == SIP_METHOD_SUBSCRIBE;
}

/* RFC 3261 section 12.1.1: a response that makes a dialog repeats the route it was made by. */
static void copy_record_route(const struct message *request, struct writer *out)
{
	struct span value;

	for (unsigned n = 0; message_header(request, SPAN("Record-Route"), n, &value); n++) {
		writer_text(out, "Record-Route: ");
		writer_span(out, value);
		writer_text(out, "\r\n");
	}
}

/* Our tag is that of the dialog where there is one: the request may be what makes it. */
static void write_response(const struct request_relay *relay, unsigned status, const struct message *response,
	struct span extra, struct writer *out)
{
	const struct message *request = transaction_message(relay->server);
	char fresh[SHARD_TOKEN_MAX];
	const char *tag =
		relay->from->local_tag[0] ? relay->from->local_tag : shard_token(relay->shard, fresh);

	transaction_response_begin(relay->server, status, span_from(sip_reason(status)),
		message_scan(request)->to_tag.n ? nothing : span_from(tag), out);
	if (status < 300 && has_contact(relay->method) && !relay->outside) {
		copy_record_route(request, out);
		leg_contact(relay->from, out);
	}
	hide_product(relay->shard->config, false, out);
	if (response)
		hide_headers(response, kind_of_status(status), relay->to, relay->from, out);
	write_special(relay, status, response, out);
	writer_span(out, extra);
	message_end(out, nothing, nothing);
}

void relay_finish(struct request_relay *relay, unsigned status, const struct message *response)
{
	char text[CALL_MESSAGE_MAX], lines[512];
	struct writer out, extra;
	unsigned shown;

	writer_init(&out, text, sizeof(text));
	writer_init(&extra, lines, sizeof(lines));
	if (relay->finishing)
		relay->finishing(relay, &status, response, &extra);
	shown = status_for_asker(relay, status);
	if (relay->server)
		write_response(relay, shown, response, writer_result(&extra), &out);
	/* Whoever is told may end the call: neither leg is looked at any more. */
	lists_remove(relay);
	if (relay->done)
		relay->done(relay->from, status, relay->arg);
	if (relay->answered)
		relay->answered(relay->to, status, response, relay->arg);
	if (relay->server &&
		(out.overflow || transaction_respond(relay->server, shown, writer_result(&out)) < 0))
		transaction_reply(relay->server, 500, nothing, nothing);
	relay_free(relay);
}

void relay_refuse(struct request_relay *relay, unsigned status)
{
	char text[1024];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	write_special(relay, status, NULL, &extra);
	sips_warning_of(transaction_message(relay->server), status, &extra);
	core_reply(relay->server, status, extra.overflow ? nothing : writer_result(&extra));
	relay_free(relay);
}

static int send_with(struct request_relay *relay, struct span rest);

/* --- what the transactions report ------------------------------------------------------------------------------------------ */

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct request_relay *relay = arg;
	unsigned status = message_scan(response)->status;

	if (status < 200)
		return;
	transaction_detach(transaction);
	relay->client = NULL;
	if ((status == 401 || status == 407) && relay->rest && credentials_take(relay->to, response) &&
		send_with(relay, (struct span){ relay->rest, relay->rest_length }) == 0)
		return;
	if (relay->from)
		registrar_phone_answered(relay->from, relay->to->agent, status);
	relay_finish(relay, status, response);
}

/* Both transactions end with the shard: nobody is left to be told. */
static void on_client_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct request_relay *relay = arg;

	(void)transaction;
	relay->client = NULL;
	if (how != TRANSACTION_SHUTDOWN)
		relay_finish(relay, how == TRANSACTION_TIMEOUT ? 408 : 503, NULL);
	else if (!relay->server)
		relay_free(relay);
}

static const struct transaction_events client_events = { .response = on_response, .ended = on_client_ended };

static void on_server_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct request_relay *relay = arg;

	(void)transaction;
	relay->server = NULL;
	if (how != TRANSACTION_SHUTDOWN)
		relay_finish(relay, 408, NULL);
	else if (!relay->client)
		relay_free(relay);
}

static const struct transaction_events server_events = { .ended = on_server_ended };

static void timer_expired(struct timer *timer, void *arg)
{
	(void)timer;
	relay_finish(arg, 408, NULL);
}

/* --- sending -------------------------------------------------------------------------------------------------------------- */

void relay_attach(struct request_relay *relay, struct transaction *server)
{
	relay->server = server;
	transaction_attach(server, &server_events, relay);
}

/* The answer must reach the asker before it gives up (Timer F, 64*T1 of its own). */
static uint64_t patience_ms(const struct config_sip *sip)
{
	uint64_t most = 60 * (uint64_t)sip->t1_ms;

	return sip->relay_timeout_ms < most ? sip->relay_timeout_ms : most;
}

/* The dialog's headers are written now: next CSeq, a branch of its own, what a challenge has asked for. 0 or -errno. */
static int send_with(struct request_relay *relay, struct span rest)
{
	struct sip_flow flow = leg_flow(relay->to);
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	writer_init(&out, text, sizeof(text));
	leg_request_begin(relay->to, relay->method, relay->hops, &out);
	writer_span(&out, rest);
	error = out.overflow ? -EMSGSIZE
			     : transaction_request(relay->shard, &flow, writer_result(&out), &client_events,
				       relay, &relay->client);
	if (error)
		relay->client = NULL;
	return error;
}

int relay_send(
	struct request_relay *relay, const struct message *request, const struct request_content *content)
{
	const struct config_session_agent *agent = relay->to->agent;
	int hops = request ? message_scan(request)->max_forwards : -1;
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	relay->hops = hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0);
	writer_init(&out, text, sizeof(text));
	if (has_contact(relay->method))
		leg_contact(relay->to, &out);
	hide_product(relay->shard->config, true, &out);
	if (request && content->kind)
		hide_headers(request, content->kind, relay->from, relay->to, &out);
	writer_span(&out, content->extra);
	message_end(&out, content->type, content->body);
	error = out.overflow ? -EMSGSIZE : send_with(relay, writer_result(&out));
	if (error)
		return error;
	if (agent && agent->username && agent->username[0])
		relay->rest = span_dup(writer_result(&out));
	relay->rest_length = out.len;
	timer_arm(relay->shard->timers, &relay->timer, patience_ms(&relay->shard->config->sip), timer_expired,
		relay);
	return 0;
}

static void refuse(struct leg *from, struct transaction *transaction, unsigned status,
	void (*done)(struct leg *from, unsigned status, void *arg), void *arg)
{
	core_reply(transaction, status, status == 500 ? SPAN("Retry-After: 1\r\n") : nothing);
	if (done)
		done(from, status, arg);
}

/* 0, or the status for a request that cannot go on. */
static unsigned admit(const struct leg *from, const struct leg *to)
{
	/* Not yet the other side's dialog: a transfer's new party waits for its ACK, and must not think that its own is gone. */
	if (to && to->call && to->call->carry && transfer_has_shadow(to->call))
		return 500;
	if (!to || to->gone || from->gone)
		return 481;
	/* A request is for a dialog: the other side's comes with its first answer. */
	if (!to->remote_tag || asking_count(from) >= from->shard->config->sip.max_dialog_requests)
		return 500;
	return 0;
}

void request_relay(struct leg *from, struct transaction *transaction, const struct message *request,
	enum hide_kind kind, struct span extra, struct span content_type, struct span body,
	void (*done)(struct leg *from, unsigned status, void *arg), void *arg)
{
	struct leg *to = call_peer(from);
	struct request_content content = { kind, extra, content_type, body };
	unsigned status = admit(from, to);
	struct request_relay *relay;
	int error;

	relay = status ? NULL : relay_new(from->shard, from, to, message_scan(request)->method);
	if (!relay) {
		refuse(from, transaction, status ? status : 503, done, arg);
		return;
	}
	relay->done = done;
	relay->arg = arg;
	relay_attach(relay, transaction);
	error = relay_send(relay, request, &content);
	if (error)
		relay_finish(relay, error == -EMSGSIZE ? 513 : 503, NULL);
}

static int send_own(struct leg *leg, enum sip_method method, const struct request_content *content,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg)
{
	struct request_relay *relay;
	int error;

	if (!leg->remote_tag)
		return -ENOTCONN;
	if (asked_count(leg) >= 2 * leg->shard->config->sip.max_dialog_requests)
		return -EBUSY;
	relay = relay_new(leg->shard, NULL, leg, method);
	if (!relay)
		return -ENOMEM;
	error = relay_send(relay, NULL, content);
	if (error) {
		relay_free(relay);
		return error;
	}
	relay->answered = done;
	relay->arg = arg;
	return 0;
}

int request_send(struct leg *leg, enum sip_method method, struct span extra, struct span content_type,
	struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg)
{
	const struct request_content content = { 0, extra, content_type, body };

	return leg->gone ? -ENOTCONN : send_own(leg, method, &content, done, arg);
}

int request_notify(struct leg *leg, struct span extra, struct span content_type, struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg)
{
	const struct request_content content = { 0, extra, content_type, body };

	return send_own(leg, SIP_METHOD_NOTIFY, &content, done, arg);
}

/* RFC 3261 section 15.1.2: a call that ends answers what is pending with 487. A subscription just is no more. */
static void give_up(struct request_relay *relay)
{
	if (relay->server)
		core_reply(relay->server, relay->to->subscription ? 481 : 487, nothing);
	relay_free(relay);
}

void request_relay_abort(struct leg *leg)
{
	while (leg->asking)
		give_up(leg->asking);
	while (leg->asked)
		give_up(leg->asked);
}
