/* SPDX-License-Identifier: BSD-3-Clause */
/* Request handling of the API without its transport: for the server and for tests. */
#ifndef DATAPLANE_SERVER_H
#define DATAPLANE_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct dataplane;
struct ipc_peer;
struct server;

struct server *server_new(struct dataplane *dp);
void server_free(struct server *s);
/* Answers one request: `type` of enum dp_message, any bytes as body (8-byte aligned). Returns the length of *reply (borrowed
 * until the next call), or -errno. `peer` may be NULL when nobody subscribes. */
int server_handle(struct server *s, struct ipc_peer *peer, uint16_t type, const void *body, size_t length,
	const void **reply);

#endif
