/* SPDX-License-Identifier: BSD-3-Clause */
/* show call ID: the control plane's view of the call, then what the dataplane measured of its media; of a call that is over its record. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/records.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

static void call_state_free(void *state)
{
	json_decref(state);
}

static void finish_call(struct request *request, enum mgmt_exit exit)
{
	const json_t *document = request->state;

	if (request->json)
		render_json(&request->output, document);
	else
		show_call_text(&request->output, document);
	request_finish(request, exit);
}

static void media_missing(struct request *request, int status)
{
	if (status == -ENOENT)
		request_remark(request, "the dataplane has no session of this call (any more)");
	else
		request_remark(request,
			"the dataplane does not answer (%s): nothing is known about the media",
			strerror(-status));
	finish_call(request, MGMT_EXIT_FAILED);
}

static void session_replied(
	struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct dp_session_info info;

	(void)tag;
	(void)length;
	if (status != 0) {
		media_missing(request, status);
		return;
	}
	memcpy(&info, body, sizeof(info));
	value_set(request->state, "media", show_media(&info));
	finish_call(request, MGMT_EXIT_OK);
}

static void call_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct cp_call call;

	(void)tag;
	(void)length;
	if (status == -ENOENT) {
		struct span id = request->match.argument[0];
		uint64_t number = 0;

		call_number_parse(id.p, id.n, &number);
		record_show_call(request, number);
		return;
	}
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	memcpy(&call, body, sizeof(call));
	request->state = show_call_document(&call);
	request->state_free = call_state_free;
	if (request->state == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory for the answer");
		return;
	}
	if (call.session == 0) {
		finish_call(request, MGMT_EXIT_OK);
		return;
	}

	struct dp_session_id ask = { .session = call.session };
	int err = request_fetch(
		request, NEIGHBOUR_DATAPLANE, DP_SESSION_GET, &ask, sizeof(ask), 0, session_replied);

	if (err != 0)
		media_missing(request, err);
}

void show_call(struct request *request)
{
	struct span id = request->match.argument[0];
	struct cp_call_id ask;

	if (call_number_parse(id.p, id.n, &ask.call) != 0) {
		request_fail(request, MGMT_EXIT_USAGE,
			"a call's ID is SHARD-NUMBER as \"show calls\" prints it: 0-17");
		return;
	}

	int err = request_fetch(
		request, NEIGHBOUR_CONTROLPLANE, CP_CALL_GET, &ask, sizeof(ask), 0, call_replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}
