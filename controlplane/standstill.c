/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounds: each shard that stands empties its mailbox; when nobody found anything in a round, nothing is on its way any more. */
#include "controlplane/standstill.h"

#include <stdlib.h>

#include "controlplane/mailbox.h"
#include "controlplane/shard_internal.h"

struct standstill {
	struct shard **shards;
	unsigned count;
	uv_mutex_t mutex;
	uv_cond_t changed;
	unsigned running; /* of these: those with a thread */
	/* lock: mutex */
	unsigned round;
	unsigned standing; /* shards that are through with the round */
	bool found; /* one of them had something in its mailbox */
	bool over;
};

/* On the shard's thread, called by its loop: nothing of the shard's is on the stack. */
static void stand(uv_async_t *handle)
{
	struct shard *shard = handle->data;
	struct standstill *s = shard->private->standstill;
	unsigned round;
	bool over;

	uv_mutex_lock(&s->mutex);
	do {
		bool found;

		round = s->round;
		uv_mutex_unlock(&s->mutex);
		found = mailbox_drain(shard->private->mailbox) > 0;
		uv_mutex_lock(&s->mutex);
		s->found |= found;
		s->standing++;
		uv_cond_broadcast(&s->changed);
		while (s->round == round && !s->over)
			uv_cond_wait(&s->changed, &s->mutex);
		over = s->over;
	} while (!over);
	s->standing--;
	uv_cond_broadcast(&s->changed);
	uv_mutex_unlock(&s->mutex);
}

int standstill_open(struct shard *shard)
{
	struct shard_private *private = shard->private;

	private->stand.data = shard;
	return uv_async_init(&shard->loop, &private->stand, stand);
}

void standstill_close(struct shard *shard)
{
	if (shard->private->stand.loop)
		uv_close((uv_handle_t *)&shard->private->stand, NULL);
}

struct standstill *standstill_new(struct shard **shards, unsigned count)
{
	struct standstill *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->shards = shards;
	s->count = count;
	if (uv_mutex_init(&s->mutex) != 0 || uv_cond_init(&s->changed) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

void standstill_free(struct standstill *s)
{
	if (!s)
		return;
	uv_mutex_destroy(&s->mutex);
	uv_cond_destroy(&s->changed);
	free(s);
}

void standstill_begin(struct standstill *s)
{
	uv_mutex_lock(&s->mutex);
	s->over = s->found = false;
	s->standing = 0;
	s->running = 0;
	for (unsigned i = 0; i < s->count; i++) {
		struct shard_private *private = s->shards[i]->private;

		if (!private->thread)
			continue;
		s->running++;
		private->standstill = s;
		uv_async_send(&private->stand);
	}
	for (;;) {
		while (s->standing < s->running)
			uv_cond_wait(&s->changed, &s->mutex);
		if (!s->found)
			break;
		s->found = false;
		s->standing = 0;
		s->round++;
		uv_cond_broadcast(&s->changed);
	}
	uv_mutex_unlock(&s->mutex);
}

void standstill_end(struct standstill *s)
{
	uv_mutex_lock(&s->mutex);
	s->over = true;
	uv_cond_broadcast(&s->changed);
	/* Until the last one has seen it: the next standstill begins with all of them on their way. */
	while (s->standing > 0)
		uv_cond_wait(&s->changed, &s->mutex);
	uv_mutex_unlock(&s->mutex);
}
