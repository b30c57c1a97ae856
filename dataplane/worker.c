/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's loop: receive, relay, transmit; and rest when there is nothing to do. */
#include "dataplane/worker.h"

#include <sys/prctl.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_pause.h>

/* How an idle worker backs off (poll = adaptive): it looks twice, then sleeps, longer each time. The longest sleep is what a first
 * packet after silence waits at most. Spinning takes the core from the control plane, where both live on it: a worker goes before
 * everybody else, and between the packets of some thousand calls a second it would never sleep. What comes meanwhile is a burst. */
enum {
	IDLE_SPINS = 2,
	SLEEP_FIRST_NS = 50000,
	SLEEP_LONGEST_NS = 1000000,
};

static void clock_update(struct worker *w)
{
	w->now_us =
		w->us_base + (uint64_t)(((unsigned __int128)(rte_rdtsc() - w->tsc_base) * w->us_scale) >> 32);
}

/* What the kernel wants to say on an interface. */
static unsigned mirror_poll(struct worker *w, unsigned index)
{
	const struct worker_interface *ifc = &w->shared->interface[index];
	struct rte_mbuf *packets[BURST];
	unsigned n = rte_eth_rx_burst(ifc->mirror, w->index, packets, BURST);

	for (unsigned i = 0; i < n; i++) {
		if (ifc->vlan != 0) {
			packets[i]->vlan_tci = ifc->vlan;
			if (rte_vlan_insert(&packets[i]) != 0) {
				worker_drop(w, packets[i], DP_COUNTER_DROP_TX_FULL);
				continue;
			}
		}
		packets[i]->ol_flags = 0;
		counter_add(&w->interface[index].mirror_out, 1);
		counter_add(&w->interface[index].tx_packets, 1);
		counter_add(&w->interface[index].tx_octets, packets[i]->pkt_len);
		transmit_packet(w, worker_device(&ifc->device), packets[i], DP_COUNTER_DROP_TX_FULL);
	}
	worker_count(w, DP_COUNTER_MIRROR_OUT, n);
	return n;
}

unsigned worker_poll(struct worker *w)
{
	struct worker_shared *s = w->shared;
	struct rte_mbuf *packets[BURST];
	unsigned total = 0;

	clock_update(w);
	for (unsigned i = 0; i < s->port_count; i++) {
		uint16_t device = worker_device(&s->ports[i].device);
		unsigned n;

		if (unlikely(device == DEVICE_NONE))
			continue;
		n = rte_eth_rx_burst(device, w->index, packets, BURST);
		if (n != 0)
			relay_burst(w, &s->ports[i], packets, n);
		total += n;
	}
	for (unsigned i = 0; i < s->interface_count; i++)
		total += mirror_poll(w, i);
	if (s->worker_count > 1) {
		unsigned n = rte_ring_sc_dequeue_burst(w->handover, (void **)packets, BURST, NULL);

		if (n != 0)
			relay_handover(w, packets, n);
		total += n;
	}
	if (unlikely(w->local_count != 0))
		relay_local(w);
	transmit_flush(w);
	return total;
}

/* Asleep, a worker is no reader of rules: nobody waits for it. */
static void rest(struct worker *w, long *sleep_ns)
{
	struct timespec ts = { .tv_nsec = *sleep_ns };

	rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
	(void)nanosleep(&ts, NULL);
	rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
	*sleep_ns = RTE_MIN(*sleep_ns * 2, (long)SLEEP_LONGEST_NS);
}

int worker_run(void *worker)
{
	struct worker *w = worker;
	unsigned idle = 0;
	long sleep_ns = SLEEP_FIRST_NS;

	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	w->lcore = rte_lcore_id();
	rte_rcu_qsbr_thread_online(w->shared->rcu, w->index);
	while (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
		unsigned n = worker_poll(w);

		rte_rcu_qsbr_quiescent(w->shared->rcu, w->index);
		if (n != 0) {
			idle = 0;
			sleep_ns = SLEEP_FIRST_NS;
		} else if (w->shared->busy_poll || idle < IDLE_SPINS) {
			idle++;
			rte_pause();
		} else {
			rest(w, &sleep_ns);
		}
	}
	rte_rcu_qsbr_thread_offline(w->shared->rcu, w->index);
	return 0;
}
