/* SPDX-License-Identifier: BSD-3-Clause */
/* What may follow: words of the command table, and behind those that take a path those of the configuration. */
#include "mgmt/complete.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/command.h"
#include "mgmt/commit.h"
#include "mgmt/request.h"

enum { HELP_MAX = 160, REASON_MAX = 1024 };

static void put(struct writer *out, struct span word, bool argument, const char *help)
{
	size_t n = strlen(help);

	/* Whole or not at all; control characters are in no help and in no name. */
	if (n > HELP_MAX)
		n = HELP_MAX;
	if (out->size - out->len < sizeof(struct mgmt_word) + word.n + n + 2)
		return;
	writer_char(out, argument ? 1 : 0);
	writer_span(out, word);
	writer_char(out, '\0');
	writer_span(out, (struct span){ help, n });
	writer_char(out, '\0');
}

static void put_command_word(void *arg, struct span word, bool argument, const char *help)
{
	put(arg, word, argument, help);
}

static void put_configuration_word(void *arg, const char *word, bool argument, const char *help)
{
	put(arg, span_from(word), argument, help);
}

/* Without making a candidate: who only looks edits nothing. */
static const struct config_document *document_of(const struct session *session, enum command_path path)
{
	if (session->world == NULL || session->world->commits == NULL)
		return NULL;
	if (path == COMMAND_PATH_RUNNING || session->candidate == NULL)
		return commits_running(session->world->commits);
	return session->candidate;
}

static void put_path(const struct session *session, const struct command_match *match, struct writer *out)
{
	const struct config_document *document = document_of(session, match->command->path);
	struct span words[MGMT_WORDS_MAX + CONFIG_PATH_WORDS_MAX];
	size_t n = 0;

	if (document == NULL)
		return;
	if (match->command->path == COMMAND_PATH_RUNNING && match->arguments == 0)
		put_configuration_word(out, "pending", false, "what waits for a restart, of which daemon");
	for (size_t i = 0; match->command->path == COMMAND_PATH && i < session->edit_words; i++)
		words[n++] = session->edit[i];
	for (size_t i = 0; i < match->arguments; i++)
		words[n++] = match->argument[i];
	config_document_next(document, words, n, put_configuration_word, out);
}

int complete_words(struct session *session, const void *body, size_t length, struct writer *out)
{
	struct span words[MGMT_WORDS_MAX];
	struct command_match match;
	struct mgmt_command header;
	char reason[REASON_MAX];
	struct writer error;

	if (length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, body, sizeof(header));
	if (header.words > MGMT_WORDS_MAX || request_words((const char *)body + sizeof(header),
						     length - sizeof(header), header.words, words) != 0)
		return -EBADMSG;
	writer_init(&error, reason, sizeof(reason));
	if (header.words > 0 && command_parse(command_table, words, header.words, &match, &error) == 0 &&
		match.command->path != COMMAND_NO_PATH && match.command->role <= session->role)
		put_path(session, &match, out);
	else
		command_next(command_table, session->role, words, header.words, put_command_word, out);
	return 0;
}

void complete_where(const struct session *session, const char *name, struct mgmt_where *where)
{
	struct writer edit;

	memset(where, 0, sizeof(*where));
	where->role = session->role;
	where->candidate = session->candidate != NULL;
	(void)snprintf(where->name, sizeof(where->name), "%s", name != NULL ? name : "sallyport");
	writer_init(&edit, where->edit, sizeof(where->edit) - 1);
	for (size_t i = 0; i < session->edit_words; i++) {
		if (i > 0)
			writer_char(&edit, ' ');
		writer_span(&edit, session->edit[i]);
	}
	where->edit[edit.len] = '\0';
}
