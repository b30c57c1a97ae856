/* SPDX-License-Identifier: BSD-3-Clause */
/* Server of controlplane/api.h on the main thread's loop. What only a shard's thread may touch it asks the shards for. */
#ifndef CONTROLPLANE_API_SERVER_H
#define CONTROLPLANE_API_SERVER_H

#include <uv.h>

#include "controlplane/block.h"
#include "controlplane/bans.h"
#include "controlplane/shard.h"

struct api_server;
struct reconfigure;

/* What it answers from. All of it outlives the server; `bans` and what is in `shared` may be NULL. */
struct api_world {
	const struct config *config; /* the one it was started with: for the call alone */
	uint64_t generation;
	struct shard **shards;
	unsigned count;
	const struct block_store *blocks;
	struct bans *bans;
	struct reconfigure *reconfigure; /* takes another configuration */
	const struct shard_shared *shared;
};

/* Listens on RUN-DIRECTORY/controlplane.sock. 0 or -errno. */
int api_server_new(uv_loop_t *loop, const struct api_world *world, struct api_server **out);
/* The source that is asked about. 0 or -EINVAL. */
int api_block_source(const struct cp_block_list *list, struct prefix *source);
/* No peer is answered any more. Before the shards are stopped; its memory goes with api_server_free. */
void api_server_close(struct api_server *server);
/* After the shards were stopped: no question of ours is under way. */
void api_server_free(struct api_server *server);

#endif
