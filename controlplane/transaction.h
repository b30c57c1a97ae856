/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP transactions (RFC 3261 section 17, RFC 6026): libosip2's state machines in detached mode under our own hash, timer
 * wheel and tombstones. owner of everything here: one shard's thread.
 *
 * A transaction takes its event table at creation; `ended` is always the last call, after it the pointer is gone. It never
 * comes from within a function of this file that the user called. In absorbing states a tombstone stands in for the
 * transaction: a non-INVITE one ends right after its final response, an INVITE server with its ACK, an INVITE client that got a
 * 2xx after 64*T1 (till then forks may come). */
#ifndef CONTROLPLANE_TRANSACTION_H
#define CONTROLPLANE_TRANSACTION_H

#include "controlplane/message.h"
#include "controlplane/transport.h"

struct transaction;

enum transaction_end {
	TRANSACTION_DONE, /* over in the ordinary way */
	TRANSACTION_TIMEOUT, /* client: Timer B or F; server INVITE: no ACK to our final response within 64*T1 */
	TRANSACTION_TRANSPORT_ERROR, /* could not be sent */
	TRANSACTION_SHUTDOWN,
};

struct transaction_events {
	/* Client: a response that is not a repetition, but 101 to 199 of an INVITE always. An INVITE's further 2xx with another To tag
	 * (fork) come too; repeated 2xx are answered with the stored ACK (transaction_ack). An INVITE's final response that the
	 * parser refused comes as well (message_is_parsed): its user must end what it began, and pass nothing of it on. */
	void (*response)(void *arg, struct transaction *transaction, const struct message *response);
	/* Server INVITE: a CANCEL matched and has been answered 200. The user answers the INVITE with 487, unless a final
	 * response has already been sent (then this is not called). Once. */
	void (*cancelled)(void *arg, struct transaction *transaction, const struct message *cancel);
	/* Server INVITE: the ACK of our 2xx (matched by dialog and CSeq) or of our failure response. Once. */
	void (*acked)(void *arg, struct transaction *transaction, const struct message *ack);
	void (*ended)(void *arg, struct transaction *transaction, enum transaction_end how);
};

#define TRANSACTION_SILENCE (~0U)

/* What the transaction layer hands up: a new request outside any server transaction (never ACK or CANCEL). The callee must
 * call transaction_respond sooner or later; it may attach with transaction_attach. `request` lives as long as the transaction's
 * state needs it: until `ended`. */
struct transaction_core {
	void (*request)(struct shard *shard, struct transaction *transaction, const struct message *request);
	/* Asked about each new request before anything is kept of it: 0, or the status to refuse it with statelessly (RFC 3261
	 * section 8.2.7), so that strangers can neither fill the tables nor have an answer repeated to an address that is not
	 * theirs. *retry_after, 0 before: seconds for a Retry-After; TRANSACTION_SILENCE as status: no answer at all. NULL: all are
	 * welcome. */
	unsigned (*screen)(struct shard *shard, const struct sip_flow *flow, const struct scan *request,
		unsigned *retry_after);
	/* A 2xx (of a branch that has not answered before) to an INVITE whose user has gone: to be acknowledged, and hung up unless the
	 * INVITE was within a dialog. NULL: nothing is done. */
	void (*unclaimed)(struct shard *shard, struct transaction *invite, const struct message *answer,
		bool in_dialog);
};

/* One table per shard. 0 or -ENOMEM. */
int transaction_layer_open(struct shard *shard, const struct transaction_core *core);
/* Ends all with TRANSACTION_SHUTDOWN. */
void transaction_layer_close(struct shard *shard);
/* Another configuration (reconfigure.h): what is under way keeps the timers that run. */
int transaction_layer_prepare(struct shard *shard, const struct config_move *move, struct writer *why);
void transaction_layer_abort(struct shard *shard);
void transaction_layer_move(struct shard *shard, struct config_move *move);
/* For the API; from any thread. */
void transaction_layer_counts(const struct shard *shard, uint32_t *live, uint32_t *tombstones);
/* Entry from the transport: one received message, any bytes. Scans, absorbs repetitions, matches, parses, delivers. */
void transaction_receive(struct shard *shard, const struct sip_flow *flow, struct span bytes);

/* The connection has ended: transactions that wait for an answer on it (clients for the peer's, INVITE servers for the user's) go on by UDP
 * if their size alone had brought them there; by another connection if they are INVITEs under way, BYE or CANCEL, and the peer takes
 * one; else they end with TRANSACTION_TRANSPORT_ERROR. Not from within a call of the transaction layer. */
void transaction_connection_lost(struct shard *shard, uint64_t connection);
/* What waits on one connection was sent again on another. */
void transaction_connection_moved(struct shard *shard, uint64_t from, uint64_t to);

void transaction_attach(struct transaction *transaction, const struct transaction_events *events, void *arg);
/* The user goes away before the transaction: no further calls. A request without a final response yet is answered 500,
 * a 2xx of an INVITE is repeated until its ACK all the same. */
void transaction_detach(struct transaction *transaction);

enum { TRANSACTION_BRANCH_MAX = 40 };
/* A fresh branch ("z9hG4bK" + shard + token), unique across space and time. Returns the buffer. */
const char *transaction_branch(struct shard *shard, char buffer[TRANSACTION_BRANCH_MAX]);

/* Sends a new request (any method but ACK; CANCEL is transaction_cancel) that the caller has written in full, top Via with
 * a transaction_branch included. Bytes are copied. 0 or -errno: then nothing was sent and no event will come. */
int transaction_request(struct shard *shard, const struct sip_flow *to, struct span text,
	const struct transaction_events *events, void *arg, struct transaction **out);
/* Client: asked before Timer A or E repeats the request. False: not now (transaction_again). */
void transaction_paced(
	struct transaction *transaction, bool (*may_repeat)(void *arg, struct transaction *transaction));
/* Client without a final response: its request once more, which has been put off. */
void transaction_again(struct transaction *transaction);
/* Timer C (RFC 3261 section 16.6) is kept here: an INVITE that rings too long is cancelled and its 487 delivered as usual. */
/* Client INVITE: CANCEL (RFC 3261 section 9.1), now or as soon as a provisional response has come; after 64*T1 without
 * a final response the INVITE ends with TRANSACTION_TIMEOUT. `reason` = value of a Reason header or empty. 0 or -errno. */
int transaction_cancel(struct transaction *invite, struct span reason);
/* Client INVITE after a 2xx: sends this ACK (caller wrote it: dialog's route set, own Via branch), keeps it and repeats it for every
 * repetition of the 2xx with the same To tag until 64*T1 have passed. 0 or -errno. */
int transaction_ack(
	struct transaction *invite, const struct sip_flow *to, struct span to_tag, struct span text);

/* Server: sends a response that the caller has written in full (Via etc. by transaction_response_begin). 1xx any number; one
 * final one (-EALREADY after it). An INVITE's 2xx is repeated T1..T2 until its ACK. Bytes are copied. 0 or -errno. */
int transaction_respond(struct transaction *server, unsigned status, struct span text);
/* Writes status line, Via lines (received/rport of RFC 3581 set by us, a peer's own forged ones removed), From, To (with
 * `to_tag` unless it has one or it is empty), Call-ID, CSeq. The caller adds headers, then message_end. */
void transaction_response_begin(const struct transaction *server, unsigned status, struct span reason,
	struct span to_tag, struct writer *out);
/* Writes Content-Type if `body` is not empty, Content-Length, the empty line and the body. */
void message_end(struct writer *out, struct span content_type, struct span body);
/* The simple case: a response without headers of its own; `extra` = complete header lines or empty. */
int transaction_reply(struct transaction *server, unsigned status, struct span to_tag, struct span extra);

const struct message *transaction_message(
	const struct transaction *transaction); /* server: the request. client: NULL */
struct shard *transaction_shard(const struct transaction *transaction);

#endif
