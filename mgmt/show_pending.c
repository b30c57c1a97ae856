/* SPDX-License-Identifier: BSD-3-Clause */
/* show configuration pending: what is committed and waits for a daemon to start again. */
#include <errno.h>

#include "mgmt/commit.h"
#include "mgmt/edit.h"
#include "mgmt/render.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "daemon", "DAEMON", COLUMN_TEXT, false },
	{ "path", "SETTING", COLUMN_TEXT, false },
	{ "runs", "RUNS", COLUMN_TEXT, true },
	{ "committed", "COMMITTED", COLUMN_TEXT, true },
};

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static void add(void *arg, const char *daemon, const struct config_change *change)
{
	json_t *row = json_object();

	value_set(row, "daemon", json_string(daemon));
	value_set(row, "path", json_string(change->path));
	value_set(row, "runs", text_or_null(change->before));
	value_set(row, "committed", text_or_null(change->after));
	value_append(arg, row);
}

void show_pending(struct request *request)
{
	const struct commits *commits = request->session->world->commits;
	json_t *document = json_object(), *rows = json_array(), *unknown = json_array();
	bool by_hand = commits_file_differs(commits);

	for (unsigned i = 0; i < COMMITS_DAEMONS; i++)
		if (commits_pending(commits, i, add, rows) != 0)
			value_append(unknown, json_string(commits_daemon_name(i)));
	value_set(document, "pending", rows);
	value_set(document, "unknown", unknown);
	value_set(document, "changed-by-hand", json_boolean(by_hand));
	if (request->json) {
		render_json(&request->output, document);
	} else {
		if (json_array_size(rows) != 0)
			render_table(&request->output, rows, columns, sizeof(columns) / sizeof(columns[0]),
				request->width);
		else
			output_text(&request->output, "nothing waits for a restart\n");
		for (size_t i = 0; i < json_array_size(unknown); i++)
			output_format(&request->output, "what the %s was started with is not known\n",
				json_string_value(json_array_get(unknown, i)));
		if (by_hand)
			output_text(&request->output,
				"the file was changed by hand and is not in force: \"load\" and \"commit\" "
				"it, or "
				"restart the management daemon; a commit replaces it\n");
	}
	json_decref(document);
	request_finish(request, MGMT_EXIT_OK);
}
