/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows and realms through the API: what a client is told of the media that runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "dataplane/server.h"
#include "platforms/base/ipc.h"
#include "tests/unit/dataplane/call.h"

struct api {
	struct call call;
	struct server *server;
	const void *reply;
};

static void open_api(struct api *a, const struct dp_session_request *q)
{
	call_open(&a->call, q, 1);
	a->server = server_new(a->call.dp);
}

static void close_api(struct api *a)
{
	server_free(a->server);
	wire_bed_free(a->call.dp);
}

static int ask(struct api *a, unsigned type, const void *body, size_t length)
{
	return server_handle(a->server, NULL, (uint16_t)type, body, length, &a->reply);
}

/* All flows that `q` asks for, page by page; the first DP_STREAMS_MAX * 2 are copied to `out`. */
static unsigned flows(struct api *a, struct dp_flow_request q, struct dp_flow *out, unsigned *pages)
{
	const struct dp_flow_reply *r;
	unsigned seen = 0;

	*pages = 0;
	do {
		int n = ask(a, DP_FLOW_LIST, &q, sizeof(q));

		r = a->reply;
		assert_true(n >= (int)sizeof(*r));
		assert_int_equal(n, sizeof(*r) + r->count * sizeof(*out));
		assert_true(r->count <= q.limit);
		for (unsigned i = 0; i < r->count && seen + i < DP_STREAMS_MAX * 2; i++)
			out[seen + i] = ((const struct dp_flow *)(r + 1))[i];
		seen += r->count;
		q.session = r->session;
		q.position = r->position;
		++*pages;
	} while (r->more != 0);
	return seen;
}

static void a_flow_tells_where_media_comes_from_and_goes_to(void **state)
{
	struct dp_session_request q = bed_request("192.168.1.2", 4000, "10.0.2.5", 5000);
	struct dp_flow_request ask_all = { .limit = 100 };
	struct dp_flow f[DP_STREAMS_MAX * 2];
	struct dp_address nat = bed_address("10.0.1.99", 7000), pbx = bed_address("10.0.2.5", 5000),
			  signalled = bed_address("192.168.1.2", 4000);
	struct api a;
	unsigned pages;

	(void)state;
	q.stream[0].side[0].latching = DP_LATCHING_LATCH;
	q.stream[0].side[0].signalling = bed_address("10.0.1.99", 5060);
	open_api(&a, &q);
	assert_int_equal(flows(&a, ask_all, f, &pages), 2);
	assert_memory_equal(&f[0].source, &signalled, sizeof(signalled)); /* whence it is to come */
	assert_true(f[0].idle_us == UINT64_MAX);
	assert_int_equal(f[0].latched, 0);
	call_time(&a.call, 5, 0);
	arrive(&a.call, 0, "10.0.1.99", 7000, 0, rtp, sizeof(rtp));
	wire_clear();
	arrive(&a.call, 0, "10.0.1.66", 7000, 0, rtp, sizeof(rtp)); /* a stranger */
	wire_clear();
	assert_int_equal(flows(&a, ask_all, f, &pages), 2);
	assert_int_equal(pages, 1);
	assert_int_equal(f[0].session, a.call.id);
	assert_int_equal(f[0].stream, 0);
	assert_int_equal(f[0].side, 0);
	assert_int_equal(f[0].kind, DP_MEDIA_RTP);
	assert_int_equal(f[0].latching, DP_LATCHING_LATCH);
	assert_int_equal(f[0].latched, 1);
	assert_string_equal(f[0].realm, "access");
	assert_memory_equal(&f[0].local, &a.call.r.local[0][0], sizeof(f[0].local));
	assert_memory_equal(&f[0].source, &nat, sizeof(nat));
	assert_memory_equal(&f[0].dest, &pbx, sizeof(pbx));
	assert_int_equal(f[0].packets, 1);
	assert_int_equal(f[0].octets, sizeof(rtp));
	assert_int_equal(f[0].dropped, 1);
	assert_true(f[0].idle_us != UINT64_MAX);
	assert_int_equal(f[0].ssrc, 0x01020304);
	assert_int_equal(f[1].side, 1);
	assert_string_equal(f[1].realm, "core");
	assert_memory_equal(&f[1].source, &pbx, sizeof(pbx));
	assert_memory_equal(&f[1].dest, &nat, sizeof(nat)); /* not what was signalled */
	assert_int_equal(f[1].packets, 0);
	close_api(&a);
}

static void flows_are_found_by_source_and_by_realm(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_flow_request r = { .limit = 100 };
	struct dp_flow f[DP_STREAMS_MAX * 2];
	struct api a;
	unsigned pages;

	(void)state;
	open_api(&a, &q);
	q = bed_request("10.0.1.6", 4000, "2001:db8:2::5", 5000);
	q.stream[1] = q.stream[0];
	q.streams = 3; /* the third is none */
	assert_int_not_equal(bed_create(a.call.dp, &q), 0);
	assert_int_equal(flows(&a, r, f, &pages), 6);
	memcpy(r.realm, "core", 5);
	assert_int_equal(flows(&a, r, f, &pages), 3);
	assert_string_equal(f[2].realm, "core");
	memset(r.realm, 0, sizeof(r.realm));
	r.within = (struct dp_source_key){ .address = bed_address("10.0.1.0", 0), .length = 24 };
	assert_int_equal(flows(&a, r, f, &pages), 3);
	r.within = (struct dp_source_key){ .address = bed_address("10.0.1.6", 4000), .length = 32 };
	assert_int_equal(flows(&a, r, f, &pages), 2);
	r.within.address.port = 4001;
	assert_int_equal(flows(&a, r, f, &pages), 0);
	r.within = (struct dp_source_key){ .address = bed_address("2001:db8:2::", 0), .length = 64 };
	assert_int_equal(flows(&a, r, f, &pages), 2);
	memcpy(r.realm, "access", 7);
	assert_int_equal(flows(&a, r, f, &pages), 0);
	close_api(&a);
}

static void pages_of_flows_bear_sessions_that_go_and_hostile_cursors(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_flow_request r = { .limit = 1 };
	struct dp_flow f[DP_STREAMS_MAX * 2];
	uint64_t ids[BED_SESSIONS];
	struct api a;
	unsigned pages;

	(void)state;
	open_api(&a, &q);
	ids[0] = a.call.id;
	for (unsigned i = 1; i < 4; i++)
		ids[i] = bed_create(a.call.dp, &q);
	for (r.limit = 1; r.limit < 9; r.limit++)
		assert_int_equal(flows(&a, r, f, &pages), 8);
	r.limit = 3;
	assert_true(ask(&a, DP_FLOW_LIST, &r, sizeof(r)) > 0);
	const struct dp_flow_reply *reply = a.reply;
	assert_int_equal(reply->session, ids[1]);
	r.session = reply->session;
	r.position = reply->position;
	assert_int_equal(session_delete(&a.call.dp->sessions, ids[1]), 0);
	assert_int_equal(flows(&a, r, f, &pages), 4); /* those of the two behind it */
	assert_int_equal(f[0].session, ids[2]);
	static const uint64_t sessions[] = { 1, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 24 };
	for (size_t i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++)
		for (r.position = UINT32_MAX - 3; r.position != 3; r.position++) {
			r.session = sessions[i];
			assert_true(ask(&a, DP_FLOW_LIST, &r, sizeof(r)) > 0);
		}
	r = (struct dp_flow_request){ 0 };
	assert_int_equal(ask(&a, DP_FLOW_LIST, &r, sizeof(r)), -EINVAL);
	r.limit = 1;
	memset(r.realm, 'x', sizeof(r.realm));
	assert_int_equal(ask(&a, DP_FLOW_LIST, &r, sizeof(r)), -EINVAL);
	r.realm[9] = '\0';
	assert_int_equal(ask(&a, DP_FLOW_LIST, &r, sizeof(r)), -ENOENT);
	r.realm[0] = '\0';
	r.within = (struct dp_source_key){ .address = bed_address("10.0.1.1", 0), .length = 24 };
	assert_int_equal(ask(&a, DP_FLOW_LIST, &r, sizeof(r)), -EINVAL);
	close_api(&a);
}

static void a_realm_counts_its_ports_and_the_media_from_it(void **state)
{
	struct dp_session_request q = bed_request("10.0.1.5", 4000, "10.0.2.5", 5000);
	struct dp_page_request r = { .limit = 1 };
	struct api a;

	(void)state;
	open_api(&a, &q);
	arrive(&a.call, 0, "10.0.1.5", 4000, 0, rtp, sizeof(rtp));
	wire_clear();
	arrive(&a.call, 0, "10.0.1.6", 4000, 0, rtp, sizeof(rtp));
	wire_clear();
	for (unsigned i = 0; i < 2; i++) /* exact when a session ends */
		assert_int_equal(session_delete(&a.call.dp->sessions, a.call.id), i == 0 ? 0 : -ENOENT);
	assert_int_not_equal(bed_create(a.call.dp, &q), 0);
	assert_int_equal(
		ask(&a, DP_REALMS, &r, sizeof(r)), sizeof(struct dp_table_reply) + sizeof(struct dp_realm));
	const struct dp_table_reply *t = a.reply;
	const struct dp_realm *realm = (const void *)(t + 1);
	assert_string_equal(realm->name, "access");
	assert_string_equal(realm->interface, "outside");
	assert_int_equal(realm->pools, 2);
	assert_int_equal(realm->ports_total, 2 * BED_PAIRS);
	assert_int_equal(realm->ports_used, 1);
	assert_int_equal(realm->streams, 1);
	assert_int_equal(realm->packets, 1);
	assert_int_equal(realm->octets, sizeof(rtp));
	assert_int_equal(realm->relayed, 1);
	assert_int_equal(realm->wrong_source, 1);
	assert_int_not_equal(t->cursor, 0);
	r.cursor = t->cursor;
	r.limit = 100;
	assert_true(ask(&a, DP_REALMS, &r, sizeof(r)) > 0);
	t = a.reply;
	assert_int_equal(t->count, 1);
	assert_int_equal(t->cursor, 0);
	assert_string_equal(((const struct dp_realm *)(t + 1))->name, "core");
	r.cursor = UINT64_MAX;
	assert_int_equal(ask(&a, DP_REALMS, &r, sizeof(r)), sizeof(struct dp_table_reply));
	r = (struct dp_page_request){ 0 };
	assert_int_equal(ask(&a, DP_REALMS, &r, sizeof(r)), -EINVAL);
	close_api(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_tells_where_media_comes_from_and_goes_to),
		cmocka_unit_test(flows_are_found_by_source_and_by_realm),
		cmocka_unit_test(pages_of_flows_bear_sessions_that_go_and_hostile_cursors),
		cmocka_unit_test(a_realm_counts_its_ports_and_the_media_from_it),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
