/* SPDX-License-Identifier: BSD-3-Clause */
/* CP_STATISTICS_LIST and CP_LOAD_GET of controlplane/api.h. */
#ifndef CONTROLPLANE_API_STATISTICS_H
#define CONTROLPLANE_API_STATISTICS_H

#include "controlplane/shard.h"
#include "platforms/base/ipc.h"

/* Answers. -EINVAL: not a message of these, or too short. `config` runs in `shard`, which is any of them. */
int api_statistics_frame(const struct config *config, const struct shard *shard, struct ipc_peer *peer,
	const struct ipc_frame *frame, const void *body);

#endif
