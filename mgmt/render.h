/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents as people read them: fields under each other, tables, and tables on their side. */
#ifndef MGMT_RENDER_H
#define MGMT_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mgmt/output.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_SECONDS, /* "1d 02:03:04", "02:03:04" */
	COLUMN_MILLISECONDS, /* "20 ms" */
	COLUMN_MICROSECONDS, /* "1.250 ms" */
	COLUMN_FLAG, /* "yes", "no" */
	COLUMN_LINK, /* "up", "down" */
};

struct column {
	const char *key; /* of the JSON member; null and absent members print as "-" */
	const char *title;
	enum column_kind kind;
	bool shrink; /* may be cut where a line would be longer than the terminal is wide */
};

enum { RENDER_COLUMNS_MAX = 40, RENDER_CELL_MAX = 256 };

/* "title" (if not NULL) and one line per column. */
void render_fields(struct output *out, const char *title, const json_t *object, const struct column *columns,
	size_t count);

/* One line per column, one column per object of the array. */
void render_sideways(struct output *out, const char *title, const json_t *array, const struct column *columns,
	size_t count);

/* A table that is printed a page at a time: the first page decides how wide the columns are. */
struct table {
	const struct column *columns;
	size_t count;
	unsigned terminal; /* its width; 0 = any */
	bool begun;
	size_t width[RENDER_COLUMNS_MAX];
};

void table_begin(struct table *table, const struct column *columns, size_t count, unsigned terminal);
/* An empty first page prints the titles alone. */
void table_page(struct table *table, struct output *out, const json_t *rows);

/* A table that is all there. */
void render_table(struct output *out, const json_t *rows, const struct column *columns, size_t count,
	unsigned terminal);

/* The document, indented, and a line end. */
void render_json(struct output *out, const json_t *document);
/* A row of a list in one line, without a line end. */
void render_json_row(struct output *out, const json_t *row);

#endif
