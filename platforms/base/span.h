/* SPDX-License-Identifier: BSD-3-Clause */
/* Wire text as pointer + length, never NUL-terminated; and the bounded writer that builds it. */
#ifndef PLATFORMS_BASE_SPAN_H
#define PLATFORMS_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })
#define SPAN_FMT(s)   (int)(s).n, (s).p /* for "%.*s" */

/* Borrow a C string; NULL gives the empty span. */
struct span span_from(const char *text);
bool span_equal(struct span a, struct span b);
/* ASCII case is ignored, as RFC 3261 section 7.3.1 asks for names and tokens. */
bool span_equal_case(struct span a, struct span b);
bool span_starts_case(struct span s, struct span prefix);
/* Without leading and trailing SP, HTAB, CR and LF. */
struct span span_trim(struct span s);
/* Decimal digits only, at least one, the whole span, value <= max. 0, or -EINVAL / -ERANGE. */
int span_to_uint(struct span s, uint64_t max, uint64_t *value);
/* Cuts *rest at the first `separator`: returns what is before it and leaves what follows in *rest
 * (an empty span with p == NULL when there was no separator). */
struct span span_cut(struct span *rest, char separator);
/* Heap copy with a NUL behind it for use by C interfaces; NULL without memory. Caller frees. */
char *span_dup(struct span s);

/* Appends to a caller's buffer. Never writes past it: a piece that does not fit is left out whole, and so is
 * everything after it; `overflow` tells. writer_format needs one byte more than its text. No NUL is added. */
struct writer {
	char *buffer;
	size_t size;
	size_t len;
	bool overflow;
};

void writer_init(struct writer *w, void *buffer, size_t size);
void writer_span(struct writer *w, struct span s);
void writer_text(struct writer *w, const char *text);
void writer_char(struct writer *w, char c);
void writer_uint(struct writer *w, uint64_t value);
void writer_format(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What has been written; borrowed from the buffer. */
struct span writer_result(const struct writer *w);

#endif
