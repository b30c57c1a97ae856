/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker before and after its loop: rings, time base, engine of SRTP. */
#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>

#include "dataplane/srtp.h"
#include "dataplane/worker.h"
#include "platforms/base/clock.h"

int worker_init(struct worker *w, struct worker_shared *shared, uint16_t index, unsigned cpu)
{
	char name[RTE_RING_NAMESIZE];

	w->shared = shared;
	w->index = index;
	w->cpu = cpu;
	w->tsc_base = rte_rdtsc();
	w->us_base = clock_now_us();
	w->us_scale = (uint64_t)(((unsigned __int128)1000000 << 32) / rte_get_tsc_hz());
	w->now_us = w->us_base;
	snprintf(name, sizeof(name), "events%u", index);
	w->events = rte_ring_create_elem(
		name, sizeof(struct worker_event), EVENT_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "handover%u", index);
	w->handover = rte_ring_create(name, HANDOVER_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "samples%u", index);
	w->sampler.ring = rte_ring_create_elem(
		name, sizeof(struct drop_sample), SAMPLE_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (shared->srtp)
		w->srtp = srtp_engine_new();
	if ((shared->srtp && w->srtp == NULL) || w->events == NULL || w->handover == NULL ||
		w->sampler.ring == NULL) {
		worker_fini(w);
		return -ENOMEM;
	}
	return 0;
}

void worker_fini(struct worker *w)
{
	struct rte_mbuf *m;

	while (w->handover != NULL && rte_ring_sc_dequeue(w->handover, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(w->events);
	rte_ring_free(w->handover);
	rte_ring_free(w->sampler.ring);
	srtp_engine_free(w->srtp);
	w->srtp = NULL;
	w->events = w->handover = w->sampler.ring = NULL;
}
