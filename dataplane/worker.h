/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet worker: one thread on one CPU that runs packets to completion. Nothing in it blocks, allocates, logs or locks. */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "dataplane/api.h"
#include "dataplane/flow.h"
#include "dataplane/sample.h"
#include "platforms/base/hash.h"

enum {
	WORKERS_MAX = 32,
	PORTS_MAX = 16,
	DEVICES_MAX = RTE_MAX_ETHPORTS, /* ports and mirrors */
	DEVICE_NONE = 0xffff, /* a port that is gone at the moment */
	BURST = 32,
	LOCAL_MAX = 8 * BURST,
	HANDOVER_RING = 1024,
	EVENT_RING = 4096,
	VLANS = 4096,
};

/* Immutable while workers run, but for `device`. */
struct worker_port {
	uint16_t device; /* atomic: the main thread takes it away (DEVICE_NONE) and gives it again */
	bool copied; /* the kernel reads what is sent byte by byte, on this core: whole frames are asked for */
	uint8_t interface[VLANS]; /* by VLAN identifier; INTERFACE_NONE */
};

struct worker_interface {
	uint16_t device, mirror; /* DPDK port numbers; `device` as in worker_port */
	uint16_t
		home; /* a device of its port: what local packets say they came in by, also while `device` is away */
	uint16_t vlan, mtu;
	uint8_t mac[6];
	uint8_t port; /* index of its worker_port */
	uint8_t reserved[3];
};

/* What the workers share, all of it read-only for them; what is not `rcu` or atomic is constant while they run. */
struct worker_shared {
	const struct flow_table *flows; /* rcu */
	const uint64_t *next_hops; /* rcu */
	struct border *border; /* NULL: everything passes */
	struct worker_port *ports;
	unsigned port_count;
	uint8_t port_of[DEVICES_MAX]; /* index into `ports` by DPDK port number */
	struct worker_interface interface[INTERFACES_MAX];
	unsigned interface_count;
	struct rte_rcu_qsbr *rcu;
	struct worker *workers;
	unsigned worker_count;
	struct hash_key rtcp_key; /* of the names that replace CNAMEs; constant */
	bool srtp; /* workers need engines for it */
	bool busy_poll;
	atomic_bool stop;
};

struct border;
struct srtp_engine;

struct worker_event {
	uint64_t session;
	uint8_t type; /* low byte of enum dp_message */
	uint8_t stream, side, family;
	uint16_t port; /* network order */
	uint8_t reserved[2];
	union host ip;
};

struct worker_interface_counters {
	uint64_t rx_packets, rx_octets, tx_packets, tx_octets, mirror_in, mirror_out;
};

struct transmit_buffer {
	uint16_t count;
	struct rte_mbuf *packet[BURST];
};

struct worker {
	struct worker_shared *shared;
	uint16_t index; /* also its queue on every device and its RCU thread number */
	unsigned cpu, lcore;
	uint64_t now_us; /* of this round; since clock_now_us' epoch */
	uint64_t tsc_base, us_base, us_scale;
	struct rte_ring *events; /* to the main thread; elements are struct worker_event */
	struct rte_ring *handover; /* packets of flows that are ours, from other workers */
	struct sampler sampler;
	struct srtp_engine *srtp; /* NULL: no SRTP here */

	/* owner: worker; read by anybody */
	uint64_t counter[DP_COUNTER_COUNT] __attribute__((aligned(64)));
	struct worker_interface_counters interface[INTERFACES_MAX];

	/* Packets to our own media addresses: they come in again in the same round. */
	unsigned local_count;
	struct rte_mbuf *local[LOCAL_MAX];

	uint32_t pending[DEVICES_MAX]; /* devices with packets in their buffer */
	unsigned pending_count;
	struct transmit_buffer transmit[DEVICES_MAX];
} __attribute__((aligned(64)));

/* Rings, time base, engine of SRTP. 0 or -errno. */
int worker_init(struct worker *w, struct worker_shared *shared, uint16_t index, unsigned cpu);
void worker_fini(struct worker *w);
/* The thread's main function (an lcore function); returns when shared->stop is set. */
int worker_run(void *worker);
/* One round over all queues; returns how many packets came in. */
unsigned worker_poll(struct worker *w);

/* relay.c: packets received on one port, `n` <= BURST. Takes them over. */
void relay_burst(struct worker *w, const struct worker_port *port, struct rte_mbuf **packets, unsigned n);
/* Packets that another worker received but whose flows are ours. */
void relay_handover(struct worker *w, struct rte_mbuf **packets, unsigned n);

/* Packets that the last bursts sent to ourselves; their TTL ends what would go round for ever. */
void relay_local(struct worker *w);

/* A device that the main thread may take away at any time. */
static inline uint16_t worker_device(const uint16_t *device)
{
	return __atomic_load_n(device, __ATOMIC_RELAXED);
}

/* As they are in this round: the main thread may put others in their place, and waits for the round to end. */
static inline const struct flow_table *worker_flows(const struct worker *w)
{
	return __atomic_load_n(&w->shared->flows, __ATOMIC_ACQUIRE);
}

static inline const uint64_t *worker_next_hops(const struct worker *w)
{
	return __atomic_load_n(&w->shared->next_hops, __ATOMIC_ACQUIRE);
}

static inline void worker_count(struct worker *w, enum dp_counter c, uint64_t n)
{
	counter_add(&w->counter[c], n);
}

/* `interface`: it came in by; INTERFACE_NONE = by none, or unknown here. */
static inline void worker_drop_from(
	struct worker *w, struct rte_mbuf *m, uint8_t interface, enum dp_counter reason)
{
	counter_add(&w->counter[reason], 1);
	if (w->sampler.ring != NULL)
		sample_take(w, m, interface, reason);
	rte_pktmbuf_free(m);
}

static inline void worker_drop(struct worker *w, struct rte_mbuf *m, enum dp_counter reason)
{
	worker_drop_from(w, m, INTERFACE_NONE, reason);
}

/* transmit.c: sends what the device's buffer holds, all of BURST packets; what the device does not take is a drop `full`. */
void transmit_full(struct worker *w, uint16_t device, enum dp_counter full);
/* The same for all devices. */
void transmit_flush(struct worker *w);

/* Queues one packet; sends when the buffer is full. DEVICE_NONE: drops it as DROP_PORT_DOWN. Takes it over. */
static inline void transmit_packet(
	struct worker *w, uint16_t device, struct rte_mbuf *m, enum dp_counter full)
{
	struct transmit_buffer *b;

	if (unlikely(device == DEVICE_NONE)) {
		worker_drop(w, m, DP_COUNTER_DROP_PORT_DOWN);
		return;
	}
	b = &w->transmit[device];
	if (b->count == 0)
		w->pending[w->pending_count++] = device | (uint32_t)full << 16;
	b->packet[b->count++] = m;
	if (unlikely(b->count == BURST))
		transmit_full(w, device, full);
}

#endif
