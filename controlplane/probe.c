/* SPDX-License-Identifier: BSD-3-Clause */
/* One test: who is to be asked, the questions, and the time that all of them have together. */
#include "controlplane/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/endpoint.h"
#include "controlplane/agent_name.h"
#include "controlplane/hide.h"
#include "controlplane/leg.h"
#include "controlplane/nat.h"
#include "controlplane/registrar.h"
#include "controlplane/stream.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

struct probe_target {
	struct probe *probe;
	struct cp_test_target *out;
	struct transaction *transaction; /* NULL: it is over */
	uint64_t connection;
	uint64_t began_us;
};

struct probe {
	struct probe *next;
	struct shard *shard;
	struct probe_order *order;
	struct resolver_query *query; /* while `resolving` */
	bool resolving;
	struct timer timer;
	bool beginning; /* not all have been asked yet */
	struct probe_target target[CP_TEST_TARGETS];
};

/* --- the end ------------------------------------------------------------------------------------------------------------ */

static void write_text(char *out, size_t size, struct span text)
{
	size_t n = text.n < size - 1 ? text.n : size - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = '\0';
}

static void describe(const struct probe_target *target)
{
	const struct shard *shard = target->probe->shard;
	char text[CP_TEST_TEXT_MAX];
	struct writer out;

	if (!target->connection || !shard->transport)
		return;
	writer_init(&out, text, sizeof(text));
	stream_describe(shard->transport->streams, target->connection, &out);
	if (out.len)
		write_text(target->out->text, sizeof(target->out->text), (struct span){ text, out.len });
}

static void probe_free(struct probe *probe)
{
	struct probe **at = &probe->shard->probes;

	while (*at != probe)
		at = &(*at)->next;
	*at = probe->next;
	timer_cancel(&probe->timer);
	resolver_cancel(probe->query);
	for (unsigned i = 0; i < probe->order->report.count; i++)
		if (probe->target[i].transaction)
			transaction_detach(probe->target[i].transaction);
	free(probe);
}

static void finish(struct probe *probe)
{
	struct probe_order *order = probe->order;

	order->report.over = 1;
	probe_free(probe);
	order->done(order);
}

static void finish_if_over(struct probe *probe)
{
	if (probe->beginning || probe->resolving)
		return;
	for (unsigned i = 0; i < probe->order->report.count; i++)
		if (probe->target[i].transaction)
			return;
	finish(probe);
}

static void on_timeout(struct timer *timer, void *arg)
{
	struct probe *probe = arg;

	(void)timer;
	for (unsigned i = 0; i < probe->order->report.count; i++)
		if (probe->target[i].transaction)
			describe(&probe->target[i]);
	finish(probe);
}

void probes_close(struct shard *shard)
{
	while (shard->probes)
		probe_free(shard->probes);
}

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static void note(struct probe_target *target, enum cp_test_outcome outcome, unsigned status)
{
	target->transaction = NULL;
	target->out->outcome = outcome;
	target->out->status = status;
	target->out->took_us = clock_now_us() - target->began_us;
}

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct probe_target *target = arg;
	unsigned status = message_scan(response)->status;

	if (status < 200)
		return;
	transaction_detach(transaction);
	describe(target);
	note(target, CP_TEST_ANSWERED, status);
	finish_if_over(target->probe);
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct probe_target *target = arg;

	(void)transaction;
	note(target, how == TRANSACTION_TIMEOUT ? CP_TEST_SILENT : CP_TEST_UNREACHED, 0);
	if (how != TRANSACTION_SHUTDOWN)
		finish_if_over(target->probe);
}

static const struct transaction_events events = { .response = on_response, .ended = on_ended };

void probe_connection_ended(const struct shard *shard, uint64_t connection, struct span why)
{
	for (const struct probe *probe = shard->probes; probe; probe = probe->next)
		for (unsigned i = 0; i < probe->order->report.count; i++)
			if (probe->target[i].connection == connection)
				write_text(
					probe->target[i].out->text, sizeof(probe->target[i].out->text), why);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

static struct probe_target *target_new(
	struct probe *probe, enum config_transport transport, const union address *address)
{
	struct cp_test_report *report = &probe->order->report;
	struct probe_target *target = &probe->target[report->count];
	char text[ADDRESS_TEXT_MAX];
	struct writer out;

	*target = (struct probe_target){ .probe = probe, .out = &report->target[report->count++] };
	target->began_us = clock_now_us();
	target->out->outcome = CP_TEST_SILENT;
	writer_init(&out, target->out->address, sizeof(target->out->address) - 1);
	writer_text(&out, endpoint_transport_name(transport));
	writer_char(&out, ':');
	writer_text(&out, address_print(address, text));
	return target;
}

static void fail(struct probe_target *target, enum cp_test_outcome outcome, const char *why)
{
	target->out->outcome = outcome;
	write_text(target->out->text, sizeof(target->out->text), span_from(why));
}

/* Max-Forwards 0: who is asked is meant himself, and nobody behind him (RFC 3261 section 11.1). */
static void ask(struct probe_target *target, struct leg *leg)
{
	struct shard *shard = target->probe->shard;
	uint64_t opened = shard->counter[CP_COUNTER_STREAM_OPENED];
	struct sip_flow flow = leg_flow(leg);
	char text[2048];
	struct writer out;
	int error;

	writer_init(&out, text, sizeof(text));
	leg_request_begin(leg, SIP_METHOD_OPTIONS, 0, &out);
	leg_contact(leg, &out);
	hide_product(shard->config, true, &out);
	writer_text(&out, "Accept: application/sdp\r\n");
	message_end(&out, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	error = out.overflow ? -EMSGSIZE : 0;
	if (error == 0 && listener_is_reliable(flow.listener)) {
		error = transport_connect(&flow);
		target->connection = flow.connection;
		target->out->connection_was_there =
			error == 0 && shard->counter[CP_COUNTER_STREAM_OPENED] == opened;
	}
	if (error == 0)
		error = transaction_request(
			shard, &flow, writer_result(&out), &events, target, &target->transaction);
	if (error == 0)
		return;
	target->transaction = NULL;
	fail(target, error == -EMSGSIZE ? CP_TEST_IMPOSSIBLE : CP_TEST_UNREACHED,
		error == -ENOTCONN && target->probe->order->type == CP_TEST_REGISTRATION
			? "its connection has ended: it is back with its next REGISTER"
			: strerror(-error));
}

/* --- a session-agent ------------------------------------------------------------------------------------------------------ */

static void ask_address(
	struct probe *probe, const struct config_session_agent *agent, const union address *address)
{
	struct sip_flow flow = { .remote = *address, .agent = agent };
	struct name_addr nobody = { 0 };
	struct leg leg = { .agent = agent };
	struct probe_target *target;

	if (probe->order->report.count == CP_TEST_TARGETS)
		return;
	target = target_new(probe, agent->address.transport, address);
	flow.listener = transport_find(probe->shard, agent->realm, agent->address.transport, &flow.remote);
	if (!flow.listener)
		fail(target, CP_TEST_IMPOSSIBLE,
			"no sip-interface of its realm has that transport and family");
	else if (leg_init_client(&leg, probe->shard, &flow, (struct span){ NULL, 0 }, &nobody, &nobody))
		fail(target, CP_TEST_IMPOSSIBLE, "the request cannot be written");
	else
		ask(target, &leg);
	leg_fini(&leg);
}

static const struct config_session_agent *find_agent(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->session_agents_count; i++)
		if (strcmp(config->session_agents[i].name, name) == 0)
			return &config->session_agents[i];
	return NULL;
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
	struct probe *probe = arg;
	/* There may be another configuration since. */
	const struct config_session_agent *agent = find_agent(probe->shard->config, probe->order->subject);

	probe->query = NULL;
	probe->resolving = false;
	probe->beginning = true;
	probe->order->report.source = answer->outcome == RESOLVER_FOUND  ? CP_TEST_DNS
				      : answer->outcome == RESOLVER_NONE ? CP_TEST_DNS_NONE
									 : CP_TEST_DNS_SILENT;
	for (unsigned i = 0; agent && answer->outcome == RESOLVER_FOUND && i < answer->count; i++)
		ask_address(probe, agent, &answer->address[i].address);
	probe->beginning = false;
	finish_if_over(probe);
}

/* DNS is asked anew: what the calls know may be of yesterday. */
static int test_agent(struct probe *probe)
{
	const struct config *config = probe->shard->config;
	const struct config_session_agent *agent;
	union address address;
	struct resolver_question question;
	int error;

	agent = find_agent(config, probe->order->subject);
	if (!agent)
		return -ENOENT;
	address = agent->address.address;
	if (address_is_set(&address)) {
		probe->order->report.source = CP_TEST_CONFIGURED;
		if (address_port(&address) == 0)
			address_set_port(&address, 5060);
		ask_address(probe, agent, &address);
		return 0;
	}
	question = agent_names_question(config, agent);
	write_text(probe->order->report.name, sizeof(probe->order->report.name), span_from(question.host));
	probe->order->report.source = CP_TEST_DNS_SILENT;
	question.host =
		probe->order->report.name; /* the configuration may be another one when the answer comes */
	/* No sip-interface of its realm has its transport: there is no family to ask for. */
	if (!question.v4 && !question.v6)
		question.v4 = question.v6 = true;
	error = resolver_ask(probe->shard, &question, on_resolved, probe, &probe->query);
	probe->resolving = error == 0;
	/* No server that could be asked is one that is silent. */
	return error == -EINVAL ? 0 : error;
}

/* --- a phone -------------------------------------------------------------------------------------------------------------- */

static void ask_contact(struct probe *probe, const struct binding *binding)
{
	struct sip_flow flow = registrar_flow(probe->shard, binding);
	struct probe_target *target = target_new(probe, binding->flow.transport, &binding->flow.remote);
	char uri[REGISTRAR_AOR_MAX + 4];
	struct name_addr nobody = { 0 }, to = { 0 };
	struct span user = binding->aor;
	struct leg leg = { 0 };
	struct writer out;

	write_text(target->out->contact, sizeof(target->out->contact), binding->contact);
	writer_init(&out, uri, sizeof(uri));
	writer_text(&out, "sip:");
	writer_span(&out, binding->aor);
	to.uri = writer_result(&out);
	if (__atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED) <= clock_wall_ms())
		fail(target, CP_TEST_EXPIRED, "its registration has run out");
	else if (!flow.listener)
		fail(target, CP_TEST_IMPOSSIBLE, "what it registered at is not there any more");
	else if (listener_is_reliable(flow.listener) && !flow.connection)
		fail(target, CP_TEST_UNREACHED,
			"its connection has ended: it is back with its next REGISTER");
	else if (leg_init_client(&leg, probe->shard, &flow, span_cut(&user, '@'), &nobody, &to) ||
		 nat_leg_is(&leg, binding))
		fail(target, CP_TEST_IMPOSSIBLE, "the request cannot be written");
	else
		ask(target, &leg);
	leg_fini(&leg);
}

/* What a call to that user gets from us: 0, it is tried. */
static unsigned call_status(struct shard *shard, struct span user)
{
	struct binding *found[1];
	unsigned status;
	size_t count = registrar_targets_of(shard, user, found, 1, &status);

	for (size_t i = 0; i < count; i++)
		binding_put(found[i]);
	return count ? 0 : status;
}

static int test_registration(struct probe *probe)
{
	struct shard *shard = probe->shard;
	struct cp_test_report *report = &probe->order->report;
	struct span user = span_from(probe->order->subject);
	struct binding *found[CP_TEST_TARGETS];
	char text[REGISTRAR_AOR_MAX];
	struct writer normal;
	size_t count = 0;

	user = span_cut(&user, '@');
	writer_init(&normal, text, sizeof(text));
	if (shard->shared.location && sip_user_normal(user, &normal) == 0)
		count = location_known_user(
			shard->shared.location, writer_result(&normal), found, CP_TEST_TARGETS);
	report->source = count ? CP_TEST_REGISTERED : CP_TEST_UNKNOWN;
	report->call_status = call_status(shard, user);
	for (size_t i = 0; i < count; i++) {
		ask_contact(probe, found[i]);
		binding_put(found[i]);
	}
	return 0;
}

/* --- the begin ------------------------------------------------------------------------------------------------------------ */

void probe_begin(struct shard *shard, struct probe_order *order)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe) {
		order->status = -ENOMEM;
		order->done(order);
		return;
	}
	probe->shard = shard;
	probe->order = order;
	probe->next = shard->probes;
	shard->probes = probe;
	timer_arm(shard->timers, &probe->timer, shard->config->sip.test_timeout_ms, on_timeout, probe);
	probe->beginning = true;
	order->status = order->type == CP_TEST_AGENT ? test_agent(probe) : test_registration(probe);
	probe->beginning = false;
	if (order->status)
		finish(probe);
	else
		finish_if_over(probe);
}
