/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands as rows of a table: what their words are, what they need, who answers them. Parsing with unambiguous
 * abbreviation; the same table tells what may come next (help, completion). */
#ifndef MGMT_COMMAND_H
#define MGMT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/model.h"
#include "mgmt/api.h"
#include "platforms/base/span.h"

struct request;
struct show;
struct command_match;

enum command_path {
	COMMAND_NO_PATH,
	COMMAND_PATH, /* of the candidate, from where the session is */
	COMMAND_PATH_RUNNING, /* of what is in force, from the top */
	COMMAND_PATH_CANDIDATE, /* of the candidate, from the top */
};

/* Rows end with words == NULL. No command's words are the beginning of another's. */
struct command {
	const char *words; /* "show call" */
	const char *arguments; /* "ID": one word each; "" for none */
	/* "[for SECONDS] [force]": that many words may follow; the command reads them. NULL: none. */
	const char *options; /* ends with "...": any number of words */
	const char *help;
	enum config_role role; /* the least one that may give it */
	enum command_path path; /* what its words say of a configuration, for completion */
	const char *input; /* what it reads behind the command: "configuration". NULL: nothing */
	const char *
		secret; /* what the program asks for on its standard input: never an argument, which all users see. NULL: nothing */
	/* Answered by the daemon: begins; ends by request_finish or request_fail. NULL: a local command. */
	void (*start)(struct request *request);
	/* Once the daemon has let it, the program makes the answer of those of other commands. */
	bool composed;
	const struct show *show; /* what show_gathered needs */
	/* Answered by the program itself, without a daemon: returns enum mgmt_exit. */
	int (*local)(const struct command_match *match, bool json, FILE *out, FILE *errors);
};

extern const struct command command_table[];

struct command_match {
	const struct command *command;
	struct span argument[MGMT_WORDS_MAX]; /* borrowed from the words */
	size_t arguments;
};

/* 0, or -EINVAL with the reason in `error` (one or more lines, no line end at the end). */
int command_parse(const struct command *table, const struct span *words, size_t count,
	struct command_match *match, struct writer *error);

/* Calls `each` for every different word that may follow `count` whole or abbreviated words, with the help of its first row;
 * `argument` tells that it is the name of an argument. Commands of a higher role than `role` are left out. */
void command_next(const struct command *table, enum config_role role, const struct span *words, size_t count,
	void (*each)(void *arg, struct span word, bool argument, const char *help), void *arg);

/* A typed word as it may be shown: quoted, bounded, and without what would steer a terminal. */
void command_quote(struct writer *out, struct span word);

/* "show call ID" */
void command_usage(const struct command *command, struct writer *out);

#endif
