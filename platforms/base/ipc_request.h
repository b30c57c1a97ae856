/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests over an ipc connection: each that was accepted is answered exactly once, by its reply, by its time-out or by
 * the end of the connection. What the clients of the processes' APIs stand on. */
#ifndef PLATFORMS_BASE_IPC_REQUEST_H
#define PLATFORMS_BASE_IPC_REQUEST_H

#include "platforms/base/ipc.h"

enum { IPC_REPLY = 0x4000 }; /* added to a request's type in its reply */

struct ipc_requests; /* those under way over one connection. owner: the loop's thread */

/* status: 0, -errno of the other end, -EBADMSG (its reply is none), or what ended the request without one. `body` is borrowed
 * for the call; with status 0 it has at least the length the asker required. */
typedef void (*ipc_reply)(void *arg, int status, const void *body, size_t length);

/* At most `max` at a time, each with `timeout_ms` to live. They do not keep the loop running. 0 or -ENOMEM. */
int ipc_requests_new(uv_loop_t *loop, uint32_t max, uint64_t timeout_ms, struct ipc_requests **out);
/* Those under way are answered with -ENOTCONN. `gone` is called when the loop has run its close callbacks. */
void ipc_requests_free(struct ipc_requests *requests, void (*gone)(void *arg), void *arg);

/* 0: `reply` will be called, never before the return. -ENOBUFS (`max` under way) and the errors of ipc_send: it will not be.
 * `least`: octets a reply with status 0 must have. */
int ipc_request(struct ipc_requests *requests, struct ipc_peer *peer, uint16_t type, const void *body,
	size_t length, size_t least, ipc_reply reply, void *arg);
/* A frame whose type has IPC_REPLY. One that nobody waits for (any more) is ignored. */
void ipc_requests_answer(struct ipc_requests *requests, const struct ipc_frame *frame, const void *body);
/* Answers all under way with `status`, the oldest first. */
void ipc_requests_fail(struct ipc_requests *requests, int status);

#endif
