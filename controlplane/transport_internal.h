/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners from inside, and their UDP sockets. owner: one shard's thread. */
#ifndef CONTROLPLANE_TRANSPORT_INTERNAL_H
#define CONTROLPLANE_TRANSPORT_INTERNAL_H

#include <stdbool.h>

#include "controlplane/shard.h"
#include "controlplane/transport.h"

struct udp_socket; /* libuv keeps its memory a while after the close */
struct stream_listen;
struct streams;
struct udp_batch; /* datagrams on their way out */

struct listener {
	size_t index; /* the same in all shards */
	struct shard *shard;
	const struct config_sip_interface *interface; /* nobody's when it is gone */
	unsigned dscp; /* of its sockets */
	bool dscp_changed; /* while all shards stand still */
	bool leaving; /* not in the configuration any more */
	bool yielded; /* likewise, and another one listens at its port */
	bool closing; /* likewise: its time is over */
	bool gone; /* likewise, closed for good; others read relaxed */
	uint64_t used_ms, leaves_ms; /* when a dialog went by it last; when its time is over */
	int ready; /* a socket opened in advance, to be taken over; negative: none */
	unsigned ready_device;
	enum config_transport transport;
	union address address;
	struct udp_socket *socket; /* UDP; NULL: not open */
	struct udp_batch *batch; /* UDP */
	struct stream_listen *listening; /* TCP; NULL: not open */
	int last_error; /* of the last try to open, so that each trouble is logged once */
};

struct transport {
	struct shard *shard;
	struct udp_inbox *inbox;
	struct streams *streams;
	struct timer watch;
	uint32_t listeners_down; /* others read relaxed */
	size_t listener_count;
	struct listener *
		*listener; /* by index, whatever has become of them; written while all shards stand still */
	struct listener **
		active; /* those that are configured, in the order of the file; behind them those that are leaving */
	size_t configured, active_count;
	struct transport_plan *plan; /* for another configuration; owner: main thread */
};

void transport_options_move(struct shard *shard,
	struct config_move *move); /* of sockets and connections, interfaces having moved */
/* transport_plan.c */
struct listener *listener_new(struct shard *shard, size_t index, const struct config_sip_interface *interface,
	const struct config_endpoint *endpoint); /* NULL: no memory */
void listener_free(struct listener *listener); /* NULL is fine */
void listener_gone(struct listener *listener); /* it has been closed */
/* Memory for so many of each. 0 or -ENOMEM. */
int transport_lists_make(struct listener ***by_index, struct listener ***active, size_t count);

/* Room for a batch of datagrams; free() ends it. NULL without memory. */
struct udp_inbox *udp_inbox_new(size_t longest);
/* 0 or -ENOMEM; opens nothing. */
int udp_init(struct listener *listener);
void udp_fini(struct listener *listener);
bool udp_is_open(const struct listener *listener);
/* Opens the socket if it is not; closes it if its mirror is not the one it was bound to. */
void udp_watch(struct listener *listener);
/* Takes a socket over that socket_open has made. 0, or -errno: it is closed. */
int udp_adopt(struct listener *listener, int fd, unsigned device);
void udp_close(struct listener *listener); /* sends what is gathered; what it needs besides a socket stays */
void udp_move(struct listener *listener); /* options of its socket as they are configured now */
/* Copies into the batch. 0, -ENOTCONN, -EMSGSIZE. */
int udp_send(struct listener *listener, const union address *to, struct span message);
void udp_flush(struct listener *listener);

/* transport_socket.c */
/* A socket of that type from the listener's address and `port` (0: any), on its mirror, whose index is noted. The descriptor or
 * -errno. */
int socket_open(const struct listener *listener, int type, uint16_t port, unsigned *device);
int socket_dscp(const struct listener *listener, int fd); /* as configured now; 0 or -errno */
int socket_option(int fd, int level, int name, int value); /* 0 or -errno */
unsigned socket_device(
	int fd, const struct listener *listener); /* the mirror's index now; 0: there is none */
bool socket_device_is_gone(int error); /* what an errno says of the mirror */
/* Logs how opening went, each trouble once. */
void listener_opened(struct listener *listener, int result);

/* Sends what transport_send has gathered; before the loop sleeps. */
void transport_flush(struct shard *shard);
size_t listener_index(const struct listener *listener);
struct listener *transport_listener(struct shard *shard, size_t index);

#endif
