/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: CLOCK_MONOTONIC for intervals, CLOCK_REALTIME only for what people read. */
#ifndef PLATFORMS_BASE_CLOCK_H
#define PLATFORMS_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void); /* monotonic */
uint64_t clock_now_us(void);
uint64_t clock_now_ms(void);
uint64_t clock_wall_ms(void); /* since 1970-01-01 UTC */

enum { CLOCK_TEXT_MAX = 32 };
/* RFC 3339 with milliseconds, UTC: "2026-11-20T11:24:57.123Z". Returns the buffer. */
const char *clock_print_wall(uint64_t wall_ms, char buffer[CLOCK_TEXT_MAX]);

#endif
