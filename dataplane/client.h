/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the dataplane's API for a libuv loop: connects for ever, matches replies to requests, hands out events.
 * One client belongs to one loop's thread; a control-plane shard has its own. */
#ifndef DATAPLANE_CLIENT_H
#define DATAPLANE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "dataplane/api.h"
#include "platforms/base/address.h"
#include "platforms/base/ipc.h"

struct dp_client;

struct dp_client_handlers {
	/* Connected (again). `fresh`: the dataplane restarted or is met for the first time: it knows no session of ours. */
	void (*up)(void *arg, bool fresh);
	void (*down)(void *arg);
	void (*event)(void *arg, enum dp_message type, const struct dp_event *event);
	/* Not NULL: samples of dropped packets are asked for. `octets` has sample->captured of them, checked; borrowed. */
	void (*sample)(void *arg, const struct dp_sample *sample, const uint8_t *octets);
};

/* status: 0, -errno of the dataplane, -ENOTCONN when it is or went away, -ETIMEDOUT after 2 s. `body` is borrowed for the
 * call and checked: for each request at least the size of its fixed reply. Called exactly once per request accepted. */
typedef void (*dp_reply)(void *arg, int status, const void *body, size_t length);

/* owner: UINT32_MAX = no session's events wanted (mgmt). `process` names us in the hello. 0 or -errno. */
int dp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	uint32_t owner, const struct dp_client_handlers *handlers, void *arg, struct dp_client **out);
/* Requests under way are answered with -ENOTCONN first. */
void dp_client_free(struct dp_client *client);
bool dp_client_is_up(const struct dp_client *client);
/* Who answers: version, generation, pid. Borrowed; NULL while it is not up. */
const struct ipc_hello *dp_client_hello(const struct dp_client *client);

/* 0: `reply` will be called, never before the return. -ENOTCONN, -ENOBUFS, -ENOMEM, -EMSGSIZE: it will not be. */
int dp_client_request(struct dp_client *client, enum dp_message type, const void *body, size_t length,
	dp_reply reply, void *arg);
/* Create and update: `request` and its blob_length bytes of blob. */
int dp_client_session(struct dp_client *client, enum dp_message type,
	const struct dp_session_request *request, const void *blob, dp_reply reply, void *arg);

#endif
