/* SPDX-License-Identifier: BSD-3-Clause */
/* Frame parsing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "dataplane/parse.h"

static size_t make_ipv4(uint8_t *f, size_t options, size_t payload, uint16_t fragment)
{
	size_t header = 20 + options, total = header + 8 + payload;

	memset(f, 0, 14 + total);
	store_u16(f + 12, htons(0x0800));
	uint8_t *ip = f + 14;
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = 0xb8;
	store_u16(ip + 2, htons((uint16_t)total));
	store_u16(ip + 6, htons(fragment));
	ip[8] = 61;
	ip[9] = 17;
	memcpy(ip + 12, (uint8_t[]){ 10, 0, 1, 5, 10, 0, 1, 1 }, 8);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, header)));
	uint8_t *udp = ip + header;
	store_u16(udp, htons(4000));
	store_u16(udp + 2, htons(10000));
	store_u16(udp + 4, htons((uint16_t)(8 + payload)));
	return 14 + total;
}

/* `headers`: bytes of extension headers, the first of type `next`. */
static size_t make_ipv6(uint8_t *f, uint8_t next, const uint8_t *headers, size_t n, size_t payload)
{
	memset(f, 0, 14 + 40 + n + 8 + payload);
	store_u16(f + 12, htons(0x86dd));
	uint8_t *ip = f + 14;
	ip[0] = 0x6b;
	ip[1] = 0x80;
	store_u16(ip + 4, htons((uint16_t)(n + 8 + payload)));
	ip[6] = next;
	ip[7] = 61;
	ip[8] = 0x20;
	ip[24] = 0x20;
	ip[39] = 1;
	if (n != 0)
		memcpy(ip + 40, headers, n);
	uint8_t *udp = ip + 40 + n;
	store_u16(udp, htons(4000));
	store_u16(udp + 2, htons(10000));
	store_u16(udp + 4, htons((uint16_t)(8 + payload)));
	return 14 + 40 + n + 8 + payload;
}

static void udp_over_ipv4_is_understood_with_and_without_options(void **state)
{
	uint8_t f[512];
	struct packet p;

	(void)state;
	for (size_t options = 0; options <= 40; options += 4) {
		size_t n = make_ipv4(f, options, 100, 0x4000);
		packet_parse(f, n + 6, &p); /* with Ethernet padding behind */
		assert_int_equal(p.class, PACKET_UDP);
		assert_int_equal(p.family, 4);
		assert_int_equal(p.udp, 34 + options);
		assert_int_equal(p.payload, 100);
		assert_int_equal(p.traffic_class, 0xb8);
		assert_int_equal(p.ttl, 61);
		assert_int_equal(ntohs(p.source_port), 4000);
		assert_int_equal(ntohs(p.dest_port), 10000);
		assert_int_equal(p.dest.byte[3], 1);
		assert_int_equal(p.dest.half[1], 0);
	}
}

static void a_vlan_tag_is_read_and_skipped(void **state)
{
	uint8_t f[512], tagged[512];
	struct packet p;
	size_t n = make_ipv4(f, 0, 20, 0);

	(void)state;
	memcpy(tagged, f, 12);
	store_u16(tagged + 12, htons(0x8100));
	store_u16(tagged + 14, htons(0xa064)); /* priority 5, VLAN 100 */
	memcpy(tagged + 16, f + 12, n - 12);
	packet_parse(tagged, n + 4, &p);
	assert_int_equal(p.class, PACKET_UDP);
	assert_int_equal(p.vlan, 100);
	assert_int_equal(p.udp, 38);
}

static void fragments_are_told_from_whole_datagrams(void **state)
{
	uint8_t f[512];
	struct packet p;

	(void)state;
	packet_parse(f, make_ipv4(f, 0, 64, 0x2000), &p);
	assert_int_equal(p.class, PACKET_FRAGMENT);
	assert_int_equal(ntohs(p.dest_port), 10000);
	packet_parse(f, make_ipv4(f, 0, 64, 0x0010), &p);
	assert_int_equal(p.class, PACKET_OTHER);
	const uint8_t first[8] = { 17, 0, 0, 1 }, later[8] = { 17, 0, 0, 9 }, atomic[8] = { 17 };
	packet_parse(f, make_ipv6(f, 44, first, 8, 64), &p);
	assert_int_equal(p.class, PACKET_FRAGMENT);
	packet_parse(f, make_ipv6(f, 44, later, 8, 64), &p);
	assert_int_equal(p.class, PACKET_OTHER);
	packet_parse(f, make_ipv6(f, 44, atomic, 8, 64), &p);
	assert_int_equal(p.class, PACKET_EXTENDED);
}

static void ipv6_extension_headers_lead_to_the_ports(void **state)
{
	uint8_t f[512], chain[16] = { 60, 0, 0, 0, 0, 0, 0, 0, 17, 0 }, endless[80];
	struct packet p;

	(void)state;
	packet_parse(f, make_ipv6(f, 17, NULL, 0, 30), &p);
	assert_int_equal(p.class, PACKET_UDP);
	assert_int_equal(p.traffic_class, 0xb8);
	packet_parse(f, make_ipv6(f, 0, chain, 16, 30), &p);
	assert_int_equal(p.class, PACKET_EXTENDED);
	assert_int_equal(ntohs(p.dest_port), 10000);
	chain[1] = 200; /* reaches behind the packet */
	packet_parse(f, make_ipv6(f, 0, chain, 16, 30), &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	memset(endless, 0, sizeof(endless));
	for (size_t i = 0; i < sizeof(endless); i += 8)
		endless[i] = 60;
	packet_parse(f, make_ipv6(f, 60, endless, sizeof(endless), 30), &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
}

static void what_is_not_udp_is_told_apart_for_the_border(void **state)
{
	uint8_t f[512];
	struct packet p;

	(void)state;
	size_t n = make_ipv4(f, 0, 50, 0);
	f[14 + 9] = 6;
	f[34 + 13] = 0x02;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_OTHER);
	assert_int_equal(p.kind, PACKET_TCP_SYN);
	assert_int_equal(p.protocol, 6);
	assert_int_equal(ntohs(p.source_port), 4000);
	assert_int_equal(ntohs(p.dest_port), 10000);
	f[34 + 13] = 0xc2; /* with the bits of explicit congestion notification */
	packet_parse(f, n, &p);
	assert_int_equal(p.kind, PACKET_TCP_SYN);
	f[34 + 13] = 0x12;
	packet_parse(f, n, &p);
	assert_int_equal(p.kind, PACKET_TCP);
	f[14 + 9] = 1;
	packet_parse(f, n, &p);
	assert_int_equal(p.kind, PACKET_IP);
	f[12] = 0x08;
	f[13] = 0x06;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_OTHER);
	assert_int_equal(p.kind, PACKET_NOT_IP);
	assert_int_equal(p.family, 0);
}

/* Linux delivers the packet behind any number of tags of VLAN 0, of both kinds. */
static void behind_more_tags_than_one_nothing_hides(void **state)
{
	static const uint8_t tags[][4] = { { 0x81, 0, 0, 0 }, { 0x88, 0xa8, 0, 0 }, { 0x81, 0, 0, 7 } };
	uint8_t f[512];
	struct packet p;

	(void)state;
	for (unsigned vlan = 0; vlan < 8; vlan += 7)
		for (unsigned i = 0; i < 3; i++) {
			size_t n = make_ipv4(f, 0, 50, 0);

			memmove(f + 20, f + 12, n - 12);
			memcpy(f + 12, tags[0], 4);
			f[15] = (uint8_t)vlan;
			memcpy(f + 16, tags[i], 4);
			packet_parse(f, n + 8, &p);
			assert_int_equal(p.class, PACKET_MALFORMED);
			assert_int_equal(p.vlan, vlan);
			packet_parse_long(f, n + 8, &p);
			assert_int_equal(p.class, PACKET_MALFORMED);
		}
	size_t n = make_ipv4(f, 0, 50, 0);
	memmove(f + 16, f + 12, n - 12);
	memcpy(f + 12, tags[1], 4);
	packet_parse(f, n + 4, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
}

static void a_tcp_header_in_pieces_is_malformed(void **state)
{
	const uint8_t behind_ports[8] = { 6, 0, 0, 8 };
	uint8_t f[512];
	struct packet p;

	(void)state;
	size_t n = make_ipv4(f, 0, 11, 0x2000);
	f[14 + 9] = 6;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	n = make_ipv4(f, 0, 50, 0x0001); /* the rest of the first header */
	f[14 + 9] = 6;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	packet_parse(f, make_ipv6(f, 44, behind_ports, 8, 50), &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	n = make_ipv4(f, 0, 50, 0x0002);
	f[14 + 9] = 6;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_OTHER);
	assert_int_equal(p.kind, PACKET_LATER);
}

static void neighbour_discovery_is_that_of_this_link(void **state)
{
	const uint8_t whole[8] = { 58 };
	uint8_t f[512];
	struct packet p;

	(void)state;
	for (uint8_t type = 132; type <= 138; type++) {
		size_t n = make_ipv6(f, 58, NULL, 0, 30);
		f[14 + 7] = 255;
		f[54] = type;
		packet_parse(f, n, &p);
		assert_int_equal(p.class, PACKET_OTHER);
		assert_int_equal(p.kind, type >= 133 && type <= 137 ? PACKET_NEIGHBOUR : PACKET_IP);
		f[14 + 7] = 254; /* came through a router */
		packet_parse(f, n, &p);
		assert_int_equal(p.kind, PACKET_IP);
	}
	size_t n = make_ipv6(f, 44, whole, 8, 30);
	f[14 + 7] = 255;
	f[54] = 58;
	f[54 + 3] = 1; /* more to come: RFC 6980 forbids it */
	f[62] = 135;
	packet_parse(f, n, &p);
	assert_int_equal(p.kind, PACKET_IP);
}

static void a_frame_in_several_buffers_still_has_a_source(void **state)
{
	uint8_t f[512];
	struct packet p;
	union host source;

	(void)state;
	size_t n = make_ipv4(f, 0, 300, 0);
	packet_parse(f, n, &p);
	source = p.source;
	packet_parse_long(f, 100, &p);
	assert_int_equal(p.class, PACKET_OTHER);
	assert_int_equal(p.kind, PACKET_LATER);
	assert_int_equal(p.family, 4);
	assert_true(host_equal(&p.source, &source));
	packet_parse_long(f, 30, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	n = make_ipv6(f, 17, NULL, 0, 300);
	packet_parse(f, n, &p);
	source = p.source;
	packet_parse_long(f, 60, &p);
	assert_int_equal(p.family, 6);
	assert_true(host_equal(&p.source, &source));
}

static void contradicting_lengths_and_checksums_are_malformed(void **state)
{
	uint8_t f[512];
	struct packet p;
	size_t n = make_ipv4(f, 0, 50, 0);

	(void)state;
	f[14 + 10] ^= 1;
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	n = make_ipv4(f, 0, 50, 0);
	store_u16(f + 34 + 4, htons(7));
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	store_u16(f + 34 + 4, htons(59));
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_MALFORMED);
	store_u16(f + 34 + 4, htons(30)); /* shorter than IP says: UDP counts */
	packet_parse(f, n, &p);
	assert_int_equal(p.class, PACKET_UDP);
	assert_int_equal(p.payload, 22);
}

/* Each prefix lies at the end of its own heap block: an over-read is the sanitizer's or the heap's to find. */
static void no_prefix_of_a_packet_is_taken_for_the_packet(void **state)
{
	uint8_t f[512];
	struct packet p;
	const uint8_t chain[16] = { 60, 0, 0, 0, 0, 0, 0, 0, 17, 0 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		size_t n = kind == 0 ? make_ipv4(f, 8, 20, 0)
				     : make_ipv6(f, kind == 1 ? 17 : 0, chain, kind == 1 ? 0 : 16, 20);

		for (size_t k = 0; k < n; k++) {
			uint8_t *copy = malloc(k + 1);

			memcpy(copy, f, k);
			packet_parse(copy, k, &p);
			assert_int_equal(p.class, PACKET_MALFORMED);
			free(copy);
		}
	}
}

static uint32_t seed = 20;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Every bit of the headers is met wrong, with the checksum mended and without. */
static void the_common_frame_is_parsed_alike_in_line_and_by_all_rules(void **state)
{
	unsigned plain = 0, other = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t f[512];
		struct packet p, any;
		size_t n = make_ipv4(f, 0, 20 + random_below(60), 0), ip = ETHER_HEADER;

		if (random_below(2) == 0) {
			memmove(f + 16, f + 12, n - 12);
			memcpy(f + 12, (uint8_t[]){ 0x81, 0, (uint8_t)random_below(256), 7 }, 4);
			n += 4;
			ip += 4;
		}
		for (unsigned k = random_below(3); k > 0; k--)
			f[12 + random_below(46)] ^= (uint8_t)(1 << random_below(8));
		if (random_below(2) == 0) {
			store_u16(f + ip + 10, 0);
			store_u16(f + ip + 10, (uint16_t)~checksum_fold(checksum_sum(f + ip, IPV4_HEADER)));
		}
		if (random_below(4) == 0)
			n = random_below((uint32_t)n + 8);
		memset(&p, 0xa5, sizeof(p));
		memset(&any, 0xa5, sizeof(any));
		bool is_plain = packet_parse_plain(f, n, &p);
		packet_parse_any(f, n, &any);
		if (is_plain)
			assert_memory_equal(&p, &any, sizeof(p));
		plain += is_plain;
		other += !is_plain;
	}
	assert_true(plain > 50000 && other > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_common_frame_is_parsed_alike_in_line_and_by_all_rules),
		cmocka_unit_test(udp_over_ipv4_is_understood_with_and_without_options),
		cmocka_unit_test(a_vlan_tag_is_read_and_skipped),
		cmocka_unit_test(fragments_are_told_from_whole_datagrams),
		cmocka_unit_test(ipv6_extension_headers_lead_to_the_ports),
		cmocka_unit_test(what_is_not_udp_is_told_apart_for_the_border),
		cmocka_unit_test(behind_more_tags_than_one_nothing_hides),
		cmocka_unit_test(a_tcp_header_in_pieces_is_malformed),
		cmocka_unit_test(neighbour_discovery_is_that_of_this_link),
		cmocka_unit_test(a_frame_in_several_buffers_still_has_a_source),
		cmocka_unit_test(contradicting_lengths_and_checksums_are_malformed),
		cmocka_unit_test(no_prefix_of_a_packet_is_taken_for_the_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
