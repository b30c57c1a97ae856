/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's samples of what it drops. */
#include "dataplane/sample.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/worker.h"

enum { SECOND_US = 1000000 };

void sample_take(struct worker *w, const struct rte_mbuf *m, uint8_t interface, enum dp_counter reason)
{
	struct sampler *s = &w->sampler;

	if (w->now_us - s->second_us >= SECOND_US) {
		s->second_us = w->now_us;
		memset(s->taken, 0, sizeof(s->taken));
	}
	if (s->taken[reason] == SAMPLES_PER_SECOND)
		return;
	s->taken[reason]++;
	struct drop_sample sample = { .time_us = w->now_us,
		.counter = (uint16_t)reason,
		.interface = interface == INTERFACE_NONE ? UINT16_MAX : interface,
		.length = (uint16_t)RTE_MIN(m->pkt_len, (uint32_t)UINT16_MAX),
		.captured = (uint16_t)RTE_MIN(m->data_len, (uint32_t)DP_SAMPLE_MAX) };
	memcpy(sample.octets, rte_pktmbuf_mtod(m, const uint8_t *), sample.captured);
	if (rte_ring_sp_enqueue_elem(s->ring, &sample, sizeof(sample)) != 0)
		worker_count(w, DP_COUNTER_SAMPLE_LOST, 1);
}
