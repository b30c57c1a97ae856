/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's server: each request of api.h by a table of handlers, on the main thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/transaction.h"
#include "dataplane/handler.h"
#include "dataplane/server.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { PATH_LONGEST = 256, LIST_ENTRY = 16 };

struct server {
	struct dataplane *dp;
	struct ipc_server *ipc;
	struct config_transaction *transaction;
	struct ipc_peer *owner[DP_OWNERS_MAX]; /* who gets this owner's events; NULL = nobody */
	struct ipc_peer *sampling; /* who gets the samples of dropped packets; NULL = nobody */
	union {
		uint64_t align;
		uint8_t body[BODY_MAX];
	} out;
};

static int subscribe(const struct request *q)
{
	const struct dp_subscribe *s = q->body;

	if ((s->owner >= DP_OWNERS_MAX && s->owner != UINT32_MAX) ||
		(s->flags & ~(uint32_t)DP_SUBSCRIBE_SAMPLES) != 0)
		return -EINVAL;
	if (q->peer == NULL)
		return 0;
	if (s->owner != UINT32_MAX)
		q->server->owner[s->owner] = q->peer;
	if ((s->flags & DP_SUBSCRIBE_SAMPLES) != 0)
		q->server->sampling = q->peer;
	else if (q->server->sampling == q->peer)
		q->server->sampling = NULL;
	return 0;
}

static int reply_session(const struct request *q, uint64_t id)
{
	struct dp_session_reply *reply = (void *)q->out;

	session_reply(session_find(&q->dp->sessions, id), reply);
	return (int)sizeof(*reply);
}

static int create(const struct request *q)
{
	const struct dp_session_request *r = q->body;
	uint64_t id;
	int status = request_validate(r, q->length);

	if (status == 0)
		status = session_create(&q->dp->sessions, r, r + 1, clock_now_us(), &id);
	if (status != 0)
		return status;
	watch_wake(q->dp->watch);
	return reply_session(q, id);
}

static int update(const struct request *q)
{
	const struct dp_session_request *r = q->body;
	int status = request_validate(r, q->length);

	if (status == 0)
		status = session_update(&q->dp->sessions, r, r + 1, clock_now_us());
	return status != 0 ? status : reply_session(q, r->session);
}

static int get(const struct request *q)
{
	const struct dp_session_id *r = q->body;
	const struct session *s = session_find(&q->dp->sessions, r->session);

	if (s == NULL)
		return -ENOENT;
	session_info(s, clock_now_us(), (void *)q->out);
	if (s->blob_length != 0)
		memcpy(q->out + sizeof(struct dp_session_info), s->blob, s->blob_length);
	return (int)sizeof(struct dp_session_info) + s->blob_length;
}

static int delete (const struct request *q)
{
	const struct dp_session_id *r = q->body;
	struct dp_session_info *info = (void *)q->out;
	const struct session *s = session_find(&q->dp->sessions, r->session);

	if (s == NULL)
		return -ENOENT;
	session_info(s, clock_now_us(), info);
	info->blob_length = 0;
	(void)session_delete(&q->dp->sessions, r->session);
	return (int)sizeof(*info);
}

static int list(const struct request *q)
{
	const struct dp_list_request *r = q->body;
	struct dp_list_reply *reply = (void *)q->out;
	size_t at = sizeof(*reply);
	uint64_t after = r->after;

	*reply = (struct dp_list_reply){ 0 };
	for (const struct session *s; (s = session_next(&q->dp->sessions, after)) != NULL; after = s->id) {
		size_t padded = ((size_t)s->blob_length + 7) / 8 * 8;
		uint64_t head[2] = { s->id, s->blob_length };

		if (r->owner != UINT32_MAX && s->owner != r->owner)
			continue;
		if (reply->count == r->limit || at + LIST_ENTRY + padded > BODY_MAX) {
			reply->more = 1;
			break;
		}
		memcpy(q->out + at, head, sizeof(head));
		memset(q->out + at + LIST_ENTRY, 0, padded);
		if (s->blob_length != 0)
			memcpy(q->out + at + LIST_ENTRY, s->blob, s->blob_length);
		at += LIST_ENTRY + padded;
		reply->count++;
	}
	return (int)at;
}

static int blob_set(const struct request *q)
{
	const struct dp_session_id *r = q->body;

	return session_set_blob(&q->dp->sessions, r->session, r + 1, q->length - sizeof(*r));
}

static int stats(const struct request *q)
{
	counters_stats(q->dp, (void *)q->out);
	return (int)sizeof(struct dp_stats);
}

static int interfaces(const struct request *q)
{
	struct dp_interface *out = (void *)q->out;

	for (unsigned i = 0; i < q->dp->shared.interface_count; i++)
		counters_interface(q->dp, i, &out[i]);
	return (int)(q->dp->shared.interface_count * sizeof(*out));
}

_Static_assert(INTERFACES_MAX * sizeof(struct dp_interface) <= BODY_MAX, "all interfaces fit into one reply");

static const struct {
	int (*handle)(const struct request *q);
	size_t least, most; /* bytes of body */
} requests[] = {
	[DP_SUBSCRIBE] = { subscribe, sizeof(struct dp_subscribe), sizeof(struct dp_subscribe) },
	[DP_SESSION_CREATE] = { create, sizeof(struct dp_session_request),
		sizeof(struct dp_session_request) + DP_BLOB_MAX },
	[DP_SESSION_UPDATE] = { update, sizeof(struct dp_session_request),
		sizeof(struct dp_session_request) + DP_BLOB_MAX },
	[DP_SESSION_DELETE] = { delete, sizeof(struct dp_session_id), sizeof(struct dp_session_id) },
	[DP_SESSION_GET] = { get, sizeof(struct dp_session_id), sizeof(struct dp_session_id) },
	[DP_SESSION_LIST] = { list, sizeof(struct dp_list_request), sizeof(struct dp_list_request) },
	[DP_BLOB_SET] = { blob_set, sizeof(struct dp_session_id),
		sizeof(struct dp_session_id) + DP_BLOB_MAX },
	[DP_STATS] = { stats, 0, 0 },
	[DP_INTERFACES] = { interfaces, 0, 0 },
	[DP_BAN_SET] = { handle_ban_set, sizeof(struct dp_ban), DP_BATCH_MAX * sizeof(struct dp_ban) },
	[DP_BAN_CLEAR] = { handle_ban_clear, sizeof(struct dp_source_key),
		DP_BATCH_MAX * sizeof(struct dp_source_key) },
	[DP_BAN_LIST] = { handle_ban_list, sizeof(struct dp_table_request), sizeof(struct dp_table_request) },
	[DP_TRUST_SET] = { handle_trust_set, sizeof(struct dp_trust),
		DP_BATCH_MAX * sizeof(struct dp_trust) },
	[DP_TRUST_CLEAR] = { handle_trust_clear, sizeof(struct dp_source_key),
		DP_BATCH_MAX * sizeof(struct dp_source_key) },
	[DP_TRUST_LIST] = { handle_trust_list, sizeof(struct dp_table_request),
		sizeof(struct dp_table_request) },
	[DP_FLOW_LIST] = { handle_flow_list, sizeof(struct dp_flow_request), sizeof(struct dp_flow_request) },
	[DP_REALMS] = { handle_realms, sizeof(struct dp_page_request), sizeof(struct dp_page_request) },
	[DP_TOP_SOURCES] = { handle_top_sources, sizeof(struct dp_top_request),
		sizeof(struct dp_top_request) },
};

int server_handle(struct server *s, struct ipc_peer *peer, uint16_t type, const void *body, size_t length,
	const void **reply)
{
	struct request q = {
		.server = s, .dp = s->dp, .peer = peer, .body = body, .length = length, .out = s->out.body
	};

	*reply = s->out.body;
	if (type >= sizeof(requests) / sizeof(requests[0]) || requests[type].handle == NULL)
		return -EOPNOTSUPP;
	if (length < requests[type].least || length > requests[type].most)
		return -EINVAL;
	return requests[type].handle(&q);
}

static int prepare(void *arg, const struct config *next, struct writer *why)
{
	const struct server *s = arg;

	return live_prepare(s->dp, next, why);
}

static void apply(void *arg, struct config *next)
{
	const struct server *s = arg;

	live_apply(s->dp, next);
}

static void abort_prepared(void *arg)
{
	const struct server *s = arg;

	live_abort(s->dp);
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct server *s = arg;
	const void *reply;

	if (config_transaction_frame(s->transaction, peer, frame, body))
		return;

	int length = server_handle(s, peer, frame->type, body, frame->length, &reply);
	int status = length < 0 ? length : 0;

	status = ipc_send(peer, (uint16_t)(frame->type | DP_REPLY), (int16_t)status, frame->sequence, reply,
		length < 0 ? 0 : (size_t)length);
	if (status != 0)
		log_warning("server", "a reply cannot be sent", LOG_ERRNO("error", status));
}

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	(void)arg;
	(void)peer;
	log_info("server", "connected", LOG_TEXT("process", hello->process), LOG_UINT("pid", hello->pid),
		LOG_TEXT("first", fresh ? "yes" : "no"));
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct server *s = arg;

	for (unsigned i = 0; i < DP_OWNERS_MAX; i++)
		if (s->owner[i] == peer)
			s->owner[i] = NULL;
	if (s->sampling == peer)
		s->sampling = NULL;
	config_transaction_down(s->transaction, peer);
}

void server_event(struct server *s, uint32_t owner, enum dp_message type, const struct dp_event *event)
{
	/* An event for nobody, or for a peer that does not read, is lost: the state can be asked for. */
	if (s != NULL && owner < DP_OWNERS_MAX && s->owner[owner] != NULL)
		(void)ipc_send(s->owner[owner], (uint16_t)type, 0, 0, event, sizeof(*event));
}

void server_sample(struct server *s, const struct dp_sample *sample, const void *octets)
{
	struct {
		struct dp_sample head;
		uint8_t octets[DP_SAMPLE_MAX];
	} event;

	if (s == NULL || s->sampling == NULL)
		return;
	event.head = *sample;
	memcpy(event.octets, octets, sample->captured);
	if (ipc_send(s->sampling, DP_EVENT_DROP_SAMPLE, 0, 0, &event,
		    sizeof(event.head) + sample->captured) != 0)
		counter_add(&s->dp->counter[DP_COUNTER_SAMPLE_LOST], 1);
}

struct server *server_new(struct dataplane *dp)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->dp = dp;
	return s;
}

void server_free(struct server *s)
{
	if (s != NULL)
		config_transaction_free(s->transaction);
	free(s);
}

int server_start(struct dataplane *dp)
{
	static const struct ipc_handlers handlers = { .up = on_up, .down = on_down, .frame = on_frame };
	struct server *s = server_new(dp);
	struct ipc_hello hello;
	char path[PATH_LONGEST];
	int status;

	static const struct config_phases phases = { prepare, apply, abort_prepared };

	if (s == NULL ||
		config_transaction_new(dp->config, CONFIG_DATAPLANE, &phases, s, &s->transaction) != 0) {
		server_free(s);
		return -ENOMEM;
	}
	snprintf(path, sizeof(path), "%s/dataplane.sock", dp->config->system.run_directory);
	ipc_hello_fill(&hello, "dataplane", DP_API_VERSION, dp->daemon->generation);
	status = ipc_listen(dp->daemon->loop, path, &hello, &handlers, s, &s->ipc);
	if (status != 0) {
		server_free(s);
		return config_refuse(dp->config, "system", NULL, "run-directory", "cannot listen on %s (%s)",
			path, strerror(-status));
	}
	dp->server = s;
	return 0;
}

void server_stop(struct dataplane *dp)
{
	if (dp->server == NULL)
		return;
	ipc_server_free(dp->server->ipc);
	server_free(dp->server);
	dp->server = NULL;
}
