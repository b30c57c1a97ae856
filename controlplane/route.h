/* SPDX-License-Identifier: BSD-3-Clause */
/* Routing: which local-policy takes a call, and which session-agent a request comes from. Functions of the immutable configuration, and of
 * what DNS has told of agents that are configured by name. */
#ifndef CONTROLPLANE_ROUTE_H
#define CONTROLPLANE_ROUTE_H

#include "config/model.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

struct shard;

enum {
	ROUTE_USER_MAX = 128
}; /* longest user part that is matched; bounds the time of the regular expressions */

/* The policy for a call that came in on realm `from`: lowest priority number first, equal ones in the order of the file; its
 * from-realm is `from` or not set, its expressions match the user parts of From and of the request URI (percent escapes
 * as on the wire). 0 and *policy (borrowed from `config`); -ENOENT: nobody wants it; -ENAMETOOLONG: a user part over
 * ROUTE_USER_MAX; -EINVAL: a NUL in it. */
int route_find(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_local_policy **policy);

/* The same, but only a policy that leads to `agent`, by itself or in its session-group. Errors as above. */
int route_find_to(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_session_agent *agent,
	const struct config_local_policy **policy);

/* The same for a REGISTER: policies for registered phones (next-hop = registration) do not count. Errors as above. */
int route_find_registrar(const struct config *config, const struct config_realm *from, struct span from_user,
	struct span to_user, const struct config_local_policy **policy);

/* The session-agent whose configured address or name is that of a URI (port 0: the default), or whose name leads to that address. NULL:
 * none. */
const struct config_session_agent *route_agent_by_uri(
	const struct shard *shard, struct span host, uint16_t port);

struct sip_flow;

/* Whose request it is that came by this flow. By TLS: the one whose certificate has been shown, wherever it comes from. By its address, as
 * route_agent_by_source, an agent is known only where nothing better can be asked for: not one with a tls-subject, not one that
 * speaks TLS without TLS, and by TLS nobody whose certificate the profile would have checked. NULL: a stranger. */
const struct config_session_agent *route_agent_by_flow(
	const struct shard *shard, const struct sip_flow *flow);

/* The session-agent of `realm` whose configured address is that of `source` (the host: requests need not come from the port
 * they are sent to), the one with the same port if there are several; if there is none, the one whose name leads there.
 * NULL: a stranger. It says what to expect of a source, not who it is: route_agent_by_flow. */
const struct config_session_agent *route_agent_by_source(
	const struct shard *shard, const struct config_realm *realm, const union address *source);

#endif
