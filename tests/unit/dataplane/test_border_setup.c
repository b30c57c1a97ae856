/* SPDX-License-Identifier: BSD-3-Clause */
/* What a configuration means at the border, shown by packets: who passes, how many, and by which counter the rest goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/border_bed.h"
#include "tests/unit/dataplane/wire.h"

enum { NOW_S = 1000 };

struct bench {
	struct dataplane *dp;
	struct worker *worker;
};

static void open_bench(struct bench *b, const char *more)
{
	b->dp = wire_bed_new(1);
	border_bed_build(b->dp, more);
	b->worker = &b->dp->shared.workers[0];
	b->worker->now_us = NOW_S * UINT64_C(1000000);
}

static void close_bench(struct bench *b)
{
	wire_clear();
	border_bed_destroy(b->dp);
	wire_bed_free(b->dp);
}

/* One packet in; has it reached the kernel's mirror? */
static bool passes(struct bench *b, unsigned interface, const char *source, const char *dest, uint16_t port)
{
	uint8_t f[256];
	size_t n = wire_udp(f, source, 5060, dest, port, "OPTIONS", 7);

	wire_receive(b->dp, 0, interface, wire_frame((uint16_t)interface, f, n));
	bool passed = wires[2 + interface].count == 1;
	assert_int_equal(wires[0].count + wires[1].count, 0);
	wire_clear();
	return passed;
}

/* How many of `n` pass at once; all others went by `reason`. */
static unsigned pass(struct bench *b, unsigned interface, const char *source, const char *dest, uint16_t port,
	unsigned n, enum dp_counter reason)
{
	uint64_t before = b->worker->counter[reason];
	unsigned passed = 0;

	for (unsigned i = 0; i < n; i++)
		passed += passes(b, interface, source, dest, port);
	assert_int_equal(b->worker->counter[reason] - before, n - passed);
	return passed;
}

static void a_stranger_has_the_guards_rate_and_burst(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	assert_int_equal(pass(&b, 0, "198.51.100.1", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 40);
	b.worker->now_us += 1000000;
	assert_int_equal(pass(&b, 0, "198.51.100.1", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 20);
	assert_int_equal(
		pass(&b, 0, "2001:db8:9::1", "2001:db8:1::1", 5060, 50, DP_COUNTER_DROP_SOURCE_RATE), 40);
	close_bench(&b);
	open_bench(&b, "guard { untrusted-rate = 5 untrusted-burst = 7 }\n");
	assert_int_equal(pass(&b, 0, "198.51.100.1", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 7);
	close_bench(&b);
}

static void a_configured_agent_is_trusted_in_its_realm_alone(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	assert_int_equal(pass(&b, 0, "10.0.1.7", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 100);
	assert_int_equal(pass(&b, 1, "10.0.1.7", "10.0.2.1", 5070, 100, DP_COUNTER_DROP_SOURCE_RATE), 40);
	close_bench(&b);
}

static void an_access_list_gives_trust_and_rate_and_its_longest_prefix_counts(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "access-control slow { realm = access source = \"198.51.100.77/24\" action = permit "
		       "rate = 3 }\n");
	assert_int_equal(pass(&b, 0, "192.0.2.5", "10.0.1.1", 5060, 300, DP_COUNTER_DROP_SOURCE_RATE), 200);
	assert_int_equal(pass(&b, 0, "192.0.2.130", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 40);
	assert_int_equal(pass(&b, 0, "198.51.100.1", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_SOURCE_RATE), 6);
	assert_int_equal(pass(&b, 0, "203.0.113.9", "10.0.1.1", 5060, 5, DP_COUNTER_DROP_ACCESS_DENIED), 0);
	assert_int_equal(pass(&b, 1, "203.0.113.9", "10.0.2.1", 5070, 5, DP_COUNTER_DROP_ACCESS_DENIED),
		5); /* not of that realm */
	close_bench(&b);
}

static void a_destination_belongs_to_the_realm_that_serves_it(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	/* The realm core is trusted: its sip-interface, and every port of its steering-pool's address. */
	assert_int_equal(pass(&b, 1, "10.0.2.9", "10.0.2.1", 5060, 50, DP_COUNTER_DROP_SOURCE_RATE), 50);
	assert_int_equal(pass(&b, 1, "10.0.2.10", "10.0.2.1", 9, 50, DP_COUNTER_DROP_SOURCE_RATE), 50);
	/* The realm lab is not, and what no realm serves belongs to the least trusted one of the interface. */
	assert_int_equal(pass(&b, 1, "10.0.2.11", "10.0.2.1", 5070, 50, DP_COUNTER_DROP_SOURCE_RATE), 40);
	assert_int_equal(pass(&b, 1, "10.0.2.12", "10.0.2.2", 9, 50, DP_COUNTER_DROP_SOURCE_RATE), 40);
	close_bench(&b);
}

static void all_strangers_together_have_a_rate_that_agents_do_not_share(void **state)
{
	struct bench b;
	unsigned passed = 0;

	(void)state;
	open_bench(&b, "guard { untrusted-class-rate = 1000 max-sources = 1024 }\n");
	for (unsigned i = 0; i < 250; i++) {
		char source[16];

		snprintf(source, sizeof(source), "198.51.100.%u", i);
		passed += passes(&b, 0, source, "10.0.1.1", 5060);
	}
	assert_int_equal(passed, 100); /* a tenth of a second's worth at once */
	assert_int_equal(b.worker->counter[DP_COUNTER_DROP_CLASS_RATE], 150);
	assert_int_equal(pass(&b, 0, "10.0.1.7", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_CLASS_RATE), 100);
	assert_true(source_table_capacity(border_sources(b.dp->shared.border, false)) < 2048);
	close_bench(&b);
	open_bench(&b, "guard { trusted-class-rate = 500 }\n");
	assert_int_equal(pass(&b, 0, "10.0.1.7", "10.0.1.1", 5060, 100, DP_COUNTER_DROP_CLASS_RATE), 50);
	close_bench(&b);
}

static size_t tcp(uint8_t *f, const char *source, uint8_t flags)
{
	size_t n = wire_udp(f, source, 40000, "10.0.1.1", 5060, "............", 12);
	uint8_t *ip = f + 14;

	ip[9] = 6;
	memset(ip + 24, 0, 16);
	ip[32] = 5 << 4;
	ip[33] = flags;
	store_u16(ip + 10, 0);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, 20)));
	return n;
}

static unsigned pass_frames(struct bench *b, const uint8_t *f, size_t n, unsigned count)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < count; i++) {
		wire_receive(b->dp, 0, 0, wire_frame(0, f, n));
		passed += wires[2].count;
		wire_clear();
	}
	return passed;
}

static void connection_attempts_segments_and_arp_have_rates_of_their_own(void **state)
{
	static const uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 9, 0, 0, 0, 1, 8, 6 };
	struct bench b;
	uint8_t f[256];

	(void)state;
	open_bench(&b, "guard { syn-rate = 3 stream-rate = 30 syn-class-rate = 0 link-rate = 400 }\n");
	size_t n = tcp(f, "198.51.100.1", 2);
	assert_int_equal(pass_frames(&b, f, n, 20), 6);
	assert_int_equal(b.worker->counter[DP_COUNTER_DROP_SYN_RATE], 14);
	n = tcp(f, "198.51.100.1", 16);
	assert_int_equal(pass_frames(&b, f, n, 100), 60);
	assert_int_equal(b.worker->counter[DP_COUNTER_DROP_STREAM_RATE], 40);
	assert_int_equal(pass_frames(&b, arp, sizeof(arp), 100), 40);
	assert_int_equal(b.worker->counter[DP_COUNTER_DROP_LINK_RATE], 60);
	close_bench(&b);
	open_bench(&b, "guard { syn-class-rate = 100 }\n");
	unsigned passed = 0;
	for (unsigned i = 0; i < 100; i++) {
		char source[16];

		snprintf(source, sizeof(source), "198.51.100.%u", i);
		passed += pass_frames(&b, f, tcp(f, source, 2), 1);
	}
	assert_int_equal(passed, BURST); /* the least burst of a class */
	close_bench(&b);
}

static void what_is_configured_is_no_prey_of_expiry_and_goes_with_the_border(void **state)
{
	struct prefix_key agent = { .ip = bed_host("10.0.1.7"), .family = 4, .length = 32, .scope = 0 };
	struct bench b;

	(void)state;
	open_bench(&b, "session-agent named { realm = access address = \"udp:pbx.example\" }\n");
	struct prefix_table *trust = border_trust(b.dp->shared.border);
	assert_int_equal(prefix_table_count(trust), 1); /* a name has no address yet */
	(void)prefix_table_expire(trust, UINT64_MAX, 1000);
	assert_non_null(prefix_table_find(trust, &agent));
	assert_string_equal(prefix_table_note(trust, prefix_table_find(trust, &agent)), "pbx");
	border_destroy(b.dp);
	assert_null(b.dp->shared.border);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stranger_has_the_guards_rate_and_burst),
		cmocka_unit_test(a_configured_agent_is_trusted_in_its_realm_alone),
		cmocka_unit_test(an_access_list_gives_trust_and_rate_and_its_longest_prefix_counts),
		cmocka_unit_test(a_destination_belongs_to_the_realm_that_serves_it),
		cmocka_unit_test(all_strangers_together_have_a_rate_that_agents_do_not_share),
		cmocka_unit_test(connection_attempts_segments_and_arp_have_rates_of_their_own),
		cmocka_unit_test(what_is_configured_is_no_prey_of_expiry_and_goes_with_the_border),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
