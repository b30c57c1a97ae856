/* SPDX-License-Identifier: BSD-3-Clause */
/* The course of a list: ask, print, wait for the client, ask again. */
#include "mgmt/listing.h"

#include <errno.h>
#include <stdlib.h>

struct listing {
	const struct listing_kind *kind;
	union listing_ask ask;
	struct table table;
	uint64_t count;
};

static void next_page(struct request *request);

int listing_count(size_t length, size_t head, uint32_t count, size_t size)
{
	if (length < head || count > (length - head) / size)
		return -EBADMSG;
	return (int)count;
}

static void listing_end(struct request *request)
{
	struct listing *listing = request->state;
	struct output *out = &request->output;

	if (request->json)
		output_text(out, listing->count > 0 ? "\n]}\n" : "]}\n");
	else
		output_format(out, "%llu %s\n", (unsigned long long)listing->count,
			listing->count == 1 ? listing->kind->one : listing->kind->many);
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

static void page_failed(struct request *request, int status)
{
	const struct listing *listing = request->state;

	if (status == -ENOENT && listing->kind->not_found != NULL)
		request_fail(request, MGMT_EXIT_FAILED, "%s", listing->kind->not_found);
	else
		request_fail_neighbour(request, listing->kind->neighbour, status);
}

static void page_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct listing *listing = request->state;
	json_t *rows;
	int more;

	(void)tag;
	if (status != 0) {
		page_failed(request, status);
		return;
	}
	rows = json_array();
	more = listing->kind->take(&listing->ask, body, length, rows);
	if (more >= 0)
		print_rows(request, rows);
	json_decref(rows);
	if (more < 0) {
		page_failed(request, more);
		return;
	}
	if (more == 0) {
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
	const struct listing_kind *kind = listing->kind;
	int err = request_fetch(
		request, kind->neighbour, kind->type, &listing->ask, kind->ask_size, 0, page_replied);

	if (err != 0)
		request_fail_neighbour(request, kind->neighbour, err);
}

static void print_ahead(struct request *request)
{
	const struct listing *listing = request->state;
	json_t *rows = json_array();

	listing->kind->ahead(request, rows);
	print_rows(request, rows);
	json_decref(rows);
}

void listing_run(
	struct request *request, const struct listing_kind *kind, const union listing_ask *first, bool opened)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (listing == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	listing->kind = kind;
	listing->ask = *first;
	request->state = listing;
	request->state_free = free;
	table_begin(&listing->table, kind->columns, kind->column_count, request->width);
	if (kind->ahead == NULL && neighbour_hello(request->neighbours, kind->neighbour) == NULL) {
		request_fail_neighbour(request, kind->neighbour, -ENOTCONN);
		return;
	}
	if (request->json)
		output_format(&request->output, "%s\"%s\": [", opened ? "" : "{", kind->member);
	if (kind->ahead != NULL)
		print_ahead(request);
	if (neighbour_hello(request->neighbours, kind->neighbour) != NULL) {
		next_page(request);
		return;
	}
	request_remark(
		request, "the %s is not there: what it knows is missing", neighbour_name(kind->neighbour));
	listing_end(request);
}
