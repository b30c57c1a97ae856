/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting what legs do: a few increments in rows of the shard. What they mean is in docs/decisions/0089-statistics.md. */
#include "controlplane/statistics.h"

#include "controlplane/leg.h"
#include "controlplane/record.h"
#include "controlplane/statistics_internal.h"
#include "platforms/base/clock.h"

static struct statistics *statistics_of(const struct shard *shard)
{
	return shard->shared.statistics;
}

static void add(uint64_t *at, uint64_t n)
{
	__atomic_store_n(at, *at + n, __ATOMIC_RELAXED);
}

/* In the rows of the system, the realm and the agent: those there are. */
struct places {
	uint32_t slot[3];
	unsigned count;
};

static struct places places_of(struct statistics_place place)
{
	struct places places = { { STATISTICS_SYSTEM }, 1 };

	if (place.realm)
		places.slot[places.count++] = place.realm;
	if (place.agent)
		places.slot[places.count++] = place.agent;
	return places;
}

#define COUNT(shard, place, way, field, n) \
	count_in((shard), (place), (way), offsetof(struct statistics_way, field), (n))

static void count_in(
	const struct shard *shard, struct statistics_place place, unsigned way, size_t field, uint64_t n)
{
	struct statistics_row *rows = statistics_of(shard)->table.rows[shard->index];
	struct places places = places_of(place);

	for (unsigned i = 0; i < places.count; i++)
		add((uint64_t *)(void *)((char *)&rows[places.slot[i]].way[way] + field), n);
}

/* --- at this moment: shared, since the most there ever were at once is no sum of anything ------------------------------- */

static void raise_to(uint32_t *most, uint32_t now)
{
	uint32_t seen = __atomic_load_n(most, __ATOMIC_RELAXED);

	while (seen < now &&
		!__atomic_compare_exchange_n(most, &seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void change_now(const struct shard *shard, struct statistics_place place, unsigned way, int n)
{
	struct statistics_slot *slots = statistics_of(shard)->table.slot;
	struct places places = places_of(place);

	for (unsigned i = 0; i < places.count; i++) {
		struct statistics_gauge *gauge = &slots[places.slot[i]].gauge[way];
		uint32_t now = __atomic_add_fetch(&gauge->now, (uint32_t)n, __ATOMIC_RELAXED);

		if (n > 0)
			raise_to(&gauge->most, now);
	}
}

static void count_second(
	const struct shard *shard, struct statistics_place place, unsigned way, uint64_t second)
{
	struct statistics_row *rows = statistics_of(shard)->table.rows[shard->index];
	struct places places = places_of(place);

	for (unsigned i = 0; i < places.count; i++) {
		uint64_t *cell = &rows[places.slot[i]].way[way].second[second % STATISTICS_SECONDS];
		uint64_t stamp = second << STATISTICS_SECOND_BITS;

		__atomic_store_n(cell, (*cell >> STATISTICS_SECOND_BITS == second ? *cell : stamp) + 1,
			__ATOMIC_RELAXED);
	}
}

/* --- a leg -------------------------------------------------------------------------------------------------------------- */

void statistics_begin(struct leg *leg, unsigned way)
{
	struct statistics_mark *mark = &leg->statistics;
	uint64_t now;

	if (!statistics_of(leg->shard))
		return;
	mark->status = 0;
	if (mark->counted)
		return;
	now = clock_now_ms();
	mark->counted = true;
	mark->way = (uint8_t)way;
	mark->begun_ms = now;
	mark->place = statistics_place(statistics_of(leg->shard), leg->realm, leg->agent);
	change_now(leg->shard, mark->place, way, 1);
	count_second(leg->shard, mark->place, way, now / 1000);
}

static void note_rang(struct leg *leg)
{
	struct statistics_mark *mark = &leg->statistics;

	if (mark->rang)
		return;
	mark->rang = true;
	COUNT(leg->shard, mark->place, mark->way, rang, 1);
	COUNT(leg->shard, mark->place, mark->way, post_dial_ms, clock_now_ms() - mark->begun_ms);
}

void statistics_response(struct leg *leg, unsigned status)
{
	struct statistics_mark *mark = &leg->statistics;

	if (!mark->counted || mark->answered)
		return;
	mark->heard = true;
	if ((status >= 180 && status <= 183) || status / 100 == 2)
		note_rang(leg);
	else if (status >= 300)
		mark->status = (uint16_t)status;
}

void statistics_answered(struct leg *leg)
{
	struct statistics_mark *mark = &leg->statistics;

	if (!mark->counted || mark->answered)
		return;
	note_rang(leg);
	mark->answered = true;
	mark->answered_ms = clock_now_ms();
	COUNT(leg->shard, mark->place, mark->way, attempts, 1);
	COUNT(leg->shard, mark->place, mark->way, effective, 1);
	COUNT(leg->shard, mark->place, mark->way, answered, 1);
}

void statistics_hand_over(struct leg *to, struct leg *from)
{
	to->statistics = from->statistics;
	from->statistics = (struct statistics_mark){ 0 };
}

/* RFC 6076 section 4.6: a redirection or a challenge is a step on the way of a call that is tried again. A challenge to credentials of ours that
 * stands is a refusal. */
static bool is_a_step(const struct leg *leg)
{
	const struct statistics_mark *mark = &leg->statistics;
	bool challenge = mark->status == 401 || mark->status == 407;
	bool ours = mark->way == CP_STATISTICS_OUT && leg->agent && leg->agent->username &&
		    leg->agent->username[0];

	return mark->status / 100 == 3 || (challenge && !ours);
}

/* ITU-T E.425: the network has done its part: busy, nobody answered, refused by the user, given up by the caller. */
static bool is_effective(const struct statistics_mark *mark)
{
	bool out = mark->way == CP_STATISTICS_OUT;

	if (!out && !mark->passed_on && mark->status != 487)
		return false;
	switch (mark->status) {
	case 480:
	case 486:
	case 600:
	case 603:
	case 487:
		return true;
	case 0:
		/* Given up, by the caller or by us: somebody who had said nothing at all may just as well not be there. */
		return out && mark->heard;
	default:
		return mark->status == 408 && mark->rang;
	}
}

void statistics_end(struct leg *leg)
{
	struct statistics_mark *mark = &leg->statistics;

	if (!mark->counted)
		return;
	mark->counted = false;
	change_now(leg->shard, mark->place, mark->way, -1);
	if (mark->answered) {
		COUNT(leg->shard, mark->place, mark->way, ended, 1);
		COUNT(leg->shard, mark->place, mark->way, talked_ms, clock_now_ms() - mark->answered_ms);
		return;
	}
	if (is_a_step(leg))
		return;
	COUNT(leg->shard, mark->place, mark->way, attempts, 1);
	if (is_effective(mark))
		COUNT(leg->shard, mark->place, mark->way, effective, 1);
	else if (mark->way == CP_STATISTICS_IN && !mark->passed_on)
		COUNT(leg->shard, mark->place, mark->way, refused, 1);
}

void statistics_refused(struct shard *shard, const struct config_realm *realm,
	const struct config_session_agent *agent, unsigned way)
{
	struct statistics_place place;

	if (!statistics_of(shard))
		return;
	place = statistics_place(statistics_of(shard), realm, agent);
	COUNT(shard, place, way, refused, 1);
	if (way != CP_STATISTICS_IN)
		return;
	COUNT(shard, place, way, attempts, 1);
	count_second(shard, place, way, clock_now_ms() / 1000);
}

/* --- media -------------------------------------------------------------------------------------------------------------- */

static void classify(uint64_t classes[CP_QUALITY_CLASSES], uint64_t *sum,
	const uint32_t bounds[CP_QUALITY_CLASSES - 1], uint32_t value)
{
	unsigned i = 0;

	while (i < CP_QUALITY_CLASSES - 1 && value > bounds[i])
		i++;
	add(&classes[i], 1);
	add(sum, value);
}

void statistics_quality(
	struct shard *shard, struct statistics_place place, const struct media_quality *quality)
{
	static const uint32_t mos[] = CP_QUALITY_MOS_BOUNDS, loss[] = CP_QUALITY_LOSS_BOUNDS,
			      jitter[] = CP_QUALITY_JITTER_BOUNDS;
	struct places places = places_of(place);
	struct statistics_row *rows;

	if (!statistics_of(shard))
		return;
	rows = statistics_of(shard)->table.rows[shard->index];
	for (unsigned i = 0; i < places.count; i++) {
		struct cp_quality *row = &rows[places.slot[i]].quality;

		if (quality->has_mos)
			classify(row->mos, &row->mos_sum, mos, quality->mos);
		if (quality->has_loss)
			classify(row->loss, &row->loss_sum, loss, quality->loss);
		if (quality->has_jitter)
			classify(row->jitter, &row->jitter_sum, jitter, (quality->jitter_us + 500) / 1000);
	}
}

/* --- phones ------------------------------------------------------------------------------------------------------------- */

struct statistics_place statistics_place(const struct statistics *statistics,
	const struct config_realm *realm, const struct config_session_agent *agent)
{
	struct statistics_place place = { 0 };
	const struct statistics_table *table = &statistics->table;

	/* What is not in the configuration any more may still be on its way here. */
	if (realm && realm >= table->realms && realm < table->realms + table->realm_count)
		place.realm = table->realm_slot[realm - table->realms];
	if (agent && agent >= table->agents && agent < table->agents + table->agent_count)
		place.agent = table->agent_slot[agent - table->agents];
	return place;
}

void statistics_registered(struct statistics *statistics, struct statistics_place place, int n)
{
	struct places places = places_of(place);

	for (unsigned i = 0; statistics && i < places.count; i++)
		__atomic_add_fetch(
			&statistics->table.slot[places.slot[i]].registrations, (uint32_t)n, __ATOMIC_RELAXED);
}
