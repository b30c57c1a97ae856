/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of registered phones to the session-agent they are registered at: what their registrar has asked of them, and what its refusals
 * say of their bindings. */
#ifndef CONTROLPLANE_REGISTRAR_PHONE_H
#define CONTROLPLANE_REGISTRAR_PHONE_H

#include "controlplane/leg.h"

/* `to` is about to send the first request of `phone`, the sender's leg: it takes the route that their registrar gave at registration
 * (Service-Route, RFC 3608 section 5), if it is that agent and the sender a registered phone. After leg_init_client. 0 or -errno. */
int registrar_phone_route(struct leg *to, const struct leg *phone);

/* `status` is the final answer of `agent` (NULL is fine) to a request of `phone`. 401, 403 and 407 of its registrar may mean that it knows the phone no
 * longer: its next REGISTER is not answered from cache. */
void registrar_phone_answered(
	const struct leg *phone, const struct config_session_agent *agent, unsigned status);

#endif
