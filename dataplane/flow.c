/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of our media addresses and their flows. */
#include "dataplane/flow.h"

#include <errno.h>
#include <string.h>

#include "dataplane/table_memory.h"

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

int flow_table_allocate(struct flow_table *t)
{
	t->flow_count = 0;
	for (uint32_t i = 0; i < t->address_count; i++)
		t->flow_count += t->address[i].pairs;
	t->flows = table_memory_new(t->flow_count * sizeof(struct flow));
	if (t->flows == NULL)
		return -ENOMEM;
	struct flow *next = t->flows;
	for (uint32_t i = 0; i < t->address_count; i++) {
		struct flow_address *a = &t->address[i];

		a->flows = next;
		for (uint32_t k = 0; k < a->pairs; k++) {
			next[k].interface = a->interface;
			next[k].port = (uint16_t)(a->first + 2 * k);
		}
		next += a->pairs;
	}
	return 0;
}

uint32_t flow_table_pool(struct flow_table *t, const union host *ip, uint8_t family, uint16_t first,
	uint16_t last, struct flow **out)
{
	const struct flow_address *a = flow_address_find(t, ip, family);
	uint32_t low = (uint32_t)(first + 1) & ~1U, high = ((uint32_t)last + 1) & ~1U;

	if (a == NULL || low < a->first || high > a->first + a->pairs * 2 || low >= high)
		return 0;
	*out = flow_find(a, (uint16_t)low);
	for (uint32_t k = 0; k < (high - low) / 2; k++)
		(*out)[k].pooled = 1;
	return (high - low) / 2;
}

void flow_table_free(struct flow_table *t)
{
	table_memory_free(t->flows, t->flow_count * sizeof(struct flow));
	*t = (struct flow_table){ 0 };
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
