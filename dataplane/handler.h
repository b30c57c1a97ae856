/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the API's server: what a handler is given, and the handlers that have files of their own. */
#ifndef DATAPLANE_HANDLER_H
#define DATAPLANE_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "platforms/base/ipc.h"

enum {
	BODY_MAX = IPC_PACKET_MAX - 1024,
	LOOK_MAX =
		16384, /* entries of a table that one request may look at; what is left is for the next page */
};

struct ipc_peer;

/* One request being answered: a handler puts the reply's body into `out` (BODY_MAX bytes) and returns its length, or -errno. */
struct request {
	struct server *server;
	struct dataplane *dp;
	struct ipc_peer *peer;
	const void *body;
	size_t length;
	uint8_t *out;
};

/* server_border.c: who is kept out, who comes first, who sends most. */
int handle_ban_set(const struct request *q);
int handle_ban_clear(const struct request *q);
int handle_ban_list(const struct request *q);
int handle_trust_set(const struct request *q);
int handle_trust_clear(const struct request *q);
int handle_trust_list(const struct request *q);
int handle_top_sources(const struct request *q);

/* server_flow.c: flows and realms as they are now. */
int handle_flow_list(const struct request *q);
int handle_realms(const struct request *q);

/* source_key.c: the API's word for a source and the tables'. */
struct prefix_key;
struct dp_source_key;
/* false: not one that can be meant (unknown family, bits behind the length, a port without a whole host). */
bool source_key_read(const struct dp_source_key *in, struct prefix_key *out);
void source_key_write(const struct prefix_key *in, struct dp_source_key *out);
/* Is there a packet that both are about? Realms do not matter. */
bool source_key_overlaps(const struct prefix_key *a, const struct prefix_key *b);

#endif
