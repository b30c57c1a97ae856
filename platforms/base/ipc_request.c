/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests under way: a table of slots, found by sequence number; a list of those in use, the oldest first. */
#include "platforms/base/ipc_request.h"

#include <errno.h>
#include <stdlib.h>

#include "platforms/base/clock.h"

struct request {
	ipc_reply reply; /* NULL: free */
	void *arg;
	uint64_t sequence, deadline_ms;
	size_t least;
	struct request *next, *previous; /* of those under way, or of the free ones (next only) */
	uint16_t type;
};

struct ipc_requests {
	uv_timer_t timer;
	uint64_t timeout_ms;
	struct request *oldest, *newest, *free;
	void (*gone)(void *arg);
	void *arg;
	uint32_t max;
	struct request slot[];
};

static void append(struct ipc_requests *requests, struct request *request)
{
	request->next = NULL;
	request->previous = requests->newest;
	if (requests->newest)
		requests->newest->next = request;
	else
		requests->oldest = request;
	requests->newest = request;
}

static void take_out(struct ipc_requests *requests, struct request *request)
{
	if (request->previous)
		request->previous->next = request->next;
	else
		requests->oldest = request->next;
	if (request->next)
		request->next->previous = request->previous;
	else
		requests->newest = request->previous;
}

/* The slot is free before the callback, which may ask again or free the whole. */
static void finish(
	struct ipc_requests *requests, struct request *request, int status, const void *body, size_t length)
{
	ipc_reply reply = request->reply;

	take_out(requests, request);
	request->reply = NULL;
	request->next = requests->free;
	requests->free = request;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): what is in the list is not free, so has one */
	reply(request->arg, status, body, length);
}

static void on_timer(uv_timer_t *timer);

/* All live equally long: the oldest is the next to time out. */
static void arm(struct ipc_requests *requests)
{
	uint64_t now = clock_now_ms(), deadline;

	if (!requests->oldest || uv_is_closing((uv_handle_t *)&requests->timer))
		return;
	deadline = requests->oldest->deadline_ms;
	uv_timer_start(&requests->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct ipc_requests *requests = timer->data;
	uint64_t now = clock_now_ms();

	while (requests->oldest && requests->oldest->deadline_ms <= now)
		finish(requests, requests->oldest, -ETIMEDOUT, NULL, 0);
	arm(requests);
}

int ipc_requests_new(uv_loop_t *loop, uint32_t max, uint64_t timeout_ms, struct ipc_requests **out)
{
	struct ipc_requests *requests = calloc(1, sizeof(*requests) + max * sizeof(requests->slot[0]));

	if (!requests)
		return -ENOMEM;
	requests->timeout_ms = timeout_ms;
	requests->max = max;
	for (uint32_t i = max; i-- > 0;) {
		requests->slot[i].sequence = i;
		requests->slot[i].next = requests->free;
		requests->free = &requests->slot[i];
	}
	uv_timer_init(loop, &requests->timer);
	uv_unref((uv_handle_t *)&requests->timer);
	requests->timer.data = requests;
	*out = requests;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct ipc_requests *requests = handle->data;

	if (requests->gone)
		requests->gone(requests->arg);
	free(requests);
}

void ipc_requests_free(struct ipc_requests *requests, void (*gone)(void *arg), void *arg)
{
	requests->gone = gone;
	requests->arg = arg;
	uv_close((uv_handle_t *)&requests->timer, on_closed);
	ipc_requests_fail(requests, -ENOTCONN);
}

int ipc_request(struct ipc_requests *requests, struct ipc_peer *peer, uint16_t type, const void *body,
	size_t length, size_t least, ipc_reply reply, void *arg)
{
	struct request *request = requests->free;
	uint64_t sequence;
	int error;

	if (!request)
		return -ENOBUFS;
	/* The number tells the slot, and which of its uses. */
	sequence = request->sequence + requests->max;
	error = ipc_send(peer, type, 0, sequence, body, length);
	if (error)
		return error;
	requests->free = request->next;
	*request = (struct request){ .reply = reply,
		.arg = arg,
		.sequence = sequence,
		.deadline_ms = clock_now_ms() + requests->timeout_ms,
		.least = least,
		.type = type };
	append(requests, request);
	/* When it runs it is for an older one, and finds the next then. */
	if (!uv_is_active((uv_handle_t *)&requests->timer))
		arm(requests);
	return 0;
}

void ipc_requests_answer(struct ipc_requests *requests, const struct ipc_frame *frame, const void *body)
{
	struct request *request = &requests->slot[frame->sequence % requests->max];
	int status = frame->status;

	if (!request->reply || request->sequence != frame->sequence)
		return;
	if (status > 0 || frame->type != (request->type | IPC_REPLY) ||
		(status == 0 && frame->length < request->least))
		finish(requests, request, -EBADMSG, NULL, 0);
	else
		finish(requests, request, status, body, frame->length);
}

void ipc_requests_fail(struct ipc_requests *requests, int status)
{
	/* The newest by now is the last: a callback that asks again is not answered here. */
	const struct request *last = requests->newest;

	while (requests->oldest) {
		bool done = requests->oldest == last;

		finish(requests, requests->oldest, status, NULL, 0);
		if (done)
			break;
	}
}
