/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners of a shard: which there are, which serves whom, and the watch that opens what could not be opened yet. */
#include "controlplane/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/call.h"
#include "controlplane/shard_internal.h"
#include "controlplane/stream.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

/* A mirror comes and goes with the dataplane process: these bound how long its return goes unnoticed. */
enum {
	WATCH_DOWN_MS = 200,
	WATCH_UP_MS = 1000,
	DEFAULT_PORT = 5060,
	DEFAULT_TLS_PORT = 5061,
	LINGER_T1 = 64
};

static void watch_expired(struct timer *timer, void *arg);

/* What each transport does for its listeners. */
bool listener_is_secure(const struct listener *listener)
{
	return listener->transport == CONFIG_TRANSPORT_TLS || listener->transport == CONFIG_TRANSPORT_WSS;
}

static const struct {
	int (*init)(struct listener *listener);
	void (*fini)(struct listener *listener);
	bool (*is_open)(const struct listener *listener);
	void (*watch)(struct listener *listener);
	int (*adopt)(struct listener *listener, int fd, unsigned device);
	void (*move)(struct listener *listener);
	void (*close)(struct listener *listener);
} kinds[CONFIG_TRANSPORT_WSS + 1] = {
	[CONFIG_TRANSPORT_UDP] = { udp_init, udp_fini, udp_is_open, udp_watch, udp_adopt, udp_move,
		udp_close },
	[CONFIG_TRANSPORT_TCP] = { NULL, stream_listen_fini, stream_listen_is_open, stream_listen_watch,
		stream_listen_adopt, stream_listen_move, stream_listen_close },
	[CONFIG_TRANSPORT_TLS] = { NULL, stream_listen_fini, stream_listen_is_open, stream_listen_watch,
		stream_listen_adopt, stream_listen_move, stream_listen_close },
};

static void watch_arm(struct transport *transport)
{
	uint32_t down = 0;

	for (size_t i = 0; i < transport->configured; i++) {
		const struct listener *listener = transport->active[i];

		down += !kinds[listener->transport].is_open(listener);
	}
	__atomic_store_n(&transport->listeners_down, down, __ATOMIC_RELAXED);
	timer_arm(transport->shard->timers, &transport->watch, down ? WATCH_DOWN_MS : WATCH_UP_MS,
		watch_expired, transport);
}

/* Dialogs have gone, and whoever repeats his last message has given up; or there was time enough for all that. */
static bool is_over(struct listener *listener)
{
	struct shard *shard = listener->shard;
	uint64_t now = clock_now_ms(), linger = (uint64_t)LINGER_T1 * shard->config->sip.t1_ms;

	if (call_uses_listener(shard, listener))
		listener->used_ms = now;
	if (!listener->closing && now >= listener->leaves_ms) {
		listener->closing = true;
		call_hang_up_listener(shard, listener);
	}
	return now >= listener->used_ms + linger || now >= listener->leaves_ms + linger;
}

static void leave(struct transport *transport)
{
	size_t kept = transport->configured;

	for (size_t i = transport->configured; i < transport->active_count; i++) {
		struct listener *listener = transport->active[i];

		if (is_over(listener)) {
			kinds[listener->transport].close(listener);
			listener_gone(listener);
		} else {
			transport->active[kept++] = listener;
		}
	}
	transport->active_count = kept;
}

static void watch_expired(struct timer *timer, void *arg)
{
	struct transport *transport = arg;

	(void)timer;
	for (size_t i = 0; i < transport->active_count; i++)
		kinds[transport->active[i]->transport].watch(transport->active[i]);
	leave(transport);
	watch_arm(transport);
}

void transport_check(struct shard *shard)
{
	if (shard->transport && !shard->private->capture)
		watch_expired(&shard->transport->watch, shard->transport);
}

bool transport_serves(enum config_transport transport)
{
	return kinds[transport].watch != NULL;
}

static size_t count_listeners(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		for (size_t n = 0; n < config->sip_interfaces[i].listen_count; n++)
			count += transport_serves(config->sip_interfaces[i].listen[n].transport);
	return count;
}

static int listeners_make(struct transport *transport)
{
	const struct config *config = transport->shard->config;

	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *interface = &config->sip_interfaces[i];

		for (size_t n = 0; n < interface->listen_count; n++) {
			size_t index = transport->listener_count;

			if (!transport_serves(interface->listen[n].transport))
				continue;
			transport->listener[index] =
				listener_new(transport->shard, index, interface, &interface->listen[n]);
			if (!transport->listener[index])
				return -ENOMEM;
			transport->active[index] = transport->listener[index];
			transport->listener_count++;
		}
	}
	transport->configured = transport->active_count = transport->listener_count;
	return 0;
}

struct listener *listener_new(struct shard *shard, size_t index, const struct config_sip_interface *interface,
	const struct config_endpoint *endpoint)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return NULL;
	listener->index = index;
	listener->shard = shard;
	listener->interface = interface;
	listener->dscp = interface->realm->network_interface->dscp_signalling;
	listener->transport = endpoint->transport;
	listener->address = endpoint->address;
	listener->ready = -1;
	if (kinds[listener->transport].init && kinds[listener->transport].init(listener) < 0) {
		free(listener);
		return NULL;
	}
	return listener;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	if (listener->ready >= 0)
		close(listener->ready);
	kinds[listener->transport].fini(listener);
	free(listener);
}

int transport_open(struct shard *shard)
{
	size_t count = count_listeners(shard->config);
	struct transport *transport = calloc(1, sizeof(*transport));
	int result;

	if (!transport)
		return -ENOMEM;
	transport->shard = shard;
	shard->transport = transport;
	transport->inbox = udp_inbox_new(shard->config->sip.max_message_udp);
	result = transport->inbox ? streams_open(shard, &transport->streams) : -ENOMEM;
	if (result == 0)
		result = transport_lists_make(&transport->listener, &transport->active, count);
	if (result == 0)
		result = listeners_make(transport);
	if (result < 0) {
		transport_close(shard);
		return result;
	}
	transport_check(shard);
	return 0;
}

void transport_close(struct shard *shard)
{
	struct transport *transport = shard->transport;

	if (!transport)
		return;
	transport_abort(shard);
	transport_flush(shard);
	timer_cancel(&transport->watch);
	if (transport->streams) {
		for (size_t i = 0; i < transport->listener_count; i++)
			kinds[transport->listener[i]->transport].fini(transport->listener[i]);
		streams_close(transport->streams);
	}
	for (size_t i = 0; i < transport->listener_count; i++)
		listener_free(transport->listener[i]);
	free(transport->listener);
	free(transport->active);
	free(transport->inbox);
	free(transport);
	shard->transport = NULL;
}

void transport_flush(struct shard *shard)
{
	struct transport *transport = shard->transport;

	for (size_t i = 0; transport && i < transport->active_count; i++)
		if (transport->active[i]->batch)
			udp_flush(transport->active[i]);
}

/* In all shards at once: what one of them receives, another may have to answer. What fails here is tried again by the watch. */
static void ready_take(struct listener *listener)
{
	int fd = listener->ready;

	listener->ready = -1;
	if (fd >= 0)
		listener_opened(
			listener, kinds[listener->transport].adopt(listener, fd, listener->ready_device));
}

static void options_move(struct listener *listener)
{
	unsigned dscp = listener->interface->realm->network_interface->dscp_signalling;

	listener->dscp_changed = listener->dscp != dscp;
	listener->dscp = dscp;
	kinds[listener->transport].move(listener);
}

/* What it is in another configuration. */
void transport_options_move(struct shard *shard, struct config_move *move)
{
	struct transport *transport = shard->transport;

	for (size_t i = 0; i < transport->active_count; i++) {
		ready_take(transport->active[i]);
		options_move(transport->active[i]);
	}
	streams_move(transport->streams, move);
	if (!shard->private->capture)
		timer_arm(shard->timers, &transport->watch, 0, watch_expired, transport);
}

uint32_t transport_listeners_down(const struct shard *shard)
{
	return __atomic_load_n(&shard->transport->listeners_down, __ATOMIC_RELAXED);
}

uint32_t transport_connections(const struct shard *shard)
{
	return stream_connections(shard->transport->streams);
}

int transport_send(const struct sip_flow *flow, struct span message)
{
	struct shard *shard = flow->listener->shard;
	int result;

	if (shard->private->capture)
		result = shard->private->capture(shard->private->capture_arg, flow, message);
	else if (flow->listener->transport == CONFIG_TRANSPORT_UDP)
		result = udp_send(flow->listener, &flow->remote, message);
	else
		result = stream_send(shard->transport->streams, flow, message);
	if (result == 0)
		shard_count(shard, TX_MESSAGES);
	return result;
}

bool listener_is_leaving(const struct listener *listener)
{
	return listener->leaving;
}

const struct config_sip_interface *listener_interface(const struct listener *listener)
{
	return listener->interface;
}

const union address *listener_address(const struct listener *listener)
{
	return &listener->address;
}

enum config_transport listener_transport(const struct listener *listener)
{
	return listener->transport;
}

bool listener_is_reliable(const struct listener *listener)
{
	return listener->transport != CONFIG_TRANSPORT_UDP;
}

static const struct {
	const char *via, *parameter;
} transport_names[] = {
	[CONFIG_TRANSPORT_UDP] = { "UDP", "" },
	[CONFIG_TRANSPORT_TCP] = { "TCP", ";transport=tcp" },
	[CONFIG_TRANSPORT_TLS] = { "TLS", ";transport=tls" },
	[CONFIG_TRANSPORT_WS] = { "WS", ";transport=ws" },
	[CONFIG_TRANSPORT_WSS] = { "WSS", ";transport=ws" },
};

const char *transport_via_name(enum config_transport transport)
{
	return transport_names[transport].via;
}

const char *transport_uri_parameter(enum config_transport transport)
{
	return transport_names[transport].parameter;
}

int transport_connect(struct sip_flow *flow)
{
	struct shard *shard = flow->listener->shard;

	if (!listener_is_reliable(flow->listener))
		return 0;
	if (!shard->private->capture)
		return stream_connect(shard->transport->streams, flow);
	if (flow->connection == 0)
		flow->connection = 1;
	return 0;
}

void transport_admitted(const struct sip_flow *flow, uint16_t port, bool alias)
{
	struct shard *shard = flow->listener->shard;

	if (!shard->private->capture)
		stream_admitted(shard->transport->streams, flow, port, alias);
}

uint16_t transport_sent_by_port(enum config_transport transport, struct span sent_by)
{
	const char *colon = sent_by.n ? memrchr(sent_by.p, ':', sent_by.n) : NULL;
	struct span digits = { NULL, 0 };
	uint64_t port;

	if (colon)
		digits = span_trim((struct span){ colon + 1, (size_t)(sent_by.p + sent_by.n - colon - 1) });
	/* Of an IPv6 address without a port the bracket is behind it. */
	return span_to_uint(digits, UINT16_MAX, &port) == 0 && port ? (uint16_t)port
	       : transport == CONFIG_TRANSPORT_TLS                  ? DEFAULT_TLS_PORT
								    : DEFAULT_PORT;
}

size_t listener_index(const struct listener *listener)
{
	return listener->index;
}

struct listener *transport_listener(struct shard *shard, size_t index)
{
	return shard->transport && index < shard->transport->listener_count
		       ? shard->transport->listener[index]
		       : NULL;
}

struct listener *transport_find(struct shard *shard, const struct config_realm *realm,
	enum config_transport kind, const union address *remote)
{
	struct transport *transport = shard->transport;

	for (size_t i = 0; i < transport->configured; i++) {
		struct listener *listener = transport->active[i];

		if (listener->transport == kind && listener->interface->realm == realm &&
			listener->address.sa.sa_family == remote->sa.sa_family)
			return listener;
	}
	return NULL;
}
