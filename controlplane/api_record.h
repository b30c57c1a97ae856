/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the API that shows records of calls. */
#ifndef CONTROLPLANE_API_RECORD_H
#define CONTROLPLANE_API_RECORD_H

#include "controlplane/shard.h"
#include "platforms/base/ipc.h"

/* 0: answered; -EINVAL: not one of these, or too short. */
int api_record_frame(const struct shard_shared *shared, struct ipc_peer *peer, const struct ipc_frame *frame,
	const void *body);

#endif
