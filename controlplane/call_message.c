/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of INVITE, re-INVITE and their ACK, written from a leg's dialog and what may cross of the other leg's message. */
#include <errno.h>

#include "controlplane/call_parallel.h"
#include "controlplane/call_state.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer.h"
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

/* --- what we support ------------------------------------------------------------------------------------------------------ */

/* An offer may come in a reliable response to an INVITE without one: then somebody must answer it in the PRACK. */
static bool takes_100rel(const struct leg *leg)
{
	const struct call *call = leg->call;

	/* Of several that ring only one could be acknowledged: the others would give up. */
	if (parallel_is(call))
		return false;
	return !call->offerless || call->reliable_only ||
	       leg_peer_supports(&call->leg[LEG_CALLER], SIP_OPTION_100REL);
}

static const struct {
	enum sip_option option;
	unsigned places; /* of enum options_place */
	bool (*works)(const struct leg *leg); /* NULL: always */
} supported[] = {
	{ SIP_OPTION_100REL, OPTIONS_INVITE, takes_100rel },
	{ SIP_OPTION_100REL, OPTIONS_RESPONSE, NULL },
	{ SIP_OPTION_REPLACES, OPTIONS_INVITE | OPTIONS_REINVITE | OPTIONS_RESPONSE, NULL },
	{ SIP_OPTION_NOREFERSUB, OPTIONS_INVITE | OPTIONS_REINVITE | OPTIONS_RESPONSE, NULL },
	{ SIP_OPTION_TIMER, OPTIONS_INVITE | OPTIONS_REINVITE | OPTIONS_RESPONSE, session_timer_is_on },
};

void leg_options(const struct leg *leg, enum options_place place, struct writer *out)
{
	bool first = true;

	for (size_t i = 0; i < sizeof(supported) / sizeof(supported[0]); i++) {
		if (!(supported[i].places & (unsigned)place) ||
			(supported[i].works && !supported[i].works(leg)))
			continue;
		writer_text(out, first ? "Supported: " : ", ");
		writer_text(out, sip_option_name(supported[i].option));
		first = false;
	}
	if (!first)
		writer_text(out, "\r\n");
}

/* --- responses ------------------------------------------------------------------------------------------------------------ */

int invite_write(struct leg *leg, unsigned status, const char *tag, const struct message *from,
	struct span extra, struct span body, struct writer *out)
{
	transaction_response_begin(
		leg->server_invite, status, span_from(sip_reason(status)), span_from(tag), out);
	if (status < 300) {
		copy_record_route(transaction_message(leg->server_invite), out);
		leg_contact(leg, out);
		if (from)
			hide_contact_parameters(from, out);
		hide_allow(out);
		leg_options(leg, OPTIONS_RESPONSE, out);
	}
	if (status >= 200 && status < 300)
		session_timer_write_response(leg, out);
	hide_product(leg->shard->config, false, out);
	writer_span(out, extra);
	if (from)
		hide_headers(from, kind_of_status(status), &leg->call->leg[1 - leg->side], leg, out);
	hide_end(from, kind_of_status(status), leg, body, out);
	return out->overflow ? -EMSGSIZE : 0;
}

static int response_failed(struct leg *leg, unsigned status, const char *tag, int error)
{
	log_warning("call", "response not sent", LOG_UINT("call", leg->call->id), LOG_UINT("status", status),
		LOG_ERRNO("error", error));
	/* Short, and without anything of the other side's: whoever waits for a final response gets one. */
	if (status >= 200 && leg->server_invite)
		transaction_reply(leg->server_invite, 500, span_from(tag), (struct span){ NULL, 0 });
	return error;
}

int invite_send_written(struct leg *leg, unsigned status, const char *tag, struct span text)
{
	int error = leg->server_invite ? transaction_respond(leg->server_invite, status, text) : 0;

	return !error || error == -EALREADY ? 0 : response_failed(leg, status, tag, error);
}

int invite_respond(
	struct leg *leg, unsigned status, const char *tag, const struct message *from, struct span body)
{
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	if (!leg->server_invite)
		return 0;
	writer_init(&out, text, sizeof(text));
	if (invite_write(leg, status, tag, from, (struct span){ NULL, 0 }, body, &out))
		return response_failed(leg, status, tag, -EMSGSIZE);
	return invite_send_written(leg, status, tag, writer_result(&out));
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

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

struct span invite_refusal(const struct leg *leg, struct span offer, struct writer *out)
{
	if (offer.n == 0 || !leg->call || !leg->call->media ||
		media_refuse(leg->call->media, leg->side, offer, listener_address(leg->flow.listener), out))
		return (struct span){ NULL, 0 };
	return writer_result(out);
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
	if (source)
		hide_contact_parameters(source, &out);
	hide_allow(&out);
	leg_options(leg, leg->remote_tag ? OPTIONS_REINVITE : OPTIONS_INVITE, &out);
	session_timer_write_request(leg, &out);
	if (leg->call->carry && !leg->remote_tag)
		transfer_write_replaces(leg->call, &out);
	hide_product(leg->shard->config, true, &out);
	if (source)
		hide_headers(source, kind, &leg->call->leg[1 - leg->side], leg, &out);
	hide_end(source, kind, leg, body, &out);
	if (out.overflow)
		return -EMSGSIZE;
	return transaction_request(leg->shard, &flow, writer_result(&out), events, leg, &leg->client_invite);
}
