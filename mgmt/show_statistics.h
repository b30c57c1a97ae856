/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures of calls as rows of documents: what agents, realms and the system have in common. */
#ifndef MGMT_SHOW_STATISTICS_H
#define MGMT_SHOW_STATISTICS_H

#include <jansson.h>

#include "controlplane/api.h"
#include "mgmt/output.h"
#include "platforms/base/span.h"

/* "up", "down", "unwatched", "unresolved"; "unknown": a state that this program does not know. */
const char *show_agent_state(uint32_t state);
/* Adds "in-now", "in-asr-percent", ..., "out-..." to a row. */
void show_statistics_add(json_t *row, const struct cp_statistics *statistics);
/* Both ways beside each other, from such a row. */
void show_statistics_text(struct output *out, const json_t *row);
/* Adds "streams", "mos", "loss-percent", "jitter-ms" (means), shares of bad ones, and the classes of each. */
void show_quality_add(json_t *row, const struct cp_quality *quality);
/* The classes, one line each. */
void show_quality_text(struct output *out, const json_t *row);
/* For struct listing_kind: agents, those of one name if the request says so; the quality of all. */
union listing_ask;
int show_agents_take(union listing_ask *ask, const void *body, size_t length, json_t *rows);
int show_quality_take(union listing_ask *ask, const void *body, size_t length, json_t *rows);
json_t *show_agent_row(const struct cp_statistics *statistics, uint64_t now_wall_ms);

#endif
