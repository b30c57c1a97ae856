/* SPDX-License-Identifier: BSD-3-Clause */
/* A dataplane that answers when the test says so: in the place of dataplane/client.c, whose functions are all here. */
#ifndef TESTS_UNIT_CONTROLPLANE_DATAPLANE_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_DATAPLANE_FIXTURE_H

#include <errno.h>

#include "dataplane/client.h"

enum { FAKE_REQUESTS_MAX = 256 };

struct fake_request {
	enum dp_message type;
	struct dp_session_request session; /* create, update */
	uint64_t id; /* the others */
	size_t length;
	uint8_t body[512]; /* of the others, what fits */
	dp_reply reply; /* NULL: has been answered */
	void *arg;
};

static struct {
	bool down;
	unsigned count, answered;
	uint64_t last_session;
	uint64_t packets; /* from side 0 of the first stream, in each session */
	uint16_t next_port;
	struct fake_request request[FAKE_REQUESTS_MAX];
} fake;

static inline void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.next_port = 10000;
}

bool dp_client_is_up(const struct dp_client *client)
{
	(void)client;
	return !fake.down;
}

static inline struct fake_request *fake_take(enum dp_message type, dp_reply reply, void *arg)
{
	struct fake_request *request = &fake.request[fake.count++];

	assert_true(fake.count <= FAKE_REQUESTS_MAX);
	*request = (struct fake_request){ .type = type, .reply = reply, .arg = arg };
	return request;
}

int dp_client_request(struct dp_client *client, enum dp_message type, const void *body, size_t length,
	dp_reply reply, void *arg)
{
	struct fake_request *request;

	(void)client;
	if (fake.down)
		return -ENOTCONN;
	request = fake_take(type, reply, arg);
	request->length = length;
	memcpy(&request->id, body, sizeof(request->id));
	memcpy(request->body, body, length < sizeof(request->body) ? length : sizeof(request->body));
	return 0;
}

int dp_client_session(struct dp_client *client, enum dp_message type,
	const struct dp_session_request *request, const void *blob, dp_reply reply, void *arg)
{
	(void)client;
	(void)blob;
	if (fake.down)
		return -ENOTCONN;
	fake_take(type, reply, arg)->session = *request;
	return 0;
}

int dp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	uint32_t owner, const struct dp_client_handlers *handlers, void *arg, struct dp_client **out)
{
	(void)loop, (void)socket_path, (void)process, (void)generation, (void)owner, (void)handlers,
		(void)arg, (void)out;
	return -ENOSYS;
}

void dp_client_free(struct dp_client *client)
{
	(void)client;
}

const struct ipc_hello *dp_client_hello(const struct dp_client *client)
{
	(void)client;
	return NULL;
}

/* Local addresses: side 0 has 198.51.100.1 or 2001:db8::1, side 1 10.0.0.1 or fd00::1; a port per stream and side. */
static inline void fake_fill(const struct dp_session_request *request, struct dp_session_reply *reply)
{
	static const char *const hosts[2][2] = { { "198.51.100.1", "2001:db8::1" },
		{ "10.0.0.1", "fd00::1" } };

	for (unsigned i = 0; i < request->streams; i++)
		for (unsigned side = 0; side < 2 && request->stream[i].kind != DP_MEDIA_NONE; side++) {
			bool six = request->stream[i].side[side].family == 6;
			union address local;

			assert_int_equal(address_parse_host(span_from(hosts[side][six]), &local), 0);
			address_set_port(&local, (uint16_t)(10000 + 100 * i + 10 * side));
			dp_address_from(&reply->local[i][side], &local);
		}
}

/* Answers the oldest request that waits. */
static inline void fake_answer(int status)
{
	struct fake_request *request = &fake.request[fake.answered++];
	struct dp_session_reply reply = { .session = request->session.session };
	struct dp_session_info info = { .session = request->id, .streams = 1 };
	dp_reply callback = request->reply;

	assert_true(fake.answered <= fake.count);
	info.stream[0].from[0].packets = fake.packets;
	request->reply = NULL;
	if (request->type == DP_SESSION_CREATE)
		reply.session = ++fake.last_session;
	fake_fill(&request->session, &reply);
	if (status)
		callback(request->arg, status, NULL, 0);
	else if (request->type == DP_SESSION_DELETE || request->type == DP_SESSION_GET)
		callback(request->arg, 0, &info, sizeof(info));
	else
		callback(request->arg, 0, &reply, sizeof(reply));
}

static inline void fake_answer_all(void)
{
	while (fake.answered < fake.count)
		fake_answer(0);
}

static inline const struct fake_request *fake_last(enum dp_message type)
{
	assert_true(fake.count > 0);
	assert_int_equal(fake.request[fake.count - 1].type, type);
	return &fake.request[fake.count - 1];
}

#endif
