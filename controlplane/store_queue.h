/* SPDX-License-Identifier: BSD-3-Clause */
/* A bounded queue of what is to be written, and the thread that writes it in groups: one transaction for all that has gathered in
 * store.group-time. Who puts something there waits for no disk. */
#ifndef CONTROLPLANE_STORE_QUEUE_H
#define CONTROLPLANE_STORE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"

struct alarms;

/* What waits: the first member of what its owner queues. */
struct store_item {
	struct store_item *next;
};

struct store_queue_kind {
	const char *log; /* component of the lines in the log */
	const char *object; /* of the alarm */
	const char *refused, *again,
		*slow; /* sentences: the disk takes nothing, takes it again, is too slow */
	unsigned group_max; /* so many are written without waiting for the group's time */
	/* By the thread, in one transaction. 0, or -errno: all of it is lost. */
	int (*write)(void *arg, const struct store_item *first);
	/* What of it the thread tells: of `write`'s end, once when it fails and once when it works again. May be NULL. */
	const char *(*why)(void *arg);
	void (*release)(void *arg, struct store_item *item); /* it is on disk, or lost */
	/* By the thread, after each group and after so many milliseconds as it has said. NULL: nothing but groups is to be done. */
	uint64_t (*rest)(void *arg);
};

struct store_queue {
	const struct store_queue_kind *kind;
	uint64_t most, group_time_ms; /* atomic: store.queue and store.group-time as they are now */
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* by CLOCK_MONOTONIC */
	struct store_item *first, **last; /* lock */
	uint64_t queued, writing, lost; /* lock: how many wait, are with the thread, have been given up */
	bool stopping; /* lock */
	bool failing; /* owner: the thread */
	struct alarms *alarms; /* set before the first item */
};

void store_queue_init(struct store_queue *queue, const struct store_queue_kind *kind,
	const struct config_store *settings, void *arg);
/* What is configured from now on; any thread. */
void store_queue_settings(struct store_queue *queue, const struct config_store *settings);
int store_queue_start(struct store_queue *queue); /* the thread. 0 or -errno */
void store_queue_stop(struct store_queue *queue); /* writes what is queued and ends it */
void store_queue_fini(struct store_queue *queue);

/* Any thread. Takes the item over: 0. Or it stays the caller's, and is counted as lost: -ENOSPC, the queue is full; -ENOMEM: there is none. */
int store_queue_put(struct store_queue *queue, struct store_item *item);
/* Any thread: how many wait, and how many were lost because the queue was full or the disk refused them. */
void store_queue_counts(struct store_queue *queue, uint64_t *waiting, uint64_t *lost);
/* Who is told of a disk that fails; once, before anything is queued. They outlive the queue. */
void store_queue_alarms(struct store_queue *queue, struct alarms *alarms);
/* By the thread, or before it runs: a disk that fails is told of once, and once when it works again. */
void store_queue_tell(struct store_queue *queue, int error);

#endif
