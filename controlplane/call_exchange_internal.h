/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the exchange files: the events of an exchange, and what the files do for each other. */
#ifndef CONTROLPLANE_CALL_EXCHANGE_INTERNAL_H
#define CONTROLPLANE_CALL_EXCHANGE_INTERNAL_H

#include "controlplane/call_exchange.h"

enum exchange_event_type {
	EXCHANGE_LEASED,
	EXCHANGE_LEASE_FAILED,
	EXCHANGE_ANSWER, /* 2xx: message */
	EXCHANGE_REJECT, /* 300..699: message (NULL: unreadable), status */
	EXCHANGE_FAILED, /* no final response: status */
	EXCHANGE_CANCEL,
	EXCHANGE_ACK, /* message */
	EXCHANGE_NO_ACK, /* nor will there be one: the asker's transaction has ended */
	EXCHANGE_TIMER,
	EXCHANGE_EVENT_COUNT
};

struct exchange_event {
	enum exchange_event_type type;
	unsigned status;
	const struct message *message;
};

/* call_exchange.c */
void exchange_happens(struct call *call, const struct exchange_event *event);
/* Nothing is under way any more; of our own request what is to be sent again stays. */
void exchange_over(struct call *call);
/* EXCHANGE_TIMER. */
void exchange_timer_arm(struct call *call, uint64_t delay_ms);
/* The offer goes to the other side, `event` may be NULL. */
void exchange_send_on(struct call *call, const struct exchange_event *event);
/* Final response to who has asked, if anybody has; `from` may be NULL. 0; or -errno: it has become a 500. */
int exchange_answer_asker(struct call *call, unsigned status, const struct message *from, struct span body);
extern const struct transaction_events exchange_asker_events;

/* call_exchange_admit.c */
/* `leg` has offered something in a response to us: to be relayed to the other leg. */
void exchange_offered(struct call *call, struct leg *leg, struct span body);
/* Its media may come from where `request`, which may be NULL, comes from. */
struct media_party exchange_party_of(const struct leg *leg, const struct message *request);
/* Its peer is where this request says. */
void exchange_note_target(struct leg *leg, const struct message *request);
/* What exchange_received has let in. `limit_ms`: in which an UPDATE is to be answered. */
void exchange_go_on(struct leg *leg, struct transaction *transaction, uint64_t limit_ms);
/* That of a fresh one: before its Timer F, whose length we do not know but by our own (RFC 3311 section 5.2). */
uint64_t exchange_update_limit_ms(const struct shard *shard);

/* call_exchange_undo.c: actions of the table */
void exchange_refuse(struct call *call, const struct exchange_event *event);
void exchange_cancel_on(struct call *call, const struct exchange_event *event);
void exchange_give_up(struct call *call, const struct exchange_event *event);
void exchange_give_up_answer(struct call *call, const struct exchange_event *event);
void exchange_lose_asker(struct call *call, const struct exchange_event *event);
void exchange_relay_reject(struct call *call, const struct exchange_event *event);
void exchange_undo(struct call *call, const struct exchange_event *event);
void exchange_forget(struct call *call, const struct exchange_event *event);
void exchange_lose(struct call *call, const struct exchange_event *event);

/* call_exchange_kept.c */
/* True: it has been taken over, and waits. */
bool exchange_keep(struct leg *leg, struct transaction *transaction);

/* call_exchange_own.c: what a request of our own has come to */
void exchange_own_answered(struct call *call, const struct exchange_event *event);
void exchange_own_refused(struct call *call, const struct exchange_event *event);
void exchange_own_again(struct call *call, const struct exchange_event *event);
/* `leg` has accepted an offer that its asker was told is refused: it is offered again what was before. */
void exchange_restore(struct call *call, struct leg *leg);
/* Until `retry` of the exchange is to be called. */
void exchange_wait(struct call *call);
/* After 491: `retry` is called when RFC 3261 section 14.1 lets us. False: it has been tried often enough. */
bool exchange_pause(struct call *call, struct leg *leg, void (*retry)(struct call *call));

/* call_exchange_message.c */
/* INVITE or UPDATE within the dialog; `source`: the other leg's request, or NULL. The transaction becomes the leg's client_invite or
 * the exchange's client. 0 or -errno. */
int exchange_send(struct leg *leg, enum sip_method method, const struct message *source, struct span body);
/* UPDATE without a description (RFC 3311, RFC 4028 section 7.4). */
int exchange_send_refresh(struct leg *leg, const struct transaction_events *events, struct transaction **out);
/* Final response to an UPDATE or PRACK; `extra`: header lines of ours. The transaction is let go. */
void exchange_respond(struct leg *leg, struct transaction *server, unsigned status,
	const struct message *from, struct span extra, struct span body);
/* ACK of the 2xx to our INVITE on that leg, if it is still remembered. */
void exchange_ack(struct leg *leg, struct span body);

extern const struct transaction_events exchange_asked_events;

#endif
