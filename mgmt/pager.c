/* SPDX-License-Identifier: BSD-3-Clause */
/* A screenful at a time: space the next one, return one line more, q no more. */
#include "mgmt/pager.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PROMPT "--more--"
#define ERASE  "\r        \r"

void pager_init(struct pager *pager, bool wanted)
{
	struct winsize size;

	*pager = (struct pager){ .rows = 0 };
	if (!wanted || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2)
		return;
	pager->rows = size.ws_row - 1u;
	pager->columns = size.ws_col;
}

int pager_key(int timeout_ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct termios cooked, raw;
	int key = EOF, ready;
	char c;

	if (tcgetattr(STDIN_FILENO, &cooked) != 0)
		return EOF;
	raw = cooked;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	ready = poll(&input, 1, timeout_ms);
	if (ready == 0)
		key = 0;
	else if (ready > 0 && read(STDIN_FILENO, &c, 1) == 1)
		key = (unsigned char)c;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
	return key;
}

static int write_out(const char *text, size_t length)
{
	errno = 0;
	if (fwrite(text, 1, length, stdout) == length)
		return 0;
	return errno == EPIPE ? -EPIPE : -EIO;
}

static int pause_here(struct pager *pager)
{
	int key, err = write_out(PROMPT, strlen(PROMPT));

	if (err != 0 || fflush(stdout) != 0)
		return -EPIPE;
	do
		key = pager_key(-1);
	while (key != EOF && (key == 0 || strchr(" \r\nqQ\003\004", key) == NULL));
	err = write_out(ERASE, strlen(ERASE));
	if (key == EOF || key == 'q' || key == 'Q' || key == 3 || key == 4)
		return -EPIPE;
	pager->used = key == ' ' ? 0 : pager->rows - 1;
	return err;
}

int pager_line(struct pager *pager, const char *line, size_t length)
{
	unsigned height = pager->columns > 0 && length > 0
				  ? (unsigned)((length + pager->columns - 1) / pager->columns)
				  : 1;
	int err = 0;

	if (pager->rows > 0 && pager->used > 0 && pager->used + height > pager->rows)
		err = pause_here(pager);
	if (err == 0)
		err = write_out(line, length);
	if (err == 0)
		err = write_out("\n", 1);
	pager->used += height;
	return err;
}
