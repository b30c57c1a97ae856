/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP validation and reception statistics, against the algorithms of RFC 3550 appendix A written down plainly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>

#include "dataplane/rtp.h"

enum { T0 = 1000000 };

static void arrive(
	struct rtp_stats *s, uint16_t sequence, uint32_t timestamp, uint8_t type, uint32_t ssrc, uint64_t us)
{
	uint8_t p[32] = { 0x80, type };

	store_u16(p + 2, htons(sequence));
	store_u32(p + 4, htonl(timestamp));
	store_u32(p + 8, htonl(ssrc));
	assert_true(rtp_valid(p, sizeof(p)));
	rtp_measure(s, p, sizeof(p), us);
}

static uint32_t seed = 4711;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void headers_that_do_not_fit_are_not_rtp(void **state)
{
	uint8_t p[40] = { 0x80, 0 };

	(void)state;
	for (size_t n = 0; n < RTP_HEADER; n++)
		assert_false(rtp_valid(p, n));
	assert_true(rtp_valid(p, RTP_HEADER));
	p[0] = 0x40;
	assert_false(rtp_valid(p, 40));
	p[0] = 0x82; /* two CSRC */
	assert_false(rtp_valid(p, 19));
	assert_true(rtp_valid(p, 20));
	p[0] = 0x90; /* extension of two words */
	p[15] = 2;
	assert_false(rtp_valid(p, 15));
	assert_false(rtp_valid(p, 23));
	assert_true(rtp_valid(p, 24));
	p[0] = 0xa0; /* padding */
	p[19] = 0;
	assert_false(rtp_valid(p, 20));
	p[19] = 8;
	assert_true(rtp_valid(p, 20));
	p[19] = 9;
	assert_false(rtp_valid(p, 20));
}

static void rtcp_is_told_from_rtp(void **state)
{
	uint8_t p[40] = { 0x80, 200, 0, 6 };

	(void)state;
	assert_true(rtcp_valid(p, 28));
	assert_false(rtcp_valid(p, 27));
	assert_true(rtp_is_rtcp(p, 28));
	for (int type = 0; type < 256; type++) {
		p[1] = (uint8_t)type;
		assert_int_equal(
			rtp_is_rtcp(p, 28), (type & 0x7f) >= 64 && (type & 0x7f) <= 95 && type >= 128);
	}
}

/* A reference that remembers every number: what was lost in the end is what never came. */
static void loss_duplicates_and_reordering_agree_with_full_bookkeeping(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct rtp_stats s = { 0 };
		enum { N = 2000 };
		uint16_t order[2 * N];
		unsigned n = 0, lost = 0, twice = 0, late = 0;
		uint16_t base = (uint16_t)(65000 + random_below(1000)); /* wraps */
		int held = -1;

		for (unsigned i = 0; i < N; i++) {
			bool edge = i == 0 || i == N - 1;
			uint32_t dice = edge ? 99 : random_below(100);

			if (dice < 5) {
				lost++;
			} else if (dice < 8 && held < 0) {
				held = (int)i; /* goes out behind a later one */
			} else {
				order[n++] = (uint16_t)i;
				if (dice < 12) {
					order[n++] = (uint16_t)i;
					twice++;
				}
				if (held >= 0 && i > (unsigned)held) {
					order[n++] = (uint16_t)held;
					held = -1;
					late++;
				}
			}
		}
		for (unsigned i = 0; i < n; i++)
			arrive(&s, (uint16_t)(base + order[i]), 160U * order[i], 0, 7, T0 + i * 20000ULL);
		assert_int_equal(s.packets, n);
		assert_int_equal(s.duplicate, twice);
		assert_int_equal(s.reordered, late);
		assert_int_equal(s.lost, lost + (held >= 0));
		assert_int_equal(s.ssrc_changes, 0);
	}
}

static void jitter_agrees_with_rfc_3550_in_floating_point(void **state)
{
	struct rtp_stats s = { 0 };
	double jitter = 0, worst = 0, last = 0;
	uint64_t us = 0xfffffffff0000ULL; /* far from the epoch: the product overflows */

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t at = us + i * 20000ULL + random_below(15000);
		double transit = (double)(at - us) * 8000 / 1e6 - 160.0 * i;

		if (i != 0)
			jitter += (fabs(transit - last) - jitter) / 16;
		last = transit;
		worst = jitter > worst ? jitter : worst;
		arrive(&s, (uint16_t)i, 160 * i, 8, 7, at);
	}
	assert_true(fabs((double)s.jitter / 16 - jitter) < 2);
	assert_true(fabs((double)s.jitter_max / 16 - worst) < 2);
	assert_true(labs((long)rtp_jitter_us(&s, s.jitter) - (long)(jitter * 125)) < 300);
}

static void even_arrival_of_a_dynamic_type_measures_its_clock_and_no_jitter(void **state)
{
	static const uint32_t rates[] = { 8000, 16000, 24000, 32000, 48000, 90000 };

	(void)state;
	for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
		struct rtp_stats s = { 0 };

		for (unsigned i = 0; i < 200; i++)
			arrive(&s, (uint16_t)i, i * (rates[k] / 50), 111, 7, T0 + i * 20000ULL);
		assert_int_not_equal(s.clock, 0);
		assert_true(rtp_jitter_us(&s, s.jitter_max) < 100);
		for (unsigned i = 200; i < 400;
			i++) /* every second packet 10 ms late: the estimate goes to 10 ms */
			arrive(&s, (uint16_t)i, i * (rates[k] / 50), 111, 7,
				T0 + i * 20000ULL + (i & 1) * 10000);
		assert_in_range(rtp_jitter_us(&s, s.jitter), 9500, 10500);
	}
}

static void telephone_events_do_not_spoil_the_jitter(void **state)
{
	struct rtp_stats s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		bool event = i % 50 >= 40;

		arrive(&s, (uint16_t)i, 160 * (event ? i / 50 * 50 + 40 : i), event ? 101 : 0, 7,
			T0 + i * 20000ULL);
	}
	assert_true(rtp_jitter_us(&s, s.jitter_max) < 200);
	assert_int_equal(s.lost, 0);
}

static void a_new_source_and_a_restart_begin_anew_without_loss(void **state)
{
	struct rtp_stats s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		arrive(&s, (uint16_t)i, 160 * i, 0, 7, T0 + i * 20000ULL);
	for (unsigned i = 0; i < 10; i++)
		arrive(&s, (uint16_t)(30000 + i), 160 * i, 0, 8, T0 + 200000 + i * 20000ULL);
	assert_int_equal(s.ssrc_changes, 1);
	for (unsigned i = 0; i < 10; i++)
		arrive(&s, (uint16_t)(50000 + i), 160 * i, 0, 8, T0 + 400000 + i * 20000ULL);
	assert_int_equal(s.ssrc_changes, 1);
	assert_int_equal(s.lost, 0);
	assert_int_equal(s.packets, 30);
	arrive(&s, 50012, 160 * 12, 0, 8, T0 + 640000);
	assert_int_equal(s.lost, 2);
}

static void gaps_and_times_are_kept(void **state)
{
	struct rtp_stats s = { 0 };

	(void)state;
	rtp_count(&s, 50, T0);
	rtp_count(&s, 50, T0 + 20000);
	rtp_count(&s, 50, T0 + 420000);
	rtp_count(&s, 50, T0 + 440000);
	assert_int_equal(s.longest_gap_us, 400000);
	assert_int_equal(s.first_us, T0);
	assert_int_equal(s.last_us, T0 + 440000);
	assert_int_equal(s.octets, 200);
}

/* Steady streams with everything that may happen to them. */
static void the_next_packet_in_line_counts_as_any_packet_does(void **state)
{
	static const uint8_t types[] = { 0, 9, 96, 13 };
	struct rtp_stats s = { 0 }, any = { 0 };
	uint32_t timestamp = 5, ssrc = 9;
	uint16_t sequence = 65000;
	uint64_t us = T0;
	uint8_t type = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		uint32_t event = random_below(400);
		uint8_t p[200] = { 0x80 };

		sequence = (uint16_t)(sequence + 1);
		us += 20000 + random_below(3000);
		if (event == 0)
			sequence = (uint16_t)(sequence + random_below(5000));
		else if (event == 1)
			sequence = (uint16_t)(sequence - random_below(70));
		else if (event == 2)
			ssrc = random_below(3);
		else if (event == 3)
			type = types[random_below(4)];
		else if (event == 4)
			us += random_below(10000000);
		else if (event == 5)
			timestamp += random_below(1000000);
		if (event % 10 != 6)
			timestamp += 160;
		p[1] = (uint8_t)(type | (event == 7 ? 0x80 : 0));
		store_u16(p + 2, htons(sequence));
		store_u32(p + 4, htonl(timestamp));
		store_u32(p + 8, htonl(ssrc));
		size_t n = RTP_HEADER + random_below(180);
		rtp_measure(&s, p, n, us);
		rtp_measure_any(&any, p, n, us);
		assert_memory_equal(&s, &any, sizeof(s));
	}
	assert_true(s.ssrc_changes > 100 && s.lost > 1000 && s.jitter_max > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_packet_in_line_counts_as_any_packet_does),
		cmocka_unit_test(headers_that_do_not_fit_are_not_rtp),
		cmocka_unit_test(rtcp_is_told_from_rtp),
		cmocka_unit_test(loss_duplicates_and_reordering_agree_with_full_bookkeeping),
		cmocka_unit_test(jitter_agrees_with_rfc_3550_in_floating_point),
		cmocka_unit_test(even_arrival_of_a_dynamic_type_measures_its_clock_and_no_jitter),
		cmocka_unit_test(telephone_events_do_not_spoil_the_jitter),
		cmocka_unit_test(a_new_source_and_a_restart_begin_anew_without_loss),
		cmocka_unit_test(gaps_and_times_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
