/* SPDX-License-Identifier: BSD-3-Clause */
/* show agents, show quality: session-agents with their calls; how media sounded by realm and agent. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/show_statistics.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const struct column agent_columns[] = {
	{ "name", "AGENT", COLUMN_TEXT, true },
	{ "realm", "REALM", COLUMN_TEXT, true },
	{ "state", "STATE", COLUMN_TEXT, false },
	{ "since-seconds", "SINCE", COLUMN_SECONDS, false },
	{ "address", "ADDRESS", COLUMN_TEXT, true },
	{ "in-now", "IN", COLUMN_NUMBER, false },
	{ "out-now", "OUT", COLUMN_NUMBER, false },
	{ "out-most", "MOST", COLUMN_NUMBER, false },
	{ "max-sessions", "LIMIT", COLUMN_NUMBER, false },
	{ "out-per-second", "OUT/S", COLUMN_NUMBER, false },
	{ "out-attempts", "ATTEMPTS", COLUMN_NUMBER, false },
	{ "out-asr-percent", "ASR %", COLUMN_NUMBER, false },
	{ "out-ner-percent", "NER %", COLUMN_NUMBER, false },
	{ "out-acd-seconds", "ACD S", COLUMN_NUMBER, false },
	{ "registrations", "PHONES", COLUMN_NUMBER, false },
};

static const struct column one_columns[] = {
	{ "name", "session-agent", COLUMN_TEXT, false },
	{ "realm", "realm", COLUMN_TEXT, false },
	{ "state", "state", COLUMN_TEXT, false },
	{ "since-seconds", "since", COLUMN_SECONDS, false },
	{ "address", "address in use", COLUMN_TEXT, false },
	{ "max-sessions", "calls at most", COLUMN_NUMBER, false },
	{ "registrations", "phones registered", COLUMN_NUMBER, false },
};

static const struct column quality_columns[] = {
	{ "name", "NAME", COLUMN_TEXT, true },
	{ "kind", "KIND", COLUMN_TEXT, false },
	{ "media", "CALLS", COLUMN_NUMBER, false },
	{ "mos", "MOS", COLUMN_NUMBER, false },
	{ "mos-poor-percent", "POOR %", COLUMN_NUMBER, false },
	{ "loss-percent", "LOSS %", COLUMN_NUMBER, false },
	{ "loss-poor-percent", "OVER 2 %", COLUMN_NUMBER, false },
	{ "jitter-ms", "JITTER MS", COLUMN_NUMBER, false },
	{ "jitter-poor-percent", "OVER 50", COLUMN_NUMBER, false },
};

/* --- rows ----------------------------------------------------------------------------------------------------------------- */

json_t *show_agent_row(const struct cp_statistics *statistics, uint64_t now_wall_ms)
{
	uint64_t since = statistics->state_wall_ms;
	json_t *row = json_object();

	value_set(row, "name", VALUE_FIELD(statistics->name));
	value_set(row, "realm", VALUE_FIELD(statistics->realm));
	value_set(row, "state", json_string(show_agent_state(statistics->state)));
	value_set(row, "since-seconds",
		since != 0 && since <= now_wall_ms ? value_uint((now_wall_ms - since) / 1000) : json_null());
	value_set(row, "address", VALUE_FIELD(statistics->address));
	value_set(row, "max-sessions",
		statistics->max_sessions != 0 ? value_uint(statistics->max_sessions) : json_null());
	value_set(row, "registrations", value_uint(statistics->registrations));
	show_statistics_add(row, statistics);
	show_quality_add(row, &statistics->quality);
	return row;
}

static json_t *quality_row(const struct cp_statistics *statistics)
{
	static const char *const kinds[] = { [CP_STATISTICS_SYSTEM] = "system",
		[CP_STATISTICS_REALM] = "realm",
		[CP_STATISTICS_AGENT] = "session-agent" };
	json_t *row = json_object();

	value_set(row, "name",
		statistics->kind == CP_STATISTICS_SYSTEM ? json_string("all")
							 : VALUE_FIELD(statistics->name));
	value_set(row, "kind",
		statistics->kind <= CP_STATISTICS_AGENT ? json_string(kinds[statistics->kind]) : json_null());
	show_quality_add(row, &statistics->quality);
	return row;
}

typedef void (*each_entry)(const struct cp_statistics *statistics, void *arg);

/* 1: there are more, behind *after; 0; -EBADMSG. */
static int each(struct cp_call_list *list, const void *body, size_t length, each_entry call, void *arg)
{
	const struct cp_statistics_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_statistics));

	for (int i = 0; i < count; i++) {
		struct cp_statistics one;

		memcpy(&one, (const char *)body + sizeof(*page) + (size_t)i * sizeof(one), sizeof(one));
		list->after = one.number;
		call(&one, arg);
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

/* --- lists ---------------------------------------------------------------------------------------------------------------- */

static void append_agent(const struct cp_statistics *statistics, void *arg)
{
	if (statistics->kind == CP_STATISTICS_AGENT)
		value_append(arg, show_agent_row(statistics, clock_wall_ms()));
}

static void append_quality(const struct cp_statistics *statistics, void *arg)
{
	value_append(arg, quality_row(statistics));
}

int show_agents_take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	return each(&ask->calls, body, length, append_agent, rows);
}

int show_quality_take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	return each(&ask->calls, body, length, append_quality, rows);
}

/* --- one of them ---------------------------------------------------------------------------------------------------------- */

struct search {
	struct cp_call_list ask;
	json_t *found;
	struct request *request;
	unsigned matches;
};

static void search_free(void *state)
{
	struct search *search = state;

	json_decref(search->found);
	free(search);
}

static void match_agent(const struct cp_statistics *statistics, void *arg)
{
	struct search *search = arg;
	struct span name = { statistics->name, strnlen(statistics->name, sizeof(statistics->name)) };

	if (statistics->kind == CP_STATISTICS_AGENT && span_equal(name, search->request->match.argument[0]))
		value_append(search->found, show_agent_row(statistics, clock_wall_ms()));
}

static void match_quality(const struct cp_statistics *statistics, void *arg)
{
	struct search *search = arg;
	struct span name = { statistics->name, strnlen(statistics->name, sizeof(statistics->name)) };

	if (statistics->kind == CP_STATISTICS_SYSTEM)
		name = SPAN("all");
	if (span_equal(name, search->request->match.argument[0]))
		value_append(search->found, quality_row(statistics));
}

static void agent_text(struct output *out, const json_t *row)
{
	render_fields(out, NULL, row, one_columns, sizeof(one_columns) / sizeof(one_columns[0]));
	output_text(out, "\n");
	show_statistics_text(out, row);
	output_text(out, "\n");
	show_quality_text(out, row);
}

static void quality_text(struct output *out, const json_t *row)
{
	output_format(out, "%s (%s)\n", json_string_value(json_object_get(row, "name")),
		json_string_value(json_object_get(row, "kind")));
	show_quality_text(out, row);
}

struct one_kind {
	const char *member, *missing;
	each_entry match;
	void (*text)(struct output *out, const json_t *row);
};

static const struct one_kind agents_kind = { "agents", "no such session-agent; \"show agents\" lists them",
	match_agent, agent_text };
static const struct one_kind quality_kind = { "quality",
	"no such realm or session-agent; \"show quality\" lists them", match_quality, quality_text };

static void print_found(struct request *request, const struct one_kind *kind)
{
	const struct search *search = request->state;
	struct output *out = &request->output;
	const json_t *row;
	size_t i;

	if (json_array_size(search->found) == 0) {
		request_fail(request, MGMT_EXIT_FAILED, "%s", kind->missing);
		return;
	}
	if (request->json) {
		json_t *document = json_object();

		value_set(document, kind->member, json_incref(search->found));
		render_json(out, document);
		json_decref(document);
	} else {
		json_array_foreach(search->found, i, row) kind->text(out, row);
	}
	request_finish(request, MGMT_EXIT_OK);
}

static void ask_page(struct request *request, bool quality);

static void page_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	const struct one_kind *kind = tag != 0 ? &quality_kind : &agents_kind;
	struct search *search = request->state;

	if (status == 0)
		status = each(&search->ask, body, length, kind->match, search);
	if (status < 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
	else if (status > 0)
		ask_page(request, tag != 0);
	else
		print_found(request, kind);
}

static void ask_page(struct request *request, bool quality)
{
	const struct search *search = request->state;
	int err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_STATISTICS_LIST, &search->ask,
		sizeof(search->ask), quality, page_replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

static void show_one(struct request *request, bool quality)
{
	struct search *search = calloc(1, sizeof(*search));

	if (search == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	search->ask.limit = CP_STATISTICS_PAGE;
	search->found = json_array();
	search->request = request;
	request->state = search;
	request->state_free = search_free;
	ask_page(request, quality);
}

/* --- commands ------------------------------------------------------------------------------------------------------------- */

static void run(struct request *request, const struct listing_kind *kind, bool quality)
{
	union listing_ask ask = { .calls = { .limit = CP_STATISTICS_PAGE } };

	if (request->match.arguments > 1)
		request_fail(request, MGMT_EXIT_USAGE, "one name may follow");
	else if (request->match.arguments == 1)
		show_one(request, quality);
	else
		listing_run(request, kind, &ask, false);
}

void show_agents(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "agents",
		.one = "session-agent",
		.many = "session-agents",
		.columns = agent_columns,
		.column_count = sizeof(agent_columns) / sizeof(agent_columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_STATISTICS_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = show_agents_take,
	};

	run(request, &kind, false);
}

void show_quality(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "quality",
		.one = "line",
		.many = "lines",
		.columns = quality_columns,
		.column_count = sizeof(quality_columns) / sizeof(quality_columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_STATISTICS_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = show_quality_take,
	};

	run(request, &kind, true);
}
