/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's bounds: what a request may be, and that everything else is refused without effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <rte_log.h>

#include "dataplane/server.h"
#include "platforms/base/ipc.h"
#include "tests/unit/dataplane/bed.h"

struct api {
	struct dataplane *dp;
	struct server *server;
	struct {
		struct dp_session_request q;
		uint8_t blob[DP_BLOB_MAX + 8];
	} out;
	const void *reply;
};

static void open_api(struct api *a)
{
	*a = (struct api){ .dp = bed_new(1) };
	a->server = server_new(a->dp);
	a->out.q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
}

static void close_api(struct api *a)
{
	server_free(a->server);
	bed_free(a->dp);
}

static int ask(struct api *a, unsigned type, const void *body, size_t length)
{
	return server_handle(a->server, NULL, (uint16_t)type, body, length, &a->reply);
}

static int create(struct api *a)
{
	return ask(a, DP_SESSION_CREATE, &a->out, sizeof(a->out.q) + a->out.q.blob_length);
}

static void a_request_of_wrong_length_or_type_is_refused(void **state)
{
	struct api a;

	(void)state;
	open_api(&a);
	for (unsigned type = 0; type < 20; type++)
		if (type != DP_STATS && type != DP_INTERFACES)
			assert_true(ask(&a, type, &a.out, 3) < 0);
	assert_int_equal(ask(&a, DP_REPLY | DP_STATS, &a.out, 0), -EOPNOTSUPP);
	assert_int_equal(ask(&a, DP_STATS, &a.out, 8), -EINVAL);
	for (size_t n = 0; n < sizeof(a.out.q); n++)
		assert_int_equal(ask(&a, DP_SESSION_CREATE, &a.out, n), -EINVAL);
	assert_int_equal(ask(&a, DP_SESSION_CREATE, &a.out, sizeof(a.out.q) + 1), -EINVAL);
	a.out.q.blob_length = DP_BLOB_MAX + 1;
	assert_int_equal(create(&a), -EINVAL);
	assert_int_equal(a.dp->sessions.used, 0);
	close_api(&a);
}

static void each_field_out_of_range_is_refused(void **state)
{
	struct api a;
	struct dp_session_request good;
	struct dp_side_request *side = &a.out.q.stream[0].side[1];

	(void)state;
	open_api(&a);
	good = a.out.q;
#define REFUSED(change)                                \
	do {                                           \
		a.out.q = good;                        \
		change;                                \
		assert_int_equal(create(&a), -EINVAL); \
	} while (0)
	REFUSED(a.out.q.session = 7);
	REFUSED(a.out.q.owner = DP_OWNERS_MAX);
	REFUSED(a.out.q.streams = DP_STREAMS_MAX + 1);
	REFUSED(a.out.q.stream[0].kind = 3);
	REFUSED(memset(side->realm, 'x', sizeof(side->realm)));
	REFUSED(side->realm[0] = '\0');
	REFUSED(side->family = 5);
	REFUSED(side->family = 6); /* its address is IPv4 */
	REFUSED(side->latching = 3);
	REFUSED(side->flags = 8);
	REFUSED(side->rtp.port = 0);
	REFUSED(side->rtcp = bed_address("2001:db8::1", 4));
	REFUSED(side->signalling.family = 9);
#undef REFUSED
	a.out.q = good;
	memcpy(side->realm, "elsewhere", 10);
	assert_int_equal(create(&a), -ENOENT);
	a.out.q = good;
	assert_true(create(&a) > 0);
	close_api(&a);
}

static void no_peer_can_be_at_a_multicast_loopback_or_unspecified_address(void **state)
{
	static const char *const bad[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255",
		"::", "::1", "ff02::1", "::ffff:10.0.0.1" };
	struct api a;

	(void)state;
	open_api(&a);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dp_side_request *side = &a.out.q.stream[0].side[0];

		a.out.q = bed_request(bad[i], 4000, "10.0.2.5", 5000);
		assert_int_equal(create(&a), -EINVAL);
		a.out.q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
		side->family = strchr(bad[i], ':') != NULL ? 6 : 4;
		side->rtp = (struct dp_address){ 0 };
		side->signalling = bed_address(bad[i], 0);
		assert_int_equal(create(&a), -EINVAL);
	}
	close_api(&a);
}

static void get_returns_the_blob_and_delete_the_last_counters(void **state)
{
	struct api a;

	(void)state;
	open_api(&a);
	a.out.q.blob_length = DP_BLOB_MAX;
	memset(a.out.blob, 'b', DP_BLOB_MAX);
	assert_int_equal(create(&a), sizeof(struct dp_session_reply));
	struct dp_session_id id = { ((const struct dp_session_reply *)a.reply)->session };
	int n = ask(&a, DP_SESSION_GET, &id, sizeof(id));
	assert_int_equal(n, sizeof(struct dp_session_info) + DP_BLOB_MAX);
	const struct dp_session_info *info = a.reply;
	assert_int_equal(info->blob_length, DP_BLOB_MAX);
	assert_memory_equal(info + 1, a.out.blob, DP_BLOB_MAX);
	assert_int_equal(info->stream[0].remote[0].port, 4000);
	assert_int_equal(ask(&a, DP_SESSION_DELETE, &id, sizeof(id)), sizeof(struct dp_session_info));
	assert_int_equal(((const struct dp_session_info *)a.reply)->session, id.session);
	assert_int_equal(ask(&a, DP_SESSION_GET, &id, sizeof(id)), -ENOENT);
	assert_int_equal(ask(&a, DP_SESSION_DELETE, &id, sizeof(id)), -ENOENT);
	close_api(&a);
}

static void a_list_comes_in_pieces_and_by_owner(void **state)
{
	struct api a;
	struct dp_list_request q = { .owner = UINT32_MAX, .limit = 2 };
	unsigned seen = 0, rounds = 0;
	const struct dp_list_reply *r;

	(void)state;
	open_api(&a);
	a.out.q.blob_length = 13;
	for (unsigned i = 0; i < BED_SESSIONS - 1; i++) {
		a.out.q.owner = i % 2;
		assert_true(create(&a) > 0);
	}
	do {
		int n = ask(&a, DP_SESSION_LIST, &q, sizeof(q));

		r = a.reply;
		assert_int_equal(n, sizeof(*r) + r->count * (16 + 16));
		seen += r->count;
		rounds++;
		q.after = ((const uint64_t *)(r + 1))[(size_t)(r->count - 1) * 4];
	} while (r->more != 0 && rounds < 10);
	assert_int_equal(seen, BED_SESSIONS - 1);
	assert_int_equal(rounds, 3);
	q = (struct dp_list_request){ .owner = 1, .limit = 100 };
	assert_true(ask(&a, DP_SESSION_LIST, &q, sizeof(q)) > 0);
	assert_int_equal(((const struct dp_list_reply *)a.reply)->count, 2);
	close_api(&a);
}

static void a_subscription_names_an_owner_or_none_and_known_flags(void **state)
{
	struct dp_subscribe s = { .owner = DP_OWNERS_MAX - 1, .flags = DP_SUBSCRIBE_SAMPLES };
	struct api a;

	(void)state;
	open_api(&a);
	assert_int_equal(ask(&a, DP_SUBSCRIBE, &s, sizeof(s)), 0);
	s.owner = UINT32_MAX;
	assert_int_equal(ask(&a, DP_SUBSCRIBE, &s, sizeof(s)), 0);
	s.owner = DP_OWNERS_MAX;
	assert_int_equal(ask(&a, DP_SUBSCRIBE, &s, sizeof(s)), -EINVAL);
	s = (struct dp_subscribe){ .flags = 2 };
	assert_int_equal(ask(&a, DP_SUBSCRIBE, &s, sizeof(s)), -EINVAL);
	close_api(&a);
}

static void stats_count_sessions_and_ports(void **state)
{
	struct api a;

	(void)state;
	open_api(&a);
	assert_true(create(&a) > 0);
	assert_int_equal(ask(&a, DP_STATS, NULL, 0), sizeof(struct dp_stats));
	const struct dp_stats *s = a.reply;
	assert_int_equal(s->sessions, 1);
	assert_int_equal(s->sessions_max, BED_SESSIONS);
	assert_int_equal(s->ports_used, 2);
	assert_int_equal(s->ports_total, 4 * BED_PAIRS);
	assert_int_equal(s->counters, DP_COUNTER_COUNT);
	close_api(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_of_wrong_length_or_type_is_refused),
		cmocka_unit_test(each_field_out_of_range_is_refused),
		cmocka_unit_test(no_peer_can_be_at_a_multicast_loopback_or_unspecified_address),
		cmocka_unit_test(get_returns_the_blob_and_delete_the_last_counters),
		cmocka_unit_test(a_list_comes_in_pieces_and_by_owner),
		cmocka_unit_test(a_subscription_names_an_owner_or_none_and_known_flags),
		cmocka_unit_test(stats_count_sessions_and_ports),
	};

	rte_log_set_global_level(RTE_LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
