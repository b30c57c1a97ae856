/* SPDX-License-Identifier: BSD-3-Clause */
/* Text as pointer + length: compare, cut, convert; and the bounded writer. */
#include "platforms/base/span.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not tolower(3): the locale must not decide what a SIP token is. */
static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return (u >= 'A' && u <= 'Z') ? (unsigned char)(u | 0x20) : u;
}

struct span span_from(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_equal_case(struct span a, struct span b)
{
	return a.n == b.n && span_starts_case(a, b);
}

bool span_starts_case(struct span s, struct span prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (lower(s.p[i]) != lower(prefix.p[i]))
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

int span_to_uint(struct span s, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	bool over = false;

	if (s.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9)
			return -EINVAL;
		/* All digits are looked at before the range is judged: "99x" is no number at all. */
		if (!over && (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v)))
			over = true;
	}
	if (over || v > max)
		return -ERANGE;
	*value = v;
	return 0;
}

struct span span_cut(struct span *rest, char separator)
{
	const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
	struct span head = *rest;

	if (!at) {
		*rest = (struct span){ NULL, 0 };
		return head;
	}
	head.n = (size_t)(at - rest->p);
	rest->p = at + 1;
	rest->n -= head.n + 1;
	return head;
}

char *span_dup(struct span s)
{
	char *copy = malloc(s.n + 1);

	if (!copy)
		return NULL;
	if (s.n)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

void writer_init(struct writer *w, void *buffer, size_t size)
{
	*w = (struct writer){ .buffer = buffer, .size = size };
}

void writer_span(struct writer *w, struct span s)
{
	/* After an overflow nothing more is appended, or a short piece would land behind the gap. */
	if (w->overflow || s.n > w->size - w->len) {
		w->overflow = true;
		return;
	}
	if (s.n)
		memcpy(w->buffer + w->len, s.p, s.n);
	w->len += s.n;
}

void writer_text(struct writer *w, const char *text)
{
	writer_span(w, span_from(text));
}

void writer_char(struct writer *w, char c)
{
	writer_span(w, (struct span){ &c, 1 });
}

void writer_uint(struct writer *w, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	writer_span(w, (struct span){ digits + at, sizeof(digits) - at });
}

void writer_format(struct writer *w, const char *format, ...)
{
	size_t room = w->size - w->len;
	va_list args;
	int n;

	/* No room at all may also mean no buffer, and NULL is not to be counted from. */
	if (w->overflow || room == 0) {
		w->overflow = true;
		return;
	}
	va_start(args, format);
	n = vsnprintf(w->buffer + w->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		w->overflow = true;
		return;
	}
	w->len += (size_t)n;
}

struct span writer_result(const struct writer *w)
{
	return (struct span){ w->buffer, w->len };
}
