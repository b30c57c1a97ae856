/* SPDX-License-Identifier: BSD-3-Clause */
/* A typed line, taken apart. */
#include "mgmt/line.h"

#include <errno.h>

struct scan {
	struct line *line;
	struct span in;
	size_t at;
	size_t length; /* of line->text */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word, from its first character on. */
static void take_word(struct scan *s)
{
	struct line *line = s->line;
	size_t from = s->length;
	char quote = '\0';

	line->last = s->at;
	for (; s->at < s->in.n; s->at++) {
		char c = s->in.p[s->at];

		if (quote == '\0' && (is_blank(c) || c == '|'))
			break;
		if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
			continue;
		}
		if (c == quote) {
			quote = '\0';
			continue;
		}
		if (quote == '"' && c == '\\' && s->at + 1 < s->in.n &&
			(s->in.p[s->at + 1] == '"' || s->in.p[s->at + 1] == '\\'))
			c = s->in.p[++s->at];
		line->text[s->length++] = c;
	}
	line->quoted = quote != '\0';
	line->words[line->count++] = (struct span){ line->text + from, s->length - from };
}

static int check_octets(struct span text, struct writer *why)
{
	if (text.n >= LINE_TEXT_MAX) {
		writer_format(why, "the line is too long; allowed: %d octets", LINE_TEXT_MAX - 1);
		return -EINVAL;
	}
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c < 0x20 && !is_blank((char)c)) || c == 0x7f) {
			writer_text(why, "there is a control character in the line");
			return -EINVAL;
		}
	}
	return 0;
}

int line_parse(struct line *line, struct span text, struct writer *why)
{
	struct scan s = { .line = line, .in = text };
	bool ended = true; /* by a blank */

	line->count = line->pipes = line->last = 0;
	line->quoted = false;
	if (check_octets(text, why) != 0)
		return -EINVAL;
	while (s.at < text.n) {
		char c = text.p[s.at];

		ended = is_blank(c) || c == '|' || c == '#';
		if (is_blank(c)) {
			s.at++;
		} else if (c == '#') {
			s.at = text.n;
		} else if (c == '|' ? line->pipes == LINE_PIPES_MAX : line->count == MGMT_WORDS_MAX) {
			writer_format(why,
				c == '|' ? "too many \"|\"; allowed: %d" : "too many words; allowed: %d",
				c == '|' ? LINE_PIPES_MAX : MGMT_WORDS_MAX);
			return -EINVAL;
		} else if (c == '|') {
			line->pipe[line->pipes++] = line->count;
			s.at++;
		} else {
			take_word(&s);
		}
	}
	if (ended)
		line->last = text.n;
	if (line->quoted) {
		writer_text(why, "a quote is not closed");
		return -EINVAL;
	}
	return 0;
}

size_t line_command_words(const struct line *line)
{
	return line->pipes > 0 ? line->pipe[0] : line->count;
}
