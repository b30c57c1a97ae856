/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the dataplane's API: a table of requests under way, each answered exactly once. No DPDK in here. */
#include "dataplane/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/clock.h"
#include "platforms/base/ipc.h"
#include "platforms/base/log.h"

enum {
	REQUESTS_MAX = 16384, /* under way; a power of two */
	TIMEOUT_US = 2000000, /* client.h promises it */
	TICK_MS = 100,
};

struct pending {
	dp_reply reply; /* NULL = free */
	void *arg;
	uint64_t sequence, deadline_us;
	uint16_t type;
	uint32_t next_free;
};

struct dp_client {
	struct ipc_peer *peer;
	struct dp_client_handlers handlers;
	void *arg;
	uint32_t owner;
	uint64_t sequence;
	uv_timer_t timer;
	struct pending *pending;
	uint32_t free_first, under_way;
	bool up;
};

static void finish(struct dp_client *c, uint32_t slot, int status, const void *body, size_t length)
{
	struct pending *p = &c->pending[slot];
	dp_reply reply = p->reply;
	void *arg = p->arg;

	p->reply = NULL;
	p->next_free = c->free_first;
	c->free_first = slot;
	if (--c->under_way == 0)
		(void)uv_timer_stop(&c->timer);
	reply(arg, status, body, length);
}

static void finish_all(struct dp_client *c, int status)
{
	for (uint32_t i = 0; i < REQUESTS_MAX && c->under_way != 0; i++)
		if (c->pending[i].reply != NULL)
			finish(c, i, status, NULL, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct dp_client *c = timer->data;
	uint64_t now = clock_now_us();

	for (uint32_t i = 0; i < REQUESTS_MAX && c->under_way != 0; i++)
		if (c->pending[i].reply != NULL && now >= c->pending[i].deadline_us)
			finish(c, i, -ETIMEDOUT, NULL, 0);
}

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
};

static void on_reply(struct dp_client *c, const struct ipc_frame *frame, const void *body)
{
	uint32_t slot = (uint32_t)(frame->sequence % REQUESTS_MAX);
	struct pending *p = &c->pending[slot];
	int status = frame->status;

	if (p->reply == NULL || p->sequence != frame->sequence || (p->type | DP_REPLY) != frame->type)
		return; /* it came after its time-out */
	if (status == 0 && frame->length < reply_least[p->type])
		status = -EBADMSG;
	finish(c, slot, status > 0 ? -EBADMSG : status, body, frame->length);
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct dp_client *c = arg;

	(void)peer;
	if ((frame->type & DP_REPLY) != 0)
		on_reply(c, frame, body);
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
	struct dp_subscribe subscribe = { .owner = c->owner };

	(void)peer;
	(void)hello;
	c->up = true;
	if (c->owner != UINT32_MAX)
		(void)dp_client_request(c, DP_SUBSCRIBE, &subscribe, sizeof(subscribe), subscribed, c);
	if (c->handlers.up != NULL)
		c->handlers.up(c->arg, fresh);
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct dp_client *c = arg;

	(void)peer;
	c->up = false;
	finish_all(c, -ENOTCONN);
	if (c->handlers.down != NULL)
		c->handlers.down(c->arg);
}

int dp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	uint32_t owner, const struct dp_client_handlers *handlers, void *arg, struct dp_client **out)
{
	static const struct ipc_handlers ipc = { .up = on_up, .down = on_down, .frame = on_frame };
	struct dp_client *c = calloc(1, sizeof(*c));
	struct ipc_hello hello;
	int status = -ENOMEM;

	if (c == NULL)
		return status;
	c->pending = calloc(REQUESTS_MAX, sizeof(*c->pending));
	if (c->pending == NULL)
		goto fail;
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		c->pending[i].sequence = i;
		c->pending[i].next_free = i + 1;
	}
	if (handlers != NULL)
		c->handlers = *handlers;
	c->arg = arg;
	c->owner = owner;
	ipc_hello_fill(&hello, process, DP_API_VERSION, generation);
	status = ipc_connect(loop, socket_path, &hello, &ipc, c, &c->peer);
	if (status != 0)
		goto fail;
	(void)uv_timer_init(loop, &c->timer);
	uv_unref((uv_handle_t *)&c->timer);
	c->timer.data = c;
	*out = c;
	return 0;
fail:
	free(c->pending);
	free(c);
	return status;
}

static void closed(uv_handle_t *handle)
{
	struct dp_client *c = handle->data;

	free(c->pending);
	free(c);
}

void dp_client_free(struct dp_client *c)
{
	if (c == NULL)
		return;
	c->up = false;
	finish_all(c, -ENOTCONN);
	ipc_peer_free(c->peer);
	uv_close((uv_handle_t *)&c->timer, closed);
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
	uint32_t slot = c->free_first;

	if (!c->up)
		return -ENOTCONN;
	if ((size_t)type >= sizeof(reply_least) / sizeof(reply_least[0]))
		return -EINVAL;
	if (slot == REQUESTS_MAX)
		return -ENOBUFS;
	struct pending *p = &c->pending[slot];
	/* The number tells the slot, and which of its uses. */
	uint64_t sequence = p->sequence + REQUESTS_MAX;
	int status = ipc_send(c->peer, (uint16_t)type, 0, sequence, body, length);
	if (status != 0)
		return status;
	c->free_first = p->next_free;
	p->sequence = sequence;
	p->reply = reply;
	p->arg = arg;
	p->type = (uint16_t)type;
	p->deadline_us = clock_now_us() + TIMEOUT_US;
	if (c->under_way++ == 0)
		(void)uv_timer_start(&c->timer, on_timer, TICK_MS, TICK_MS);
	return 0;
}

int dp_client_session(struct dp_client *c, enum dp_message type, const struct dp_session_request *request,
	const void *blob, dp_reply reply, void *arg)
{
	uint8_t body[sizeof(*request) + DP_BLOB_MAX];

	if (request->blob_length > DP_BLOB_MAX)
		return -EMSGSIZE;
	memcpy(body, request, sizeof(*request));
	if (request->blob_length != 0)
		memcpy(body + sizeof(*request), blob, request->blob_length);
	return dp_client_request(c, type, body, sizeof(*request) + request->blob_length, reply, arg);
}

void dp_address_from(struct dp_address *out, const union address *a)
{
	*out = (struct dp_address){ 0 };
	if (a->sa.sa_family == AF_INET) {
		out->family = 4;
		memcpy(out->ip, &a->in4.sin_addr, 4);
	} else if (a->sa.sa_family == AF_INET6) {
		out->family = 6;
		memcpy(out->ip, &a->in6.sin6_addr, 16);
	} else {
		return;
	}
	out->port = address_port(a);
}

void dp_address_to(const struct dp_address *a, union address *out)
{
	*out = (union address){ 0 };
	if (a->family == 4) {
		out->in4.sin_family = AF_INET;
		memcpy(&out->in4.sin_addr, a->ip, 4);
	} else if (a->family == 6) {
		out->in6.sin6_family = AF_INET6;
		memcpy(&out->in6.sin6_addr, a->ip, 16);
	} else {
		return;
	}
	address_set_port(out, a->port);
}

static const struct {
	const char *name, *help;
} counters[] = {
#define X(id, name, help) { name, help },
	DP_COUNTERS(X)
#undef X
};

const char *dp_counter_name(enum dp_counter counter)
{
	return (unsigned)counter < DP_COUNTER_COUNT ? counters[counter].name : "?";
}

const char *dp_counter_help(enum dp_counter counter)
{
	return (unsigned)counter < DP_COUNTER_COUNT ? counters[counter].help : "?";
}
