/* SPDX-License-Identifier: BSD-3-Clause */
/* New requests: who may send them (RFC 3261 section 8.2), to which dialog they belong, and who handles the method. */
#include "controlplane/core.h"

#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_prack.h"
#include "controlplane/call_transfer.h"
#include "controlplane/guard.h"
#include "controlplane/hide.h"
#include "controlplane/keep_alive.h"
#include "controlplane/location.h"
#include "controlplane/registrar.h"
#include "controlplane/request_relay.h"
#include "controlplane/route.h"
#include "controlplane/sips.h"
#include "controlplane/subscription.h"

struct core_request {
	struct shard *shard;
	struct transaction *transaction;
	const struct message *message;
	const struct config_session_agent *agent; /* it comes from; or NULL */
	struct leg *leg; /* its dialog; NULL outside of one */
};

static const struct span nothing = { NULL, 0 };

void core_reply(struct transaction *transaction, unsigned status, struct span extra)
{
	struct shard *shard = transaction_shard(transaction);
	char tag[SHARD_TOKEN_MAX], text[1024];
	struct writer lines;

	if (status >= 300)
		shard_count(shard, REQUESTS_REFUSED);
	writer_init(&lines, text, sizeof(text));
	writer_span(&lines, extra);
	hide_product(shard->config, false, &lines);
	transaction_reply(transaction, status, span_from(shard_token(shard, tag)),
		lines.overflow ? nothing : writer_result(&lines));
}

bool core_list_has(const struct config_strings *values, struct span value)
{
	for (size_t i = 0; i < values->count; i++)
		if (span_equal_case(span_from(values->item[i]), value))
			return true;
	return false;
}

void core_list(const char *name, const struct config_strings *values, struct writer *out)
{
	for (size_t i = 0; i < values->count; i++) {
		writer_text(out, i ? ", " : name);
		writer_text(out, i ? "" : ": ");
		writer_text(out, values->item[i]);
	}
	writer_text(out, values->count ? "\r\n" : "");
}

void core_allow_events(const struct config *config, struct writer *out)
{
	core_list("Allow-Events", &config->sip.event_packages, out);
}

bool core_is_token(struct span text)
{
	static const char other[] = "-.!%*_+`'~";

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!alnum && !memchr(other, c, sizeof(other) - 1))
			return false;
	}
	return text.n > 0;
}

void core_bad_event(struct transaction *transaction)
{
	char text[512];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	core_allow_events(transaction_shard(transaction)->config, &extra);
	core_reply(transaction, 489, extra.overflow ? nothing : writer_result(&extra));
}

/* --- methods --------------------------------------------------------------------------------------------------------- */

typedef void (*core_take)(const struct core_request *request);

static void take_no_dialog(const struct core_request *request)
{
	core_reply(request->transaction, 481, nothing);
}

static void take_forbidden(const struct core_request *request)
{
	core_reply(request->transaction, 403, nothing);
}

static void take_first_invite(const struct core_request *request)
{
	if (!transfer_replaces(request->shard, request->transaction, request->message, request->agent))
		call_start(request->shard, request->transaction, request->message, request->agent);
}

static void take_exchange(const struct core_request *request)
{
	exchange_received(request->leg, request->transaction, request->message);
}

static void take_prack(const struct core_request *request)
{
	prack_received(request->leg, request->transaction, request->message);
}

static void take_bye(const struct core_request *request)
{
	call_happens(request->leg->call, &(struct call_event){ .type = CALL_EVENT_BYE,
						 .side = request->leg->side,
						 .message = request->message,
						 .transaction = request->transaction });
}

static void take_options(const struct core_request *request)
{
	options_answer(request->transaction);
}

static void take_refer(const struct core_request *request)
{
	transfer_received(request->leg, request->transaction, request->message);
}

static void take_info(const struct core_request *request)
{
	request_relay_info(request->leg, request->transaction, request->message);
}

static void take_message(const struct core_request *request)
{
	request_relay_message(request->leg, request->transaction, request->message);
}

static void take_call_notify(const struct core_request *request)
{
	if (!transfer_notify_received(request->leg, request->transaction, request->message))
		core_bad_event(request->transaction);
}

static void take_call_subscribe(const struct core_request *request)
{
	if (!transfer_subscribe_received(request->leg, request->transaction, request->message))
		core_bad_event(request->transaction);
}

static void take_routed(const struct core_request *request)
{
	request_route(request->shard, request->transaction, request->message, request->agent);
}

static void take_subscribe(const struct core_request *request)
{
	subscription_received(request->leg, request->transaction, request->message);
}

static void take_notify(const struct core_request *request)
{
	subscription_notify_received(request->leg, request->transaction, request->message);
}

static void refuse_method(const struct core_request *request)
{
	char text[256];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	core_allow(&extra);
	core_reply(request->transaction, 405, writer_result(&extra));
}

static void take_register(const struct core_request *request)
{
	const struct listener *listener = message_flow(request->message)->listener;

	if (!request->shard->registrar ||
		listener_interface(listener)->registration == CONFIG_REGISTRATION_OFF)
		refuse_method(request);
	else
		registrar_received(request->shard, request->transaction, request->message, request->agent);
}

#define OPTION(id) (1U << SIP_OPTION_##id)
#define ANY_DIALOG OPTION(PRIVACY)

/* Who takes a request: within a call's dialog, within a subscription's, outside of dialogs; and the option tags that it may require
 * of us (RFC 3261 section 8.2.2.3). A method without a row is answered 405. */
/* clang-format off */
static const struct method_row {
	core_take in_call, in_subscription, outside;
	uint32_t options;
} methods[SIP_METHOD_COUNT] = {
	[SIP_METHOD_INVITE]    = { take_exchange,    take_no_dialog, take_first_invite,
	                           ANY_DIALOG | OPTION(100REL) | OPTION(TIMER) | OPTION(REPLACES) | OPTION(TDIALOG) |
	                                   OPTION(HISTINFO) | OPTION(NOREFERSUB) },
	[SIP_METHOD_PRACK]     = { take_prack,       take_no_dialog, take_no_dialog, ANY_DIALOG | OPTION(100REL) },
	[SIP_METHOD_UPDATE]    = { take_exchange,    take_no_dialog, take_no_dialog, ANY_DIALOG | OPTION(TIMER) | OPTION(100REL) },
	[SIP_METHOD_BYE]       = { take_bye,         take_no_dialog, take_no_dialog, ANY_DIALOG },
	[SIP_METHOD_OPTIONS]   = { take_options,     take_options,   take_options,   ANY_DIALOG },
	[SIP_METHOD_INFO]      = { take_info,        take_no_dialog, take_no_dialog, ANY_DIALOG },
	[SIP_METHOD_MESSAGE]   = { take_message,     take_no_dialog, take_routed,    ANY_DIALOG },
	[SIP_METHOD_REFER]     = { take_refer,       take_no_dialog, take_forbidden, ANY_DIALOG | OPTION(NOREFERSUB) | OPTION(TDIALOG) },
	[SIP_METHOD_NOTIFY]    = { take_call_notify, take_notify,    take_routed,    ANY_DIALOG },
	[SIP_METHOD_SUBSCRIBE] = { take_call_subscribe, take_subscribe, take_routed,    ANY_DIALOG },
	[SIP_METHOD_PUBLISH]   = { take_no_dialog,   take_no_dialog, take_routed,    ANY_DIALOG },
	[SIP_METHOD_REGISTER]  = { refuse_method,    refuse_method,  take_register,
	                           ANY_DIALOG | OPTION(PATH) | OPTION(OUTBOUND) | OPTION(GRUU) | OPTION(GIN) },
};
/* clang-format on */

void core_allow(struct writer *out)
{
	/* What the transaction layer takes itself. */
	writer_text(out, "Allow: ACK, CANCEL");
	for (unsigned method = 0; method < SIP_METHOD_COUNT; method++)
		/* What is for registrars, no peer of a call wants to know. */
		if (methods[method].outside && method != SIP_METHOD_REGISTER) {
			writer_text(out, ", ");
			writer_text(out, sip_method_name((enum sip_method)method));
		}
	writer_text(out, "\r\n");
}

void core_supported(struct writer *out)
{
	uint32_t options = 0;
	bool first = true;

	for (unsigned method = 0; method < SIP_METHOD_COUNT; method++)
		options |= method == SIP_METHOD_REGISTER ? 0 : methods[method].options;
	writer_text(out, "Supported:");
	for (unsigned option = 0; option < SIP_OPTION_COUNT; option++)
		if (options >> option & 1) {
			writer_text(out, first ? " " : ", ");
			writer_text(out, sip_option_name((enum sip_option)option));
			first = false;
		}
	writer_text(out, "\r\n");
}

/* --- admission ------------------------------------------------------------------------------------------------------- */

static bool is_registered(struct shard *shard, const struct sip_flow *flow)
{
	struct binding *binding = keep_alive_phone(shard, flow);

	binding_put(binding);
	return binding != NULL;
}

/* Who is registered is so at this address and port, or on this connection. */
static bool source_may_ask(struct shard *shard, const struct sip_flow *flow)
{
	const struct config_sip_interface *interface = listener_interface(flow->listener);

	return interface->allow_anonymous == CONFIG_ANONYMOUS_ALL ||
	       (interface->allow_anonymous == CONFIG_ANONYMOUS_REGISTERED && is_registered(shard, flow)) ||
	       route_agent_by_flow(shard, flow) != NULL;
}

/* What is known of a dialog on one side is worth nothing on the other: each leg is asked in its own realm. Where it was begun it goes on,
 * even if that address has become another realm's meanwhile. */
static bool is_its_side(const struct leg *leg, const struct sip_flow *flow)
{
	return leg->flow.listener == flow->listener ||
	       leg->realm == listener_interface(flow->listener)->realm;
}

/* The dialog of a request. */
static struct leg *leg_of(struct shard *shard, const struct sip_flow *flow, const struct scan *request)
{
	struct leg *leg = NULL;

	if (request->to_tag.n) {
		leg = call_find_leg(shard, request);
		if (!leg)
			leg = subscription_find_leg(shard, request);
	}
	return leg && is_its_side(leg, flow) ? leg : NULL;
}

/* A dialog admits its own requests, wherever they come from: a telephone's address may have changed. */
static unsigned screen(
	struct shard *shard, const struct sip_flow *flow, const struct scan *request, unsigned *retry_after)
{
	struct guard *guard = shard->shared.guard;

	if (request->to_tag.n)
		return leg_of(shard, flow, request)
			       ? 0
			       : guard_refuse(guard, flow, GUARD_NO_DIALOG, request, 481);
	if (guard_look(guard, flow, request) == GUARD_SILENT)
		return TRANSACTION_SILENCE;
	/* Not a sign of anything bad: whoever asks here has been told so before, and may have another address to go to. */
	if (listener_is_leaving(flow->listener))
		return 503;
	if (request->method == SIP_METHOD_REGISTER &&
		listener_interface(flow->listener)->registration != CONFIG_REGISTRATION_OFF)
		return registrar_screen(shard, flow, request, retry_after);
	if (source_may_ask(shard, flow))
		return 0;
	log_debug("core", "request from an unknown source refused", LOG_SPAN("method", request->method_name),
		LOG_ADDRESS("source", &flow->remote));
	return guard_refuse(guard, flow, GUARD_STRANGER, request, 403);
}

/* The values of a list header that are no option tag we understand for this method, into Unsupported. */
static void note_unsupported(
	const struct message *message, struct span name, uint32_t understood, struct writer *out)
{
	enum { TOKENS_MAX = 64 };
	struct span value, token;
	enum sip_option option;

	for (unsigned n = 0, tokens = 0; message_header(message, name, n, &value); n++)
		for (unsigned v = 0; tokens < TOKENS_MAX && leg_list_value(value, v, &token); v++, tokens++) {
			option = sip_option_parse(token);
			if (option != SIP_OPTION_COUNT && (understood >> option & 1))
				continue;
			writer_text(out, out->len ? ", " : "Unsupported: ");
			writer_span(out, token);
		}
}

/* RFC 3261 sections 8.2.2.3 and 20.29: what is required of us as a user agent and as a proxy. True if it was answered. */
static bool refuse_extensions(const struct core_request *request, uint32_t understood)
{
	char text[512];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	note_unsupported(request->message, SPAN("Require"), understood, &extra);
	note_unsupported(request->message, SPAN("Proxy-Require"), understood, &extra);
	if (extra.len == 0)
		return false;
	writer_text(&extra, "\r\n");
	core_reply(request->transaction, 420, extra.overflow ? nothing : writer_result(&extra));
	return true;
}

/* In a dialog the scheme has been agreed on. True if it was answered. */
static bool refuse_scheme(const struct core_request *request)
{
	char text[256];
	struct writer warning;
	unsigned status;

	if (request->leg)
		return false;
	writer_init(&warning, text, sizeof(text));
	status = sips_refuse(request->message, &warning);
	if (status)
		core_reply(request->transaction, status, writer_result(&warning));
	return status != 0;
}

static void take_request(struct shard *shard, struct transaction *transaction, const struct message *message)
{
	const struct scan *scan = message_scan(message);
	const struct sip_flow *flow = message_flow(message);
	struct core_request request = { .shard = shard, .transaction = transaction, .message = message };
	const struct method_row *row;

	request.agent = route_agent_by_flow(shard, flow);
	request.leg = leg_of(shard, flow, scan);
	if (scan->method >= SIP_METHOD_COUNT || !methods[scan->method].outside) {
		refuse_method(&request);
		return;
	}
	row = &methods[scan->method];
	if (!request.leg && scan->to_tag.n) {
		core_reply(transaction, 481, nothing);
		return;
	}
	if (refuse_extensions(&request, row->options) || refuse_scheme(&request))
		return;
	/* A NOTIFY may be the first of a dialog of its own: subscription_notify.c looks itself. */
	if (request.leg && (request.leg->call || scan->method != SIP_METHOD_NOTIFY) &&
		!leg_accept_cseq(request.leg, message)) {
		core_reply(transaction, 500, nothing);
		return;
	}
	if (!request.leg)
		row->outside(&request);
	else if (request.leg->call)
		row->in_call(&request);
	else
		row->in_subscription(&request);
}

const struct transaction_core call_core = {
	.request = take_request, .screen = screen, .unclaimed = bye_unclaimed
};
