/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the management daemon: a connection, and commands one after the other over it. Each call runs the loop until its answer has come. */
#ifndef MGMT_CLIENT_H
#define MGMT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "mgmt/api.h"
#include "platforms/base/span.h"

struct client;

/* `login`: NULL, or whose commands they will be; a login that is refused shows as -ECONNRESET of the first command. `timeout_ms` of
 * silence, of this and of every later call. 0, or -errno: nobody there (-ENOENT, -ECONNREFUSED, -EACCES), -ETIMEDOUT, -ECONNRESET. */
int client_open(uv_loop_t *loop, const char *socket_path, const struct mgmt_login *login, unsigned timeout_ms,
	struct client **out);
void client_close(struct client *client);

struct client_command {
	const struct span *words;
	size_t count;
	unsigned flags; /* enum mgmt_flag */
	unsigned width;
	const char *input; /* what the command reads; with MGMT_HAS_INPUT in `flags` */
	size_t input_length;
	bool interruptible; /* SIGINT gives the command up, and the connection stays */
	/* The answer's text as it comes. 0, or -errno to end the command (a reader that went away). */
	int (*text)(void *arg, const char *text, size_t length);
	/* A message for people. */
	void (*error)(void *arg, const char *text, size_t length);
	void *arg;
};

/* Returns enum mgmt_exit, or -errno: -ETIMEDOUT, -ECONNRESET (gone in the middle; the connection is of no use any more), -E2BIG (too many or
 * too long words), -EINTR (interrupted), what `text` returned. */
int client_run(struct client *client, const struct client_command *command);

/* What may follow `count` whole words. `each` as in command_next. 0 or -errno as client_run. */
int client_complete(struct client *client, const struct span *words, size_t count,
	void (*each)(void *arg, const char *word, bool argument, const char *help), void *arg);
/* For the prompt. 0 or -errno as client_run. */
int client_where(struct client *client, struct mgmt_where *where);

#endif
