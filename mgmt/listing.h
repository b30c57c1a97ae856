/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of any length: asked for a page at a time, printed while they are read, never read faster than the client takes them. */
#ifndef MGMT_LISTING_H
#define MGMT_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/render.h"
#include "mgmt/request.h"

enum { LISTING_PAGE = 32 };

/* The request for the next page. */
union listing_ask {
	struct cp_call_list calls;
	struct cp_block_list blocks;
	struct dp_table_request table;
	struct dp_page_request page;
	struct dp_flow_request flows;
	struct dp_top_request top;
	struct cp_guard_list guard;
	struct cp_registration_list registrations;
	struct cp_audit_list audit;
	struct cp_record_list records;
};

struct listing_kind {
	const char *member; /* of the JSON document: "calls" */
	const char *one, *many; /* "call", "calls" */
	const struct column *columns;
	size_t column_count;
	enum neighbour neighbour;
	unsigned type;
	size_t ask_size;
	/* Appends a reply's rows and makes *ask the request for those behind them. 1: there are more (a page may be empty), 0: that was
	 * all, -EBADMSG: not a reply. */
	int (*take)(union listing_ask *ask, const void *body, size_t length, json_t *rows);
	/* NULL, or appends rows that come before all pages; they are shown, and the rest said to be missing, also where the neighbour is
	 * away. */
	void (*ahead)(const struct request *request, json_t *rows);
	const char *not_found; /* what -ENOENT means; NULL: nothing special */
};

/* Answers the whole request. `opened`: the JSON document has been begun and has members before this one. */
void listing_run(struct request *request, const struct listing_kind *kind, const union listing_ask *first,
	bool opened);

/* For `take`: how many entries of `size` are behind a head of `head` octets that says `count`; -EBADMSG: fewer than that. */
int listing_count(size_t length, size_t head, uint32_t count, size_t size);

#endif
