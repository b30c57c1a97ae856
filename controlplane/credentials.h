/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials that we hold for a session-agent (username, password): its challenges to requests of ours, and what is written into
 * later requests of the same dialog (RFC 3261 section 22). */
#ifndef CONTROLPLANE_CREDENTIALS_H
#define CONTROLPLANE_CREDENTIALS_H

#include <stdbool.h>

#include "controlplane/leg.h"

struct credentials;

/* 401 or 407 to a request of ours on that leg. True: the next request of the leg carries an answer, so the request is to be sent
 * again (the same dialog, the next CSeq). False: the agent has no credentials here, the challenge cannot be answered, or it is the
 * refusal of an answer. */
bool credentials_take(struct leg *leg, const struct message *response);
/* Authorization and Proxy-Authorization of a request that is being written; leg_request_begin does it. `uri` as in its first line.
 * An ACK repeats what its INVITE had (RFC 3261 section 22.1). */
void credentials_write(struct leg *leg, enum sip_method method, struct span uri, struct writer *out);
/* Another leg of the same peer shares them: nonces are counted together. */
struct credentials *credentials_share(struct credentials *credentials);
void credentials_free(struct credentials *credentials); /* NULL is nothing */

#endif
