/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP sockets: opened on the mirror of their network-interface, read and written in batches. */
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/log.h"

enum {
	BATCH = 32, /* datagrams per system call */
	BATCHES_PER_WAKE = 4, /* then timers and the other sockets have their turn */
	BATCH_BYTES = 128 * 1024,
	DATAGRAM_MAX = 65507,
	DSCP_SHIFT = 2,
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

/* True if the device behind the socket is no more. */
static bool is_device_error(int error)
{
	return error == ENODEV || error == ENXIO || error == ENETDOWN;
}

static void socket_close(struct listener *listener);

/* The number of datagrams taken. */
static unsigned receive_batch(struct listener *listener)
{
	struct udp_socket *socket = listener->socket;
	struct udp_inbox *inbox = listener->shard->transport->inbox;
	int count;

	inbox_prepare(inbox);
	count = recvmmsg(socket->fd, inbox->header, BATCH, MSG_DONTWAIT, NULL);
	if (count < 0) {
		/* Errors of earlier sends (ICMP) end with being read; those of the device need a new socket. */
		if (is_device_error(errno))
			socket_close(listener);
		return 0;
	}
	for (int i = 0; i < count; i++) {
		struct sip_flow flow = { .listener = listener, .remote = inbox->from[i] };

		drops_count(socket, &inbox->header[i].msg_hdr);
		if (inbox->header[i].msg_len == 0 || address_port(&flow.remote) == 0)
			continue;
		transaction_receive(listener->shard, &flow,
			(struct span){ inbox->piece[i].iov_base, inbox->header[i].msg_len });
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

static void device_name(const struct listener *listener, char name[IFNAMSIZ])
{
	struct writer w;

	memset(name, 0, IFNAMSIZ);
	writer_init(&w, name, IFNAMSIZ - 1);
	writer_text(&w, "sp-");
	writer_text(&w, listener->interface->realm->network_interface->name);
}

static int option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/* The present index of the mirror; 0 = there is none. */
static unsigned device_index(int fd, const struct listener *listener)
{
	struct ifreq request = { 0 };

	device_name(listener, request.ifr_name);
	return ioctl(fd, SIOCGIFINDEX, &request) == 0 ? (unsigned)request.ifr_ifindex : 0;
}

static int device_bind(int fd, const struct listener *listener)
{
	char name[IFNAMSIZ];

	if (listener->shard->private->no_device)
		return 0;
	device_name(listener, name);
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) == 0 ? 0 : -errno;
}

static int options_set(int fd, const struct listener *listener)
{
	int dscp = (int)listener->interface->realm->network_interface->dscp_signalling << DSCP_SHIFT;
	bool v6 = listener->address.sa.sa_family == AF_INET6;
	int result = device_bind(fd, listener);

	if (result == 0 && listener->shard->count > 1)
		result = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (result == 0 && v6)
		result = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (result == 0)
		result = v6 ? option_set(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp)
			    : option_set(fd, IPPROTO_IP, IP_TOS, dscp);
	/* These are wishes. */
	option_set(fd, SOL_SOCKET, SO_RCVBUF, (int)listener->shard->config->sip.receive_buffer);
	option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	return result;
}

static int socket_open(const struct listener *listener, unsigned *device)
{
	int fd = socket(listener->address.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = options_set(fd, listener);
	if (result == 0 && bind(fd, &listener->address.sa, address_length(&listener->address)) < 0)
		result = -errno;
	if (result < 0) {
		close(fd);
		return result;
	}
	*device = listener->shard->private->no_device ? 0 : device_index(fd, listener);
	return fd;
}

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

static int listener_open(struct listener *listener)
{
	struct udp_socket *socket = calloc(1, sizeof(*socket));
	int result;

	if (!socket)
		return -ENOMEM;
	result = socket_open(listener, &socket->device);
	if (result < 0) {
		free(socket);
		return result;
	}
	socket->fd = result;
	socket->listener = listener;
	result = uv_poll_init(&listener->shard->loop, &socket->poll, socket->fd);
	if (result < 0) {
		close(socket->fd);
		free(socket);
		return result;
	}
	listener->socket = socket;
	return uv_poll_start(&socket->poll, UV_READABLE, readable);
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

bool udp_is_open(const struct listener *listener)
{
	return listener->socket != NULL;
}

void udp_watch(struct listener *listener)
{
	struct udp_socket *socket = listener->socket;
	int result;

	/* A UDP socket is not told that its device has gone: its index is all there is to see. */
	if (socket && !listener->shard->private->no_device &&
		device_index(socket->fd, listener) != socket->device)
		socket_close(listener);
	if (listener->socket)
		return;
	result = listener_open(listener);
	if (result == listener->last_error)
		return;
	listener->last_error = result;
	if (result < 0)
		log_notice("transport", "listener waits for its mirror",
			LOG_TEXT("sip-interface", listener->interface->name),
			LOG_ADDRESS("address", &listener->address), LOG_ERRNO("error", result));
	else
		log_info("transport", "listener open", LOG_TEXT("sip-interface", listener->interface->name),
			LOG_ADDRESS("address", &listener->address),
			LOG_UINT("shard", listener->shard->index));
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
		if (is_device_error(errno)) {
			socket_close(listener);
			break;
		}
		/* An error belongs to the first datagram of the rest, be it a full buffer or its own address or an ICMP error
		 * of an earlier one: SIP repeats what matters. */
		sent++;
	}
	batch->count = 0;
	batch->used = 0;
}
