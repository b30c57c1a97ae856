/* SPDX-License-Identifier: BSD-3-Clause */
/* The transaction layer of a shard: life of a transaction, its timers, and the way of a received message to it. */
#include "controlplane/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/keep_alive.h"
#include "controlplane/reply.h"
#include "controlplane/secret.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

/* --- stored bytes ------------------------------------------------------------------------------------------------ */

struct sent *sent_new(struct span text)
{
	struct sent *sent = secret_alloc_for(text, sizeof(*sent) + text.n);

	if (!sent)
		return NULL;
	sent->length = text.n;
	if (text.n)
		memcpy(sent->bytes, text.p, text.n);
	return sent;
}

struct span sent_span(const struct sent *sent)
{
	return sent ? (struct span){ sent->bytes, sent->length } : (struct span){ NULL, 0 };
}

int transaction_store(struct transaction *tr, struct span text)
{
	struct sent *sent = sent_new(text);

	if (!sent)
		return -ENOMEM;
	secret_free(tr->sent);
	tr->sent = sent;
	return 0;
}

void transaction_repeat(const struct sip_flow *flow, struct shard *shard, struct span text)
{
	shard_count(shard, TX_REPEATED);
	transport_send(flow, text);
}

/* --- machine and timers ------------------------------------------------------------------------------------------ */

/* A response whose connection turns out to be broken goes by another (RFC 3261 section 18.2.2): the first is gone by then. */
static int transaction_send(struct transaction *tr)
{
	int error = transport_send(&tr->flow, sent_span(tr->sent));

	if (error == -ENOTCONN && listener_is_reliable(tr->flow.listener) && tr->request)
		error = transport_send(&tr->flow, sent_span(tr->sent));
	return error;
}

/* The machine wants its message out. A full socket buffer and a mirror that went away are what repetition is for. */
static int machine_sends(void *arg, bool ack)
{
	struct transaction *tr = arg;

	(void)ack;
	if (tr->sent && !tr->withheld)
		tr->send_error = transaction_send(tr);
	return 0;
}

static void retransmit_expired(struct timer *timer, void *arg);
static void give_up_expired(struct timer *timer, void *arg);

static void timers_arm(struct transaction *tr, enum machine_event event)
{
	struct machine_timers timers = osip_machine_timers(tr->machine);
	struct timer_wheel *wheel = tr->shard->timers;

	/* Timers A, E and G are for what may be lost. */
	if (timers.retransmit == 0 || listener_is_reliable(tr->flow.listener))
		timer_cancel(&tr->retransmit);
	else if (event != MACHINE_TIMER_GIVE_UP)
		timer_arm(wheel, &tr->retransmit, timers.retransmit, retransmit_expired, tr);
	/* An INVITE's Timer C is ours (client_response): the machine stops at B. */
	if (timers.give_up != 0 && !timer_is_armed(&tr->give_up))
		timer_arm(wheel, &tr->give_up, timers.give_up, give_up_expired, tr);
}

bool transaction_run(struct transaction *tr, enum machine_event event)
{
	if (!tr->machine || !osip_machine_run(tr->shard->transactions->engine, tr->machine, event))
		return false;
	timers_arm(tr, event);
	return true;
}

void transaction_arm_give_up(struct transaction *tr, unsigned delay_ms)
{
	timer_arm(tr->shard->timers, &tr->give_up, delay_ms, give_up_expired, tr);
}

void transaction_arm_retransmit(struct transaction *tr, unsigned delay_ms)
{
	timer_arm(tr->shard->timers, &tr->retransmit, delay_ms, retransmit_expired, tr);
}

static void retransmit_expired(struct timer *timer, void *arg)
{
	struct transaction *tr = arg;
	struct transaction_layer *layer = tr->shard->transactions;

	(void)timer;
	transaction_enter(layer);
	if (tr->kind == MACHINE_IST && tr->state != TRANSACTION_COMPLETED) {
		server_timer_retransmit(tr);
	} else {
		tr->withheld = tr->events && tr->may_repeat && !tr->may_repeat(tr->arg, tr);
		if (!tr->withheld)
			shard_count(tr->shard, TX_REPEATED);
		transaction_run(tr, MACHINE_TIMER_RETRANSMIT);
		tr->withheld = false;
	}
	transaction_leave(layer);
}

static void give_up_expired(struct timer *timer, void *arg)
{
	struct transaction *tr = arg;
	struct transaction_layer *layer = tr->shard->transactions;

	(void)timer;
	transaction_enter(layer);
	if (tr->kind == MACHINE_ICT || tr->kind == MACHINE_NICT)
		client_timer_give_up(tr);
	else
		server_timer_give_up(tr);
	transaction_leave(layer);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void list_insert(struct transaction **head, struct transaction *tr)
{
	tr->next = *head;
	if (tr->next)
		tr->next->link = &tr->next;
	tr->link = head;
	*head = tr;
}

static void list_remove(struct transaction *tr)
{
	*tr->link = tr->next;
	if (tr->next)
		tr->next->link = tr->link;
}

static void live_count_set(struct transaction_layer *layer, uint32_t count)
{
	__atomic_store_n(&layer->live_count, count, __ATOMIC_RELAXED);
}

bool transaction_layer_is_full(const struct transaction_layer *layer)
{
	uint64_t limit = layer->shard->config->sip.max_transactions;

	return layer->live_count - layer->lingering_count >= limit ||
	       layer->lingering_count >= limit * LINGERING_PER_TRANSACTION;
}

struct transaction *transaction_new(
	struct transaction_layer *layer, enum machine_kind kind, const struct sip_flow *flow)
{
	struct transaction *tr = calloc(1, sizeof(*tr));

	if (!tr)
		return NULL;
	tr->shard = layer->shard;
	tr->kind = kind;
	tr->flow = *flow;
	tr->machine = osip_machine_new(layer->engine, kind, tr);
	if (!tr->machine) {
		free(tr);
		return NULL;
	}
	list_insert(&layer->live, tr);
	live_count_set(layer, layer->live_count + 1);
	return tr;
}

void transaction_free(struct transaction *tr)
{
	struct transaction_layer *layer = tr->shard->transactions;

	timer_cancel(&tr->retransmit);
	timer_cancel(&tr->give_up);
	table_remove(&tr->node);
	table_remove(&tr->dialog);
	table_remove(&tr->merged);
	table_remove(&tr->connection);
	list_remove(tr);
	live_count_set(layer, layer->live_count - 1);
	layer->lingering_count -= tr->lingers;
	osip_machine_free(tr->machine);
	client_dialogs_free(tr);
	message_free(tr->request);
	free(tr->reason);
	secret_free(tr->sent);
	free(tr);
}

void transaction_finish(struct transaction *tr, enum transaction_end how)
{
	struct transaction_layer *layer = tr->shard->transactions;

	if (tr->state == TRANSACTION_ENDED)
		return;
	tr->state = TRANSACTION_ENDED;
	tr->how = how;
	stream_wait_no_more(tr);
	timer_cancel(&tr->retransmit);
	timer_cancel(&tr->give_up);
	list_remove(tr);
	list_insert(&layer->ended, tr);
	/* Ended from a call of the user's own, outside of any event: not while he is using it. */
	if (layer->depth == 0)
		timer_arm(layer->shard->timers, &layer->reaper, 0, layer->reaper.expired, layer);
}

/* How long the absorbing state lasts that the transaction ended in. */
static unsigned linger(const struct transaction *tr)
{
	const struct config_sip *sip = &tr->shard->config->sip;

	if (tr->how != TRANSACTION_DONE)
		return 0;
	/* Timers D, I, J and K are zero where nothing is repeated. */
	if (tr->machine)
		return listener_is_reliable(tr->flow.listener) ? 0 : osip_machine_timers(tr->machine).linger;
	/* RFC 6026 Timer L. A client's Timer M has passed already: the transaction lived on for its forks. */
	return tr->kind == MACHINE_IST ? 64 * sip->t1_ms : 0;
}

static void reap(struct transaction_layer *layer)
{
	while (layer->ended) {
		struct transaction *tr = layer->ended;
		const struct transaction_events *events = tr->events;

		tr->events = NULL;
		if (tr->how == TRANSACTION_TIMEOUT)
			shard_count(tr->shard, TRANSACTION_TIMEOUTS);
		if (!layer->closing)
			tombstone_make(tr, linger(tr));
		if (events && events->ended)
			events->ended(tr->arg, tr, tr->how);
		transaction_free(tr);
	}
}

static void reaper_expired(struct timer *timer, void *arg)
{
	struct transaction_layer *layer = arg;

	(void)timer;
	transaction_enter(layer);
	transaction_leave(layer);
}

void transaction_enter(struct transaction_layer *layer)
{
	layer->depth++;
}

void transaction_leave(struct transaction_layer *layer)
{
	/* `ended` may end others: the count stays up while they are reaped. */
	if (layer->depth == 1)
		reap(layer);
	layer->depth--;
}

/* Only what the scan's own arrays bound: the peer's message passed the configured caps, what we make of it may be longer. */
static void own_limits_set(struct config_sip *limits, const struct config_sip *sip)
{
	*limits = *sip;
	limits->max_message_udp = limits->max_header_block = limits->max_body = TRANSACTION_TEXT_MAX;
	limits->max_header = limits->max_identity_header = TRANSACTION_TEXT_MAX;
	limits->max_separators = limits->max_via = TRANSACTION_TEXT_MAX;
	limits->max_headers = SCAN_HEADERS_MAX;
}

/* --- layer ------------------------------------------------------------------------------------------------------- */

int transaction_layer_open(struct shard *shard, const struct transaction_core *core)
{
	const struct config_sip *sip = &shard->config->sip;
	struct transaction_layer *layer = calloc(1, sizeof(*layer));
	int result;

	if (!layer)
		return -ENOMEM;
	layer->shard = shard;
	layer->core = core;
	layer->newest = &layer->oldest;
	layer->reaper.expired = reaper_expired;
	hash_key_random(&layer->tag_key);
	own_limits_set(&layer->own_limits, sip);
	reply_budget_init(layer);
	/* Most of what is in it lingers. */
	layer->no_tcp_until_ms = calloc(shard->config->session_agents_count + 1, sizeof(uint64_t));
	result = layer->no_tcp_until_ms ? table_init(&layer->table, (size_t)sip->max_transactions *
									    LINGERING_PER_TRANSACTION / 2)
					: -ENOMEM;
	if (result == 0)
		result = osip_engine_new(sip, machine_sends, &layer->engine);
	if (result < 0) {
		table_fini(&layer->table);
		free(layer->no_tcp_until_ms);
		free(layer);
		return result;
	}
	shard->transactions = layer;
	return 0;
}

void transaction_layer_close(struct shard *shard)
{
	struct transaction_layer *layer = shard->transactions;

	if (!layer)
		return;
	layer->closing = true;
	transaction_enter(layer);
	while (layer->live)
		transaction_finish(layer->live, TRANSACTION_SHUTDOWN);
	transaction_leave(layer);
	while (layer->oldest)
		tombstone_free(layer->oldest);
	timer_cancel(&layer->reaper);
	osip_engine_free(layer->engine);
	table_fini(&layer->table);
	free(layer->no_tcp_until_ms);
	free(layer->no_tcp_next);
	free(layer);
	shard->transactions = NULL;
}

/* --- another configuration --------------------------------------------------------------------------------------- */

int transaction_layer_prepare(struct shard *shard, const struct config_move *move, struct writer *why)
{
	size_t count = config_move_to(move)->session_agents_count;

	(void)why;
	shard->transactions->no_tcp_next = calloc(count + 1, sizeof(uint64_t));
	return shard->transactions->no_tcp_next ? 0 : -ENOMEM;
}

void transaction_layer_abort(struct shard *shard)
{
	free(shard->transactions->no_tcp_next);
	shard->transactions->no_tcp_next = NULL;
}

static void agents_move(struct transaction_layer *layer, const struct config_move *move)
{
	if (!layer->no_tcp_next)
		return;
	for (size_t i = 0; i < config_move_to(move)->session_agents_count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_agent, i);

		layer->no_tcp_next[i] = origin == CONFIG_NOWHERE ? 0 : layer->no_tcp_until_ms[origin];
	}
	free(layer->no_tcp_until_ms);
	layer->no_tcp_until_ms = layer->no_tcp_next;
	layer->no_tcp_next = NULL;
}

static void transaction_move(struct transaction *tr, struct config_move *move)
{
	config_move_session_agent(move, &tr->flow.agent);
	if (tr->request)
		message_move(tr->request, move);
	for (unsigned i = 0; tr->accepted && i < tr->dialogs; i++)
		config_move_session_agent(move, &tr->accepted[i].flow.agent);
}

void transaction_layer_move(struct shard *shard, struct config_move *move)
{
	struct transaction_layer *layer = shard->transactions;
	const struct config_sip *sip = &config_move_to(move)->sip;

	own_limits_set(&layer->own_limits, sip);
	osip_engine_set_timers(layer->engine, sip);
	agents_move(layer, move);
	for (struct transaction *tr = layer->live; tr; tr = tr->next)
		transaction_move(tr, move);
	for (struct transaction *tr = layer->ended; tr; tr = tr->next)
		transaction_move(tr, move);
	for (struct tombstone *stone = layer->oldest; stone; stone = stone->next)
		config_move_session_agent(move, &stone->flow.agent);
}

void transaction_layer_counts(const struct shard *shard, uint32_t *live, uint32_t *tombstones)
{
	*live = __atomic_load_n(&shard->transactions->live_count, __ATOMIC_RELAXED);
	*tombstones = __atomic_load_n(&shard->transactions->tombstone_count, __ATOMIC_RELAXED);
}

/* --- from the transport ------------------------------------------------------------------------------------------ */

static void message_scanned(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes)
{
	const struct scan *scan = &layer->received;

	if (!scan->is_request)
		client_response(layer, flow, bytes);
	else if (scan->method == SIP_METHOD_ACK)
		server_ack(layer, flow, bytes);
	else if (scan->method == SIP_METHOD_CANCEL)
		server_cancel(layer, flow, bytes);
	else
		server_request(layer, flow, bytes);
}

void transaction_receive(struct shard *shard, const struct sip_flow *flow, struct span bytes)
{
	struct transaction_layer *layer = shard->transactions;
	bool datagram = !listener_is_reliable(flow->listener);
	enum scan_verdict verdict = scan_message(&layer->received, bytes, datagram, &shard->config->sip);

	switch (verdict) {
	case SCAN_KEEP_ALIVE:
		shard_count(shard, RX_KEEP_ALIVE);
		keep_alive_heard(shard, flow);
		return;
	case SCAN_PARTIAL:
	case SCAN_SILENT:
		shard_count(shard, RX_MESSAGES);
		shard_count(shard, SCAN_SILENT);
		guard_note(shard->shared.guard, flow, GUARD_MALFORMED, (struct span){ NULL, 0 }, NULL);
		return;
	case SCAN_REJECT:
		shard_count(shard, RX_MESSAGES);
		shard_count(shard, SCAN_REJECTED);
		transaction_refuse_guarded(layer, flow, GUARD_MALFORMED, layer->received.status);
		return;
	case SCAN_OK:
		break;
	}
	keep_alive_listen(shard, flow);
	if (!shard_forward(shard, flow, &layer->received, bytes)) {
		shard_count(shard, RX_MESSAGES);
		transaction_enter(layer);
		message_scanned(layer, flow, bytes);
		transaction_leave(layer);
	}
	keep_alive_listened(shard);
}

/* --- small ones of the interface --------------------------------------------------------------------------------- */

void transaction_attach(struct transaction *transaction, const struct transaction_events *events, void *arg)
{
	transaction->events = events;
	transaction->arg = arg;
}

void transaction_detach(struct transaction *transaction)
{
	transaction->events = NULL;
	transaction->arg = NULL;
	if (transaction->kind == MACHINE_IST || transaction->kind == MACHINE_NIST)
		server_detached(transaction);
}

const char *transaction_branch(struct shard *shard, char buffer[TRANSACTION_BRANCH_MAX])
{
	char token[SHARD_TOKEN_MAX];
	struct writer w;

	writer_init(&w, buffer, TRANSACTION_BRANCH_MAX);
	writer_text(&w, "z9hG4bK");
	writer_text(&w, shard_token(shard, token));
	writer_char(&w, '\0');
	return buffer;
}

const struct message *transaction_message(const struct transaction *transaction)
{
	return transaction->request;
}

struct shard *transaction_shard(const struct transaction *transaction)
{
	return transaction->shard;
}
