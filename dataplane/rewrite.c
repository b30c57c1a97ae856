/* SPDX-License-Identifier: BSD-3-Clause */
/* New headers for a relayed datagram. The UDP checksum is carried on incrementally, so that an error of the sender or of
 * the path is still an error for the receiver. */
#include "dataplane/rewrite.h"

/* RFC 768 pseudo header (RFC 8200 section 8.1 for IPv6: the same sum) over the datagram as it stands at `udp`. */
static uint16_t udp_checksum_full(const uint8_t *udp, uint16_t length, const struct rewrite *r)
{
	uint64_t sum = checksum_host(r->source) + checksum_host(r->dest) + htons(length) + htons(IPPROTO_UDP);
	uint16_t checksum = (uint16_t)~checksum_fold(sum + checksum_sum(udp, length));

	return checksum == 0 ? 0xffff : checksum;
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

	if (p->family == 4 && r->family == 4)
		return rewrite_plain(frame, p, r, length);
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
		rewrite_ipv4(
			ip, r, traffic_class, udp_length, (uint64_t)r->source->word[0] + r->dest->word[0]);
	else
		write_ipv6(ip, r, traffic_class, udp_length);
	uint8_t *start = ip - ETHER_HEADER - (r->vlan != 0 ? VLAN_TAG : 0);
	rewrite_ethernet(start, r);
	*length = (size_t)(udp - start) + udp_length;
	return start;
}
