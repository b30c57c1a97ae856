/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of changes and the thread that writes them: callers never wait for the disk. */
#include "controlplane/store_queue.h"

#include <errno.h>
#include <time.h>

#include "controlplane/alarm.h"
#include "platforms/base/log.h"

int store_queue_put(struct store_queue *queue, struct store_item *item)
{
	bool full;

	pthread_mutex_lock(&queue->lock);
	full = !item || queue->queued >= __atomic_load_n(&queue->most, __ATOMIC_RELAXED);
	if (full) {
		queue->lost++;
	} else {
		item->next = NULL;
		*queue->last = item;
		queue->last = &item->next;
		if (++queue->queued == 1 || queue->queued == queue->kind->group_max)
			pthread_cond_signal(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	if (!full)
		return 0;
	log_warning(queue->kind->log, item ? queue->kind->slow : "no memory for what is to be written");
	return item ? -ENOSPC : -ENOMEM;
}

void store_queue_counts(struct store_queue *queue, uint64_t *waiting, uint64_t *lost)
{
	pthread_mutex_lock(&queue->lock);
	*waiting = queue->queued + queue->writing;
	*lost = queue->lost;
	pthread_mutex_unlock(&queue->lock);
}

void store_queue_alarms(struct store_queue *queue, struct alarms *alarms)
{
	pthread_mutex_lock(&queue->lock);
	queue->alarms = alarms;
	pthread_mutex_unlock(&queue->lock);
}

void store_queue_tell(struct store_queue *queue, int error)
{
	const struct store_queue_kind *kind = queue->kind;

	if (error && !queue->failing && kind->why)
		log_error(kind->log, kind->refused, LOG_ERRNO("error", error),
			LOG_TEXT("sqlite", kind->why(queue->arg)));
	else if (error && !queue->failing)
		log_error(kind->log, kind->refused, LOG_ERRNO("error", error));
	else if (!error && queue->failing)
		log_notice(kind->log, kind->again);
	queue->failing = error != 0;
	if (error)
		alarm_raise(queue->alarms, CP_ALARM_STORE, CP_SEVERITY_CRITICAL, kind->object, kind->refused);
	else
		alarm_clear(queue->alarms, CP_ALARM_STORE, kind->object);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static struct timespec in_ms(uint64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

/* What has gathered, as soon as it is time for a group. NULL: the end, or `rest_ms` are over (0: for ever). lock is held */
static struct store_item *take_group(struct store_queue *queue, uint64_t rest_ms)
{
	struct timespec until = in_ms(rest_ms);
	struct store_item *first;

	while (!queue->first && !queue->stopping)
		if (rest_ms == 0)
			pthread_cond_wait(&queue->changed, &queue->lock);
		else if (pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == ETIMEDOUT)
			break;
	until = in_ms(__atomic_load_n(&queue->group_time_ms, __ATOMIC_RELAXED));
	while (queue->first && queue->queued < queue->kind->group_max && !queue->stopping)
		if (pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == ETIMEDOUT)
			break;
	first = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->writing = queue->queued;
	queue->queued = 0;
	return first;
}

/* Its error, if it has one. */
static int write_group(const struct store_queue *queue, struct store_item *first)
{
	int error = queue->kind->write(queue->arg, first);
	struct store_item *next;

	for (; first; first = next) {
		next = first->next;
		queue->kind->release(queue->arg, first);
	}
	return error;
}

static void *run(void *arg)
{
	struct store_queue *queue = arg;
	uint64_t rest_ms = queue->kind->rest ? 1 : 0;
	bool over = false;

	pthread_setname_np(pthread_self(), queue->kind->log);
	pthread_mutex_lock(&queue->lock);
	while (!over) {
		struct store_item *group = take_group(queue, rest_ms);
		int error;

		over = queue->stopping && !group;
		pthread_mutex_unlock(&queue->lock);
		error = group ? write_group(queue, group) : 0;
		if (queue->kind->rest && !over)
			rest_ms = queue->kind->rest(queue->arg);
		pthread_mutex_lock(&queue->lock);
		if (error)
			queue->lost += queue->writing;
		queue->writing = 0;
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

/* --- open and close -------------------------------------------------------------------------------------------------- */

void store_queue_settings(struct store_queue *queue, const struct config_store *settings)
{
	__atomic_store_n(&queue->most, settings->queue, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->group_time_ms, settings->group_time_ms, __ATOMIC_RELAXED);
}

void store_queue_init(struct store_queue *queue, const struct store_queue_kind *kind,
	const struct config_store *settings, void *arg)
{
	pthread_condattr_t attributes;

	queue->kind = kind;
	store_queue_settings(queue, settings);
	queue->arg = arg;
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

int store_queue_start(struct store_queue *queue)
{
	return -pthread_create(&queue->thread, NULL, run, queue);
}

void store_queue_stop(struct store_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stopping = true;
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	pthread_join(queue->thread, NULL);
}

void store_queue_fini(struct store_queue *queue)
{
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}
