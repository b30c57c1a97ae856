/* SPDX-License-Identifier: BSD-3-Clause */
/* AF_PACKET ports and fragments: see fanout.c. */
#ifndef DATAPLANE_FANOUT_H
#define DATAPLANE_FANOUT_H

#include <stdbool.h>

/* Do fragments reach us one by one on AF_PACKET ports, or reassembled by the kernel? */
bool fanout_keeps_fragments(void);

#endif
