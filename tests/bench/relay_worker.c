/* SPDX-License-Identifier: BSD-3-Clause */
/* What a packet costs on the worker path: memory-backed ports (net_ring), prepared RTP, one worker on this thread.
 *
 * usage: relay_worker [FLOWS [SECONDS [FAMILY-IN FAMILY-OUT [dense]]]]
 * A flow is one direction of a call. Packets are written in bursts of 1024 in shuffled order of the flows; only the
 * worker's rounds are timed. dense: packet buffers lie one behind the other, as on huge pages; else each has a page of 4 KiB of its
 * own, as DPDK has it without them, and all of them meet in the same sets of the caches. Prints one JSON object; cycles_per_packet is the median of the batches. */
#include "tests/bench/relay_bed.h"

/* The worker's rounds that count: what is to look at them alone finds them by their name. */
static __attribute__((noinline)) unsigned poll_measured(struct worker *w, uint64_t *spent)
{
	uint64_t began = rte_rdtsc();
	unsigned n = worker_poll(w);

	if (n != 0)
		*spent += rte_rdtsc() - began;
	return n;
}

int main(int argc, char **argv)
{
	uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
	const char *cpu = getenv("BENCH_CPU");
	char lcores[16] = "0@0";
	char *eal[] = { argv[0], (char[]){ "--no-huge" }, (char[]){ "--no-pci" }, (char[]){ "--no-shconf" },
		(char[]){ "-m" }, (char[]){ "128" }, (char[]){ "--lcores" }, lcores,
		(char[]){ "--log-level" }, (char[]){ "*:error" }, (char[]){ "--no-telemetry" },
		(char[]){ "--iova-mode=va" } };
	struct rte_mbuf *batch[BATCH];
	/* Batches by cycles per packet: the median does not mind other processes. */
	static uint64_t costs[COSTS];
	uint64_t packets = 0, best = UINT64_MAX;
	uint32_t at = 0;

	if (cpu != NULL)
		snprintf(lcores, sizeof(lcores), "0@%.8s", cpu);
	if (argc > 4) {
		family[0] = (uint8_t)strtoul(argv[3], NULL, 10);
		family[1] = (uint8_t)strtoul(argv[4], NULL, 10);
		dense = argc > 5;
	}
	if (rte_eal_init((int)RTE_DIM(eal), eal) < 0)
		die("EAL");
	open_devices();
	make_flows(flows);
	flows = (flows + 1) / 2 * 2;
	struct worker *w = aligned_alloc(64, sizeof(*w));
	memset(w, 0, sizeof(*w));
	if (worker_init(w, &shared, 0, 0) != 0)
		die("worker");
	shared.workers = w;
	shared.worker_count = 1;
	if (rte_mempool_get_bulk(pool, (void **)batch, BATCH) != 0)
		die("mbufs");

	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	uint64_t warm = 2ULL * flows;
	uint64_t total = 0;
	while (rte_rdtsc() < end || packets < flows) {
		unsigned got = 0;
		uint64_t spent = 0;

		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t k = order[at++];

			if (at == flows)
				at = 0;
			write_packet(batch[i], &sources[k], k & 1);
			rte_ring_sp_enqueue(rx_ring[k & 1], batch[i]);
		}
		while ((total < warm ? worker_poll(w) : poll_measured(w, &spent)) != 0)
			;
		for (unsigned side = 0; side < 2; side++)
			got += rte_ring_sc_dequeue_burst(
				tx_ring[side], (void **)&batch[got], BATCH - got, NULL);
		if (got != BATCH)
			die("packets were lost");
		total += got;
		if (total - got < warm)
			continue;
		costs[RTE_MIN(spent / BATCH, COSTS - 1ULL)]++;
		packets += got;
		if (spent < best)
			best = spent;
	}
	if (w->counter[DP_COUNTER_MEDIA_RELAYED] != total)
		die("not everything was relayed");
	uint64_t seen = 0, median = 0;
	while ((seen += costs[median]) * 2 * BATCH < packets)
		median++;
	printf("{\"flows\": %u, \"in\": %u, \"out\": %u, \"packets\": %" PRIu64
	       ", \"cycles_per_packet\": %" PRIu64
	       ", \"best_cycles_per_packet\": %.1f, \"packets_per_second\": %.0f, \"tsc_hz\": %" PRIu64 "}\n",
		flows, family[0], family[1], packets, median, (double)best / BATCH,
		(double)rte_get_tsc_hz() / (double)(median == 0 ? 1 : median), rte_get_tsc_hz());
	return 0;
}
