/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys that go from one session to another: rollover counters and replay windows go with them, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "dataplane/srtp_carry.h"
#include "tests/unit/dataplane/secure.h"

enum { ROC = 5, VOICE = RTP_HEADER + SECURE_VOICE, ROOM = 512 };

/* Each test has keys of its own. */
static unsigned keys;

struct ends {
	struct dp_crypto key;
	struct srtp_context *out, *in;
};

static struct srtp_context *moved(const struct dp_crypto *key)
{
	struct srtp_context *c = secure_end(key, SRTP_IN);

	srtp_context_carry(secure_store, c);
	return c;
}

static void begin_mki(struct ends *s, enum dp_srtp_suite suite, uint8_t mki_length)
{
	s->key = secure_key(suite, 0);
	s->key.key[3] = (uint8_t)++keys;
	s->key.key[4] = (uint8_t)(keys >> 8);
	s->key.key[5] = 0xa5;
	s->key.mki_length = mki_length;
	memcpy(s->key.mki, "key of the day", mki_length);
	s->out = secure_end(&s->key, SRTP_OUT);
	s->in = moved(&s->key);
}

static void begin(struct ends *s, enum dp_srtp_suite suite)
{
	begin_mki(s, suite, 0);
}

static void over(const struct ends *s)
{
	srtp_context_free(secure_store, s->out);
	srtp_context_free(secure_store, s->in);
}

/* The next packet of a source, protected. */
static size_t seal(const struct ends *s, uint8_t p[ROOM], uint64_t index, uint32_t ssrc)
{
	return secure_protect(s->out, p, secure_rtp(p, (uint16_t)index, ssrc), ROOM, false);
}

static bool opens(struct srtp_context *c, const uint8_t *packet, size_t length)
{
	uint8_t p[ROOM];

	memcpy(p, packet, length);
	return secure_unprotect(c, p, length, false) == VOICE;
}

/* One packet goes to where the source is now. */
static bool arrives(const struct ends *s, struct srtp_context *c, uint64_t index, uint32_t ssrc)
{
	uint8_t p[ROOM];

	return opens(c, p, seal(s, p, index, ssrc));
}

/* From packet 1 until `last`, of which most get lost. */
static void run(const struct ends *s, uint64_t last, uint32_t ssrc)
{
	for (uint64_t index = 1; index + 1000 < last; index += 20000)
		assert_true(arrives(s, s->in, index, ssrc));
	for (uint64_t index = last < 1000 ? 1 : last - 1000; index <= last; index += 100)
		assert_true(arrives(s, s->in, index, ssrc));
	assert_int_equal(s->in->source.index / 0x10000, last / 0x10000);
}

static void a_source_goes_on_at_its_rollover_counter_with_every_suite(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * (DP_SRTP_SUITE_COUNT - 1); i++) {
		uint64_t last = ROC * 0x10000ULL + 1000;
		struct ends s;

		begin_mki(&s, (enum dp_srtp_suite)(1 + i / 2), i % 2 ? 7 : 0);
		run(&s, last, 7);
		struct srtp_context *to = moved(&s.key), *fresh = secure_end(&s.key, SRTP_IN);
		assert_false(arrives(&s, fresh, last + 1, 7));
		assert_true(arrives(&s, to, last + 2, 7));
		/* The old session may have gone on meanwhile. */
		assert_true(arrives(&s, s.in, last + 3, 7));
		assert_true(arrives(&s, to, last + 20000, 7));
		assert_true(arrives(&s, to, last + 40000, 7));
		assert_true(srtp_context_packets(to) > srtp_context_packets(s.in));
		srtp_context_free(secure_store, to);
		srtp_context_free(secure_store, fresh);
		over(&s);
	}
}

static void the_counter_rolls_over_between_the_two_sessions(void **state)
{
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	run(&s, 0x1fff0, 7);
	struct srtp_context *to = moved(&s.key);
	assert_true(arrives(&s, to, 0x20003, 7));
	srtp_context_free(secure_store, to);
	over(&s);
}

static void what_came_to_the_old_session_is_a_replay_in_the_next(void **state)
{
	uint8_t was[ROOM], late[ROOM];
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AEAD_AES_128_GCM);
	run(&s, 0x20000, 7);
	size_t late_length = seal(&s, late, 0x20010, 7), length = seal(&s, was, 0x20011, 7);
	assert_true(opens(s.in, was, length));
	struct srtp_context *to = moved(&s.key);
	assert_false(opens(to, was, length));
	assert_true(opens(to, late, late_length));
	assert_false(opens(to, late, late_length));
	srtp_context_free(secure_store, to);
	over(&s);
}

static void each_source_is_carried(void **state)
{
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_32);
	for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++)
		run(&s, 0x10000ULL * ssrc + 50, ssrc);
	struct srtp_context *to = moved(&s.key);
	for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++)
		assert_true(arrives(&s, to, 0x10000ULL * ssrc + 51, ssrc));
	srtp_context_free(secure_store, to);
	over(&s);
}

/* One octet of key, salt or MKI is another, or the suite is: nothing is known. */
static void another_key_begins_anew(void **state)
{
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	run(&s, ROC * 0x10000ULL, 7);
	struct dp_crypto other[4] = { s.key, s.key, s.key, s.key };
	other[0].key[0] ^= 1;
	other[1].key[29] ^= 0x80;
	other[2].mki_length = 1;
	other[3].suite = DP_SRTP_AES_CM_128_HMAC_SHA1_32;
	for (unsigned i = 0; i < 4; i++) {
		struct srtp_context *c = moved(&other[i]);

		assert_int_equal(c->source.known, 0);
		assert_int_equal(context_cold(c)->source_count, 0);
		assert_int_equal(srtp_context_packets(c), 0);
		srtp_context_free(secure_store, c);
	}
	over(&s);
}

/* Two packets of one key, source and index would be protected by the same octets: that is for one context alone to count. */
static void what_we_protect_with_is_never_carried(void **state)
{
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	run(&s, 0x10010, 7);
	struct srtp_context *out = moved(&s.key), *from_out;
	srtp_context_free(secure_store, out);
	srtp_context_free(secure_store, s.in);
	s.in = NULL;
	from_out = secure_end(&s.key, SRTP_OUT);
	srtp_context_carry(secure_store, from_out);
	assert_int_equal(from_out->source.known, 0);
	srtp_context_free(secure_store, from_out);
	over(&s);
}

static void a_session_that_has_just_ended_is_remembered(void **state)
{
	struct ends s, others;
	struct srtp_context *to;

	(void)state;
	begin(&s, DP_SRTP_AEAD_AES_256_GCM);
	run(&s, ROC * 0x10000ULL, 7);
	srtp_context_free(secure_store, s.in);
	s.in = moved(&s.key);
	assert_true(arrives(&s, s.in, ROC * 0x10000ULL + 1, 7));
	/* As long as not too many have ended since. */
	srtp_context_free(secure_store, s.in);
	for (unsigned i = 0; i < CARRY_ENDED; i++) {
		begin(&others, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
		assert_true(arrives(&others, others.in, 1, 7));
		if (i == CARRY_ENDED - 2) {
			to = moved(&s.key);
			assert_int_equal(to->source.index, ROC * 0x10000ULL + 1);
			to->source.known = 0; /* it has seen nothing itself */
			srtp_context_free(secure_store, to);
		}
		over(&others);
	}
	s.in = moved(&s.key);
	assert_int_equal(s.in->source.known, 0);
	over(&s);
}

/* The farthest of all of them counts, whichever was made last; their number takes no more time. */
static void among_many_sessions_of_a_key_the_farthest_counts(void **state)
{
	enum { SESSIONS = 200 };
	static struct srtp_context *made[SESSIONS];
	struct ends s, other;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	begin(&other, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	run(&other, 0x30000, 9);
	run(&s, 0x10010, 7);
	for (unsigned i = 0; i < SESSIONS; i++)
		made[i] = moved(&s.key);
	assert_true(arrives(&s, made[SESSIONS - 4], 0x10020, 7));
	assert_true(arrives(&s, made[SESSIONS - 4], 0x17000, 7));
	assert_true(arrives(&s, made[SESSIONS - 4], 0x1e000, 7));
	assert_true(arrives(&s, made[SESSIONS - 4], 0x20010, 7));
	struct srtp_context *to = moved(&s.key), *third = moved(&other.key);
	assert_int_equal(to->source.index, 0x20010);
	assert_int_equal(third->source.index, 0x30000);
	srtp_context_free(secure_store, to);
	srtp_context_free(secure_store, third);
	/* Out of order. */
	for (unsigned i = 0; i < SESSIONS; i += 2)
		srtp_context_free(secure_store, made[i]);
	for (unsigned i = 1; i < SESSIONS; i += 2)
		srtp_context_free(secure_store, made[i]);
	to = moved(&s.key);
	assert_int_equal(to->source.index, 0x20010);
	srtp_context_free(secure_store, to);
	over(&s);
	over(&other);
}

/* --- SRTCP ------------------------------------------------------------------------------------------------------------------ */

/* The next report of a source, protected: its index counts up by one. */
static size_t seal_report(const struct ends *s, uint8_t p[ROOM], uint32_t ssrc)
{
	memset(p, 0, ROOM);
	p[0] = RTP_PLAIN;
	p[1] = 200;
	p[3] = 6;
	store_u32(p + 4, htonl(ssrc));
	return secure_protect(s->out, p, 28, ROOM, true);
}

static bool reports(struct srtp_context *c, const uint8_t *packet, size_t length)
{
	uint8_t p[ROOM];

	memcpy(p, packet, length);
	return secure_unprotect(c, p, length, true) == 28;
}

static void a_report_that_came_to_the_old_session_is_a_replay_in_the_next(void **state)
{
	enum { REPORTS = 70, LATE = 66 };
	static uint8_t p[REPORTS + 1][ROOM];
	size_t length = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * (DP_SRTP_SUITE_COUNT - 1); i++) {
		struct ends s;

		begin_mki(&s, (enum dp_srtp_suite)(1 + i / 2), i % 2 ? 4 : 0);
		for (unsigned n = 0; n < REPORTS; n++)
			length = seal_report(&s, p[n], 7);
		/* All but one, and one that has been overtaken by too many. */
		for (unsigned n = 0; n < REPORTS; n++)
			assert_int_equal(n == LATE || n == 2 || reports(s.in, p[n], length), true);
		struct srtp_context *to = moved(&s.key);
		for (unsigned n = 0; n < REPORTS; n++)
			if (n != LATE)
				assert_false(reports(to, p[n], length));
		assert_true(reports(to, p[LATE], length));
		assert_false(reports(to, p[LATE], length));
		assert_true(reports(to, p[REPORTS], seal_report(&s, p[REPORTS], 7)));
		assert_false(reports(to, p[REPORTS], length));
		/* Other sources' are their own. */
		assert_true(reports(to, p[0], seal_report(&s, p[0], 8)));
		/* Forged ones change nothing. */
		length = seal_report(&s, p[1], 7);
		p[1][length - 1] ^= 1;
		assert_false(reports(to, p[1], length));
		p[1][length - 1] ^= 1;
		assert_true(reports(to, p[1], length));
		srtp_context_free(secure_store, to);
		over(&s);
	}
}

static void reports_of_a_session_that_has_just_ended_are_replays(void **state)
{
	uint8_t first[ROOM], second[ROOM];
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	size_t length = seal_report(&s, first, 7);
	(void)seal_report(&s, second, 7);
	assert_true(reports(s.in, first, length));
	srtp_context_free(secure_store, s.in);
	s.in = moved(&s.key);
	assert_false(reports(s.in, first, length));
	assert_true(reports(s.in, second, length));
	struct dp_crypto other = s.key;
	other.key[0] ^= 1;
	struct srtp_context *fresh = moved(&other);
	assert_int_equal(context_cold(fresh)->stream_count, 0);
	srtp_context_free(secure_store, fresh);
	over(&s);
}

/* Those that report come to as many as there is room for, and one that is silent makes room there too. */
static void all_who_report_are_carried_and_their_places_are_used_again(void **state)
{
	uint8_t was[SRTP_SSRCS][ROOM], p[ROOM];
	size_t length = 0;
	struct ends s;

	(void)state;
	begin(&s, DP_SRTP_AEAD_AES_128_GCM);
	for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++) {
		length = seal_report(&s, was[ssrc], ssrc);
		assert_true(reports(s.in, was[ssrc], length));
	}
	struct srtp_context *to = moved(&s.key);
	for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++) {
		assert_false(reports(to, was[ssrc], length));
		assert_true(reports(to, p, seal_report(&s, p, ssrc)));
	}
	/* From another sender of the same key. */
	struct srtp_context *out = s.out;
	s.out = secure_end(&s.key, SRTP_OUT);
	length = seal_report(&s, p, 99);
	assert_false(reports(to, p, length));
	context_cold(to)->stream_used_us[5] = 0;
	assert_true(reports(to, p, length));
	assert_int_equal(context_cold(to)->stream[5].ssrc, htonl(99));
	srtp_context_free(secure_store, out);
	srtp_context_free(secure_store, to);
	over(&s);
}

/* --- beside the worker -------------------------------------------------------------------------------------------------------- */

static struct busy {
	struct ends s;
	atomic_bool stop, half;
} busy;

/* Half of all packets: each window is another one, and the index says which. */
static bool is_sent(uint64_t index)
{
	return index != 0 && index * 0x9e3779b97f4a7c15ULL >> 63 != 0;
}

static void receive(struct busy *b, uint64_t index, uint32_t ssrc)
{
	uint8_t p[ROOM];

	if (is_sent(index))
		(void)secure_unprotect(b->s.in, p, seal(&b->s, p, index, ssrc), false);
}

/* Two sources in turn. */
static void *receive_all_the_time(void *arg)
{
	struct busy *b = arg;

	for (uint64_t index = 1; !atomic_load(&b->stop); index++) {
		receive(b, index, 7);
		if (index % 16 == 0)
			receive(b, index / 16, 8);
	}
	return NULL;
}

static void check_whole(const struct srtp_source *source)
{
	assert_true(source->ssrc == htonl(7) || source->ssrc == htonl(8));
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(source->window[i / 64] >> i % 64 & 1,
			i < source->index && is_sent(source->index - i));
}

static void a_copy_beside_a_running_worker_is_whole(void **state)
{
	enum { COPIES = 3000, SEEN = 20 };
	struct busy *b = &busy;
	pthread_t thread;
	unsigned seen = 0;
	uint64_t last = 0;

	(void)state;
	begin(&b->s, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	struct srtp_context *to = secure_end(&b->s.key, SRTP_IN);
	assert_int_equal(pthread_create(&thread, NULL, receive_all_the_time, b), 0);
	for (unsigned i = 0; i < COPIES || seen < SEEN; i++) {
		if (i % 64 == 0)
			sched_yield();
		to->source.known = 0;
		srtp_context_carry(secure_store, to);
		for (unsigned k = 0; to->source.known != 0 && k < context_cold(to)->source_count; k++)
			check_whole(&context_cold(to)->source[k]);
		if (to->source.known != 0 && to->source.ssrc == htonl(7)) {
			assert_true(to->source.index >= last);
			seen += to->source.index != last;
			last = to->source.index;
		}
	}
	atomic_store(&b->stop, true);
	(void)pthread_join(thread, NULL);
	srtp_context_free(secure_store, to);
	over(&b->s);
}

/* A worker that is stopped in the middle of a change: index is there, the window is not. */
static void *change_slowly(void *arg)
{
	enum { PAUSE = 20 };
	struct busy *b = arg;
	struct srtp_source *source = &b->s.in->source;

	context_change_begin(b->s.in);
	__atomic_store_n(&source->index, 0x50001, __ATOMIC_RELAXED);
	atomic_store(&b->half, true);
	while (!atomic_load(&b->stop))
		sched_yield();
	for (unsigned i = 0; i < PAUSE; i++)
		sched_yield();
	__atomic_store_n(&source->window[0], 0x77, __ATOMIC_RELAXED);
	context_change_end(b->s.in);
	return NULL;
}

static void a_copy_waits_for_the_end_of_a_change(void **state)
{
	enum { ROUNDS = 5 };
	static struct busy slow;
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		begin(&slow.s, DP_SRTP_AEAD_AES_128_GCM);
		run(&slow.s, 0x20000, 7);
		atomic_store(&slow.half, false);
		atomic_store(&slow.stop, false);
		struct srtp_context *to = secure_end(&slow.s.key, SRTP_IN);
		assert_int_equal(pthread_create(&thread, NULL, change_slowly, &slow), 0);
		while (!atomic_load(&slow.half))
			sched_yield();
		atomic_store(&slow.stop, true);
		srtp_context_carry(secure_store, to);
		(void)pthread_join(thread, NULL);
		assert_int_equal(to->source.index, 0x50001);
		assert_int_equal(to->source.window[0], 0x77);
		srtp_context_free(secure_store, to);
		over(&slow.s);
	}
}

/* --- sessions ----------------------------------------------------------------------------------------------------------------- */

/* The peer of side 0 is asked for its key in a second session, where an unknown one held its place, and keeps it; the first one ends. */
static void a_peer_that_keeps_its_key_is_heard_in_its_next_session(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000), second;
	uint64_t id;
	struct call c;

	(void)state;
	for (unsigned deleted_first = 0; deleted_first < 2; deleted_first++) {
		secure_side(&q, 0, DP_SRTP_AES_CM_128_HMAC_SHA1_80, 10000 + 1000 * deleted_first);
		q.session = 0;
		second = q;
		second.stream[0].side[0].from.key[0] ^= 1;
		second.stream[0].side[0].to.key[0] ^= 1;
		secure_call(&c, &q, 1);
		struct sessions *t = &c.dp->sessions;
		struct session *s = session_find(t, c.id);
		struct srtp_context *in = atomic_load(&s->stream[0].side[0].crypto->in), *to;
		struct ends e = { .key = q.stream[0].side[0].from, .in = in };
		e.out = secure_end(&e.key, SRTP_OUT);
		run(&e, 0x10100, 7);
		assert_int_equal(session_create(t, &second, NULL, 1, &id), 0);
		second.session = id;
		if (deleted_first)
			assert_int_equal(session_delete(t, c.id), 0);
		second.stream[0].side[0].from = q.stream[0].side[0].from;
		assert_int_equal(session_update(t, &second, NULL, 2), 0);
		s = session_find(t, id);
		to = atomic_load(&s->stream[0].side[0].crypto->in);
		assert_true(arrives(&e, to, 0x10101, 7));
		assert_int_equal(atomic_load(&s->stream[0].side[1].crypto->out)->source.known, 0);
		srtp_context_free(secure_store, e.out);
		secure_over(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_goes_on_at_its_rollover_counter_with_every_suite),
		cmocka_unit_test(the_counter_rolls_over_between_the_two_sessions),
		cmocka_unit_test(what_came_to_the_old_session_is_a_replay_in_the_next),
		cmocka_unit_test(each_source_is_carried),
		cmocka_unit_test(another_key_begins_anew),
		cmocka_unit_test(what_we_protect_with_is_never_carried),
		cmocka_unit_test(a_session_that_has_just_ended_is_remembered),
		cmocka_unit_test(among_many_sessions_of_a_key_the_farthest_counts),
		cmocka_unit_test(a_report_that_came_to_the_old_session_is_a_replay_in_the_next),
		cmocka_unit_test(reports_of_a_session_that_has_just_ended_are_replays),
		cmocka_unit_test(all_who_report_are_carried_and_their_places_are_used_again),
		cmocka_unit_test(a_copy_beside_a_running_worker_is_whole),
		cmocka_unit_test(a_copy_waits_for_the_end_of_a_change),
		cmocka_unit_test(a_peer_that_keeps_its_key_is_heard_in_its_next_session),
	};
	int status;

	secure_open();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	secure_close();
	return status;
}
