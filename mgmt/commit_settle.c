/* SPDX-License-Identifier: BSD-3-Clause */
/* What a commit leaves to be done: daemons that run another configuration are given the one in force, and what nobody has confirmed goes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mgmt/commit_internal.h"
#include "mgmt/push.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	AGAIN_MS = 1000, /* between two attempts */
	REFUSED_MS = 30000, /* after a refusal, which only another configuration or a restart will change */
};

static void reconcile(struct neighbour_state *n);
static void on_timer(uv_timer_t *timer);

/* --- neighbours that run another one --- */

static void settle_later(struct neighbour_state *n, int error, const char *text, size_t length)
{
	if (error == -EINVAL)
		LOG_SPARING(LOG_LEVEL_ERROR, "commit", "a daemon refuses the configuration that is in force",
			LOG_TEXT("daemon", neighbour_name(n->which)),
			LOG_SPAN("reason", ((struct span){ text, length })));
	n->refused = error == -EINVAL;
	commits_watch(n->commits);
}

static void reconciled(void *arg, int status, const void *body, size_t length)
{
	struct neighbour_state *n = arg;
	struct commits *commits = n->commits;
	const struct config_state *state = body;

	n->asking = false;
	n->agrees = status == 0 && length == sizeof(*state) &&
		    config_digest_equal(&state->running, &commits->digest);
	if (n->agrees)
		log_notice("commit", "a daemon that ran another configuration runs the one in force now",
			LOG_TEXT("daemon", neighbour_name(n->which)));
	if (!commits->closing)
		settle_later(n, 0, NULL, 0);
	commits_unref(commits);
}

static void reconcile_prepared(void *arg, int error, const char *text, size_t length)
{
	struct neighbour_state *n = arg;
	struct commits *commits = n->commits;

	n->push = NULL;
	n->asking = false;
	if (commits->closing)
		return;
	if (!error)
		error = push_apply(commits->neighbours, n->which, &commits->digest, reconciled, n);
	if (error) {
		settle_later(n, error, text, length);
		return;
	}
	n->asking = true;
	commits->references++;
}

static void state_came(void *arg, int status, const void *body, size_t length)
{
	struct neighbour_state *n = arg;
	struct commits *commits = n->commits;
	const struct config_state *state = body;

	n->asking = false;
	if (commits->closing || status != 0 || length != sizeof(*state)) {
		if (!commits->closing)
			commits_watch(commits);
	} else if (n->again) {
		reconcile(n);
	} else {
		n->started = state->started;
		n->started_known = true;
		n->agrees = config_digest_equal(&state->running, &commits->digest);
		if (!n->agrees && commits_file_differs(commits))
			log_warning("commit",
				"the file was changed by hand and is not in force: \"load\" and \"commit\" "
				"it, or "
				"restart the management daemon",
				LOG_TEXT("file", commits->file));
		if (!n->agrees && !commits->order &&
			push_prepare(commits->neighbours, n->which, commits->text, commits->length,
				reconcile_prepared, n, &n->push) == 0)
			n->asking = true;
	}
	commits_unref(commits);
}

static void reconcile(struct neighbour_state *n)
{
	struct commits *commits = n->commits;

	n->again = n->asking;
	if (n->asking || commits->closing || neighbour_hello(commits->neighbours, n->which) == NULL)
		return;
	if (neighbour_request(commits->neighbours, n->which, CONFIG_STATE, NULL, 0, state_came, n) == 0) {
		n->asking = true;
		commits->references++;
	}
}

void commits_neighbour_up(struct commits *commits, enum neighbour which)
{
	struct neighbour_state *n = &commits->neighbour[which];

	n->agrees = n->started_known = n->refused = false;
	reconcile(n);
}

bool commits_agrees(const struct commits *commits, enum neighbour which)
{
	return commits->neighbour[which].agrees;
}

/* --- what is to be confirmed --- */

int commits_confirm(struct commits *commits)
{
	int error;

	if (!commits->confirm_number)
		return -ENOENT;
	error = mgmt_store_confirm_set(commits->store, 0, 0);
	if (!error)
		commits->confirm_number = commits->confirm_deadline = 0;
	return error;
}

uint64_t commits_deadline(const struct commits *commits)
{
	return commits->confirm_deadline;
}

static void reverted(void *arg, int error, const char *text, uint64_t revision)
{
	struct commits *commits = arg;

	(void)revision;
	if (error)
		log_error("commit", "the configuration before the unconfirmed one cannot be brought back yet",
			LOG_ERRNO("error", error), LOG_TEXT("reason", text));
	commits_watch(commits);
}

static void nothing(void *arg, bool is_error, const char *line)
{
	(void)arg;
	(void)is_error;
	(void)line;
}

int commits_read(const char *text, size_t length, struct config_document **out)
{
	static const struct config_reporter reporter = { nothing, NULL };

	return config_document_read("revision", text, length, &reporter, out);
}

static void revert(struct commits *commits)
{
	struct config_document *document = NULL;
	char comment[64], *text = NULL;
	size_t length = 0;
	int error = mgmt_store_revision_text(commits->store, commits->confirm_number, &text, &length);

	if (!error)
		error = commits_read(text, length, &document);
	if (!error) {
		const struct commit_order order = {
			.candidate = document, .who = "sallyport", .comment = comment
		};

		(void)snprintf(comment, sizeof(comment), "revision %llu was not confirmed",
			(unsigned long long)commits->revision);
		error = commits_begin(commits, &order, reverted, commits);
	}
	if (error && error != -EBUSY)
		log_error("commit", "the revision to go back to cannot be read", LOG_ERRNO("error", error));
	config_document_free(document);
	free(text);
}

/* --- the timer: what is due, and what is tried again --- */

void commits_watch(struct commits *commits)
{
	uint64_t now = clock_wall_ms(), wait = UINT64_MAX;

	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		if (!commits->neighbour[i].agrees && neighbour_hello(commits->neighbours, i) != NULL &&
			(!commits->neighbour[i].refused || wait > REFUSED_MS))
			wait = commits->neighbour[i].refused ? REFUSED_MS : AGAIN_MS;
	if (commits->confirm_number) {
		uint64_t left = commits->confirm_deadline > now ? commits->confirm_deadline - now : AGAIN_MS;

		wait = left < wait ? left : wait;
	}
	if (wait == UINT64_MAX)
		uv_timer_stop(&commits->timer);
	else
		uv_timer_start(&commits->timer, on_timer, wait, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct commits *commits = timer->data;

	if (commits->confirm_number && clock_wall_ms() >= commits->confirm_deadline)
		revert(commits);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		if (!commits->order && !commits->neighbour[i].agrees)
			reconcile(&commits->neighbour[i]);
	commits_watch(commits);
}
