/* SPDX-License-Identifier: BSD-3-Clause */
/* Link-layer addresses of next hops as the workers see them: one word each, written by the main thread alone. */
#ifndef DATAPLANE_NEXT_HOP_H
#define DATAPLANE_NEXT_HOP_H

#include <stdbool.h>
#include <stdint.h>

enum { NEXT_HOP_NONE = 0 }; /* index of an entry that is never valid */

/* Bytes 0 to 5: MAC address; byte 6: 1 when valid. Read and written as one word. */
union next_hop_link {
	uint64_t word;
	uint8_t byte[8];
};

/* `links` is indexed by what next_hop_get gave. owner: main thread; workers load single words. */
static inline bool next_hop_load(const uint64_t *links, uint32_t index, union next_hop_link *link)
{
	link->word = __atomic_load_n(&links[index], __ATOMIC_RELAXED);
	return link->byte[6] != 0;
}

#endif
