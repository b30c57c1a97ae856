/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a request for a registered phone goes (RFC 3261 section 16.5, RFC 3327 section 5.2). */
#include <string.h>

#include "controlplane/registrar_internal.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

struct sip_flow registrar_flow(struct shard *shard, const struct binding *binding)
{
	struct sip_flow flow = { .listener = transport_listener(shard, binding->flow.listener),
		.remote = binding->flow.remote,
		.connection = binding->flow.connection };

	/* Behind its NAT nobody can connect to it: its connection or nothing. */
	if (flow.listener && listener_is_reliable(flow.listener))
		address_set_port(&flow.remote, 0);
	return flow;
}

void registrar_unreachable(struct shard *shard, struct binding *binding)
{
	uint32_t reachable = 0;

	(void)shard;
	__atomic_compare_exchange_n(
		&binding->unreachable, &reachable, 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void registrar_connection_lost(struct shard *shard, const struct sip_flow *flow)
{
	if (shard->shared.location &&
		listener_interface(flow->listener)->registration != CONFIG_REGISTRATION_OFF &&
		location_flow_lost(shard->shared.location, flow))
		log_debug("registrar", "a phone's connection has ended", LOG_ADDRESS("flow", &flow->remote));
}

static bool is_there(struct shard *shard, const struct binding *binding)
{
	struct sip_flow flow = registrar_flow(shard, binding);

	return flow.listener && !listener_is_leaving(flow.listener) &&
	       !__atomic_load_n(&binding->unreachable, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED) > clock_wall_ms() &&
	       (!listener_is_reliable(flow.listener) || flow.connection);
}

/* Our Contact at the registrar, or the Path that we have added. */
static struct binding *by_token(
	const struct shard *shard, const struct message *request, const struct sip_uri *uri)
{
	struct location *location = shard->shared.location;
	struct span value, parameter;
	struct binding *found = NULL;
	struct name_addr route;
	struct sip_uri first;

	if (message_header(request, SPAN("Route"), 0, &value) && name_addr_parse(value, &route) == 0 &&
		sip_uri_parse(route.uri, &first) == 0 && first.user.n)
		found = location_by_path(location, first.user, message_scan(request)->request_uri);
	if (!found && uri->user.n)
		found = location_by_token(location, uri->user);
	if (!found && register_parameter(uri->parameters, SPAN("reg"), &parameter))
		found = location_by_token(location, parameter);
	return found;
}

/* Those that are there stay, in their order. */
static size_t keep_reachable(struct shard *shard, struct binding **out, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_there(shard, out[i]))
			out[kept++] = out[i];
		else
			binding_put(out[i]);
	}
	return kept;
}

size_t registrar_targets_of(
	struct shard *shard, struct span user, struct binding **out, size_t limit, unsigned *status)
{
	char text[REGISTRAR_AOR_MAX];
	struct writer normal;
	size_t count = 0;

	writer_init(&normal, text, sizeof(text));
	if (shard->shared.location && sip_user_normal(user, &normal) == 0)
		count = location_known_user(shard->shared.location, writer_result(&normal), out, limit);

	*status = count ? 480 : 404;
	return keep_reachable(shard, out, count);
}

size_t registrar_targets(struct shard *shard, const struct message *request, struct binding **out,
	size_t limit, unsigned *status)
{
	struct sip_uri uri;

	*status = 404;
	if (!shard->shared.location || limit == 0 || message_request_uri(request, &uri))
		return 0;
	out[0] = by_token(shard, request, &uri);
	if (!out[0])
		return registrar_targets_of(shard, uri.user, out, limit, status);
	*status = 480;
	return keep_reachable(shard, out, 1);
}
