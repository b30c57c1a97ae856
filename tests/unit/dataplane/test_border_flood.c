/* SPDX-License-Identifier: BSD-3-Clause */
/* The border under a flood, and with several workers. */
#include <pthread.h>

#include "tests/unit/dataplane/gate.h"

static void flood(struct gate *g, uint32_t first, uint32_t packets)
{
	struct rte_mbuf *burst[BURST];
	uint8_t f[256];
	size_t n = wire_udp(f, "11.0.0.0", 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	for (uint32_t i = 0; i < packets; i += BURST) {
		for (uint32_t k = 0; k < BURST; k++) {
			store_u32(f + 14 + 12, htonl(0x0b000000 + first + i + k));
			store_u16(f + 14 + 10, 0);
			store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
			burst[k] = wire_frame(0, f, n);
		}
		relay_burst(g->w, &g->dp->shared.ports[0], burst, BURST);
		transmit_flush(g->w);
		wire_clear();
	}
}

static void a_million_strangers_do_not_touch_what_is_known_of_the_trusted(void **state)
{
	struct source_report top[5];
	struct gate g;

	(void)state;
	gate_init(&g, 1);
	g.c.untrusted[SOURCE_PACKETS] = rate_of(20, 40);
	g.c.class[BORDER_UNTRUSTED] = rate_of(20000, 40000);
	gate_open(&g);
	for (uint16_t port = 1; port <= 300; port++)
		trust(&g, "192.0.2.1", port, 2);
	for (uint16_t port = 1; port <= 300; port++) /* all have used up their rate */
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(
				udp(&g, "192.0.2.1", port), i < 2 ? MIRRORED : DP_COUNTER_DROP_SOURCE_RATE);
	uint64_t before = g.w->counter[DP_COUNTER_MIRROR_IN];
	flood(&g, 0, PLENTY);
	assert_int_equal(g.w->counter[DP_COUNTER_MIRROR_IN] - before, 40000); /* their class's burst */
	assert_int_equal(g.w->counter[DP_COUNTER_DROP_CLASS_RATE], PLENTY - 40000);
	assert_true(g.w->counter[DP_COUNTER_SOURCE_EVICTED] > PLENTY / 2); /* it says so */
	uint64_t evicted = g.w->counter[DP_COUNTER_SOURCE_EVICTED];
	for (uint16_t port = 1; port <= 300; port++)
		assert_int_equal(udp(&g, "192.0.2.1", port), DP_COUNTER_DROP_SOURCE_RATE);
	assert_int_equal(g.w->counter[DP_COUNTER_SOURCE_EVICTED], evicted);
	assert_int_equal(source_table_top(border_sources(g.dp->shared.border, true), top, 5), 5);
	assert_int_equal(top[4].packets, 4);
	gate_close(&g);
}

/* Workers take chunks: together they get what the rate gives, whatever a worker holds back. */
static void a_class_has_one_rate_over_all_workers(void **state)
{
	static const uint32_t rates[] = { 1000, 100000, 640000, 2000000 };
	enum { STEP = 100, WORKERS = 4, CHUNK = 16 };

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct gate g;
		uint32_t burst = 100 + rates[r] / 1000, offered = 0, steps = SECOND / STEP;

		gate_init(&g, WORKERS);
		g.c.class[BORDER_UNTRUSTED] = rate_of(rates[r], burst);
		gate_open(&g);
		struct worker *all = g.w;
		for (uint32_t i = 0; i < steps / 10;
			i++) { /* a tenth of a second, at twice the rate and more */
			uint32_t packets = 2 * rates[r] / steps + BURST;

			for (uint16_t k = 0; k < WORKERS; k++)
				all[k].now_us = NOW + i * STEP;
			for (; packets >= BURST; packets -= BURST) {
				g.w = &all[(offered / BURST) % WORKERS];
				flood(&g, 0, BURST);
				offered += BURST;
			}
		}
		uint64_t passed = 0;
		for (uint16_t k = 0; k < WORKERS; k++)
			passed += all[k].counter[DP_COUNTER_MIRROR_IN];
		assert_in_range(passed, rates[r] / 10 - WORKERS * CHUNK, rates[r] / 10 + burst);
		g.w = all;
		gate_close(&g);
	}
}

static void a_stopped_worker_holds_back_no_more_than_a_chunk(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g, 2);
	g.c.class[BORDER_UNTRUSTED] = rate_of(2000000, 64);
	gate_open(&g);
	struct worker *all = g.w;
	flood(&g, 0, BURST); /* takes two chunks whole */
	assert_int_equal(udp_number(&g, 1), MIRRORED); /* holds the rest of a third, and stops */
	g.w = &all[1];
	flood(&g, 0, BURST);
	assert_int_equal(
		all[0].counter[DP_COUNTER_MIRROR_IN] + all[1].counter[DP_COUNTER_MIRROR_IN], 33 + 16);
	g.w = all;
	gate_close(&g);
}

/* --- two workers and the main thread --- */

/* Each worker has its own buffers: threads that share a processor must not wait for each other in a pool's ring. */
struct beside {
	struct worker *w;
	struct rte_mempool *pool;
	uint64_t sent;
};

enum { ROUNDS = 4000 };

static _Thread_local uint64_t mirrored_here;

static void mirror_count(struct worker *w, struct item *it)
{
	(void)w;
	mirrored_here++;
	rte_pktmbuf_free(it->m);
}

static void *burst_on(void *arg)
{
	struct beside *b = arg;
	struct worker *w = b->w;
	struct item items[8], *pointers[8];
	uint8_t f[256];
	size_t n = wire_udp(f, "192.0.2.0", 5060, "10.0.1.10", 5060, sip, sizeof(sip));

	rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		w->now_us += 50;
		for (unsigned i = 0; i < 8; i++) {
			f[14 + 12 + 3] = (uint8_t)(r * 8 + i);
			items[i] = (struct item){ .m = rte_pktmbuf_alloc(b->pool) };
			memcpy(rte_pktmbuf_append(items[i].m, (uint16_t)n), f, n);
			packet_parse(f, n, &items[i].p);
			items[i].p.class = PACKET_UDP; /* the header's sum is of another source */
			items[i].p.source.byte[3] = f[14 + 12 + 3];
			pointers[i] = &items[i];
		}
		border_burst(w, pointers, 8, mirror_count);
		b->sent += 8;
		rte_rcu_qsbr_quiescent(w->shared->rcu, w->index);
	}
	rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
	worker_count(w, DP_COUNTER_MIRROR_IN, mirrored_here);
	return NULL;
}

static void what_two_workers_judge_while_tables_change_is_all_accounted_for(void **state)
{
	struct beside b[2];
	pthread_t thread[2];
	struct gate g;

	(void)state;
	gate_init(&g, 2);
	g.max_sources = 100; /* so that lines change hands */
	g.c.untrusted[SOURCE_PACKETS] = rate_of(2000, 4);
	g.c.class[BORDER_UNTRUSTED] = rate_of(3000000, 100);
	gate_open(&g);
	for (uint16_t i = 0; i < 2; i++) {
		b[i] = (struct beside){ .w = &g.w[i],
			.pool = rte_pktmbuf_pool_create(
				i == 0 ? "first" : "second", 63, 0, 0, 512, SOCKET_ID_ANY) };
		assert_non_null(b[i].pool);
		assert_int_equal(rte_rcu_qsbr_thread_register(g.dp->shared.rcu, i), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, burst_on, &b[i]), 0);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		struct prefix_table *t = i % 3 == 0 ? g.bans : i % 3 == 1 ? g.c.access : g.trust;
		struct prefix_entry e =
			about("192.0.2.0", 32, 0, i % 3 == 1 ? REALM_ACCESS : PREFIX_SCOPE_ANY);

		e.key.ip.byte[3] = (uint8_t)(i * 7);
		e.permit = (i & 8) != 0;
		if (prefix_table_clear(t, &e.key) != 0)
			add(t, e);
	}
	uint64_t total = 0;
	for (uint16_t i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		(void)rte_rcu_qsbr_thread_unregister(g.dp->shared.rcu, i);
		assert_int_equal(rte_mempool_in_use_count(b[i].pool), 0);
		rte_mempool_free(b[i].pool);
		for (int c = 0; c < DP_COUNTER_COUNT; c++)
			if (c == DP_COUNTER_MIRROR_IN ||
				strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
				total += g.w[i].counter[c];
	}
	assert_int_equal(total, b[0].sent + b[1].sent);
	gate_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_strangers_do_not_touch_what_is_known_of_the_trusted),
		cmocka_unit_test(a_class_has_one_rate_over_all_workers),
		cmocka_unit_test(a_stopped_worker_holds_back_no_more_than_a_chunk),
		cmocka_unit_test(what_two_workers_judge_while_tables_change_is_all_accounted_for),
	};

	return cmocka_run_group_tests(tests, gate_wires, NULL);
}
