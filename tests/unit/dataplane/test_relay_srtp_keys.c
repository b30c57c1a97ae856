/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of streams as they come, stay, change and end: what goes on, what passes meanwhile, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/secret_call.h"

static void a_key_that_is_repeated_goes_on_whatever_else_an_update_changes(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	struct dp_side_request *side = s.call.q.stream[0].side;
	s.sequence[0] = s.sequence[1] = 65530;
	for (unsigned i = 0; i < 10; i++) { /* the rollover counter is 1 now */
		speaks(&s, 0);
		speaks(&s, 1);
	}
	size_t n = say(&s, 0, p);
	send_octets(&s, 0, 0, p, n);
	wire_clear();
	side[1].flags = DP_SIDE_MUTED | DP_SIDE_QUIET; /* hold */
	update(&s);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
	side[1].flags = 0;
	update(&s);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
	speaks(&s, 0);
	speaks(&s, 1);
	side[0].rtp = bed_address("10.0.1.6", 4100); /* it moves */
	update(&s);
	speaks(&s, 0);
	speaks(&s, 1);
	uint16_t port = s.call.port[0];
	side[0].rtp = bed_address("2001:db8:1::5", 4200); /* and gets another port of ours */
	side[0].family = 6;
	update(&s);
	assert_string_not_equal(s.call.local[0], "10.0.1.1");
	(void)port;
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
	speaks(&s, 0);
	speaks(&s, 1);
	secret_close(&s);
}

static void while_one_side_holds_the_other_is_opened_and_counted(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM);
	struct dp_counters from[2];
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	q.stream[0].side[1].flags = DP_SIDE_MUTED;
	secret_open(&s, &q);
	s.sequence[0] = 65530;
	for (unsigned i = 0; i < 20; i++)
		refused(&s, 0, p, say(&s, 0, p), DP_COUNTER_DROP_MUTED);
	counters_of(&s.call, from);
	assert_int_equal(from[0].packets, 20);
	assert_int_equal(from[0].relayed, 0);
	assert_int_equal(from[0].lost, 0);
	s.call.q.stream[0].side[1].flags = 0;
	update(&s);
	speaks(&s, 0);
	secret_close(&s);
}

/* `k` changes its keys; packets of both are on their way. */
static void what_was_sent_with_the_old_key_passes_until_one_of_the_new_has_come(void **state)
{
	uint8_t old[3][LONGEST];
	size_t n[3];
	struct secret s;

	(void)state;
	for (unsigned suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_session_request q = request_of((enum dp_srtp_suite)suite, DP_SRTP_NONE);

		secret_open(&s, &q);
		speaks(&s, 0);
		speaks(&s, 1);
		for (unsigned i = 0; i < 3; i++)
			n[i] = say(&s, 0, old[i]);
		secure_side(&s.call.q, 0, (enum dp_srtp_suite)(suite % 6 + 1), 100);
		update(&s);
		for (unsigned i = 0; i < 2; i++) {
			send_octets(&s, 0, 0, old[i], n[i]);
			assert_int_equal(wires[1].count, 1);
			wire_clear();
		}
		refused(&s, 0, old[1], n[1], DP_COUNTER_DROP_SRTP_REPLAY);
		peer_set(&s, 0);
		speaks(&s, 0);
		speaks(&s, 1); /* what it is sent has the new key at once */
		refused(&s, 0, old[2], n[2], DP_COUNTER_DROP_SRTP_AUTH);
		assert_int_equal(secure_dropped(&s.call, DP_COUNTER_DROP_SRTP_AUTH), 1);
		secret_close(&s);
	}
}

static void an_old_key_ends_with_its_time_even_if_no_new_packet_comes(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	secure_side(&s.call.q, 0, SUITE, 100);
	update(&s); /* at 2 s */
	struct session *session = session_find(&s.call.dp->sessions, s.call.id);
	(void)watch_session(s.call.dp, session, 2000000 + CRYPTO_OLD_US - 1);
	send_octets(&s, 0, 0, p, say(&s, 0, p));
	assert_int_equal(wires[1].count, 1);
	wire_clear();
	(void)watch_session(s.call.dp, session, 2000000 + CRYPTO_OLD_US);
	refused(&s, 0, p, say(&s, 0, p), DP_COUNTER_DROP_SRTP_AUTH);
	secret_close(&s);
}

/* An offer that was refused takes its key back with it. */
static void a_key_that_comes_back_goes_on_where_it_was(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_128_GCM), other = q;
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	s.sequence[0] = s.sequence[1] = 65530;
	for (unsigned i = 0; i < 10; i++) {
		speaks(&s, 0);
		speaks(&s, 1);
	}
	size_t n = say(&s, 0, p);
	send_octets(&s, 0, 0, p, n);
	wire_clear();
	secure_side(&other, 0, SUITE, 100);
	secure_side(&other, 1, SUITE, 200);
	s.call.q = other;
	update(&s);
	s.call.q = q;
	update(&s);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
	speaks(&s, 0);
	speaks(&s, 1);
	s.call.q.stream[0].side[0].from = s.call.q.stream[0].side[0].to = (struct dp_crypto){ 0 };
	update(&s); /* plain for a while */
	s.call.q = q;
	update(&s);
	refused(&s, 0, p, n, DP_COUNTER_DROP_SRTP_REPLAY);
	speaks(&s, 0);
	speaks(&s, 1);
	secret_close(&s);
}

static void a_call_goes_over_to_srtp_and_back(void **state)
{
	struct dp_session_request q = request_of(DP_SRTP_NONE, DP_SRTP_NONE);
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	speaks(&s, 0);
	secure_side(&s.call.q, 0, SUITE, 0);
	update(&s);
	refused(&s, 0, p, say(&s, 0, p), DP_COUNTER_DROP_SRTP_AUTH);
	peer_set(&s, 0);
	speaks(&s, 0);
	speaks(&s, 1);
	s.call.q = q;
	s.call.q.session = s.call.id;
	update(&s);
	peer_set(&s, 0);
	speaks(&s, 0);
	speaks(&s, 1);
	struct dp_counters from[2];
	counters_of(&s.call, from); /* what was refused stays counted */
	assert_int_equal(from[0].srtp_auth_failed, 1);
	secret_close(&s);
}

static void of_a_keys_lifetime_its_end_is_told_once_and_then_nothing_passes(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_NONE);
	struct worker_event e = { 0 };
	unsigned passed = 0;
	uint8_t p[LONGEST];
	struct secret s;

	(void)state;
	q.stream[0].side[0].from.lifetime = q.stream[0].side[0].to.lifetime = 100;
	secret_open(&s, &q);
	srtp_context_free(secure_store, s.sends[0]); /* the peer does not mind */
	q.stream[0].side[0].from.lifetime = 0;
	s.sends[0] = secure_end(&q.stream[0].side[0].from, SRTP_OUT);
	for (unsigned i = 0; i < 120; i++) {
		send_octets(&s, 0, 0, p, say(&s, 0, p));
		passed += wires[1].count;
		wire_clear();
		if (i == 80)
			assert_int_equal(secure_events(&s.call, DP_EVENT_REKEY_NEEDED, NULL), 0);
	}
	assert_int_equal(passed, 100);
	assert_int_equal(secure_dropped(&s.call, DP_COUNTER_DROP_SRTP_KEY), 20);
	assert_int_equal(secure_events(&s.call, DP_EVENT_REKEY_NEEDED, &e), 1);
	assert_int_equal(e.side, 0);
	passed = 0;
	for (unsigned i = 0; i < 120; i++) {
		send_octets(&s, 1, 0, p, say(&s, 1, p));
		passed += wires[0].count;
		wire_clear();
	}
	assert_int_equal(passed, 100);
	assert_int_equal(secure_events(&s.call, DP_EVENT_REKEY_NEEDED, &e), 1);
	assert_int_equal(e.side, 0); /* it is side 0's, though found with a packet of side 1 */
	secure_side(&s.call.q, 0, SUITE, 100);
	update(&s);
	peer_set(&s, 0);
	speaks(&s, 0);
	speaks(&s, 1);
	secret_close(&s);
}

/* Suites are told, keys are not, and nowhere else than in their contexts are they kept. */
static void replies_name_suites_and_have_no_octet_of_a_key(void **state)
{
	struct dp_session_request q = request_of(SUITE, DP_SRTP_AEAD_AES_256_GCM);
	struct dp_session_info info;
	struct secret s;

	(void)state;
	secret_open(&s, &q);
	const struct session *session = session_find(&s.call.dp->sessions, s.call.id);
	session_info(session, 3000000, &info);
	assert_int_equal(info.stream[0].suite_from[0], SUITE);
	assert_int_equal(info.stream[0].suite_to[0], SUITE);
	assert_int_equal(info.stream[0].suite_from[1], DP_SRTP_AEAD_AES_256_GCM);
	assert_int_equal(info.stream[0].suite_to[1], DP_SRTP_AEAD_AES_256_GCM);
	for (unsigned k = 0; k < 2; k++) {
		const uint8_t *key = q.stream[0].side[k].from.key;
		const struct flow *f = session->stream[0].side[k].flow;

		assert_null(memmem(&info, sizeof(info), key, 8));
		assert_null(memmem(&s.call.r, sizeof(s.call.r), key, 8));
		assert_null(memmem(session->stream, sizeof(*session->stream), key, 8));
		assert_null(memmem(atomic_load(&f->rule), sizeof(struct flow_rule), key, 8));
	}
	secret_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_is_repeated_goes_on_whatever_else_an_update_changes),
		cmocka_unit_test(while_one_side_holds_the_other_is_opened_and_counted),
		cmocka_unit_test(what_was_sent_with_the_old_key_passes_until_one_of_the_new_has_come),
		cmocka_unit_test(an_old_key_ends_with_its_time_even_if_no_new_packet_comes),
		cmocka_unit_test(a_key_that_comes_back_goes_on_where_it_was),
		cmocka_unit_test(a_call_goes_over_to_srtp_and_back),
		cmocka_unit_test(of_a_keys_lifetime_its_end_is_told_once_and_then_nothing_passes),
		cmocka_unit_test(replies_name_suites_and_have_no_octet_of_a_key),
	};
	int status;

	secure_open();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	secure_close();
	return status;
}
