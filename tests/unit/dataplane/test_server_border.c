/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans, trust and sources through the API: what may be said, what is refused, lists while they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <rte_log.h>

#include "dataplane/server.h"
#include "platforms/base/clock.h"
#include "platforms/base/ipc.h"
#include "tests/unit/dataplane/border_bed.h"

enum { HOUR_S = 3600, MANY = 5000 };

#define SECOND_US UINT64_C(1000000)

struct api {
	struct dataplane *dp;
	struct server *server;
	const void *reply;
};

static void open_api(struct api *a, const char *more)
{
	*a = (struct api){ .dp = bed_new(1) };
	border_bed_build(a->dp, more);
	a->server = server_new(a->dp);
}

static void close_api(struct api *a)
{
	server_free(a->server);
	border_bed_destroy(a->dp);
	bed_free(a->dp);
}

static int ask(struct api *a, unsigned type, const void *body, size_t length)
{
	return server_handle(a->server, NULL, (uint16_t)type, body, length, &a->reply);
}

/* One entry; what became of it. */
static int one(struct api *a, unsigned type, const void *body, size_t length)
{
	assert_int_equal(ask(a, type, body, length), sizeof(struct dp_done));
	const struct dp_done *d = a->reply;
	assert_int_equal(d->done, d->status == 0 ? 1 : 0);
	assert_int_equal(d->failed, 0);
	return d->status;
}

static struct dp_ban ban_of(const char *ip, uint8_t length, uint16_t port)
{
	return (struct dp_ban){ .key = border_bed_key(ip, length, port), .reason = "test" };
}

static int ban(struct api *a, const char *ip, uint8_t length, uint32_t flags)
{
	struct dp_ban b = ban_of(ip, length, 0);

	b.flags = flags;
	return one(a, DP_BAN_SET, &b, sizeof(b));
}

static int trust(struct api *a, const char *ip, uint16_t port)
{
	struct dp_trust t = { .key = border_bed_key(ip, 32, port) };

	return one(a, DP_TRUST_SET, &t, sizeof(t));
}

/* How many entries of `size` a list has, walked page by page. The last page's first entry is in a->reply. */
static unsigned count_listed(
	struct api *a, unsigned type, uint32_t limit, const struct dp_source_key *within, size_t size)
{
	struct dp_table_request q = { .limit = limit };
	unsigned seen = 0;

	if (within != NULL)
		q.within = *within;
	do {
		int n = ask(a, type, &q, sizeof(q));
		const struct dp_table_reply *r = a->reply;

		assert_true(n >= (int)sizeof(*r));
		assert_int_equal(n, sizeof(*r) + r->count * size);
		assert_true(r->count <= limit);
		seen += r->count;
		q.cursor = r->cursor;
	} while (q.cursor != 0);
	return seen;
}

static void each_field_of_a_ban_out_of_range_is_refused(void **state)
{
	struct api a;
	const struct dp_ban good = ban_of("198.51.100.0", 24, 0);
	struct dp_ban b;

	(void)state;
	open_api(&a, "");
#define REFUSED(change)                                                        \
	do {                                                                   \
		b = good;                                                      \
		change;                                                        \
		assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), -EINVAL); \
	} while (0)
	REFUSED(b.key.address.family = 0);
	REFUSED(b.key.address.family = 5);
	REFUSED(b.key.address.family = 6; b.key.length = 129);
	REFUSED(b.key.length = 33);
	REFUSED(b.key.length = 23; b.key.address.ip[2] = 1);
	REFUSED(b.key.address.ip[3] = 1); /* a bit behind the length */
	REFUSED(b.key.address.ip[9] = 1); /* behind an IPv4 address */
	REFUSED(b.key.address.port = 5060); /* of a network */
	REFUSED(b.flags = 2);
	REFUSED(b.expires_us = UINT64_MAX);
	REFUSED(memset(b.reason, 'x', sizeof(b.reason)));
	REFUSED(b.reason[0] = '\n');
	REFUSED(b.reason[0] = '\x7f');
	REFUSED(b.reason[0] = (char)0x9b); /* a terminal's control sequence */
#undef REFUSED
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 10, NULL, sizeof(struct dp_ban)), 0);
	assert_int_equal(one(&a, DP_BAN_SET, &good, sizeof(good)), 0);
	b = ban_of("198.51.100.1", 32, 5060);
	b.reason[0] = '\0';
	assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0);
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 10, NULL, sizeof(struct dp_ban)), 2);
	close_api(&a);
}

static void each_field_of_a_trust_out_of_range_is_refused(void **state)
{
	const struct dp_trust good = { .key = border_bed_key("198.51.100.1", 32, 5060) };
	struct dp_trust t;
	struct api a;

	(void)state;
	open_api(&a, "");
#define REFUSED(change)                                                          \
	do {                                                                     \
		t = good;                                                        \
		change;                                                          \
		assert_int_equal(one(&a, DP_TRUST_SET, &t, sizeof(t)), -EINVAL); \
	} while (0)
	REFUSED(t.key.address.family = 0);
	REFUSED(t.key.length = 31);
	REFUSED(t.expires_us = UINT64_MAX / 2);
	REFUSED(t.rate = 10); /* without a burst nothing would pass */
	REFUSED(t.burst = 10);
	REFUSED(t.rate = 1000001; t.burst = 10);
	REFUSED(t.rate = 10; t.burst = 1000001);
#undef REFUSED
	assert_int_equal(one(&a, DP_TRUST_SET, &good, sizeof(good)), 0);
	close_api(&a);
}

static void a_batch_of_a_wrong_length_is_refused_as_a_whole(void **state)
{
	static struct dp_ban many[DP_BATCH_MAX + 1];
	struct api a;

	(void)state;
	open_api(&a, "");
	for (unsigned i = 0; i <= DP_BATCH_MAX; i++) {
		many[i] = ban_of("198.51.100.0", 32, 0);
		many[i].key.address.ip[2] = (uint8_t)(i >> 8);
		many[i].key.address.ip[3] = (uint8_t)i;
	}
	assert_int_equal(ask(&a, DP_BAN_SET, many, 0), -EINVAL);
	assert_int_equal(ask(&a, DP_BAN_SET, many, sizeof(many[0]) + 8), -EINVAL);
	assert_int_equal(ask(&a, DP_BAN_SET, many, sizeof(many)), -EINVAL);
	assert_int_equal(ask(&a, DP_BAN_CLEAR, many, 40), -EINVAL);
	assert_int_equal(ask(&a, DP_TRUST_SET, many, sizeof(struct dp_trust) + 8), -EINVAL);
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 10, NULL, sizeof(struct dp_ban)), 0);
	assert_int_equal(ask(&a, DP_BAN_SET, many, DP_BATCH_MAX * sizeof(many[0])), sizeof(struct dp_done));
	assert_int_equal(((const struct dp_done *)a.reply)->done, DP_BATCH_MAX);
	close_api(&a);
}

static void of_a_batch_all_that_can_be_is_done_and_the_first_failure_told(void **state)
{
	struct dp_ban b[4] = { ban_of("198.51.100.1", 32, 0), ban_of("198.51.100.2", 33, 0),
		ban_of("10.0.1.7", 32, 0), ban_of("198.51.100.4", 32, 0) };
	struct api a;

	(void)state;
	open_api(&a, "");
	assert_int_equal(ask(&a, DP_BAN_SET, b, sizeof(b)), sizeof(struct dp_done));
	const struct dp_done *d = a.reply;
	assert_int_equal(d->done, 2);
	assert_int_equal(d->failed, 1);
	assert_int_equal(d->status, -EINVAL);
	struct dp_source_key clear[3] = { b[3].key, b[2].key, b[0].key };
	assert_int_equal(ask(&a, DP_BAN_CLEAR, clear, sizeof(clear)), sizeof(struct dp_done));
	d = a.reply;
	assert_int_equal(d->done, 2);
	assert_int_equal(d->failed, 1);
	assert_int_equal(d->status, -ENOENT);
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 10, NULL, sizeof(struct dp_ban)), 0);
	close_api(&a);
}

static void a_ban_that_meets_whom_we_trust_needs_force(void **state)
{
	static const struct {
		const char *ip;
		uint8_t length;
	} met[] = {
		{ "10.0.1.7", 32 }, /* the agent */
		{ "10.0.1.0", 24 }, /* around it */
		{ "0.0.0.0", 0 },
		{ "192.0.2.0", 24 }, /* what an access-control trusts */
		{ "192.0.2.5", 32 }, /* in it */
		{ "192.0.0.0", 16 }, /* around it */
		{ "198.51.100.9", 32 }, /* host of a registered flow */
		{ "198.51.100.0", 24 },
	};
	struct api a;

	(void)state;
	open_api(&a, "");
	assert_int_equal(trust(&a, "198.51.100.9", 5060), 0);
	for (size_t i = 0; i < sizeof(met) / sizeof(met[0]); i++)
		assert_int_equal(ban(&a, met[i].ip, met[i].length, 0), -EPERM);
	struct dp_ban flow = ban_of("198.51.100.9", 32, 5060);
	assert_int_equal(one(&a, DP_BAN_SET, &flow, sizeof(flow)), -EPERM);
	flow.key.address.port = 5061; /* another phone behind the same NAT */
	assert_int_equal(one(&a, DP_BAN_SET, &flow, sizeof(flow)), 0);
	assert_int_equal(ban(&a, "10.0.1.8", 32, 0), 0);
	assert_int_equal(ban(&a, "203.0.113.0", 24, 0), 0); /* denied by the list anyway */
	assert_int_equal(ban(&a, "::", 0, 0), 0); /* nobody is trusted over IPv6 */
	for (size_t i = 0; i < sizeof(met) / sizeof(met[0]); i++)
		assert_int_equal(ban(&a, met[i].ip, met[i].length, DP_BAN_FORCE), 0);
	close_api(&a);
}

static void networks_are_held_against_so_many_trusted_sources_in_one_request(void **state)
{
	static struct dp_trust t[DP_BATCH_MAX];
	static struct dp_ban b[DP_BATCH_MAX];
	struct api a;

	(void)state;
	open_api(&a, "");
	for (unsigned k = 0; k < MANY / DP_BATCH_MAX + 1; k++) {
		for (unsigned i = 0; i < DP_BATCH_MAX; i++) {
			t[i] = (struct dp_trust){ .key = border_bed_key("10.9.0.0", 32, 5060) };
			t[i].key.address.ip[2] = (uint8_t)k;
			t[i].key.address.ip[3] = (uint8_t)i;
		}
		assert_true(ask(&a, DP_TRUST_SET, t, sizeof(t)) > 0);
	}
	for (unsigned i = 0; i < DP_BATCH_MAX; i++) {
		b[i] = ban_of("172.16.0.0", 24, 0);
		b[i].key.address.ip[2] = (uint8_t)i;
	}
	assert_true(ask(&a, DP_BAN_SET, b, sizeof(b)) > 0);
	const struct dp_done *d = a.reply;
	assert_int_equal(d->status, -EAGAIN);
	assert_true(d->done > 100 && d->done < DP_BATCH_MAX);
	assert_int_equal(d->failed, d->done);
	unsigned first = d->done;
	assert_true(ask(&a, DP_BAN_SET, b + first, (DP_BATCH_MAX - first) * sizeof(b[0])) > 0);
	assert_int_equal(((const struct dp_done *)a.reply)->done, DP_BATCH_MAX - first);
	close_api(&a);
}

static void the_trust_of_the_configuration_is_listed_and_cannot_be_cleared(void **state)
{
	struct dp_source_key agent = border_bed_key("10.0.1.7", 32, 0),
			     office = border_bed_key("192.0.2.0", 24, 0),
			     guests = border_bed_key("192.0.2.128", 25, 0);
	struct api a;

	(void)state;
	open_api(&a, "");
	assert_int_equal(trust(&a, "198.51.100.9", 5060), 0);
	assert_int_equal(one(&a, DP_TRUST_CLEAR, &agent, sizeof(agent)), -EPERM);
	assert_int_equal(one(&a, DP_TRUST_CLEAR, &office, sizeof(office)), -EPERM);
	assert_int_equal(one(&a, DP_TRUST_CLEAR, &guests, sizeof(guests)), -ENOENT); /* not trusted */
	for (uint32_t limit = 1; limit < 5; limit++)
		assert_int_equal(count_listed(&a, DP_TRUST_LIST, limit, NULL, sizeof(struct dp_trust)), 3);
	struct dp_table_request q = { .limit = 10, .within = border_bed_key("192.0.2.7", 32, 0) };
	assert_true(ask(&a, DP_TRUST_LIST, &q, sizeof(q)) > 0);
	const struct dp_table_reply *r = a.reply;
	const struct dp_trust *t = (const void *)(r + 1);
	assert_int_equal(r->count, 1);
	assert_int_equal(t->configured, 1);
	assert_int_equal(t->rate, 100);
	assert_memory_equal(&t->key, &office, sizeof(office));
	q.within = border_bed_key("198.51.100.9", 32, 0);
	assert_true(ask(&a, DP_TRUST_LIST, &q, sizeof(q)) > 0);
	assert_int_equal(((const struct dp_table_reply *)a.reply)->count, 1);
	assert_int_equal(
		((const struct dp_trust *)((const struct dp_table_reply *)a.reply + 1))->configured, 0);
	struct dp_source_key flow = border_bed_key("198.51.100.9", 32, 5060);
	assert_int_equal(one(&a, DP_TRUST_CLEAR, &flow, sizeof(flow)), 0);
	assert_int_equal(count_listed(&a, DP_TRUST_LIST, 10, NULL, sizeof(struct dp_trust)), 2);
	close_api(&a);
}

static void a_full_trust_table_takes_no_more_and_a_full_ban_table_lifts_the_oldest(void **state)
{
	struct api a;
	uint64_t total[DP_COUNTER_COUNT];

	(void)state;
	open_api(&a, "guard { max-bans = 1024 max-trusted = 1024 }\n");
	for (unsigned i = 0; i < 1025; i++) {
		struct dp_ban b = ban_of("198.51.0.0", 32, 0);
		struct dp_trust t = { .key = border_bed_key("10.9.0.0", 32, (uint16_t)(1024 + i)) };

		b.key.address.ip[2] = (uint8_t)(i >> 8);
		b.key.address.ip[3] = (uint8_t)i;
		assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0);
		assert_int_equal(one(&a, DP_TRUST_SET, &t, sizeof(t)), i < 1024 ? 0 : -ENOSPC);
	}
	struct dp_source_key first = border_bed_key("198.51.0.0", 32, 0);
	assert_int_equal(one(&a, DP_BAN_CLEAR, &first, sizeof(first)), -ENOENT);
	counters_sum(a.dp, total);
	assert_int_equal(total[DP_COUNTER_BAN_EVICTED], 1);
	assert_int_equal(ask(&a, DP_STATS, NULL, 0), sizeof(struct dp_stats));
	const struct dp_stats *s = a.reply;
	assert_int_equal(s->bans, 1024);
	assert_int_equal(s->bans_max, 1024);
	assert_int_equal(s->trusts, 1025); /* with the agent, who cannot be pushed out */
	assert_int_equal(s->counter[DP_COUNTER_BAN_EVICTED], 1);
	assert_true(s->sources_max >= 262144);
	close_api(&a);
}

static void a_list_tells_what_was_said(void **state)
{
	struct dp_ban b = ban_of("2001:db8:9::", 48, 0);
	struct dp_table_request q = { .limit = 10 };
	struct api a;

	(void)state;
	open_api(&a, "");
	b.expires_us = HOUR_S * SECOND_US;
	memcpy(b.reason, "register flood", 15);
	assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0);
	assert_true(ask(&a, DP_BAN_LIST, &q, sizeof(q)) > 0);
	const struct dp_table_reply *r = a.reply;
	const struct dp_ban *listed = (const void *)(r + 1);
	assert_int_equal(r->count, 1);
	assert_int_equal(r->cursor, 0);
	assert_memory_equal(&listed->key, &b.key, sizeof(b.key));
	assert_string_equal(listed->reason, "register flood");
	assert_true(listed->expires_us > 0 && listed->expires_us <= b.expires_us);
	assert_true(listed->age_us <= b.expires_us - listed->expires_us + SECOND_US);
	assert_int_equal(listed->packets, 0);
	memcpy(b.reason, "again", 6);
	b.expires_us = 0;
	assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0); /* replaced */
	assert_true(ask(&a, DP_BAN_LIST, &q, sizeof(q)) > 0);
	r = a.reply;
	listed = (const void *)(r + 1);
	assert_int_equal(r->count, 1);
	assert_string_equal(listed->reason, "again");
	assert_int_equal(listed->expires_us, 0);
	close_api(&a);
}

static void what_has_expired_is_not_listed_though_nobody_has_swept_yet(void **state)
{
	struct dp_ban b = ban_of("198.51.100.1", 32, 0);
	struct api a;

	(void)state;
	open_api(&a, "");
	b.expires_us = 1;
	assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0);
	for (uint64_t begin = clock_now_us(); clock_now_us() < begin + 2;)
		continue;
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 10, NULL, sizeof(struct dp_ban)), 0);
	close_api(&a);
}

static void entries_there_from_first_to_last_page_come_once_whatever_else_changes(void **state)
{
	static uint8_t seen[MANY];
	struct dp_table_request q = { .limit = 7 };
	struct api a;
	unsigned pages = 0;

	(void)state;
	open_api(&a, "");
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < MANY; i++) {
		struct dp_ban b = ban_of("198.18.0.0", 32, (uint16_t)(i + 1));
		assert_int_equal(one(&a, DP_BAN_SET, &b, sizeof(b)), 0);
	}
	do {
		assert_true(ask(&a, DP_BAN_LIST, &q, sizeof(q)) > 0);
		const struct dp_table_reply *r = a.reply;
		const struct dp_ban *b = (const void *)(r + 1);

		for (unsigned i = 0; i < r->count; i++)
			if (b[i].key.address.ip[1] == 18)
				seen[b[i].key.address.port - 1]++;
		q.cursor = r->cursor;
		/* Odd ones go and others come while the list is read. */
		struct dp_source_key gone = border_bed_key("198.18.0.0", 32, (uint16_t)(pages * 2 + 2));
		(void)one(&a, DP_BAN_CLEAR, &gone, sizeof(gone));
		struct dp_ban b2 = ban_of("198.19.0.0", 32, (uint16_t)(pages + 1));
		assert_int_equal(one(&a, DP_BAN_SET, &b2, sizeof(b2)), 0);
		pages++;
		assert_true(pages < 2 * MANY);
	} while (q.cursor != 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(seen[i] == 1 || (i % 2 == 1 && seen[i] == 0));
	close_api(&a);
}

static void a_filter_that_matches_nothing_comes_in_empty_pages(void **state)
{
	static struct dp_ban b[DP_BATCH_MAX];
	struct dp_source_key nobody = border_bed_key("203.0.113.1", 32, 0);
	struct dp_table_request q = { .limit = 100, .within = nobody };
	struct api a;
	unsigned pages = 0;

	(void)state;
	open_api(&a, "guard { max-bans = 100000 }\n");
	for (unsigned k = 0; k < 100000 / DP_BATCH_MAX; k++) {
		for (unsigned i = 0; i < DP_BATCH_MAX; i++) {
			b[i] = ban_of("100.64.0.0", 32, 0);
			b[i].key.address.ip[1] = (uint8_t)(64 + (k >> 8));
			b[i].key.address.ip[2] = (uint8_t)k;
			b[i].key.address.ip[3] = (uint8_t)i;
		}
		assert_true(ask(&a, DP_BAN_SET, b, sizeof(b)) > 0);
	}
	do {
		assert_int_equal(ask(&a, DP_BAN_LIST, &q, sizeof(q)), sizeof(struct dp_table_reply));
		q.cursor = ((const struct dp_table_reply *)a.reply)->cursor;
		pages++;
	} while (q.cursor != 0);
	assert_true(pages >= 6); /* each looked at a part */
	struct dp_source_key some = border_bed_key("100.64.3.0", 24, 0);
	assert_int_equal(count_listed(&a, DP_BAN_LIST, 100, &some, sizeof(struct dp_ban)), 256);
	close_api(&a);
}

static void a_list_is_not_asked_for_nothing_and_bears_any_cursor(void **state)
{
	static const uint64_t cursors[] = { 1, 2, 77, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX / 2,
		UINT64_C(1) << 63, UINT64_MAX };
	struct dp_table_request q = { 0 };
	struct api a;

	(void)state;
	open_api(&a, "");
	assert_int_equal(ask(&a, DP_BAN_LIST, &q, sizeof(q)), -EINVAL);
	assert_int_equal(ask(&a, DP_TRUST_LIST, &q, sizeof(q)), -EINVAL);
	assert_int_equal(ban(&a, "198.51.100.1", 32, 0), 0);
	q.limit = 5;
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		q.cursor = cursors[i];
		assert_true(ask(&a, DP_BAN_LIST, &q, sizeof(q)) > 0);
		assert_true(ask(&a, DP_TRUST_LIST, &q, sizeof(q)) > 0);
	}
	q.within = border_bed_key("198.51.100.1", 24, 0); /* bits behind the length */
	assert_int_equal(ask(&a, DP_BAN_LIST, &q, sizeof(q)), -EINVAL);
	close_api(&a);
}

static void the_sources_that_send_most_come_first_trusted_ones_among_them(void **state)
{
	static const struct {
		const char *ip;
		unsigned packets;
		bool trusted;
	} sent[] = { { "198.51.100.1", 3, false }, { "198.51.100.2", 9, false }, { "10.0.1.7", 5, true },
		{ "2001:db8:9::5", 7, false } };
	struct dp_top_request q = { .limit = 3 };
	struct api a;

	(void)state;
	open_api(&a, "");
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct source_table *t = border_sources(a.dp->shared.border, sent[i].trusted);
		union host ip = bed_host(sent[i].ip);
		struct source s = source_of(&ip, strchr(sent[i].ip, ':') != NULL ? 6 : 4, 0);
		bool evicted;

		for (unsigned k = 0; k < sent[i].packets; k++)
			(void)source_table_take(t, source_table_prefetch(t, &s), &s, 0, SOURCE_PACKETS,
				(struct rate){ 1, 8 }, clock_now_us(), &evicted);
	}
	assert_int_equal(ask(&a, DP_TOP_SOURCES, &q, sizeof(q)), 3 * sizeof(struct dp_source));
	const struct dp_source *s = a.reply;
	struct dp_address first = bed_address("198.51.100.2", 0), second = bed_address("2001:db8:9::", 0);
	assert_memory_equal(&s[0].address, &first, sizeof(first));
	assert_memory_equal(&s[1].address, &second, sizeof(second)); /* the /64 */
	assert_int_equal(s[0].packets, 9);
	assert_int_equal(s[0].dropped, 1);
	assert_string_equal(s[0].interface, "outside");
	assert_int_equal(s[2].packets, 5);
	assert_int_equal(s[2].trusted, 1);
	assert_int_equal(s[1].trusted, 0);
	q.limit = 0;
	assert_int_equal(ask(&a, DP_TOP_SOURCES, &q, sizeof(q)), -EINVAL);
	q.limit = DP_TOP_MAX + 1;
	assert_int_equal(ask(&a, DP_TOP_SOURCES, &q, sizeof(q)), -EINVAL);
	close_api(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_of_a_ban_out_of_range_is_refused),
		cmocka_unit_test(each_field_of_a_trust_out_of_range_is_refused),
		cmocka_unit_test(a_batch_of_a_wrong_length_is_refused_as_a_whole),
		cmocka_unit_test(of_a_batch_all_that_can_be_is_done_and_the_first_failure_told),
		cmocka_unit_test(a_ban_that_meets_whom_we_trust_needs_force),
		cmocka_unit_test(networks_are_held_against_so_many_trusted_sources_in_one_request),
		cmocka_unit_test(the_trust_of_the_configuration_is_listed_and_cannot_be_cleared),
		cmocka_unit_test(a_full_trust_table_takes_no_more_and_a_full_ban_table_lifts_the_oldest),
		cmocka_unit_test(a_list_tells_what_was_said),
		cmocka_unit_test(what_has_expired_is_not_listed_though_nobody_has_swept_yet),
		cmocka_unit_test(entries_there_from_first_to_last_page_come_once_whatever_else_changes),
		cmocka_unit_test(a_filter_that_matches_nothing_comes_in_empty_pages),
		cmocka_unit_test(a_list_is_not_asked_for_nothing_and_bears_any_cursor),
		cmocka_unit_test(the_sources_that_send_most_come_first_trusted_ones_among_them),
	};

	rte_log_set_global_level(RTE_LOG_EMERG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
