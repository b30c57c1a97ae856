/* SPDX-License-Identifier: BSD-3-Clause */
/* show block: why a source does not come through: the bans it falls under, what the guard saw of it, then what was dropped of it, newest
 * first. */
#include <errno.h>
#include <string.h>

#include "controlplane/client.h"
#include "dataplane/client.h"
#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/source.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const struct column columns[] = {
	{ "time", "TIME", COLUMN_TEXT, false },
	{ "reason", "REASON", COLUMN_TEXT, false },
	{ "interface", "INTERFACE", COLUMN_TEXT, true },
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "destination", "DESTINATION", COLUMN_TEXT, false },
	{ "protocol", "PROTOCOL", COLUMN_TEXT, false },
	{ "length", "OCTETS", COLUMN_NUMBER, false },
	{ "sip", "SIP", COLUMN_TEXT, true },
};

static json_t *protocol_value(uint8_t protocol)
{
	char text[8];

	switch (protocol) {
	case 1:
		return json_string("icmp");
	case 6:
		return json_string("tcp");
	case 17:
		return json_string("udp");
	case 58:
		return json_string("icmpv6");
	default:
		return json_stringn(text, (size_t)snprintf(text, sizeof(text), "%u", protocol));
	}
}

json_t *show_block_row(const struct cp_block *block)
{
	json_t *row = json_object();
	char time[CLOCK_TEXT_MAX];

	value_set(row, "time", json_string(clock_print_wall(block->wall_ms, time)));
	value_set(row, "reason",
		block->counter < DP_COUNTER_COUNT
			? json_string(dp_counter_name((enum dp_counter)block->counter))
			: json_null());
	value_set(row, "interface", VALUE_FIELD(block->interface));
	value_set(row, "source", VALUE_FIELD(block->source));
	value_set(row, "destination", VALUE_FIELD(block->dest));
	value_set(row, "protocol", protocol_value(block->protocol));
	value_set(row, "length", json_integer(block->length));
	value_set(row, "sip", VALUE_FIELD(block->line));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_block_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_block));

	for (int i = 0; i < count; i++) {
		struct cp_block block;

		memcpy(&block, (const char *)body + sizeof(*page) + (size_t)i * sizeof(block), sizeof(block));
		value_append(rows, show_block_row(&block));
		ask->blocks.before = block.number;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

static const struct listing_kind packets = {
	.member = "packets",
	.one = "sample of a dropped packet",
	.many = "samples of dropped packets",
	.columns = columns,
	.column_count = sizeof(columns) / sizeof(columns[0]),
	.neighbour = NEIGHBOUR_CONTROLPLANE,
	.type = CP_BLOCK_LIST,
	.ask_size = sizeof(struct cp_block_list),
	.take = take,
};

static const struct column reason_columns[] = {
	{ "time", "TIME", COLUMN_TEXT, false },
	{ "sign", "SIGN", COLUMN_TEXT, false },
	{ "interface", "INTERFACE", COLUMN_TEXT, true },
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "destination", "DESTINATION", COLUMN_TEXT, false },
	{ "protocol", "PROTOCOL", COLUMN_TEXT, false },
	{ "sip", "SIP", COLUMN_TEXT, true },
};

json_t *show_reason_row(const struct cp_block *reason)
{
	json_t *row = json_object();
	const char *sign = cp_guard_sign_name(reason->counter);
	char time[CLOCK_TEXT_MAX];

	value_set(row, "time", json_string(clock_print_wall(reason->wall_ms, time)));
	value_set(row, "sign", *sign ? json_string(sign) : json_null());
	value_set(row, "interface", VALUE_FIELD(reason->interface));
	value_set(row, "source", VALUE_FIELD(reason->source));
	value_set(row, "destination", VALUE_FIELD(reason->dest));
	value_set(row, "protocol", protocol_value(reason->protocol));
	value_set(row, "sip", VALUE_FIELD(reason->line));
	return row;
}

/* `bans` NULL: not known. */
static void print_bans(struct request *request, const json_t *bans)
{
	struct output *out = &request->output;

	if (request->json) {
		output_text(out, "{\"bans\": ");
		if (bans != NULL)
			render_json_row(out, bans);
		else
			output_text(out, "null");
		output_text(out, ", ");
		return;
	}
	if (json_array_size(bans) > 0) {
		show_bans_text(out, request->width, bans);
		output_text(out, "\n");
	}
}

static void ask_about(struct request *request, union listing_ask *ask)
{
	struct dp_source_key key;

	(void)source_parse(request->match.argument[0], &key); /* has been parsed before */
	*ask = (union listing_ask){ .blocks = { .limit = LISTING_PAGE } };
	memcpy(ask->blocks.ip, key.address.ip, sizeof(ask->blocks.ip));
	ask->blocks.family = key.address.family;
	ask->blocks.port = key.address.port;
	ask->blocks.length = key.length;
}

static void print_reasons(struct request *request, const json_t *rows)
{
	struct output *out = &request->output;

	if (request->json) {
		output_text(out, "\"reasons\": ");
		render_json_row(out, rows);
		output_text(out, ", ");
	} else if (json_array_size(rows) > 0) {
		render_table(out, rows, reason_columns, sizeof(reason_columns) / sizeof(reason_columns[0]),
			request->width);
		output_text(out, "\n");
	}
}

/* The newest: as many as one reply holds. */
static void reasons_replied(
	struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	const struct cp_block_page *page = body;
	union listing_ask ask;
	int count;
	json_t *rows;

	(void)tag;
	count = status ? status : listing_count(length, sizeof(*page), page->count, sizeof(struct cp_block));
	if (count < 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, count);
		return;
	}
	rows = json_array();
	for (int i = 0; i < count; i++) {
		struct cp_block reason;

		memcpy(&reason, (const char *)body + sizeof(*page) + (size_t)i * sizeof(reason),
			sizeof(reason));
		value_append(rows, show_reason_row(&reason));
	}
	print_reasons(request, rows);
	json_decref(rows);
	ask_about(request, &ask);
	listing_run(request, &packets, &ask, true);
}

static void list_packets(struct request *request, const json_t *bans)
{
	union listing_ask ask;
	int err;

	if (neighbour_hello(request->neighbours, NEIGHBOUR_CONTROLPLANE) == NULL) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, -ENOTCONN);
		return;
	}
	print_bans(request, bans);
	ask_about(request, &ask);
	err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, CP_GUARD_REASONS, &ask.blocks,
		sizeof(ask.blocks), 0, reasons_replied);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

static void list_without_bans(struct request *request, int status)
{
	request_remark(request, "the dataplane does not answer (%s): nothing is known about bans",
		strerror(-status));
	list_packets(request, NULL);
}

/* As many as one reply holds: who asks about 0.0.0.0/0 has `show bans`. */
static void bans_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	union listing_ask ask = { 0 };
	json_t *bans;

	(void)tag;
	if (status != 0) {
		list_without_bans(request, status);
		return;
	}
	bans = json_array();
	(void)show_bans_take(&ask, body, length, bans);
	list_packets(request, bans);
	json_decref(bans);
}

void show_block(struct request *request)
{
	struct dp_table_request ask = { .limit = LISTING_PAGE };
	int err;

	if (source_argument(request, request->match.argument[0], &ask.within) != 0)
		return;
	err = request_fetch(request, NEIGHBOUR_DATAPLANE, DP_BAN_LIST, &ask, sizeof(ask), 0, bans_replied);
	if (err != 0)
		list_without_bans(request, err);
}
