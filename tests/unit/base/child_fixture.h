/* SPDX-License-Identifier: BSD-3-Clause */
/* What changes the process for good is tested in a child. */
#ifndef TESTS_UNIT_BASE_CHILD_FIXTURE_H
#define TESTS_UNIT_BASE_CHILD_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Runs `body` in a child; its result is the exit status. */
static inline int in_child(int (*body)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
