/* SPDX-License-Identifier: BSD-3-Clause */
/* show log: the last lines of all daemons, of the one that has just died too, in the order of time. They come from the files that each keeps in
 * RUN-DIRECTORY (platforms/base/log_ring.h); nobody is asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"
#include "platforms/base/log_ring.h"

enum { SHOWN = 100, PROCESSES = 3, SHOWN_MOST = PROCESSES * LOG_RING_LINES };

static const char *const processes[PROCESSES] = { "dataplane", "controlplane", "mgmt" };
static const char *const levels[] = { "error", "warning", "notice", "info", "debug" };

/* One process's lines, and the next of them that is to be shown. */
struct source {
	struct log_ring_line *lines;
	size_t count, next;
};

struct view {
	struct source source[PROCESSES];
	uint64_t last; /* how many at most */
	enum log_level level;
	bool audit; /* who gave which command is for those who may see `show commands` */
	bool any; /* in JSON: one has been printed */
};

static void view_free(void *state)
{
	struct view *view = state;

	for (size_t i = 0; i < PROCESSES; i++)
		free(view->source[i].lines);
	free(view);
}

static int index_of(const char *const *words, size_t count, struct span word)
{
	for (size_t i = 0; i < count; i++)
		if (span_equal(word, span_from(words[i])))
			return (int)i;
	return -1;
}

/* [PROCESS] [last N] [level LEVEL]; *process -1: all. */
static int read_options(struct request *request, struct view *view, int *process)
{
	const struct command_match *match = &request->match;
	bool good = true;

	*process = -1;
	for (size_t i = 0; i < match->arguments && good; i++) {
		struct span word = match->argument[i];
		struct span value =
			i + 1 < match->arguments ? match->argument[i + 1] : (struct span){ NULL, 0 };
		int level = index_of(levels, sizeof(levels) / sizeof(levels[0]), value);

		if (span_equal(word, SPAN("last")))
			good = span_to_uint(value, SHOWN_MOST, &view->last) == 0 && view->last > 0;
		else if (span_equal(word, SPAN("level")))
			good = level >= 0;
		else
			good = *process < 0 && (*process = index_of(processes, PROCESSES, word)) >= 0;
		if (span_equal(word, SPAN("level")))
			view->level = (enum log_level)level;
		if (span_equal(word, SPAN("last")) || span_equal(word, SPAN("level")))
			i++;
	}
	if (good)
		return 0;
	request_fail(request, MGMT_EXIT_USAGE,
		"allowed: a process (dataplane, controlplane, mgmt), \"last\" and a number 1..%d, "
		"\"level\" and error, "
		"warning, notice, info or debug",
		SHOWN_MOST);
	return -EINVAL;
}

static bool is_wanted(const struct view *view, const struct log_ring_line *line)
{
	return line->level <= view->level && (view->audit || strncmp(line->text, "audit:", 6) != 0);
}

/* Only what is wanted stays, in its order. */
static void choose(const struct view *view, struct source *source)
{
	size_t n = 0;

	for (size_t i = 0; i < source->count; i++)
		if (is_wanted(view, &source->lines[i]))
			source->lines[n++] = source->lines[i];
	source->count = n;
}

/* The process whose next line is the oldest; PROCESSES: none has any. */
static size_t oldest(const struct view *view)
{
	size_t best = PROCESSES;

	for (size_t i = 0; i < PROCESSES; i++) {
		const struct source *source = &view->source[i];

		if (source->next < source->count &&
			(best == PROCESSES ||
				source->lines[source->next].wall_ms <
					view->source[best].lines[view->source[best].next].wall_ms))
			best = i;
	}
	return best;
}

static void print_line(struct request *request, const char *process, const struct log_ring_line *line)
{
	struct view *view = request->state;
	char at[CLOCK_TEXT_MAX];

	clock_print_wall(line->wall_ms, at);
	if (request->json) {
		json_t *row = json_object();

		value_set(row, "at", json_string(at));
		value_set(row, "level", json_string(levels[line->level]));
		value_set(row, "process", json_string(process));
		value_set(row, "text", json_string(line->text));
		output_text(&request->output, view->any ? ",\n  " : "\n  ");
		render_json_row(&request->output, row);
		json_decref(row);
	} else {
		output_format(&request->output, "%s %-7s %-12s ", at, levels[line->level], process);
		output_text(&request->output, line->text);
		output_text(&request->output, "\n");
	}
	view->any = true;
}

static void print_more(struct request *request)
{
	struct view *view = request->state;
	size_t i;

	while ((i = oldest(view)) < PROCESSES) {
		if (!output_has_room(&request->output)) {
			output_flush(&request->output);
			request->resume = print_more;
			return;
		}
		print_line(request, processes[i], &view->source[i].lines[view->source[i].next++]);
	}
	if (request->json)
		output_text(&request->output, view->any ? "\n]}\n" : "]}\n");
	request_finish(request, MGMT_EXIT_OK);
}

static void load(struct request *request, struct view *view, size_t i)
{
	char path[NEIGHBOUR_PATH_MAX + 16];
	const char *socket = request->neighbours->path[NEIGHBOUR_DATAPLANE];
	const char *slash = strrchr(socket, '/');
	int error;

	(void)snprintf(path, sizeof(path), "%.*s/%s.log", slash != NULL ? (int)(slash - socket) : 0, socket,
		processes[i]);
	error = log_ring_read(path, &view->source[i].lines, &view->source[i].count);
	if (error)
		request_remark(request, "the last lines of the %s are missing: %s", processes[i],
			error == -ENOENT ? "it has written none yet" : strerror(-error));
	choose(view, &view->source[i]);
}

/* The newest `last` of all. */
static void leave_out_older(struct view *view)
{
	uint64_t all = 0;

	for (size_t i = 0; i < PROCESSES; i++)
		all += view->source[i].count;
	for (; all > view->last; all--)
		view->source[oldest(view)].next++;
}

void show_log(struct request *request)
{
	struct view *view = calloc(1, sizeof(*view));
	int process;

	if (view == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	request->state = view;
	request->state_free = view_free;
	view->last = SHOWN;
	view->level = LOG_LEVEL_DEBUG;
	view->audit = request->role >= CONFIG_ROLE_ADMIN;
	if (read_options(request, view, &process) != 0)
		return;
	for (size_t i = 0; i < PROCESSES; i++)
		if (process < 0 || (size_t)process == i)
			load(request, view, i);
	leave_out_older(view);
	if (request->json)
		output_text(&request->output, "{\"log\": [");
	print_more(request);
}
