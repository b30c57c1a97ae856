/* SPDX-License-Identifier: BSD-3-Clause */
/* The wall clock in nanoseconds: by it programs of one benchmark begin and end their slices of time together. */
#ifndef TESTS_BENCH_SLICE_CLOCK_H
#define TESTS_BENCH_SLICE_CLOCK_H

#include <stdint.h>
#include <time.h>

static const int64_t SECOND = 1000000000;

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static inline void sleep_until(int64_t when)
{
	struct timespec t = { .tv_sec = when / SECOND, .tv_nsec = when % SECOND };

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

#endif
