/* SPDX-License-Identifier: BSD-3-Clause */
/* set, delete, edit, up, top, discard, load, save, rollback, validate, commit, confirm. */
#include "mgmt/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/commit.h"
#include "mgmt/render.h"
#include "mgmt/store.h"
#include "mgmt/value.h"

enum { WHY_MAX = 1024, CONFIRM_SECONDS_MAX = 86400, BACK_MAX = 10000 };

/* False: said already. */
static bool has_world(struct request *request)
{
	if (request->session != NULL && request->session->world != NULL &&
		request->session->world->commits != NULL)
		return true;
	request_fail(request, MGMT_EXIT_FAILED, "there is no configuration to edit here");
	return false;
}

static struct config_document *candidate(struct request *request)
{
	struct config_document *document = has_world(request) ? session_candidate(request->session) : NULL;

	if (document == NULL && !request->over)
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
	return document;
}

/* The command's words behind where the session is. */
static size_t whole_path(
	const struct request *request, struct span words[MGMT_WORDS_MAX + CONFIG_PATH_WORDS_MAX])
{
	const struct session *session = request->session;
	size_t n = 0;

	for (size_t i = 0; i < session->edit_words; i++)
		words[n++] = session->edit[i];
	for (size_t i = 0; i < request->match.arguments; i++)
		words[n++] = request->match.argument[i];
	return n;
}

static void fail_why(struct request *request, int error, const struct writer *why)
{
	if (error == -ENOMEM)
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
	else
		request_fail(request, MGMT_EXIT_USAGE, "%.*s", SPAN_FMT(writer_result(why)));
}

static void change(
	struct request *request, int (*how)(struct config_document *document, const struct span *words,
					 size_t count, struct writer *why))
{
	struct span words[MGMT_WORDS_MAX + CONFIG_PATH_WORDS_MAX];
	struct config_document *document = candidate(request);
	char text[WHY_MAX];
	struct writer why;
	int error;

	if (document == NULL)
		return;
	writer_init(&why, text, sizeof(text));
	error = how(document, words, whole_path(request, words), &why);
	if (error)
		fail_why(request, error, &why);
	else
		request_finish(request, MGMT_EXIT_OK);
}

void edit_set(struct request *request)
{
	change(request, config_document_set);
}

void edit_delete(struct request *request)
{
	change(request, config_document_delete);
}

void edit_enter(struct request *request)
{
	struct span words[MGMT_WORDS_MAX + CONFIG_PATH_WORDS_MAX];
	const struct config_document *document = candidate(request);
	char text[WHY_MAX];
	struct writer why;
	size_t n;
	int error;

	if (document == NULL)
		return;
	n = whole_path(request, words);
	writer_init(&why, text, sizeof(text));
	error = config_document_path(document, words, n, &why);
	if (!error)
		error = session_edit(request->session, words, n);
	if (error)
		fail_why(request, error, &why);
	else
		request_finish(request, MGMT_EXIT_OK);
}

void edit_up(struct request *request)
{
	struct session *session = request->session;
	size_t n = session != NULL ? session->edit_words : 0;

	/* A section's keyword and its name are one step. */
	n = n > 2 ? 2 : 0;
	if (session != NULL && session_edit(session, session->edit, n) != 0)
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
	else
		request_finish(request, MGMT_EXIT_OK);
}

void edit_top(struct request *request)
{
	if (request->session != NULL)
		(void)session_edit(request->session, NULL, 0);
	request_finish(request, MGMT_EXIT_OK);
}

void edit_discard(struct request *request)
{
	if (!has_world(request))
		return;
	session_discard(request->session);
	request_finish(request, MGMT_EXIT_OK);
}

static void note(void *arg, bool is_error, const char *line)
{
	(void)is_error;
	request_remark(arg, "%s", line);
}

/* Replaces the candidate by a text; ends the request. */
static void load_text(struct request *request, const char *name, const char *text, size_t length)
{
	const struct config_reporter reporter = { note, request };
	struct config_document *document = NULL;
	int error = config_document_read(name, text, length, &reporter, &document);

	if (error) {
		request_fail(request, error == -EINVAL ? MGMT_EXIT_USAGE : MGMT_EXIT_FAILED,
			"the candidate is as it was");
		return;
	}
	session_replace(request->session, document);
	request_finish(request, MGMT_EXIT_OK);
}

void edit_load(struct request *request)
{
	if (has_world(request))
		load_text(request, "input", request->input != NULL ? request->input : "",
			request->input_length);
}

static bool saved_name(struct request *request, char name[64])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	struct span word = request->match.argument[0];
	bool good = word.n > 0 && word.n < 64;

	for (size_t i = 0; good && i < word.n; i++)
		good = word.p[i] != '\0' && strchr(allowed, word.p[i]) != NULL;
	if (!good) {
		request_fail(
			request, MGMT_EXIT_USAGE, "NAME is 1 to 63 letters, digits, \".\", \"_\", \"-\"");
		return false;
	}
	memcpy(name, word.p, word.n);
	name[word.n] = '\0';
	return true;
}

void edit_load_saved(struct request *request)
{
	char name[64], *text = NULL;
	size_t length = 0;
	int error;

	if (!has_world(request) || !saved_name(request, name))
		return;
	error = mgmt_store_saved_get(request->session->world->store, name, &text, &length);
	if (error)
		request_fail(request, MGMT_EXIT_FAILED,
			error == -ENOENT ? "nothing is saved as %s" : "%s cannot be read from the database",
			name);
	else
		load_text(request, name, text, length);
	free(text);
}

void edit_save(struct request *request)
{
	const struct config_document *document = candidate(request);
	char name[64], *text = NULL;
	int error;

	if (document == NULL || !saved_name(request, name))
		return;
	error = config_document_print(document, NULL, 0, CONFIG_PRINT_WHOLE, &text, NULL);
	if (!error)
		error = mgmt_store_saved_set(request->session->world->store, name, text, strlen(text));
	free(text);
	if (error)
		request_fail(request, MGMT_EXIT_FAILED, "it cannot be saved: %s", strerror(-error));
	else
		request_finish(request, MGMT_EXIT_OK);
}

void edit_rollback(struct request *request)
{
	struct revision revision;
	char *text = NULL;
	size_t length = 0;
	uint64_t back;
	int error;

	if (!has_world(request))
		return;
	if (span_to_uint(request->match.argument[0], BACK_MAX, &back) != 0) {
		request_fail(request, MGMT_EXIT_USAGE,
			"N is how many commits to go back, 0..%d; 0 is what is in force", BACK_MAX);
		return;
	}
	error = mgmt_store_revision_get(request->session->world->store, back, &revision, &text, &length);
	if (error)
		request_fail(request, MGMT_EXIT_FAILED,
			error == -ENOENT ? "there are not so many revisions; \"show revisions\" lists them"
					 : "the revision cannot be read from the database");
	else
		load_text(request, "revision", text, length);
	free(text);
}

/* --- commit --- */

static void say_lines(struct request *request, const char *text)
{
	struct span rest = span_from(text);

	while (rest.n > 0) {
		struct span line = span_cut(&rest, '\n');

		if (line.n > 0)
			request_remark(request, "%.*s", SPAN_FMT(line));
	}
}

static void fail_commit(struct request *request, int error)
{
	switch (error) {
	case -ESTALE:
		request_fail(request, MGMT_EXIT_FAILED,
			"another commit came between: \"compare\" shows what would be undone; \"discard\" "
			"begins from what is in "
			"force, \"commit force\" commits all the same");
		break;
	case -EINVAL:
		request_fail(request, MGMT_EXIT_USAGE, "the configuration is refused; nothing has changed");
		break;
	case -ENOTCONN:
		request_fail(
			request, MGMT_EXIT_FAILED, "not every daemon is there to agree; nothing has changed");
		break;
	default:
		request_fail(request, MGMT_EXIT_FAILED, "nothing has changed: %s", strerror(-error));
		break;
	}
}

static void committed(void *arg, int error, const char *text, uint64_t revision)
{
	struct request *request = arg;

	if (!request->over) {
		say_lines(request, text);
		if (error) {
			fail_commit(request, error);
		} else {
			session_discard(request->session);
			if (request->json) {
				json_t *document = json_object();

				value_set(document, "revision", value_uint(revision));
				render_json(&request->output, document);
				json_decref(document);
			} else {
				output_format(&request->output, "revision %llu is in force\n",
					(unsigned long long)revision);
			}
			request_finish(request, MGMT_EXIT_OK);
		}
	}
	request_release(request);
}

static void validated(void *arg, int error, const char *text, uint64_t revision)
{
	struct request *request = arg;

	(void)revision;
	if (!request->over) {
		say_lines(request, text);
		if (error)
			fail_commit(request, error);
		else
			request_finish(request, MGMT_EXIT_OK);
	}
	request_release(request);
}

/* "5" and "5m" are minutes, "90s" seconds. 0: neither. */
static unsigned read_period(struct span word)
{
	unsigned unit = 60;
	uint64_t value;

	if (word.n > 0 && (word.p[word.n - 1] == 's' || word.p[word.n - 1] == 'm'))
		unit = word.p[--word.n] == 's' ? 1 : 60;
	return span_to_uint(word, CONFIRM_SECONDS_MAX / unit, &value) == 0 ? (unsigned)value * unit : 0;
}

/* [comment TEXT] [confirmed MINUTES] [force], in any order, each once. */
static int read_options(
	struct request *request, struct commit_order *order, char comment[REVISION_COMMENT_MAX])
{
	const struct command_match *match = &request->match;
	for (size_t i = 0; i < match->arguments; i++) {
		struct span word = match->argument[i];

		if (span_equal(word, SPAN("force")) && order->base != NULL) {
			order->base = NULL;
		} else if (i + 1 < match->arguments && span_equal(word, SPAN("comment")) &&
			   order->comment == NULL) {
			struct span text = match->argument[++i];

			if (text.n >= REVISION_COMMENT_MAX) {
				request_fail(request, MGMT_EXIT_USAGE, "a comment has at most %d octets",
					REVISION_COMMENT_MAX - 1);
				return -EINVAL;
			}
			memcpy(comment, text.p, text.n);
			comment[text.n] = '\0';
			order->comment = comment;
		} else if (i + 1 < match->arguments && span_equal(word, SPAN("confirmed")) &&
			   order->confirm_seconds == 0 && read_period(match->argument[i + 1]) > 0) {
			order->confirm_seconds = read_period(match->argument[i + 1]);
			i++;
		} else {
			request_fail(request, MGMT_EXIT_USAGE,
				"after commit come, each at most once: comment TEXT, confirmed MINUTES "
				"(1..%d; 90s: seconds), force",
				CONFIRM_SECONDS_MAX / 60);
			return -EINVAL;
		}
	}
	return 0;
}

void edit_commit(struct request *request)
{
	char comment[REVISION_COMMENT_MAX];
	struct commit_order order = { .candidate = candidate(request), .who = request->who };
	struct commits *commits = request->session != NULL && request->session->world != NULL
					  ? request->session->world->commits
					  : NULL;

	if (order.candidate == NULL)
		return;
	order.base = &request->session->base;
	if (read_options(request, &order, comment) != 0)
		return;
	request_hold(request);

	int error = commits_begin(commits, &order, committed, request);

	if (error) {
		request_fail(request, MGMT_EXIT_FAILED,
			error == -EBUSY ? "another commit is under way" : "nothing has changed: no memory");
		request_release(request);
	}
}

void edit_validate(struct request *request)
{
	struct commit_order order = { .candidate = candidate(request), .who = request->who };

	if (order.candidate == NULL)
		return;
	request_hold(request);

	int error = commits_validate(request->session->world->commits, &order, validated, request);

	if (error) {
		request_fail(
			request, MGMT_EXIT_FAILED, error == -EBUSY ? "a commit is under way" : "no memory");
		request_release(request);
	}
}

void edit_confirm(struct request *request)
{
	int error;

	if (!has_world(request))
		return;
	error = commits_confirm(request->session->world->commits);
	if (error == -ENOENT)
		request_fail(request, MGMT_EXIT_FAILED, "no commit waits to be confirmed");
	else if (error)
		request_fail(request, MGMT_EXIT_FAILED, "it cannot be confirmed: %s", strerror(-error));
	else
		request_finish(request, MGMT_EXIT_OK);
}
