/* SPDX-License-Identifier: BSD-3-Clause */
/* Address and prefix literals, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "platforms/base/address.h"

static union address parse(const char *text)
{
	union address a;

	assert_int_equal(address_parse(span_from(text), 0, &a), 0);
	return a;
}

static void endpoints_are_parsed_and_printed_alike(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *printed;
	} cases[] = {
		{ "192.0.2.1", 5060, "192.0.2.1:5060" },
		{ "192.0.2.1:1", 5060, "192.0.2.1:1" },
		{ "192.0.2.1:65535", 5060, "192.0.2.1:65535" },
		{ "0.0.0.0", 0, "0.0.0.0:0" },
		{ "2001:db8::1", 5060, "[2001:db8::1]:5060" },
		{ "[2001:db8::1]", 5060, "[2001:db8::1]:5060" },
		{ "[2001:db8::1]:5061", 5060, "[2001:db8::1]:5061" },
		/* Without brackets everything is address. */
		{ "2001:db8::1:5061", 5060, "[2001:db8::1:5061]:5060" },
		{ "2001:DB8:0:0:0:0:0:1", 1, "[2001:db8::1]:1" },
		{ "[::]:1", 5060, "[::]:1" },
		{ "::ffff:192.0.2.1", 7, "[::ffff:192.0.2.1]:7" },
		{ "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
			"[2001:db8:1111:2222:3333:4444:5555:6666]:65535" },
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union address a;

		assert_int_equal(address_parse(span_from(cases[i].text), cases[i].default_port, &a), 0);
		assert_true(address_is_set(&a));
		assert_string_equal(address_print(&a, buffer), cases[i].printed);
	}
}

static void bad_endpoints_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		":",
		":5060",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:-1",
		"192.0.2.1:5060 ",
		"192.0.2.1:50x",
		" 192.0.2.1",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.01",
		"0x7f.1",
		"localhost",
		"[192.0.2.1]",
		"[192.0.2.1]:5060",
		"[",
		"]",
		"[]",
		"[]:5060",
		"[::1",
		"::1]",
		"[::1]5060",
		"[::1]:",
		"[::1]:0",
		"[::1]:99999",
		"[::1]]:5060",
		"[[::1]]:5060",
		"2001:db8::1::2",
		"fe80::1%eth0",
		"1:2:3:4:5:6:7:8:9",
		"12345::",
		"192.0.2.1/24",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union address a;

		if (address_parse(span_from(cases[i]), 5060, &a) != -EINVAL)
			fail_msg("\"%s\" was accepted", cases[i]);
	}
}

static void a_nul_byte_hides_nothing(void **state)
{
	union address a;

	(void)state;
	assert_int_equal(address_parse(SPAN("192.0.2.1\0.evil"), 1, &a), -EINVAL);
	assert_int_equal(address_parse_host(SPAN("::1\0"), &a), -EINVAL);
}

static void text_need_not_be_terminated(void **state)
{
	char buffer[ADDRESS_TEXT_MAX];
	union address a;

	(void)state;
	assert_int_equal(address_parse_host((struct span){ "192.0.2.123", 9 }, &a), 0);
	assert_string_equal(address_print_host(&a, buffer), "192.0.2.1");
}

static void host_takes_no_port(void **state)
{
	union address a;

	(void)state;
	assert_int_equal(address_parse_host(SPAN("192.0.2.1:5060"), &a), -EINVAL);
	assert_int_equal(address_parse_host(SPAN("[::1]:5060"), &a), -EINVAL);
	assert_int_equal(address_parse_host(SPAN("[::1]"), &a), 0);
	assert_int_equal(address_port(&a), 0);
}

static void prints_in_each_style(void **state)
{
	union address v4 = parse("192.0.2.1:7");
	union address v6 = parse("[2001:db8::1]:7");
	union address none = { 0 };
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	assert_string_equal(address_print_host(&v4, buffer), "192.0.2.1");
	assert_string_equal(address_print_uri(&v4, buffer), "192.0.2.1");
	assert_string_equal(address_print_host(&v6, buffer), "2001:db8::1");
	assert_string_equal(address_print_uri(&v6, buffer), "[2001:db8::1]");
	assert_string_equal(address_print(&none, buffer), "none");
	assert_false(address_is_set(&none));
}

static void prefixes_are_parsed(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		uint8_t length;
	} cases[] = {
		{ "203.0.113.10/24", "203.0.113.10", 24 },
		{ "0.0.0.0/0", "0.0.0.0", 0 },
		{ "203.0.113.10/32", "203.0.113.10", 32 },
		{ "203.0.113.10", "203.0.113.10", 32 },
		{ "2001:db8::10/64", "2001:db8::10", 64 },
		{ "2001:db8::10", "2001:db8::10", 128 },
		{ "::/0", "::", 0 },
	};
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prefix p;

		assert_int_equal(prefix_parse(span_from(cases[i].text), &p), 0);
		assert_string_equal(address_print_host(&p.address, buffer), cases[i].host);
		assert_int_equal(p.length, cases[i].length);
		assert_int_equal(address_port(&p.address), 0);
	}
}

static void bad_prefixes_are_refused(void **state)
{
	static const char *const cases[] = { "", "/", "/24", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8/8", "10.0.0.0/ 8", "10.0.0.0:1/8", "::/129", "[::]/64", "10.0.0.0/255.0.0.0",
		"::/4294967296" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prefix p;

		if (prefix_parse(span_from(cases[i]), &p) != -EINVAL)
			fail_msg("\"%s\" was accepted", cases[i]);
	}
}

static void prefix_contains_its_network_to_the_bit(void **state)
{
	static const struct {
		const char *prefix;
		const char *address;
		bool inside;
	} cases[] = {
		{ "203.0.113.10/24", "203.0.113.255", true },
		{ "203.0.113.10/24", "203.0.112.10", false },
		{ "10.0.0.0/9", "10.127.255.255", true },
		{ "10.0.0.0/9", "10.128.0.0", false },
		{ "192.0.2.1/32", "192.0.2.1", true },
		{ "192.0.2.1/32", "192.0.2.0", false },
		{ "192.0.2.1/31", "192.0.2.0", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "1.2.3.4", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "2001:db8::1/128", "2001:db8::1", true },
		{ "2001:db8::1/128", "2001:db8::2", false },
	};
	union address none = { 0 };
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union address a;

		assert_int_equal(prefix_parse(span_from(cases[i].prefix), &p), 0);
		assert_int_equal(address_parse_host(span_from(cases[i].address), &a), 0);
		assert_true(prefix_contains(&p, &a) == cases[i].inside);
		assert_false(prefix_contains(&p, &none));
	}
}

static void comparisons_tell_host_port_and_family_apart(void **state)
{
	union address a = parse("192.0.2.1:5060");
	union address b = parse("192.0.2.1:5061");
	union address c = parse("192.0.2.2:5060");
	union address d = parse("[::ffff:192.0.2.1]:5060");
	union address none = { 0 };

	(void)state;
	assert_true(address_equal_host(&a, &b));
	assert_false(address_equal(&a, &b));
	address_set_port(&b, 5060);
	assert_true(address_equal(&a, &b));
	assert_false(address_equal_host(&a, &c));
	assert_false(address_equal(&a, &d));
	assert_true(address_equal(&none, &none));
	assert_false(address_equal_host(&a, &none));
}

static void unspecified_is_all_zero_of_a_family(void **state)
{
	union address v4 = parse("0.0.0.0:9");
	union address v6 = parse("[::]:9");
	union address one = parse("[::1]:9");
	union address none = { 0 };

	(void)state;
	assert_true(address_is_unspecified(&v4));
	assert_true(address_is_unspecified(&v6));
	assert_false(address_is_unspecified(&one));
	assert_false(address_is_unspecified(&none));
}

static void length_is_what_the_kernel_wants(void **state)
{
	union address v4 = parse("192.0.2.1:5060");
	union address v6 = parse("[::1]:5060");
	union address none = { 0 };

	(void)state;
	assert_int_equal(address_length(&v4), sizeof(struct sockaddr_in));
	assert_int_equal(address_length(&v6), sizeof(struct sockaddr_in6));
	assert_int_equal(address_length(&none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_parsed_and_printed_alike),
		cmocka_unit_test(bad_endpoints_are_refused),
		cmocka_unit_test(a_nul_byte_hides_nothing),
		cmocka_unit_test(text_need_not_be_terminated),
		cmocka_unit_test(host_takes_no_port),
		cmocka_unit_test(prints_in_each_style),
		cmocka_unit_test(prefixes_are_parsed),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(prefix_contains_its_network_to_the_bit),
		cmocka_unit_test(comparisons_tell_host_port_and_family_apart),
		cmocka_unit_test(unspecified_is_all_zero_of_a_family),
		cmocka_unit_test(length_is_what_the_kernel_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
