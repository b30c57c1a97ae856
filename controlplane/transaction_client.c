/* SPDX-License-Identifier: BSD-3-Clause */
/* Client transactions: requests of ours and what comes back (RFC 3261 section 17.1, RFC 6026 section 7.2). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/keep_alive.h"
#include "controlplane/secret.h"
#include "controlplane/transaction_internal.h"

static const struct span none = { NULL, 0 };

/* --- sending ----------------------------------------------------------------------------------------------------- */

/* Reads back what the caller wrote: the key, and that it is a message at all. */
static int own_scan(struct shard *shard, struct span text, bool reliable)
{
	struct scan *own = &shard->transactions->own;

	if (text.n > (reliable ? (size_t)TRANSACTION_TEXT_MAX : shard->config->sip.max_message_udp))
		return -EMSGSIZE;
	if (scan_message(own, text, true, &shard->transactions->own_limits) != SCAN_OK || !own->is_request ||
		own->branch.n == 0 || own->method == SIP_METHOD_ACK)
		return -EINVAL;
	return 0;
}

/* A full socket buffer empties itself, and Timer A or E tries again. A mirror comes back with the dataplane: what ends a call waits
 * for that, a call that begins does not. */
static bool is_lasting(const struct transaction *tr, int error)
{
	if (listener_is_reliable(tr->flow.listener))
		return error < 0;
	return error < 0 && error != -EAGAIN && !(error == -ENOTCONN && tr->method != SIP_METHOD_INVITE);
}

int client_start(struct shard *shard, const struct sip_flow *to, struct span text,
	const struct transaction_events *events, void *arg, struct transaction **out)
{
	struct transaction_layer *layer = shard->transactions;
	const struct scan *own = &layer->own;
	struct sip_flow flow = *to;
	struct table_key key;
	struct transaction *tr;
	bool moved;
	int result = own_scan(shard, text, listener_is_reliable(to->listener));

	if (result == 0 && layer->closing)
		result = -ESHUTDOWN;
	if (result < 0)
		return result;
	/* BYE and CANCEL are no more than there are calls, and must go out however full it is. */
	if (own->method == SIP_METHOD_INVITE && transaction_layer_is_full(layer)) {
		shard_count(shard, TRANSACTION_LIMIT);
		return -ENOBUFS;
	}
	moved = stream_move(layer, &flow, &text);
	result = moved ? 0 : transport_connect(&flow);
	if (result < 0)
		return result;
	tr = transaction_new(layer, own->method == SIP_METHOD_INVITE ? MACHINE_ICT : MACHINE_NICT, &flow);
	if (!tr)
		return -ENOMEM;
	tr->moved_from = moved ? to->listener : NULL;
	result = transaction_store(tr, text);
	if (result == 0) {
		tr->method = own->method;
		tr->in_dialog = own->to_tag.n > 0;
		tr->events = events;
		tr->arg = arg;
		key = table_key_client(&layer->table, own->branch, own->method_name);
		table_insert(&layer->table, &tr->node, &key, TABLE_TRANSACTION, tr);
		stream_wait(tr);
		transaction_run(tr, MACHINE_SEND_REQUEST);
		result = is_lasting(tr, tr->send_error) ? tr->send_error : 0;
	}
	if (result < 0) {
		transaction_free(tr);
		return result;
	}
	shard_count(shard, TRANSACTIONS);
	if (out)
		*out = tr;
	return 0;
}

int transaction_request(struct shard *shard, const struct sip_flow *to, struct span text,
	const struct transaction_events *events, void *arg, struct transaction **out)
{
	if (span_starts_case(text, SPAN("CANCEL ")))
		return -EINVAL;
	return client_start(shard, to, text, events, arg, out);
}

void transaction_paced(
	struct transaction *tr, bool (*may_repeat)(void *arg, struct transaction *transaction))
{
	tr->may_repeat = may_repeat;
}

void transaction_again(struct transaction *tr)
{
	if (tr->sent && (tr->state == TRANSACTION_TRYING || tr->state == TRANSACTION_PROCEEDING))
		transaction_repeat(&tr->flow, tr->shard, sent_span(tr->sent));
}

/* --- dialogs made by 2xx ----------------------------------------------------------------------------------------- */

static struct accepted_dialog *dialog_find(const struct transaction *tr, struct span to_tag)
{
	for (unsigned i = 0; i < tr->dialogs; i++)
		if (span_equal(sent_span(tr->accepted[i].to_tag), to_tag))
			return &tr->accepted[i];
	return NULL;
}

/* NULL without memory or when a peer invents forks without end. */
static struct accepted_dialog *dialog_add(struct transaction *tr, struct span to_tag)
{
	struct accepted_dialog *grown, *dialog;

	if (tr->dialogs == TRANSACTION_TAGS_MAX)
		return NULL;
	grown = realloc(tr->accepted, (tr->dialogs + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	tr->accepted = grown;
	dialog = &grown[tr->dialogs];
	memset(dialog, 0, sizeof(*dialog));
	dialog->to_tag = sent_new(to_tag);
	if (!dialog->to_tag)
		return NULL;
	tr->dialogs++;
	return dialog;
}

void client_dialogs_free(struct transaction *tr)
{
	for (unsigned i = 0; i < tr->dialogs; i++) {
		free(tr->accepted[i].to_tag);
		secret_free(tr->accepted[i].ack);
	}
	free(tr->accepted);
	tr->accepted = NULL;
	tr->dialogs = 0;
}

int transaction_ack(
	struct transaction *invite, const struct sip_flow *to, struct span to_tag, struct span text)
{
	struct accepted_dialog *dialog =
		invite->state == TRANSACTION_ACCEPTED ? dialog_find(invite, to_tag) : NULL;
	struct sent *ack;

	if (invite->kind != MACHINE_ICT)
		return -EINVAL;
	if (!dialog)
		return -ENOENT;
	ack = sent_new(text);
	if (!ack)
		return -ENOMEM;
	secret_free(dialog->ack);
	dialog->ack = ack;
	dialog->flow = *to;
	return transport_send(to, text);
}

/* --- responses --------------------------------------------------------------------------------------------------- */

static void deliver(struct transaction *tr, const struct message *response)
{
	if (tr->events && tr->events->response)
		tr->events->response(tr->arg, tr, response);
}

static void provisional(struct transaction *tr, const struct message *response, uint64_t digest)
{
	const struct config_sip *sip = &tr->shard->config->sip;
	unsigned status = message_scan(response)->status;
	bool first = tr->state == TRANSACTION_TRYING;

	transaction_run(tr, MACHINE_RECEIVE_1XX);
	tr->state = TRANSACTION_PROCEEDING;
	/* Timer B has done its work. Timer C (RFC 3261 section 16.6 point 11) starts again with each 101 to 199. */
	if (tr->kind == MACHINE_ICT && !tr->cancel_sent && (first || status > 100))
		transaction_arm_give_up(tr, sip->timer_c_ms);
	if (tr->cancel_wanted && !tr->cancel_sent)
		cancel_send(tr);
	/* Whoever rings long says so again each minute, in the same words (RFC 3261 section 13.3.1.1): the caller's side has a Timer C
	 * of its own, which wants to hear it. */
	if (digest == tr->last_digest && (tr->kind != MACHINE_ICT || status == 100)) {
		shard_count(tr->shard, RX_REPEATED);
		return;
	}
	tr->last_digest = digest;
	deliver(tr, response);
}

/* The first 2xx, or one of another fork, or a repetition of either. */
static void success(struct transaction *tr, const struct message *response)
{
	struct span to_tag = message_scan(response)->to_tag;
	struct accepted_dialog *dialog;

	if (tr->state != TRANSACTION_ACCEPTED) {
		transaction_run(tr, MACHINE_RECEIVE_2XX);
		osip_machine_free(tr->machine);
		tr->machine = NULL;
		tr->state = TRANSACTION_ACCEPTED;
		stream_wait_no_more(tr);
		tr->lingers = true;
		tr->shard->transactions->lingering_count++;
		secret_free(tr->sent);
		tr->sent = NULL;
		timer_cancel(&tr->retransmit);
		/* RFC 6026 Timer M. */
		transaction_arm_give_up(tr, 64 * tr->shard->config->sip.t1_ms);
	}
	dialog = dialog_find(tr, to_tag);
	if (dialog) {
		shard_count(tr->shard, RX_REPEATED);
		if (dialog->ack)
			transaction_repeat(&dialog->flow, tr->shard, sent_span(dialog->ack));
		return;
	}
	if (!dialog_add(tr, to_tag)) {
		shard_count(tr->shard, STRAY_RESPONSES);
		return;
	}
	if (tr->events)
		deliver(tr, response);
	else if (tr->shard->transactions->core->unclaimed)
		tr->shard->transactions->core->unclaimed(tr->shard, tr, response, tr->in_dialog);
}

static void failure(struct transaction *tr, const struct message *response)
{
	if (tr->kind == MACHINE_ICT) {
		struct span ack = companion_write(tr, SPAN("ACK"), message_scan(response)->to, none);

		/* Without it nothing is sent, and the peer's Timer G asks again. */
		if (ack.n == 0 || transaction_store(tr, ack) < 0)
			return;
	}
	transaction_run(tr, MACHINE_RECEIVE_FAILURE);
	tr->state = TRANSACTION_COMPLETED;
	deliver(tr, response);
	transaction_finish(tr, TRANSACTION_DONE);
}

static void final(struct transaction *tr, const struct message *response)
{
	unsigned status = message_scan(response)->status;

	tr->last_status = status;
	if (status >= 300) {
		failure(tr, response);
	} else if (tr->kind == MACHINE_ICT) {
		success(tr, response);
	} else {
		transaction_run(tr, MACHINE_RECEIVE_2XX);
		tr->state = TRANSACTION_COMPLETED;
		deliver(tr, response);
		transaction_finish(tr, TRANSACTION_DONE);
	}
}

static void absorb(struct transaction_layer *layer, const struct tombstone *stone)
{
	shard_count(layer->shard, RX_REPEATED);
	if (stone->length && layer->received.status >= 300)
		transaction_repeat(&stone->flow, layer->shard, (struct span){ stone->bytes, stone->length });
}

/* RFC 6026 section 7.2: an accepted INVITE takes further 2xx, and swallows all else. */
static bool is_wanted(const struct transaction *tr, unsigned status)
{
	if (tr->state == TRANSACTION_ACCEPTED)
		return status / 100 == 2;
	return tr->state == TRANSACTION_TRYING || tr->state == TRANSACTION_PROCEEDING;
}

void client_response(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes)
{
	const struct scan *scan = &layer->received;
	struct table_key key = table_key_client(&layer->table, scan->branch, scan->method_name);
	const struct table_node *node = table_find(&layer->table, &key);
	struct message *message;
	struct transaction *tr;
	unsigned status;

	if (!node) {
		if (!keep_alive_answered(layer->shard, flow, scan))
			shard_count(layer->shard, STRAY_RESPONSES);
		return;
	}
	if (node->kind == TABLE_TOMBSTONE) {
		absorb(layer, node->owner);
		return;
	}
	tr = node->owner;
	if (!is_wanted(tr, scan->status)) {
		shard_count(layer->shard, RX_REPEATED);
		return;
	}
	if (message_parse(scan, bytes, flow, &message, &status) < 0) {
		shard_count(layer->shard, PARSE_FAILED);
		/* A final response to an INVITE comes again until its ACK, and the caller waits meanwhile: it is handed up as it is. */
		message = tr->kind == MACHINE_ICT && scan->status >= 200 ? message_unparsed(scan, bytes, flow)
									 : NULL;
		if (!message)
			return;
	}
	if (scan->status < 200)
		provisional(tr, message, hash_bytes(&layer->tag_key, bytes.p, bytes.n));
	else
		final(tr, message);
	message_free(message);
}

/* --- timers ------------------------------------------------------------------------------------------------------ */

void client_timer_give_up(struct transaction *tr)
{
	if (tr->state == TRANSACTION_ACCEPTED) {
		transaction_finish(tr, TRANSACTION_DONE);
		return;
	}
	/* Timer C: a ringing INVITE is cancelled, not forgotten. */
	if (tr->kind == MACHINE_ICT && tr->state == TRANSACTION_PROCEEDING && !tr->cancel_sent &&
		transaction_cancel(tr, SPAN("SIP;cause=408;text=\"Request Timeout\"")) == 0)
		return;
	transaction_run(tr, MACHINE_TIMER_GIVE_UP);
	transaction_finish(tr, TRANSACTION_TIMEOUT);
}
