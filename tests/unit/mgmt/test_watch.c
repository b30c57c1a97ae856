/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the alarms of mgmt: what raises each, that it takes its time, and that it neither flaps nor stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "dataplane/api.h"
#include "mgmt/watch.h"

static struct dp_stats stats;
static struct cp_status status;
static struct dp_realm realms[2];
static struct metrics_snapshot snapshot;
static struct watch_view view;
static struct watch *watch;
static uint64_t now_ms;
static uv_loop_t loop;
static struct config config;
static const struct config *running = &config;
static struct cp_alarm alarms[WATCH_ALARMS_MAX];

static int setup(void **state)
{
	(void)state;
	stats = (struct dp_stats){ .sessions_max = 1000 };
	status = (struct cp_status){ .dataplane_up = 1 };
	realms[0] = (struct dp_realm){ .name = "access", .ports_total = 200 };
	realms[1] = (struct dp_realm){ .name = "core", .ports_total = 200 };
	snapshot = (struct metrics_snapshot){ .part = {
						      [METRICS_DP_STATS] = { &stats, 1, 1 },
						      [METRICS_DP_REALMS] = { realms, 2, 2 },
						      [METRICS_CP_STATUS] = { &status, 1, 1 },
					      } };
	view = (struct watch_view){ .disk_percent = 50 };
	now_ms = 1000000;
	assert_int_equal(uv_loop_init(&loop), 0);
	config.alarms = (struct config_alarms){ 90, 80, 5, 10 };
	return watch_new(&loop, NULL, NULL, &running, &watch);
}

static int teardown(void **state)
{
	(void)state;
	watch_free(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

/* For so many seconds nothing changes. How many alarms there are then. */
static size_t pass(unsigned seconds)
{
	for (unsigned i = 0; i <= seconds; i++, now_ms += 1000)
		watch_look(watch, &snapshot, &view, now_ms);
	return watch_alarms(watch, alarms);
}

static void the_load_is_that_of_the_last_two_looks(void **state)
{
	static struct cp_load load;
	struct watch_load out;

	(void)state;
	assert_false(watch_load(NULL, &out));
	assert_false(watch_load(watch, &out));
	load = (struct cp_load){ .threads = 2, .rss_octets = 1 << 20 };
	memcpy(load.thread[0].name, "main", 5);
	memcpy(load.thread[1].name, "shard-0", 8);
	load.thread[1].cpu_us = 7000000;
	snapshot.part[METRICS_CP_LOAD] = (struct metrics_list){ &load, 1, 1 };
	watch_look(watch, &snapshot, &view, now_ms);
	assert_true(watch_load(watch, &out));
	assert_false(out.known);
	load.thread[1].cpu_us += 1500000;
	watch_look(watch, &snapshot, &view, now_ms + 2000);
	assert_true(watch_load(watch, &out) && out.known);
	assert_int_equal(out.percent[0], 0);
	assert_int_equal(out.percent[1], 75);
	/* A control plane that has started anew. */
	load.thread[1].cpu_us = 0;
	watch_look(watch, &snapshot, &view, now_ms + 4000);
	assert_true(watch_load(watch, &out));
	assert_int_equal(out.percent[1], 0);
	snapshot.part[METRICS_CP_LOAD].count = 0;
	watch_look(watch, &snapshot, &view, now_ms + 6000);
	assert_false(watch_load(watch, &out));
}

static void expect_one(enum watch_alarm kind, const char *subject)
{
	assert_int_equal(watch_alarms(watch, alarms), 1);
	assert_int_equal(alarms[0].kind, kind);
	assert_string_equal(alarms[0].subject, subject);
}

static void nothing_is_wrong_where_nothing_is(void **state)
{
	(void)state;
	assert_int_equal(pass(120), 0);
}

static void a_daemon_that_is_away_is_an_alarm_until_it_has_been_back_for_a_while(void **state)
{
	(void)state;
	snapshot.part[METRICS_DP_STATS].count = 0;
	assert_int_equal(pass(3), 0);
	assert_int_equal(pass(5), 1);
	expect_one(WATCH_PROCESS_AWAY, "dataplane");
	assert_int_equal(alarms[0].severity, CP_SEVERITY_CRITICAL);
	snapshot.part[METRICS_DP_STATS].count = 1;
	assert_int_equal(pass(3), 1);
	snapshot.part[METRICS_DP_STATS].count = 0; /* gone again: the same alarm goes on */
	assert_int_equal(pass(10), 1);
	assert_int_equal(alarms[0].number, 1);
	snapshot.part[METRICS_DP_STATS].count = 1;
	assert_int_equal(pass(10), 0);
	snapshot.part[METRICS_CP_STATUS].count = 0;
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_PROCESS_AWAY, "controlplane");
}

static void a_restart_of_a_moment_is_no_alarm(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		snapshot.part[METRICS_CP_STATUS].count = 0;
		assert_int_equal(pass(3), 0);
		snapshot.part[METRICS_CP_STATUS].count = 1;
		assert_int_equal(pass(0), 0);
	}
}

static void a_pool_that_is_nearly_used_up_is_one_alarm_however_it_swings(void **state)
{
	(void)state;
	realms[1].ports_used = 179; /* less than nine tenths */
	assert_int_equal(pass(60), 0);
	for (unsigned i = 0; i < 20; i++) {
		realms[1].ports_used = 180;
		assert_int_equal(pass(10), 1);
		realms[1].ports_used = 161; /* not below eight tenths */
		assert_int_equal(pass(60), 1);
	}
	expect_one(WATCH_PORTS_LOW, "core");
	assert_int_equal(alarms[0].number, 1);
	assert_string_equal(alarms[0].text, "161 of 200 pairs of media ports are in use");
	realms[1].ports_used = 159;
	assert_int_equal(pass(20), 1);
	assert_int_equal(pass(20), 0);
}

static void the_alarm_of_a_realm_that_is_configured_no_more_ends(void **state)
{
	(void)state;
	realms[1].ports_used = 200;
	assert_int_equal(pass(10), 1);
	snapshot.part[METRICS_DP_REALMS].count = 1;
	assert_int_equal(pass(40), 0);
}

static void what_cannot_be_asked_stays_as_it_was(void **state)
{
	(void)state;
	realms[1].ports_used = 200;
	assert_int_equal(pass(10), 1);
	snapshot.part[METRICS_DP_STATS].count = snapshot.part[METRICS_DP_REALMS].count = 0;
	assert_int_equal(pass(120), 2);
}

static void each_kind_is_raised_and_cleared(void **state)
{
	(void)state;
	stats.sessions = 900;
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_SESSIONS_LOW, "dataplane");
	stats.sessions = 0;
	assert_int_equal(pass(40), 0);
	stats.per_second[DP_COUNTER_DROP_TX_FULL] = 1;
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_TRANSMIT_FULL, "dataplane");
	stats.per_second[DP_COUNTER_DROP_TX_FULL] = 0;
	assert_int_equal(pass(70), 0);
	status.listeners_down = 3;
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_LISTENERS_DOWN, "controlplane");
	status.listeners_down = 0;
	assert_int_equal(pass(10), 0);
	view.disk_percent = 4;
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_DISK_LOW, "system.data-directory");
	view.disk_percent = 9;
	assert_int_equal(pass(60), 1);
	view.disk_percent = 10;
	assert_int_equal(pass(40), 0);
	view.disagrees[NEIGHBOUR_CONTROLPLANE] = true;
	assert_int_equal(pass(15), 1);
	expect_one(WATCH_CONFIGURATION, "controlplane");
	view.disagrees[NEIGHBOUR_CONTROLPLANE] = false;
	assert_int_equal(pass(10), 0);
	watch_metrics_down(watch, true);
	assert_int_equal(pass(10), 1);
	expect_one(WATCH_METRICS_DOWN, "metrics.listen");
	watch_metrics_down(watch, false);
	assert_int_equal(pass(10), 0);
}

static void more_than_there_is_room_for_does_no_harm(void **state)
{
	static struct dp_realm many[WATCH_ALARMS_MAX + 50];

	(void)state;
	for (unsigned i = 0; i < WATCH_ALARMS_MAX + 50; i++) {
		many[i] = (struct dp_realm){ .ports_used = 1, .ports_total = 1 };
		memset(many[i].name, 'a' + (int)(i % 26), sizeof(many[i].name)); /* not ended */
		many[i].name[0] = (char)('0' + i / 26);
	}
	snapshot.part[METRICS_DP_REALMS] = (struct metrics_list){ many, WATCH_ALARMS_MAX + 50, 0 };
	assert_int_equal(pass(10), WATCH_ALARMS_MAX);
	snapshot.part[METRICS_DP_REALMS] = (struct metrics_list){ realms, 2, 0 };
	assert_int_equal(pass(40), 0);
}

static void thresholds_are_those_of_the_configuration_in_force(void **state)
{
	static const struct config other = { .alarms = { 50, 50, 30, 40 } };

	(void)state;
	stats.sessions = 500;
	view.disk_percent = 29;
	assert_int_equal(pass(60), 0);
	running = &other; /* a commit */
	assert_int_equal(pass(60), 2);
	running = &config;
	assert_int_equal(pass(60), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(nothing_is_wrong_where_nothing_is),
		TEST(a_daemon_that_is_away_is_an_alarm_until_it_has_been_back_for_a_while),
		TEST(a_restart_of_a_moment_is_no_alarm),
		TEST(a_pool_that_is_nearly_used_up_is_one_alarm_however_it_swings),
		TEST(the_alarm_of_a_realm_that_is_configured_no_more_ends),
		TEST(what_cannot_be_asked_stays_as_it_was),
		TEST(each_kind_is_raised_and_cleared),
		TEST(more_than_there_is_room_for_does_no_harm),
		TEST(the_load_is_that_of_the_last_two_looks),
		TEST(thresholds_are_those_of_the_configuration_in_force),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
