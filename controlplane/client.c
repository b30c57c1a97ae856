/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the control plane's API: requests under way in order of asking, each with the same time to live. */
#include "controlplane/client.h"

#include <errno.h>
#include <stdlib.h>

#include "platforms/base/clock.h"

enum { TIMEOUT_MS = 2000, REQUESTS_MAX = 1024 };

struct cp_request {
	struct cp_request *next;
	uint64_t sequence, deadline_ms;
	enum cp_message type;
	cp_reply reply;
	void *arg;
};

struct cp_client {
	struct ipc_peer *peer;
	uv_timer_t timer;
	uint64_t sequence;
	struct cp_request *first, **last; /* oldest first */
	unsigned count;
	bool up;
};

static size_t reply_size(enum cp_message type)
{
	switch (type) {
	case CP_STATUS:
		return sizeof(struct cp_status);
	case CP_COUNTERS_GET:
		return sizeof(struct cp_counters);
	case CP_CALL_LIST:
		return sizeof(struct cp_call_page);
	case CP_CALL_GET:
		return sizeof(struct cp_call);
	case CP_REPLY:
		break;
	}
	return 0;
}

/* Takes the request with that sequence out of the list; NULL if there is none. */
static struct cp_request *take(struct cp_client *client, uint64_t sequence)
{
	struct cp_request **at = &client->first;
	struct cp_request *request;

	while (*at && (*at)->sequence != sequence)
		at = &(*at)->next;
	request = *at;
	if (!request)
		return NULL;
	*at = request->next;
	if (!request->next)
		client->last = at;
	client->count--;
	return request;
}

static void finish(struct cp_request *request, int status, const void *body, size_t length)
{
	if (status == 0 && length < reply_size(request->type))
		status = -EBADMSG;
	request->reply(request->arg, status, status ? NULL : body, status ? 0 : length);
	free(request);
}

static void fail_all(struct cp_client *client)
{
	while (client->first)
		finish(take(client, client->first->sequence), -ENOTCONN, NULL, 0);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct cp_client *client)
{
	uint64_t now = clock_now_ms();

	if (!client->first) {
		uv_timer_stop(&client->timer);
		return;
	}
	uv_timer_start(&client->timer, on_timer,
		client->first->deadline_ms > now ? client->first->deadline_ms - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct cp_client *client = timer->data;
	uint64_t now = clock_now_ms();

	while (client->first && client->first->deadline_ms <= now)
		finish(take(client, client->first->sequence), -ETIMEDOUT, NULL, 0);
	arm(client);
}

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct cp_client *client = arg;

	(void)peer;
	(void)hello;
	(void)fresh;
	client->up = true;
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct cp_client *client = arg;

	(void)peer;
	client->up = false;
	fail_all(client);
	uv_timer_stop(&client->timer);
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct cp_client *client = arg;
	struct cp_request *request = take(client, frame->sequence);

	(void)peer;
	/* Late, or not of this version. */
	if (!request)
		return;
	if (frame->type != (unsigned)request->type + CP_REPLY)
		finish(request, -EBADMSG, NULL, 0);
	else
		finish(request, frame->status, body, frame->length);
}

int cp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	struct cp_client **out)
{
	static const struct ipc_handlers handlers = { on_up, on_down, on_frame };
	struct cp_client *client = calloc(1, sizeof(*client));
	struct ipc_hello self;
	int error;

	if (!client)
		return -ENOMEM;
	client->last = &client->first;
	ipc_hello_fill(&self, process, CP_API_VERSION, generation);
	error = ipc_connect(loop, socket_path, &self, &handlers, client, &client->peer);
	if (error) {
		free(client);
		return error;
	}
	uv_timer_init(loop, &client->timer);
	client->timer.data = client;
	*out = client;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void cp_client_free(struct cp_client *client)
{
	if (!client)
		return;
	client->up = false;
	fail_all(client);
	ipc_peer_free(client->peer);
	client->peer = NULL;
	uv_close((uv_handle_t *)&client->timer, on_closed);
}

bool cp_client_is_up(const struct cp_client *client)
{
	return client->up;
}

const struct ipc_hello *cp_client_hello(const struct cp_client *client)
{
	return client->up ? ipc_peer_hello(client->peer) : NULL;
}

int cp_client_request(struct cp_client *client, enum cp_message type, const void *body, size_t length,
	cp_reply reply, void *arg)
{
	struct cp_request *request;
	int error;

	if (!client->up)
		return -ENOTCONN;
	if (client->count >= REQUESTS_MAX)
		return -ENOBUFS;
	request = malloc(sizeof(*request));
	if (!request)
		return -ENOMEM;
	*request = (struct cp_request){ .sequence = ++client->sequence,
		.deadline_ms = clock_now_ms() + TIMEOUT_MS,
		.type = type,
		.reply = reply,
		.arg = arg };
	error = ipc_send(client->peer, (uint16_t)type, 0, request->sequence, body, length);
	if (error) {
		free(request);
		return error;
	}
	*client->last = request;
	client->last = &request->next;
	if (client->count++ == 0)
		arm(client);
	return 0;
}

static const struct {
	const char *name, *help;
} counters[CP_COUNTER_COUNT] = {
#define X(id, counter_name, counter_help) [CP_COUNTER_##id] = { counter_name, counter_help },
	CP_COUNTERS(X)
#undef X
};

const char *cp_counter_name(enum cp_counter counter)
{
	return (unsigned)counter < CP_COUNTER_COUNT ? counters[counter].name : "";
}

const char *cp_counter_help(enum cp_counter counter)
{
	return (unsigned)counter < CP_COUNTER_COUNT ? counters[counter].help : "";
}
