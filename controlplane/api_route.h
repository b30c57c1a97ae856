/* SPDX-License-Identifier: BSD-3-Clause */
/* CP_TEST_ROUTE of controlplane/api.h: which way a call would take, without one. */
#ifndef CONTROLPLANE_API_ROUTE_H
#define CONTROLPLANE_API_ROUTE_H

#include "controlplane/shard.h"
#include "platforms/base/ipc.h"

/* 0; -ENOENT: no such realm; -EINVAL: a number that nobody can call. `config` runs in `shard`, which is any of them; from the main thread. */
int api_route_find(const struct config *config, const struct shard *shard, const struct cp_route *route,
	struct cp_routed *out);
/* Answers. -EINVAL: not this message, or too short. */
int api_route_frame(const struct config *config, const struct shard *shard, struct ipc_peer *peer,
	const struct ipc_frame *frame, const void *body);

#endif
