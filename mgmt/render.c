/* SPDX-License-Identifier: BSD-3-Clause */
/* Aligned text and JSON from jansson values. */
#include "mgmt/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN_GAP = 2, SHRINK_LEAST = 8 };

static void print_seconds(char *cell, size_t size, uint64_t seconds)
{
	uint64_t days = seconds / 86400;
	unsigned rest = (unsigned)(seconds % 86400);

	if (days > 0)
		snprintf(cell, size, "%" PRIu64 "d %02u:%02u:%02u", days, rest / 3600, rest / 60 % 60,
			rest % 60);
	else
		snprintf(cell, size, "%02u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}

static void print_integer(char *cell, size_t size, enum column_kind kind, json_int_t value)
{
	switch (kind) {
	case COLUMN_SECONDS:
		print_seconds(cell, size, value < 0 ? 0 : (uint64_t)value);
		break;
	case COLUMN_MILLISECONDS:
		snprintf(cell, size, "%" JSON_INTEGER_FORMAT " ms", value);
		break;
	case COLUMN_MICROSECONDS:
		snprintf(cell, size, "%" JSON_INTEGER_FORMAT ".%03d ms", value / 1000, (int)(value % 1000));
		break;
	default:
		snprintf(cell, size, "%" JSON_INTEGER_FORMAT, value);
		break;
	}
}

/* The text of a member; returns its length. */
static size_t print_cell(char cell[RENDER_CELL_MAX], const struct column *column, const json_t *object)
{
	const json_t *value = json_object_get(object, column->key);

	if (json_is_string(value))
		snprintf(cell, RENDER_CELL_MAX, "%s", json_string_value(value));
	else if (json_is_integer(value))
		print_integer(cell, RENDER_CELL_MAX, column->kind, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(cell, RENDER_CELL_MAX, "%.2f", json_real_value(value));
	else if (json_is_boolean(value) && column->kind == COLUMN_LINK)
		snprintf(cell, RENDER_CELL_MAX, "%s", json_is_true(value) ? "up" : "down");
	else if (json_is_boolean(value))
		snprintf(cell, RENDER_CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(cell, RENDER_CELL_MAX, "-");
	return strlen(cell);
}

static bool is_right_aligned(const struct column *column)
{
	return column->kind != COLUMN_TEXT && column->kind != COLUMN_FLAG && column->kind != COLUMN_LINK;
}

static size_t title_width(const struct column *columns, size_t count)
{
	size_t width = 0;

	for (size_t i = 0; i < count; i++)
		if (strlen(columns[i].title) > width)
			width = strlen(columns[i].title);
	return width;
}

static void print_title(struct output *out, const char *title, const struct column *column, size_t width)
{
	if (title != NULL)
		output_text(out, "  ");
	output_text(out, column->title);
	output_pad(out, width - strlen(column->title) + COLUMN_GAP);
}

void render_fields(struct output *out, const char *title, const json_t *object, const struct column *columns,
	size_t count)
{
	size_t width = title_width(columns, count);
	char cell[RENDER_CELL_MAX];

	if (title != NULL)
		output_format(out, "%s\n", title);
	for (size_t i = 0; i < count; i++) {
		print_title(out, title, &columns[i], width);
		output_write(out, cell, print_cell(cell, &columns[i], object));
		output_text(out, "\n");
	}
}

void render_sideways(struct output *out, const char *title, const json_t *array, const struct column *columns,
	size_t count)
{
	size_t titles = title_width(columns, count), width = 0, n;
	size_t last = json_array_size(array);
	char cell[RENDER_CELL_MAX];
	const json_t *object;

	json_array_foreach(array, n, object) for (size_t i = 0; i < count; i++)
	{
		size_t length = print_cell(cell, &columns[i], object);

		width = length > width ? length : width;
	}
	if (title != NULL)
		output_format(out, "%s\n", title);
	for (size_t i = 0; i < count; i++) {
		print_title(out, title, &columns[i], titles);
		json_array_foreach(array, n, object)
		{
			size_t length = print_cell(cell, &columns[i], object);

			output_write(out, cell, length);
			if (n + 1 < last)
				output_pad(out, width - length + COLUMN_GAP);
		}
		output_text(out, "\n");
	}
}

void table_begin(struct table *table, const struct column *columns, size_t count, unsigned terminal)
{
	*table = (struct table){ .columns = columns, .count = count, .terminal = terminal };
}

/* Takes one column at a time from the widest that may shrink until the line fits. */
static void table_shrink(struct table *table)
{
	size_t total = (table->count - 1) * COLUMN_GAP;

	for (size_t i = 0; i < table->count; i++)
		total += table->width[i];
	while (table->terminal > 0 && total > table->terminal) {
		size_t widest = table->count;

		for (size_t i = 0; i < table->count; i++)
			if (table->columns[i].shrink && table->width[i] > SHRINK_LEAST &&
				(widest == table->count || table->width[i] > table->width[widest]))
				widest = i;
		if (widest == table->count)
			return;
		table->width[widest]--;
		total--;
	}
}

static void table_measure(struct table *table, const json_t *rows)
{
	char cell[RENDER_CELL_MAX];
	const json_t *row;
	size_t n;

	for (size_t i = 0; i < table->count; i++) {
		table->width[i] = strlen(table->columns[i].title);
		json_array_foreach(rows, n, row)
		{
			size_t length = print_cell(cell, &table->columns[i], row);

			table->width[i] = length > table->width[i] ? length : table->width[i];
		}
	}
	table_shrink(table);
}

/* One cell of a line; a text that is too long for a column that may shrink ends with "~". */
static void table_cell(struct table *table, struct output *out, size_t i, char *cell, size_t length)
{
	const struct column *column = &table->columns[i];
	size_t width = table->width[i];
	size_t gap = i + 1 < table->count ? COLUMN_GAP : 0;

	if (length > width && column->shrink && table->terminal > 0) {
		length = width;
		cell[length - 1] = '~';
	}
	size_t padding = length < width ? width - length : 0;

	if (is_right_aligned(column))
		output_pad(out, padding);
	output_write(out, cell, length);
	if (!is_right_aligned(column) && gap > 0)
		output_pad(out, padding);
	output_pad(out, gap);
}

void table_page(struct table *table, struct output *out, const json_t *rows)
{
	char cell[RENDER_CELL_MAX];
	const json_t *row;
	size_t n;

	if (!table->begun) {
		table_measure(table, rows);
		for (size_t i = 0; i < table->count; i++) {
			snprintf(cell, sizeof(cell), "%s", table->columns[i].title);
			table_cell(table, out, i, cell, strlen(cell));
		}
		output_text(out, "\n");
		table->begun = true;
	}
	json_array_foreach(rows, n, row)
	{
		for (size_t i = 0; i < table->count; i++)
			table_cell(table, out, i, cell, print_cell(cell, &table->columns[i], row));
		output_text(out, "\n");
	}
}

void render_table(
	struct output *out, const json_t *rows, const struct column *columns, size_t count, unsigned terminal)
{
	struct table table;

	table_begin(&table, columns, count, terminal);
	table_page(&table, out, rows);
}

static int dump_piece(const char *piece, size_t length, void *arg)
{
	output_write(arg, piece, length);
	return 0;
}

void render_json(struct output *out, const json_t *document)
{
	json_dump_callback(document, dump_piece, out, JSON_INDENT(2));
	output_text(out, "\n");
}

void render_json_row(struct output *out, const json_t *row)
{
	json_dump_callback(row, dump_piece, out, JSON_COMPACT);
}
