/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what the kernel says of threads: read whatever their names, and loads between two looks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "mgmt/snmp_rows.h"

static void a_line_is_read_whatever_the_name(void **state)
{
	struct snmp_thread thread = { .number = 1 };

	(void)state;
	assert_int_equal(
		snmp_thread_parse(&thread, "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0", 100), 0);
	assert_string_equal(thread.name, "a) b (c");
	assert_int_equal(thread.cpu_ms, 3000);
	assert_int_equal(snmp_thread_parse(&thread, "", 100), -EBADMSG);
	assert_int_equal(snmp_thread_parse(&thread, "12 (a", 100), -EBADMSG);
	assert_int_equal(snmp_thread_parse(&thread, "12 (a) S 1 2", 100), -EBADMSG);
	assert_int_equal(snmp_thread_parse(&thread, "12 (a) S 1 2 3 4 5 6 7 8 9 10 x y", 100), -EBADMSG);
}

static const struct snmp_thread *of(const struct snmp_threads *threads, uint32_t process)
{
	for (size_t i = 0; i < threads->count; i++)
		if (threads->now[i].process == process)
			return &threads->now[i];
	return NULL;
}

static void loads_are_those_between_two_looks(void **state)
{
	static struct snmp_threads threads;
	struct cp_load load = { .threads = 1, .thread = { { .name = "shard-0", .cpu_us = 1000000 } } };

	(void)state;
	memset(&threads, 0, sizeof(threads));
	snmp_threads_look(&threads, 0, 0, &load, 50000);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->load, -1);
	load.thread[0].cpu_us += 2500000;
	snmp_threads_look(&threads, 0, 0, &load, 60000);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->load, 250);
	/* In between the last whole look counts. */
	load.thread[0].cpu_us += 2000000;
	snmp_threads_look(&threads, 0, 0, &load, 62000);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->load, 250);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->cpu_ms, 5500);
	load.thread[0].cpu_us += 90000000;
	snmp_threads_look(&threads, 0, 0, &load, 70000);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->load, 1000);
	/* It began anew, or is away. */
	load.thread[0].cpu_us = 0;
	snmp_threads_look(&threads, 0, 0, &load, 80000);
	assert_int_equal(of(&threads, SNMP_CONTROLPLANE)->load, 0);
	snmp_threads_look(&threads, 0, 0, NULL, 90000);
	assert_null(of(&threads, SNMP_CONTROLPLANE));
}

static void this_process_is_among_them(void **state)
{
	static struct snmp_threads threads;

	(void)state;
	memset(&threads, 0, sizeof(threads));
	snmp_threads_look(&threads, 0, 0, NULL, 1000);
	assert_non_null(of(&threads, SNMP_MGMT));
	assert_string_equal(of(&threads, SNMP_MGMT)->name, "test_snmp_threa");
	assert_true(threads.memory_kib[SNMP_MGMT] > 500 && threads.memory_kib[SNMP_DATAPLANE] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read_whatever_the_name),
		cmocka_unit_test(loads_are_those_between_two_looks),
		cmocka_unit_test(this_process_is_among_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
