/* SPDX-License-Identifier: BSD-3-Clause */
/* New requests: who may send them (RFC 3261 section 8.2), to which dialog they belong, and who handles the method. */
#include "controlplane/core.h"

#include "controlplane/call_exchange.h"
#include "controlplane/hide.h"
#include "controlplane/route.h"

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

/* --- methods --------------------------------------------------------------------------------------------------------- */

static void take_invite(const struct core_request *request)
{
	if (request->leg)
		exchange_received(request->leg, request->transaction, request->message);
	else
		call_start(request->shard, request->transaction, request->message, request->agent);
}

static void take_bye(const struct core_request *request)
{
	if (!request->leg) {
		core_reply(request->transaction, 481, nothing);
		return;
	}
	call_happens(request->leg->call, &(struct call_event){ .type = CALL_EVENT_BYE,
						 .side = request->leg->side,
						 .message = request->message,
						 .transaction = request->transaction });
}

static void take_options(const struct core_request *request)
{
	options_answer(request->transaction);
}

static const struct {
	void (*take)(const struct core_request *request); /* NULL: 405 */
	bool dialog_only;
} methods[SIP_METHOD_COUNT] = {
	[SIP_METHOD_INVITE] = { take_invite, false },
	[SIP_METHOD_BYE] = { take_bye, true },
	[SIP_METHOD_OPTIONS] = { take_options, false },
};

/* --- admission ------------------------------------------------------------------------------------------------------- */

static void refuse_method(const struct core_request *request)
{
	char text[128];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	hide_allow(&extra);
	core_reply(request->transaction, 405, writer_result(&extra));
}

/* Registered phones are none yet: `registered` lets configured agents in only. */
static bool source_may_ask(const struct shard *shard, const struct sip_flow *flow)
{
	const struct config_sip_interface *interface = listener_interface(flow->listener);

	return interface->allow_anonymous == CONFIG_ANONYMOUS_ALL ||
	       route_agent_by_source(shard->config, interface->realm, &flow->remote) != NULL;
}

/* The dialog of a request. What is known of it on one side is worth nothing on the other: each leg is asked in its own realm. */
static struct leg *leg_of(struct shard *shard, const struct sip_flow *flow, const struct scan *request)
{
	struct leg *leg = request->to_tag.n ? call_find_leg(shard, request) : NULL;

	return leg && leg->realm == listener_interface(flow->listener)->realm ? leg : NULL;
}

/* A dialog admits its own requests, wherever they come from: a telephone's address may have changed. */
static unsigned screen(struct shard *shard, const struct sip_flow *flow, const struct scan *request)
{
	if (request->to_tag.n)
		return leg_of(shard, flow, request) ? 0 : 481;
	if (source_may_ask(shard, flow))
		return 0;
	log_debug("core", "request from an unknown source refused", LOG_SPAN("method", request->method_name),
		LOG_ADDRESS("source", &flow->remote));
	return 403;
}

/* No option tag is supported: each one required is named in Unsupported (RFC 3261 section 8.2.2.3). True if it was answered. */
static bool refuse_extensions(const struct core_request *request)
{
	static const struct span names[] = { { "Require", 7 }, { "Proxy-Require", 13 } };
	char text[512];
	struct writer extra;
	struct span value;
	bool any = false;

	writer_init(&extra, text, sizeof(text));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned n = 0; message_header(request->message, names[i], n, &value); n++) {
			if (value.n == 0)
				continue;
			any = true;
			writer_text(&extra, "Unsupported: ");
			writer_span(&extra, value);
			writer_text(&extra, "\r\n");
		}
	if (any)
		core_reply(request->transaction, 420, extra.overflow ? nothing : writer_result(&extra));
	return any;
}

static void take_request(struct shard *shard, struct transaction *transaction, const struct message *message)
{
	const struct scan *scan = message_scan(message);
	const struct sip_flow *flow = message_flow(message);
	struct core_request request = { .shard = shard, .transaction = transaction, .message = message };

	request.agent = route_agent_by_source(
		shard->config, listener_interface(flow->listener)->realm, &flow->remote);
	request.leg = leg_of(shard, flow, scan);
	if (scan->method >= SIP_METHOD_COUNT || !methods[scan->method].take) {
		refuse_method(&request);
		return;
	}
	if (!request.leg && (scan->to_tag.n || methods[scan->method].dialog_only)) {
		core_reply(transaction, 481, nothing);
		return;
	}
	if (refuse_extensions(&request))
		return;
	if (request.leg && !leg_accept_cseq(request.leg, message)) {
		core_reply(transaction, 500, nothing);
		return;
	}
	methods[scan->method].take(&request);
}

const struct transaction_core call_core = { .request = take_request, .screen = screen };
