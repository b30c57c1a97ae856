/* SPDX-License-Identifier: BSD-3-Clause */
/* The common course of the show commands: ask the neighbours at once, then print one document. */
#include "mgmt/show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/render.h"

struct gathering {
	struct show_data data;
	unsigned waiting;
	int status; /* of the first reply that failed */
	enum neighbour failed;
};

static const struct {
	enum neighbour neighbour;
	unsigned type;
} sources[SHOW_REPLY_COUNT] = {
	[SHOW_DP_STATS] = { NEIGHBOUR_DATAPLANE, DP_STATS },
	[SHOW_DP_INTERFACES] = { NEIGHBOUR_DATAPLANE, DP_INTERFACES },
	[SHOW_CP_STATUS] = { NEIGHBOUR_CONTROLPLANE, CP_STATUS },
	[SHOW_CP_COUNTERS] = { NEIGHBOUR_CONTROLPLANE, CP_COUNTERS_GET },
};

static void gathering_free(void *state)
{
	struct gathering *gathering = state;

	for (size_t i = 0; i < SHOW_REPLY_COUNT; i++)
		free(gathering->data.reply[i].body);
	free(gathering);
}

static void gathering_complete(struct request *request)
{
	struct gathering *gathering = request->state;
	const struct show *show = request->match.command->show;

	if (gathering->status != 0 && !show->can_do_without) {
		request_fail_neighbour(request, gathering->failed, gathering->status);
		return;
	}

	json_t *document = show->document(&gathering->data);

	if (document == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory for the answer");
		return;
	}
	if (request->json)
		render_json(&request->output, document);
	else
		show->text(&request->output, request->width, document);
	json_decref(document);
	request_finish(request, MGMT_EXIT_OK);
}

static void gathering_note(struct gathering *gathering, unsigned source, int status)
{
	if (status != 0 && gathering->status == 0) {
		gathering->status = status;
		gathering->failed = sources[source].neighbour;
	}
}

static void gathering_replied(
	struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct gathering *gathering = request->state;

	if (status == 0) {
		gathering->data.reply[tag].length = length;
		/* An empty list is an answer too. */
		gathering->data.reply[tag].body = malloc(length + 1);
		if (gathering->data.reply[tag].body == NULL)
			status = -ENOMEM;
		else if (length > 0)
			memcpy(gathering->data.reply[tag].body, body, length);
	}
	gathering_note(gathering, tag, status);
	if (--gathering->waiting == 0)
		gathering_complete(request);
}

void show_gathered(struct request *request)
{
	struct gathering *gathering = calloc(1, sizeof(*gathering));

	if (gathering == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	gathering->data.neighbours = request->neighbours;
	if (request->session != NULL && request->session->world != NULL) {
		gathering->data.marks = request->session->world->marks;
		gathering->data.watch = request->session->world->watch;
	}
	request->state = gathering;
	request->state_free = gathering_free;
	for (unsigned i = 0; i < SHOW_REPLY_COUNT; i++) {
		if ((request->match.command->show->needs & 1U << i) == 0)
			continue;

		int err = request_fetch(
			request, sources[i].neighbour, sources[i].type, NULL, 0, i, gathering_replied);

		if (err == 0)
			gathering->waiting++;
		else
			gathering_note(gathering, i, err);
	}
	if (gathering->waiting == 0)
		gathering_complete(request);
}
