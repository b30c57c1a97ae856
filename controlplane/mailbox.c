/* SPDX-License-Identifier: BSD-3-Clause */
/* Ring of slots with a turn number each (D. Vyukov's bounded queue): a writer claims a slot by moving the tail, fills it and
 * passes the turn to the reader; the reader passes it to the writer of the next round. */
#include "controlplane/mailbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct slot {
	_Atomic size_t turn; /* == position: free for its writer; == position + 1: filled */
	void (*run)(void *owner, void *arg);
	void *arg;
};

struct mailbox {
	void *owner;
	uv_async_t wake;
	size_t mask;
	_Alignas(64) _Atomic size_t tail; /* writers */
	_Alignas(64) size_t head; /* owner: the loop's thread */
	struct slot slot[];
};

static void woken(uv_async_t *wake)
{
	(void)mailbox_drain(wake->data);
}

int mailbox_new(uv_loop_t *loop, void *owner, size_t entries, struct mailbox **out)
{
	struct mailbox *mailbox;
	size_t size = 2;
	int result;

	while (size < entries)
		size *= 2;
	mailbox = aligned_alloc(64, (sizeof(*mailbox) + size * sizeof(struct slot) + 63) / 64 * 64);
	if (!mailbox)
		return -ENOMEM;
	result = uv_async_init(loop, &mailbox->wake, woken);
	if (result < 0) {
		free(mailbox);
		return result;
	}
	mailbox->wake.data = mailbox;
	mailbox->owner = owner;
	mailbox->mask = size - 1;
	mailbox->head = 0;
	atomic_init(&mailbox->tail, 0);
	for (size_t i = 0; i < size; i++)
		atomic_init(&mailbox->slot[i].turn, i);
	*out = mailbox;
	return 0;
}

int mailbox_post(struct mailbox *mailbox, void (*run)(void *owner, void *arg), void *arg)
{
	size_t position = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);
	struct slot *slot;

	for (;;) {
		size_t turn;

		slot = &mailbox->slot[position & mailbox->mask];
		turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
		if (turn == position) {
			if (atomic_compare_exchange_weak_explicit(&mailbox->tail, &position, position + 1,
				    memory_order_relaxed, memory_order_relaxed))
				break;
		} else if ((ptrdiff_t)(turn - position) < 0) {
			return -ENOBUFS;
		} else {
			position = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);
		}
	}
	slot->run = run;
	slot->arg = arg;
	atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
	uv_async_send(&mailbox->wake);
	return 0;
}

size_t mailbox_drain(struct mailbox *mailbox)
{
	/* What is posted from within comes in the next round: no message can keep the loop from its sockets. */
	size_t end = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);
	size_t count = 0;

	while (mailbox->head != end) {
		struct slot *slot = &mailbox->slot[mailbox->head & mailbox->mask];
		void (*run)(void *owner, void *arg);
		void *arg;

		/* Claimed but not yet filled: its writer will wake us. */
		if (atomic_load_explicit(&slot->turn, memory_order_acquire) != mailbox->head + 1)
			break;
		run = slot->run;
		arg = slot->arg;
		atomic_store_explicit(&slot->turn, mailbox->head + mailbox->mask + 1, memory_order_release);
		mailbox->head++;
		run(mailbox->owner, arg);
		count++;
	}
	return count;
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

void mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return;
	(void)mailbox_drain(mailbox);
	uv_close((uv_handle_t *)&mailbox->wake, closed);
}
