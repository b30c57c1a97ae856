/* SPDX-License-Identifier: BSD-3-Clause */
/* A wheel of wheels (Varghese and Lauck 1987): level n has 64 slots of 64^n ticks. A timer lies on the level of the highest
 * 6-bit digit in which its tick differs from the present one, in the slot of that digit; so each occupied slot lies ahead of
 * the present on its level, and what is on a lower level comes before everything on a higher one. When the present
 * reaches the start of a slot of level n > 0, its timers move down. */
#include "controlplane/timer_wheel.h"

#include <stdlib.h>
#include <string.h>

/* 7 digits: 1,394 years. */
enum { TICK_MS = 10, DIGIT_BITS = 6, SLOTS = 1 << DIGIT_BITS, LEVELS = 7, TICK_BITS = DIGIT_BITS * LEVELS };

struct timer_wheel {
	uint64_t start_ms; /* time of tick 0 */
	uint64_t now_ms;
	uint64_t tick; /* everything up to here has run */
	uint64_t (*clock)(void);
	struct timer *due; /* of the tick being run */
	/* A set bit may belong to a slot emptied by timer_cancel; a clear one never to one in use. */
	uint64_t occupied[LEVELS];
	struct timer *slot[LEVELS][SLOTS];
};

static unsigned digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * DIGIT_BITS)) % SLOTS;
}

/* Bits of the slots behind `index`. */
static uint64_t bits_ahead(unsigned index)
{
	return ~((UINT64_C(2) << index) - 1);
}

static void push(struct timer **head, struct timer *timer)
{
	timer->next = *head;
	timer->link = head;
	if (*head)
		(*head)->link = &timer->next;
	*head = timer;
}

static void unlink_timer(struct timer *timer)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what stands in a slot was put there by push() */
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	timer->next = NULL;
	timer->link = NULL;
}

/* Needs expires_tick > wheel->tick. */
static void place(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t difference = timer->expires_tick ^ wheel->tick;
	unsigned level = (unsigned)(63 - __builtin_clzll(difference)) / DIGIT_BITS;
	unsigned index = digit(timer->expires_tick, level);

	push(&wheel->slot[level][index], timer);
	wheel->occupied[level] |= UINT64_C(1) << index;
}

struct timer_wheel *timer_wheel_new(uint64_t now_ms)
{
	struct timer_wheel *wheel = calloc(1, sizeof(*wheel));

	if (!wheel)
		return NULL;
	wheel->start_ms = now_ms;
	wheel->now_ms = now_ms;
	return wheel;
}

void timer_wheel_free(struct timer_wheel *wheel)
{
	if (!wheel)
		return;
	for (unsigned level = 0; level < LEVELS; level++)
		for (unsigned index = 0; index < SLOTS; index++)
			while (wheel->slot[level][index])
				unlink_timer(wheel->slot[level][index]);
	free(wheel);
}

void timer_wheel_set_clock(struct timer_wheel *wheel, uint64_t (*clock)(void))
{
	wheel->clock = clock;
}

static uint64_t present_ms(const struct timer_wheel *wheel)
{
	uint64_t now_ms = wheel->clock ? wheel->clock() : 0;

	return now_ms < wheel->now_ms ? wheel->now_ms : now_ms;
}

void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms,
	void (*expired)(struct timer *, void *), void *arg)
{
	const uint64_t last = (UINT64_C(1) << TICK_BITS) - 1;
	uint64_t since_start;

	if (__builtin_add_overflow(present_ms(wheel) - wheel->start_ms, delay_ms, &since_start) ||
		since_start > last * TICK_MS)
		since_start = last * TICK_MS;
	timer_cancel(timer);
	/* Rounded up, so never early; and always ahead of the tick being run, or a callback that arms 0 would run for ever. */
	timer->expires_tick = (since_start + TICK_MS - 1) / TICK_MS;
	if (timer->expires_tick <= wheel->tick)
		timer->expires_tick = wheel->tick + 1;
	timer->expired = expired;
	timer->arg = arg;
	place(wheel, timer);
}

void timer_cancel(struct timer *timer)
{
	if (timer->link)
		unlink_timer(timer);
}

bool timer_is_armed(const struct timer *timer)
{
	return timer->link != NULL;
}

uint64_t timer_left_ms(const struct timer_wheel *wheel, const struct timer *timer)
{
	uint64_t since_start = present_ms(wheel) - wheel->start_ms;
	uint64_t expires = timer->expires_tick * TICK_MS;

	return timer->link && expires > since_start ? expires - since_start : 0;
}

/* The next slot in use and the tick at which it starts. */
static bool slot_next(const struct timer_wheel *wheel, unsigned *level, unsigned *index, uint64_t *tick)
{
	for (unsigned l = 0; l < LEVELS; l++) {
		uint64_t bits = wheel->occupied[l] & bits_ahead(digit(wheel->tick, l));

		for (; bits; bits &= bits - 1) {
			unsigned i = (unsigned)__builtin_ctzll(bits);

			if (!wheel->slot[l][i])
				continue;
			*level = l;
			*index = i;
			*tick = (wheel->tick >> ((l + 1) * DIGIT_BITS) << DIGIT_BITS | i) << (l * DIGIT_BITS);
			return true;
		}
	}
	return false;
}

/* The present moves on; no slot in use is passed. Bits that cancelled timers left behind go. */
static void tick_set(struct timer_wheel *wheel, uint64_t tick)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned above = (level + 1) * DIGIT_BITS;

		if (wheel->tick >> above == tick >> above)
			wheel->occupied[level] &= bits_ahead(digit(tick, level));
		else
			wheel->occupied[level] = 0;
	}
	wheel->tick = tick;
}

/* Empties the slot at whose start the present is: what is due goes to `due`, the rest to lower levels. */
static void slot_open(struct timer_wheel *wheel, unsigned level, unsigned index)
{
	struct timer *timer;

	while ((timer = wheel->slot[level][index])) {
		unlink_timer(timer);
		if (timer->expires_tick == wheel->tick)
			push(&wheel->due, timer);
		else
			place(wheel, timer);
	}
}

/* One at a time from the head: a callback may cancel or move any other, those waiting in `due` included. */
static void due_run(struct timer_wheel *wheel)
{
	struct timer *timer;

	while ((timer = wheel->due)) {
		unlink_timer(timer);
		timer->expired(timer, timer->arg);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
	unsigned level;
	unsigned index;
	uint64_t target;
	uint64_t tick;

	if (now_ms < wheel->now_ms)
		return;
	wheel->now_ms = now_ms;
	target = (now_ms - wheel->start_ms) / TICK_MS;
	while (slot_next(wheel, &level, &index, &tick) && tick <= target) {
		tick_set(wheel, tick);
		slot_open(wheel, level, index);
		due_run(wheel);
	}
	if (target > wheel->tick)
		tick_set(wheel, target);
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel, uint64_t now_ms)
{
	unsigned level;
	unsigned index;
	uint64_t due_ms;
	uint64_t tick;

	if (!slot_next(wheel, &level, &index, &tick))
		return UINT64_MAX;
	due_ms = wheel->start_ms + tick * TICK_MS;
	return due_ms > now_ms ? due_ms - now_ms : 0;
}
