/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission: first rule that matches, counts of each user alone, and nothing left when calls have ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/admission.h"
#include "tests/unit/controlplane/move_fixture.h"

static struct {
	struct config config;
	struct config_local_policy policy, other;
	struct config_admission rule[3];
	struct admission *admission;
} bed;
static uint64_t now_ms;

static uint64_t fake_now(void)
{
	return now_ms;
}

static void rule(unsigned n, const char *match, struct config_admission values)
{
	bed.rule[n] = values;
	bed.rule[n].local_policy = &bed.policy;
	bed.rule[n].match = (char *)(uintptr_t)match;
	assert_int_equal(regcomp(&bed.rule[n].match_regex, match, REG_EXTENDED | REG_NOSUB), 0);
	bed.config.admissions_count = n + 1;
}

static int setup(void **state)
{
	(void)state;
	memset(&bed, 0, sizeof(bed));
	now_ms = 1000000;
	bed.config.admissions = bed.rule;
	bed.config.guard.max_tracked = 4;
	bed.admission = admission_new(&bed.config);
	admission_set_clock(bed.admission, fake_now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	admission_free(bed.admission);
	for (size_t i = 0; i < bed.config.admissions_count; i++)
		regfree(&bed.rule[i].match_regex);
	return 0;
}

static unsigned begin(const char *user, const char *called, struct admission_ticket **ticket)
{
	return admission_begin(bed.admission, &bed.policy, span_from(user), span_from(called), ticket);
}

static void the_first_rule_that_matches_holds(void **state)
{
	struct admission_ticket *ticket;

	(void)state;
	rule(0, "^0049", (struct config_admission){ .permit = true });
	rule(1, "^00", (struct config_admission){ .permit = false });
	assert_int_equal(begin("a", "004930", &ticket), 0);
	assert_non_null(ticket);
	admission_end(ticket);
	assert_int_equal(begin("a", "00882", &ticket), 403);
	assert_null(ticket);
	assert_int_equal(begin("a", "100", &ticket), 0);
	assert_null(ticket);
	assert_int_equal(admission_begin(bed.admission, &bed.other, SPAN("a"), SPAN("00882"), &ticket), 0);
	assert_int_equal(admission_begin(NULL, &bed.policy, SPAN("a"), SPAN("00882"), &ticket), 0);
}

static void calls_at_one_time_are_those_of_each_user(void **state)
{
	struct admission_ticket *a[2], *b, *more;

	(void)state;
	rule(0, "^00", (struct config_admission){ .permit = true, .max_sessions = 2, .max_duration = 60 });
	assert_int_equal(begin("a", "001", &a[0]), 0);
	assert_int_equal(begin("a", "002", &a[1]), 0);
	assert_int_equal(begin("a", "003", &more), 503);
	assert_int_equal(begin("b", "001", &b), 0);
	assert_int_equal(admission_duration(b), 60);
	assert_int_equal(admission_duration(NULL), 0);
	admission_end(a[0]);
	assert_int_equal(begin("a", "003", &more), 0);
	admission_end(more);
	admission_end(a[1]);
	admission_end(b);
	admission_end(NULL);
}

static void calls_have_a_rate_for_each_user(void **state)
{
	struct admission_ticket *ticket;

	(void)state;
	rule(0, "", (struct config_admission){ .permit = true, .max_rate = 2 });
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(begin("a", "1", &ticket), 0);
		admission_end(ticket);
	}
	assert_int_equal(begin("a", "1", &ticket), 503);
	assert_int_equal(begin("b", "1", &ticket), 0);
	admission_end(ticket);
	now_ms += 500;
	assert_int_equal(begin("a", "1", &ticket), 0);
	admission_end(ticket);
}

static void destinations_never_called_before_have_a_limit(void **state)
{
	struct admission_ticket *ticket;
	static const char *const known[] = { "0049301", "0044207" };

	(void)state;
	rule(0, "^00", (struct config_admission){ .permit = true, .max_unusual = 2 });
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(begin("a", known[i], &ticket), 0);
		admission_end(ticket);
	}
	assert_int_equal(begin("a", "0088213", &ticket), 403);
	/* Another number of where he has called before. */
	assert_int_equal(begin("a", "00493099", &ticket), 0);
	admission_end(ticket);
	now_ms += 3600000;
	assert_int_equal(begin("a", "0088213", &ticket), 0);
	admission_end(ticket);
}

static void who_has_a_call_is_not_forgotten_and_others_give_way(void **state)
{
	struct admission_ticket *held, *ticket;
	char user[16];

	(void)state;
	rule(0, "", (struct config_admission){ .permit = true, .max_sessions = 1 });
	assert_int_equal(begin("busy", "1", &held), 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "u%u", i);
		assert_int_equal(begin(user, "1", &ticket), 0);
		admission_end(ticket);
	}
	assert_int_equal(begin("busy", "1", &ticket), 503);
	admission_end(held);
	assert_int_equal(begin("busy", "1", &ticket), 0);
	admission_end(ticket);
}

static void a_ticket_may_outlive_the_table(void **state)
{
	struct admission_ticket *ticket;

	(void)state;
	rule(0, "", (struct config_admission){ .permit = true });
	assert_int_equal(begin("a", "1", &ticket), 0);
	admission_free(bed.admission);
	bed.admission = NULL;
	admission_end(ticket);
}

#define RULES(before, sessions)                                                                          \
	MOVE_PLACE "session-agent pbx { realm = test address = \"udp:192.0.2.10:5060\" }\n"              \
		   "local-policy out { to = \".*\" next-hop = \"agent:pbx\" }\n" before                  \
		   "admission abroad { local-policy = out match = \"^00\" max-duration = " sessions "0 " \
		   "max-sessions = " sessions " }\n"

static void calls_count_under_the_rule_of_the_same_name(void **state)
{
	struct admission_ticket *first, *second;
	struct move_bed move;
	unsigned duration;

	(void)state;
	move_open(&move, RULES("", "1"));
	admission_free(bed.admission);
	bed.admission = admission_new(move.config);
#define BEGIN(ticket) \
	admission_begin(bed.admission, &move.config->local_policies[0], SPAN("a"), SPAN("0049"), ticket)
	assert_int_equal(BEGIN(&first), 0);
	duration = admission_duration(first);
	assert_int_equal(BEGIN(&second), 503);
	/* Another rule comes before it. */
	admission_move(bed.admission,
		move_begin(&move, RULES("admission none { local-policy = out match = \"^99\" }\n", "1")));
	move_end(&move);
	assert_int_equal(BEGIN(&second), 503);
	admission_move(bed.admission, move_begin(&move, RULES("", "2")));
	move_end(&move);
	assert_int_equal(BEGIN(&second), 0);
	assert_int_equal(admission_duration(first), duration);
	assert_int_equal(admission_duration(second), 20);
	/* The rule is gone, the calls end. */
	admission_move(bed.admission, move_begin(&move, MOVE_PLACE));
	move_end(&move);
	admission_end(first);
	admission_end(second);
	admission_free(bed.admission);
	move_close(&move);
	bed.admission = NULL;
#undef BEGIN
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_first_rule_that_matches_holds),
		T(calls_at_one_time_are_those_of_each_user),
		T(calls_have_a_rate_for_each_user),
		T(destinations_never_called_before_have_a_limit),
		T(who_has_a_call_is_not_forgotten_and_others_give_way),
		T(a_ticket_may_outlive_the_table),
		T(calls_count_under_the_rule_of_the_same_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
