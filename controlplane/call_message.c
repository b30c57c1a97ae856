/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of INVITE, re-INVITE and their ACK, written from a leg's dialog and what may cross of the other leg's message. */
#include <errno.h>

#include "controlplane/call_state.h"
#include "controlplane/hide.h"

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

int invite_respond(
	struct leg *leg, unsigned status, const char *tag, const struct message *from, struct span body)
{
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	int error;

	if (!leg->server_invite)
		return 0;
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
	if (!error || error == -EALREADY)
		return 0;
	log_warning("call", "response not sent", LOG_UINT("call", leg->call->id), LOG_UINT("status", status),
		LOG_ERRNO("error", error));
	/* Short, and without anything of the other side's: whoever waits for a final response gets one. */
	if (status >= 200)
		transaction_reply(leg->server_invite, 500, span_from(tag), (struct span){ NULL, 0 });
	return error;
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
