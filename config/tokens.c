/* SPDX-License-Identifier: BSD-3-Clause */
/* Splits a configuration text into tokens and rewrites each in the one form libConfuse reads without surprises:
 * every word and string in double quotes, no comment, no "${...}" that would expand the environment. */
#include "config/tokens.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void emit(struct tokens *t, char c)
{
	t->out[t->out_length + t->clean_length++] = c;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word_character(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.:/@%-", c));
}

static void skip_line(struct tokens *t)
{
	const char *newline = memchr(t->at, '\n', (size_t)(t->end - t->at));

	t->at = newline ? newline : t->end;
}

static bool at_foreign_comment(const struct tokens *t)
{
	return t->end - t->at >= 2 && t->at[0] == '/' && (t->at[1] == '/' || t->at[1] == '*');
}

static void skip_blanks(struct tokens *t)
{
	while (t->at < t->end) {
		if (*t->at == '#') {
			skip_line(t);
		} else if (at_foreign_comment(t)) {
			config_report(t->load, true, t->line, "a comment begins with #");
			skip_line(t);
		} else if (*t->at == ';') {
			config_report(t->load, true, t->line,
				"\";\" is not needed; settings follow each other without a sign");
			t->at++;
		} else if (is_blank(*t->at)) {
			if (*t->at == '\n') {
				t->line++;
				emit(t, '\n');
			}
			t->at++;
		} else {
			return;
		}
	}
}

size_t config_utf8_length(const char *p, const char *end)
{
	unsigned char lead = (unsigned char)*p;
	size_t n = lead < 0x80                   ? 1
		   : lead >= 0xc2 && lead < 0xe0 ? 2
		   : (lead & 0xf0) == 0xe0       ? 3
		   : lead >= 0xf0 && lead < 0xf5 ? 4
						 : 0;

	if (!n || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* The first fault of a token counts. */
static void fault(struct tokens *t, const char *what)
{
	if (t->fault[0])
		return;
	(void)snprintf(t->fault, sizeof(t->fault), "%s", what);
	t->fault_line = t->line;
}

static void emit_content(struct tokens *t)
{
	size_t n = config_utf8_length(t->at, t->end);
	unsigned char c = (unsigned char)*t->at;

	if (!n || c < 0x20 || c == 0x7f) {
		fault(t, n ? "holds a control character; allowed: text in UTF-8"
			   : "is not UTF-8; allowed: text in UTF-8");
		t->at++;
		return;
	}
	if (c == '$' || c == '"')
		emit(t, '\\');
	for (size_t i = 0; i < n; i++)
		emit(t, *t->at++);
}

/* Behind a backslash in a string. */
static void read_escape(struct tokens *t, char quote)
{
	char text[112] = "has an unknown escape \\?; allowed: \\\\ for a backslash, \\\" for a quote";

	if (t->end - t->at >= 2 && t->at[0] == '\r' && t->at[1] == '\n')
		t->at++;
	if (t->at == t->end)
		return;
	if (*t->at == '\n') { /* the text goes on in the next line */
		emit(t, '\\');
		emit(t, '\n');
		t->line++;
		t->at++;
	} else if (*t->at == '\\') {
		emit(t, '\\');
		emit(t, '\\');
		t->at++;
	} else if (*t->at == quote) {
		emit_content(t);
	} else if (quote == '\'') { /* single quotes keep backslashes */
		emit(t, '\\');
		emit(t, '\\');
	} else {
		text[strlen("has an unknown escape \\")] = isgraph((unsigned char)*t->at) ? *t->at : ' ';
		fault(t, text);
		t->at++;
	}
}

static void read_string(struct tokens *t, char quote)
{
	const char *start = ++t->at;

	t->kind = TOKEN_STRING;
	emit(t, '"');
	while (t->at < t->end && *t->at != quote && *t->at != '\n') {
		if (*t->at == '\\') {
			t->at++;
			read_escape(t, quote);
		} else {
			emit_content(t);
		}
	}
	t->text = (struct span){ start, (size_t)(t->at - start) };
	if (t->at < t->end && *t->at == quote)
		t->at++;
	else
		fault(t, "is not closed: a quote is missing at its end");
	emit(t, '"');
	emit(t, ' ');
}

static bool ends_word(const struct tokens *t)
{
	char c = *t->at;

	return is_blank(c) || (c && strchr("{}=,\"'#;", c)) ||
	       (c == '+' && t->at + 1 < t->end && t->at[1] == '=');
}

static void read_word(struct tokens *t)
{
	const char *start = t->at;
	bool plain = true;

	t->kind = TOKEN_WORD;
	emit(t, '"');
	while (t->at < t->end && !ends_word(t)) {
		plain = plain && is_word_character(*t->at);
		if (plain)
			emit(t, *t->at);
		t->at++;
	}
	t->text = (struct span){ start, (size_t)(t->at - start) };
	emit(t, '"');
	emit(t, ' ');
	if (!plain)
		fault(t, "needs quotes; allowed without: letters, digits, _ . : / @ % -");
}

static void read_mark(struct tokens *t, enum token_kind kind, int length)
{
	t->kind = kind;
	t->text = (struct span){ t->at, (size_t)length };
	while (length--)
		emit(t, *t->at++);
	emit(t, ' ');
}

static void read_token(struct tokens *t)
{
	t->clean_length = 0;
	t->fault[0] = '\0';
	skip_blanks(t);
	t->token_line = t->line;
	if (t->at == t->end) {
		t->kind = TOKEN_END;
		return;
	}
	switch (*t->at) {
	case '{':
		read_mark(t, TOKEN_OPEN, 1);
		break;
	case '}':
		read_mark(t, TOKEN_CLOSE, 1);
		break;
	case '=':
		read_mark(t, TOKEN_ASSIGN, 1);
		break;
	case ',':
		read_mark(t, TOKEN_COMMA, 1);
		break;
	case '"':
	case '\'':
		read_string(t, *t->at);
		break;
	default:
		if (*t->at == '+' && t->end - t->at >= 2 && t->at[1] == '=')
			read_mark(t, TOKEN_ADD, 2);
		else
			read_word(t);
	}
	if (t->text.n > CONFIG_VALUE_LENGTH_MAX)
		fault(t, "is too long; allowed: 4096 bytes");
}

int tokens_init(struct tokens *t, struct config_load *load, const char *text, size_t length)
{
	*t = (struct tokens){ .load = load, .at = text, .end = text + length, .line = 1 };
	/* A word of one letter grows most: its quotes and a space behind. */
	t->out = malloc(length * 4 + 4);
	if (!t->out)
		return -ENOMEM;
	read_token(t);
	return 0;
}

void tokens_take(struct tokens *t)
{
	t->out_length += t->clean_length;
	t->clean_length = 0;
	if (t->kind != TOKEN_END)
		read_token(t);
}

void tokens_drop(struct tokens *t, size_t mark)
{
	size_t kept = mark;

	for (size_t i = mark; i < t->out_length; i++)
		if (t->out[i] == '\n')
			t->out[kept++] = '\n';
	memmove(t->out + kept, t->out + t->out_length, t->clean_length);
	t->out_length = kept;
}

const char *token_name(enum token_kind kind)
{
	static const char *const names[] = { "the end of the file", "a word", "a text", "\"{\"", "\"}\"",
		"\"=\"", "\"+=\"", "\",\"" };

	return names[kind];
}
