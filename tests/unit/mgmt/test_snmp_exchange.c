/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of what loop and thread hand each other: rows when they are asked for, one notice at a time, nothing lost, nothing leaked. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/snmp_exchange.h"
#include "platforms/base/clock.h"

enum { READS = 200 };

static uv_loop_t loop;
static uv_async_t wake;
static struct snmp_exchange *exchange;
static unsigned published, arrived;

static void publish(void)
{
	struct snmp_view *view = snmp_view_new();

	view->made_ms = clock_now_ms();
	published++;
	snmp_exchange_publish(exchange, SNMP_ROWS_STATE, view);
}

static void on_wake(uv_async_t *async)
{
	(void)async;
	if (snmp_exchange_is_wanted(exchange, SNMP_ROWS_STATE))
		publish();
	if (snmp_exchange_outcome(exchange) == SNMP_ARRIVED)
		arrived++;
}

static int setup(void **state)
{
	(void)state;
	published = arrived = 0;
	uv_loop_init(&loop);
	uv_async_init(&loop, &wake, on_wake);
	return snmp_exchange_new(&wake, &exchange);
}

static int teardown(void **state)
{
	(void)state;
	snmp_exchange_free(exchange);
	uv_close((uv_handle_t *)&wake, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void *read_rows(void *got)
{
	struct snmp_orders orders = { .end = false };

	for (unsigned i = 0; i < READS; i++) {
		struct snmp_view *view = snmp_exchange_get(exchange, SNMP_ROWS_STATE);

		*(unsigned *)got += view != NULL;
		snmp_exchange_put(exchange, view);
	}
	while (!orders.end) {
		struct pollfd wait = { .fd = snmp_exchange_descriptor(exchange), .events = POLLIN };
		struct snmp_notice notice;

		(void)poll(&wait, 1, -1);
		snmp_exchange_orders(exchange, &orders);
		if (snmp_exchange_take(exchange, &notice))
			snmp_exchange_told(exchange, true);
	}
	return NULL;
}

static void a_reader_is_served_from_rows_that_are_made_when_they_are_wanted(void **state)
{
	const struct snmp_orders end = { .end = true };
	const struct snmp_notice notice = { .sequence = 1 };
	unsigned got = 0, given = 0;
	pthread_t reader;

	(void)state;
	assert_int_equal(pthread_create(&reader, NULL, read_rows, &got), 0);
	while (given < 3 || arrived < 3) {
		if (given == arrived && published > 0)
			given += snmp_exchange_give(exchange, &notice);
		uv_run(&loop, UV_RUN_ONCE);
	}
	assert_false(given > 3);
	snmp_exchange_order(exchange, &end);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(got, READS);
	assert_in_range(published, 1, READS / 2); /* rows of the last second serve */
}

static void a_notice_is_under_way_until_its_outcome_is_known(void **state)
{
	const struct snmp_notice notice = { .sequence = 7 };
	struct snmp_notice taken;

	(void)state;
	assert_false(snmp_exchange_take(exchange, &taken));
	assert_true(snmp_exchange_give(exchange, &notice));
	assert_false(snmp_exchange_give(exchange, &notice));
	assert_true(snmp_exchange_take(exchange, &taken));
	assert_int_equal(taken.sequence, 7);
	assert_false(snmp_exchange_take(exchange, &taken));
	assert_int_equal(snmp_exchange_outcome(exchange), SNMP_NO_NEWS);
	assert_false(snmp_exchange_give(exchange, &notice));
	snmp_exchange_told(exchange, false);
	assert_int_equal(snmp_exchange_outcome(exchange), SNMP_NOT_ARRIVED);
	assert_true(snmp_exchange_give(exchange, &notice));
}

static void rows_in_use_outlive_their_successors_and_their_end(void **state)
{
	struct snmp_view *view;

	(void)state;
	publish();
	view = snmp_exchange_get(exchange, SNMP_ROWS_STATE);
	publish();
	snmp_exchange_forget(exchange, SNMP_ROWS_STATE, 60000);
	assert_true(view->made_ms > 0);
	snmp_exchange_put(exchange, view);
	snmp_exchange_put(exchange, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_reader_is_served_from_rows_that_are_made_when_they_are_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_notice_is_under_way_until_its_outcome_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rows_in_use_outlive_their_successors_and_their_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
