/* SPDX-License-Identifier: BSD-3-Clause */
/* What shard, transport and transaction layer share of a shard, and the seams by which tests drive them. */
#ifndef CONTROLPLANE_SHARD_INTERNAL_H
#define CONTROLPLANE_SHARD_INTERNAL_H

#include <stdbool.h>

#include "controlplane/mailbox.h"
#include "controlplane/resolver.h"
#include "controlplane/scan.h"
#include "controlplane/shard.h"
#include "controlplane/standstill.h"

/* Zero-initialised is what production wants. */
struct shard_private {
	uv_thread_t thread;
	uv_timer_t wake; /* for the timer wheel */
	uv_prepare_t prepare; /* before the loop sleeps: packets out, wake-up set */
	struct mailbox *mailbox;
	uint64_t wake_at_ms; /* 0 = `wake` is not started */
	uv_async_t stop;
	uv_async_t stand;
	struct standstill *standstill; /* that `stand` was sent for; owner: standstill.c */
	struct shard_moves
		*moves; /* INVITEs handed on to other shards; NULL: none yet; owner: shard_route.c */
	bool handed_on; /* the message being received is such a one */
	/* Seams. `capture` takes what would be sent, and no socket is opened; `no_device` opens them without SO_BINDTODEVICE. */
	int (*capture)(void *arg, const struct sip_flow *flow, struct span message);
	void *capture_arg;
	bool no_device;
	uint64_t (*wall_ms)(void); /* the time of day; NULL: clock_wall_ms */
	/* Is asked instead of DNS, and calls `done` when the test says so. */
	int (*resolve)(const struct resolver_question *question, resolver_done done, void *arg);
};

/* True if the message belongs to another shard: then it is on its way there (or lost to a full mailbox, as a datagram may be). */
bool shard_forward(
	struct shard *shard, const struct sip_flow *flow, const struct scan *scan, struct span bytes);
/* A message for a connection that another shard has. 0, -ENOMEM or -ENOBUFS. */
int shard_send(struct shard *shard, const struct sip_flow *flow, struct span message);
/* transport_admitted, for a connection that another shard has. */
void shard_admitted(struct shard *shard, const struct sip_flow *flow, uint16_t port, bool alias);
/* The shard that has a dialog of these tags, one of which is ours; -1: neither is. */
int shard_of_dialog(struct span to_tag, struct span from_tag, unsigned count);
void shard_moves_free(struct shard_private *private);
/* Which shard a message belongs to, but for an INVITE with Replaces: that goes on from there to the shard of the dialog it names. */
unsigned shard_of_message(const struct shard *shard, const struct scan *scan);
#endif
