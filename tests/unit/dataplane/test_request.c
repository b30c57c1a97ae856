/* SPDX-License-Identifier: BSD-3-Clause */
/* What a session request may say of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/dataplane/bed.h"

static const size_t lengths[DP_SRTP_SUITE_COUNT] = { 0, 30, 30, 46, 46, 28, 44 };

static struct dp_crypto key(unsigned suite)
{
	struct dp_crypto c = { .suite = (uint8_t)suite };

	memset(c.key, 0x5a, lengths[suite]);
	return c;
}

static struct dp_session_request secured(unsigned suite)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);

	q.stream[0].side[0].from = q.stream[0].side[0].to = key(suite);
	return q;
}

static int check(const struct dp_session_request *q)
{
	return request_validate(q, sizeof(*q));
}

static void each_suite_has_a_key_of_its_length(void **state)
{
	(void)state;
	for (unsigned suite = 0; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_session_request q = secured(suite);

		assert_int_equal(check(&q), 0);
		for (size_t i = lengths[suite]; i < DP_SRTP_KEY_MAX; i++) {
			q = secured(suite);
			q.stream[0].side[0].to.key[i] = 1;
			assert_int_equal(check(&q), -EINVAL);
		}
	}
	struct dp_session_request q = secured(1);
	q.stream[0].side[0].from.suite = DP_SRTP_SUITE_COUNT;
	assert_int_equal(check(&q), -EINVAL);
	q = secured(1);
	memset(q.stream[0].side[0].from.key, 0, DP_SRTP_KEY_MAX);
	assert_int_equal(check(&q), -EINVAL);
}

static void an_mki_has_at_most_sixteen_octets_and_zeros_behind_it(void **state)
{
	struct dp_session_request q = secured(1);

	(void)state;
	for (uint8_t n = 0; n <= DP_SRTP_MKI_MAX; n++) {
		q.stream[0].side[0].from.mki_length = n;
		memset(q.stream[0].side[0].from.mki, 7, n);
		assert_int_equal(check(&q), 0);
	}
	q.stream[0].side[0].from.mki_length = DP_SRTP_MKI_MAX - 1;
	assert_int_equal(check(&q), -EINVAL);
	q.stream[0].side[0].from.mki_length = DP_SRTP_MKI_MAX + 1;
	assert_int_equal(check(&q), -EINVAL);
	q.stream[0].side[0].from.mki_length = DP_SRTP_MKI_MAX;
	q.stream[0].side[0].from.reserved[5] = 1;
	assert_int_equal(check(&q), -EINVAL);
}

static void a_side_has_keys_both_ways_or_none(void **state)
{
	struct dp_session_request q = secured(1);

	(void)state;
	q.stream[0].side[0].to = (struct dp_crypto){ 0 };
	assert_int_equal(check(&q), -EINVAL);
	q.stream[0].side[0].to = key(6);
	assert_int_equal(check(&q), 0);
	q.stream[0].side[0].from = (struct dp_crypto){ 0 };
	assert_int_equal(check(&q), -EINVAL);
	q.stream[0].side[0].to = (struct dp_crypto){ 0 };
	assert_int_equal(check(&q), 0);
	q.stream[0].side[1].from = q.stream[0].side[1].to = key(2);
	assert_int_equal(check(&q), 0);
}

static void without_a_suite_there_is_nothing_of_a_key(void **state)
{
	struct dp_session_request q = secured(0);

	(void)state;
	q.stream[0].side[1].from.lifetime = 1;
	assert_int_equal(check(&q), -EINVAL);
	q = secured(0);
	q.stream[0].side[1].from.mki_length = 1;
	assert_int_equal(check(&q), -EINVAL);
	q = secured(0);
	q.stream[0].side[1].from.mki[0] = 1;
	assert_int_equal(check(&q), -EINVAL);
}

static void only_rtp_is_protected(void **state)
{
	struct dp_session_request q = secured(1);

	(void)state;
	q.stream[0].kind = DP_MEDIA_OTHER;
	assert_int_equal(check(&q), -EINVAL);
}

static void where_there_is_no_srtp_keys_are_refused_and_plain_calls_are_not(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = secured(1);
	uint64_t id = 0;

	(void)state;
	assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &id), -EOPNOTSUPP);
	q = secured(0);
	assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &id), 0);
	bed_free(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_suite_has_a_key_of_its_length),
		cmocka_unit_test(an_mki_has_at_most_sixteen_octets_and_zeros_behind_it),
		cmocka_unit_test(a_side_has_keys_both_ways_or_none),
		cmocka_unit_test(without_a_suite_there_is_nothing_of_a_key),
		cmocka_unit_test(only_rtp_is_protected),
		cmocka_unit_test(where_there_is_no_srtp_keys_are_refused_and_plain_calls_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
