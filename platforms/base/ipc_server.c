/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening end: the socket file, and the connections it accepts. */
#include "platforms/base/ipc_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platforms/base/log.h"

enum {
	BACKLOG = 64,
	ACCEPT_BURST = 16,
	ACCEPT_PAUSE_MS = 100, /* no descriptors left: level-triggered polling would spin */
	SOCKET_MODE = 0660,
};

struct ipc_accepted {
	struct ipc_peer peer; /* first: freed through it */
	struct ipc_server *server;
	struct ipc_accepted *next;
	struct ipc_accepted **place; /* what points here */
};

struct ipc_server {
	uv_loop_t *loop;
	struct ipc_hello self;
	struct ipc_handlers handlers;
	void *arg;
	struct sockaddr_un address;
	dev_t device; /* of the socket file: a successor's is not ours to remove */
	ino_t inode;
	int fd;
	uv_poll_t poll;
	uv_timer_t pause;
	unsigned open_handles;
	bool freed;
	struct ipc_memory memory;
	struct ipc_accepted *connections; /* the newest first */
	unsigned connection_count;
	_Alignas(8) uint8_t packet[IPC_PACKET_MAX]; /* shared: one connection receives at a time */
};

static void accepted_lost(struct ipc_peer *peer)
{
	ipc_peer_free(peer);
}

static void accepted_detach(struct ipc_peer *peer)
{
	struct ipc_accepted *connection = (struct ipc_accepted *)peer;

	*connection->place = connection->next;
	if (connection->next)
		connection->next->place = connection->place;
	connection->server->connection_count--;
}

static const struct ipc_role server_role = {
	.is_server = true, .lost = accepted_lost, .detach = accepted_detach
};

static void serve(struct ipc_server *server, int fd)
{
	struct ipc_accepted *connection;
	int error;

	if (server->connection_count >= IPC_CONNECTIONS_MAX) {
		ipc_complain(&server->memory, server->address.sun_path, "too many connections, one refused",
			EMFILE);
		close(fd);
		return;
	}
	connection = calloc(1, sizeof(*connection));
	if (!connection) {
		ipc_complain(&server->memory, server->address.sun_path, "connection refused", ENOMEM);
		close(fd);
		return;
	}
	ipc_peer_init(
		&connection->peer, &server_role, server->loop, &server->self, &server->handlers, server->arg);
	connection->peer.path = server->address.sun_path;
	connection->peer.memory = &server->memory;
	connection->peer.packet = server->packet;
	connection->server = server;
	connection->place = &server->connections;
	connection->next = server->connections;
	if (connection->next)
		connection->next->place = &connection->next;
	server->connections = connection;
	server->connection_count++;
	error = ipc_peer_attach(&connection->peer, fd);
	if (error < 0) {
		ipc_complain(&server->memory, server->address.sun_path, "connection refused", error);
		ipc_peer_free(&connection->peer);
	}
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct ipc_server *server = timer->data;

	uv_poll_start(&server->poll, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct ipc_server *server = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			serve(server, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		ipc_complain(&server->memory, server->address.sun_path, "cannot accept", errno);
		uv_poll_stop(poll);
		uv_timer_start(&server->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
		return;
	}
}

/* Makes room for bind(2): removes the socket file of a process that is gone, nothing else. 0 or -errno. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int error = 0;
	int fd;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* connect(2) to a plain file is refused like to a stale socket: never delete what we did not make. */
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN ||
		errno == EPROTOTYPE)
		error = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		error = -errno;
	else if (unlink(address->sun_path) < 0 && errno != ENOENT)
		error = -errno;
	close(fd);
	return error;
}

/* Binds, limits access, listens; in this order nobody gets in before the mode is right. 0 or -errno. */
static int open_socket(struct ipc_server *server)
{
	const char *path = server->address.sun_path;
	struct stat st;
	int error;

	error = remove_stale(&server->address);
	if (error < 0)
		return error;
	server->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0)
		return -errno;
	if (bind(server->fd, (const struct sockaddr *)&server->address, sizeof(server->address)) < 0) {
		error = -errno;
		goto out_close;
	}
	if (chmod(path, SOCKET_MODE) < 0 || lstat(path, &st) < 0 || listen(server->fd, BACKLOG) < 0) {
		error = -errno;
		goto out_unlink;
	}
	server->device = st.st_dev;
	server->inode = st.st_ino;
	return 0;
out_unlink:
	unlink(path);
out_close:
	close(server->fd);
	return error;
}

static void remove_socket_file(const struct ipc_server *server)
{
	const char *path = server->address.sun_path;
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == server->device && st.st_ino == server->inode)
		unlink(path);
}

int ipc_listen(uv_loop_t *loop, const char *path, const struct ipc_hello *self,
	const struct ipc_handlers *handlers, void *arg, struct ipc_server **out)
{
	struct ipc_server *server = ipc_memory_new(sizeof(*server), offsetof(struct ipc_server, packet));
	int error;

	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->self = *self;
	server->handlers = *handlers;
	server->arg = arg;
	error = ipc_path(&server->address, path);
	if (error < 0)
		goto out_free;
	error = open_socket(server);
	if (error < 0)
		goto out_free;
	error = uv_poll_init(loop, &server->poll, server->fd);
	if (error < 0)
		goto out_close;
	server->poll.data = server;
	uv_timer_init(loop, &server->pause);
	server->pause.data = server;
	server->open_handles = 2;
	uv_poll_start(&server->poll, UV_READABLE, on_connection);
	*out = server;
	return 0;
out_close:
	remove_socket_file(server);
	close(server->fd);
out_free:
	free(server);
	return error;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct ipc_server *server = handle->data;

	if (--server->open_handles == 0)
		free(server);
}

void ipc_server_free(struct ipc_server *server)
{
	if (!server || server->freed)
		return;
	server->freed = true;
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->pause, on_handle_closed);
	close(server->fd);
	remove_socket_file(server);
	while (server->connections)
		ipc_peer_free(&server->connections->peer);
}
