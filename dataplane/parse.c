/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, 802.1Q, IPv4, IPv6 and UDP headers of a received frame. */
#include "dataplane/parse.h"

enum {
	IPV6_HEADERS_MAX = 8, /* extension headers followed; RFC 8200 section 4.1 knows six */
	IPV4_FRAGMENT_OFFSET = 0x1fff,
	IPV6_FRAGMENT_OFFSET = 0xfff8,
	IPV6_FRAGMENT_BITS = 0xfff9,
	ETHERTYPE_QINQ = 0x88a8, /* 802.1ad */
	TCP_HEADER = 20,
	TCP_FLAGS = 13, /* their offset */
	TCP_SYN = 0x02,
	TCP_ACK = 0x10,
	NEIGHBOUR_FIRST = 133, /* ICMPv6 types, RFC 4861: router solicitation */
	NEIGHBOUR_LAST = 137, /* redirect */
	NEIGHBOUR_HOP_LIMIT = 255,
};

static void parse_ports(const uint8_t *udp, struct packet *p)
{
	p->source_port = load_u16(udp);
	p->dest_port = load_u16(udp + 2);
}

/* `available`: bytes of IP payload that belong to the packet. */
static uint8_t parse_udp(const uint8_t *udp, size_t available, struct packet *p)
{
	if (available < UDP_HEADER)
		return PACKET_MALFORMED;
	size_t length = ntohs(load_u16(udp + 4));
	if (length < UDP_HEADER || length > available)
		return PACKET_MALFORMED;
	parse_ports(udp, p);
	p->payload = (uint16_t)(length - UDP_HEADER);
	return PACKET_UDP;
}

/* What is not UDP, from its first octet on. A TCP header in pieces would hide its flags from us (RFC 1858). */
static uint8_t parse_other(
	const uint8_t *at, size_t available, uint8_t protocol, bool fragment, struct packet *p)
{
	p->protocol = protocol;
	p->kind = PACKET_IP;
	if (protocol == IPPROTO_TCP) {
		if (available < TCP_HEADER)
			return PACKET_MALFORMED;
		parse_ports(at, p);
		p->kind = (at[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN ? PACKET_TCP_SYN : PACKET_TCP;
	} else if (protocol == IPPROTO_ICMPV6 && p->family == 6 && !fragment && available != 0 &&
		   p->ttl == NEIGHBOUR_HOP_LIMIT && at[0] >= NEIGHBOUR_FIRST && at[0] <= NEIGHBOUR_LAST) {
		p->kind = PACKET_NEIGHBOUR;
	}
	return PACKET_OTHER;
}

/* `offset` in units of 8 octets: TCP that begins behind its ports could rewrite the flags of the first (RFC 1858). */
static uint8_t parse_later(uint8_t protocol, unsigned offset, struct packet *p)
{
	p->protocol = protocol;
	p->kind = PACKET_LATER;
	return protocol == IPPROTO_TCP && offset == 1 ? PACKET_MALFORMED : PACKET_OTHER;
}

/* Nearly all headers are without options: five loads and no loop. */
static uint64_t header_sum(const uint8_t *ip, size_t header)
{
	if (header != IPV4_HEADER)
		return checksum_sum(ip, header);
	return (uint64_t)load_u32(ip) + load_u32(ip + 4) + load_u32(ip + 8) + load_u32(ip + 12) +
	       load_u32(ip + 16);
}

static void parse_identification(uint32_t identification, struct packet *p)
{
	p->identification = identification;
	p->is_fragment = 1;
}

static uint8_t parse_ipv4(const uint8_t *frame, size_t length, struct packet *p)
{
	const uint8_t *ip = frame + p->ip;
	size_t have = length - p->ip;

	if (have < IPV4_HEADER || ip[0] >> 4 != 4)
		return PACKET_MALFORMED;
	size_t header = (size_t)(ip[0] & 15) * 4;
	size_t total = ntohs(load_u16(ip + 2));
	if (header < IPV4_HEADER || total < header || total > have)
		return PACKET_MALFORMED;
	p->family = 4;
	p->traffic_class = ip[1];
	p->ttl = ip[8];
	p->source.half[0] = load_u32(ip + 12);
	p->source.half[1] = 0;
	p->dest.half[0] = load_u32(ip + 16);
	p->dest.half[1] = 0;
	uint16_t fragment = ntohs(load_u16(ip + 6));
	if ((fragment & IPV4_FRAGMENT_BITS) != 0)
		parse_identification(load_u16(ip + 4), p);
	if (ip[9] != IPPROTO_UDP)
		return (fragment & IPV4_FRAGMENT_OFFSET) != 0
			       ? parse_later(ip[9], fragment & IPV4_FRAGMENT_OFFSET, p)
			       : parse_other(ip + header, total - header, ip[9], false, p);
	if (checksum_fold(header_sum(ip, header)) != 0xffff)
		return PACKET_MALFORMED;
	p->udp = (uint16_t)(p->ip + header);
	if ((fragment & IPV4_FRAGMENT_BITS) == 0)
		return parse_udp(ip + header, total - header, p);
	if ((fragment & IPV4_FRAGMENT_OFFSET) != 0 || total - header < UDP_HEADER)
		return parse_later(ip[9], 0, p);
	parse_ports(ip + header, p);
	return PACKET_FRAGMENT;
}

/* Follows extension headers up to UDP. `left` counts from `at`. */
static uint8_t parse_ipv6_extensions(const uint8_t *at, size_t left, uint8_t next, struct packet *p)
{
	bool fragment = false;

	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		size_t size = 0;

		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (left < 8)
				return PACKET_MALFORMED;
			size = ((size_t)at[1] + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (left < 8)
				return PACKET_MALFORMED;
			if ((ntohs(load_u16(at + 2)) & IPV6_FRAGMENT_BITS) != 0)
				parse_identification(load_u32(at + 4), p);
			if ((ntohs(load_u16(at + 2)) & IPV6_FRAGMENT_OFFSET) != 0)
				return parse_later(at[0], ntohs(load_u16(at + 2)) >> 3, p);
			fragment = fragment || (ntohs(load_u16(at + 2)) & IPV6_FRAGMENT_BITS) != 0;
			size = 8;
			break;
		case IPPROTO_UDP:
			if (left < UDP_HEADER)
				return fragment ? parse_later(next, 0, p) : PACKET_MALFORMED;
			parse_ports(at, p);
			return fragment ? PACKET_FRAGMENT : PACKET_EXTENDED;
		default:
			return parse_other(at, left, next, fragment, p);
		}
		if (size > left)
			return PACKET_MALFORMED;
		next = at[0];
		at += size;
		left -= size;
	}
	return PACKET_MALFORMED;
}

static uint8_t parse_ipv6(const uint8_t *frame, size_t length, struct packet *p)
{
	const uint8_t *ip = frame + p->ip;
	size_t have = length - p->ip;

	if (have < IPV6_HEADER || ip[0] >> 4 != 6)
		return PACKET_MALFORMED;
	size_t payload = ntohs(load_u16(ip + 4));
	if (payload > have - IPV6_HEADER)
		return PACKET_MALFORMED;
	p->family = 6;
	p->traffic_class = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	p->ttl = ip[7];
	memcpy(&p->source, ip + 8, sizeof(p->source));
	memcpy(&p->dest, ip + 24, sizeof(p->dest));
	p->udp = (uint16_t)(p->ip + IPV6_HEADER);
	if (ip[6] == IPPROTO_UDP)
		return parse_udp(ip + IPV6_HEADER, payload, p);
	return parse_ipv6_extensions(ip + IPV6_HEADER, payload, ip[6], p);
}

static bool is_tag(uint16_t type)
{
	return type == htons(ETHERTYPE_VLAN) || type == htons(ETHERTYPE_QINQ);
}

/* EtherType, behind an 802.1Q tag if there is one. false: too short, or another tag: the kernel looks behind as many as there are,
 * and what it found there would have passed nobody here. */
static bool parse_link(const uint8_t *frame, size_t length, uint16_t *type, struct packet *p)
{
	p->class = PACKET_MALFORMED;
	p->family = 0;
	p->vlan = 0;
	p->is_fragment = p->follows = 0;
	if (length < ETHER_HEADER)
		return false;
	*type = load_u16(frame + 12);
	p->ip = ETHER_HEADER;
	if (*type == htons(ETHERTYPE_VLAN)) {
		if (length < ETHER_HEADER + VLAN_TAG)
			return false;
		p->vlan = ntohs(load_u16(frame + ETHER_HEADER)) & 0x0fff;
		*type = load_u16(frame + ETHER_HEADER + 2);
		p->ip = ETHER_HEADER + VLAN_TAG;
	}
	return !is_tag(*type);
}

static uint8_t not_ip(struct packet *p)
{
	p->protocol = 0;
	p->kind = PACKET_NOT_IP;
	return PACKET_OTHER;
}

void packet_parse_any(const uint8_t *frame, size_t length, struct packet *p)
{
	uint16_t type;

	if (!parse_link(frame, length, &type, p))
		return;
	if (type == htons(ETHERTYPE_IP))
		p->class = parse_ipv4(frame, length, p);
	else if (type == htons(ETHERTYPE_IPV6))
		p->class = parse_ipv6(frame, length, p);
	else
		p->class = not_ip(p);
}

/* The ports of a frame that is no fragment stand in its first buffer; what follows them is not looked at. */
static uint8_t parse_long(const uint8_t *at, size_t available, uint8_t protocol, struct packet *p)
{
	if (protocol == IPPROTO_TCP)
		return parse_other(at, available, protocol, false, p);
	if (protocol == IPPROTO_UDP && available >= UDP_HEADER) {
		parse_ports(at, p);
		p->follows = 1;
	}
	return parse_later(protocol, 0, p);
}

void packet_parse_long(const uint8_t *frame, size_t length, struct packet *p)
{
	uint16_t type;

	if (!parse_link(frame, length, &type, p))
		return;
	const uint8_t *ip = frame + p->ip;
	size_t have = length - p->ip;
	p->source = p->dest = (union host){ 0 };
	if (type == htons(ETHERTYPE_IP) && have >= IPV4_HEADER) {
		size_t header = (size_t)(ip[0] & 15) * 4;
		bool whole = header >= IPV4_HEADER && header <= have &&
			     (ntohs(load_u16(ip + 6)) & IPV4_FRAGMENT_BITS) == 0;

		p->family = 4;
		p->source.half[0] = load_u32(ip + 12);
		p->dest.half[0] = load_u32(ip + 16);
		p->class =
			whole ? parse_long(ip + header, have - header, ip[9], p) : parse_later(ip[9], 0, p);
	} else if (type == htons(ETHERTYPE_IPV6) && have >= IPV6_HEADER) {
		p->family = 6;
		memcpy(&p->source, ip + 8, sizeof(p->source));
		memcpy(&p->dest, ip + 24, sizeof(p->dest));
		p->class = parse_long(ip + IPV6_HEADER, have - IPV6_HEADER, ip[6], p);
	} else if (type != htons(ETHERTYPE_IP) && type != htons(ETHERTYPE_IPV6)) {
		p->class = not_ip(p);
	}
}
