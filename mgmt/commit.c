/* SPDX-License-Identifier: BSD-3-Clause */
/* Commits: prepare in both daemons, the file, apply; and what was interrupted is brought to its end. */
#include "mgmt/commit.h"

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
	AGAIN_MS = 1000, /* between two attempts to bring a neighbour or an unconfirmed commit back */
	REVISIONS_KEPT = 200,
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

/* What is known of a neighbour's configuration. */
struct neighbour_state {
	struct commits *commits;
	enum neighbour which;
	bool agrees, started_known;
	struct config_digest started;
	bool asking; /* a request of ours about it is under way */
	bool again; /* to be asked once more when that has come back */
	struct push *push;
};

struct commits {
	char *file;
	struct mgmt_store *store;
	const struct neighbours *neighbours;
	struct commits_events events;
	void *arg;
	struct config_document *running;
	char *text;
	size_t length;
	struct config_digest digest;
	uint64_t revision;
	struct order *order; /* NULL: none is under way */
	struct neighbour_state neighbour[NEIGHBOUR_COUNT];
	uint64_t confirm_number, confirm_deadline; /* 0: nothing is to be confirmed */
	uv_timer_t timer;
	bool closing;
	unsigned references; /* requests whose replies will touch this */
};

static void reconcile(struct neighbour_state *n);
static void watch(struct commits *commits);

static void commits_unref(struct commits *commits)
{
	if (--commits->references > 0)
		return;
	explicit_bzero(commits->text, commits->length);
	free(commits->text);
	free(commits->file);
	config_document_free(commits->running);
	free(commits);
}

static void on_timer(uv_timer_t *timer);

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
		watch(commits);
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
	if (order && --order->pending == 0)
		order_end(order, 0);
	commits_unref(commits);
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
	struct commits *commits = order->commits;

	take_over(order);
	order->pending = 1; /* ours, so that the last reply does not end it within the loop */
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		struct neighbour_state *n = &commits->neighbour[i];

		n->agrees = false;
		if (push_apply(commits->neighbours, i, &commits->digest, order_applied, n) == 0) {
			commits->references++;
			order->pending++;
		}
	}
	if (--order->pending == 0)
		order_end(order, 0);
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
		error = mgmt_store_revision_trim(commits->store, REVISIONS_KEPT);
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

void commits_forget(struct commits *commits, const void *arg)
{
	if (commits->order && commits->order->arg == arg)
		commits->order->done = NULL;
}

/* --- neighbours that run another one --- */

static void settle_later(struct neighbour_state *n, int error, const char *text, size_t length)
{
	if (error == -EINVAL)
		log_error("commit", "a daemon refuses the configuration that is in force",
			LOG_TEXT("daemon", neighbour_name(n->which)),
			LOG_SPAN("reason", ((struct span){ text, length })));
	watch(n->commits);
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
			watch(commits);
	} else if (n->again) {
		reconcile(n);
	} else {
		n->started = state->started;
		n->started_known = true;
		n->agrees = config_digest_equal(&state->running, &commits->digest);
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

	n->agrees = n->started_known = false;
	reconcile(n);
}

bool commits_agrees(const struct commits *commits, enum neighbour which)
{
	return commits->neighbour[which].agrees;
}

const struct config_digest *commits_started(const struct commits *commits, enum neighbour which)
{
	return commits->neighbour[which].started_known ? &commits->neighbour[which].started : NULL;
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
	watch(commits);
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

static void watch(struct commits *commits)
{
	uint64_t now = clock_wall_ms(), wait = UINT64_MAX;

	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++)
		if (!commits->neighbour[i].agrees && neighbour_hello(commits->neighbours, i) != NULL)
			wait = AGAIN_MS;
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
	watch(commits);
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

const char *commits_text(const struct commits *commits, size_t *length)
{
	*length = commits->length;
	return commits->text;
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
	int error = commits ? 0 : -ENOMEM;

	if (error)
		return error;
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
		commits->digest = config_digest_of(commits->text, commits->length);
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
	watch(commits);
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
