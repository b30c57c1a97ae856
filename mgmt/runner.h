/* SPDX-License-Identifier: BSD-3-Clause */
/* One command of the sallyport program, from its words to its exit status: over a connection, or answered here. */
#ifndef MGMT_RUNNER_H
#define MGMT_RUNNER_H

#include <stdbool.h>
#include <uv.h>

#include "mgmt/client.h"
#include "mgmt/line.h"

/* Silence of the daemon after which it is given up. */
enum { RUNNER_SILENCE_MS = 5000 };

struct runner {
	/* Where the daemon listens, asked for when it is needed. 0, or -errno, said already. */
	int (*find_socket)(const void *arg, char *path, size_t size);
	const void *find_arg;
	char socket[108];
	const char *captures; /* directory that SFTP shows; NULL: none */
	const char *config; /* file, for what is told without a daemon */
	const struct mgmt_login *login; /* of the SSH server's user; NULL: who started the program */
	bool json;
	bool shell; /* several commands, one after the other: texts on the input end by a dot, screens are paged */
	int width; /* of tables; -1: the terminal's */
	uv_loop_t loop;
	struct client *client; /* NULL: not connected */
};

/* 0 or -errno. */
int runner_init(struct runner *runner);
void runner_fini(struct runner *runner);
/* Connects unless it is. 0, or -errno, and it has been said why. */
int runner_connect(struct runner *runner);
/* Says what an -errno of the client means, and gives up a connection of no more use. Returns enum mgmt_exit. */
int runner_explain(struct runner *runner, int error);
/* Returns enum mgmt_exit, or -EINTR: interrupted. */
int runner_run(struct runner *runner, const struct line *line);

#endif
