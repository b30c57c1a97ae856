/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples: heads of dropped packets, a bounded number per second and reason, for who asks why something does not come through.
 * A worker puts them into its ring, the main thread takes them out. */
#ifndef DATAPLANE_SAMPLE_H
#define DATAPLANE_SAMPLE_H

#include <stdint.h>

#include "dataplane/api.h"

struct worker;
struct rte_mbuf;

enum { SAMPLE_RING = 256, SAMPLES_PER_SECOND = 20 /* of one reason and worker */ };

struct drop_sample {
	uint64_t time_us;
	uint16_t counter, interface, length, captured;
	uint8_t octets[DP_SAMPLE_MAX];
};

/* owner: worker */
struct sampler {
	struct rte_ring *ring; /* of struct drop_sample, to the main thread; NULL: nobody samples */
	uint64_t second_us; /* when the present second began */
	uint8_t taken[DP_COUNTER_COUNT]; /* in it */
};

_Static_assert(sizeof(struct drop_sample) % 4 == 0, "an element of a ring");

/* Copies the head of a packet about to be dropped, unless enough of that reason were taken in this second. There is a ring; when
 * it is full, the sample is counted as lost. */
void sample_take(struct worker *w, const struct rte_mbuf *m, uint8_t interface, enum dp_counter reason);

#endif
