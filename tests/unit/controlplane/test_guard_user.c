/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the guard: sweeps over users, and guesses at one user from many sources. */
#include "tests/unit/controlplane/guard_bed.h"

/* --- sweeps and guesses -------------------------------------------------------------------------------------------------- */

static void many_users_from_one_source_are_a_sweep(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	unsigned messages = 0;
	char user[16];

	(void)state;
	while (bed.denials == 0 && messages < 30) {
		snprintf(user, sizeof(user), "%u", 100 + messages++);
		note(&flow, GUARD_UNKNOWN_USER, user);
	}
	assert_true(messages <= 6);
	/* One user, as often: slower. */
	flow = flow_of("198.51.100.9:5060");
	for (unsigned i = 0; i < 6; i++)
		note(&flow, GUARD_UNKNOWN_USER, "100");
	assert_int_equal(bed.denials, 1);
}

static void challenges_that_are_never_answered_are_a_sweep_and_an_office_that_answers_is_none(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	char nonce[32];

	(void)state;
	flow.connection = 7;
	for (unsigned i = 0; i < 60; i++) {
		address_set_port(&flow.remote, (uint16_t)(6000 + i));
		guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"x\""));
	}
	now_ms += 1000;
	for (unsigned i = 0; i < 60; i++) {
		address_set_port(&flow.remote, (uint16_t)(6000 + i));
		snprintf(nonce, sizeof(nonce), "n%u", i);
		assert_int_equal(guard_look(bed.guard, &flow,
					 scan_of("REGISTER", "100", answer_to(&flow, "u", nonce))),
			GUARD_PASS);
	}
	now_ms += 4000;
	guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"x\""));
	assert_int_equal(bed.denials, 0);
	for (unsigned stream = 0; stream < 2; stream++) {
		flow = flow_of(stream ? "198.51.100.8:5060" : "198.51.100.9:5060");
		flow.connection = stream;
		for (unsigned i = 0; i < 20; i++)
			guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"y\""));
		now_ms += 4000;
		for (unsigned i = 0; i < 4; i++)
			guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"y\""));
		assert_int_equal(bed.denials, stream + 1);
		assert_int_equal(bed.proven, stream);
	}
}

static void a_user_guessed_at_from_many_sources_is_answered_where_he_is_registered(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), home = flow_of("203.0.113.5:6000"),
			phone = flow_of("203.0.113.5:5060");

	(void)state;
	register_at("203.0.113.5:5060", "100@example.com");
	for (unsigned i = 0; i < 25; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		guess(&flow, "100");
	}
	assert_int_equal(bed.denials, 0);
	flow = flow_of("192.0.2.99:5060");
	assert_int_equal(look(&flow, "REGISTER", "100"), GUARD_SILENT);
	assert_int_equal(look(&flow, "REGISTER", "101"), GUARD_PASS);
	assert_int_equal(look(&home, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	now_ms += 120000;
	assert_int_equal(look(&flow, "REGISTER", "100"), GUARD_PASS);
}

static void forged_guesses_hold_no_user_and_let_no_guess_through_that_proves_nothing(void **state)
{
	static const char bare[] = PHONE "Authorization: Digest username=\"100\", nonce=\"abc\"\r\n";
	struct sip_flow flow = flow_of("198.51.100.7:5060"), phone = flow_of("203.0.113.5:5060");

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		forge_guess(&flow, "100");
	}
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	assert_int_equal(guard_look(bed.guard, &phone, scan_of("REGISTER", "100", bare)), GUARD_SILENT);
	now_ms += 120000;
	assert_int_equal(guard_look(bed.guard, &phone, scan_of("REGISTER", "100", bare)), GUARD_PASS);
}

static void guesses_from_many_ports_that_prove_nothing_get_no_further_and_keep_nobody_out(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), phone = flow_of("198.51.100.7:31000");
	unsigned passed = 0;
	char user[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		address_set_port(&flow.remote, (uint16_t)(5060 + i));
		snprintf(user, sizeof(user), "%u", 100 + i);
		if (guard_look(bed.guard, &flow,
			    scan_of("REGISTER", user, PHONE "Authorization: Digest nonce=\"abc\"\r\n")) !=
			GUARD_PASS)
			continue;
		passed++;
		forge_guess(&flow, user);
	}
	assert_true(passed <= 10);
	assert_int_equal(bed.denials, 0);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_PASS);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
}

static void a_user_is_the_same_however_he_is_written(void **state)
{
	static const char *const forms[] = { "alice", "alice;1", "%61lice", "ALICE", "alice%40x",
		"al%69ce;x=y" };
	struct sip_flow flow = flow_of("198.51.100.7:5060"), fresh = flow_of("192.0.2.99:5060");

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		guess(&flow, forms[i % 6]);
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(look(&fresh, "REGISTER", forms[i]), GUARD_SILENT);
	/* Under another's name, with his. */
	assert_int_equal(guard_look(bed.guard, &fresh,
				 scan_of("REGISTER", "bob", answer_to(&fresh, "alice@x", "abc"))),
		GUARD_SILENT);
	assert_int_equal(look(&fresh, "REGISTER", "bob"), GUARD_PASS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(many_users_from_one_source_are_a_sweep),
		T(challenges_that_are_never_answered_are_a_sweep_and_an_office_that_answers_is_none),
		T(a_user_guessed_at_from_many_sources_is_answered_where_he_is_registered),
		T(forged_guesses_hold_no_user_and_let_no_guess_through_that_proves_nothing),
		T(guesses_from_many_ports_that_prove_nothing_get_no_further_and_keep_nobody_out),
		T(a_user_is_the_same_however_he_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
