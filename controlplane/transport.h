/* SPDX-License-Identifier: BSD-3-Clause */
/* SIP transports: sockets of the sip-interfaces, bound to the dataplane's mirrors. UDP now; streams come beside it. */
#ifndef CONTROLPLANE_TRANSPORT_H
#define CONTROLPLANE_TRANSPORT_H

#include "config/model.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

struct shard;
struct listener; /* one listen address of one sip-interface in one shard */

/* Where a message came from and where answers and further messages go (RFC 5626: a flow). Copied by value. */
struct sip_flow {
	struct listener *listener;
	union address remote;
};

/* Opens all UDP listeners of the configuration for this shard: SO_REUSEPORT where there are several shards,
 * SO_BINDTODEVICE to "sp-<network-interface>", IP_TOS/IPV6_TCLASS from dscp-signalling. A mirror or address that is not
 * there yet is tried again until it is; the listener exists meanwhile and sending answers -ENOTCONN. 0 or -errno. */
int transport_open(struct shard *shard);
void transport_close(struct shard *shard);

/* Sends one datagram. 0 or -errno (-EMSGSIZE, -ENOTCONN, -EAGAIN: socket buffer full: SIP's own timers repeat). */
int transport_send(const struct sip_flow *flow, struct span message);

/* Looks at all listeners now instead of at the next tick of the watch: opens what can be opened, closes what hangs on a mirror
 * that has gone. For whoever has news of the mirrors. */
void transport_check(struct shard *shard);
/* Sockets that could not be opened yet. For the API; from any thread. */
uint32_t transport_listeners_down(const struct shard *shard);

const struct config_sip_interface *listener_interface(const struct listener *listener);
const union address *listener_address(const struct listener *listener); /* ours, for Via, Contact */
/* The listener of a realm to reach `remote` with (transport and family must fit; first in file order); NULL if there is none. */
struct listener *transport_find(struct shard *shard, const struct config_realm *realm,
	enum config_transport kind, const union address *remote);

#endif
