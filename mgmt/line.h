/* SPDX-License-Identifier: BSD-3-Clause */
/* A line of the shell: words, quoted where they must be, and what its answer goes through: COMMAND... | match RE | count. */
#ifndef MGMT_LINE_H
#define MGMT_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "mgmt/api.h"
#include "platforms/base/span.h"

enum { LINE_PIPES_MAX = 8, LINE_TEXT_MAX = 49152 };

struct line {
	struct span words[MGMT_WORDS_MAX]; /* of the command and of all pipes; borrowed from `text` */
	size_t count;
	size_t pipe[LINE_PIPES_MAX]; /* index of the first word behind each "|" */
	size_t pipes;
	/* For completion: */
	bool quoted; /* a quote is not closed */
	size_t last; /* where in the line the last word begins, its quote included; the length if it ends with a blank */
	char text[LINE_TEXT_MAX];
};

/* Words are separated by blanks. Between "" a backslash makes \ and " themselves; between '' everything is itself. "#" at the beginning
 * of a word begins a comment. 0, or -EINVAL with the reason in `why`: a quote that is not closed (words are there all the same), too long,
 * too many words, a NUL or another control character. */
int line_parse(struct line *line, struct span text, struct writer *why);
/* Words before the first "|". */
size_t line_command_words(const struct line *line);

#endif
