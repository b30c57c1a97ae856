/* SPDX-License-Identifier: BSD-3-Clause */
/* Nothing a source says about itself in words passes; all else of RTCP does, and the checksum stays right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/checksum.h"
#include "dataplane/rtcp.h"

static const struct hash_key key = { { 1, 2 } };

/* A datagram whose pseudo header sums to nothing, so that its checksum is that of the payload alone. */
struct datagram {
	uint8_t udp[UDP_HEADER + 512];
	size_t length;
};

static void datagram_set(struct datagram *d, const void *payload, size_t n)
{
	memset(d, 0, sizeof(*d));
	memcpy(d->udp + UDP_HEADER, payload, n);
	d->length = n;
	store_u16(d->udp + 6, (uint16_t)~checksum_fold(checksum_sum(payload, n)));
}

static void assert_checksum(const struct datagram *d)
{
	uint16_t right = (uint16_t)~checksum_fold(checksum_sum(d->udp + UDP_HEADER, d->length));

	assert_int_equal(load_u16(d->udp + 6), right == 0 ? 0xffff : right);
}

#define RECEIVER_REPORT 0x80, 201, 0, 1, 1, 2, 3, 4
/* CNAME of 10 octets, TOOL of 4, END, padding: 4 + 12 + 6 + 2 = 24 octets behind the header. */
#define DESCRIPTION(count)                                                                                   \
	(0x80 | (count)), 202, 0, 6, 1, 2, 3, 4, 1, 10, 'b', 'o', 'b', '@', '1', '0', '.', '0', '.', '5', 6, \
		4, 'r', 'e', '-', '1', 0, 0

static void names_and_tools_are_overwritten_and_the_rest_is_not(void **state)
{
	static const uint8_t compound[] = { RECEIVER_REPORT, DESCRIPTION(1) };
	struct datagram d;

	(void)state;
	datagram_set(&d, compound, sizeof(compound));
	assert_true(rtcp_hide(d.udp, d.length, &key));
	const uint8_t *p = d.udp + UDP_HEADER;
	assert_memory_equal(p, compound, 8 + 10); /* report, header, SSRC, type and length */
	assert_memory_not_equal(p + 18, "bob@10.0.5", 10);
	assert_null(memchr(p + 18, '@', 10));
	assert_memory_equal(p + 28, "\006\004    \0\0", 8);
	assert_checksum(&d);
}

static void a_name_stays_the_same_name_and_another_is_another(void **state)
{
	static const uint8_t alone[] = { DESCRIPTION(1) };
	uint8_t changed[sizeof(alone)];
	struct datagram first, again, other;

	(void)state;
	memcpy(changed, alone, sizeof(alone));
	changed[10] = 'r';
	datagram_set(&first, alone, sizeof(alone));
	datagram_set(&again, alone, sizeof(alone));
	datagram_set(&other, changed, sizeof(changed));
	assert_true(rtcp_hide(first.udp, first.length, &key));
	assert_true(rtcp_hide(again.udp, again.length, &key));
	assert_true(rtcp_hide(other.udp, other.length, &key));
	assert_memory_equal(first.udp, again.udp, sizeof(first.udp));
	assert_memory_not_equal(first.udp + 18, other.udp + 18, 10);
}

static void several_chunks_are_all_seen(void **state)
{
	static const uint8_t two[] = { 0x82, 202, 0, 6, 1, 2, 3, 4, 1, 3, 'a', '@', 'b', 0, 0, 0, 5, 6, 7, 8,
		1, 3, 'c', '@', 'd', 0, 0, 0 };
	struct datagram d;

	(void)state;
	datagram_set(&d, two, sizeof(two));
	assert_true(rtcp_hide(d.udp, d.length, &key));
	assert_null(memchr(d.udp + UDP_HEADER, '@', d.length));
	assert_checksum(&d);
}

static void octets_behind_the_last_chunk_are_cleared(void **state)
{
	static const uint8_t none[] = { 0x80, 202, 0, 2, 's', 'e', 'c', 'r', 'e', 't', '!', '!' };
	struct datagram d;

	(void)state;
	datagram_set(&d, none, sizeof(none));
	assert_true(rtcp_hide(d.udp, d.length, &key));
	assert_memory_equal(d.udp + UDP_HEADER + 4, "\0\0\0\0\0\0\0\0", 8);
	assert_checksum(&d);
}

static void the_reason_of_a_bye_is_blanked(void **state)
{
	static const uint8_t bye[] = { 0x81, 203, 0, 3, 1, 2, 3, 4, 7, 's', 'b', 'c', '.', 'l', 'a', 'n' };
	struct datagram d;

	(void)state;
	datagram_set(&d, bye, sizeof(bye));
	assert_true(rtcp_hide(d.udp, d.length, &key));
	assert_memory_equal(d.udp + UDP_HEADER + 8, "\007       ", 8);
	assert_checksum(&d);
}

static void no_checksum_stays_no_checksum(void **state)
{
	static const uint8_t alone[] = { DESCRIPTION(1) };
	struct datagram d;

	(void)state;
	datagram_set(&d, alone, sizeof(alone));
	store_u16(d.udp + 6, 0);
	assert_true(rtcp_hide(d.udp, d.length, &key));
	assert_int_equal(load_u16(d.udp + 6), 0);
}

static void what_is_not_well_formed_is_refused(void **state)
{
	static const struct {
		const char *what;
		size_t length;
		uint8_t bytes[32];
	} bad[] = {
		{ "packet longer than the datagram", 8, { 0x80, 201, 0, 9, 1, 2, 3, 4 } },
		{ "half a header behind a packet", 10, { RECEIVER_REPORT, 0x80, 202 } },
		{ "another version behind a packet", 12, { RECEIVER_REPORT, 0x40, 202, 0, 0 } },
		{ "a chunk that is not there", 8, { 0x82, 202, 0, 1, 1, 2, 3, 4 } },
		{ "an item longer than its chunk", 12, { 0x81, 202, 0, 2, 1, 2, 3, 4, 1, 9, 'a', 'b' } },
		{ "half an item", 12, { 0x81, 202, 0, 2, 1, 2, 3, 4, 6, 1, 'a', 6 } },
		{ "a BYE of more sources than it holds", 8, { 0x85, 203, 0, 1, 1, 2, 3, 4 } },
		{ "a reason longer than its packet", 12, { 0x81, 203, 0, 2, 1, 2, 3, 4, 9, 'a', 'b', 'c' } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct datagram d;

		datagram_set(&d, bad[i].bytes, bad[i].length);
		if (rtcp_hide(d.udp, d.length, &key))
			fail_msg("accepted: %s", bad[i].what);
	}
}

static uint32_t seed = 4711;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* In a block of exactly its size: the sanitizer sees what is read behind it. */
static void whatever_the_blocks_say_nothing_behind_the_packet_is_read(void **state)
{
	struct rtcp_reports r = { 0 };
	unsigned read = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		size_t words = 2 + random_below(20), n = words * 4;
		uint8_t *udp = malloc(UDP_HEADER + n), *p = udp + UDP_HEADER;

		for (size_t k = 0; k < n; k++)
			p[k] = (uint8_t)(random_below(4) == 0 ? random_below(256) : 7);
		store_u16(udp + 6, 0);
		for (size_t at = 0; at < words;) { /* a chain of packets that fits */
			size_t length = 1 + random_below((uint32_t)(words - at));

			p[at * 4] = (uint8_t)(0x80 | random_below(32));
			p[at * 4 + 1] = (uint8_t)(200 + random_below(2));
			store_u16(p + at * 4 + 2, htons((uint16_t)(length - 1)));
			at += length;
		}
		if (rtcp_hide(udp, n, &key)) {
			rtcp_received(&r, p, n, 0x07070707, i);
			rtcp_sent(&r, p, n, 0x07070707, i);
			read++;
		}
		free(udp);
	}
	assert_true(read > 100000);
	assert_int_equal(r.last & RTCP_REPORTED, RTCP_REPORTED);
	assert_true(r.round_trip_max_us <= 60000000);
	assert_true(r.next < RTCP_SENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_tools_are_overwritten_and_the_rest_is_not),
		cmocka_unit_test(a_name_stays_the_same_name_and_another_is_another),
		cmocka_unit_test(several_chunks_are_all_seen),
		cmocka_unit_test(octets_behind_the_last_chunk_are_cleared),
		cmocka_unit_test(the_reason_of_a_bye_is_blanked),
		cmocka_unit_test(no_checksum_stays_no_checksum),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(whatever_the_blocks_say_nothing_behind_the_packet_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
