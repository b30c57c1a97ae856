/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of REGISTER, and the places of those who come all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controlplane/register_limits.h"

enum { SECOND = 1000000, PHONES = 2000, RATE = 400, COST = 2 };

static struct config config;
static struct config_session_agent agents[2];

static int setup(void **state)
{
	memset(&config, 0, sizeof(config));
	config.session_agents = agents;
	config.session_agents_count = 2;
	config.registration = (struct config_registration){
		.per_source_rate = 5, .per_aor_rate = 1, .upstream_rate = RATE, .hold_ms = 2000
	};
	*state = register_limits_new(&config);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	register_limits_free(*state);
	return 0;
}

static void test_a_source_has_its_rate_and_others_theirs(void **state)
{
	struct register_limits *limits = *state;
	unsigned taken = 0;

	for (unsigned i = 0; i < 100; i++)
		taken += register_rate_take(limits, REGISTER_RATE_SOURCE, 7, SECOND);
	assert_int_equal(taken, 9);
	assert_true(register_rate_take(limits, REGISTER_RATE_SOURCE, 8, SECOND));
	for (unsigned i = 0; i < 100; i++)
		taken += register_rate_take(limits, REGISTER_RATE_SOURCE, 7, 3 * SECOND);
	assert_int_equal(taken, 18);
	/* A year later, and no number overflows. */
	assert_true(register_rate_take(limits, REGISTER_RATE_SOURCE, 7, UINT64_MAX / 2));
}

static void test_a_rate_of_0_is_none(void **state)
{
	for (unsigned i = 0; i < 10000; i++)
		assert_true(register_rate_take(*state, REGISTER_RATE_REALM, 1, SECOND));
}

/* --- the avalanche ---------------------------------------------------------------------------------------------------- */

struct phone {
	uint64_t host;
	uint64_t at_us; /* when it comes (again) */
	uint64_t done_us; /* when its answer has been sent; 0: not yet */
	unsigned tries;
};

static struct phone phones[PHONES];
static uint64_t sent_us[COST * PHONES]; /* messages to the registrar */
static size_t sent_count;

static int earlier(const void *a, const void *b)
{
	const struct phone *x = *(struct phone *const *)a, *y = *(struct phone *const *)b;

	return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void answer_challenge(struct register_limits *limits, uint64_t now, struct phone *phone)
{
	uint64_t wait_us;

	/* The challenge comes back at once, and so does its answer. */
	for (unsigned i = 0; i < COST; i++) {
		assert_true(register_slot(limits, 0, now, UINT64_MAX, &wait_us));
		now += wait_us;
		sent_us[sent_count++] = now;
	}
	phone->done_us = now;
}

/* All come at the first second, and then when they are told to. The time when the last one is in. */
static uint64_t avalanche(struct register_limits *limits)
{
	static struct phone *order[PHONES];
	uint64_t last = 0;
	size_t left = PHONES;

	sent_count = 0;
	for (size_t i = 0; i < PHONES; i++) {
		phones[i].at_us = SECOND + i * SECOND / PHONES;
		phones[i].done_us = phones[i].tries = 0;
	}
	while (left) {
		size_t waiting = 0;

		for (size_t i = 0; i < PHONES; i++)
			if (!phones[i].done_us)
				order[waiting++] = &phones[i];
		qsort(order, waiting, sizeof(struct phone *), earlier);
		/* Those of the next tenth of a second, in their order. */
		for (size_t i = 0; i < waiting && order[i]->at_us <= order[0]->at_us + SECOND / 10; i++) {
			struct phone *phone = order[i];
			struct register_wait who = { .aor = (uint64_t)(phone - phones) + 1,
				.host = phone->host };
			uint64_t now = phone->at_us;
			unsigned wait = register_wait_enter(limits, &who, now);

			phone->tries++;
			if (wait) {
				phone->at_us = now + (uint64_t)wait * SECOND;
				continue;
			}
			answer_challenge(limits, now, phone);
			left--;
			if (phone->done_us > last)
				last = phone->done_us;
			order[i]->at_us = UINT64_MAX;
		}
		assert_true(last < 900 * (uint64_t)SECOND);
	}
	return last - SECOND;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_any_second_has_the_rate(void)
{
	qsort(sent_us, sent_count, sizeof(sent_us[0]), compare_times);
	for (size_t i = RATE; i < sent_count; i++)
		assert_true(sent_us[i] - sent_us[i - RATE] >= SECOND);
}

static void test_all_are_back_in_little_more_than_the_time_that_the_rate_allows(void **state)
{
	uint64_t took, least = (uint64_t)PHONES * COST * SECOND / RATE;
	unsigned tries = 0;

	for (size_t i = 0; i < PHONES; i++)
		phones[i].host = i % 500 + 1;
	took = avalanche(*state);
	printf("%u phones at %u/s: %.1f s, least is %.1f s\n", PHONES, RATE, (double)took / 1e6,
		(double)least / 1e6);
	assert_true(took < least * 3 / 2 + 3 * SECOND);
	assert_any_second_has_the_rate();
	for (size_t i = 0; i < PHONES; i++)
		tries += phones[i].tries;
	assert_true(tries < 4 * PHONES);
	assert_int_equal(register_waiting(*state), 0);
}

/* One host with most of the phones, or of the attempts: the others do not wait for it. */
static void test_hosts_take_turns(void **state)
{
	uint64_t alone = 0;

	for (size_t i = 0; i < PHONES; i++)
		phones[i].host = i >= PHONES - 100 ? i : 1;
	avalanche(*state);
	for (size_t i = PHONES - 100; i < PHONES; i++)
		if (phones[i].done_us > alone)
			alone = phones[i].done_us;
	/* A hundred hosts besides: their turns, and what was let in at first. */
	assert_true(alone < 8 * (uint64_t)SECOND);
}

/* Hosts of equal size that come one after the other, whole: when half of the phones are back, each host has half of its own. */
static void test_hosts_progress_at_equal_shares(void **state)
{
	enum { HOSTS = 50, OF_HOST = PHONES / HOSTS };
	uint64_t done[PHONES];
	unsigned least = OF_HOST, most = 0;
	uint64_t took;

	config.registration.upstream_rate = RATE / 4;
	for (size_t i = 0; i < PHONES; i++)
		phones[i].host = i / OF_HOST + 1;
	took = avalanche(*state);
	for (size_t i = 0; i < PHONES; i++)
		done[i] = phones[i].done_us;
	qsort(done, PHONES, sizeof(done[0]), compare_times);
	for (size_t h = 0; h < HOSTS; h++) {
		unsigned back = 0;

		for (size_t i = h * OF_HOST; i < (h + 1) * OF_HOST; i++)
			back += phones[i].done_us <= done[PHONES / 2];
		least = back < least ? back : least;
		most = back > most ? back : most;
	}
	printf("at half of %.1f s hosts have %u to %u of their %u phones back\n", (double)took / 1e6, least, most,
		OF_HOST);
	assert_true(least >= OF_HOST / 4 && most <= OF_HOST * 3 / 4);
	assert_true(took < (uint64_t)PHONES * COST * SECOND / (RATE / 4) * 5 / 4);
}

/* Turns that come late, as on a busy machine, all at once: what the registrar sees has the rate in any second all the same. */
static void test_late_turns_come_no_closer_than_the_rate(void **state)
{
	struct register_limits *limits = *state;
	uint64_t now = 10 * (uint64_t)SECOND;

	sent_count = 0;
	for (unsigned i = 0; i < 3 * RATE; i++) {
		uint64_t due = 10 * (uint64_t)SECOND + i * (uint64_t)SECOND / RATE, wait_us;

		/* For a tenth of each second nothing runs. */
		due = due % SECOND < SECOND / 10 ? due / SECOND * SECOND + SECOND / 10 : due;
		now = due > now ? due : now;
		while ((wait_us = register_send(limits, 0, now)) > 0)
			now += wait_us;
		sent_us[sent_count++] = now;
	}
	assert_any_second_has_the_rate();
	assert_true(now < 10 * (uint64_t)SECOND + 31 * (uint64_t)SECOND / 10);
	/* Another registrar has a rate of its own. */
	assert_int_equal(register_send(limits, 1, now), 0);
}

static void test_a_turn_that_is_too_far_off_is_not_taken(void **state)
{
	struct register_limits *limits = *state;
	uint64_t wait_us;

	for (unsigned i = 0; i < RATE; i++)
		assert_true(register_slot(limits, 0, SECOND, UINT64_MAX, &wait_us));
	assert_false(register_slot(limits, 0, SECOND, SECOND / 2, &wait_us));
	assert_true(register_slot(limits, 0, SECOND, 2 * SECOND, &wait_us));
	assert_true(wait_us >= SECOND);
}

/* Half of those who wait never come back: the others get in, and fill the rate. */
static void test_nobody_waits_long_for_who_does_not_come(void **state)
{
	struct register_limits *limits = *state;
	uint64_t took;

	for (size_t i = 0; i < PHONES; i++)
		phones[i].host = i % 40 + 1;
	for (unsigned i = 0; i < PHONES; i++)
		register_wait_enter(
			limits, &(struct register_wait){ .aor = PHONES + 1 + i, .host = i % 40 + 1 }, SECOND);
	took = avalanche(limits);
	assert_true(took < 60 * (uint64_t)SECOND);
}

static void test_who_is_registered_comes_before_strangers(void **state)
{
	struct register_limits *limits = *state;
	struct register_wait who = { 0 };
	unsigned refused = 0;

	for (unsigned i = 0; i < 1000; i++) {
		who.aor = 10 + i;
		who.host = 10 + i;
		refused += register_wait_enter(limits, &who, SECOND) > 0;
	}
	assert_true(refused > 900);
	who = (struct register_wait){ .aor = 1, .host = 1, .known = true };
	assert_int_equal(register_wait_enter(limits, &who, SECOND), 0);
	/* Another registrar has a schedule of its own. */
	who = (struct register_wait){ .aor = 2, .host = 2, .agent = 1 };
	assert_int_equal(register_wait_enter(limits, &who, SECOND), 0);
}

static void test_what_is_not_used_goes_to_others(void **state)
{
	struct register_limits *limits = *state;
	struct register_wait who = { 0 };
	unsigned let_in = 0;

	for (unsigned i = 0; i < 1000; i++) {
		who.aor = who.host = 10 + i;
		if (register_wait_enter(limits, &who, SECOND))
			break;
		let_in++;
		register_wait_refund(limits, 0, 2);
	}
	assert_int_equal(let_in, 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_source_has_its_rate_and_others_theirs),
		TEST(test_a_rate_of_0_is_none),
		TEST(test_all_are_back_in_little_more_than_the_time_that_the_rate_allows),
		TEST(test_hosts_take_turns),
		TEST(test_hosts_progress_at_equal_shares),
		TEST(test_late_turns_come_no_closer_than_the_rate),
		TEST(test_a_turn_that_is_too_far_off_is_not_taken),
		TEST(test_nobody_waits_long_for_who_does_not_come),
		TEST(test_who_is_registered_comes_before_strangers),
		TEST(test_what_is_not_used_goes_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
