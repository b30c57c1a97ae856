/* SPDX-License-Identifier: BSD-3-Clause */
/* Registered phones towards their registrar: Service-Route, and refusals that make a binding doubtful. */
#include "controlplane/registrar_phone.h"

#include <string.h>

/* The phone's binding at this agent; a reference, or NULL. */
static struct binding *binding_at(const struct leg *phone, const struct config_session_agent *agent)
{
	struct location *location = phone->shard ? phone->shard->shared.location : NULL;
	struct binding *binding = location && agent && phone->phone[0]
					  ? location_by_token(location, span_from(phone->phone))
					  : NULL;

	if (binding && binding->agent == agent)
		return binding;
	binding_put(binding);
	return NULL;
}

int registrar_phone_route(struct leg *to, const struct leg *phone)
{
	struct binding *binding = binding_at(phone, to->agent);
	int error = 0;

	if (binding && binding->service_route.n)
		error = leg_preload(to, binding->service_route);
	binding_put(binding);
	return error;
}

void registrar_phone_answered(
	const struct leg *phone, const struct config_session_agent *agent, unsigned status)
{
	struct binding *binding;

	if (status != 401 && status != 403 && status != 407)
		return;
	/* A challenge to credentials of ours says nothing of the phone. */
	if (status != 403 && agent && agent->username && agent->username[0])
		return;
	binding = binding_at(phone, agent);
	if (binding)
		__atomic_store_n(&binding->doubtful, 1, __ATOMIC_RELAXED);
	binding_put(binding);
}
