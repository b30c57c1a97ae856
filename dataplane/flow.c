/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of our media addresses and their flows. */
#include "dataplane/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/table_memory.h"

/* Each address has room for all ports there are, so that its flows never move. Pages are touched where ports are ours. */
enum { REGION_PAIRS = 32768, HUGE_FROM = 2 * 1024 * 1024 };
#define REGION_SIZE (REGION_PAIRS * sizeof(struct flow))

_Static_assert(sizeof(struct rtp_stats) == 128, "two cache lines");
_Static_assert(offsetof(struct flow, stats) == 64, "line 0: rule and RTP latch");
_Static_assert(offsetof(struct rtp_stats, first_us) == 64, "line 1: what each packet counts");
_Static_assert(offsetof(struct flow_rule, accept) == 64, "the rule's first line");
_Static_assert(offsetof(struct flow, police_due) == 256 && offsetof(struct flow, reports) == 320,
	"line 4: what a rate limit counts; line 5: RTCP");
_Static_assert(sizeof(struct flow_rule) == 192 && sizeof(struct flow) == 384, "memory of a session");
_Static_assert(sizeof(struct flow) % FLOW_ALIGN == 0, "whole lines");

int flow_table_add(struct flow_table *t, const union host *ip, uint8_t family, uint8_t interface,
	uint16_t first, uint16_t last)
{
	uint32_t low = (uint32_t)(first + 1) & ~1U; /* RFC 3550 section 11: RTP on an even port */
	uint32_t high = ((uint32_t)last + 1) & ~1U; /* exclusive */

	if (low >= high)
		return -EINVAL;
	struct flow_address *a = (struct flow_address *)flow_address_find(t, ip, family);
	if (a == NULL) {
		if (t->address_count == FLOW_ADDRESSES_MAX)
			return -ENOSPC;
		a = &t->address[t->address_count++];
		*a = (struct flow_address){ .ip = *ip,
			.family = family,
			.interface = interface,
			.first = (uint16_t)low,
			.pairs = (high - low) / 2 };
		uint32_t h = flow_address_hash(ip);
		while (t->slot[h] != 0)
			h = (h + 1) % FLOW_ADDRESS_SLOTS;
		t->slot[h] = (uint16_t)t->address_count;
		return 0;
	}
	if (a->interface != interface)
		return -EEXIST;
	uint32_t end = a->first + a->pairs * 2;
	if (low > a->first)
		low = a->first;
	if (high < end)
		high = end;
	a->first = (uint16_t)low;
	a->pairs = (high - low) / 2;
	return 0;
}

struct flow_table *flow_table_new(void)
{
	return calloc(1, sizeof(struct flow_table));
}

static struct flow *region_of(const struct flow_address *a)
{
	return a->flows - a->first / 2;
}

/* Numbers and touches the flows that `had` (NULL: none) does not reach; nobody can see them yet. */
static int region_open(struct flow *region, const struct flow_address *a, const struct flow_address *had)
{
	uint32_t low = a->first / 2U, high = low + a->pairs;
	uint32_t from = had != NULL ? had->first / 2U : high, to = had != NULL ? from + had->pairs : high;
	int status = table_memory_touch(
		&region[low], a->pairs * sizeof(*region), a->pairs * sizeof(*region) >= HUGE_FROM);

	for (uint32_t k = low; status == 0 && k < high; k++)
		if (k < from || k >= to) {
			region[k].port = (uint16_t)(2 * k);
			flow_set_pooled(&region[k], false);
		}
	return status;
}

int flow_table_allocate(struct flow_table *t, const struct flow_table *before)
{
	int status = 0;

	for (uint32_t i = 0; i < t->address_count && status == 0; i++) {
		struct flow_address *a = &t->address[i];
		const struct flow_address *had =
			before != NULL ? flow_address_find(before, &a->ip, a->family) : NULL;
		struct flow *region = had != NULL ? region_of(had) : table_memory_reserve(REGION_SIZE);

		if (region == NULL)
			return -ENOMEM;
		a->flows = region + a->first / 2;
		status = region_open(region, a, had);
	}
	return status;
}

uint32_t flow_table_range(const struct flow_table *t, const union host *ip, uint8_t family, uint16_t first,
	uint16_t last, struct flow **out)
{
	const struct flow_address *a = flow_address_find(t, ip, family);
	uint32_t low = (uint32_t)(first + 1) & ~1U, high = ((uint32_t)last + 1) & ~1U;

	if (a == NULL || low < a->first || high > a->first + a->pairs * 2 || low >= high)
		return 0;
	*out = flow_find(a, (uint16_t)low);
	return (high - low) / 2;
}

size_t flow_table_flows(const struct flow_table *t)
{
	size_t n = 0;

	for (uint32_t i = 0; i < t->address_count; i++)
		n += t->address[i].pairs;
	return n;
}

void flow_table_free(struct flow_table *t, const struct flow_table *kept)
{
	for (uint32_t i = 0; t != NULL && i < t->address_count; i++) {
		const struct flow_address *a = &t->address[i];

		if (a->flows != NULL && (kept == NULL || flow_address_find(kept, &a->ip, a->family) == NULL))
			table_memory_free(region_of(a), REGION_SIZE);
	}
	free(t);
}

void flow_reset(struct flow *f)
{
	f->rtp = (struct latch){ 0 };
	f->rtcp = (struct latch){ 0 };
	memset(&f->stats, 0, sizeof(f->stats));
	f->rtcp_packets = f->alarm_us = 0;
	f->police_due = 0;
	f->not_relayed = f->wrong_source = f->malformed = f->policed = f->no_next_hop = 0;
	f->events = (struct flow_events){ 0 };
	f->reports = (struct rtcp_reports){ 0 };
}

void flow_read_latches(const struct flow *f, struct latch *rtp, struct latch *rtcp)
{
	uint32_t before, after;

	do {
		before = atomic_load_explicit(&f->version, memory_order_acquire);
		*rtp = f->rtp;
		*rtcp = f->rtcp;
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&f->version, memory_order_relaxed);
	} while (before != after || (before & 1) != 0);
}
