/* SPDX-License-Identifier: BSD-3-Clause */
/* The registrar's side: REGISTER written anew with contacts of ours, sent in its turn, and what comes back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/core.h"
#include "controlplane/guard.h"
#include "controlplane/hide.h"
#include "controlplane/registrar_internal.h"
#include "controlplane/route.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

enum { MIN_EXPIRES_MOST = 7 * 86400, RETRY_S = 5, CHALLENGE_TEXT_MAX = 2048 };

static const struct span nothing = { NULL, 0 };

/* --- where to --------------------------------------------------------------------------------------------------------- */

static bool is_there(const struct shard *shard, const struct config_session_agent *agent)
{
	union address list[RESOLVER_ADDRESSES_MAX];

	return agent_addresses(shard, agent, list) > 0 && !agent_is_down(shard, agent);
}

/* Of a group the first that is alive: a phone is registered at one of them. */
unsigned registration_route(struct shard *shard, const struct config_realm *realm, struct span from_user,
	struct span to_user, const struct config_session_agent **agent)
{
	const struct config_local_policy *policy;

	if (route_find_registrar(shard->config, realm, from_user, to_user, &policy))
		return 404;
	*agent = policy->agent;
	for (size_t i = 0; policy->next_hop == CONFIG_NEXT_HOP_GROUP && i < policy->group->agent_count; i++) {
		*agent = policy->group->agents[i];
		if (is_there(shard, *agent))
			break;
	}
	return is_there(shard, *agent) ? 0 : 503;
}

/* All of its addresses. A challenge is answered where it came from: others of the same name may not know its nonce. */
static void find_addresses(struct registration *registration)
{
	union address *list = registration->address, first;
	unsigned count = agent_addresses(registration->registrar->shard, registration->agent, list);

	registration->address_count = count;
	for (unsigned i = 1; i < count; i++) {
		if (!address_equal(&list[i], &registration->upstream.remote))
			continue;
		first = list[i];
		memmove(&list[1], &list[0], i * sizeof(first));
		list[0] = first;
	}
}

/* From `address_at` on the first that we have a way to. False: there is none. */
static bool find_upstream(struct registration *registration)
{
	const struct config_session_agent *agent = registration->agent;
	struct sip_flow *flow = &registration->upstream;

	for (; registration->address_at < registration->address_count; registration->address_at++) {
		*flow = (struct sip_flow){ .remote = registration->address[registration->address_at],
			.agent = agent };
		flow->listener = transport_find(registration->registrar->shard, agent->realm,
			agent->address.transport, &flow->remote);
		if (flow->listener)
			return true;
	}
	return false;
}

static size_t agent_number(const struct registration *registration)
{
	return (size_t)config_session_agent_index(
		registration->registrar->shard->config, registration->agent);
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static void write_us(const struct registration *registration, struct writer *out)
{
	const struct listener *listener = registration->upstream.listener;
	char text[ADDRESS_TEXT_MAX];

	writer_text(out, address_print_uri(listener_address(listener), text));
	writer_char(out, ':');
	writer_uint(out, address_port(listener_address(listener)));
}

static void write_head(const struct registration *registration, struct writer *out)
{
	struct shard *shard = registration->registrar->shard;
	const struct message *request = transaction_message(registration->server);
	enum config_transport transport = listener_transport(registration->upstream.listener);
	int hops = message_scan(request)->max_forwards;
	char theirs[ADDRESS_TEXT_MAX], branch[TRANSACTION_BRANCH_MAX], tag[SHARD_TOKEN_MAX];

	address_print_uri(&registration->upstream.remote, theirs);
	writer_text(out, "REGISTER sip:");
	writer_text(out, theirs);
	if (address_port(&registration->upstream.remote) !=
		(listener_is_secure(registration->upstream.listener) ? 5061 : 5060))
		writer_format(out, ":%u", address_port(&registration->upstream.remote));
	writer_text(out, transport_uri_parameter(transport));
	writer_text(out, " SIP/2.0\r\nVia: SIP/2.0/");
	writer_text(out, transport_via_name(transport));
	writer_char(out, ' ');
	write_us(registration, out);
	writer_text(out, ";rport;branch=");
	writer_text(out, transaction_branch(shard, branch));
	writer_format(out, "\r\nMax-Forwards: %d\r\nFrom: ", hops > 0 && hops <= 70 ? hops - 1 : 69);
	hide_name_addr(&registration->request.from, span_from(theirs), out);
	writer_text(out, ";tag=");
	writer_text(out, shard_token(shard, tag));
	writer_text(out, "\r\nTo: ");
	hide_name_addr(&registration->request.to, span_from(theirs), out);
	writer_text(out, "\r\nCall-ID: ");
	writer_text(out, registration->call_id);
	writer_format(out, "\r\nCSeq: %u REGISTER\r\n", registration->cseq);
}

static void write_uri(const struct registration *registration, unsigned n, struct writer *out)
{
	const struct register_contact *contact = &registration->request.contact[n];

	if (registration->path) {
		writer_span(out, contact->uri);
		return;
	}
	writer_text(out, "sip:");
	/* A contact for all numbers of a PBX has no user (RFC 6140 section 5.2): its token stands behind. */
	if (!contact->bulk) {
		writer_text(out, registration->token[n]);
		writer_char(out, '@');
	}
	write_us(registration, out);
	writer_text(out, transport_uri_parameter(listener_transport(registration->upstream.listener)));
	if (contact->bulk) {
		writer_text(out, ";bnc;reg=");
		writer_text(out, registration->token[n]);
	}
}

static void write_contacts(const struct registration *registration, struct writer *out)
{
	const struct register_request *request = &registration->request;

	/* A question alone (RFC 3261 section 10.2.3): the registrar asks for a password as it would have. */
	if (registration->too_many)
		return;
	if (request->all)
		writer_text(out, "Contact: *\r\nExpires: 0\r\n");
	for (unsigned n = 0; n < request->count; n++) {
		const struct register_contact *contact = &request->contact[n];

		writer_text(out, "Contact: <");
		write_uri(registration, n, out);
		writer_char(out, '>');
		if (contact->q != 1000)
			writer_format(out, ";q=0.%03u", contact->q);
		/* The phone's own name crosses where a GRUU or a flow (RFC 5627, 5626) is to be made of it. */
		if (contact->instance.n && (request->gruu || registration->path)) {
			writer_text(out, ";+sip.instance=\"");
			writer_span(out, contact->instance);
			writer_char(out, '"');
			if (registration->path && contact->reg_id)
				writer_format(out, ";reg-id=%u", contact->reg_id);
		}
		writer_format(out, ";expires=%u\r\n", contact->expires ? registration->asked : 0);
	}
	if (request->count)
		writer_format(out, "Expires: %u\r\n", request->contact[0].expires ? registration->asked : 0);
}

static void write_options(const struct registration *registration, struct writer *out)
{
	const struct register_request *request = &registration->request;
	bool outbound = registration->path && request->outbound;

	if (registration->path) {
		writer_text(out, "Path: <sip:");
		writer_text(out, registration->token[0]);
		writer_char(out, '@');
		write_us(registration, out);
		writer_text(
			out, transport_uri_parameter(listener_transport(registration->upstream.listener)));
		writer_text(out, outbound ? ";lr;ob>\r\n" : ";lr>\r\n");
	}
	if (request->bulk)
		writer_text(out, "Require: gin\r\nProxy-Require: gin\r\n");
	if (registration->path || request->gruu) {
		writer_text(out, "Supported: ");
		writer_text(out, registration->path ? "path" : "gruu");
		writer_text(out, registration->path && request->gruu ? ", gruu" : "");
		writer_text(out, outbound ? ", outbound\r\n" : "\r\n");
	}
}

/* Digest alone: the password of another scheme is nobody's business. */
static void write_credentials(const struct message *request, struct writer *out)
{
	static const char *const names[] = { "Authorization", "Proxy-Authorization" };
	struct span value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned n = 0; message_header(request, span_from(names[i]), n, &value); n++) {
			if (!span_starts_case(value, SPAN("Digest ")) || memchr(value.p, '\r', value.n) ||
				memchr(value.p, '\n', value.n))
				continue;
			writer_text(out, names[i]);
			writer_text(out, ": ");
			guard_unseal(value, out);
			writer_text(out, "\r\n");
		}
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

void registration_free(struct registration *registration)
{
	struct registrar *registrar = registration->registrar;

	timer_cancel(&registration->timer);
	timer_cancel(&registration->repeat);
	if (registration->client)
		transaction_detach(registration->client);
	if (registration->server)
		transaction_detach(registration->server);
	for (unsigned i = 0; i < REGISTER_CONTACTS_MAX; i++)
		binding_put(registration->old[i]);
	if (registration->reserved && registrar->shard->shared.register_limits)
		register_wait_refund(registrar->shard->shared.register_limits, agent_number(registration), 1);
	*registration->link = registration->next;
	if (registration->next)
		registration->next->link = registration->link;
	free(registration);
}

static void refuse(struct registration *registration, unsigned status, struct span extra)
{
	struct transaction *server = registration->server;

	if (server)
		registrar_refuse(registration->registrar->shard, server, registration->agent, status, extra);
	registration_free(registration);
}

static void refuse_for_now(struct registration *registration, unsigned status)
{
	char line[40];
	struct writer out;

	writer_init(&out, line, sizeof(line));
	writer_format(&out, "Retry-After: %u\r\n", RETRY_S + (unsigned)(clock_now_ns() / 1024 % RETRY_S));
	refuse(registration, status, writer_result(&out));
}

/* --- what comes back ------------------------------------------------------------------------------------------------------ */

/* On one line, with our seal. */
static void copy_challenges(const struct registration *registration, const struct message *response,
	const char *name, struct writer *out)
{
	char text[CHALLENGE_TEXT_MAX];
	struct writer line;
	struct span value;

	for (unsigned n = 0; message_header(response, span_from(name), n, &value); n++) {
		writer_init(&line, text, sizeof(text));
		for (size_t i = 0; i < value.n; i++)
			writer_char(&line, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
		writer_text(out, name);
		writer_text(out, ": ");
		guard_seal(registration->registrar->shard->shared.guard, &registration->flow,
			writer_result(&line), out);
		writer_text(out, "\r\n");
		out->overflow = out->overflow || line.overflow;
	}
}

static void challenged(struct registration *registration, unsigned status, const struct message *response,
	struct writer *extra)
{
	const char *name = status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
	struct span value;

	copy_challenges(registration, response, name, extra);
	if (registration->server && message_header(response, span_from(name), 0, &value))
		registrar_challenged(registration->registrar->shard,
			transaction_message(registration->server), registration->agent, value);
	register_challenge_note(registration, response);
	/* What is planned for is its answer. */
	registration->reserved = false;
	refuse(registration, status, extra->overflow ? nothing : writer_result(extra));
}

static void wait_for_turn(struct registration *registration);

/* RFC 3261 section 21.4.17. What we ask for with a cache is no wish of the phone's. */
static void too_brief(struct registration *registration, const struct message *response, struct writer *extra)
{
	struct span value;
	uint64_t least;

	if (!message_header(response, SPAN("Min-Expires"), 0, &value) ||
		span_to_uint(value, MIN_EXPIRES_MOST, &least) || least <= registration->asked) {
		refuse(registration, 500, nothing);
		return;
	}
	if (registration->caches && !registration->retried) {
		registration->retried = true;
		registration->asked = (uint32_t)least;
		wait_for_turn(registration);
		return;
	}
	writer_format(extra, "Min-Expires: %u\r\n", (unsigned)least);
	refuse(registration, 423, writer_result(extra));
}

/* RFC 3263 section 4.3: its next address, if there is one. */
static bool ask_next(struct registration *registration)
{
	registration->address_at++;
	if (!registration->server || !find_upstream(registration))
		return false;
	timer_cancel(&registration->timer);
	timer_cancel(&registration->repeat);
	if (registration->client)
		transaction_detach(registration->client);
	registration->client = NULL;
	wait_for_turn(registration);
	return true;
}

static void refused(struct registration *registration, unsigned status, const struct message *response)
{
	char text[8192];
	struct writer extra;
	struct span value;
	uint64_t seconds;

	writer_init(&extra, text, sizeof(text));
	if (status == 503 && ask_next(registration))
		return;
	if (status == 401 || status == 407) {
		challenged(registration, status, response, &extra);
	} else if (status == 423) {
		too_brief(registration, response, &extra);
	} else if (status == 439) {
		refuse(registration, 439, nothing);
	} else {
		/* How long the registrar is overloaded concerns the phone. */
		if ((status == 503 || status == 500) &&
			message_header(response, SPAN("Retry-After"), 0, &value) &&
			span_to_uint(span_trim(span_cut(&value, ';')), 86400, &seconds) == 0)
			writer_format(&extra, "Retry-After: %u\r\n", (unsigned)seconds);
		refuse(registration, hide_status(status), writer_result(&extra));
	}
}

static void on_patience(struct timer *timer, void *arg)
{
	(void)timer;
	if (!ask_next(arg))
		refuse_for_now(arg, 504);
}

/* An address that says nothing at all is given up sooner where there is another one. */
static void be_patient(struct registration *registration)
{
	const struct shard *shard = registration->registrar->shard;
	const struct config_sip *sip = &shard->config->sip;
	uint64_t most = 60 * (uint64_t)sip->t1_ms;

	timer_arm(shard->timers, &registration->timer,
		sip->relay_timeout_ms < most ? sip->relay_timeout_ms : most, on_patience, registration);
}

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct registration *registration = arg;
	unsigned status = message_scan(response)->status;

	if (status < 200) {
		be_patient(registration);
		return;
	}
	transaction_detach(transaction);
	registration->client = NULL;
	if (status < 300) {
		if (registration->server)
			registrar_good(
				registration->registrar->shard, transaction_message(registration->server));
		registration_accepted(registration, response);
	} else
		refused(registration, status, response);
}

static void on_client_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct registration *registration = arg;

	(void)transaction;
	registration->client = NULL;
	if (how != TRANSACTION_SHUTDOWN && ask_next(registration))
		return;
	if (how != TRANSACTION_SHUTDOWN)
		refuse_for_now(registration, how == TRANSACTION_TIMEOUT ? 504 : 503);
	else if (!registration->server)
		registration_free(registration);
}

/* Rounded up: it must not be too early. */
static void wait_until(struct registration *registration, struct timer *timer, uint64_t turn_us,
	void (*then)(struct timer *timer, void *arg))
{
	uint64_t now_us = clock_now_us(), wait_us = turn_us > now_us ? turn_us - now_us : 0;

	timer_arm(registration->registrar->shard->timers, timer, (unsigned)((wait_us + 999) / 1000), then,
		registration);
}

/* True if its turn has come; else *turn_us is when to ask again. *place: for has_left. */
static bool may_leave(const struct registration *registration, uint64_t *turn_us, size_t *place)
{
	struct register_limits *limits = registration->registrar->shard->shared.register_limits;
	uint64_t now_us = clock_now_us(), wait_us;

	if (!limits)
		return true;
	now_us = *turn_us > now_us ? *turn_us : now_us;
	wait_us = register_send(limits, agent_number(registration), now_us, place);
	*turn_us = now_us + wait_us;
	return wait_us == 0;
}

/* Not when this shard has done all else that it has to do. */
static void has_left(struct shard *shard, size_t agent, size_t place)
{
	if (!shard->shared.register_limits)
		return;
	transport_flush(shard);
	register_sent(shard->shared.register_limits, agent, place, clock_now_us());
}

static void on_repeat_turn(struct timer *timer, void *arg)
{
	struct registration *registration = arg;
	struct shard *shard = registration->registrar->shard;
	size_t agent = agent_number(registration), place = 0;

	if (!may_leave(registration, &registration->repeat_us, &place)) {
		wait_until(registration, timer, registration->repeat_us, on_repeat_turn);
	} else if (registration->client) {
		transaction_again(registration->client);
		has_left(shard, agent, place);
	}
}

/* A repetition costs the registrar as much as a request, so it waits for a turn of its own; where that is far off, its answer is no sooner. */
static bool may_repeat(void *arg, struct transaction *transaction)
{
	struct registration *registration = arg;
	const struct shard *shard = registration->registrar->shard;
	uint64_t now_us = clock_now_us(), wait_us;

	(void)transaction;
	if (!shard->shared.register_limits)
		return true;
	if (!timer_is_armed(&registration->repeat) &&
		register_slot(shard->shared.register_limits, agent_number(registration), now_us,
			(uint64_t)shard->config->registration.hold_ms * 1000, &wait_us)) {
		registration->repeat_us = now_us + wait_us;
		wait_until(registration, &registration->repeat, registration->repeat_us, on_repeat_turn);
	}
	return false;
}

static const struct transaction_events client_events = { .response = on_response, .ended = on_client_ended };

static void on_server_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct registration *registration = arg;

	(void)transaction;
	(void)how;
	registration->server = NULL;
	registration_free(registration);
}

static const struct transaction_events server_events = { .ended = on_server_ended };

/* --- sending ---------------------------------------------------------------------------------------------------------- */

static int send_next(struct registration *registration)
{
	struct shard *shard = registration->registrar->shard;
	char text[REGISTER_MESSAGE_MAX];
	struct writer out;
	int error;

	registration->cseq++;
	writer_init(&out, text, sizeof(text));
	write_head(registration, &out);
	write_contacts(registration, &out);
	write_options(registration, &out);
	/* Those for us alone are no business of the registrar's. */
	if (listener_interface(registration->flow.listener)->authentication != CONFIG_AUTHENTICATION_LOCAL)
		write_credentials(transaction_message(registration->server), &out);
	hide_product(shard->config, true, &out);
	message_end(&out, nothing, nothing);
	error = out.overflow ? -EMSGSIZE
			     : transaction_request(shard, &registration->upstream, writer_result(&out),
				       &client_events, registration, &registration->client);
	if (error == 0) {
		transaction_paced(registration->client, may_repeat);
		be_patient(registration);
		if (registration->address_at + 1 < registration->address_count)
			timer_arm(shard->timers, &registration->timer, shard->config->sip.address_timeout_ms,
				on_patience, registration);
	}
	return error;
}

static void on_turn(struct timer *timer, void *arg)
{
	struct registration *registration = arg;
	struct shard *shard = registration->registrar->shard;
	size_t agent = agent_number(registration), place = 0;

	if (!may_leave(registration, &registration->turn_us, &place))
		wait_until(registration, timer, registration->turn_us, on_turn);
	else if (send_next(registration) == 0)
		has_left(shard, agent, place);
	else if (!ask_next(registration))
		refuse_for_now(registration, 503);
}

static void wait_for_turn(struct registration *registration)
{
	struct register_limits *limits = registration->registrar->shard->shared.register_limits;
	uint64_t now_us = clock_now_us(), wait_us = 0;

	if (limits)
		register_slot(limits, agent_number(registration), now_us, UINT64_MAX, &wait_us);
	registration->turn_us = now_us + wait_us;
	if (wait_us)
		wait_until(registration, &registration->timer, registration->turn_us, on_turn);
	else
		on_turn(&registration->timer, registration);
}

void registration_start(struct registration *registration)
{
	transaction_attach(registration->server, &server_events, registration);
	find_addresses(registration);
	if (find_upstream(registration))
		wait_for_turn(registration);
	else
		refuse_for_now(registration, 503);
}
