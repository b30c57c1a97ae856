/* SPDX-License-Identifier: BSD-3-Clause */
/* How stream connections begin: taken from a listening socket, or made to where something is to be sent. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/route.h"
#include "controlplane/stream_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	ACCEPTS_PER_WAKE = 64,
	PAUSE_MS = 20, /* when more come than may, or descriptors run out */
	MS_PER_T1_GIVEN_UP = 64,
};

struct stream_listen {
	uv_poll_t poll; /* first: closed() frees by its address */
	struct listener *listener;
	struct timer pause;
	int fd;
	unsigned device; /* interface index it was bound to; 0 = none */
};

/* --- taken --------------------------------------------------------------------------------------------------------- */

static void options_set(int fd, const struct shard *shard)
{
	/* What nobody acknowledges for as long as a transaction would wait ends the connection. */
	int patience = (int)(MS_PER_T1_GIVEN_UP * shard->config->sip.t1_ms);

	socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, patience);
}

static bool is_known(const struct listener *listener, const union address *remote)
{
	return route_agent_by_source(listener->shard, listener->interface->realm, remote) != NULL;
}

static void take(struct listener *listener, int fd, const union address *remote)
{
	struct streams *streams = listener->shard->transport->streams;
	bool known = is_known(listener, remote);

	if (listener->transport == CONFIG_TRANSPORT_TLS && !handshake_may_begin(listener, remote, known)) {
		close(fd);
		return;
	}
	if (streams_make_room(streams, remote, known) < 0) {
		shard_count(listener->shard, STREAM_REFUSED);
		close(fd);
		return;
	}
	options_set(fd, listener->shard);
	if (!connection_new(streams, listener, fd, remote, true, NULL))
		census_leave(streams->census, remote);
}

static void acceptable(uv_poll_t *poll, int status, int events);

static void pause_ended(struct timer *timer, void *arg)
{
	struct stream_listen *listening = arg;

	(void)timer;
	uv_poll_start(&listening->poll, UV_READABLE, acceptable);
}

static void pause_begin(struct stream_listen *listening)
{
	uv_poll_stop(&listening->poll);
	timer_arm(listening->listener->shard->timers, &listening->pause, PAUSE_MS, pause_ended, listening);
}

/* False when there is no more to take now. */
static bool accept_one(struct stream_listen *listening)
{
	struct listener *listener = listening->listener;
	union address remote = { 0 };
	socklen_t length = sizeof(remote);
	int fd;

	if (!census_may_accept(listener->shard->transport->streams->census, clock_now_us())) {
		pause_begin(listening);
		return false;
	}
	fd = accept4(listening->fd, &remote.sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		take(listener, fd, &remote);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		pause_begin(listening);
	else if (socket_device_is_gone(errno))
		stream_listen_fini(listener);
	/* A connection that ended before it was taken: the next. */
	return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
}

static void acceptable(uv_poll_t *poll, int status, int events)
{
	struct stream_listen *listening = (struct stream_listen *)poll;

	(void)events;
	if (status < 0) {
		stream_listen_fini(listening->listener);
		return;
	}
	for (unsigned i = 0; i < ACCEPTS_PER_WAKE && accept_one(listening); i++)
		;
}

/* --- listening ----------------------------------------------------------------------------------------------------- */

static void closed(uv_handle_t *handle)
{
	free(handle);
}

void stream_listen_fini(struct listener *listener)
{
	struct stream_listen *listening = listener->listening;

	if (!listening)
		return;
	listener->listening = NULL;
	timer_cancel(&listening->pause);
	uv_poll_stop(&listening->poll);
	/* At once: its address is wanted again. */
	close(listening->fd);
	uv_close((uv_handle_t *)&listening->poll, closed);
}

void stream_listen_close(struct listener *listener)
{
	stream_listen_fini(listener);
	streams_close_listener(listener->shard->transport->streams, listener);
}

bool stream_listen_is_open(const struct listener *listener)
{
	return listener->listening != NULL;
}

int stream_listen_adopt(struct listener *listener, int fd, unsigned device)
{
	struct stream_listen *listening = calloc(1, sizeof(*listening));
	int result = listening ? 0 : -ENOMEM;

	if (listening) {
		listening->listener = listener;
		listening->fd = fd;
		listening->device = device;
		result = uv_poll_init(&listener->shard->loop, &listening->poll, fd);
	}
	if (result < 0) {
		close(fd);
		free(listening);
		return result;
	}
	listener->listening = listening;
	return uv_poll_start(&listening->poll, UV_READABLE, acceptable);
}

void stream_listen_move(struct listener *listener)
{
	if (listener->listening)
		socket_dscp(listener, listener->listening->fd);
}

static int listen_open(struct listener *listener)
{
	unsigned device;
	int fd = socket_open(listener, SOCK_STREAM, address_port(&listener->address), &device);

	if (fd >= 0 && listen(fd, STREAM_BACKLOG) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd < 0 ? fd : stream_listen_adopt(listener, fd, device);
}

void stream_listen_watch(struct listener *listener)
{
	struct stream_listen *listening = listener->listening;

	if (listening && socket_device(listening->fd, listener) != listening->device) {
		stream_listen_close(listener);
	}
	if (!listener->listening && !listener->yielded)
		listener_opened(listener, listen_open(listener));
}

/* --- made ---------------------------------------------------------------------------------------------------------- */

struct connection *stream_dial(struct streams *streams, struct listener *listener,
	const union address *remote, const struct config_session_agent *agent, int *error)
{
	struct connection *connection;
	unsigned device;
	int fd;

	*error = streams_make_room(streams, remote, is_known(listener, remote));
	if (*error < 0) {
		shard_count(streams->shard, STREAM_REFUSED);
		return NULL;
	}
	fd = socket_open(listener, SOCK_STREAM, 0, &device);
	if (fd >= 0)
		options_set(fd, streams->shard);
	if (fd < 0 || (connect(fd, &remote->sa, address_length(remote)) < 0 && errno != EINPROGRESS)) {
		*error = fd < 0 ? fd : -ENOTCONN;
		if (fd >= 0)
			close(fd);
		census_leave(streams->census, remote);
		shard_count(streams->shard, STREAM_UNREACHED);
		return NULL;
	}
	connection = connection_new(streams, listener, fd, remote, false, agent);
	if (connection)
		return connection;
	census_leave(streams->census, remote);
	*error = -ENOMEM;
	return NULL;
}

/* What transport_send would use: without a port beside it, that very connection. NULL with *error. */
static struct connection *choose(struct streams *streams, const struct sip_flow *flow, int *error)
{
	struct connection *connection = connection_find(streams, flow->connection);

	if (connection)
		return connection;
	*error = -ENOTCONN;
	if (address_port(&flow->remote) == 0)
		return NULL;
	connection = connection_find_reached(streams, flow->listener, &flow->remote, flow->agent);
	return connection ? connection
			  : stream_dial(streams, flow->listener, &flow->remote, flow->agent, error);
}

int stream_connect(struct streams *streams, struct sip_flow *flow)
{
	struct connection *connection;
	int error = 0;

	/* Another shard's: what is sent by it finds out whether it still is there. */
	if (connection_shard(flow->connection) >= 0 &&
		connection_shard(flow->connection) != (int)streams->shard->index)
		return 0;
	connection = choose(streams, flow, &error);
	flow->connection = connection ? connection->id : 0;
	return connection ? 0 : error;
}

int stream_send(struct streams *streams, const struct sip_flow *flow, struct span message)
{
	struct connection *connection;
	int error = 0;

	if (connection_shard(flow->connection) >= 0 &&
		connection_shard(flow->connection) != (int)streams->shard->index)
		return shard_send(streams->shard, flow, message);
	connection = choose(streams, flow, &error);
	return connection ? connection_send(connection, message) : error;
}

bool stream_send_shared(struct streams *streams, const struct sip_flow *flow, struct span message)
{
	struct connection *connection = connection_find(streams, flow->connection);

	if (!connection)
		return false;
	connection->shared = true;
	return connection_send(connection, message) == 0;
}
