/* SPDX-License-Identifier: BSD-3-Clause */
/* The server on mgmt.sock: one command at a time per connection. */
#ifndef MGMT_SERVER_H
#define MGMT_SERVER_H

#include <stdint.h>
#include <uv.h>

#include "mgmt/neighbours.h"
#include "mgmt/session.h"

struct server;

/* `neighbours` and `world` (NULL: none) must outlive the server. 0 or -errno as ipc_listen. */
int server_new(uv_loop_t *loop, const char *socket_path, const struct neighbours *neighbours,
	const struct session_world *world, struct server **out);
/* Commands under way are abandoned. NULL is fine. */
void server_free(struct server *server);

#endif
