/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the dataplane's API: which replies a request has, events. No DPDK in here. */
#include "dataplane/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/ipc_request.h"
#include "platforms/base/log.h"

enum {
	REQUESTS_MAX = 16384, /* under way */
	TIMEOUT_MS = 2000, /* client.h promises it */
};
static_assert((int)DP_REPLY == (int)IPC_REPLY, "the base matches replies to requests");

struct dp_client {
	struct ipc_peer *peer;
	struct dp_client_handlers handlers;
	void *arg;
	uint32_t owner;
	struct ipc_requests *requests;
	bool up;
};

static const size_t reply_least[] = {
	[DP_SUBSCRIBE] = 0,
	[DP_SESSION_CREATE] = sizeof(struct dp_session_reply),
	[DP_SESSION_UPDATE] = sizeof(struct dp_session_reply),
	[DP_SESSION_DELETE] = sizeof(struct dp_session_info),
	[DP_SESSION_GET] = sizeof(struct dp_session_info),
	[DP_SESSION_LIST] = sizeof(struct dp_list_reply),
	[DP_BLOB_SET] = 0,
	[DP_STATS] = sizeof(struct dp_stats),
	[DP_INTERFACES] = 0,
	[DP_BAN_SET] = sizeof(struct dp_done),
	[DP_BAN_CLEAR] = sizeof(struct dp_done),
	[DP_BAN_LIST] = sizeof(struct dp_table_reply),
	[DP_TRUST_SET] = sizeof(struct dp_done),
	[DP_TRUST_CLEAR] = sizeof(struct dp_done),
	[DP_TRUST_LIST] = sizeof(struct dp_table_reply),
	[DP_FLOW_LIST] = sizeof(struct dp_flow_reply),
	[DP_REALMS] = sizeof(struct dp_table_reply),
	[DP_TOP_SOURCES] = 0,
};

static void take_sample(struct dp_client *c, const struct ipc_frame *frame, const void *body)
{
	struct dp_sample sample;

	if (c->handlers.sample == NULL || frame->length < sizeof(sample))
		return;
	memcpy(&sample, body, sizeof(sample));
	if (sample.captured > DP_SAMPLE_MAX || sample.captured > frame->length - sizeof(sample))
		return;
	c->handlers.sample(c->arg, &sample, (const uint8_t *)body + sizeof(sample));
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct dp_client *c = arg;

	(void)peer;
	if ((frame->type & DP_REPLY) != 0)
		ipc_requests_answer(c->requests, frame, body);
	else if (frame->type == DP_EVENT_DROP_SAMPLE)
		take_sample(c, frame, body);
	else if (frame->type >= DP_EVENT_LATCHED && frame->length >= sizeof(struct dp_event) &&
		 c->handlers.event != NULL)
		c->handlers.event(c->arg, (enum dp_message)frame->type, body);
}

static void subscribed(void *arg, int status, const void *body, size_t length)
{
	(void)arg;
	(void)body;
	(void)length;
	if (status != 0 && status != -ENOTCONN)
		log_warning("dataplane-client", "no events", LOG_ERRNO("error", status));
}

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct dp_client *c = arg;
	struct dp_subscribe subscribe = {
		.owner = c->owner,
		.flags = c->handlers.sample != NULL ? DP_SUBSCRIBE_SAMPLES : 0,
	};

	(void)peer;
	(void)hello;
	c->up = true;
	if (c->owner != UINT32_MAX || subscribe.flags != 0)
		(void)dp_client_request(c, DP_SUBSCRIBE, &subscribe, sizeof(subscribe), subscribed, c);
	if (c->handlers.up != NULL)
		c->handlers.up(c->arg, fresh);
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct dp_client *c = arg;

	(void)peer;
	c->up = false;
	ipc_requests_fail(c->requests, -ENOTCONN);
	if (c->handlers.down != NULL)
		c->handlers.down(c->arg);
}

int dp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	uint32_t owner, const struct dp_client_handlers *handlers, void *arg, struct dp_client **out)
{
	static const struct ipc_handlers ipc = { .up = on_up, .down = on_down, .frame = on_frame };
	struct dp_client *c = calloc(1, sizeof(*c));
	struct ipc_hello hello;
	int status;

	if (c == NULL)
		return -ENOMEM;
	if (handlers != NULL)
		c->handlers = *handlers;
	c->arg = arg;
	c->owner = owner;
	status = ipc_requests_new(loop, REQUESTS_MAX, TIMEOUT_MS, &c->requests);
	if (status != 0) {
		free(c);
		return status;
	}
	ipc_hello_fill(&hello, process, DP_API_VERSION, generation);
	status = ipc_connect(loop, socket_path, &hello, &ipc, c, &c->peer);
	if (status != 0) {
		ipc_requests_free(c->requests, free, c);
		return status;
	}
	*out = c;
	return 0;
}

void dp_client_free(struct dp_client *c)
{
	if (c == NULL)
		return;
	c->up = false;
	ipc_peer_free(c->peer);
	ipc_requests_free(c->requests, free, c);
}

bool dp_client_is_up(const struct dp_client *c)
{
	return c->up;
}

const struct ipc_hello *dp_client_hello(const struct dp_client *c)
{
	return c->up ? ipc_peer_hello(c->peer) : NULL;
}

int dp_client_request(
	struct dp_client *c, enum dp_message type, const void *body, size_t length, dp_reply reply, void *arg)
{
	if (!c->up)
		return -ENOTCONN;
	size_t least = (size_t)type < sizeof(reply_least) / sizeof(reply_least[0]) ? reply_least[type] : 0;

	return ipc_request(c->requests, c->peer, (uint16_t)type, body, length, least, reply, arg);
}

int dp_client_session(struct dp_client *c, enum dp_message type, const struct dp_session_request *request,
	const void *blob, dp_reply reply, void *arg)
{
	uint8_t body[sizeof(*request) + DP_BLOB_MAX];
	int status;

	if (request->blob_length > DP_BLOB_MAX)
		return -EMSGSIZE;
	memcpy(body, request, sizeof(*request));
	if (request->blob_length != 0)
		memcpy(body + sizeof(*request), blob, request->blob_length);
	status = dp_client_request(c, type, body, sizeof(*request) + request->blob_length, reply, arg);
	explicit_bzero(body, sizeof(*request)); /* keys may be in it */
	return status;
}
