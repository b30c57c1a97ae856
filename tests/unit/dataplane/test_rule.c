/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules swapped under a worker that relays on 100,000 flows. Under TSan this is also the proof that nobody reads what another
 * writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "tests/unit/dataplane/wire.h"

enum {
	CALLS = 50000, /* two flows each */
	BUSY = 64, /* of these, updated all the time */
	GUESTS = 32, /* more, which come and go */
	SPARE_RULES = 256, /* so few that each is in use again soon */
	SWEEPS = 2, /* of the worker over all flows, at least */
	ROUNDS_MAX = 100000,
	UPDATES = 32, /* a round */
	UPDATES_MIN = 20000,
	PORT_BASE = 20000, /* of a peer in its first version */
	VERSIONS = 40000,
};

struct swap {
	struct dataplane *dp;
	uint64_t id[CALLS];
	uint16_t port[CALLS][2]; /* ours */
	union host ours[CALLS][2];
	/* The peer of side 1 moves from version to version: what is about to be so, and what is so for certain. */
	_Atomic uint32_t intended[CALLS], done[CALLS];
	_Atomic uint16_t guest_port[GUESTS];
	_Atomic uint32_t sweeps;
	atomic_bool stop;
	/* owner: worker, read when it has ended */
	uint64_t sent, relayed, strangers, early;
};

static uint16_t peer_port(uint32_t version)
{
	return (uint16_t)(PORT_BASE + version % VERSIONS);
}

static struct dp_session_request request(uint32_t version)
{
	return bed_request("10.0.1.5", 4000, "10.0.2.5", peer_port(version));
}

/* A burst of up to BURST packets: which call and direction each is of. */
struct shot {
	uint32_t call, done;
};

static struct rte_mbuf *frame_of(const struct swap *s, const struct shot *x, unsigned side)
{
	uint8_t f[128], rtp[RTP_HEADER + 8] = { 0x80, 0 };
	char to[INET_ADDRSTRLEN];

	store_u32(rtp + RTP_HEADER, x->call);
	(void)inet_ntop(AF_INET, s->ours[x->call][side].byte, to, sizeof(to));
	size_t n = wire_udp(f, side == 0 ? "10.0.1.5" : "10.0.2.5", side == 0 ? 4000 : peer_port(x->done), to,
		s->port[x->call][side], rtp, sizeof(rtp));
	return wire_frame((uint16_t)side, f, n);
}

/* What left at side `out` must be of that call, to where its peer was at some time between before and after. */
static void check(
	struct swap *s, const struct rte_mbuf *m, unsigned out, const struct shot *shots, unsigned n)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	struct packet p;

	packet_parse(f, m->data_len, &p);
	uint32_t call = load_u32(f + p.udp + 8 + RTP_HEADER);
	const struct shot *x = NULL;
	for (unsigned i = 0; i < n; i++)
		if (shots[i].call == call)
			x = &shots[i];
	s->relayed++;
	if (x == NULL || !host_equal(&p.source, &s->ours[call][out]) ||
		ntohs(p.source_port) != s->port[call][out]) {
		s->strangers++;
		return;
	}
	if (out == 0) {
		s->strangers += ntohs(p.dest_port) != 4000;
		return;
	}
	uint32_t after = atomic_load(&s->intended[call]);
	uint32_t seen = x->done;
	while (seen <= after && peer_port(seen) != ntohs(p.dest_port))
		seen++;
	s->early += seen > after;
}

static void shoot(struct swap *s, const struct shot *shots, unsigned n, unsigned side)
{
	struct worker *w = &s->dp->shared.workers[0];
	struct rte_mbuf *m[BURST];
	uint64_t before = s->relayed;
	unsigned moving = 0;

	for (unsigned i = 0; i < n; i++)
		m[i] = frame_of(s, &shots[i], side);
	relay_burst(w, &s->dp->shared.ports[side], m, n);
	transmit_flush(w);
	for (unsigned i = 0; i < wires[1 - side].count; i++)
		check(s, wires[1 - side].kept[i], 1 - side, shots, n);
	wire_clear();
	for (unsigned i = 0; i < n; i++)
		moving += atomic_load(&s->intended[shots[i].call]) != shots[i].done;
	s->sent += n;
	/* The side that moves may be at its new place already; the other is always heard. */
	if (s->relayed - before + (side == 1 ? moving : 0) < n)
		s->strangers++;
}

/* Ports of sessions that come and go: whatever becomes of these, it is not a packet of another call. */
static void shoot_at_guests(struct swap *s)
{
	uint8_t f[128], rtp[RTP_HEADER + 8] = { 0x80, 0 };
	struct worker *w = &s->dp->shared.workers[0];

	store_u32(rtp + RTP_HEADER, UINT32_MAX);
	for (unsigned i = 0; i < GUESTS; i++) {
		uint16_t port = atomic_load(&s->guest_port[i]);
		size_t n = wire_udp(f, "10.0.1.77", 4000, "10.0.1.1", port, rtp, sizeof(rtp));
		struct rte_mbuf *m = wire_frame(0, f, n);

		relay_burst(w, &s->dp->shared.ports[0], &m, 1);
		transmit_flush(w);
		for (unsigned k = 0; k < wires[1].count; k++) {
			struct packet p;

			packet_parse(rte_pktmbuf_mtod(wires[1].kept[k], const uint8_t *),
				wires[1].kept[k]->data_len, &p);
			s->strangers += ntohs(p.dest_port) != 5555;
		}
		wire_clear();
	}
}

static void *run(void *arg)
{
	struct swap *s = arg;
	struct rte_rcu_qsbr *rcu = s->dp->shared.rcu;
	struct shot shots[BURST];
	uint32_t next = BUSY, busy = 0;

	rte_rcu_qsbr_thread_online(rcu, 0);
	while (!atomic_load(&s->stop)) {
		unsigned n = 0;

		while (n < BURST / 2)
			shots[n++].call = busy++ % BUSY;
		while (n < BURST && next < CALLS)
			shots[n++].call = next++;
		for (unsigned side = 0; side < 2; side++) {
			for (unsigned i = 0; i < n; i++)
				shots[i].done = atomic_load(&s->done[shots[i].call]);
			shoot(s, shots, n, side);
		}
		if (busy % 256 == 0)
			shoot_at_guests(s);
		if (next == CALLS) {
			next = BUSY;
			atomic_fetch_add(&s->sweeps, 1);
		}
		rte_rcu_qsbr_quiescent(rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	return NULL;
}

static void open_call(struct swap *s, uint32_t i)
{
	struct dp_session_request q = request(0);
	struct dp_session_reply r;

	assert_int_equal(session_create(&s->dp->sessions, &q, NULL, 1, &s->id[i]), 0);
	session_reply(session_find(&s->dp->sessions, s->id[i]), &r);
	for (unsigned k = 0; k < 2; k++) {
		s->port[i][k] = r.local[0][k].port;
		memcpy(s->ours[i][k].byte, r.local[0][k].ip, 4);
	}
}

static void move(struct swap *s, uint32_t i)
{
	uint32_t version = atomic_load(&s->done[i]) + 1;
	struct dp_session_request q = request(version);

	q.session = s->id[i];
	atomic_store(&s->intended[i], version);
	assert_int_equal(session_update(&s->dp->sessions, &q, NULL, 1), 0);
	atomic_store(&s->done[i], version);
}

static void guest_changes(struct swap *s, uint64_t *guest, unsigned i)
{
	struct dp_session_request q = bed_request("10.0.1.77", 4000, "10.0.2.77", 5555);

	if (guest[i] != 0)
		assert_int_equal(session_delete(&s->dp->sessions, guest[i]), 0);
	assert_int_equal(session_create(&s->dp->sessions, &q, NULL, 1, &guest[i]), 0);
	struct session_side *side = session_find(&s->dp->sessions, guest[i])->stream[0].side;
	atomic_store(&s->guest_port[i], side[0].flow->port);
}

static void each_packet_follows_the_old_rule_or_the_new_one(void **state)
{
	static const struct bed_size size = { .sessions = CALLS + GUESTS,
		.rules = 2 * (CALLS + GUESTS) + SPARE_RULES,
		.addresses = 2,
		.last = 65535 };
	struct swap *s = calloc(1, sizeof(*s));
	uint64_t guest[GUESTS] = { 0 };
	uint32_t rounds = 0, next = BUSY, updates = 0;
	pthread_t worker;

	(void)state;
	assert_non_null(s);
	s->dp = wire_bed_sized(1, &size);
	for (uint32_t i = 0; i < CALLS; i++)
		open_call(s, i);
	for (unsigned i = 0; i < GUESTS; i++)
		guest_changes(s, guest, i);
	bed_learn(s->dp);
	assert_int_equal(rte_rcu_qsbr_thread_register(s->dp->shared.rcu, 0), 0);
	assert_int_equal(pthread_create(&worker, NULL, run, s), 0);
	for (; rounds < ROUNDS_MAX && (atomic_load(&s->sweeps) < SWEEPS || updates < UPDATES_MIN); rounds++) {
		for (unsigned i = 0; i < UPDATES; i++) {
			move(s, (rounds * UPDATES + i) % BUSY);
			move(s, next);
			next = next + 1 < CALLS ? next + 1 : BUSY;
		}
		guest_changes(s, guest, rounds % GUESTS);
		updates += 2 * UPDATES;
	}
	atomic_store(&s->stop, true);
	assert_int_equal(pthread_join(worker, NULL), 0);
	assert_true(atomic_load(&s->sweeps) >= SWEEPS || rounds == ROUNDS_MAX);
	assert_true(updates > SPARE_RULES); /* rules were used again, while packets passed */
	assert_true(s->relayed > CALLS);
	assert_int_equal(s->strangers, 0);
	assert_int_equal(s->early, 0);
	print_message("%llu packets, %u updates\n", (unsigned long long)s->sent, updates);
	wire_bed_free(s->dp);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_packet_follows_the_old_rule_or_the_new_one),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
