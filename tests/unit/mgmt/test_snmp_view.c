/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what GET and GETNEXT find: order, indices, types, text, and that a walk sees each object of each row once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/snmp_rows.h"
#include "mgmt/watch.h"

static struct dp_stats stats;
static struct cp_status status;
static struct cp_counters counters;
static struct cp_statistics statistics[3];
static struct dp_interface ports[2];
static struct cp_alarm theirs[1], own[1];
static struct cp_certificate certificates[1];
static struct dp_realm realms[2];
static struct metrics_snapshot snapshot;
static const uint64_t memory[4] = { 0, 100, 200, 300 };
static const struct snmp_thread threads[] = {
	{ .process = SNMP_MGMT, .number = 1, .name = "main", .load = -1 }
};

static unsigned if_index(const char *name)
{
	return strcmp(name, "sp-a") == 0 ? 7 : strcmp(name, "sp-b") == 0 ? 5 : 0;
}

static void part(enum metrics_part which, void *entries, size_t count)
{
	snapshot.part[which] = (struct metrics_list){ entries, count, count };
}

static int setup(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(statistics, 0, sizeof(statistics));
	memset(realms, 0, sizeof(realms));
	memset(ports, 0, sizeof(ports));
	snapshot = (struct metrics_snapshot){ .wall_ms = 1795000000000, .uptime_ms = 1230 };
	snprintf(snapshot.neighbour[0].version, sizeof(snapshot.neighbour[0].version), "1.2");
	snprintf(realms[0].name, sizeof(realms[0].name), "zz");
	snprintf(realms[1].name, sizeof(realms[1].name), "access");
	snprintf(ports[0].name, sizeof(ports[0].name), "a");
	snprintf(ports[0].mirror, sizeof(ports[0].mirror), "sp-a");
	snprintf(ports[1].mirror, sizeof(ports[1].mirror), "sp-b");
	ports[0].rx_octets = UINT64_MAX;
	ports[0].speed_mbps = UINT32_MAX;
	statistics[1].kind = CP_STATISTICS_REALM;
	snprintf(statistics[1].name, sizeof(statistics[1].name), "access");
	statistics[1].quality.loss[0] = statistics[1].quality.loss[7] = 3;
	statistics[2].kind = CP_STATISTICS_AGENT;
	snprintf(statistics[2].name, sizeof(statistics[2].name), "pbx");
	statistics[2].calls[CP_STATISTICS_OUT].attempts = 3;
	statistics[2].calls[CP_STATISTICS_OUT].answered = 2;
	theirs[0] = (struct cp_alarm){ .number = 9, .kind = CP_ALARM_AGENT_DOWN, .subject = "pbx\n\\" };
	own[0] =
		(struct cp_alarm){ .number = 9, .kind = WATCH_ALARM_FIRST, .severity = CP_SEVERITY_CRITICAL };
	certificates[0] = (struct cp_certificate){ .number = 1, .not_after_wall_ms = snapshot.wall_ms - 1 };
	part(METRICS_DP_STATS, &stats, 1);
	part(METRICS_CP_STATUS, &status, 1);
	part(METRICS_CP_COUNTERS, &counters, 1);
	part(METRICS_CP_STATISTICS, statistics, 3);
	part(METRICS_DP_INTERFACES, ports, 2);
	part(METRICS_DP_REALMS, realms, 2);
	part(METRICS_CP_ALARMS, theirs, 1);
	part(METRICS_CP_CERTIFICATES, certificates, 1);
	return 0;
}

static struct snmp_view *make(void)
{
	struct snmp_sources sources = {
		.snapshot = &snapshot,
		.name = "sbc",
		.threads = threads,
		.thread_count = 1,
		.memory_kib = memory,
		.own = own,
		.own_count = 1,
		.notify = { 4, 5, 6 },
		.if_index = if_index,
	};
	struct snmp_view *view = snmp_rows_view(&sources);

	assert_non_null(view);
	return view;
}

static struct snmp_view *three_calls(void)
{
	struct snmp_call *calls = calloc(3, sizeof(*calls));
	struct cp_call call = { .call = UINT64_C(2) << 56 | 5, .state = CP_CALL_ANSWERED };

	memset(call.leg[0].user, '\\', sizeof(call.leg[0].user));
	snmp_rows_call(&calls[0], &call);
	call.call = 300;
	snmp_rows_call(&calls[1], &call);
	call.call = 1;
	snmp_rows_call(&calls[2], &call);
	return snmp_rows_calls(calls, 3);
}

#define OID(...) \
	((struct snmp_oid){ .sub = { __VA_ARGS__ }, .length = sizeof((uint32_t[]){ __VA_ARGS__ }) / 4 })
#define GET(view, calls, value, ...)                           \
	({                                                     \
		struct snmp_oid at_ = OID(__VA_ARGS__);        \
		snmp_view_get((view), (calls), &at_, (value)); \
	})

static void scalars_have_the_instance_0_and_no_other(void **state)
{
	struct snmp_view *view = make();
	struct snmp_value value;

	(void)state;
	assert_int_equal(GET(view, NULL, &value, 1, 1, 1, 0), 0);
	assert_int_equal(value.type, SNMP_TYPE_OCTETS);
	assert_memory_equal(value.octets, "sbc", 3);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 3, 0), 0);
	assert_int_equal(value.type, SNMP_TYPE_TICKS);
	assert_int_equal(value.number, 123);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 1), -ENXIO);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 1, 1), -ENXIO);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 1, 0, 0), -ENXIO);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 9, 0), -ENOENT);
	assert_int_equal(GET(view, NULL, &value, 1, 99), -ENOENT);
	assert_int_equal(GET(view, NULL, &value, 1, 10, 7, 0), -ENOENT); /* for notifications alone */
	snmp_view_free(view);
}

static void rows_stand_in_the_order_of_their_indices(void **state)
{
	struct snmp_view *view = make();
	struct snmp_oid at = OID(1, 3, 10, 1, 2);
	struct snmp_value value;

	(void)state;
	/* A shorter name comes first. */
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.length, 8);
	assert_int_equal(at.sub[5], 2);
	assert_int_equal(at.sub[6], 'z');
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.sub[5], 6);
	assert_int_equal(at.sub[6], 'a');
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.sub[4], 3);
	/* Ports: by the number of their mirrors. */
	at = OID(1, 2, 10, 1, 8);
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.sub[5], 5);
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.sub[5], 7);
	assert_true(value.type == SNMP_TYPE_COUNTER64 && (uint64_t)value.number == UINT64_MAX);
	assert_int_equal(GET(view, NULL, &value, 1, 2, 10, 1, 6, 7), 0);
	assert_int_equal(value.number, 0); /* a speed that is not known */
	snmp_view_free(view);
}

static void a_port_without_a_mirror_has_no_row(void **state)
{
	struct snmp_oid at = OID(1, 2);
	struct snmp_value value;
	struct snmp_view *view;

	(void)state;
	ports[1].mirror[0] = 'x';
	view = make();
	assert_int_equal(view->table[SNMP_INTERFACES].count, 1);
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	assert_int_equal(at.sub[at.length - 1], 7);
	snmp_view_free(view);
}

static void a_walk_sees_each_object_of_each_row_once(void **state)
{
	struct snmp_view *view = make(), *calls = three_calls();
	struct snmp_oid at = { .length = 0 };
	struct snmp_value value;
	size_t seen = 0, expected = 0;

	(void)state;
	for (unsigned i = 0; i < SNMP_TABLE_COUNT; i++)
		expected += snmp_tables[i].column_count *
			    (i == SNMP_CALLS ? calls : view)->table[snmp_tables[i].rows_of].count;
	for (;;) {
		struct snmp_oid before = at;
		struct snmp_value again;

		if (snmp_view_next(view, calls, &at, &value) != 0)
			break;
		seen++;
		assert_true(before.length == 0 ||
			    memcmp(before.sub, at.sub,
				    sizeof(before.sub[0]) *
					    (before.length < at.length ? before.length : at.length)) != 0 ||
			    before.length < at.length);
		assert_int_equal(snmp_view_get(view, calls, &at, &again), 0);
		assert_int_equal(again.type, value.type);
		assert_int_equal(again.length, value.length);
		assert_true(seen < 100000);
	}
	assert_int_equal(seen, expected);
	assert_true(seen > 500);
	snmp_view_free(view);
	snmp_view_free(calls);
}

static void calls_are_asked_for_when_they_are_reached(void **state)
{
	struct snmp_view *view = make(), *calls = three_calls();
	struct snmp_oid at = OID(1, 4, 10), end = OID(1, 4, 50, 1, 13, 2, 0, 0, 0, 0, 0, 0, 5);
	struct snmp_value value;

	(void)state;
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), 0);
	at = OID(1, 4, 37, 0);
	assert_int_equal(snmp_view_next(view, NULL, &at, &value), -EAGAIN);
	assert_int_equal(snmp_view_next(view, calls, &at, &value), 0);
	assert_int_equal(at.length, 13);
	assert_int_equal(at.sub[12], 1);
	assert_int_equal(snmp_view_next(view, calls, &at, &value), 0);
	assert_int_equal(at.sub[11], 1);
	assert_int_equal(at.sub[12], 300 - 256);
	assert_int_equal(snmp_view_next(view, calls, &at, &value), 0);
	assert_int_equal(at.sub[5], 2);
	assert_memory_equal(value.octets, "2-5", 3);
	/* Behind the last one it goes on in the next table. */
	assert_int_equal(snmp_view_next(view, calls, &end, &value), 0);
	assert_int_equal(end.sub[2], 51);
	snmp_view_free(view);
	snmp_view_free(calls);
}

static void shares_are_of_what_there_was(void **state)
{
	struct snmp_view *view = make();
	struct snmp_value value;

	(void)state;
	assert_int_equal(GET(view, NULL, &value, 1, 6, 11, 1, 26, 3, 'p', 'b', 'x'), 0);
	assert_int_equal(value.number, 666);
	assert_int_equal(GET(view, NULL, &value, 1, 6, 11, 1, 12, 3, 'p', 'b', 'x'), 0);
	assert_int_equal(value.number, -1);
	assert_int_equal(GET(view, NULL, &value, 1, 6, 11, 1, 28, 3, 'p', 'b', 'x'), 0);
	assert_int_equal(value.number, -1);
	assert_int_equal(GET(view, NULL, &value, 1, 8, 10, 1, 1, 6, 'a', 'c', 'c', 'e', 's', 's'), 0);
	assert_int_equal(value.number, 6);
	assert_int_equal(
		GET(view, NULL, &value, 1, 8, 11, 1, 3, 6, 'a', 'c', 'c', 'e', 's', 's', SNMP_LOSS, 8), 0);
	assert_int_equal(value.number, -1); /* the last class has no bound */
	snmp_view_free(view);
}

static void counters_are_those_of_the_lists(void **state)
{
	struct snmp_view *view;
	struct snmp_value value;

	(void)state;
	stats.counter[DP_COUNTER_DROP_BANNED] = 17;
	view = make();
	assert_int_equal(view->table[SNMP_PACKET_COUNTERS].count, DP_COUNTER_COUNT);
	assert_int_equal(view->table[SNMP_SIP_COUNTERS].count, CP_COUNTER_COUNT);
	assert_int_equal(GET(view, NULL, &value, 1, 7, 10, 1, 2, DP_COUNTER_DROP_BANNED + 1), 0);
	assert_memory_equal(value.octets, "drop-banned", value.length);
	assert_int_equal(GET(view, NULL, &value, 1, 7, 10, 1, 5, DP_COUNTER_DROP_BANNED + 1), 0);
	assert_int_equal(value.number, 17);
	assert_int_equal(GET(view, NULL, &value, 1, 7, 10, 1, 4, DP_COUNTER_RX_PACKETS + 1), 0);
	assert_int_equal(value.number, 2);
	snmp_view_free(view);
}

static void texts_of_an_alarm_end_whoever_wrote_them(void **state)
{
	struct snmp_alarm_row row;

	(void)state;
	memset(theirs[0].subject, 'x', sizeof(theirs[0].subject));
	memset(theirs[0].text, 'y', sizeof(theirs[0].text));
	assert_int_equal(snmp_rows_alarms(&snapshot, NULL, 0, &row, 1), 1);
	assert_int_equal(strnlen(row.a.subject, sizeof(row.a.subject)), sizeof(row.a.subject) - 1);
	assert_int_equal(strnlen(row.a.text, sizeof(row.a.text)), sizeof(row.a.text) - 1);
}

static void alarms_of_both_processes_are_apart_and_printable(void **state)
{
	struct snmp_view *view = make();
	struct snmp_value value;

	(void)state;
	assert_int_equal(view->table[SNMP_ALARMS].count, 2);
	assert_int_equal(GET(view, NULL, &value, 1, 10, 10, 1, 4, SNMP_ORIGIN_CONTROLPLANE, 9), 0);
	assert_int_equal(value.length, 11);
	assert_memory_equal(value.octets, "pbx\\x0a\\x5c", 11);
	assert_int_equal(GET(view, NULL, &value, 1, 10, 3, 0), 0);
	assert_int_equal(value.number, 1);
	assert_int_equal(GET(view, NULL, &value, 1, 9, 10, 1, 11, 1), 0);
	assert_int_equal(value.number, -1); /* it ended a moment ago */
	snmp_view_free(view);
}

static void what_is_away_has_no_rows(void **state)
{
	struct snmp_view *view;
	struct snmp_value value;

	(void)state;
	memset(snapshot.part, 0, sizeof(snapshot.part));
	view = make();
	assert_int_equal(GET(view, NULL, &value, 1, 4, 1, 0), -ENXIO);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 4, 0), 0);
	assert_int_equal(value.number, 2);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 10, 1, 3, 1), 0);
	assert_int_equal(value.number, 2);
	assert_int_equal(GET(view, NULL, &value, 1, 1, 10, 1, 6, 1), 0);
	assert_int_equal(value.length, 8);
	assert_int_equal(view->table[SNMP_AGENTS].count + view->table[SNMP_SIP_COUNTERS].count +
				 view->table[SNMP_REALMS].count,
		0);
	snmp_view_free(view);
}

static void text_is_cut_between_its_signs(void **state)
{
	char out[10];

	(void)state;
	assert_int_equal(snmp_text("abc", 3, out, sizeof(out)), 3);
	assert_int_equal(snmp_text("a\0c", 3, out, sizeof(out)), 1);
	assert_int_equal(snmp_text("\xff\x1b\xc3", 3, out, sizeof(out)), 8);
	assert_memory_equal(out, "\\xff\\x1b", 8);
	assert_int_equal(snmp_text("abcdefg\n", 8, out, sizeof(out)), 7);
}

static void dates_are_in_utc(void **state)
{
	static const char expected[11] = { 0x07, (char)0xea, 11, 18, 11, 6, 40, 0, '+', 0, 0 };
	struct snmp_view *view = make();
	struct snmp_value value;

	(void)state;
	assert_int_equal(GET(view, NULL, &value, 1, 1, 10, 1, 6, SNMP_CONTROLPLANE), 0);
	assert_int_equal(value.length, 11);
	assert_memory_equal(value.octets, expected, 11);
	snmp_view_free(view);
}

static void rows_with_one_index_are_one(void **state)
{
	struct snmp_view *view;

	(void)state;
	ports[1] = ports[0];
	view = make();
	assert_int_equal(view->table[SNMP_INTERFACES].count, 1);
	snmp_view_free(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(scalars_have_the_instance_0_and_no_other, setup),
		cmocka_unit_test_setup(rows_stand_in_the_order_of_their_indices, setup),
		cmocka_unit_test_setup(a_port_without_a_mirror_has_no_row, setup),
		cmocka_unit_test_setup(a_walk_sees_each_object_of_each_row_once, setup),
		cmocka_unit_test_setup(calls_are_asked_for_when_they_are_reached, setup),
		cmocka_unit_test_setup(shares_are_of_what_there_was, setup),
		cmocka_unit_test_setup(counters_are_those_of_the_lists, setup),
		cmocka_unit_test_setup(texts_of_an_alarm_end_whoever_wrote_them, setup),
		cmocka_unit_test_setup(alarms_of_both_processes_are_apart_and_printable, setup),
		cmocka_unit_test_setup(what_is_away_has_no_rows, setup),
		cmocka_unit_test_setup(text_is_cut_between_its_signs, setup),
		cmocka_unit_test_setup(dates_are_in_utc, setup),
		cmocka_unit_test_setup(rows_with_one_index_are_one, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
