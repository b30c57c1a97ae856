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
#include "tests/unit/controlplane/move_fixture.h"

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
	printf("at half of %.1f s hosts have %u to %u of their %u phones back\n", (double)took / 1e6, least,
		most, OF_HOST);
	assert_true(least >= OF_HOST / 4 && most <= OF_HOST * 3 / 4);
	assert_true(took < (uint64_t)PHONES * COST * SECOND / (RATE / 4) * 5 / 4);
}

/* Turns that come late, as on a busy machine, all at once: what the registrar sees has the rate in any second all the same. */
static void test_late_turns_come_no_closer_than_the_rate(void **state)
{
	struct register_limits *limits = *state;
	uint64_t now = 10 * (uint64_t)SECOND;
	size_t place;

	sent_count = 0;
	for (unsigned i = 0; i < 3 * RATE; i++) {
		uint64_t due = 10 * (uint64_t)SECOND + i * (uint64_t)SECOND / RATE, wait_us;

		/* For a tenth of each second nothing runs. */
		due = due % SECOND < SECOND / 10 ? due / SECOND * SECOND + SECOND / 10 : due;
		now = due > now ? due : now;
		while ((wait_us = register_send(limits, 0, now, &place)) > 0)
			now += wait_us;
		sent_us[sent_count++] = now;
	}
	assert_any_second_has_the_rate();
	assert_true(now < 10 * (uint64_t)SECOND + 31 * (uint64_t)SECOND / 10);
	/* Another registrar has a rate of its own. */
	assert_int_equal(register_send(limits, 1, now, &place), 0);
}

/* One that was let go and then held up, as by a machine that did something else for a while: what comes a second later waits for it. */
static void test_what_leaves_late_counts_from_then(void **state)
{
	struct register_limits *limits = *state;
	uint64_t now = 10 * (uint64_t)SECOND, late = now + SECOND / 10;
	size_t place, other;

	assert_int_equal(register_send(limits, 0, now, &place), 0);
	register_sent(limits, 0, place, late);
	for (unsigned i = 1; i < RATE; i++)
		assert_int_equal(register_send(limits, 0, late, &other), 0);
	assert_true(register_send(limits, 0, now + 11 * (uint64_t)SECOND / 10 - 1, &other) > 0);
	assert_int_equal(register_send(limits, 0, late + 11 * (uint64_t)SECOND / 10, &other), 0);
}

/* Who is told to wait at the same moment and for the same reason does not come back all at once. */
static void test_those_who_wait_for_the_registrar_are_spread(void **state)
{
	struct register_limits *limits = *state;
	struct register_wait known = { .aor = 1, .host = 1, .known = true };
	unsigned first = 0, others = 0, told;

	for (unsigned i = 0; i < 4 * RATE; i++) {
		told = register_wait_enter(limits, &known, SECOND);
		first = first ? first : told;
		others += told && told != first;
	}
	assert_true(first > 0 && others > 0);
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

/* --- another configuration ---------------------------------------------------------------------------------------------- */

#define REGISTRAR(name) "session-agent " name " { realm = test address = \"udp:192.0.2.10:5060\" }\n"

static void move_to(struct register_limits *limits, struct move_bed *bed, const char *text)
{
	struct config_move *move = move_begin(bed, text);

	assert_int_equal(register_limits_prepare(limits, move), 0);
	register_limits_move(limits, move);
	register_limits_settle(limits);
	move_end(bed);
}

/* Of one second: how many messages leave. */
static unsigned leave(struct register_limits *limits, size_t agent, uint64_t now_us)
{
	unsigned count = 0;
	size_t place;

	while (register_send(limits, agent, now_us, &place) == 0)
		count++;
	return count;
}

static void test_what_a_registrar_has_had_goes_on_by_its_name(void **state)
{
	struct register_limits *limits;
	struct move_bed bed;

	(void)state;
	move_open(&bed, MOVE_PLACE REGISTRAR("pbx") "registration { upstream-rate = 10 }\n");
	limits = register_limits_new(bed.config);
	assert_int_equal(leave(limits, 0, SECOND), 10);
	move_to(limits, &bed,
		MOVE_PLACE REGISTRAR("first") REGISTRAR("pbx") "registration { upstream-rate = 10 }\n");
	assert_int_equal(leave(limits, 1, SECOND + 1), 0);
	assert_int_equal(leave(limits, 0, SECOND + 1), 10);
	/* More than it was in a second: the ten count among them; then fewer. */
	move_to(limits, &bed, MOVE_PLACE REGISTRAR("pbx") "registration { upstream-rate = 15 }\n");
	assert_int_equal(leave(limits, 0, SECOND + 2), 5);
	move_to(limits, &bed, MOVE_PLACE REGISTRAR("pbx") "registration { upstream-rate = 3 }\n");
	assert_int_equal(leave(limits, 0, SECOND + 3), 0);
	assert_int_equal(leave(limits, 0, 4 * SECOND), 3);
	/* It is gone: nothing is held up there, nor when it is looked who needs older ones. */
	move_to(limits, &bed, MOVE_PLACE);
	register_limits_move(limits, move_begin(&bed, NULL));
	move_end(&bed);
	{
		const struct register_wait who = { .agent = 0, .aor = 1, .host = 2 };
		uint64_t wait_us = 1;
		size_t place = 0;

		assert_int_equal(register_wait_enter(limits, &who, 5 * SECOND), 0);
		assert_true(register_slot(limits, 0, 5 * SECOND, 0, &wait_us));
		assert_int_equal(wait_us, 0);
		assert_int_equal(register_send(limits, 0, 5 * SECOND, &place), 0);
		register_sent(limits, 0, place, 5 * SECOND);
		register_wait_refund(limits, 0, 2);
	}
	register_limits_free(limits);
	move_close(&bed);
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
		TEST(test_what_leaves_late_counts_from_then),
		TEST(test_those_who_wait_for_the_registrar_are_spread),
		TEST(test_a_turn_that_is_too_far_off_is_not_taken),
		TEST(test_nobody_waits_long_for_who_does_not_come),
		TEST(test_who_is_registered_comes_before_strangers),
		TEST(test_what_is_not_used_goes_to_others),
		TEST(test_what_a_registrar_has_had_goes_on_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
