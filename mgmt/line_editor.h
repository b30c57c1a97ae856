/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines from a terminal: prompt, history, completion, help by "?". */
#ifndef MGMT_LINE_EDITOR_H
#define MGMT_LINE_EDITOR_H

#include <stddef.h>

#include "mgmt/runner.h"

struct line_editor;

/* Asks over the runner's connection, which is made anew if it is lost. 0 or -ENOMEM. */
int line_editor_new(struct runner *runner, struct line_editor **out);
void line_editor_free(struct line_editor *editor);
/* The next line, without its end; borrowed until the next call. 1; 0: there is none any more; -EINTR: given up by the user. */
int line_editor_read(struct line_editor *editor, struct span *line);

/* Words that the shell itself answers; NULL ends them. */
struct shell_word {
	const char *word, *help;
};
extern const struct shell_word shell_words[];

#endif
