/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of relayed requests: INFO and MESSAGE within calls; MESSAGE, PUBLISH and unsolicited NOTIFY outside of dialogs, by
 * local-policy. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/agent.h"
#include "controlplane/core.h"
#include "controlplane/event_body.h"
#include "controlplane/nat.h"
#include "controlplane/registrar.h"
#include "controlplane/registrar_phone.h"
#include "controlplane/request_relay_internal.h"
#include "controlplane/route.h"
#include "controlplane/sips.h"
#include "controlplane/subscription.h"
#include "controlplane/trace.h"

static const struct span nothing = { NULL, 0 };

/* Only for what its profile passes: an attempt that is over has no leg, and its requests are refused by request_relay. */
static const struct leg *other_leg(const struct leg *leg)
{
	const struct leg *peer = call_peer(leg);

	return peer ? peer : leg;
}

static void refuse_body(struct transaction *transaction, enum sip_method method, const struct leg *to)
{
	char text[1024];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	request_body_accept(method, to, &extra);
	core_reply(transaction, 415, extra.overflow ? nothing : writer_result(&extra));
}

/* --- within calls ----------------------------------------------------------------------------------------------------------- */

/* RFC 6086: the package is known by its name alone, what it carries crosses unless it names the sender's side. */
static void relay_package(
	struct leg *from, struct transaction *transaction, const struct message *request, struct span package)
{
	const struct config_strings *packages = &from->shard->config->sip.info_packages;
	struct request_body body;
	char text[512];
	struct writer extra;

	package = span_trim(span_cut(&package, ';'));
	writer_init(&extra, text, sizeof(text));
	if (!core_list_has(packages, package)) {
		/* RFC 6086 section 4.2.2: with the packages that are, even if there is none. */
		core_list("Recv-Info", packages, &extra);
		core_reply(
			transaction, 469, packages->count ? writer_result(&extra) : SPAN("Recv-Info:\r\n"));
		return;
	}
	writer_text(&extra, "Info-Package: ");
	writer_span(&extra, package);
	writer_text(&extra, "\r\n");
	if (!request_body_info(request, &body) &&
		!request_body_pass(request, message_type(request), other_leg(from), &body)) {
		refuse_body(transaction, SIP_METHOD_INFO, other_leg(from));
		return;
	}
	if (trace_found(from, body.body)) {
		core_reply(transaction, 488, nothing);
		return;
	}
	if (body.body.n)
		writer_text(&extra, "Content-Disposition: Info-Package\r\n");
	request_relay(from, transaction, request, HIDE_INFO, writer_result(&extra), body.type, body.body,
		NULL, NULL);
}

void request_relay_info(struct leg *from, struct transaction *transaction, const struct message *request)
{
	struct request_body body;
	struct span package;

	if (message_header(request, SPAN("Info-Package"), 0, &package)) {
		relay_package(from, transaction, request, package);
		return;
	}
	if (!request_body_info(request, &body) &&
		!request_body_pass(request, nothing, other_leg(from), &body)) {
		refuse_body(transaction, SIP_METHOD_INFO, other_leg(from));
		return;
	}
	request_relay(from, transaction, request, HIDE_INFO, nothing, body.type, body.body, NULL, NULL);
}

void request_relay_message(struct leg *from, struct transaction *transaction, const struct message *request)
{
	struct request_body body;

	if (!request_body_pass(request, SPAN("text/plain"), other_leg(from), &body)) {
		refuse_body(transaction, SIP_METHOD_MESSAGE, other_leg(from));
		return;
	}
	request_relay(from, transaction, request, HIDE_MESSAGE, nothing, body.type, body.body, NULL, NULL);
}

/* --- where to ------------------------------------------------------------------------------------------------------------------- */

static bool is_there(const struct shard *shard, const struct config_session_agent *agent)
{
	union address list[RESOLVER_ADDRESSES_MAX];

	return agent_addresses(shard, agent, list) > 0 && !agent_is_down(shard, agent);
}

/* 0 or the status that tells the sender. Of a group its first member that is alive: a single request is not worth a second one. */
static unsigned next_hop(const struct shard *shard, const struct config_local_policy *policy, struct leg *to)
{
	switch (policy->next_hop) {
	case CONFIG_NEXT_HOP_AGENT:
		to->agent = policy->agent;
		return is_there(shard, to->agent) ? 0 : 503;
	case CONFIG_NEXT_HOP_GROUP:
		for (size_t i = 0; i < policy->group->agent_count; i++) {
			to->agent = policy->group->agents[i];
			if (is_there(shard, to->agent))
				return 0;
		}
		return 503;
	case CONFIG_NEXT_HOP_REGISTRATION:
		break;
	}
	return 404;
}

static unsigned leg_status(int error)
{
	return error == 0 ? 0 : error == -EPROTO ? 480 : 500;
}

/* Of several contacts the best: a single request is not worth a second one. */
static unsigned to_phone(struct shard *shard, const struct message *request, struct span called,
	const struct name_addr *from, const struct name_addr *to, struct leg *leg)
{
	struct binding *phone;
	struct sip_flow flow;
	unsigned status;
	int error;

	if (!registrar_targets(shard, request, &phone, 1, &status))
		return status;
	flow = registrar_flow(shard, phone);
	error = leg_init_client(leg, shard, &flow, called, from, to);
	if (error == 0)
		error = nat_leg_is(leg, phone);
	binding_put(phone);
	return leg_status(error);
}

unsigned request_route_leg(
	struct shard *shard, const struct message *request, const struct leg *from, struct leg *to)
{
	const struct config_local_policy *policy;
	struct name_addr caller, callee;
	struct sip_uri uri, from_uri = { 0 };
	struct sip_flow flow = { 0 };
	union address list[RESOLVER_ADDRESSES_MAX];
	struct span called, user;
	unsigned status;
	int error;

	if (message_request_uri(request, &uri) || message_from(request, &caller) ||
		message_to(request, &callee))
		return 400;
	to->sips = sips_requested(request);
	called = hide_user(&uri);
	user = sip_uri_parse(caller.uri, &from_uri) == 0 ? hide_user(&from_uri) : nothing;
	if (route_find(shard->config, from->realm, user, called, &policy))
		return 404;
	if (policy->next_hop == CONFIG_NEXT_HOP_REGISTRATION)
		return to_phone(shard, request, called, &caller, &callee, to);
	status = next_hop(shard, policy, to);
	if (status)
		return status;
	if (agent_addresses(shard, to->agent, list) == 0)
		return 503;
	flow.remote = list[0];
	flow.agent = to->agent;
	flow.listener = transport_find(shard, to->agent->realm, to->agent->address.transport, &flow.remote);
	if (!flow.listener)
		return 503;
	error = leg_init_client(to, shard, &flow, called, &caller, &callee);
	if (error == 0)
		error = registrar_phone_route(to, from);
	return leg_status(error);
}

/* --- outside of dialogs ------------------------------------------------------------------------------------------------------- */

/* What such a method needs: 0 and its content, or the status it deserves. */
typedef unsigned (*take_content)(const struct message *request, const struct request_relay *relay,
	struct writer *extra, struct writer *text, struct request_content *content);

static unsigned take_message(const struct message *request, const struct request_relay *relay,
	struct writer *extra, struct writer *text, struct request_content *content)
{
	struct request_body body;

	(void)extra;
	if (!request_body_pass(request, SPAN("text/plain"), relay->to, &body))
		return 415;
	/* The type's text goes with `body`. */
	writer_span(text, body.type);
	content->type = writer_result(text);
	content->body = body.body;
	return 0;
}

static void copy_event(struct span package, struct writer *extra)
{
	writer_text(extra, "Event: ");
	writer_span(extra, package);
	writer_text(extra, "\r\n");
}

static unsigned take_event_body(const struct message *request, const struct request_relay *relay,
	struct span package, struct writer *text, struct request_content *content)
{
	/* A publication is about the resource that its To names; a lamp about whom we are for the one it is for. */
	const struct event_sides sides = { .shard = relay->shard,
		.from = relay->from,
		.to = relay->to,
		.name = relay->method == SIP_METHOD_PUBLISH ? relay->to->remote : relay->to->local };

	if (message_body(request).n == 0)
		return 0;
	content->type = event_body_type(package);
	if (!message_body_is(request, content->type))
		return 415;
	if (event_body_map(&sides, package, message_body(request), text))
		return 488;
	content->body = writer_result(text);
	return 0;
}

/* RFC 3903: entity tags are the compositor's, and opaque. */
static unsigned take_publish(const struct message *request, const struct request_relay *relay,
	struct writer *extra, struct writer *text, struct request_content *content)
{
	const struct config_sip *sip = &relay->shard->config->sip;
	struct span event, etag, value;
	uint64_t expires;

	if (!message_header(request, SPAN("Event"), 0, &event))
		return 489;
	event = span_trim(span_cut(&event, ';'));
	if (!core_list_has(&sip->event_packages, event))
		return 489;
	copy_event(event, extra);
	if (message_header(request, SPAN("SIP-If-Match"), 0, &etag)) {
		if (!core_is_token(etag) || trace_found(relay->from, etag))
			return 412;
		writer_text(extra, "SIP-If-Match: ");
		writer_span(extra, etag);
		writer_text(extra, "\r\n");
	}
	if (message_header(request, SPAN("Expires"), 0, &value) &&
		span_to_uint(value, UINT32_MAX, &expires) == 0) {
		writer_text(extra, "Expires: ");
		writer_uint(extra,
			expires > sip->subscription_max_expires ? sip->subscription_max_expires : expires);
		writer_text(extra, "\r\n");
	}
	return take_event_body(request, relay, event, text, content);
}

/* What some PBXs send telephones that never subscribed: lamps of mailboxes (RFC 3842), where the side's profile allows it. */
static unsigned take_unsolicited(const struct message *request, const struct request_relay *relay,
	struct writer *extra, struct writer *text, struct request_content *content)
{
	struct span event;

	if (!relay->from->profile->unsolicited_notify)
		return 481;
	if (!message_header(request, SPAN("Event"), 0, &event))
		return 489;
	event = span_trim(span_cut(&event, ';'));
	if (!span_equal_case(event, SPAN("message-summary")))
		return 489;
	copy_event(event, extra);
	writer_text(extra, "Subscription-State: terminated\r\n");
	return take_event_body(request, relay, event, text, content);
}

static const struct {
	enum sip_method method;
	enum hide_kind kind;
	take_content take;
} routed[] = {
	{ SIP_METHOD_MESSAGE, HIDE_MESSAGE, take_message },
	{ SIP_METHOD_PUBLISH, HIDE_PUBLISH, take_publish },
	{ SIP_METHOD_NOTIFY, HIDE_NOTIFY, take_unsolicited },
};

/* The sender's side of what has no dialog: enough for what may cross. */
static void sender_init(struct leg *leg, struct shard *shard, const struct message *request,
	const struct config_session_agent *agent)
{
	const struct config_sip_interface *interface;

	leg->shard = shard;
	leg->side = LEG_CALLER;
	leg->flow = *message_flow(request);
	leg->next_hop = leg->flow.remote;
	interface = listener_interface(leg->flow.listener);
	leg->realm = interface->realm;
	leg->agent = agent;
	leg->profile = agent && agent->ip_profile ? agent->ip_profile : interface->ip_profile;
	nat_leg_recognise(leg, request);
}

static struct request_relay *routed_new(struct shard *shard, enum sip_method method)
{
	struct leg *legs = calloc(LEGS, sizeof(*legs));
	struct request_relay *relay =
		legs ? relay_new(shard, &legs[LEG_CALLER], &legs[LEG_CALLED], method) : NULL;

	if (!relay) {
		free(legs);
		return NULL;
	}
	relay_take_legs(relay, legs);
	return relay;
}

static void relay_routed(struct request_relay *relay, const struct message *request, unsigned row)
{
	char headers[1024], text[CALL_MESSAGE_MAX];
	struct request_content content = { .kind = routed[row].kind };
	struct writer extra, body;
	unsigned status;
	int error;

	status = request_route_leg(relay->shard, request, relay->from, relay->to);
	if (status == 0) {
		writer_init(&extra, headers, sizeof(headers));
		writer_init(&body, text, sizeof(text));
		status = routed[row].take(request, relay, &extra, &body, &content);
		content.extra = writer_result(&extra);
		if (status == 0 && (extra.overflow || body.overflow))
			status = 513;
	}
	if (status == 0) {
		error = relay_send(relay, request, &content);
		status = error == 0 ? 0 : error == -EMSGSIZE ? 513 : 503;
	}
	if (status)
		relay_refuse(relay, status);
}

void request_route(struct shard *shard, struct transaction *transaction, const struct message *request,
	const struct config_session_agent *source)
{
	enum sip_method method = message_scan(request)->method;
	struct request_relay *relay;
	unsigned row = 0;

	if (method == SIP_METHOD_SUBSCRIBE) {
		subscription_start(shard, transaction, request, source);
		return;
	}
	while (routed[row].method != method)
		row++;
	relay = shard->routed_requests < shard->config->sip.max_routed_requests ? routed_new(shard, method)
										: NULL;
	if (!relay) {
		core_reply(transaction, 503, SPAN("Retry-After: 5\r\n"));
		return;
	}
	sender_init(relay->from, shard, request, source);
	/* The lists of its legs hold it already. */
	relay_attach(relay, transaction);
	relay_routed(relay, request, row);
}
