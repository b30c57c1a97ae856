/* SPDX-License-Identifier: BSD-3-Clause */
/* What may never be in the lines that hiding writes: marks of the far side's hosts and identifiers, and anything that is no line. Display
 * names and users are what a call is about, digest is between the far ends: these are left out of the search. */
#ifndef TESTS_UNIT_CONTROLPLANE_HIDE_CHECK_H
#define TESTS_UNIT_CONTROLPLANE_HIDE_CHECK_H

#include <stdbool.h>
#include <string.h>

#include "platforms/base/span.h"

#define MARK_HOST    "leak.example"
#define MARK_ADDRESS "10.77.66.55"
#define MARK_CALL_ID "id77@leak.example"

/* Header fields that may be in the output at all, and how they are searched. */
enum hide_check { CHECK_ALL, CHECK_ADDRESS, CHECK_DIGEST };

static const struct {
	const char *name;
	enum hide_check check;
} hide_checked[] = {
	{ "Accept", CHECK_ALL },
	{ "Accept-Contact", CHECK_ALL },
	{ "Accept-Language", CHECK_ALL },
	{ "Alert-Info", CHECK_ALL },
	{ "Answer-Mode", CHECK_ALL },
	{ "Authentication-Info", CHECK_DIGEST },
	{ "Authorization", CHECK_DIGEST },
	{ "Call-Info", CHECK_ALL },
	{ "Content-Disposition", CHECK_ALL },
	{ "Content-Length", CHECK_ALL },
	{ "Content-Type", CHECK_ALL },
	{ "Diversion", CHECK_ADDRESS },
	{ "Expires", CHECK_ALL },
	{ "Feature-Caps", CHECK_ALL },
	{ "History-Info", CHECK_ADDRESS },
	{ "MIME-Version", CHECK_ALL },
	{ "P-Asserted-Identity", CHECK_ADDRESS },
	{ "P-Early-Media", CHECK_ALL },
	{ "P-Preferred-Identity", CHECK_ADDRESS },
	{ "Priority", CHECK_ALL },
	{ "Priv-Answer-Mode", CHECK_ALL },
	{ "Privacy", CHECK_ALL },
	{ "Proxy-Authenticate", CHECK_DIGEST },
	{ "Proxy-Authorization", CHECK_DIGEST },
	{ "Reason", CHECK_ALL },
	{ "Refer-Sub", CHECK_ALL },
	{ "Referred-By", CHECK_ADDRESS },
	{ "Reject-Contact", CHECK_ALL },
	{ "Remote-Party-ID", CHECK_ADDRESS },
	{ "Request-Disposition", CHECK_ALL },
	{ "Resource-Priority", CHECK_ALL },
	{ "Retry-After", CHECK_ALL },
	{ "Session-ID", CHECK_ALL },
	{ "User-to-User", CHECK_ALL },
	{ "WWW-Authenticate", CHECK_DIGEST },
	{ "Warning", CHECK_ALL },
};

static inline bool hide_has_mark(struct span text)
{
	static const char *const marks[] = { MARK_HOST, MARK_ADDRESS, "leak%2e", "id77", "tag77" };

	for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
		size_t n = strlen(marks[m]);

		for (size_t i = 0; i + n <= text.n; i++)
			if (span_equal_case((struct span){ text.p + i, n }, (struct span){ marks[m], n }))
				return true;
	}
	return false;
}

/* The value of an address without its display name and user. */
static inline bool hide_address_has_mark(struct span value)
{
	const char *open = value.n ? memrchr(value.p, '<', value.n) : NULL, *at, *colon;
	struct span inside;

	if (!open)
		return hide_has_mark(value);
	inside = (struct span){ open, (size_t)(value.p + value.n - open) };
	colon = memchr(inside.p, ':', inside.n);
	at = memchr(inside.p, '@', inside.n);
	if (colon && at && colon < at)
		inside = (struct span){ at, (size_t)(value.p + value.n - at) };
	else if (colon && span_starts_case(inside, SPAN("<tel:")))
		return false;
	return hide_has_mark(inside);
}

/* NULL, or what is wrong with these lines. */
static inline const char *hide_complaint(struct span lines)
{
	while (lines.n) {
		const char *end = memmem(lines.p, lines.n, "\r\n", 2);
		struct span line = { lines.p, end ? (size_t)(end - lines.p) : 0 }, value = line, name;
		size_t row = 0;

		if (!end)
			return "no line end";
		lines = (struct span){ end + 2, lines.n - line.n - 2 };
		for (size_t i = 0; i < line.n; i++)
			if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t')
				return "control byte";
		name = span_cut(&value, ':');
		while (row < sizeof(hide_checked) / sizeof(hide_checked[0]) &&
			!span_equal(name, span_from(hide_checked[row].name)))
			row++;
		if (row == sizeof(hide_checked) / sizeof(hide_checked[0]))
			return "a header that is not allowed";
		if (hide_checked[row].check == CHECK_ALL && hide_has_mark(value))
			return "a mark";
		if (hide_checked[row].check == CHECK_ADDRESS && hide_address_has_mark(value))
			return "a mark in an address";
	}
	return NULL;
}

#endif
