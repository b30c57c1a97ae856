/* SPDX-License-Identifier: BSD-3-Clause */
/* The sallyport command: a pure client of sallyport-mgmt, and the commands that need no daemon. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <uv.h>

#include "config/model.h"
#include "mgmt/client.h"
#include "mgmt/command.h"
#include "platforms/base/log.h"

#define DEFAULT_CONFIG_FILE   "/etc/sallyport/sallyport.conf"
#define DEFAULT_RUN_DIRECTORY "/run/sallyport"

enum { SOCKET_PATH_MAX = 108, SILENCE_MS = 5000, WIDTH_MAX = 65535, ERROR_MAX = 2048 };

struct options {
	const char *socket; /* or NULL */
	const char *config; /* or NULL */
	bool json;
	unsigned width;
};

static void print_help(FILE *out)
{
	fputs("usage: sallyport [-s SOCKET] [-c CONFIG] [--json] [--width COLUMNS] COMMAND...\n\ncommands:\n",
		out);
	for (const struct command *command = command_table; command->words != NULL; command++) {
		char usage[64];
		struct writer writer;

		writer_init(&writer, usage, sizeof(usage));
		command_usage(command, &writer);
		fprintf(out, "  %-20.*s %s\n", SPAN_FMT(writer_result(&writer)), command->help);
	}
	fputs("\nWords may be abbreviated as long as they are unambiguous.\n"
	      "\noptions:\n"
	      "  -s SOCKET        of sallyport-mgmt; default: mgmt.sock in the configuration's "
	      "run-directory\n"
	      "  -c CONFIG        configuration file that names the run-directory "
	      "(default " DEFAULT_CONFIG_FILE ")\n"
	      "  --json           one JSON document instead of text\n"
	      "  --width COLUMNS  cut tables to this width; 0: never (default: the terminal's)\n"
	      "  --version        print the version and exit\n"
	      "  --help           print this and exit\n"
	      "\nexit status: 0 done, 1 failed, 2 wrong use or invalid configuration\n",
		out);
}

static unsigned terminal_width(void)
{
	struct winsize size;

	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	enum { OPTION_JSON = 256, OPTION_WIDTH, OPTION_VERSION, OPTION_HELP };
	static const struct option names[] = {
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "width", required_argument, NULL, OPTION_WIDTH },
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
			options->width = (unsigned)width;
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
static int find_socket(const struct options *options, char *path, size_t size)
{
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

static int print_text(void *arg, const char *text, size_t length)
{
	(void)arg;
	errno = 0;
	if (fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0)
		return 0;
	if (errno == EPIPE)
		return -EPIPE;
	fprintf(stderr, "sallyport: standard output: %s\n", strerror(errno));
	return -EIO;
}

static void print_error(void *arg, const char *text, size_t length)
{
	(void)arg;
	fprintf(stderr, "sallyport: %.*s\n", (int)length, text);
}

static int explain(int err, const char *path)
{
	switch (err) {
	case -EPIPE: /* the reader has seen enough */
		return MGMT_EXIT_OK;
	case -EIO: /* said already */
		break;
	case -ENOENT:
	case -ECONNREFUSED:
		fprintf(stderr, "sallyport: nothing answers at %s; is sallyport-mgmt running?\n", path);
		break;
	case -ETIMEDOUT:
		fprintf(stderr, "sallyport: no answer at %s; is sallyport-mgmt of this version (%s)?\n", path,
			SALLYPORT_VERSION);
		break;
	case -ECONNRESET:
		fprintf(stderr, "sallyport: sallyport-mgmt went away; the answer is not complete\n");
		break;
	case -E2BIG:
		fprintf(stderr, "sallyport: too many or too long words\n");
		return MGMT_EXIT_USAGE;
	default:
		fprintf(stderr, "sallyport: %s: %s\n", path, strerror(-err));
		break;
	}
	return MGMT_EXIT_FAILED;
}

/* A line of the standard input; a terminal does not show it. 0 or -errno. */
static int read_secret(const char *what, char *line, size_t size)
{
	struct termios shown, hidden;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &shown) == 0;
	const char *got;
	size_t n;

	if (terminal) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "%s: ", what);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	got = fgets(line, (int)size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	if (got == NULL)
		line[0] = '\0';
	n = strcspn(line, "\r\n");
	if (n + 1 == size) {
		fprintf(stderr, "sallyport: the %s is too long\n", what);
		return -E2BIG;
	}
	line[n] = '\0';
	if (n == 0) {
		fprintf(stderr, "sallyport: a %s is read from the standard input, and none came\n", what);
		return -EINVAL;
	}
	return 0;
}

/* All of the standard input. NULL: said already. */
static char *read_input(const char *what, size_t *length)
{
	char *text = malloc(MGMT_INPUT_MAX + 1);

	*length = text != NULL ? fread(text, 1, MGMT_INPUT_MAX + 1, stdin) : 0;
	if (text != NULL && !ferror(stdin) && *length <= MGMT_INPUT_MAX)
		return text;
	fprintf(stderr, "sallyport: the %s cannot be read, or has more than %d octets\n", what,
		MGMT_INPUT_MAX);
	free(text);
	return NULL;
}

static int run_remote(const struct options *options, const struct span *words, size_t count, bool secret,
	const char *input, size_t input_length)
{
	struct client_command command = {
		.words = words,
		.count = count,
		.flags = (options->json ? MGMT_JSON : 0u) | (secret ? MGMT_SECRET : 0u) |
			 (input != NULL ? MGMT_HAS_INPUT : 0u),
		.input = input,
		.input_length = input_length,
		.width = options->width,
		.text = print_text,
		.error = print_error,
		.timeout_ms = SILENCE_MS,
	};
	char path[SOCKET_PATH_MAX];
	uv_loop_t loop;

	if (find_socket(options, path, sizeof(path)) != 0)
		return MGMT_EXIT_USAGE;
	if (uv_loop_init(&loop) != 0)
		return MGMT_EXIT_FAILED;

	int result = client_run(&loop, path, &command);

	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return result < 0 ? explain(result, path) : result;
}

static int run_local(const struct command_match *match, const struct options *options)
{
	int status = match->command->local(match, options->json, stdout, stderr);

	errno = 0;
	if (fflush(stdout) != 0 && errno != EPIPE) {
		fprintf(stderr, "sallyport: standard output: %s\n", strerror(errno));
		return MGMT_EXIT_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .width = terminal_width() };
	struct span words[MGMT_WORDS_MAX];
	struct command_match match;
	struct writer error;
	char text[ERROR_MAX], secret[MGMT_WORD_MAX];
	size_t count = 0, length = 0;

	signal(SIGPIPE, SIG_IGN);
	log_open("sallyport", LOG_LEVEL_ERROR);

	int status = parse_options(argc, argv, &options);

	if (status >= 0)
		return status;
	for (; optind < argc; optind++) {
		if (count == MGMT_WORDS_MAX)
			return explain(-E2BIG, "");
		words[count++] = span_from(argv[optind]);
	}
	if (count == 0) {
		print_help(stderr);
		return MGMT_EXIT_USAGE;
	}
	writer_init(&error, text, sizeof(text));
	if (command_parse(command_table, words, count, &match, &error) != 0) {
		fprintf(stderr, "sallyport: %.*s\n", SPAN_FMT(writer_result(&error)));
		return MGMT_EXIT_USAGE;
	}
	if (match.command->local != NULL)
		return run_local(&match, &options);
	if (match.command->input != NULL) {
		char *input = read_input(match.command->input, &length);

		if (input == NULL)
			return MGMT_EXIT_FAILED;
		status = run_remote(&options, words, count, false, input, length);
		explicit_bzero(input, length);
		free(input);
		return status;
	}
	if (match.command->secret == NULL)
		return run_remote(&options, words, count, false, NULL, 0);
	if (count == MGMT_WORDS_MAX)
		return explain(-E2BIG, "");
	if (read_secret(match.command->secret, secret, sizeof(secret)) != 0)
		return MGMT_EXIT_USAGE;
	words[count++] = span_from(secret);
	status = run_remote(&options, words, count, true, NULL, 0);
	explicit_bzero(secret, sizeof(secret));
	return status;
}
