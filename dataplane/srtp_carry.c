/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys that go from one session to another with their rollover counters and replay lists. */
#include "dataplane/srtp_carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/rtp.h"

enum { LOOKED_AT_MAX = 64 }; /* of a bucket: far more than ever meet there by accident */

/* What was known of a key when a context of it ended. */
struct carry_ended {
	uint8_t fingerprint[FINGERPRINT];
	uint64_t ended_us, packets;
	uint32_t reports, source_count, stream_count, reserved;
	struct srtp_source source[CARRY_ENDED_SOURCES];
	struct srtp_reports stream[CARRY_ENDED_SOURCES];
};

/* Sources that one key has, each as far as it has come. */
struct carried {
	uint64_t packets;
	uint32_t reports;
	unsigned count, stream_count;
	struct srtp_source source[SRTP_SSRCS];
	struct srtp_reports stream[SRTP_SSRCS];
};

int carry_init(struct srtp_carry *t, const struct srtp_cold *first, uint32_t count)
{
	uint32_t buckets = 1;

	while (buckets < count && buckets < 1U << 31)
		buckets <<= 1;
	*t = (struct srtp_carry){ .first = first, .mask = buckets - 1 };
	t->bucket = calloc(buckets, sizeof(*t->bucket));
	t->next = calloc(count, sizeof(*t->next));
	t->previous = calloc(count, sizeof(*t->previous));
	t->mark = calloc(CARRY_ENDED, sizeof(*t->mark));
	t->ended = calloc(CARRY_ENDED, sizeof(*t->ended));
	return t->bucket != NULL && t->next != NULL && t->previous != NULL && t->mark != NULL &&
			       t->ended != NULL
		       ? 0
		       : -ENOMEM;
}

void carry_fini(struct srtp_carry *t)
{
	free(t->bucket);
	free(t->next);
	free(t->previous);
	free(t->mark);
	free(t->ended);
	*t = (struct srtp_carry){ 0 };
}

/* Of a digest that nobody can choose or foretell. */
static uint64_t mark_of(const uint8_t *fingerprint)
{
	uint64_t mark;

	memcpy(&mark, fingerprint, sizeof(mark));
	return mark | 1;
}

static uint32_t *bucket_of(const struct srtp_carry *t, const uint8_t *fingerprint)
{
	return &t->bucket[mark_of(fingerprint) >> 32 & t->mask];
}

void carry_enter(struct srtp_carry *t, const struct srtp_context *c)
{
	const struct srtp_cold *cold = context_cold(c);
	uint32_t number = (uint32_t)(cold - t->first), *bucket = bucket_of(t, cold->fingerprint);

	t->previous[number] = 0;
	t->next[number] = *bucket;
	if (*bucket != 0)
		t->previous[*bucket - 1] = number + 1;
	*bucket = number + 1;
}

/* --- what a context knows ------------------------------------------------------------------------------------------------ */

/* Beside the running worker; no_sanitize: what came out of a change that was under way is thrown away. */
static __attribute__((no_sanitize("thread"))) void source_read(
	const struct srtp_source *from, struct srtp_source *to)
{
	to->ssrc = __atomic_load_n(&from->ssrc, __ATOMIC_RELAXED);
	to->known = __atomic_load_n(&from->known, __ATOMIC_RELAXED);
	to->index = __atomic_load_n(&from->index, __ATOMIC_RELAXED);
	to->window[0] = __atomic_load_n(&from->window[0], __ATOMIC_RELAXED);
	to->window[1] = __atomic_load_n(&from->window[1], __ATOMIC_RELAXED);
}

static __attribute__((no_sanitize("thread"))) void reports_read(
	const struct srtp_reports *from, struct srtp_reports *to)
{
	to->ssrc = __atomic_load_n(&from->ssrc, __ATOMIC_RELAXED);
	to->index = __atomic_load_n(&from->index, __ATOMIC_RELAXED);
	to->window = __atomic_load_n(&from->window, __ATOMIC_RELAXED);
}

/* The record's source lies in its slot too, but is older there. */
static __attribute__((no_sanitize("thread"))) void read_once(
	const struct srtp_context *c, const struct srtp_cold *cold, struct carried *out)
{
	const uint8_t *slot = (c->flags & CONTEXT_GCM) != 0 ? &c->gcm.slot : &c->cm.slot;
	unsigned current = __atomic_load_n(slot, __ATOMIC_RELAXED);

	out->count = __atomic_load_n(&cold->source_count, __ATOMIC_RELAXED);
	if (__atomic_load_n(&c->source.known, __ATOMIC_RELAXED) == 0 || out->count > SRTP_SSRCS)
		out->count = 0;
	for (unsigned i = 0; i < out->count; i++)
		source_read(i == current ? &c->source : &cold->source[i], &out->source[i]);
	out->reports = __atomic_load_n(&cold->reports, __ATOMIC_RELAXED);
	out->stream_count = __atomic_load_n(&cold->stream_count, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < out->stream_count && i < SRTP_SSRCS; i++)
		reports_read(&cold->stream[i], &out->stream[i]);
}

/* A consistent copy: read again until nothing has changed meanwhile. */
static void read_sources(const struct srtp_context *c, struct carried *out)
{
	uint16_t before, after;

	*out = (struct carried){ 0 };
	do {
		before = __atomic_load_n(&c->source.version, __ATOMIC_ACQUIRE);
		read_once(c, context_cold(c), out);
		atomic_thread_fence(memory_order_acquire);
		after = __atomic_load_n(&c->source.version, __ATOMIC_RELAXED);
	} while (before != after || (before & 1) != 0);
	out->packets = counter_read(&c->packets);
}

/* Each source as where it has come farthest; the first SRTP_SSRCS of them. */
static void merge_sources(struct carried *all, const struct srtp_source *source, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned at = 0;

		while (at < all->count && all->source[at].ssrc != source[i].ssrc)
			at++;
		if (at == SRTP_SSRCS || (at < all->count && all->source[at].index >= source[i].index))
			continue;
		srtp_source_copy(&all->source[at], &source[i]);
		if (at == all->count)
			all->count++;
	}
}

static void merge_reports(struct carried *all, const struct srtp_reports *stream, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned at = 0;

		while (at < all->stream_count && all->stream[at].ssrc != stream[i].ssrc)
			at++;
		if (stream[i].window == 0 || at == SRTP_SSRCS ||
			(at < all->stream_count && all->stream[at].index >= stream[i].index))
			continue;
		all->stream[at] = stream[i];
		if (at == all->stream_count)
			all->stream_count++;
	}
}

static void merge_lives(struct carried *all, uint64_t packets, uint32_t reports)
{
	if (packets > all->packets)
		all->packets = packets;
	if (reports > all->reports)
		all->reports = reports;
}

/* --- ended ones ----------------------------------------------------------------------------------------------------------- */

static void remember(struct srtp_carry *t, const struct srtp_context *c)
{
	struct carried known;
	struct carry_ended *e = &t->ended[t->ended_next];

	read_sources(c, &known);
	if (known.count == 0 && known.stream_count == 0)
		return;
	if (known.count > CARRY_ENDED_SOURCES)
		known.count = CARRY_ENDED_SOURCES;
	if (known.stream_count > CARRY_ENDED_SOURCES)
		known.stream_count = CARRY_ENDED_SOURCES;
	*e = (struct carry_ended){ .ended_us = coarse_us(),
		.packets = known.packets,
		.reports = known.reports,
		.source_count = known.count,
		.stream_count = known.stream_count };
	memcpy(e->fingerprint, context_cold(c)->fingerprint, FINGERPRINT);
	memcpy(e->source, known.source, known.count * sizeof(e->source[0]));
	memcpy(e->stream, known.stream, known.stream_count * sizeof(e->stream[0]));
	t->mark[t->ended_next] = mark_of(e->fingerprint);
	t->ended_next = (t->ended_next + 1) % CARRY_ENDED;
}

void carry_leave(struct srtp_carry *t, const struct srtp_context *c)
{
	const struct srtp_cold *cold = context_cold(c);
	uint32_t number = (uint32_t)(cold - t->first), next = t->next[number], previous = t->previous[number];

	remember(t, c);
	if (next != 0)
		t->previous[next - 1] = previous;
	if (previous != 0)
		t->next[previous - 1] = next;
	else
		*bucket_of(t, cold->fingerprint) = next;
}

static void merge_ended(const struct srtp_carry *t, const uint8_t *fingerprint, struct carried *all)
{
	uint64_t mark = mark_of(fingerprint), now_us = coarse_us();

	for (unsigned i = 0; i < CARRY_ENDED; i++) {
		const struct carry_ended *e = &t->ended[i];

		if (t->mark[i] == mark && engine_equal(e->fingerprint, fingerprint, FINGERPRINT) &&
			now_us - e->ended_us < CARRY_ENDED_SECONDS * 1000000ULL) {
			merge_sources(all, e->source, e->source_count);
			merge_reports(all, e->stream, e->stream_count);
			merge_lives(all, e->packets, e->reports);
		}
	}
}

/* --- carrying ------------------------------------------------------------------------------------------------------------- */

static void merge_living(const struct srtp_carry *t, const struct srtp_cold *cold, struct carried *all)
{
	uint32_t at = *bucket_of(t, cold->fingerprint);
	unsigned same = 0;

	for (unsigned n = 0; at != 0 && n < LOOKED_AT_MAX && same < CARRY_SAME_KEY; n++) {
		const struct srtp_cold *other = &t->first[at - 1];
		struct carried known;

		at = t->next[at - 1];
		if (other == cold || !engine_equal(other->fingerprint, cold->fingerprint, FINGERPRINT))
			continue;
		read_sources(other->context, &known);
		merge_sources(all, known.source, known.count);
		merge_reports(all, known.stream, known.stream_count);
		merge_lives(all, known.packets, known.reports);
		same++;
	}
}

void carry_sources(const struct srtp_carry *t, struct srtp_context *c)
{
	struct srtp_cold *cold = context_cold(c);
	struct carried all = { 0 };
	uint64_t now_us = coarse_us();

	merge_living(t, cold, &all);
	merge_ended(t, cold->fingerprint, &all);
	for (unsigned i = 0; i < all.stream_count; i++) {
		cold->stream[i] = all.stream[i];
		cold->stream_used_us[i] = now_us;
	}
	cold->stream_count = (uint8_t)all.stream_count;
	cold->reports = all.reports;
	if (all.count == 0)
		return;
	for (unsigned i = 0; i < all.count; i++) {
		srtp_source_copy(&cold->source[i], &all.source[i]);
		cold->used_us[i] = now_us;
	}
	cold->source_count = (uint8_t)all.count;
	srtp_source_copy(&c->source, &all.source[0]);
	*context_slot(c) = 0;
	c->packets = all.packets;
}
