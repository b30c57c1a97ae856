/* SPDX-License-Identifier: BSD-3-Clause */
/* CP_TEST_AGENT and CP_TEST_REGISTRATION of controlplane/api.h: ordered by the main thread, done by a shard. */
#ifndef CONTROLPLANE_API_TEST_H
#define CONTROLPLANE_API_TEST_H

#include <uv.h>

#include "controlplane/shard.h"
#include "platforms/base/ipc.h"

struct api_tests;

/* NULL: no memory. */
struct api_tests *api_tests_new(uv_loop_t *loop, struct shard *shard);
/* After the shards were stopped. NULL is fine; its memory goes when the loop has run once more. */
void api_tests_free(struct api_tests *tests);
/* Answers, at once or later. -EINVAL: not a message of these, or too short. */
int api_tests_frame(
	struct api_tests *tests, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body);
/* That peer gets no answers any more. */
void api_tests_down(struct api_tests *tests, const struct ipc_peer *peer);

#endif
