/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP over TCP (RFC 3261 section 18): listeners and connections of one shard, for transport.c. */
#ifndef CONTROLPLANE_STREAM_H
#define CONTROLPLANE_STREAM_H

#include "controlplane/transport.h"

struct streams;

/* The shard that has a connection; -1: it is none's. */
int connection_shard(uint64_t id);

/* 0 or -ENOMEM. The limits are shared with the shards that are already open. */
int streams_open(struct shard *shard, struct streams **out);
/* Closes all; nobody is told. */
void streams_close(struct streams *streams);

void stream_listen_fini(struct listener *listener);
bool stream_listen_is_open(const struct listener *listener);
/* Opens what is not open; when the mirror has changed, everything of this listener is closed: its connections hang on it. */
void stream_listen_watch(struct listener *listener);
/* As udp_adopt, of a socket that listens already; and the options of the one there is. */
int stream_listen_adopt(struct listener *listener, int fd, unsigned device);
void stream_listen_move(struct listener *listener);
void stream_listen_close(struct listener *listener); /* and all connections that hang on it */
enum { STREAM_BACKLOG = 4096 }; /* net.core.somaxconn caps it */
/* Another configuration: whose connections these are, and under what limits. */
void streams_move(struct streams *streams, struct config_move *move);

/* As transport_send and transport_connect. */
int stream_send(struct streams *streams, const struct sip_flow *flow, struct span message);
int stream_connect(struct streams *streams, struct sip_flow *flow);
/* For another shard, by flow->connection of this one alone. False: it is not there any more. */
bool stream_send_shared(struct streams *streams, const struct sip_flow *flow, struct span message);
/* What an open connection of this shard is, or what it waits for: for people. Nothing is written of one that is not there. */
void stream_describe(struct streams *streams, uint64_t id, struct writer *out);
/* As transport_connections. */
uint32_t stream_connections(const struct streams *streams);
/* As transport_admitted. */
void stream_admitted(struct streams *streams, const struct sip_flow *flow, uint16_t port, bool alias);

#endif
