/* SPDX-License-Identifier: BSD-3-Clause */
/* How many stream connections there are, in all and from each source: shared by the shards, because the kernel spreads the connections
 * of one source over them. Asked when a connection begins and ends, never for a message. */
#ifndef CONTROLPLANE_CENSUS_H
#define CONTROLPLANE_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "platforms/base/address.h"

struct census; /* lock: its own */

/* With one reference. NULL without memory. */
struct census *census_new(const struct config_sip *limits);
struct census *census_get(struct census *census);
void census_put(struct census *census); /* the last one frees it */

/* Other limits from now on; who has entered stays, even above them. */
void census_move(struct census *census, const struct config_sip *limits);

/* True if the rate of new connections allows one more now. */
bool census_may_accept(struct census *census, uint64_t now_us);
/* Counts a connection with `remote` (IPv6: its /64). 0; -EUSERS: that source has its share; -EMFILE: there are too many in all;
 * -ENOMEM. `known`: a session-agent's, which no limit keeps out. */
int census_enter(struct census *census, const union address *remote, bool known);
/* Of one that entered. */
void census_leave(struct census *census, const union address *remote);
uint32_t census_total(struct census *census); /* of those that have entered; from any thread */

#endif
