/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive side scaling: how a NIC spreads packets over its queues. */
#ifndef DATAPLANE_RSS_H
#define DATAPLANE_RSS_H

#include <stdint.h>

#include <rte_ethdev.h>

enum { RSS_KEY_MAX = 128 };

/* What a device with `queues` queues is to be told: a hash over addresses and ports, as far as it offers one, with a key by which
 * both directions of a pair of addresses and ports fall on one queue. `key` is pointed into. */
void rss_configure(const struct rte_eth_dev_info *info, unsigned queues, uint8_t key[RSS_KEY_MAX],
	struct rte_eth_conf *conf);

#endif
