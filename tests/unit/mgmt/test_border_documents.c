/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the rows that the border's commands show: stable JSON names, values where they belong, nothing hostile passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/listing.h"
#include "mgmt/show.h"

static void assert_row(json_t *row, const char *expected)
{
	char *text = json_dumps(row, JSON_COMPACT);

	assert_string_equal(text, expected);
	free(text);
	json_decref(row);
}

static void a_ban_has_its_names_and_values(void **state)
{
	struct dp_ban ban = { .key = { .address = { .ip = { 198, 51, 100 }, .family = 4 }, .length = 24 },
		.age_us = 65999999,
		.packets = 12,
		.reason = "scanner\x1b[2J" };

	(void)state;
	assert_row(show_ban_row(&ban),
		"{\"source\":\"198.51.100.0/24\",\"reason\":\"scanner\\\\x1b[2J\",\"packets\":12,"
		"\"age-seconds\":65,\"expires-seconds\":null}");
	ban = (struct dp_ban){ .key = { .address = { .ip = { 198, 51, 100, 7 }, .port = 5060, .family = 4 },
				       .length = 32 },
		.expires_us = 1 };
	assert_row(show_ban_row(&ban), "{\"source\":\"198.51.100.7:5060\",\"reason\":null,\"packets\":0,"
				       "\"age-seconds\":0,\"expires-seconds\":1}");
}

static void a_reason_that_fills_its_field_is_not_overrun(void **state)
{
	struct dp_ban ban = { .packets = UINT64_MAX };
	json_t *row;

	(void)state;
	memset(ban.reason, 'r', sizeof(ban.reason));
	row = show_ban_row(&ban);
	assert_int_equal(json_string_length(json_object_get(row, "reason")), sizeof(ban.reason));
	assert_true(json_is_null(json_object_get(row, "source")));
	json_decref(row);
}

static void a_trusted_source_has_its_names_and_values(void **state)
{
	struct dp_trust trust = { .key = { .address = { .ip = { 0x20, 1, 0xd, 0xb8 }, .family = 6 },
					  .length = 32 },
		.expires_us = 5000000,
		.rate = 100,
		.burst = 200,
		.configured = 1,
		.packets = 9 };

	(void)state;
	assert_row(show_trust_row(&trust),
		"{\"source\":\"2001:db8::/32\",\"configured\":true,\"rate\":100,\"burst\":200,"
		"\"packets\":9,\"expires-seconds\":5}");
}

static void a_realm_has_its_names_and_values(void **state)
{
	struct dp_realm realm = { .name = "access",
		.interface = "outside",
		.pools = 2,
		.ports_used = 4,
		.ports_total = 2000,
		.draining = 1,
		.streams = 3,
		.packets = 10,
		.octets = 1720,
		.relayed = 9,
		.lost = 1,
		.wrong_source = 2,
		.malformed = 5,
		.policed = 6,
		.events = 7 };

	(void)state;
	assert_row(show_realm_row(&realm),
		"{\"name\":\"access\",\"interface\":\"outside\",\"trusted\":false,\"draining\":true,"
		"\"pools\":2,\"ports-used\":"
		"4,"
		"\"ports-total\":2000,\"streams\":3,\"packets\":10,\"octets\":1720,\"relayed\":9,\"lost\":1,"
		"\"wrong-source\":2,\"malformed\":5,\"policed\":6,\"events\":7}");
}

static void a_flow_has_its_names_and_values(void **state)
{
	struct dp_flow flow = { .session = 4711,
		.stream = 1,
		.side = 1,
		.kind = DP_MEDIA_RTP,
		.latching = DP_LATCHING_RELATCH,
		.flags = DP_SIDE_QUIET,
		.payload_type = 8,
		.worker = 1,
		.realm = "core",
		.local = { .ip = { 10, 0, 0, 1 }, .port = 20000, .family = 4 },
		.source = { .ip = { 10, 0, 0, 5 }, .port = 6000, .family = 4 },
		.packets = 50,
		.octets = 8600,
		.lost = 2,
		.dropped = 3,
		.idle_us = 20999,
		.jitter_us = 150,
		.ssrc = 0xbeef,
		.latched = 1,
		.suite = DP_SRTP_AES_256_CM_HMAC_SHA1_32 };

	(void)state;
	assert_row(show_flow_row(&flow),
		"{\"session\":4711,\"stream\":1,\"from\":\"callee\",\"realm\":\"core\",\"kind\":\"rtp\","
		"\"suite\":\"AES_256_CM_HMAC_SHA1_32\","
		"\"source-address\":\"10.0.0.5:6000\",\"our-address\":\"10.0.0.1:20000\","
		"\"destination-address\":null,\"latching\":\"relatch\",\"latched\":true,\"muted\":false,"
		"\"quiet\":true,\"packets\":50,\"octets\":8600,\"lost\":2,\"dropped\":3,\"jitter-us\":150,"
		"\"idle-ms\":20,\"payload-type\":8,\"ssrc\":\"0000beef\",\"worker\":1}");
}

static void numbers_nobody_knows_are_null_not_a_crash(void **state)
{
	struct dp_flow flow = {
		.side = 255, .kind = 255, .latching = 255, .idle_us = UINT64_MAX, .suite = 255
	};
	struct cp_block block = { .counter = UINT32_MAX, .protocol = 255 };
	json_t *row = show_flow_row(&flow);

	(void)state;
	assert_true(json_is_null(json_object_get(row, "from")));
	assert_true(json_is_null(json_object_get(row, "kind")));
	assert_true(json_is_null(json_object_get(row, "suite")));
	assert_true(json_is_null(json_object_get(row, "latching")));
	assert_true(json_is_null(json_object_get(row, "idle-ms")));
	json_decref(row);
	row = show_block_row(&block);
	assert_true(json_is_null(json_object_get(row, "reason")));
	assert_string_equal(json_string_value(json_object_get(row, "protocol")), "255");
	json_decref(row);
}

static void a_source_is_an_address_an_ipv6_network_or_a_flow(void **state)
{
	struct dp_source source = { .address = { .ip = { 198, 51, 100, 7 }, .family = 4 },
		.interface = "outside",
		.packets = 1000,
		.dropped = 900,
		.first_us = 61000000,
		.last_us = 999999 };

	(void)state;
	assert_row(show_source_row(&source),
		"{\"source\":\"198.51.100.7\",\"interface\":\"outside\",\"trusted\":false,"
		"\"packets\":1000,\"dropped\":900,\"first-seconds\":61,\"last-seconds\":0}");
	source = (struct dp_source){ .address = { .ip = { 0x20, 1, 0xd, 0xb8 }, .family = 6 }, .trusted = 1 };
	assert_row(show_source_row(&source),
		"{\"source\":\"2001:db8::/64\",\"interface\":null,\"trusted\":true,"
		"\"packets\":0,\"dropped\":0,\"first-seconds\":0,\"last-seconds\":0}");
	source.address.port = 5060;
	source.address.ip[15] = 1;
	assert_row(show_source_row(&source),
		"{\"source\":\"[2001:db8::1]:5060\",\"interface\":null,\"trusted\":true,\"packets\":0,"
		"\"dropped\":0,\"first-seconds\":0,\"last-seconds\":0}");
}

static void a_dropped_packet_has_its_names_and_values(void **state)
{
	struct cp_block block = { .number = 5,
		.wall_ms = 1795176000123,
		.counter = DP_COUNTER_DROP_BANNED,
		.length = 400,
		.protocol = 17,
		.interface = "outside",
		.source = "198.51.100.7:5062",
		.dest = "203.0.113.10:5060",
		.line = "INVITE sip:1\\@x SIP/2.0" };

	(void)state;
	assert_row(show_block_row(&block),
		"{\"time\":\"2026-11-20T12:00:00.123Z\",\"reason\":\"drop-banned\",\"interface\":\"outside\","
		"\"source\":\"198.51.100.7:5062\",\"destination\":\"203.0.113.10:5060\",\"protocol\":\"udp\","
		"\"length\":400,\"sip\":\"INVITE sip:1\\\\x5c@x SIP/2.0\"}");
}

static char printed[16384];
static size_t printed_length;

static int take(void *arg, const char *text, size_t length)
{
	(void)arg;
	assert_true(printed_length + length < sizeof(printed));
	memcpy(printed + printed_length, text, length);
	printed_length += length;
	printed[printed_length] = '\0';
	return 0;
}

static void drops_come_with_what_happens_now_first_and_all_in_json(void **state)
{
	static const struct neighbours nobody;
	struct dp_stats stats = { .counters = UINT32_MAX };
	struct show_data data = { .neighbours = &nobody };
	struct output out;
	json_t *document, *rows;

	(void)state;
	stats.counter[DP_COUNTER_DROP_TTL] = 1000;
	stats.counter[DP_COUNTER_DROP_BANNED] = 7;
	stats.per_second[DP_COUNTER_DROP_BANNED] = 3;
	stats.counter[DP_COUNTER_RX_PACKETS] = 5000;
	data.reply[SHOW_DP_STATS].body = &stats;
	document = show_drops.document(&data);
	rows = json_object_get(document, "drops");
	assert_true(json_array_size(rows) > 10);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 0), "reason")), "drop-banned");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "per-second")), 3);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 1), "reason")), "drop-ttl");
	printed_length = 0;
	output_init(&out, take, NULL);
	show_drops.text(&out, 0, document);
	output_flush(&out);
	assert_non_null(strstr(printed, "\ndrop-banned"));
	assert_non_null(strstr(printed, "source banned\n"));
	assert_null(strstr(printed, "drop-no-flow"));
	assert_null(strstr(printed, "rx-packets"));
	json_decref(document);
}

static void a_reply_that_claims_more_than_it_has_is_refused(void **state)
{
	struct {
		struct dp_table_reply reply;
		struct dp_ban ban[2];
	} body = { .reply = { .count = 2 } };
	union listing_ask ask = { 0 };
	json_t *rows = json_array();

	(void)state;
	assert_int_equal(show_bans_take(&ask, &body, sizeof(body), rows), 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_true(show_bans_take(&ask, &body, sizeof(body) - 1, rows) < 0);
	body.reply.count = UINT32_MAX;
	assert_true(show_bans_take(&ask, &body, sizeof(body), rows) < 0);
	assert_int_equal(json_array_size(rows), 2);
	/* An empty page in the middle of a table. */
	body.reply = (struct dp_table_reply){ .cursor = 77 };
	assert_int_equal(show_bans_take(&ask, &body, sizeof(body.reply), rows), 1);
	assert_int_equal(ask.table.cursor, 77);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ban_has_its_names_and_values),
		cmocka_unit_test(a_reason_that_fills_its_field_is_not_overrun),
		cmocka_unit_test(a_trusted_source_has_its_names_and_values),
		cmocka_unit_test(a_realm_has_its_names_and_values),
		cmocka_unit_test(a_flow_has_its_names_and_values),
		cmocka_unit_test(numbers_nobody_knows_are_null_not_a_crash),
		cmocka_unit_test(a_source_is_an_address_an_ipv6_network_or_a_flow),
		cmocka_unit_test(a_dropped_packet_has_its_names_and_values),
		cmocka_unit_test(drops_come_with_what_happens_now_first_and_all_in_json),
		cmocka_unit_test(a_reply_that_claims_more_than_it_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
