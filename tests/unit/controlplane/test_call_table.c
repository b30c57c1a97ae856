/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of a shard a page at a time, while some of them end and others begin. */
#include "tests/unit/controlplane/one_call_fixture.h"

enum { CALLS = 30, PAGE = 5, LISTS = 12 };

static void end_call(struct call_world *w, uint64_t id)
{
	struct call *call = call_first(&w->f->shard);

	while (call && call->id != id)
		call = call->next;
	if (call)
		call_free(call);
}

/* Of one list: each call that is there all the time once, by ascending number. */
static void each_call_is_listed_once_whatever_ends_in_between(void **state)
{
	struct call_world *w = *state;
	struct cp_call page[PAGE];
	uint64_t after = 0, seen = 0;
	bool more = true;

	answer_calls(w, CALLS, invite);
	while (more) {
		size_t count = call_list(&w->f->shard, after, page, PAGE, &more);

		for (size_t i = 0; i < count; i++) {
			assert_true(page[i].call > after);
			after = page[i].call;
			seen |= (uint64_t)1 << after;
		}
		if (after == PAGE) { /* the last one of the page, and two of the next */
			end_call(w, after);
			end_call(w, after + 1);
			end_call(w, after + 3);
		}
	}
	assert_int_equal(after, CALLS);
	assert_int_equal(__builtin_popcountll(seen), CALLS - 2);
	assert_int_equal(seen & (1u << (PAGE + 1) | 1u << (PAGE + 3)), 0);
}

static void more_lists_at_one_time_than_are_remembered_are_right_all_the_same(void **state)
{
	struct call_world *w = *state;
	struct cp_call page[PAGE];
	uint64_t after[LISTS] = { 0 };
	bool more;

	answer_calls(w, CALLS, invite);
	/* Each begins one call behind the one before it. */
	for (unsigned i = 0; i < LISTS; i++)
		after[i] = i;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < LISTS; i++) {
			assert_int_equal(call_list(&w->f->shard, after[i], page, PAGE, &more), PAGE);
			assert_int_equal(page[0].call, after[i] + 1);
			after[i] = page[PAGE - 1].call;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			each_call_is_listed_once_whatever_ends_in_between, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_lists_at_one_time_than_are_remembered_are_right_all_the_same, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
