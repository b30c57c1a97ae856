/* SPDX-License-Identifier: BSD-3-Clause */
/* What the packet path needs to know of a frame, and the IP address type it works with (network byte order throughout). */
#ifndef DATAPLANE_PACKET_H
#define DATAPLANE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	ETHER_HEADER = 14,
	VLAN_TAG = 4,
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	UDP_HEADER = 8,
	IPV4_FRAGMENT_BITS = 0x3fff, /* more-fragments and offset */
	PACKET_GROWTH_MAX = IPV6_HEADER - IPV4_HEADER + VLAN_TAG, /* headroom that rewriting may use */
};

/* IPv4 in the first four bytes, the rest zero: equal addresses of one family have equal bytes. */
union host {
	uint8_t byte[16];
	uint32_t word[4];
	uint64_t half[2];
};

static inline bool host_equal(const union host *a, const union host *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

/* What PACKET_OTHER is, as far as the border treats it differently. */
enum packet_kind {
	PACKET_NOT_IP,
	PACKET_NEIGHBOUR, /* IPv6 neighbour discovery of this link (RFC 4861: hop limit 255) */
	PACKET_TCP_SYN, /* SYN without ACK */
	PACKET_TCP, /* other segments */
	PACKET_LATER, /* a fragment without the first octets of what it belongs to; a frame in several buffers */
	PACKET_IP, /* any other */
};

enum packet_class {
	PACKET_OTHER, /* not UDP, or nothing we look into: the kernel's business. `protocol`, `kind` are set, ports only of TCP */
	PACKET_UDP, /* a whole UDP datagram; all fields are set */
	PACKET_FRAGMENT, /* first fragment of a UDP datagram: family, destination and ports are set */
	PACKET_EXTENDED, /* UDP behind IPv6 extension headers: as above */
	PACKET_MALFORMED, /* lengths, version or header checksum contradict each other */
};

struct packet {
	uint8_t class; /* enum packet_class */
	uint8_t family; /* 4, 6; 0 when not IP */
	uint8_t traffic_class;
	uint8_t ttl; /* hop limit */
	uint8_t protocol, kind; /* of PACKET_OTHER: next header, enum packet_kind */
	uint16_t vlan; /* 802.1Q identifier, 0 = untagged */
	uint16_t ip; /* offset of the IP header */
	uint16_t udp; /* offset of the UDP header */
	uint16_t payload; /* bytes behind the UDP header */
	uint16_t source_port, dest_port; /* network order */
	uint32_t identification; /* of a fragment, as it stands there */
	uint8_t is_fragment; /* `identification` is set: of PACKET_FRAGMENT and PACKET_LATER */
	uint8_t follows; /* PACKET_LATER has ports: its own, or the border found them in its first fragment */
	union host source, dest;
};

static inline uint16_t load_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

#endif
