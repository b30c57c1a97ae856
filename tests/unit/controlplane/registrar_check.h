/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the registrar's files share: one world for each test, and the last message that was looked at. */
#ifndef TESTS_UNIT_CONTROLPLANE_REGISTRAR_CHECK_H
#define TESTS_UNIT_CONTROLPLANE_REGISTRAR_CHECK_H

#include "tests/unit/controlplane/register_fixture.h"

static char kept[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	*state = register_world_new();
	return 0;
}

static int teardown(void **state)
{
	register_world_free(*state);
	return 0;
}

static inline const char *keep(const char *sent)
{
	snprintf(kept, sizeof(kept), "%s", sent);
	return kept;
}

static inline const char *to_pbx(struct call_world *w)
{
	return keep(take(w, &w->f->other, "REGISTER sip:192.0.2.10:5080 SIP/2.0\r\n"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
