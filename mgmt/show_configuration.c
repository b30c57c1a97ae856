/* SPDX-License-Identifier: BSD-3-Clause */
/* show configuration, show candidate, compare, show revisions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "mgmt/commit.h"
#include "mgmt/edit.h"
#include "mgmt/render.h"
#include "mgmt/store.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

enum { WHY_MAX = 1024, REVISIONS_SHOWN = 200, BACK_MAX = 10000 };

static enum config_print print_for(const struct request *request)
{
	return request->role >= CONFIG_ROLE_ADMIN && !request->masked ? CONFIG_PRINT_WHOLE
								      : CONFIG_PRINT_MASKED;
}

static bool has_world(struct request *request)
{
	if (request->session != NULL && request->session->world != NULL &&
		request->session->world->commits != NULL)
		return true;
	request_fail(request, MGMT_EXIT_FAILED, "there is no configuration to show here");
	return false;
}

/* --- JSON: {"realm": {"access": {"dscp-media": 46}}} --- */

struct tree {
	json_t *level[3];
	unsigned depth;
};

static json_t *member(json_t *object, const char *name)
{
	json_t *found = json_object_get(object, name);

	if (found == NULL) {
		found = json_object();
		json_object_set_new(object, name, found);
	}
	return found;
}

static void enter(void *arg, const char *section, const char *name)
{
	struct tree *tree = arg;
	json_t *object = member(tree->level[tree->depth], section);

	tree->level[++tree->depth] = name != NULL ? member(object, name) : object;
}

static json_t *json_value(const struct config_row *row, const char *text)
{
	uint64_t number;

	if (row->type == CONFIG_TYPE_BOOL)
		return json_boolean(strcmp(text, "yes") == 0);
	if ((row->type == CONFIG_TYPE_UINT || row->type == CONFIG_TYPE_UINTS) &&
		span_to_uint(span_from(text), INT64_MAX, &number) == 0)
		return value_uint(number);
	return json_string(text);
}

static void setting(void *arg, const struct config_row *row, const char *const *values, size_t count)
{
	struct tree *tree = arg;
	json_t *value;

	if (config_type_is_list(row->type)) {
		value = json_array();
		for (size_t i = 0; i < count; i++)
			value_append(value, json_value(row, values[i]));
	} else {
		value = count > 0 ? json_value(row, values[0]) : json_null();
	}
	value_set(tree->level[tree->depth], row->name, value);
}

static void leave(void *arg)
{
	((struct tree *)arg)->depth--;
}

static void show_json(struct request *request, const struct config_document *document)
{
	static const struct config_visitor visitor = { enter, setting, leave };
	struct tree tree = { .level = { json_object() } };

	config_document_visit(document, &visitor, print_for(request), &tree);
	render_json(&request->output, tree.level[0]);
	json_decref(tree.level[0]);
	request_finish(request, MGMT_EXIT_OK);
}

static void show_document(struct request *request, const struct config_document *document)
{
	char text[WHY_MAX], *out = NULL;
	struct writer why;
	int error;

	if (document == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	if (request->json && request->match.arguments == 0) {
		show_json(request, document);
		return;
	}
	if (request->json) {
		request_fail(
			request, MGMT_EXIT_USAGE, "as JSON the whole configuration is shown, not a part");
		return;
	}
	writer_init(&why, text, sizeof(text));
	error = config_document_print(
		document, request->match.argument, request->match.arguments, print_for(request), &out, &why);
	if (error) {
		request_fail(request, error == -ENOMEM ? MGMT_EXIT_FAILED : MGMT_EXIT_USAGE, "%.*s",
			SPAN_FMT(writer_result(&why)));
		return;
	}
	output_text(&request->output, out);
	explicit_bzero(out, strlen(out));
	free(out);
	request_finish(request, MGMT_EXIT_OK);
}

void show_configuration(struct request *request)
{
	if (!has_world(request))
		return;
	if (request->match.arguments == 1 && span_equal(request->match.argument[0], SPAN("pending")))
		show_pending(request);
	else
		show_document(request, commits_running(request->session->world->commits));
}

void show_candidate(struct request *request)
{
	if (has_world(request))
		show_document(request, session_candidate(request->session));
}

/* --- compare --- */

struct comparison {
	struct request *request;
	json_t *changes; /* NULL: as text */
	bool any;
};

static void told(void *arg, const struct config_change *change)
{
	static const struct {
		const char *mark, *word;
	} kinds[] = { [CONFIG_ADDED] = { "+", "added" },
		[CONFIG_REMOVED] = { "-", "removed" },
		[CONFIG_CHANGED] = { "!", "changed" },
		[CONFIG_REORDERED] = { "%", "reordered" } };
	struct comparison *c = arg;
	struct output *out = &c->request->output;

	c->any = true;
	if (c->changes != NULL) {
		json_t *row = json_object();

		value_set(row, "change", json_string(kinds[change->kind].word));
		value_set(row, "path", json_string(change->path));
		value_set(row, "before", change->before != NULL ? json_string(change->before) : json_null());
		value_set(row, "after", change->after != NULL ? json_string(change->after) : json_null());
		value_set(row, "restart", json_boolean(change->restart));
		value_append(c->changes, row);
		return;
	}
	output_format(out, "%s %s", kinds[change->kind].mark, change->path);
	if (change->before != NULL || change->after != NULL)
		output_text(out, " = ");
	if (change->before != NULL)
		output_text(out, change->before);
	if (change->before != NULL && change->after != NULL)
		output_text(out, " -> ");
	if (change->after != NULL)
		output_text(out, change->after);
	output_text(out, change->restart ? "   (takes effect at a restart)\n" : "\n");
}

static struct config_document *old_document(struct request *request, struct span word)
{
	struct config_document *document = NULL;
	struct revision revision;
	char *text = NULL;
	size_t length = 0;
	uint64_t back;
	int error;

	if (span_to_uint(word, BACK_MAX, &back) != 0) {
		request_fail(request, MGMT_EXIT_USAGE, "N is how many commits to go back, 0..%d", BACK_MAX);
		return NULL;
	}
	error = mgmt_store_revision_get(request->session->world->store, back, &revision, &text, &length);
	if (!error)
		error = commits_read(text, length, &document);
	free(text);
	if (error)
		request_fail(request, MGMT_EXIT_FAILED,
			error == -ENOENT ? "there are not so many revisions; \"show revisions\" lists them"
					 : "the revision cannot be read");
	return document;
}

void show_compare(struct request *request)
{
	struct comparison c = { .request = request };
	const struct config_document *to;
	struct config_document *from = NULL;
	int error;

	if (!has_world(request))
		return;
	to = session_candidate(request->session);
	if (request->match.arguments > 0) {
		from = old_document(request, request->match.argument[0]);
		if (from == NULL)
			return;
	}
	if (request->json)
		c.changes = json_array();
	error = to == NULL ? -ENOMEM
			   : config_document_compare(
				     from != NULL ? from : commits_running(request->session->world->commits),
				     to, told, &c);
	config_document_free(from);
	if (error) {
		json_decref(c.changes);
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	if (c.changes != NULL) {
		json_t *document = json_object();

		value_set(document, "changes", c.changes);
		render_json(&request->output, document);
		json_decref(document);
	} else if (!c.any) {
		output_text(&request->output, "no difference\n");
	}
	request_finish(request, MGMT_EXIT_OK);
}

/* --- revisions --- */

static const struct column columns[] = {
	{ "back", "BACK", COLUMN_NUMBER, false },
	{ "revision", "REVISION", COLUMN_NUMBER, false },
	{ "at", "AT", COLUMN_TEXT, false },
	{ "who", "WHO", COLUMN_TEXT, false },
	{ "comment", "COMMENT", COLUMN_TEXT, true },
};

static bool take(void *arg, const struct revision *revision)
{
	json_t *rows = arg, *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "back", value_uint(json_array_size(rows)));
	value_set(row, "revision", value_uint(revision->number));
	value_set(row, "at", json_string(clock_print_wall(revision->wall_ms, at)));
	value_set(row, "who", VALUE_FIELD(revision->who));
	value_set(row, "comment", VALUE_FIELD(revision->comment));
	value_append(rows, row);
	return true;
}

void show_revisions(struct request *request)
{
	json_t *rows;
	char at[CLOCK_TEXT_MAX];
	uint64_t deadline;

	if (!has_world(request))
		return;
	rows = json_array();
	deadline = commits_deadline(request->session->world->commits);
	if (mgmt_store_revision_list(request->session->world->store, REVISIONS_SHOWN, take, rows) != 0) {
		json_decref(rows);
		request_fail(request, MGMT_EXIT_FAILED, "the database of revisions cannot be read");
		return;
	}
	if (request->json) {
		json_t *document = json_object();

		value_set(document, "unconfirmed-until",
			deadline ? json_string(clock_print_wall(deadline, at)) : json_null());
		value_set(document, "revisions", rows);
		render_json(&request->output, document);
		json_decref(document);
	} else {
		render_table(&request->output, rows, columns, sizeof(columns) / sizeof(columns[0]),
			request->width);
		if (deadline)
			output_format(&request->output,
				"\nnot confirmed: goes back at %s unless \"confirm\" comes before\n",
				clock_print_wall(deadline, at));
		json_decref(rows);
	}
	request_finish(request, MGMT_EXIT_OK);
}
