/* SPDX-License-Identifier: BSD-3-Clause */
/* show calls: the list of calls, a page at a time, however long it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

enum { CALLS_PAGE = 32 };

struct listing {
	struct table table;
	uint64_t after; /* the last call printed */
	uint64_t count;
};

static const struct column call_columns[] = {
	{ "id", "ID", COLUMN_TEXT, false },
	{ "state", "STATE", COLUMN_TEXT, false },
	{ "from", "FROM", COLUMN_TEXT, true },
	{ "to", "TO", COLUMN_TEXT, true },
	{ "from-realm", "FROM REALM", COLUMN_TEXT, true },
	{ "to-realm", "TO REALM", COLUMN_TEXT, true },
	{ "duration-seconds", "DURATION", COLUMN_SECONDS, false },
};

static void next_page(struct request *request);

static void listing_end(struct request *request)
{
	struct listing *listing = request->state;
	struct output *out = &request->output;

	if (request->json)
		output_text(out, listing->count > 0 ? "\n]}\n" : "]}\n");
	else
		output_format(out, "%llu call%s\n", (unsigned long long)listing->count,
			listing->count == 1 ? "" : "s");
	request_finish(request, MGMT_EXIT_OK);
}

static void print_rows(struct request *request, const json_t *rows)
{
	struct listing *listing = request->state;
	struct output *out = &request->output;
	const json_t *row;
	size_t i;

	if (!request->json) {
		if (listing->table.begun || json_array_size(rows) > 0)
			table_page(&listing->table, out, rows);
		listing->count += json_array_size(rows);
		return;
	}
	json_array_foreach(rows, i, row)
	{
		output_text(out, listing->count++ > 0 ? ",\n  " : "\n  ");
		render_json_row(out, row);
	}
}

static void page_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct listing *listing = request->state;
	const struct cp_call_page *page = body;
	json_t *rows;

	(void)tag;
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	if (page->count > (length - sizeof(*page)) / sizeof(struct cp_call)) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, -EBADMSG);
		return;
	}
	rows = json_array();
	for (uint32_t i = 0; i < page->count; i++) {
		struct cp_call call;

		memcpy(&call, (const char *)body + sizeof(*page) + i * sizeof(call), sizeof(call));
		value_append(rows, show_call_row(&call));
		listing->after = call.call;
	}
	print_rows(request, rows);
	json_decref(rows);
	if (page->more == 0 || page->count == 0) {
		listing_end(request);
		return;
	}
	output_flush(&request->output);
	if (output_has_room(&request->output))
		next_page(request);
	else
		request->resume = next_page;
}

static void next_page(struct request *request)
{
	struct listing *listing = request->state;
	struct cp_call_list ask = { .after = listing->after, .limit = CALLS_PAGE };
	int err = request_fetch(
		request, NEIGHBOUR_CONTROLPLANE, CP_CALL_LIST, &ask, sizeof(ask), 0, page_replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

void show_calls(struct request *request)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (listing == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	request->state = listing;
	request->state_free = free;
	table_begin(&listing->table, call_columns, sizeof(call_columns) / sizeof(call_columns[0]),
		request->width);
	if (neighbour_hello(request->neighbours, NEIGHBOUR_CONTROLPLANE) == NULL) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, -ENOTCONN);
		return;
	}
	if (request->json)
		output_text(&request->output, "{\"calls\": [");
	next_page(request);
}
