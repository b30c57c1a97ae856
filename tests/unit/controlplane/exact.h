/* SPDX-License-Identifier: BSD-3-Clause */
/* Input at its exact size on the heap, so that a sanitizer sees any read beyond it; and what was cut out of it. */
#ifndef TESTS_UNIT_CONTROLPLANE_EXACT_H
#define TESTS_UNIT_CONTROLPLANE_EXACT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "platforms/base/span.h"

static char *exact;

/* The copy lasts until the next, or the test's teardown. */
static inline struct span exact_copy(const char *bytes, size_t n)
{
	free(exact);
	exact = malloc(n ? n : 1);
	assert_non_null(exact);
	memcpy(exact, bytes, n);
	return (struct span){ exact, n };
}

static inline int exact_teardown(void **state)
{
	(void)state;
	free(exact);
	exact = NULL;
	return 0;
}

static inline void assert_span(struct span span, const char *text)
{
	if (!span_equal(span, span_from(text)))
		fail_msg("got '%.*s', want '%s'", SPAN_FMT(span), text);
}

#endif
