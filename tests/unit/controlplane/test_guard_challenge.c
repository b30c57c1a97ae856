/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the guard: who has shown that he receives what is sent to him, and what forged sources can do: nothing to others. */
#include "tests/unit/controlplane/guard_bed.h"

static void who_answers_a_challenge_has_received_it(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), other = flow_of("198.51.100.8:5060");

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		forge_guess(&flow, "100");
	assert_int_equal(bed.denials, 1);
	assert_false(bed.proven);
	assert_int_equal(bed.last.key.address.port, 5060);
	assert_int_equal(bed.last.flags, DP_BAN_DATAGRAMS);
	for (unsigned i = 0; i < 10; i++)
		guess(&flow, "100");
	assert_int_equal(bed.denials, 2);
	assert_true(bed.proven);
	assert_int_equal(bed.last.key.address.port, 0);
	assert_int_equal(bed.last.flags, 0);
	/* What went to one says nothing of another; and it grows old. */
	for (unsigned i = 0; i < 10; i++)
		guard_note(bed.guard, &other, GUARD_BAD_PASSWORD, SPAN("100"),
			scan_of("REGISTER", "100", answer_to(&flow, "100", "abc")));
	assert_int_equal(bed.denials, 3);
	assert_false(bed.proven);
	other = flow_of("198.51.100.9:5060");
	answer_to(&other, "100", "abc");
	now_ms += 600000;
	for (unsigned i = 0; i < 10; i++)
		guard_note(bed.guard, &other, GUARD_BAD_PASSWORD, SPAN("100"),
			scan_of("REGISTER", "100", answer_to(&other, "100", "abc")));
	assert_int_equal(bed.denials, 4);
	assert_true(bed.proven);
}

static void a_seal_is_good_where_it_went_and_for_a_while(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), port = flow_of("198.51.100.7:6000"),
			other = flow_of("198.51.100.8:5060");
	const char *answer = answer_to(&flow, "100", "abc");
	char wrong[1024];

	(void)state;
	assert_true(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
	assert_true(guard_is_sealed(bed.guard, &port, scan_of("REGISTER", "100", answer)));
	assert_false(guard_is_sealed(bed.guard, &other, scan_of("REGISTER", "100", answer)));
	assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)));
	for (size_t i = strlen(answer) - 20; i < strlen(answer) - 3; i++) {
		snprintf(wrong, sizeof(wrong), "%s", answer);
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", wrong)));
	}
	now_ms += 300000;
	assert_true(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
	now_ms += 300000;
	assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
}

static const char *sealed_and_back(const char *challenge, bool *marked)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	static char back[1024];
	char sealed[1024];
	struct writer w;

	writer_init(&w, sealed, sizeof(sealed) - 1);
	guard_seal(bed.guard, &flow, span_from(challenge), &w);
	sealed[w.len] = '\0';
	*marked = strcmp(sealed, challenge) != 0;
	writer_init(&w, back, sizeof(back) - 1);
	guard_unseal(span_from(sealed), &w);
	back[w.len] = '\0';
	return back;
}

static void a_registrar_sees_its_own_opaque_or_none(void **state)
{
	static const char *const sealed[] = {
		"Digest realm=\"r\", nonce=\"n\"",
		"Digest realm=\"r\", nonce=\"n\", opaque=\"\"",
		"Digest realm=\"r, opaque=\\\"x\", opaque=\"own\", qop=\"auth,auth-int\"",
		"Digest opaque=\"own\", nonce=\"n\"",
		"Digest opaque=\"own\"",
		/* A quote in the middle of a word. */
		"Digest realm=\"r\", nonce=n\", opaque=\"x\", qop=\"auth\", stale=true",
		"Digest realm=\"r\", nonce=n\", qop=\"auth\", stale=true",
		"Digest realm=\"r\",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,, nonce=\"n\"",
		/* Another box like this one is the registrar. */
		"Digest nonce=\"n\", opaque=\"-n0123456789abcdef01234567\"",
		"Digest nonce=\"n\", opaque=\"x-o0123456789abcdef01234567\", qop=auth",
	};
	static const char *const as_they_are[] = { "Basic realm=\"r\"", "Digest nonce=\"n\", opaque=bare",
		"" };
	static const struct {
		const char *credentials, *unsealed;
	} taken_off[] = {
		{ "Digest opaque=\"-n0123456789abcdef01234567\", nonce=\"n\"", "Digest nonce=\"n\"" },
		{ "Digest nonce=\"n\" , opaque=\"-n0123456789abcdef01234567\" , nc=1",
			"Digest nonce=\"n\" , nc=1" },
		{ "Digest nonce=\"n\", OPAQUE = -n0123456789abcdef01234567, nc=1",
			"Digest nonce=\"n\", nc=1" },
		{ "Digest opaque=\"-n0123456789abcdef01234567\"", "Digest " },
		{ "Digest nonce=\"-n0123456789abcdef01234567\"",
			"Digest nonce=\"-n0123456789abcdef01234567\"" },
		{ "Digest opaque=\"-x0123456789abcdef01234567\"",
			"Digest opaque=\"-x0123456789abcdef01234567\"" },
		{ "Digest opaque=\"-n0123456789ABCDEF01234567\"",
			"Digest opaque=\"-n0123456789ABCDEF01234567\"" },
		{ "Digest ,,,=,opaque", "Digest ,,,=,opaque" },
		{ "Digest opaque=\"unfinished", "Digest opaque=\"unfinished" },
	};
	bool marked;
	char text[256];
	struct writer w;

	(void)state;
	for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		assert_string_equal(sealed_and_back(sealed[i], &marked), sealed[i]);
		assert_true(marked);
	}
	for (size_t i = 0; i < sizeof(as_they_are) / sizeof(as_they_are[0]); i++) {
		assert_string_equal(sealed_and_back(as_they_are[i], &marked), as_they_are[i]);
		assert_false(marked);
	}
	for (size_t i = 0; i < sizeof(taken_off) / sizeof(taken_off[0]); i++) {
		writer_init(&w, text, sizeof(text) - 1);
		guard_unseal(span_from(taken_off[i].credentials), &w);
		text[w.len] = '\0';
		assert_string_equal(text, taken_off[i].unsealed);
	}
}

/* --- what others do in its name ----------------------------------------------------------------------------------------------- */

static void forged_datagrams_silence_and_deny_no_host_and_no_stream(void **state)
{
	struct sip_flow forged = flow_of("198.51.100.7:5060"), phone = flow_of("198.51.100.7:31000"),
			stream = flow_of("198.51.100.7:5060");

	(void)state;
	bed.f->config.guard.unproven_deny_rate = 1000000;
	guard_set_clock(bed.guard, fake_now);
	stream.connection = 7;
	for (unsigned port = 0; port < 200; port++) {
		address_set_port(&forged.remote, (uint16_t)(5060 + port));
		for (enum guard_sign sign = 0; sign < GUARD_SIGN_COUNT; sign++) {
			note(&forged, sign, "100");
			guard_look(bed.guard, &forged,
				scan_of("REGISTER", "101", "User-Agent: friendly-scanner\r\n"));
			forge_guess(&forged, "102");
			guard_challenged(bed.guard, &forged, NULL, SPAN("Digest nonce=\"n\""));
		}
		assert_int_equal(bed.last.key.address.port, 5060 + port);
		assert_int_equal(bed.last.flags, DP_BAN_DATAGRAMS);
		assert_false(bed.proven);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
		assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_PASS);
		assert_int_equal(look(&stream, "REGISTER", "100"), GUARD_PASS);
		assert_int_equal(look(&stream, "OPTIONS", "100"), GUARD_PASS);
		guard_challenged(bed.guard, &stream, NULL, SPAN("Digest nonce=\"n\""));
	}
	/* The first sign of its own is its first. */
	assert_int_equal(note(&stream, GUARD_NO_DIALOG, "100"), GUARD_PASS);
}

static void who_answers_his_challenge_is_heard_although_others_forge_his_very_flow(void **state)
{
	struct sip_flow phone = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		note(&phone, GUARD_NO_DIALOG, "100");
	assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_SILENT);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	assert_int_equal(guess(&phone, "100"), GUARD_PASS);
}

static void what_is_said_into_the_silence_of_others_does_not_count(void **state)
{
	struct sip_flow bad = flow_of("198.51.100.7:40000"), good = flow_of("198.51.100.7:41000");

	(void)state;
	bad.connection = good.connection = 7;
	for (unsigned i = 0; i < 6; i++)
		note(&bad, GUARD_NO_DIALOG, "");
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(look(&good, "OPTIONS", "100"), GUARD_SILENT);
	assert_int_equal(bed.denials, 0);
	now_ms += 60000;
	assert_int_equal(look(&good, "OPTIONS", "100"), GUARD_PASS);
}

static void each_flow_of_a_silenced_source_may_try_whoever_tried_before(void **state)
{
	struct sip_flow bad = flow_of("198.51.100.7:40000"), forged = flow_of("198.51.100.7:5060"),
			phone = flow_of("198.51.100.7:5062");

	(void)state;
	bad.connection = 7;
	for (unsigned i = 0; i < 9; i++)
		note(&bad, GUARD_NO_DIALOG, "");
	for (unsigned i = 0; i < 100; i++)
		look(&forged, "REGISTER", "100");
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_SILENT);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	now_ms += 5000;
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
}

/* --- challenges ----------------------------------------------------------------------------------------------------------- */

static void a_made_up_challenge_looks_like_the_registrars(void **state)
{
	static const char real[] = "Digest realm=\"pbx\", nonce=\"1700000000/0123456789abcdef\", "
				   "opaque=\"x\", algorithm=MD5, qop=\"auth\"";
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	struct config_session_agent agent = { .realm = &bed.f->realm };
	char text[2][512];
	struct writer w;

	(void)state;
	bed.f->config.session_agents = &agent;
	bed.f->config.session_agents_count = 1;
	guard_free(bed.guard);
	bed.guard = guard_new(&bed.f->config, bed.location, take_denial, &bed);
	writer_init(&w, text[0], sizeof(text[0]));
	guard_challenge_like(bed.guard, &agent, &w);
	assert_true(span_starts_case(writer_result(&w), SPAN("Digest realm=\"")));
	guard_challenged(bed.guard, &flow, &agent, SPAN(real));
	for (unsigned i = 0; i < 2; i++) {
		memset(text[i], 0, sizeof(text[i]));
		writer_init(&w, text[i], sizeof(text[i]));
		guard_challenge_like(bed.guard, &agent, &w);
		assert_int_equal(w.len, strlen(real));
		assert_memory_equal(text[i], real, strlen("Digest realm=\"pbx\", nonce=\""));
		assert_non_null(strstr(text[i], "\", opaque=\"x\", algorithm=MD5, qop=\"auth\""));
		assert_null(strstr(text[i], "0123456789abcdef"));
	}
	assert_string_not_equal(text[0], text[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_answers_a_challenge_has_received_it),
		T(a_seal_is_good_where_it_went_and_for_a_while),
		T(a_registrar_sees_its_own_opaque_or_none),
		T(forged_datagrams_silence_and_deny_no_host_and_no_stream),
		T(who_answers_his_challenge_is_heard_although_others_forge_his_very_flow),
		T(what_is_said_into_the_silence_of_others_does_not_count),
		T(each_flow_of_a_silenced_source_may_try_whoever_tried_before),
		T(a_made_up_challenge_looks_like_the_registrars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
