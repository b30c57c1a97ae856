/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the transaction layer share. owner of everything here: one shard's thread. */
#ifndef CONTROLPLANE_TRANSACTION_INTERNAL_H
#define CONTROLPLANE_TRANSACTION_INTERNAL_H

#include "controlplane/guard.h"
#include "controlplane/osip_machine.h"
#include "controlplane/shard.h"
#include "controlplane/transaction.h"
#include "controlplane/transaction_table.h"
#include "platforms/base/token_bucket.h"

enum {
	TRANSACTION_TEXT_MAX = 65536, /* a datagram cannot be longer */
	TRANSACTION_TAGS_MAX = 8, /* dialogs of one INVITE of ours: its answer and seven forks */
	/* Times `max-transactions`: how many may linger, as tombstones and as answered INVITEs of ours that wait for forks. They stay
	 * for 32 s each, much longer than what they were, and cost some hundred bytes where that costs 20 KB. */
	LINGERING_PER_TRANSACTION = 16,
};

/* Bytes as they were sent. */
struct sent {
	size_t length;
	char bytes[];
};

enum transaction_state {
	TRANSACTION_TRYING, /* no response yet, either way */
	TRANSACTION_PROCEEDING, /* provisional response */
	TRANSACTION_ACCEPTED, /* INVITE with a 2xx: RFC 6026, without a machine */
	TRANSACTION_COMPLETED, /* final response; server INVITE: waits for the ACK */
	TRANSACTION_ENDED, /* `ended` is due */
};

/* Client INVITE: one dialog that a 2xx has made. */
struct accepted_dialog {
	struct sent *to_tag;
	struct sent *ack; /* NULL: the user has not sent it yet */
	struct sip_flow flow;
};

struct transaction {
	struct table_node node; /* by branch */
	struct table_node dialog; /* server: from its 2xx on, the ACK of that */
	struct table_node merged; /* server: the same request by another way */
	struct table_node connection; /* client, server of an INVITE; on a stream, until its final response */
	struct shard *shard;
	struct sip_flow flow;
	struct listener *moved_from; /* client: UDP, which the request was too long for; else NULL */
	struct osip_machine *machine; /* NULL from ACCEPTED on */
	enum machine_kind kind;
	enum transaction_state state;
	enum transaction_end how;
	enum sip_method method;
	struct timer retransmit, give_up;
	unsigned interval_ms; /* of a repeated 2xx */
	struct message *request; /* server */
	struct sent *sent; /* client: the request, then the ACK of a failure; server: the last response */
	unsigned last_status;
	uint64_t last_digest; /* client: of the last provisional response */
	int send_error;
	bool cancel_wanted, cancel_sent; /* client INVITE */
	bool withheld; /* the machine's repetition is not sent: its user has put it off: */
	bool (*may_repeat)(void *arg, struct transaction *tr); /* NULL: whenever the timer says */
	uint8_t reconnects; /* after connections that were lost */
	bool in_dialog; /* client: the request has a To tag */
	bool cancelled; /* server INVITE: a CANCEL came */
	bool lingers; /* client INVITE: in the layer's lingering_count */
	struct sent *reason; /* of the CANCEL that waits for a provisional response */
	unsigned dialogs;
	struct accepted_dialog *accepted; /* client INVITE, from ACCEPTED on: `dialogs` entries */
	const struct transaction_events *events; /* NULL: detached */
	void *arg;
	struct transaction *next, **link; /* layer's list of the live ones, or of those that ended */
};

/* A transaction in its absorbing state: repetitions are answered with stored bytes or not at all. */
struct tombstone {
	struct table_node node, dialog, merged;
	struct timer deadline;
	struct sip_flow flow;
	struct transaction_layer *layer;
	struct tombstone *next, **link; /* oldest first */
	size_t length;
	char bytes[]; /* server: the final response; client INVITE: the ACK of the failure; else nothing */
};

struct transaction_layer {
	struct shard *shard;
	const struct transaction_core *core;
	struct osip_engine *engine;
	struct table table;
	struct transaction *live, *ended;
	struct timer reaper;
	unsigned depth; /* calls into the layer under way: `ended` comes when it is 0 */
	bool closing;
	uint32_t live_count, tombstone_count; /* others read relaxed */
	uint32_t
		lingering_count; /* of the live ones: client INVITEs with a 2xx, without machine and request */
	struct tombstone *oldest, **newest;
	struct config_sip
		own_limits; /* of what we write ourselves: an answer repeats a peer's text and adds to it */
	uint64_t *no_tcp_until_ms; /* of each session-agent: it took no connection */
	uint64_t *no_tcp_next; /* the same for a configuration that is prepared; or NULL */
	struct token_bucket stateless; /* answers without a transaction */
	struct hash_key tag_key; /* makes their To tags */
	struct scan received, own; /* scratch: a received message; one of our own */
	char text[TRANSACTION_TEXT_MAX]; /* scratch: a message that the layer writes */
};

/* transaction.c */
struct transaction *transaction_new(
	struct transaction_layer *layer, enum machine_kind kind, const struct sip_flow *flow);
/* No room for what starts something (`max-transactions`). */
bool transaction_layer_is_full(const struct transaction_layer *layer);
void transaction_enter(struct transaction_layer *layer);
void transaction_leave(struct transaction_layer *layer);
/* `ended` follows when the layer is left; the user may still use the pointer until then. */
void transaction_finish(struct transaction *tr, enum transaction_end how);
void transaction_free(struct transaction *tr);
void transaction_arm_give_up(struct transaction *tr, unsigned delay_ms);
void transaction_arm_retransmit(struct transaction *tr, unsigned delay_ms);
/* Replaces the stored bytes. 0 or -ENOMEM. */
int transaction_store(struct transaction *tr, struct span text);
struct sent *sent_new(struct span text);
struct span sent_span(const struct sent *sent);
/* Runs the machine and arms the wheel as it then wants. False if the state does not take the event. */
bool transaction_run(struct transaction *tr, enum machine_event event);
/* Counts and sends again. */
void transaction_repeat(const struct sip_flow *flow, struct shard *shard, struct span text);

/* transaction_server.c */
/* A stateless answer to layer->received, or none (guard_refuse). */
void transaction_refuse_guarded(
	struct transaction_layer *layer, const struct sip_flow *flow, enum guard_sign sign, unsigned status);
void server_request(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes);
void server_ack(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes);
void server_cancel(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes);
void server_timer_give_up(struct transaction *tr);
void server_timer_retransmit(struct transaction *tr);
void server_detached(struct transaction *tr);

/* transaction_client.c */
void client_response(struct transaction_layer *layer, const struct sip_flow *flow, struct span bytes);
void client_timer_give_up(struct transaction *tr);
void client_dialogs_free(struct transaction *tr);
/* As transaction_request, for any method but ACK. */
int client_start(struct shard *shard, const struct sip_flow *to, struct span text,
	const struct transaction_events *events, void *arg, struct transaction **out);

/* transaction_cancel.c */
/* Sends the CANCEL of an INVITE that has a provisional response. 0 or -errno. */
int cancel_send(struct transaction *invite);
/* The ACK of a failure and the CANCEL: same Request-URI, top Via, From, Call-ID, CSeq number and Route as the INVITE
 * (RFC 3261 sections 17.1.1.3 and 9.1). `to` empty: the INVITE's own; `extra`: header lines. Into the layer's scratch text;
 * empty if it does not fit. */
struct span companion_write(
	struct transaction *invite, struct span method, struct span to, struct span extra);

/* transaction_stream.c */
/* Notes that the transaction waits for an answer, its peer's or its user's, on its flow's connection. Datagrams: nothing. */
void stream_wait(struct transaction *tr);
void stream_wait_no_more(struct transaction *tr);
/* RFC 3261 section 18.1.1: a request too long for UDP to a session-agent that may take it by TCP. True: `flow` and `text` (in the
 * layer's scratch text) are what to send instead. */
bool stream_move(struct transaction_layer *layer, struct sip_flow *flow, struct span *text);
/* Where the responses of a request go: by its connection, else to the port of its Via's sent-by at the address it came from
 * (RFC 3261 section 18.2.2). */
struct sip_flow stream_response_flow(const struct sip_flow *flow, const struct scan *request);
/* The connection that a request came by has brought something that was let in. */
void stream_let_in(const struct sip_flow *flow, const struct scan *request);

/* tombstone.c */
void tombstone_make(struct transaction *tr, unsigned linger_ms);
/* One that never was a transaction: the answer to a CANCEL. */
void tombstone_add(struct transaction_layer *layer, const struct table_key *key, const struct sip_flow *flow,
	struct span bytes, unsigned linger_ms);
void tombstone_free(struct tombstone *stone);

#endif
