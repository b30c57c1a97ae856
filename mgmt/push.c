/* SPDX-License-Identifier: BSD-3-Clause */
/* One neighbour is given another configuration. */
#include "mgmt/push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct push {
	const struct neighbours *neighbours;
	enum neighbour which;
	const char *text; /* NULL: cancelled */
	size_t length, sent;
	bool begun;
	struct config_digest digest;
	push_done done;
	void *arg;
};

static void end(struct push *push, int error, const char *text, size_t length)
{
	push_done done = push->text ? push->done : NULL;
	void *arg = push->arg;

	free(push);
	if (done)
		done(arg, error, text, length);
}

static void prepared(void *arg, int status, const void *body, size_t length)
{
	struct push *push = arg;

	if (!push->text && status == 0)
		push_abort(push->neighbours, push->which);
	end(push, status, body, length);
}

static int send_next(struct push *push);

static void staged(void *arg, int status, const void *body, size_t length)
{
	struct push *push = arg;

	if (status == 0 && push->text)
		status = send_next(push);
	else if (!push->text)
		status = -ECANCELED;
	if (status)
		end(push, status, body, status == -EINVAL ? length : 0);
}

/* The next piece, or behind the last one the order to prepare. */
static int send_next(struct push *push)
{
	struct {
		struct config_piece head;
		char text[CONFIG_PIECE_MAX];
	} piece;
	size_t n = push->length - push->sent;

	if (push->begun && push->sent == push->length)
		return neighbour_request(push->neighbours, push->which, CONFIG_PREPARE, &push->digest,
			sizeof(push->digest), prepared, push);
	if (n > CONFIG_PIECE_MAX)
		n = CONFIG_PIECE_MAX;
	push->begun = true;
	piece.head = (struct config_piece){ .offset = (uint32_t)push->sent, .length = (uint32_t)n };
	memcpy(piece.text, push->text + push->sent, n);
	push->sent += n;

	int error = neighbour_request(
		push->neighbours, push->which, CONFIG_STAGE, &piece, sizeof(piece.head) + n, staged, push);

	explicit_bzero(piece.text, n); /* secrets may be in it */
	return error;
}

int push_prepare(const struct neighbours *neighbours, enum neighbour which, const char *text, size_t length,
	push_done done, void *arg, struct push **out)
{
	struct push *push = calloc(1, sizeof(*push));
	int error;

	if (!push)
		return -ENOMEM;
	*push = (struct push){ .neighbours = neighbours,
		.which = which,
		.text = text,
		.length = length,
		.digest = config_digest_of(text, length),
		.done = done,
		.arg = arg };
	error = send_next(push);
	if (error)
		free(push);
	else
		*out = push;
	return error;
}

void push_cancel(struct push *push)
{
	push->text = NULL;
}

int push_apply(const struct neighbours *neighbours, enum neighbour which, const struct config_digest *digest,
	neighbour_reply done, void *arg)
{
	return neighbour_request(neighbours, which, CONFIG_APPLY, digest, sizeof(*digest), done, arg);
}

static void let_go(void *arg, int status, const void *body, size_t length)
{
	(void)arg;
	(void)status;
	(void)body;
	(void)length;
}

void push_abort(const struct neighbours *neighbours, enum neighbour which)
{
	/* Not there: then nothing is prepared there either. */
	(void)neighbour_request(neighbours, which, CONFIG_ABORT, NULL, 0, let_go, NULL);
}
