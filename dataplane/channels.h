/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels of a NIC: see channels.c. */
#ifndef DATAPLANE_CHANNELS_H
#define DATAPLANE_CHANNELS_H

/* Pairs of a receive and a transmit queue; 1 where the driver does not say. */
unsigned channels_count(const char *interface);

#endif
