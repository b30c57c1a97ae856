/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards' threads: they start, run what is posted to them on their own thread, and stop without a trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>

#include "controlplane/shard.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/daemon.h"
#include "tests/unit/controlplane/sip_limits.h"

enum { SHARDS = 3, POSTS = 1000 };

static struct config_network_interface network = { .name = (char *)(uintptr_t) "no-such" };
static struct config_realm realm = { .name = (char *)(uintptr_t) "r", .network_interface = &network };
static struct config_endpoint endpoint;
static struct config_sip_interface interface = {
	.name = (char *)(uintptr_t) "i", .realm = &realm, .listen = &endpoint, .listen_count = 1
};
static struct config config;
static struct daemon daemon_of_test = { .name = "test", .generation = 7 };

static struct {
	uv_sem_t done;
	unsigned ran[SHARDS]; /* owner: that shard's thread until `done` */
	uv_thread_t thread[SHARDS];
} seen;

static int setup(void **state)
{
	(void)state;
	alarm(60);
	log_set_level(LOG_LEVEL_ERROR);
	memset(&seen, 0, sizeof(seen));
	config.sip = (struct config_sip){ SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_SDP_LIMITS, .shards = SHARDS,
		.max_transactions = 1000, .max_calls = 100 };
	config.system.run_directory = (char *)(uintptr_t) "/nonexistent";
	config.sip_interfaces = &interface;
	config.sip_interfaces_count = 1;
	endpoint.transport = CONFIG_TRANSPORT_UDP;
	return address_parse(SPAN("127.0.0.1:5999"), 0, &endpoint.address) || uv_sem_init(&seen.done, 0);
}

static int teardown(void **state)
{
	(void)state;
	uv_sem_destroy(&seen.done);
	return 0;
}

static void run(struct shard *shard, void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.thread[shard->index] = uv_thread_self();
	if (++seen.ran[shard->index] == POSTS)
		uv_sem_post(&seen.done);
}

static void test_posts_run_each_on_the_thread_of_its_shard(void **state)
{
	struct shard **shards;
	unsigned count;

	(void)state;
	assert_int_equal(shards_start(&daemon_of_test, &config, NULL, &shards, &count), 0);
	assert_int_equal(count, SHARDS);
	for (unsigned i = 0; i < POSTS; i++)
		for (unsigned n = 0; n < SHARDS; n++)
			assert_int_equal(shard_post(shards[n], run, &seen), 0);
	for (unsigned n = 0; n < SHARDS; n++)
		uv_sem_wait(&seen.done);
	for (unsigned n = 0; n < SHARDS; n++) {
		assert_int_equal(seen.ran[n], POSTS);
		assert_int_equal(shards[n]->generation, 7);
		assert_ptr_equal(shards[n]->all, shards);
		for (unsigned other = 0; other < n; other++)
			assert_false(uv_thread_equal(&seen.thread[n], &seen.thread[other]));
	}
	assert_memory_equal(&shards[0]->shard_key, &shards[1]->shard_key, sizeof(struct hash_key));
	shards_stop(shards, count);
}

static void test_what_is_posted_before_the_stop_has_run_after_it(void **state)
{
	struct shard **shards;
	unsigned count;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		memset(seen.ran, 0, sizeof(seen.ran));
		assert_int_equal(shards_start(&daemon_of_test, &config, NULL, &shards, &count), 0);
		for (unsigned i = 0; i < POSTS; i++)
			assert_int_equal(shard_post(shards[1], run, &seen), 0);
		shards_stop(shards, count);
		assert_int_equal(seen.ran[1], POSTS);
	}
}

static void test_listeners_without_mirror_and_a_missing_dataplane_do_not_keep_it_from_starting(void **state)
{
	struct shard **shards;
	unsigned count;

	(void)state;
	assert_int_equal(shards_start(&daemon_of_test, &config, NULL, &shards, &count), 0);
	assert_int_equal(transport_listeners_down(shards[0]), 1);
	shards_stop(shards, count);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_posts_run_each_on_the_thread_of_its_shard),
		TEST(test_what_is_posted_before_the_stop_has_run_after_it),
		TEST(test_listeners_without_mirror_and_a_missing_dataplane_do_not_keep_it_from_starting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
