/* SPDX-License-Identifier: BSD-3-Clause */
/* Bindings by their number, for whoever walks over all of them. Numbers count up, so that a list in an array is enough. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/location_index.h"

enum { PLACES_FIRST = 64 };

struct place {
	uint64_t number;
	struct binding *binding; /* NULL: it is gone */
};

struct location_order {
	pthread_mutex_t lock; /* all below */
	struct place *place; /* by number */
	size_t used, size, gone;
};

/* The first place whose number is not below. */
static size_t find(const struct location_order *order, uint64_t number)
{
	size_t low = 0, high = order->used;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order->place[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void compact(struct location_order *order)
{
	size_t kept = 0;

	for (size_t i = 0; i < order->used; i++)
		if (order->place[i].binding)
			order->place[kept++] = order->place[i];
	order->used = kept;
	order->gone = 0;
}

int location_order_reserve(struct location_order *order)
{
	struct place *grown = NULL;
	size_t size;

	pthread_mutex_lock(&order->lock);
	if (order->gone * 2 > order->used)
		compact(order);
	size = order->size ? order->size * 2 : PLACES_FIRST;
	if (order->used == order->size)
		grown = realloc(order->place, size * sizeof(*grown));
	if (grown) {
		order->place = grown;
		order->size = size;
	}
	size = order->size - order->used;
	pthread_mutex_unlock(&order->lock);
	return size ? 0 : -ENOMEM;
}

void location_order_insert(struct location_order *order, struct binding *binding)
{
	size_t at;

	pthread_mutex_lock(&order->lock);
	at = find(order, binding->number);
	if (at < order->used && order->place[at].number == binding->number) {
		order->gone -= order->place[at].binding ? 0 : 1;
	} else {
		/* This moves nothing, but for what is loaded in another order. */
		memmove(&order->place[at + 1], &order->place[at],
			(order->used - at) * sizeof(order->place[0]));
		order->used++;
	}
	order->place[at] = (struct place){ binding->number, binding };
	pthread_mutex_unlock(&order->lock);
}

void location_order_remove(struct location_order *order, const struct binding *binding)
{
	size_t at;

	pthread_mutex_lock(&order->lock);
	at = find(order, binding->number);
	if (at < order->used && order->place[at].binding == binding) {
		order->place[at].binding = NULL;
		order->gone++;
	}
	pthread_mutex_unlock(&order->lock);
}

size_t location_order_list(struct location_order *order, uint64_t after, struct binding **out, size_t limit)
{
	size_t count = 0;

	pthread_mutex_lock(&order->lock);
	for (size_t i = find(order, after + 1); i < order->used && count < limit; i++)
		if (order->place[i].binding)
			out[count++] = binding_get(order->place[i].binding);
	pthread_mutex_unlock(&order->lock);
	return count;
}

void location_order_each(
	struct location_order *order, void (*each)(struct binding *binding, void *arg), void *arg)
{
	pthread_mutex_lock(&order->lock);
	for (size_t i = 0; i < order->used; i++)
		if (order->place[i].binding)
			each(order->place[i].binding, arg);
	pthread_mutex_unlock(&order->lock);
}

struct location_order *location_order_new(void)
{
	struct location_order *order = calloc(1, sizeof(*order));

	if (order)
		pthread_mutex_init(&order->lock, NULL);
	return order;
}

void location_order_free(struct location_order *order)
{
	if (!order)
		return;
	pthread_mutex_destroy(&order->lock);
	free(order->place);
	free(order);
}
