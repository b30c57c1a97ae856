/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading is repeated with each of its allocations failing in turn: it must end with -ENOMEM, say so, and leak nothing
 * (the address sanitizer's build sees to that). Linked with --wrap=malloc,--wrap=calloc: only our own calls fail. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/config/capture.h"

static size_t allocations, failing; /* the failing one; 0: none */

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);

void *__wrap_malloc(size_t n)
{
	return ++allocations == failing ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return ++allocations == failing ? NULL : __real_calloc(count, n);
}

static void each_allocation_may_fail(const char *text, int expected)
{
	static struct capture c;
	struct config *config;
	int error = -ENOMEM;
	size_t refused = 0;

	for (size_t n = 1; n < 100000; n++) {
		allocations = 0;
		failing = n;
		error = capture_load(&c, text, false, &config);
		failing = 0;
		if (allocations < n)
			break;
		if (error == 0) { /* the copy of a warning failed: it is said at once, and the load goes on */
			assert_non_null(config);
			assert_null(strstr(c.text, "E: "));
			config_free(config);
			continue;
		}
		assert_int_equal(error, -ENOMEM);
		assert_null(config);
		assert_non_null(strstr(c.text, "out of memory"));
		refused++;
	}
	assert_int_equal(error, expected);
	assert_true(refused > 1000);
	config_free(config);
}

static void a_valid_file_survives_every_failing_allocation(void **state)
{
	char text[8192];
	FILE *file = fopen("tests/unit/config/data/contract.conf", "r");
	size_t n;

	(void)state;
	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[n] = '\0';
	each_allocation_may_fail(text, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valid_file_survives_every_failing_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
