/* SPDX-License-Identifier: BSD-3-Clause */
/* The sallyport command: a pure client of sallyport-mgmt, and the commands that need no daemon. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "config/model.h"
#include "mgmt/command.h"
#include "mgmt/line.h"
#include "mgmt/runner.h"
#include "mgmt/shell.h"
#include "platforms/base/log.h"

#define DEFAULT_CONFIG_FILE   "/etc/sallyport/sallyport.conf"
#define DEFAULT_RUN_DIRECTORY "/run/sallyport"

enum { WIDTH_MAX = 65535, ERROR_MAX = 2048 };

struct options {
	const char *socket; /* or NULL */
	const char *config; /* or NULL */
	bool json;
	bool ssh;
	const char *captures; /* or NULL */
	int width; /* -1: the terminal's */
};

static void print_help(FILE *out)
{
	fputs("usage: sallyport [-s SOCKET] [-c CONFIG] [--json] [--width COLUMNS] "
	      "[COMMAND...]\n\ncommands:\n",
		out);
	for (const struct command *command = command_table; command->words != NULL; command++) {
		char usage[64];
		struct writer writer;

		writer_init(&writer, usage, sizeof(usage));
		command_usage(command, &writer);
		fprintf(out, "  %-20.*s %s\n", SPAN_FMT(writer_result(&writer)), command->help);
	}
	fputs("\nWords may be abbreviated as long as they are unambiguous. Without a command: a shell.\n"
	      "\noptions:\n"
	      "  -s SOCKET        of sallyport-mgmt; default: mgmt.sock in the configuration's "
	      "run-directory\n"
	      "  -c CONFIG        configuration file that names the run-directory "
	      "(default " DEFAULT_CONFIG_FILE ")\n"
	      "  --json           one JSON document instead of text\n"
	      "  --width COLUMNS  cut tables to this width; 0: never (default: the terminal's)\n"
	      "  --ssh            serve the user whom the SSH server has let in\n"
	      "  --captures DIRECTORY  with --ssh: what SFTP shows as /captures\n"
	      "  --version        print the version and exit\n"
	      "  --help           print this and exit\n"
	      "\nexit status: 0 done, 1 failed, 2 wrong use or invalid configuration\n",
		out);
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	enum { OPTION_JSON = 256, OPTION_WIDTH, OPTION_SSH, OPTION_CAPTURES, OPTION_VERSION, OPTION_HELP };
	static const struct option names[] = {
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "width", required_argument, NULL, OPTION_WIDTH },
		{ "ssh", no_argument, NULL, OPTION_SSH },
		{ "captures", required_argument, NULL, OPTION_CAPTURES },
		{ "socket", required_argument, NULL, 's' },
		{ "config", required_argument, NULL, 'c' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, OPTION_HELP },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t width;
	int option;

	while ((option = getopt_long(argc, argv, "s:c:h", names, NULL)) != -1) {
		switch (option) {
		case 's':
			options->socket = optarg;
			break;
		case 'c':
			options->config = optarg;
			break;
		case OPTION_JSON:
			options->json = true;
			break;
		case OPTION_WIDTH:
			if (span_to_uint(span_from(optarg), WIDTH_MAX, &width) != 0) {
				fprintf(stderr, "sallyport: --width %s: a number, 0..%d\n", optarg,
					WIDTH_MAX);
				return MGMT_EXIT_USAGE;
			}
			options->width = (int)width;
			break;
		case OPTION_SSH:
			options->ssh = true;
			break;
		case OPTION_CAPTURES:
			options->captures = optarg;
			break;
		case OPTION_VERSION:
			puts("sallyport " SALLYPORT_VERSION);
			return MGMT_EXIT_OK;
		case OPTION_HELP:
		case 'h':
			print_help(stdout);
			return MGMT_EXIT_OK;
		default:
			fputs("sallyport: see sallyport --help\n", stderr);
			return MGMT_EXIT_USAGE;
		}
	}
	return -1;
}

static void report_named(void *arg, bool is_error, const char *line)
{
	(void)arg;
	if (is_error)
		fprintf(stderr, "%s\n", line);
}

static void report_nothing(void *arg, bool is_error, const char *line)
{
	(void)arg;
	(void)is_error;
	(void)line;
}

/* A configuration somebody named must be right; the default one may be missing, private or just being edited. */
static int find_socket(const void *arg, char *path, size_t size)
{
	const struct options *options = arg;
	struct config_reporter reporter = { .report =
						    options->config != NULL ? report_named : report_nothing };
	struct config *config = NULL;
	int n;

	if (options->socket != NULL) {
		n = snprintf(path, size, "%s", options->socket);
	} else {
		int err = config_load(options->config != NULL ? options->config : DEFAULT_CONFIG_FILE, false,
			&reporter, &config);

		if (err != 0 && options->config != NULL)
			return -EINVAL;
		n = snprintf(path, size, "%s/mgmt.sock",
			err == 0 ? config->system.run_directory : DEFAULT_RUN_DIRECTORY);
		config_free(config);
	}
	if (n < 0 || (size_t)n >= size) {
		fputs("sallyport: the socket's path is too long\n", stderr);
		return -EINVAL;
	}
	return 0;
}

/* Who has logged in at the SSH server, and from where. */
static int read_login(struct mgmt_login *login)
{
	const char *user = getenv("USER"), *connection = getenv("SSH_CONNECTION");
	int n = snprintf(login->user, sizeof(login->user), "%s", user != NULL ? user : "");
	int m = snprintf(login->from, sizeof(login->from), "%.*s",
		connection != NULL ? (int)strcspn(connection, " ") : 0, connection != NULL ? connection : "");

	if (n > 0 && (size_t)n < sizeof(login->user) && m > 0 && (size_t)m < sizeof(login->from))
		return 0;
	fputs("sallyport: --ssh is for the SSH server\n", stderr);
	return -EINVAL;
}

/* A command line, or the shell if there is none. */
static int run_text(struct runner *runner, const char *text)
{
	struct line *line;
	struct writer why;
	char reason[ERROR_MAX];
	int status = MGMT_EXIT_FAILED;

	if (text == NULL)
		return shell_run(runner);
	line = malloc(sizeof(*line));
	writer_init(&why, reason, sizeof(reason));
	if (line != NULL && line_parse(line, span_from(text), &why) == 0 && line_command_words(line) > 0) {
		status = runner_run(runner, line);
	} else if (line != NULL) {
		fprintf(stderr, "sallyport: no command: %.*s\n", SPAN_FMT(writer_result(&why)));
		status = MGMT_EXIT_USAGE;
	}
	free(line);
	return status;
}

/* A command as the program's arguments; the shell if there is none. */
static int run_arguments(struct runner *runner, char **arguments, int count)
{
	struct line *line;
	int status;

	if (count == 0 || (count == 1 && strcmp(arguments[0], "shell") == 0))
		return shell_run(runner);
	if (count > MGMT_WORDS_MAX)
		return runner_explain(runner, -E2BIG);
	line = calloc(1, sizeof(*line));
	if (line == NULL)
		return MGMT_EXIT_FAILED;
	for (int i = 0; i < count; i++)
		line->words[line->count++] = span_from(arguments[i]);
	status = runner_run(runner, line);
	free(line);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .width = -1 };
	struct runner runner = { .client = NULL };
	struct mgmt_login login = { .user = "" };

	signal(SIGPIPE, SIG_IGN);
	log_open("sallyport", LOG_LEVEL_ERROR);

	int status = parse_options(argc, argv, &options);

	if (status >= 0)
		return status;
	if (options.ssh && read_login(&login) != 0)
		return MGMT_EXIT_USAGE;
	runner.find_socket = find_socket;
	runner.find_arg = &options;
	runner.captures = options.captures;
	runner.config = options.config != NULL ? options.config : DEFAULT_CONFIG_FILE;
	runner.login = options.ssh ? &login : NULL;
	runner.json = options.json;
	runner.width = options.width;
	if (runner_init(&runner) != 0)
		return MGMT_EXIT_FAILED;
	status = options.ssh ? run_text(&runner, getenv("SSH_ORIGINAL_COMMAND"))
			     : run_arguments(&runner, argv + optind, argc - optind);
	runner_fini(&runner);
	return status < 0 ? MGMT_EXIT_FAILED : status;
}
