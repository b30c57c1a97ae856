/* SPDX-License-Identifier: BSD-3-Clause */
/* Random bytes and tokens: not their quality, which is the kernel's, but that none is given out twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/random.h"

static int compare_u64(const void *a, const void *b)
{
	uint64_t x;
	uint64_t y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void values_do_not_repeat(void **state)
{
	enum { N = 10000 };
	static uint64_t values[N];

	(void)state;
	for (int i = 0; i < N; i++)
		values[i] = random_u64();
	qsort(values, N, sizeof(values[0]), compare_u64);
	for (int i = 1; i < N; i++)
		assert_true(values[i] != values[i - 1]);
}

static void every_size_is_filled_and_not_more(void **state)
{
	static uint8_t buffer[3000];
	static uint8_t touched[3000];

	(void)state;
	for (size_t n = 0; n < sizeof(buffer) - 1; n = n < 300 ? n + 1 : n * 2) {
		memset(touched, 0, sizeof(touched));
		/* A byte that stays zero in 32 draws has not been written: chance 2^-256. */
		for (int round = 0; round < 32; round++) {
			memset(buffer, 0, sizeof(buffer));
			random_bytes(buffer, n);
			for (size_t i = 0; i < sizeof(buffer); i++)
				touched[i] |= buffer[i];
		}
		for (size_t i = 0; i < sizeof(buffer); i++)
			assert_true((touched[i] != 0) == (i < n));
	}
}

static void tokens_use_their_whole_alphabet_only(void **state)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";
	unsigned used = 0;
	char token[1025];

	(void)state;
	memset(token, '#', sizeof(token));
	random_token(token, 1024);
	assert_int_equal(strlen(token), 1024);
	for (size_t i = 0; i < 1024; i++) {
		const char *at = strchr(alphabet, token[i]);

		assert_non_null(at);
		used |= 1u << (at - alphabet);
	}
	assert_int_equal(used, UINT32_MAX);
	random_token(token, 0);
	assert_int_equal(token[0], '\0');
}

static void a_forked_child_gets_other_bytes(void **state)
{
	uint64_t ours;
	uint64_t theirs;
	int ends[2];
	pid_t child;
	int status;

	(void)state;
	random_u64(); /* the pool is filled now, and would be inherited */
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		theirs = random_u64();
		_exit(write(ends[1], &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
	}
	ours = random_u64();
	assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(ours != theirs);
	close(ends[0]);
	close(ends[1]);
}

static void *draw(void *arg)
{
	uint64_t *values = arg;

	for (int i = 0; i < 1000; i++)
		values[i] = random_u64();
	return NULL;
}

static void threads_do_not_share_bytes(void **state)
{
	static uint64_t values[4000];
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, values + (ptrdiff_t)i * 1000), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	qsort(values, 4000, sizeof(values[0]), compare_u64);
	for (int i = 1; i < 4000; i++)
		assert_true(values[i] != values[i - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_do_not_repeat),
		cmocka_unit_test(every_size_is_filled_and_not_more),
		cmocka_unit_test(tokens_use_their_whole_alphabet_only),
		cmocka_unit_test(a_forked_child_gets_other_bytes),
		cmocka_unit_test(threads_do_not_share_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
