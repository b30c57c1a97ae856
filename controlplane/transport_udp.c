/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP sockets: opened on the mirror of their network-interface, read and written in batches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/keep_alive.h"
#include "controlplane/secret.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"

enum {
	BATCH = 32, /* datagrams per system call */
	BATCHES_PER_WAKE = 4, /* then timers and the other sockets have their turn */
	BATCH_BYTES = 128 * 1024,
	DATAGRAM_MAX = 65507,
};

struct udp_socket {
	uv_poll_t poll; /* first: closed() frees by its address */
	struct listener *listener;
	int fd;
	unsigned device; /* interface index it was bound to; 0 = none */
	uint32_t kernel_dropped;
};

struct udp_batch {
	unsigned count;
	size_t used;
	struct mmsghdr header[BATCH];
	struct iovec piece[BATCH];
	union address to[BATCH];
	char bytes[BATCH_BYTES];
};

/* --- receiving --------------------------------------------------------------------------------------------------- */

/* One per shard: a batch is dealt with before the next call. */
struct udp_inbox {
	size_t slot_size;
	struct mmsghdr header[BATCH];
	struct iovec piece[BATCH];
	union address from[BATCH];
	_Alignas(struct cmsghdr) char control[BATCH][CMSG_SPACE(sizeof(uint32_t))];
	char slots[];
};

struct udp_inbox *udp_inbox_new(size_t longest)
{
	/* One byte more than the longest allowed, so that a longer one is seen to be. */
	size_t slot_size = longest + 1;
	struct udp_inbox *inbox = malloc(sizeof(*inbox) + BATCH * slot_size);

	if (inbox)
		inbox->slot_size = slot_size;
	return inbox;
}

static void inbox_prepare(struct udp_inbox *inbox)
{
	for (unsigned i = 0; i < BATCH; i++) {
		inbox->piece[i] = (struct iovec){ inbox->slots + i * inbox->slot_size, inbox->slot_size };
		inbox->header[i].msg_hdr = (struct msghdr){
			.msg_name = &inbox->from[i],
			.msg_namelen = sizeof(inbox->from[i]),
			.msg_iov = &inbox->piece[i],
			.msg_iovlen = 1,
			.msg_control = inbox->control[i],
			.msg_controllen = sizeof(inbox->control[i]),
		};
	}
}

/* The kernel says with a datagram how many it has dropped before it on this socket. */
static void drops_count(struct udp_socket *socket, struct msghdr *header)
{
	struct shard *shard = socket->listener->shard;
	uint32_t total;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&total, CMSG_DATA(c), sizeof(total));
		shard_count_many(shard, RX_KERNEL_DROPPED, total - socket->kernel_dropped);
		socket->kernel_dropped = total;
	}
}

static void socket_close(struct listener *listener);

/* The number of datagrams taken. */
static unsigned receive_batch(struct listener *listener)
{
	struct udp_socket *socket = listener->socket;
	struct udp_inbox *inbox = listener->shard->transport->inbox;
	struct span datagram;
	int count;

	inbox_prepare(inbox);
	count = recvmmsg(socket->fd, inbox->header, BATCH, MSG_DONTWAIT, NULL);
	if (count < 0) {
		/* Errors of earlier sends (ICMP) end with being read; those of the device need a new socket. */
		if (socket_device_is_gone(errno))
			socket_close(listener);
		return 0;
	}
	for (int i = 0; i < count; i++) {
		struct sip_flow flow = { .listener = listener, .remote = inbox->from[i] };

		drops_count(socket, &inbox->header[i].msg_hdr);
		if (inbox->header[i].msg_len == 0 || address_port(&flow.remote) == 0)
			continue;
		datagram = (struct span){ inbox->piece[i].iov_base, inbox->header[i].msg_len };
		if (!stun_receive(&flow, datagram))
			transaction_receive(listener->shard, &flow, datagram);
		secret_wipe(inbox->piece[i].iov_base, datagram.n);
	}
	return (unsigned)count;
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *socket = (struct udp_socket *)poll;
	struct listener *listener = socket->listener;

	(void)events;
	if (status < 0) {
		socket_close(listener);
		return;
	}
	for (unsigned i = 0; i < BATCHES_PER_WAKE && listener->socket == socket; i++)
		if (receive_batch(listener) < BATCH)
			break;
}

/* --- opening and closing ----------------------------------------------------------------------------------------- */

static void closed(uv_handle_t *handle)
{
	struct udp_socket *socket = (struct udp_socket *)handle;

	close(socket->fd);
	free(socket);
}

static void socket_close(struct listener *listener)
{
	struct udp_socket *socket = listener->socket;

	if (!socket)
		return;
	listener->socket = NULL;
	listener->batch->count = 0;
	listener->batch->used = 0;
	uv_poll_stop(&socket->poll);
	uv_close((uv_handle_t *)&socket->poll, closed);
}

int udp_adopt(struct listener *listener, int fd, unsigned device)
{
	struct udp_socket *socket = calloc(1, sizeof(*socket));
	int result = socket ? 0 : -ENOMEM;

	if (socket) {
		socket->fd = fd;
		socket->device = device;
		socket->listener = listener;
		/* These are wishes. */
		socket_option(fd, SOL_SOCKET, SO_RCVBUF, (int)listener->shard->config->sip.receive_buffer);
		socket_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
		result = uv_poll_init(&listener->shard->loop, &socket->poll, fd);
	}
	if (result < 0) {
		close(fd);
		free(socket);
		return result;
	}
	listener->socket = socket;
	return uv_poll_start(&socket->poll, UV_READABLE, readable);
}

void udp_move(struct listener *listener)
{
	const struct udp_socket *socket = listener->socket;

	if (!socket)
		return;
	socket_option(socket->fd, SOL_SOCKET, SO_RCVBUF, (int)listener->shard->config->sip.receive_buffer);
	socket_dscp(listener, socket->fd);
}

static int listener_open(struct listener *listener)
{
	unsigned device;
	int fd = socket_open(listener, SOCK_DGRAM, address_port(&listener->address), &device);

	return fd < 0 ? fd : udp_adopt(listener, fd, device);
}

/* --- the interface to transport.c -------------------------------------------------------------------------------- */

int udp_init(struct listener *listener)
{
	listener->batch = calloc(1, sizeof(*listener->batch));
	return listener->batch ? 0 : -ENOMEM;
}

void udp_fini(struct listener *listener)
{
	socket_close(listener);
	free(listener->batch);
	listener->batch = NULL;
}

void udp_close(struct listener *listener)
{
	udp_flush(listener);
	socket_close(listener);
}

bool udp_is_open(const struct listener *listener)
{
	return listener->socket != NULL;
}

void udp_watch(struct listener *listener)
{
	struct udp_socket *socket = listener->socket;

	/* A UDP socket is not told that its device has gone: its index is all there is to see. */
	if (socket && socket_device(socket->fd, listener) != socket->device)
		socket_close(listener);
	if (listener->socket)
		return;
	listener_opened(listener, listener_open(listener));
}

int udp_send(struct listener *listener, const union address *to, struct span message)
{
	struct udp_batch *batch = listener->batch;
	struct iovec *piece;

	if (!listener->socket)
		return -ENOTCONN;
	if (message.n > DATAGRAM_MAX)
		return -EMSGSIZE;
	if (batch->count == BATCH || batch->used + message.n > BATCH_BYTES)
		udp_flush(listener);
	if (!listener->socket)
		return -ENOTCONN;
	memcpy(batch->bytes + batch->used, message.p, message.n);
	piece = &batch->piece[batch->count];
	*piece = (struct iovec){ batch->bytes + batch->used, message.n };
	batch->to[batch->count] = *to;
	batch->header[batch->count].msg_hdr = (struct msghdr){
		.msg_name = &batch->to[batch->count],
		.msg_namelen = address_length(to),
		.msg_iov = piece,
		.msg_iovlen = 1,
	};
	batch->used += message.n;
	batch->count++;
	return 0;
}

void udp_flush(struct listener *listener)
{
	struct udp_batch *batch = listener->batch;
	unsigned sent = 0;

	while (listener->socket && sent < batch->count) {
		int result = sendmmsg(
			listener->socket->fd, batch->header + sent, batch->count - sent, MSG_DONTWAIT);

		if (result > 0) {
			sent += (unsigned)result;
			continue;
		}
		if (errno == EINTR)
			continue;
		shard_count(listener->shard, TX_FAILED);
		if (socket_device_is_gone(errno)) {
			socket_close(listener);
			break;
		}
		/* An error belongs to the first datagram of the rest, be it a full buffer or its own address or an ICMP error
		 * of an earlier one: SIP repeats what matters. */
		sent++;
	}
	secret_wipe(batch->bytes, batch->used);
	batch->count = 0;
	batch->used = 0;
}
