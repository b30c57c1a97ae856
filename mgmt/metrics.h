/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics and health for those who watch over HTTP: decision 0085. owner: the main loop */
#ifndef MGMT_METRICS_H
#define MGMT_METRICS_H

#include <uv.h>

#include "config/model.h"
#include "mgmt/neighbours.h"

struct metrics;
struct watch;

/* `neighbours` and `watch` outlive it; alarms come from the latter. Serves nothing before metrics_apply. 0 or -ENOMEM. */
int metrics_new(
	uv_loop_t *loop, const struct neighbours *neighbours, struct watch *watch, struct metrics **out);
/* Serves where the configuration says, or nowhere. An address that cannot be opened is logged and tried again every second. */
void metrics_apply(struct metrics *metrics, const struct config *config);
/* Its memory goes when the loop has run its close callbacks and the neighbours' last answers have come. NULL is fine. */
void metrics_free(struct metrics *metrics);

#endif
