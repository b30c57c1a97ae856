/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewriting headers, against a full recomputation of every checksum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "dataplane/parse.h"
#include "dataplane/rewrite.h"

enum { HEADROOM = 64, ROUNDS = 20000 };

/* RFC 1071 in its plainest form, on purpose not the code under test. */
static uint32_t plain_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t plain_udp(const uint8_t *ip, int family)
{
	const uint8_t *udp = ip + (family == 4 ? 20 : 40);
	uint16_t length = (uint16_t)(udp[4] << 8 | udp[5]);
	uint32_t sum = plain_sum(family == 4 ? ip + 12 : ip + 8, family == 4 ? 8 : 32, 17U + length);

	sum = plain_sum(udp, 6, sum);
	sum = plain_sum(udp + 8, length - 8U, sum);
	uint16_t c = (uint16_t)~sum;
	return c == 0 ? 0xffff : c;
}

static uint32_t seed = 12345;

static uint32_t random_word(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8 ^ seed << 16;
}

static void random_fill(uint8_t *p, size_t n)
{
	while (n-- > 0)
		*p++ = (uint8_t)random_word();
}

struct made {
	uint8_t memory[2048];
	uint8_t *frame;
	struct packet p;
	size_t length;
};

static void make(struct made *m, int family, size_t payload, bool checksum)
{
	size_t header = family == 4 ? 20 : 40;
	uint8_t *f = m->frame = m->memory + HEADROOM, *ip = f + 14, *udp = ip + header;

	random_fill(m->memory, sizeof(m->memory));
	store_u16(f + 12, htons(family == 4 ? 0x0800 : 0x86dd));
	if (family == 4) {
		ip[0] = 0x45;
		store_u16(ip + 2, htons((uint16_t)(28 + payload)));
		store_u16(ip + 6, 0);
		ip[9] = 17;
		store_u16(ip + 10, 0);
		uint16_t c = (uint16_t)~plain_sum(ip, 20, 0);
		ip[10] = (uint8_t)(c >> 8);
		ip[11] = (uint8_t)c;
	} else {
		ip[0] = (uint8_t)(0x60 | (ip[0] & 15));
		store_u16(ip + 4, htons((uint16_t)(8 + payload)));
		ip[6] = 17;
	}
	store_u16(udp + 4, htons((uint16_t)(8 + payload)));
	store_u16(udp + 6, checksum ? htons(plain_udp(ip, family)) : 0);
	m->length = 14 + header + 8 + payload;
	packet_parse(f, m->length, &m->p);
	assert_int_equal(m->p.class, PACKET_UDP);
}

static void check(struct made *m, const struct rewrite *r, size_t payload, bool checksum)
{
	uint8_t before[2048];
	size_t length = 0;

	memcpy(before, m->frame + m->p.udp + 8, payload);
	uint8_t *start = rewrite_headers(m->frame, &m->p, r, &length);
	assert_non_null(start);
	assert_true(start >= m->frame - PACKET_GROWTH_MAX);
	uint8_t *ip = start + 14 + (r->vlan != 0 ? 4 : 0), *udp = ip + (r->family == 4 ? 20 : 40);
	assert_int_equal(length, (size_t)(udp - start) + 8 + payload);
	assert_memory_equal(start, r->dest_mac, 6);
	assert_memory_equal(start + 6, r->source_mac, 6);
	assert_memory_equal(udp + 8, before, payload);
	if (r->family == 4) {
		assert_int_equal(plain_sum(ip, 20, 0), 0xffff);
		assert_memory_equal(ip + 12, r->source, 4);
		assert_memory_equal(ip + 16, r->dest, 4);
	} else {
		assert_memory_equal(ip + 8, r->source, 16);
		assert_memory_equal(ip + 24, r->dest, 16);
	}
	uint16_t have = ntohs(load_u16(udp + 6));
	if (!checksum && r->family == 4)
		assert_int_equal(have, 0);
	else
		assert_int_equal(have, plain_udp(ip, r->family));
	struct packet again;
	packet_parse(start, length, &again);
	assert_int_equal(again.class, PACKET_UDP);
	assert_int_equal(again.payload, payload);
	assert_int_equal(again.ttl, r->ttl);
	assert_int_equal(again.vlan, r->vlan);
	assert_int_equal(again.traffic_class, r->dscp | (m->p.traffic_class & 3));
}

static void random_packets_keep_true_checksums_in_all_four_family_pairs(void **state)
{
	static struct made m;
	uint8_t macs[12];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		int in = random_word() % 2 != 0 ? 4 : 6;
		size_t payload = random_word() % 1400;
		bool checksum = in == 6 || random_word() % 4 != 0;
		union host source, dest;
		struct rewrite r = { .source = &source,
			.dest = &dest,
			.source_port = (uint16_t)random_word(),
			.dest_port = (uint16_t)random_word(),
			.family = random_word() % 2 != 0 ? 4 : 6,
			.dscp = 46 << 2,
			.ttl = 63,
			.vlan = (uint16_t)(random_word() % 3 == 0 ? 7 : 0) };

		make(&m, in, payload, checksum);
		random_fill(macs, 12);
		r.source_mac = macs;
		r.dest_mac = macs + 6;
		random_fill(source.byte, 16);
		random_fill(dest.byte, 16);
		if (r.family == 4) {
			source = (union host){ .word = { source.word[0] } };
			dest = (union host){ .word = { dest.word[0] } };
		}
		check(&m, &r, payload, checksum);
	}
}

/* All payloads of two bytes: among them those whose sum comes out as zero. */
static void a_checksum_of_zero_is_never_sent_over_ipv6(void **state)
{
	static struct made m;
	union host source = { .byte = { 0x20, 1 } }, dest = { .byte = { 0x20, 2 } };
	const uint8_t mac[6] = { 2 };
	unsigned all_ones = 0;

	(void)state;
	for (uint32_t v = 0; v < 0x10000; v++) {
		struct rewrite r = { .source = &source,
			.dest = &dest,
			.source_port = 1,
			.dest_port = 2,
			.family = 6,
			.ttl = 9,
			.source_mac = mac,
			.dest_mac = mac };
		size_t length;

		make(&m, 4, 2, true);
		uint8_t *udp = m.frame + m.p.udp;
		store_u16(udp + 8, (uint16_t)v);
		store_u16(udp + 6, htons(plain_udp(m.frame + 14, 4)));
		uint8_t *start = rewrite_headers(m.frame, &m.p, &r, &length);
		uint16_t have = load_u16(start + 54 + 6);
		assert_int_not_equal(have, 0);
		assert_int_equal(ntohs(have), plain_udp(start + 14, 6));
		all_ones += have == 0xffff;
	}
	assert_true(all_ones > 0);
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	static struct made m;
	union host source = { .byte = { 10, 0, 0, 1 } }, dest = { .byte = { 10, 0, 0, 2 } };
	const uint8_t mac[6] = { 2 };
	struct rewrite r = {
		.source = &source, .dest = &dest, .family = 4, .ttl = 9, .source_mac = mac, .dest_mac = mac
	};
	size_t length;

	(void)state;
	make(&m, 4, 100, true);
	m.frame[m.p.udp + 30] ^= 0x40;
	uint8_t *start = rewrite_headers(m.frame, &m.p, &r, &length);
	assert_int_not_equal(ntohs(load_u16(start + 34 + 6)), plain_udp(start + 14, 4));
}

static void ipv6_without_checksum_is_refused(void **state)
{
	static struct made m;
	union host a = { 0 };
	const uint8_t mac[6] = { 2 };
	struct rewrite r = {
		.source = &a, .dest = &a, .family = 4, .ttl = 9, .source_mac = mac, .dest_mac = mac
	};
	size_t length;

	(void)state;
	make(&m, 6, 100, false);
	assert_null(rewrite_headers(m.frame, &m.p, &r, &length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packets_keep_true_checksums_in_all_four_family_pairs),
		cmocka_unit_test(a_checksum_of_zero_is_never_sent_over_ipv6),
		cmocka_unit_test(a_wrong_checksum_stays_wrong),
		cmocka_unit_test(ipv6_without_checksum_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
