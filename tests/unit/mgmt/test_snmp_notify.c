/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of notifications: each beginning and end is told, in order; what flaps or floods is bounded, and what was left out is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/snmp_notify.h"
#include "platforms/base/log.h"

enum { INTERVAL = 10000 };

static struct snmp_notify *notify;
static struct snmp_alarm_row alarms[SNMP_WATCHED_MAX + 10];
static uint64_t now;

static int setup(void **state)
{
	(void)state;
	notify = snmp_notify_new();
	snmp_notify_limit(notify, 60, INTERVAL);
	now = 1000000;
	memset(alarms, 0, sizeof(alarms));
	for (unsigned i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
		alarms[i] = (struct snmp_alarm_row){ .origin = SNMP_ORIGIN_CONTROLPLANE, .number = i + 1 };
		snprintf(alarms[i].a.subject, sizeof(alarms[i].a.subject), "agent-%u", i);
		snprintf(alarms[i].kind, sizeof(alarms[i].kind), "agent-down");
		alarms[i].a.kind = CP_ALARM_AGENT_DOWN;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snmp_notify_free(notify);
	return 0;
}

static void look(size_t count)
{
	snmp_notify_look(notify, alarms, count, true, now);
}

/* The next notice, which arrives; NULL: none. */
static const struct snmp_notice *arrives(void)
{
	static struct snmp_notice copy;
	const struct snmp_notice *notice = snmp_notify_next(notify, now);

	if (notice == NULL)
		return NULL;
	copy = *notice;
	snmp_notify_done(notify, true);
	return &copy;
}

static void beginning_and_end_are_told_once_each(void **state)
{
	const struct snmp_notice *notice;

	(void)state;
	look(1);
	look(1);
	notice = arrives();
	assert_true(notice != NULL && notice->raised && notice->sequence == 1 && notice->suppressed == 0);
	assert_null(arrives());
	now += INTERVAL;
	look(0);
	notice = arrives();
	assert_true(notice != NULL && !notice->raised && notice->sequence == 2 && notice->alarm.number == 1);
	look(0);
	assert_null(arrives());
	assert_int_equal(snmp_notify_counts(notify).sent, 2);
	assert_int_equal(snmp_notify_counts(notify).suppressed, 0);
}

static void an_alarm_that_flaps_is_told_of_at_intervals_and_the_rest_counted(void **state)
{
	unsigned told = 0;
	uint64_t suppressed = 0;

	(void)state;
	for (unsigned second = 0; second < 120; second += 2, now += 2000) {
		const struct snmp_notice *notice;

		look(second % 4 == 0);
		while ((notice = arrives()) != NULL) {
			told++;
			suppressed += notice->suppressed;
		}
	}
	/* 60 changes in two minutes. */
	assert_in_range(told, 8, 13);
	assert_int_equal(snmp_notify_counts(notify).suppressed, 60 - told);
	assert_in_range(suppressed, 60 - told - 6, 60 - told);
	/* At rest it is known as it is. */
	now += INTERVAL;
	look(1);
	arrives();
	now += INTERVAL;
	look(0);
	assert_false(arrives()->raised);
}

static void what_changed_and_changed_back_within_the_interval_is_not_told(void **state)
{
	(void)state;
	look(1);
	arrives();
	now += 2000;
	look(0);
	now += 2000;
	look(1);
	now += INTERVAL;
	look(1);
	assert_null(arrives());
	assert_int_equal(snmp_notify_counts(notify).suppressed, 2);
	look(0);
	assert_int_equal(arrives()->suppressed, 2);
}

static void a_flood_is_bounded_by_the_minute_and_nothing_of_it_is_lost(void **state)
{
	unsigned told = 0;

	(void)state;
	look(200);
	while (arrives() != NULL)
		told++;
	assert_int_equal(told, 60);
	assert_int_equal(snmp_notify_counts(notify).waiting, 140);
	now += 59999;
	assert_null(arrives());
	now += 1;
	while (arrives() != NULL)
		told++;
	assert_int_equal(told, 120);
	for (unsigned i = 0; i < 2; i++) {
		now += 60000;
		while (arrives() != NULL)
			told++;
	}
	assert_int_equal(told, 200);
	assert_int_equal(snmp_notify_counts(notify).suppressed, 0);
}

static void what_finds_no_room_waits_for_it(void **state)
{
	unsigned told = 0;

	(void)state;
	look(SNMP_WATCHED_MAX);
	assert_int_equal(snmp_notify_counts(notify).waiting, SNMP_NOTICES_MAX);
	for (unsigned minute = 0; minute < 20; minute++, now += 60000) {
		look(SNMP_WATCHED_MAX);
		while (arrives() != NULL)
			told++;
	}
	assert_int_equal(told, SNMP_WATCHED_MAX);
	/* More alarms than are watched: none of them ends the process, others are told of when there is room. */
	look(SNMP_WATCHED_MAX + 10);
	look(0);
}

static void what_did_not_arrive_is_sent_again_with_its_number(void **state)
{
	const struct snmp_notice *notice;

	(void)state;
	look(2);
	notice = snmp_notify_next(notify, now);
	assert_int_equal(notice->sequence, 1);
	assert_ptr_equal(snmp_notify_next(notify, now), notice);
	snmp_notify_done(notify, false);
	assert_int_equal(arrives()->sequence, 1);
	assert_int_equal(arrives()->sequence, 2);
	assert_null(arrives());
}

static void a_worse_alarm_is_told_again(void **state)
{
	(void)state;
	look(1);
	arrives();
	now += INTERVAL;
	alarms[0].a.severity = CP_SEVERITY_CRITICAL;
	look(1);
	assert_true(arrives()->raised);
	assert_null(arrives());
}

static void alarms_of_a_process_that_is_away_stay_as_they_were(void **state)
{
	(void)state;
	alarms[1].origin = SNMP_ORIGIN_MGMT;
	look(2);
	arrives();
	arrives();
	now += INTERVAL;
	snmp_notify_look(notify, NULL, 0, false, now);
	assert_int_equal(arrives()->alarm.origin, SNMP_ORIGIN_MGMT);
	assert_null(arrives());
	look(0);
	assert_int_equal(arrives()->alarm.origin, SNMP_ORIGIN_CONTROLPLANE);
}

static void who_begins_anew_is_told_of_all(void **state)
{
	(void)state;
	look(2);
	arrives();
	snmp_notify_forget(notify);
	assert_null(arrives());
	look(2);
	assert_int_equal(arrives()->sequence, 3);
	assert_int_equal(arrives()->sequence, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(beginning_and_end_are_told_once_each, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_alarm_that_flaps_is_told_of_at_intervals_and_the_rest_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_changed_and_changed_back_within_the_interval_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_flood_is_bounded_by_the_minute_and_nothing_of_it_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(what_finds_no_room_waits_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_did_not_arrive_is_sent_again_with_its_number, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worse_alarm_is_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			alarms_of_a_process_that_is_away_stay_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(who_begins_anew_is_told_of_all, setup, teardown),
	};

	log_set_level(LOG_LEVEL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
