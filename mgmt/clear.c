/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders to forget: what the guard thinks of a source, where a user is, what counters are counted from. */
#include "mgmt/clear.h"

#include <errno.h>
#include <string.h>

#include "mgmt/render.h"
#include "mgmt/source.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static void report(struct request *request, const char *what, json_t *value, const char *text)
{
	if (request->json) {
		json_t *document = json_object();

		value_set(document, what, value);
		render_json(&request->output, document);
		json_decref(document);
	} else {
		json_decref(value);
		output_format(&request->output, "%s\n", text);
	}
	request_finish(request, MGMT_EXIT_OK);
}

/* --- guard --- */

static void guard_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	char text[SOURCE_TEXT_MAX];
	struct dp_source_key key;

	(void)tag;
	(void)body;
	(void)length;
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	(void)source_parse(request->match.argument[0], &key); /* has been parsed before */
	report(request, "cleared", json_string(source_print(&key, text)), "forgotten");
}

void clear_guard(struct request *request)
{
	struct cp_ban clear = { .flags = 0 };
	struct dp_source_key key;
	int err;

	if (source_argument(request, request->match.argument[0], &key) != 0)
		return;
	clear.port = key.address.port;
	clear.family = key.address.family;
	clear.length = key.length;
	memcpy(clear.ip, key.address.ip, sizeof(clear.ip));
	memcpy(clear.who, request->who, sizeof(request->who));
	err = request_fetch(
		request, NEIGHBOUR_CONTROLPLANE, CP_GUARD_CLEAR, &clear, sizeof(clear), 0, guard_replied);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

/* --- registration --- */

static void registration_replied(
	struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct cp_cleared done;

	(void)tag;
	(void)length;
	if (status == -ENOENT) {
		request_fail(request, MGMT_EXIT_FAILED,
			"nobody is registered by that name: \"show registrations\" tells who is");
		return;
	}
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	memcpy(&done, body, sizeof(done));
	report(request, "cleared", json_integer(done.count),
		"cleared; the phone comes back with its next REGISTER");
}

void clear_registration(struct request *request)
{
	struct span aor = request->match.argument[0];
	struct cp_registration_clear clear = { .aor = "" };
	int err;

	if (aor.n == 0 || aor.n >= sizeof(clear.aor)) {
		request_fail(request, MGMT_EXIT_USAGE, "AOR is USER or USER@HOST");
		return;
	}
	memcpy(clear.aor, aor.p, aor.n);
	memcpy(clear.who, request->who, sizeof(request->who));
	err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_REGISTRATION_CLEAR, &clear, sizeof(clear), 0,
		registration_replied);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

/* --- counters --- */

static void take_counters(struct counter_marks *marks, unsigned plane, const void *body)
{
	const struct dp_stats *stats = body;
	const struct cp_counters *counters = body;

	if (plane == NEIGHBOUR_DATAPLANE)
		memcpy(marks->dataplane, stats->counter, sizeof(marks->dataplane));
	else
		memcpy(marks->controlplane, counters->counter, sizeof(marks->controlplane));
}

/* One plane, then the other: marks are of about the same time. */
static void counters_next(struct request *request, unsigned plane);

static void counters_replied(
	struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct counter_marks *marks = request->session->world->marks;
	const struct ipc_hello *hello = neighbour_hello(request->neighbours, (enum neighbour)tag);
	size_t needed = tag == NEIGHBOUR_DATAPLANE ? sizeof(struct dp_stats) : sizeof(struct cp_counters);

	if (status == 0 && (hello == NULL || length < needed))
		status = -EBADMSG;
	if (status != 0) {
		request_fail_neighbour(request, (enum neighbour)tag, status);
		return;
	}
	take_counters(marks, tag, body);
	marks->generation[tag] = hello->generation;
	counters_next(request, tag + 1);
}

static void counters_next(struct request *request, unsigned plane)
{
	static const unsigned types[NEIGHBOUR_COUNT] = {
		[NEIGHBOUR_DATAPLANE] = DP_STATS, [NEIGHBOUR_CONTROLPLANE] = CP_COUNTERS_GET
	};
	int err;

	if (plane == NEIGHBOUR_COUNT) {
		request->session->world->marks->wall_ms = clock_wall_ms();
		report(request, "cleared", json_true(),
			"\"show counters\" counts from now on as well; SNMP and metrics go on as before");
		return;
	}
	err = request_fetch(request, (enum neighbour)plane, types[plane], NULL, 0, plane, counters_replied);
	if (err != 0)
		request_fail_neighbour(request, (enum neighbour)plane, err);
}

void clear_counters(struct request *request)
{
	if (request->session == NULL || request->session->world == NULL ||
		request->session->world->marks == NULL)
		request_fail(request, MGMT_EXIT_FAILED, "there is nothing to remember it in");
	else
		counters_next(request, NEIGHBOUR_DATAPLANE);
}
