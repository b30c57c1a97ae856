/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP transports (RFC 3261 section 18): sockets of the sip-interfaces, bound to the dataplane's mirrors. */
#ifndef CONTROLPLANE_TRANSPORT_H
#define CONTROLPLANE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

struct shard;
struct listener; /* one listen address of one sip-interface in one shard */

/* Where a message came from and where answers and further messages go (RFC 5626: a flow). Copied by value.
 *
 * `connection` is a number, never used twice: it may be kept for as long as one likes. On a stream what is sent goes by that
 * connection while it is open, whichever shard has it; else by one from the listener to `remote`, found or made. */
struct sip_flow {
	struct listener *listener;
	union address remote;
	uint64_t connection; /* 0: none, or a datagram. With port 0 in `remote`: it or nothing */
	/* TLS. Of what came in: whose certificate the peer has shown (NULL: nobody's). Of what goes out: who must be at the other end. */
	const struct config_session_agent *agent;
};

/* Opens all UDP listeners of the configuration for this shard: SO_REUSEPORT where there are several shards,
 * SO_BINDTODEVICE to "sp-<network-interface>", IP_TOS/IPV6_TCLASS from dscp-signalling. A mirror or address that is not
 * there yet is tried again until it is; the listener exists meanwhile and sending answers -ENOTCONN. 0 or -errno. */
int transport_open(struct shard *shard);
/* Listeners are made for these; their indices are in the order of the configuration, those of other transports left out. */
bool transport_serves(enum config_transport transport);
void transport_close(struct shard *shard);

/* As reconfigure.h says. A listener is its transport and address: while these are configured, its sockets and connections stay as they are,
 * whatever else changes; and what points to a listener may go on doing so for ever. Sockets of added ones are opened in advance: -EINVAL with a
 * line where that will not mend itself. One that is not configured any more is left to the dialogs that go by it (listener_is_leaving), is closed
 * some time after the last of them, and these are hung up after sip-config.drain-time. */
int transport_prepare(struct shard *shard, const struct config_move *move, struct writer *why);
void transport_abort(struct shard *shard);
void transport_move(struct shard *shard, struct config_move *move);
void transport_settle(struct shard *shard);

/* Sends one message. 0 or -errno (-EMSGSIZE, -ENOTCONN; datagrams: -EAGAIN: socket buffer full: SIP's own timers repeat; streams:
 * -ENOBUFS: the peer reads too slowly, its connection is closed). 0 of a stream says no more than that it is on its way. */
int transport_send(const struct sip_flow *flow, struct span message);

/* Streams: the connection that transport_send would use is written to flow->connection, made if there is none, so that the
 * loss of it can be noticed (transaction_connection_lost). Datagrams: nothing. 0 or -errno. */
int transport_connect(struct sip_flow *flow);

/* Streams: a request that came by this flow has been let in: its connection gives way later than a stranger's. `port` is that of its
 * top Via's sent-by; with `alias` (RFC 5923 section 8) a session-agent's connection serves for requests to that port as well. */
void transport_admitted(const struct sip_flow *flow, uint16_t port, bool alias);
/* The port of a Via's sent-by; 5060, for TLS 5061, if it says none (RFC 3261 section 18.1.1). */
uint16_t transport_sent_by_port(enum config_transport transport, struct span sent_by);

/* Looks at all listeners now instead of at the next tick of the watch: opens what can be opened, closes what hangs on a mirror
 * that has gone. For whoever has news of the mirrors. */
void transport_check(struct shard *shard);
/* Sockets that could not be opened yet. For the API; from any thread. */
uint32_t transport_listeners_down(const struct shard *shard);
/* Stream connections of all shards. For the API; from any thread. */
uint32_t transport_connections(const struct shard *shard);

/* Nothing new begins by it: no dialog, no registration. */
bool listener_is_leaving(const struct listener *listener);
const struct config_sip_interface *listener_interface(const struct listener *listener);
const union address *listener_address(const struct listener *listener); /* ours, for Via, Contact */
enum config_transport listener_transport(const struct listener *listener);
/* RFC 3261 section 17: what is sent arrives, or one is told; nothing is repeated. */
bool listener_is_reliable(const struct listener *listener);
/* TLS, or WebSocket over it: nobody else reads it. */
bool listener_is_secure(const struct listener *listener);
/* "UDP", "TCP": the transport of a Via (RFC 3261 section 18.1.1). */
const char *transport_via_name(enum config_transport transport);
/* ";transport=tcp" for a SIP URI of ours; "" for UDP, which is what a URI without it means (RFC 3263 section 4.1). */
const char *transport_uri_parameter(enum config_transport transport);
/* The listener of a realm to reach `remote` with (transport and family must fit; first in file order); NULL if there is none. */
struct listener *transport_find(struct shard *shard, const struct config_realm *realm,
	enum config_transport kind, const union address *remote);

#endif
