/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a call goes: the local-policy's agent, the members of its session-group one after the other (strategy, retry-on), the contacts
 * of a 3xx, and again with credentials when a trunk asks for them (401, 407; session-agent username and password). */
#ifndef CONTROLPLANE_CALL_ATTEMPT_H
#define CONTROLPLANE_CALL_ATTEMPT_H

#include "controlplane/call_state.h"

/* The first one: sets policy, the callee's leg and its flow. 0 or the status the caller deserves. */
unsigned attempt_first(struct call *call, const struct message *invite, const char **cause);
/* The callee refused, redirected, or did not answer at all: is there another one to ask? True: it has been asked (a new leg, a new
 * INVITE), the call goes on in CALL_PROCEEDING or CALL_LEASING. False: the event stands. */
bool attempt_next(struct call *call, const struct call_event *event);
void attempt_fini(struct call *call);

#endif
