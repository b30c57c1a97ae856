/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of an exchange: re-INVITE, UPDATE, and the answers to what is no INVITE. */
#include <errno.h>

#include "controlplane/call_exchange_internal.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/hide.h"

static unsigned hops_of(const struct message *source)
{
	int hops = source ? message_scan(source)->max_forwards : -1;

	return hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0);
}

static int send_request(struct leg *leg, enum sip_method method, const struct message *source,
	struct span body, const struct transaction_events *events, struct transaction **out)
{
	struct sip_flow flow = leg_flow(leg);
	char text[CALL_MESSAGE_MAX];
	struct writer message;
	struct leg *other = source ? call_peer(leg) : NULL;

	writer_init(&message, text, sizeof(text));
	leg_request_begin(leg, method, hops_of(source), &message);
	leg_contact(leg, &message);
	if (other)
		hide_contact_parameters(source, &message);
	hide_allow(&message);
	leg_options(leg, OPTIONS_REINVITE, &message);
	session_timer_write_request(leg, &message);
	hide_product(leg->shard->config, true, &message);
	if (other)
		hide_headers(source, HIDE_REINVITE, other, leg, &message);
	hide_end(other ? source : NULL, HIDE_REINVITE, leg, body, &message);
	if (message.overflow)
		return -EMSGSIZE;
	return transaction_request(leg->shard, &flow, writer_result(&message), events, leg, out);
}

int exchange_send(struct leg *leg, enum sip_method method, const struct message *source, struct span body)
{
	if (method != SIP_METHOD_INVITE)
		return send_request(
			leg, method, source, body, &exchange_asked_events, &leg->call->exchange.client);
	/* The last one is over for us, though its transaction may still absorb repetitions. */
	if (leg->client_invite)
		transaction_detach(leg->client_invite);
	leg->client_invite = NULL;
	leg->call->exchange.offer_asked &= (uint8_t)~(1U << leg->side);
	if (body.n == 0)
		leg->call->exchange.offer_asked |= (uint8_t)(1U << leg->side);
	return send_request(leg, method, source, body, &exchange_asked_events, &leg->client_invite);
}

int exchange_send_refresh(struct leg *leg, const struct transaction_events *events, struct transaction **out)
{
	return send_request(leg, SIP_METHOD_UPDATE, NULL, (struct span){ NULL, 0 }, events, out);
}

void exchange_respond(struct leg *leg, struct transaction *server, unsigned status,
	const struct message *from, struct span extra, struct span body)
{
	bool is_update = message_scan(transaction_message(server))->method == SIP_METHOD_UPDATE;
	enum hide_kind kind = status < 300 ? HIDE_SUCCESS : HIDE_FAILURE;
	struct leg *other = from ? call_peer(leg) : NULL;
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	if (status == 401 || status == 407)
		kind = (enum hide_kind)(HIDE_FAILURE | HIDE_CHALLENGE);
	writer_init(&out, text, sizeof(text));
	transaction_response_begin(
		server, status, span_from(sip_reason(status)), span_from(leg->local_tag), &out);
	if (status < 300 && is_update) {
		leg_contact(leg, &out);
		hide_allow(&out);
		leg_options(leg, OPTIONS_RESPONSE, &out);
		if (leg->call->caller_answered)
			session_timer_write_response(leg, &out);
	}
	writer_span(&out, extra);
	hide_product(leg->shard->config, false, &out);
	if (other)
		hide_headers(from, kind, other, leg, &out);
	hide_end(other ? from : NULL, kind, leg, body, &out);
	if (out.overflow || transaction_respond(server, status, writer_result(&out)))
		transaction_reply(server, 500, span_from(leg->local_tag), (struct span){ NULL, 0 });
	transaction_detach(server);
}

void exchange_ack(struct leg *leg, struct span body)
{
	struct call *call = leg->call;
	char text[CALL_MESSAGE_MAX];
	struct writer refusal;

	/* There was an offer, and nobody has answered it. */
	if (call->ack_due && body.n == 0 && call->offer) {
		writer_init(&refusal, text, sizeof(text));
		body = invite_refusal(leg, (struct span){ call->offer, call->offer_length }, &refusal);
	}
	call->ack_due = false;
	if (leg->client_invite)
		invite_ack(leg, leg->client_invite, span_from(leg->remote_tag), body);
}
