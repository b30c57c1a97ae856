/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit of commands. */
#include "mgmt/audit.h"

#include <string.h>

#include "config/document.h"
#include "config/schema.h"
#include "mgmt/render.h"
#include "mgmt/store.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum { SHOWN = 50, SHOWN_MOST = 100000, TRIM_EVERY = 64 };

static bool has_secret(const struct config_section *section, struct span word)
{
	for (; section != NULL; section = section->child)
		for (size_t i = 0; i < section->row_count; i++)
			if (section->rows[i].type == CONFIG_TYPE_SECRET &&
				span_equal(word, span_from(section->rows[i].name)))
				return true;
	return false;
}

/* Wherever it stands: rather a word too many is masked than a secret written down. */
static bool names_secret(struct span word)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (has_secret(&config_sections[i], word))
			return true;
	return false;
}

static void put_word(struct writer *out, struct span word)
{
	bool quoted = word.n == 0 || memchr(word.p, ' ', word.n) != NULL;

	if (quoted)
		writer_char(out, '"');
	for (size_t i = 0; i < word.n; i++)
		writer_char(out, word.p[i] >= 0x20 && word.p[i] < 0x7f ? word.p[i] : '?');
	if (quoted)
		writer_char(out, '"');
}

void audit_words(const struct span *words, size_t count, struct writer *out)
{
	struct span rest, first;
	bool secret = false;

	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			writer_char(out, ' ');
		if (secret && !span_equal(words[i], SPAN("="))) {
			writer_text(out, CONFIG_MASK);
			continue;
		}
		/* "password=x" is refused, but written down as well. */
		rest = words[i];
		first = span_cut(&rest, '=');
		if (i > 0 && first.n < words[i].n && names_secret(first)) {
			put_word(out, first);
			writer_text(out, "=" CONFIG_MASK);
			secret = true;
			continue;
		}
		put_word(out, words[i]);
		secret = secret || (i > 0 && names_secret(words[i]));
	}
}

void audit_write(const struct session *session, struct span command, const char *outcome)
{
	static unsigned written;
	const struct session_world *world = session->world;
	const char *role = session_role_name(session->role);
	int error;

	log_info("audit", "command", LOG_TEXT("who", session->user), LOG_TEXT("role", role),
		LOG_TEXT("from", session->from), LOG_SPAN("command", command), LOG_TEXT("outcome", outcome));
	if (world == NULL || world->store == NULL)
		return;
	error = mgmt_store_audit(world->store, span_from(session->user), span_from(role),
		span_from(session->from), command, span_from(outcome));
	if (!error && ++written % TRIM_EVERY == 0)
		error = mgmt_store_audit_trim(world->store, (*world->config)->system.commands_kept);
	if (error)
		log_error("audit", "a command cannot be written down", LOG_ERRNO("error", error));
}

/* --- show commands --- */

static const struct column columns[] = {
	{ "at", "AT", COLUMN_TEXT, false },
	{ "who", "WHO", COLUMN_TEXT, false },
	{ "role", "ROLE", COLUMN_TEXT, false },
	{ "from", "FROM", COLUMN_TEXT, false },
	{ "outcome", "OUTCOME", COLUMN_TEXT, false },
	{ "command", "COMMAND", COLUMN_TEXT, true },
};

static json_t *text_of(struct span span)
{
	return value_text(span.p, span.n);
}

static bool take(void *arg, const struct command_audit *audit)
{
	json_t *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "at", json_string(clock_print_wall(audit->wall_ms, at)));
	value_set(row, "who", text_of(audit->who));
	value_set(row, "role", text_of(audit->role));
	value_set(row, "from", text_of(audit->from));
	value_set(row, "outcome", text_of(audit->outcome));
	value_set(row, "command", text_of(audit->command));
	value_append(arg, row);
	return true;
}

void show_commands(struct request *request)
{
	const struct session_world *world = request->session != NULL ? request->session->world : NULL;
	uint64_t wanted = SHOWN;
	json_t *rows, *document;

	if (request->match.arguments > 0 &&
		(span_to_uint(request->match.argument[0], SHOWN_MOST, &wanted) != 0 || wanted == 0)) {
		request_fail(request, MGMT_EXIT_USAGE, "COUNT is 1..%d", SHOWN_MOST);
		return;
	}
	if (world == NULL || world->store == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no commands are written down here");
		return;
	}
	rows = json_array();
	if (mgmt_store_audit_list(world->store, 0, wanted, take, rows) != 0) {
		json_decref(rows);
		request_fail(request, MGMT_EXIT_FAILED, "the database of commands cannot be read");
		return;
	}
	if (request->json) {
		document = json_object();
		value_set(document, "commands", rows);
		render_json(&request->output, document);
		json_decref(document);
	} else {
		render_table(&request->output, rows, columns, sizeof(columns) / sizeof(columns[0]),
			request->width);
		json_decref(rows);
	}
	request_finish(request, MGMT_EXIT_OK);
}
