/* SPDX-License-Identifier: BSD-3-Clause */
/* Header fields whose values are words of a standard: a value with any other word does not cross, so that none can carry a name. */
#include "controlplane/hide_internal.h"

#include <string.h>

enum { WORDS_MAX = 32 }; /* in one value */

static const struct {
	struct span header;
	const char *const *words;
} vocabularies[] = {
#define WORDS(name, ...)                                          \
	{                                                         \
		{ name, sizeof(name) - 1 }, (const char *const[]) \
		{                                                 \
			__VA_ARGS__, NULL                         \
		}                                                 \
	}
	/* clang-format off */
	WORDS("Answer-Mode", "auto", "manual", "require"), /* RFC 5373 */
	WORDS("P-Early-Media", "supported", "sendrecv", "sendonly", "recvonly", "inactive", "gated"), /* RFC 5009 */
	WORDS("Priority", "non-urgent", "normal", "urgent", "emergency", "psap-callback"), /* RFC 3261, 7090 */
	WORDS("Priv-Answer-Mode", "auto", "manual", "require"),
	WORDS("Refer-Sub", "true", "false"), /* RFC 4488 */
	WORDS("Request-Disposition", "proxy", "redirect", "cancel", "no-cancel", "fork", "no-fork", "recurse", "no-recurse", /* RFC 3841 */
		"parallel", "sequential", "queue", "no-queue"),
/* clang-format on */
#undef WORDS
};

bool hide_is_word(const char *const *words, struct span word)
{
	for (; *words; words++)
		if (span_equal_case(span_from(*words), word))
			return true;
	return false;
}

static const char *const *vocabulary_of(struct span header)
{
	for (size_t i = 0; i < sizeof(vocabularies) / sizeof(vocabularies[0]); i++)
		if (span_equal(vocabularies[i].header, header))
			return vocabularies[i].words;
	return NULL;
}

/* Cuts the next word off a list with commas, semicolons and white space. False at its end. */
static bool word_next(struct span *rest, struct span *word)
{
	static const char separators[] = ",; \t\r\n";
	size_t start = 0, end;

	while (start < rest->n && memchr(separators, rest->p[start], sizeof(separators) - 1))
		start++;
	for (end = start; end < rest->n && !memchr(separators, rest->p[end], sizeof(separators) - 1); end++)
		;
	*word = (struct span){ rest->p + start, end - start };
	*rest = (struct span){ rest->p + end, rest->n - end };
	return word->n > 0;
}

void hide_copy_words(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	const char *const *words = vocabulary_of(name);
	struct span rest = value, word;
	unsigned count = 0;

	(void)way;
	while (word_next(&rest, &word))
		if (!words || ++count > WORDS_MAX || !hide_is_word(words, word))
			return;
	if (!memchr(value.p, '\n', value.n))
		hide_line(name, value, out);
}

static size_t alphanumeric(struct span text)
{
	size_t n = 0;

	while (n < text.n && ((text.p[n] >= '0' && text.p[n] <= '9') ||
				     ((text.p[n] | 0x20) >= 'a' && (text.p[n] | 0x20) <= 'z')))
		n++;
	return n;
}

/* A language of two or three letters, with script and region if need be (RFC 5646): what is longer could be anybody's name. */
static bool is_language(struct span range)
{
	if (span_equal(range, SPAN("*")))
		return true;
	for (unsigned subtags = 0; subtags < 3; subtags++) {
		struct span subtag = span_cut(&range, '-');

		if (subtag.n < 2 || subtag.n > (subtags ? 4U : 3U) || alphanumeric(subtag) != subtag.n)
			return false;
		for (size_t i = 0; subtags == 0 && i < subtag.n; i++)
			if (subtag.p[i] <= '9')
				return false;
		if (!range.p)
			return true;
	}
	return false;
}

/* 0, 1, 0.8, 0.125, 1.000 */
static bool is_quality(struct span q)
{
	if (q.n == 0 || q.n > 5 || (q.p[0] != '0' && q.p[0] != '1') || (q.n > 1 && q.p[1] != '.'))
		return false;
	for (size_t i = 2; i < q.n; i++)
		if (q.p[i] < '0' || q.p[i] > '9')
			return false;
	return true;
}

void hide_copy_languages(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	(void)way;
	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct span range = span_trim(span_cut(&one, ';')), parameter, q;

		if (!is_language(range))
			continue;
		writer_span(out, name);
		writer_text(out, ": ");
		writer_span(out, range);
		if (hide_parameter_next(&one, &parameter, &q) && span_equal_case(parameter, SPAN("q")) &&
			is_quality(q)) {
			writer_text(out, ";q=");
			writer_span(out, q);
		}
		writer_text(out, "\r\n");
	}
}

/* RFC 4412: namespaces of IANA's list, which may be followed by a number of their own ("drsn-000010"), and a short priority. */
void hide_copy_resource(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	static const char *const namespaces[] = { "dsn", "drsn", "q735", "ets", "wps", "esnet", "mcpttp",
		"mcpttq", "cuc", "dcn", "crit-meets", NULL };
	struct span one;

	(void)way;
	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct span priority = one, space = span_cut(&priority, '.'), number = space;
		struct span family = span_cut(&number, '-');
		uint64_t digits;

		if (!hide_is_word(namespaces, space) && (!hide_is_word(namespaces, family) || number.n != 6 ||
								span_to_uint(number, 999999, &digits) < 0))
			continue;
		if (priority.n && priority.n <= 24 && alphanumeric(priority) == priority.n)
			hide_line(name, one, out);
	}
}
