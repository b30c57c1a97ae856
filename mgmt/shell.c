/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's loop, and the few words it answers itself. */
#include "mgmt/shell.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/line_editor.h"
#include "mgmt/pager.h"

enum { REASON_MAX = 512, WATCH_SECONDS = 2, WATCH_SECONDS_MAX = 3600 };

#define CLEAR_SCREEN "\033[H\033[2J"

const struct shell_word shell_words[] = {
	{ "exit", "end the session" },
	{ "watch", "[SECONDS] COMMAND: again and again until a key is pressed" },
	{ NULL, NULL },
};

/* Wakes what waits. */
static void noticed(int number)
{
	(void)number;
}

/* watch [SECONDS] COMMAND */
static int watch(struct runner *runner, struct line *line)
{
	size_t count = line_command_words(line), skip = 1;
	uint64_t seconds = WATCH_SECONDS;
	int status;

	if (count > 1 && span_to_uint(line->words[1], WATCH_SECONDS_MAX, &seconds) == 0)
		skip = 2;
	if (count <= skip || seconds == 0 || !isatty(STDIN_FILENO)) {
		fprintf(stderr, "sallyport: watch [SECONDS] COMMAND, 1..%d s, at a terminal\n",
			WATCH_SECONDS_MAX);
		return MGMT_EXIT_USAGE;
	}
	memmove(line->words, line->words + skip, (line->count - skip) * sizeof(line->words[0]));
	line->count -= skip;
	for (size_t i = 0; i < line->pipes; i++)
		line->pipe[i] -= skip;
	do {
		fputs(CLEAR_SCREEN, stdout);
		fflush(stdout);
		status = runner_run(runner, line);
	} while (status == MGMT_EXIT_OK && pager_key((int)seconds * 1000) == 0);
	return status;
}

/* -1: go on; else the session's exit status. */
static int answer(struct runner *runner, struct line *line, bool terminal)
{
	struct mgmt_where where;
	int status;

	if (line_command_words(line) == 0)
		return -1;
	if (span_equal(line->words[0], SPAN("watch"))) {
		status = watch(runner, line);
	} else if (line->count == 1 && span_equal(line->words[0], SPAN("exit"))) {
		if (terminal && runner->client != NULL && client_where(runner->client, &where) == 0 &&
			where.candidate != 0)
			fputs("what was edited and not committed is given up\n", stderr);
		return MGMT_EXIT_OK;
	} else {
		status = runner_run(runner, line);
	}
	return terminal || status == MGMT_EXIT_OK ? -1 : status < 0 ? MGMT_EXIT_FAILED : status;
}

static int run_line(struct runner *runner, struct line *line, struct span text, bool terminal)
{
	char reason[REASON_MAX];
	struct writer why;

	writer_init(&why, reason, sizeof(reason));
	if (line_parse(line, text, &why) != 0) {
		fprintf(stderr, "sallyport: %.*s\n", SPAN_FMT(writer_result(&why)));
		return terminal ? -1 : MGMT_EXIT_USAGE;
	}
	return answer(runner, line, terminal);
}

static int run_terminal(struct runner *runner, struct line *line)
{
	struct line_editor *editor;
	struct span text;
	int status = -1, more;

	if (line_editor_new(runner, &editor) != 0)
		return MGMT_EXIT_FAILED;
	signal(SIGINT, noticed);
	while (status < 0 && (more = line_editor_read(editor, &text)) != 0)
		if (more > 0)
			status = run_line(runner, line, text, true);
	line_editor_free(editor);
	return status < 0 ? MGMT_EXIT_OK : status;
}

static int run_lines(struct runner *runner, struct line *line)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	int status = -1;

	while (status < 0 && (n = getline(&text, &size, stdin)) > 0)
		status = run_line(runner, line, (struct span){ text, (size_t)n }, false);
	free(text);
	return status < 0 ? MGMT_EXIT_OK : status;
}

int shell_run(struct runner *runner)
{
	struct line *line = malloc(sizeof(*line));
	int status = MGMT_EXIT_FAILED;

	runner->shell = true;
	if (line != NULL && runner_connect(runner) == 0)
		status = isatty(STDIN_FILENO) ? run_terminal(runner, line) : run_lines(runner, line);
	free(line);
	return status;
}
