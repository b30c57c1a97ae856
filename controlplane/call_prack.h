/* SPDX-License-Identifier: BSD-3-Clause */
/* Reliable provisional responses (RFC 3262), on each leg alone.
 *
 * Both sides know 100rel: a reliable response of the callee is sent reliably to the caller, whose PRACK is relayed with its body, and
 * so is the 200 of that. Callee alone: its responses are acknowledged here, and relayed unreliably. Caller alone requires it: our
 * provisional responses to it are reliable, and its PRACK is answered here. docs/decisions/0050-early-dialogs.md. */
#ifndef CONTROLPLANE_CALL_PRACK_H
#define CONTROLPLANE_CALL_PRACK_H

#include "controlplane/call_state.h"

/* Is this provisional response of the callee a reliable one, in order and new? FRESH ones are to be acknowledged: by prack_send, or
 * with the caller's PRACK. */
enum prack_verdict { PRACK_UNRELIABLE, PRACK_FRESH, PRACK_REPEATED, PRACK_OUT_OF_ORDER };
enum prack_verdict prack_provisional(struct call_fork *fork, const struct message *response);
/* PRACK of the callee's last reliable response, at once and of our own. */
void prack_send(struct call_fork *fork);

/* A reliable provisional response to the caller, kept and repeated until its PRACK. */
struct prack_reliable {
	unsigned status;
	const struct message *from; /* whose headers cross; may be NULL */
	struct span body;
	bool offer; /* the body is an offer: the PRACK must answer it */
	uint32_t
		callee_rseq; /* of the callee's, which is acknowledged with the caller's PRACK; 0: nothing is */
};
void prack_respond(struct call_fork *fork, const struct prack_reliable *reliable);
/* PRACK received: 481 if it acknowledges nothing (RFC 3262 section 3). Takes the transaction over. */
void prack_received(struct leg *leg, struct transaction *transaction, const struct message *prack);
/* Ports for an offer in a PRACK have come, or not. False: none waited for them. */
bool prack_ready(struct call *call, int status);
/* The 2xx waits until reliable responses with a description are acknowledged (RFC 3262 section 3). */
bool prack_is_pending(const struct call_fork *fork);
/* PRACKs are on their way, or may still come. */
bool prack_is_under_way(const struct call_fork *fork);
/* The final response has been sent: nothing is repeated any more. */
void prack_settled(struct call_fork *fork);
/* The caller will not acknowledge anything in it any more: what waits for that is forgotten, an offer with it. */
void prack_give_up(struct call_fork *fork);
/* The callee's half of the early dialog goes: what was on its way there is answered here. */
void prack_stale(struct call_fork *fork);
void prack_fini(struct call_fork *fork);

#endif
