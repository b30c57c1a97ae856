/* SPDX-License-Identifier: BSD-3-Clause */
/* Regular expressions of the configuration: POSIX extended, without what costs unbounded time or memory.
 * They are matched against text from the network, so back references (exponential to match) are refused, and so are
 * intervals that multiply: the matcher unrolls "(a{99}){99}" into its whole product. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "config/source.h"

enum { INTERVAL_PRODUCT_MAX = 1000 };

/* The larger bound of the interval whose digits begin at *p, which is moved behind them. */
static unsigned interval_bound(const char **p)
{
	unsigned value = 0, largest = 0;

	while (isdigit((unsigned char)**p) || **p == ',') {
		if (**p == ',')
			value = 0;
		else if (value <= INTERVAL_PRODUCT_MAX)
			value = value * 10 + (unsigned)(**p - '0');
		largest = value > largest ? value : largest;
		(*p)++;
	}
	return largest;
}

static const char *skip_bracket(const char *p)
{
	p++;
	if (*p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']') {
		if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
			char kind = p[1];

			for (p += 2; *p && !(*p == kind && p[1] == ']'); p++)
				;
			if (*p)
				p++;
		}
		if (*p)
			p++;
	}
	return *p ? p + 1 : p;
}

static const char *refusal(const char *p)
{
	unsigned product = 1;

	while (*p) {
		if (*p == '\\' && p[1]) {
			if (p[1] >= '1' && p[1] <= '9')
				return "back references are not supported";
			p += 2;
		} else if (*p == '[') {
			p = skip_bracket(p);
		} else if (*p == '{') {
			unsigned bound;

			p++;
			bound = interval_bound(&p);
			product *= bound > 1 ? bound : 1;
			if (product > INTERVAL_PRODUCT_MAX)
				return "its intervals multiply to more than 1000";
		} else {
			p++;
		}
	}
	return NULL;
}

int config_pattern_compile(struct config_load *load, const char *text, regex_t *regex, char *why, size_t size)
{
	const char *refused = refusal(text);
	struct config_pattern *pattern;
	int error;

	if (refused) {
		(void)snprintf(why, size, "%s", refused);
		return -EINVAL;
	}
	pattern = arena_alloc(&load->private->arena, 1, sizeof(*pattern));
	if (!pattern)
		return config_no_memory(load);
	error = regcomp(regex, text, REG_EXTENDED);
	if (error) {
		(void)regerror(error, regex, why, size);
		return error == REG_ESPACE ? config_no_memory(load) : -EINVAL;
	}
	pattern->regex = regex;
	pattern->next = load->private->patterns;
	load->private->patterns = pattern;
	return 0;
}
