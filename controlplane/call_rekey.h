/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of SRTP that come to their end within a call (RFC 3711 section 9.2): renewed with the one side by a request of our own, or the call
 * ends before them. owner: the shard's thread. */
#ifndef CONTROLPLANE_CALL_REKEY_H
#define CONTROLPLANE_CALL_REKEY_H

#include "controlplane/call_state.h"

/* Nine tenths of a key of that side are used. May end the call. */
void rekey_needed(struct call *call, unsigned side, unsigned stream);
/* What the request came to (call_exchange_own.c). May end the call. */
void rekey_done(struct leg *leg, unsigned status, const struct message *response);
/* The answer in its 2xx: 0 or -errno, the call cannot go on. */
int rekey_answered(struct call *call, struct leg *leg, struct span body);

#endif
