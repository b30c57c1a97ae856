/* SPDX-License-Identifier: BSD-3-Clause */
/* The pages /metrics and /healthz over HTTP, on the main loop. Each is made when somebody asks, at most once a second, and shared by all
 * who ask meanwhile. owner: the main loop */
#ifndef MGMT_METRICS_HTTP_H
#define MGMT_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "platforms/base/address.h"

struct metrics_http;

struct metrics_http_pages {
	char *metrics; /* heap */
	size_t metrics_length;
	char *health; /* heap */
	size_t health_length;
	bool in_service;
};

/* Called when somebody waits for pages: they are to be published, in this call or later. */
typedef void (*metrics_http_wanted)(void *arg);

/* 0 or -ENOMEM. */
int metrics_http_new(uv_loop_t *loop, metrics_http_wanted wanted, void *arg, struct metrics_http **out);
/* Serves there and nowhere else; NULL or none: nowhere. If nothing can be opened there, what was served before has ended all the same.
 * 0 or -errno. */
int metrics_http_listen(struct metrics_http *http, const union address *address);
/* Takes the pages over, also if it has no memory for an answer: those who wait are then told so. */
void metrics_http_publish(struct metrics_http *http, const struct metrics_http_pages *pages);
/* Its memory goes when the loop has run its close callbacks. NULL is fine. */
void metrics_http_free(struct metrics_http *http);

#endif
