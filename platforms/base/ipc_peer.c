/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection, client's or server's: greeting, receiving, sending, and its end.
 *
 * A handler may free its own peer, or the whole server, at any point. Therefore memory goes only in libuv's close
 * callbacks, which never run inside a handler, and after every call of a handler `link` is looked at again. */
#include "platforms/base/ipc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platforms/base/clock.h"
#include "platforms/base/log.h"

/* Packets read per wake-up, so that one busy peer leaves the loop to the others. */
enum { READ_BURST = 16 };

int ipc_path(struct sockaddr_un *address, const char *path)
{
	size_t n = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n == 0)
		return -EINVAL;
	if (n >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, n);
	return 0;
}

void ipc_complain(struct ipc_memory *memory, const char *path, const char *message, int error)
{
	uint64_t now = clock_now_ms();

	if (now < memory->quiet_until_ms)
		return;
	memory->quiet_until_ms = now + IPC_COMPLAINT_INTERVAL_MS;
	log_warning("ipc", message, LOG_TEXT("socket", path), LOG_ERRNO("error", error));
}

/* True when it was not there yet. */
static bool seen_add(struct ipc_seen *seen, uint64_t generation)
{
	for (unsigned i = 0; i < seen->count; i++)
		if (seen->generation[i] == generation)
			return false;
	seen->generation[seen->next] = generation;
	seen->next = (seen->next + 1) % IPC_SEEN_MAX;
	if (seen->count < IPC_SEEN_MAX)
		seen->count++;
	return true;
}

static void link_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void link_close(struct ipc_link *link)
{
	uv_close((uv_handle_t *)&link->poll, link_closed);
	close(link->fd);
	link->peer = NULL;
}

/* The connection has ended, by whomever. */
static void peer_drop(struct ipc_peer *peer)
{
	bool was_up = peer->state == IPC_UP;

	if (peer->state == IPC_DOWN)
		return;
	peer->state = IPC_DOWN;
	link_close(peer->link);
	peer->link = NULL;
	ipc_queue_clear(&peer->queue);
	uv_prepare_stop(&peer->flush);
	uv_timer_stop(&peer->timer);
	/* A client's owner who frees it knows; a server's handlers have state of their own to let go of. */
	if (was_up && peer->handlers.down && (peer->role->is_server || !peer->freed))
		peer->handlers.down(peer->arg, peer);
	if (!peer->freed)
		peer->role->lost(peer);
}

static void drop_for(struct ipc_peer *peer, const char *message, int error)
{
	ipc_complain(peer->memory, peer->path, message, error);
	peer_drop(peer);
}

/* --- sending --- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void want_write(struct ipc_link *link, bool wanted)
{
	if (link->wants_write == wanted)
		return;
	link->wants_write = wanted;
	uv_poll_start(&link->poll, wanted ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_poll);
}

/* Sends what the socket takes. 0, or -errno when the connection is of no use any more. */
static int flush(struct ipc_peer *peer)
{
	struct ipc_link *link = peer->link;

	while (peer->queue.first) {
		const struct ipc_packet *packet = peer->queue.first;

		if (send(link->fd, packet->data, packet->length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
			ipc_queue_pop(&peer->queue);
			continue;
		}
		switch (errno) {
		case EINTR:
			continue;
		case EAGAIN:
		case ENOBUFS:
		case ENOMEM:
			want_write(link, true);
			return 0;
		case EPIPE:
		case ECONNRESET:
		case ENOTCONN:
			/* What it sent before it went may still wait to be read; the end is found behind that. */
			ipc_queue_clear(&peer->queue);
			break;
		default:
			return -errno;
		}
	}
	want_write(link, false);
	return 0;
}

static void flush_or_drop(struct ipc_peer *peer)
{
	int error = flush(peer);

	if (error < 0)
		drop_for(peer, "cannot send, connection closed", error);
}

static void on_flush(uv_prepare_t *prepare)
{
	uv_prepare_stop(prepare);
	flush_or_drop(prepare->data);
}

static int push(struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	int error = ipc_queue_push(&peer->queue, frame, body);

	/* "prepare" runs before the loop sleeps: timers' and last round's frames leave together, none waits. */
	if (error == 0 && !peer->link->wants_write)
		uv_prepare_start(&peer->flush, on_flush);
	return error;
}

int ipc_send(struct ipc_peer *peer, uint16_t type, int16_t status, uint64_t sequence, const void *body,
	size_t length)
{
	struct ipc_frame frame = { .type = type, .status = status, .sequence = sequence };

	if (peer->state != IPC_UP)
		return -ENOTCONN;
	if (type == IPC_HELLO_TYPE)
		return -EINVAL;
	if (length > IPC_PACKET_MAX - sizeof(frame))
		return -EMSGSIZE;
	frame.length = (uint32_t)length;
	return push(peer, &frame, body);
}

/* --- receiving --- */

static void greet(struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	const struct ipc_hello *hello = ipc_hello_check(frame, body);
	bool fresh;

	if (!hello) {
		drop_for(peer, "first message is no hello, connection closed", EPROTO);
		return;
	}
	if (hello->api_version != peer->self.api_version) {
		if (seen_add(&peer->memory->refused, hello->generation))
			log_warning("ipc", "peer speaks another API version, connection closed",
				LOG_TEXT("socket", peer->path), LOG_TEXT("process", hello->process),
				LOG_TEXT("version", hello->version), LOG_UINT("api", hello->api_version),
				LOG_UINT("ours", peer->self.api_version));
		peer_drop(peer);
		return;
	}
	peer->hello = *hello;
	peer->state = IPC_UP;
	uv_timer_stop(&peer->timer);
	fresh = seen_add(&peer->memory->known, hello->generation);
	log_debug("ipc", "up", LOG_TEXT("socket", peer->path), LOG_TEXT("process", hello->process),
		LOG_UINT("pid", hello->pid), LOG_UINT("fresh", fresh));
	if (peer->role->up)
		peer->role->up(peer);
	if (peer->handlers.up)
		peer->handlers.up(peer->arg, peer, &peer->hello, fresh);
}

static void deliver(struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	if (frame->type == IPC_HELLO_TYPE) {
		drop_for(peer, "second hello, connection closed", EPROTO);
		return;
	}
	peer->handlers.frame(peer->arg, peer, frame, body);
}

static void (*const receivers[])(struct ipc_peer *, const struct ipc_frame *, const void *) = {
	[IPC_GREETING] = greet,
	[IPC_UP] = deliver,
};

struct receipt {
	struct ipc_peer *peer;
	const struct ipc_link *link;
};

static void on_frame(void *arg, const struct ipc_frame *frame, const void *body)
{
	const struct receipt *receipt = arg;

	/* An earlier frame of this packet may have ended the connection. */
	if (receipt->peer->link == receipt->link)
		receivers[receipt->peer->state](receipt->peer, frame, body);
}

/* One packet. False when there is no more for now, or no connection any more. */
static bool receive(struct ipc_peer *peer)
{
	struct receipt receipt = { peer, peer->link };
	/* MSG_TRUNC: the real length comes back, so an overlong packet is seen and not cut. */
	ssize_t n = recv(peer->link->fd, peer->packet, IPC_PACKET_MAX, MSG_TRUNC | MSG_DONTWAIT);

	/* A peer that closes with unread bytes resets us once; what it had sent, and the end, are read after that. */
	if (n < 0 && (errno == EINTR || errno == ECONNRESET))
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		peer_drop(peer);
		return false;
	}
	int status = ipc_packet_walk(peer->packet, (size_t)n, on_frame, &receipt);
	/* Keys may have been in it. The buffer outlives its peer: memory goes in close callbacks. */
	explicit_bzero(peer->packet, n < IPC_PACKET_MAX ? (size_t)n : IPC_PACKET_MAX);
	if (status < 0)
		drop_for(peer, "malformed message, connection closed", EBADMSG);
	return peer->link == receipt.link;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct ipc_link *link = poll->data;
	struct ipc_peer *peer = link->peer;

	if (status < 0) {
		/* How libuv reports a reset. It watches no longer; what was sent before the reset is still there. */
		while (peer->link == link && receive(peer))
			;
		if (peer->link == link)
			peer_drop(peer);
		return;
	}
	if (events & UV_WRITABLE)
		flush_or_drop(peer);
	for (int i = 0; (events & UV_READABLE) && peer->link == link && i < READ_BURST; i++)
		if (!receive(peer))
			break;
}

/* --- beginning and end --- */

static void on_hello_timeout(uv_timer_t *timer)
{
	drop_for(timer->data, "no hello came, connection closed", ETIMEDOUT);
}

/* A packet must fit the send buffer whole; the kernel's default is enough unless somebody made it smaller.
 * The kernel doubles what it is asked for, to cover its own bookkeeping. */
static int ensure_send_buffer(int fd)
{
	int size = 0;
	int ask = IPC_PACKET_MAX;
	socklen_t length = sizeof(size);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0)
		return -errno;
	if (size >= 2 * IPC_PACKET_MAX)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &ask, sizeof(ask)) == 0)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &ask, sizeof(ask)) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0)
		return -errno;
	return size > IPC_PACKET_MAX + 1024 ? 0 : -ENOBUFS;
}

static uint32_t user_of(int fd)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 ? credentials.uid
										   : UINT32_MAX;
}

uint32_t ipc_peer_user(const struct ipc_peer *peer)
{
	return peer->user;
}

int ipc_peer_attach(struct ipc_peer *peer, int fd)
{
	struct ipc_frame frame = { .length = sizeof(peer->self), .type = IPC_HELLO_TYPE };
	struct ipc_link *link = calloc(1, sizeof(*link));
	int error;

	if (!link) {
		error = -ENOMEM;
		goto out;
	}
	error = ensure_send_buffer(fd);
	if (error < 0)
		goto out;
	error = uv_poll_init(peer->loop, &link->poll, fd);
	if (error < 0)
		goto out;
	peer->user = user_of(fd);
	link->fd = fd;
	link->peer = peer;
	link->poll.data = link;
	uv_poll_start(&link->poll, UV_READABLE, on_poll);
	peer->link = link;
	peer->state = IPC_GREETING;
	uv_timer_start(&peer->timer, on_hello_timeout, IPC_HELLO_TIMEOUT_MS, 0);
	error = push(peer, &frame, &peer->self);
	if (error < 0)
		drop_for(peer, "cannot greet, connection closed", error);
	return 0;
out:
	free(link);
	close(fd);
	return error;
}

void ipc_peer_init(struct ipc_peer *peer, const struct ipc_role *role, uv_loop_t *loop,
	const struct ipc_hello *self, const struct ipc_handlers *handlers, void *arg)
{
	peer->role = role;
	peer->loop = loop;
	peer->self = *self;
	peer->handlers = *handlers;
	peer->arg = arg;
	uv_timer_init(loop, &peer->timer);
	peer->timer.data = peer;
	uv_prepare_init(loop, &peer->flush);
	peer->flush.data = peer;
	peer->open_handles = 2;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct ipc_peer *peer = handle->data;

	if (--peer->open_handles > 0)
		return;
	ipc_queue_fini(&peer->queue);
	free(peer);
}

void ipc_peer_free(struct ipc_peer *peer)
{
	if (!peer || peer->freed)
		return;
	peer->freed = true;
	/* Before `down` is called, which may free the server: it must not find this peer in its list again. */
	if (peer->role->detach)
		peer->role->detach(peer);
	/* The last words, as far as the socket takes them. */
	if (peer->state == IPC_UP)
		flush(peer);
	peer_drop(peer);
	uv_close((uv_handle_t *)&peer->timer, on_handle_closed);
	uv_close((uv_handle_t *)&peer->flush, on_handle_closed);
}

bool ipc_peer_is_up(const struct ipc_peer *peer)
{
	return peer->state == IPC_UP;
}

const struct ipc_hello *ipc_peer_hello(const struct ipc_peer *peer)
{
	return &peer->hello;
}

void ipc_peer_set_data(struct ipc_peer *peer, void *data)
{
	peer->data = data;
}

void *ipc_peer_data(const struct ipc_peer *peer)
{
	return peer->data;
}
