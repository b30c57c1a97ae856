/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemons this one asks: dataplane and control plane, each reached through its own client. */
#ifndef MGMT_NEIGHBOURS_H
#define MGMT_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "platforms/base/ipc.h"

enum neighbour { NEIGHBOUR_DATAPLANE, NEIGHBOUR_CONTROLPLANE, NEIGHBOUR_COUNT };

enum { NEIGHBOUR_PATH_MAX = 108 };

struct neighbours {
	const char *name, *location, *contact; /* of the system; borrowed from the configuration */
	uint64_t started_ms; /* this process, clock_now_ms */
	uint64_t generation; /* this process */
	void (*up)(void *arg, enum neighbour which); /* it is there (again); may be NULL */
	void *up_arg;
	struct dp_client *dataplane;
	struct cp_client *controlplane;
	char path[NEIGHBOUR_COUNT][NEIGHBOUR_PATH_MAX];
};

/* Status and body as in dataplane/client.h: called once, never before the request returns. */
typedef void (*neighbour_reply)(void *arg, int status, const void *body, size_t length);

/* Starts connecting to both. `n` is zeroed or has its names set. 0 or -errno, with nothing left behind. */
int neighbours_connect(struct neighbours *n, uv_loop_t *loop, const char *run_directory, uint64_t generation);
void neighbours_close(struct neighbours *n);

const char *neighbour_name(enum neighbour which); /* "dataplane" */
/* NULL while it is away. */
const struct ipc_hello *neighbour_hello(const struct neighbours *n, enum neighbour which);
/* 0, or -errno and `reply` is not called: -ENOTCONN while it is away. */
int neighbour_request(const struct neighbours *n, enum neighbour which, unsigned type, const void *body,
	size_t length, neighbour_reply reply, void *arg);

#endif
