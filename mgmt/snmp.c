/* SPDX-License-Identifier: BSD-3-Clause */
/* The main loop's side of SNMP: rows when somebody reads them, alarms every two seconds. */
#include "mgmt/snmp.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/snmp_agentx.h"
#include "mgmt/snmp_calls.h"
#include "mgmt/snmp_exchange.h"
#include "mgmt/snmp_rows.h"
#include "mgmt/watch.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { LOOK_MS = 2000, UNUSED_MS = 30000, ALARMS_MAX = WATCH_ALARMS_MAX + 4096, ABSENT_LOOKS = 5 };

struct snmp {
	const struct neighbours *neighbours;
	struct watch *watch;
	uv_timer_t *timer;
	uv_async_t *async;
	pthread_t thread;
	bool started; /* the thread: once it runs, it does so to the end */
	bool was_connected;
	unsigned looks; /* without a connection */
	struct snmp_orders orders;
	struct snmp_exchange *exchange;
	struct snmp_notify *notify;
	struct metrics_gather *look, *state; /* NULL: none under way */
	struct snmp_calls *calls;
	struct snmp_threads threads;
	struct snmp_alarm_row alarms[ALARMS_MAX];
};

static uint32_t pid_of(const struct snmp *snmp, enum neighbour which)
{
	const struct ipc_hello *hello = neighbour_hello(snmp->neighbours, which);

	return hello != NULL ? hello->pid : 0;
}

static void look_at_threads(struct snmp *snmp, const struct metrics_snapshot *snapshot)
{
	snmp_threads_look(&snmp->threads, pid_of(snmp, NEIGHBOUR_DATAPLANE),
		pid_of(snmp, NEIGHBOUR_CONTROLPLANE), metrics_snapshot_one(snapshot, METRICS_CP_LOAD),
		clock_now_ms());
}

/* Hands the next notice over, if the last one is done with. */
static void pass_notices(struct snmp *snmp)
{
	enum snmp_outcome outcome = snmp_exchange_outcome(snmp->exchange);
	const struct snmp_notice *notice;

	if (outcome != SNMP_NO_NEWS)
		snmp_notify_done(snmp->notify, outcome == SNMP_ARRIVED);
	if (!snmp->was_connected || !snmp->orders.enabled)
		return;
	notice = snmp_notify_next(snmp->notify, clock_now_ms());
	if (notice != NULL)
		(void)snmp_exchange_give(snmp->exchange, notice);
}

static void looked(void *arg, const struct metrics_snapshot *snapshot)
{
	struct snmp *snmp = arg;
	struct cp_alarm own[WATCH_ALARMS_MAX];
	size_t count = watch_alarms(snmp->watch, own);

	snmp->look = NULL;
	look_at_threads(snmp, snapshot);
	count = snmp_rows_alarms(snapshot, own, count, snmp->alarms, ALARMS_MAX);
	snmp_notify_look(snmp->notify, snmp->alarms, count,
		metrics_snapshot_one(snapshot, METRICS_CP_STATUS) != NULL, clock_now_ms());
	pass_notices(snmp);
}

static void gathered(void *arg, const struct metrics_snapshot *snapshot)
{
	struct snmp *snmp = arg;
	struct cp_alarm own[WATCH_ALARMS_MAX];
	struct snmp_sources sources = {
		.snapshot = snapshot,
		.name = snmp->neighbours->name,
		.threads = snmp->threads.now,
		.memory_kib = snmp->threads.memory_kib,
		.own = own,
		.own_count = watch_alarms(snmp->watch, own),
		.notify = snmp_notify_counts(snmp->notify),
		.if_index = if_nametoindex,
	};

	snmp->state = NULL;
	look_at_threads(snmp, snapshot);
	sources.thread_count = snmp->threads.count;
	snmp_exchange_publish(snmp->exchange, SNMP_ROWS_STATE, snmp_rows_view(&sources));
}

static void fetched(void *arg, struct snmp_view *view)
{
	struct snmp *snmp = arg;

	snmp->calls = NULL;
	snmp_exchange_publish(snmp->exchange, SNMP_ROWS_CALLS, view);
}

static void serve_readers(struct snmp *snmp)
{
	if (snmp_exchange_is_wanted(snmp->exchange, SNMP_ROWS_STATE) && snmp->state == NULL &&
		metrics_gather_begin(snmp->neighbours, METRICS_ALL, gathered, snmp, &snmp->state) != 0)
		snmp_exchange_publish(snmp->exchange, SNMP_ROWS_STATE, NULL);
	if (snmp_exchange_is_wanted(snmp->exchange, SNMP_ROWS_CALLS) && snmp->calls == NULL &&
		snmp_calls_begin(snmp->neighbours, fetched, snmp, &snmp->calls) != 0)
		snmp_exchange_publish(snmp->exchange, SNMP_ROWS_CALLS, snmp_rows_calls(NULL, 0));
}

static void tell_connection(struct snmp *snmp)
{
	bool connected = snmp_exchange_connected(snmp->exchange);

	if (connected && !snmp->was_connected)
		log_notice("snmp", "snmpd is connected", LOG_TEXT("agentx", snmp->orders.socket));
	if (!connected && snmp->was_connected && snmp->orders.enabled)
		log_warning("snmp", "snmpd is gone; it is looked for again and again",
			LOG_TEXT("agentx", snmp->orders.socket));
	if (connected || snmp->was_connected || !snmp->orders.enabled)
		snmp->looks = 0;
	snmp->was_connected = connected;
}

static void on_wake(uv_async_t *async)
{
	struct snmp *snmp = async->data;

	tell_connection(snmp);
	serve_readers(snmp);
	pass_notices(snmp);
}

static void on_timer(uv_timer_t *timer)
{
	struct snmp *snmp = timer->data;
	const unsigned parts = 1U << METRICS_CP_ALARMS | 1U << METRICS_CP_STATUS | 1U << METRICS_CP_LOAD;

	if (++snmp->looks == ABSENT_LOOKS && !snmp->was_connected)
		log_warning("snmp", "there is no snmpd to speak with yet; it is looked for again and again",
			LOG_TEXT("agentx", snmp->orders.socket));
	snmp_exchange_forget(snmp->exchange, SNMP_ROWS_STATE, UNUSED_MS);
	snmp_exchange_forget(snmp->exchange, SNMP_ROWS_CALLS, UNUSED_MS);
	if (snmp->look == NULL)
		(void)metrics_gather_begin(snmp->neighbours, parts, looked, snmp, &snmp->look);
}

static int start(struct snmp *snmp)
{
	int err = snmp->exchange == NULL ? snmp_exchange_new(snmp->async, &snmp->exchange) : 0;

	if (err == 0 && snmp->notify == NULL) {
		snmp->notify = snmp_notify_new();
		err = snmp->notify == NULL ? -ENOMEM : 0;
	}
	if (err != 0)
		return err;
	snmp_exchange_order(snmp->exchange, &snmp->orders);
	if (!snmp->started)
		err = -pthread_create(&snmp->thread, NULL, snmp_agentx_run, snmp->exchange);
	snmp->started = snmp->started || err == 0;
	return err;
}

static void disable(struct snmp *snmp)
{
	uv_timer_stop(snmp->timer);
	metrics_gather_abandon(snmp->look);
	snmp->look = NULL;
	if (!snmp->started)
		return;
	snmp_exchange_order(snmp->exchange, &snmp->orders);
	/* Whoever enables it again is told of every alarm. */
	snmp_notify_forget(snmp->notify);
}

void snmp_apply(struct snmp *snmp, const struct config *config)
{
	int err;

	snprintf(snmp->orders.socket, sizeof(snmp->orders.socket), "%s", config->snmp.agentx);
	snmp->orders.enabled = config->snmp.enabled;
	if (!config->snmp.enabled) {
		disable(snmp);
		return;
	}
	err = start(snmp);
	if (err != 0) {
		log_error("snmp", "there is no SNMP", LOG_ERRNO("error", err));
		return;
	}
	snmp_notify_limit(snmp->notify, config->snmp.traps_per_minute, config->snmp.trap_interval * 1000);
	if (!uv_is_active((uv_handle_t *)snmp->timer))
		uv_timer_start(snmp->timer, on_timer, 0, LOOK_MS);
}

int snmp_new(uv_loop_t *loop, const struct neighbours *neighbours, struct watch *watch, struct snmp **out)
{
	struct snmp *snmp = calloc(1, sizeof(*snmp));
	uv_timer_t *timer = calloc(1, sizeof(*timer));
	uv_async_t *async = calloc(1, sizeof(*async));
	int err = snmp != NULL && timer != NULL && async != NULL ? uv_async_init(loop, async, on_wake)
								 : -ENOMEM;

	if (err != 0) {
		free(snmp);
		free(timer);
		free(async);
		return err;
	}
	uv_timer_init(loop, timer);
	timer->data = async->data = snmp;
	snmp->timer = timer;
	snmp->async = async;
	snmp->neighbours = neighbours;
	snmp->watch = watch;
	*out = snmp;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void snmp_free(struct snmp *snmp)
{
	if (snmp == NULL)
		return;
	metrics_gather_abandon(snmp->look);
	metrics_gather_abandon(snmp->state);
	snmp_calls_abandon(snmp->calls);
	if (snmp->started) {
		snmp->orders.end = true;
		snmp_exchange_order(snmp->exchange, &snmp->orders);
		pthread_join(snmp->thread, NULL);
	}
	snmp_exchange_free(snmp->exchange);
	snmp_notify_free(snmp->notify);
	uv_close((uv_handle_t *)snmp->timer, on_closed);
	uv_close((uv_handle_t *)snmp->async, on_closed);
	free(snmp);
}
