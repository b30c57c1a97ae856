/* SPDX-License-Identifier: BSD-3-Clause */
/* Command words: abbreviation, the nearest known word, arguments. */
#include "mgmt/command.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { NEAREST_WORD_MAX = 32 };

/* The index-th word of a row; an empty span behind the last one. */
static struct span row_word(const char *words, size_t index)
{
	struct span rest = span_from(words);

	while (rest.n > 0) {
		struct span word = span_cut(&rest, ' ');

		if (index-- == 0)
			return word;
	}
	return (struct span){ NULL, 0 };
}

static size_t row_word_count(const char *words)
{
	size_t n = 0;

	while (row_word(words, n).n > 0)
		n++;
	return n;
}

static bool is_beginning(struct span beginning, struct span word)
{
	return beginning.n > 0 && beginning.n <= word.n && memcmp(beginning.p, word.p, beginning.n) == 0;
}

/* Does the index-th word of `row` fit what was typed? A whole word shadows longer ones it begins ("call", "calls"). */
static bool word_fits(
	const struct command *table, const struct command *row, const struct span *typed, size_t index)
{
	struct span word = row_word(row->words, index);

	if (!is_beginning(typed[index], word))
		return false;
	if (word.n == typed[index].n)
		return true;
	for (const struct command *other = table; other->words != NULL; other++) {
		bool siblings = true;

		for (size_t i = 0; i < index && siblings; i++)
			siblings = span_equal(row_word(other->words, i), row_word(row->words, i));
		if (siblings && span_equal(row_word(other->words, index), typed[index]))
			return false;
	}
	return true;
}

/* Do the row's first `count` words, or all it has, fit? */
static bool row_fits(
	const struct command *table, const struct command *row, const struct span *typed, size_t count)
{
	size_t words = row_word_count(row->words);

	for (size_t i = 0; i < count && i < words; i++)
		if (!word_fits(table, row, typed, i))
			return false;
	return true;
}

/* Edits (insertion, deletion, exchange of a letter) between two words; both at most NEAREST_WORD_MAX long. */
static size_t word_distance(struct span a, struct span b)
{
	size_t row[NEAREST_WORD_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			bool same = tolower((unsigned char)a.p[i - 1]) == tolower((unsigned char)b.p[j - 1]);
			size_t best = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.n];
}

struct nearest {
	struct span typed, best;
	size_t distance;
};

static void nearest_try(void *arg, struct span word, bool argument, const char *help)
{
	struct nearest *nearest = arg;

	(void)help;
	if (argument || word.n > NEAREST_WORD_MAX || nearest->typed.n > NEAREST_WORD_MAX)
		return;

	size_t distance = word_distance(nearest->typed, word);

	if (distance < nearest->distance) {
		nearest->distance = distance;
		nearest->best = word;
	}
}

void command_next(const struct command *table, enum config_role role, const struct span *words, size_t count,
	void (*each)(void *arg, struct span word, bool argument, const char *help), void *arg)
{
	for (const struct command *row = table; row->words != NULL; row++) {
		size_t row_words = row_word_count(row->words);
		bool seen = false;

		if (row->role > role || !row_fits(table, row, words, count))
			continue;
		if (count >= row_words) {
			struct span argument = row_word(row->arguments, count - row_words);

			if (argument.n == 0 && row->options != NULL)
				argument = span_from(row->options);
			if (argument.n > 0)
				each(arg, argument, true, row->help);
			continue;
		}
		for (const struct command *before = table; before < row && !seen; before++)
			seen = before->role <= role && row_fits(table, before, words, count) &&
			       span_equal(row_word(before->words, count), row_word(row->words, count));
		if (!seen)
			each(arg, row_word(row->words, count), false, row->help);
	}
}

static void list_next(void *arg, struct span word, bool argument, const char *help)
{
	writer_format(arg, argument ? "\n  %.*s" : "\n  %-12.*s %s", SPAN_FMT(word), help);
}

void command_quote(struct writer *out, struct span word)
{
	writer_char(out, '"');
	for (size_t i = 0; i < word.n && i < NEAREST_WORD_MAX; i++) {
		char c = word.p[i];

		writer_char(out, c > 0x20 && c < 0x7f ? c : '?');
	}
	writer_text(out, word.n > NEAREST_WORD_MAX ? "...\"" : "\"");
}

static int refuse_word(
	const struct command *table, const struct span *words, size_t index, struct writer *error)
{
	struct nearest nearest = { .typed = words[index], .distance = 1 + words[index].n / 3 + 1 };

	command_next(table, CONFIG_ROLE_ADMIN, words, index, nearest_try, &nearest);
	writer_text(error, "unknown word ");
	command_quote(error, words[index]);
	if (nearest.best.n > 0)
		writer_format(error, ": did you mean \"%.*s\"?", SPAN_FMT(nearest.best));
	else
		writer_text(error, "; possible here:");
	if (nearest.best.n == 0)
		command_next(table, CONFIG_ROLE_ADMIN, words, index, list_next, error);
	return -EINVAL;
}

static void list_candidate(void *arg, struct span word, bool argument, const char *help)
{
	(void)argument;
	(void)help;
	writer_format(arg, " %.*s", SPAN_FMT(word));
}

struct filter {
	struct span beginning;
	struct writer *out;
};

static void list_beginning(void *arg, struct span word, bool argument, const char *help)
{
	struct filter *filter = arg;

	if (!argument && is_beginning(filter->beginning, word))
		list_candidate(filter->out, word, argument, help);
}

static int refuse_ambiguous(
	const struct command *table, const struct span *words, size_t index, struct writer *error)
{
	struct filter filter = { .beginning = words[index], .out = error };

	command_quote(error, words[index]);
	writer_text(error, " may be:");
	command_next(table, CONFIG_ROLE_ADMIN, words, index, list_beginning, &filter);
	return -EINVAL;
}

static bool any_number(const struct command *row)
{
	size_t n = row->options != NULL ? strlen(row->options) : 0;

	return n > 3 && memcmp(row->options + n - 3, "...", 3) == 0;
}

static int match_arguments(const struct command *row, const struct span *words, size_t count,
	struct command_match *match, struct writer *error)
{
	size_t named = row_word_count(row->words), wanted = row_word_count(row->arguments);
	size_t optional = row->options != NULL ? row_word_count(row->options) : 0;

	if (count - named < wanted) {
		writer_text(error, "missing ");
		writer_span(error, row_word(row->arguments, count - named));
		writer_text(error, ": ");
		command_usage(row, error);
		return -EINVAL;
	}
	if (count - named > wanted + optional && !any_number(row)) {
		command_quote(error, words[named + wanted + optional]);
		writer_text(error, " is too much: ");
		command_usage(row, error);
		return -EINVAL;
	}
	match->command = row;
	match->arguments = count - named;
	for (size_t i = 0; i < match->arguments; i++)
		match->argument[i] = words[named + i];
	return 0;
}

int command_parse(const struct command *table, const struct span *words, size_t count,
	struct command_match *match, struct writer *error)
{
	*match = (struct command_match){ .command = NULL };
	for (size_t i = 0; i < count; i++) {
		const struct command *first = NULL;
		bool ambiguous = false;

		for (const struct command *row = table; row->words != NULL; row++) {
			if (!row_fits(table, row, words, i + 1))
				continue;
			if (first == NULL)
				first = row;
			else if (!span_equal(row_word(row->words, i), row_word(first->words, i)))
				ambiguous = true;
		}
		if (first == NULL)
			return refuse_word(table, words, i, error);
		if (ambiguous)
			return refuse_ambiguous(table, words, i, error);
		if (row_word_count(first->words) <= i + 1)
			return match_arguments(first, words, count, match, error);
	}
	writer_text(error, "more words are needed:");
	command_next(table, CONFIG_ROLE_ADMIN, words, count, list_next, error);
	return -EINVAL;
}

void command_usage(const struct command *command, struct writer *out)
{
	writer_text(out, command->words);
	if (command->arguments[0] != '\0')
		writer_format(out, " %s", command->arguments);
	if (command->options != NULL)
		writer_format(out, " %s", command->options);
}
