/* SPDX-License-Identifier: BSD-3-Clause */
/* What commands read from the standard input: a secret, a text. What went wrong has been said when they return. */
#ifndef MGMT_ASK_H
#define MGMT_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* A line of the standard input; a terminal does not show it. 0 or -errno. */
int ask_secret(const char *what, char *line, size_t size);
/* The rest of the standard input, or with `shell` up to a line "." . NULL: failed; else the caller's (free). */
char *ask_text(const char *what, bool shell, size_t *length);

#endif
