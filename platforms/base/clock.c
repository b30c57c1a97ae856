/* SPDX-License-Identifier: BSD-3-Clause */
/* The two clocks, and the wall clock in RFC 3339 form. */
#include "platforms/base/clock.h"

#include <time.h>

#include "platforms/base/span.h"

static uint64_t read_ns(clockid_t id)
{
	struct timespec now;

	/* Cannot fail for these two clocks on any kernel we run on. */
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_now_us(void)
{
	return clock_now_ns() / 1000;
}

uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

uint64_t clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

const char *clock_print_wall(uint64_t wall_ms, char buffer[CLOCK_TEXT_MAX])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct writer w;
	struct tm utc;

	writer_init(&w, buffer, CLOCK_TEXT_MAX);
	/* gmtime_r refuses years that do not fit an int: such a value is no time of ours. */
	if (!gmtime_r(&seconds, &utc))
		utc = (struct tm){ .tm_mday = 1, .tm_year = 70 };
	writer_format(&w, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900, utc.tm_mon + 1,
		utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (unsigned)(wall_ms % 1000));
	buffer[w.len] = '\0';
	return buffer;
}
