/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the control plane, which asks what a call would ask. */
#include "mgmt/route_command.h"

#include <errno.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/render.h"
#include "mgmt/show_statistics.h"
#include "mgmt/value.h"

static const struct column fields[] = {
	{ "local-policy", "local-policy", COLUMN_TEXT, false },
	{ "next-hop", "next hop", COLUMN_TEXT, false },
	{ "group", "session-group", COLUMN_TEXT, false },
	{ "contacts", "contacts registered", COLUMN_NUMBER, false },
	{ "admission", "admission", COLUMN_TEXT, false },
	{ "reason", "it fails", COLUMN_TEXT, false },
};

static const struct column hop_columns[] = {
	{ "agent", "AGENT", COLUMN_TEXT, true },
	{ "state", "STATE", COLUMN_TEXT, false },
	{ "address", "ADDRESS", COLUMN_TEXT, true },
	{ "calls", "CALLS", COLUMN_NUMBER, false },
	{ "max-sessions", "LIMIT", COLUMN_NUMBER, false },
};

static bool is_usable(const struct cp_route_hop *hop)
{
	return hop->state != CP_AGENT_DOWN && hop->state != CP_AGENT_UNRESOLVED &&
	       (hop->max_sessions == 0 || hop->sessions < hop->max_sessions);
}

static bool any_usable(const struct cp_routed *routed)
{
	for (uint32_t i = 0; i < routed->count && i < CP_ROUTE_HOPS; i++)
		if (is_usable(&routed->hop[i]))
			return true;
	return false;
}

/* NULL: it would be tried. */
static const char *why_not(const struct cp_routed *routed)
{
	if (routed->next_hop == CP_NEXT_HOP_NONE)
		return "no local-policy takes it: 404 (Not Found)";
	if (routed->forbidden != 0)
		return "its admission forbids that destination: 403 (Forbidden)";
	if (routed->next_hop == CP_NEXT_HOP_REGISTRATION)
		return routed->contacts == 0 ? "nobody is registered by that name: 404 or 480" : NULL;
	return any_usable(routed) ? NULL
				  : "no session-agent is up, known by address and below its limit: 503 "
				    "(Service Unavailable)";
}

static json_t *hop_row(const struct cp_route_hop *hop)
{
	json_t *row = json_object();

	value_set(row, "agent", VALUE_FIELD(hop->agent));
	value_set(row, "state", json_string(show_agent_state(hop->state)));
	value_set(row, "address", VALUE_FIELD(hop->address));
	value_set(row, "calls", value_uint(hop->sessions));
	value_set(row, "max-sessions", hop->max_sessions != 0 ? value_uint(hop->max_sessions) : json_null());
	return row;
}

json_t *test_route_document(const struct cp_routed *routed)
{
	static const char *const hops[] = { [CP_NEXT_HOP_NONE] = NULL,
		[CP_NEXT_HOP_AGENT] = "session-agent",
		[CP_NEXT_HOP_GROUP] = "session-group",
		[CP_NEXT_HOP_REGISTRATION] = "registration" };
	const char *hop = routed->next_hop < sizeof(hops) / sizeof(hops[0]) ? hops[routed->next_hop] : NULL;
	json_t *document = json_object(), *rows = json_array();
	const char *why = why_not(routed);

	for (uint32_t i = 0; i < routed->count && i < CP_ROUTE_HOPS; i++)
		value_append(rows, hop_row(&routed->hop[i]));
	value_set(document, "works", json_boolean(why == NULL));
	value_set(document, "local-policy", VALUE_FIELD(routed->policy));
	value_set(document, "next-hop", hop != NULL ? json_string(hop) : json_null());
	value_set(document, "group", VALUE_FIELD(routed->group));
	value_set(document, "contacts",
		routed->next_hop == CP_NEXT_HOP_REGISTRATION ? value_uint(routed->contacts) : json_null());
	value_set(document, "admission", VALUE_FIELD(routed->admission));
	value_set(document, "reason", why != NULL ? json_string(why) : json_null());
	value_set(document, "agents", rows);
	return document;
}

static void replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct output *out = &request->output;
	struct cp_routed routed;
	json_t *document;
	bool works;

	(void)tag;
	(void)length;
	if (status == -ENOENT) {
		request_fail(request, MGMT_EXIT_FAILED, "no such realm: \"show realms\" lists them");
		return;
	}
	if (status != 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		return;
	}
	memcpy(&routed, body, sizeof(routed));
	document = test_route_document(&routed);
	works = json_is_true(json_object_get(document, "works"));
	if (request->json) {
		render_json(out, document);
	} else {
		render_fields(out, NULL, document, fields, sizeof(fields) / sizeof(fields[0]));
		if (routed.count > 0)
			render_table(out, json_object_get(document, "agents"), hop_columns,
				sizeof(hop_columns) / sizeof(hop_columns[0]), request->width);
	}
	json_decref(document);
	request_finish(request, works ? MGMT_EXIT_OK : MGMT_EXIT_FAILED);
}

/* False: too long. */
static bool copy(char *out, size_t size, struct span word)
{
	if (word.n >= size)
		return false;
	memcpy(out, word.p, word.n);
	return true;
}

void test_route(struct request *request)
{
	const struct command_match *match = &request->match;
	struct cp_route route = { .realm = "" };
	bool good = (match->arguments == 2 ||
			    (match->arguments == 4 && span_equal(match->argument[2], SPAN("from")))) &&
		    copy(route.realm, sizeof(route.realm), match->argument[0]) &&
		    copy(route.to, sizeof(route.to), match->argument[1]) &&
		    (match->arguments == 2 || copy(route.from, sizeof(route.from), match->argument[3]));
	int err;

	if (!good) {
		request_fail(request, MGMT_EXIT_USAGE, "how: test route REALM NUMBER [from NUMBER]");
		return;
	}
	err = request_fetch(
		request, NEIGHBOUR_CONTROLPLANE, CP_TEST_ROUTE, &route, sizeof(route), 0, replied);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}
