/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the API's server: questions about alarms and certificates. owner: the main thread */
#ifndef CONTROLPLANE_API_ALARM_H
#define CONTROLPLANE_API_ALARM_H

#include "controlplane/shard.h"
#include "platforms/base/ipc.h"

/* 0: answered; -EINVAL: no such message, or too short. */
int api_alarm_frame(const struct shard_shared *shared, struct ipc_peer *peer, const struct ipc_frame *frame,
	const void *body);

#endif
