/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources in sets of eight cache lines: one that says who is in the other seven and when each was heard last, and theirs.
 *
 * Workers share all of it without locks; each field is an atomic of its own. What may happen between two workers is this, and
 * each is a packet or two counted for the wrong source or allowed too many, never more: a line is given to another source
 * between its being found and its being counted in; a source that is put in by two workers at once has two lines, of which the
 * later in the set is found no more and grows old; a source that finds no line free of other workers' hands passes unseen. */
#include "dataplane/source_table.h"

#include <stdatomic.h>

#include <rte_branch_prediction.h>
#include <rte_config.h>
#include <rte_prefetch.h>

#include "dataplane/table_memory.h"
#include "platforms/base/random.h"

enum {
	SET_LINES = 7,
	TAG_FREE = 0,
	TAG_CLAIMED = 1, /* a worker is writing the line */
	CLAIM_TRIES = 4,
	TAKE_TRIES = 64, /* each was lost to a packet that was let in */
	HEARD_SHIFT = 10, /* `heard` counts 1.024 ms; silence of more than 25 days looks short */
};

struct source_line {
	_Atomic uint64_t address;
	_Atomic uint64_t rest; /* port, family, interface; first heard, in seconds */
	uint64_t arrival[SOURCE_RATES]; /* atomic: theoretical times, RATE_TICKS_PER_US */
	_Atomic uint64_t packets, dropped, last_us;
};

struct source_set {
	_Atomic uint32_t tag[SET_LINES];
	_Atomic uint32_t heard[SET_LINES];
	uint8_t reserved[8];
	struct source_line line[SET_LINES];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct source_line) == 64, "one cache line");
_Static_assert(sizeof(struct source_set) == 512, "eight cache lines");

struct source_table {
	struct source_set *sets; /* constant, these three */
	uint32_t set_count;
	uint64_t secret[3];
	_Atomic uint32_t count __attribute__((aligned(64)));
};

struct source_table *source_table_new(uint32_t capacity)
{
	struct source_table *t = table_memory_new(sizeof(*t));

	if (t == NULL)
		return NULL;
	t->set_count = capacity / SET_LINES + 1;
	for (unsigned i = 0; i < 3; i++)
		t->secret[i] = random_u64();
	t->sets = table_memory_new(t->set_count * sizeof(*t->sets));
	if (t->sets == NULL) {
		table_memory_free(t, sizeof(*t));
		return NULL;
	}
	/* Else the first packets of a flood cost the calls the milliseconds that the kernel needs to clear huge pages. */
	table_memory_settle(t->sets, t->set_count * sizeof(*t->sets));
	return t;
}

void source_table_free(struct source_table *t)
{
	if (t == NULL)
		return;
	table_memory_free(t->sets, t->set_count * sizeof(*t->sets));
	table_memory_free(t, sizeof(*t));
}

bool rate_take(uint64_t *arrival, struct rate rate, uint32_t packets, uint64_t now_us)
{
	uint64_t now = now_us * RATE_TICKS_PER_US, need = rate_ticks(rate, packets);
	uint64_t most = rate_ticks(rate, rate.burst > packets ? rate.burst : packets);
	uint64_t expected = __atomic_load_n(arrival, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < TAKE_TRIES; i++) {
		uint64_t next = (expected > now ? expected : now) + need;

		if (next > now + most)
			return false;
		if (__atomic_compare_exchange_n(
			    arrival, &expected, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Set in the upper half, tag in the lower. Of `within` only the tag remembers something: two hosts of a /64 that share set and tag,
 * one in 2^32 in the same set, share a rate. */
uint64_t source_table_prefetch(const struct source_table *t, const struct source *s)
{
	uint64_t rest = (uint64_t)s->family << 16 | s->port;
	uint64_t hash = fold(fold(s->address ^ t->secret[0], s->within ^ t->secret[1]) ^ t->secret[2],
		rest ^ t->secret[1]);
	uint64_t set = (hash >> 32) * t->set_count >> 32;

	rte_prefetch0(&t->sets[set]);
	return set << 32 | ((uint32_t)hash > TAG_CLAIMED ? (uint32_t)hash : 2);
}

static uint64_t rest_of(const struct source *s, uint8_t interface, uint64_t now_us)
{
	return (uint64_t)s->port | (uint64_t)s->family << 16 | (uint64_t)interface << 24 |
	       now_us / 1000000 << 32;
}

/* The line of a source in its set; SET_LINES: it has none. */
static unsigned line_find(struct source_set *set, uint32_t tag, const struct source *s)
{
	for (unsigned i = 0; i < SET_LINES; i++) {
		if (atomic_load_explicit(&set->tag[i], memory_order_acquire) != tag)
			continue;
		const struct source_line *l = &set->line[i];
		uint64_t rest = atomic_load_explicit(&l->rest, memory_order_relaxed);
		if (atomic_load_explicit(&l->address, memory_order_relaxed) == s->address &&
			(rest & 0xffffff) == ((uint64_t)s->port | (uint64_t)s->family << 16))
			return i;
	}
	return SET_LINES;
}

/* A free line, or that of who has been silent for longest. SET_LINES: all are being written. */
static unsigned line_choose(struct source_set *set, uint32_t heard, uint32_t *tag)
{
	unsigned best = SET_LINES;
	uint32_t longest = 0;

	for (unsigned i = 0; i < SET_LINES; i++) {
		uint32_t there = atomic_load_explicit(&set->tag[i], memory_order_relaxed);
		uint32_t silent = heard - atomic_load_explicit(&set->heard[i], memory_order_relaxed);

		if ((int32_t)silent < 0) /* heard by a worker whose clock is a little ahead */
			silent = 0;
		if (there == TAG_CLAIMED)
			continue;
		if (there == TAG_FREE || best == SET_LINES || silent > longest) {
			best = i;
			longest = silent;
			*tag = there;
		}
		if (there == TAG_FREE)
			break;
	}
	return best;
}

void source_table_prefetch_line(const struct source_table *t, uint64_t place, uint64_t now_us)
{
	struct source_set *set = &t->sets[place >> 32];
	uint32_t tag;

	for (unsigned i = 0; i < SET_LINES; i++)
		if (atomic_load_explicit(&set->tag[i], memory_order_relaxed) == (uint32_t)place) {
			rte_prefetch0(&set->line[i]);
			return;
		}
	unsigned i = line_choose(set, (uint32_t)(now_us >> HEARD_SHIFT), &tag);

	if (i != SET_LINES)
		rte_prefetch0(&set->line[i]);
}

/* Would it have been refused something that a stranger is not? */
static bool line_remembers(const struct source_line *l, uint64_t now_us)
{
	for (unsigned i = 0; i < SOURCE_RATES; i++)
		if (__atomic_load_n(&l->arrival[i], __ATOMIC_RELAXED) > now_us * RATE_TICKS_PER_US)
			return true;
	return false;
}

/* Gives the source a line. SET_LINES: others were faster each time. */
static unsigned line_claim(struct source_table *t, struct source_set *set, uint32_t tag,
	const struct source *s, uint8_t interface, uint64_t now_us, bool *evicted)
{
	uint32_t heard = (uint32_t)(now_us >> HEARD_SHIFT), old = TAG_FREE;

	for (unsigned tries = 0; tries < CLAIM_TRIES; tries++) {
		unsigned i = line_choose(set, heard, &old);

		if (i == SET_LINES)
			return i;
		if (!atomic_compare_exchange_strong_explicit(
			    &set->tag[i], &old, TAG_CLAIMED, memory_order_acquire, memory_order_relaxed))
			continue;
		struct source_line *l = &set->line[i];
		*evicted = old != TAG_FREE && line_remembers(l, now_us);
		if (old == TAG_FREE)
			atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
		atomic_store_explicit(&l->address, s->address, memory_order_relaxed);
		atomic_store_explicit(&l->rest, rest_of(s, interface, now_us), memory_order_relaxed);
		for (unsigned k = 0; k < SOURCE_RATES; k++)
			__atomic_store_n(&l->arrival[k], 0, __ATOMIC_RELAXED);
		atomic_store_explicit(&l->packets, 0, memory_order_relaxed);
		atomic_store_explicit(&l->dropped, 0, memory_order_relaxed);
		atomic_store_explicit(&set->heard[i], heard, memory_order_relaxed);
		atomic_store_explicit(&set->tag[i], tag, memory_order_release);
		return i;
	}
	return SET_LINES;
}

bool source_table_take(struct source_table *t, uint64_t place, const struct source *s, uint8_t interface,
	enum source_rate which, struct rate rate, uint64_t now_us, bool *evicted)
{
	struct source_set *set = &t->sets[place >> 32];
	uint32_t heard = (uint32_t)(now_us >> HEARD_SHIFT);
	unsigned i = line_find(set, (uint32_t)place, s);

	*evicted = false;
	if (i == SET_LINES)
		i = line_claim(t, set, (uint32_t)place, s, interface, now_us, evicted);
	if (unlikely(i == SET_LINES))
		return true;
	struct source_line *l = &set->line[i];
	if (atomic_load_explicit(&set->heard[i], memory_order_relaxed) != heard)
		atomic_store_explicit(&set->heard[i], heard, memory_order_relaxed);
	atomic_store_explicit(&l->last_us, now_us, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->packets, 1, memory_order_relaxed);
	if (rate.per_second == 0 || rate_take(&l->arrival[which], rate, 1, now_us))
		return true;
	atomic_fetch_add_explicit(&l->dropped, 1, memory_order_relaxed);
	return false;
}

void source_table_dropped(struct source_table *t, uint64_t place, const struct source *s)
{
	struct source_set *set = &t->sets[place >> 32];
	unsigned i = line_find(set, (uint32_t)place, s);

	if (i != SET_LINES)
		atomic_fetch_add_explicit(&set->line[i].dropped, 1, memory_order_relaxed);
}

static void report(const struct source_line *l, struct source_report *out)
{
	uint64_t rest = atomic_load_explicit(&l->rest, memory_order_relaxed);

	*out = (struct source_report){ .ip.half[0] = atomic_load_explicit(&l->address, memory_order_relaxed),
		.port = (uint16_t)rest,
		.family = (uint8_t)(rest >> 16),
		.interface = (uint8_t)(rest >> 24),
		.packets = atomic_load_explicit(&l->packets, memory_order_relaxed),
		.dropped = atomic_load_explicit(&l->dropped, memory_order_relaxed),
		.first_us = (rest >> 32) * 1000000,
		.last_us = atomic_load_explicit(&l->last_us, memory_order_relaxed) };
}

/* `out` is kept sorted: `max` is small, and most lines do not come near it. */
unsigned source_table_top(const struct source_table *t, struct source_report *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t k = 0; max != 0 && k < t->set_count * SET_LINES; k++) {
		const struct source_set *set = &t->sets[k / SET_LINES];
		const struct source_line *l = &set->line[k % SET_LINES];
		struct source_report r;

		if (atomic_load_explicit(&set->tag[k % SET_LINES], memory_order_acquire) <= TAG_CLAIMED)
			continue;
		if (n == max && atomic_load_explicit(&l->packets, memory_order_relaxed) <= out[n - 1].packets)
			continue;
		report(l, &r);
		unsigned at = n < max ? n++ : n - 1;
		for (; at > 0 && out[at - 1].packets < r.packets; at--)
			out[at] = out[at - 1];
		out[at] = r;
	}
	return n;
}

uint32_t source_table_count(const struct source_table *t)
{
	return atomic_load_explicit(&((struct source_table *)t)->count, memory_order_relaxed);
}

uint32_t source_table_capacity(const struct source_table *t)
{
	return t->set_count * SET_LINES;
}
