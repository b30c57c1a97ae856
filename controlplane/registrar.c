/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER of phones: let in or put off, answered from cache or sent to the registrar. */
#include "controlplane/registrar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/core.h"
#include "controlplane/hide.h"
#include "controlplane/keep_alive.h"
#include "controlplane/registrar_internal.h"
#include "controlplane/sips.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

/* Left of what the registrar has granted when a refresh goes there: time for the phone to come once more, and for a challenge. */
enum { MARGIN_MS = 30000, SILENT_SOURCE_S = 2 };

static const struct span nothing = { NULL, 0 };

static bool is_flow_of(const struct binding *binding, const struct sip_flow *flow)
{
	return binding->flow.listener == listener_index(flow->listener) &&
	       binding->flow.connection == flow->connection &&
	       address_equal(&binding->flow.remote, &flow->remote);
}

static uint64_t upstream_left_ms(const struct binding *binding, uint64_t now)
{
	uint64_t until = __atomic_load_n(&binding->upstream_expires_wall_ms, __ATOMIC_RELAXED);

	return until > now ? until - now : 0;
}

static bool is_live(const struct binding *binding, uint64_t now)
{
	return __atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED) > now;
}

static struct span user_of(const struct name_addr *address)
{
	struct sip_uri uri;

	return sip_uri_parse(address->uri, &uri) == 0 ? hide_user(&uri) : nothing;
}

/* The user of an address-of-record, as all his names have it. */
static struct span owner_of(struct span aor)
{
	return span_cut(&aor, '@');
}

/* --- before anything is kept ------------------------------------------------------------------------------------------ */

/* By its name: what is remembered of it outlives a configuration. */
static uint64_t realm_hash(const struct shard *shard, const struct config_realm *realm)
{
	return hash_bytes(&shard->shard_key, realm->name, strlen(realm->name));
}

static uint64_t flow_hash(const struct shard *shard, const struct sip_flow *flow, bool host_alone)
{
	struct {
		uint64_t realm, connection;
		uint8_t ip[16];
		uint16_t port;
		uint8_t zero[6];
	} key;

	memset(&key, 0, sizeof(key));
	key.realm = realm_hash(shard, listener_interface(flow->listener)->realm);
	if (flow->remote.sa.sa_family == AF_INET6)
		/* A subscriber has a /64. */
		memcpy(key.ip, &flow->remote.in6.sin6_addr, host_alone ? 8 : 16);
	else
		memcpy(key.ip, &flow->remote.in4.sin_addr, 4);
	if (!host_alone) {
		key.connection = flow->connection;
		key.port = address_port(&flow->remote);
	}
	return hash_bytes(&shard->shard_key, &key, sizeof(key));
}

static const struct config_realm *realm_of(const struct sip_flow *flow)
{
	return listener_interface(flow->listener)->realm;
}

/* As the location table tells them apart: by user and realm, whatever the host. */
static uint64_t owner_hash(const struct shard *shard, const struct sip_flow *flow, struct span aor)
{
	struct span user = owner_of(aor);
	uint64_t parts[2] = { realm_hash(shard, realm_of(flow)),
		hash_bytes(&shard->shard_key, user.p, user.n) };

	return hash_bytes(&shard->shard_key, parts, sizeof(parts));
}

/* Registered by this very flow: what it asks costs nothing, or has been promised. */
static bool is_known(const struct shard *shard, struct span aor, const struct sip_flow *flow)
{
	struct binding *known[REGISTER_CONTACTS_MAX];
	size_t count =
		location_by_aor(shard->shared.location, realm_of(flow), aor, known, REGISTER_CONTACTS_MAX);
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		found = found || is_flow_of(known[i], flow);
		binding_put(known[i]);
	}
	return found;
}

static void give_back(struct registrar *registrar)
{
	struct admitted *admitted = &registrar->admitted;

	if (admitted->is_there && admitted->reserved)
		register_wait_refund(registrar->shard->shared.register_limits, admitted->agent, 2);
	*admitted = (struct admitted){ .is_there = false };
}

/* A place at its registrar. 0 or the seconds to wait. */
static unsigned screen_upstream(struct shard *shard, const struct sip_flow *flow, const struct scan *request,
	struct span aor, uint64_t now_us)
{
	struct register_limits *limits = shard->shared.register_limits;
	struct register_wait who = { .aor = owner_hash(shard, flow, aor),
		.host = flow_hash(shard, flow, true) };
	const struct config_session_agent *agent;
	struct name_addr from;
	struct challenge *challenge;
	unsigned wait;

	if (name_addr_parse(request->from, &from) ||
		registration_route(shard, listener_interface(flow->listener)->realm, user_of(&from),
			owner_of(aor), &agent))
		return 0;
	who.agent = (size_t)config_session_agent_index(shard->config, agent);
	challenge = register_challenge_find(shard->registrar, aor, flow, register_authorization(request));
	/* The answer to a challenge has its turn already; the same answer once more has none. */
	wait = challenge && !challenge->answered ? 0 : register_wait_enter(limits, &who, now_us);
	if (wait)
		return wait;
	shard->registrar->admitted = (struct admitted){
		.is_there = true, .reserved = !challenge || challenge->answered, .agent = who.agent
	};
	if (challenge)
		challenge->answered = true;
	return 0;
}

unsigned registrar_screen(
	struct shard *shard, const struct sip_flow *flow, const struct scan *request, unsigned *retry_after)
{
	struct register_limits *limits = shard->shared.register_limits;
	const struct config_realm *realm = listener_interface(flow->listener)->realm;
	uint64_t now_us = clock_now_us();
	char buffer[REGISTRAR_AOR_MAX];
	struct span aor;

	if (!limits || !shard->registrar || !shard->shared.location)
		return 0;
	give_back(shard->registrar);
	if (!register_rate_take(limits, REGISTER_RATE_SOURCE, flow_hash(shard, flow, false), now_us)) {
		*retry_after = SILENT_SOURCE_S + (unsigned)(random_u64() % 4);
		return registrar_over_rate(
			shard, flow, request, shard->config->registration.silent ? TRANSACTION_SILENCE : 503);
	}
	aor = registrar_aor(request->to, buffer);
	if (aor.n == 0 || is_known(shard, aor, flow))
		return 0;
	if (!register_rate_take(limits, REGISTER_RATE_AOR, owner_hash(shard, flow, aor), now_us)) {
		*retry_after = 1 + (unsigned)(random_u64() % 4);
		return registrar_over_rate(shard, flow, request, 429);
	}
	if (!register_rate_take(limits, REGISTER_RATE_REALM, realm_hash(shard, realm), now_us)) {
		*retry_after = 1 + (unsigned)(random_u64() % 8);
		return 503;
	}
	*retry_after = screen_upstream(shard, flow, request, aor, now_us);
	return *retry_after ? 503 : 0;
}

/* --- from cache --------------------------------------------------------------------------------------------------------- */

/* Nothing may differ from what the registrar has accepted: else a second device would live on the first one's password. */
static bool is_refresh(const struct binding *binding, const struct register_contact *contact,
	const struct sip_flow *flow, const struct scan *scan, const struct config_session_agent *agent,
	uint64_t now)
{
	return is_live(binding, now) && is_flow_of(binding, flow) && binding->agent == agent &&
	       span_equal(binding->call_id, scan->call_id) && span_equal(binding->contact, contact->uri) &&
	       span_equal(binding->instance, contact->instance) && binding->reg_id == contact->reg_id &&
	       binding->q == contact->q && contact->expires > 0;
}

/* Enough left, and since then the registrar has neither been away nor refused the phone. */
static bool is_fresh(const struct shard *shard, const struct binding *binding, uint32_t promise, uint64_t now)
{
	return upstream_left_ms(binding, now) > 1000 * (uint64_t)promise + MARGIN_MS &&
	       !__atomic_load_n(&binding->doubtful, __ATOMIC_RELAXED) &&
	       binding->confirmed_wall_ms >= agent_back_wall_ms(shard, binding->agent);
}

static void renew(struct binding *binding, const struct scan *scan, uint32_t promise, uint64_t now)
{
	__atomic_store_n(&binding->expires_wall_ms, now + 1000 * (uint64_t)promise, __ATOMIC_RELAXED);
	__atomic_store_n(&binding->cseq, scan->cseq_number, __ATOMIC_RELAXED);
	__atomic_store_n(&binding->heard_wall_ms, now, __ATOMIC_RELAXED);
	__atomic_store_n(&binding->unreachable, 0, __ATOMIC_RELAXED);
}

/* True if all contacts of the request were renewed here. `late`: the registrar cannot be asked now, so what it has granted counts to the
 * end. */
static bool renew_all(struct shard *shard, const struct register_request *request,
	const struct message *message, const struct config_session_agent *agent, bool late)
{
	const struct sip_flow *flow = message_flow(message);
	struct binding *known[REGISTER_KNOWN_MAX], *matched[REGISTER_CONTACTS_MAX];
	uint32_t promise[REGISTER_CONTACTS_MAX];
	uint64_t now = clock_wall_ms();
	size_t count;
	bool all = request->count > 0;

	if (listener_interface(flow->listener)->registration != CONFIG_REGISTRATION_CACHE)
		return false;
	count = location_by_aor(
		shard->shared.location, realm_of(flow), request->aor, known, REGISTER_KNOWN_MAX);
	for (unsigned n = 0; n < request->count && all; n++) {
		const struct register_contact *contact = &request->contact[n];

		matched[n] = register_match(contact, known, count);
		all = matched[n] && is_refresh(matched[n], contact, flow, message_scan(message), agent, now);
		if (!all)
			break;
		promise[n] = registrar_promise(shard->registrar, flow, contact->expires,
			(uint32_t)(upstream_left_ms(matched[n], now) / 1000));
		all = late ? promise[n] > 0 : is_fresh(shard, matched[n], promise[n], now);
	}
	for (unsigned n = 0; all && n < request->count; n++)
		renew(matched[n], message_scan(message), promise[n], now);
	for (size_t i = 0; i < count; i++)
		binding_put(known[i]);
	return all;
}

/* --- to the registrar --------------------------------------------------------------------------------------------------- */

/* RFC 3261 section 10.3 step 7: an older request of the same phone comes too late. */
static bool is_out_of_order(const struct register_request *request, const struct scan *scan,
	struct binding *const *known, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_equal(known[i]->call_id, scan->call_id) &&
			__atomic_load_n(&known[i]->cseq, __ATOMIC_RELAXED) >= scan->cseq_number &&
			(request->all || request->count))
			return true;
	return false;
}

static unsigned fresh_contacts(
	const struct register_request *request, struct binding *const *known, size_t count)
{
	unsigned fresh = 0;

	for (unsigned n = 0; n < request->count; n++)
		fresh += request->contact[n].expires && !register_match(&request->contact[n], known, count);
	return fresh;
}

/* 0, or what it is refused with. */
static unsigned judge(const struct shard *shard, const struct register_request *request,
	const struct scan *scan, struct binding *const *known, size_t count)
{
	const struct config_registration *limits = &shard->config->registration;
	unsigned fresh = fresh_contacts(request, known, count);

	if (is_out_of_order(request, scan, known, count))
		return 500;
	if (fresh && count + fresh > limits->max_contacts)
		return 403;
	if (fresh && location_count(shard->shared.location) + fresh > limits->max_bindings)
		return 503;
	for (unsigned n = 0; n < request->count; n++)
		if (request->contact[n].expires && request->contact[n].expires < limits->min_expires)
			return 423;
	return 0;
}

/* One Path leads to all contacts of a request. */
static void share_path(struct registration *registration)
{
	const char *token = registration->token[0];

	for (unsigned n = 0; n < registration->request.count; n++)
		if (registration->old[n]) {
			token = registration->old[n]->token;
			break;
		}
	for (unsigned n = 0; n < registration->request.count; n++)
		memmove(registration->token[n], token, sizeof(registration->token[n]));
}

/* What belongs together at the registrar: the token of each contact, our Call-ID and its CSeq, and who is asked. */
static void name(struct registration *registration, struct binding *const *known, size_t count)
{
	struct registrar *registrar = registration->registrar;
	const struct register_request *request = &registration->request;
	const struct challenge *challenge =
		register_challenge_find(registrar, request->aor, &registration->flow,
			register_authorization(message_scan(transaction_message(registration->server))));
	struct writer out;

	for (unsigned n = 0; n < request->count; n++) {
		struct binding *old = register_match(&request->contact[n], known, count);

		if (!old) {
			shard_token(registrar->shard, registration->token[n]);
			continue;
		}
		registration->old[n] = binding_get(old);
		memcpy(registration->token[n], old->token, sizeof(old->token));
		if (registration->call_id[0] || old->upstream_call_id.n >= sizeof(registration->call_id))
			continue;
		writer_init(&out, registration->call_id, sizeof(registration->call_id) - 1);
		writer_span(&out, old->upstream_call_id);
		registration->cseq = old->upstream_cseq;
	}
	if (challenge && challenge->call_id[0]) {
		if (!registration->old[0])
			memcpy(registration->token[0], challenge->token, sizeof(challenge->token));
		memcpy(registration->call_id, challenge->call_id, sizeof(challenge->call_id));
		registration->cseq = challenge->cseq;
		registration->upstream.remote = challenge->asked;
	}
	if (registration->call_id[0] == '\0')
		shard_token(registrar->shard, registration->call_id);
	if (registration->path)
		share_path(registration);
}

static struct registration *registration_new(struct registrar *registrar, struct transaction *transaction,
	const struct config_session_agent *agent)
{
	struct registration *registration = calloc(1, sizeof(*registration));
	const struct config_sip_interface *interface;

	if (!registration)
		return NULL;
	registration->registrar = registrar;
	registration->server = transaction;
	registration->agent = agent;
	registration->flow = *message_flow(transaction_message(transaction));
	interface = listener_interface(registration->flow.listener);
	registration->caches = interface->registration == CONFIG_REGISTRATION_CACHE;
	registration->path =
		agent->ip_profile && agent->ip_profile->registration_contact == CONFIG_CONTACT_PATH;
	registration->link = &registrar->first;
	registration->next = registrar->first;
	if (registrar->first)
		registrar->first->link = &registration->next;
	registrar->first = registration;
	return registration;
}

static uint32_t longest_asked(const struct register_request *request)
{
	uint32_t most = 0;

	for (unsigned n = 0; n < request->count; n++)
		if (request->contact[n].expires > most)
			most = request->contact[n].expires;
	return most;
}

static void refuse_with(struct transaction *transaction, unsigned status, const char *header, unsigned number)
{
	char line[64];
	struct writer out;

	writer_init(&out, line, sizeof(line));
	writer_format(&out, "%s: %u\r\n", header, number);
	core_reply(transaction, status, writer_result(&out));
}

/* Its place, if registrar_screen has not given it one: it is registered, and comes before strangers. 0 or the seconds to wait. */
static unsigned take_place(struct registrar *registrar, const struct register_request *request,
	const struct message *message, size_t agent, bool *reserved)
{
	const struct sip_flow *flow = message_flow(message);
	struct shard *shard = registrar->shard;
	struct challenge *challenge;
	struct admitted *admitted = &registrar->admitted;
	struct register_wait who = { .agent = agent, .known = true };

	*reserved = false;
	if (!shard->shared.register_limits)
		return 0;
	if (admitted->is_there && admitted->agent == agent) {
		*reserved = admitted->reserved;
		admitted->is_there = false;
		return 0;
	}
	challenge = register_challenge_find(
		registrar, request->aor, flow, register_authorization(message_scan(message)));
	if (challenge && !challenge->answered) {
		challenge->answered = true;
		return 0;
	}
	who.aor = owner_hash(shard, flow, request->aor);
	who.host = flow_hash(shard, flow, true);
	*reserved = true;
	return register_wait_enter(shard->shared.register_limits, &who, clock_now_us());
}

static void ask_registrar(struct registrar *registrar, struct transaction *transaction,
	const struct message *message, const struct register_request *request,
	const struct config_session_agent *agent, struct binding *const *known, size_t count, bool too_many)
{
	struct shard *shard = registrar->shard;
	size_t number = (size_t)config_session_agent_index(shard->config, agent);
	struct registration *registration;
	bool reserved;
	unsigned wait = take_place(registrar, request, message, number, &reserved);

	if (wait) {
		/* The registrar's own promise holds until it can be asked. */
		if (renew_all(shard, request, message, agent, true))
			registrar_answer(registrar, transaction, request, NULL);
		else
			refuse_with(transaction, 503, "Retry-After", wait);
		return;
	}
	registration = registration_new(registrar, transaction, agent);
	if (!registration) {
		core_reply(transaction, 503, nothing);
		return;
	}
	registration->reserved = reserved;
	registration->too_many = too_many;
	/* Its texts are the message's, but for one. */
	register_request_parse(shard, message, &registration->request);
	name(registration, known, count);
	registration->asked =
		registration->caches ? shard->config->registration.upstream_expires : longest_asked(request);
	registration_start(registration);
}

static bool is_registered_flow(const struct sip_flow *flow, struct binding *const *known, size_t count)
{
	uint64_t now = clock_wall_ms();

	for (size_t i = 0; i < count; i++)
		if (is_live(known[i], now) && is_flow_of(known[i], flow))
			return true;
	return false;
}

static void decide(struct registrar *registrar, struct transaction *transaction,
	const struct message *message, const struct register_request *request,
	const struct config_session_agent *agent)
{
	struct shard *shard = registrar->shard;
	struct binding *known[REGISTER_KNOWN_MAX];
	size_t count = location_known(shard->shared.location, realm_of(message_flow(message)), request->aor,
		known, REGISTER_KNOWN_MAX);
	unsigned status = judge(shard, request, message_scan(message), known, count);
	/* A stranger would learn who is registered. */
	bool too_many =
		status == 403 && listener_interface(message_flow(message)->listener)->authentication !=
					 CONFIG_AUTHENTICATION_LOCAL;

	if (too_many)
		ask_registrar(registrar, transaction, message, request, agent, known, count, true);
	else if (status == 423)
		refuse_with(transaction, 423, "Min-Expires", shard->config->registration.min_expires);
	else if (status)
		core_reply(transaction, status, status == 503 ? SPAN("Retry-After: 60\r\n") : nothing);
	else if ((!request->all && request->count == 0 &&
			 is_registered_flow(message_flow(message), known, count)) ||
		 renew_all(shard, request, message, agent, false))
		registrar_answer(registrar, transaction, request, NULL);
	else
		ask_registrar(registrar, transaction, message, request, agent, known, count, false);
	for (size_t i = 0; i < count; i++)
		binding_put(known[i]);
}

void registrar_received(struct shard *shard, struct transaction *transaction, const struct message *message,
	const struct config_session_agent *source)
{
	struct registrar *registrar = shard->registrar;
	const struct config_session_agent *agent = NULL;
	struct register_request request;
	char text[256];
	struct writer warning;
	unsigned status;

	writer_init(&warning, text, sizeof(text));
	if (!shard->shared.location) {
		core_reply(transaction, 503, nothing);
		return;
	}
	status = register_request_parse(shard, message, &request);
	if (status == 0 && !registrar_authenticate(shard, transaction, request.aor)) {
		give_back(registrar);
		return;
	}
	if (status == 0)
		status = registration_route(shard, listener_interface(message_flow(message)->listener)->realm,
			user_of(&request.from), owner_of(request.aor), &agent);
	/* What the registrar cannot be asked now, it has promised still. */
	if (status == 503 && renew_all(shard, &request, message, agent, true))
		registrar_answer(registrar, transaction, &request, NULL);
	else if (status)
		registrar_refuse(shard, transaction, NULL, status,
			status == 503 ? SPAN("Retry-After: 10\r\n") : nothing);
	else if (!sips_may_register(message, agent)) {
		sips_warning_not_allowed(message_flow(message), &warning);
		core_reply(transaction, 480, writer_result(&warning));
	}
	/* Whence it came it must not go. */
	else if (agent == source)
		core_reply(transaction, 403, nothing);
	else
		decide(registrar, transaction, message, &request, agent);
	if (shard->shared.register_limits)
		give_back(registrar);
}

/* --- making --------------------------------------------------------------------------------------------------------------- */

unsigned registrar_shard(const struct shard *shard, struct span aor)
{
	struct span user = owner_of(aor);

	return (unsigned)(hash_bytes(&shard->shard_key, user.p, user.n) % shard->count);
}

bool registrar_is_mine(const struct shard *shard, struct span aor)
{
	return registrar_shard(shard, aor) == shard->index;
}

static void registration_move(struct registration *registration, struct config_move *move)
{
	config_move_session_agent(move, &registration->agent);
	config_move_session_agent(move, &registration->flow.agent);
	config_move_session_agent(move, &registration->upstream.agent);
	for (unsigned i = 0; i < REGISTER_CONTACTS_MAX; i++)
		if (registration->old[i])
			binding_move(registration->old[i], move);
}

void registrar_move(struct shard *shard, struct config_move *move)
{
	struct registration *registration = shard->registrar ? shard->registrar->first : NULL;

	for (; registration; registration = registration->next)
		registration_move(registration, move);
}

int registrar_open(struct shard *shard)
{
	struct registrar *registrar = calloc(1, sizeof(*registrar));

	if (!registrar)
		return -ENOMEM;
	registrar->shard = shard;
	shard->registrar = registrar;
	return registrar_sweep_open(registrar);
}

void registrar_close(struct shard *shard)
{
	struct registrar *registrar = shard->registrar;

	if (!registrar)
		return;
	while (registrar->first)
		registration_free(registrar->first);
	registrar_sweep_close(registrar);
	free(registrar);
	shard->registrar = NULL;
}
