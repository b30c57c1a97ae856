/* SPDX-License-Identifier: BSD-3-Clause */
/* support bundle in the program: every show command there is, by the rights of who asks; the configuration with its secrets masked; the log; the machine.
 * What cannot be had is told in notes.txt. Nothing is longer, nor takes longer, than it may. */
#include "mgmt/support.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/document.h"
#include "mgmt/bundle.h"
#include "mgmt/host_facts.h"
#include "platforms/base/clock.h"
#include "platforms/base/log_ring.h"

enum {
	FILE_MAX = 8 << 20, /* octets of one file */
	ALL_MAX = 64 << 20, /* of all of them, before they are compressed */
	ALL_MS = 60000,
	NOTES_MAX = 65536,
	NAME_LENGTH_MAX = 128,
	WORDS_MAX = 8,
	REASON_MAX = 1024,
};

struct support {
	struct runner *runner;
	struct bundle *bundle;
	uint64_t deadline_ms;
	size_t all; /* octets so far */
	char *text; /* FILE_MAX: of the file being made */
	size_t length;
	struct writer notes;
	char error[REASON_MAX]; /* what the command under way said went wrong */
};

/* More of a list than it shows by itself. */
static const struct {
	const char *command;
	const char *words[3];
} options[] = {
	{ "show log", { "last", "6144" } },
	{ "show audit", { "1000" } },
	{ "show commands", { "1000" } },
};

__attribute__((format(printf, 2, 3))) static void note(struct support *s, const char *format, ...)
{
	char line[REASON_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	writer_text(&s->notes, line);
	writer_char(&s->notes, '\n');
}

/* 0, or -EIO: nobody reads it any more. */
static int add(struct support *s, const char *name, const char *contents, size_t length)
{
	if (s->all + length > ALL_MAX) {
		note(s, "%s: left out: the bundle has grown to %d octets", name, ALL_MAX);
		return 0;
	}
	s->all += length;
	return bundle_add(s->bundle, name, contents, length);
}

/* --- commands --- */

static int take_text(void *arg, const char *text, size_t length)
{
	struct support *s = arg;

	if (clock_now_ms() > s->deadline_ms)
		return -ETIME;
	if (s->length + length > FILE_MAX)
		return -EFBIG;
	memcpy(s->text + s->length, text, length);
	s->length += length;
	return 0;
}

static void take_error(void *arg, const char *text, size_t length)
{
	struct support *s = arg;

	(void)snprintf(s->error, sizeof(s->error), "%.*s", (int)length, text);
}

/* Asks, and connects again where the connection is gone. As client_run. */
static int ask(struct support *s, const struct span *words, size_t count, unsigned flags)
{
	struct runner *runner = s->runner;
	const struct client_command command = { .words = words,
		.count = count,
		.flags = flags | MGMT_MASKED,
		.text = take_text,
		.error = take_error,
		.arg = s };
	int result = 0;

	s->length = 0;
	s->error[0] = '\0';
	if (runner->client == NULL)
		result = client_open(
			&runner->loop, runner->socket, runner->login, RUNNER_SILENCE_MS, &runner->client);
	if (result != 0)
		return result;
	result = client_run(runner->client, &command);
	if (result < 0 && result != -EFBIG && result != -ETIME) {
		client_close(runner->client);
		runner->client = NULL;
	}
	return result;
}

static int add_answer(struct support *s, const char *name, const struct span *words, size_t count, bool json)
{
	int result;

	if (clock_now_ms() > s->deadline_ms) {
		note(s, "%s: left out: the bundle has taken %d s", name, ALL_MS / 1000);
		return 0;
	}
	result = ask(s, words, count, json ? MGMT_JSON : 0);
	if (result == -EFBIG || result == -ETIME)
		note(s, "%s: cut: too long", name);
	else if (result < 0)
		note(s, "%s: missing: sallyport-mgmt: %s", name, strerror(-result));
	else if (s->error[0] != '\0')
		note(s, "%s: %s", name, s->error);
	return s->length > 0 ? add(s, name, s->text, s->length) : 0;
}

static size_t split(const char *text, struct span *words, size_t count)
{
	struct span rest = span_from(text);

	while (rest.n > 0 && count < WORDS_MAX)
		words[count++] = span_cut(&rest, ' ');
	return count;
}

static int add_show(struct support *s, const struct command *command, unsigned records)
{
	struct span words[WORDS_MAX + 3];
	char name[NAME_LENGTH_MAX], number[16];
	size_t count = split(command->words, words, 0);

	(void)snprintf(name, sizeof(name), "show/%s.json", command->words + strlen("show "));
	for (char *c = name; *c != '\0'; c++)
		if (*c == ' ')
			*c = '-';
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (size_t k = 0;
			strcmp(options[i].command, command->words) == 0 && options[i].words[k] != NULL; k++)
			words[count++] = span_from(options[i].words[k]);
	if (strcmp(command->words, "show records") == 0) {
		if (records == 0)
			return 0;
		(void)snprintf(number, sizeof(number), "%u", records);
		words[count++] = SPAN("limit");
		words[count++] = span_from(number);
	}
	return add_answer(s, name, words, count, true);
}

static int add_shows(struct support *s, unsigned records)
{
	int result = 0;

	for (const struct command *c = command_table; c->words != NULL && result == 0; c++)
		if (strncmp(c->words, "show ", 5) == 0 && c->arguments[0] == '\0' && c->start != NULL &&
			c->path != COMMAND_PATH_CANDIDATE)
			result = add_show(s, c, records);
	return result;
}

static int add_configuration(struct support *s)
{
	const struct span words[] = { SPAN("show"), SPAN("configuration") };

	return add_answer(s, "configuration.conf", words, 2, false);
}

/* --- without the management daemon --- */

static void told(void *arg, bool is_error, const char *line)
{
	if (is_error)
		note(arg, "%s", line);
}

static int add_file(struct support *s, const char *path)
{
	const struct config_reporter reporter = { .report = told, .arg = s };
	struct config_document *document = NULL;
	char reason[REASON_MAX], *text = NULL;
	struct writer why;
	FILE *file = fopen(path, "re");
	int result = 0;

	s->length = file != NULL ? fread(s->text, 1, FILE_MAX, file) : 0;
	if (file == NULL)
		note(s, "%s: %s", path, strerror(errno));
	else
		(void)fclose(file);
	writer_init(&why, reason, sizeof(reason));
	if (s->length > 0 && config_document_read(path, s->text, s->length, &reporter, &document) == 0 &&
		config_document_print(document, NULL, 0, CONFIG_PRINT_MASKED, &text, &why) == 0)
		result = add(s, "configuration.conf", text, strlen(text));
	explicit_bzero(s->text, s->length); /* the file as it is has secrets */
	free(text);
	config_document_free(document);
	return result;
}

static int add_log(struct support *s, const char *run_directory, const char *process)
{
	struct log_ring_line *lines;
	char path[PATH_MAX], name[NAME_LENGTH_MAX], at[CLOCK_TEXT_MAX];
	size_t count;
	struct writer out;
	int error;

	(void)snprintf(path, sizeof(path), "%s/%s.log", run_directory, process);
	(void)snprintf(name, sizeof(name), "log/%s.txt", process);
	error = log_ring_read(path, &lines, &count);
	if (error) {
		note(s, "%s: %s", path, strerror(-error));
		return 0;
	}
	writer_init(&out, s->text, FILE_MAX);
	for (size_t i = 0; i < count; i++) {
		writer_text(&out, clock_print_wall(lines[i].wall_ms, at));
		writer_char(&out, ' ');
		writer_text(&out, lines[i].text);
		writer_char(&out, '\n');
	}
	free(lines);
	return add(s, name, s->text, out.len);
}

static int add_without_daemon(struct support *s, const char *run_directory)
{
	static const char *const processes[] = { "dataplane", "controlplane", "mgmt" };
	int result = add_file(s, s->runner->config);

	note(s, "sallyport-mgmt does not answer at %s: this has what files tell", s->runner->socket);
	for (size_t i = 0; i < sizeof(processes) / sizeof(processes[0]) && result == 0; i++)
		result = add_log(s, run_directory, processes[i]);
	return result;
}

/* --- all of it --- */

static int add_fact(void *arg, const char *name, const char *contents, size_t length)
{
	return add(arg, name, contents, length);
}

static int fill(struct support *s, bool served, unsigned records)
{
	char run_directory[sizeof(s->runner->socket)], version[] = "sallyport " SALLYPORT_VERSION "\n";
	char *slash;
	int result = add(s, "version.txt", version, sizeof(version) - 1);

	(void)snprintf(run_directory, sizeof(run_directory), "%s", s->runner->socket);
	slash = strrchr(run_directory, '/');
	if (slash != NULL)
		*slash = '\0';
	if (result == 0)
		result = served ? add_configuration(s) : add_without_daemon(s, run_directory);
	if (result == 0 && served)
		result = add_shows(s, records);
	if (result == 0)
		result = host_facts(run_directory, add_fact, s);
	if (s->notes.len == 0)
		note(s, "all parts are there");
	return result != 0 ? result : bundle_add(s->bundle, "notes.txt", s->notes.buffer, s->notes.len);
}

static int make(struct runner *runner, bool served, unsigned records)
{
	char *notes = malloc(NOTES_MAX);
	struct support s = {
		.runner = runner, .deadline_ms = clock_now_ms() + ALL_MS, .text = malloc(FILE_MAX)
	};
	int result = -ENOMEM;

	if (notes != NULL && s.text != NULL && (s.bundle = bundle_open(STDOUT_FILENO)) != NULL) {
		writer_init(&s.notes, notes, NOTES_MAX);
		result = fill(&s, served, records);
		if (bundle_close(s.bundle) != 0 && result == 0)
			result = -EIO;
	}
	free(s.text);
	free(notes);
	if (result == 0)
		return MGMT_EXIT_OK;
	fprintf(stderr, "sallyport: the bundle is not complete: %s\n", strerror(-result));
	return MGMT_EXIT_FAILED;
}

int support_bundle(struct runner *runner, const struct command_match *match)
{
	unsigned records;
	bool served = runner->client != NULL;

	if (support_options(match, &records) != 0)
		return MGMT_EXIT_USAGE;
	if (isatty(STDOUT_FILENO)) {
		fputs("sallyport: the bundle is an archive (.tar.gz): send it into a file, as in\n"
		      "  ssh -p PORT USER@HOST support bundle > bundle.tar.gz\n",
			stderr);
		return MGMT_EXIT_USAGE;
	}
	return make(runner, served, records);
}
