/* SPDX-License-Identifier: BSD-3-Clause */
/* The connecting end: tries for ever, quietly. */
#include "platforms/base/ipc_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platforms/base/log.h"

enum { RETRY_FIRST_MS = 50, RETRY_MAX_MS = 1000 };

struct ipc_client {
	struct ipc_peer peer; /* first: freed through it */
	struct sockaddr_un address;
	struct ipc_memory memory;
	unsigned retry_ms;
	int last_error; /* why there was no connection, as logged */
	_Alignas(8) uint8_t packet[IPC_PACKET_MAX];
};

static struct ipc_client *client_of(struct ipc_peer *peer)
{
	return (struct ipc_client *)peer;
}

static void on_retry(uv_timer_t *timer);

static void retry_later(struct ipc_client *client)
{
	uv_timer_start(&client->peer.timer, on_retry, client->retry_ms, 0);
	client->retry_ms = client->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : client->retry_ms * 2;
}

/* A line when the reason changes, not one per attempt. */
static void note_error(struct ipc_client *client, int error)
{
	bool is_absent = error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN;

	if (client->last_error == error)
		return;
	client->last_error = error;
	LOG_AT(is_absent ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "ipc", "no connection yet, trying on",
		LOG_TEXT("socket", client->peer.path), LOG_ERRNO("error", error));
}

/* The socket of a Unix connect(2) is connected, or refused, at once. */
static int try_connect(struct ipc_client *client)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&client->address, sizeof(client->address)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return ipc_peer_attach(&client->peer, fd);
}

static void on_retry(uv_timer_t *timer)
{
	struct ipc_client *client = client_of(timer->data);
	int error = try_connect(client);

	if (error < 0) {
		note_error(client, error);
		retry_later(client);
	}
}

static void client_up(struct ipc_peer *peer)
{
	struct ipc_client *client = client_of(peer);

	client->retry_ms = RETRY_FIRST_MS;
	client->last_error = 0;
}

static void client_lost(struct ipc_peer *peer)
{
	retry_later(client_of(peer));
}

static const struct ipc_role client_role = { .up = client_up, .lost = client_lost };

int ipc_connect(uv_loop_t *loop, const char *path, const struct ipc_hello *self,
	const struct ipc_handlers *handlers, void *arg, struct ipc_peer **out)
{
	struct ipc_client *client = ipc_memory_new(sizeof(*client), offsetof(struct ipc_client, packet));
	int error;

	if (!client)
		return -ENOMEM;
	error = ipc_path(&client->address, path);
	if (error < 0) {
		free(client);
		return error;
	}
	ipc_peer_init(&client->peer, &client_role, loop, self, handlers, arg);
	client->peer.path = client->address.sun_path;
	client->peer.memory = &client->memory;
	client->peer.packet = client->packet;
	client->retry_ms = RETRY_FIRST_MS;
	/* From the loop, not from here: no handler may run before the caller has its pointer. */
	uv_timer_start(&client->peer.timer, on_retry, 0, 0);
	*out = &client->peer;
	return 0;
}
