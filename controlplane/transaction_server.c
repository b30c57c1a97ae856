/* SPDX-License-Identifier: BSD-3-Clause */
/* Server transactions: new and repeated requests, ACK, CANCEL, responses (RFC 3261 section 17.2, RFC 6026). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/reply.h"
#include "controlplane/transaction_internal.h"

static const struct span none = { NULL, 0 };

/* --- repetitions ------------------------------------------------------------------------------------------------- */

/* A request whose key is known: answered from stored bytes, or swallowed, without a parse. */
static void absorb(struct transaction_layer *layer, const struct table_node *node)
{
	struct span stored;
	const struct sip_flow *flow;

	shard_count(layer->shard, RX_REPEATED);
	if (node->kind == TABLE_TOMBSTONE) {
		const struct tombstone *stone = node->owner;

		stored = (struct span){ stone->bytes, stone->length };
		flow = &stone->flow;
	} else {
		const struct transaction *tr = node->owner;

		/* RFC 6026 section 7.1: an accepted INVITE is swallowed; its 2xx has a timer of its own. */
		stored = tr->state == TRANSACTION_ACCEPTED ? none : sent_span(tr->sent);
		flow = &tr->flow;
	}
	if (stored.n)
		transaction_repeat(flow, layer->shard, stored);
}

/* --- new requests ------------------------------------------------------------------------------------------------ */

static void refuse(struct transaction_layer *layer, const struct sip_flow *flow, unsigned status)
{
	shard_count(layer->shard, REQUESTS_REFUSED);
	reply_stateless(layer, flow, &layer->received, status, none);
}

/* Strangers learn nothing from what they do wrong. */
void transaction_refuse_guarded(
	struct transaction_layer *layer, const struct sip_flow *flow, enum guard_sign sign, unsigned status)
{
	struct shard *shard = layer->shard;

	status = guard_refuse(shard->shared.guard, flow, sign, &layer->received, status);
	if (status == TRANSACTION_SILENCE)
		shard_count(shard, GUARD_SILENT);
	else
		reply_stateless(layer, flow, &layer->received, status, none);
}

static void refuse_for(
	struct transaction_layer *layer, const struct sip_flow *flow, unsigned status, unsigned retry_after)
{
	char line[40];
	struct writer w;

	writer_init(&w, line, sizeof(line));
	writer_text(&w, "Retry-After: ");
	writer_uint(&w, retry_after);
	writer_text(&w, "\r\n");
	reply_stateless(layer, flow, &layer->received, status, writer_result(&w));
}

static void refuse_full(struct transaction_layer *layer, const struct sip_flow *flow)
{
	shard_count(layer->shard, TRANSACTION_LIMIT);
	/* What is in the network now will be gone then. */
	refuse_for(layer, flow, 503, layer->shard->config->sip.t4_ms / 1000 + 1);
}

/* As the core says: with an answer or without. */
static void refuse_screened(
	struct transaction_layer *layer, const struct sip_flow *flow, unsigned status, unsigned retry_after)
{
	if (status == TRANSACTION_SILENCE || retry_after)
		shard_count(layer->shard, REQUESTS_REFUSED);
	if (status == TRANSACTION_SILENCE) {
		shard_count(layer->shard, GUARD_SILENT);
		return;
	}
	if (retry_after)
		refuse_for(layer, flow, status, retry_after);
	else
		refuse(layer, flow, status);
}

static void create(struct transaction_layer *layer, const struct sip_flow *flow, const struct table_key *key,
	const struct table_key *merged, struct message *message)
{
	struct shard *shard = layer->shard;
	enum sip_method method = layer->received.method;
	bool invite = method == SIP_METHOD_INVITE;
	struct sip_flow back = stream_response_flow(flow, &layer->received);
	struct transaction *tr = transaction_new(layer, invite ? MACHINE_IST : MACHINE_NIST, &back);

	if (!tr) {
		message_free(message);
		refuse_full(layer, flow);
		return;
	}
	shard_count(shard, TRANSACTIONS);
	stream_let_in(flow, &layer->received);
	tr->method = method;
	tr->request = message;
	table_insert(&layer->table, &tr->node, key, TABLE_TRANSACTION, tr);
	if (merged)
		table_insert(&layer->table, &tr->merged, merged, TABLE_TRANSACTION, tr);
	transaction_run(tr, MACHINE_RECEIVE_REQUEST);
	if (invite) {
		stream_wait(tr);
		transaction_arm_retransmit(tr, shard->config->sip.trying_delay_ms);
	} else /* The client has given up by then (Timer F): so may we, should the user have forgotten. */
		transaction_arm_give_up(tr, 64 * shard->config->sip.t1_ms);
	layer->core->request(shard, tr, message);
}

void server_request(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes)
{
	const struct scan *scan = &layer->received;
	struct table_key key = table_key_server(&layer->table, scan, scan->method_name);
	const struct table_node *node = table_find(&layer->table, &key);
	bool in_dialog = scan->to_tag.n > 0;
	struct message *message;
	struct table_key merged;
	unsigned status, retry_after = 0;

	if (node) {
		absorb(layer, node);
		return;
	}
	status = layer->core->screen ? layer->core->screen(layer->shard, flow, scan, &retry_after) : 0;
	if (status) {
		refuse_screened(layer, flow, status, retry_after);
		return;
	}
	if (!in_dialog) {
		merged = table_key_merged(&layer->table, scan);
		if (table_find(&layer->table, &merged)) {
			shard_count(layer->shard, REQUESTS_REFUSED);
			transaction_refuse_guarded(layer, flow, GUARD_STRANGER, 482);
			return;
		}
	}
	/* Those who are full must still be able to hang up. */
	if ((!in_dialog || scan->method == SIP_METHOD_INVITE) && transaction_layer_is_full(layer)) {
		refuse_full(layer, flow);
		return;
	}
	if (message_parse(scan, bytes, flow, &message, &status) < 0) {
		shard_count(layer->shard, PARSE_FAILED);
		if (status)
			transaction_refuse_guarded(layer, flow, GUARD_MALFORMED, status);
		return;
	}
	create(layer, flow, &key, in_dialog ? NULL : &merged, message);
}

/* --- ACK --------------------------------------------------------------------------------------------------------- */

static void acked(struct transaction *tr, const struct sip_flow *flow, struct span bytes)
{
	struct transaction_layer *layer = tr->shard->transactions;
	struct message *ack;
	unsigned status;

	if (message_parse(&layer->received, bytes, flow, &ack, &status) < 0) {
		shard_count(tr->shard, PARSE_FAILED);
		return;
	}
	transaction_run(tr, MACHINE_RECEIVE_ACK);
	transaction_finish(tr, TRANSACTION_DONE);
	if (tr->events && tr->events->acked)
		tr->events->acked(tr->arg, tr, ack);
	message_free(ack);
}

/* True if the node is what an ACK may mean, and it has been dealt with. */
static bool ack_matched(struct transaction_layer *layer, const struct table_node *node,
	enum transaction_state state, const struct sip_flow *flow, struct span bytes)
{
	struct transaction *tr;

	if (!node)
		return false;
	if (node->kind == TABLE_TOMBSTONE) {
		shard_count(layer->shard, RX_REPEATED);
		return true;
	}
	tr = node->owner;
	if (tr->kind != MACHINE_IST || tr->state != state)
		return false;
	acked(tr, flow, bytes);
	return true;
}

void server_ack(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes)
{
	const struct scan *scan = &layer->received;
	struct table_key failure = table_key_server(&layer->table, scan, SPAN("INVITE"));
	struct table_key success = table_key_dialog(&layer->table, scan, scan->to_tag);

	/* That of a failure has the INVITE's branch, that of a 2xx the dialog (RFC 3261 sections 17.1.1.3 and 13.2.2.4). */
	if (ack_matched(layer, table_find(&layer->table, &failure), TRANSACTION_COMPLETED, flow, bytes) ||
		ack_matched(layer, table_find(&layer->table, &success), TRANSACTION_ACCEPTED, flow, bytes))
		return;
	shard_count(layer->shard, STRAY_ACKS);
}

/* --- CANCEL ------------------------------------------------------------------------------------------------------ */

static void cancel_deliver(struct transaction *tr, const struct sip_flow *flow, struct span bytes)
{
	struct transaction_layer *layer = tr->shard->transactions;
	struct message *cancel;
	unsigned status;

	if (tr->cancelled || (tr->state != TRANSACTION_TRYING && tr->state != TRANSACTION_PROCEEDING))
		return;
	if (message_parse(&layer->received, bytes, flow, &cancel, &status) < 0) {
		shard_count(tr->shard, PARSE_FAILED);
		return;
	}
	tr->cancelled = true;
	if (tr->events && tr->events->cancelled)
		tr->events->cancelled(tr->arg, tr, cancel);
	message_free(cancel);
}

/* The To tag of the last response; empty if it had none, or there is no response yet. */
static struct span last_tag(const struct transaction *tr)
{
	struct transaction_layer *layer = tr->shard->transactions;

	if (scan_message(&layer->own, sent_span(tr->sent), true, &layer->own_limits) != SCAN_OK)
		return none;
	return layer->own.to_tag;
}

void server_cancel(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes)
{
	const struct scan *scan = &layer->received;
	struct table_key key = table_key_server(&layer->table, scan, scan->method_name);
	struct table_key invite_key = table_key_server(&layer->table, scan, SPAN("INVITE"));
	const struct table_node *node = table_find(&layer->table, &key);
	const struct table_node *invite;
	struct span answer;

	if (node) {
		absorb(layer, node);
		return;
	}
	invite = table_find(&layer->table, &invite_key);
	if (!invite) {
		shard_count(layer->shard, REQUESTS_REFUSED);
		transaction_refuse_guarded(layer, flow, GUARD_NO_DIALOG, 481);
		return;
	}
	/* RFC 3261 section 9.2: 200 in any case; it has an effect only while the INVITE is unanswered. */
	answer = reply_write(layer, flow, scan, 200,
		invite->kind == TABLE_TRANSACTION ? last_tag(invite->owner) : none, none);
	if (answer.n) {
		reply_send(flow, answer);
		if (!listener_is_reliable(flow->listener))
			tombstone_add(layer, &key, flow, answer, 64 * layer->shard->config->sip.t1_ms);
	}
	if (invite->kind == TABLE_TRANSACTION)
		cancel_deliver(invite->owner, flow, bytes);
}

/* --- responses --------------------------------------------------------------------------------------------------- */

/* RFC 6026 section 7.1: the machine's part is over, ours begins. */
static void accepted(struct transaction *tr, const struct scan *response)
{
	struct transaction_layer *layer = tr->shard->transactions;
	const struct config_sip *sip = &tr->shard->config->sip;
	struct table_key key = table_key_dialog(&layer->table, message_scan(tr->request), response->to_tag);

	osip_machine_free(tr->machine);
	tr->machine = NULL;
	tr->state = TRANSACTION_ACCEPTED;
	table_insert(&layer->table, &tr->dialog, &key, TABLE_TRANSACTION, tr);
	tr->interval_ms = sip->t1_ms;
	transaction_arm_retransmit(tr, tr->interval_ms);
	transaction_arm_give_up(tr, 64 * sip->t1_ms);
}

static int respond_check(
	const struct transaction *server, unsigned status, struct span text, struct scan *scan)
{
	if (server->kind != MACHINE_IST && server->kind != MACHINE_NIST)
		return -EINVAL;
	if (server->state != TRANSACTION_TRYING && server->state != TRANSACTION_PROCEEDING)
		return -EALREADY;
	if (text.n > TRANSACTION_TEXT_MAX)
		return -EMSGSIZE;
	if (status < 100 || status > 699)
		return -EINVAL;
	/* Only a 2xx to an INVITE makes a key: that of its ACK. */
	if (server->kind != MACHINE_IST || status / 100 != 2)
		return 0;
	if (scan_message(scan, text, true, &server->shard->transactions->own_limits) != SCAN_OK ||
		scan->to_tag.n == 0)
		return -EINVAL;
	return 0;
}

int transaction_respond(struct transaction *server, unsigned status, struct span text)
{
	struct scan *scan = &server->shard->transactions->own;
	int result = respond_check(server, status, text, scan);

	if (result == 0)
		result = transaction_store(server, text);
	if (result < 0)
		return result;
	server->last_status = status;
	if (status >= 200)
		stream_wait_no_more(server);
	transaction_run(server, status < 200   ? MACHINE_SEND_1XX
				: status < 300 ? MACHINE_SEND_2XX
					       : MACHINE_SEND_FAILURE);
	if (status < 200) {
		server->state = TRANSACTION_PROCEEDING;
	} else if (server->kind == MACHINE_NIST) {
		server->state = TRANSACTION_COMPLETED;
		transaction_finish(server, TRANSACTION_DONE);
	} else if (status < 300) {
		accepted(server, scan);
	} else {
		server->state = TRANSACTION_COMPLETED;
	}
	return 0;
}

void transaction_response_begin(const struct transaction *server, unsigned status, struct span reason,
	struct span to_tag, struct writer *out)
{
	reply_head(message_scan(server->request), message_flow(server->request), status, reason, to_tag, out);
}

int transaction_reply(struct transaction *server, unsigned status, struct span to_tag, struct span extra)
{
	struct transaction_layer *layer = server->shard->transactions;
	struct writer out;

	if (!server->request)
		return -EINVAL;
	writer_init(&out, layer->text, sizeof(layer->text));
	transaction_response_begin(server, status, none, to_tag, &out);
	writer_span(&out, extra);
	message_end(&out, none, none);
	return out.overflow ? -EMSGSIZE : transaction_respond(server, status, writer_result(&out));
}

/* --- timers and leaving ------------------------------------------------------------------------------------------ */

void server_timer_retransmit(struct transaction *tr)
{
	const struct config_sip *sip = &tr->shard->config->sip;

	if (tr->state == TRANSACTION_TRYING) {
		transaction_reply(tr, 100, none, none);
	} else if (tr->state == TRANSACTION_ACCEPTED) {
		/* RFC 3261 section 13.3.1.4. */
		transaction_repeat(&tr->flow, tr->shard, sent_span(tr->sent));
		tr->interval_ms = 2 * tr->interval_ms < sip->t2_ms ? 2 * tr->interval_ms : sip->t2_ms;
		transaction_arm_retransmit(tr, tr->interval_ms);
	}
}

void server_timer_give_up(struct transaction *tr)
{
	transaction_run(tr, MACHINE_TIMER_GIVE_UP);
	transaction_finish(tr, TRANSACTION_TIMEOUT);
}

void server_detached(struct transaction *tr)
{
	struct transaction_layer *layer = tr->shard->transactions;
	struct span answer;

	/* A 2xx goes on being repeated until its ACK, also when a BYE has ended its dialog meanwhile (RFC 3261 section 13.3.1.4): it may
	 * be lost, and who asked waits for it. */
	if (tr->state != TRANSACTION_TRYING && tr->state != TRANSACTION_PROCEEDING)
		return;
	answer = reply_write(layer, message_flow(tr->request), message_scan(tr->request), 500, none, none);
	if (answer.n == 0 || transaction_respond(tr, 500, answer) < 0)
		transaction_finish(tr, TRANSACTION_TRANSPORT_ERROR);
}
