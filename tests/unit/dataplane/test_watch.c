/* SPDX-License-Identifier: BSD-3-Clause */
/* Media that stays away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/bed.h"

enum { SECOND = 1000000, CREATED = 1000000, INITIAL = 120, IDLE = 60, RELATCH = 5 };

static struct session *open_session(struct dataplane *dp, const struct dp_session_request *q)
{
	uint64_t id = 0;

	assert_int_equal(session_create(&dp->sessions, q, NULL, CREATED, &id), 0);
	return session_find(&dp->sessions, id);
}

static void hear(struct session *s, unsigned side, uint64_t us)
{
	rtp_count(&s->stream[0].side[side].flow->stats, 172, us);
}

static void the_first_packet_may_take_longer_than_the_next(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s = open_session(dp, &q);

	(void)state;
	assert_int_equal(watch_session(dp, s, CREATED + INITIAL * SECOND), 0);
	assert_int_equal(watch_session(dp, s, CREATED + INITIAL * SECOND + 1), 2);
	hear(s, 0, CREATED + 200 * SECOND);
	assert_int_equal(watch_session(dp, s, CREATED + 260 * SECOND), 0);
	assert_int_equal(watch_session(dp, s, CREATED + 260 * SECOND + 1), 1);
	bed_free(dp);
}

static void a_silence_is_reported_once_and_the_next_one_again(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s = open_session(dp, &q);
	uint64_t now = CREATED;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		hear(s, 0, now);
		hear(s, 1, now + IDLE * SECOND); /* that one goes on */
		assert_int_equal(watch_session(dp, s, now + SECOND), 0);
		assert_int_equal(watch_session(dp, s, now + IDLE * SECOND + 1), 1);
		assert_int_equal(watch_session(dp, s, now + IDLE * SECOND + 2), 0);
		now += 70 * SECOND;
	}
	bed_free(dp);
}

static void a_side_on_hold_or_unknown_is_not_expected_to_send(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, NULL, 0);
	struct session *s;

	(void)state;
	q.stream[0].side[0].flags = DP_SIDE_QUIET;
	s = open_session(dp, &q);
	assert_int_equal(watch_session(dp, s, CREATED + 1000ULL * SECOND), 0);
	/* Off hold: the time counts from now. */
	q.session = s->id;
	q.stream[0].side[0].flags = 0;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, CREATED + 1000ULL * SECOND), 0);
	assert_int_equal(watch_session(dp, s, CREATED + 1100ULL * SECOND), 0);
	assert_int_equal(watch_session(dp, s, CREATED + 1121ULL * SECOND), 1);
	bed_free(dp);
}

static void no_timeout_means_no_report(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s = open_session(dp, &q);

	(void)state;
	dp->config->media_manager.idle_timeout = dp->config->media_manager.initial_timeout = 0;
	assert_int_equal(watch_session(dp, s, CREATED + 10000ULL * SECOND), 0);
	bed_free(dp);
}

static void a_relatching_side_is_armed_once_in_a_silence_and_that_is_no_report(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_RELATCH;
	s = open_session(dp, &q);
	const struct session_side *side = s->stream[0].side;
	uint64_t now = CREATED;
	for (unsigned silence = 1; silence <= 3; silence++) {
		hear(s, 0, now);
		hear(s, 1, now);
		assert_int_equal(watch_session(dp, s, now + RELATCH * SECOND), 0);
		assert_int_equal(side[0].arming, silence);
		for (unsigned i = 1; i < 20; i++)
			assert_int_equal(watch_session(dp, s, now + (RELATCH + i) * SECOND), 0);
		assert_int_equal(side[0].arming, silence + 1);
		now += 30 * SECOND;
	}
	assert_int_equal(side[0].epoch, 1); /* where to send to is another matter */
	assert_int_equal(side[1].arming, 1); /* it does not relatch */
	const struct flow_rule *r = atomic_load(&side[0].flow->rule);
	assert_int_equal(r->epoch_in, side[0].arming);
	assert_int_equal(watch_session(dp, s, now + IDLE * SECOND), 2);
	bed_free(dp);
}

static void who_was_never_heard_or_is_on_hold_is_not_armed(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s;

	(void)state;
	q.stream[0].side[0].latching = q.stream[0].side[1].latching = DP_LATCHING_RELATCH;
	q.stream[0].side[1].flags = DP_SIDE_QUIET;
	s = open_session(dp, &q);
	hear(s, 1, CREATED);
	assert_int_equal(watch_session(dp, s, CREATED + 100 * SECOND), 0);
	assert_int_equal(s->stream[0].side[0].arming, 1);
	assert_int_equal(s->stream[0].side[1].arming, 1);
	bed_free(dp);
}

static void the_scan_brings_what_was_counted_into_the_totals_once(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s = open_session(dp, &q);
	const struct realm_totals *access = session_realm_totals(&dp->sessions, 0);

	(void)state;
	for (unsigned i = 1; i <= 10; i++) {
		hear(s, 0, CREATED + i * SECOND);
		(void)watch_session(dp, s, CREATED + i * SECOND);
		(void)watch_session(dp, s, CREATED + i * SECOND);
		assert_int_equal(access->packets, i);
		assert_int_equal(access->octets, i * 172);
	}
	bed_free(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_packet_may_take_longer_than_the_next),
		cmocka_unit_test(a_silence_is_reported_once_and_the_next_one_again),
		cmocka_unit_test(a_side_on_hold_or_unknown_is_not_expected_to_send),
		cmocka_unit_test(no_timeout_means_no_report),
		cmocka_unit_test(a_relatching_side_is_armed_once_in_a_silence_and_that_is_no_report),
		cmocka_unit_test(who_was_never_heard_or_is_on_hold_is_not_armed),
		cmocka_unit_test(the_scan_brings_what_was_counted_into_the_totals_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
