/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes of the shell: they work on whole lines. */
#include "mgmt/filter.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/pager.h"

enum { KEPT_MAX = 65536, PATTERN_MAX = 256 };

enum kind { MATCH, EXCEPT, COUNT, JSON, NO_MORE };

const struct filter_kind filter_kinds[] = {
	[MATCH] = { "match", "RE", "only lines that match an extended regular expression" },
	[EXCEPT] = { "except", "RE", "only lines that do not match it" },
	[COUNT] = { "count", NULL, "the number of lines instead of the lines" },
	[JSON] = { "json", NULL, "one JSON document instead of text" },
	[NO_MORE] = { "no-more", NULL, "do not stop when the screen is full" },
	{ NULL, NULL, NULL },
};

struct filter {
	struct {
		enum kind kind;
		regex_t pattern;
		size_t counted;
	} stage[LINE_PIPES_MAX];
	size_t stages, kept;
	bool json;
	struct pager pager;
	char line[KEPT_MAX + 1]; /* what came of the line that is not complete yet */
};

static int compile(regex_t *out, struct span word, struct writer *why)
{
	char pattern[PATTERN_MAX + 1], reason[128];
	int error;

	if (word.n > PATTERN_MAX) {
		writer_format(why, "a pattern has at most %d octets", PATTERN_MAX);
		return -EINVAL;
	}
	memcpy(pattern, word.p, word.n);
	pattern[word.n] = '\0';
	error = regcomp(out, pattern, REG_EXTENDED | REG_NOSUB);
	if (error == 0)
		return 0;
	(void)regerror(error, out, reason, sizeof(reason));
	writer_format(why, "the pattern is wrong: %s", reason);
	return -EINVAL;
}

static void refuse(struct writer *why)
{
	writer_text(why, "after \"|\" comes one of:");
	for (const struct filter_kind *k = filter_kinds; k->word != NULL; k++)
		writer_format(
			why, " %s%s%s", k->word, k->argument ? " " : "", k->argument ? k->argument : "");
}

/* The only row that begins so; -1: none, or several. */
static int find_kind(struct span word)
{
	int found = -1;

	for (int i = 0; filter_kinds[i].word != NULL; i++) {
		struct span name = span_from(filter_kinds[i].word);

		if (word.n == 0 || word.n > name.n || memcmp(word.p, name.p, word.n) != 0)
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

static int add_stage(struct filter *filter, const struct span *words, size_t count, struct writer *why)
{
	int kind = count > 0 ? find_kind(words[0]) : -1;

	if (kind < 0 || count != (filter_kinds[kind].argument ? 2u : 1u)) {
		refuse(why);
		return -EINVAL;
	}
	filter->json = filter->json || kind == JSON;
	if (kind == NO_MORE)
		filter->pager.rows = 0;
	if ((kind == MATCH || kind == EXCEPT) &&
		compile(&filter->stage[filter->stages].pattern, words[1], why) != 0)
		return -EINVAL;
	filter->stage[filter->stages++].kind = (enum kind)kind;
	return 0;
}

int filter_new(const struct line *line, bool page, struct filter **out, struct writer *why)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (filter == NULL)
		return -ENOMEM;
	pager_init(&filter->pager, page);
	for (size_t i = 0; i < line->pipes; i++) {
		size_t first = line->pipe[i];
		size_t end = i + 1 < line->pipes ? line->pipe[i + 1] : line->count;

		if (add_stage(filter, line->words + first, end - first, why) != 0) {
			filter_free(filter);
			return -EINVAL;
		}
	}
	*out = filter;
	return 0;
}

void filter_free(struct filter *filter)
{
	if (filter == NULL)
		return;
	for (size_t i = 0; i < filter->stages; i++)
		if (filter->stage[i].kind == MATCH || filter->stage[i].kind == EXCEPT)
			regfree(&filter->stage[i].pattern);
	free(filter);
}

bool filter_wants_json(const struct filter *filter)
{
	return filter->json;
}

/* A line at the door of a stage. */
static int pass(struct filter *filter, size_t from, const char *line, size_t length)
{
	for (size_t i = from; i < filter->stages; i++) {
		switch (filter->stage[i].kind) {
		case MATCH:
		case EXCEPT:
			if ((regexec(&filter->stage[i].pattern, line, 0, NULL, 0) == 0) !=
				(filter->stage[i].kind == MATCH))
				return 0;
			break;
		case COUNT:
			filter->stage[i].counted++;
			return 0;
		case JSON:
		case NO_MORE:
			break;
		}
	}
	return pager_line(&filter->pager, line, length);
}

static int end_line(struct filter *filter)
{
	size_t length = filter->kept;

	filter->line[length] = '\0';
	filter->kept = 0;
	return pass(filter, 0, filter->line, length);
}

int filter_text(struct filter *filter, const char *text, size_t length)
{
	int err = 0;

	for (size_t i = 0; i < length && err == 0; i++) {
		if (text[i] == '\n') {
			err = end_line(filter);
			continue;
		}
		if (filter->kept == KEPT_MAX) /* a line without end is cut into several */
			err = end_line(filter);
		filter->line[filter->kept++] = text[i];
	}
	if (err == 0 && fflush(stdout) != 0)
		err = -EPIPE;
	return err;
}

int filter_end(struct filter *filter)
{
	int err = filter->kept > 0 ? end_line(filter) : 0;

	for (size_t i = 0; i < filter->stages && err == 0; i++) {
		char number[24];
		int n;

		if (filter->stage[i].kind != COUNT)
			continue;
		n = snprintf(number, sizeof(number), "%zu", filter->stage[i].counted);
		if (n > 0)
			err = pass(filter, i + 1, number, (size_t)n);
	}
	if (err == 0 && fflush(stdout) != 0)
		err = -EPIPE;
	return err;
}
