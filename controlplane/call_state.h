/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the call files: the call, its events, and what the files of the call layer do for each other. */
#ifndef CONTROLPLANE_CALL_STATE_H
#define CONTROLPLANE_CALL_STATE_H

#include "controlplane/admission.h"
#include "controlplane/call.h"
#include "controlplane/leg.h"
#include "controlplane/media.h"
#include "controlplane/shard.h"
#include "controlplane/timer_wheel.h"

enum {
	CALL_MESSAGE_MAX = 32768, /* a message of ours, body included */
	CALL_FORKS_MAX = 8, /* early dialogs of one INVITE that the caller is shown */
	CALL_MAX_FORWARDS = 70,
};

/* States of a call, by what it waits for. */
#define CALL_STATES(X)                                                                              \
	X(LEASING) /* media ports for the caller's offer */                                         \
	X(PROCEEDING) /* the callee's final response */                                             \
	X(ANSWER_LEASING) /* media ports for the offer in the callee's 2xx; its ACK is still due */ \
	X(ANSWER_HELD) /* the caller's PRACK, his 2xx being ready (RFC 3262 section 3) */           \
	X(ANSWERED) /* the caller's ACK */                                                          \
	X(HANGUP) /* the same, to hang up then (RFC 3261 section 15) */                             \
	X(ESTABLISHED) /* nothing */                                                                \
	X(CANCELLING) /* the callee's final response, the caller has got his */                     \
	X(ENDING) /* responses to BYE */                                                            \
	X(OVER) /* its end: freed when the stack has unwound */

enum call_state {
#define X(name) CALL_##name,
	CALL_STATES(X)
#undef X
		CALL_STATE_COUNT
};

#define CALL_EVENTS(X)                                                           \
	X(LEASED) /* the dataplane gave ports */                                 \
	X(LEASE_FAILED) /* status: what the caller gets */                       \
	X(PROVISIONAL) /* 101..199 from the callee: message */                   \
	X(ANSWER) /* 2xx from the callee: message */                             \
	X(REJECT) /* 300..699 from the callee: message, status */                \
	X(FAILED) /* no final response, or none that can be passed on: status */ \
	X(PRACKED) /* by the caller, a reliable response of ours */              \
	X(CANCEL) /* by the caller: message or NULL */                           \
	X(ACK) /* by the caller, of our 2xx: message */                          \
	X(NO_ACK) /* none within 64*T1 */                                        \
	X(BYE) /* from `side`: message, transaction */                           \
	X(BYE_DONE) /* a BYE of ours was answered, or never will be */           \
	X(TIMER) /* Timer C; max-call-duration */                                \
	X(BROKEN) /* media or a dialog is gone: end it; cause */

enum call_event_type {
#define X(name) CALL_EVENT_##name,
	CALL_EVENTS(X)
#undef X
		CALL_EVENT_COUNT
};

struct call_event {
	enum call_event_type type;
	unsigned side;
	unsigned status;
	const struct message *message;
	struct transaction *transaction;
	const char *cause; /* static text for the record */
};

/* An exchange of descriptions on its way through the call. */
enum exchange_state {
	EXCHANGE_NONE,
	EXCHANGE_LEASING, /* ports for its offer */
	EXCHANGE_SENT, /* the other side's final response */
	EXCHANGE_ANSWER_LEASING, /* ports for the offer in the 2xx; its ACK is still due */
	EXCHANGE_ANSWERED, /* the ACK */
	EXCHANGE_GIVEN_UP, /* the other side's final response; the asker has been refused */
	EXCHANGE_OWN, /* the final response to a re-INVITE of our own */
	EXCHANGE_PAUSED, /* after 491: our own request will be sent again */
	EXCHANGE_STATE_COUNT
};

struct exchange { /* owner: call_exchange.c */
	enum exchange_state state;
	struct leg *asker, *asked; /* in EXCHANGE_OWN there is no asker */
	enum sip_method asker_method, asked_method; /* INVITE, UPDATE, PRACK; of ourselves: UNKNOWN */
	struct transaction *server, *client; /* what is no INVITE: those are the legs' own */
	bool offerless; /* re-INVITE without a description */
	uint8_t offer_asked; /* bit per side: our last re-INVITE there was one; stays when the exchange is over */
	bool retargeted; /* a later request of the asker has said where it is (RFC 6141 section 4) */
	bool answered_here; /* nobody else was asked */
	unsigned attempts; /* of our own request */
	void (*done)(struct leg *leg, unsigned status, const struct message *response);
	void (*retry)(struct call *call); /* of a request of ours that got 491, to `retry_leg` */
	struct leg *retry_leg;
	struct timer timer;
	struct { /* an offer that waits for nothing but an ACK; owner: call_exchange_kept.c */
		struct transaction *transaction; /* NULL: none */
		struct leg *leg;
		struct timer timer; /* of an UPDATE */
	} kept;
	struct {
		struct transaction *client;
		void (*done)(struct leg *leg, unsigned status, const struct message *response);
	} refresh[LEGS]; /* UPDATEs without a description: they cross nothing */
};

/* How a dialog of this shard is found: our tag. */
struct call_tag {
	struct call_tag *next;
	struct leg *leg; /* NULL: not in the table */
	const char *text;
};

/* What an exchange within an early dialog has come to. */
struct call_agreement {
	unsigned side; /* that has offered */
	size_t offer_length, answer_length;
	char text[]; /* offer, answer */
};

/* An early dialog of the callee's side, and the one that the caller is shown for it. */
struct call_fork {
	struct call_fork *next;
	struct call *call;
	/* Those of the call itself for the first one, else `own`. LEG_CALLED is NULL when that attempt is over: the caller's early dialog
	 * stays. */
	struct leg *leg[LEGS];
	struct leg own[LEGS];
	struct call_tag tag; /* of own[LEG_CALLER] */
	char *answer; /* the callee's newest description in it; an offer where the INVITE had none */
	size_t answer_length;
	char *reply; /* the caller's answer to that offer */
	size_t reply_length;
	struct call_agreement *agreed; /* after these, by PRACK or UPDATE; or NULL */
	bool again; /* its own exchange waits for ports once more */
	bool answered; /* offer and answer are complete on the callee's leg: by a reliable response (RFC 3262), or its PRACK */
	bool settled; /* they are on the caller's leg */
	uint32_t remote_rseq; /* of the callee's last reliable response; 0: none */
	uint32_t rseq; /* of our last one to the caller; 0: none */
	struct prack_response *unacknowledged; /* ours, oldest first: that one is being repeated */
	struct prack_response *challenged; /* its PRACK has to come again, with credentials */
	struct prack_relay *relays; /* PRACKs on their way */
	struct timer timer;
	uint64_t interval_ms, waited_ms; /* of the repetition */
};

struct call {
	struct shard *shard;
	uint64_t id;
	enum call_state state;
	struct admission_ticket *admission; /* NULL: it counts nowhere */
	unsigned depth; /* call_happens under way */
	struct leg leg[LEGS];
	struct session_id session_id; /* made for a caller who has none; nil: he has */
	struct call_tag tag[LEGS];
	struct call_fork *forks; /* newest first; until the caller's ACK */
	unsigned fork_count; /* that the caller has been shown */
	struct { /* an offer in a reliable response: its ports are being leased */
		struct call_fork *fork; /* NULL: none */
		unsigned status;
		uint32_t rseq;
	} early;
	char *held; /* our 2xx, in ANSWER_HELD */
	size_t held_length;
	struct call_fork
		*media_fork; /* whose answer the media has been committed to before the 2xx; or NULL */
	struct media *media;
	struct call *next, *previous, *next_by_session;
	const struct config_local_policy *policy;
	struct transfer
		*transfer; /* REFER, and legs that go elsewhere; owner: call_transfer*.c; mostly NULL */
	struct carry *carry; /* it is made of legs of other calls; likewise */
	struct call_attempts *attempts; /* NULL: one agent, asked once; owner: call_attempt.c */
	bool offerless; /* INVITE without a description: the offer comes with the 2xx */
	bool ringing;
	bool reliable_only; /* the caller's INVITE requires 100rel */
	bool callee_answered; /* a 2xx of the callee has been taken: others are forks that lost */
	bool caller_answered; /* a 2xx has been sent to the caller */
	bool ack_due; /* the callee's 2xx has not been acknowledged yet */
	struct timer timer; /* Timer C, then max-call-duration */
	char *offer; /* a description put aside until its ports are there */
	size_t offer_length;
	struct exchange exchange;
	unsigned srtp_alarms; /* bit per side: what came from there was not authentic */
	unsigned srtp_logged; /* of these: it went on, and has been said */
	struct { /* owner: call_rekey.c */
		struct timer timer;
		unsigned side, stream;
		unsigned attempts; /* 0: no key has to be renewed */
		uint64_t last_ms; /* when one was; 0: never */
	} rekey;
	uint64_t started_ms, answered_ms, started_wall_ms;
	unsigned status; /* final response to the caller */
	const char *cause; /* of the end; static text */
	char *reason; /* of it, for a caller whose BYE waits for his ACK; or NULL */
	struct call_notes *notes; /* for its record; NULL: none is kept; owner: call_record.c */
};

/* The course of interim records through the calls of a shard. owner: call_interim.c */
struct call_interim {
	struct timer timer;
	struct call *next; /* whose turn it is; NULL: the first one's */
	uint64_t owed; /* to the calls, times milliseconds of a round */
	uint64_t allowed; /* by accounting.interim-rate, thousandths of a call */
};

/* call_table.c */
void call_dataplane_note(struct shard *shard, bool up);
int call_new(struct shard *shard, struct call **out); /* 0, -ENOBUFS (sip-config.max-calls), -ENOMEM */
void call_free(struct call *call); /* out of all tables, without a word to anybody */
void call_tag_insert(struct call_tag *tag, struct leg *leg, const char *text);
void call_tag_remove(struct call_tag *tag);
void call_session_insert(struct call *call);
void call_session_remove(struct call *call);
struct call *call_find_session(struct shard *shard, uint64_t session);
/* The leg whose dialog a request belongs to: our tag, Call-ID, the peer's tag all as they must be. NULL: 481. */
struct leg *call_find_leg(struct shard *shard, const struct scan *request);
/* call_fork.c: early dialogs. Both legs of an early dialog are found by call_find_leg as those of a call are. */
/* The early dialog that a response of the callee belongs to, made if there is none. NULL: too many, or no memory. */
struct call_fork *call_fork_take(struct call *call, const struct message *response);
struct call_fork *call_fork_find(const struct call *call, struct span remote_tag);
struct call_fork *call_fork_of(
	const struct leg *leg); /* NULL: none, the call is answered or has no early dialog yet */
/* The leg on the other side of the same call, or of the same early dialog; NULL if that attempt is over, or it is none of a call. */
struct leg *call_peer(const struct leg *leg);
/* It is answered: its dialogs become those of the call's legs, the others are forgotten. What an exchange has attached to legs that go
 * is aborted before (exchange_abort). */
void call_fork_wins(struct call_fork *fork);
/* The callee's leg is about to be replaced (call_attempt.c, before leg_fini): its early dialogs end, the caller's stay. */
void call_forks_stale(struct call *call);
/* False, and nothing done: PRACKs are on their way. `at_once`: they are given up. */
bool call_forks_free(struct call *call, bool at_once);

struct call *call_first(
	const struct shard *shard); /* by ascending number, on by `next`; NULL: there is none */
struct call_interim *call_interim(const struct shard *shard);
void call_each(struct shard *shard, void (*each)(struct call *call, void *arg),
	void *arg); /* `each` may end the call */

/* call.c */
void call_happens(struct call *call, const struct call_event *event);
void call_breaks(struct call *call, const char *cause);
void call_unsafe(struct call *call); /* the same for want of SRTP */
extern const struct media_events call_media_events;
/* Who is on a leg, as media_set_party has it. */
struct media_party call_party(const struct leg *leg);
/* The session description in a message; empty if it has none. */
struct span call_sdp(const struct message *message);
/* Timer C, or max-call-duration: CALL_EVENT_TIMER. */
void call_timer_arm(struct call *call, uint64_t delay_ms);
/* Keeps an offer until its ports are there (call->offer; NULL without memory). */
void call_put_aside(struct call *call, struct span offer);
void call_fill(const struct call *call, struct cp_call *out); /* for the API */

/* call_invite.c: the way of the first INVITE in and out */
void call_start(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source);
/* The same, but to the peer of a leg that another call has, in its dialog: the caller takes the place of that call's other leg. */
void call_start_instead(struct shard *shard, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source, struct leg *callee);
void invite_send(struct call *call, const struct call_event *event);
/* The INVITE to one of those who are asked; the argument of `events` is the leg. 0 or -errno. */
int invite_send_to(struct call *call, struct leg *leg, const struct transaction_events *events);
void invite_adopt(struct leg *leg); /* it was sent so, and is the callee's leg now */

/* call_early.c: provisional responses and their descriptions */
void invite_relay_provisional(struct call *call, const struct call_event *event);
void early_offer_leased(struct call *call, const struct call_event *event);
/* BYE in an early dialog: of the caller's, which ends it, with the last one the call; the callee's is refused (RFC 3261 section 15). */
void early_bye(struct call *call, const struct call_event *event);
/* The callee's answer in this early dialog becomes that of the call: before an offer that follows it (PRACK, UPDATE), and with the
 * 2xx. 0; or -errno: it has not been answered, or another exchange is under way. */
int early_commit(struct call_fork *fork);
/* An exchange of `side` in this early dialog is complete: early_commit comes back to it. */
void early_agreed(struct call_fork *fork, unsigned side, struct span offer, struct span answer);
/* The answer of a 2xx. `fork` may be NULL, `sdp` empty. 0; 1: once more after CALL_EVENT_LEASED; or -errno. */
int early_confirm(struct call *call, struct call_fork *fork, struct span sdp);
/* The callee's half of an early dialog does not answer (RFC 3261 section 12.2.1.2): with the last one the call ends, or its next attempt
 * begins. The early dialog may be gone afterwards. */
void early_lost(struct call_fork *fork, unsigned status);
/* A final response: no reliable one is repeated any more. */
void early_over(struct call *call);

/* call_answer.c: what becomes of it */
void invite_answer(struct call *call, const struct call_event *event);
void invite_answer_leased(struct call *call, const struct call_event *event);
void invite_answer_release(struct call *call, const struct call_event *event);
void invite_answer_given_up(struct call *call, const struct call_event *event);
void invite_reject(struct call *call, const struct call_event *event);
void invite_fail(struct call *call, const struct call_event *event);
void invite_cancel(struct call *call, const struct call_event *event);
void invite_no_answer(struct call *call, const struct call_event *event);
void invite_answer_late(struct call *call, const struct call_event *event);
void invite_acked(struct call *call, const struct call_event *event);

/* call_message.c */
/* Contact, Allow, Server, Record-Route of the request and what of `from` may cross, then body; sends it to the server
 * transaction of the leg. `from` may be NULL. 0; or -errno, and what should have been a final response has become a 500. */
int invite_respond(
	struct leg *leg, unsigned status, const char *tag, const struct message *from, struct span body);
/* The same in two steps. `extra`: complete header lines. 0 or -EMSGSIZE. */
int invite_write(struct leg *leg, unsigned status, const char *tag, const struct message *from,
	struct span extra, struct span body, struct writer *out);
int invite_send_written(struct leg *leg, unsigned status, const char *tag, struct span text);
/* Supported: the options that work in what is being written, one row each (call_message.c). */
enum options_place {
	OPTIONS_INVITE = 1,
	OPTIONS_REINVITE = 2, /* and UPDATE */
	OPTIONS_RESPONSE = 4,
};
void leg_options(const struct leg *leg, enum options_place place, struct writer *out);
/* ACK of a 2xx to our INVITE on that leg. `body` may be empty. */
void invite_ack(struct leg *leg, struct transaction *invite, struct span to_tag, struct span body);
/* What an ACK must say when an offer in the 2xx comes to nothing (RFC 3261 section 13.2.2.4). Empty if `offer` is none. */
struct span invite_refusal(const struct leg *leg, struct span offer, struct writer *out);
/* The INVITE of the call on `leg`, `source` being the other leg's. 0 or -errno. */
int invite_request(struct leg *leg, const struct message *source, unsigned max_forwards, struct span body,
	const struct transaction_events *events);

/* call_bye.c */
void bye_accept(struct call *call, const struct call_event *event); /* answers 200 */
void bye_relay(struct call *call, const struct call_event *event); /* and hangs up on the other side */
void bye_wait(struct call *call, const struct call_event *event); /* and waits for the caller's ACK */
void bye_instead_of_cancel(struct call *call, const struct call_event *event);
void bye_both(struct call *call, const struct call_event *event);
void bye_callee(struct call *call, const struct call_event *event);
void bye_caller(struct call *call, const struct call_event *event);
void bye_done(struct call *call, const struct call_event *event);
void bye_send(struct leg *leg, struct span reason);
/* As transaction_core has it: a fork's answer after the call, or after a later INVITE of the leg. */
void bye_unclaimed(
	struct shard *shard, struct transaction *invite, const struct message *answer, bool in_dialog);
/* A dialog that nobody wants: a fork that lost the race. */
void bye_fork(struct leg *leg, struct transaction *invite, const struct message *answer);

extern const char call_no_srtp[]; /* cause: SRTP was not agreed on where it has to be */

/* call_reason.c */
enum { CALL_REASON_MAX = 256 };
/* Value of the Reason that goes to the other side, or to both: that of a BYE or CANCEL without its text, or our own by event and status.
 * Empty: none. */
struct span call_reason(const struct call_event *event, struct writer *out);
/* Of our own reasons the one that a final response may say (RFC 6432), or NULL. */
const char *call_reason_q850(const struct call_event *event);

/* call_record.c */
void call_record_begin(struct call *call); /* with the call */
void call_record_invited(struct call *call, const struct message *invite);
/* An event that the call takes, before it does. */
void call_record_note(struct call *call, const struct call_event *event);
/* Before the caller is told: from here on a crash of this process does not lose the record. */
void call_record_answered(struct call *call);
void call_record_end(
	struct call *call); /* closes the media and logs the record when the counters have come */
/* The call goes on: what is known of it, written anew. `info` NULL: it has no media. */
void call_record_interim(const struct call *call, const struct dp_session_info *info);

/* call_interim.c. A call has been answered: from now on there may be something to write. */
void call_interim_wake(struct shard *shard);

void call_store(struct call *call); /* what a restart needs, into the session's blob */

#endif
