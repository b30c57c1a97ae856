/* SPDX-License-Identifier: BSD-3-Clause */
/* One lock, held for moments; an eventfd wakes the thread, uv_async_t the loop. */
#include "mgmt/snmp_exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platforms/base/clock.h"

enum { PATIENCE_MS = 3000 }; /* longer than a request to a daemon may take */

struct slot {
	struct snmp_view *view;
	bool wanted, seen; /* by a reader; by the loop */
	uint64_t used_ms;
};

static const struct {
	uint64_t fresh_ms; /* up to this age rows are served without asking for others */
	uint64_t old_ms; /* up to this age while others are under way */
} ages[SNMP_ROWS_KINDS] = {
	[SNMP_ROWS_STATE] = { 1000, 5000 },
	[SNMP_ROWS_CALLS] = { 10000, 30000 },
};

struct snmp_exchange {
	uv_async_t *wake_loop;
	int wake_thread;
	pthread_mutex_t lock;
	pthread_cond_t published;
	/* lock */
	struct slot slot[SNMP_ROWS_KINDS];
	struct snmp_orders orders;
	struct snmp_notice notice;
	bool notice_given, notice_taken, connected;
	enum snmp_outcome outcome;
};

int snmp_exchange_new(uv_async_t *wake_loop, struct snmp_exchange **out)
{
	struct snmp_exchange *exchange = calloc(1, sizeof(*exchange));
	pthread_condattr_t attributes;

	if (exchange == NULL)
		return -ENOMEM;
	exchange->wake_thread = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (exchange->wake_thread < 0) {
		int err = -errno;

		free(exchange);
		return err;
	}
	exchange->wake_loop = wake_loop;
	pthread_mutex_init(&exchange->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&exchange->published, &attributes);
	pthread_condattr_destroy(&attributes);
	*out = exchange;
	return 0;
}

void snmp_exchange_free(struct snmp_exchange *exchange)
{
	if (exchange == NULL)
		return;
	for (unsigned i = 0; i < SNMP_ROWS_KINDS; i++)
		snmp_view_free(exchange->slot[i].view);
	close(exchange->wake_thread);
	pthread_cond_destroy(&exchange->published);
	pthread_mutex_destroy(&exchange->lock);
	free(exchange);
}

static void wake_thread(const struct snmp_exchange *exchange)
{
	const uint64_t one = 1;

	/* Full means that it has not read the last ones yet. */
	if (write(exchange->wake_thread, &one, sizeof(one)) < 0)
		return;
}

/* lock held; returns what is nobody's any more, to be freed without the lock */
static struct snmp_view *release(struct snmp_view *view)
{
	return view != NULL && --view->users == 0 ? view : NULL;
}

void snmp_exchange_order(struct snmp_exchange *exchange, const struct snmp_orders *orders)
{
	pthread_mutex_lock(&exchange->lock);
	exchange->orders = *orders;
	pthread_cond_broadcast(&exchange->published);
	pthread_mutex_unlock(&exchange->lock);
	wake_thread(exchange);
}

bool snmp_exchange_is_wanted(struct snmp_exchange *exchange, enum snmp_rows_kind kind)
{
	struct slot *slot = &exchange->slot[kind];
	bool wanted;

	pthread_mutex_lock(&exchange->lock);
	wanted = slot->wanted && !slot->seen;
	slot->seen = slot->wanted;
	pthread_mutex_unlock(&exchange->lock);
	return wanted;
}

void snmp_exchange_publish(struct snmp_exchange *exchange, enum snmp_rows_kind kind, struct snmp_view *view)
{
	struct slot *slot = &exchange->slot[kind];
	struct snmp_view *gone = NULL;

	pthread_mutex_lock(&exchange->lock);
	slot->wanted = slot->seen = false;
	if (view != NULL) {
		gone = release(slot->view);
		view->users = 1;
		slot->view = view;
	}
	pthread_cond_broadcast(&exchange->published);
	pthread_mutex_unlock(&exchange->lock);
	snmp_view_free(gone);
}

void snmp_exchange_forget(struct snmp_exchange *exchange, enum snmp_rows_kind kind, uint64_t unused_ms)
{
	struct slot *slot = &exchange->slot[kind];
	struct snmp_view *gone = NULL;

	pthread_mutex_lock(&exchange->lock);
	if (slot->view != NULL && clock_now_ms() - slot->used_ms > unused_ms) {
		gone = release(slot->view);
		slot->view = NULL;
	}
	pthread_mutex_unlock(&exchange->lock);
	snmp_view_free(gone);
}

bool snmp_exchange_give(struct snmp_exchange *exchange, const struct snmp_notice *notice)
{
	bool given;

	pthread_mutex_lock(&exchange->lock);
	given = !exchange->notice_given;
	if (given) {
		exchange->notice = *notice;
		exchange->notice_given = true;
		exchange->notice_taken = false;
		exchange->outcome = SNMP_NO_NEWS;
	}
	pthread_mutex_unlock(&exchange->lock);
	if (given)
		wake_thread(exchange);
	return given;
}

enum snmp_outcome snmp_exchange_outcome(struct snmp_exchange *exchange)
{
	enum snmp_outcome outcome;

	pthread_mutex_lock(&exchange->lock);
	outcome = exchange->outcome;
	if (outcome != SNMP_NO_NEWS)
		exchange->notice_given = false;
	exchange->outcome = SNMP_NO_NEWS;
	pthread_mutex_unlock(&exchange->lock);
	return outcome;
}

bool snmp_exchange_connected(struct snmp_exchange *exchange)
{
	bool connected;

	pthread_mutex_lock(&exchange->lock);
	connected = exchange->connected;
	pthread_mutex_unlock(&exchange->lock);
	return connected;
}

int snmp_exchange_descriptor(const struct snmp_exchange *exchange)
{
	return exchange->wake_thread;
}

void snmp_exchange_orders(struct snmp_exchange *exchange, struct snmp_orders *out)
{
	uint64_t times;
	ssize_t n = read(exchange->wake_thread, &times, sizeof(times));

	(void)n; /* nothing there: nothing new */
	pthread_mutex_lock(&exchange->lock);
	*out = exchange->orders;
	pthread_mutex_unlock(&exchange->lock);
}

static struct timespec time_at(uint64_t ms)
{
	return (struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
}

static bool is_younger(const struct slot *slot, uint64_t ms)
{
	return slot->view != NULL && clock_now_ms() - slot->view->made_ms <= ms;
}

struct snmp_view *snmp_exchange_get(struct snmp_exchange *exchange, enum snmp_rows_kind kind)
{
	struct slot *slot = &exchange->slot[kind];
	struct timespec deadline = time_at(clock_now_ms() + PATIENCE_MS);
	struct snmp_view *view = NULL;
	bool under_way;

	pthread_mutex_lock(&exchange->lock);
	under_way = slot->wanted;
	slot->used_ms = clock_now_ms();
	if (!is_younger(slot, ages[kind].fresh_ms) && !under_way) {
		slot->wanted = true;
		uv_async_send(exchange->wake_loop);
	}
	if (!under_way || !is_younger(slot, ages[kind].old_ms))
		while (!is_younger(slot, ages[kind].fresh_ms) && slot->wanted && !exchange->orders.end)
			if (pthread_cond_timedwait(&exchange->published, &exchange->lock, &deadline) != 0)
				break;
	if (is_younger(slot, ages[kind].old_ms)) {
		view = slot->view;
		view->users++;
	}
	pthread_mutex_unlock(&exchange->lock);
	return view;
}

void snmp_exchange_put(struct snmp_exchange *exchange, struct snmp_view *view)
{
	pthread_mutex_lock(&exchange->lock);
	view = release(view);
	pthread_mutex_unlock(&exchange->lock);
	snmp_view_free(view);
}

bool snmp_exchange_take(struct snmp_exchange *exchange, struct snmp_notice *out)
{
	bool there;

	pthread_mutex_lock(&exchange->lock);
	there = exchange->notice_given && !exchange->notice_taken;
	if (there) {
		*out = exchange->notice;
		exchange->notice_taken = true;
	}
	pthread_mutex_unlock(&exchange->lock);
	return there;
}

void snmp_exchange_told(struct snmp_exchange *exchange, bool arrived)
{
	pthread_mutex_lock(&exchange->lock);
	exchange->outcome = arrived ? SNMP_ARRIVED : SNMP_NOT_ARRIVED;
	pthread_mutex_unlock(&exchange->lock);
	uv_async_send(exchange->wake_loop);
}

void snmp_exchange_connect(struct snmp_exchange *exchange, bool connected)
{
	pthread_mutex_lock(&exchange->lock);
	exchange->connected = connected;
	pthread_mutex_unlock(&exchange->lock);
	uv_async_send(exchange->wake_loop);
}
