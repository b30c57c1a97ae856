/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the management daemon: one command, its answer into two streams of the caller. */
#ifndef MGMT_CLIENT_H
#define MGMT_CLIENT_H

#include <stddef.h>
#include <uv.h>

#include "mgmt/api.h"
#include "platforms/base/span.h"

struct client_command {
	const struct span *words;
	size_t count;
	unsigned flags; /* enum mgmt_flag */
	unsigned width;
	const struct mgmt_login *login; /* NULL: none */
	const char *input; /* what the command reads; with MGMT_HAS_INPUT in `flags` */
	size_t input_length;
	/* The answer's text as it comes. 0, or -errno to end the command (a reader that went away). */
	int (*text)(void *arg, const char *text, size_t length);
	/* A message for people. */
	void (*error)(void *arg, const char *text, size_t length);
	void *arg;
	unsigned timeout_ms; /* of silence: connecting, and between two pieces of the answer */
};

/* Runs the loop until the command has ended; the caller runs it once more before it closes it. Returns enum mgmt_exit, or -errno: nobody there (-ENOENT, -ECONNREFUSED, -EACCES),
 * -ETIMEDOUT, -ECONNRESET (gone in the middle), -E2BIG (too many or too long words), what `text` returned. */
int client_run(uv_loop_t *loop, const char *socket_path, const struct client_command *command);

#endif
