/* SPDX-License-Identifier: BSD-3-Clause */
/* New headers for a relayed datagram. The UDP checksum is carried on incrementally, so that an error of the sender or of
 * the path is still an error for the receiver. */
#include "dataplane/rewrite.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "dataplane/checksum.h"

enum { ECN_BITS = 0x03, IPV4_DONT_FRAGMENT = 0x4000 };

/* RFC 768 pseudo header (RFC 8200 section 8.1 for IPv6: the same sum) over the datagram as it stands at `udp`. */
static uint16_t udp_checksum_full(const uint8_t *udp, uint16_t length, const struct rewrite *r)
{
	uint64_t sum = checksum_host(r->source) + checksum_host(r->dest) + htons(length) + htons(IPPROTO_UDP);
	uint16_t checksum = (uint16_t)~checksum_fold(sum + checksum_sum(udp, length));

	return checksum == 0 ? 0xffff : checksum;
}

static void write_ethernet(uint8_t *frame, const struct rewrite *r)
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
 * and summed in registers: reading the header back right after writing it would stall. */
static void write_ipv4(uint8_t *ip, const struct rewrite *r, uint8_t traffic_class, uint16_t udp_length)
{
	uint32_t first = htonl((uint32_t)(4 << 4 | IPV4_HEADER / 4) << 24 | (uint32_t)traffic_class << 16 |
			       (uint32_t)(IPV4_HEADER + udp_length));
	uint32_t second = htonl(IPV4_DONT_FRAGMENT);
	uint16_t third = htons((uint16_t)(r->ttl << 8 | IPPROTO_UDP));
	uint32_t source = r->source->word[0], dest = r->dest->word[0];
	uint64_t sum = (uint64_t)first + second + third + source + dest;

	store_u32(ip, first);
	store_u32(ip + 4, second);
	store_u16(ip + 8, third);
	store_u16(ip + 10, (uint16_t)~checksum_fold(sum));
	store_u32(ip + 12, source);
	store_u32(ip + 16, dest);
}

static void write_ipv6(uint8_t *ip, const struct rewrite *r, uint8_t traffic_class, uint16_t udp_length)
{
	store_u32(ip, htonl(6U << 28 | (uint32_t)traffic_class << 20));
	store_u16(ip + 4, htons(udp_length));
	ip[6] = IPPROTO_UDP;
	ip[7] = r->ttl;
	memcpy(ip + 8, r->source, sizeof(*r->source));
	memcpy(ip + 24, r->dest, sizeof(*r->dest));
}

uint8_t *rewrite_headers(uint8_t *frame, const struct packet *p, const struct rewrite *r, size_t *length)
{
	uint8_t *udp = frame + p->udp;
	uint16_t udp_length = (uint16_t)(p->payload + UDP_HEADER);
	uint16_t checksum = load_u16(udp + 6);
	uint8_t traffic_class = (uint8_t)(r->dscp | (p->traffic_class & ECN_BITS));

	if (checksum == 0 && p->family == 6)
		return NULL;
	store_u16(udp, r->source_port);
	store_u16(udp + 2, r->dest_port);
	if (checksum != 0)
		checksum = checksum_update(checksum,
			checksum_host(&p->source) + checksum_host(&p->dest) + p->source_port + p->dest_port,
			checksum_host(r->source) + checksum_host(r->dest) + r->source_port + r->dest_port);
	else if (r->family == 6)
		checksum = udp_checksum_full(udp, udp_length, r);
	store_u16(udp + 6, checksum);

	uint8_t *ip = udp - (r->family == 4 ? IPV4_HEADER : IPV6_HEADER);
	if (r->family == 4)
		write_ipv4(ip, r, traffic_class, udp_length);
	else
		write_ipv6(ip, r, traffic_class, udp_length);
	uint8_t *start = ip - ETHER_HEADER - (r->vlan != 0 ? VLAN_TAG : 0);
	write_ethernet(start, r);
	*length = (size_t)(udp - start) + udp_length;
	return start;
}
