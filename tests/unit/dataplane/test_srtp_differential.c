/* SPDX-License-Identifier: BSD-3-Clause */
/* The same packets through path B and through libsrtp2 with its own crypto: no difference in result, octets or rollover counter. And
 * mistakes that are planted in the one are found by the other.
 *
 * SRTP_DIFFERENTIAL_PACKETS: how many (60000); SRTP_DIFFERENTIAL_SEED. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>

#include "tests/unit/dataplane/srtp_bed.h"

enum { PAIRS = 24, SOURCES = 3, STREAMS = PAIRS * SOURCES, ROUNDS = 120, NETWORK = 256, MKI_EVERY = 6 };

enum mutant {
	MUTANT_NONE,
	MUTANT_WRAP_FORWARD, /* the rollover counter is not counted on */
	MUTANT_WRAP_BACK, /* a late packet is taken for one of the new cycle */
	MUTANT_HALF, /* half a cycle is one short */
	MUTANT_WINDOW_SHORT,
	MUTANT_WINDOW_LONG,
	MUTANT_LATE_UNMARKED, /* late packets may come twice */
	MUTANT_SHIFT, /* the window's older half is lost */
	MUTANT_EARLY, /* the window moves before the tag has been compared */
	MUTANT_TAG, /* the tag's last octet does not matter */
	MUTANTS
};

static enum mutant mutant;

static uint64_t mutant_estimate(uint64_t highest, uint16_t sequence)
{
	uint64_t index = srtp_index_estimate(highest, sequence);

	if (mutant == MUTANT_WRAP_FORWARD && index >> 16 > highest >> 16)
		return index - 0x10000;
	if (mutant == MUTANT_WRAP_BACK && index >> 16 < highest >> 16)
		return index + 0x10000;
	if (mutant == MUTANT_HALF && index == highest + SRTP_SEQUENCE_HALF && index >= 0x20000)
		return index - 0x10000;
	return index;
}

static void mutant_add(struct srtp_source *s, uint64_t index)
{
	if (index <= s->index && (mutant == MUTANT_LATE_UNMARKED || s->index - index >= SRTP_WINDOW))
		return;
	srtp_index_add(s, index);
	if (mutant == MUTANT_SHIFT)
		s->window[1] = 0;
}

static bool mutant_fresh(const struct srtp_source *s, uint64_t index)
{
	bool fresh = srtp_index_fresh(s, index);
	uint64_t behind = s->index - index;

	if (mutant == MUTANT_WINDOW_SHORT && index <= s->index && behind == SRTP_WINDOW - 1)
		return false;
	if (mutant == MUTANT_WINDOW_LONG && index <= s->index && behind == SRTP_WINDOW)
		return true;
	if (mutant == MUTANT_EARLY && fresh && s->known != 0 && index > s->index)
		((struct srtp_source *)(uintptr_t)s)->index = index - 1;
	return fresh;
}

static bool mutant_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return engine_equal(a, b, mutant == MUTANT_TAG ? n - 1 : n);
}

/* Path B with the above in it. */
#define srtp_index_estimate  mutant_estimate
#define srtp_index_add       mutant_add
#define srtp_index_fresh     mutant_fresh
#define engine_equal         mutant_equal
#define srtp_protect_burst   mutant_protect_burst
#define srtp_unprotect_burst mutant_unprotect_burst
void mutant_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
void mutant_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
#include "dataplane/srtp_burst.c"
#undef srtp_index_estimate
#undef srtp_index_add
#undef srtp_index_fresh
#undef engine_equal
#undef srtp_protect_burst
#undef srtp_unprotect_burst

struct stream {
	unsigned pair;
	uint32_t ssrc;
	uint16_t sequence;
};

struct world {
	struct bed bed;
	struct bed_pair out[PAIRS], in[PAIRS];
	struct stream stream[STREAMS];
	struct bed_buffer network[NETWORK]; /* on their way, oldest first */
	unsigned under_way;
	bed_burst protect, unprotect;
	uint64_t packets;
};

static struct world world;

/* How the next sequence number follows: as it should, or as senders and attackers will have it. */
static uint16_t next_sequence(struct bed *b, uint16_t last)
{
	uint32_t choice = bed_below(b, 200);

	if (choice < 160)
		return (uint16_t)(last + 1);
	if (choice < 170)
		return last;
	if (choice < 180)
		return (uint16_t)(last - bed_below(b, 140));
	if (choice < 190)
		return (uint16_t)(last + bed_below(b, 200));
	if (choice < 194)
		return (uint16_t)(last + (SRTP_SEQUENCE_HALF - 1U) + bed_below(b, 3));
	if (choice < 197)
		return (uint16_t)(last - (SRTP_WINDOW - 1U) - bed_below(b, 3));
	return (uint16_t)(0x10000 - bed_below(b, 20));
}

/* With CSRCs, extensions, no payload, or less than its header says. */
static void fill(struct bed *b, struct bed_buffer *p, const struct stream *s)
{
	unsigned csrcs = bed_below(b, 5) == 0 ? bed_below(b, 16) : 0, at = 12 + 4 * csrcs;
	bool extended = bed_below(b, 5) == 0;
	unsigned words = bed_below(b, 20), payload = bed_below(b, bed_below(b, 8) == 0 ? 1300 : 200);

	for (unsigned i = 0; i < BED_PACKET + BED_CANARY; i += 8) {
		uint64_t octets = bed_random(b);

		memcpy(p->data + i, &octets, 8);
	}
	p->data[0] = (uint8_t)(0x80 | (extended ? 0x10 : 0) | csrcs);
	store_u16(p->data + 2, htons(s->sequence));
	store_u32(p->data + 8, s->ssrc);
	if (extended) {
		store_u16(p->data + at + 2, htons((uint16_t)words));
		at += 4 + 4 * words;
	}
	p->length = (uint16_t)(at + payload);
	if (bed_below(b, 100) == 0)
		p->length = (uint16_t)(12 + bed_below(b, at - 11));
	p->room = (uint16_t)(bed_below(b, 50) == 0 ? p->length + bed_below(b, 20) : BED_PACKET);
}

static void travel(struct world *w, const struct bed_buffer *p, const struct bed_pair *to)
{
	struct bed *b = &w->bed;
	unsigned copies = bed_below(b, 20) == 0 ? 0 : bed_below(b, 12) == 0 ? 2 : 1;

	for (; copies != 0 && w->under_way < NETWORK; copies--) {
		struct bed_buffer *there = &w->network[w->under_way++];
		struct bed_buffer *other =
			&w->network[w->under_way - 1 - bed_below(b, w->under_way) % 8 % w->under_way];

		memcpy(there, p, sizeof(*there));
		there->pair = to;
		if (bed_below(b, 6) == 0) {
			struct bed_buffer keep;

			memcpy(&keep, other, sizeof(keep));
			memcpy(other, there, sizeof(keep));
			memcpy(there, &keep, sizeof(keep));
		}
	}
}

static void harm(struct bed *b, struct bed_buffer *p)
{
	uint32_t choice = bed_below(b, 100);

	p->room = p->length;
	if (choice < 4)
		p->data[bed_below(b, p->length)] ^= (uint8_t)(1 << bed_below(b, 8));
	else if (choice < 5)
		p->data[p->length - 1] ^= 1;
	else if (choice < 6)
		p->length = p->room = (uint16_t)bed_below(b, p->length + 1U);
	else if (choice < 7)
		p->length = p->room = (uint16_t)(p->length + bed_below(b, 20));
}

static bool send_burst(struct world *w)
{
	static struct bed_buffer packets[SRTP_BURST];
	unsigned n = 1 + bed_below(&w->bed, SRTP_BURST);
	unsigned favourite = bed_below(&w->bed, STREAMS), of[SRTP_BURST];

	for (unsigned i = 0; i < n; i++) {
		of[i] = bed_below(&w->bed, 3) == 0 ? favourite : bed_below(&w->bed, STREAMS);
		struct stream *s = &w->stream[of[i]];

		packets[i].pair = &w->out[s->pair];
		s->sequence = next_sequence(&w->bed, s->sequence);
		fill(&w->bed, &packets[i], s);
	}
	w->packets += n;
	bool same = bed_run(&w->bed, packets, n, w->protect);
	for (unsigned i = 0; i < n; i++)
		if (packets[i].length != 0)
			travel(w, &packets[i], &w->in[w->stream[of[i]].pair]);
	return same;
}

static bool receive_burst(struct world *w)
{
	static struct bed_buffer packets[SRTP_BURST];
	unsigned n = 1 + bed_below(&w->bed, SRTP_BURST);

	n = n < w->under_way ? n : w->under_way;
	if (n == 0)
		return true;
	memcpy(packets, w->network, n * sizeof(packets[0]));
	w->under_way -= n;
	memmove(w->network, w->network + n, w->under_way * sizeof(packets[0]));
	for (unsigned i = 0; i < n; i++)
		harm(&w->bed, &packets[i]);
	w->packets += n;
	return bed_run(&w->bed, packets, n, w->unprotect);
}

/* libsrtp2 does SRTCP for both; its own crypto and its own search for the MKI it has alone (which fails where tags of RTP and RTCP
 * differ in length: not compared). */
static bool report(struct world *w)
{
	static struct bed_buffer packet;
	const struct stream *s = &w->stream[bed_below(&w->bed, STREAMS)];
	const struct bed_pair *out = &w->out[s->pair];

	if (out->mki_length != 0 && srtp_suites[out->suite].tag != srtp_suites[out->suite].rtcp_tag)
		return true;
	fill(&w->bed, &packet, s);
	packet.pair = out;
	packet.data[0] = 0x81;
	packet.data[1] = 200;
	store_u32(packet.data + 4, s->ssrc);
	packet.length = (uint16_t)(bed_below(&w->bed, 50) == 0 ? bed_below(&w->bed, 8)
							       : 8 + 4 * bed_below(&w->bed, 30));
	packet.room = BED_PACKET;
	if (!bed_run_rtcp(&w->bed, &packet) || packet.length == 0)
		return w->bed.difference == NULL;
	packet.pair = &w->in[s->pair];
	bool twice = bed_below(&w->bed, 4) == 0;
	harm(&w->bed, &packet);
	struct bed_buffer again;
	memcpy(&again, &packet, sizeof(again));
	return bed_run_rtcp(&w->bed, &packet) && (!twice || bed_run_rtcp(&w->bed, &again));
}

/* Rollover counters that both have come to. */
static bool same_rollover(struct world *w, const struct bed_pair *pairs)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		const struct bed_pair *p = &pairs[w->stream[i].pair];
		uint64_t index = 0;
		uint32_t roc = 0;

		if (p->mki_length != 0 || !bed_index(p->ours, w->stream[i].ssrc, &index))
			continue;
		if (srtp_get_stream_roc(p->theirs, ntohl(w->stream[i].ssrc), &roc) != srtp_err_status_ok ||
			roc != (uint32_t)(index >> 16))
			return !bed_differs(&w->bed, "rollover counter");
	}
	return true;
}

static void world_renew(struct world *w)
{
	struct dp_crypto key[PAIRS];

	for (unsigned i = 0; i < PAIRS; i++)
		key[i] = bed_key(&w->bed, (uint8_t)(1 + i % (DP_SRTP_SUITE_COUNT - 1)),
			i % MKI_EVERY == i / MKI_EVERY ? (uint8_t)(1 + bed_below(&w->bed, DP_SRTP_MKI_MAX))
						       : 0);
	bed_pairs(&w->bed, w->out, w->in, key, PAIRS);
	for (unsigned i = 0; i < STREAMS; i++)
		w->stream[i] = (struct stream){ .pair = i / SOURCES,
			.ssrc = (uint32_t)bed_random(&w->bed),
			.sequence = (uint16_t)bed_random(&w->bed) };
	w->under_way = 0;
}

static void world_drop(struct world *w)
{
	for (unsigned i = 0; i < PAIRS; i++) {
		bed_pair_close(&w->bed, &w->out[i]);
		bed_pair_close(&w->bed, &w->in[i]);
	}
}

/* Until `packets` have gone through or the two differ. */
static bool run(struct world *w, uint64_t packets)
{
	bool same = true;

	w->bed.difference = NULL;
	for (w->packets = 0; same && w->packets < packets;) {
		world_renew(w);
		for (unsigned i = 0; same && i < ROUNDS && w->packets < packets; i++)
			same = send_burst(w) && report(w) && receive_burst(w);
		same = same && same_rollover(w, w->out) && same_rollover(w, w->in);
		world_drop(w);
	}
	return same;
}

static uint64_t setting(const char *name, uint64_t usual)
{
	const char *value = getenv(name);

	return value != NULL ? strtoull(value, NULL, 10) : usual;
}

static int setup(void **state)
{
	(void)state;
	bed_open(&world.bed, setting("SRTP_DIFFERENTIAL_SEED", 6));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_close(&world.bed);
	return 0;
}

static void nothing_differs_from_libsrtp2(void **state)
{
	(void)state;
	world.protect = srtp_protect_burst;
	world.unprotect = srtp_unprotect_burst;
	bool same = run(&world, setting("SRTP_DIFFERENTIAL_PACKETS", 60000));
	if (!same)
		fail_msg("%s differs after %lu packets", world.bed.difference, (unsigned long)world.packets);
}

static void planted_mistakes_are_found(void **state)
{
	(void)state;
	world.protect = mutant_protect_burst;
	world.unprotect = mutant_unprotect_burst;
	mutant = MUTANT_NONE;
	assert_true(run(&world, 5000));
	for (mutant = MUTANT_NONE + 1; mutant < MUTANTS; mutant++)
		if (run(&world, 200000))
			fail_msg("mutant %d was not found", (int)mutant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_differs_from_libsrtp2),
		cmocka_unit_test(planted_mistakes_are_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
