/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects are looked through in their order, rows by halves. */
#include "mgmt/snmp_view.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct snmp_view *snmp_view_new(void)
{
	return calloc(1, sizeof(struct snmp_view));
}

void snmp_view_free(struct snmp_view *view)
{
	if (view == NULL)
		return;
	for (unsigned i = 0; i < SNMP_TABLE_COUNT; i++)
		free(view->table[i].rows);
	free(view);
}

static uint64_t number_at(const void *row, size_t offset, size_t size)
{
	const char *at = (const char *)row + offset;
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (size) {
	case sizeof(wide):
		memcpy(&wide, at, sizeof(wide));
		return wide;
	case sizeof(word):
		memcpy(&word, at, sizeof(word));
		return word;
	case sizeof(half):
		memcpy(&half, at, sizeof(half));
		return half;
	default:
		return *(const uint8_t *)at;
	}
}

void snmp_index_of(const struct snmp_table *table, const void *row, struct snmp_oid *out)
{
	if (table->index_parts == 0)
		out->sub[out->length++] = 0;
	for (unsigned i = 0; i < table->index_parts; i++) {
		const struct snmp_index *part = &table->index[i];
		const char *text = (const char *)row + part->offset;

		if (part->kind == SNMP_INDEX_NUMBER) {
			out->sub[out->length++] = (uint32_t)number_at(row, part->offset, part->size);
		} else if (part->kind == SNMP_INDEX_NAME) {
			size_t length = strnlen(text, part->size);

			out->sub[out->length++] = (uint32_t)length;
			for (size_t k = 0; k < length; k++)
				out->sub[out->length++] = (unsigned char)text[k];
		} else {
			uint64_t call = number_at(row, part->offset, part->size);

			for (unsigned k = 8; k-- > 0;)
				out->sub[out->length++] = call >> k * 8 & 0xff;
		}
	}
}

static int compare_subs(const uint32_t *a, size_t a_length, const uint32_t *b, size_t b_length)
{
	for (size_t i = 0; i < a_length && i < b_length; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return a_length < b_length ? -1 : a_length > b_length;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct snmp_table *table = arg;
	struct snmp_oid one = { .length = 0 }, other = { .length = 0 };

	snmp_index_of(table, a, &one);
	snmp_index_of(table, b, &other);
	return compare_subs(one.sub, one.length, other.sub, other.length);
}

static const struct snmp_table *rows_table(enum snmp_table_id id)
{
	return &snmp_tables[id];
}

void snmp_view_take(struct snmp_view *view, enum snmp_table_id table, void *rows, size_t count)
{
	const struct snmp_table *t = rows_table(table);
	size_t size = t->row_size, kept = count > 0;
	char *base = rows;

	free(view->table[table].rows);
	if (count > 1)
		qsort_r(base, count, size, compare_rows, (void *)(uintptr_t)t);
	for (size_t i = 1; i < count; i++) {
		if (compare_rows(base + (kept - 1) * size, base + i * size, (void *)(uintptr_t)t) == 0)
			continue;
		if (kept != i)
			memcpy(base + kept * size, base + i * size, size);
		kept++;
	}
	view->table[table] = (struct snmp_rows){ rows, kept };
}

int snmp_view_set(struct snmp_view *view, enum snmp_table_id table, const void *rows, size_t count)
{
	size_t octets = count * rows_table(table)->row_size;
	void *copy = count > 0 ? malloc(octets) : NULL;

	if (count > 0 && copy == NULL)
		return -ENOMEM;
	if (count > 0)
		memcpy(copy, rows, octets);
	snmp_view_take(view, table, copy, count);
	return 0;
}

/* How many rows have an index below the one asked for, or, with `and_equal`, not above it. */
static size_t rows_before(const struct snmp_table *table, const struct snmp_rows *rows, const uint32_t *index,
	size_t length, bool and_equal)
{
	size_t low = 0, high = rows->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct snmp_oid at = { .length = 0 };
		int order;

		snmp_index_of(table, (const char *)rows->rows + middle * table->row_size, &at);
		order = compare_subs(at.sub, at.length, index, length);
		if (order < 0 || (and_equal && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t snmp_text(const char *text, size_t size, char *out, size_t room)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < size && text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = c >= ' ' && c <= '~' && c != '\\';

		if (n + (plain ? 1 : 4) > room)
			break;
		if (plain) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	return n;
}

/* RFC 2579: DateAndTime, with the zone. What did not happen is eight octets of zero. */
static void set_date(struct snmp_value *value, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	value->type = SNMP_TYPE_OCTETS;
	value->length = 8;
	memset(value->octets, 0, 11);
	if (wall_ms == 0 || gmtime_r(&seconds, &tm) == NULL)
		return;
	value->octets[0] = (char)((tm.tm_year + 1900) >> 8);
	value->octets[1] = (char)((tm.tm_year + 1900) & 0xff);
	value->octets[2] = (char)(tm.tm_mon + 1);
	value->octets[3] = (char)tm.tm_mday;
	value->octets[4] = (char)tm.tm_hour;
	value->octets[5] = (char)tm.tm_min;
	value->octets[6] = (char)(tm.tm_sec > 59 ? 59 : tm.tm_sec);
	value->octets[7] = (char)(wall_ms % 1000 / 100);
	value->octets[8] = '+';
	value->length = 11;
}

static int64_t quotient(const struct snmp_column *column, const void *row, uint64_t factor)
{
	uint64_t dividend = number_at(row, column->offset, sizeof(uint64_t));
	uint64_t divisor = number_at(row, column->divisor, sizeof(uint64_t));
	uint64_t result;

	if (divisor == 0)
		return -1;
	result = dividend > UINT64_MAX / factor ? dividend / divisor * factor : dividend * factor / divisor;
	return result > INT32_MAX ? INT32_MAX : (int64_t)result;
}

static void set_number(struct snmp_value *value, enum snmp_type type, uint64_t number)
{
	value->type = type;
	if (type == SNMP_TYPE_GAUGE && number > UINT32_MAX)
		number = UINT32_MAX;
	if (type == SNMP_TYPE_TICKS)
		number &= UINT32_MAX;
	value->number = (int64_t)number;
}

static void column_value(const struct snmp_column *column, const void *row, struct snmp_value *value)
{
	const char *at = (const char *)row + column->offset;
	int32_t integer;

	value->length = 0;
	switch ((enum snmp_kind)column->kind) {
	case SNMP_KIND_GAUGE:
		set_number(value, SNMP_TYPE_GAUGE, number_at(row, column->offset, column->size));
		break;
	case SNMP_KIND_COUNTER:
		set_number(value, SNMP_TYPE_COUNTER64, number_at(row, column->offset, column->size));
		break;
	case SNMP_KIND_INTEGER:
		memcpy(&integer, at, sizeof(integer));
		value->type = SNMP_TYPE_INTEGER;
		value->number = integer;
		break;
	case SNMP_KIND_CODE:
		set_number(value, SNMP_TYPE_INTEGER, number_at(row, column->offset, column->size));
		break;
	case SNMP_KIND_ENUM:
		set_number(value, SNMP_TYPE_INTEGER, number_at(row, column->offset, column->size) + 1);
		break;
	case SNMP_KIND_TRUTH:
		set_number(value, SNMP_TYPE_INTEGER, number_at(row, column->offset, column->size) ? 1 : 2);
		break;
	case SNMP_KIND_TICKS_MS:
		set_number(value, SNMP_TYPE_TICKS, number_at(row, column->offset, column->size) / 10);
		break;
	case SNMP_KIND_DATE:
		set_date(value, number_at(row, column->offset, column->size));
		break;
	case SNMP_KIND_TEXT:
		value->type = SNMP_TYPE_OCTETS;
		value->length = snmp_text(at, column->size, value->octets, sizeof(value->octets));
		break;
	case SNMP_KIND_OCTETS:
		value->type = SNMP_TYPE_OCTETS;
		value->length = column->size;
		memcpy(value->octets, at, column->size);
		break;
	case SNMP_KIND_SHARE:
		value->type = SNMP_TYPE_INTEGER;
		value->number = quotient(column, row, 1000);
		break;
	case SNMP_KIND_MEAN:
		value->type = SNMP_TYPE_INTEGER;
		value->number = quotient(column, row, 1);
		break;
	}
}

/* The rows that a table shows; NULL: the calls, which are not there. */
static const struct snmp_rows *rows_shown(
	const struct snmp_view *view, const struct snmp_view *calls, const struct snmp_table *table)
{
	const struct snmp_view *of = table->rows_of == SNMP_CALLS ? calls : view;

	return of != NULL ? &of->table[table->rows_of] : NULL;
}

static void path_of(const struct snmp_table *table, const struct snmp_column *column, struct snmp_oid *out)
{
	memcpy(out->sub, table->path, table->path_length * sizeof(table->path[0]));
	out->length = table->path_length;
	out->sub[out->length++] = column->id;
}

static bool begins_with(const struct snmp_oid *oid, const struct snmp_oid *path)
{
	return oid->length >= path->length &&
	       memcmp(oid->sub, path->sub, path->length * sizeof(path->sub[0])) == 0;
}

static int get_instance(const struct snmp_table *table, const struct snmp_column *column,
	const struct snmp_rows *rows, const uint32_t *index, size_t length, struct snmp_value *value)
{
	size_t at, behind;

	if (rows == NULL)
		return -EAGAIN;
	at = rows_before(table, rows, index, length, false);
	behind = rows_before(table, rows, index, length, true);
	if (at == behind)
		return -ENXIO;
	column_value(column, (const char *)rows->rows + at * table->row_size, value);
	return 0;
}

int snmp_view_get(const struct snmp_view *view, const struct snmp_view *calls, const struct snmp_oid *oid,
	struct snmp_value *value)
{
	for (unsigned t = 0; t < SNMP_TABLE_COUNT; t++) {
		const struct snmp_table *table = &snmp_tables[t];

		for (size_t c = 0; c < table->column_count; c++) {
			struct snmp_oid path;

			path_of(table, &table->columns[c], &path);
			if (begins_with(oid, &path))
				return get_instance(table, &table->columns[c], rows_shown(view, calls, table),
					oid->sub + path.length, oid->length - path.length, value);
		}
	}
	return -ENOENT;
}

/* The first row of a column behind `oid`. 0, -ENOENT, -EAGAIN */
static int next_in_column(const struct snmp_view *view, const struct snmp_view *calls,
	const struct snmp_table *table, const struct snmp_column *column, struct snmp_oid *oid,
	struct snmp_value *value)
{
	const struct snmp_rows *rows = rows_shown(view, calls, table);
	struct snmp_oid path;
	const char *row;
	size_t at = 0;

	path_of(table, column, &path);
	if (!begins_with(oid, &path) && compare_subs(oid->sub, oid->length, path.sub, path.length) > 0)
		return -ENOENT; /* all of it is before */
	if (rows == NULL)
		return -EAGAIN;
	if (begins_with(oid, &path))
		at = rows_before(table, rows, oid->sub + path.length, oid->length - path.length, true);
	if (at >= rows->count)
		return -ENOENT;
	row = (const char *)rows->rows + at * table->row_size;
	snmp_index_of(table, row, &path);
	*oid = path;
	column_value(column, row, value);
	return 0;
}

int snmp_view_next(const struct snmp_view *view, const struct snmp_view *calls, struct snmp_oid *oid,
	struct snmp_value *value)
{
	for (unsigned t = 0; t < SNMP_TABLE_COUNT; t++) {
		const struct snmp_table *table = &snmp_tables[t];

		for (size_t c = 0; c < table->column_count; c++) {
			int err = next_in_column(view, calls, table, &table->columns[c], oid, value);

			if (err != -ENOENT)
				return err;
		}
	}
	return -ENOENT;
}
