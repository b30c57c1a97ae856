/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: what a request allocates, what an update keeps, what a failure leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/dataplane/bed.h"

static uint64_t pairs_used(const struct dataplane *dp)
{
	uint64_t used, total;

	pools_count(&dp->pools, &used, &total);
	return used;
}

static uint32_t hops_referenced(const struct dataplane *dp)
{
	uint32_t n = 0;

	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++)
		n += dp->next_hops.entry[i].references;
	return n;
}

static struct dp_session_reply reply_of(const struct dataplane *dp, uint64_t id)
{
	struct dp_session_reply r;

	session_reply(session_find(&dp->sessions, id), &r);
	return r;
}

static void a_session_gets_ports_of_its_realms_and_gives_all_back(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000);
	uint64_t id = bed_create(dp, &q);

	(void)state;
	assert_int_not_equal(id, 0);
	struct dp_session_reply r = reply_of(dp, id);
	assert_int_equal(r.local[0][0].family, 4);
	assert_int_equal(r.local[0][1].family, 6);
	assert_memory_equal(r.local[0][0].ip, ((uint8_t[]){ 10, 0, 1, 1 }), 4);
	assert_in_range(r.local[0][1].port, BED_FIRST, BED_LAST);
	assert_int_equal(r.local[0][1].port % 2, 0);
	assert_int_equal(pairs_used(dp), 2);
	assert_int_equal(hops_referenced(dp), 4); /* RTP and RTCP of two sides */
	const struct session *s = session_find(&dp->sessions, id);
	struct flow *flow = s->stream[0].side[0].flow;
	assert_non_null(atomic_load(&flow->rule));
	assert_int_equal(session_delete(&dp->sessions, id), 0);
	assert_null(atomic_load(&flow->rule));
	assert_int_equal(pairs_used(dp), 0);
	assert_int_equal(hops_referenced(dp), 0);
	assert_null(session_find(&dp->sessions, id));
	assert_int_equal(session_delete(&dp->sessions, id), -ENOENT);
	bed_free(dp);
}

static void a_session_number_is_never_given_twice(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		uint64_t id = bed_create(dp, &q);

		assert_true(id > last);
		last = id;
		assert_int_equal(session_delete(&dp->sessions, id), 0);
	}
	bed_free(dp);
}

static void an_update_keeps_ports_and_what_was_learnt_when_nothing_changed(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);

	(void)state;
	uint64_t id = 0;
	assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &id), 0);
	struct dp_session_reply before = reply_of(dp, id), after;
	const struct session_side *side = session_find(&dp->sessions, id)->stream[0].side;
	uint16_t epoch[2] = { side[0].epoch, side[1].epoch };
	q.session = id;
	q.stream[0].side[1].flags = DP_SIDE_MUTED | DP_SIDE_QUIET;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 2), 0);
	side = session_find(&dp->sessions, id)->stream[0].side;
	after = reply_of(dp, id);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(side[0].epoch, epoch[0]);
	assert_int_equal(side[1].epoch, epoch[1]);
	const struct flow_rule *r = atomic_load(&side[0].flow->rule);
	assert_true((r->flags & RULE_MUTED) != 0);
	bed_free(dp);
}

static void a_changed_remote_arms_that_side_anew_and_not_the_other(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id = bed_create(dp, &q);

	(void)state;
	q.session = id;
	q.stream[0].side[0].rtp.port = 4444;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 2), 0);
	const struct session_side *side = session_find(&dp->sessions, id)->stream[0].side;
	assert_int_equal(side[0].epoch, 2);
	assert_int_equal(side[1].epoch, 1);
	const struct flow_rule *a = atomic_load(&side[0].flow->rule), *b = atomic_load(&side[1].flow->rule);
	assert_int_equal(a->epoch_in, 2);
	assert_int_equal(b->epoch_out, 2);
	assert_int_equal(ntohs(b->dest[FLOW_RTP].port), 4444);
	assert_int_equal(ntohs(b->dest[FLOW_RTCP].port), 4445);
	bed_free(dp);
}

static void a_changed_family_moves_one_side_and_keeps_the_others_port(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id = bed_create(dp, &q);
	struct dp_session_reply before = reply_of(dp, id);

	(void)state;
	q.session = id;
	q.stream[0].side[0].family = 6;
	q.stream[0].side[0].rtp = bed_address("2001:db8:1::5", 4000);
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 2), 0);
	struct dp_session_reply after = reply_of(dp, id);
	assert_int_equal(after.local[0][0].family, 6);
	assert_memory_equal(&after.local[0][1], &before.local[0][1], sizeof(after.local[0][1]));
	assert_int_equal(pairs_used(dp), 2);
	const struct session_side *side = session_find(&dp->sessions, id)->stream[0].side;
	const struct flow_rule *b = atomic_load(&side[1].flow->rule);
	assert_ptr_equal(b->peer, side[0].flow);
	assert_int_equal(b->out_family, 6);
	assert_true(b->epoch_out > 1);
	bed_free(dp);
}

static void streams_come_and_go(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id = bed_create(dp, &q);
	struct dp_session_reply before = reply_of(dp, id);

	(void)state;
	q.session = id;
	q.streams = 3;
	q.stream[1].kind = DP_MEDIA_NONE;
	q.stream[2] = q.stream[0];
	q.stream[2].kind = DP_MEDIA_OTHER;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 2), 0);
	assert_int_equal(pairs_used(dp), 4);
	struct dp_session_reply three = reply_of(dp, id);
	assert_int_equal(three.local[1][0].family, 0);
	assert_int_equal(three.local[2][0].family, 4);
	assert_memory_equal(&three.local[0], &before.local[0], sizeof(before.local[0]));
	q.streams = 1;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 3), 0);
	assert_int_equal(pairs_used(dp), 2);
	q.stream[0].kind = DP_MEDIA_NONE;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 4), 0);
	assert_int_equal(pairs_used(dp), 0);
	assert_int_equal(hops_referenced(dp), 0);
	bed_free(dp);
}

static void a_request_that_fails_half_way_changes_nothing(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id, other;

	(void)state;
	assert_int_equal(session_create(&dp->sessions, &q, "blob", 1, &id), 0);
	struct dp_session_reply before = reply_of(dp, id), after;
	uint32_t rules = dp->rules.free_count, hops = hops_referenced(dp);
	struct dp_session_request big = q;
	big.streams = DP_STREAMS_MAX;
	for (unsigned i = 1; i < DP_STREAMS_MAX; i++)
		big.stream[i] = q.stream[0];
	big.session = 0;
	assert_int_equal(
		session_create(&dp->sessions, &big, NULL, 1, &other), -ENOSPC); /* 8 pairs wanted, 7 left */
	big.session = id;
	memcpy(big.stream[7].side[1].realm, "nowhere", 8);
	assert_int_equal(session_update(&dp->sessions, &big, NULL, 1), -ENOENT);
	assert_int_equal(pairs_used(dp), 2);
	assert_int_equal(dp->rules.free_count, rules);
	assert_int_equal(hops_referenced(dp), hops);
	after = reply_of(dp, id);
	assert_memory_equal(&before, &after, sizeof(before));
	bed_free(dp);
}

static void max_sessions_is_a_limit(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id[BED_SESSIONS], more;

	(void)state;
	for (unsigned i = 0; i < BED_SESSIONS; i++)
		assert_int_not_equal(id[i] = bed_create(dp, &q), 0);
	assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &more), -ENOSPC);
	assert_int_equal(session_delete(&dp->sessions, id[3]), 0);
	assert_int_equal(session_create(&dp->sessions, &q, NULL, 1, &more), 0);
	unsigned n = 0;
	for (const struct session *s = session_next(&dp->sessions, 0); s != NULL;
		s = session_next(&dp->sessions, s->id))
		n++;
	assert_int_equal(n, BED_SESSIONS);
	bed_free(dp);
}

static void a_blob_is_kept_replaced_and_left_alone(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id;

	(void)state;
	q.blob_length = 5;
	assert_int_equal(session_create(&dp->sessions, &q, "first", 1, &id), 0);
	q.session = id;
	q.blob_length = 0;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 1), 0);
	const struct session *s = session_find(&dp->sessions, id);
	assert_int_equal(s->blob_length, 5);
	assert_memory_equal(s->blob, "first", 5);
	assert_int_equal(session_set_blob(&dp->sessions, id, "second", 6), 0);
	assert_memory_equal(s->blob, "second", 6);
	assert_int_equal(session_set_blob(&dp->sessions, id + 1, "x", 1), -ENOENT);
	bed_free(dp);
}

static void totals_of_a_realm_outlive_its_sessions_and_never_go_down(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	const struct realm_totals *access = session_realm_totals(&dp->sessions, 0),
				  *core = session_realm_totals(&dp->sessions, 1);

	(void)state;
	assert_null(session_realm_totals(&dp->sessions, 2));
	for (unsigned i = 1; i <= 3; i++) {
		uint64_t id = bed_create(dp, &q);
		struct session_side *side = session_find(&dp->sessions, id)->stream[0].side;
		struct flow *f = side[0].flow;

		assert_int_equal(access->streams, 1);
		f->stats.packets = 100;
		f->stats.octets = 0x7fffff00;
		f->not_relayed = 10;
		f->stats.lost = 7;
		session_account(&dp->sessions, &side[0]);
		f->stats.lost = 5; /* two came late */
		session_account(&dp->sessions, &side[0]);
		f->stats.lost = 8;
		f->stats.octets = 0x7fffff00 + 0x7fffff00ULL;
		session_account(&dp->sessions, &side[0]);
		f->stats.octets = 0x100000000 + 17200; /* more than the low bits hold */
		f->wrong_source = 1;
		f->malformed = 2;
		f->policed = 3;
		f->events.count = 4;
		side[1].flow->stats.packets = 50;
		assert_int_equal(session_delete(&dp->sessions, id), 0);
		assert_int_equal(access->streams, 0);
		assert_int_equal(access->packets, i * 100);
		assert_int_equal(access->octets, i * (0x100000000 + 17200));
		assert_int_equal(access->relayed, i * 90);
		assert_int_equal(access->lost, i * 8);
		assert_int_equal(access->wrong_source, i);
		assert_int_equal(access->malformed, i * 2);
		assert_int_equal(access->policed, i * 3);
		assert_int_equal(access->events, i * 4);
		assert_int_equal(core->packets, i * 50);
		assert_int_equal(core->lost, 0);
	}
	bed_free(dp);
}

static void a_side_that_moves_leaves_what_it_counted_with_its_old_realm(void **state)
{
	struct dataplane *dp = bed_new(1);
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	uint64_t id = bed_create(dp, &q);
	struct session_side *side = session_find(&dp->sessions, id)->stream[0].side;
	const struct realm_totals *access = session_realm_totals(&dp->sessions, 0),
				  *core = session_realm_totals(&dp->sessions, 1);

	(void)state;
	side[0].flow->stats.packets = 100;
	q.session = id;
	q.stream[0].side[1].flags = DP_SIDE_MUTED;
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 2), 0); /* the flow stays, and its count */
	side[0].flow->stats.packets = 110;
	memcpy(q.stream[0].side[0].realm, "core", 5);
	assert_int_equal(session_update(&dp->sessions, &q, NULL, 3), 0);
	assert_int_equal(access->packets, 110);
	assert_int_equal(access->streams, 0);
	assert_int_equal(core->streams, 2);
	side[0].flow->stats.packets = 5;
	assert_int_equal(session_delete(&dp->sessions, id), 0);
	assert_int_equal(access->packets, 110);
	assert_int_equal(core->packets, 5);
	bed_free(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_gets_ports_of_its_realms_and_gives_all_back),
		cmocka_unit_test(a_session_number_is_never_given_twice),
		cmocka_unit_test(an_update_keeps_ports_and_what_was_learnt_when_nothing_changed),
		cmocka_unit_test(a_changed_remote_arms_that_side_anew_and_not_the_other),
		cmocka_unit_test(a_changed_family_moves_one_side_and_keeps_the_others_port),
		cmocka_unit_test(streams_come_and_go),
		cmocka_unit_test(a_request_that_fails_half_way_changes_nothing),
		cmocka_unit_test(max_sessions_is_a_limit),
		cmocka_unit_test(totals_of_a_realm_outlive_its_sessions_and_never_go_down),
		cmocka_unit_test(a_side_that_moves_leaves_what_it_counted_with_its_old_realm),
		cmocka_unit_test(a_blob_is_kept_replaced_and_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
