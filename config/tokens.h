/* SPDX-License-Identifier: BSD-3-Clause */
/* Words, strings and marks of a configuration text, one at a time; and the clean copy that is written on the way. */
#ifndef CONFIG_TOKENS_H
#define CONFIG_TOKENS_H

#include "config/source.h"
#include "platforms/base/span.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_ASSIGN,
	TOKEN_ADD,
	TOKEN_COMMA
};

struct tokens {
	struct config_load *load;
	const char *at, *end;
	unsigned line; /* where `at` is */
	char *out; /* the clean copy */
	size_t out_length;
	/* The token that comes next; its clean form stands at out + out_length and counts once it is taken. */
	enum token_kind kind;
	struct span text; /* of words and strings: as written, without the quotes */
	unsigned token_line;
	size_t clean_length;
	char fault
		[112]; /* what is wrong with it; empty: nothing. Whoever takes it says so, knowing where it stands. */
	unsigned fault_line;
};

/* 0 or -ENOMEM. Reads up to the first token. tokens->out is the caller's to free. */
int tokens_init(struct tokens *tokens, struct config_load *load, const char *text, size_t length);
/* Takes the token that is next and reads up to the one after it. */
void tokens_take(struct tokens *tokens);
/* Drops from the clean copy what was taken since tokens->out_length was `mark`, but for the ends of lines.
 * (Blanks in its place would be one long token to libConfuse, whose time grows with the square of its length.) */
void tokens_drop(struct tokens *tokens, size_t mark);
/* Length of the UTF-8 sequence at p, 0 when it is none. */
size_t config_utf8_length(const char *p, const char *end);
/* What the next token is, for messages: "{" or "end of file". */
const char *token_name(enum token_kind kind);

#endif
