/* SPDX-License-Identifier: BSD-3-Clause */
/* A call as a document, and that document as text: both legs, and the media of each stream and direction. */
#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const char *const sides[2] = { "caller", "callee" };

static json_t *state_value(uint32_t state)
{
	static const char *const names[] = {
		[CP_CALL_TRYING] = "trying",
		[CP_CALL_RINGING] = "ringing",
		[CP_CALL_ANSWERED] = "answered",
		[CP_CALL_ENDING] = "ending",
	};

	if (state >= sizeof(names) / sizeof(names[0]) || names[state] == NULL)
		return json_null();
	return json_string(names[state]);
}

static json_t *duration_value(const struct cp_call *call)
{
	return call->answered_ms != 0 ? value_uint(call->answered_ms / 1000) : json_null();
}

json_t *show_call_row(const struct cp_call *call)
{
	json_t *row = json_object();

	value_set(row, "id", value_call_number(call->call));
	value_set(row, "state", state_value(call->state));
	value_set(row, "from", VALUE_FIELD(call->leg[0].user));
	value_set(row, "to", VALUE_FIELD(call->leg[1].user));
	value_set(row, "from-realm", VALUE_FIELD(call->leg[0].realm));
	value_set(row, "to-realm", VALUE_FIELD(call->leg[1].realm));
	value_set(row, "duration-seconds", duration_value(call));
	return row;
}

static json_t *leg_row(const struct cp_call *call, unsigned side)
{
	const struct cp_leg *leg = &call->leg[side];
	json_t *row = json_object();

	value_set(row, "side", json_string(sides[side]));
	value_set(row, "user", VALUE_FIELD(leg->user));
	value_set(row, "realm", VALUE_FIELD(leg->realm));
	value_set(row, "session-agent", VALUE_FIELD(leg->agent));
	value_set(row, "remote-address", VALUE_FIELD(leg->remote));
	value_set(row, "our-address", VALUE_FIELD(leg->local));
	value_set(row, "call-id", VALUE_FIELD(leg->call_id));
	value_set(row, "holds", json_boolean((call->held & 1U << side) != 0));
	value_set(row, "srtp-alarm", json_boolean((call->srtp_alarms & 1U << side) != 0));
	return row;
}

json_t *show_call_document(const struct cp_call *call)
{
	json_t *document = json_object(), *legs = json_array();
	char started[CLOCK_TEXT_MAX];

	value_set(document, "id", value_call_number(call->call));
	value_set(document, "state", state_value(call->state));
	value_set(document, "started", json_string(clock_print_wall(call->started_wall_ms, started)));
	value_set(document, "setup-ms", value_uint(call->setup_ms));
	value_set(document, "duration-seconds", duration_value(call));
	value_set(document, "local-policy", VALUE_FIELD(call->policy));
	value_set(document, "session", call->session != 0 ? value_uint(call->session) : json_null());
	value_append(legs, leg_row(call, 0));
	value_append(legs, leg_row(call, 1));
	value_set(document, "legs", legs);
	value_set(document, "media", json_null());
	return document;
}

static void add_measured(json_t *row, const struct dp_counters *counters)
{
	value_set(row, "packets", value_uint(counters->packets));
	value_set(row, "octets", value_uint(counters->octets));
	value_set(row, "relayed", value_uint(counters->relayed));
	value_set(row, "lost", value_uint(counters->lost));
	value_set(row, "duplicate", value_uint(counters->duplicate));
	value_set(row, "reordered", value_uint(counters->reordered));
	value_set(row, "jitter-us", json_integer(counters->jitter_us));
	value_set(row, "jitter-max-us", json_integer(counters->jitter_max_us));
	value_set(row, "longest-gap-ms", json_integer(counters->longest_gap_ms));
	value_set(row, "wrong-source", value_uint(counters->wrong_source));
	value_set(row, "malformed", value_uint(counters->malformed));
	value_set(row, "policed", value_uint(counters->policed));
	value_set(row, "no-next-hop", value_uint(counters->no_next_hop));
	value_set(row, "rtcp-packets", value_uint(counters->rtcp_packets));
	value_set(row, "srtp-auth-failed", value_uint(counters->srtp_auth_failed));
	value_set(row, "srtp-replayed", value_uint(counters->srtp_replayed));
	value_set(row, "events", value_uint(counters->events));
	value_set(row, "payload-type", json_integer(counters->payload_type));
	value_set(row, "ssrc", value_hex(counters->ssrc, 8));
	value_set(row, "ssrc-changes", json_integer(counters->ssrc_changes));
	value_set(row, "first-packet-ms",
		counters->first_us != 0 ? value_uint(counters->first_us / 1000) : json_null());
	value_set(row, "last-packet-ms",
		counters->last_us != 0 ? value_uint(counters->last_us / 1000) : json_null());
}

/* What this side reports of the media it gets from us. */
static void add_reported(json_t *row, const struct dp_counters *counters)
{
	bool reported = counters->far_reported != 0;

	value_set(row, "round-trip-us",
		counters->round_trip_us != 0 ? json_integer(counters->round_trip_us) : json_null());
	value_set(row, "round-trip-max-us",
		counters->round_trip_max_us != 0 ? json_integer(counters->round_trip_max_us) : json_null());
	value_set(row, "far-lost", reported ? json_integer(counters->far_lost) : json_null());
	value_set(row, "far-lost-percent",
		reported ? json_integer((counters->far_lost_fraction * 100 + 128) / 256) : json_null());
	value_set(row, "far-jitter-us",
		counters->far_jitter_us != 0 ? json_integer(counters->far_jitter_us) : json_null());
}

static json_t *direction_row(const struct dp_stream_info *stream, unsigned side)
{
	json_t *row = json_object();

	value_set(row, "from", json_string(sides[side]));
	value_set(row, "our-address", value_address(&stream->local[side]));
	value_set(row, "remote-address", value_address(&stream->remote[side]));
	value_set(row, "source-address", value_address(&stream->from[side].source));
	value_set(row, "source-latched", json_boolean(stream->from[side].latched != 0));
	value_set(row, "suite", value_suite(stream->suite_from[side]));
	value_set(row, "suite-toward", value_suite(stream->suite_to[side]));
	add_measured(row, &stream->from[side]);
	add_reported(row, &stream->from[side]);
	return row;
}

json_t *show_media(const struct dp_session_info *info)
{
	json_t *media = json_array();

	for (unsigned i = 0; i < info->streams && i < DP_STREAMS_MAX; i++) {
		const struct dp_stream_info *stream = &info->stream[i];
		json_t *row, *directions;

		if (stream->kind == DP_MEDIA_NONE)
			continue;
		row = json_object();
		directions = json_array();
		value_set(row, "stream", json_integer(i));
		value_set(row, "kind", json_string(stream->kind == DP_MEDIA_RTP ? "rtp" : "other"));
		value_append(directions, direction_row(stream, 0));
		value_append(directions, direction_row(stream, 1));
		value_set(row, "directions", directions);
		value_append(media, row);
	}
	return media;
}

static const struct column call_columns[] = {
	{ "id", "call", COLUMN_TEXT, false },
	{ "state", "state", COLUMN_TEXT, false },
	{ "started", "started", COLUMN_TEXT, false },
	{ "setup-ms", "set up in", COLUMN_MILLISECONDS, false },
	{ "duration-seconds", "duration", COLUMN_SECONDS, false },
	{ "local-policy", "local-policy", COLUMN_TEXT, false },
	{ "session", "media session", COLUMN_NUMBER, false },
};

static const struct column leg_columns[] = {
	{ "side", "leg", COLUMN_TEXT, false },
	{ "user", "user", COLUMN_TEXT, false },
	{ "realm", "realm", COLUMN_TEXT, false },
	{ "session-agent", "session-agent", COLUMN_TEXT, false },
	{ "remote-address", "remote address", COLUMN_TEXT, false },
	{ "our-address", "our address", COLUMN_TEXT, false },
	{ "call-id", "Call-ID", COLUMN_TEXT, false },
	{ "holds", "holds", COLUMN_FLAG, false },
	{ "srtp-alarm", "SRTP alarm", COLUMN_FLAG, false },
};

static const struct column media_columns[] = {
	{ "from", "from", COLUMN_TEXT, false },
	{ "our-address", "our address", COLUMN_TEXT, false },
	{ "remote-address", "signalled address", COLUMN_TEXT, false },
	{ "source-address", "media source", COLUMN_TEXT, false },
	{ "source-latched", "source latched", COLUMN_FLAG, false },
	{ "suite", "SRTP", COLUMN_TEXT, false },
	{ "suite-toward", "SRTP toward it", COLUMN_TEXT, false },
	{ "packets", "packets", COLUMN_NUMBER, false },
	{ "octets", "octets", COLUMN_NUMBER, false },
	{ "relayed", "relayed", COLUMN_NUMBER, false },
	{ "lost", "lost", COLUMN_NUMBER, false },
	{ "duplicate", "duplicate", COLUMN_NUMBER, false },
	{ "reordered", "reordered", COLUMN_NUMBER, false },
	{ "jitter-us", "jitter", COLUMN_MICROSECONDS, false },
	{ "jitter-max-us", "jitter at most", COLUMN_MICROSECONDS, false },
	{ "longest-gap-ms", "longest gap", COLUMN_MILLISECONDS, false },
	{ "wrong-source", "wrong source", COLUMN_NUMBER, false },
	{ "malformed", "malformed", COLUMN_NUMBER, false },
	{ "policed", "policed", COLUMN_NUMBER, false },
	{ "no-next-hop", "no next hop", COLUMN_NUMBER, false },
	{ "rtcp-packets", "RTCP packets", COLUMN_NUMBER, false },
	{ "srtp-auth-failed", "SRTP not authentic", COLUMN_NUMBER, false },
	{ "srtp-replayed", "SRTP replayed", COLUMN_NUMBER, false },
	{ "events", "DTMF events", COLUMN_NUMBER, false },
	{ "payload-type", "payload type", COLUMN_NUMBER, false },
	{ "ssrc", "SSRC", COLUMN_TEXT, false },
	{ "ssrc-changes", "SSRC changes", COLUMN_NUMBER, false },
	{ "first-packet-ms", "first packet after", COLUMN_MILLISECONDS, false },
	{ "last-packet-ms", "last packet after", COLUMN_MILLISECONDS, false },
	{ "round-trip-us", "round trip", COLUMN_MICROSECONDS, false },
	{ "round-trip-max-us", "round trip at most", COLUMN_MICROSECONDS, false },
	{ "far-lost", "lost toward it", COLUMN_NUMBER, false },
	{ "far-lost-percent", "of late (%)", COLUMN_NUMBER, false },
	{ "far-jitter-us", "jitter toward it", COLUMN_MICROSECONDS, false },
};

#define COLUMNS(list) (list), sizeof(list) / sizeof((list)[0])

void show_call_text(struct output *out, const json_t *document)
{
	const json_t *stream;
	size_t i;
	char title[64];

	render_fields(out, NULL, document, COLUMNS(call_columns));
	output_text(out, "\n");
	render_sideways(out, NULL, json_object_get(document, "legs"), COLUMNS(leg_columns));
	json_array_foreach(json_object_get(document, "media"), i, stream)
	{
		int n = snprintf(title, sizeof(title), "\nmedia stream %" JSON_INTEGER_FORMAT ", %s",
			json_integer_value(json_object_get(stream, "stream")),
			json_string_value(json_object_get(stream, "kind")));

		if (n > 0)
			render_sideways(
				out, title, json_object_get(stream, "directions"), COLUMNS(media_columns));
	}
}
