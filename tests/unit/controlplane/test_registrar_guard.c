/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guard is told of a REGISTER, and what its sender may learn from the answer. */
#include "tests/unit/controlplane/registrar_check.h"

#include "controlplane/guard.h"

static void take_denial(void *arg, const struct dp_ban *ban, bool proven)
{
	(void)arg, (void)ban, (void)proven;
}

static int guarded_setup(void **state)
{
	struct call_world *w = register_world_new();

	w->f->config.guard = (struct config_guard){ .failures_per_minute = 10,
		.deny_time = 600,
		.deny_time_max = 86400,
		.unproven_deny_time = 60,
		.unproven_deny_rate = 1000,
		.max_tracked = 1024,
		.silent = true };
	w->f->shard.shared.guard = guard_new(&w->f->config, w->f->shard.shared.location, take_denial, NULL);
	assert_non_null(w->f->shard.shared.guard);
	*state = w;
	return 0;
}

static int guarded_teardown(void **state)
{
	struct call_world *w = *state;
	struct guard *guard = w->f->shard.shared.guard;

	register_world_free(w);
	guard_free(guard);
	return 0;
}

/* How often that sign was seen, of those that were seen last. */
static unsigned signs_of(const struct call_world *w, enum guard_sign sign)
{
	struct cp_block reason[32];
	struct prefix everybody;
	unsigned count = 0;
	size_t n;
	bool more;

	assert_int_equal(prefix_parse(SPAN("0.0.0.0/0"), &everybody), 0);
	n = guard_reasons(w->f->shard.shared.guard, &everybody, 0, 32, reason, &more);
	for (size_t i = 0; i < n; i++)
		count += reason[i].counter == (unsigned)sign;
	return count;
}

/* Of the phone's flow. */
static uint32_t points(const struct call_world *w)
{
	struct cp_guard told[8];
	uint64_t next;
	size_t n = guard_list(w->f->shard.shared.guard, 0, 8, told, &next);

	for (size_t i = 0; i < n; i++)
		if (strchr(told[i].source, ':'))
			return told[i].points;
	return 0;
}

static void test_an_unknown_user_is_a_sign_and_looks_like_a_wrong_password(void **state)
{
	static const unsigned told[] = { 403, 404, 410, 480, 604 };
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		registers(w, i + 1, "Contact: " PHONE_CONTACT "\r\n");
		pbx_answers(w, to_pbx(w), told[i], "");
		assert_contains(take(w, &w->f->peer, "SIP/2.0 401 "), "\r\nWWW-Authenticate: Digest ");
		assert_int_equal(signs_of(w, GUARD_UNKNOWN_USER), 1);
		/* It would be silenced otherwise. */
		guard_free(w->f->shard.shared.guard);
		w->f->shard.shared.guard =
			guard_new(&w->f->config, w->f->shard.shared.location, take_denial, NULL);
	}
}

static void test_a_password_that_was_refused_is_a_sign_one_that_came_too_late_is_none(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(signs_of(w, GUARD_BAD_PASSWORD), 0);
	registers(w, 2, ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(signs_of(w, GUARD_BAD_PASSWORD), 1);
	registers(w, 3, ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(
		w, to_pbx(w), 401, "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", stale=true\r\n");
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(signs_of(w, GUARD_BAD_PASSWORD), 1);
	registers(w, 4, ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 403, "");
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(signs_of(w, GUARD_BAD_PASSWORD), 2);
	assert_int_equal(signs_of(w, GUARD_UNKNOWN_USER), 0);
}

static void test_who_gets_in_is_forgiven_by_half(void **state)
{
	struct call_world *w = *state;
	uint32_t before;

	for (unsigned n = 1; n < 4; n++) {
		registers(w, n, ANSWER "Contact: " PHONE_CONTACT "\r\n");
		pbx_answers(w, to_pbx(w), 401, CHALLENGE);
		take(w, &w->f->peer, "SIP/2.0 401 ");
	}
	before = points(w);
	assert_true(before > 0);
	registers(w, 4, ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_in_range(points(w), 0, before / 2 + 1);
}

static void test_who_registers_too_often_shows_a_sign(void **state)
{
	struct call_world *w = *state;

	w->f->config.registration.per_source_rate = 1;
	w->f->shard.shared.register_limits = register_limits_new(&w->f->config);
	for (unsigned n = 1; n < 9; n++)
		registers(w, n, "Contact: " PHONE_CONTACT "\r\n");
	assert_true(was_sent(w, &w->f->peer, "SIP/2.0 503 "));
	assert_true(signs_of(w, GUARD_OVER_RATE) > 0);
}

/* Where it is only watched nobody notices. */
static void test_who_watches_tells_what_the_registrar_has_said(void **state)
{
	struct call_world *w = *state;

	w->f->config.guard.mode = CONFIG_GUARD_WATCH;
	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 404, "");
	take(w, &w->f->peer, "SIP/2.0 404 ");
	assert_int_equal(signs_of(w, GUARD_UNKNOWN_USER), 1);
}

#define GUARDED(f) cmocka_unit_test_setup_teardown(f, guarded_setup, guarded_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED(test_an_unknown_user_is_a_sign_and_looks_like_a_wrong_password),
		GUARDED(test_a_password_that_was_refused_is_a_sign_one_that_came_too_late_is_none),
		GUARDED(test_who_gets_in_is_forgiven_by_half),
		GUARDED(test_who_registers_too_often_shows_a_sign),
		GUARDED(test_who_watches_tells_what_the_registrar_has_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
