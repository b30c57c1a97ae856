/* SPDX-License-Identifier: BSD-3-Clause */
/* What registrars' challenges look like is known by their names, whatever becomes of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "controlplane/guard_internal.h"
#include "tests/unit/controlplane/move_fixture.h"

#define REGISTRAR(name) "session-agent " name " { realm = test address = \"udp:192.0.2.10:5060\" }\n"
#define LOOK            "Digest realm=\"kamailio\", nonce=\"Zx81Yy\", qop=\"auth\""

static void ignore(void *arg, const struct dp_ban *ban, bool proven)
{
	(void)arg, (void)ban, (void)proven;
}

static bool looks_learnt(struct guard *guard, const struct config_session_agent *agent)
{
	char text[1024];
	struct writer out;

	memset(text, 0, sizeof(text));
	writer_init(&out, text, sizeof(text) - 1);
	guard_challenge_like(guard, agent, &out);
	return strstr(text, "kamailio") != NULL;
}

static void move_to(struct guard *guard, struct move_bed *bed, const char *text)
{
	struct config_move *move = move_begin(bed, text);

	if (text)
		assert_int_equal(guard_prepare(guard, move), 0);
	guard_move(guard, move);
	guard_settle(guard);
	move_end(bed);
}

static void a_look_goes_by_the_name_of_the_registrar(void **state)
{
	struct move_bed bed;
	const struct config_session_agent *gone;
	struct guard *guard;

	(void)state;
	move_open(&bed, MOVE_PLACE REGISTRAR("pbx"));
	guard = guard_new(bed.config, NULL, ignore, NULL);
	guard_forms_learn(guard->forms, &bed.config->session_agents[0], SPAN(LOOK));
	assert_true(looks_learnt(guard, &bed.config->session_agents[0]));
	move_to(guard, &bed, MOVE_PLACE REGISTRAR("first") REGISTRAR("pbx"));
	assert_false(looks_learnt(guard, &bed.config->session_agents[0]));
	assert_true(looks_learnt(guard, &bed.config->session_agents[1]));
	move_to(guard, &bed, NULL);
	assert_true(looks_learnt(guard, &bed.config->session_agents[1]));
	/* Given up: nothing has happened. */
	assert_int_equal(guard_prepare(guard, move_begin(&bed, MOVE_PLACE)), 0);
	guard_abort(guard);
	move_give_up(&bed);
	gone = &bed.config->session_agents[0];
	assert_true(looks_learnt(guard, &bed.config->session_agents[1]));
	/* Of one that is there no more it is our own. */
	(void)move_begin(&bed, MOVE_PLACE REGISTRAR("pbx"));
	assert_int_equal(guard_prepare(guard, bed.move), 0);
	guard_move(guard, bed.move);
	assert_false(looks_learnt(guard, gone));
	guard_settle(guard);
	move_end(&bed);
	assert_true(looks_learnt(guard, &bed.config->session_agents[0]));
	guard_free(guard);
	move_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_look_goes_by_the_name_of_the_registrar) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
