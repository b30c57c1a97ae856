/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers mgmt's questions: from counters that any thread may read, or by a job that visits shards one after another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/transaction.h"
#include "controlplane/api_alarm.h"
#include "controlplane/api_record.h"
#include "controlplane/api_route.h"
#include "controlplane/api_security.h"
#include "controlplane/api_statistics.h"
#include "controlplane/api_test.h"
#include "controlplane/api_server.h"
#include "controlplane/call.h"
#include "controlplane/location.h"
#include "controlplane/mailbox.h"
#include "controlplane/reconfigure.h"
#include "controlplane/subscription.h"
#include "controlplane/tls_watch.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/ipc.h"

enum {
	API_JOBS_MAX = 64, /* under way at once; more are -EBUSY */
	API_PAGE_CALLS = 60, /* that fit into one packet */
	API_SHARD_SHIFT = 56, /* of a call's number */
};
_Static_assert(sizeof(struct cp_call_page) + API_PAGE_CALLS * sizeof(struct cp_call) < IPC_PACKET_MAX - 64,
	"a page of calls fits into a packet");
_Static_assert(sizeof(struct cp_block_page) + CP_BLOCK_PAGE * sizeof(struct cp_block) < IPC_PACKET_MAX - 64,
	"a page of dropped packets fits into a packet");

struct api_job {
	struct api_job *next;
	struct api_server *server;
	struct ipc_peer *peer; /* NULL: it went away */
	uint64_t sequence;
	enum cp_message type;
	unsigned shard;
	uint64_t after; /* CP_CALL_LIST: the last call seen; CP_CALL_GET: the call */
	size_t limit;
	int status;
	bool more;
	struct cp_call_page page;
	struct cp_call call[API_PAGE_CALLS];
	struct cp_hangup order;
	struct cp_hangup_done done;
};

struct api_server {
	struct ipc_server *ipc;
	struct mailbox *mailbox; /* of the main loop: what shards send back */
	struct shard **shards;
	unsigned count;
	const struct block_store *blocks;
	struct api_security *security;
	struct api_tests *tests;
	struct config_transaction *transaction;
	const struct shard_shared *shared;
	uint64_t started_ms;
	struct api_job *jobs;
	unsigned job_count;
};

/* --- at once ------------------------------------------------------------------------------------------------------- */

static void answer_status(struct api_server *server, struct ipc_peer *peer, const struct ipc_frame *frame)
{
	struct cp_status status = {
		.uptime_ms = clock_now_ms() - server->started_ms, .shards = server->count, .dataplane_up = 1
	};

	for (unsigned i = 0; i < server->count; i++) {
		const struct shard *shard = server->shards[i];
		uint32_t live = 0, tombstones = 0;

		transaction_layer_counts(shard, &live, &tombstones);
		status.transactions += live;
		status.tombstones += tombstones;
		status.calls += (uint32_t)call_count(shard);
		status.subscriptions += (uint32_t)subscription_count(shard);
		status.listeners_down += transport_listeners_down(shard);
		if (!call_dataplane_is_up(shard))
			status.dataplane_up = 0;
	}
	status.connections = transport_connections(server->shards[0]);
	if (server->shared && server->shared->location)
		status.registrations = (uint32_t)location_count(server->shared->location);
	ipc_send(peer, CP_STATUS + CP_REPLY, 0, frame->sequence, &status, sizeof(status));
}

static void answer_counters(struct api_server *server, struct ipc_peer *peer, const struct ipc_frame *frame)
{
	struct cp_counters counters = { .count = CP_COUNTER_COUNT };

	for (unsigned i = 0; i < server->count; i++)
		for (unsigned c = 0; c < CP_COUNTER_COUNT; c++)
			counters.counter[c] +=
				__atomic_load_n(&server->shards[i]->counter[c], __ATOMIC_RELAXED);
	ipc_send(peer, CP_COUNTERS_GET + CP_REPLY, 0, frame->sequence, &counters, sizeof(counters));
}

static void answer_reload(struct api_server *server, struct ipc_peer *peer, const struct ipc_frame *frame)
{
	struct tls_reloaded done = { 0 };
	struct cp_tls_reloaded answer;

	if (server->shared && server->shared->tls_watch)
		tls_watch_reload(server->shared->tls_watch, &done);
	answer = (struct cp_tls_reloaded){ done.changed, done.refused, done.same };
	ipc_send(peer, CP_TLS_RELOAD + CP_REPLY, 0, frame->sequence, &answer, sizeof(answer));
}

int api_block_source(const struct cp_block_list *list, struct prefix *source)
{
	struct dp_address address = { .port = list->port, .family = list->family };

	if ((list->family != 4 && list->family != 6) || list->length > (list->family == 4 ? 32 : 128))
		return -EINVAL;
	memcpy(address.ip, list->ip, sizeof(address.ip));
	dp_address_to(&address, &source->address);
	source->length = list->length;
	return 0;
}

static void answer_blocks(struct api_server *server, struct ipc_peer *peer, const struct ipc_frame *frame,
	const struct cp_block_list *list)
{
	struct {
		struct cp_block_page page;
		struct cp_block block[CP_BLOCK_PAGE];
	} answer = { 0 };
	size_t limit = list->limit && list->limit < CP_BLOCK_PAGE ? list->limit : CP_BLOCK_PAGE;
	struct prefix source;
	bool more;
	int error = api_block_source(list, &source);

	if (!error) {
		answer.page.count = (uint32_t)block_list(
			server->blocks, &source, list->before, limit, answer.block, &more);
		answer.page.more = more;
	}
	ipc_send(peer, CP_BLOCK_LIST + CP_REPLY, (int16_t)error, frame->sequence, &answer,
		error ? 0 : sizeof(answer.page) + answer.page.count * sizeof(answer.block[0]));
}

/* --- by a job -------------------------------------------------------------------------------------------------------- */

static void job_end(struct api_job *job)
{
	struct api_job **at = &job->server->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job->server->job_count--;
	free(job);
}

static void job_reply(struct api_job *job)
{
	uint16_t type = (uint16_t)(job->type + CP_REPLY);

	if (!job->peer)
		return;
	if (job->status)
		ipc_send(job->peer, type, (int16_t)job->status, job->sequence, NULL, 0);
	else if (job->type == CP_CALL_HANGUP)
		ipc_send(job->peer, type, 0, job->sequence, &job->done, sizeof(job->done));
	else if (job->type == CP_CALL_GET)
		ipc_send(job->peer, type, 0, job->sequence, job->call, sizeof(job->call[0]));
	else
		/* The calls follow the page without a gap, in the struct as on the wire. */
		ipc_send(job->peer, type, 0, job->sequence, &job->page,
			sizeof(job->page) + job->page.count * sizeof(job->call[0]));
}
_Static_assert(offsetof(struct api_job, call) == offsetof(struct api_job, page) + sizeof(struct cp_call_page),
	"no padding between page and calls");

static void job_returned(void *owner, void *arg);

static void hang_up(struct shard *shard, struct api_job *job)
{
	if (job->order.call)
		job->status = call_describe(shard, job->order.call, &job->call[0]);
	if (job->status == 0)
		job->done.calls += call_hang_up(shard, &job->order, &job->after, &job->more);
}

/* On the shard's thread. */
static void job_visit(struct shard *shard, void *arg)
{
	struct api_job *job = arg;

	if (job->type == CP_CALL_GET) {
		job->status = call_describe(shard, job->after, &job->call[0]);
	} else if (job->type == CP_CALL_HANGUP) {
		hang_up(shard, job);
	} else {
		size_t room = job->limit - job->page.count;

		job->page.count +=
			(uint32_t)call_list(shard, job->after, &job->call[job->page.count], room, &job->more);
	}
	/* There is room: the mailbox holds more than all jobs. */
	mailbox_post(job->server->mailbox, job_returned, job);
}

static void job_go(struct api_job *job)
{
	int error = shard_post(job->server->shards[job->shard], job_visit, job);

	if (!error)
		return;
	job->status = error;
	job_reply(job);
	job_end(job);
}

static void job_returned(void *owner, void *arg)
{
	struct api_job *job = arg;

	(void)owner;
	if (job->type == CP_CALL_LIST && job->peer) {
		bool last = job->shard + 1 == job->server->count;

		if (!job->more && !last && job->page.count < job->limit) {
			job->shard++;
			job_go(job);
			return;
		}
		job->page.more = job->more || !last;
	}
	if (job->type == CP_CALL_HANGUP && !job->order.call && !job->status) {
		bool last = job->shard + 1 == job->server->count;

		/* The order is carried out even if who gave it has gone. */
		if (!job->more && !last) {
			job->shard++;
			job_go(job);
			return;
		}
		job->done.more = job->more;
	}
	job->done.after = job->after;
	job_reply(job);
	job_end(job);
}

static void start_job(struct api_server *server, struct ipc_peer *peer, const struct ipc_frame *frame,
	uint64_t after, uint32_t limit, const struct cp_hangup *order)
{
	uint16_t type = (uint16_t)(frame->type + CP_REPLY);
	unsigned shard = (unsigned)(after >> API_SHARD_SHIFT);
	struct api_job *job;

	if (shard >= server->count) {
		ipc_send(peer, type, -ENOENT, frame->sequence, NULL, 0);
		return;
	}
	job = server->job_count < API_JOBS_MAX ? calloc(1, sizeof(*job)) : NULL;
	if (!job) {
		ipc_send(peer, type, -EBUSY, frame->sequence, NULL, 0);
		return;
	}
	job->server = server;
	job->peer = peer;
	job->sequence = frame->sequence;
	job->type = (enum cp_message)frame->type;
	job->after = after;
	job->shard = shard;
	job->limit = limit && limit < API_PAGE_CALLS ? limit : API_PAGE_CALLS;
	if (order)
		job->order = *order;
	job->next = server->jobs;
	server->jobs = job;
	server->job_count++;
	job_go(job);
}

/* --- peers ---------------------------------------------------------------------------------------------------------- */

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	(void)arg;
	(void)peer;
	(void)fresh;
	log_debug("api", "peer", LOG_TEXT("process", hello->process));
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct api_server *server = arg;

	for (struct api_job *job = server->jobs; job; job = job->next)
		if (job->peer == peer)
			job->peer = NULL;
	api_security_down(server->security, peer);
	api_tests_down(server->tests, peer);
	config_transaction_down(server->transaction, peer);
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct api_server *server = arg;
	struct cp_call_list list;
	struct cp_call_id id;
	struct cp_block_list blocks;
	struct cp_hangup order;

	if (config_transaction_frame(server->transaction, peer, frame, body))
		return;
	switch (frame->type) {
	case CP_STATUS:
		answer_status(server, peer, frame);
		return;
	case CP_COUNTERS_GET:
		answer_counters(server, peer, frame);
		return;
	case CP_CALL_LIST:
		if (frame->length < sizeof(list))
			break;
		memcpy(&list, body, sizeof(list));
		start_job(server, peer, frame, list.after, list.limit, NULL);
		return;
	case CP_CALL_GET:
		if (frame->length < sizeof(id))
			break;
		memcpy(&id, body, sizeof(id));
		start_job(server, peer, frame, id.call, 1, NULL);
		return;
	case CP_TLS_RELOAD:
		answer_reload(server, peer, frame);
		return;
	case CP_CALL_HANGUP:
		if (frame->length < sizeof(order))
			break;
		memcpy(&order, body, sizeof(order));
		order.realm[sizeof(order.realm) - 1] = '\0';
		start_job(server, peer, frame, order.call ? order.call : order.after, 1, &order);
		return;
	case CP_BLOCK_LIST:
		if (frame->length < sizeof(blocks))
			break;
		memcpy(&blocks, body, sizeof(blocks));
		answer_blocks(server, peer, frame, &blocks);
		return;
	default:
		if (api_security_frame(server->security, peer, frame, body) == 0 ||
			api_alarm_frame(server->shared, peer, frame, body) == 0 ||
			api_record_frame(server->shared, peer, frame, body) == 0 ||
			api_statistics_frame(
				server->shards[0]->config, server->shards[0], peer, frame, body) == 0 ||
			api_tests_frame(server->tests, peer, frame, body) == 0 ||
			api_route_frame(server->shards[0]->config, server->shards[0], peer, frame, body) == 0)
			return;
		break;
	}
	ipc_send(peer, (uint16_t)(frame->type + CP_REPLY), -EINVAL, frame->sequence, NULL, 0);
}

int api_server_new(uv_loop_t *loop, const struct api_world *world, struct api_server **out)
{
	static const struct ipc_handlers handlers = { on_up, on_down, on_frame };
	struct api_server *server = calloc(1, sizeof(*server));
	char path[108];
	struct writer writer;
	struct ipc_hello self;
	int error;

	if (!server)
		return -ENOMEM;
	server->shards = world->shards;
	server->count = world->count;
	server->blocks = world->blocks;
	server->shared = world->shared;
	server->started_ms = clock_now_ms();
	server->security = api_security_new(world);
	server->tests = api_tests_new(loop, world->shards[0]);
	error = server->security && server->tests
			? config_transaction_new(world->config, CONFIG_CONTROLPLANE, &reconfigure_phases,
				  world->reconfigure, &server->transaction)
			: -ENOMEM;
	if (!error)
		error = mailbox_new(loop, server, 2 * API_JOBS_MAX, &server->mailbox);
	if (error)
		goto out;
	writer_init(&writer, path, sizeof(path));
	writer_text(&writer, world->config->system.run_directory);
	writer_text(&writer, "/controlplane.sock");
	writer_char(&writer, '\0');
	ipc_hello_fill(&self, "controlplane", CP_API_VERSION, world->generation);
	error = writer.overflow ? -ENAMETOOLONG
				: ipc_listen(loop, path, &self, &handlers, server, &server->ipc);
	if (!error) {
		*out = server;
		return 0;
	}
	mailbox_free(server->mailbox);
out:
	api_tests_free(server->tests);
	config_transaction_free(server->transaction);
	api_security_free(server->security);
	free(server);
	return error;
}

void api_server_close(struct api_server *server)
{
	ipc_server_free(server->ipc);
	server->ipc = NULL;
	/* What is prepared is let go while there are shards. */
	config_transaction_free(server->transaction);
	server->transaction = NULL;
	for (struct api_job *job = server->jobs; job; job = job->next)
		job->peer = NULL;
}

void api_server_free(struct api_server *server)
{
	mailbox_free(server->mailbox);
	while (server->jobs)
		job_end(server->jobs);
	api_tests_free(server->tests);
	config_transaction_free(server->transaction);
	api_security_free(server->security);
	free(server);
}
