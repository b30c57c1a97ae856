/* SPDX-License-Identifier: BSD-3-Clause */
/* From who asks to the neighbours and back: pages are made when they are wanted. */
#include "mgmt/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/health.h"
#include "mgmt/metrics_http.h"
#include "mgmt/metrics_page.h"
#include "mgmt/metrics_snapshot.h"
#include "mgmt/watch.h"
#include "platforms/base/log.h"

enum { ROOM_FIRST = 65536, ROOM_MAX = 64 * 1024 * 1024, HEALTH_MAX = 256, RETRY_MS = 1000 };

struct metrics {
	const struct neighbours *neighbours;
	struct watch *watch;
	struct metrics_http *http;
	struct metrics_gather *gather; /* NULL: none under way */
	uv_timer_t *retry;
	union address wanted; /* where it is to be served; none: nowhere */
	bool serving;
	int last_error; /* of opening it: said once */
	size_t room; /* that the last page needed */
};

/* Heap; NULL: no memory. */
static char *metrics_text(struct metrics *metrics, const struct metrics_snapshot *snapshot, size_t *length)
{
	struct cp_alarm own[WATCH_ALARMS_MAX];
	size_t own_count = watch_alarms(metrics->watch, own);

	for (;; metrics->room *= 2) {
		char *text = malloc(metrics->room);
		struct writer out;

		if (text == NULL)
			return NULL;
		writer_init(&out, text, metrics->room);
		metrics_page_write(snapshot, own, own_count, &out);
		*length = out.len;
		if (!out.overflow)
			return text;
		free(text);
		if (metrics->room >= ROOM_MAX)
			return NULL;
	}
}

/* The reasons are our own words: nothing in them needs an escape. */
static char *health_text(const char *why, size_t *length)
{
	char *text = malloc(HEALTH_MAX);
	struct writer out;

	if (text == NULL)
		return NULL;
	writer_init(&out, text, HEALTH_MAX);
	if (why == NULL)
		writer_text(&out, "{\"state\": \"in-service\"}\n");
	else
		writer_format(&out, "{\"state\": \"degraded\", \"reason\": \"%s\"}\n", why);
	*length = out.len;
	return text;
}

static void gathered(void *arg, const struct metrics_snapshot *snapshot)
{
	struct metrics *metrics = arg;
	const char *why = health_impediment(metrics_snapshot_one(snapshot, METRICS_DP_STATS),
		metrics_snapshot_one(snapshot, METRICS_CP_STATUS));
	struct metrics_http_pages pages = { .in_service = why == NULL };

	metrics->gather = NULL;
	pages.metrics = metrics_text(metrics, snapshot, &pages.metrics_length);
	pages.health = health_text(why, &pages.health_length);
	metrics_http_publish(metrics->http, &pages);
}

static void wanted(void *arg)
{
	struct metrics *metrics = arg;
	static const struct metrics_http_pages none;
	int err = metrics_gather_begin(metrics->neighbours, METRICS_ALL, gathered, metrics, &metrics->gather);

	if (err != 0)
		metrics_http_publish(metrics->http, &none);
}

static void try_to_serve(struct metrics *metrics)
{
	char text[ADDRESS_TEXT_MAX];
	int err = metrics_http_listen(metrics->http, &metrics->wanted);

	metrics->serving = err == 0;
	if (err == 0) {
		uv_timer_stop(metrics->retry);
		if (address_is_set(&metrics->wanted))
			log_info("metrics", "metrics are served",
				LOG_TEXT("listen", address_print(&metrics->wanted, text)));
	} else if (err != metrics->last_error) {
		log_error("metrics", "metrics cannot be served; it is tried again every second",
			LOG_TEXT("listen", address_print(&metrics->wanted, text)), LOG_ERRNO("error", err));
	}
	metrics->last_error = err;
	watch_metrics_down(metrics->watch, err != 0);
}

static void on_retry(uv_timer_t *timer)
{
	try_to_serve(timer->data);
}

void metrics_apply(struct metrics *metrics, const struct config *config)
{
	static const union address nowhere;
	const union address *listen = config->metrics.enabled ? &config->metrics.address : &nowhere;

	if (metrics->serving && address_equal(listen, &metrics->wanted))
		return;
	metrics->wanted = *listen;
	metrics->last_error = 0;
	uv_timer_start(metrics->retry, on_retry, RETRY_MS, RETRY_MS);
	try_to_serve(metrics);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

int metrics_new(
	uv_loop_t *loop, const struct neighbours *neighbours, struct watch *watch, struct metrics **out)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	uv_timer_t *retry = calloc(1, sizeof(*retry));
	int err = metrics != NULL && retry != NULL ? metrics_http_new(loop, wanted, metrics, &metrics->http)
						   : -ENOMEM;

	if (err != 0) {
		free(metrics);
		free(retry);
		return err;
	}
	uv_timer_init(loop, retry);
	retry->data = metrics;
	metrics->retry = retry;
	metrics->neighbours = neighbours;
	metrics->watch = watch;
	metrics->room = ROOM_FIRST;
	*out = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	metrics_gather_abandon(metrics->gather);
	metrics_http_free(metrics->http);
	uv_close((uv_handle_t *)metrics->retry, on_closed);
	free(metrics);
}
