/* SPDX-License-Identifier: BSD-3-Clause */
/* Framed messages between the processes over Unix SEQPACKET sockets, on a libuv loop.
 *
 * One packet = one or more frames, each `struct ipc_frame` + body padded to 8 bytes; native byte order (one host).
 * The first frame of each side is the hello: who speaks, its API version, its boot generation. A client reconnects
 * for ever (50 ms, doubling to 1 s); a peer whose generation is new has lost its state, and says so by it.
 * Every byte is checked: a short, overlong or misaligned frame closes that connection and nothing else. */
#ifndef PLATFORMS_BASE_IPC_H
#define PLATFORMS_BASE_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
	IPC_PACKET_MAX = 65536,
	IPC_MAGIC = 0x53505953,
	IPC_QUEUE_MAX = 4 * 1024 * 1024,
	IPC_CONNECTIONS_MAX = 256
};

struct ipc_frame {
	uint32_t length; /* of the body, without this header and the padding */
	uint16_t type; /* of the API in question; 0 is the hello */
	int16_t status; /* in replies: 0 or -errno; else 0 */
	uint64_t sequence; /* chosen by the asker, copied into the reply; 0 in events */
};

struct ipc_hello {
	uint32_t magic; /* IPC_MAGIC */
	uint32_t api_version; /* must be equal on both sides, else the connection is closed with a log line */
	uint64_t generation; /* random at each process start */
	uint32_t pid;
	uint32_t reserved;
	char process[24]; /* "dataplane" */
	char version[40]; /* SALLYPORT_VERSION */
};

struct ipc_peer; /* one connection. owner: the loop's thread */

/* A handler may free its own peer, or the server. `up` and `down` may be NULL. */
struct ipc_handlers {
	/* The hello has been exchanged: the peer may be used. `fresh` = its generation was not seen before by this
	 * end (first contact, or it restarted). */
	void (*up)(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh);
	/* The connection is gone; `peer` is invalid for a server after the return, and kept by a client. Follows each
	 * `up` once, except when a client's owner ends it by ipc_peer_free. */
	void (*down)(void *arg, struct ipc_peer *peer);
	/* One frame; body is 8-byte aligned and borrowed for the call. */
	void (*frame)(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body);
};

struct ipc_server;

/* Listens on `path` (a stale socket file is replaced, a live one is -EADDRINUSE, another kind of file -EEXIST,
 * too long -ENAMETOOLONG), mode 0660. `self` is copied. 0 or -errno. */
int ipc_listen(uv_loop_t *loop, const char *path, const struct ipc_hello *self,
	const struct ipc_handlers *handlers, void *arg, struct ipc_server **out);
/* Closes all its connections and removes the socket file. The memory goes when the loop has run its close callbacks. */
void ipc_server_free(struct ipc_server *server);

/* Starts connecting; returns at once, whether or not somebody listens. 0 or -errno (bad path, no memory). */
int ipc_connect(uv_loop_t *loop, const char *path, const struct ipc_hello *self,
	const struct ipc_handlers *handlers, void *arg, struct ipc_peer **out);
/* Of a client: the end, no handler is called any more. Of a server's peer: closes the connection. What was queued is sent
 * if the socket takes it at once; the memory goes when the loop has run its close callbacks. NULL is fine. */
void ipc_peer_free(struct ipc_peer *peer);

bool ipc_peer_is_up(const struct ipc_peer *peer);
/* The other's; all zero before the first `up`. */
const struct ipc_hello *ipc_peer_hello(const struct ipc_peer *peer);
/* The user that the other process ran as when it connected; UINT32_MAX: not known. */
uint32_t ipc_peer_user(const struct ipc_peer *peer);
void ipc_peer_set_data(struct ipc_peer *peer, void *data);
void *ipc_peer_data(const struct ipc_peer *peer);

/* Queues one frame (copied); frames of one loop round leave in one packet where they fit. Calls no handler.
 * 0, -ENOTCONN (not up), -EINVAL (type 0), -ENOMEM, -EMSGSIZE (body over IPC_PACKET_MAX - headers), -ENOBUFS (IPC_QUEUE_MAX waiting: peer stuck). */
int ipc_send(struct ipc_peer *peer, uint16_t type, int16_t status, uint64_t sequence, const void *body,
	size_t length);

/* Walks the frames of one packet (8-byte aligned); used by the connections and by the fuzzer. Calls `each` per frame
 * once the whole packet has proved well-formed. 0 or -EBADMSG. */
int ipc_packet_walk(const void *packet, size_t length,
	void (*each)(void *arg, const struct ipc_frame *, const void *), void *arg);

/* Fills magic, version, pid, generation. */
void ipc_hello_fill(struct ipc_hello *hello, const char *process, uint32_t api_version, uint64_t generation);

#endif
