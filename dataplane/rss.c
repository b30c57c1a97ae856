/* SPDX-License-Identifier: BSD-3-Clause */
/* RSS configuration from what a device offers. */
#include "dataplane/rss.h"

void rss_configure(const struct rte_eth_dev_info *info, unsigned queues, uint8_t key[RSS_KEY_MAX],
	struct rte_eth_conf *conf)
{
	uint64_t types = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);

	if (queues <= 1 || types == 0)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = types;
	if (info->hash_key_size == 0 || info->hash_key_size > RSS_KEY_MAX)
		return; /* the driver's own key: packets are spread, if not symmetrically */
	/* A period of 16 bits makes the Toeplitz hash the same when source and destination change places. */
	for (unsigned i = 0; i < info->hash_key_size; i++)
		key[i] = i % 2 == 0 ? 0x6d : 0x5a;
	conf->rx_adv_conf.rss_conf.rss_key = key;
	conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
}
