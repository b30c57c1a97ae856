/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the control plane's API: which replies a request has, names of counters. */
#include "controlplane/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "platforms/base/ipc_request.h"

enum { TIMEOUT_MS = 2000, REQUESTS_MAX = 1024 };
static_assert((int)CP_REPLY == (int)IPC_REPLY, "the base matches replies to requests");

struct cp_client {
	struct ipc_peer *peer;
	struct ipc_requests *requests;
	void (*on_up)(void *arg);
	void *on_up_arg;
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
	case CP_BLOCK_LIST:
		return sizeof(struct cp_block_page);
	case CP_CALL_HANGUP:
		return sizeof(struct cp_hangup_done);
	case CP_GUARD_LIST:
		return sizeof(struct cp_guard_page);
	case CP_GUARD_REASONS:
		return sizeof(struct cp_block_page);
	case CP_REGISTRATION_LIST:
		return sizeof(struct cp_registration_page);
	case CP_SUBSCRIBER_LIST:
		return sizeof(struct cp_subscriber_page);
	case CP_AUDIT_LIST:
		return sizeof(struct cp_audit_page);
	case CP_ALARM_LIST:
		return sizeof(struct cp_alarm_page);
	case CP_CERTIFICATE_LIST:
		return sizeof(struct cp_certificate_page);
	case CP_TLS_RELOAD:
		return sizeof(struct cp_tls_reloaded);
	case CP_RECORD_LIST:
		return sizeof(struct cp_record_page);
	case CP_STATISTICS_LIST:
		return sizeof(struct cp_statistics_page);
	case CP_LOAD_GET:
		return sizeof(struct cp_load);
	case CP_TEST_ROUTE:
		return sizeof(struct cp_routed);
	case CP_TEST_AGENT:
	case CP_TEST_REGISTRATION:
		return sizeof(struct cp_test_report);
	case CP_REGISTRATION_CLEAR:
		return sizeof(struct cp_cleared);
	case CP_GUARD_CLEAR:
	case CP_BAN_SET:
	case CP_BAN_CLEAR:
	case CP_SUBSCRIBER_SET:
	case CP_SUBSCRIBER_DELETE:
	case CP_REPLY:
		break;
	}
	return 0;
}

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct cp_client *client = arg;

	(void)peer;
	(void)hello;
	(void)fresh;
	client->up = true;
	if (client->on_up)
		client->on_up(client->on_up_arg);
}

void cp_client_on_up(struct cp_client *client, void (*up)(void *arg), void *arg)
{
	client->on_up = up;
	client->on_up_arg = arg;
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct cp_client *client = arg;

	(void)peer;
	client->up = false;
	ipc_requests_fail(client->requests, -ENOTCONN);
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct cp_client *client = arg;

	(void)peer;
	ipc_requests_answer(client->requests, frame, body);
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
	error = ipc_requests_new(loop, REQUESTS_MAX, TIMEOUT_MS, &client->requests);
	if (error) {
		free(client);
		return error;
	}
	ipc_hello_fill(&self, process, CP_API_VERSION, generation);
	error = ipc_connect(loop, socket_path, &self, &handlers, client, &client->peer);
	if (error) {
		ipc_requests_free(client->requests, free, client);
		return error;
	}
	*out = client;
	return 0;
}

void cp_client_free(struct cp_client *client)
{
	if (!client)
		return;
	client->up = false;
	ipc_peer_free(client->peer);
	ipc_requests_free(client->requests, free, client);
}

const struct ipc_hello *cp_client_hello(const struct cp_client *client)
{
	return client->up ? ipc_peer_hello(client->peer) : NULL;
}

int cp_client_request(struct cp_client *client, enum cp_message type, const void *body, size_t length,
	cp_reply reply, void *arg)
{
	if (!client->up)
		return -ENOTCONN;
	return ipc_request(
		client->requests, client->peer, (uint16_t)type, body, length, reply_size(type), reply, arg);
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

static const struct {
	const char *name, *help;
} signs[CP_GUARD_SIGN_COUNT] = {
#define X(id, sign_name, weight, sign_help) [CP_GUARD_SIGN_##id] = { sign_name, sign_help },
	CP_GUARD_SIGNS(X)
#undef X
};

const char *cp_guard_sign_name(unsigned sign)
{
	return sign < CP_GUARD_SIGN_COUNT ? signs[sign].name : "";
}
