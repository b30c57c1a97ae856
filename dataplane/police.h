/* SPDX-License-Identifier: BSD-3-Clause */
/* Media policing: the generic cell rate algorithm (ITU-T I.371 annex A) in octets of IP packets. Why these numbers: decision 0048. */
#ifndef DATAPLANE_POLICE_H
#define DATAPLANE_POLICE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	POLICE_UNITS = 64, /* of a nanosecond: fine enough for 10 Gbit/s */
	POLICE_BURST_US = 1000000,
	POLICE_BURST_OCTETS = 4 * 1500, /* of the slowest rates a second holds not one packet */
	POLICE_SLACK = 64, /* one part in so many: the sender's clock may be fast */
};

/* What an octet costs at `rate` kbit/s, in units of time; 0 = no limit. rate <= 10,000,000. */
static inline uint32_t police_cost(uint32_t rate)
{
	uint64_t cost = rate == 0 ? 0 : 8ULL * 1000000 * POLICE_UNITS / rate;

	return (uint32_t)(cost - cost / POLICE_SLACK);
}

/* How far ahead of its rate a sender may be. */
static inline uint32_t police_burst_us(uint32_t cost)
{
	uint64_t packets = (uint64_t)cost * POLICE_BURST_OCTETS / (1000 * POLICE_UNITS);

	return packets > POLICE_BURST_US ? (uint32_t)packets : POLICE_BURST_US;
}

/* May a packet of `octets` pass? `*due` is when all that passed would have been sent at the rate; a fresh one is 0. Time running
 * backwards is treated as standing still. */
static inline bool police_pass(
	uint64_t *due, uint32_t cost, uint32_t burst_us, uint32_t octets, uint64_t now_us)
{
	uint64_t now = now_us * (1000 * POLICE_UNITS);
	uint64_t from = (int64_t)(*due - now) > 0 ? *due : now;
	uint64_t next = from + (uint64_t)octets * cost;

	if (next - now > (uint64_t)burst_us * (1000 * POLICE_UNITS))
		return false;
	*due = next;
	return true;
}

#endif
