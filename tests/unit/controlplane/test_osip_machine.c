/* SPDX-License-Identifier: BSD-3-Clause */
/* libosip2's machines in detached mode: states, timers, and that an event in the wrong state does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <uv.h>

#include "controlplane/osip_machine.h"

static const struct config_sip timers = {
	.t1_ms = 200, .t2_ms = 700, .t4_ms = 1000, .timer_b_ms = 12800, .timer_d_ms = 32000
};

struct sent {
	unsigned messages, acks;
};

static int on_send(void *arg, bool ack)
{
	struct sent *sent = arg;

	if (ack)
		sent->acks++;
	else
		sent->messages++;
	return 0;
}

static struct osip_engine *engine;

static int group_setup(void **state)
{
	(void)state;
	return osip_engine_new(&timers, on_send, &engine);
}

static int group_teardown(void **state)
{
	(void)state;
	osip_engine_free(engine);
	return 0;
}

static void test_events_in_a_wrong_state_are_refused_and_leave_the_machine_whole(void **state)
{
	static const enum machine_event first[] = { MACHINE_SEND_REQUEST, MACHINE_SEND_REQUEST,
		MACHINE_RECEIVE_REQUEST, MACHINE_RECEIVE_REQUEST };

	(void)state;
	for (unsigned kind = MACHINE_ICT; kind <= MACHINE_NIST; kind++) {
		struct sent sent = { 0 };
		struct osip_machine *machine = osip_machine_new(engine, kind, &sent);

		assert_non_null(machine);
		for (unsigned event = 0; event < MACHINE_EVENT_COUNT; event++)
			if (event != first[kind])
				assert_false(osip_machine_run(engine, machine, event));
		assert_true(osip_machine_run(engine, machine, first[kind]));
		/* Every event in every state it may reach, over and over. */
		for (unsigned round = 0; round < 50; round++)
			for (unsigned event = 0; event < MACHINE_EVENT_COUNT; event++)
				(void)osip_machine_run(
					engine, machine, (event + round) % MACHINE_EVENT_COUNT);
		osip_machine_free(machine);
	}
}

static void test_invite_client_doubles_timer_a_and_acknowledges_a_failure(void **state)
{
	static const unsigned interval[] = { 200, 400, 800, 1600 };
	struct sent sent = { 0 };
	struct osip_machine *machine = osip_machine_new(engine, MACHINE_ICT, &sent);

	(void)state;
	osip_machine_run(engine, machine, MACHINE_SEND_REQUEST);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(osip_machine_timers(machine).retransmit, interval[i]);
		assert_int_equal(osip_machine_timers(machine).give_up, 12800);
		assert_true(osip_machine_run(engine, machine, MACHINE_TIMER_RETRANSMIT));
	}
	assert_int_equal(sent.messages, 5);
	assert_true(osip_machine_run(engine, machine, MACHINE_RECEIVE_1XX));
	assert_int_equal(osip_machine_state(machine), MACHINE_PROCEEDING);
	assert_int_equal(osip_machine_timers(machine).retransmit, 0);
	assert_true(osip_machine_run(engine, machine, MACHINE_RECEIVE_FAILURE));
	assert_int_equal(osip_machine_state(machine), MACHINE_COMPLETED);
	assert_int_equal(sent.acks, 1);
	assert_int_equal(osip_machine_timers(machine).linger, 32000);
	osip_machine_free(machine);
}

static void test_client_timer_e_and_server_timer_g_stop_growing_at_t2(void **state)
{
	static const unsigned interval[] = { 200, 400, 700, 700 };
	struct sent sent = { 0 };

	(void)state;
	for (unsigned server = 0; server < 2; server++) {
		struct osip_machine *machine =
			osip_machine_new(engine, server ? MACHINE_IST : MACHINE_NICT, &sent);

		osip_machine_run(engine, machine, server ? MACHINE_RECEIVE_REQUEST : MACHINE_SEND_REQUEST);
		if (server)
			osip_machine_run(engine, machine, MACHINE_SEND_FAILURE);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(osip_machine_timers(machine).retransmit, interval[i]);
			assert_true(osip_machine_run(engine, machine, MACHINE_TIMER_RETRANSMIT));
		}
		assert_true(osip_machine_run(engine, machine, MACHINE_TIMER_GIVE_UP));
		assert_int_equal(osip_machine_state(machine), MACHINE_TERMINATED);
		osip_machine_free(machine);
	}
}

static void calls(void *arg)
{
	struct osip_engine *own = arg;

	for (unsigned i = 0; i < 2000; i++) {
		struct sent sent = { 0 };
		struct osip_machine *client = osip_machine_new(own, MACHINE_ICT, &sent);
		struct osip_machine *server = osip_machine_new(own, MACHINE_IST, &sent);

		osip_machine_run(own, client, MACHINE_SEND_REQUEST);
		osip_machine_run(own, server, MACHINE_RECEIVE_REQUEST);
		osip_machine_run(own, server, MACHINE_SEND_1XX);
		osip_machine_run(own, client, MACHINE_RECEIVE_1XX);
		osip_machine_run(own, server, MACHINE_SEND_FAILURE);
		osip_machine_run(own, client, MACHINE_RECEIVE_FAILURE);
		osip_machine_run(own, server, MACHINE_RECEIVE_ACK);
		osip_machine_free(client);
		osip_machine_free(server);
	}
}

/* For ThreadSanitizer. */
static void test_engines_of_two_threads_share_nothing(void **state)
{
	struct osip_engine *other;
	uv_thread_t thread;

	(void)state;
	assert_int_equal(osip_engine_new(&timers, on_send, &other), 0);
	assert_int_equal(uv_thread_create(&thread, calls, other), 0);
	calls(engine);
	uv_thread_join(&thread);
	osip_engine_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_in_a_wrong_state_are_refused_and_leave_the_machine_whole),
		cmocka_unit_test(test_invite_client_doubles_timer_a_and_acknowledges_a_failure),
		cmocka_unit_test(test_client_timer_e_and_server_timer_g_stop_growing_at_t2),
		cmocka_unit_test(test_engines_of_two_threads_share_nothing),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
