/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of sessions: all or nothing when there is no room for more, given back when no worker can hold them, replaced under a worker
 * that uses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "tests/unit/dataplane/secure.h"

enum { SWAPS = 150, PAUSE_PACKETS = 20 };

static const enum dp_srtp_suite SUITE = DP_SRTP_AES_CM_128_HMAC_SHA1_80;

static struct dp_session_request secured(unsigned number)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);

	secure_side(&q, 0, SUITE, 10 * number);
	secure_side(&q, 1, SUITE, 10 * number + 4);
	return q;
}

/* Takes all but `left` contexts. Returns how many. */
static unsigned use_up(struct srtp_context **taken, unsigned left)
{
	struct dp_crypto key = secure_key(SUITE, 99);
	unsigned n = 0;

	while (n < SECURE_CONTEXTS && srtp_context_new(secure_store, &key, SRTP_OUT, &taken[n]) == 0)
		n++;
	for (unsigned i = 0; i < left; i++)
		srtp_context_free(secure_store, taken[--n]);
	return n;
}

static void give_back(struct srtp_context **taken, unsigned n)
{
	while (n-- > 0)
		srtp_context_free(secure_store, taken[n]);
}

static unsigned ports_used(struct dataplane *dp)
{
	uint64_t used, total;

	pools_count(&dp->pools, &used, &total);
	return (unsigned)used;
}

static void without_room_for_all_keys_nothing_changes(void **state)
{
	static struct srtp_context *taken[SECURE_CONTEXTS];
	struct dp_session_request q = secured(1), other = secured(2);
	uint64_t id = 0;
	struct call c;

	(void)state;
	secure_call(&c, &q, 1);
	unsigned n = use_up(taken, 3); /* two directions, two keys each, are needed */
	assert_int_equal(session_create(&c.dp->sessions, &other, NULL, 1, &id), -ENOMEM);
	assert_int_equal(ports_used(c.dp), 2);
	other.session = c.id;
	assert_int_equal(session_update(&c.dp->sessions, &other, NULL, 2), -ENOMEM);
	struct srtp_context *peer = taken[--n];
	srtp_context_free(secure_store, peer);
	assert_int_equal(session_update(&c.dp->sessions, &other, NULL, 2), 0);
	assert_int_equal(session_delete(&c.dp->sessions, c.id), 0);
	assert_int_equal(session_create(&c.dp->sessions, &q, NULL, 3, &id), 0); /* nobody held the others */
	give_back(taken, n);
	secure_over(&c);
}

static void keys_go_back_when_every_worker_has_passed(void **state)
{
	static struct srtp_context *taken[SECURE_CONTEXTS];
	struct dp_session_request q = secured(1), other = secured(2);
	uint64_t id = 0;
	struct call c;

	(void)state;
	secure_call(&c, &q, 1);
	struct rte_rcu_qsbr *rcu = c.dp->shared.rcu;
	assert_int_equal(rte_rcu_qsbr_thread_register(rcu, 0), 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	unsigned n = use_up(taken, 0);
	assert_int_equal(session_delete(&c.dp->sessions, c.id), 0);
	assert_int_equal(session_create(&c.dp->sessions, &other, NULL, 1, &id), -ENOMEM);
	rte_rcu_qsbr_quiescent(rcu, 0);
	assert_int_equal(session_create(&c.dp->sessions, &other, NULL, 1, &id), 0);
	give_back(taken, n);
	rte_rcu_qsbr_thread_offline(rcu, 0);
	(void)rte_rcu_qsbr_thread_unregister(rcu, 0);
	secure_over(&c);
}

static void a_plain_session_has_no_memory_of_keys(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct call c;

	(void)state;
	secure_call(&c, &q, 1);
	const struct session *s = session_find(&c.dp->sessions, c.id);
	for (unsigned k = 0; k < 2; k++) {
		const struct flow_rule *r = atomic_load(&s->stream[0].side[k].flow->rule);

		assert_null(s->stream[0].side[k].crypto);
		assert_null(r->crypto);
		assert_int_equal(r->flags & RULE_SRTP, 0);
	}
	secure_over(&c);
}

/* --- under a worker that runs --- */

static struct swapped {
	struct call call;
	struct srtp_context *opens[SWAPS + 1]; /* what the peer of side 1 is sent, by number of its key */
	atomic_uint announced, done; /* numbers of keys: asked for, and in use */
	atomic_uint packets, wrong;
	atomic_bool stop;
} swapped;

/* RTP of side 0; what leaves must be protected with the key that was in use or with the one that was asked for. */
static void *relay_all_the_time(void *arg)
{
	struct swapped *s = arg;
	struct worker *w = &s->call.dp->shared.workers[0];
	struct rte_rcu_qsbr *rcu = s->call.dp->shared.rcu;
	uint8_t p[512], f[512], got[512];

	rte_rcu_qsbr_thread_online(rcu, 0);
	for (uint16_t sequence = 1; !atomic_load(&s->stop); sequence++) {
		size_t n = wire_udp(
			f, A, 4000, s->call.local[0], s->call.port[0], p, secure_rtp(p, sequence, 7));
		struct rte_mbuf *m = wire_frame(0, f, n);
		unsigned first = atomic_load(&s->done);
		bool opened = false;

		relay_burst(w, &s->call.dp->shared.ports[0], &m, 1);
		transmit_flush(w);
		unsigned last = atomic_load(&s->announced);
		for (unsigned i = first; i <= last && !opened && wires[1].count == 1; i++) {
			const struct rte_mbuf *out = wires[1].kept[0];
			size_t length = out->data_len - 42U;

			memcpy(got, rte_pktmbuf_mtod(out, const uint8_t *) + 42, length);
			opened = secure_unprotect(s->opens[i], got, length, false) ==
					 RTP_HEADER + SECURE_VOICE &&
				 memcmp(got, p, RTP_HEADER + SECURE_VOICE) == 0;
		}
		if (!opened)
			atomic_fetch_add(&s->wrong, 1);
		wire_clear();
		atomic_fetch_add(&s->packets, 1);
		rte_rcu_qsbr_quiescent(rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	return NULL;
}

static void keys_are_replaced_under_a_worker_and_each_packet_has_one_of_them(void **state)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);
	struct swapped *s = &swapped;
	pthread_t thread;

	(void)state;
	secure_side(&q, 1, SUITE, 0);
	secure_call(&s->call, &q, 1);
	for (unsigned i = 0; i <= SWAPS; i++) {
		struct dp_crypto key = secure_key(SUITE, 4 + i);

		s->opens[i] = secure_end(&key, SRTP_IN);
	}
	assert_int_equal(rte_rcu_qsbr_thread_register(s->call.dp->shared.rcu, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, relay_all_the_time, s), 0);
	for (unsigned i = 1; i <= SWAPS; i++) {
		unsigned until = atomic_load(&s->packets) + PAUSE_PACKETS;

		while (atomic_load(&s->packets) < until)
			sched_yield();
		atomic_store(&s->announced, i);
		secure_side(&s->call.q, 1, SUITE, i);
		s->call.q.session = s->call.id;
		assert_int_equal(session_update(&s->call.dp->sessions, &s->call.q, NULL, i), 0);
		atomic_store(&s->done, i);
	}
	atomic_store(&s->stop, true);
	(void)pthread_join(thread, NULL);
	(void)rte_rcu_qsbr_thread_unregister(s->call.dp->shared.rcu, 0);
	assert_int_equal(atomic_load(&s->wrong), 0);
	assert_true(atomic_load(&s->packets) >= SWAPS * PAUSE_PACKETS);
	for (unsigned i = 0; i <= SWAPS; i++)
		srtp_context_free(secure_store, s->opens[i]);
	secure_over(&s->call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_room_for_all_keys_nothing_changes),
		cmocka_unit_test(keys_go_back_when_every_worker_has_passed),
		cmocka_unit_test(a_plain_session_has_no_memory_of_keys),
		cmocka_unit_test(keys_are_replaced_under_a_worker_and_each_packet_has_one_of_them),
	};
	int status;

	secure_open();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	secure_close();
	return status;
}
