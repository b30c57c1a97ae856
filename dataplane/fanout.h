/* SPDX-License-Identifier: BSD-3-Clause */
/* The sockets of AF_PACKET ports: see fanout.c. */
#ifndef DATAPLANE_FANOUT_H
#define DATAPLANE_FANOUT_H

#include <stdbool.h>

enum { FANOUT_QUEUES_MAX = 32 };

/* Will DPDK's driver find our setsockopt()? If not, no port may be opened with it. */
bool fanout_is_ours(void);

/* Between these two the driver makes the sockets of one port: each that wants to join a fanout group gets its filter instead,
 * in the order of the queues. Returns how many there are; they stay the driver's. Main thread. */
void fanout_begin(unsigned queues);
unsigned fanout_end(int fd[FANOUT_QUEUES_MAX]);

/* Packets that `queue` of `queues` receives: by addresses and ports, both directions of a pair alike. 0 or -errno. */
int fanout_attach(int fd, unsigned queue, unsigned queues);

#endif
