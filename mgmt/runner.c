/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a line: which command it is, what that reads, where its answer goes. */
#include "mgmt/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mgmt/ask.h"
#include "mgmt/command.h"
#include "mgmt/filter.h"
#include "mgmt/sftp_serve.h"
#include "mgmt/support.h"

enum { ERROR_MAX = 2048 };

int runner_init(struct runner *runner)
{
	return uv_loop_init(&runner->loop);
}

void runner_fini(struct runner *runner)
{
	client_close(runner->client);
	runner->client = NULL;
	uv_run(&runner->loop, UV_RUN_DEFAULT);
	uv_loop_close(&runner->loop);
}

static const char *describe(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "nothing answers; is sallyport-mgmt running?";
	case -ETIMEDOUT:
		return "no answer; is sallyport-mgmt of this version (" SALLYPORT_VERSION ")?";
	case -ECONNRESET:
		return "sallyport-mgmt went away; the answer is not complete, and what was edited is lost";
	default:
		return strerror(-error);
	}
}

int runner_explain(struct runner *runner, int error)
{
	if (error == -EPIPE) /* the reader has seen enough */
		return MGMT_EXIT_OK;
	if (error == -E2BIG) {
		fprintf(stderr, "sallyport: too many or too long words\n");
		return MGMT_EXIT_USAGE;
	}
	if (error == -EIO)
		fprintf(stderr, "sallyport: the standard output takes no more\n");
	else
		fprintf(stderr, "sallyport: %s: %s\n", runner->socket, describe(error));
	client_close(runner->client);
	runner->client = NULL;
	return MGMT_EXIT_FAILED;
}

int runner_connect(struct runner *runner)
{
	int error;

	if (runner->client != NULL)
		return 0;
	error = runner->find_socket(runner->find_arg, runner->socket, sizeof(runner->socket));
	if (error != 0)
		return error;
	error = client_open(&runner->loop, runner->socket, runner->login, RUNNER_SILENCE_MS, &runner->client);
	if (error != 0)
		(void)runner_explain(runner, error);
	return error;
}

static unsigned width(const struct runner *runner)
{
	struct winsize size;

	if (runner->width >= 0)
		return (unsigned)runner->width;
	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int print_text(void *arg, const char *text, size_t length)
{
	return filter_text(arg, text, length);
}

static void print_error(void *arg, const char *text, size_t length)
{
	(void)arg;
	fflush(stdout);
	fprintf(stderr, "sallyport: %.*s\n", (int)length, text);
}

static int run_remote(struct runner *runner, struct client_command *command, struct filter *filter)
{
	int result = runner_connect(runner);

	if (result != 0)
		return result == -EINVAL ? MGMT_EXIT_USAGE : MGMT_EXIT_FAILED;
	command->flags |= runner->json || filter_wants_json(filter) ? MGMT_JSON : 0u;
	command->width = width(runner);
	command->interruptible = runner->shell;
	command->text = print_text;
	command->error = print_error;
	command->arg = filter;
	result = client_run(runner->client, command);
	if (result >= 0 && filter_end(filter) == -EIO)
		result = -EIO;
	if (result == -EINTR || result >= 0)
		return result;
	return runner_explain(runner, result);
}

static int run_with_secret(struct runner *runner, const char *what, const struct span *words, size_t count,
	struct filter *filter)
{
	struct span all[MGMT_WORDS_MAX];
	char secret[MGMT_WORD_MAX];
	int status;

	if (count == MGMT_WORDS_MAX)
		return runner_explain(runner, -E2BIG);
	if (ask_secret(what, secret, sizeof(secret)) != 0)
		return MGMT_EXIT_USAGE;
	memcpy(all, words, count * sizeof(words[0]));
	all[count] = span_from(secret);
	status = run_remote(runner,
		&(struct client_command){ .words = all, .count = count + 1, .flags = MGMT_SECRET }, filter);
	explicit_bzero(secret, sizeof(secret));
	return status;
}

static int run_with_input(struct runner *runner, const char *what, const struct span *words, size_t count,
	struct filter *filter)
{
	size_t length;
	char *input = ask_text(what, runner->shell, &length);
	int status;

	if (input == NULL)
		return MGMT_EXIT_FAILED;
	status = run_remote(runner,
		&(struct client_command){ .words = words,
			.count = count,
			.flags = MGMT_HAS_INPUT,
			.input = input,
			.input_length = length },
		filter);
	explicit_bzero(input, length);
	free(input);
	return status;
}

static int run_local(
	const struct runner *runner, const struct command_match *match, const struct filter *filter)
{
	/* It would read files in the name of the SSH server's user. */
	if (runner->login != NULL) {
		fprintf(stderr, "sallyport: \"%s\" is not served over SSH\n", match->command->words);
		return MGMT_EXIT_FAILED;
	}

	int status = match->command->local(match, runner->json || filter_wants_json(filter), stdout, stderr);

	errno = 0;
	if (fflush(stdout) != 0 && errno != EPIPE) {
		fprintf(stderr, "sallyport: standard output: %s\n", strerror(errno));
		return MGMT_EXIT_FAILED;
	}
	return status;
}

static const struct {
	const char *words;
	int (*run)(struct runner *runner, const struct command_match *match);
} composed[] = {
	{ "support bundle", support_bundle },
	{ "sftp", sftp_serve },
};

/* At the machine itself something can be told also while the daemon is away. */
static int run_composed(struct runner *runner, const struct command_match *match, const struct span *words,
	size_t count, struct filter *filter)
{
	int error = runner_connect(runner), status = MGMT_EXIT_OK;

	if (error == -EINVAL)
		return MGMT_EXIT_USAGE;
	if (error != 0 && runner->login != NULL)
		return MGMT_EXIT_FAILED;
	if (error == 0)
		status = run_remote(
			runner, &(struct client_command){ .words = words, .count = count }, filter);
	for (size_t i = 0; status == MGMT_EXIT_OK && i < sizeof(composed) / sizeof(composed[0]); i++)
		if (strcmp(composed[i].words, match->command->words) == 0)
			return composed[i].run(runner, match);
	return status;
}

static int run_words(struct runner *runner, const struct span *words, size_t count, struct filter *filter)
{
	struct command_match match;
	struct writer error;
	char text[ERROR_MAX];

	writer_init(&error, text, sizeof(text));
	if (command_parse(command_table, words, count, &match, &error) != 0) {
		fprintf(stderr, "sallyport: %.*s\n", SPAN_FMT(writer_result(&error)));
		return MGMT_EXIT_USAGE;
	}
	if (match.command->local != NULL)
		return run_local(runner, &match, filter);
	if (match.command->composed)
		return run_composed(runner, &match, words, count, filter);
	if (match.command->input != NULL)
		return run_with_input(runner, match.command->input, words, count, filter);
	if (match.command->secret != NULL)
		return run_with_secret(runner, match.command->secret, words, count, filter);
	return run_remote(runner, &(struct client_command){ .words = words, .count = count }, filter);
}

int runner_run(struct runner *runner, const struct line *line)
{
	size_t count = line_command_words(line);
	bool json = runner->json, as_json = count > 1 && span_equal(line->words[count - 1], SPAN("--json"));
	struct filter *filter;
	struct writer error;
	char text[ERROR_MAX];
	int status;

	writer_init(&error, text, sizeof(text));
	status = filter_new(line, runner->shell, &filter, &error);
	if (status != 0) {
		fprintf(stderr, "sallyport: %.*s\n", SPAN_FMT(writer_result(&error)));
		return MGMT_EXIT_USAGE;
	}
	runner->json = json || as_json;
	status = run_words(runner, line->words, count - as_json, filter);
	runner->json = json;
	filter_free(filter);
	return status;
}
