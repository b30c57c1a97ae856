/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners from inside, and their UDP sockets. owner: one shard's thread. */
#ifndef CONTROLPLANE_TRANSPORT_INTERNAL_H
#define CONTROLPLANE_TRANSPORT_INTERNAL_H

#include <stdbool.h>

#include "controlplane/shard.h"
#include "controlplane/transport.h"

struct udp_socket; /* libuv keeps its memory a while after the close */
struct udp_batch; /* datagrams on their way out */

struct listener {
	size_t index; /* the same in all shards */
	struct shard *shard;
	const struct config_sip_interface *interface;
	enum config_transport transport;
	union address address;
	struct udp_socket *socket; /* NULL: not open */
	struct udp_batch *batch;
	int last_error; /* of the last try to open, so that each trouble is logged once */
};

struct transport {
	struct shard *shard;
	struct udp_inbox *inbox;
	struct timer watch;
	uint32_t listeners_down; /* others read relaxed */
	size_t listener_count;
	struct listener listener[];
};

/* Room for a batch of datagrams; free() ends it. NULL without memory. */
struct udp_inbox *udp_inbox_new(size_t longest);
/* 0 or -ENOMEM; opens nothing. */
int udp_init(struct listener *listener);
void udp_fini(struct listener *listener);
bool udp_is_open(const struct listener *listener);
/* Opens the socket if it is not; closes it if its mirror is not the one it was bound to. */
void udp_watch(struct listener *listener);
/* Copies into the batch. 0, -ENOTCONN, -EMSGSIZE. */
int udp_send(struct listener *listener, const union address *to, struct span message);
void udp_flush(struct listener *listener);

/* Sends what transport_send has gathered; before the loop sleeps. */
void transport_flush(struct shard *shard);
size_t listener_index(const struct listener *listener);
struct listener *transport_listener(struct shard *shard, size_t index);

#endif
