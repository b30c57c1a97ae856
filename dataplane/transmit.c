/* SPDX-License-Identifier: BSD-3-Clause */
/* Transmit buffers of a worker: one burst per device and round. */
#include <rte_ethdev.h>

#include "dataplane/worker.h"

static void flush(struct worker *w, uint16_t device, enum dp_counter full)
{
	struct transmit_buffer *b = &w->transmit[device];
	uint16_t sent = rte_eth_tx_burst(device, w->index, b->packet, b->count);

	if (full != DP_COUNTER_DROP_MIRROR_FULL) /* a mirror is no port */
		worker_count(w, DP_COUNTER_TX_PACKETS, sent);
	if (unlikely(sent < b->count)) {
		worker_count(w, full, (uint64_t)(b->count - sent));
		rte_pktmbuf_free_bulk(&b->packet[sent], (unsigned)(b->count - sent));
	}
	b->count = 0;
}

void transmit_full(struct worker *w, uint16_t device, enum dp_counter full)
{
	flush(w, device, full);
	for (unsigned i = 0; i < w->pending_count; i++)
		if ((w->pending[i] & 0xffff) == device)
			w->pending[i] = w->pending[--w->pending_count];
}

void transmit_flush(struct worker *w)
{
	for (unsigned i = 0; i < w->pending_count; i++)
		flush(w, (uint16_t)(w->pending[i] & 0xffff), (enum dp_counter)(w->pending[i] >> 16));
	w->pending_count = 0;
}
