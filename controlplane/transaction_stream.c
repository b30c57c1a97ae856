/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions on streams: what a broken connection ends, where responses go, and long requests that leave UDP for TCP
 * (RFC 3261 sections 18.1.1, 18.2.2 and 18.4). */
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction_internal.h"
#include "platforms/base/clock.h"

/* --- who waits on which connection --------------------------------------------------------------------------------- */

void stream_wait(struct transaction *tr)
{
	struct table *table = &tr->shard->transactions->table;
	struct table_key key;

	if (!tr->flow.connection)
		return;
	key = table_key_connection(table, tr->flow.connection);
	table_insert(table, &tr->connection, &key, TABLE_TRANSACTION, tr);
}

void stream_wait_no_more(struct transaction *tr)
{
	table_remove(&tr->connection);
}

void transaction_connection_moved(struct shard *shard, uint64_t from, uint64_t to)
{
	struct table *table = &shard->transactions->table;
	struct table_key key = table_key_connection(table, from);
	struct table_node *node;

	if (from == to)
		return;
	while ((node = table_find(table, &key))) {
		struct transaction *tr = node->owner;

		table_remove(node);
		tr->flow.connection = to;
		stream_wait(tr);
	}
}

/* --- long requests ------------------------------------------------------------------------------------------------- */

/* The session-agent that takes UDP at this very address; -1: none. */
static int agent_on_udp(const struct shard *shard, const struct sip_flow *flow)
{
	const struct config *config = shard->config;
	const struct config_realm *realm = listener_interface(flow->listener)->realm;

	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];

		if (agent->realm == realm && agent->address.transport == CONFIG_TRANSPORT_UDP &&
			(address_equal(&agent->address.address, &flow->remote) ||
				agent_is_at(shard, agent, &flow->remote, true)))
			return (int)i;
	}
	return -1;
}

/* The same request with the top Via of another listener, parameters kept. Empty if it does not fit. */
static struct span via_change(
	struct transaction_layer *layer, struct span text, const struct listener *listener)
{
	char host[ADDRESS_TEXT_MAX];
	struct span via, rest;
	struct writer out;
	const char *end;

	/* Our own text, which passed once already. */
	if (scan_message(&layer->own, text, true, &layer->own_limits) != SCAN_OK ||
		!scan_header_find(&layer->own, SPAN("Via"), 'v', 0, &via))
		return (struct span){ NULL, 0 };
	end = layer->own.sent_by.p + layer->own.sent_by.n;
	rest = (struct span){ end, (size_t)(text.p + text.n - end) };
	writer_init(&out, layer->text, sizeof(layer->text));
	writer_span(&out, (struct span){ text.p, (size_t)(via.p - text.p) });
	writer_text(&out, "SIP/2.0/");
	writer_text(&out, transport_via_name(listener_transport(listener)));
	writer_char(&out, ' ');
	writer_text(&out, address_print_uri(listener_address(listener), host));
	writer_char(&out, ':');
	writer_uint(&out, address_port(listener_address(listener)));
	writer_span(&out, rest);
	return out.overflow ? (struct span){ NULL, 0 } : writer_result(&out);
}

bool stream_move(struct transaction_layer *layer, struct sip_flow *flow, struct span *text)
{
	struct shard *shard = layer->shard;
	const struct config *config = shard->config;
	struct sip_flow by_tcp = { .remote = flow->remote };
	struct span changed;
	int agent;

	/* A CANCEL goes the way of its INVITE. */
	if (config->sip.udp_request_limit == 0 || text->n <= config->sip.udp_request_limit ||
		listener_is_reliable(flow->listener) || layer->own.method == SIP_METHOD_CANCEL)
		return false;
	agent = agent_on_udp(shard, flow);
	if (agent < 0 || layer->no_tcp_until_ms[agent] > clock_now_ms())
		return false;
	by_tcp.listener = transport_find(
		shard, listener_interface(flow->listener)->realm, CONFIG_TRANSPORT_TCP, &flow->remote);
	if (!by_tcp.listener)
		return false;
	changed = via_change(layer, *text, by_tcp.listener);
	if (changed.n == 0 || transport_connect(&by_tcp) < 0)
		return false;
	shard_count(shard, REQUESTS_MOVED);
	*flow = by_tcp;
	*text = changed;
	return true;
}

/* Back to UDP, as if it had been sent so from the beginning. False: there is no way back. */
static bool move_back(struct transaction *tr)
{
	struct transaction_layer *layer = tr->shard->transactions;
	const struct config_sip *sip = &tr->shard->config->sip;
	struct osip_machine *machine;
	struct span text;
	int agent;

	if (!tr->moved_from || tr->state != TRANSACTION_TRYING)
		return false;
	text = via_change(layer, sent_span(tr->sent), tr->moved_from);
	machine = osip_machine_new(layer->engine, tr->kind, tr);
	if (!machine || text.n == 0 || transaction_store(tr, text) < 0) {
		osip_machine_free(machine);
		return false;
	}
	osip_machine_free(tr->machine);
	tr->machine = machine;
	tr->flow = (struct sip_flow){ .listener = tr->moved_from, .remote = tr->flow.remote };
	tr->moved_from = NULL;
	agent = agent_on_udp(tr->shard, &tr->flow);
	if (agent >= 0)
		layer->no_tcp_until_ms[agent] = clock_now_ms() + (uint64_t)sip->tcp_absent_time * 1000;
	shard_count(tr->shard, REQUESTS_MOVED_BACK);
	timer_cancel(&tr->give_up);
	transaction_run(tr, MACHINE_SEND_REQUEST);
	return true;
}

/* By another connection, where the peer can be reached by one: an INVITE that has been heard of is answered there (RFC 3261 section 18.2.2),
 * ours as well as its; what ends a call is said once more, and is a repetition if it had arrived. Anything else may have had its
 * effect or not, which only its user can judge (section 18.4). */
static bool reconnect(struct transaction *tr)
{
	enum { RECONNECTS_MAX = 3 };
	struct sip_flow flow = {
		.listener = tr->flow.listener, .remote = tr->flow.remote, .agent = tr->flow.agent
	};
	bool ends_call = tr->method == SIP_METHOD_BYE || tr->method == SIP_METHOD_CANCEL;

	if (tr->kind == MACHINE_NICT ? !ends_call
				     : tr->kind == MACHINE_ICT && tr->state != TRANSACTION_PROCEEDING)
		return false;
	if (++tr->reconnects > RECONNECTS_MAX || transport_connect(&flow) < 0)
		return false;
	tr->flow = flow;
	stream_wait(tr);
	if (tr->kind == MACHINE_NICT)
		transaction_repeat(&tr->flow, tr->shard, sent_span(tr->sent));
	return true;
}

void transaction_connection_lost(struct shard *shard, uint64_t connection)
{
	struct transaction_layer *layer = shard->transactions;
	struct table_key key = table_key_connection(&layer->table, connection);
	struct table_node *node;

	transaction_enter(layer);
	while ((node = table_find(&layer->table, &key))) {
		struct transaction *tr = node->owner;

		table_remove(node);
		if (!move_back(tr) && !reconnect(tr))
			transaction_finish(tr, TRANSACTION_TRANSPORT_ERROR);
	}
	transaction_leave(layer);
}

/* --- responses ----------------------------------------------------------------------------------------------------- */

struct sip_flow stream_response_flow(const struct sip_flow *flow, const struct scan *request)
{
	struct sip_flow back = *flow;

	if (listener_is_reliable(flow->listener))
		address_set_port(&back.remote,
			transport_sent_by_port(listener_transport(flow->listener), request->sent_by));
	return back;
}

/* RFC 5923 section 5.1: a parameter of the top Via. */
static bool has_alias(const struct scan *request)
{
	struct span rest;

	if (!scan_header_find(request, SPAN("Via"), 'v', 0, &rest))
		return false;
	rest = span_cut(&rest, ',');
	while (rest.n)
		if (span_equal_case(span_trim(span_cut(&rest, ';')), SPAN("alias")))
			return true;
	return false;
}

void stream_let_in(const struct sip_flow *flow, const struct scan *request)
{
	if (flow->connection)
		transport_admitted(flow,
			transport_sent_by_port(listener_transport(flow->listener), request->sent_by),
			has_alias(request));
}
