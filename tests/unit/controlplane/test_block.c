/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of dropped packets: what is read out of a packet's head, who is found, who gives way to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/block.h"

static struct block_store *store;
static struct cp_block listed[CP_BLOCK_PAGE];

static int setup(void **state)
{
	(void)state;
	store = block_new();
	return store ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	block_free(store);
	return 0;
}

/* A frame with this payload; returns its length. */
static size_t frame_build(uint8_t *out, unsigned tags, uint8_t family, uint8_t protocol, const char *payload)
{
	size_t n = 12;

	memset(out, 0, DP_SAMPLE_MAX);
	for (; tags > 0; tags--, n += 4)
		out[n] = 0x81;
	out[n++] = family == 6 ? 0x86 : 0x08;
	out[n++] = family == 6 ? 0xdd : 0x00;
	out[n] = family == 6 ? 0x60 : 0x45;
	out[n + (family == 6 ? 6 : 9)] = protocol;
	n += family == 6 ? 40 : 20;
	if (protocol == 6)
		out[n + 12] = 0x50;
	n += protocol == 6 ? 20 : 8;
	memcpy(out + n, payload, strlen(payload));
	return n + strlen(payload);
}

static void add_octets(const char *source, uint32_t counter, const uint8_t *octets, size_t captured)
{
	struct dp_sample sample = { .counter = counter,
		.interface = 0,
		.length = (uint16_t)captured,
		.captured = (uint16_t)captured,
		.protocol = 17 };
	/* Exactly as long as it says, so that a reader beyond it is found. */
	uint8_t *exact = malloc(captured ? captured : 1);
	union address a;

	assert_non_null(exact);
	memcpy(exact, octets, captured);
	assert_int_equal(address_parse(span_from(source), 0, &a), 0);
	dp_address_from(&sample.source, &a);
	assert_int_equal(address_parse(SPAN("203.0.113.10:5060"), 0, &a), 0);
	dp_address_from(&sample.dest, &a);
	block_add(store, &sample, exact, "outside", 1000);
	free(exact);
}

static void add(const char *source, uint32_t counter, const char *payload)
{
	uint8_t octets[DP_SAMPLE_MAX];
	size_t n = frame_build(octets, 0, 4, 17, payload);

	add_octets(source, counter, octets, n);
}

static bool more;

static size_t list_before(const char *source, uint16_t port, uint64_t before, size_t limit)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(span_from(source), &prefix), 0);
	address_set_port(&prefix.address, port);
	return block_list(store, &prefix, before, limit, listed, &more);
}

static size_t list(const char *source)
{
	return list_before(source, 0, 0, CP_BLOCK_PAGE);
}

static void a_dropped_request_is_told_with_its_first_line(void **state)
{
	(void)state;
	add("198.51.100.7:5062", DP_COUNTER_DROP_BANNED,
		"INVITE sip:00972@203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n");
	assert_int_equal(list("198.51.100.7"), 1);
	assert_string_equal(listed[0].line, "INVITE sip:00972@203.0.113.10 SIP/2.0");
	assert_string_equal(listed[0].source, "198.51.100.7:5062");
	assert_string_equal(listed[0].dest, "203.0.113.10:5060");
	assert_string_equal(listed[0].interface, "outside");
	assert_int_equal(listed[0].counter, DP_COUNTER_DROP_BANNED);
	assert_int_equal(listed[0].wall_ms, 1000);
	assert_false(more);
}

static void the_first_line_is_found_in_every_encapsulation(void **state)
{
	static const struct {
		unsigned tags;
		uint8_t family, protocol;
	} cases[] = { { 0, 4, 17 }, { 1, 4, 17 }, { 2, 6, 17 }, { 0, 6, 6 }, { 0, 4, 6 } };
	uint8_t octets[DP_SAMPLE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = frame_build(
			octets, cases[i].tags, cases[i].family, cases[i].protocol, "SIP/2.0 200 OK\r\n");

		add_octets("192.0.2.1:5060", 0, octets, n);
		assert_int_equal(list("192.0.2.1"), i + 1);
		assert_string_equal(listed[0].line, "SIP/2.0 200 OK");
	}
}

static void what_is_no_sip_has_no_line(void **state)
{
	static const char *const payloads[] = { "", "\r\n\r\n", "GET / HTTP/1.1\r\n",
		"invite sip:x SIP/2.0\r\n", "INVITE sip:x\r\n", " SIP/2.0\r\n", "\x80\x08rtp", "OPTIONS",
		"INVITE http:x" };

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		add("192.0.2.1:5060", (uint32_t)i, payloads[i]);
		assert_true(list("192.0.2.1") > 0);
		assert_string_equal(listed[0].line, "");
	}
}

static void a_line_that_is_cut_is_known_by_its_beginning(void **state)
{
	char payload[400] = "REGISTER sip:";

	(void)state;
	memset(payload + strlen(payload), 'a', 300);
	add("192.0.2.1:5060", 0, payload);
	assert_int_equal(list("192.0.2.1"), 1);
	assert_int_equal(strlen(listed[0].line), CP_LINE_MAX - 1);
	assert_memory_equal(listed[0].line, "REGISTER sip:aaaa", 17);
}

static void nothing_that_steers_a_terminal_is_kept(void **state)
{
	(void)state;
	add("192.0.2.1:5060", 0, "OPTIONS sip:\x1b[2J\x07\x9b\t\xff@x SIP/2.0\r\n");
	assert_int_equal(list("192.0.2.1"), 1);
	assert_string_equal(listed[0].line, "OPTIONS sip:?[2J????@x SIP/2.0");
}

static void passwords_and_headers_in_an_address_are_not_kept(void **state)
{
	static const char *const lines[][2] = {
		{ "INVITE sip:bob:secret@example.net:5060 SIP/2.0",
			"INVITE sip:bob:******@example.net:5060 SIP/2.0" },
		{ "INVITE sips:bob:a?b@example.net SIP/2.0", "INVITE sips:bob:***@example.net SIP/2.0" },
		{ "INVITE sip:bob:a@b@example.net SIP/2.0", "INVITE sip:bob:***@example.net SIP/2.0" },
		{ "INVITE sip:bob@example.net?Authorization=x@y SIP/2.0",
			"INVITE sip:bob@example.net?***************** SIP/2.0" },
		{ "INVITE sip:example.net:5060?Authorization=x SIP/2.0",
			"INVITE sip:example.net:5060?*************** SIP/2.0" },
		{ "INVITE sip:bob@[2001:db8::1]:5060 SIP/2.0", "INVITE sip:bob@[2001:db8::1]:5060 SIP/2.0" },
		{ "INVITE sip:[2001:db8::1]:5060 SIP/2.0", "INVITE sip:[2001:db8::1]:5060 SIP/2.0" },
		{ "INVITE sip:example.net:5060;lr SIP/2.0", "INVITE sip:example.net:5060;lr SIP/2.0" },
		{ "INVITE tel:+4930123456 SIP/2.0", "INVITE tel:+4930123456 SIP/2.0" },
		{ "SIP/2.0 200 call: a?b@c", "SIP/2.0 200 call: a?b@c" },
	};
	static const char *const cut[][2] = {
		{ "REGISTER sip:bob:secr", "REGISTER sip:bob:****" },
		{ "REGISTER sip:bob:12ab", "REGISTER sip:bob:****" },
		{ "REGISTER sip:example.net:50", "REGISTER sip:example.net:50" },
		{ "REGISTER sip:example.net", "REGISTER sip:example.net" },
		{ "REGISTER sip:", "REGISTER sip:" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[160];

		snprintf(text, sizeof(text), "%s\r\n\r\n", lines[i][0]);
		add("192.0.2.7", DP_COUNTER_DROP_BANNED, text);
		list("192.0.2.7");
		assert_string_equal(listed[0].line, lines[i][1]);
	}
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		add("192.0.2.7", DP_COUNTER_DROP_BANNED, cut[i][0]);
		list("192.0.2.7");
		assert_string_equal(listed[0].line, cut[i][1]);
	}
}

static void torn_packets_are_kept_without_a_line(void **state)
{
	uint8_t octets[DP_SAMPLE_MAX];
	size_t whole = frame_build(octets, 1, 4, 6, "BYE sip:x SIP/2.0\r\n");

	(void)state;
	for (size_t n = 0; n < whole - 19; n++) {
		add_octets("192.0.2.1:5060", 0, octets, n);
		assert_true(list("192.0.2.1") > 0);
		assert_string_equal(listed[0].line, "");
	}
	/* Headers that claim to be longer or shorter than they may be, and a later fragment. */
	octets[18] = 0x4f;
	add_octets("192.0.2.1:5060", 0, octets, whole);
	octets[18] = 0x41;
	add_octets("192.0.2.1:5060", 0, octets, whole);
	octets[18] = 0x45;
	octets[18 + 7] = 1;
	add_octets("192.0.2.1:5060", 0, octets, whole);
	octets[18 + 7] = 0;
	octets[18 + 20 + 12] = 0xf0;
	add_octets("192.0.2.1:5060", 0, octets, whole);
	list("192.0.2.1");
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(listed[i].line, "");
}

static void networks_ports_and_families_are_told_apart(void **state)
{
	(void)state;
	add("198.51.100.7:5062", 0, "");
	add("198.51.100.7:5063", 0, "");
	add("198.51.101.7:5062", 0, "");
	add("[2001:db8::7]:5062", 0, "");
	assert_int_equal(list("198.51.100.7"), 2);
	assert_int_equal(list_before("198.51.100.7", 5063, 0, CP_BLOCK_PAGE), 1);
	assert_int_equal(list("198.51.100.0/23"), 3);
	assert_int_equal(list("0.0.0.0/0"), 3);
	assert_int_equal(list("::/0"), 1);
	assert_int_equal(list("2001:db8::/64"), 1);
	assert_int_equal(list("198.51.100.8"), 0);
}

static void pages_go_from_the_newest_to_the_oldest_without_a_gap(void **state)
{
	char source[32];
	uint64_t before = 0, expected = 100;

	(void)state;
	for (unsigned i = 1; i <= 100; i++) {
		snprintf(source, sizeof(source), "10.0.%u.1:5060", i);
		add(source, 0, "");
	}
	do {
		size_t n = list_before("10.0.0.0/16", 0, before, 7);

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(listed[i].number, expected--);
		before = listed[n - 1].number;
	} while (more);
	assert_int_equal(expected, 0);
}

static void a_source_that_floods_pushes_nobody_out(void **state)
{
	char source[32];

	(void)state;
	for (unsigned i = 1; i <= 200; i++) {
		snprintf(source, sizeof(source), "10.0.%u.1:5060", i);
		add(source, 0, "");
	}
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(source, sizeof(source), "198.51.100.7:%u", 1 + i % 60000);
		add(source, i % 5, "");
		snprintf(source, sizeof(source), "[2001:db8::%x]:5060", i % 60000);
		add(source, i % 5, "");
	}
	assert_int_equal(list("198.51.100.7"), BLOCK_PER_SOURCE);
	assert_int_equal(list("2001:db8::/64"), BLOCK_PER_SOURCE);
	for (unsigned i = 1; i <= 200; i++) {
		snprintf(source, sizeof(source), "10.0.%u.1", i);
		assert_int_equal(list(source), 1);
	}
}

static void a_ban_leaves_what_led_to_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		add("198.51.100.7:5060", DP_COUNTER_DROP_SOURCE_RATE, "OPTIONS sip:1@x SIP/2.0\r\n");
	for (unsigned i = 0; i < 1000; i++)
		add("198.51.100.7:5060", DP_COUNTER_DROP_BANNED, "INVITE sip:2@x SIP/2.0\r\n");
	assert_int_equal(list("198.51.100.7"), BLOCK_PER_REASON + 5);
	assert_int_equal(listed[0].counter, DP_COUNTER_DROP_BANNED);
	assert_int_equal(listed[BLOCK_PER_REASON].counter, DP_COUNTER_DROP_SOURCE_RATE);
}

static void the_oldest_give_way_when_all_is_full(void **state)
{
	char source[32];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(source, sizeof(source), "10.%u.%u.1:5060", i / 250, i % 250);
		add(source, 0, "");
	}
	assert_int_equal(list("10.79.249.1"), 1);
	assert_int_equal(list("10.0.0.1"), 0);
	assert_int_equal(list_before("10.0.0.0/8", 0, 0, CP_BLOCK_PAGE), CP_BLOCK_PAGE);
	assert_true(more);
}

static void what_has_no_source_is_not_kept(void **state)
{
	struct dp_sample sample = { .captured = 0 };
	uint8_t none[1] = { 0 };

	(void)state;
	block_add(store, &sample, none, "", 0);
	assert_int_equal(list("0.0.0.0/0"), 0);
	assert_int_equal(list("::/0"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_dropped_request_is_told_with_its_first_line),
		TEST(the_first_line_is_found_in_every_encapsulation),
		TEST(what_is_no_sip_has_no_line),
		TEST(a_line_that_is_cut_is_known_by_its_beginning),
		TEST(nothing_that_steers_a_terminal_is_kept),
		TEST(passwords_and_headers_in_an_address_are_not_kept),
		TEST(torn_packets_are_kept_without_a_line),
		TEST(networks_ports_and_families_are_told_apart),
		TEST(pages_go_from_the_newest_to_the_oldest_without_a_gap),
		TEST(a_source_that_floods_pushes_nobody_out),
		TEST(a_ban_leaves_what_led_to_it),
		TEST(the_oldest_give_way_when_all_is_full),
		TEST(what_has_no_source_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
