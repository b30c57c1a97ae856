/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards' threads and loops: made and taken apart by the main thread, run alone in between. */
#include "controlplane/shard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/agent.h"
#include "controlplane/call.h"
#include "controlplane/keep_alive.h"
#include "controlplane/probe.h"
#include "controlplane/registrar.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/daemon.h"
#include "platforms/base/log.h"

/* Messages on their way from other shards, and the API's questions. */
enum { MAILBOX_ENTRIES = 4096 };

/* --- dataplane client -------------------------------------------------------------------------------------------- */

/* The mirrors come and go with the dataplane: sockets first, so that what the calls send finds its way. */
static void dataplane_up(void *arg, bool fresh)
{
	transport_check(arg);
	agent_dataplane_up(arg);
	call_dataplane_up(arg, fresh);
	registrar_dataplane_up(arg, fresh);
}

static void dataplane_down(void *arg)
{
	transport_check(arg);
	call_dataplane_down(arg);
}

static void dataplane_event(void *arg, enum dp_message type, const struct dp_event *event)
{
	call_dataplane_event(arg, type, event);
}

static int dataplane_open(struct shard *shard)
{
	static const struct dp_client_handlers handlers = {
		.up = dataplane_up, .down = dataplane_down, .event = dataplane_event
	};
	char path[108]; /* as long as a Unix socket's may be */
	struct writer w;

	writer_init(&w, path, sizeof(path));
	writer_text(&w, shard->config->system.run_directory);
	writer_text(&w, "/dataplane.sock");
	writer_char(&w, '\0');
	if (w.overflow)
		return -ENAMETOOLONG;
	return dp_client_new(&shard->loop, path, "controlplane", shard->generation, shard->index, &handlers,
		shard, &shard->dataplane);
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static void wake_expired(uv_timer_t *timer)
{
	struct shard *shard = timer->data;

	shard->private->wake_at_ms = 0;
	timer_wheel_advance(shard->timers, clock_now_ms());
}

void shard_timers_changed(struct shard *shard)
{
	struct shard_private *private = shard->private;
	uint64_t now = clock_now_ms();
	uint64_t delay = timer_wheel_next(shard->timers, now);

	if (delay == UINT64_MAX) {
		uv_timer_stop(&private->wake);
		private->wake_at_ms = 0;
	} else if (private->wake_at_ms != now + delay) {
		uv_update_time(&shard->loop);
		uv_timer_start(&private->wake, wake_expired, delay, 0);
		private->wake_at_ms = now + delay;
	}
}

static void before_sleep(uv_prepare_t *prepare)
{
	struct shard *shard = prepare->data;

	transport_flush(shard);
	shard_timers_changed(shard);
}

static void stop_asked(uv_async_t *stop)
{
	uv_stop(stop->loop);
}

static void thread_run(void *arg)
{
	struct shard *shard = arg;
	char name[16]; /* as long as the kernel keeps */

	snprintf(name, sizeof(name), "shard-%u", shard->index % 1000);
	pthread_setname_np(pthread_self(), name);
	uv_run(&shard->loop, UV_RUN_DEFAULT);
}

/* --- stages ------------------------------------------------------------------------------------------------------ */

static int loop_open(struct shard *shard)
{
	struct shard_private *private = shard->private;
	int result = uv_loop_init(&shard->loop);

	if (result < 0)
		return result;
	uv_timer_init(&shard->loop, &private->wake);
	uv_prepare_init(&shard->loop, &private->prepare);
	private->wake.data = shard;
	private->prepare.data = shard;
	uv_prepare_start(&private->prepare, before_sleep);
	result = uv_async_init(&shard->loop, &private->stop, stop_asked);
	if (result == 0)
		result = standstill_open(shard);
	if (result == 0)
		result = mailbox_new(&shard->loop, shard, MAILBOX_ENTRIES, &private->mailbox);
	return result;
}

static void loop_close(struct shard *shard)
{
	struct shard_private *private = shard->private;

	mailbox_free(private->mailbox);
	if (private->wake.loop)
		uv_close((uv_handle_t *)&private->wake, NULL);
	if (private->prepare.loop)
		uv_close((uv_handle_t *)&private->prepare, NULL);
	standstill_close(shard);
	if (private->stop.loop)
		uv_close((uv_handle_t *)&private->stop, NULL);
	if (private->wake.loop) {
		uv_run(&shard->loop, UV_RUN_DEFAULT);
		uv_loop_close(&shard->loop);
	}
}

static int timers_open(struct shard *shard)
{
	shard->timers = timer_wheel_new(clock_now_ms());
	if (!shard->timers)
		return -ENOMEM;
	timer_wheel_set_clock(shard->timers, clock_now_ms);
	return 0;
}

static void timers_close(struct shard *shard)
{
	if (shard->timers)
		timer_wheel_free(shard->timers);
	shard->timers = NULL;
}

static int transactions_open(struct shard *shard)
{
	return transaction_layer_open(shard, &call_core);
}

static void dataplane_close(struct shard *shard)
{
	if (shard->dataplane)
		dp_client_free(shard->dataplane);
	shard->dataplane = NULL;
}

static void calls_close(struct shard *shard)
{
	if (shard->calls)
		call_layer_close(shard);
}

/* In this order; shard_free says in which one they end. */
static const struct {
	const char *name;
	int (*open)(struct shard *shard);
} stages[] = {
	{ "loop", loop_open },
	{ "timers", timers_open },
	{ "transport", transport_open },
	{ "agents", agent_table_open },
	{ "calls", call_layer_open },
	{ "keep-alive", keep_alive_open },
	{ "registrar", registrar_open },
	{ "transactions", transactions_open },
	{ "dataplane client", dataplane_open },
};

/* Transactions tell the calls that they end, calls give up their requests to the dataplane, both may send a last message. */
static void shard_free(struct shard *shard)
{
	probes_close(shard);
	transaction_layer_close(shard);
	dataplane_close(shard);
	calls_close(shard);
	registrar_close(shard);
	keep_alive_close(shard);
	agent_table_close(shard);
	transport_close(shard);
	loop_close(shard);
	timers_close(shard);
	shard_moves_free(shard->private);
	free(shard->private);
	free(shard);
}

static struct shard *shard_new(
	unsigned index, unsigned count, const struct config *config, uint64_t generation)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (!shard)
		return NULL;
	shard->private = calloc(1, sizeof(*shard->private));
	if (!shard->private) {
		free(shard);
		return NULL;
	}
	shard->index = index;
	shard->count = count;
	shard->config = config;
	shard->generation = generation;
	hash_key_random(&shard->table_key);
	return shard;
}

static int shard_open(struct shard *shard)
{
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		int result = stages[i].open(shard);

		if (result < 0) {
			log_error("shard", "cannot open", LOG_TEXT("stage", stages[i].name),
				LOG_UINT("shard", shard->index), LOG_ERRNO("error", result));
			return result;
		}
	}
	return 0;
}

/* --- all of them ------------------------------------------------------------------------------------------------- */

void shards_stop(struct shard **shards, unsigned count)
{
	if (!shards)
		return;
	for (unsigned i = 0; i < count; i++)
		if (shards[i] && shards[i]->private->thread)
			uv_async_send(&shards[i]->private->stop);
	for (unsigned i = 0; i < count; i++)
		if (shards[i] && shards[i]->private->thread)
			uv_thread_join(&shards[i]->private->thread);
	/* Alone now: what still lies in a mailbox may be meant for any of them. */
	for (unsigned i = 0; i < count; i++)
		if (shards[i] && shards[i]->private->mailbox)
			mailbox_drain(shards[i]->private->mailbox);
	for (unsigned i = 0; i < count; i++)
		if (shards[i]) {
			shard_free(shards[i]);
			/* What those after it still send by its connections goes nowhere. */
			shards[i] = NULL;
		}
	free(shards);
}

int shards_start(struct daemon *daemon, const struct config *config, const struct shard_shared *shared,
	struct shard ***shards, unsigned *count)
{
	unsigned n = config->sip.shards;
	struct shard **all = calloc(n, sizeof(struct shard *));
	struct hash_key key;
	int result = 0;

	if (!all)
		return -ENOMEM;
	hash_key_random(&key);
	for (unsigned i = 0; i < n && result == 0; i++) {
		all[i] = shard_new(i, n, config, daemon->generation);
		if (!all[i]) {
			result = -ENOMEM;
			break;
		}
		all[i]->all = all;
		all[i]->shard_key = key;
		if (shared)
			all[i]->shared = *shared;
		result = shard_open(all[i]);
	}
	for (unsigned i = 0; i < n && result == 0; i++)
		result = uv_thread_create(&all[i]->private->thread, thread_run, all[i]);
	if (result < 0) {
		shards_stop(all, n);
		return result;
	}
	*shards = all;
	*count = n;
	return 0;
}
