/* SPDX-License-Identifier: BSD-3-Clause */
/* The sips scheme (RFC 3261 section 26.2, RFC 5630): what is asked for by it goes by TLS on every hop, or is told that it cannot. */
#ifndef CONTROLPLANE_SIPS_H
#define CONTROLPLANE_SIPS_H

#include "controlplane/message.h"
#include "platforms/base/span.h"

struct leg;

bool sips_is(struct span uri);
/* The Request-URI is a sips URI. */
bool sips_requested(const struct message *request);

/* What a request that begins something deserves for its scheme: 0; 416: sips that did not come by TLS; 400: sips whose Contact is not
 * (RFC 5630 section 5.1.1.1), with the Warning that says so, a complete line. */
unsigned sips_refuse(const struct message *request, struct writer *warning);

/* True of a dialog in which our Contact has to be sips: a request that makes it says so by its URI, its first Record-Route, or, without
 * that, its Contact (RFC 3261 section 12.1.1). */
bool sips_dialog(const struct message *request);

/* A leg towards a peer, its profile and listener known, `sips` as the caller asked. It becomes plain where the profile terminates sips.
 * 0; -EPROTO: it must not go there (RFC 5630 section 5.3: 480 with sips_warning_not_allowed). */
int sips_admit(struct leg *leg);
/* The same of a target that a peer has registered or named. In a leg that is not sips, a sips target becomes sip (RFC 5630 section 5.3). */
int sips_aim(const struct leg *leg, char *target);

/* A REGISTER for a sips URI may be asked of that registrar. */
bool sips_may_register(const struct message *request, const struct config_session_agent *registrar);

/* Warning: 380 with our address of that flow, a complete line. */
void sips_warning_not_allowed(const struct sip_flow *flow, struct writer *out);
extern const char sips_not_allowed[]; /* cause of a call's end that goes with it */

#endif
