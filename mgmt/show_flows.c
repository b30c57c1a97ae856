/* SPDX-License-Identifier: BSD-3-Clause */
/* show flows: each direction of each stream, all of them, of a realm, or of sources in a network. */
#include <errno.h>
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/source.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "session", "SESSION", COLUMN_NUMBER, false },
	{ "stream", "STREAM", COLUMN_NUMBER, false },
	{ "from", "FROM", COLUMN_TEXT, false },
	{ "realm", "REALM", COLUMN_TEXT, true },
	{ "source-address", "SOURCE", COLUMN_TEXT, false },
	{ "our-address", "OUR ADDRESS", COLUMN_TEXT, false },
	{ "destination-address", "TO", COLUMN_TEXT, false },
	{ "suite", "SRTP", COLUMN_TEXT, false },
	{ "packets", "PACKETS", COLUMN_NUMBER, false },
	{ "lost", "LOST", COLUMN_NUMBER, false },
	{ "dropped", "DROPPED", COLUMN_NUMBER, false },
	{ "idle-ms", "IDLE", COLUMN_MILLISECONDS, false },
};

static json_t *name_of(const char *const names[], size_t count, unsigned value)
{
	return value < count && names[value] != NULL ? json_string(names[value]) : json_null();
}
#define NAME_OF(names, value) name_of((names), sizeof(names) / sizeof((names)[0]), (value))

json_t *show_flow_row(const struct dp_flow *flow)
{
	static const char *const sides[] = { "caller", "callee" };
	static const char *const kinds[] = { [DP_MEDIA_RTP] = "rtp", [DP_MEDIA_OTHER] = "other" };
	static const char *const latchings[] = { [DP_LATCHING_FIXED] = "fixed",
		[DP_LATCHING_LATCH] = "latch",
		[DP_LATCHING_RELATCH] = "relatch" };
	json_t *row = json_object();

	value_set(row, "session", value_uint(flow->session));
	value_set(row, "stream", json_integer(flow->stream));
	value_set(row, "from", NAME_OF(sides, flow->side));
	value_set(row, "realm", VALUE_FIELD(flow->realm));
	value_set(row, "kind", NAME_OF(kinds, flow->kind));
	value_set(row, "suite", value_suite(flow->suite));
	value_set(row, "source-address", value_address(&flow->source));
	value_set(row, "our-address", value_address(&flow->local));
	value_set(row, "destination-address", value_address(&flow->dest));
	value_set(row, "latching", NAME_OF(latchings, flow->latching));
	value_set(row, "latched", json_boolean(flow->latched != 0));
	value_set(row, "muted", json_boolean((flow->flags & DP_SIDE_MUTED) != 0));
	value_set(row, "quiet", json_boolean((flow->flags & DP_SIDE_QUIET) != 0));
	value_set(row, "packets", value_uint(flow->packets));
	value_set(row, "octets", value_uint(flow->octets));
	value_set(row, "lost", value_uint(flow->lost));
	value_set(row, "dropped", value_uint(flow->dropped));
	value_set(row, "jitter-us", json_integer(flow->jitter_us));
	value_set(
		row, "idle-ms", flow->idle_us == UINT64_MAX ? json_null() : value_uint(flow->idle_us / 1000));
	value_set(row, "payload-type", json_integer(flow->payload_type));
	value_set(row, "ssrc", value_hex(flow->ssrc, 8));
	value_set(row, "worker", json_integer(flow->worker));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct dp_flow_reply *reply = body;
	int count = listing_count(length, sizeof(*reply), reply->count, sizeof(struct dp_flow));

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct dp_flow flow;

		memcpy(&flow, (const char *)body + sizeof(*reply) + (size_t)i * sizeof(flow), sizeof(flow));
		value_append(rows, show_flow_row(&flow));
	}
	ask->flows.session = reply->session;
	ask->flows.position = reply->position;
	return reply->more != 0;
}

/* "", "NETWORK" or "realm NAME" */
static int read_arguments(struct request *request, struct dp_flow_request *ask)
{
	const struct command_match *match = &request->match;
	struct writer realm;

	if (match->arguments == 0)
		return 0;
	if (match->arguments == 1 && !span_equal(match->argument[0], SPAN("realm")))
		return source_argument(request, match->argument[0], &ask->within);
	if (match->arguments != 2 || !span_equal(match->argument[0], SPAN("realm"))) {
		request_fail(
			request, MGMT_EXIT_USAGE, "show flows is followed by a network or by \"realm NAME\"");
		return -EINVAL;
	}
	writer_init(&realm, ask->realm, sizeof(ask->realm) - 1);
	writer_span(&realm, match->argument[1]);
	if (realm.overflow || realm.len == 0) {
		request_fail(
			request, MGMT_EXIT_USAGE, "a realm's name has 1 to %d characters", DP_NAME_MAX - 1);
		return -EINVAL;
	}
	return 0;
}

void show_flows(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "flows",
		.one = "flow",
		.many = "flows",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_DATAPLANE,
		.type = DP_FLOW_LIST,
		.ask_size = sizeof(struct dp_flow_request),
		.take = take,
		.not_found = "no such realm; \"show realms\" lists them",
	};
	union listing_ask ask = { .flows = { .limit = LISTING_PAGE } };

	if (read_arguments(request, &ask.flows) == 0)
		listing_run(request, &kind, &ask, false);
}
