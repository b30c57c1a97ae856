/* SPDX-License-Identifier: BSD-3-Clause */
/* All shards at the top of their loops, with nothing on its way between them: then the main thread may touch what is theirs. */
#ifndef CONTROLPLANE_STANDSTILL_H
#define CONTROLPLANE_STANDSTILL_H

#include "controlplane/shard.h"

struct standstill;

/* NULL: no memory. A shard without a thread stands still anyway. */
struct standstill *standstill_new(struct shard **shards, unsigned count);
/* None stands still. NULL is allowed. */
void standstill_free(struct standstill *standstill);
/* Returns when all of them stand still. What was posted to a shard has been run by then, and what that has posted, too: no mailbox has an entry
 * of another shard's. A shard that is busy keeps everybody waiting for as long as its callback takes. By one thread alone, no shard's. */
void standstill_begin(struct standstill *standstill);
void standstill_end(struct standstill *standstill); /* they go on */

/* For shard.c: the handle by which a shard is stopped. 0 or -errno. */
int standstill_open(struct shard *shard);
void standstill_close(struct shard *shard);

#endif
