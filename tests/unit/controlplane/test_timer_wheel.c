/* SPDX-License-Identifier: BSD-3-Clause */
/* The timer wheel against its contract, and against a plain list of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controlplane/timer_wheel.h"

enum { TICK_MS = 10 };

struct fixture {
	struct timer_wheel *wheel;
	uint64_t now;
};

/* A timer that notes when it ran, and may do something to another one then. */
struct probe {
	struct timer timer;
	struct fixture *fixture;
	unsigned runs;
	unsigned order;
	uint64_t ran_at;
	struct probe *victim;
	void (*act)(struct probe *self);
};

static unsigned run_order;

static void ran(struct timer *timer, void *arg)
{
	struct probe *probe = arg;

	assert_ptr_equal(timer, &probe->timer);
	assert_false(timer_is_armed(timer));
	probe->runs++;
	probe->order = run_order++;
	probe->ran_at = probe->fixture->now;
	if (probe->act)
		probe->act(probe);
}

static void arm(struct fixture *f, struct probe *probe, uint64_t delay_ms)
{
	probe->fixture = f;
	timer_arm(f->wheel, &probe->timer, delay_ms, ran, probe);
}

static void advance(struct fixture *f, uint64_t ms)
{
	f->now += ms;
	timer_wheel_advance(f->wheel, f->now);
}

static void fixture_init(struct fixture *f, uint64_t now)
{
	f->now = now;
	f->wheel = timer_wheel_new(now);
	assert_non_null(f->wheel);
}

static void never_early_and_at_most_two_ticks_late(void **state)
{
	static const uint64_t delays[] = { 0, 1, 9, 10, 11, 32, 500, 639, 640, 641, 4000, 32000, 40960,
		180000, 3000000, 700000000 };
	static const uint64_t starts[] = { 0, 7, 123456789, UINT64_C(1) << 52 };

	(void)state;
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
			struct probe probe = { .runs = 0 };
			struct fixture f;
			uint64_t due;

			fixture_init(&f, starts[s]);
			advance(&f, 3);
			arm(&f, &probe, delays[i]);
			due = f.now + delays[i];
			if (delays[i] > 100)
				advance(&f, delays[i] - 50);
			while (!probe.runs && f.now < due + 100)
				advance(&f, 1);
			assert_int_equal(probe.runs, 1);
			assert_true(probe.ran_at >= due);
			assert_true(probe.ran_at <= due + 2 * TICK_MS);
			advance(&f, 1000000000);
			assert_int_equal(probe.runs, 1);
			timer_wheel_free(f.wheel);
		}
	}
}

static void one_jump_runs_everything_due_in_order_of_time(void **state)
{
	struct probe probes[200] = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 5);
	for (unsigned i = 0; i < 200; i++)
		arm(&f, &probes[i], (uint64_t)i * i * 100);
	advance(&f, 199 * 199 * 100 + TICK_MS);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(probes[i].runs, 1);
	for (unsigned i = 1; i < 200; i++)
		assert_true(probes[i].order > probes[i - 1].order);
	assert_int_equal(timer_wheel_next(f.wheel, f.now), UINT64_MAX);
	timer_wheel_free(f.wheel);
}

static void what_is_left_of_a_timer_is_its_delay_less_what_has_passed(void **state)
{
	struct probe a = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	assert_int_equal(timer_left_ms(f.wheel, &a.timer), 0);
	arm(&f, &a, 1000);
	advance(&f, 400);
	assert_in_range(timer_left_ms(f.wheel, &a.timer), 600, 610);
	timer_cancel(&a.timer);
	assert_int_equal(timer_left_ms(f.wheel, &a.timer), 0);
	timer_wheel_free(f.wheel);
}

static void a_cancelled_timer_does_not_run(void **state)
{
	struct probe a = { .runs = 0 }, b = { .runs = 0 }, c = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	arm(&f, &a, 100);
	arm(&f, &b, 100);
	arm(&f, &c, 100);
	timer_cancel(&b.timer);
	timer_cancel(&b.timer);
	assert_false(timer_is_armed(&b.timer));
	assert_true(timer_is_armed(&a.timer));
	advance(&f, 200);
	assert_int_equal(a.runs, 1);
	assert_int_equal(b.runs, 0);
	assert_int_equal(c.runs, 1);
	timer_wheel_free(f.wheel);
}

static void arming_again_moves_the_timer(void **state)
{
	struct probe probe = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	arm(&f, &probe, 100);
	arm(&f, &probe, 5000);
	advance(&f, 4990);
	assert_int_equal(probe.runs, 0);
	arm(&f, &probe, 10);
	advance(&f, 30);
	assert_int_equal(probe.runs, 1);
	timer_wheel_free(f.wheel);
}

static void act_cancel(struct probe *self)
{
	timer_cancel(&self->victim->timer);
	self->victim->act = NULL;
}

static void a_callback_may_cancel_its_neighbours_of_the_same_slot(void **state)
{
	struct probe probes[3] = { 0 };
	struct fixture f;
	unsigned runs = 0;

	(void)state;
	fixture_init(&f, 0);
	/* Whichever runs first cancels the next in the ring, so of three only two can run. */
	for (unsigned i = 0; i < 3; i++) {
		probes[i].victim = &probes[(i + 1) % 3];
		probes[i].act = act_cancel;
		arm(&f, &probes[i], 50);
	}
	advance(&f, 100);
	for (unsigned i = 0; i < 3; i++)
		runs += probes[i].runs;
	assert_true(runs == 1 || runs == 2);
	for (unsigned i = 0; i < 3; i++)
		assert_false(timer_is_armed(&probes[i].timer));
	timer_wheel_free(f.wheel);
}

static void act_postpone(struct probe *self)
{
	arm(self->fixture, self->victim, 1000);
}

static void a_callback_may_move_its_neighbours_of_the_same_slot(void **state)
{
	struct probe a = { .act = act_postpone }, b = { .act = act_postpone };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	a.victim = &b;
	b.victim = &a;
	arm(&f, &a, 50);
	arm(&f, &b, 50);
	advance(&f, 100);
	assert_int_equal(a.runs + b.runs, 1);
	a.act = b.act = NULL;
	advance(&f, 900);
	assert_int_equal(a.runs + b.runs, 1);
	advance(&f, 150);
	assert_int_equal(a.runs, 1);
	assert_int_equal(b.runs, 1);
	timer_wheel_free(f.wheel);
}

static void act_again(struct probe *self)
{
	arm(self->fixture, self, 0);
}

static void a_callback_that_arms_itself_with_zero_runs_once_per_tick(void **state)
{
	struct probe probe = { .act = act_again };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	arm(&f, &probe, 0);
	for (unsigned i = 1; i <= 10; i++) {
		advance(&f, TICK_MS);
		assert_int_equal(probe.runs, i);
	}
	/* One long jump: nothing is owed for the ticks slept through. */
	advance(&f, 100 * TICK_MS);
	assert_true(probe.runs <= 12);
	timer_wheel_free(f.wheel);
}

static void act_free(struct probe *self)
{
	free(self);
}

static void a_callback_may_free_its_timer(void **state)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	struct fixture f;

	(void)state;
	assert_non_null(probe);
	fixture_init(&f, 0);
	probe->act = act_free;
	arm(&f, probe, 10);
	advance(&f, 100);
	assert_int_equal(timer_wheel_next(f.wheel, f.now), UINT64_MAX);
	timer_wheel_free(f.wheel);
}

static void next_tells_when_to_come_back(void **state)
{
	struct probe near = { .runs = 0 }, far = { .runs = 0 };
	struct fixture f;
	unsigned wakes = 0;

	(void)state;
	fixture_init(&f, 1000);
	assert_int_equal(timer_wheel_next(f.wheel, f.now), UINT64_MAX);
	arm(&f, &near, 100);
	arm(&f, &far, 32000);
	assert_int_equal(timer_wheel_next(f.wheel, f.now), 100);
	assert_int_equal(timer_wheel_next(f.wheel, f.now + 40), 60);
	assert_int_equal(timer_wheel_next(f.wheel, f.now + 500), 0);
	timer_cancel(&near.timer);
	/* Sleeping as long as it says must reach the timer in a few steps, in time. */
	while (!far.runs && wakes++ < 10)
		advance(&f, timer_wheel_next(f.wheel, f.now));
	assert_int_equal(far.runs, 1);
	assert_int_equal(far.ran_at, 33000);
	assert_int_equal(timer_wheel_next(f.wheel, f.now), UINT64_MAX);
	timer_wheel_free(f.wheel);
}

static uint64_t test_clock_ms;

static uint64_t test_clock(void)
{
	return test_clock_ms;
}

static void with_a_clock_delays_count_from_it(void **state)
{
	struct probe probe = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	timer_wheel_set_clock(f.wheel, test_clock);
	test_clock_ms = 10000; /* the loop slept ten seconds, and its first event arms */
	arm(&f, &probe, 500);
	advance(&f, 10490);
	assert_int_equal(probe.runs, 0);
	advance(&f, 10);
	assert_int_equal(probe.runs, 1);
	timer_wheel_free(f.wheel);
}

static void time_running_backwards_is_time_standing_still(void **state)
{
	struct probe probe = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 5000);
	arm(&f, &probe, 100);
	timer_wheel_advance(f.wheel, 1);
	assert_int_equal(probe.runs, 0);
	advance(&f, 120);
	assert_int_equal(probe.runs, 1);
	timer_wheel_free(f.wheel);
}

static void an_endless_delay_is_accepted_and_does_not_run(void **state)
{
	struct probe probe = { .runs = 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, 0);
	arm(&f, &probe, UINT64_MAX);
	advance(&f, UINT64_C(1) << 40);
	assert_int_equal(probe.runs, 0);
	assert_true(timer_is_armed(&probe.timer));
	timer_wheel_free(f.wheel);
	assert_false(timer_is_armed(&probe.timer));
	timer_cancel(&probe.timer);
}

/* --- against a list ---------------------------------------------------------------------------------------------- */

enum { POPULATION = 512, OPERATIONS = 100000 };

struct subject {
	struct timer timer;
	uint64_t due; /* the reference: UINT64_MAX = not armed */
};

static struct subject population[POPULATION];
static struct fixture crowd;
static uint64_t seed;
static unsigned long expiries;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static uint64_t draw_delay(void)
{
	static const uint64_t scales[] = { 1, 30, 700, 5000, 50000, 3000000, UINT64_C(200000000) };

	return draw(scales[draw(sizeof(scales) / sizeof(scales[0]))]);
}

static void subject_ran(struct timer *timer, void *arg);

static void subject_arm(struct subject *subject)
{
	uint64_t delay = draw_delay();

	subject->due = crowd.now + delay;
	timer_arm(crowd.wheel, &subject->timer, delay, subject_ran, subject);
}

static void subject_cancel(struct subject *subject)
{
	subject->due = UINT64_MAX;
	timer_cancel(&subject->timer);
}

static void subject_ran(struct timer *timer, void *arg)
{
	struct subject *subject = arg;

	(void)timer;
	expiries++;
	assert_true(subject->due <= crowd.now);
	subject->due = UINT64_MAX;
	switch (draw(4)) {
	case 0:
		subject_arm(subject);
		break;
	case 1:
		subject_arm(&population[draw(POPULATION)]);
		break;
	case 2:
		subject_cancel(&population[draw(POPULATION)]);
		break;
	default:
		break;
	}
}

static void check_population(void)
{
	uint64_t next = timer_wheel_next(crowd.wheel, crowd.now);

	for (unsigned i = 0; i < POPULATION; i++) {
		const struct subject *subject = &population[i];

		assert_int_equal(timer_is_armed(&subject->timer), subject->due != UINT64_MAX);
		if (subject->due == UINT64_MAX)
			continue;
		/* Not overdue, and the wheel will not sleep through it. */
		assert_true(subject->due + 2 * TICK_MS > crowd.now);
		assert_true(next != UINT64_MAX && crowd.now + next <= subject->due + 2 * TICK_MS);
	}
}

static void random_operations_agree_with_a_list_of_deadlines(void **state)
{
	(void)state;
	seed = UINT64_C(0x9e3779b97f4a7c15);
	fixture_init(&crowd, 1234567);
	for (unsigned i = 0; i < POPULATION; i++)
		population[i].due = UINT64_MAX;
	for (unsigned i = 0; i < OPERATIONS; i++) {
		struct subject *subject = &population[draw(POPULATION)];

		switch (draw(4)) {
		case 0:
		case 1:
			subject_arm(subject);
			break;
		case 2:
			subject_cancel(subject);
			break;
		default:
			advance(&crowd, draw(8) ? draw(50) : draw_delay());
			break;
		}
		if (i % 16 == 0)
			check_population();
	}
	check_population();
	assert_true(expiries > OPERATIONS / 20);
	timer_wheel_free(crowd.wheel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_early_and_at_most_two_ticks_late),
		cmocka_unit_test(one_jump_runs_everything_due_in_order_of_time),
		cmocka_unit_test(what_is_left_of_a_timer_is_its_delay_less_what_has_passed),
		cmocka_unit_test(a_cancelled_timer_does_not_run),
		cmocka_unit_test(arming_again_moves_the_timer),
		cmocka_unit_test(a_callback_may_cancel_its_neighbours_of_the_same_slot),
		cmocka_unit_test(a_callback_may_move_its_neighbours_of_the_same_slot),
		cmocka_unit_test(a_callback_that_arms_itself_with_zero_runs_once_per_tick),
		cmocka_unit_test(a_callback_may_free_its_timer),
		cmocka_unit_test(next_tells_when_to_come_back),
		cmocka_unit_test(with_a_clock_delays_count_from_it),
		cmocka_unit_test(time_running_backwards_is_time_standing_still),
		cmocka_unit_test(an_endless_delay_is_accepted_and_does_not_run),
		cmocka_unit_test(random_operations_agree_with_a_list_of_deadlines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
