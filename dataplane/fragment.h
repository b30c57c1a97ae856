/* SPDX-License-Identifier: BSD-3-Clause */
/* Later fragments of UDP follow the first one: only that has ports, and what is trusted or banned by its port, or addressed to the service
 * of a realm, is so to its last fragment. Each worker remembers the first fragments of the last moments; a packet's fragments come
 * one right after the other, and all to one worker. Whoever floods us with first fragments makes others forgotten: their later ones
 * are then judged without ports, as if the first had been lost. */
#ifndef DATAPLANE_FRAGMENT_H
#define DATAPLANE_FRAGMENT_H

#include "dataplane/packet.h"
#include "platforms/base/hash.h"

enum { FRAGMENT_PLACES = 4096, FRAGMENT_SECONDS = 30 /* as long as Linux waits for the others */ };

struct fragment_place {
	uint64_t hash; /* of addresses and identification */
	uint16_t source_port, dest_port; /* network order */
	uint32_t second; /* when it came */
};

/* owner: worker */
struct fragments {
	struct fragment_place place[FRAGMENT_PLACES];
};

/* Remembers a first fragment; gives a later one the ports of its first, if that is known. */
void fragment_follow(struct fragments *f, const struct hash_key *key, struct packet *p, uint64_t now_us);

#endif
