/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of single sources (IPv4 address; IPv6 /64, which is what one subscriber has). One cache line per source in sets of
 * fixed size: bounded memory, bounded time, whatever comes. Shared by the workers: a rate is a time of arrival (GCRA, ITU-T
 * I.371) that is moved on by compare-and-swap, so that a source spread over several workers has still one rate. When a set is
 * full, the source that has been silent for longest is forgotten. */
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

struct source_report {
	union host ip;
	uint8_t family, interface;
	uint64_t packets, dropped;
	uint64_t first_us, last_us;
};

/* `capacity` is rounded up to whole sets and a power of two. NULL: no memory. */
struct source_table *source_table_new(uint32_t capacity);
void source_table_free(struct source_table *t);

/* Workers. The place of a source, and its line asked for. */
uint64_t source_table_prefetch(const struct source_table *t, const union host *ip, uint8_t family);
/* Counts one packet of the source at `place` and takes from its rate. false: it is over it. *evicted: another was forgotten for
 * it (only when that one had not been silent for as long as its buckets need to be full again). */
bool source_table_take(struct source_table *t, uint64_t place, const union host *ip, uint8_t family,
	uint8_t interface, enum source_rate which, struct rate rate, uint64_t now_us, bool *evicted);
/* Another stage dropped a packet of that source: it is counted as dropped if the source is known. */
void source_table_dropped(struct source_table *t, uint64_t place, const union host *ip, uint8_t family);

/* Any thread. The `max` sources with most packets, most first; returns how many. Reads the whole table. */
unsigned source_table_top(const struct source_table *t, struct source_report *out, unsigned max);
uint32_t source_table_count(const struct source_table *t); /* about */
uint32_t source_table_capacity(const struct source_table *t);

#endif
