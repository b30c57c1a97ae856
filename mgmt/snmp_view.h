/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows that do not change any more, and what GET and GETNEXT find among them. */
#ifndef MGMT_SNMP_VIEW_H
#define MGMT_SNMP_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "mgmt/snmp_tables.h"

enum { SNMP_OID_MAX = 128, SNMP_TEXT_MAX = 255 };

struct snmp_rows {
	void *rows; /* heap, in the order of their indices, none twice */
	size_t count;
};

struct snmp_view {
	unsigned users; /* lock: the exchange's */
	uint64_t made_ms; /* clock_now_ms */
	struct snmp_rows table[SNMP_TABLE_COUNT];
};

/* Empty; NULL: no memory. */
struct snmp_view *snmp_view_new(void);
void snmp_view_free(struct snmp_view *view);
/* Copies the rows, sorts them, drops all but the first of those with one index. 0 or -ENOMEM: the table is empty. */
int snmp_view_set(struct snmp_view *view, enum snmp_table_id table, const void *rows, size_t count);
/* The same without a copy: takes `rows` (heap) over. */
void snmp_view_take(struct snmp_view *view, enum snmp_table_id table, void *rows, size_t count);

enum snmp_type {
	SNMP_TYPE_INTEGER,
	SNMP_TYPE_GAUGE,
	SNMP_TYPE_COUNTER64,
	SNMP_TYPE_TICKS,
	SNMP_TYPE_OCTETS,
};

struct snmp_value {
	enum snmp_type type;
	int64_t number; /* Counter64: the bits of it */
	size_t length;
	char octets[SNMP_TEXT_MAX];
};

/* Object identifiers here are without the root. */
struct snmp_oid {
	uint32_t sub[SNMP_OID_MAX];
	size_t length;
};

/* `calls` has the table of calls, everything else is in `view`; NULL: it has not been fetched.
 * 0; -ENOENT: no such object; -ENXIO: no such instance of it; -EAGAIN: it takes the calls to know. */
int snmp_view_get(const struct snmp_view *view, const struct snmp_view *calls, const struct snmp_oid *oid,
	struct snmp_value *value);
/* The first instance behind `oid`, which is replaced. 0; -ENOENT: there is none; -EAGAIN as above. */
int snmp_view_next(const struct snmp_view *view, const struct snmp_view *calls, struct snmp_oid *oid,
	struct snmp_value *value);

/* A row's index as it stands behind the column. */
void snmp_index_of(const struct snmp_table *table, const void *row, struct snmp_oid *out);
/* Printable ASCII: other octets and the backslash are \xNN; cut at `room`, never within one. Returns the length. */
size_t snmp_text(const char *text, size_t size, char *out, size_t room);

#endif
