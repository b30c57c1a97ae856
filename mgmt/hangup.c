/* SPDX-License-Identifier: BSD-3-Clause */
/* hangup: one call, or all (of a realm), ended by the control plane in pages; with a line in the log. */
#include "mgmt/hangup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/render.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

struct hangup {
	struct cp_hangup order;
	uint64_t calls; /* hung up so far */
};

static int read_options(struct request *request, struct cp_hangup *order)
{
	const struct command_match *match = &request->match;
	struct writer realm;

	if (match->arguments == 1)
		return 0;
	writer_init(&realm, order->realm, sizeof(order->realm) - 1);
	if (match->arguments == 3 && !order->call && span_equal(match->argument[1], SPAN("realm")))
		writer_span(&realm, match->argument[2]);
	if (realm.len)
		return 0;
	request_fail(request, MGMT_EXIT_USAGE, "what may follow is: hangup all realm NAME");
	return -EINVAL;
}

static void finish(struct request *request)
{
	const struct hangup *hangup = request->state;
	struct span which = request->match.argument[0];
	char name[MGMT_WORD_MAX];
	struct writer w;
	json_t *document;

	writer_init(&w, name, sizeof(name));
	writer_span(&w, which);
	writer_char(&w, '\0');
	log_notice("mgmt", "calls hung up by command", LOG_TEXT("call", w.overflow ? "" : name),
		LOG_TEXT("realm", hangup->order.realm), LOG_UINT("calls", hangup->calls));
	if (request->json) {
		document = json_object();
		value_set(document, "call",
			hangup->order.call ? value_call_number(hangup->order.call) : json_string("all"));
		value_set(document, "realm", VALUE_FIELD(hangup->order.realm));
		value_set(document, "hung-up", value_uint(hangup->calls));
		render_json(&request->output, document);
		json_decref(document);
	} else {
		output_format(&request->output, "%llu %s hung up\n", (unsigned long long)hangup->calls,
			hangup->calls == 1 ? "call" : "calls");
	}
	request_finish(request, MGMT_EXIT_OK);
}

static void page_done(struct request *request, unsigned tag, int status, const void *body, size_t length);

static void ask(struct request *request)
{
	const struct hangup *hangup = request->state;
	int err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_CALL_HANGUP, &hangup->order,
		sizeof(hangup->order), 0, page_done);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

static void page_done(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct hangup *hangup = request->state;
	struct cp_hangup_done done;

	(void)tag;
	(void)length;
	if (status == -ENOENT) {
		request_fail(request, MGMT_EXIT_FAILED, "no such call: %.*s",
			SPAN_FMT(request->match.argument[0]));
		return;
	}
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	memcpy(&done, body, sizeof(done));
	hangup->calls += done.calls;
	hangup->order.after = done.after;
	if (done.more)
		ask(request);
	else
		finish(request);
}

void hangup_calls(struct request *request)
{
	struct span which = request->match.argument[0];
	struct hangup *hangup = calloc(1, sizeof(*hangup));

	if (hangup == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory for the answer");
		return;
	}
	request->state = hangup;
	request->state_free = free;
	if (!span_equal(which, SPAN("all")) &&
		call_number_parse(which.p, which.n, &hangup->order.call) != 0) {
		request_fail(request, MGMT_EXIT_USAGE,
			"which: all, or a call's ID as \"show calls\" prints it: 0-17");
		return;
	}
	hangup->order.until_wall_ms = clock_wall_ms();
	if (read_options(request, &hangup->order) == 0)
		ask(request);
}
