/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests that people order: OPTIONS to all addresses of a session-agent, or over the flows of a phone, and what comes of each. owner: one
 * shard's thread, from probe_begin until `done` is called. */
#ifndef CONTROLPLANE_PROBE_H
#define CONTROLPLANE_PROBE_H

#include "controlplane/api.h"
#include "platforms/base/span.h"

struct probe;
struct shard;

/* The order and what it has come to. Made by who orders it, and freed by him after `done`, or when the shards are stopped. */
struct probe_order {
	enum cp_message type; /* CP_TEST_AGENT, CP_TEST_REGISTRATION */
	char subject[CP_AOR_MAX];
	int status; /* 0; -ENOENT: no such agent; -ENOMEM */
	struct cp_test_report report;
	void (*done)(struct probe_order *order); /* on the shard's thread; the last thing it does with it */
};

/* On the shard's thread. */
void probe_begin(struct shard *shard, struct probe_order *order);
/* The shard ends: nothing is reported any more. */
void probes_close(struct shard *shard);
/* A connection of the shard is about to end. */
void probe_connection_ended(const struct shard *shard, uint64_t connection, struct span why);

#endif
