/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing of received frames: the common one in line, whatever else there is in parse.c. */
#ifndef DATAPLANE_PARSE_H
#define DATAPLANE_PARSE_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"

/* Classifies `length` bytes at `frame`, of whatever kind. Never reads behind them. */
void packet_parse_any(const uint8_t *frame, size_t length, struct packet *p);
/* The same for the first `length` bytes of a frame that goes on in other buffers: PACKET_OTHER or PACKET_MALFORMED. */
void packet_parse_long(const uint8_t *frame, size_t length, struct packet *p);

/* A whole UDP datagram over IPv4 without options, with a tag or without. false: it may still be anything, and `p` is not set. */
static inline bool packet_parse_plain(const uint8_t *frame, size_t length, struct packet *p)
{
	size_t at = ETHER_HEADER;
	uint16_t vlan = 0;

	if (length < ETHER_HEADER + VLAN_TAG + IPV4_HEADER + UDP_HEADER)
		return false;
	if (load_u16(frame + 12) == htons(ETHERTYPE_VLAN)) {
		vlan = ntohs(load_u16(frame + ETHER_HEADER)) & 0x0fff;
		at += VLAN_TAG;
	}
	const uint8_t *ip = frame + at, *udp = ip + IPV4_HEADER;
	if (load_u16(ip - 2) != htons(ETHERTYPE_IP) || ip[0] != (4 << 4 | IPV4_HEADER / 4) ||
		ip[9] != IPPROTO_UDP || (load_u16(ip + 6) & htons(IPV4_FRAGMENT_BITS)) != 0)
		return false;
	uint32_t source = load_u32(ip + 12), dest = load_u32(ip + 16);
	uint64_t sum = (uint64_t)source + dest + load_u32(ip) + load_u32(ip + 4) + load_u32(ip + 8);
	uint32_t total = ntohs(load_u16(ip + 2)), datagram = ntohs(load_u16(udp + 4));
	if (total > length - at || datagram < UDP_HEADER || datagram + IPV4_HEADER > total ||
		checksum_fold(sum) != 0xffff)
		return false;
	p->class = PACKET_UDP;
	p->family = 4;
	p->traffic_class = ip[1];
	p->ttl = ip[8];
	p->is_fragment = p->follows = 0;
	p->vlan = vlan;
	p->ip = (uint16_t)at;
	p->udp = (uint16_t)(at + IPV4_HEADER);
	p->payload = (uint16_t)(datagram - UDP_HEADER);
	p->source_port = load_u16(udp);
	p->dest_port = load_u16(udp + 2);
	p->source = (union host){ .half = { source } };
	p->dest = (union host){ .half = { dest } };
	return true;
}

static inline void packet_parse(const uint8_t *frame, size_t length, struct packet *p)
{
	if (!packet_parse_plain(frame, length, p))
		packet_parse_any(frame, length, p);
}

#endif
