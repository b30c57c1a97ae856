/* SPDX-License-Identifier: BSD-3-Clause */
/* The mailbox: nothing is lost, nothing twice, each writer's order is kept, and it is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>

#include "controlplane/mailbox.h"

enum { WRITERS = 4, POSTS = 20000, ENTRIES = 64 };

struct reader {
	uv_loop_t loop;
	struct mailbox *mailbox;
	unsigned ran;
	unsigned next[WRITERS]; /* what each writer must say next */
	unsigned out_of_order;
};

static int setup(void **state)
{
	struct reader *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	assert_int_equal(uv_loop_init(&r->loop), 0);
	assert_int_equal(mailbox_new(&r->loop, r, ENTRIES, &r->mailbox), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct reader *r = *state;

	mailbox_free(r->mailbox);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	free(r);
	return 0;
}

static void run(void *owner, void *arg)
{
	struct reader *r = owner;
	uintptr_t value = (uintptr_t)arg;
	unsigned writer = (unsigned)(value / POSTS), number = (unsigned)(value % POSTS);

	r->ran++;
	if (r->next[writer]++ != number)
		r->out_of_order++;
	if (r->ran == WRITERS * POSTS)
		uv_stop(&r->loop);
}

struct writer_thread {
	uv_thread_t thread;
	struct mailbox *mailbox;
	unsigned index;
};

static void write_all(void *arg)
{
	struct writer_thread *w = arg;

	for (unsigned i = 0; i < POSTS; i++)
		while (mailbox_post(w->mailbox, run, (void *)(uintptr_t)(w->index * POSTS + i)) == -ENOBUFS)
			sched_yield();
}

static void test_all_posts_of_all_writers_arrive_once_and_in_each_writers_order(void **state)
{
	struct reader *r = *state;
	struct writer_thread writers[WRITERS];

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer_thread){ .mailbox = r->mailbox, .index = i };
		assert_int_equal(uv_thread_create(&writers[i].thread, write_all, &writers[i]), 0);
	}
	uv_run(&r->loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < WRITERS; i++)
		uv_thread_join(&writers[i].thread);
	assert_int_equal(r->ran, WRITERS * POSTS);
	assert_int_equal(r->out_of_order, 0);
}

static void test_full_mailbox_refuses_and_takes_again_after_draining(void **state)
{
	struct reader *r = *state;

	for (uintptr_t i = 0; i < ENTRIES; i++)
		assert_int_equal(mailbox_post(r->mailbox, run, (void *)i), 0);
	assert_int_equal(mailbox_post(r->mailbox, run, (void *)(uintptr_t)ENTRIES), -ENOBUFS);
	mailbox_drain(r->mailbox);
	assert_int_equal(r->ran, ENTRIES);
	assert_int_equal(mailbox_post(r->mailbox, run, (void *)(uintptr_t)ENTRIES), 0);
	mailbox_drain(r->mailbox);
	assert_int_equal(r->ran, ENTRIES + 1);
	assert_int_equal(r->out_of_order, 0);
}

static void post_again(void *owner, void *arg)
{
	struct reader *r = owner;

	r->ran++;
	mailbox_post(r->mailbox, post_again, arg);
	if (r->ran == 3)
		uv_stop(&r->loop);
}

static void test_post_from_within_comes_in_the_next_round_by_itself(void **state)
{
	struct reader *r = *state;

	mailbox_post(r->mailbox, post_again, NULL);
	mailbox_drain(r->mailbox);
	assert_int_equal(r->ran, 1);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(r->ran, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_posts_of_all_writers_arrive_once_and_in_each_writers_order),
		TEST(test_full_mailbox_refuses_and_takes_again_after_draining),
		TEST(test_post_from_within_comes_in_the_next_round_by_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
