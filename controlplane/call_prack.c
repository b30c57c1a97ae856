/* SPDX-License-Identifier: BSD-3-Clause */
/* Reliable provisional responses (RFC 3262): those of the callee and their PRACK, ours to the caller and his. */
#include "controlplane/call_prack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/credentials.h"
#include "controlplane/hide.h"
#include "controlplane/secret.h"
#include "platforms/base/random.h"

enum {
	PRACK_WAITING_MAX = 8, /* reliable responses of one early dialog that are not acknowledged */
	PRACK_RELAYS_MAX = 4, /* PRACKs of one early dialog on their way */
};

static const struct span no_body = { NULL, 0 };

struct prack_response {
	struct prack_response *next;
	uint32_t rseq, cseq; /* what the RAck of its PRACK repeats */
	uint32_t callee_rseq; /* what is acknowledged with it; 0: nothing */
	unsigned status;
	bool described, offer;
	size_t length;
	char text[];
};

/* A PRACK on its way to the callee: the caller's, or our own, which has no server transaction. */
struct prack_relay {
	struct prack_relay *next;
	struct call_fork *fork;
	struct transaction *server, *client; /* NULL: has ended */
	struct prack_response
		*response; /* of ours, that the caller's acknowledges; NULL: the PRACK is our own */
	uint32_t callee_rseq;
	bool offer; /* it carries an offer, which the media holds */
	bool leasing; /* and waits for its ports */
};

/* --- the callee's ------------------------------------------------------------------------------------------------------ */

static uint32_t rseq_of(const struct message *response)
{
	struct span value;
	uint64_t number;

	if (!message_has_token(response, SPAN("Require"), SPAN("100rel")) ||
		!message_header(response, SPAN("RSeq"), 0, &value) ||
		span_to_uint(span_trim(value), INT32_MAX, &number))
		return 0;
	return (uint32_t)number;
}

enum prack_verdict prack_provisional(struct call_fork *fork, const struct message *response)
{
	uint32_t rseq = rseq_of(response);

	/* Without a tag there is no dialog to send PRACK in. */
	if (rseq == 0 || !fork->leg[LEG_CALLED]->remote_tag)
		return PRACK_UNRELIABLE;
	if (fork->remote_rseq && rseq <= fork->remote_rseq)
		return PRACK_REPEATED;
	if (fork->remote_rseq && rseq != fork->remote_rseq + 1)
		return PRACK_OUT_OF_ORDER;
	fork->remote_rseq = rseq;
	return PRACK_FRESH;
}

/* `prack`: the caller's, whose credentials go with it; or NULL. */
static int write_and_send(struct call_fork *fork, uint32_t rseq, const struct message *prack,
	struct span body, const struct transaction_events *events, void *arg, struct transaction **out)
{
	struct leg *leg = fork->leg[LEG_CALLED];
	struct sip_flow flow = leg_flow(leg);
	char text[CALL_MESSAGE_MAX];
	int hops = prack ? message_scan(prack)->max_forwards : -1;
	struct writer w;

	writer_init(&w, text, sizeof(text));
	leg_request_begin(
		leg, SIP_METHOD_PRACK, hops < 0 ? CALL_MAX_FORWARDS : (unsigned)hops - (hops > 0), &w);
	writer_format(&w, "RAck: %u %u INVITE\r\n", rseq, leg->invite_cseq);
	hide_product(leg->shard->config, true, &w);
	if (prack)
		hide_headers(prack, (enum hide_kind)(HIDE_PRACK | HIDE_ACK), fork->leg[LEG_CALLER], leg, &w);
	message_end(&w, SPAN("application/sdp"), body);
	if (w.overflow)
		return -EMSGSIZE;
	return transaction_request(leg->shard, &flow, writer_result(&w), events, arg, out);
}

/* --- ours to the caller -------------------------------------------------------------------------------------------------- */

static void repeat_expired(struct timer *timer, void *arg);

static void transmit(struct call_fork *fork)
{
	struct call *call = fork->call;
	const struct prack_response *first = fork->unacknowledged;
	struct transaction *invite = call->leg[LEG_CALLER].server_invite;

	/* After the final response there are no more (RFC 3262 section 3). */
	if (!invite || call->status)
		return;
	transaction_respond(invite, first->status, (struct span){ first->text, first->length });
	timer_arm(call->shard->timers, &fork->timer, fork->interval_ms, repeat_expired, fork);
}

static void transmit_first(struct call_fork *fork)
{
	fork->interval_ms = fork->call->shard->config->sip.t1_ms;
	fork->waited_ms = 0;
	if (fork->unacknowledged)
		transmit(fork);
}

/* RFC 3262 section 3: T1, doubled each time; after 64*T1 the INVITE is refused. */
static void repeat_expired(struct timer *timer, void *arg)
{
	struct call_fork *fork = arg;
	uint64_t limit = 64 * (uint64_t)fork->call->shard->config->sip.t1_ms;

	(void)timer;
	fork->waited_ms += fork->interval_ms;
	if (fork->waited_ms >= limit) {
		call_happens(fork->call, &(struct call_event){ .type = CALL_EVENT_BROKEN,
						 .side = LEG_CALLER,
						 .status = 504,
						 .cause = "no PRACK from the caller" });
		return;
	}
	fork->interval_ms *= 2;
	if (fork->interval_ms > limit - fork->waited_ms)
		fork->interval_ms = limit - fork->waited_ms;
	transmit(fork);
}

static struct prack_response *response_new(
	struct call_fork *fork, const struct prack_reliable *reliable, uint32_t rseq)
{
	struct leg *leg = fork->leg[LEG_CALLER];
	const struct transaction *invite = fork->call->leg[LEG_CALLER].server_invite;
	char text[CALL_MESSAGE_MAX], line[64];
	struct prack_response *response;
	struct writer out, extra;

	writer_init(&extra, line, sizeof(line));
	writer_format(&extra, "Require: 100rel\r\nRSeq: %u\r\n", rseq);
	writer_init(&out, text, sizeof(text));
	if (!invite || invite_write(&fork->call->leg[LEG_CALLER], reliable->status, leg->local_tag,
			       reliable->from, writer_result(&extra), reliable->body, &out))
		return NULL;
	response = malloc(sizeof(*response) + out.len);
	if (!response)
		return NULL;
	*response = (struct prack_response){
		.rseq = rseq,
		.cseq = message_scan(transaction_message(invite))->cseq_number,
		.callee_rseq = reliable->callee_rseq,
		.status = reliable->status,
		.described = reliable->body.n > 0,
		.offer = reliable->offer,
		.length = out.len,
	};
	memcpy(response->text, text, out.len);
	return response;
}

void prack_respond(struct call_fork *fork, const struct prack_reliable *reliable)
{
	struct prack_response **end = &fork->unacknowledged, *response;
	/* Below 2^31 whatever follows. */
	uint32_t rseq = fork->rseq ? fork->rseq + 1 : 1 + (uint32_t)(random_u64() % (INT32_MAX / 2));
	unsigned waiting = 0;

	for (; *end; end = &(*end)->next)
		waiting++;
	response = waiting < PRACK_WAITING_MAX ? response_new(fork, reliable, rseq) : NULL;
	if (!response) {
		log_notice("call", "reliable provisional response not relayed",
			LOG_UINT("call", fork->call->id), LOG_UINT("status", reliable->status));
		return;
	}
	fork->rseq = rseq;
	if (response->described)
		fork->settled = true;
	*end = response;
	if (waiting == 0)
		transmit_first(fork);
}

bool prack_is_pending(const struct call_fork *fork)
{
	for (const struct prack_response *one = fork->unacknowledged; one; one = one->next)
		if (one->described)
			return true;
	return false;
}

bool prack_is_under_way(const struct call_fork *fork)
{
	return fork->relays != NULL;
}

void prack_settled(struct call_fork *fork)
{
	timer_cancel(&fork->timer);
}

static void response_unlink(struct call_fork *fork, const struct prack_response *response)
{
	if (response == fork->challenged) {
		fork->challenged = NULL;
		return;
	}
	fork->unacknowledged = response->next;
	timer_cancel(&fork->timer);
}

/* The next one is due, or the 2xx that waited. The call may be gone afterwards. */
static void acknowledged(struct call_fork *fork)
{
	if (!timer_is_armed(&fork->timer))
		transmit_first(fork);
	call_happens(fork->call, &(struct call_event){ .type = CALL_EVENT_PRACKED, .side = LEG_CALLER });
}

static void relay_response(void *arg, struct transaction *transaction, const struct message *response);
static void relay_client_ended(void *arg, struct transaction *transaction, enum transaction_end how);

/* --- PRACK on its way to the callee ---------------------------------------------------------------------------- */

static void relay_remove(struct prack_relay *relay)
{
	struct prack_relay **at = &relay->fork->relays;

	while (*at != relay)
		at = &(*at)->next;
	*at = relay->next;
	if (relay->server)
		transaction_detach(relay->server);
	if (relay->client)
		transaction_detach(relay->client);
	free(relay->response);
	free(relay);
}

/* The early dialogs of an answered call stay for their PRACKs only. */
static void relay_done(struct prack_relay *relay)
{
	struct call *call = relay->fork->call;

	relay_remove(relay);
	if (call->state == CALL_ESTABLISHED)
		call_forks_free(call, false);
}

static void relay_answer(
	struct prack_relay *relay, unsigned status, const struct message *from, struct span body)
{
	struct call_fork *fork = relay->fork;
	enum hide_kind kind = status < 300 ? HIDE_SUCCESS
			      : status == 401 || status == 407
				      ? (enum hide_kind)(HIDE_FAILURE | HIDE_CHALLENGE)
				      : HIDE_FAILURE;
	char text[CALL_MESSAGE_MAX];
	struct writer out;

	if (!relay->server)
		return;
	writer_init(&out, text, sizeof(text));
	transaction_response_begin(relay->server, status, span_from(sip_reason(status)), no_body, &out);
	hide_product(fork->call->shard->config, false, &out);
	if (from && fork->leg[LEG_CALLED])
		hide_headers(from, kind, fork->leg[LEG_CALLED], fork->leg[LEG_CALLER], &out);
	message_end(&out, SPAN("application/sdp"), body);
	if (out.overflow || transaction_respond(relay->server, status, writer_result(&out)))
		transaction_reply(relay->server, 500, no_body, no_body);
}

/* The offer of a PRACK was answered, refused or forgotten. 0 or the status that the caller gets instead. */
static unsigned relay_take_answer(
	struct prack_relay *relay, const struct message *response, struct writer *body)
{
	struct media *media = relay->fork->call->media;

	if (!relay->offer || !media)
		return 0;
	relay->offer = false;
	if (response && body && message_scan(response)->status < 300) {
		struct span sdp = call_sdp(response);

		if (sdp.n && media_answer(media, LEG_CALLED, sdp, true) == 0 &&
			media_write(media, LEG_CALLER, sdp, body) == 0) {
			if (relay->server)
				early_agreed(relay->fork, LEG_CALLER,
					call_sdp(transaction_message(relay->server)), sdp);
			return 0;
		}
	}
	media_reject(media);
	return 500;
}

/* With what its description has become on the callee's side. */
static void relay_send(struct prack_relay *relay)
{
	static const struct transaction_events events = { .response = relay_response,
		.ended = relay_client_ended };
	struct call_fork *fork = relay->fork;
	const struct message *prack = relay->server ? transaction_message(relay->server) : NULL;
	struct span sdp = prack ? call_sdp(prack) : no_body;
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error = fork->leg[LEG_CALLED] ? 0 : -ENOTCONN;

	relay->leasing = false;
	writer_init(&body, text, sizeof(text));
	if (!error && sdp.n)
		error = media_write(fork->call->media, LEG_CALLED, sdp, &body);
	if (!error)
		error = write_and_send(fork, relay->callee_rseq, prack, writer_result(&body), &events, relay,
			&relay->client);
	if (!error)
		return;
	log_warning("call", "PRACK not sent", LOG_UINT("call", fork->call->id), LOG_ERRNO("error", error));
	relay_take_answer(relay, NULL, NULL);
	relay_answer(relay, 503, NULL, no_body);
	relay_remove(relay);
}

/* It asks for the same PRACK again, with credentials: what that acknowledges must still be known. */
static void keep_challenged(struct prack_relay *relay)
{
	struct call_fork *fork = relay->fork;

	free(fork->challenged);
	fork->challenged = relay->response;
	relay->response = NULL;
}

static void relay_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct prack_relay *relay = arg;
	unsigned status = message_scan(response)->status, failed;
	bool challenge = status == 401 || status == 407;
	struct leg *leg = relay->fork->leg[LEG_CALLED];
	char text[CALL_MESSAGE_MAX];
	struct writer body;

	if (status < 200)
		return;
	if (challenge && leg && credentials_take(leg, response)) {
		transaction_detach(transaction);
		relay->client = NULL;
		relay_send(relay);
		return;
	}
	writer_init(&body, text, sizeof(text));
	failed = relay_take_answer(relay, response, &body);
	if (status < 300 && failed)
		relay_answer(relay, failed, NULL, no_body);
	else if (status < 300)
		relay_answer(relay, 200, response, writer_result(&body));
	else
		relay_answer(relay, status == 481 ? 481 : hide_status(status), response, no_body);
	if (challenge)
		keep_challenged(relay);
	relay_done(relay);
}

static void relay_client_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct prack_relay *relay = arg;
	struct call_fork *fork = relay->fork;
	unsigned status = how == TRANSACTION_TIMEOUT ? 408 : 503;

	(void)transaction;
	relay->client = NULL;
	if (how == TRANSACTION_SHUTDOWN)
		return;
	relay_take_answer(relay, NULL, NULL);
	relay_answer(relay, status, NULL, no_body);
	if (fork->call->state != CALL_PROCEEDING) {
		relay_done(relay);
		return;
	}
	relay_remove(relay);
	early_lost(fork, status);
}

static void relay_server_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct prack_relay *relay = arg;

	(void)transaction;
	(void)how;
	relay->server = NULL;
}

static struct prack_relay *relay_new(struct call_fork *fork, struct transaction *server, uint32_t callee_rseq)
{
	static const struct transaction_events events = { .ended = relay_server_ended };
	struct prack_relay *relay;
	unsigned count = 0;

	for (relay = fork->relays; relay; relay = relay->next)
		count++;
	relay = count < PRACK_RELAYS_MAX ? calloc(1, sizeof(*relay)) : NULL;
	if (!relay)
		return NULL;
	*relay = (struct prack_relay){
		.next = fork->relays, .fork = fork, .server = server, .callee_rseq = callee_rseq
	};
	fork->relays = relay;
	if (server)
		transaction_attach(server, &events, relay);
	return relay;
}

void prack_send(struct call_fork *fork)
{
	struct prack_relay *relay = relay_new(fork, NULL, fork->remote_rseq);

	/* Too many of them unanswered: the callee says it again, and gives up after 64*T1. */
	if (relay)
		relay_send(relay);
}

bool prack_ready(struct call *call, int status)
{
	for (struct call_fork *fork = call->forks; fork; fork = fork->next)
		for (struct prack_relay *relay = fork->relays; relay; relay = relay->next) {
			if (!relay->leasing)
				continue;
			if (status == 0) {
				relay_send(relay);
				return true;
			}
			relay->offer = false;
			relay_answer(relay, 503, NULL, no_body);
			relay_remove(relay);
			return true;
		}
	return false;
}

void prack_stale(struct call_fork *fork)
{
	while (fork->relays) {
		struct prack_relay *relay = fork->relays;

		relay_take_answer(relay, NULL, NULL);
		relay_answer(relay, 200, NULL, no_body);
		relay_remove(relay);
	}
	for (struct prack_response *one = fork->unacknowledged; one; one = one->next)
		one->callee_rseq = 0;
}

void prack_give_up(struct call_fork *fork)
{
	timer_cancel(&fork->timer);
	free(fork->challenged);
	fork->challenged = NULL;
	while (fork->unacknowledged) {
		struct prack_response *first = fork->unacknowledged;

		/* Nobody will answer it. */
		if (first->offer && fork->call->media)
			media_reject(fork->call->media);
		fork->unacknowledged = first->next;
		free(first);
	}
}

void prack_fini(struct call_fork *fork)
{
	while (fork->relays) {
		relay_take_answer(fork->relays, NULL, NULL);
		relay_remove(fork->relays);
	}
	prack_give_up(fork);
}

/* --- PRACK received ----------------------------------------------------------------------------------------------------------- */

/* RFC 3262 section 7.2: response number, then number and method of the request that was responded to. */
static bool acknowledges(const struct message *prack, const struct prack_response *response)
{
	struct span value, rest, word[3];
	uint64_t rseq, cseq;

	if (!response || !message_header(prack, SPAN("RAck"), 0, &value))
		return false;
	rest = value;
	for (size_t i = 0; i < 3; i++) {
		rest = span_trim(rest);
		word[i] = i < 2 ? span_cut(&rest, ' ') : rest;
	}
	return span_to_uint(word[0], UINT32_MAX, &rseq) == 0 &&
	       span_to_uint(word[1], UINT32_MAX, &cseq) == 0 && rseq == response->rseq &&
	       cseq == response->cseq && span_equal(word[2], SPAN("INVITE"));
}

/* What it acknowledges; NULL: nothing. */
static struct prack_response *find_acknowledged(const struct call_fork *fork, const struct message *prack)
{
	if (acknowledges(prack, fork->unacknowledged))
		return fork->unacknowledged;
	return acknowledges(prack, fork->challenged) ? fork->challenged : NULL;
}

/* The answer to the offer that the callee made in a reliable response. */
static unsigned take_answer(struct call_fork *fork, struct span sdp)
{
	if (sdp.n == 0)
		return 400;
	if (!fork->answered) {
		if (media_answer(fork->call->media, LEG_CALLER, sdp, true))
			return 488;
		fork->reply = secret_dup(sdp);
		fork->reply_length = fork->reply ? sdp.n : 0;
	}
	fork->answered = true;
	fork->call->media_fork = fork;
	return 0;
}

/* A fresh offer: 0, it goes on its way at once; 1, when its ports are there; or -errno. */
static int take_offer(struct call_fork *fork, struct span sdp)
{
	int error = early_commit(fork);

	return error ? error : media_offer(fork->call->media, LEG_CALLER, sdp);
}

static void take_relayed(struct call_fork *fork, struct transaction *transaction, const struct message *prack,
	struct prack_response *response)
{
	struct span sdp = call_sdp(prack);
	struct prack_relay *relay;
	unsigned status = 0;
	int result = 0;

	if (response->offer)
		status = take_answer(fork, sdp);
	else if (sdp.n && (result = take_offer(fork, sdp)) < 0)
		status = result == -EBUSY ? 491 : 488;
	relay = status ? NULL : relay_new(fork, transaction, response->callee_rseq);
	if (!relay) {
		transaction_reply(transaction, status ? status : 500, no_body, no_body);
		return;
	}
	relay->response = response;
	relay->offer = sdp.n && !response->offer;
	relay->leasing = result == 1;
	response_unlink(fork, response);
	if (!relay->leasing) /* else prack_ready goes on */
		relay_send(relay);
	acknowledged(fork);
}

void prack_received(struct leg *leg, struct transaction *transaction, const struct message *prack)
{
	struct call_fork *fork = leg->side == LEG_CALLER ? call_fork_of(leg) : NULL;
	struct prack_response *response = fork ? find_acknowledged(fork, prack) : NULL;

	if (!response) {
		transaction_reply(transaction, 481, no_body, no_body);
		return;
	}
	if (message_body(prack).n && call_sdp(prack).n == 0) {
		transaction_reply(transaction, 415, no_body, SPAN("Accept: application/sdp\r\n"));
		return;
	}
	if (response->callee_rseq && fork->leg[LEG_CALLED]) {
		take_relayed(fork, transaction, prack, response);
		return;
	}
	if (call_sdp(prack).n)
		exchange_received_prack(leg, transaction, prack);
	else
		transaction_reply(transaction, 200, no_body, no_body);
	response_unlink(fork, response);
	free(response);
	acknowledged(fork);
}
