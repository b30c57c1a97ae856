/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of calls: looked for, exported, shown one by one. */
#ifndef MGMT_RECORDS_H
#define MGMT_RECORDS_H

#include <jansson.h>

#include "controlplane/api.h"
#include "mgmt/request.h"

void show_records(struct request *request); /* show records [since TIME] [until TIME] [number X] [limit N] */
void records_export(struct request *request); /* records export FORMAT ... */

/* The words from `first` on. 0, or the request has failed. *ask is what they mean. */
int records_options(struct request *request, size_t first, struct cp_record_list *ask);
/* A time as people write it: 2026-11-20, 2026-11-20T22:00, 2026-11-20T22:00:00Z (UTC), or 30m, 12h, 7d before now. 0 or -EINVAL. */
int records_time(struct span text, uint64_t now_wall_ms, uint64_t *wall_ms);
/* Each record of a CP_RECORD_LIST's reply; *ask becomes the request for those behind them. As listing_kind.take. */
int records_page(struct cp_record_list *ask, const void *body, size_t length,
	void (*each)(void *arg, const struct cp_record *record), void *arg);

/* record_document.c */
json_t *record_row(const struct cp_record *record); /* all columns, by their names in the database */
void record_text(struct output *out, const json_t *row);
/* What a past call was, in the place of show call's answer; `call` as in struct cp_call. */
void record_show_call(struct request *request, uint64_t call);

#endif
