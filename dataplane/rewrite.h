/* SPDX-License-Identifier: BSD-3-Clause */
/* Gives a UDP datagram new Ethernet, IP and UDP headers, of the same or the other IP family. */
#ifndef DATAPLANE_REWRITE_H
#define DATAPLANE_REWRITE_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"

enum { ECN_BITS = 0x03, IPV4_DONT_FRAGMENT = 0x4000 };

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

/* Parts of rewrite_headers, in line for the commonest packets. */
static inline void rewrite_ethernet(uint8_t *frame, const struct rewrite *r)
{
	uint16_t type = r->family == 4 ? htons(ETHERTYPE_IP) : htons(ETHERTYPE_IPV6);

	memcpy(frame, r->dest_mac, 6);
	memcpy(frame + 6, r->source_mac, 6);
	frame += 12;
	if (r->vlan != 0) {
		store_u16(frame, htons(ETHERTYPE_VLAN));
		store_u16(frame + 2, htons(r->vlan));
		frame += VLAN_TAG;
	}
	store_u16(frame, type);
}

/* An atomic datagram (RFC 6864): never fragmented on the way, so its identification is free to be 0. Words are put together
 * and summed in registers: reading the header back right after writing it would stall. `addresses`: source + dest. */
static inline void rewrite_ipv4(
	uint8_t *ip, const struct rewrite *r, uint8_t traffic_class, uint16_t udp_length, uint64_t addresses)
{
	uint32_t first = htonl((uint32_t)(4 << 4 | IPV4_HEADER / 4) << 24 | (uint32_t)traffic_class << 16 |
			       (uint32_t)(IPV4_HEADER + udp_length));
	uint32_t second = htonl(IPV4_DONT_FRAGMENT);
	uint16_t third = htons((uint16_t)(r->ttl << 8 | IPPROTO_UDP));

	store_u32(ip, first);
	store_u32(ip + 4, second);
	store_u16(ip + 8, third);
	store_u16(ip + 10, (uint16_t)~checksum_fold(addresses + first + second + third));
	store_u32(ip + 12, r->source->word[0]);
	store_u32(ip + 16, r->dest->word[0]);
}

/* rewrite_headers from IPv4 to IPv4. */
static inline uint8_t *rewrite_plain(
	uint8_t *frame, const struct packet *p, const struct rewrite *r, size_t *length)
{
	uint8_t *udp = frame + p->udp, *ip = udp - IPV4_HEADER;
	uint16_t udp_length = (uint16_t)(p->payload + UDP_HEADER);
	uint16_t checksum = load_u16(udp + 6);
	uint64_t addresses = (uint64_t)r->source->word[0] + r->dest->word[0];

	if (checksum != 0)
		checksum = checksum_update(checksum,
			(uint64_t)p->source.word[0] + p->dest.word[0] + p->source_port + p->dest_port,
			addresses + r->source_port + r->dest_port);
	store_u16(udp, r->source_port);
	store_u16(udp + 2, r->dest_port);
	store_u16(udp + 6, checksum);
	rewrite_ipv4(ip, r, (uint8_t)(r->dscp | (p->traffic_class & ECN_BITS)), udp_length, addresses);
	uint8_t *start = ip - ETHER_HEADER - (r->vlan != 0 ? VLAN_TAG : 0);
	rewrite_ethernet(start, r);
	*length = (size_t)(udp - start) + udp_length;
	return start;
}

#endif
