/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners of another configuration: which of those that there are go on, which are added and have their sockets opened in advance, which leave. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/shard_internal.h"
#include "controlplane/stream.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

/* All that there ever were since the process has started: whoever remembers one may do so for ever. */
enum { LISTENERS_MAX = 4096, MS_PER_SECOND = 1000 };

struct planned {
	struct listener *listener;
	const struct config_sip_interface *interface;
	int fd; /* opened in advance; negative: none */
	unsigned device;
};

struct transport_plan {
	struct listener **by_index, **active; /* as in struct transport, with room for all */
	size_t known; /* listeners that there were before; by_index[known] and on are added */
	size_t total;
	struct udp_inbox *inbox; /* NULL: the one there is will do */
	size_t count;
	struct planned planned[]; /* in the order of the file */
};

int transport_lists_make(struct listener ***by_index, struct listener ***active, size_t count)
{
	*by_index = calloc(count + 1, sizeof(struct listener *));
	*active = calloc(count + 1, sizeof(struct listener *));
	return *by_index && *active ? 0 : -ENOMEM;
}

/* --- who has gone ------------------------------------------------------------------------------------------------------- */

/* What those who remember a listener that is closed see of it: nothing of any configuration. */
static char nothing[] = "";
static const struct config_network_interface no_network = { .name = nothing };
static const struct config_realm no_realm = { .name = nothing, .network_interface = &no_network };
static const struct config_ip_profile no_profile = { .name = nothing, .early_media = nothing };
static const struct config_sip_interface nobodys = { .name = nothing,
	.realm = &no_realm,
	.ip_profile = &no_profile,
	.allow_anonymous = CONFIG_ANONYMOUS_AGENTS };

void listener_gone(struct listener *listener)
{
	log_notice("transport", "listener closed: it is not configured any more",
		LOG_TEXT("sip-interface", listener->interface->name),
		LOG_TEXT("transport", transport_via_name(listener->transport)),
		LOG_ADDRESS("address", &listener->address), LOG_UINT("shard", listener->shard->index));
	listener->interface = &nobodys;
	__atomic_store_n(&listener->gone, true, __ATOMIC_RELEASE);
}

/* --- in advance --------------------------------------------------------------------------------------------------------- */

static bool is_stream(enum config_transport transport)
{
	return transport != CONFIG_TRANSPORT_UDP;
}

static struct listener *find(
	struct listener *const *listeners, size_t count, const struct config_endpoint *endpoint)
{
	for (size_t i = 0; i < count; i++)
		if (listeners[i]->transport == endpoint->transport &&
			address_equal(&listeners[i]->address, &endpoint->address))
			return listeners[i];
	return NULL;
}

/* Another of ours listens at that port, by another transport: it will have to give way first. */
static bool is_taken_by_us(const struct transport *transport, const struct listener *listener)
{
	for (size_t i = 0; i < transport->listener_count; i++) {
		const struct listener *other = transport->listener[i];

		if (other != listener && is_stream(other->transport) && is_stream(listener->transport) &&
			address_equal(&other->address, &listener->address))
			return true;
	}
	return false;
}

/* The address or the mirror may come yet: the watch tries again. */
static bool may_mend(int error)
{
	return error == -EADDRNOTAVAIL || error == -ENETUNREACH || socket_device_is_gone(-error);
}

static int refuse(const struct planned *planned, int error, struct writer *why)
{
	static const char *const words[] = {
		[CONFIG_TRANSPORT_UDP] = "udp", [CONFIG_TRANSPORT_TCP] = "tcp", [CONFIG_TRANSPORT_TLS] = "tls"
	};
	char text[ADDRESS_TEXT_MAX];

	writer_format(why, "sip-interface %s.listen: %s:%s: %s\n", planned->interface->name,
		words[planned->listener->transport], address_print(&planned->listener->address, text),
		strerror(-error));
	return -EINVAL;
}

static int open_in_advance(struct planned *planned, struct writer *why)
{
	struct listener probe = *planned->listener;
	bool stream = is_stream(probe.transport);
	int fd;

	probe.interface = planned->interface;
	fd = socket_open(
		&probe, stream ? SOCK_STREAM : SOCK_DGRAM, address_port(&probe.address), &planned->device);
	if (fd >= 0 && stream && listen(fd, STREAM_BACKLOG) < 0) {
		int error = -errno;

		close(fd);
		fd = error;
	}
	if (fd < 0)
		return may_mend(fd) ? 0 : refuse(planned, fd, why);
	planned->fd = fd;
	return 0;
}

static int plan_one(struct shard *shard, struct transport_plan *plan,
	const struct config_sip_interface *interface, const struct config_endpoint *endpoint,
	struct writer *why)
{
	const struct transport *transport = shard->transport;
	struct planned *planned = &plan->planned[plan->count];
	struct listener *listener = find(plan->by_index, plan->total, endpoint);

	*planned = (struct planned){ .interface = interface, .fd = -1 };
	if (!listener && plan->total == LISTENERS_MAX) {
		writer_format(why,
			"sip-interface %s.listen: %d listen addresses have come and gone: a restart is "
			"needed\n",
			interface->name, LISTENERS_MAX);
		return -EINVAL;
	}
	if (!listener) {
		listener = listener_new(shard, plan->total, interface, endpoint);
		if (!listener)
			return -ENOMEM;
		plan->by_index[plan->total++] = listener;
	}
	planned->listener = listener;
	plan->count++;
	if (shard->private->capture || is_taken_by_us(transport, listener))
		return 0;
	if (listener->index < plan->known && !__atomic_load_n(&listener->gone, __ATOMIC_ACQUIRE))
		return 0;
	return open_in_advance(planned, why);
}

static size_t count_endpoints(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		count += config->sip_interfaces[i].listen_count;
	return count;
}

int transport_prepare(struct shard *shard, const struct config_move *move, struct writer *why)
{
	const struct config *next = config_move_to(move);
	struct transport *transport = shard->transport;
	size_t count = count_endpoints(next);
	struct transport_plan *plan = calloc(1, sizeof(*plan) + count * sizeof(struct planned));
	int error = plan ? 0 : -ENOMEM;

	if (!plan)
		return error;
	transport->plan = plan;
	error = transport_lists_make(&plan->by_index, &plan->active, transport->listener_count + count);
	if (error)
		return error;
	plan->known = plan->total = transport->listener_count;
	if (plan->known)
		memcpy(plan->by_index, transport->listener, plan->known * sizeof(struct listener *));
	if (next->sip.max_message_udp != shard->config->sip.max_message_udp) {
		plan->inbox = udp_inbox_new(next->sip.max_message_udp);
		error = plan->inbox ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < next->sip_interfaces_count; i++) {
		const struct config_sip_interface *interface = &next->sip_interfaces[i];

		for (size_t n = 0; n < interface->listen_count && !error; n++)
			if (transport_serves(interface->listen[n].transport))
				error = plan_one(shard, plan, interface, &interface->listen[n], why);
	}
	return error;
}

static void plan_free(struct transport_plan *plan)
{
	free(plan->by_index);
	free(plan->active);
	free(plan->inbox);
	free(plan);
}

void transport_abort(struct shard *shard)
{
	struct transport_plan *plan = shard->transport ? shard->transport->plan : NULL;

	if (!plan)
		return;
	shard->transport->plan = NULL;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->planned[i].fd >= 0)
			close(plan->planned[i].fd);
	for (size_t i = plan->known; plan->by_index && i < plan->total; i++)
		listener_free(plan->by_index[i]);
	plan_free(plan);
}

/* --- the change --------------------------------------------------------------------------------------------------------- */

static void stay(struct listener *listener, const struct planned *planned)
{
	listener->interface = planned->interface;
	listener->leaving = listener->yielded = listener->closing = false;
	__atomic_store_n(&listener->gone, false, __ATOMIC_RELEASE);
	if (planned->fd < 0)
		return;
	listener->ready = planned->fd;
	listener->ready_device = planned->device;
}

static bool is_wanted(const struct transport_plan *plan, const struct listener *listener)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->planned[i].listener == listener)
			return true;
	return false;
}

/* Whoever connects to its port from now on means the one that is configured there. */
static bool is_yielded(const struct transport_plan *plan, const struct listener *listener)
{
	for (size_t i = 0; i < plan->count && is_stream(listener->transport); i++) {
		const struct listener *other = plan->planned[i].listener;

		if (is_stream(other->transport) && address_equal(&other->address, &listener->address))
			return true;
	}
	return false;
}

static void leave(struct listener *listener, const struct transport_plan *plan, const struct config *next)
{
	if (!listener->leaving) {
		listener->leaving = true;
		listener->used_ms = clock_now_ms();
		listener->leaves_ms = listener->used_ms + (uint64_t)next->sip.drain_time * MS_PER_SECOND;
	}
	listener->yielded = is_yielded(plan, listener);
	if (listener->yielded)
		stream_listen_fini(listener);
}

static void plan_carry_out(
	struct transport *transport, struct transport_plan *plan, const struct config *next)
{
	struct listener **by_index = transport->listener, **active = transport->active;
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++) {
		stay(plan->planned[i].listener, &plan->planned[i]);
		plan->active[count++] = plan->planned[i].listener;
	}
	transport->configured = count;
	for (size_t i = 0; i < transport->active_count; i++)
		if (!is_wanted(plan, active[i])) {
			leave(active[i], plan, next);
			plan->active[count++] = active[i];
		}
	transport->active_count = count;
	transport->listener = plan->by_index;
	transport->active = plan->active;
	transport->listener_count = plan->total;
	plan->by_index = by_index;
	plan->active = active;
	if (plan->inbox) {
		struct udp_inbox *inbox = transport->inbox;

		transport->inbox = plan->inbox;
		plan->inbox = inbox;
	}
}

void transport_move(struct shard *shard, struct config_move *move)
{
	struct transport *transport = shard->transport;

	if (transport->plan)
		plan_carry_out(transport, transport->plan, config_move_to(move));
	for (size_t i = 0; i < transport->active_count; i++)
		config_move_sip_interface(move, &transport->active[i]->interface);
	transport_options_move(shard, move);
}

void transport_settle(struct shard *shard)
{
	struct transport_plan *plan = shard->transport->plan;

	shard->transport->plan = NULL;
	if (plan)
		plan_free(plan);
}
