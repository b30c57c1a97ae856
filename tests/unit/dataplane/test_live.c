/* SPDX-License-Identifier: BSD-3-Clause */
/* Another configuration while packets flow: who has a port keeps it, who comes gets one of what there is now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#include "platforms/base/log.h"
#include "tests/unit/dataplane/live_bed.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct call {
	uint64_t id;
	uint16_t port[2]; /* ours */
	char ours[2][INET_ADDRSTRLEN];
	struct dp_session_request request;
};

static int try_call(struct dataplane *dp, const char *realm, unsigned n, struct call *c)
{
	struct dp_session_reply r;

	*c = (struct call){ .request = bed_request("10.0.1.5", (uint16_t)(4000 + 2 * n), "10.0.2.5",
				    (uint16_t)(6000 + 2 * n)) };
	memset(c->request.stream[0].side[0].realm, 0, DP_NAME_MAX);
	memcpy(c->request.stream[0].side[0].realm, realm, strlen(realm));
	int status = session_create(&dp->sessions, &c->request, NULL, clock_now_us(), &c->id);
	if (status != 0)
		return status;
	c->request.session = c->id;
	session_reply(session_find(&dp->sessions, c->id), &r);
	for (unsigned k = 0; k < 2; k++) {
		c->port[k] = r.local[0][k].port;
		assert_non_null(inet_ntop(AF_INET, r.local[0][k].ip, c->ours[k], INET_ADDRSTRLEN));
	}
	bed_learn(dp);
	return 0;
}

static struct call call(struct dataplane *dp, unsigned n)
{
	struct call c;

	assert_int_equal(try_call(dp, "access", n, &c), 0);
	return c;
}

/* A packet of the caller's; has it come out at the other side? In *dscp how it is marked there. */
static bool relays_marked(struct dataplane *dp, const struct call *c, uint8_t *dscp)
{
	static uint16_t sequence;
	uint8_t f[256], rtp[RTP_HEADER + 8] = { 0x80, 0 };
	const struct dp_address *from = &c->request.stream[0].side[0].rtp;

	store_u16(rtp + 2, htons(++sequence));
	size_t n = wire_udp(f, "10.0.1.5", from->port, c->ours[0], c->port[0], rtp, sizeof(rtp));
	wire_receive(dp, 0, 0, wire_frame(0, f, n));
	bool relayed = wires[1].count == 1;
	if (relayed) {
		const uint8_t *out = rte_pktmbuf_mtod(wires[1].kept[0], const uint8_t *);
		struct packet p;

		packet_parse(out, wires[1].kept[0]->data_len, &p);
		union host ours = bed_host(c->ours[1]);
		assert_true(host_equal(&p.source, &ours));
		assert_int_equal(ntohs(p.source_port), c->port[1]);
		assert_int_equal(ntohs(p.dest_port), c->request.stream[0].side[1].rtp.port);
		*dscp = out[15] >> 2;
	}
	assert_int_equal(wires[0].count + wires[3].count, 0);
	wire_clear();
	return relayed;
}

static bool relays(struct dataplane *dp, const struct call *c)
{
	uint8_t dscp;

	return relays_marked(dp, c, &dscp);
}

/* Is a packet to that port handed to the kernel, as all that is no media port? */
static bool is_kernels(struct dataplane *dp, const char *ours, uint16_t port)
{
	uint8_t f[128];
	size_t n = wire_udp(f, "10.0.1.77", 1000, ours, port, "x", 1);

	wire_receive(dp, 0, 0, wire_frame(0, f, n));
	bool kernel = wires[2].count == 1;
	wire_clear();
	return kernel;
}

static void end(struct dataplane *dp, const struct call *c)
{
	assert_int_equal(session_delete(&dp->sessions, c->id), 0);
}

static void check_ports(const struct dataplane *dp, uint64_t wanted_used, uint64_t wanted_total)
{
	uint64_t used, total;

	pools_count(&dp->pools, &used, &total);
	assert_int_equal(used, wanted_used);
	assert_int_equal(total, wanted_total);
}

static void a_pool_that_grows_gives_its_further_ports_beside_calls(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call c[9];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		c[i] = call(dp, i);
	assert_int_equal(try_call(dp, "access", 8, &c[8]), -ENOSPC);
	live_become(dp, LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("9000-10017") LIVE_CORE);
	check_ports(dp, 16, 509 + 100);
	for (unsigned i = 0; i < 8; i++)
		assert_true(relays(dp, &c[i]));
	c[8] = call(dp, 8);
	assert_true(c[8].port[0] < 10000 || c[8].port[0] > 10015);
	assert_true(relays(dp, &c[8]));
	for (unsigned i = 0; i < 9; i++)
		end(dp, &c[i]);
	check_ports(dp, 0, 509 + 100);
	live_bed_free(dp);
}

static void ports_of_a_shrunk_pool_go_on_to_their_calls_end_and_are_given_out_no_more(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call c[8], other;
	unsigned outside = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		c[i] = call(dp, i);
	live_become(dp, LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("10000-10003") LIVE_CORE);
	assert_int_equal(dp->pools.draining, 6);
	assert_int_equal(try_call(dp, "access", 9, &other), -ENOSPC);
	for (unsigned i = 0; i < 8; i++)
		assert_true(relays(dp, &c[i]));
	live_later(dp); /* what is in use is not forgotten, however long it takes */
	for (unsigned i = 0; i < 8; i++)
		assert_true(relays(dp, &c[i]));
	for (unsigned i = 0; i < 8; i++) {
		end(dp, &c[i]);
		outside += c[i].port[0] > 10003;
		assert_int_equal(is_kernels(dp, "10.0.1.1", c[i].port[0]), c[i].port[0] > 10003);
	}
	assert_int_equal(outside, 6);
	assert_int_equal(dp->pools.draining, 0);
	check_ports(dp, 0, 2 + 100);
	assert_int_equal(flow_table_flows(dp->shared.flows), 8 + 100);
	live_later(dp);
	assert_int_equal(flow_table_flows(dp->shared.flows), 2 + 100);
	for (unsigned i = 0; i < 2; i++)
		assert_true(call(dp, i).port[0] <= 10003);
	assert_int_equal(try_call(dp, "access", 3, &other), -ENOSPC);
	live_bed_free(dp);
}

static void a_pool_that_moves_to_another_address_leaves_calls_where_they_are(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call before = call(dp, 1), after;

	(void)state;
	live_become(dp, LIVE_NETWORK LIVE_REALMS
		"steering-pool access { realm = access address = \"10.0.1.2\" ports = "
		"\"20000-20099\" }\n" LIVE_CORE);
	after = call(dp, 2);
	assert_string_equal(before.ours[0], "10.0.1.1");
	assert_string_equal(after.ours[0], "10.0.1.2");
	assert_true(relays(dp, &before) && relays(dp, &after));
	/* A re-INVITE does not move it either. */
	assert_int_equal(session_update(&dp->sessions, &before.request, NULL, clock_now_us()), 0);
	assert_true(relays(dp, &before));
	end(dp, &before);
	live_later(dp);
	union host gone = bed_host("10.0.1.1");
	assert_null(flow_address_find(dp->shared.flows, &gone, 4));
	assert_true(relays(dp, &after));
	live_bed_free(dp);
}

static void a_port_in_use_comes_back_to_whose_it_is_by_then(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call c[8], others[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		c[i] = call(dp, i);
	live_become(dp, LIVE_NETWORK LIVE_REALMS "realm guests { network-interface = outside }\n" LIVE_ACCESS(
				"10000-10007") "steering-pool guests { realm = guests address = \"10.0.1.1\" "
					       "ports = \"10008-10015\" }\n" LIVE_CORE);
	check_ports(dp, 16, 8 + 100);
	assert_int_equal(dp->pools.draining, 0);
	assert_int_equal(try_call(dp, "guests", 8, &others[0]), -ENOSPC);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(relays(dp, &c[i]));
		end(dp, &c[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(try_call(dp, "guests", i, &others[i]), 0);
		assert_true(others[i].port[0] >= 10008);
		others[4 + i] = call(dp, 4 + i);
		assert_true(others[4 + i].port[0] < 10008);
	}
	assert_int_equal(try_call(dp, "guests", 9, &c[0]), -ENOSPC);
	assert_int_equal(try_call(dp, "access", 9, &c[0]), -ENOSPC);
	live_bed_free(dp);
}

#define NO_ACCESS LIVE_NETWORK "realm core { network-interface = inside trust = trusted }\n" LIVE_CORE

static void a_removed_realm_drains(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call before = call(dp, 1), moment, late;

	(void)state;
	live_become(dp, NO_ACCESS);
	assert_true(relays(dp, &before));
	/* The control plane has not heard of it yet. */
	assert_int_equal(try_call(dp, "access", 2, &moment), 0);
	assert_true(relays(dp, &moment));
	live_later(dp);
	assert_int_equal(try_call(dp, "access", 3, &late), -ENOENT);
	assert_true(relays(dp, &before) && relays(dp, &moment));
	/* A call that is there may have another stream. */
	before.request.streams = 2;
	before.request.stream[1] = before.request.stream[0];
	assert_int_equal(session_update(&dp->sessions, &before.request, NULL, clock_now_us()), 0);
	assert_true(relays(dp, &before));
	end(dp, &before);
	assert_true(relays(dp, &moment));
	end(dp, &moment);
	assert_int_equal(pools_named_realm(&dp->pools, "access"), 0);
	live_later(dp);
	assert_int_equal(pools_named_realm(&dp->pools, "access"), -ENOENT);
	check_ports(dp, 0, 100);
	assert_int_equal(flow_table_flows(dp->shared.flows), 100);
	/* There is another of that name: nothing of the old one is known of it. */
	uint64_t packets = dp->sessions.realm[0].packets;
	live_become(dp, LIVE_PLAIN);
	assert_int_equal(dp->sessions.realm[pools_find_realm(&dp->pools, "access")].packets, 0);
	assert_true(packets > 0);
	late = call(dp, 4);
	assert_true(relays(dp, &late));
	live_bed_free(dp);
}

static void a_realm_that_comes_back_while_it_drains_is_the_same(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call before = call(dp, 1), after;
	int number = pools_find_realm(&dp->pools, "access");

	(void)state;
	live_become(dp, NO_ACCESS);
	live_later(dp);
	live_become(dp, LIVE_PLAIN);
	assert_int_equal(pools_find_realm(&dp->pools, "access"), number);
	after = call(dp, 2);
	assert_true(relays(dp, &before) && relays(dp, &after));
	check_ports(dp, 4, 8 + 100);
	live_bed_free(dp);
}

static void a_realm_with_another_name_takes_its_ports_and_a_late_call_gets_one_of_them(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call before = call(dp, 1), moment, after;

	(void)state;
	live_become(dp, LIVE_NETWORK "realm public { network-interface = outside }\n"
				     "realm core { network-interface = inside trust = trusted }\n"
				     "steering-pool access { realm = public address = \"10.0.1.1\" ports = "
				     "\"10000-10015\" }\n" LIVE_CORE);
	assert_int_equal(try_call(dp, "access", 2, &moment), 0);
	assert_int_equal(try_call(dp, "public", 3, &after), 0);
	assert_true(relays(dp, &before) && relays(dp, &moment) && relays(dp, &after));
	check_ports(dp, 6, 8 + 100);
	end(dp, &before);
	end(dp, &moment);
	live_later(dp);
	assert_int_equal(try_call(dp, "access", 4, &moment), -ENOENT);
	assert_true(relays(dp, &after));
	live_bed_free(dp);
}

static void what_was_prepared_and_not_applied_has_changed_nothing(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	const struct flow_table *flows = dp->shared.flows;
	struct config *next = live_read(LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("5000-59999") LIVE_CORE
		"access-control all { realm = access source = \"0.0.0.0/0\" action = deny }\n");
	struct call c = call(dp, 1), during, after;
	char reason[LIVE_WHY];
	struct writer why;

	(void)state;
	writer_init(&why, reason, sizeof(reason));
	assert_int_equal(live_prepare(dp, next, &why), 0);
	during = call(dp, 2); /* calls come between */
	assert_true(during.port[0] >= 10000 && during.port[0] <= 10015);
	live_later(dp);
	live_abort(dp);
	config_free(next);
	assert_ptr_equal(dp->shared.flows, flows);
	check_ports(dp, 4, 8 + 100);
	after = call(dp, 3);
	assert_true(after.port[0] >= 10000 && after.port[0] <= 10015);
	assert_true(relays(dp, &c) && relays(dp, &during) && relays(dp, &after));
	assert_true(is_kernels(dp, "10.0.1.1", 5060));
	live_bed_free(dp);
}

static void what_there_is_no_memory_for_is_refused_and_changes_nothing(void **state)
{
	struct dataplane *dp;
	struct rlimit before, none = { 0 };
	struct call c;
	char reason[LIVE_WHY];
	int status;

	(void)state;
	if (SANITIZED)
		skip();
	dp = live_bed_new(LIVE_PLAIN);
	c = call(dp, 1);
	/* Read beforehand: what is refused is the dataplane's part. */
	struct config *next = live_read(LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("10000-10015") LIVE_CORE
		"steering-pool more { realm = core address = \"10.0.2.2\" ports = \"10000-60000\" }\n");
	struct writer why;
	writer_init(&why, reason, sizeof(reason) - 1);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	status = live_prepare(dp, next, &why);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	reason[why.len] = '\0';
	assert_int_equal(status, -EINVAL);
	assert_non_null(strstr(reason, "has not the memory"));
	assert_null(dp->plan);
	config_free(next);
	check_ports(dp, 2, 8 + 100);
	assert_true(relays(dp, &c));
	live_bed_free(dp);
}

static void what_needs_an_interface_that_is_not_open_is_refused(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	char reason[LIVE_WHY];

	(void)state;
	assert_int_equal(live_try(dp,
				 LIVE_PLAIN "network-interface lab { port = \"xdp:eth2\" addresses = "
					    "{\"10.0.3.1/24\"} }\n"
					    "realm lab { network-interface = lab }\n",
				 reason),
		-EINVAL);
	assert_non_null(strstr(reason, "realm lab.network-interface"));
	assert_int_equal(pools_named_realm(&dp->pools, "lab"), -ENOENT);
	live_bed_free(dp);
}

static void media_rate_holds_for_later_calls_and_dscp_for_all(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call before = call(dp, 1), after;
	uint8_t dscp;

	(void)state;
	assert_true(relays_marked(dp, &before, &dscp));
	assert_int_equal(dscp, 46);
	live_become(dp, LIVE_NETWORK
		"realm access { network-interface = outside media-rate = 100 }\n"
		"realm core { network-interface = inside dscp-media = 34 }\n" LIVE_ACCESS("10000-10015")
			LIVE_CORE);
	after = call(dp, 2);
	assert_int_equal(session_find(&dp->sessions, before.id)->stream[0].side[0].rate, 0);
	assert_int_equal(session_find(&dp->sessions, after.id)->stream[0].side[0].rate, 100);
	assert_true(relays_marked(dp, &after, &dscp));
	assert_int_equal(dscp, 34);
	(void)watch_session(dp, session_find(&dp->sessions, before.id), clock_now_us());
	assert_true(relays_marked(dp, &before, &dscp));
	assert_int_equal(dscp, 34);
	live_bed_free(dp);
}

static void fewer_sessions_end_none_and_more_are_let_in(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN "media-manager { max-sessions = 3 }\n");
	struct call c[8], other;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c[i] = call(dp, i);
	assert_int_equal(try_call(dp, "access", 3, &other), -ENOSPC);
	live_become(dp, LIVE_PLAIN "media-manager { max-sessions = 2 }\n");
	for (unsigned i = 0; i < 3; i++)
		assert_true(relays(dp, &c[i]));
	end(dp, &c[0]);
	assert_int_equal(try_call(dp, "access", 3, &other), -ENOSPC);
	end(dp, &c[1]);
	c[1] = call(dp, 1);
	live_become(dp,
		LIVE_PLAIN "media-manager { max-sessions = 500000 }\n"); /* more than there was room for */
	assert_true(relays(dp, &c[1]) && relays(dp, &c[2]));
	for (unsigned i = 3; i < 8; i++) {
		c[i] = call(dp, i);
		assert_true(relays(dp, &c[i]));
	}
	live_bed_free(dp);
}

/* --- the border --- */

static int outcome(struct dataplane *dp, const char *source)
{
	const struct worker *w = &dp->shared.workers[0];
	uint64_t before[DP_COUNTER_COUNT];
	uint8_t f[128];
	size_t n = wire_udp(f, source, 5060, "10.0.1.1", 5060, "OPTIONS", 7);

	memcpy(before, w->counter, sizeof(before));
	wire_receive(dp, 0, 0, wire_frame(0, f, n));
	bool mirrored = wires[2].count == 1;
	wire_clear();
	for (int c = 0; c < DP_COUNTER_COUNT; c++)
		if (w->counter[c] != before[c] &&
			strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
			return mirrored ? -2 : c;
	return mirrored ? -1 : -3;
}

enum { PASSES = -1 };

static uint64_t hits(const struct dataplane *dp, const char *network, uint8_t length)
{
	const struct prefix_key key = { .ip = bed_host(network),
		.family = 4,
		.length = length,
		.scope = (uint16_t)pools_find_realm(&dp->pools, "access") };
	const struct prefix_entry *e = prefix_table_find(border_access(dp->shared.border), &key);

	return e != NULL ? e->hits : UINT64_MAX;
}

#define BADNET "access-control badnet { realm = access source = \"203.0.113.0/24\" action = deny }\n"

static void a_denial_holds_for_the_next_packet_and_what_it_counted_stays(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);

	(void)state;
	assert_int_equal(outcome(dp, "203.0.113.9"), PASSES);
	live_become(dp, LIVE_PLAIN BADNET);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(outcome(dp, "203.0.113.9"), DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(outcome(dp, "203.0.114.9"), PASSES);
	/* Others come before it, and a realm that comes first in the file. */
	live_become(dp, LIVE_NETWORK
		"realm aaa { network-interface = inside }\n" LIVE_REALMS LIVE_ACCESS("10000-10015") LIVE_CORE
		"access-control first { realm = core source = \"203.0.113.0/24\" action = permit }\n"
		"access-control host { realm = access source = \"203.0.113.7/32\" action = permit "
		"}\n" BADNET);
	assert_int_equal(hits(dp, "203.0.113.0", 24), 5);
	assert_int_equal(outcome(dp, "203.0.113.9"), DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(hits(dp, "203.0.113.0", 24), 6);
	assert_int_equal(outcome(dp, "203.0.113.7"), PASSES);
	live_become(dp, LIVE_PLAIN);
	assert_int_equal(outcome(dp, "203.0.113.9"), PASSES);
	assert_int_equal(hits(dp, "203.0.113.0", 24), UINT64_MAX);
	live_bed_free(dp);
}

static void bans_and_what_sources_have_used_survive(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN "guard { untrusted-rate = 1 untrusted-burst = 3 }\n");
	const struct prefix_entry ban = { .key = { .ip = bed_host("198.51.100.1"),
						  .family = 4,
						  .length = 32,
						  .scope = PREFIX_SCOPE_ANY } };
	const struct prefix_entry phone = { .key = { .ip = bed_host("198.51.100.2"),
						    .family = 4,
						    .length = 32,
						    .scope = PREFIX_SCOPE_ANY },
		.permit = 1,
		.trusted = 1 };

	(void)state;
	assert_int_equal(prefix_table_set(border_bans(dp->shared.border), &ban, "x", 1, true, NULL), 0);
	assert_int_equal(prefix_table_set(border_trust(dp->shared.border), &phone, NULL, 1, false, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(outcome(dp, "192.0.2.1"), PASSES);
	assert_int_equal(outcome(dp, "192.0.2.1"), DP_COUNTER_DROP_SOURCE_RATE);
	live_become(dp, LIVE_PLAIN BADNET "guard { untrusted-rate = 1 untrusted-burst = 3 }\n");
	assert_int_equal(outcome(dp, "192.0.2.1"), DP_COUNTER_DROP_SOURCE_RATE);
	assert_int_equal(outcome(dp, "198.51.100.1"), DP_COUNTER_DROP_BANNED);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(outcome(dp, "198.51.100.2"), PASSES);
	/* More for everybody, from now on. */
	live_become(dp, LIVE_PLAIN "guard { untrusted-rate = 10 untrusted-burst = 30 }\n");
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(outcome(dp, "192.0.2.77"), PASSES);
	live_become(dp, LIVE_PLAIN "guard { untrusted-class-rate = 100 }\n");
	unsigned passed = 0;
	for (unsigned i = 0; i < 200; i++) {
		char source[INET_ADDRSTRLEN];

		(void)snprintf(source, sizeof(source), "10.9.%u.%u", i / 100, i % 100);
		passed += outcome(dp, source) == PASSES;
	}
	assert_in_range(passed, 30, 32); /* the least burst of a class, less what it had used */
	live_bed_free(dp);
}

static void who_is_an_agent_is_trusted_while_he_is(void **state)
{
	struct dataplane *dp = live_bed_new(
		LIVE_PLAIN "session-agent pbx { realm = access address = \"udp:10.0.1.7:5060\" }\n");
	static const char agents[] =
		LIVE_PLAIN "session-agent a { realm = access address = \"udp:10.0.1.8:5060\" }\n"
			   "session-agent b { realm = access address = \"udp:10.0.1.8:5070\" }\n"
			   "session-agent c { realm = core address = \"udp:10.0.2.8:5060\" }\n";
	struct prefix_key key = { .ip = bed_host("10.0.1.7"), .family = 4, .length = 32 };

	(void)state;
	key.scope = (uint16_t)pools_find_realm(&dp->pools, "access");
	assert_non_null(prefix_table_find(border_trust(dp->shared.border), &key));
	live_become(dp, agents);
	assert_null(prefix_table_find(border_trust(dp->shared.border), &key));
	key.ip = bed_host("10.0.1.8");
	assert_non_null(prefix_table_find(border_trust(dp->shared.border), &key));
	assert_int_equal(prefix_table_count(border_trust(dp->shared.border)), 2);
	/* One of two at that address goes. */
	live_become(dp, LIVE_PLAIN "session-agent b { realm = access address = \"udp:10.0.1.8:5070\" }\n");
	assert_non_null(prefix_table_find(border_trust(dp->shared.border), &key));
	assert_int_equal(prefix_table_count(border_trust(dp->shared.border)), 1);
	live_become(dp, LIVE_PLAIN);
	assert_int_equal(prefix_table_count(border_trust(dp->shared.border)), 0);
	live_bed_free(dp);
}

static void trust_of_a_realm_holds_for_the_next_packet(void **state)
{
	struct dataplane *dp = live_bed_new(LIVE_PLAIN "guard { untrusted-rate = 1 untrusted-burst = 1 }\n");

	(void)state;
	assert_int_equal(outcome(dp, "192.0.2.1"), PASSES);
	assert_int_equal(outcome(dp, "192.0.2.1"), DP_COUNTER_DROP_SOURCE_RATE);
	live_become(dp, LIVE_NETWORK
		"realm access { network-interface = outside trust = trusted }\n"
		"realm core { network-interface = inside trust = trusted }\n" LIVE_ACCESS("10000-10015")
			LIVE_CORE "guard { untrusted-rate = 1 untrusted-burst = 1 }\n");
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(outcome(dp, "192.0.2.1"), PASSES);
	live_bed_free(dp);
}

/* --- many changes --- */

static unsigned next_random(unsigned *seed)
{
	return (*seed = *seed * 1664525 + 1013904223) >> 8;
}

/* One to three pools somewhere between 10000 and 10255 of either address; the realm now and then under another name. */
static const char *any_text(unsigned *seed, char *text, size_t size)
{
	unsigned pools = 1 + next_random(seed) % 3, at = 10000, n;
	const char *realm = next_random(seed) % 4 == 0 ? "guests" : "access";
	bool both = next_random(seed) % 3 == 0;

	n = (unsigned)snprintf(text, size,
		LIVE_NETWORK "realm %s { network-interface = outside dscp-media = %u }\n"
			     "%srealm core { network-interface = inside }\n" LIVE_CORE,
		realm, next_random(seed) % 64,
		!both                          ? ""
		: strcmp(realm, "guests") == 0 ? "realm access { network-interface = outside }\n"
					       : "realm guests { network-interface = outside }\n");
	for (unsigned i = 0; i < pools; i++) {
		unsigned first = at + 2 * (next_random(seed) % 20),
			 last = first + 1 + 2 * (next_random(seed) % 20);

		n += (unsigned)snprintf(text + n, size - n,
			"steering-pool p%u { realm = %s address = \"10.0.1.%u\" ports = \"%u-%u\" }\n", i,
			both && i == 1 ? (strcmp(realm, "guests") == 0 ? "access" : "guests") : realm,
			1 + next_random(seed) % 2, first, last);
		at = last + 1;
	}
	return text;
}

/* Each pair is free once, in use once, or neither; and what is free is a media port. */
static void check_pairs(const struct dataplane *dp, const struct call *calls, unsigned count)
{
	static uint8_t seen[2][65536];
	uint64_t used, total, live = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < count; i++)
		if (calls[i].id != 0) {
			live++;
			assert_int_equal(seen[calls[i].ours[0][7] - '1'][calls[i].port[0]]++, 0);
		}
	for (uint16_t i = 0; i < dp->pools.pool_count; i++) {
		const struct pool *p = dp->pools.pool[i];

		assert_int_equal(p->used + p->count, p->pairs);
		for (uint32_t k = 0; k < p->count; k++) {
			const struct flow *f = &p->flows[p->free[(p->first + k) % p->pairs].pair];

			assert_true(flow_is_pooled(f));
			assert_null(atomic_load(&f->rule));
			if (p->ip.byte[2] == 1)
				assert_int_equal(seen[p->ip.byte[3] - 1][f->port]++, 0);
		}
	}
	pools_count(&dp->pools, &used, &total);
	assert_int_equal(used, 2 * live);
}

static void no_port_is_lost_or_given_twice_over_a_thousand_configurations(void **state)
{
	enum { CALLS = 60, ROUNDS = 1000 };
	struct dataplane *dp = live_bed_new(LIVE_PLAIN);
	struct call c[CALLS] = { 0 };
	unsigned seed = 7, made = 0;
	char text[2048];

	(void)state;
	for (unsigned r = 0; r < ROUNDS; r++) {
		live_become(dp, any_text(&seed, text, sizeof(text)));
		for (unsigned i = 0; i < 20; i++) {
			unsigned k = next_random(&seed) % CALLS;

			if (c[k].id != 0) {
				assert_true(relays(dp, &c[k]));
				if (next_random(&seed) % 2 == 0)
					continue;
				end(dp, &c[k]);
				c[k].id = 0;
			} else if (try_call(dp, next_random(&seed) % 2 ? "access" : "guests", k, &c[k]) ==
				   0) {
				made++;
				assert_true(relays(dp, &c[k]));
			} else {
				c[k].id = 0;
			}
		}
		if (next_random(&seed) % 3 == 0)
			live_later(dp);
		check_pairs(dp, c, CALLS);
	}
	assert_true(made > ROUNDS);
	for (unsigned i = 0; i < CALLS; i++)
		if (c[i].id != 0)
			end(dp, &c[i]);
	live_become(dp, LIVE_PLAIN);
	live_later(dp);
	check_ports(dp, 0, 8 + 100);
	assert_int_equal(flow_table_flows(dp->shared.flows), 8 + 100);
	assert_true(dp->pools.realm_count < 8); /* numbers are used again */
	assert_true(dp->rules.chunk_count < 8);
	live_bed_free(dp);
}

/* --- beside a worker --- */

enum { BESIDE = 6, CHANGES = 400 };

struct beside {
	struct dataplane *dp;
	struct call call[BESIDE];
	atomic_bool stop;
	_Atomic uint64_t rounds;
	/* owner: worker, read when it has ended */
	uint64_t sent, relayed, strange, denied;
};

static void relay_round(struct beside *b)
{
	struct worker *w = &b->dp->shared.workers[0];
	struct rte_mbuf *m[BESIDE + 1];
	uint8_t f[256], rtp[RTP_HEADER + 8] = { 0x80, 0 };

	for (unsigned i = 0; i < BESIDE; i++) {
		const struct call *c = &b->call[i];
		size_t n = wire_udp(f, "10.0.1.5", c->request.stream[0].side[0].rtp.port, c->ours[0],
			c->port[0], rtp, sizeof(rtp));

		m[i] = wire_frame(0, f, n);
	}
	size_t n = wire_udp(f, "203.0.113.9", 5060, "10.0.1.1", 5060, "OPTIONS", 7);
	m[BESIDE] = wire_frame(0, f, n);
	relay_burst(w, &b->dp->shared.ports[0], m, BESIDE + 1);
	transmit_flush(w);
	b->sent += BESIDE;
	b->relayed += wires[1].count;
	b->denied += wires[2].count == 0;
	for (unsigned i = 0; i < wires[1].count; i++) {
		struct packet p;
		bool known = false;

		packet_parse(
			rte_pktmbuf_mtod(wires[1].kept[i], const uint8_t *), wires[1].kept[i]->data_len, &p);
		for (unsigned k = 0; k < BESIDE; k++)
			known = known ||
				(ntohs(p.source_port) == b->call[k].port[1] &&
					ntohs(p.dest_port) == b->call[k].request.stream[0].side[1].rtp.port);
		b->strange += !known;
	}
	wire_clear();
}

static void *relay_on(void *arg)
{
	struct beside *b = arg;
	struct rte_rcu_qsbr *rcu = b->dp->shared.rcu;

	rte_rcu_qsbr_thread_online(rcu, 0);
	while (!atomic_load(&b->stop)) {
		relay_round(b);
		rte_rcu_qsbr_quiescent(rcu, 0);
		atomic_fetch_add(&b->rounds, 1);
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	return NULL;
}

static void calls_beside_changes_lose_no_packet(void **state)
{
	static const char *const texts[] = {
		LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("9000-10099") LIVE_CORE BADNET,
		NO_ACCESS,
		LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("20000-20015") LIVE_CORE,
		LIVE_PLAIN BADNET "media-manager { max-sessions = 3000 }\n",
		LIVE_NETWORK
		"realm other { network-interface = outside dscp-media = 10 }\n" LIVE_REALMS LIVE_ACCESS(
			"10000-10001") LIVE_CORE
		"steering-pool other { realm = other address = \"10.0.1.1\" ports = \"10002-10999\" }\n",
	};
	struct beside *b = calloc(1, sizeof(*b));
	pthread_t worker;

	(void)state;
	assert_non_null(b);
	b->dp = live_bed_new(LIVE_PLAIN);
	for (unsigned i = 0; i < BESIDE; i++)
		b->call[i] = call(b->dp, i);
	assert_int_equal(rte_rcu_qsbr_thread_register(b->dp->shared.rcu, 0), 0);
	assert_int_equal(pthread_create(&worker, NULL, relay_on, b), 0);
	for (unsigned i = 0; i < CHANGES; i++) {
		uint64_t until = atomic_load(&b->rounds) + 2;
		struct call guest;

		live_become(b->dp, texts[i % (sizeof(texts) / sizeof(texts[0]))]);
		if (try_call(b->dp, "access", 100, &guest) == 0)
			end(b->dp, &guest);
		for (unsigned k = 0; k < BESIDE; k++)
			(void)watch_session(
				b->dp, session_find(&b->dp->sessions, b->call[k].id), clock_now_us());
		if (i % 7 == 0)
			live_later(b->dp);
		while (atomic_load(&b->rounds) < until)
			(void)sched_yield();
	}
	atomic_store(&b->stop, true);
	assert_int_equal(pthread_join(worker, NULL), 0);
	assert_int_equal(b->sent, b->relayed);
	assert_int_equal(b->strange, 0);
	assert_true(b->denied > 0);
	print_message("%llu packets, %u configurations\n", (unsigned long long)b->sent, CHANGES);
	live_bed_free(b->dp);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_that_grows_gives_its_further_ports_beside_calls),
		cmocka_unit_test(ports_of_a_shrunk_pool_go_on_to_their_calls_end_and_are_given_out_no_more),
		cmocka_unit_test(a_pool_that_moves_to_another_address_leaves_calls_where_they_are),
		cmocka_unit_test(a_port_in_use_comes_back_to_whose_it_is_by_then),
		cmocka_unit_test(a_removed_realm_drains),
		cmocka_unit_test(a_realm_that_comes_back_while_it_drains_is_the_same),
		cmocka_unit_test(a_realm_with_another_name_takes_its_ports_and_a_late_call_gets_one_of_them),
		cmocka_unit_test(what_was_prepared_and_not_applied_has_changed_nothing),
		cmocka_unit_test(what_there_is_no_memory_for_is_refused_and_changes_nothing),
		cmocka_unit_test(what_needs_an_interface_that_is_not_open_is_refused),
		cmocka_unit_test(media_rate_holds_for_later_calls_and_dscp_for_all),
		cmocka_unit_test(fewer_sessions_end_none_and_more_are_let_in),
		cmocka_unit_test(a_denial_holds_for_the_next_packet_and_what_it_counted_stays),
		cmocka_unit_test(bans_and_what_sources_have_used_survive),
		cmocka_unit_test(who_is_an_agent_is_trusted_while_he_is),
		cmocka_unit_test(trust_of_a_realm_holds_for_the_next_packet),
		cmocka_unit_test(no_port_is_lost_or_given_twice_over_a_thousand_configurations),
		cmocka_unit_test(calls_beside_changes_lose_no_packet),
	};

	log_set_level(LOG_LEVEL_WARNING);
	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
