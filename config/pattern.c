/* SPDX-License-Identifier: BSD-3-Clause */
/* Regular expressions of the configuration: POSIX extended, without what costs unbounded time or memory.
 * They are matched against text from the network, so back references (exponential to match) are refused, and so are
 * intervals that multiply: the matcher writes "(a{99}){99}" out, in memory that grows with the square of the result. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/source.h"

/* Copies the compiler makes for the interval whose digits begin at *p, which is moved behind them. */
static unsigned interval_copies(const char **p)
{
	unsigned value = 0, largest = 0;
	bool open_ended = false;

	while (isdigit((unsigned char)**p) || **p == ',') {
		open_ended = **p == ',';
		if (open_ended)
			value = 0;
		else if (value <= CONFIG_ATOMS_MAX)
			value = value * 10 + (unsigned)(**p - '0');
		largest = value > largest ? value : largest;
		(*p)++;
	}
	return largest + open_ended; /* "a{2,}" is compiled as "aaa*" */
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

/* Atoms of a pattern when its intervals are written out, group by group. */
struct expansion {
	struct {
		size_t atoms, last; /* so far; those an interval would repeat */
	} group[CONFIG_PATTERN_LENGTH_MAX + 1];
	size_t depth, most;
};

static void expansion_add(struct expansion *e, size_t atoms)
{
	e->group[e->depth].last = atoms;
	e->group[e->depth].atoms += atoms;
	if (e->group[e->depth].atoms > e->most)
		e->most = e->group[e->depth].atoms;
}

static void expansion_open(struct expansion *e)
{
	e->depth++;
	e->group[e->depth].atoms = e->group[e->depth].last = 0;
}

static void expansion_close(struct expansion *e)
{
	if (!e->depth)
		return; /* the compiler will say so */
	e->depth--;
	expansion_add(e, e->group[e->depth + 1].atoms + 1);
}

static void expansion_repeat(struct expansion *e, size_t times)
{
	size_t last = e->group[e->depth].last;

	if (times < 2)
		return;
	expansion_add(e, last * (times - 1));
	e->group[e->depth].last = last * times;
}

/* Why it is refused, or NULL and its atoms. */
static const char *refusal(const char *p, size_t *atoms)
{
	struct expansion e = { .depth = 0 };

	while (*p && e.most <= CONFIG_ATOMS_MAX) {
		if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
			return "back references are not supported";
		if (*p == '[') {
			p = skip_bracket(p);
			expansion_add(&e, 1);
		} else if (*p == '{') {
			p++;
			expansion_repeat(&e, interval_copies(&p));
		} else {
			if (*p == '(')
				expansion_open(&e);
			else if (*p == ')')
				expansion_close(&e);
			else if (*p == '+')
				expansion_repeat(&e, 2); /* "a+" is compiled as "aa*", "a++" as twice that */
			else if (!strchr("*?}", *p))
				expansion_add(&e, 1);
			p += *p == '\\' && p[1] ? 2 : 1;
		}
	}
	*atoms = e.most;
	return e.most > CONFIG_ATOMS_MAX ? "its intervals make it too large" : NULL;
}

int config_pattern_compile(struct config_load *load, const char *text, regex_t *regex, char *why, size_t size)
{
	size_t atoms = 0;
	const char *refused = refusal(text, &atoms);
	struct config_pattern *pattern;
	int error;

	if (!refused) {
		load->pattern_cost += atoms * atoms;
		if (load->pattern_cost > CONFIG_PATTERNS_MAX)
			refused = "the patterns of the file are too large together";
	}
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
