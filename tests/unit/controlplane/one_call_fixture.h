/* SPDX-License-Identifier: BSD-3-Clause */
/* One call of a world: the INVITE that its callee got, and how it must end. */
#ifndef TESTS_UNIT_CONTROLPLANE_ONE_CALL_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_ONE_CALL_FIXTURE_H

#include "controlplane/call_state.h"
#include "tests/unit/controlplane/call_fixture.h"

/* Well-formed, but too short for libosip2. */
#define UNREADABLE "Contact: <tel:1>\r\n"

static char invite[FIXTURE_TEXT_MAX];

static inline int setup(void **state)
{
	*state = world_new();
	return 0;
}

static inline int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static inline void assert_over(struct call_world *w)
{
	fake_answer_all();
	assert_int_equal(call_count(&w->f->shard), 0);
	assert_int_equal(fake.request[fake.count - 1].type, DP_SESSION_DELETE);
}

#endif
