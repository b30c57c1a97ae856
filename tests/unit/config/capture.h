/* SPDX-License-Identifier: BSD-3-Clause */
/* A reporter that keeps the lines of a load, for the configuration's tests. */
#ifndef TESTS_CONFIG_CAPTURE_H
#define TESTS_CONFIG_CAPTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config/model.h"

struct capture {
	char text[65536]; /* "E: line\n" or "W: line\n" each */
	size_t length;
};

static inline void capture_report(void *arg, bool is_error, const char *line)
{
	struct capture *c = arg;
	int n = snprintf(
		c->text + c->length, sizeof(c->text) - c->length, "%s: %s\n", is_error ? "E" : "W", line);

	assert_true(n > 0 && (size_t)n < sizeof(c->text) - c->length);
	assert_null(strchr(line, '\n'));
	c->length += (size_t)n;
}

static inline int capture_load(struct capture *c, const char *text, bool commit, struct config **out)
{
	struct config_reporter reporter = { capture_report, c };

	c->length = 0;
	c->text[0] = '\0';
	*out = NULL;
	return config_load_text("f", text, strlen(text), commit, &reporter, out);
}

/* Loads what must be valid without a word. */
static inline struct config *capture_valid(const char *text)
{
	static struct capture c;
	struct config *config;
	int error = capture_load(&c, text, false, &config);

	assert_string_equal(c.text, "");
	assert_int_equal(error, 0);
	assert_non_null(config);
	return config;
}

#define BASE                                                                             \
	"network-interface out { port = \"xdp:eth1\" addresses = {\"192.0.2.1/24\"} }\n" \
	"realm r { network-interface = out }\n"

#endif
