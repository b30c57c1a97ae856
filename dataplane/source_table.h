/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of single sources: IPv4 addresses, IPv6 /64s (which is what one subscriber has), or single hosts or flows of them. One cache line
 * per source in sets of fixed size: bounded memory, bounded time, whatever comes. Shared by the workers: a rate is a time of
 * arrival (GCRA, ITU-T I.371) that is moved on by compare-and-swap, so that a source spread over several workers has still one
 * rate. When a set is full, the source that has been silent for longest is forgotten. */
#ifndef DATAPLANE_SOURCE_TABLE_H
#define DATAPLANE_SOURCE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/packet.h"

struct source_table;

enum source_rate { SOURCE_PACKETS, SOURCE_STREAM, SOURCE_SYN, SOURCE_RATES };

struct rate { /* packets per second, packets at once; per_second 0 = no limit */
	uint32_t per_second, burst;
};

/* Times of rates: sixteenths of a nanosecond, so that what a packet of a high rate takes is exact to the thousandth. */
enum { RATE_TICKS_PER_US = 16000 };

static inline uint64_t rate_ticks(struct rate rate, uint32_t packets)
{
	return packets * (1000000ULL * RATE_TICKS_PER_US) / rate.per_second;
}

/* Takes `packets` from a rate of which `arrival` is the theoretical time of arrival. false: there are not so many. */
bool rate_take(uint64_t *arrival, struct rate rate, uint32_t packets, uint64_t now_us);

struct source {
	uint64_t address; /* as in union host: IPv4, or the upper half of IPv6 */
	uint64_t within; /* lower half of IPv6 where a host has a rate of its own; else 0 */
	uint16_t port; /* network order; 0 = all of the address */
	uint8_t family;
};

static inline struct source source_of(const union host *ip, uint8_t family, uint16_t port)
{
	return (struct source){ .address = ip->half[0], .port = port, .family = family };
}

struct source_report {
	union host ip;
	uint16_t port; /* network order; 0 = all */
	uint8_t family, interface;
	uint64_t packets, dropped;
	uint64_t first_us, last_us;
};

/* `capacity` is rounded up to whole sets. NULL: no memory. */
struct source_table *source_table_new(uint32_t capacity);
void source_table_free(struct source_table *t);

/* Workers. The place of a source, and the lines asked for that say where it is; then, a little later, its own, or who is to make
 * room for it. */
uint64_t source_table_prefetch(const struct source_table *t, const struct source *s);
void source_table_prefetch_line(const struct source_table *t, uint64_t place, uint64_t now_us);
/* Counts one packet of the source at `place` and takes from its rate. false: it is over it. *evicted: another was forgotten for
 * it (only when that one had not been silent for as long as its buckets need to be full again). */
bool source_table_take(struct source_table *t, uint64_t place, const struct source *s, uint8_t interface,
	enum source_rate which, struct rate rate, uint64_t now_us, bool *evicted);
/* Another stage dropped a packet of that source: it is counted as dropped if the source is known. */
void source_table_dropped(struct source_table *t, uint64_t place, const struct source *s);

/* Any thread. The `max` sources with most packets, most first; returns how many. Reads the whole table. `first_us` is to the
 * second. */
unsigned source_table_top(const struct source_table *t, struct source_report *out, unsigned max);
uint32_t source_table_count(const struct source_table *t); /* about */
uint32_t source_table_capacity(const struct source_table *t);

#endif
