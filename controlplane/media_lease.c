/* SPDX-License-Identifier: BSD-3-Clause */
/* A call's session in the dataplane: created with the first offer, updated, given back; replies that come too late. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/secret.h"
#include "platforms/base/random.h"

static void release(struct media *media)
{
	media_state_free(media->committed);
	media_state_free(media->next);
	for (unsigned side = 0; side < 2; side++) {
		secret_free(media->written[side]);
		secret_free(media->before[side]);
	}
	free(media);
}

static void finish_close(struct media *media, const struct dp_session_info *final)
{
	media_closed closed = media->closed;

	media->closed = NULL;
	if (closed)
		closed(media->closed_arg, final);
	if (media->requests == 0)
		release(media);
}

static void on_deleted(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;

	media->requests--;
	finish_close(media, status == 0 && length >= sizeof(struct dp_session_info) ? body : NULL);
}

static void start_delete(struct media *media)
{
	struct dp_session_id id = { .session = media->session };

	media->requests++;
	if (dp_client_request(
		    media->shard->dataplane, DP_SESSION_DELETE, &id, sizeof(id), on_deleted, media)) {
		media->requests--;
		finish_close(media, NULL);
	}
}

/* A reply to a media that is closing: true when nothing else is to be done with it. */
static bool reply_is_late(struct media *media)
{
	media->requests--;
	if (!media->closing)
		return false;
	if (media->requests == 0 && !media->closed)
		release(media);
	return true;
}

static void take_locals(struct media *media, const struct dp_session_reply *reply)
{
	for (unsigned i = 0; i < media->next->count; i++)
		for (unsigned side = 0; side < 2; side++)
			dp_address_to(&reply->local[i][side], &media->next->stream[i].side[side].local);
}

void media_drop_next(struct media *media)
{
	media_state_free(media->next);
	media->next = NULL;
	media->waiting = false;
	media->touched = false;
	media->repeats = false;
}

static void on_allocated(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;
	const struct dp_session_reply *reply = body;
	bool last = --media->allocations == 0;
	bool has_keys;

	(void)length;
	if (status == 0 && media->session == 0) {
		media->session = reply->session;
		if (media->closing) {
			media->requests--;
			start_delete(media);
			return;
		}
	} else if (media->closing && media->session == 0) {
		media->requests--;
		finish_close(media, NULL);
		return;
	}
	if (reply_is_late(media) || !last || !media->waiting)
		return;
	media->waiting = false;
	if (status == 0)
		take_locals(media, reply);
	else
		media_drop_next(media);
	has_keys = media_has_keys(media);
	media->events->ready(media->arg, status);
	if (has_keys)
		secret_wipe_stack();
}

static void on_updated(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;

	(void)body;
	(void)length;
	if (reply_is_late(media))
		return;
	if (status == -ENOTCONN || status == -ETIMEDOUT)
		media->missed = true;
	else if (status)
		log_warning("media", "the dataplane refused an update", LOG_UINT("session", media->session),
			LOG_ERRNO("error", status));
	if (status == -ENOENT)
		media->events->lost(media->arg);
}

void media_update(struct media *media, const struct media_state *state)
{
	struct dp_session_request request;

	if (!media->session)
		return;
	media_build_request(media, state, &request);
	media->requests++;
	if (dp_client_session(
		    media->shard->dataplane, DP_SESSION_UPDATE, &request, NULL, on_updated, media)) {
		media->requests--;
		media->missed = true;
	}
}

int media_allocate(struct media *media)
{
	enum dp_message type = media->session ? DP_SESSION_UPDATE : DP_SESSION_CREATE;
	struct dp_session_request request;
	int error;

	media_build_request(media, NULL, &request);
	media->requests++;
	media->allocations++;
	error = dp_client_session(media->shard->dataplane, type, &request, NULL, on_allocated, media);
	if (error) {
		media->requests--;
		media->allocations--;
		return error;
	}
	media->waiting = true;
	media->touched = true;
	return 1;
}

/* --- interface -------------------------------------------------------------------------------------------------------- */

int media_new(struct shard *shard, const struct media_events *events, void *arg, struct media **out)
{
	struct media *media = calloc(1, sizeof(*media));

	if (!media)
		return -ENOMEM;
	media->shard = shard;
	media->events = events;
	media->arg = arg;
	for (unsigned side = 0; side < 2; side++) {
		/* Below 2^62: there are parsers that keep it in a signed number. */
		media->origin[side].session_id = random_u64() >> 2;
		media->origin[side].version = 1;
	}
	*out = media;
	return 0;
}

void media_set_party(struct media *media, unsigned side, const struct media_party *party)
{
	media->party[side] = *party;
}

void media_move(struct media *media, struct config_move *move)
{
	for (unsigned side = 0; side < 2; side++) {
		config_move_realm(move, &media->party[side].realm);
		config_move_ip_profile(move, &media->party[side].profile);
	}
}

void media_moved(struct media *media, unsigned side, const struct media_party *party)
{
	bool same = address_equal(&media->party[side].signalling, &party->signalling);

	media->party[side] = *party;
	if (!same && media->committed && !media->next)
		media_update(media, media->committed);
}

void media_close(struct media *media, media_closed closed, void *arg)
{
	media->closing = true;
	media->closed = closed;
	media->closed_arg = arg;
	if (media->session)
		start_delete(media);
	else if (media->allocations == 0)
		finish_close(media, NULL);
}

void media_abandon(struct media *media)
{
	media->closing = true;
	if (media->requests == 0)
		release(media);
}

static void on_stored(void *arg, int status, const void *body, size_t length)
{
	(void)status;
	(void)body;
	(void)length;
	reply_is_late(arg);
}

void media_store(struct media *media, const void *blob, size_t length)
{
	unsigned char body[sizeof(struct dp_session_id) + DP_BLOB_MAX];
	struct dp_session_id id = { .session = media->session };

	if (!media->session || length > DP_BLOB_MAX)
		return;
	memcpy(body, &id, sizeof(id));
	memcpy(body + sizeof(id), blob, length);
	media->requests++;
	if (dp_client_request(
		    media->shard->dataplane, DP_BLOB_SET, body, sizeof(id) + length, on_stored, media))
		media->requests--;
}

void media_resync(struct media *media)
{
	if (!media->missed || media->waiting)
		return;
	media->missed = false;
	if (media->next && media->touched)
		media_update(media, media->next);
	else if (media->committed)
		media_update(media, media->committed);
}
