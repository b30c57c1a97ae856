/* SPDX-License-Identifier: BSD-3-Clause */
/* Shards that stand still: nothing is on its way between them, nothing runs until they go on, and then everything does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sched.h>
#include <unistd.h>

#include "controlplane/shard.h"
#include "controlplane/standstill.h"
#include "platforms/base/daemon.h"
#include "tests/unit/controlplane/sip_limits.h"

enum { SHARDS = 3, PARCELS = 500, HOPS = 20, ROUNDS = 50 };

static struct config_network_interface network = { .name = (char *)(uintptr_t) "no-such" };
static struct config_realm realm = { .name = (char *)(uintptr_t) "r", .network_interface = &network };
static struct config_endpoint endpoint;
static struct config_sip_interface interface = {
	.name = (char *)(uintptr_t) "i", .realm = &realm, .listen = &endpoint, .listen_count = 1
};
static struct config config;
static struct daemon daemon_of_test = { .name = "test", .generation = 7 };

static struct {
	struct shard **shards;
	unsigned count;
	struct standstill *standstill;
	unsigned under_way; /* atomic: parcels that have not arrived */
	unsigned
		written; /* by shards while they run, by the main thread while they stand; no lock: that is what is tested */
	uv_sem_t done;
} bed;

struct parcel {
	unsigned hops;
};

static int setup(void **state)
{
	(void)state;
	alarm(60);
	log_set_level(LOG_LEVEL_ERROR);
	memset(&bed, 0, sizeof(bed));
	config.sip = (struct config_sip){ SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_SDP_LIMITS, .shards = SHARDS,
		.max_transactions = 1000, .max_calls = 100 };
	config.system.run_directory = (char *)(uintptr_t) "/nonexistent";
	config.sip_interfaces = &interface;
	config.sip_interfaces_count = 1;
	endpoint.transport = CONFIG_TRANSPORT_UDP;
	if (address_parse(SPAN("127.0.0.1:5999"), 0, &endpoint.address) || uv_sem_init(&bed.done, 0) ||
		shards_start(&daemon_of_test, &config, NULL, &bed.shards, &bed.count))
		return -1;
	bed.standstill = standstill_new(bed.shards, bed.count);
	return bed.standstill ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	shards_stop(bed.shards, bed.count);
	standstill_free(bed.standstill);
	uv_sem_destroy(&bed.done);
	return 0;
}

static void hop(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;

	if (shard->index == 0)
		bed.written++;
	if (parcel->hops-- > 0 && shard_post(bed.shards[(shard->index + 1) % SHARDS], hop, parcel) == 0)
		return;
	free(parcel);
	__atomic_sub_fetch(&bed.under_way, 1, __ATOMIC_RELAXED);
}

static void send_parcels(void)
{
	for (unsigned i = 0; i < PARCELS; i++) {
		struct parcel *parcel = malloc(sizeof(*parcel));

		assert_non_null(parcel);
		parcel->hops = HOPS;
		__atomic_add_fetch(&bed.under_way, 1, __ATOMIC_RELAXED);
		if (shard_post(bed.shards[i % SHARDS], hop, parcel) != 0) {
			free(parcel);
			__atomic_sub_fetch(&bed.under_way, 1, __ATOMIC_RELAXED);
		}
	}
}

static void test_when_they_stand_still_nothing_is_on_its_way_between_them(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		send_parcels();
		standstill_begin(bed.standstill);
		assert_int_equal(__atomic_load_n(&bed.under_way, __ATOMIC_RELAXED), 0);
		/* Theirs is the main thread's now, without a lock. */
		bed.written = 0;
		standstill_end(bed.standstill);
	}
}

static void note(struct shard *shard, void *arg)
{
	(void)shard;
	__atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELAXED);
	uv_sem_post(&bed.done);
}

static void test_what_is_posted_meanwhile_runs_when_they_go_on(void **state)
{
	unsigned ran = 0;

	(void)state;
	standstill_begin(bed.standstill);
	for (unsigned i = 0; i < SHARDS; i++)
		assert_int_equal(shard_post(bed.shards[i], note, &ran), 0);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_int_equal(__atomic_load_n(&ran, __ATOMIC_RELAXED), 0);
	standstill_end(bed.standstill);
	for (unsigned i = 0; i < SHARDS; i++)
		uv_sem_wait(&bed.done);
	assert_int_equal(__atomic_load_n(&ran, __ATOMIC_RELAXED), SHARDS);
}

static void test_the_next_standstill_may_follow_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		standstill_begin(bed.standstill);
		standstill_end(bed.standstill);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_when_they_stand_still_nothing_is_on_its_way_between_them),
		TEST(test_what_is_posted_meanwhile_runs_when_they_go_on),
		TEST(test_the_next_standstill_may_follow_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
