/* SPDX-License-Identifier: BSD-3-Clause */
/* Commits: prepare in both daemons, the file, apply. */
#include "mgmt/commit_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/commit_file.h"
#include "mgmt/push.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	TEXT_MAX = 65536, /* of reasons and warnings */
};

/* One commit or validation under way. */
struct order {
	struct commits *commits;
	bool only_validate;
	char *text;
	size_t length;
	struct config_digest digest;
	struct config_document *document;
	struct config *config;
	struct revision revision;
	unsigned confirm_seconds;
	commit_done done;
	void *arg;
	struct push *push[NEIGHBOUR_COUNT];
	unsigned pending;
	int error;
	struct writer said;
	char said_text[TEXT_MAX + 1];
};

void commits_unref(struct commits *commits)
{
	if (--commits->references > 0)
		return;
	explicit_bzero(commits->text, commits->length);
	free(commits->text);
	free(commits->file);
	config_document_free(commits->running);
	free(commits);
}

/* --- an order's end --- */

static void order_free(struct order *order)
{
	if (order->text)
		explicit_bzero(order->text, order->length);
	free(order->text);
	config_document_free(order->document);
	config_free(order->config);
	free(order);
}

static void order_end(struct order *order, int error)
{
	struct commits *commits = order->commits;

	order->said_text[order->said.len] = '\0';
	if (commits->order == order)
		commits->order = NULL;
	if (order->done)
		order->done(order->arg, error, order->said_text, order->revision.number);
	order_free(order);
	if (!commits->closing)
		commits_watch(commits);
	commits_unref(commits);
}

static void report(void *arg, bool is_error, const char *line)
{
	struct order *order = arg;

	writer_text(&order->said, line);
	writer_text(&order->said, is_error ? "\n" : " (warning)\n");
}

/* Both daemons check the same text and say the same: each line once. */
static void add_lines(struct order *order, const char *text, size_t length)
{
	struct span rest = { text, length };

	while (rest.n) {
		struct span line = span_cut(&rest, '\n');

		order->said_text[order->said.len] = '\0';
		if (!line.n || memmem(order->said_text, order->said.len, line.p, line.n))
			continue;
		writer_span(&order->said, line);
		writer_char(&order->said, '\n');
	}
}

static void say(struct order *order, const char *who, int error)
{
	if (error == -ENOTCONN)
		writer_format(&order->said, "the %s is not there\n", who);
	else
		writer_format(&order->said, "the %s: %s\n", who, strerror(-error));
}

/* --- apply --- */

static void order_apply_in(struct order *order, enum neighbour which);

static void say_pending(void *arg, const char *daemon, const struct config_change *change)
{
	struct order *order = arg;

	writer_format(&order->said, "%s: waits for the %s to start again\n", change->path, daemon);
}

static void order_applied(void *arg, int status, const void *body, size_t length)
{
	struct neighbour_state *n = arg;
	struct commits *commits = n->commits;
	struct order *order = commits->order;
	const struct config_state *state = body;

	n->agrees = status == 0 && length == sizeof(*state) &&
		    config_digest_equal(&state->running, &commits->digest);
	if (!n->agrees)
		log_warning("commit",
			"a daemon has not said that it applied the configuration; it is asked again",
			LOG_TEXT("daemon", neighbour_name(n->which)), LOG_ERRNO("error", status));
	if (order)
		order_apply_in(order, n->which + 1);
	commits_unref(commits);
}

/* One after the other, the dataplane first: what the control plane begins to use is there by then, and what it stops to use is kept for
 * the moment (decision 0087). */
static void order_apply_in(struct order *order, enum neighbour which)
{
	struct commits *commits = order->commits;

	for (; which < NEIGHBOUR_COUNT; which++) {
		struct neighbour_state *n = &commits->neighbour[which];

		if (push_apply(commits->neighbours, which, &commits->digest, order_applied, n) == 0) {
			commits->references++;
			return;
		}
	}
	for (unsigned i = 0; i < COMMITS_DAEMONS; i++)
		(void)commits_pending(commits, i, say_pending, order);
	order_end(order, 0);
}

static void take_over(struct order *order)
{
	struct commits *commits = order->commits;
	struct config *config = order->config;

	config_document_free(commits->running);
	explicit_bzero(commits->text, commits->length);
	free(commits->text);
	commits->running = order->document;
	commits->text = order->text;
	commits->length = order->length;
	commits->digest = order->digest;
	commits->revision = order->revision.number;
	order->document = NULL;
	order->text = NULL;
	order->config = NULL;
	commits->events.applied(commits->arg, config);
}

static void order_apply(struct order *order)
{
	take_over(order);
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		order->commits->neighbour[i].agrees = false;
	order_apply_in(order, NEIGHBOUR_DATAPLANE);
}

/* --- the file --- */

/* What comes back unless the commit is confirmed: what was there before the first of them. */
static int order_confirmation(struct order *order)
{
	struct commits *commits = order->commits;
	uint64_t number = commits->confirm_number ? commits->confirm_number : commits->revision;
	uint64_t deadline = clock_wall_ms() + (uint64_t)order->confirm_seconds * 1000;
	int error;

	if (!order->confirm_seconds)
		return 0;
	error = mgmt_store_confirm_set(commits->store, number, deadline);
	if (!error) {
		commits->confirm_number = number;
		commits->confirm_deadline = deadline;
	}
	return error;
}

static int order_write(struct order *order)
{
	struct commits *commits = order->commits;
	char why[512];
	int error = mgmt_store_revision_add(commits->store, &order->revision, order->text, order->length);

	if (!error)
		error = order_confirmation(order);
	if (error) {
		say(order, "database of revisions", error);
		return error;
	}
	error = commit_file_write(commits->file, order->text, order->length, why, sizeof(why));
	if (error) {
		writer_format(&order->said, "%s\n", why);
		return error;
	}
	error = mgmt_store_revision_settle(commits->store, order->revision.number);
	if (!error && !order->confirm_seconds)
		error = commits_confirm(commits) == -EIO ? -EIO : 0;
	if (!error)
		error = mgmt_store_revision_trim(commits->store, order->config->system.revisions_kept);
	if (error) /* the file says it already: there is no way back, and at the next start it is put in order */
		log_error("commit", "the revision cannot be settled", LOG_ERRNO("error", error));
	log_notice("commit", "configuration committed", LOG_UINT("revision", order->revision.number),
		LOG_TEXT("who", order->revision.who), LOG_TEXT("comment", order->revision.comment));
	return 0;
}

/* --- prepare --- */

static void order_abort(struct order *order)
{
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		push_abort(order->commits->neighbours, i);
}

static void order_prepared(struct order *order)
{
	int error = order->error;

	if (!error && !order->only_validate)
		error = order_write(order);
	if (error || order->only_validate) {
		order_abort(order);
		order_end(order, error);
		return;
	}
	order_apply(order);
}

struct preparing { /* one neighbour's share of an order */
	struct order *order;
	enum neighbour which;
};

static void neighbour_prepared(void *arg, int error, const char *text, size_t length)
{
	struct preparing *preparing = arg;
	struct order *order = preparing->order;
	enum neighbour which = preparing->which;

	free(preparing);
	order->push[which] = NULL;
	add_lines(order, text, length);
	if (error && (error != -EINVAL || length == 0))
		say(order, neighbour_name(which), error);
	if (error && !order->error)
		order->error = error;
	if (--order->pending == 0)
		order_prepared(order);
}

static int order_push(struct order *order, enum neighbour which)
{
	struct preparing *preparing = malloc(sizeof(*preparing));
	struct neighbour_state *n = &order->commits->neighbour[which];
	int error;

	if (!preparing)
		return -ENOMEM;
	*preparing = (struct preparing){ order, which };
	if (n->push) {
		push_cancel(n->push); /* what it was to get is out of date */
		n->push = NULL;
	}
	error = push_prepare(order->commits->neighbours, which, order->text, order->length,
		neighbour_prepared, preparing, &order->push[which]);
	if (error) {
		free(preparing);
		say(order, neighbour_name(which), error);
	} else {
		order->pending++;
	}
	return error;
}

static void order_prepare(struct order *order)
{
	order->pending = 1;
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		int error = order_push(order, i);

		if (error && !order->error)
			order->error = error;
	}
	if (--order->pending == 0)
		order_prepared(order);
}

/* --- begin --- */

static int order_read(struct order *order, const struct commit_order *what)
{
	const struct config_reporter reporter = { report, order };
	int error;

	order->document = config_document_copy(what->candidate);
	error = order->document ? config_document_print(
					  order->document, NULL, 0, CONFIG_PRINT_WHOLE, &order->text, NULL)
				: -ENOMEM;
	if (error)
		return error;
	order->length = strlen(order->text);
	order->digest = order->revision.digest = config_digest_of(order->text, order->length);
	return config_load_text(
		order->commits->file, order->text, order->length, true, &reporter, &order->config);
}

static int begin(struct commits *commits, const struct commit_order *what, bool only_validate,
	commit_done done, void *arg)
{
	struct order *order;
	int error;

	if (commits->order)
		return -EBUSY;
	order = calloc(1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	order->commits = commits;
	commits->references++;
	order->only_validate = only_validate;
	order->confirm_seconds = what->confirm_seconds;
	order->done = done;
	order->arg = arg;
	writer_init(&order->said, order->said_text, TEXT_MAX);
	(void)snprintf(order->revision.who, sizeof(order->revision.who), "%s", what->who ? what->who : "");
	(void)snprintf(order->revision.comment, sizeof(order->revision.comment), "%s",
		what->comment ? what->comment : "");
	commits->order = order;
	if (what->base && !config_digest_equal(what->base, &commits->digest))
		error = -ESTALE;
	else
		error = order_read(order, what);
	if (error)
		order_end(order, error);
	else
		order_prepare(order);
	return 0;
}

int commits_begin(struct commits *commits, const struct commit_order *order, commit_done done, void *arg)
{
	return begin(commits, order, false, done, arg);
}

int commits_validate(struct commits *commits, const struct commit_order *order, commit_done done, void *arg)
{
	return begin(commits, order, true, done, arg);
}

/* --- life --- */

const struct config_document *commits_running(const struct commits *commits)
{
	return commits->running;
}

const struct config_digest *commits_digest(const struct commits *commits)
{
	return &commits->digest;
}

uint64_t commits_revision(const struct commits *commits)
{
	return commits->revision;
}

/* The file is right whatever the database says; who has changed it by hand made a revision by that. */
static int recover(struct commits *commits)
{
	struct revision revision = { .digest = commits->digest, .who = "file" };
	bool found = false;
	int error = mgmt_store_revision_recover(commits->store, &commits->digest, &found);

	if (!error && !found) {
		error = mgmt_store_revision_add(commits->store, &revision, commits->text, commits->length);
		if (!error)
			error = mgmt_store_revision_settle(commits->store, revision.number);
	}
	if (!error)
		error = mgmt_store_revision_get(commits->store, 0, &revision, NULL, NULL);
	commits->revision = revision.number;
	if (!error)
		error = mgmt_store_confirm_get(
			commits->store, &commits->confirm_number, &commits->confirm_deadline);
	return error;
}

int commits_new(uv_loop_t *loop, const char *file, struct mgmt_store *store,
	const struct neighbours *neighbours, const struct commits_events *events, void *arg,
	struct commits **out)
{
	struct commits *commits = calloc(1, sizeof(*commits));
	int error;

	if (!commits)
		return -ENOMEM;
	commits->store = store;
	commits->neighbours = neighbours;
	commits->events = *events;
	commits->arg = arg;
	commits->references = 1;
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		commits->neighbour[i] = (struct neighbour_state){ .commits = commits, .which = i };
	commits->file = strdup(file);
	error = commits->file ? commit_file_read(file, &commits->text, &commits->length) : -ENOMEM;
	if (!error)
		error = commits_read(commits->text, commits->length, &commits->running);
	if (!error) {
		commits->digest = commits->started = config_digest_of(commits->text, commits->length);
		error = recover(commits);
	}
	if (error) {
		config_document_free(commits->running);
		free(commits->text);
		free(commits->file);
		free(commits);
		return error;
	}
	uv_timer_init(loop, &commits->timer);
	commits->timer.data = commits;
	commits_watch(commits);
	*out = commits;
	return 0;
}

static void timer_closed(uv_handle_t *timer)
{
	commits_unref(timer->data);
}

void commits_free(struct commits *commits)
{
	if (!commits)
		return;
	commits->closing = true;
	if (commits->order)
		commits->order->done = NULL; /* its requests end with the neighbours' connections */
	uv_close((uv_handle_t *)&commits->timer, timer_closed);
}
