/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeping the NAT before a phone open (RFC 5626 section 4.4, RFC 6223): CRLF, OPTIONS, or adaptive: learns after how long a silence each
 * binding still works, and stays below it. Each shard asks the phones of its own addresses-of-record. docs/decisions/0062-nat.md */
#ifndef CONTROLPLANE_KEEP_ALIVE_H
#define CONTROLPLANE_KEEP_ALIVE_H

#include "config/move.h"
#include "controlplane/location.h"
#include "controlplane/message.h"

int keep_alive_open(struct shard *shard); /* 0 or -ENOMEM */
void keep_alive_close(struct shard *shard);
void keep_alive_move(struct shard *shard, struct config_move *move);

/* The registrar of this shard has put this in place of `old` (NULL: new). Keeps a reference until keep_alive_stop. */
void keep_alive_start(struct shard *shard, struct binding *old, struct binding *binding);
void keep_alive_stop(struct shard *shard, struct binding *binding);
/* Anything came by this flow: any thread's shard; cheap. */
void keep_alive_heard(struct shard *shard, const struct sip_flow *flow);
/* The same of a message, which keep_alive_phone is asked for until keep_alive_listened; `flow` lives as long. */
void keep_alive_listen(struct shard *shard, const struct sip_flow *flow);
void keep_alive_listened(struct shard *shard);
/* The registered phone whose flow that is: location_by_flow, without a look-up for who has sent the message that is being received. A
 * reference, or NULL. */
struct binding *keep_alive_phone(struct shard *shard, const struct sip_flow *flow);
/* A response that matches no transaction: true if it answers a keep-alive. */
bool keep_alive_answered(struct shard *shard, const struct sip_flow *flow, const struct scan *response);

/* The phone is behind a NAT: source, top Via and Contact do not agree, or name addresses of RFC 1918, 6598 or 3927, or the profile says so. */
bool nat_detect(
	const struct config_ip_profile *profile, const struct sip_flow *flow, const struct message *request);

/* STUN on the SIP port (RFC 5626 section 4.4.2, RFC 8489): true if the datagram was STUN; a Binding request has been answered then. */
bool stun_receive(const struct sip_flow *flow, struct span datagram);

#endif
