/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers after the first one (RFC 3264, RFC 6337): re-INVITE, UPDATE, and PRACK that carries an offer, relayed from the side that
 * asks to the other with its answer, by the method that the other side understands. One at a time in a call; a crossing one gets
 * 491 (RFC 3261 section 14.2). What fails leaves both sides and the media as they were (RFC 6141). Also the requests of our own
 * that change nothing: refreshes (RFC 4028). */
#ifndef CONTROLPLANE_CALL_EXCHANGE_H
#define CONTROLPLANE_CALL_EXCHANGE_H

#include "controlplane/call_state.h"

/* A re-INVITE or UPDATE of `leg`'s dialog, established or early, with or without a description. Takes the transaction over. */
void exchange_received(struct leg *leg, struct transaction *transaction, const struct message *request);
/* PRACK with an offer that is not relayed as PRACK (the other side sent no reliable response): the answer goes into its 200. */
void exchange_received_prack(struct leg *leg, struct transaction *transaction, const struct message *prack);
bool exchange_is_under_way(const struct call *call);
/* How long a request of ours on that leg waits after 491 (RFC 3261 section 14.1). */
uint32_t exchange_glare_delay_ms(const struct leg *leg);
/* Refresh of a leg's session: UPDATE where its peer allows it, else re-INVITE with the description it was last sent. 0, -EBUSY (an
 * exchange is under way: the caller tries again), -errno. `done` is called once with the final status, 408 if none came. */
int exchange_refresh(
	struct leg *leg, void (*done)(struct leg *leg, unsigned status, const struct message *response));
/* A key of ours for that leg's stream is used up: offered anew, by UPDATE or re-INVITE, to that leg alone. 0, -EBUSY, -errno; rekey_done is
 * called once as above. */
int exchange_rekey(struct leg *leg, unsigned stream);
void exchange_ready(struct call *call, int status); /* its ports have come, or not */
/* The ACK has come that a request was kept for; this must be the caller's last deed. */
void exchange_resume(struct call *call);
/* It never will: the kept request gets `status`. */
void exchange_refuse_kept(struct call *call, unsigned status);
void exchange_abort(struct call *call); /* the call ends: what is pending gets 487 */
void exchange_fini(struct call *call); /* lets go of transactions and timers, without a word */

#endif
