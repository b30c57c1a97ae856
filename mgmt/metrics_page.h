/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of metrics: OpenMetrics text 1.0 of one snapshot. */
#ifndef MGMT_METRICS_PAGE_H
#define MGMT_METRICS_PAGE_H

#include "mgmt/metrics_snapshot.h"
#include "platforms/base/span.h"

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct cp_alarm;

/* Counters come from DP_COUNTERS and CP_COUNTERS, whatever is in them: those whose name begins with "drop-" are one family with a label `reason`.
 * `own`: alarms of this process. `out` overflows where its room is too small. */
void metrics_page_write(const struct metrics_snapshot *snapshot, const struct cp_alarm *own, size_t own_count,
	struct writer *out);
/* The value of a label, without its quotes: escaped as the format wants it, and without any octet that is not printable ASCII. */
void metrics_label_write(struct writer *out, struct span value);

/* The lines that a family begins with. `unit` NULL: none; else `name` ends with it. */
void metrics_family(
	struct writer *out, const char *name, const char *type, const char *unit, const char *help);
/* BEFORE name="value", of a fixed field of the neighbours' structs: ended by NUL or by its size. */
void metrics_label(struct writer *out, char before, const char *name, const char *value, size_t size);

#endif
