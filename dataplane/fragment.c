/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of first fragments. */
#include "dataplane/fragment.h"

void fragment_follow(struct fragments *f, const struct hash_key *key, struct packet *p, uint64_t now_us)
{
	const struct {
		union host source, dest;
		uint32_t identification, family;
	} what = { p->source, p->dest, p->identification, p->family };
	uint64_t hash = hash_bytes(key, &what, sizeof(what));
	struct fragment_place *at = &f->place[hash % FRAGMENT_PLACES];
	uint32_t second = (uint32_t)(now_us / 1000000) + 1; /* 0: never */

	if (p->class == PACKET_FRAGMENT) {
		*at = (struct fragment_place){ hash, p->source_port, p->dest_port, second };
	} else if (p->kind == PACKET_LATER && at->hash == hash && at->second != 0 &&
		   second - at->second <= FRAGMENT_SECONDS) {
		p->source_port = at->source_port;
		p->dest_port = at->dest_port;
		p->follows = 1;
	}
}
