/* SPDX-License-Identifier: BSD-3-Clause */
/* What the registrar has accepted becomes a binding; and what the phone is told of its bindings. */
#include <errno.h>
#include <string.h>

#include "controlplane/core.h"
#include "controlplane/hide.h"
#include "controlplane/keep_alive.h"
#include "controlplane/registrar_internal.h"
#include "controlplane/store.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

enum { TEXT_MAX = 512, LISTED_MAX = 64, EXPIRES_DEFAULT = 3600, ROOM_FOR_ONE = 1024 };

static const struct span nothing = { NULL, 0 };

/* --- contacts ----------------------------------------------------------------------------------------------------------- */

struct binding *register_match(
	const struct register_contact *contact, struct binding *const *known, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (contact->instance.n && known[i]->instance.n) {
			if (span_equal(contact->instance, known[i]->instance) &&
				contact->reg_id == known[i]->reg_id)
				return known[i];
		} else if (span_equal(contact->uri, known[i]->contact)) {
			return known[i];
		}
	}
	return NULL;
}

uint32_t registrar_promise(
	const struct registrar *registrar, const struct sip_flow *flow, uint32_t asked, uint32_t granted)
{
	const struct config_registration *registration = &registrar->shard->config->registration;
	const struct config_sip_interface *interface = listener_interface(flow->listener);
	uint32_t most = listener_is_reliable(flow->listener) ? registration->phone_expires_stream
							     : registration->phone_expires_udp;

	if (interface->registration != CONFIG_REGISTRATION_CACHE)
		most = UINT32_MAX;
	if (most > granted)
		most = granted;
	return asked < most ? asked : most;
}

/* Is that contact of the registrar's list this one? */
static bool is_contact(const struct span uri, bool path, const char *token, struct span phone)
{
	struct sip_uri parsed;
	struct span parameter;

	if (path)
		return span_equal(uri, phone);
	if (sip_uri_parse(uri, &parsed))
		return false;
	return span_equal(parsed.user, span_from(token)) ||
	       (register_parameter(parsed.parameters, SPAN("reg"), &parameter) &&
		       span_equal(parameter, span_from(token)));
}

/* The seconds that the registrar grants a contact; 0: it is not in its list. */
static uint32_t granted_to(const struct message *response, bool path, const char *token, struct span phone,
	struct name_addr *found)
{
	uint32_t expires = EXPIRES_DEFAULT;
	struct span value, one;
	unsigned listed = 0;

	if (message_header(response, SPAN("Expires"), 0, &value))
		expires = register_seconds(value, EXPIRES_DEFAULT);
	for (unsigned n = 0; message_header(response, SPAN("Contact"), n, &value); n++)
		for (unsigned v = 0; listed < LISTED_MAX && leg_list_value(value, v, &one); v++, listed++) {
			if (name_addr_parse(one, found) || !is_contact(found->uri, path, token, phone))
				continue;
			if (register_parameter(found->parameters, SPAN("expires"), &value))
				expires = register_seconds(value, EXPIRES_DEFAULT);
			return expires;
		}
	return 0;
}

/* --- what is kept --------------------------------------------------------------------------------------------------------- */

static void write_gruu(
	const struct name_addr *contact, const char *name, struct span host, struct writer *out)
{
	struct span value, gr = nothing;
	struct sip_uri uri;

	if (!register_parameter(contact->parameters, span_from(name), &value) || sip_uri_parse(value, &uri) ||
		!register_parameter(uri.parameters, SPAN("gr"), &gr))
		return;
	writer_format(out, ";%s=\"sip:", name);
	writer_span(out, hide_user(&uri));
	writer_char(out, '@');
	writer_span(out, host);
	writer_text(out, gr.n ? ";gr=" : ";gr");
	writer_span(out, gr);
	writer_char(out, '"');
}

static struct span keep_associated(const struct message *response, struct span host, struct writer *out)
{
	struct span value, one;
	struct name_addr address;

	for (unsigned n = 0; message_header(response, SPAN("P-Associated-URI"), n, &value); n++)
		for (unsigned v = 0; v < LISTED_MAX && leg_list_value(value, v, &one); v++) {
			if (name_addr_parse(one, &address))
				continue;
			writer_text(out, out->len ? ", " : "");
			hide_name_addr(&address, host, out);
		}
	return out->overflow ? nothing : writer_result(out);
}

static struct span keep_list(const struct message *response, struct span name, struct writer *out)
{
	struct span value;

	for (unsigned n = 0; message_header(response, name, n, &value); n++) {
		writer_text(out, out->len ? ", " : "");
		writer_span(out, value);
	}
	return out->overflow ? nothing : writer_result(out);
}

static uint32_t methods_of(const struct message *request)
{
	struct span value, one;
	uint32_t bits = 0;

	for (unsigned n = 0; message_header(request, SPAN("Allow"), n, &value); n++)
		for (unsigned v = 0; v < LISTED_MAX && leg_list_value(value, v, &one); v++)
			bits |= 1U << sip_method_parse(one);
	return bits;
}

/* --- in and out of the table ---------------------------------------------------------------------------------------------- */

static bool same_flow(const struct binding *a, const struct binding *b)
{
	return a->flow.listener == b->flow.listener && a->flow.connection == b->flow.connection &&
	       address_equal(&a->flow.remote, &b->flow.remote);
}

static void drop(struct registrar *registrar, struct binding *binding)
{
	if (!location_remove(registrar->shard->shared.location, binding))
		return;
	store_binding_gone(registrar->shard->shared.store, binding->number);
	registrar_quit(registrar, binding);
}

static void entered(struct registrar *registrar, struct binding *old, struct binding *binding)
{
	struct shard *shard = registrar->shard;

	store_binding(shard->shared.store, binding);
	if (shard->keep_alive)
		keep_alive_start(shard, old, binding);
	if (!old || !same_flow(old, binding) ||
		old->upstream_expires_wall_ms != binding->upstream_expires_wall_ms)
		registrar_trust(registrar, binding);
	log_debug("registrar", old ? "binding renewed" : "binding made", LOG_SPAN("aor", binding->aor),
		LOG_SPAN("contact", binding->contact), LOG_ADDRESS("flow", &binding->flow.remote));
}

static const struct config_realm *realm_of(const struct registration *registration)
{
	return listener_interface(registration->flow.listener)->realm;
}

/* Another REGISTER may have been quicker. */
static int enter(struct registration *registration, unsigned n, struct binding *binding)
{
	struct location *location = registration->registrar->shard->shared.location;
	struct binding *known[REGISTER_KNOWN_MAX], *old = NULL;
	size_t count = location_known(
		location, realm_of(registration), registration->request.aor, known, REGISTER_KNOWN_MAX);
	int error;

	old = register_match(&registration->request.contact[n], known, count);
	/* RFC 3261 section 10.3 step 7. */
	if (old && span_equal(old->call_id, binding->call_id) &&
		__atomic_load_n(&old->cseq, __ATOMIC_RELAXED) > binding->cseq)
		error = -ESTALE;
	else
		error = location_replace(location, old, binding);
	if (error == 0) {
		entered(registration->registrar, old, binding);
		/* The configuration has changed since it was asked for. */
		if (!location_serves(location, binding))
			registrar_leave(registration->registrar->shard);
		if (old && !same_flow(old, binding))
			registrar_quit(registration->registrar, old);
	}
	for (size_t i = 0; i < count; i++)
		binding_put(known[i]);
	return error;
}

static int take(struct registration *registration, unsigned n, uint32_t granted,
	const struct name_addr *listed, const struct message *response)
{
	const struct message *request = transaction_message(registration->server);
	const struct register_request *parsed = &registration->request;
	const struct register_contact *contact = &parsed->contact[n];
	const struct sip_flow *flow = &registration->flow;
	const struct config_sip_interface *interface = listener_interface(flow->listener);
	char gruu[TEXT_MAX], associated[TEXT_MAX], route[TEXT_MAX];
	uint64_t now = clock_wall_ms();
	struct binding model = {
		.method_bits = methods_of(request),
		.interface = interface,
		.agent = registration->agent,
		.flow = { listener_index(flow->listener), listener_transport(flow->listener), flow->remote,
			flow->connection, *listener_address(flow->listener) },
		.aor = parsed->aor,
		.contact = contact->uri,
		.instance = contact->instance,
		.call_id = message_scan(request)->call_id,
		.upstream_call_id = span_from(registration->call_id),
		.reg_id = contact->reg_id,
		.cseq = message_scan(request)->cseq_number,
		.q = contact->q,
		.behind_nat = nat_detect(interface->ip_profile, flow, request),
		.expires_wall_ms = now + 1000 * (uint64_t)registrar_promise(registration->registrar, flow,
							contact->expires, granted),
		.upstream_expires_wall_ms = now + 1000 * (uint64_t)granted,
		.confirmed_wall_ms = now,
		.upstream_cseq = registration->cseq,
		.heard_wall_ms = now,
	};
	struct binding *binding;
	struct writer out;
	int error;

	memcpy(model.token, registration->token[n], sizeof(model.token));
	if (message_header(request, SPAN("User-Agent"), 0, &model.user_agent) &&
		model.user_agent.n > REGISTER_AGENT_TEXT_MAX)
		model.user_agent.n = REGISTER_AGENT_TEXT_MAX;
	writer_init(&out, gruu, sizeof(gruu));
	if (parsed->gruu) {
		write_gruu(listed, "pub-gruu", parsed->host, &out);
		write_gruu(listed, "temp-gruu", parsed->host, &out);
	}
	model.gruu = out.overflow ? nothing : writer_result(&out);
	writer_init(&out, associated, sizeof(associated));
	model.associated = keep_associated(response, parsed->host, &out);
	writer_init(&out, route, sizeof(route));
	model.service_route = keep_list(response, SPAN("Service-Route"), &out);
	binding = binding_new(&model);
	if (!binding)
		return -ENOMEM;
	error = enter(registration, n, binding);
	binding_put(binding);
	return error;
}

/* --- the registrar's answer ----------------------------------------------------------------------------------------------- */

/* Contacts of ours that it does not list it has forgotten: the next REGISTER of each goes there. */
static void note_forgotten(const struct registration *registration, const struct message *response,
	struct binding *const *known, size_t count)
{
	struct name_addr listed;

	for (size_t i = 0; i < count; i++)
		if (known[i]->agent == registration->agent &&
			!granted_to(
				response, registration->path, known[i]->token, known[i]->contact, &listed))
			__atomic_store_n(
				&known[i]->upstream_expires_wall_ms, clock_wall_ms(), __ATOMIC_RELAXED);
}

static void drop_match(
	struct registration *registration, unsigned n, struct binding *const *known, size_t count)
{
	struct binding *binding = register_match(&registration->request.contact[n], known, count);

	if (binding)
		drop(registration->registrar, binding);
}

/* How many of the contacts that were to be bound were not. */
static unsigned take_all(struct registration *registration, const struct message *response,
	struct binding *const *known, size_t count)
{
	const struct register_request *request = &registration->request;
	unsigned failed = 0;

	for (unsigned n = 0; n < request->count; n++) {
		struct name_addr listed;
		uint32_t granted;

		if (request->contact[n].expires == 0) {
			drop_match(registration, n, known, count);
			continue;
		}
		granted = granted_to(response, registration->path, registration->token[n],
			request->contact[n].uri, &listed);
		if (granted == 0)
			drop_match(registration, n, known, count);
		if (granted == 0 || take(registration, n, granted, &listed, response))
			failed++;
	}
	return failed;
}

void registration_accepted(struct registration *registration, const struct message *response)
{
	struct registrar *registrar = registration->registrar;
	const struct register_request *request = &registration->request;
	struct binding *known[REGISTER_KNOWN_MAX];
	size_t count = location_known(registrar->shard->shared.location, realm_of(registration), request->aor,
		known, REGISTER_KNOWN_MAX);
	unsigned status = 0;

	if (registration->too_many) {
		status = 403;
	} else if (request->all) {
		for (size_t i = 0; i < count; i++)
			drop(registrar, known[i]);
	} else if (request->count) {
		if (take_all(registration, response, known, count))
			status = 500;
		note_forgotten(registration, response, known, count);
	}
	for (size_t i = 0; i < count; i++)
		binding_put(known[i]);
	if (status)
		core_reply(registration->server, status, nothing);
	else
		registrar_answer(registrar, registration->server, request, response);
	registration_free(registration);
}

/* --- the phone's ---------------------------------------------------------------------------------------------------------- */

static void write_binding(const struct binding *binding, uint64_t now, struct writer *out)
{
	uint64_t expires = __atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED);

	writer_text(out, "Contact: <");
	writer_span(out, binding->contact);
	writer_format(out, ">;expires=%u", expires > now ? (unsigned)((expires - now + 999) / 1000) : 0);
	if (binding->q != 1000)
		writer_format(out, ";q=0.%03u", binding->q);
	if (binding->instance.n) {
		writer_text(out, ";+sip.instance=\"");
		writer_span(out, binding->instance);
		writer_char(out, '"');
	}
	if (binding->reg_id)
		writer_format(out, ";reg-id=%u", binding->reg_id);
	writer_span(out, binding->gruu);
	writer_text(out, "\r\n");
}

static void write_passed(const struct message *response, struct writer *out)
{
	struct span value;

	if (!response || !message_header(response, SPAN("Authentication-Info"), 0, &value) ||
		memchr(value.p, '\r', value.n))
		return;
	writer_text(out, "Authentication-Info: ");
	writer_span(out, value);
	writer_text(out, "\r\n");
}

void registrar_answer(struct registrar *registrar, struct transaction *transaction,
	const struct register_request *request, const struct message *response)
{
	struct shard *shard = registrar->shard;
	struct binding *known[REGISTER_KNOWN_MAX];
	size_t count = location_by_aor(shard->shared.location,
		listener_interface(message_flow(transaction_message(transaction))->listener)->realm,
		request->aor, known, REGISTER_KNOWN_MAX);
	char text[REGISTER_MESSAGE_MAX], tag[SHARD_TOKEN_MAX];
	uint64_t now = clock_wall_ms();
	struct writer out;
	bool flows = false;

	writer_init(&out, text, sizeof(text));
	transaction_response_begin(
		transaction, 200, span_from(sip_reason(200)), span_from(shard_token(shard, tag)), &out);
	/* What has no room is left out: a datagram has its limits. */
	for (size_t i = 0; i < count && out.len + ROOM_FOR_ONE + TEXT_MAX < sizeof(text); i++) {
		write_binding(known[i], now, &out);
		flows = flows || known[i]->reg_id;
	}
	if (count && known[0]->associated.n) {
		writer_text(&out, "P-Associated-URI: ");
		writer_span(&out, known[0]->associated);
		writer_text(&out, "\r\n");
	}
	/* RFC 5626 section 6: a flow was registered as such. */
	if (flows && request->outbound)
		writer_text(&out, "Require: outbound\r\n");
	writer_text(&out, "Supported: path, outbound, gruu, gin\r\n");
	write_passed(response, &out);
	hide_product(shard->config, false, &out);
	message_end(&out, nothing, nothing);
	for (size_t i = 0; i < count; i++)
		binding_put(known[i]);
	if (out.overflow || transaction_respond(transaction, 200, writer_result(&out)))
		core_reply(transaction, 500, nothing);
}
