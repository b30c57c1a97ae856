/* SPDX-License-Identifier: BSD-3-Clause */
/* Hierarchical timer wheel, 10 ms ticks: arm, move and cancel in O(1). owner: one shard's thread. */
#ifndef CONTROLPLANE_TIMER_WHEEL_H
#define CONTROLPLANE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct timer_wheel;

struct timer { /* embedded in its user; zero-initialised = not armed */
	struct timer *next, **link;
	uint64_t expires_tick;
	void (*expired)(struct timer *timer, void *arg);
	void *arg;
};

struct timer_wheel *timer_wheel_new(uint64_t now_ms); /* NULL without memory */
void timer_wheel_free(struct timer_wheel *wheel); /* armed timers are forgotten, not run */
/* Delays count from this clock (milliseconds, the one advance is given). Without one they count from the last advance, which
 * is early by the time the loop has slept since: a loop that arms timers from its input sets clock_now_ms. */
void timer_wheel_set_clock(struct timer_wheel *wheel, uint64_t (*clock)(void));
/* (Re)arms: never runs early, at most two ticks late. 0 means the next tick, also from within a callback. */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms,
	void (*expired)(struct timer *, void *), void *arg);
void timer_cancel(struct timer *timer);
bool timer_is_armed(const struct timer *timer);
/* Milliseconds until it runs; 0: it is due, or not armed. */
uint64_t timer_left_ms(const struct timer_wheel *wheel, const struct timer *timer);
/* Runs what is due; a callback may arm and cancel any timer, its own included. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);
/* Milliseconds until advance has something to do (run a timer, or move one down a level: never later than its time);
 * UINT64_MAX when nothing is armed. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel, uint64_t now_ms);

#endif
