/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets in and out of a stream connection. Memory is held for what is under way alone: an idle connection has no buffer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/keep_alive.h"
#include "controlplane/secret.h"
#include "controlplane/stream_internal.h"
#include "controlplane/tls.h"
#include "controlplane/transaction.h"
#include "platforms/base/clock.h"

enum {
	BUFFER_FIRST = 2048,
	PONGS_MAX = 16, /* at once */
	DRAINED_MAX = 262144, /* thrown away of one that is closing */
};

/* --- buffers ------------------------------------------------------------------------------------------------------- */

void stream_buffer_free(struct streams *streams, struct stream_buffer *buffer)
{
	if (streams)
		streams->memory -= buffer->capacity;
	secret_forget(buffer->bytes, buffer->capacity);
	free(buffer->bytes);
	*buffer = (struct stream_buffer){ 0 };
}

/* 0, -ENOMEM. */
static int buffer_reserve(struct streams *streams, struct stream_buffer *buffer, size_t more)
{
	size_t wanted = buffer->length + more;
	size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST;
	char *grown;

	if (buffer->start && buffer->start + wanted > buffer->capacity) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
		buffer->start = 0;
	}
	if (buffer->start + wanted <= buffer->capacity)
		return 0;
	while (capacity < wanted)
		capacity *= 2;
	if (streams->memory - buffer->capacity + capacity > streams->shard->config->sip.stream_memory)
		return -ENOMEM;
	grown = malloc(capacity);
	if (!grown)
		return -ENOMEM;
	/* Not by realloc: what it leaves behind may be a key. */
	if (buffer->length)
		memcpy(grown, buffer->bytes, buffer->start + buffer->length);
	secret_forget(buffer->bytes, buffer->capacity);
	free(buffer->bytes);
	streams->memory += capacity - buffer->capacity;
	buffer->bytes = grown;
	buffer->capacity = capacity;
	return 0;
}

static int buffer_append(struct streams *streams, struct stream_buffer *buffer, struct span bytes)
{
	int result = buffer_reserve(streams, buffer, bytes.n);

	if (result < 0)
		return result;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): streams are there for as long as one of them reads */
	memcpy(buffer->bytes + buffer->start + buffer->length, bytes.p, bytes.n);
	buffer->length += bytes.n;
	return 0;
}

static void buffer_take(struct streams *streams, struct stream_buffer *buffer, size_t n)
{
	buffer->start += n;
	buffer->length -= n;
	if (buffer->length == 0)
		stream_buffer_free(streams, buffer);
}

static struct span buffer_span(const struct stream_buffer *buffer)
{
	return (struct span){ buffer->bytes + buffer->start, buffer->length };
}

/* --- out ----------------------------------------------------------------------------------------------------------- */

void connection_poll(struct connection *connection)
{
	int events = UV_READABLE;

	if (connection->state == CONNECTION_CONNECTING)
		events = UV_WRITABLE;
	else if (connection->state == CONNECTION_HANDSHAKING)
		events = connection->tls && tls_wants_write(connection->tls) ? UV_WRITABLE : UV_READABLE;
	else if (connection->out.length || (connection->tls && tls_wants_write(connection->tls)))
		events |= UV_WRITABLE;
	/* One that waits for its turn is not asked. */
	if (connection->link_ready || connection->polled == events)
		return;
	connection->polled = events;
	uv_poll_start(&connection->poll, events, connection_event);
}

/* What the kernel takes at once; -errno when the connection is no good any more. */
static ssize_t write_some(struct connection *connection, struct span bytes)
{
	ssize_t n;

	if (connection->tls) {
		n = tls_write(connection->tls, bytes);
		return n < 0 ? -ENOTCONN : n;
	}
	n = send(connection->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int connection_send(struct connection *connection, struct span bytes)
{
	struct streams *streams = connection->streams;
	ssize_t n = 0;

	if (connection->state == CONNECTION_OPEN && connection->out.length == 0)
		n = write_some(connection, bytes);
	if (n < 0) {
		connection_close(connection, CP_COUNTER_COUNT);
		return -ENOTCONN;
	}
	if ((size_t)n == bytes.n)
		return 0;
	bytes = (struct span){ bytes.p + n, bytes.n - (size_t)n };
	if (connection->out.length == 0)
		connection->out_since_ms = clock_now_ms();
	if (connection->out.length + bytes.n > streams->shard->config->sip.stream_queue ||
		buffer_append(streams, &connection->out, bytes) < 0) {
		connection_close(connection, CP_COUNTER_STREAM_TOO_SLOW);
		return -ENOBUFS;
	}
	connection_poll(connection);
	connection_watch(connection);
	return 0;
}

/* Our half ends: what was sent before arrives, which it might not if the socket were closed over unread octets. */
static void drain(struct connection *connection)
{
	if (connection->tls)
		tls_close_notify(connection->tls);
	connection->state = CONNECTION_DRAINING;
	shutdown(connection->fd, SHUT_WR);
	connection_poll(connection);
	connection_watch(connection);
}

void connection_finish(struct connection *connection)
{
	if (connection->state != CONNECTION_OPEN)
		return;
	connection->in_since_ms = clock_now_ms();
	connection->state = CONNECTION_FINISHING;
	if (connection->out.length == 0)
		drain(connection);
}

static void writable(struct connection *connection)
{
	ssize_t n = write_some(connection, buffer_span(&connection->out));

	if (n < 0) {
		connection_close(connection, CP_COUNTER_COUNT);
		return;
	}
	if (n == 0)
		return;
	buffer_take(connection->streams, &connection->out, (size_t)n);
	connection->out_since_ms = clock_now_ms();
	if (connection->out.length)
		return;
	if (connection->state == CONNECTION_FINISHING)
		drain(connection);
	else
		connection_poll(connection);
}

void connection_ping(struct connection *connection)
{
	connection->pinged_ms = clock_now_ms();
	connection->pong_due = true;
	shard_count(connection->streams->shard, TX_KEEP_ALIVE);
	if (connection_send(connection, SPAN("\r\n\r\n")) == 0)
		connection_watch(connection);
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

static struct sip_flow flow_of(const struct connection *connection)
{
	return (struct sip_flow){ .listener = connection->listener,
		.remote = connection->remote,
		.connection = connection->id,
		.agent = connection->agent };
}

/* RFC 5626 section 4.4.1: two line ends are a ping, the answer is one. A single one answers a ping of ours. */
static void line_ends(struct connection *connection, size_t octets)
{
	static const char pongs[2 * PONGS_MAX] =
		"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r";
	unsigned count = (unsigned)(octets / 2);
	struct sip_flow flow;

	if (connection->pong_due) {
		connection->pong_due = false;
		count--;
	}
	connection->line_ends += count;
	count = connection->line_ends / 2;
	connection->line_ends %= 2;
	if (count == 0)
		return;
	shard_count_many(connection->streams->shard, RX_KEEP_ALIVE, count);
	flow = flow_of(connection);
	keep_alive_heard(connection->streams->shard, &flow);
	connection_send(connection, (struct span){ pongs, 2 * (count < PONGS_MAX ? count : PONGS_MAX) });
}

static void deliver(struct connection *connection, struct span message)
{
	struct sip_flow flow = flow_of(connection);
	bool has_keys = secret_is_in(message);

	connection->line_ends = 0;
	connection_touch(connection);
	transaction_receive(connection->streams->shard, &flow, message);
	if (has_keys)
		secret_wipe_stack();
}

/* The number of octets dealt with; the rest is a message that has not come in full. */
static size_t consume(struct connection *connection, struct span bytes)
{
	struct streams *streams = connection->streams;
	const struct config_sip *limits = &streams->shard->config->sip;
	size_t at = 0;
	size_t length;

	while (at < bytes.n && connection->state == CONNECTION_OPEN) {
		struct span rest = { bytes.p + at, bytes.n - at };
		enum frame_verdict verdict =
			frame_next(&connection->frame, rest, limits, &streams->scan, &length);

		if (verdict == FRAME_MORE)
			break;
		at += length;
		if (verdict == FRAME_LINE_ENDS) {
			line_ends(connection, length);
			continue;
		}
		deliver(connection, (struct span){ rest.p, length });
		if (verdict == FRAME_BROKEN) {
			shard_count(streams->shard, STREAM_BROKEN);
			connection_finish(connection);
		}
	}
	return connection->state == CONNECTION_OPEN ? at : bytes.n;
}

static void received(struct connection *connection, struct span bytes)
{
	struct streams *streams = connection->streams;
	struct stream_buffer *in = &connection->in;
	bool fresh = in->length == 0;
	size_t taken;

	if (!fresh) {
		if (buffer_append(streams, in, bytes) < 0) {
			connection_close(connection, CP_COUNTER_STREAM_REFUSED);
			return;
		}
		bytes = buffer_span(in);
	}
	taken = consume(connection, bytes);
	if (connection->state == CONNECTION_CLOSED)
		return;
	if (!fresh) {
		buffer_take(streams, in, taken);
	} else if (taken < bytes.n) {
		if (buffer_append(streams, in, (struct span){ bytes.p + taken, bytes.n - taken }) < 0) {
			connection_close(connection, CP_COUNTER_STREAM_REFUSED);
			return;
		}
	}
	/* A message takes its time from its own first octet on. */
	if (in->length && (fresh || taken))
		connection->in_since_ms = clock_now_ms();
	connection_watch(connection);
}

static void heard(struct connection *connection, ssize_t n)
{
	struct streams *streams = connection->streams;

	connection->heard = true;
	connection->heard_ms = clock_now_ms();
	received(connection, (struct span){ streams->inbox, (size_t)n });
	secret_forget(streams->inbox, (size_t)n);
}

static void readable_tls(struct connection *connection)
{
	ssize_t n = 0;

	tls_read_begin(connection->tls, connection->streams->sealed, STREAM_SEALED);
	while (connection->state == CONNECTION_OPEN &&
		(n = tls_read(connection->tls, connection->streams->inbox, STREAM_INBOX)) > 0)
		heard(connection, n);
	if (n < 0)
		connection_close(connection, connection_tls_failed(connection));
	else if (connection->state == CONNECTION_OPEN)
		connection_poll(connection);
}

static void readable(struct connection *connection)
{
	char *inbox = connection->streams->inbox;
	ssize_t n;

	if (connection->tls && connection->state <= CONNECTION_OPEN) {
		readable_tls(connection);
		return;
	}
	n = recv(connection->fd, inbox, STREAM_INBOX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_close(connection, CP_COUNTER_COUNT);
		return;
	}
	if (connection->state != CONNECTION_OPEN) {
		connection->drained += (size_t)n;
		if (connection->drained > DRAINED_MAX)
			connection_close(connection, CP_COUNTER_COUNT);
		return;
	}
	heard(connection, n);
}

static void connected(struct connection *connection)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error) {
		connection->error = error ? error : errno;
		connection_close(connection, CP_COUNTER_STREAM_UNREACHED);
		return;
	}
	connection->heard_ms = connection->out_since_ms = clock_now_ms();
	if (connection_is_tls(connection)) {
		connection->state = CONNECTION_HANDSHAKING;
		connection->since_ms = connection->heard_ms;
		connection_watch(connection);
		handshake_ready(connection);
		return;
	}
	connection->state = CONNECTION_OPEN;
	connection_poll(connection);
	connection_watch(connection);
}

void connection_opened(struct connection *connection)
{
	connection->state = CONNECTION_OPEN;
	connection->since_ms = connection->heard_ms = connection->out_since_ms = clock_now_ms();
	if (connection->out.length)
		writable(connection);
	/* More may have come behind the last flight of the handshake. */
	if (connection->state == CONNECTION_OPEN)
		readable(connection);
	if (connection->state == CONNECTION_OPEN)
		connection_watch(connection);
}

void connection_event(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = (struct connection *)poll;

	if (connection->state == CONNECTION_CONNECTING) {
		connected(connection);
		return;
	}
	if (status < 0) {
		connection_close(connection, CP_COUNTER_COUNT);
		return;
	}
	if (connection->state == CONNECTION_HANDSHAKING) {
		handshake_ready(connection);
		return;
	}
	if ((events & UV_WRITABLE) && connection->out.length)
		writable(connection);
	/* What TLS itself has to say goes out by reading on. */
	if (((events & UV_READABLE) || (connection->tls && tls_wants_write(connection->tls))) &&
		connection->state != CONNECTION_CLOSED)
		readable(connection);
}
