/* SPDX-License-Identifier: BSD-3-Clause */
/* Reliable provisional responses (RFC 3262), on each leg alone.
 *
 * Both sides know 100rel: a reliable response of the callee is sent reliably to the caller, whose PRACK is relayed with its body, and
 * so is the 200 of that. Callee alone: its responses are acknowledged here, and relayed unreliably. Caller alone requires it: our
 * provisional responses to it are reliable, and its PRACK is answered here. */
#ifndef CONTROLPLANE_CALL_PRACK_H
#define CONTROLPLANE_CALL_PRACK_H

#include "controlplane/call_state.h"

/* From call_answer.c: is this provisional response of the callee a reliable one, in order and new? Acts on it (PRACK now, or with the
 * caller's). */
enum prack_verdict { PRACK_UNRELIABLE, PRACK_FRESH, PRACK_REPEATED, PRACK_OUT_OF_ORDER };
enum prack_verdict prack_provisional(
	struct call *call, struct transaction *invite, const struct message *response);
/* Header lines (Require, RSeq) if the response about to be sent to the caller is to be reliable; it is kept and repeated until PRACK. */
bool prack_reliable(struct leg *caller, unsigned status, struct span body, struct writer *out);
/* PRACK received: 481 if it acknowledges nothing (RFC 3262 section 3). Takes the transaction over. */
void prack_received(struct leg *leg, struct transaction *transaction, const struct message *prack);
/* The final response waits until reliable ones with a description are acknowledged (RFC 3262 section 3). */
bool prack_is_pending(const struct call *call);
void prack_fini(struct call *call);

#endif
