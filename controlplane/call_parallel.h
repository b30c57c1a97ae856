/* SPDX-License-Identifier: BSD-3-Clause */
/* Phones of one user that ring at the same time (RFC 3261 section 16.7): one INVITE for each contact of equal q, the first answer wins. One of
 * them is the call's callee; the others are branches beside it, which take its place when they have something to say that counts. */
#ifndef CONTROLPLANE_CALL_PARALLEL_H
#define CONTROLPLANE_CALL_PARALLEL_H

#include "controlplane/call_attempt.h"

/* The callee's INVITE has been sent: those go to the phones that are to ring with it. */
void parallel_begin(struct call *call);
/* Several are to ring, or do. */
bool parallel_is(const struct call *call);
/* The callee has refused or is lost, and its leg is empty: another one that still rings takes its place. False: there is none. */
bool parallel_go_on(struct call *call);
/* Another configuration (reconfigure.h). */
void parallel_move(struct call_attempts *attempts, struct config_move *move);
/* All branches are cancelled, with that Reason (or none). */
void parallel_end(struct call *call, struct span reason);

#endif
