/* SPDX-License-Identifier: BSD-3-Clause */
/* Gives a UDP datagram new Ethernet, IP and UDP headers, of the same or the other IP family. */
#ifndef DATAPLANE_REWRITE_H
#define DATAPLANE_REWRITE_H

#include "dataplane/packet.h"

struct rewrite {
	const union host *source, *dest;
	const uint8_t *source_mac, *dest_mac;
	uint16_t source_port, dest_port; /* network order */
	uint16_t vlan; /* 0 = untagged */
	uint8_t family; /* of source and dest: 4 or 6 */
	uint8_t dscp; /* already shifted: the upper six bits of the traffic class */
	uint8_t ttl;
};

/* `p` describes the frame and is of class PACKET_UDP. The payload stays where it is; the headers are written in front of
 * it, up to PACKET_GROWTH_MAX bytes before `frame`, which must be writable. Returns where the frame begins now and its
 * length in *length. NULL: IPv6 without a UDP checksum (RFC 8200 section 8.1), not to be relayed. */
uint8_t *rewrite_headers(uint8_t *frame, const struct packet *p, const struct rewrite *r, size_t *length);

/* IP packet length that rewrite_headers will produce: against the MTU. */
static inline size_t rewrite_ip_length(const struct packet *p, uint8_t family)
{
	return (size_t)p->payload + UDP_HEADER + (family == 4 ? IPV4_HEADER : IPV6_HEADER);
}

#endif
