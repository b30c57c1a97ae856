/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as people edit it: sections and settings as they are written, in their order, without the types of the model.
 * What a candidate is made of. Comments are not part of it.
 *
 * A path is words: "system", "location"; "realm", "access", "dscp-media"; "sip-manipulation", "hide-ua", "rule", "1", "action". */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/model.h"
#include "platforms/base/span.h"

struct config_row;
struct config_section;
struct config_document;

enum { CONFIG_PATH_WORDS_MAX = 5 }; /* section, name, child, name, setting */

/* Reads a whole text; problems of form, of names, doubled ones are reported as config_load_text does, values are not looked at.
 * 0, -EINVAL, -ENOMEM. *out: config_document_free. */
int config_document_read(const char *name, const char *text, size_t length,
	const struct config_reporter *reporter, struct config_document **out);
/* What a configuration was read from. NULL without memory. */
struct config_document *config_document_of(const struct config *config);
/* NULL without memory. */
struct config_document *config_document_copy(const struct config_document *document);
void config_document_free(struct config_document *document);

enum config_print {
	CONFIG_PRINT_WHOLE, /* secrets as they are: what is written to the file */
	CONFIG_PRINT_MASKED, /* CONFIG_MASK in their place: for who may not see them. config_document_read refuses a value of that name */
};
#define CONFIG_MASK "********"

/* The text of what is below a path (no words: of everything): one setting a line. Reading it again gives the same document.
 * *out is the caller's (free), ends with NUL. 0, -ENOENT (no such path; `why` says so), -ENOMEM. */
int config_document_print(const struct config_document *document, const struct span *path, size_t words,
	enum config_print print, char **out, struct writer *why);

/* PATH SETTING VALUE...: the setting has these values from now on. PATH SETTING += VALUE...: a list has them too. PATH alone: the section is
 * there. What is not there yet is made. Each value is checked against its row, references are not (they may come later).
 * 0; -EINVAL with the reason in `why`, nothing has changed; -ENOMEM. */
int config_document_set(
	struct config_document *document, const struct span *words, size_t count, struct writer *why);
/* PATH: the section and what is in it goes. PATH SETTING: its default holds again. PATH SETTING VALUE...: a list loses these values.
 * 0; -ENOENT or -EINVAL with the reason in `why`; -ENOMEM. */
int config_document_delete(
	struct config_document *document, const struct span *words, size_t count, struct writer *why);
/* Is it a path of a section (that need not be there)? For "edit". 0, or -EINVAL with the reason. */
int config_document_path(
	const struct config_document *document, const struct span *path, size_t words, struct writer *why);

/* Words that may follow `count` whole words of a set: section names, names of sections that are there, settings, choices, names of what a
 * reference may mean. `argument` tells that `word` is no word but what kind of value stands there. */
void config_document_next(const struct config_document *document, const struct span *words, size_t count,
	void (*each)(void *arg, const char *word, bool argument, const char *help), void *arg);

enum config_change_kind { CONFIG_ADDED, CONFIG_REMOVED, CONFIG_CHANGED, CONFIG_REORDERED };

struct config_change {
	enum config_change_kind kind;
	const char *path; /* "realm access.dscp-media", "realm access"; of an order the kind of section */
	const char *before,
		*after; /* values as they would be printed; NULL: of a section, or there is none. Secrets are masked */
	unsigned daemons; /* enum config_daemon bits: whom it concerns */
	bool restart; /* takes effect when the daemons that use it start again */
};

/* Calls `each` for what leads from `from` to `to`, in the order of `to`, what went first. 0 or -ENOMEM. */
int config_document_compare(const struct config_document *from, const struct config_document *to,
	void (*each)(void *arg, const struct config_change *change), void *arg);

/* For a daemon that was started with `started`: settings that need a restart become as they were then, in every section that was there and still
 * is; *changed: there was one. 0 or -ENOMEM. */
int config_document_keep_started(
	struct config_document *document, const struct config_document *started, bool *changed);

/* Everything that is written, for other forms (JSON). `depth` 0 or 1 (a rule); sections come before their settings, leave after them. */
struct config_visitor {
	void (*enter)(
		void *arg, const char *section, const char *name); /* name NULL: of which there is one */
	void (*setting)(void *arg, const struct config_row *row, const char *const *values, size_t count);
	void (*leave)(void *arg);
};

void config_document_visit(const struct config_document *document, const struct config_visitor *visitor,
	enum config_print print, void *arg);

#endif
