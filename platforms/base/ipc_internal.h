/* SPDX-License-Identifier: BSD-3-Clause */
/* What ipc_packet.c, ipc_peer.c, ipc_client.c and ipc_server.c share; nobody else includes this. */
#ifndef PLATFORMS_BASE_IPC_INTERNAL_H
#define PLATFORMS_BASE_IPC_INTERNAL_H

#include <sys/un.h>

#include "platforms/base/ipc.h"

enum {
	IPC_HELLO_TYPE = 0,
	IPC_HELLO_TIMEOUT_MS = 5000, /* connected but mute */
	IPC_SEEN_MAX = 64,
	IPC_COMPLAINT_INTERVAL_MS = 60000, /* log lines about bad peers, per end */
};

/* --- frames waiting to be sent, already in packets (ipc_packet.c) --- */

struct ipc_packet {
	struct ipc_packet *next;
	size_t length;
	uint8_t data[]; /* IPC_PACKET_MAX bytes of room */
};

struct ipc_queue {
	struct ipc_packet *first;
	struct ipc_packet *last;
	struct ipc_packet *spare; /* one kept back: a request-reply rhythm allocates nothing */
	size_t bytes;
};

enum { IPC_PAGE = 4096 };

/* `size` octets from the beginning of a page, the first `zeroed` of them 0: messages may carry keys, and no core dump has what is in there.
 * Given back by free(). NULL without memory. */
void *ipc_memory_new(size_t size, size_t zeroed);

/* 0, -EMSGSIZE, -ENOBUFS (full) or -ENOMEM. `frame->length` tells the size of `body`. */
int ipc_queue_push(struct ipc_queue *queue, const struct ipc_frame *frame, const void *body);
void ipc_queue_pop(struct ipc_queue *queue);
void ipc_queue_clear(struct ipc_queue *queue);
void ipc_queue_fini(struct ipc_queue *queue);

/* The body of a frame as a hello; NULL when it is none. The version is not judged here. */
const struct ipc_hello *ipc_hello_check(const struct ipc_frame *frame, const void *body);

/* --- one end's memory of the peers it has met: of a client, or of a server for all its connections --- */

struct ipc_seen {
	uint64_t generation[IPC_SEEN_MAX]; /* a ring: the oldest is forgotten */
	unsigned count;
	unsigned next;
};

struct ipc_memory {
	struct ipc_seen known; /* have been up */
	struct ipc_seen refused; /* wrong version, logged */
	uint64_t quiet_until_ms; /* no complaint in the log before */
};

/* --- a connection, either end's (ipc_peer.c) --- */

enum ipc_state { IPC_DOWN, IPC_GREETING, IPC_UP };

/* The file descriptor and its watcher: a client's peer outlives it, and libuv frees it only later. */
struct ipc_link {
	uv_poll_t poll;
	int fd;
	bool wants_write;
	struct ipc_peer *peer;
};

struct ipc_role {
	bool is_server;
	void (*up)(struct ipc_peer *peer); /* greeted; may be NULL */
	void (*lost)(struct ipc_peer *peer); /* the connection has ended, the peer has not been freed */
	void (*detach)(struct ipc_peer *peer); /* is being freed; may be NULL */
};

struct ipc_peer {
	const struct ipc_role *role;
	uv_loop_t *loop;
	struct ipc_handlers handlers;
	void *arg;
	void *data;
	const char *path;
	struct ipc_hello self;
	struct ipc_hello hello; /* the other's, once up */
	uint32_t user; /* the other's, as the kernel knows it */
	struct ipc_memory *memory;
	uint8_t *packet; /* IPC_PACKET_MAX bytes to receive into, 8-byte aligned */
	enum ipc_state state;
	bool freed;
	unsigned open_handles; /* the memory goes with the last */
	struct ipc_link *link; /* NULL while IPC_DOWN */
	struct ipc_queue queue;
	uv_timer_t timer; /* IPC_GREETING: the hello is late; IPC_DOWN: a client's next attempt */
	uv_prepare_t flush; /* active while frames wait for the end of the loop round */
};

/* `peer` is the first member of a zeroed heap object, which the last close callback frees. */
void ipc_peer_init(struct ipc_peer *peer, const struct ipc_role *role, uv_loop_t *loop,
	const struct ipc_hello *self, const struct ipc_handlers *handlers, void *arg);
/* Takes the connected `fd` over, also on failure, and greets. 0 or -errno. */
int ipc_peer_attach(struct ipc_peer *peer, int fd);
/* One line per minute and end about peers that break the rules. */
void ipc_complain(struct ipc_memory *memory, const char *path, const char *message, int error);

/* 0, -EINVAL (empty) or -ENAMETOOLONG. */
int ipc_path(struct sockaddr_un *address, const char *path);

#endif
