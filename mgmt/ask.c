/* SPDX-License-Identifier: BSD-3-Clause */
/* Secrets and texts from the standard input. */
#include "mgmt/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "mgmt/api.h"

int ask_secret(const char *what, char *line, size_t size)
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

/* Lines up to "."; how many octets there are, more than MGMT_INPUT_MAX if it is too much. */
static size_t read_lines(char *text)
{
	size_t length = 0;

	while (length <= MGMT_INPUT_MAX &&
		fgets(text + length, (int)(MGMT_INPUT_MAX + 2 - length), stdin) != NULL) {
		if (strcmp(text + length, ".\n") == 0 || strcmp(text + length, ".\r\n") == 0)
			return length;
		length += strlen(text + length);
	}
	clearerr(stdin); /* the end of a text at a terminal is not the end of the session */
	return length;
}

char *ask_text(const char *what, bool shell, size_t *length)
{
	char *text = malloc(MGMT_INPUT_MAX + 2);

	*length = 0;
	if (shell && isatty(STDIN_FILENO))
		fprintf(stderr, "%s, ended by a line of one dot:\n", what);
	if (text != NULL)
		*length = shell ? read_lines(text) : fread(text, 1, MGMT_INPUT_MAX + 1, stdin);
	if (text != NULL && !ferror(stdin) && *length <= MGMT_INPUT_MAX)
		return text;
	fprintf(stderr, "sallyport: the %s cannot be read, or has more than %d octets\n", what,
		MGMT_INPUT_MAX);
	free(text);
	return NULL;
}
