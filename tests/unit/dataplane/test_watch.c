/* SPDX-License-Identifier: BSD-3-Clause */
/* Media that stays away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/bed.h"

enum { SECOND = 1000000, CREATED = 1000000, INITIAL = 120, IDLE = 60 };

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

static void a_silent_relatching_side_is_learnt_anew(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct session *s;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_RELATCH;
	s = open_session(dp, &q);
	hear(s, 0, CREATED);
	hear(s, 1, CREATED + 100 * SECOND);
	uint16_t epoch = s->stream[0].side[0].epoch, other = s->stream[0].side[1].epoch;
	assert_int_equal(watch_session(dp, s, CREATED + 61 * SECOND), 1);
	assert_int_equal(s->stream[0].side[0].epoch, epoch + 1);
	assert_int_equal(s->stream[0].side[1].epoch, other);
	const struct flow_rule *r = atomic_load(&s->stream[0].side[0].flow->rule);
	assert_int_equal(r->epoch_in, epoch + 1);
	bed_free(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_packet_may_take_longer_than_the_next),
		cmocka_unit_test(a_silence_is_reported_once_and_the_next_one_again),
		cmocka_unit_test(a_side_on_hold_or_unknown_is_not_expected_to_send),
		cmocka_unit_test(no_timeout_means_no_report),
		cmocka_unit_test(a_silent_relatching_side_is_learnt_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
