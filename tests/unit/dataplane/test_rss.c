/* SPDX-License-Identifier: BSD-3-Clause */
/* RSS: what a device offers is asked of it, and both directions of a pair get the same hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_thash.h>

#include "dataplane/rss.h"

static void what_is_not_offered_is_not_asked_for(void **state)
{
	struct rte_eth_dev_info info = { .hash_key_size = 40 };
	struct rte_eth_conf conf = { 0 };
	uint8_t key[RSS_KEY_MAX];

	(void)state;
	rss_configure(&info, 4, key, &conf);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	info.flow_type_rss_offloads = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_L2_PAYLOAD;
	rss_configure(&info, 1, key, &conf); /* nothing to choose */
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	rss_configure(&info, 4, key, &conf);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	assert_int_equal(conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_NONFRAG_IPV4_UDP);
	assert_int_equal(conf.rx_adv_conf.rss_conf.rss_key_len, 40);
}

static void a_key_of_unknown_or_absurd_length_is_left_to_the_driver(void **state)
{
	const uint8_t lengths[] = { 0, RSS_KEY_MAX + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths); i++) {
		struct rte_eth_dev_info info = { .hash_key_size = lengths[i],
			.flow_type_rss_offloads = RTE_ETH_RSS_IP };
		struct rte_eth_conf conf = { 0 };
		uint8_t key[RSS_KEY_MAX];

		rss_configure(&info, 2, key, &conf);
		assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
		assert_null(conf.rx_adv_conf.rss_conf.rss_key);
	}
}

static void both_directions_have_one_hash(void **state)
{
	struct rte_eth_dev_info info = { .hash_key_size = 52, .flow_type_rss_offloads = RTE_ETH_RSS_UDP };
	struct rte_eth_conf conf = { 0 };
	uint8_t key[RSS_KEY_MAX];
	uint32_t first = 0, differing = 0;

	(void)state;
	rss_configure(&info, 2, key, &conf);
	for (uint32_t i = 0; i < 100; i++) {
		/* Addresses, then ports in one word, as the NIC concatenates them; of IPv4 and of IPv6. */
		uint32_t a4[3] = { 0xc0000201 + i * 77, 0x0a000001, (10000 + i) << 16 | 20000 };
		uint32_t b4[3] = { a4[1], a4[0], a4[2] << 16 | a4[2] >> 16 };
		uint32_t a6[9] = { 0x20010db8, 1, 2, i, 0xfd001000, 3, 4, 5, a4[2] }, b6[9];

		memcpy(b6, a6 + 4, 16);
		memcpy(b6 + 4, a6, 16);
		b6[8] = b4[2];
		uint32_t hash = rte_softrss(a4, 3, key);
		assert_int_equal(hash, rte_softrss(b4, 3, key));
		assert_int_equal(rte_softrss(a6, 9, key), rte_softrss(b6, 9, key));
		first = i == 0 ? hash : first;
		differing += hash != first;
	}
	assert_true(differing > 90);
}

static void a_device_takes_it(void **state)
{
	char *arguments[] = { (char *)"test_rss", (char *)"--no-huge", (char *)"--no-pci",
		(char *)"--no-shconf", (char *)"--no-telemetry", (char *)"-m", (char *)"16",
		(char *)"--iova-mode=va", (char *)"-l", (char *)"0", (char *)"--log-level=error" };
	struct rte_eth_rss_conf got = { 0 };
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	uint8_t key[RSS_KEY_MAX], now[RSS_KEY_MAX];
	uint16_t port;

	(void)state;
	assert_true(rte_eal_init((int)(sizeof(arguments) / sizeof(arguments[0])), arguments) >= 0);
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_null0", ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null0", &port), 0);
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	rss_configure(&info, 2, key, &conf);
	assert_int_equal(conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	assert_int_equal(rte_eth_dev_configure(port, 2, 2, &conf), 0);
	got.rss_key = now;
	got.rss_key_len = sizeof(now);
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(port, &got), 0);
	assert_int_not_equal(info.flow_type_rss_offloads & RTE_ETH_RSS_UDP, 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	(void)rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_offered_is_not_asked_for),
		cmocka_unit_test(a_key_of_unknown_or_absurd_length_is_left_to_the_driver),
		cmocka_unit_test(both_directions_have_one_hash),
		cmocka_unit_test(a_device_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
